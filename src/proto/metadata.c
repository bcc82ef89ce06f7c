#include "metadata.h"

#include "seen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PROPERTY_NAME_BYTES 255 /* ours; Neo4j's own bound is beyond what anybody needs */
#define FEW_MEMBERS         12  /* up to here comparing all pairs beats building a set */

static const char *const entity_reserved[] = {"key", "type", "name", "saga_id", "ordinal", "updated_by"};
static const char *const relationship_reserved[] = {"saga_id", "document_id", "ordinal"};

struct metadata_walk {
	struct reader *reader;
	enum metadata_kind kind;
	uint32_t max_depth;
};

static int metadata_value(struct metadata_walk *walk, yyjson_val *val, uint32_t depth);

static bool metadata_is_properties(const struct metadata_walk *walk)
{
	return walk->kind == PROPERTIES_OF_ENTITY || walk->kind == PROPERTIES_OF_RELATIONSHIP;
}

static int metadata_text(struct metadata_walk *walk, yyjson_val *val, const char *what)
{
	if (memchr(yyjson_get_str(val), '\0', yyjson_get_len(val)) == NULL)
		return 0;
	return reader_fault(walk->reader, CODE_INVALID_FIELD,
			    "%s holds a NUL character (\\u0000), which PostgreSQL cannot store; remove it", what);
}

/* Qdrant refuses numbers beyond a double's range, Neo4j makes infinity of them and has no integers over 64 bits. */
static int metadata_number(struct metadata_walk *walk, yyjson_val *val)
{
	double value = yyjson_is_raw(val) ? strtod(yyjson_get_raw(val), NULL) : yyjson_get_num(val);

	if (!isfinite(value))
		return reader_fault(
			walk->reader, CODE_INVALID_FIELD,
			"is no number that all stores can hold (NaN, infinite, or beyond 1.8e308); use a string");
	if (metadata_is_properties(walk) &&
	    (yyjson_is_raw(val) || (yyjson_is_uint(val) && yyjson_get_uint(val) > INT64_MAX)))
		return reader_fault(walk->reader, CODE_INVALID_FIELD,
				    "is an integer beyond 64 bits, which Neo4j cannot hold; use a string");
	return 0;
}

static int metadata_reserved(struct metadata_walk *walk, yyjson_val *key)
{
	const bool is_entity = walk->kind == PROPERTIES_OF_ENTITY;
	const char *const *names = is_entity ? entity_reserved : relationship_reserved;
	size_t n_names = is_entity ? ARRAY_LEN(entity_reserved) : ARRAY_LEN(relationship_reserved);

	for (size_t i = 0; i < n_names; i++)
		if (yyjson_equals_str(key, names[i]))
			return reader_fault(walk->reader, CODE_INVALID_FIELD,
					    "the property name '%s' is sagad's own in Neo4j; choose another", names[i]);
	if (yyjson_get_len(key) == 0 || yyjson_get_len(key) > PROPERTY_NAME_BYTES)
		return reader_fault(walk->reader, CODE_INVALID_FIELD,
				    "a property's name must have 1 to %d bytes; this one has %zu", PROPERTY_NAME_BYTES,
				    yyjson_get_len(key));
	return 0;
}

static int metadata_twice(struct metadata_walk *walk, yyjson_val *key)
{
	return reader_fault(walk->reader, CODE_INVALID_FIELD,
			    "the key '%.80s' is given twice; stores would disagree on which one counts",
			    yyjson_get_str(key));
}

static int metadata_unique_few(struct metadata_walk *walk, yyjson_val *object)
{
	yyjson_val *keys[FEW_MEMBERS], *key;
	yyjson_obj_iter iter;
	size_t n_keys = 0;

	yyjson_obj_iter_init(object, &iter);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
		for (size_t i = 0; i < n_keys; i++)
			if (yyjson_equals_strn(keys[i], yyjson_get_str(key), yyjson_get_len(key)))
				return metadata_twice(walk, key);
		keys[n_keys++] = key;
	}
	return 0;
}

static int metadata_unique_many(struct metadata_walk *walk, yyjson_val *object)
{
	struct seen seen;
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = seen_init(&seen, walk->reader, (uint32_t)yyjson_obj_size(object));

	yyjson_obj_iter_init(object, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)) != NULL) {
		uint32_t earlier = SEEN_NEVER;

		rc = seen_add(&seen, yyjson_get_str(key), yyjson_get_len(key), 0, &earlier);
		if (rc != 0)
			rc = reader_no_memory(walk->reader);
		else if (earlier != SEEN_NEVER)
			rc = metadata_twice(walk, key);
	}
	seen_fini(&seen);
	return rc;
}

static int metadata_object(struct metadata_walk *walk, yyjson_val *object, uint32_t depth)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	int rc = yyjson_obj_size(object) <= FEW_MEMBERS ? metadata_unique_few(walk, object)
							: metadata_unique_many(walk, object);

	yyjson_obj_iter_init(object, &iter);
	while (rc == 0 && (key = yyjson_obj_iter_next(&iter)) != NULL) {
		rc = metadata_text(walk, key, "a key");
		if (rc == 0 && depth == 1 && metadata_is_properties(walk))
			rc = metadata_reserved(walk, key);
		if (rc != 0)
			break;
		reader_enter(walk->reader, (struct str){yyjson_get_str(key), yyjson_get_len(key)});
		rc = metadata_value(walk, yyjson_obj_iter_get_val(key), depth);
		if (rc == 0)
			reader_leave(walk->reader);
	}
	return rc;
}

static int metadata_array(struct metadata_walk *walk, yyjson_val *array, uint32_t depth)
{
	yyjson_arr_iter iter;
	yyjson_val *val;
	int rc = 0;

	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; rc == 0 && (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(walk->reader, i);
		rc = metadata_value(walk, val, depth);
		if (rc == 0)
			reader_leave(walk->reader);
	}
	return rc;
}

/* `depth` is the value's parent's; the recursion ends at max_depth, which is at most READER_DEPTH_MAX. */
static int metadata_value(struct metadata_walk *walk, yyjson_val *val, uint32_t depth)
{
	if (yyjson_is_str(val))
		return metadata_text(walk, val, "the text");
	if (yyjson_is_num(val) || yyjson_is_raw(val))
		return metadata_number(walk, val);
	if (!yyjson_is_ctn(val))
		return 0;
	if (depth + 1 > walk->max_depth)
		return reader_fault(walk->reader, CODE_LIMIT_EXCEEDED,
				    "is nested deeper than limits.max_metadata_depth, %u", walk->max_depth);
	return yyjson_is_obj(val) ? metadata_object(walk, val, depth + 1) : metadata_array(walk, val, depth + 1);
}

static int metadata_write(struct reader *reader, yyjson_val *val, struct str *out_json)
{
	size_t len, max = reader->limits->max_metadata_bytes;
	char *text = yyjson_val_write(val, YYJSON_WRITE_NOFLAG, &len), *kept = NULL;
	int rc = 0;

	/* What was read and walked can be written; only memory can be missing. */
	if (text == NULL)
		return reader_no_memory(reader);
	if (len > max)
		rc = reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu bytes as JSON; limits.max_metadata is %zu", len,
				  max);
	else if ((kept = reader_alloc(reader, len, 1)) == NULL)
		rc = -ENOMEM;
	if (rc == 0) {
		memcpy(kept, text, len);
		*out_json = (struct str){kept, len};
	}
	free(text);
	return rc;
}

int metadata_read(struct reader *reader, struct member member, const char *name, enum metadata_kind kind,
		  struct str *out_json)
{
	uint32_t max_depth = reader->limits->max_metadata_depth;
	struct metadata_walk walk = {reader, kind, max_depth < READER_DEPTH_MAX ? max_depth : READER_DEPTH_MAX};
	int rc;

	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	reader_enter(reader, str_of(name));
	if (!yyjson_is_obj(member.val))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an object, not %s", reader_kind(member.val));
	rc = metadata_value(&walk, member.val, 0);
	if (rc == 0)
		rc = metadata_write(reader, member.val, out_json);
	if (rc == 0)
		reader_leave(reader);
	return rc;
}
