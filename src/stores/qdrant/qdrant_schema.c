/* The collection: making it, and comparing what is there with what is asked for. */
#include "qdrant_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <yyjson.h>

/* sagad's names, and the server's. */
static const struct {
	const char *ours, *theirs;
} qdrant_distances[] = {{"cosine", "Cosine"}, {"dot", "Dot"}, {"euclid", "Euclid"}, {"manhattan", "Manhattan"}};

static const char *qdrant_distance(const char *ours)
{
	for (size_t i = 0; i < ARRAY_LEN(qdrant_distances); i++)
		if (strcmp(qdrant_distances[i].ours, ours) == 0)
			return qdrant_distances[i].theirs;
	return ours; /* the configuration has checked it; the server refuses what it doesn't know */
}

/* Takes doc. */
static int qdrant_finish(yyjson_mut_doc *doc, yyjson_mut_val *root, bool is_ok, struct qdrant_body *out_body)
{
	struct qdrant_body body = {0};

	yyjson_mut_doc_set_root(doc, root);
	if (is_ok && root != NULL)
		body.at = yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &body.len);
	yyjson_mut_doc_free(doc);
	if (body.at == NULL)
		return -ENOMEM;
	*out_body = body;
	return 0;
}

static bool qdrant_add_hnsw(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct store_schema *schema)
{
	yyjson_mut_val *hnsw;
	bool is_ok;

	if (schema->hnsw_m == 0 && schema->hnsw_ef_construct == 0 && !schema->on_disk)
		return true;
	hnsw = yyjson_mut_obj_add_obj(doc, root, "hnsw_config");
	is_ok = hnsw != NULL;
	if (schema->hnsw_m != 0)
		is_ok = is_ok && yyjson_mut_obj_add_uint(doc, hnsw, "m", schema->hnsw_m);
	if (schema->hnsw_ef_construct != 0)
		is_ok = is_ok && yyjson_mut_obj_add_uint(doc, hnsw, "ef_construct", schema->hnsw_ef_construct);
	if (schema->on_disk)
		is_ok = is_ok && yyjson_mut_obj_add_bool(doc, hnsw, "on_disk", true);
	return is_ok;
}

static bool qdrant_add_int8(yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	yyjson_mut_val *quantization = yyjson_mut_obj_add_obj(doc, root, "quantization_config");
	yyjson_mut_val *scalar = yyjson_mut_obj_add_obj(doc, quantization, "scalar");

	return scalar != NULL && yyjson_mut_obj_add_str(doc, scalar, "type", "int8") &&
	       yyjson_mut_obj_add_bool(doc, scalar, "always_ram", true);
}

int qdrant_create_body(const struct store_schema *schema, struct qdrant_body *out_body)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *vectors = yyjson_mut_obj_add_obj(doc, root, "vectors");
	bool is_ok = vectors != NULL;

	is_ok = is_ok && yyjson_mut_obj_add_uint(doc, vectors, "size", schema->dims);
	is_ok = is_ok && yyjson_mut_obj_add_str(doc, vectors, "distance", qdrant_distance(schema->distance));
	is_ok = is_ok && yyjson_mut_obj_add_bool(doc, vectors, "on_disk", schema->on_disk);
	is_ok = is_ok && qdrant_add_hnsw(doc, root, schema);
	is_ok = is_ok && (!schema->quantize_int8 || qdrant_add_int8(doc, root));
	return qdrant_finish(doc, root, is_ok, out_body);
}

int qdrant_index_body(const char *field, struct qdrant_body *out_body)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc);
	bool is_ok = yyjson_mut_obj_add_str(doc, root, "field_name", field) &&
		     yyjson_mut_obj_add_str(doc, root, "field_schema", "keyword");

	return qdrant_finish(doc, root, is_ok, out_body);
}

/* The layout's number: of ids and payloads. A later sagad that changes either can tell old collections from new. */
int qdrant_mark_body(struct qdrant_body *out_body)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *metadata = yyjson_mut_obj_add_obj(doc, root, "metadata");
	bool is_ok = metadata != NULL && yyjson_mut_obj_add_uint(doc, metadata, "sagad_layout", 1);

	return qdrant_finish(doc, root, is_ok, out_body);
}

/* ---- what is there ---- */

static bool qdrant_is_keyword_index(yyjson_val *schema, const char *field)
{
	return yyjson_equals_str(yyjson_obj_get(yyjson_obj_get(schema, field), "data_type"), "keyword");
}

static void qdrant_vectors_parse(yyjson_val *vectors, struct qdrant_collection *out_found)
{
	yyjson_val *size = yyjson_obj_get(vectors, "size"), *distance = yyjson_obj_get(vectors, "distance");

	/* Named vectors are an object by name, whose members are objects. */
	out_found->is_unnamed = yyjson_is_uint(size) && yyjson_is_str(distance);
	out_found->dims = yyjson_get_uint(size);
	(void)snprintf(out_found->distance, sizeof(out_found->distance), "%s",
		       yyjson_is_str(distance) ? yyjson_get_str(distance) : "");
	out_found->on_disk = yyjson_is_true(yyjson_obj_get(vectors, "on_disk"));
}

int qdrant_collection_parse(struct str reply, struct qdrant_collection *out_found)
{
	yyjson_doc *doc = reply.at != NULL ? yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG) : NULL;
	yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(doc), "result");
	yyjson_val *config = yyjson_obj_get(result, "config"), *hnsw = yyjson_obj_get(config, "hnsw_config");
	yyjson_val *vectors = yyjson_obj_get(yyjson_obj_get(config, "params"), "vectors");
	yyjson_val *scalar = yyjson_obj_get(yyjson_obj_get(config, "quantization_config"), "scalar");
	yyjson_val *schema = yyjson_obj_get(result, "payload_schema");
	int rc = -EPROTO;

	if (yyjson_is_obj(config)) {
		*out_found = (struct qdrant_collection){0};
		qdrant_vectors_parse(vectors, out_found);
		out_found->hnsw_m = yyjson_get_uint(yyjson_obj_get(hnsw, "m"));
		out_found->hnsw_ef_construct = yyjson_get_uint(yyjson_obj_get(hnsw, "ef_construct"));
		out_found->is_int8 = yyjson_equals_str(yyjson_obj_get(scalar, "type"), "int8");
		out_found->has_document_index = qdrant_is_keyword_index(schema, "document_id");
		out_found->has_saga_index = qdrant_is_keyword_index(schema, "saga_id");
		out_found->n_points = yyjson_get_uint(yyjson_obj_get(result, "points_count"));
		rc = 0;
	}
	yyjson_doc_free(doc);
	return rc;
}

int qdrant_collection_check(const struct qdrant_collection *found, const struct store_schema *schema,
			    const char *collection, struct err *err)
{
	if (!found->is_unnamed)
		return err_set(
			err, -EINVAL,
			"qdrant: collection %s has named vectors, sagad needs one unnamed vector: choose another "
			"collection, or delete this one and run sagactl init",
			collection);
	if (found->dims != schema->dims)
		return err_set(err, -EINVAL,
			       "qdrant: collection %s has vectors of %" PRIu64 " dimensions, asked for are %" PRIu32
			       ": choose another collection, or delete this one and run sagactl init",
			       collection, found->dims, schema->dims);
	if (strcmp(found->distance, qdrant_distance(schema->distance)) != 0)
		return err_set(err, -EINVAL,
			       "qdrant: collection %s has the distance %s, asked for is %s: choose another collection, "
			       "or delete this one and run sagactl init",
			       collection, found->distance, qdrant_distance(schema->distance));
	return 0;
}
