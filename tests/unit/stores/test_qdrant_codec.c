#include "base/uuid.h"
#include "lib/documents.h"
#include "stores/qdrant/qdrant_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include <cmocka.h>

static const struct qdrant_limits roomy = {.max_bytes = 1u << 20, .max_points = 1000, .max_ids = 1000};

#define TWO_CHUNKS                                                                                                     \
	"{\"id\":\"d\\\"1\\\\\",\"chunks\":[{\"id\":\"a\",\"text\":\"one\\n\\u0001\",\"embedding\":[0.10, 1e-3],"      \
	"\"metadata\":{\"page\":7}},{\"text\":\"\",\"embedding\":[3,4]}]}"

static struct leg_write apply_of(const struct document *document, uint64_t saga)
{
	return (struct leg_write){
		.op = LEG_APPLY, .saga = documents_saga(saga), .document_id = document->id, .document = document};
}

static struct leg_write remove_of(const char *id, uint64_t saga, uint32_t n_chunks)
{
	return (struct leg_write){
		.op = LEG_REMOVE, .saga = documents_saga(saga), .document_id = str_of(id), .n_chunks = n_chunks};
}

static yyjson_doc *read_body(const struct qdrant_body *body)
{
	yyjson_doc *doc = yyjson_read(body->at, body->len, 0);
	assert_non_null(doc);
	return doc;
}

static yyjson_val *at(yyjson_doc *doc, const char *pointer)
{
	return yyjson_ptr_get(yyjson_doc_get_root(doc), pointer);
}

/* ---- ids ---- */

/* Computed with Python's uuid.uuid5(). The ids in people's stores rest on this value: it must never change. */
static void a_point_id_is_the_name_based_uuid(void **state)
{
	struct uuid saga;
	char id[UUID_TEXT_BYTES];

	(void)state;
	assert_true(uuid_parse(str_of("018bcfe5-6800-7000-8000-000000000001"), &saga));
	qdrant_point_id(str_of("doc"), &saga, 12, id);
	assert_string_equal(id, "63e086c6-3ddc-5604-9dd8-a589e38b16cb");
}

/* ---- upsert ---- */

static void an_upsert_carries_every_field(void **state)
{
	struct document *document = documents_make(TWO_CHUNKS);
	struct leg_write write = apply_of(document, 1), *writes[] = {&write};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	char id[UUID_TEXT_BYTES], saga[UUID_TEXT_BYTES];
	yyjson_doc *doc;

	(void)state;
	assert_int_equal(qdrant_upsert_body(writes, 1, &roomy, &cursor, &body, NULL), 1);
	doc = read_body(&body);
	assert_int_equal(yyjson_arr_size(at(doc, "/points")), 2);
	qdrant_point_id(document->id, &write.saga, 1, id);
	uuid_format(&write.saga, saga);
	assert_string_equal(yyjson_get_str(at(doc, "/points/1/id")), id);
	assert_string_equal(yyjson_get_str(at(doc, "/points/0/payload/document_id")), "d\"1\\");
	assert_string_equal(yyjson_get_str(at(doc, "/points/0/payload/saga_id")), saga);
	assert_string_equal(yyjson_get_str(at(doc, "/points/0/payload/chunk_id")), "a");
	assert_string_equal(yyjson_get_str(at(doc, "/points/1/payload/chunk_id")), "1");
	assert_int_equal(yyjson_get_int(at(doc, "/points/1/payload/chunk_index")), 1);
	assert_string_equal(yyjson_get_str(at(doc, "/points/0/payload/text")), "one\n\x01");
	assert_int_equal(yyjson_get_int(at(doc, "/points/0/payload/metadata/page")), 7);
	assert_null(at(doc, "/points/1/payload/metadata"));
	assert_non_null(strstr(body.at, "[0.10, 1e-3]")); /* the client's own digits */
	yyjson_doc_free(doc);
	qdrant_body_fini(&body);
	assert_int_equal(qdrant_upsert_body(writes, 1, &roomy, &cursor, &body, NULL), 0);
	document_destroy(document);
}

static void a_batch_is_split_by_points(void **state)
{
	const struct qdrant_limits small = {.max_bytes = 1u << 20, .max_points = 3, .max_ids = 3};
	struct document *document = documents_make(TWO_CHUNKS);
	struct leg_write one = apply_of(document, 1), two = apply_of(document, 2), *writes[] = {&one, &two};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	size_t n_points = 0, n_bodies = 0;

	(void)state;
	while (qdrant_upsert_body(writes, 2, &small, &cursor, &body, NULL) == 1) {
		yyjson_doc *doc = read_body(&body);
		n_points += yyjson_arr_size(at(doc, "/points"));
		n_bodies++;
		yyjson_doc_free(doc);
		qdrant_body_fini(&body);
	}
	assert_int_equal(n_points, 4);
	assert_int_equal(n_bodies, 2);
	document_destroy(document);
}

/* The bound holds for the bytes that are really written, escapes included. */
static void a_body_stays_under_its_bytes(void **state)
{
	const struct qdrant_limits small = {.max_bytes = 700, .max_points = 1000, .max_ids = 1000};
	struct document *document = documents_make("{\"id\":\"d\",\"chunks\":[{\"text\":\"\\u0001\\u0002\\\"\\\\\","
						   "\"embedding\":[1]},{\"text\":\"x\",\"embedding\":[2]},"
						   "{\"text\":\"y\",\"embedding\":[3]}]}");
	struct leg_write write = apply_of(document, 1), *writes[] = {&write};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	size_t n_bodies = 0;

	(void)state;
	while (qdrant_upsert_body(writes, 1, &small, &cursor, &body, NULL) == 1) {
		assert_true(body.len <= small.max_bytes);
		n_bodies++;
		qdrant_body_fini(&body);
	}
	assert_int_equal(n_bodies, 2);
	assert_int_equal(cursor.write, 1);
	document_destroy(document);
}

static void a_chunk_that_fits_nowhere_is_named(void **state)
{
	const struct qdrant_limits tiny = {.max_bytes = 200, .max_points = 1000, .max_ids = 1000};
	struct document *document = documents_make(TWO_CHUNKS);
	struct leg_write write = apply_of(document, 1), *writes[] = {&write};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	struct err err;

	(void)state;
	assert_int_equal(qdrant_upsert_body(writes, 1, &tiny, &cursor, &body, &err), -E2BIG);
	assert_non_null(strstr(err.text, "chunk 0"));
	assert_non_null(strstr(err.text, "d\"1"));
	document_destroy(document);
}

static void documents_without_chunks_need_no_request(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct leg_write write = apply_of(document, 1), *writes[] = {&write, &write};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;

	(void)state;
	assert_int_equal(qdrant_upsert_body(writes, 2, &roomy, &cursor, &body, NULL), 0);
	document_destroy(document);
}

/* ---- removal ---- */

static void a_removal_with_known_counts_names_ids(void **state)
{
	struct leg_write one = remove_of("a", 1, 2), two = remove_of("b", 2, 0), three = remove_of("c", 3, 1);
	struct leg_write *writes[] = {&one, &two, &three};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	char id[UUID_TEXT_BYTES];
	yyjson_doc *doc;

	(void)state;
	assert_int_equal(qdrant_remove_body(writes, 3, &roomy, &cursor, &body, NULL), 1);
	doc = read_body(&body);
	assert_int_equal(yyjson_arr_size(at(doc, "/points")), 3);
	qdrant_point_id(str_of("c"), &three.saga, 0, id);
	assert_string_equal(yyjson_get_str(at(doc, "/points/2")), id);
	yyjson_doc_free(doc);
	qdrant_body_fini(&body);
	assert_int_equal(qdrant_remove_body(writes, 3, &roomy, &cursor, &body, NULL), 0);
}

static void a_removal_with_an_unknown_count_filters_by_saga(void **state)
{
	struct leg_write one = remove_of("a", 1, 2), two = remove_of("b", 2, STORE_CHUNKS_UNKNOWN);
	struct leg_write *writes[] = {&one, &two};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	char saga[UUID_TEXT_BYTES];
	yyjson_doc *doc;

	(void)state;
	assert_int_equal(qdrant_remove_body(writes, 2, &roomy, &cursor, &body, NULL), 1);
	doc = read_body(&body);
	uuid_format(&two.saga, saga);
	assert_string_equal(yyjson_get_str(at(doc, "/filter/must/0/key")), "saga_id");
	assert_string_equal(yyjson_get_str(at(doc, "/filter/must/0/match/any/1")), saga);
	yyjson_doc_free(doc);
	qdrant_body_fini(&body);
	assert_int_equal(qdrant_remove_body(writes, 2, &roomy, &cursor, &body, NULL), 0);
}

/* ---- replies ---- */

static void replies_are_judged_by_the_table(void **state)
{
	static const struct {
		uint16_t status;
		const char *reply;
		enum verdict verdict;
		bool is_shared;
	} cases[] = {
		{200, "{\"result\":{\"operation_id\":1,\"status\":\"completed\"},\"status\":\"ok\"}", VERDICT_OK,
		 false},
		{200, "{\"result\":{\"operation_id\":1,\"status\":\"acknowledged\"},\"status\":\"ok\"}", VERDICT_DOUBT,
		 true},
		{200, "{\"result\":{\"operation_id\":1,\"status\":\"wait_timeout\"},\"status\":\"ok\"}", VERDICT_DOUBT,
		 true},
		{200, "{\"result\":{\"operat", VERDICT_DOUBT, true},
		{200, "", VERDICT_DOUBT, true},
		{400, "{\"status\":{\"error\":\"Wrong input: Vector dimension error: expected dim: 4, got 2\"}}",
		 VERDICT_PERMANENT, true},
		{401, "Must provide an API key", VERDICT_MISCONFIGURED, false},
		{403, "{\"status\":{\"error\":\"Forbidden\"}}", VERDICT_MISCONFIGURED, false},
		{404, "", VERDICT_MISCONFIGURED, false},
		{408, "", VERDICT_TRANSIENT, false},
		{422, "{\"status\":{\"error\":\"Validation error\"}}", VERDICT_PERMANENT, true},
		{429, "{\"status\":{\"error\":\"Rate limiting\"}}", VERDICT_TRANSIENT, false},
		{500, "{\"status\":{\"error\":\"Service internal error\"}}", VERDICT_TRANSIENT, true},
		{503, "", VERDICT_TRANSIENT, true},
		{302, "", VERDICT_MISCONFIGURED, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {{0}};
		struct qdrant_answer answer =
			qdrant_write_answer(cases[i].status, str_of(cases[i].reply), "documents", &err);
		assert_int_equal(answer.verdict, cases[i].verdict);
		assert_int_equal(answer.is_shared, cases[i].is_shared);
		assert_int_equal(err.text[0] == '\0', answer.verdict == VERDICT_OK);
	}
}

static void an_error_says_what_the_server_said(void **state)
{
	struct err err;

	(void)state;
	(void)qdrant_answer(404, str_of("{\"status\":{\"error\":\"Not found: Collection `x` doesn't exist!\"}}"), "x",
			    &err);
	assert_non_null(strstr(err.text, "Collection `x` doesn't exist"));
	assert_non_null(strstr(err.text, "sagactl init"));
}

/* ---- collection ---- */

static const char found_text[] =
	"{\"result\":{\"points_count\":3,\"config\":{\"params\":{\"vectors\":{\"size\":384,\"distance\":\"Cosine\"}},"
	"\"hnsw_config\":{\"m\":16,\"ef_construct\":100},\"quantization_config\":{\"scalar\":{\"type\":\"int8\"}}},"
	"\"payload_schema\":{\"saga_id\":{\"data_type\":\"keyword\"}}},\"status\":\"ok\"}";

static void a_collection_is_understood(void **state)
{
	struct qdrant_collection found;

	(void)state;
	assert_int_equal(qdrant_collection_parse(str_of(found_text), &found), 0);
	assert_true(found.is_unnamed);
	assert_int_equal(found.dims, 384);
	assert_string_equal(found.distance, "Cosine");
	assert_int_equal(found.hnsw_m, 16);
	assert_true(found.is_int8);
	assert_true(found.has_saga_index);
	assert_false(found.has_document_index);
	assert_int_equal(found.n_points, 3);
	assert_int_equal(qdrant_collection_parse(str_of("{\"status\":\"ok\"}"), &found), -EPROTO);
	assert_int_equal(qdrant_collection_parse(str_of("<html>"), &found), -EPROTO);
}

static void a_misfit_names_both_sides(void **state)
{
	struct store_schema schema = {.dims = 768, .distance = "cosine"};
	struct qdrant_collection found;
	struct err err;

	(void)state;
	assert_int_equal(qdrant_collection_parse(str_of(found_text), &found), 0);
	assert_int_equal(qdrant_collection_check(&found, &schema, "docs", &err), -EINVAL);
	assert_non_null(strstr(err.text, "384"));
	assert_non_null(strstr(err.text, "768"));
	schema = (struct store_schema){.dims = 384, .distance = "dot"};
	assert_int_equal(qdrant_collection_check(&found, &schema, "docs", &err), -EINVAL);
	assert_non_null(strstr(err.text, "Cosine"));
	assert_non_null(strstr(err.text, "Dot"));
	schema = (struct store_schema){.dims = 384, .distance = "cosine"};
	assert_int_equal(qdrant_collection_check(&found, &schema, "docs", &err), 0);
}

static void a_new_collection_gets_what_was_asked_for(void **state)
{
	const struct store_schema schema = {.dims = 4,
					    .distance = "euclid",
					    .hnsw_m = 8,
					    .hnsw_ef_construct = 64,
					    .on_disk = true,
					    .quantize_int8 = true};
	struct qdrant_body body;
	yyjson_doc *doc;

	(void)state;
	assert_int_equal(qdrant_create_body(&schema, &body), 0);
	doc = read_body(&body);
	assert_int_equal(yyjson_get_int(at(doc, "/vectors/size")), 4);
	assert_string_equal(yyjson_get_str(at(doc, "/vectors/distance")), "Euclid");
	assert_true(yyjson_get_bool(at(doc, "/vectors/on_disk")));
	assert_int_equal(yyjson_get_int(at(doc, "/hnsw_config/m")), 8);
	assert_int_equal(yyjson_get_int(at(doc, "/hnsw_config/ef_construct")), 64);
	assert_string_equal(yyjson_get_str(at(doc, "/quantization_config/scalar/type")), "int8");
	yyjson_doc_free(doc);
	qdrant_body_fini(&body);
}

static void a_version_is_read(void **state)
{
	char version[64];

	(void)state;
	qdrant_version_parse(str_of("{\"title\":\"qdrant - vector search engine\",\"version\":\"1.18.3\"}"), version,
			     sizeof(version));
	assert_string_equal(version, "1.18.3");
	qdrant_version_parse(str_of("{}"), version, sizeof(version));
	assert_string_equal(version, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_point_id_is_the_name_based_uuid),
		cmocka_unit_test(an_upsert_carries_every_field),
		cmocka_unit_test(a_batch_is_split_by_points),
		cmocka_unit_test(a_body_stays_under_its_bytes),
		cmocka_unit_test(a_chunk_that_fits_nowhere_is_named),
		cmocka_unit_test(documents_without_chunks_need_no_request),
		cmocka_unit_test(a_removal_with_known_counts_names_ids),
		cmocka_unit_test(a_removal_with_an_unknown_count_filters_by_saga),
		cmocka_unit_test(replies_are_judged_by_the_table),
		cmocka_unit_test(an_error_says_what_the_server_said),
		cmocka_unit_test(a_collection_is_understood),
		cmocka_unit_test(a_misfit_names_both_sides),
		cmocka_unit_test(a_new_collection_gets_what_was_asked_for),
		cmocka_unit_test(a_version_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
