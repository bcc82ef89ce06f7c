/* Values of a result in PostgreSQL's binary form: bytes in, values out. Pure.
 *
 * A length that doesn't fit the type reads as zero: what a peer sends must not end the daemon. */
#ifndef SAGAD_STORES_POSTGRES_PG_VALUE_H
#define SAGAD_STORES_POSTGRES_PG_VALUE_H

#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t pg_value_int(struct str value); /* int2, int4 or int8, by its length */
bool pg_value_bool(struct str value);
struct uuid pg_value_uuid(struct str value);

/* Copies at most n_bytes; what is missing becomes zeroes. */
void pg_value_bytes(struct str value, void *out_bytes, size_t n_bytes);

/* Copies a text with its NUL, cut at a character's border when it doesn't fit into n_bytes (1 or more). */
void pg_value_text(struct str value, char *out_text, size_t n_bytes);

#endif
