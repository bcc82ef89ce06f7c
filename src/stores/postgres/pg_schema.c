#include "pg_schema.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Source: pgvector's README, "HNSW": vector up to 2,000 dimensions, halfvec up to 4,000. */
#define HNSW_VECTOR_DIMS  2000
#define HNSW_HALFVEC_DIMS 4000
#define VECTOR_DIMS_MAX   16000

const char pg_schema_sql_missing[] = "SELECT string_agg(t, ', ') FROM unnest(ARRAY['documents', 'chunks', 'entities', "
				     "'relationships', 'sagad_ledger', "
				     "'sagad_debts', 'sagad_owner', 'sagad_barriers']) t WHERE to_regclass(t) IS NULL";

/* A table of one of these names may be somebody else's. */
/* clang-format off */
#define COLUMNS_OF(table, columns) \
	"SELECT '" table "' AS t, unnest(string_to_array('" columns "', ' ')) AS c "

const char pg_schema_sql_columns[] =
	"SELECT string_agg(w.t || '.' || w.c, ', ') FROM ("
	COLUMNS_OF("documents", "id title source content metadata content_hash version chunk_count ingestion_status "
				"created_at updated_at")
	"UNION ALL "
	COLUMNS_OF("chunks", "document_id chunk_id ordinal text metadata embedding")
	"UNION ALL "
	COLUMNS_OF("entities", "document_id ordinal type name properties")
	"UNION ALL "
	COLUMNS_OF("relationships", "document_id ordinal from_type from_name type to_type to_name properties")
	"UNION ALL "
	COLUMNS_OF("sagad_ledger", "saga_id idempotency_key document_id outcome is_delete content_hash code reason "
				   "created_at")
	"UNION ALL "
	COLUMNS_OF("sagad_debts", "store op saga_id owner document_id chunk_count created_at")
	"UNION ALL "
	COLUMNS_OF("sagad_owner", "is_single epoch journal instance claimed_at")
	"UNION ALL "
	COLUMNS_OF("sagad_barriers", "saga step state result created_at changed_at")
	") w WHERE to_regclass(w.t) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a "
	"WHERE a.attrelid = to_regclass(w.t) AND a.attname = w.c AND NOT a.attisdropped)";
/* clang-format on */

const char pg_schema_sql_embedding[] =
	"SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'vector'), "
	"EXISTS (SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'vector'), "
	"t.typname = 'vector', "
	"CASE WHEN t.typname = 'vector' THEN a.atttypmod::int8 ELSE coalesce((SELECT (regexp_match("
	"pg_get_constraintdef(k.oid), '= ([0-9]+)'))[1]::int8 FROM pg_catalog.pg_constraint k "
	"WHERE k.conrelid = a.attrelid AND k.conname = 'chunks_embedding_dims'), -1) END "
	"FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = to_regclass('chunks') "
	"AND a.attname = 'embedding' AND NOT a.attisdropped LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid";

const char pg_schema_sql_index[] =
	"SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indrelid = to_regclass('chunks') "
	"AND i.indexrelid = to_regclass('chunks_embedding_hnsw')";

/* Ids are compared byte by byte: faster than a language's order, and the same on every machine. */
const char *const pg_schema_sql_create[] = {
	"CREATE TABLE IF NOT EXISTS documents ("
	"id text COLLATE \"C\" PRIMARY KEY, title text, source text, content text, metadata jsonb, content_hash bytea, "
	"version uuid NOT NULL, chunk_count int NOT NULL, ingestion_status text NOT NULL, "
	"created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL)",

	"CREATE TABLE IF NOT EXISTS entities ("
	"document_id text COLLATE \"C\" NOT NULL, ordinal int NOT NULL, type text NOT NULL, name text NOT NULL, "
	"properties jsonb, PRIMARY KEY (document_id, ordinal))",

	"CREATE TABLE IF NOT EXISTS relationships ("
	"document_id text COLLATE \"C\" NOT NULL, ordinal int NOT NULL, from_type text NOT NULL, from_name text NOT "
	"NULL, "
	"type text NOT NULL, to_type text NOT NULL, to_name text NOT NULL, properties jsonb, "
	"PRIMARY KEY (document_id, ordinal))",

	"CREATE TABLE IF NOT EXISTS sagad_ledger ("
	"saga_id uuid PRIMARY KEY, idempotency_key text COLLATE \"C\" UNIQUE, document_id text COLLATE \"C\" NOT NULL, "
	"outcome text NOT NULL CHECK (outcome IN ('committed', 'aborted')), is_delete bool NOT NULL, content_hash "
	"bytea, "
	"code text, reason text, created_at timestamptz NOT NULL)",
	"CREATE INDEX IF NOT EXISTS sagad_ledger_created_at ON sagad_ledger (created_at)",

	"CREATE TABLE IF NOT EXISTS sagad_debts ("
	"store text COLLATE \"C\" NOT NULL, op text COLLATE \"C\" NOT NULL, saga_id uuid NOT NULL, owner uuid NOT "
	"NULL, "
	"document_id text COLLATE \"C\" NOT NULL, chunk_count int NOT NULL, created_at timestamptz NOT NULL, "
	"PRIMARY KEY (store, op, saga_id))",
	"CREATE INDEX IF NOT EXISTS sagad_debts_oldest ON sagad_debts (owner, store, op, saga_id)",
	"CREATE INDEX IF NOT EXISTS sagad_debts_document ON sagad_debts (document_id)",

	"CREATE TABLE IF NOT EXISTS sagad_owner ("
	"is_single bool PRIMARY KEY DEFAULT true CHECK (is_single), epoch bigint NOT NULL, journal uuid, instance "
	"text, "
	"claimed_at timestamptz)",
	"INSERT INTO sagad_owner (is_single, epoch) VALUES (true, 0) ON CONFLICT DO NOTHING",

	/* Of steps of clients' own sagas. `result` is kept as it was sent: json, not jsonb. */
	"CREATE TABLE IF NOT EXISTS sagad_barriers ("
	"saga uuid NOT NULL, step text COLLATE \"C\" NOT NULL, "
	"state text NOT NULL CHECK (state IN ('done', 'undone', 'blocked')), result json, "
	"created_at timestamptz NOT NULL DEFAULT now(), changed_at timestamptz, PRIMARY KEY (saga, step))",
	NULL,
};

void pg_schema_write_chunks(struct buf *out_sql, uint32_t dims, bool is_vector)
{
	buf_append_text(out_sql, "CREATE TABLE IF NOT EXISTS chunks (document_id text COLLATE \"C\" NOT NULL, "
				 "chunk_id text COLLATE \"C\" NOT NULL, ordinal int NOT NULL, text text NOT NULL, "
				 "metadata jsonb, ");
	if (is_vector)
		buf_append_format(out_sql, "embedding vector(%u) NOT NULL, ", dims);
	else
		buf_append_format(out_sql,
				  "embedding real[] NOT NULL CONSTRAINT chunks_embedding_dims "
				  "CHECK (cardinality(embedding) = %u), ",
				  dims);
	buf_append_text(out_sql, "PRIMARY KEY (document_id, chunk_id))");
}

/* pgvector's operator class, by the word that Qdrant uses for the distance. */
static const char *pg_schema_operators(const char *distance)
{
	static const char *const names[][2] = {
		{"cosine", "cosine"}, {"dot", "ip"}, {"euclid", "l2"}, {"manhattan", "l1"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i][0], distance) == 0)
			return names[i][1];
	return NULL;
}

int pg_schema_write_index(struct buf *out_sql, const struct store_schema *schema, struct err *err)
{
	const char *operators = pg_schema_operators(schema->distance);
	char separator = '(';

	if (operators == NULL)
		return err_set(err, -EINVAL,
			       "postgres: no index for the distance %.15s; cosine, dot, euclid or manhattan",
			       schema->distance);
	if (schema->dims > HNSW_HALFVEC_DIMS)
		return err_set(err, -EINVAL,
			       "postgres: pgvector's HNSW index takes at most %d dimensions, not %u; leave it out",
			       HNSW_HALFVEC_DIMS, schema->dims);
	buf_append_text(out_sql, "CREATE INDEX CONCURRENTLY IF NOT EXISTS chunks_embedding_hnsw ON chunks USING hnsw ");
	if (schema->dims <= HNSW_VECTOR_DIMS)
		buf_append_format(out_sql, "(embedding vector_%s_ops)", operators);
	else
		buf_append_format(out_sql, "((embedding::halfvec(%u)) halfvec_%s_ops)", schema->dims, operators);
	if (schema->hnsw_m != 0 || schema->hnsw_ef_construct != 0)
		buf_append_text(out_sql, " WITH ");
	if (schema->hnsw_m != 0) {
		buf_append_format(out_sql, "%cm = %u", separator, schema->hnsw_m);
		separator = ',';
	}
	if (schema->hnsw_ef_construct != 0)
		buf_append_format(out_sql, "%cef_construction = %u", separator, schema->hnsw_ef_construct);
	if (schema->hnsw_m != 0 || schema->hnsw_ef_construct != 0)
		buf_append_text(out_sql, ")");
	return 0;
}

int pg_schema_compare(const struct pg_schema_found *found, const struct store_schema *schema, struct err *err)
{
	const char *type = found->is_vector ? "vector" : "real[]";

	if (found->missing_columns[0] != '\0')
		return err_set(
			err, -EEXIST,
			"postgres: a table that is there lacks %.180s: it belongs to another program or version; use "
			"another database or search_path",
			found->missing_columns);
	if (found->has_embedding && found->dims >= 0 && found->dims != (int64_t)schema->dims)
		return err_set(
			err, -EEXIST,
			"postgres: table chunks holds embeddings of %lld dimensions (%s), asked for were %u; ask for "
			"%lld, or use another database for the other model",
			(long long)found->dims, type, schema->dims, (long long)found->dims);
	if (!found->has_embedding && found->can_have_extension && schema->dims > VECTOR_DIMS_MAX)
		return err_set(err, -EEXIST, "postgres: pgvector holds at most %d dimensions, asked for were %u",
			       VECTOR_DIMS_MAX, schema->dims);
	if (schema->ann_index && found->has_embedding && !found->is_vector)
		return err_set(err, -EEXIST,
			       "postgres: table chunks has embeddings as real[]: without pgvector there is no "
			       "index for approximate search; leave it out");
	return 0;
}
