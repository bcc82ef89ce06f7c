/* What an empty database that has all of sagad's tables answers to each of its statements. Nothing is kept: every
 * document is new, every transaction commits. */
#ifndef SAGAD_BENCH_NULL_NULL_PG_ANSWERS_H
#define SAGAD_BENCH_NULL_NULL_PG_ANSWERS_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define NULL_PG_PARAMS_MAX 32

/* The parameters of a Bind; at == NULL: SQL's NULL. */
struct null_pg_params {
	struct str values[NULL_PG_PARAMS_MAX];
	uint32_t n;
};

/* An array parameter that is being walked. */
struct null_pg_array {
	struct str rest;
	uint32_t n_left;
};

/* A row that is being written. */
struct null_pg_row;

struct null_pg_statement {
	const char *begins; /* the SQL's beginning */
	uint16_t n_columns; /* 0: it returns no rows */
	const char *tag;    /* of CommandComplete; after a space at its end come the rows */
	uint32_t (*rows)(const struct null_pg_params *, struct buf *); /* appends DataRow messages; NULL: none */
};

/* NULL: not one of sagad's. */
const struct null_pg_statement *null_pg_answers_find(struct str sql);

/* False: it is no array in the binary form. */
bool null_pg_array_open(struct str value, struct null_pg_array *out_array);

/* The next item, at == NULL for a NULL; false at the end, or when the bytes are cut off (n_left is not 0 then). */
bool null_pg_array_next(struct null_pg_array *array, struct str *out_item);

uint16_t null_pg_be16(const char *at);
uint32_t null_pg_be32(const char *at);

#endif
