/* Request bodies: statements and their parameters. neo4j_cypher.h has the Cypher, neo4j_reply.c the replies. */
#include "neo4j_codec.h"
#include "neo4j_cypher.h"
#include "neo4j_properties.h"
#include "neo4j_rows.h"

#include "base/buf.h"
#include "proto/document.h"

#include <errno.h>
#include <stdlib.h>
#include <yyjson.h>

/* What one row needs beside its texts: names, quotes, hashes and ids. */
#define DOCUMENT_FIXED_BYTES     200
#define ENTITY_FIXED_BYTES       190
#define RELATIONSHIP_FIXED_BYTES 260

void neo4j_body_fini(struct neo4j_body *body)
{
	free(body->at);
	*body = (struct neo4j_body){0};
}

size_t neo4j_write_bytes(const struct leg_write *write)
{
	const struct document *document = write->document;

	if (write->op != LEG_APPLY)
		return DOCUMENT_FIXED_BYTES;
	return DOCUMENT_FIXED_BYTES + document->id.len + document->title.len + document->source.len +
	       document->graph_bytes + (size_t)document->n_entities * ENTITY_FIXED_BYTES +
	       (size_t)document->n_relationships * RELATIONSHIP_FIXED_BYTES;
}

/* ---- a body being made: one flag for all failures, which are all of memory ---- */

struct neo4j_maker {
	yyjson_mut_doc *doc;
	yyjson_mut_val *statements;
	bool failed;
};

static void neo4j_maker_init(struct neo4j_maker *maker)
{
	yyjson_mut_val *root;

	*maker = (struct neo4j_maker){.doc = yyjson_mut_doc_new(NULL)};
	root = yyjson_mut_obj(maker->doc);
	maker->statements = yyjson_mut_obj_add_arr(maker->doc, root, "statements");
	yyjson_mut_doc_set_root(maker->doc, root);
	maker->failed = maker->statements == NULL;
}

static int neo4j_maker_finish(struct neo4j_maker *maker, struct neo4j_body *out_body)
{
	struct neo4j_body body = {0};

	if (!maker->failed)
		body.at = yyjson_mut_write(maker->doc, YYJSON_WRITE_NOFLAG, &body.len);
	yyjson_mut_doc_free(maker->doc);
	if (body.at == NULL)
		return -ENOMEM;
	*out_body = body;
	return 0;
}

/* Adds a statement; `name` and `rows` are its one parameter, or NULL. `text` is copied. */
static yyjson_mut_val *neo4j_state(struct neo4j_maker *maker, const char *text, const char *name, yyjson_mut_val *rows)
{
	yyjson_mut_val *statement = yyjson_mut_arr_add_obj(maker->doc, maker->statements);
	yyjson_mut_val *parameters = yyjson_mut_obj_add_obj(maker->doc, statement, "parameters");

	if (!yyjson_mut_obj_add_strcpy(maker->doc, statement, "statement", text) || parameters == NULL ||
	    (name != NULL && !yyjson_mut_obj_add_val(maker->doc, parameters, name, rows)))
		maker->failed = true;
	return parameters;
}

static void neo4j_put_uuid(struct neo4j_maker *maker, yyjson_mut_val *row, const char *name, const struct uuid *uuid)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(uuid, text);
	if (!yyjson_mut_obj_add_strcpy(maker->doc, row, name, text))
		maker->failed = true;
}

/* An absent text is null: the property isn't set. */
static void neo4j_put_str(struct neo4j_maker *maker, yyjson_mut_val *row, const char *name, struct str text)
{
	bool is_ok = text.at != NULL ? yyjson_mut_obj_add_strn(maker->doc, row, name, text.at, text.len)
				     : yyjson_mut_obj_add_null(maker->doc, row, name);

	if (!is_ok)
		maker->failed = true;
}

/* "p": the client's properties and our ordinal. */
static void neo4j_put_properties(struct neo4j_maker *maker, yyjson_mut_val *row, uint32_t ordinal,
				 enum neo4j_owner owner, struct str json)
{
	yyjson_mut_val *map = yyjson_mut_obj_add_obj(maker->doc, row, "p");

	if (!yyjson_mut_obj_add_uint(maker->doc, map, "ordinal", ordinal) ||
	    neo4j_properties_add(maker->doc, map, owner, json) != 0)
		maker->failed = true;
}

/* ---- apply ---- */

static yyjson_mut_val *neo4j_documents(struct neo4j_maker *maker, const struct neo4j_rows *rows)
{
	yyjson_mut_val *list = yyjson_mut_arr(maker->doc);

	for (uint32_t i = 0; i < rows->n_writes; i++) {
		const struct leg_write *write = rows->writes[i];
		yyjson_mut_val *row = yyjson_mut_arr_add_obj(maker->doc, list);

		neo4j_put_uuid(maker, row, "s", &write->saga);
		neo4j_put_str(maker, row, "id", write->document->id);
		neo4j_put_str(maker, row, "title", write->document->title);
		neo4j_put_str(maker, row, "source", write->document->source);
		if (!yyjson_mut_obj_add_uint(maker->doc, row, "m", write->document->n_entities))
			maker->failed = true;
	}
	return list;
}

static yyjson_mut_val *neo4j_mentions(struct neo4j_maker *maker, const struct neo4j_rows *rows)
{
	yyjson_mut_val *list = yyjson_mut_arr(maker->doc);

	for (size_t i = 0; i < rows->n_mentions; i++) {
		const struct neo4j_mention *mention = &rows->mentions[i];
		const struct entity *entity = &mention->write->document->entities[mention->ordinal];
		yyjson_mut_val *row = yyjson_mut_arr_add_obj(maker->doc, list);

		neo4j_put_uuid(maker, row, "s", &mention->write->saga);
		neo4j_put_str(maker, row, "k", str_of(entity->key));
		neo4j_put_str(maker, row, "t", entity->type);
		neo4j_put_str(maker, row, "n", entity->name);
		neo4j_put_properties(maker, row, mention->ordinal, NEO4J_MENTION, entity->properties_json);
	}
	return list;
}

static void neo4j_put_relation(struct neo4j_maker *maker, yyjson_mut_val *list, const struct neo4j_relation *relation)
{
	const struct document *document = relation->write->document;
	const struct relationship *relationship = &document->relationships[relation->ordinal];
	yyjson_mut_val *row = yyjson_mut_arr_add_obj(maker->doc, list);

	neo4j_put_uuid(maker, row, "s", &relation->write->saga);
	neo4j_put_str(maker, row, "a", str_of(document->entities[relationship->from].key));
	neo4j_put_str(maker, row, "b", str_of(document->entities[relationship->to].key));
	neo4j_put_str(maker, row, "t", relationship->type);
	neo4j_put_properties(maker, row, relation->ordinal, NEO4J_RELATIONSHIP, relationship->properties_json);
}

static void neo4j_relate_dynamic(struct neo4j_maker *maker, const struct neo4j_rows *rows)
{
	yyjson_mut_val *list = yyjson_mut_arr(maker->doc);

	for (size_t i = 0; i < rows->n_relations; i++)
		neo4j_put_relation(maker, list, &rows->relations[i]);
	(void)neo4j_state(maker, CYPHER_APPLY_RELATE_BEGIN CYPHER_DYNAMIC_TYPE CYPHER_APPLY_RELATE_END, "relationships",
			  list);
}

/* The one place where a client's word becomes Cypher: only when it is a plain name, and in backquotes. The protocol has
 * checked it already; this look makes the text safe whatever happens there. */
static bool neo4j_type_is_plain(struct str type)
{
	for (size_t i = 0; i < type.len; i++) {
		unsigned char c = (unsigned char)type.at[i];
		bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
		if (!is_letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return type.len >= 1 && type.len <= 64;
}

static struct str neo4j_relation_type(const struct neo4j_relation *relation)
{
	return relation->write->document->relationships[relation->ordinal].type;
}

/* One statement for each type; the rows come sorted by type first. */
static void neo4j_relate_by_type(struct neo4j_maker *maker, const struct neo4j_rows *rows)
{
	size_t i = 0;

	while (i < rows->n_relations) {
		struct str type = neo4j_relation_type(&rows->relations[i]);
		yyjson_mut_val *list = yyjson_mut_arr(maker->doc);
		struct buf text = {0};

		MUST(neo4j_type_is_plain(type));
		for (; i < rows->n_relations && str_is_equal(type, neo4j_relation_type(&rows->relations[i])); i++)
			neo4j_put_relation(maker, list, &rows->relations[i]);
		buf_append_format(&text, "%s`%.*s`%s", CYPHER_APPLY_RELATE_BEGIN, STR_ARG(type),
				  CYPHER_APPLY_RELATE_END);
		if (text.failed)
			maker->failed = true;
		else
			(void)neo4j_state(maker, text.at, "relationships", list);
		buf_fini(&text);
	}
}

static void neo4j_apply(struct neo4j_maker *maker, const struct neo4j_rows *rows, const struct neo4j_dialect *dialect)
{
	(void)neo4j_state(maker, CYPHER_APPLY_BEGIN, "documents", neo4j_documents(maker, rows));
	if (rows->n_mentions > 0)
		(void)neo4j_state(maker, CYPHER_APPLY_MENTIONS, "mentions", neo4j_mentions(maker, rows));
	if (rows->n_relations > 0 && dialect->has_dynamic_types)
		neo4j_relate_dynamic(maker, rows);
	else
		neo4j_relate_by_type(maker, rows);
	(void)neo4j_state(maker, CYPHER_APPLY_END, "documents", neo4j_documents(maker, rows));
}

/* ---- publish and remove: saga ids alone ---- */

static yyjson_mut_val *neo4j_sagas(struct neo4j_maker *maker, const struct neo4j_rows *rows)
{
	yyjson_mut_val *list = yyjson_mut_arr(maker->doc);

	for (uint32_t i = 0; i < rows->n_writes; i++) {
		char text[UUID_TEXT_BYTES];
		uuid_format(&rows->writes[i]->saga, text);
		if (!yyjson_mut_arr_add_strcpy(maker->doc, list, text))
			maker->failed = true;
	}
	return list;
}

static void neo4j_remove(struct neo4j_maker *maker, const struct neo4j_rows *rows)
{
	static const char *const texts[] = {CYPHER_REMOVE_BEGIN, CYPHER_REMOVE_LOCK, CYPHER_REMOVE_RELATIONSHIPS,
					    CYPHER_REMOVE_END};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		(void)neo4j_state(maker, texts[i], "sagas", neo4j_sagas(maker, rows));
}

int neo4j_write_body(struct leg_write *const *writes, uint32_t n_writes, const struct neo4j_dialect *dialect,
		     struct neo4j_body *out_body, struct err *err)
{
	struct neo4j_maker maker;
	struct neo4j_rows rows;
	int rc = neo4j_rows_init(&rows, writes, n_writes, !dialect->has_dynamic_types);

	if (rc != 0)
		return err_set(err, rc, "neo4j: no memory for the request");
	neo4j_maker_init(&maker);
	switch (writes[0]->op) {
	case LEG_APPLY:
		neo4j_apply(&maker, &rows, dialect);
		break;
	case LEG_PUBLISH:
		(void)neo4j_state(&maker, CYPHER_PUBLISH, "sagas", neo4j_sagas(&maker, &rows));
		break;
	case LEG_REMOVE:
		neo4j_remove(&maker, &rows);
		break;
	}
	rc = neo4j_maker_finish(&maker, out_body);
	neo4j_rows_fini(&rows);
	return rc == 0 ? 0 : err_set(err, rc, "neo4j: no memory for the request");
}

/* ---- collector, check, schema ---- */

int neo4j_collect_body(uint32_t limit, uint64_t tombstone_ms, struct neo4j_body *out_body)
{
	static const char *const texts[] = {CYPHER_COLLECT_TAKE, CYPHER_COLLECT_ENTITIES, CYPHER_COLLECT_DONE,
					    CYPHER_COLLECT_EXPIRE};
	struct neo4j_maker maker;

	neo4j_maker_init(&maker);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		yyjson_mut_val *parameters = neo4j_state(&maker, texts[i], NULL, NULL);
		if (!yyjson_mut_obj_add_uint(maker.doc, parameters, "limit", limit) ||
		    !yyjson_mut_obj_add_uint(maker.doc, parameters, "keep_ms", tombstone_ms))
			maker.failed = true;
	}
	return neo4j_maker_finish(&maker, out_body);
}

static int neo4j_plain_body(const char *const *texts, size_t n_texts, struct neo4j_body *out_body)
{
	struct neo4j_maker maker;

	neo4j_maker_init(&maker);
	for (size_t i = 0; i < n_texts; i++)
		(void)neo4j_state(&maker, texts[i], NULL, NULL);
	return neo4j_maker_finish(&maker, out_body);
}

int neo4j_check_body(struct neo4j_body *out_body)
{
	static const char *const texts[] = {CYPHER_CHECK_CONSTRAINTS, CYPHER_CHECK_VERSION};

	return neo4j_plain_body(texts, ARRAY_LEN(texts), out_body);
}

int neo4j_schema_body(struct neo4j_body *out_body)
{
	static const char *const texts[] = {CYPHER_SCHEMA_VERSION,   CYPHER_SCHEMA_ENTITY,      CYPHER_SCHEMA_DOCUMENT,
					    CYPHER_SCHEMA_TOMBSTONE, CYPHER_SCHEMA_UNCOLLECTED, CYPHER_SCHEMA_STEP};

	return neo4j_plain_body(texts, ARRAY_LEN(texts), out_body);
}

int neo4j_await_body(struct neo4j_body *out_body)
{
	static const char *const texts[] = {CYPHER_SCHEMA_AWAIT};

	return neo4j_plain_body(texts, ARRAY_LEN(texts), out_body);
}
