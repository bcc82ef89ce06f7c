/* The tables in PostgreSQL: what they are, what is missing, and the statements that make them. */
#ifndef SAGAD_STORES_POSTGRES_PG_SCHEMA_H
#define SAGAD_STORES_POSTGRES_PG_SCHEMA_H

#include "port/store.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* What a look at the catalog found. */
struct pg_schema_found {
	char missing_tables[200];  /* "chunks, entities"; "" when all are there */
	char missing_columns[200]; /* "documents.version": of tables that are there */
	bool has_extension;
	bool can_have_extension; /* the server has pgvector, this database may not */
	bool has_embedding;
	bool is_vector;
	int64_t dims; /* of the column that is there; -1: it takes any */
	bool has_index;
	bool is_index_valid; /* false: a build was broken off */
};

/* One row with one text: the missing tables, or NULL. No parameters; so are the next three. */
extern const char pg_schema_sql_missing[];
extern const char pg_schema_sql_columns[];   /* one text: missing columns, or NULL */
extern const char pg_schema_sql_embedding[]; /* one row: has, can have, is vector, dims (NULL without a column) */
extern const char pg_schema_sql_index[];     /* at most one row: is valid */

/* The statements that make tables and indexes where they are missing, but for the one of chunks, which is made for the
 * dimensions; NULL at the end. */
extern const char *const pg_schema_sql_create[];

/* That one. */
void pg_schema_write_chunks(struct buf *out_sql, uint32_t dims, bool is_vector);

/* The statement that builds the index for approximate search; -EINVAL when pgvector has none for these dimensions or
 * this distance. */
int pg_schema_write_index(struct buf *out_sql, const struct store_schema *schema, struct err *err) WARN_UNUSED;

/* Does what was found fit what was asked for? 0 or -EEXIST, with what is there, what was asked for, what to do. */
int pg_schema_compare(const struct pg_schema_found *found, const struct store_schema *schema,
		      struct err *err) WARN_UNUSED;

#endif
