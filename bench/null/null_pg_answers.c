#include "null_pg_answers.h"

#include <string.h>

#define TYPE_VECTOR       70001 /* any numbers that no built-in type has */
#define TYPE_VECTOR_ARRAY 70002
#define UUID_SIZE         16
#define LEDGER_COLUMNS    6

uint16_t null_pg_be16(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	return (uint16_t)(byte[0] << 8 | byte[1]);
}

uint32_t null_pg_be32(const char *at)
{
	return (uint32_t)null_pg_be16(at) << 16 | null_pg_be16(at + 2);
}

/* ---- arrays ---- */

bool null_pg_array_open(struct str value, struct null_pg_array *out_array)
{
	uint32_t n_dimensions;

	if (value.at == NULL || value.len < 12)
		return false;
	n_dimensions = null_pg_be32(value.at);
	*out_array = (struct null_pg_array){0};
	if (n_dimensions == 0)
		return value.len == 12;
	if (n_dimensions != 1 || value.len < 20)
		return false;
	out_array->n_left = null_pg_be32(value.at + 12);
	out_array->rest = (struct str){value.at + 20, value.len - 20};
	return true;
}

bool null_pg_array_next(struct null_pg_array *array, struct str *out_item)
{
	uint32_t len;

	if (array->n_left == 0 || array->rest.len < 4)
		return false;
	len = null_pg_be32(array->rest.at);
	array->rest = (struct str){array->rest.at + 4, array->rest.len - 4};
	*out_item = STR_NONE;
	if (len != UINT32_MAX) {
		if (array->rest.len < len)
			return false;
		*out_item = (struct str){array->rest.at, len};
		array->rest = (struct str){array->rest.at + len, array->rest.len - len};
	}
	array->n_left--;
	return true;
}

/* ---- rows ---- */

/* A DataRow's head; row_end() fills in its length. */
static size_t row_begin(struct buf *out, uint16_t n_columns)
{
	size_t start;

	buf_append(out, "D", 1);
	start = out->len;
	buf_append_be32(out, 0);
	buf_append_be16(out, n_columns);
	return start;
}

static void row_end(struct buf *out, size_t start)
{
	uint32_t len = (uint32_t)(out->len - start);

	for (unsigned i = 0; i < 4 && !out->failed; i++)
		out->at[start + i] = (char)(len >> (24 - 8 * i));
}

static void put_bytes(struct buf *out, const void *bytes, size_t n_bytes)
{
	buf_append_be32(out, (uint32_t)n_bytes);
	buf_append(out, bytes, n_bytes);
}

static void put_text(struct buf *out, const char *text)
{
	put_bytes(out, text, strlen(text));
}

static void put_int8(struct buf *out, uint64_t value)
{
	buf_append_be32(out, 8);
	buf_append_be64(out, value);
}

static void put_bool(struct buf *out, bool value)
{
	put_bytes(out, value ? "\1" : "\0", 1);
}

static void put_nulls(struct buf *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		buf_append_be32(out, UINT32_MAX);
}

/* ---- the start ---- */

static uint32_t rows_settings(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 5);

	(void)params;
	for (unsigned i = 0; i < 4; i++)
		put_text(out, "on");
	put_bool(out, false); /* fsync is off: it is not */
	row_end(out, row);
	return 1;
}

static uint32_t rows_text(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 1);

	(void)params;
	put_text(out, "");
	row_end(out, row);
	return 1;
}

static uint32_t rows_null(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 1);

	(void)params;
	put_nulls(out, 1);
	row_end(out, row);
	return 1;
}

static uint32_t rows_zero(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 1);

	(void)params;
	put_int8(out, 0);
	row_end(out, row);
	return 1;
}

static uint32_t rows_type(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 3);

	(void)params;
	put_int8(out, TYPE_VECTOR);
	put_int8(out, TYPE_VECTOR_ARRAY);
	put_text(out, "vector");
	row_end(out, row);
	return 1;
}

/* Vectors of any length: one server for all shapes of documents. */
static uint32_t rows_embedding(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 4);

	(void)params;
	for (unsigned i = 0; i < 3; i++)
		put_bool(out, true);
	put_int8(out, UINT64_MAX);
	row_end(out, row);
	return 1;
}

static uint32_t rows_owner(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 6);

	(void)params;
	put_int8(out, 0);
	put_nulls(out, 3);
	put_int8(out, 0);
	put_text(out, "127.0.0.1");
	row_end(out, row);
	return 1;
}

static uint32_t rows_bump(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 1);

	(void)params;
	put_int8(out, 1);
	row_end(out, row);
	return 1;
}

static uint32_t rows_unknown_debts(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 2);

	(void)params;
	put_int8(out, 0);
	put_nulls(out, 1);
	row_end(out, row);
	return 1;
}

/* ---- documents ---- */

/* The row of the owner is that of whoever asks. */
static uint32_t rows_epoch(const struct null_pg_params *params, struct buf *out)
{
	size_t row = row_begin(out, 1);

	put_bytes(out, params->values[0].at, params->values[0].len);
	row_end(out, row);
	return 1;
}

/* Nothing is there: no version, no debts, no row of the ledger. */
static uint32_t rows_read(const struct null_pg_params *params, struct buf *out)
{
	struct null_pg_array ids;
	struct str id;
	uint32_t n = 0;

	if (!null_pg_array_open(params->values[0], &ids))
		return 0;
	while (null_pg_array_next(&ids, &id)) {
		size_t row = row_begin(out, 7 + LEDGER_COLUMNS);

		put_int8(out, ++n);
		put_nulls(out, 5);
		put_int8(out, 0);
		put_nulls(out, LEDGER_COLUMNS);
		row_end(out, row);
	}
	return n;
}

static uint32_t rows_committed(const struct null_pg_params *params, struct buf *out)
{
	struct null_pg_array sagas;
	struct str saga;
	uint32_t n = 0;

	if (!null_pg_array_open(params->values[0], &sagas))
		return 0;
	for (; null_pg_array_next(&sagas, &saga) && saga.len == UUID_SIZE; n++) {
		size_t row = row_begin(out, 2);

		put_bytes(out, saga.at, saga.len);
		put_text(out, "committed");
		row_end(out, row);
	}
	return n;
}

static uint32_t rows_settled(const struct null_pg_params *params, struct buf *out)
{
	struct null_pg_array sagas;
	struct str saga;
	uint32_t n = 0;

	if (!null_pg_array_open(params->values[0], &sagas))
		return 0;
	while (null_pg_array_next(&sagas, &saga)) {
		size_t row = row_begin(out, 2 + LEDGER_COLUMNS);

		put_int8(out, ++n);
		put_bool(out, false);
		put_nulls(out, LEDGER_COLUMNS);
		row_end(out, row);
	}
	return n;
}

/* ---- the table ---- */

/* A longer beginning stands before a shorter one that it begins with. */
static const struct null_pg_statement statements[] = {
	{"SELECT r.nth, d.version", 7 + LEDGER_COLUMNS, "SELECT ", rows_read},
	{"BEGIN", 0, "BEGIN", NULL},
	{"SELECT epoch FROM sagad_owner", 1, "SELECT ", rows_epoch},
	{"SELECT 1 FROM documents", 1, "SELECT 0", NULL},
	{"INSERT INTO sagad_ledger", 0, "INSERT 0 1", NULL},
	{"INSERT INTO documents", 0, "INSERT 0 1", NULL},
	{"INSERT INTO chunks", 0, "INSERT 0 1", NULL},
	{"INSERT INTO entities", 0, "INSERT 0 1", NULL},
	{"INSERT INTO relationships", 0, "INSERT 0 1", NULL},
	{"SELECT saga_id, outcome", 2, "SELECT ", rows_committed},
	{"COMMIT", 0, "COMMIT", NULL},
	{"UPDATE documents", 0, "UPDATE 0", NULL},
	{"WITH mine AS", 1, "SELECT 0", NULL},
	{"INSERT INTO sagad_debts", 0, "INSERT 0 0", NULL},
	{"INSERT INTO sagad_owner", 0, "INSERT 0 0", NULL},
	{"ROLLBACK", 0, "ROLLBACK", NULL},
	{"DELETE FROM sagad", 0, "DELETE 0", NULL},
	{"SELECT s.nth", 2 + LEDGER_COLUMNS, "SELECT ", rows_settled},
	{"SELECT set_config('statement_timeout', $1", 5, "SELECT 1", rows_settings},
	{"SELECT set_config(", 1, "SELECT 1", rows_text},
	{"SELECT t.oid", 3, "SELECT 1", rows_type},
	{"SELECT string_agg", 1, "SELECT 1", rows_null},
	{"SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_extension", 4, "SELECT 1", rows_embedding},
	{"SELECT o.epoch", 6, "SELECT 1", rows_owner},
	{"SELECT count(pg_terminate_backend", 1, "SELECT 1", rows_zero},
	{"UPDATE sagad_owner", 1, "UPDATE 1", rows_bump},
	{"SELECT store, op, saga_id", 6, "SELECT 0", NULL},
	{"SELECT count(*), min(op)", 2, "SELECT 1", rows_unknown_debts},
	{"SELECT 1", 1, "SELECT 1", rows_zero},
};

const struct null_pg_statement *null_pg_answers_find(struct str sql)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		size_t len = strlen(statements[i].begins);

		if (sql.len >= len && memcmp(sql.at, statements[i].begins, len) == 0)
			return &statements[i];
	}
	return NULL;
}
