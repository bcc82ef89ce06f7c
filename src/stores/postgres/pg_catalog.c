#include "pg_catalog.h"

#include "pg_value.h"

const char pg_catalog_sql_embedding[] =
	"SELECT t.oid::int8, t.typarray::int8, t.typname::text FROM pg_catalog.pg_attribute a "
	"JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
	"WHERE a.attrelid = to_regclass('chunks') AND a.attname = 'embedding' AND NOT a.attisdropped";

struct str pg_catalog_value(const PGresult *result, int row, int column)
{
	if (PQgetisnull(result, row, column))
		return STR_NONE;
	return (struct str){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

void pg_catalog_read_embedding(const PGresult *result, struct pg_embedding *out_embedding)
{
	*out_embedding = (struct pg_embedding){0};
	if (PQntuples(result) != 1)
		return;
	out_embedding->is_known = true;
	out_embedding->is_vector = str_is_equal(pg_catalog_value(result, 0, 2), str_of("vector"));
	out_embedding->types.element = (uint32_t)pg_value_int(pg_catalog_value(result, 0, 0));
	out_embedding->types.array = (uint32_t)pg_value_int(pg_catalog_value(result, 0, 1));
}
