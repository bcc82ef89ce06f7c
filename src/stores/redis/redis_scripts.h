/* The Lua scripts, one file for each operation of a leg (*.lua beside this one). */
#ifndef SAGAD_STORES_REDIS_REDIS_SCRIPTS_H
#define SAGAD_STORES_REDIS_REDIS_SCRIPTS_H

#include "port/store.h"

#define REDIS_SCRIPTS_SHA_BYTES 41 /* 40 hex digits and a NUL */

/* The script's text; static. Its keys are always live, stage, fence; its first argument is always the saga. */
const char *redis_scripts_text(enum leg_op op);

/* The name that EVALSHA wants: SHA-1 of the text, lower-case hex. */
void redis_scripts_sha(enum leg_op op, char out_sha[REDIS_SCRIPTS_SHA_BYTES]);

/* The script of a step of a client's own saga; static. */
const char *redis_scripts_step_text(void);

/* The name of any script. */
void redis_scripts_sha_of(const char *text, char out_sha[REDIS_SCRIPTS_SHA_BYTES]);

#endif
