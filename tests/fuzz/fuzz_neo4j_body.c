/* Round trip of Neo4j's bodies: no word of a client's stands in the Cypher except a plain relationship type in
 * backquotes, and the parameters say of every document, entity and relationship what the client wrote. */
#include "made.h"

#include "proto/document.h"
#include "stores/neo4j/neo4j_codec.h"
#include "stores/neo4j/neo4j_cypher.h"

#include <math.h>

/* ---- the Cypher ---- */

static bool is_constant(const char *text)
{
	static const char *const known[] = {CYPHER_APPLY_BEGIN,
					    CYPHER_APPLY_MENTIONS,
					    CYPHER_APPLY_RELATE_BEGIN CYPHER_DYNAMIC_TYPE CYPHER_APPLY_RELATE_END,
					    CYPHER_APPLY_END,
					    CYPHER_PUBLISH,
					    CYPHER_REMOVE_BEGIN,
					    CYPHER_REMOVE_LOCK,
					    CYPHER_REMOVE_RELATIONSHIPS,
					    CYPHER_REMOVE_END};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(text, known[i]) == 0)
			return true;
	return false;
}

/* "BEGIN`Type`END" with a name of letters, digits and underscores: the type, else absent. */
static struct str quoted_type(const char *text)
{
	static const char begin[] = CYPHER_APPLY_RELATE_BEGIN "`", end[] = "`" CYPHER_APPLY_RELATE_END;
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	struct str type = {text + sizeof(begin) - 1, 0};

	if (strncmp(text, begin, sizeof(begin) - 1) != 0)
		return STR_NONE;
	type.len = strspn(type.at, letters);
	return type.len > 0 && strcmp(type.at + type.len, end) == 0 ? type : STR_NONE;
}

static void check_statement(yyjson_val *statement, bool has_dynamic_types)
{
	const char *text = yyjson_get_str(yyjson_obj_get(statement, "statement"));
	yyjson_val *rows = yyjson_ptr_get(statement, "/parameters/relationships"), *row;
	struct str type;
	size_t i, n;

	MUST(text != NULL && yyjson_obj_size(statement) == 2);
	if (is_constant(text))
		return;
	type = quoted_type(text);
	MUST(type.at != NULL && !has_dynamic_types && yyjson_arr_size(rows) > 0);
	yyjson_arr_foreach(rows, i, n, row) MUST(yyjson_equals_strn(yyjson_obj_get(row, "t"), type.at, type.len));
}

/* ---- the parameters ---- */

static bool is_integer(const char *digits)
{
	return strpbrk(digits, ".eE") == NULL;
}

static bool is_storable_scalar(yyjson_val *val)
{
	return yyjson_is_str(val) || yyjson_is_bool(val) || yyjson_is_raw(val);
}

static bool is_storable_list(yyjson_val *list)
{
	yyjson_val *first = yyjson_arr_get_first(list), *item;
	size_t i, n;

	yyjson_arr_foreach(list, i, n, item)
	{
		if (!is_storable_scalar(item) || yyjson_get_type(item) != yyjson_get_type(first))
			return false;
		if (yyjson_is_raw(item) && is_integer(yyjson_get_raw(item)) != is_integer(yyjson_get_raw(first)))
			return false;
	}
	return true;
}

/* As the client wrote it, or, where Neo4j has no such value, as its JSON text. */
static void check_property(yyjson_val *found, yyjson_val *meant)
{
	if (is_storable_scalar(meant) || (yyjson_is_arr(meant) && is_storable_list(meant)))
		MUST(made_is_json(found, meant));
	else
		MUST(made_is_json_text((struct str){yyjson_get_str(found), yyjson_get_len(found)}, meant));
}

static void check_properties(yyjson_val *found, yyjson_val *meant, size_t ordinal)
{
	yyjson_val *key, *val;
	size_t n_expected = 1, i, n;
	char digits[24];

	(void)snprintf(digits, sizeof(digits), "%zu", ordinal);
	MUST(strcmp(yyjson_get_raw(yyjson_obj_get(found, "ordinal")), digits) == 0);
	MUST(meant != NULL || yyjson_obj_size(found) == 1);
	if (meant == NULL)
		return;
	yyjson_obj_foreach(meant, i, n, key, val)
	{
		if (yyjson_is_null(val))
			continue;
		check_property(yyjson_obj_getn(found, yyjson_get_str(key), yyjson_get_len(key)), val);
		n_expected++;
	}
	MUST(yyjson_obj_size(found) == n_expected);
}

static const struct made *job_of(const struct made_batch *batch, yyjson_val *row)
{
	for (uint32_t i = 0; i < batch->n; i++) {
		char saga[UUID_TEXT_BYTES];
		uuid_format(&batch->jobs[i].saga, saga);
		if (yyjson_equals_str(yyjson_obj_get(row, "s"), saga))
			return &batch->jobs[i];
	}
	return NULL;
}

static size_t ordinal_of(yyjson_val *row)
{
	return (size_t)strtoul(yyjson_get_raw(yyjson_ptr_get(row, "/p/ordinal")), NULL, 10);
}

static void check_document_row(yyjson_val *row, const struct made *job)
{
	yyjson_val *params = yyjson_doc_get_root(job->params);

	MUST(made_is_text(yyjson_obj_get(row, "id"), made_member(params, "id")));
	MUST(made_is_text(yyjson_obj_get(row, "title"), made_member(params, "title")));
	MUST(made_is_text(yyjson_obj_get(row, "source"), made_member(params, "source")));
	MUST((size_t)atoi(yyjson_get_raw(yyjson_obj_get(row, "m"))) ==
	     yyjson_arr_size(yyjson_obj_get(params, "entities")));
}

static void check_mention_row(yyjson_val *row, const struct made *job)
{
	size_t ordinal = ordinal_of(row);
	yyjson_val *entity = yyjson_arr_get(yyjson_obj_get(yyjson_doc_get_root(job->params), "entities"), ordinal);

	MUST(entity != NULL && made_is_text(yyjson_obj_get(row, "t"), made_member(entity, "type")));
	MUST(made_is_text(yyjson_obj_get(row, "n"), made_member(entity, "name")));
	MUST(yyjson_equals_str(yyjson_obj_get(row, "k"), job->document->entities[ordinal].key));
	check_properties(yyjson_obj_get(row, "p"), made_member(entity, "properties"), ordinal);
}

/* The entity that one end of a relationship names, by the client's words. */
static const struct entity *entity_of(const struct made *job, yyjson_val *end)
{
	for (uint32_t i = 0; i < job->document->n_entities; i++) {
		const struct entity *entity = &job->document->entities[i];
		if (made_is_str(entity->type, made_member(end, "type")) &&
		    made_is_str(entity->name, made_member(end, "name")))
			return entity;
	}
	return NULL;
}

static void check_relationship_row(yyjson_val *row, const struct made *job)
{
	size_t ordinal = ordinal_of(row);
	yyjson_val *all = yyjson_obj_get(yyjson_doc_get_root(job->params), "relationships");
	yyjson_val *meant = yyjson_arr_get(all, ordinal);

	MUST(meant != NULL && made_is_text(yyjson_obj_get(row, "t"), made_member(meant, "type")));
	MUST(yyjson_equals_str(yyjson_obj_get(row, "a"), entity_of(job, made_member(meant, "from"))->key));
	MUST(yyjson_equals_str(yyjson_obj_get(row, "b"), entity_of(job, made_member(meant, "to"))->key));
	check_properties(yyjson_obj_get(row, "p"), made_member(meant, "properties"), ordinal);
}

/* Every row of the list is right; returns how many there are. */
static size_t check_rows(yyjson_val *rows, const struct made_batch *batch,
			 void (*check)(yyjson_val *row, const struct made *job))
{
	yyjson_val *row;
	size_t i, n;

	yyjson_arr_foreach(rows, i, n, row)
	{
		const struct made *job = job_of(batch, row);
		MUST(job != NULL);
		check(row, job);
	}
	return yyjson_arr_size(rows);
}

static void check_sagas(yyjson_val *sagas, const struct made_batch *batch)
{
	for (uint32_t i = 0; i < batch->n; i++) {
		char saga[UUID_TEXT_BYTES];
		bool is_found = false;
		yyjson_val *val;
		size_t k, n;

		uuid_format(&batch->jobs[i].saga, saga);
		yyjson_arr_foreach(sagas, k, n, val) is_found |= yyjson_equals_str(val, saga);
		MUST(is_found && yyjson_arr_size(sagas) == batch->n);
	}
}

static void check_body(const struct neo4j_body *body, const struct made_batch *batch, enum leg_op op, bool is_dynamic)
{
	yyjson_doc *doc = yyjson_read(body->at, body->len, YYJSON_READ_NUMBER_AS_RAW);
	yyjson_val *statements = yyjson_obj_get(yyjson_doc_get_root(doc), "statements"), *statement;
	size_t n_mentions = 0, n_relationships = 0, i, n;

	MUST(yyjson_arr_size(statements) > 0 && yyjson_obj_size(yyjson_doc_get_root(doc)) == 1);
	yyjson_arr_foreach(statements, i, n, statement)
	{
		yyjson_val *parameters = yyjson_obj_get(statement, "parameters");

		check_statement(statement, is_dynamic);
		if (op != LEG_APPLY) {
			check_sagas(yyjson_obj_get(parameters, "sagas"), batch);
			continue;
		}
		check_rows(yyjson_obj_get(parameters, "documents"), batch, check_document_row);
		n_mentions += check_rows(yyjson_obj_get(parameters, "mentions"), batch, check_mention_row);
		n_relationships +=
			check_rows(yyjson_obj_get(parameters, "relationships"), batch, check_relationship_row);
	}
	for (uint32_t k = 0; k < batch->n && op == LEG_APPLY; k++) {
		n_mentions -= batch->jobs[k].document->n_entities;
		n_relationships -= batch->jobs[k].document->n_relationships;
	}
	MUST(n_mentions == 0 && n_relationships == 0);
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	enum leg_op op = (enum leg_op)feed_below(&feed, LEG_OPS);
	struct neo4j_dialect dialect = {.has_dynamic_types = feed_below(&feed, 2) == 1};
	struct made_batch batch;
	struct neo4j_body body;
	struct err err;

	made_batch_init(&batch, &feed, op);
	if (batch.n > 0) {
		MUST(neo4j_write_body(batch.pointers, batch.n, &dialect, &body, &err) == 0);
		check_body(&body, &batch, op, dialect.has_dynamic_types);
		neo4j_body_fini(&body);
	}
	made_batch_fini(&batch);
	return 0;
}
