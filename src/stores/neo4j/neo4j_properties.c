/* Properties: which go as they are, which as text, and which don't. */
#include "neo4j_properties.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

/* What sagad itself writes. The protocol refuses these names already; a second wall, because they carry the graph's own
 * meaning. The empty name is one that Neo4j can't hold. */
static const char *const neo4j_reserved_mention[] = {"",        "key",     "type",       "name",
						     "saga_id", "ordinal", "updated_by", NULL};
static const char *const neo4j_reserved_relationship[] = {"", "saga_id", "document_id", "ordinal", NULL};

static bool neo4j_is_reserved(enum neo4j_owner owner, yyjson_val *key)
{
	const char *const *names = neo4j_reserved_mention;

	if (owner == NEO4J_RELATIONSHIP)
		names = neo4j_reserved_relationship;
	for (; *names != NULL; names++)
		if (yyjson_equals_str(key, *names))
			return true;
	return false;
}

/* ---- values ---- */

enum neo4j_kind {
	KIND_NONE, /* the list is empty so far */
	KIND_STRING,
	KIND_BOOL,
	KIND_INTEGER,
	KIND_DOUBLE,
	KIND_TEXT /* nothing that Neo4j holds: its JSON text is stored */
};

/* Numbers are read raw, so that the client's digits arrive as they are. */
static enum neo4j_kind neo4j_number_kind(yyjson_val *value)
{
	const char *digits = yyjson_get_raw(value);

	if (strpbrk(digits, ".eE") != NULL)
		return isfinite(strtod(digits, NULL)) ? KIND_DOUBLE : KIND_TEXT;
	errno = 0;
	(void)strtoll(digits, NULL, 10); /* only whether it fits */
	return errno == 0 ? KIND_INTEGER : KIND_TEXT;
}

static enum neo4j_kind neo4j_scalar_kind(yyjson_val *value)
{
	if (yyjson_is_str(value))
		return KIND_STRING;
	if (yyjson_is_bool(value))
		return KIND_BOOL;
	if (yyjson_is_raw(value))
		return neo4j_number_kind(value);
	return KIND_TEXT;
}

static bool neo4j_list_fits(yyjson_val *list)
{
	enum neo4j_kind kind = KIND_NONE;
	yyjson_val *item;
	size_t i, n;

	yyjson_arr_foreach(list, i, n, item)
	{
		enum neo4j_kind found = neo4j_scalar_kind(item);

		if (found == KIND_TEXT || (kind != KIND_NONE && kind != found))
			return false;
		kind = found;
	}
	return true;
}

static yyjson_mut_val *neo4j_json_text(yyjson_mut_doc *doc, yyjson_val *value)
{
	size_t len = 0;
	char *text = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &len);
	yyjson_mut_val *made = text != NULL ? yyjson_mut_strncpy(doc, text, len) : NULL;

	free(text);
	return made;
}

static yyjson_mut_val *neo4j_value(yyjson_mut_doc *doc, yyjson_val *value)
{
	bool fits = yyjson_is_arr(value) ? neo4j_list_fits(value) : neo4j_scalar_kind(value) != KIND_TEXT;

	return fits ? yyjson_val_mut_copy(doc, value) : neo4j_json_text(doc, value);
}

int neo4j_properties_add(yyjson_mut_doc *doc, yyjson_mut_val *map, enum neo4j_owner owner, struct str json)
{
	yyjson_doc *read;
	yyjson_val *root, *key, *value;
	size_t i, n;
	int rc = 0;

	if (json.at == NULL)
		return 0;
	read = yyjson_read(json.at, json.len, YYJSON_READ_NUMBER_AS_RAW);
	root = yyjson_doc_get_root(read);
	if (!yyjson_is_obj(root)) {
		yyjson_doc_free(read);
		return read != NULL ? -EINVAL : -ENOMEM; /* the protocol has parsed it before */
	}
	yyjson_obj_foreach(root, i, n, key, value)
	{
		if (rc != 0 || yyjson_is_null(value) || neo4j_is_reserved(owner, key))
			continue;
		if (!yyjson_mut_obj_add(map, yyjson_val_mut_copy(doc, key), neo4j_value(doc, value)))
			rc = -ENOMEM;
	}
	yyjson_doc_free(read);
	return rc;
}
