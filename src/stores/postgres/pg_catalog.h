/* How the database stores embeddings, found in its catalog: pgvector's types have other OIDs in each database. */
#ifndef SAGAD_STORES_POSTGRES_PG_CATALOG_H
#define SAGAD_STORES_POSTGRES_PG_CATALOG_H

#include "pg_pivot_codec.h"

#include <libpq-fe.h>

/* One row (element, array, name), or none when there is no table yet. No parameters. */
extern const char pg_catalog_sql_embedding[];

/* Reads that result. */
void pg_catalog_read_embedding(const PGresult *result, struct pg_embedding *out_embedding);

/* A value of a binary result; absent for NULL. Borrowed from the result. */
struct str pg_catalog_value(const PGresult *result, int row, int column);

#endif
