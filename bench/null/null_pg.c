#include "null_pg.h"

#include "null_pg_answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Codes of the first message: the documentation, "Message Formats". */
#define CODE_SSL     80877103u
#define CODE_GSSENC  80877104u
#define CODE_VERSION 196608u /* 3.0 */

#define MESSAGE_MAX_BYTES (1u << 30)

struct pg_state {
	struct null_counts *counts;
	bool is_started;
	bool is_in_transaction;
	bool is_failed; /* what comes before the Sync is skipped */
	const struct null_pg_statement *statement;
	bool is_array[NULL_PG_PARAMS_MAX]; /* by the types that Parse named */
	uint32_t n_types;
	uint32_t n_rows;
	struct buf rows; /* of the statement that was bound */
};

/* A message's body that is being read; `failed` once it was too short. */
struct reader {
	const char *at, *end;
	bool failed;
};

static const char *take(struct reader *reader, size_t n_bytes)
{
	const char *at = reader->at;

	if (reader->failed || (size_t)(reader->end - reader->at) < n_bytes) {
		reader->failed = true;
		return "\0\0\0\0\0\0\0";
	}
	reader->at += n_bytes;
	return at;
}

static struct str take_text(struct reader *reader)
{
	const char *end = memchr(reader->at, '\0', (size_t)(reader->end - reader->at));
	struct str text = {reader->at, 0};

	if (end == NULL) {
		reader->failed = true;
		return text;
	}
	text.len = (size_t)(end - reader->at);
	reader->at = end + 1;
	return text;
}

/* ---- answers ---- */

static void put_message(struct buf *out, char type, const void *body, size_t n_bytes)
{
	buf_append(out, &type, 1);
	buf_append_be32(out, (uint32_t)n_bytes + 4);
	buf_append(out, body, n_bytes);
}

static void put_parameter(struct buf *out, const char *name, const char *value)
{
	char body[128];
	int len = snprintf(body, sizeof(body), "%s%c%s", name, 0, value); /* two short texts of this file */

	put_message(out, 'S', body, (size_t)len + 1);
}

static void put_welcome(struct buf *out)
{
	put_message(out, 'R', "\0\0\0\0", 4);
	put_parameter(out, "server_version", "18.0 (null)");
	put_parameter(out, "server_encoding", "UTF8");
	put_parameter(out, "client_encoding", "UTF8");
	put_parameter(out, "standard_conforming_strings", "on");
	put_parameter(out, "integer_datetimes", "on");
	put_message(out, 'K', "\0\0\0\1\0\0\0\1", 8);
	put_message(out, 'Z', "I", 1);
}

static void put_columns(struct buf *out, uint16_t n_columns)
{
	static const char field[] = "c\0" /* name */
				    "\0\0\0\0"
				    "\0\0"                  /* table, column */
				    "\0\0\0\x19\xff\xff"    /* text, of any length */
				    "\xff\xff\xff\xff\0\1"; /* no modifier; binary */

	if (n_columns == 0) {
		put_message(out, 'n', "", 0);
		return;
	}
	buf_append(out, "T", 1);
	buf_append_be32(out, (uint32_t)(4 + 2 + n_columns * (sizeof(field) - 1)));
	buf_append_be16(out, n_columns);
	for (uint16_t i = 0; i < n_columns; i++)
		buf_append(out, field, sizeof(field) - 1);
}

static void fail(struct pg_state *state, struct buf *out, const char *text, struct str about)
{
	char body[512];
	int len = snprintf(body, sizeof(body), "SERROR%cVERROR%cC42601%cM%s: %.*s%c", 0, 0, 0, text,
			   (int)(about.len < 200 ? about.len : 200), about.at, 0);

	put_message(out, 'E', body, (size_t)len + 1);
	state->is_failed = true;
	state->counts->n_refused++;
}

/* ---- messages ---- */

static bool is_array_type(uint32_t oid)
{
	static const uint32_t scalars[] = {16, 17, 20, 23, 25, 700, 2950, 3802};

	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++)
		if (oid == scalars[i])
			return false;
	return true;
}

static void on_parse(struct pg_state *state, struct reader *reader, struct buf *out)
{
	struct str sql;

	(void)take_text(reader); /* the statement's name: sagad's have none */
	sql = take_text(reader);
	state->n_types = null_pg_be16(take(reader, 2));
	for (uint32_t i = 0; i < state->n_types && i < NULL_PG_PARAMS_MAX; i++)
		state->is_array[i] = is_array_type(null_pg_be32(take(reader, 4)));
	state->statement = null_pg_answers_find(sql);
	if (reader->failed || state->statement == NULL || state->n_types > NULL_PG_PARAMS_MAX)
		fail(state, out, "not a statement of sagad's", sql);
	else
		put_message(out, '1', "", 0);
}

static bool is_whole_array(struct str value)
{
	struct null_pg_array array;
	struct str item;

	if (!null_pg_array_open(value, &array))
		return false;
	while (null_pg_array_next(&array, &item))
		;
	return array.n_left == 0 && array.rest.len == 0;
}

static bool read_params(const struct pg_state *state, struct reader *reader, struct null_pg_params *out_params)
{
	uint32_t n_formats = null_pg_be16(take(reader, 2));

	(void)take(reader, 2 * (size_t)n_formats); /* all binary */
	out_params->n = null_pg_be16(take(reader, 2));
	if (out_params->n != state->n_types)
		return false;
	for (uint32_t i = 0; i < out_params->n && !reader->failed; i++) {
		uint32_t len = null_pg_be32(take(reader, 4));

		out_params->values[i] = STR_NONE;
		if (len == UINT32_MAX)
			continue;
		out_params->values[i] = (struct str){take(reader, len), len};
		if (!reader->failed && state->is_array[i] && !is_whole_array(out_params->values[i]))
			return false;
	}
	(void)take(reader, 2 * (size_t)null_pg_be16(take(reader, 2))); /* formats of the results */
	return !reader->failed && reader->at == reader->end;
}

static void on_bind(struct pg_state *state, struct reader *reader, struct buf *out)
{
	const struct null_pg_statement *statement = state->statement;
	struct null_pg_params params = {.n = 0};

	(void)take_text(reader); /* the portal's name and the statement's: none */
	(void)take_text(reader);
	if (statement == NULL || !read_params(state, reader, &params)) {
		fail(state, out, "parameters that don't parse", str_of(statement != NULL ? statement->begins : ""));
		return;
	}
	buf_clear(&state->rows);
	state->n_rows = statement->rows != NULL ? statement->rows(&params, &state->rows) : 0;
	put_message(out, '2', "", 0);
}

static void on_execute(struct pg_state *state, struct buf *out)
{
	const char *tag = state->statement->tag;
	bool has_count = tag[strlen(tag) - 1] == ' ';
	char text[64], count[12] = "";
	int len;

	if (strcmp(tag, "BEGIN") == 0)
		state->is_in_transaction = true;
	else if (strcmp(tag, "COMMIT") == 0 || strcmp(tag, "ROLLBACK") == 0)
		state->is_in_transaction = false;
	if (strncmp(state->statement->begins, "SELECT saga_id, outcome", 23) == 0)
		state->counts->n_items += state->n_rows;
	if (has_count)
		(void)snprintf(count, sizeof(count), "%u", state->n_rows); /* 10 digits */
	len = snprintf(text, sizeof(text), "%s%s", tag, count);            /* the tags are short */
	buf_append(out, state->rows.at, state->rows.len);
	buf_clear(&state->rows);
	put_message(out, 'C', text, (size_t)len + 1);
}

static void on_sync(struct pg_state *state, struct buf *out)
{
	const char *status = state->is_failed && state->is_in_transaction ? "E" : state->is_in_transaction ? "T" : "I";

	put_message(out, 'Z', status, 1);
	state->is_failed = false;
	state->counts->n_requests++;
}

/* False: the connection ends. */
static bool on_message(struct pg_state *state, char type, struct reader *reader, struct buf *out)
{
	if (state->is_failed && type != 'S' && type != 'X')
		return true;
	switch (type) {
	case 'P':
		on_parse(state, reader, out);
		return true;
	case 'B':
		on_bind(state, reader, out);
		return true;
	case 'D':
		put_columns(out, state->statement->n_columns);
		return true;
	case 'E':
		on_execute(state, out);
		return true;
	case 'S':
		on_sync(state, out);
		return true;
	case 'H':
		return true;
	default:
		state->counts->n_refused += type != 'X';
		return false;
	}
}

static bool on_first(struct pg_state *state, uint32_t code, struct buf *out)
{
	if (code == CODE_SSL || code == CODE_GSSENC) {
		buf_append(out, "N", 1);
		return true;
	}
	put_welcome(out);
	state->is_started = true;
	return code == CODE_VERSION;
}

/* ---- bytes ---- */

/* The length of the message at `at`, its type and length field included; 0: it isn't whole yet, -1: it is none. */
static ssize_t message_bytes(const struct pg_state *state, const char *at, size_t n_bytes)
{
	size_t head = state->is_started ? 1 : 0;
	uint32_t len;

	if (n_bytes < head + 4)
		return 0;
	len = null_pg_be32(at + head);
	if (len < (state->is_started ? 4u : 8u) || len > MESSAGE_MAX_BYTES)
		return -1;
	return n_bytes < head + len ? 0 : (ssize_t)(head + len);
}

static ssize_t pg_take(struct null_conn *conn, const char *bytes, size_t n_bytes)
{
	struct pg_state *state = conn->state;
	size_t taken = 0;
	ssize_t len;

	while ((len = message_bytes(state, bytes + taken, n_bytes - taken)) > 0) {
		const char *at = bytes + taken;
		struct reader reader = {at + 5, at + len, false};
		bool goes_on = state->is_started ? on_message(state, *at, &reader, &conn->out)
						 : on_first(state, null_pg_be32(at + 4), &conn->out);

		taken += (size_t)len;
		if (!goes_on)
			return -1;
	}
	state->counts->n_bytes += taken;
	return len < 0 ? -1 : (ssize_t)taken;
}

static void *pg_open(void *owner)
{
	struct pg_state *state = calloc(1, sizeof(*state));

	if (state != NULL)
		state->counts = owner;
	return state;
}

static void pg_close(void *arg)
{
	struct pg_state *state = arg;

	buf_fini(&state->rows);
	free(state);
}

const struct null_tcp_ops null_pg_ops = {.open = pg_open, .take = pg_take, .close = pg_close};
