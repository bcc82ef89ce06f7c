#include "pg_pivot_codec.h"

#include "base/must.h"
#include "base/mutant.h"
#include "proto/document.h"

#include <errno.h>
#include <stddef.h>

#include <stdlib.h>
#include <string.h>

/* The sagas that this transaction commits, out of arrays of saga and document ids. */
#define MINE                                                                                                           \
	"unnest($1, $2) WITH ORDINALITY AS p(saga, id, nth) "                                                          \
	"JOIN sagad_ledger l ON l.saga_id = p.saga AND l.xmin = pg_current_xact_id()::xid "

static const char sql_begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

static const char sql_owner[] = "SELECT epoch FROM sagad_owner WHERE epoch = $1 FOR SHARE";

static const char sql_lock[] = "SELECT 1 FROM documents WHERE id = ANY($1) ORDER BY id FOR UPDATE";

#define SQL_LEDGER(is_owner)                                                                                           \
	"INSERT INTO sagad_ledger (saga_id, document_id, idempotency_key, outcome, is_delete, content_hash, "          \
	"created_at) "                                                                                                 \
	"SELECT p.saga, p.id, p.key, 'committed', p.is_delete, p.hash, now() "                                         \
	"FROM unnest($2, $3, $4, $5, $6, $7) AS p(saga, id, key, expected, is_delete, hash) "                          \
	"LEFT JOIN documents d ON d.id = p.id "                                                                        \
	"WHERE d.version IS NOT DISTINCT FROM p.expected AND " is_owner " ON CONFLICT DO NOTHING"

static const char sql_ledger[] = SQL_LEDGER("EXISTS (SELECT 1 FROM sagad_owner WHERE epoch = $1)");

#define DOCUMENT_COLUMNS "title, source, content, metadata, hash, chunk_count, is_delete"
#define DOCUMENT_STATUS  "CASE WHEN p.is_delete THEN 'DELETED' ELSE 'COMPLETED' END"

static const char sql_update[] =
	"UPDATE documents d SET title = p.title, source = p.source, content = p.content, metadata = p.metadata, "
	"content_hash = p.hash, version = p.saga, chunk_count = p.chunk_count, ingestion_status = " DOCUMENT_STATUS ", "
	"created_at = CASE WHEN d.ingestion_status = 'DELETED' THEN now() ELSE d.created_at END, "
	"updated_at = now() "
	"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
	"AS p(saga, id, expected, " DOCUMENT_COLUMNS ") "
	"JOIN sagad_ledger l ON l.saga_id = p.saga AND l.xmin = pg_current_xact_id()::xid "
	"WHERE d.id = p.id AND d.version = p.expected";

static const char sql_insert[] =
	"INSERT INTO documents (id, title, source, content, metadata, content_hash, version, chunk_count, "
	"ingestion_status, created_at, updated_at) "
	"SELECT p.id, p.title, p.source, p.content, p.metadata, p.hash, p.saga, p.chunk_count, " DOCUMENT_STATUS ", "
	"now(), now() "
	"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
	"AS p(saga, id, expected, " DOCUMENT_COLUMNS ") "
	"JOIN sagad_ledger l ON l.saga_id = p.saga AND l.xmin = pg_current_xact_id()::xid";

static const char sql_clear[] = "WITH mine AS MATERIALIZED (SELECT p.id FROM " MINE "), "
				"c AS (DELETE FROM chunks t USING mine WHERE t.document_id = mine.id), "
				"e AS (DELETE FROM entities t USING mine WHERE t.document_id = mine.id), "
				"r AS (DELETE FROM relationships t USING mine WHERE t.document_id = mine.id) "
				"SELECT 1";

static const char sql_chunks_vector[] =
	"INSERT INTO chunks (document_id, chunk_id, ordinal, text, metadata, embedding) "
	"SELECT p.id, c.chunk_id, c.ordinal, c.text, c.metadata, c.embedding FROM " MINE
	"JOIN unnest($3, $4, $5, $6, $7, $8) AS c(nth, chunk_id, ordinal, text, metadata, embedding) ON c.nth = p.nth";

/* unnest() would flatten an array of arrays, so all numbers go as one array, of which each chunk takes its slice. */
static const char sql_chunks_real[] =
	"INSERT INTO chunks (document_id, chunk_id, ordinal, text, metadata, embedding) "
	"SELECT p.id, c.chunk_id, c.ordinal, c.text, c.metadata, $8[c.first:c.last] FROM " MINE
	"JOIN unnest($3, $4, $5, $6, $7, $9, $10) AS c(nth, chunk_id, ordinal, text, metadata, first, last) "
	"ON c.nth = p.nth";

static const char sql_entities[] =
	"INSERT INTO entities (document_id, ordinal, type, name, properties) "
	"SELECT p.id, e.ordinal, e.type, e.name, e.properties FROM " MINE
	"JOIN unnest($3, $4, $5, $6, $7) AS e(nth, ordinal, type, name, properties) ON e.nth = p.nth";

static const char sql_relationships[] =
	"INSERT INTO relationships (document_id, ordinal, from_type, from_name, type, to_type, to_name, properties) "
	"SELECT p.id, r.ordinal, r.from_type, r.from_name, r.type, r.to_type, r.to_name, r.properties FROM " MINE
	"JOIN unnest($3, $4, $5, $6, $7, $8, $9, $10) "
	"AS r(nth, ordinal, from_type, from_name, type, to_type, to_name, properties) ON r.nth = p.nth";

/* A debt that an earlier pivot left for the same work stays: once paid is paid for both. */
static const char sql_debts[] =
	"INSERT INTO sagad_debts (store, op, saga_id, owner, document_id, chunk_count, created_at) "
	"SELECT b.store, b.op, b.saga, p.saga, p.id, b.chunk_count, now() FROM " MINE
	"JOIN unnest($3, $4, $5, $6, $7) AS b(nth, store, op, saga, chunk_count) ON b.nth = p.nth "
	"ON CONFLICT (store, op, saga_id) DO NOTHING";

static const char sql_outcome[] = "SELECT saga_id, outcome FROM sagad_ledger WHERE saga_id = ANY($1)";

/* A pivot's part of the message beside its texts: ids, hashes, lengths. */
#define PIVOT_FIXED_BYTES 512
#define PIVOT_ITEM_BYTES  64

/* The pivots of a batch that a statement is about, in the order of the batch. */
struct slice {
	struct truth_pivot **pivots;
	uint32_t n;
};

static int pg_pivot_compare(const void *left, const void *right)
{
	const struct truth_pivot *a = *(struct truth_pivot *const *)left, *b = *(struct truth_pivot *const *)right;
	size_t n = a->document_id.len < b->document_id.len ? a->document_id.len : b->document_id.len;
	int order = n > 0 ? memcmp(a->document_id.at, b->document_id.at, n) : 0;

	if (order != 0)
		return order;
	return (a->document_id.len > b->document_id.len) - (a->document_id.len < b->document_id.len);
}

static const struct chunk *pg_pivot_chunk(const struct truth_pivot *pivot, uint32_t nth)
{
	return &pivot->document->chunks[nth];
}

static uint32_t pg_pivot_n_chunks(const struct truth_pivot *pivot)
{
	return pivot->document != NULL ? pivot->document->n_chunks : 0;
}

static uint32_t pg_pivot_n_entities(const struct truth_pivot *pivot)
{
	return pivot->document != NULL ? pivot->document->n_entities : 0;
}

static uint32_t pg_pivot_n_relationships(const struct truth_pivot *pivot)
{
	return pivot->document != NULL ? pivot->document->n_relationships : 0;
}

/* Appends one array parameter: an item for each pivot, or for each member that a pivot has of a kind. `item` has the
 * pivot as `p`, its place in the batch from 1 as `nth`, and the member's as `i`. */
#define ARRAY_OF_PIVOTS(params, type, slice, item)                                                                     \
	do {                                                                                                           \
		pg_params_open(params, type);                                                                          \
		for (uint32_t at = 0; at < (slice)->n; at++) {                                                         \
			const struct truth_pivot *p = (slice)->pivots[at];                                             \
			item;                                                                                          \
		}                                                                                                      \
		pg_params_close(params);                                                                               \
	} while (0)

#define ARRAY_OF_MEMBERS(params, type, slice, count, item)                                                             \
	ARRAY_OF_PIVOTS(                                                                                               \
		params, type, slice, for (uint32_t i = 0; i < count(p); i++) { item; })

static void pg_pivot_add_sagas(struct pg_params *params, const struct slice *all)
{
	ARRAY_OF_PIVOTS(params, pg_params_uuids, all, pg_params_item_uuid(params, &p->saga));
}

static void pg_pivot_add_ids(struct pg_params *params, const struct slice *all)
{
	ARRAY_OF_PIVOTS(params, pg_params_texts, all, pg_params_item_str(params, p->document_id));
}

static void pg_pivot_item_expected(struct pg_params *params, const struct truth_pivot *pivot)
{
	if (pivot->is_expected)
		pg_params_item_uuid(params, &pivot->expected);
	else
		pg_params_item_null(params);
}

static void pg_pivot_add_ledger(struct pg_script *script, const struct slice *all, uint64_t epoch)
{
	const char *sql = MUTANT(epoch_unchecked) ? SQL_LEDGER("$1::int8 IS NOT NULL") : sql_ledger;
	struct pg_params *params = pg_script_add(script, sql);

	pg_params_add_int8(params, (int64_t)epoch);
	pg_pivot_add_sagas(params, all);
	pg_pivot_add_ids(params, all);
	ARRAY_OF_PIVOTS(params, pg_params_texts, all, pg_params_item_str(params, p->idempotency_key));
	ARRAY_OF_PIVOTS(params, pg_params_uuids, all, pg_pivot_item_expected(params, p));
	ARRAY_OF_PIVOTS(params, pg_params_bools, all, pg_params_item_bool(params, p->is_delete));
	ARRAY_OF_PIVOTS(params, pg_params_byteas, all, pg_params_item(params, p->content_hash, DIGEST_BYTES));
}

static struct str pg_pivot_text(const struct truth_pivot *pivot, size_t offset)
{
	struct str text = STR_NONE;

	if (pivot->document != NULL)
		memcpy(&text, (const char *)pivot->document + offset, sizeof(text));
	return text;
}

static void pg_pivot_item_hash(struct pg_params *params, const struct truth_pivot *pivot)
{
	if (pivot->is_delete)
		pg_params_item_null(params);
	else
		pg_params_item(params, pivot->content_hash, DIGEST_BYTES);
}

#define DOCUMENT_TEXT(p, field) pg_pivot_text(p, offsetof(struct document, field))

static void pg_pivot_add_documents(struct pg_script *script, const char *sql, const struct slice *some)
{
	struct pg_params *params;

	if (some->n == 0)
		return;
	params = pg_script_add(script, sql);
	pg_pivot_add_sagas(params, some);
	pg_pivot_add_ids(params, some);
	ARRAY_OF_PIVOTS(params, pg_params_uuids, some, pg_pivot_item_expected(params, p));
	ARRAY_OF_PIVOTS(params, pg_params_texts, some, pg_params_item_str(params, DOCUMENT_TEXT(p, title)));
	ARRAY_OF_PIVOTS(params, pg_params_texts, some, pg_params_item_str(params, DOCUMENT_TEXT(p, source)));
	ARRAY_OF_PIVOTS(params, pg_params_texts, some, pg_params_item_str(params, DOCUMENT_TEXT(p, content)));
	ARRAY_OF_PIVOTS(params, pg_params_jsonbs, some, pg_params_item_json(params, DOCUMENT_TEXT(p, metadata_json)));
	ARRAY_OF_PIVOTS(params, pg_params_byteas, some, pg_pivot_item_hash(params, p));
	ARRAY_OF_PIVOTS(params, pg_params_int4s, some, pg_params_item_int4(params, (int32_t)pg_pivot_n_chunks(p)));
	ARRAY_OF_PIVOTS(params, pg_params_bools, some, pg_params_item_bool(params, p->is_delete));
}

static void pg_pivot_add_clear(struct pg_script *script, const struct slice *old)
{
	struct pg_params *params;

	if (old->n == 0)
		return;
	params = pg_script_add(script, sql_clear);
	pg_pivot_add_sagas(params, old);
	pg_pivot_add_ids(params, old);
}

/* The start of every statement about members: the sagas, their documents, and to which of them each member belongs. */
static struct pg_params *pg_pivot_add_members(struct pg_script *script, const char *sql, const struct slice *all,
					      uint32_t (*count)(const struct truth_pivot *pivot))
{
	struct pg_params *params = pg_script_add(script, sql);

	pg_pivot_add_sagas(params, all);
	pg_pivot_add_ids(params, all);
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, count, pg_params_item_int4(params, (int32_t)at + 1));
	return params;
}

static bool pg_pivot_has_any(const struct slice *all, uint32_t (*count)(const struct truth_pivot *pivot))
{
	for (uint32_t i = 0; i < all->n; i++)
		if (count(all->pivots[i]) > 0)
			return true;
	return false;
}

static void pg_pivot_add_vectors(struct pg_params *params, const struct slice *all, struct pg_array_type types)
{
	ARRAY_OF_MEMBERS(params, types, all, pg_pivot_n_chunks,
			 pg_params_item_vector(params, pg_pivot_chunk(p, i)->embedding, p->document->dims));
}

static void pg_pivot_item_floats(struct pg_params *params, const float *components, uint32_t n_dims)
{
	for (uint32_t i = 0; i < n_dims; i++)
		pg_params_item_float4(params, components[i]);
}

/* All numbers of the batch as one array, then the places of each chunk's first and last one, counted from 1. */
static void pg_pivot_add_reals(struct pg_params *params, const struct slice *all)
{
	int32_t first = 1, last = 0;

	ARRAY_OF_MEMBERS(params, pg_params_float4s, all, pg_pivot_n_chunks,
			 pg_pivot_item_floats(params, pg_pivot_chunk(p, i)->embedding, p->document->dims));
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, pg_pivot_n_chunks, pg_params_item_int4(params, first);
			 first += (int32_t)p->document->dims);
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, pg_pivot_n_chunks, last += (int32_t)p->document->dims;
			 pg_params_item_int4(params, last));
}

static void pg_pivot_add_chunks(struct pg_script *script, const struct slice *all, const struct pg_embedding *embedding)
{
	const char *sql = embedding->is_vector ? sql_chunks_vector : sql_chunks_real;
	struct pg_params *params;

	if (!pg_pivot_has_any(all, pg_pivot_n_chunks))
		return;
	params = pg_pivot_add_members(script, sql, all, pg_pivot_n_chunks);
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_chunks,
			 pg_params_item_str(params, pg_pivot_chunk(p, i)->id));
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, pg_pivot_n_chunks, pg_params_item_int4(params, (int32_t)i));
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_chunks,
			 pg_params_item_str(params, pg_pivot_chunk(p, i)->text));
	ARRAY_OF_MEMBERS(params, pg_params_jsonbs, all, pg_pivot_n_chunks,
			 pg_params_item_json(params, pg_pivot_chunk(p, i)->metadata_json));
	if (embedding->is_vector)
		pg_pivot_add_vectors(params, all, embedding->types);
	else
		pg_pivot_add_reals(params, all);
}

static void pg_pivot_add_entities(struct pg_script *script, const struct slice *all)
{
	struct pg_params *params;

	if (!pg_pivot_has_any(all, pg_pivot_n_entities))
		return;
	params = pg_pivot_add_members(script, sql_entities, all, pg_pivot_n_entities);
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, pg_pivot_n_entities, pg_params_item_int4(params, (int32_t)i));
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_entities,
			 pg_params_item_str(params, p->document->entities[i].type));
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_entities,
			 pg_params_item_str(params, p->document->entities[i].name));
	ARRAY_OF_MEMBERS(params, pg_params_jsonbs, all, pg_pivot_n_entities,
			 pg_params_item_json(params, p->document->entities[i].properties_json));
}

static const struct relationship *pg_pivot_relationship(const struct truth_pivot *pivot, uint32_t nth)
{
	return &pivot->document->relationships[nth];
}

static const struct entity *pg_pivot_from(const struct truth_pivot *pivot, uint32_t nth)
{
	return &pivot->document->entities[pg_pivot_relationship(pivot, nth)->from];
}

static const struct entity *pg_pivot_to(const struct truth_pivot *pivot, uint32_t nth)
{
	return &pivot->document->entities[pg_pivot_relationship(pivot, nth)->to];
}

#define RELATIONSHIP_TEXTS(params, all, text)                                                                          \
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_relationships, pg_params_item_str(params, text))

static void pg_pivot_add_relationships(struct pg_script *script, const struct slice *all)
{
	struct pg_params *params;

	if (!pg_pivot_has_any(all, pg_pivot_n_relationships))
		return;
	params = pg_pivot_add_members(script, sql_relationships, all, pg_pivot_n_relationships);
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, pg_pivot_n_relationships,
			 pg_params_item_int4(params, (int32_t)i));
	RELATIONSHIP_TEXTS(params, all, pg_pivot_from(p, i)->type);
	RELATIONSHIP_TEXTS(params, all, pg_pivot_from(p, i)->name);
	RELATIONSHIP_TEXTS(params, all, pg_pivot_relationship(p, i)->type);
	RELATIONSHIP_TEXTS(params, all, pg_pivot_to(p, i)->type);
	RELATIONSHIP_TEXTS(params, all, pg_pivot_to(p, i)->name);
	ARRAY_OF_MEMBERS(params, pg_params_jsonbs, all, pg_pivot_n_relationships,
			 pg_params_item_json(params, pg_pivot_relationship(p, i)->properties_json));
}

static uint32_t pg_pivot_n_debts(const struct truth_pivot *pivot)
{
	return pivot->n_debts;
}

static void pg_pivot_add_debts(struct pg_script *script, const struct slice *all)
{
	struct pg_params *params;

	if (!pg_pivot_has_any(all, pg_pivot_n_debts))
		return;
	params = pg_pivot_add_members(script, sql_debts, all, pg_pivot_n_debts);
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_debts,
			 pg_params_item_str(params, str_of(p->debts[i].store)));
	ARRAY_OF_MEMBERS(params, pg_params_texts, all, pg_pivot_n_debts,
			 pg_params_item_str(params, str_of(pg_pivot_op_name(p->debts[i].op))));
	ARRAY_OF_MEMBERS(params, pg_params_uuids, all, pg_pivot_n_debts,
			 pg_params_item_uuid(params, &p->debts[i].saga));
	ARRAY_OF_MEMBERS(params, pg_params_int4s, all, pg_pivot_n_debts,
			 pg_params_item_int4(params, (int32_t)p->debts[i].n_chunks));
}

/* Copies the pivots, those that overwrite before those that insert, each part in the order of the ids. */
static int pg_pivot_split(struct truth_pivot *const *pivots, uint32_t n, struct slice *out_old, struct slice *out_new)
{
	struct truth_pivot **sorted = malloc(n * sizeof(*sorted));
	uint32_t n_old = 0, n_new = 0;

	if (sorted == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (pivots[i]->is_expected)
			sorted[n_old++] = pivots[i];
	for (uint32_t i = 0; i < n; i++)
		if (!pivots[i]->is_expected)
			sorted[n_old + n_new++] = pivots[i];
	qsort(sorted, n_old, sizeof(*sorted), pg_pivot_compare);
	qsort(sorted + n_old, n_new, sizeof(*sorted), pg_pivot_compare);
	*out_old = (struct slice){sorted, n_old};
	*out_new = (struct slice){sorted + n_old, n_new};
	return 0;
}

static void pg_pivot_add_all(struct pg_script *script, const struct slice *old, const struct slice *new, uint64_t epoch,
			     const struct pg_embedding *embedding, struct pg_pivot_plan *out_plan)
{
	struct slice all = {old->pivots, old->n + new->n};

	(void)pg_script_add(script, sql_begin); /* without parameters, as COMMIT below */
	out_plan->owner = script->n;
	pg_params_add_int8(pg_script_add(script, sql_owner), (int64_t)epoch);
	if (old->n > 0)
		pg_pivot_add_ids(pg_script_add(script, sql_lock), old);
	pg_pivot_add_ledger(script, &all, epoch);
	pg_pivot_add_documents(script, sql_update, old);
	pg_pivot_add_documents(script, sql_insert, new);
	pg_pivot_add_clear(script, old);
	pg_pivot_add_chunks(script, &all, embedding);
	pg_pivot_add_entities(script, &all);
	pg_pivot_add_relationships(script, &all);
	pg_pivot_add_debts(script, &all);
	out_plan->outcome = script->n;
	pg_pivot_add_sagas(pg_script_add(script, sql_outcome), &all);
	out_plan->commit = script->n;
	(void)pg_script_add(script, "COMMIT");
}

int pg_pivot_build(struct pg_script *script, struct truth_pivot *const *pivots, uint32_t n_pivots, uint64_t epoch,
		   const struct pg_embedding *embedding, struct pg_pivot_plan *out_plan)
{
	struct slice old, new;
	int rc = pg_pivot_split(pivots, n_pivots, &old, &new);

	if (rc != 0)
		return rc;
	pg_pivot_add_all(script, &old, &new, epoch, embedding, out_plan);
	free(old.pivots); /* the texts are copied into the script */
	return pg_script_check(script);
}

size_t pg_pivot_bytes(const struct truth_pivot *pivot)
{
	const struct document *document = pivot->document;
	size_t n = PIVOT_FIXED_BYTES + pivot->document_id.len * 4 + pivot->idempotency_key.len +
		   pivot->n_debts * (size_t)PIVOT_ITEM_BYTES;

	if (document == NULL)
		return n;
	n += document->title.len + document->source.len + document->content.len + document->metadata_json.len;
	for (uint32_t i = 0; i < document->n_chunks; i++)
		n += document->chunks[i].id.len + document->chunks[i].text.len + document->chunks[i].metadata_json.len +
		     (size_t)document->dims * sizeof(float) + PIVOT_ITEM_BYTES;
	/* graph_bytes counts an entity's name once; each relationship names its two again. */
	n += document->graph_bytes + (document->n_entities + document->n_relationships) * (size_t)PIVOT_ITEM_BYTES;
	for (uint32_t i = 0; i < document->n_relationships; i++)
		n += pg_pivot_from(pivot, i)->name.len + pg_pivot_to(pivot, i)->name.len;
	return n;
}

static const char *const op_names[LEG_OPS] = {"apply", "publish", "remove"};

const char *pg_pivot_op_name(enum leg_op op)
{
	MUST((unsigned)op < LEG_OPS);
	return op_names[op];
}

bool pg_pivot_op_parse(const char *name, enum leg_op *out_op)
{
	for (unsigned i = 0; i < LEG_OPS; i++)
		if (strcmp(name, op_names[i]) == 0) {
			*out_op = (enum leg_op)i;
			return true;
		}
	return false;
}
