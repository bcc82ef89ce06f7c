#include "pg_steps_codec.h"

#include "pg_sqlstate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET "postgresql"

/* ---- words of a statement ---- */

/* Past a comment that begins here; NULL: none does. They nest: PostgreSQL's manual, 4.1.5. */
static const char *pg_steps_skip_comment(const char *at)
{
	unsigned depth = 0;

	if (at[0] == '-' && at[1] == '-')
		return at + strcspn(at, "\r\n");
	if (at[0] != '/' || at[1] != '*')
		return NULL;
	while (*at != '\0') {
		if (at[0] == '/' && at[1] == '*') {
			depth++;
			at += 2;
		} else if (at[0] == '*' && at[1] == '/') {
			at += 2;
			if (--depth == 0)
				return at;
		} else {
			at++;
		}
	}
	return at;
}

static bool pg_steps_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       (c & 0x80) != 0;
}

static size_t pg_steps_copy_word(const char *at, char *out_word, size_t size_bytes)
{
	size_t n = 0;

	for (; pg_steps_is_letter(at[n]); n++)
		if (n < size_bytes - 1)
			out_word[n] = (char)(at[n] >= 'a' && at[n] <= 'z' ? at[n] - 32 : at[n]);
	out_word[n < size_bytes - 1 ? n : size_bytes - 1] = '\0';
	return n;
}

void pg_steps_codec_word(const char *sql, char *out_word, size_t size_bytes)
{
	for (;;) {
		const char *past = pg_steps_skip_comment(sql);

		if (past != NULL)
			sql = past;
		else if (*sql != '\0' && strchr(" \t\r\n\f\v;(", *sql) != NULL)
			sql++;
		else
			break;
	}
	(void)pg_steps_copy_word(sql, out_word, size_bytes); /* its length is of no use here */
}

static bool pg_steps_is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* Any word of the text, strings and comments included: one too many costs a connection, one missed would let a client
 * reach into another's transaction. An identifier with escapes (U&"...") may be any word. */
static bool pg_steps_leaves_traces(const char *sql)
{
	static const char *const words[] = {"SET_CONFIG",
					    "PG_ADVISORY_LOCK",
					    "PG_ADVISORY_LOCK_SHARED",
					    "PG_TRY_ADVISORY_LOCK",
					    "PG_TRY_ADVISORY_LOCK_SHARED",
					    "TEMP",
					    "TEMPORARY",
					    "PG_TEMP",
					    NULL};
	char word[40];

	if (strstr(sql, "&\"") != NULL)
		return true;
	while (*sql != '\0') {
		size_t n = pg_steps_copy_word(sql, word, sizeof(word));

		if (n > 0 && pg_steps_is_one_of(word, words))
			return true;
		sql += n > 0 ? n : 1;
	}
	return false;
}

/* ---- reading a call ---- */

static bool pg_steps_refuse(struct call *call, const char *word)
{
	static const char *const control[] = {"BEGIN", "START",     "COMMIT",  "END",     "ROLLBACK",
					      "ABORT", "SAVEPOINT", "RELEASE", "PREPARE", NULL};
	static const char *const session[] = {"SET",     "RESET",      "DISCARD", "LISTEN", "UNLISTEN",
					      "EXECUTE", "DEALLOCATE", "DECLARE", "FETCH",  "MOVE",
					      "CLOSE",   "LOAD",       NULL};

	if (word[0] == '\0')
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "a statement is empty");
	else if (pg_steps_is_one_of(word, control))
		step_codec_fail(call, TARGET, VERDICT_PERMANENT,
				"%s is not allowed: the step's statements are one transaction, which sagad begins and "
				"commits",
				word);
	else if (pg_steps_is_one_of(word, session))
		step_codec_fail(call, TARGET, VERDICT_PERMANENT,
				"%s is not allowed: connections are shared; for a setting of this transaction use "
				"set_config(name, value, true)",
				word);
	else if (strcmp(word, "COPY") == 0)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "COPY is not allowed; use INSERT");
	else
		return false;
	return true;
}

static bool pg_steps_add_value(struct call *call, struct pg_steps_body *body, yyjson_val *val, const char **out_text)
{
	char *text;

	*out_text = NULL;
	if (yyjson_is_null(val))
		return true;
	if (yyjson_is_str(val) && strlen(yyjson_get_str(val)) != yyjson_get_len(val)) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT,
				"a parameter has a NUL character, which PostgreSQL's text can't hold");
		return false;
	}
	if (yyjson_is_str(val)) {
		*out_text = yyjson_get_str(val);
		return true;
	}
	text = yyjson_val_write(val, YYJSON_WRITE_NOFLAG, NULL); /* true, 12.50, {"a":1} */
	if (text == NULL) {
		step_codec_fail(call, TARGET, VERDICT_TRANSIENT, "no memory for the request");
		return false;
	}
	body->texts[body->n_texts++] = text;
	*out_text = text;
	return true;
}

static bool pg_steps_add_params(struct call *call, struct pg_steps_body *body, yyjson_val *params,
				struct pg_steps_statement *statement, const char **values)
{
	yyjson_arr_iter it = yyjson_arr_iter_with(params);
	yyjson_val *val;

	statement->values = values;
	while ((val = yyjson_arr_iter_next(&it)) != NULL)
		if (!pg_steps_add_value(call, body, val, &values[statement->n_values++]))
			return false;
	return true;
}

static bool pg_steps_add(struct call *call, struct pg_steps_body *body, yyjson_val *object, const char **values)
{
	static const char *const plain[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE",
					    "VALUES", "TABLE",  "WITH",   NULL};
	yyjson_val *sql = yyjson_obj_get(object, "sql"), *params = yyjson_obj_get(object, "params");
	struct pg_steps_statement *statement = &body->statements[body->n];
	char word[40];

	if (!yyjson_is_str(sql) || strlen(yyjson_get_str(sql)) != yyjson_get_len(sql)) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "sql must be a string without NUL characters");
		return false;
	}
	if (params != NULL && !yyjson_is_null(params) && !yyjson_is_arr(params)) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "params must be an array");
		return false;
	}
	*statement = (struct pg_steps_statement){.sql = yyjson_get_str(sql)};
	pg_steps_codec_word(statement->sql, word, sizeof(word));
	if (pg_steps_refuse(call, word) || !pg_steps_add_params(call, body, params, statement, values))
		return false;
	body->n++;
	body->is_plain = body->is_plain && pg_steps_is_one_of(word, plain);
	body->is_dirty = body->is_dirty || !body->is_plain || pg_steps_leaves_traces(statement->sql);
	return true;
}

/* How many statements and parameters; 0: the call has failed. */
static size_t pg_steps_count(struct call *call, yyjson_val *root, yyjson_val *statements)
{
	size_t n = yyjson_arr_size(statements), n_params = yyjson_arr_size(yyjson_obj_get(root, "params"));
	yyjson_arr_iter it = yyjson_arr_iter_with(statements);
	yyjson_val *val;

	while ((val = yyjson_arr_iter_next(&it)) != NULL)
		n_params += yyjson_arr_size(yyjson_obj_get(val, "params"));
	if (statements != NULL && (n == 0 || n > PG_STEPS_STATEMENTS_MAX))
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "statements must be an array of 1 to %d",
				PG_STEPS_STATEMENTS_MAX);
	else if (n_params > PG_STEPS_PARAMS_MAX)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "more than %d parameters", PG_STEPS_PARAMS_MAX);
	else
		return n_params + 1;
	return 0;
}

bool pg_steps_codec_read(struct call *call, struct pg_steps_body *out_body)
{
	yyjson_val *root, *statements, *val;
	yyjson_arr_iter it;
	size_t n_values, at = 0;
	bool is_good = true;

	*out_body = (struct pg_steps_body){.is_plain = true};
	out_body->doc = step_codec_parse(call, TARGET, YYJSON_READ_NUMBER_AS_RAW);
	root = yyjson_doc_get_root(out_body->doc);
	statements = yyjson_obj_get(root, "statements");
	n_values = root != NULL ? pg_steps_count(call, root, statements) : 0;
	if (n_values == 0)
		return false;
	out_body->texts = calloc(n_values, sizeof(*out_body->texts));
	out_body->values = calloc(n_values, sizeof(*out_body->values));
	if (out_body->texts == NULL || out_body->values == NULL) {
		step_codec_fail(call, TARGET, VERDICT_TRANSIENT, "no memory for the request");
		return false;
	}
	if (statements == NULL)
		return pg_steps_add(call, out_body, root, out_body->values);
	it = yyjson_arr_iter_with(statements);
	while (is_good && (val = yyjson_arr_iter_next(&it)) != NULL) {
		is_good = pg_steps_add(call, out_body, val, out_body->values + at);
		at += yyjson_arr_size(yyjson_obj_get(val, "params"));
	}
	return is_good;
}

void pg_steps_codec_fini(struct pg_steps_body *body)
{
	for (uint32_t i = 0; i < body->n_texts; i++)
		free(body->texts[i]);
	free(body->texts);
	free(body->values);
	yyjson_doc_free(body->doc);
	*body = (struct pg_steps_body){.n = 0};
}

/* ---- values ---- */

/* Built-in types never change their OIDs: src/include/catalog/pg_type.dat. */
enum {
	OID_BOOL = 16,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_OID = 26,
	OID_JSON = 114,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_NUMERIC = 1700,
	OID_JSONB = 3802
};

/* All digits that came, no rounding. NaN and Infinity are no numbers to JSON, and a peer may send anything. */
static yyjson_mut_val *pg_steps_number(yyjson_mut_doc *doc, struct str text)
{
	yyjson_doc *number = yyjson_read(text.at, text.len, YYJSON_READ_NUMBER_AS_RAW);
	bool is_number = yyjson_is_raw(yyjson_doc_get_root(number));

	yyjson_doc_free(number);
	return is_number ? yyjson_mut_rawncpy(doc, text.at, text.len) : step_codec_string(doc, text);
}

static yyjson_mut_val *pg_steps_json(yyjson_mut_doc *doc, struct str text)
{
	yyjson_doc *json = yyjson_read(text.at, text.len, YYJSON_READ_NUMBER_AS_RAW);
	yyjson_mut_val *val;

	if (json == NULL)
		return step_codec_string(doc, text);
	val = yyjson_val_mut_copy(doc, yyjson_doc_get_root(json));
	yyjson_doc_free(json);
	return val;
}

yyjson_mut_val *pg_steps_codec_value(yyjson_mut_doc *doc, uint32_t oid, struct str text)
{
	switch (oid) {
	case OID_BOOL:
		return yyjson_mut_bool(doc, text.len == 1 && text.at[0] == 't');
	case OID_INT8:
	case OID_INT2:
	case OID_INT4:
	case OID_OID:
	case OID_FLOAT4:
	case OID_FLOAT8:
	case OID_NUMERIC:
		return pg_steps_number(doc, text);
	case OID_JSON:
	case OID_JSONB:
		return pg_steps_json(doc, text);
	default: /* not an enum of ours */
		return step_codec_string(doc, text);
	}
}

/* ---- errors ---- */

enum verdict pg_steps_codec_verdict(const char *sqlstate)
{
	/* Classes that documents never meet: cursors and statements that aren't there, triggers' and routines' own,
	 * views' checks, a statement that no transaction block takes, a wrong number of parameters. */
	static const char *const own_fault[] = {"02", "03", "08P01", "09", "0B", "0L", "0P", "10",
						"20", "24", "25001", "26", "27", "2B", "2D", "2F",
						"34", "38", "39",    "3B", "44", "F0", "HV"};
	/* What an operator mends, whatever the statement. */
	static const char *const operators[] = {"28", "3D", "53400", "57P04", "XX001", "XX002"};
	enum verdict verdict = pg_sqlstate_verdict(sqlstate);

	for (size_t i = 0; sqlstate != NULL && i < ARRAY_LEN(own_fault); i++)
		if (strncmp(sqlstate, own_fault[i], strlen(own_fault[i])) == 0)
			return VERDICT_PERMANENT;
	for (size_t i = 0; sqlstate != NULL && i < ARRAY_LEN(operators); i++)
		if (strncmp(sqlstate, operators[i], strlen(operators[i])) == 0)
			return verdict;
	return verdict == VERDICT_MISCONFIGURED ? VERDICT_PERMANENT : verdict;
}

bool pg_steps_codec_is_breach(const char *tag)
{
	static const char *const tags[] = {"BEGIN",     "START TRANSACTION", "COMMIT",  "ROLLBACK",
					   "SAVEPOINT", "RELEASE",           "PREPARE", NULL};

	for (const char *const *it = tags; *it != NULL; it++)
		if (strncmp(tag, *it, strlen(*it)) == 0)
			return true;
	return false;
}
