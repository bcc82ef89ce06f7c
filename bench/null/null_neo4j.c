#include "null_neo4j.h"

#include <inttypes.h>
#include <string.h>

#define CONSTRAINTS                                                                                                    \
	"{\"columns\":[\"type\",\"labelsOrTypes\",\"properties\"],\"data\":["                                          \
	"{\"row\":[\"UNIQUENESS\",[\"Version\"],[\"saga_id\"]]},{\"row\":[\"UNIQUENESS\",[\"Entity\"],[\"key\"]]}]}"
#define COMPONENTS "{\"columns\":[\"name\",\"version\"],\"data\":[{\"row\":[\"Neo4j Kernel\",\"5.26.0\"]}]}"

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* [saga, dead, old, mentions] of each document: all that was sent is there. */
static bool end_apply(struct null_web *web, yyjson_val *parameters, struct buf *out)
{
	yyjson_val *documents = yyjson_obj_get(parameters, "documents"), *document;
	size_t i, n;

	buf_append_text(out, "{\"columns\":[\"saga\",\"dead\",\"old\",\"mentions\"],\"data\":[");
	yyjson_arr_foreach(documents, i, n, document)
	{
		const char *saga = yyjson_get_str(yyjson_obj_get(document, "s"));

		if (saga == NULL)
			return false;
		buf_append_format(out, "%s{\"row\":[\"%s\",false,false,%" PRIu64 "]}", i > 0 ? "," : "", saga,
				  yyjson_get_uint(yyjson_obj_get(document, "m")));
	}
	buf_append_text(out, "]}");
	web->counts.n_items += yyjson_arr_size(documents);
	return yyjson_arr_size(documents) > 0;
}

/* [saga, made]: a row for each relationship; sagad adds them up. */
static bool relate(yyjson_val *parameters, struct buf *out)
{
	yyjson_val *rows = yyjson_obj_get(parameters, "relationships"), *row;
	size_t i, n;

	buf_append_text(out, "{\"columns\":[\"saga\",\"made\"],\"data\":[");
	yyjson_arr_foreach(rows, i, n, row)
	{
		const char *saga = yyjson_get_str(yyjson_obj_get(row, "s"));

		if (saga == NULL || !yyjson_is_str(yyjson_obj_get(row, "a")) ||
		    !yyjson_is_str(yyjson_obj_get(row, "b")) || !yyjson_is_str(yyjson_obj_get(row, "t")))
			return false;
		buf_append_format(out, "%s{\"row\":[\"%s\",1]}", i > 0 ? "," : "", saga);
	}
	buf_append_text(out, "]}");
	return true;
}

static bool mention(yyjson_val *parameters, struct buf *out)
{
	yyjson_val *rows = yyjson_obj_get(parameters, "mentions"), *row;
	size_t i, n;

	yyjson_arr_foreach(rows, i, n, row)
	{
		if (!yyjson_is_str(yyjson_obj_get(row, "s")) || !yyjson_is_str(yyjson_obj_get(row, "k")) ||
		    !yyjson_is_obj(yyjson_obj_get(row, "p")))
			return false;
	}
	buf_append_text(out, "{\"columns\":[],\"data\":[]}");
	return true;
}

/* One row of zeroes: what the collector's statements count. */
static void put_zero(struct buf *out)
{
	buf_append_text(out, "{\"columns\":[\"n\"],\"data\":[{\"row\":[0]}]}");
}

static bool state(struct null_web *web, yyjson_val *statement, struct buf *out)
{
	const char *text = yyjson_get_str(yyjson_obj_get(statement, "statement"));
	yyjson_val *parameters = yyjson_obj_get(statement, "parameters");

	if (text == NULL)
		return false;
	if (begins(text, "UNWIND $documents AS d MATCH"))
		return end_apply(web, parameters, out);
	if (begins(text, "UNWIND $relationships"))
		return relate(parameters, out);
	if (begins(text, "UNWIND $mentions"))
		return mention(parameters, out);
	if (begins(text, "SHOW CONSTRAINTS"))
		buf_append_text(out, CONSTRAINTS);
	else if (begins(text, "CALL dbms.components"))
		buf_append_text(out, COMPONENTS);
	else if (begins(text, "UNWIND $documents AS d MERGE"))
		buf_append_text(out, "{\"columns\":[],\"data\":[]}");
	else if (begins(text, "MATCH (t:"))
		put_zero(out);
	else
		return false; /* removals and publications: an insert of new documents needs none */
	return true;
}

bool null_neo4j_answer(struct null_web *web, const char *method, const char *path, yyjson_val *body, struct buf *out)
{
	yyjson_val *statements = yyjson_obj_get(body, "statements"), *statement;
	size_t i, n;

	if (strcmp(method, "POST") != 0 || strcmp(path, "/db/neo4j/tx/commit") != 0)
		return false;
	buf_append_text(out, "{\"results\":[");
	yyjson_arr_foreach(statements, i, n, statement)
	{
		if (i > 0)
			buf_append_text(out, ",");
		if (!state(web, statement, out))
			return false;
	}
	buf_append_text(out, "],\"errors\":[]}");
	return yyjson_arr_size(statements) > 0;
}
