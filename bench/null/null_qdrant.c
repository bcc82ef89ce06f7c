#include "null_qdrant.h"

#include <string.h>

#define COLLECTION "/collections/documents"
#define DONE       "{\"result\":{\"operation_id\":1,\"status\":\"completed\"},\"status\":\"ok\",\"time\":0.0}"
#define DESCRIPTION                                                                                                    \
	"{\"result\":{\"status\":\"green\",\"points_count\":0,\"config\":{\"params\":{\"vectors\":{\"size\":384,"      \
	"\"distance\":\"Cosine\"}},\"hnsw_config\":{\"m\":16,\"ef_construct\":100}},\"payload_schema\":{"              \
	"\"document_id\":{\"data_type\":\"keyword\"},\"saga_id\":{\"data_type\":\"keyword\"}}},\"status\":\"ok\","     \
	"\"time\":0.0}"

/* An id, a vector of numbers, a payload with what sagad writes into it. */
static bool is_point(yyjson_val *point)
{
	yyjson_val *payload = yyjson_obj_get(point, "payload"), *vector = yyjson_obj_get(point, "vector"), *component;
	size_t i, n;

	if (!yyjson_is_str(yyjson_obj_get(point, "id")) || yyjson_arr_size(vector) == 0)
		return false;
	yyjson_arr_foreach(vector, i, n, component)
	{
		if (!yyjson_is_num(component))
			return false;
	}
	return yyjson_is_str(yyjson_obj_get(payload, "document_id")) &&
	       yyjson_is_str(yyjson_obj_get(payload, "saga_id")) && yyjson_is_str(yyjson_obj_get(payload, "text"));
}

static bool upsert(struct null_web *web, yyjson_val *body, struct buf *out)
{
	yyjson_val *points = yyjson_obj_get(body, "points"), *point;
	size_t i, n;

	yyjson_arr_foreach(points, i, n, point)
	{
		if (!is_point(point))
			return false;
	}
	web->counts.n_items += yyjson_arr_size(points);
	buf_append_text(out, DONE);
	return yyjson_arr_size(points) > 0;
}

bool null_qdrant_answer(struct null_web *web, const char *method, const char *path, yyjson_val *body, struct buf *out)
{
	if (strcmp(method, "PUT") == 0 && strcmp(path, COLLECTION "/points") == 0)
		return upsert(web, body, out);
	if (strcmp(method, "POST") == 0 && strcmp(path, COLLECTION "/points/delete") == 0)
		buf_append_text(out, DONE);
	else if (strcmp(method, "GET") == 0 && strcmp(path, COLLECTION) == 0)
		buf_append_text(out, DESCRIPTION);
	else if (strcmp(method, "GET") == 0 && strcmp(path, "/") == 0)
		buf_append_text(out, "{\"title\":\"qdrant\",\"version\":\"1.18.3\"}");
	else
		return false;
	return true;
}
