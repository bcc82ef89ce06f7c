#include "pg_params.h"

#include "base/must.h"

#include <errno.h>
#include <string.h>

/* PostgreSQL takes no message over 1 GB (PQ_LARGE_MESSAGE_LIMIT); a little is left for the rest of the message. */
#define PG_PARAMS_VALUE_MAX_BYTES ((size_t)1 << 29)

/* Where things stand in an array's head: dimensions, flag for NULLs, element type, length, lower bound. */
#define PG_ARRAY_NULLS  4
#define PG_ARRAY_LENGTH 12

const struct pg_array_type pg_params_bools = {PG_BOOL, 1000}, pg_params_byteas = {PG_BYTEA, 1001},
			   pg_params_int4s = {PG_INT4, 1007}, pg_params_texts = {PG_TEXT, 1009},
			   pg_params_float4s = {PG_FLOAT4, 1021}, pg_params_uuids = {PG_UUID, 2951},
			   pg_params_jsonbs = {PG_JSONB, 3807};

void pg_params_init(struct pg_params *params)
{
	*params = (struct pg_params){0};
}

void pg_params_fini(struct pg_params *params)
{
	if (params == NULL)
		return;
	buf_fini(&params->bytes);
	pg_params_init(params);
}

static void pg_params_start(struct pg_params *params, uint32_t oid)
{
	MUST(params->n < PG_PARAMS_MAX);
	params->oids[params->n] = oid;
	params->starts[params->n++] = params->bytes.len;
}

void pg_params_add_text(struct pg_params *params, struct str text)
{
	pg_params_start(params, PG_TEXT);
	buf_append_str(&params->bytes, text);
}

void pg_params_add_uuid(struct pg_params *params, const struct uuid *uuid)
{
	pg_params_start(params, PG_UUID);
	buf_append(&params->bytes, uuid->bytes, sizeof(uuid->bytes));
}

void pg_params_add_int8(struct pg_params *params, int64_t value)
{
	pg_params_start(params, PG_INT8);
	buf_append_be64(&params->bytes, (uint64_t)value);
}

void pg_params_add_bool(struct pg_params *params, bool value)
{
	pg_params_start(params, PG_BOOL);
	buf_append(&params->bytes, value ? "\1" : "\0", 1);
}

void pg_params_open(struct pg_params *params, struct pg_array_type type)
{
	pg_params_start(params, type.array);
	params->array_start = params->bytes.len;
	params->n_items = 0;
	buf_append_be32(&params->bytes, 1); /* dimensions */
	buf_append_be32(&params->bytes, 0); /* has NULLs */
	buf_append_be32(&params->bytes, type.element);
	buf_append_be32(&params->bytes, 0); /* length, known at the end */
	buf_append_be32(&params->bytes, 1); /* lower bound */
}

/* Overwrites four bytes of the open array's head. */
static void pg_params_patch(struct pg_params *params, size_t offset, uint32_t value)
{
	size_t at = params->array_start + offset;

	if (params->bytes.failed)
		return;
	for (size_t i = 0; i < 4; i++)
		params->bytes.at[at + i] = (char)(value >> (8 * (3 - i)));
}

void pg_params_item(struct pg_params *params, const void *bytes, size_t n_bytes)
{
	if (n_bytes > PG_PARAMS_VALUE_MAX_BYTES)
		n_bytes = PG_PARAMS_VALUE_MAX_BYTES + 1; /* enough for pg_params_check() to refuse it */
	buf_append_be32(&params->bytes, (uint32_t)n_bytes);
	buf_append(&params->bytes, bytes, n_bytes);
	params->n_items++;
}

void pg_params_item_null(struct pg_params *params)
{
	buf_append_be32(&params->bytes, UINT32_MAX); /* length -1 */
	pg_params_patch(params, PG_ARRAY_NULLS, 1);
	params->n_items++;
}

void pg_params_item_str(struct pg_params *params, struct str text)
{
	if (text.at == NULL)
		pg_params_item_null(params);
	else
		pg_params_item(params, text.at, text.len);
}

void pg_params_item_uuid(struct pg_params *params, const struct uuid *uuid)
{
	pg_params_item(params, uuid->bytes, sizeof(uuid->bytes));
}

void pg_params_item_int4(struct pg_params *params, int32_t value)
{
	buf_append_be32(&params->bytes, 4);
	buf_append_be32(&params->bytes, (uint32_t)value);
	params->n_items++;
}

void pg_params_item_bool(struct pg_params *params, bool value)
{
	pg_params_item(params, value ? "\1" : "\0", 1);
}

void pg_params_item_json(struct pg_params *params, struct str json)
{
	if (json.at == NULL) {
		pg_params_item_null(params);
		return;
	}
	if (json.len >= PG_PARAMS_VALUE_MAX_BYTES)
		json.len = PG_PARAMS_VALUE_MAX_BYTES;
	buf_append_be32(&params->bytes, (uint32_t)json.len + 1);
	buf_append(&params->bytes, "\1", 1);
	buf_append_str(&params->bytes, json);
	params->n_items++;
}

/* Components in network order, the bulk of all bytes that go to PostgreSQL: written in place, without a call for each.
 */
static void pg_params_floats(struct pg_params *params, const float *components, size_t n)
{
	unsigned char *to;

	if (buf_reserve(&params->bytes, n * 4) != 0)
		return;
	to = (unsigned char *)params->bytes.at + params->bytes.len;
	for (size_t i = 0; i < n; i++, to += 4) {
		uint32_t bits;

		memcpy(&bits, &components[i], sizeof(bits));
		to[0] = (unsigned char)(bits >> 24);
		to[1] = (unsigned char)(bits >> 16);
		to[2] = (unsigned char)(bits >> 8);
		to[3] = (unsigned char)bits;
	}
	params->bytes.len += n * 4;
	params->bytes.at[params->bytes.len] = '\0';
}

void pg_params_item_float4(struct pg_params *params, float value)
{
	buf_append_be32(&params->bytes, 4);
	pg_params_floats(params, &value, 1);
	params->n_items++;
}

void pg_params_item_vector(struct pg_params *params, const float *components, uint32_t n_dims)
{
	MUST(n_dims <= UINT16_MAX);
	buf_append_be32(&params->bytes, 4 + n_dims * 4);
	buf_append_be16(&params->bytes, (uint16_t)n_dims);
	buf_append_be16(&params->bytes, 0);
	pg_params_floats(params, components, n_dims);
	params->n_items++;
}

void pg_params_close(struct pg_params *params)
{
	if (params->n_items > 0) {
		pg_params_patch(params, PG_ARRAY_LENGTH, (uint32_t)params->n_items);
		return;
	}
	/* An empty array has no dimensions, and its head ends after the element type. */
	pg_params_patch(params, 0, 0);
	if (!params->bytes.failed)
		params->bytes.len = params->array_start + PG_ARRAY_LENGTH;
}

int pg_params_check(const struct pg_params *params)
{
	if (params->bytes.failed)
		return -ENOMEM;
	for (uint32_t i = 0; i < params->n; i++)
		if (pg_params_value(params, i).len > PG_PARAMS_VALUE_MAX_BYTES)
			return -EMSGSIZE;
	return 0;
}

struct str pg_params_value(const struct pg_params *params, uint32_t nth)
{
	size_t start, end;

	MUST(nth < params->n);
	start = params->starts[nth];
	end = nth + 1 < params->n ? params->starts[nth + 1] : params->bytes.len;
	/* libpq takes a NULL pointer for SQL's NULL, and nothing appended yet is NULL. */
	return (struct str){params->bytes.at != NULL ? params->bytes.at + start : "", end - start};
}
