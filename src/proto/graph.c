#include "parts.h"

#include "metadata.h"
#include "seen.h"

#include <errno.h>

#define TYPE_BYTES 64

enum { ENTITY_TYPE, ENTITY_NAME, ENTITY_PROPERTIES, ENTITY_MEMBERS };
static const char *const entity_names[ENTITY_MEMBERS] = {
	[ENTITY_TYPE] = "type",
	[ENTITY_NAME] = "name",
	[ENTITY_PROPERTIES] = "properties",
};

enum { END_TYPE, END_NAME, END_MEMBERS };
static const char *const end_names[END_MEMBERS] = {[END_TYPE] = "type", [END_NAME] = "name"};

enum { RELATIONSHIP_FROM, RELATIONSHIP_TYPE, RELATIONSHIP_TO, RELATIONSHIP_PROPERTIES, RELATIONSHIP_MEMBERS };
static const char *const relationship_names[RELATIONSHIP_MEMBERS] = {
	[RELATIONSHIP_FROM] = "from",
	[RELATIONSHIP_TYPE] = "type",
	[RELATIONSHIP_TO] = "to",
	[RELATIONSHIP_PROPERTIES] = "properties",
};

/* What makes a relationship the same as another one; compared as bytes, so all of it is written. */
struct relationship_key {
	uint32_t from;
	uint32_t to;
	char type[TYPE_BYTES];
};

struct graph_reader {
	struct reader *reader;
	struct seen entities; /* by their key's hex text */
	struct seen relationships;
	struct relationship_key *keys;
	size_t graph_bytes;
};

static bool graph_is_type(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';

		if (!is_letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return true;
}

/* Labels and relationship types are names in Cypher: a plain form serves every store, and pastes nothing. */
static int graph_read_type(struct reader *reader, struct member member, struct str *out_type)
{
	int rc = reader_needed_text(reader, member, "type", TYPE_BYTES, "the limit of a type's name", out_type);

	if (rc == 0 && !graph_is_type(*out_type))
		return reader_fault_in(reader, "type", CODE_INVALID_FIELD,
				       "'%.64s' is no type name: letters, digits and '_', and no digit first",
				       out_type->at);
	return rc;
}

static void graph_entity_key(struct str type, struct str name, char out_key[DIGEST_HEX_BYTES])
{
	struct digest digest;

	digest_init(&digest);
	digest_add_raw(&digest, type.at, type.len);
	digest_add_raw(&digest, "\n", 1);
	digest_add_raw(&digest, name.at, name.len);
	digest_finish_hex(&digest, out_key);
}

static int graph_read_entity(struct graph_reader *graph, yyjson_val *val, uint32_t i, struct entity *entity)
{
	struct reader *reader = graph->reader;
	struct member members[ENTITY_MEMBERS];
	uint32_t earlier = SEEN_NEVER;
	int rc = reader_members(reader, val, "an entity", entity_names, ENTITY_MEMBERS, members);

	if (rc == 0)
		rc = graph_read_type(reader, members[ENTITY_TYPE], &entity->type);
	if (rc == 0)
		rc = reader_needed_text(reader, members[ENTITY_NAME], "name", reader->limits->max_name_bytes,
					"limits.max_name", &entity->name);
	if (rc == 0)
		rc = metadata_read(reader, members[ENTITY_PROPERTIES], "properties", PROPERTIES_OF_ENTITY,
				   &entity->properties_json);
	if (rc != 0)
		return rc;
	graph_entity_key(entity->type, entity->name, entity->key);
	if (seen_add(&graph->entities, entity->key, DIGEST_HEX_BYTES - 1, i, &earlier) != 0)
		return reader_no_memory(reader);
	if (earlier != SEEN_NEVER)
		return reader_fault(
			reader, CODE_INVALID_FIELD,
			"%.64s '%.80s' is entities[%u] already; give each entity once, with all its properties",
			entity->type.at, entity->name.at, earlier);
	graph->graph_bytes += DIGEST_HEX_BYTES + entity->type.len + entity->name.len + entity->properties_json.len;
	return 0;
}

static int graph_read_end(struct graph_reader *graph, struct member member, const char *name, uint32_t *out_entity)
{
	struct reader *reader = graph->reader;
	struct member members[END_MEMBERS];
	struct str type = STR_NONE, entity = STR_NONE;
	char key[DIGEST_HEX_BYTES];
	int rc;

	reader_enter(reader, str_of(name));
	if (member.val == NULL)
		return reader_fault(reader, CODE_MISSING_FIELD, "must be given, as {\"type\": ..., \"name\": ...}");
	rc = reader_members(reader, member.val, "an end of a relationship", end_names, END_MEMBERS, members);
	if (rc == 0)
		rc = graph_read_type(reader, members[END_TYPE], &type);
	if (rc == 0)
		rc = reader_needed_text(reader, members[END_NAME], "name", reader->limits->max_name_bytes,
					"limits.max_name", &entity);
	if (rc != 0)
		return rc;
	graph_entity_key(type, entity, key);
	*out_entity = seen_find(&graph->entities, key, DIGEST_HEX_BYTES - 1);
	if (*out_entity == SEEN_NEVER)
		return reader_fault(reader, CODE_INVALID_FIELD,
				    "%.64s '%.80s' is not among this document's entities; add it there, too", type.at,
				    entity.at);
	reader_leave(reader);
	return 0;
}

static int graph_check_new(struct graph_reader *graph, const struct relationship *relationship, uint32_t i)
{
	struct relationship_key *key = &graph->keys[i];
	uint32_t earlier = SEEN_NEVER;

	*key = (struct relationship_key){.from = relationship->from, .to = relationship->to};
	memcpy(key->type, relationship->type.at, relationship->type.len);
	if (seen_add(&graph->relationships, key, sizeof(*key), i, &earlier) != 0)
		return reader_no_memory(graph->reader);
	if (earlier == SEEN_NEVER)
		return 0;
	return reader_fault(graph->reader, CODE_INVALID_FIELD,
			    "has the same ends and type as relationships[%u]; they are unique by from, type and to: "
			    "put both into one, with their properties",
			    earlier);
}

static int graph_read_relationship(struct graph_reader *graph, yyjson_val *val, uint32_t i, struct relationship *made)
{
	struct reader *reader = graph->reader;
	struct member members[RELATIONSHIP_MEMBERS];
	int rc = reader_members(reader, val, "a relationship", relationship_names, RELATIONSHIP_MEMBERS, members);

	if (rc == 0)
		rc = graph_read_end(graph, members[RELATIONSHIP_FROM], "from", &made->from);
	if (rc == 0)
		rc = graph_read_type(reader, members[RELATIONSHIP_TYPE], &made->type);
	if (rc == 0)
		rc = graph_read_end(graph, members[RELATIONSHIP_TO], "to", &made->to);
	if (rc == 0)
		rc = metadata_read(reader, members[RELATIONSHIP_PROPERTIES], "properties", PROPERTIES_OF_RELATIONSHIP,
				   &made->properties_json);
	if (rc == 0)
		rc = graph_check_new(graph, made, i);
	graph->graph_bytes += 2 * DIGEST_HEX_BYTES + made->type.len + made->properties_json.len;
	return rc;
}

/* The array `name`, entered, and its size; *out_array stays NULL when there is none. */
static int graph_open(struct reader *reader, struct member member, const char *name, uint32_t max, const char *limit,
		      yyjson_val **out_array, uint32_t *out_n)
{
	size_t n = yyjson_arr_size(member.val);

	reader_enter(reader, str_of(name));
	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	if (!yyjson_is_arr(member.val))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array, not %s", reader_kind(member.val));
	if (n > max)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu members; %s is %u", n, limit, max);
	*out_array = member.val;
	*out_n = (uint32_t)n;
	return 0;
}

static int graph_read_entities(struct graph_reader *graph, struct member member, struct document *draft)
{
	struct reader *reader = graph->reader;
	struct entity *made;
	yyjson_val *array = NULL, *val;
	yyjson_arr_iter iter;
	uint32_t n = 0;
	int rc =
		graph_open(reader, member, "entities", reader->limits->max_entities, "limits.max_entities", &array, &n);

	if (rc != 0)
		return rc;
	made = reader_alloc(reader, n, sizeof(*made));
	if (made == NULL || seen_init(&graph->entities, reader, n) != 0)
		return -ENOMEM;
	yyjson_arr_iter_init(array, &iter);
	for (uint32_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = graph_read_entity(graph, val, i, &made[i]);
		if (rc == 0)
			reader_leave(reader);
	}
	draft->entities = made;
	draft->n_entities = n;
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

static int graph_read_relationships(struct graph_reader *graph, struct member member, struct document *draft)
{
	struct reader *reader = graph->reader;
	struct relationship *made;
	yyjson_val *array = NULL, *val;
	yyjson_arr_iter iter;
	uint32_t n = 0;
	int rc = graph_open(reader, member, "relationships", reader->limits->max_relationships,
			    "limits.max_relationships", &array, &n);

	if (rc != 0)
		return rc;
	made = reader_alloc(reader, n, sizeof(*made));
	graph->keys = reader_alloc(reader, n, sizeof(*graph->keys));
	if (made == NULL || graph->keys == NULL || seen_init(&graph->relationships, reader, n) != 0)
		return -ENOMEM;
	yyjson_arr_iter_init(array, &iter);
	for (uint32_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(reader, i);
		rc = graph_read_relationship(graph, val, i, &made[i]);
		if (rc == 0)
			reader_leave(reader);
	}
	draft->relationships = made;
	draft->n_relationships = n;
	if (rc == 0)
		reader_leave(reader);
	return rc;
}

int graph_read(struct reader *reader, struct member entities, struct member relationships, struct document *draft)
{
	struct graph_reader graph = {.reader = reader, .graph_bytes = draft->title.len + draft->source.len};
	size_t max = reader->limits->max_graph_bytes;
	int rc = graph_read_entities(&graph, entities, draft);

	if (rc == 0)
		rc = graph_read_relationships(&graph, relationships, draft);
	seen_fini(&graph.entities);
	seen_fini(&graph.relationships);
	if (rc != 0)
		return rc;
	draft->graph_bytes = graph.graph_bytes;
	if (graph.graph_bytes > max)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED,
				    "title, source, entities and relationships together need %zu bytes in Neo4j; "
				    "limits.max_graph is %zu: split the document",
				    graph.graph_bytes, max);
	return 0;
}
