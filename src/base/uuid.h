/* UUIDs: version 7 for sagas (time-ordered), version 5 for Qdrant's points (named).
 * RFC 9562. Neither reads a clock or draws random bits: both come in. */
#ifndef SAGAD_BASE_UUID_H
#define SAGAD_BASE_UUID_H

#include "str.h"

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_BYTES 37 /* 36 characters and a NUL */

struct uuid {
	uint8_t bytes[16]; /* network order, so that memcmp() is the order of PostgreSQL's uuid type */
};

#define UUID_NIL ((struct uuid){{0}})

/* Version 7 from Unix milliseconds and 74 bits out of two random words. */
struct uuid uuid_make_v7(uint64_t unix_ms, uint64_t random_high, uint64_t random_low);

/* Version 5 (SHA-1) of a name in a namespace. */
struct uuid uuid_make_v5(const struct uuid *space, const void *name, size_t n_bytes);

/* The smallest version-7 UUID above this one; keeps version and variant bits. */
struct uuid uuid_next_v7(const struct uuid *uuid);

/* <0, 0, >0 as memcmp(). */
int uuid_compare(const struct uuid *a, const struct uuid *b);

bool uuid_is_nil(const struct uuid *uuid);

/* Lower-case text with dashes and a NUL. */
void uuid_format(const struct uuid *uuid, char out_text[UUID_TEXT_BYTES]);

/* Takes the 36-character form in either case only; false and untouched otherwise. */
bool uuid_parse(struct str text, struct uuid *out_uuid);

#endif
