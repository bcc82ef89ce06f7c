/* Steps in PostgreSQL, without a connection: a call's statements and parameters, what of them a transaction of ours
 * can't take, a column's value as JSON, what an error means. Pure. */
#ifndef SAGAD_STORES_POSTGRES_PG_STEPS_CODEC_H
#define SAGAD_STORES_POSTGRES_PG_STEPS_CODEC_H

#include "stores/step/step_codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_STEPS_STATEMENTS_MAX 64
#define PG_STEPS_PARAMS_MAX     1000

struct pg_steps_statement {
	const char *sql;           /* in the document, with its NUL */
	const char *const *values; /* texts; NULL: null */
	uint32_t n_values;
};

/* A call's object. */
struct pg_steps_body {
	yyjson_doc *doc; /* owned, as the next three */
	char **texts;    /* what had to be written: numbers are in the document as they came */
	uint32_t n_texts;
	const char **values;
	struct pg_steps_statement statements[PG_STEPS_STATEMENTS_MAX];
	uint32_t n;
	bool is_plain; /* SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES, TABLE, WITH only: none of them can end a
			  transaction in its middle, as a procedure or a block could */
	bool is_dirty; /* may leave something behind in the session: it must not be used again */
};

/* Reads the call's object; false: the call has failed. pg_steps_codec_fini() is due in any case. */
bool pg_steps_codec_read(struct call *call, struct pg_steps_body *out_body) WARN_UNUSED;
void pg_steps_codec_fini(struct pg_steps_body *body);

/* The statement's first word, in capitals, past blanks, comments, semicolons and parentheses; "" when there is none. */
void pg_steps_codec_word(const char *sql, char *out_word, size_t size_bytes);

/* The value of a column in text form, by its type. NULL: no memory. */
yyjson_mut_val *pg_steps_codec_value(yyjson_mut_doc *doc, uint32_t oid, struct str text);

/* What an error in a client's own statement means: where a document would have to wait for an operator, the client's
 * statement is wrong. */
enum verdict pg_steps_codec_verdict(const char *sqlstate);

/* Does the tag of a command that has run tell that it changed the transaction? */
bool pg_steps_codec_is_breach(const char *tag);

#endif
