/* The Qdrant adapter against a server named by QDRANT_HOST, QDRANT_PORT and QDRANT_API_KEY, in a collection of its own.
 */
#include "live_store.h"
#include "stores/qdrant/qdrant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include <cmocka.h>

#define COLLECTION "sagad-live-test"

static const struct store_schema schema = {.dims = 2, .distance = "dot", .hnsw_m = 8};
static struct http_client *reader;
static struct store *store;

/* ---- looking ---- */

static yyjson_doc *ask(const char *method, const char *path, const char *body)
{
	struct buf reply = live_fetch(reader, method, path, body);
	yyjson_doc *doc = reply.at != NULL ? yyjson_read(reply.at, reply.len, 0) : NULL;

	buf_fini(&reply);
	return doc;
}

static uint64_t count_points(void)
{
	yyjson_doc *doc = ask("POST", "/collections/" COLLECTION "/points/count", "{\"exact\":true}");
	uint64_t n = yyjson_get_uint(yyjson_ptr_get(yyjson_doc_get_root(doc), "/result/count"));

	yyjson_doc_free(doc);
	return n;
}

static yyjson_doc *scroll(void)
{
	return ask("POST", "/collections/" COLLECTION "/points/scroll",
		   "{\"limit\":1000,\"with_payload\":true,\"with_vector\":true}");
}

static void drop(void)
{
	yyjson_doc_free(ask("DELETE", "/collections/" COLLECTION, NULL));
}

static struct store *make_store(const char *host, uint16_t port, const char *key, uint32_t max_points)
{
	const struct qdrant_config config = {.host = host,
					     .port = port,
					     .api_key = key,
					     .collection = COLLECTION,
					     .max_points = max_points,
					     .connect_timeout_ms = 1000};
	struct store *made;
	struct err err;

	if (qdrant_create(&live_loop, &config, NULL, &made, &err) != 0)
		fail_msg("%s", err.text);
	return made;
}

static struct store *make_default(uint32_t max_points)
{
	return make_store(live_env("QDRANT_HOST"), (uint16_t)atoi(live_env("QDRANT_PORT")), getenv("QDRANT_API_KEY"),
			  max_points);
}

static int fresh(void **state)
{
	(void)state;
	drop();
	store = make_default(0);
	return live_run_init(store, store->ops->init, &schema, false, NULL) == VERDICT_OK ? 0 : -1;
}

static int done(void **state)
{
	(void)state;
	live_close(store);
	drop();
	return 0;
}

static struct document *of_chunks(const char *id, unsigned n_chunks)
{
	struct buf params = {0};
	struct document *document;

	buf_append_format(&params, "{\"id\":\"%s\",\"chunks\":[", id);
	for (unsigned i = 0; i < n_chunks; i++)
		buf_append_format(&params, "%s{\"text\":\"chunk %u\",\"embedding\":[%u,0.5]}", i > 0 ? "," : "", i,
				  i + 1);
	buf_append_text(&params, "]}");
	document = documents_make(params.at);
	buf_fini(&params);
	return document;
}

/* ---- schema ---- */

static void init_is_idempotent_and_refuses_a_misfit(void **state)
{
	const struct store_schema wrong = {.dims = 3, .distance = "dot"};
	struct store_init_req req;

	(void)state;
	assert_int_equal(live_run_init(store, store->ops->init, &schema, false, &req), VERDICT_OK);
	assert_non_null(strstr(req.report, "found"));
	assert_int_equal(live_run_init(store, store->ops->init, &schema, true, &req), VERDICT_OK);
	assert_int_equal(live_run_init(store, store->ops->init, &wrong, false, &req), VERDICT_PERMANENT);
	assert_non_null(strstr(req.err.text, "2 dimensions"));
	assert_non_null(strstr(req.err.text, "3"));
}

static void a_missing_collection_asks_for_init(void **state)
{
	struct document *document = of_chunks("d", 1);
	struct leg_write write = live_apply_of(document, 1);
	struct store_init_req req;

	(void)state;
	drop();
	assert_int_equal(live_one(store, &write), VERDICT_MISCONFIGURED);
	assert_non_null(strstr(write.err.text, "sagactl init"));
	assert_int_equal(live_run_init(store, store->ops->init, &schema, true, &req), VERDICT_MISCONFIGURED);
	assert_int_equal(live_run_init(store, store->ops->ping, NULL, false, &req), VERDICT_MISCONFIGURED);
	document_destroy(document);
}

static void ping_tells_the_version(void **state)
{
	struct store_status status;

	(void)state;
	assert_int_equal(live_run_init(store, store->ops->ping, NULL, false, NULL), VERDICT_OK);
	store->ops->status(store, &status);
	assert_true(status.is_up);
	assert_true(status.version[0] != '\0');
	assert_true(status.n_connections >= 1);
	assert_true(status.latency_ns > 0);
	assert_string_equal(status.last_error.text, "");
}

/* ---- writes ---- */

static void every_field_is_read_back(void **state)
{
	struct document *document = documents_make(
		"{\"id\":\"d'1\\\"\\\\; é\\u0001\\n\",\"chunks\":[{\"id\":\"chunk \\\"x\\\"\",\"text\":\"t\\t\\u20ac "
		"'); DROP\",\"metadata\":{\"page\":7,\"deep\":{\"a\":[1,null]}},\"embedding\":[0.25,-4e0]}]}");
	yyjson_doc *doc;
	yyjson_val *point;

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	doc = scroll();
	point = yyjson_ptr_get(yyjson_doc_get_root(doc), "/result/points/0");
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(point, "/payload/document_id")), document->id.at);
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(point, "/payload/chunk_id")), "chunk \"x\"");
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(point, "/payload/text")), document->chunks[0].text.at);
	assert_int_equal(yyjson_get_int(yyjson_ptr_get(point, "/payload/chunk_index")), 0);
	assert_int_equal(yyjson_get_int(yyjson_ptr_get(point, "/payload/metadata/page")), 7);
	assert_true(yyjson_is_null(yyjson_ptr_get(point, "/payload/metadata/deep/a/1")));
	assert_true(yyjson_get_num(yyjson_ptr_get(point, "/vector/0")) == 0.25);
	assert_true(yyjson_get_num(yyjson_ptr_get(point, "/vector/1")) == -4.0);
	yyjson_doc_free(doc);
	document_destroy(document);
}

static void versions_stand_side_by_side_and_go_by_name(void **state)
{
	struct document *wide = of_chunks("d", 5), *narrow = of_chunks("d", 2);

	(void)state;
	assert_int_equal(live_apply(store, wide, 1), VERDICT_OK);
	assert_int_equal(live_apply(store, wide, 1), VERDICT_OK);
	assert_int_equal(count_points(), 5);
	assert_int_equal(live_apply(store, narrow, 2), VERDICT_OK);
	assert_int_equal(count_points(), 7);
	assert_int_equal(live_remove(store, "d", 1, 5), VERDICT_OK);
	assert_int_equal(live_remove(store, "d", 1, 5), VERDICT_OK);
	assert_int_equal(count_points(), 2);
	assert_int_equal(live_remove(store, "d", 2, STORE_CHUNKS_UNKNOWN), VERDICT_OK);
	assert_int_equal(count_points(), 0);
	assert_int_equal(live_remove(store, "d", 3, 0), VERDICT_OK);
	document_destroy(wide);
	document_destroy(narrow);
}

static void a_batch_becomes_as_many_requests_as_needed(void **state)
{
	struct store *small = make_default(7);
	struct leg_write writes[40], *list[40];
	struct document *documents[40];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		char id[32];
		(void)snprintf(id, sizeof(id), "document %u", i);
		documents[i] = of_chunks(id, i % 6);
		writes[i] = live_apply_of(documents[i], i + 1);
		list[i] = &writes[i];
	}
	(void)live_submit_for(small, list, 40, LIVE_TIMEOUT_NS);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(writes[i].verdict, VERDICT_OK);
	assert_int_equal(count_points(), 6 * (0 + 1 + 2 + 3 + 4 + 5) + (0 + 1 + 2 + 3));
	for (unsigned i = 0; i < 40; i++) {
		writes[i].op = LEG_REMOVE;
		writes[i].document = NULL;
		writes[i].n_chunks = i == 17 ? STORE_CHUNKS_UNKNOWN : i % 6;
	}
	(void)live_submit_for(small, list, 40, LIVE_TIMEOUT_NS);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(writes[i].verdict, VERDICT_OK);
	assert_int_equal(count_points(), 0);
	for (unsigned i = 0; i < 40; i++)
		document_destroy(documents[i]);
	live_close(small);
}

static void a_document_without_chunks_is_done_without_a_request(void **state)
{
	struct store *nowhere = make_store("127.0.0.1", 1, NULL, 0);
	struct document *document = documents_make("{\"id\":\"d\"}");

	(void)state;
	assert_int_equal(live_apply(nowhere, document, 1), VERDICT_OK);
	assert_int_equal(live_remove(nowhere, "d", 1, 0), VERDICT_OK);
	document_destroy(document);
	live_close(nowhere);
}

/* ---- refusals and failures ---- */

static void a_poison_document_refuses_its_whole_batch(void **state)
{
	struct document *good = of_chunks("good", 1);
	struct document *bad = documents_make("{\"id\":\"bad\",\"chunks\":[{\"text\":\"\",\"embedding\":[1,2,3]}]}");
	struct leg_write writes[] = {live_apply_of(good, 1), live_apply_of(bad, 2)};
	struct leg_write *list[] = {&writes[0], &writes[1]};

	(void)state;
	assert_true(live_submit_for(store, list, 2, LIVE_TIMEOUT_NS));
	assert_int_equal(writes[0].verdict, VERDICT_PERMANENT);
	assert_int_equal(writes[1].verdict, VERDICT_PERMANENT);
	assert_non_null(strstr(writes[1].err.text, "dim"));
	assert_false(live_submit_for(store, &list[1], 1, LIVE_TIMEOUT_NS));
	assert_int_equal(writes[1].verdict, VERDICT_PERMANENT);
	assert_int_equal(live_apply(store, good, 1), VERDICT_OK);
	assert_int_equal(count_points(), 1);
	document_destroy(good);
	document_destroy(bad);
}

static void a_wrong_key_is_the_operators(void **state)
{
	struct store *wrong = make_store(live_env("QDRANT_HOST"), (uint16_t)atoi(live_env("QDRANT_PORT")), "wrong", 0);
	struct document *document = of_chunks("d", 1);
	struct leg_write write = live_apply_of(document, 1);

	(void)state;
	if (getenv("QDRANT_API_KEY") != NULL) {
		assert_int_equal(live_one(wrong, &write), VERDICT_MISCONFIGURED);
		assert_non_null(strstr(write.err.text, "API key"));
	}
	document_destroy(document);
	live_close(wrong);
}

static void a_refused_connection_is_an_outage(void **state)
{
	struct store *nowhere = make_store("127.0.0.1", 1, NULL, 0);
	struct document *document = of_chunks("d", 1);
	struct leg_write write = live_apply_of(document, 1);
	struct store_status status;

	(void)state;
	assert_int_equal(live_one(nowhere, &write), VERDICT_OUTAGE);
	assert_non_null(strstr(write.err.text, "127.0.0.1:1"));
	nowhere->ops->status(nowhere, &status);
	assert_false(status.is_up);
	assert_true(status.was_tried);
	assert_int_equal(live_run_init(nowhere, nowhere->ops->ping, NULL, false, NULL), VERDICT_OUTAGE);
	document_destroy(document);
	live_close(nowhere);
}

/* Longer than the server's 5 s of keep-alive: the connection that is gone must not be noticed. */
static void an_idle_connection_is_not_missed(void **state)
{
	struct document *document = of_chunks("d", 1);

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	live_wait_ms(6000);
	assert_int_equal(live_apply(store, document, 2), VERDICT_OK);
	assert_int_equal(count_points(), 2);
	document_destroy(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(init_is_idempotent_and_refuses_a_misfit, fresh, done),
		cmocka_unit_test_setup_teardown(a_missing_collection_asks_for_init, fresh, done),
		cmocka_unit_test_setup_teardown(ping_tells_the_version, fresh, done),
		cmocka_unit_test_setup_teardown(every_field_is_read_back, fresh, done),
		cmocka_unit_test_setup_teardown(versions_stand_side_by_side_and_go_by_name, fresh, done),
		cmocka_unit_test_setup_teardown(a_batch_becomes_as_many_requests_as_needed, fresh, done),
		cmocka_unit_test_setup_teardown(a_document_without_chunks_is_done_without_a_request, fresh, done),
		cmocka_unit_test_setup_teardown(a_poison_document_refuses_its_whole_batch, fresh, done),
		cmocka_unit_test_setup_teardown(a_wrong_key_is_the_operators, fresh, done),
		cmocka_unit_test_setup_teardown(a_refused_connection_is_an_outage, fresh, done),
		cmocka_unit_test_setup_teardown(an_idle_connection_is_not_missed, fresh, done),
	};
	struct http_config config = {.store = "reader",
				     .host = live_env("QDRANT_HOST"),
				     .port = (uint16_t)atoi(live_env("QDRANT_PORT")),
				     .connect_timeout_ms = 3000,
				     .idle_s = 1,
				     .max_idle = 1,
				     .reply_max_bytes = 16u << 20};
	char key[300];
	struct err err;
	int rc;

	(void)snprintf(key, sizeof(key), "api-key: %s",
		       getenv("QDRANT_API_KEY") != NULL ? getenv("QDRANT_API_KEY") : "");
	config.header = key;
	(void)uv_loop_init(&live_loop);
	if (http_client_create(&live_loop, &config, NULL, &reader, &err) != 0) {
		(void)printf("%s\n", err.text);
		return 1;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	live_http_close(reader);
	return uv_loop_close(&live_loop) == 0 ? rc : 1; /* a handle that is left is a leak */
}
