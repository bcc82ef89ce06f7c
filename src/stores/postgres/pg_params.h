/* The parameters of one statement in PostgreSQL's binary form: scalars, and arrays for unnest(). Pure.
 *
 * Every parameter has its type's OID, so that no statement needs a cast, and no name of a type that search_path might
 * not find. Formats: the *_recv functions of PostgreSQL, array_recv() in arrayfuncs.c and pgvector's vector_recv(). */
#ifndef SAGAD_STORES_POSTGRES_PG_PARAMS_H
#define SAGAD_STORES_POSTGRES_PG_PARAMS_H

#include "base/buf.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_PARAMS_MAX 16

/* Built-in types never change their OIDs: src/include/catalog/pg_type.dat. */
enum pg_oid {
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_INT8 = 20,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_FLOAT4 = 700,
	PG_UUID = 2950,
	PG_JSONB = 3802
};

/* Room for each type of an array's elements; `array` is the array type's own OID. */
struct pg_array_type {
	uint32_t element;
	uint32_t array;
};

extern const struct pg_array_type pg_params_bools, pg_params_byteas, pg_params_int4s, pg_params_texts,
	pg_params_float4s, pg_params_uuids, pg_params_jsonbs;

struct pg_params {
	struct buf bytes; /* the values, one after the other */
	uint32_t n;
	uint32_t oids[PG_PARAMS_MAX];
	size_t starts[PG_PARAMS_MAX]; /* into bytes */
	size_t array_start;           /* of the array that is open */
	int32_t n_items;              /* in it */
};

/* An empty set. All zeroes is the same. */
void pg_params_init(struct pg_params *params);

/* Takes NULL and zeroes. */
void pg_params_fini(struct pg_params *params);

/* Scalars. What is passed is copied. */
void pg_params_add_text(struct pg_params *params, struct str text); /* never absent */
void pg_params_add_uuid(struct pg_params *params, const struct uuid *uuid);
void pg_params_add_int8(struct pg_params *params, int64_t value);
void pg_params_add_bool(struct pg_params *params, bool value);

/* Arrays of one dimension: open, append the items, close. An array without items is an empty one. */
void pg_params_open(struct pg_params *params, struct pg_array_type type);
void pg_params_item(struct pg_params *params, const void *bytes, size_t n_bytes);
void pg_params_item_null(struct pg_params *params);
void pg_params_item_str(struct pg_params *params, struct str text); /* absent: NULL */
void pg_params_item_uuid(struct pg_params *params, const struct uuid *uuid);
void pg_params_item_int4(struct pg_params *params, int32_t value);
void pg_params_item_bool(struct pg_params *params, bool value);
/* jsonb_recv() takes a version byte, 1, and the text. Absent: NULL. */
void pg_params_item_json(struct pg_params *params, struct str json);
void pg_params_item_float4(struct pg_params *params, float value);
/* pgvector: int16 dimensions, int16 zero, each component as float4. n_dims: 1..16000. */
void pg_params_item_vector(struct pg_params *params, const float *components, uint32_t n_dims);
void pg_params_close(struct pg_params *params);

/* 0; -ENOMEM when an append found no memory; -EMSGSIZE when a value is larger than PostgreSQL's 1 GB. */
int pg_params_check(const struct pg_params *params) WARN_UNUSED;

/* One parameter's bytes, valid until the set changes. */
struct str pg_params_value(const struct pg_params *params, uint32_t nth);

#endif
