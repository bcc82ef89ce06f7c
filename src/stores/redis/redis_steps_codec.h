/* Steps in Redis, without a connection: the script's arguments out of a call, what may be in it, what an answer means.
 * Pure. */
#ifndef SAGAD_STORES_REDIS_REDIS_STEPS_CODEC_H
#define SAGAD_STORES_REDIS_REDIS_STEPS_CODEC_H

#include "redis_codec.h"
#include "redis_scripts.h"
#include "stores/step/step_codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_STEPS_COMMANDS_MAX 128
#define REDIS_STEPS_WORDS_MAX    4000 /* of all commands: the script unpacks them onto Lua's stack */

struct redis_steps_codec {
	const char *key_prefix; /* borrowed */
	uint32_t barrier_ttl_s;
	uint32_t dead_ttl_s; /* of a barrier whose undo has ended */
	size_t max_result_bytes;
	char sha[REDIS_SCRIPTS_SHA_BYTES];
};

/* The arguments of one EVALSHA or EVAL; argv[0] and [1] are the sender's. */
struct redis_steps_command {
	yyjson_doc *doc; /* owned, as all below */
	const char **argv;
	size_t *lens;
	size_t argc;
	struct buf key;
	char **texts; /* numbers, as they came, and lengths */
	size_t n_texts;
};

/* The script's name. */
void redis_steps_codec_init(struct redis_steps_codec *codec);

/* Reads and checks the call's {"commands": [[...]]}: each of the allow-list, with as many words as it takes, none a key
 * of sagad's own. False: the call has failed. redis_steps_codec_fini() is due in any case. */
bool redis_steps_codec_read(const struct redis_steps_codec *codec, struct call *call,
			    struct redis_steps_command *out_command) WARN_UNUSED;

/* EVALSHA, or EVAL with the text. */
void redis_steps_codec_name(const struct redis_steps_codec *codec, struct redis_steps_command *command, bool with_text);

void redis_steps_codec_fini(struct redis_steps_command *command);

/* Sets the call's verdict from the script's answer, or from an error of the server's. */
enum redis_codec_hint redis_steps_codec_answer(const struct redis_steps_codec *codec, struct call *call,
					       enum redis_reply_kind kind, struct str text);

#endif
