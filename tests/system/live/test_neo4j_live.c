/* The Neo4j adapter against a server named by NEO4J_URL, NEO4J_USER and NEO4J_PASSWORD. It removes what carries the
 * test's own saga ids, documents and entities, and nothing else. */
#include "live_store.h"
#include "stores/neo4j/neo4j.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include <cmocka.h>

static struct http_client *reader;
static struct store *store;

/* ---- looking ---- */

static yyjson_doc *run(const char *statement)
{
	struct buf body = {0}, reply;
	yyjson_doc *doc;

	buf_append_format(&body, "{\"statements\":[{\"statement\":\"%s\"}]}", statement);
	reply = live_fetch(reader, "POST", "/db/neo4j/tx/commit", body.at);
	doc = reply.at != NULL ? yyjson_read(reply.at, reply.len, 0) : NULL;
	assert_non_null(doc);
	if (yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(doc), "/errors")) > 0)
		fail_msg("%s", reply.at);
	buf_fini(&body);
	buf_fini(&reply);
	return doc;
}

static int64_t number(const char *statement)
{
	yyjson_doc *doc = run(statement);
	int64_t n = yyjson_get_sint(yyjson_ptr_get(yyjson_doc_get_root(doc), "/results/0/data/0/row/0"));

	yyjson_doc_free(doc);
	return n;
}

/* Does this number come within a while? For what the collector does in its own time. */
static bool comes(const char *statement, int64_t wanted)
{
	for (unsigned tries = 0; tries < 200; tries++) {
		if (number(statement) == wanted)
			return true;
		live_wait_ms(50);
	}
	return false;
}

static bool holds(const char *statement)
{
	yyjson_doc *doc = run(statement);
	bool is_true = yyjson_get_bool(yyjson_ptr_get(yyjson_doc_get_root(doc), "/results/0/data/0/row/0"));

	yyjson_doc_free(doc);
	return is_true;
}

/* The test's sagas are of November 2023 (documents_saga()), its entities are of types that begin with "Live". */
static void clean(void)
{
	yyjson_doc_free(run("MATCH (v:Version) WHERE v.saga_id STARTS WITH '018bcfe5-' DETACH DELETE v"));
	yyjson_doc_free(run("MATCH (e:Entity) WHERE e.type STARTS WITH 'Live' DETACH DELETE e"));
}

#define ENTITIES      "MATCH (e:Entity) WHERE e.type STARTS WITH 'Live' "
#define RELATIONSHIPS "MATCH (a:Entity)-[r]->(:Entity) WHERE a.type STARTS WITH 'Live' "
#define DOCUMENTS     "MATCH (d:Document) WHERE d.saga_id STARTS WITH '018bcfe5-' "
#define TOMBSTONES    "MATCH (t:Tombstone) WHERE t.saga_id STARTS WITH '018bcfe5-' "
#define MENTIONS      "MATCH (d:Document)-[m:MENTIONS]->(e:Entity) WHERE e.type STARTS WITH 'Live' "

static struct store *make_store(const char *url, const char *password, uint64_t tombstone_ms)
{
	const struct neo4j_config config = {.url = url,
					    .user = getenv("NEO4J_USER"),
					    .password = password,
					    .tombstone_ms = tombstone_ms,
					    .connect_timeout_ms = 1000,
					    .collect_interval_ms = 50};
	struct store *made;
	struct err err;

	if (neo4j_create(&live_loop, &config, NULL, &made, &err) != 0)
		fail_msg("%s", err.text);
	return made;
}

static int fresh(void **state)
{
	(void)state;
	clean();
	store = make_store(live_env("NEO4J_URL"), live_env("NEO4J_PASSWORD"), 0);
	return live_run_init(store, store->ops->init, NULL, false, NULL) == VERDICT_OK ? 0 : -1;
}

static int done(void **state)
{
	(void)state;
	live_close(store);
	clean();
	return 0;
}

/* Zoë knows Adam, Adam lives in Rome; Adam's birth differs by document. */
static struct document *graph(const char *id, int born)
{
	struct buf params = {0};
	struct document *document;

	buf_append_format(&params,
			  "{\"id\":\"%s\",\"title\":\"T\",\"source\":\"S\",\"entities\":["
			  "{\"type\":\"LivePerson\",\"name\":\"Zoë\"},"
			  "{\"type\":\"LivePerson\",\"name\":\"Adam\",\"properties\":{\"born\":%d}},"
			  "{\"type\":\"LiveCity\",\"name\":\"Rome\"}],\"relationships\":["
			  "{\"from\":{\"type\":\"LivePerson\",\"name\":\"Zoë\"},\"type\":\"KNOWS\","
			  "\"to\":{\"type\":\"LivePerson\",\"name\":\"Adam\"},\"properties\":{\"since\":2}},"
			  "{\"from\":{\"type\":\"LivePerson\",\"name\":\"Adam\"},\"type\":\"LIVES_IN\","
			  "\"to\":{\"type\":\"LiveCity\",\"name\":\"Rome\"}}]}",
			  id, born);
	document = documents_make(params.at);
	buf_fini(&params);
	return document;
}

/* ---- schema ---- */

static void init_is_idempotent(void **state)
{
	struct store_init_req req;
	struct store_status status;

	(void)state;
	assert_int_equal(live_run_init(store, store->ops->init, NULL, false, &req), VERDICT_OK);
	assert_int_equal(live_run_init(store, store->ops->init, NULL, true, &req), VERDICT_OK);
	assert_int_equal(live_run_init(store, store->ops->ping, NULL, false, &req), VERDICT_OK);
	store->ops->status(store, &status);
	assert_true(status.is_up);
	assert_true(status.version[0] >= '5');
	assert_true(status.n_connections >= 1);
}

static void without_constraints_nothing_is_written(void **state)
{
	struct store *fresh_store = make_store(live_env("NEO4J_URL"), live_env("NEO4J_PASSWORD"), 0);
	struct document *document = graph("d", 1970);
	struct leg_write write = live_apply_of(document, 1);
	struct store_init_req req;

	(void)state;
	yyjson_doc_free(run("DROP CONSTRAINT sagad_entity"));
	assert_int_equal(live_one(fresh_store, &write), VERDICT_MISCONFIGURED);
	assert_non_null(strstr(write.err.text, "Entity.key"));
	assert_int_equal(live_run_init(fresh_store, fresh_store->ops->init, NULL, true, &req), VERDICT_MISCONFIGURED);
	assert_int_equal(number(DOCUMENTS "RETURN count(d)"), 0);
	assert_int_equal(live_run_init(fresh_store, fresh_store->ops->init, NULL, false, &req), VERDICT_OK);
	assert_int_equal(live_one(fresh_store, &write), VERDICT_OK);
	document_destroy(document);
	live_close(fresh_store);
}

/* ---- apply ---- */

static void every_field_is_read_back(void **state)
{
	struct document *document = graph("d'1\\\"\\\\ }) DETACH DELETE x //", 1970);

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_true(holds(DOCUMENTS "RETURN d.id = 'd\\\\'1\\\"\\\\\\\\ }) DETACH DELETE x //' AND d.title = 'T' AND "
				    "d.source = 'S' AND labels(d) = ['Version', 'Document'] AND size(keys(d)) = 4"));
	assert_int_equal(number(MENTIONS "RETURN count(m)"), 3);
	assert_true(holds(MENTIONS "AND e.name = 'Adam' RETURN m.ordinal = 1 AND m.born = 1970 AND e.born IS NULL AND "
				   "e.type = 'LivePerson' AND size(e.key) = 64"));
	assert_true(holds("MATCH (a:Entity {name: 'Zoë'})-[r:KNOWS]->(b:Entity {name: 'Adam'}) RETURN r.since = 2 AND "
			  "r.ordinal = 0 AND r.saga_id STARTS WITH '018bcfe5-' AND r.document_id STARTS WITH 'd'"));
	assert_int_equal(number(RELATIONSHIPS "RETURN count(r)"), 2);
	document_destroy(document);
}

static void a_repeated_apply_changes_nothing(void **state)
{
	struct document *document = graph("d", 1970);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(number(DOCUMENTS "RETURN count(d)"), 1);
	assert_int_equal(number(MENTIONS "RETURN count(m)"), 3);
	assert_int_equal(number(RELATIONSHIPS "RETURN count(r)"), 2);
	document_destroy(document);
}

static void a_late_apply_finds_the_tombstone(void **state)
{
	struct document *document = graph("d", 1970), *other = graph("e", 1971);
	struct leg_write late = live_apply_of(document, 1), good = live_apply_of(other, 2);
	struct leg_write *list[] = {&late, &good};

	(void)state;
	assert_int_equal(live_remove(store, "d", 1, 0), VERDICT_OK);
	assert_false(live_submit_for(store, list, 2, LIVE_TIMEOUT_NS));
	assert_int_equal(late.verdict, VERDICT_TRANSIENT);
	assert_non_null(strstr(late.err.text, "removed"));
	assert_int_equal(good.verdict, VERDICT_OK);
	assert_int_equal(number(DOCUMENTS "RETURN count(d)"), 1);
	assert_int_equal(number(MENTIONS "RETURN count(m)"), 3);
	assert_int_equal(live_publish(store, "d", 1), VERDICT_OK);
	assert_int_equal(number(ENTITIES "AND e.born IS NOT NULL RETURN count(e)"), 0);
	document_destroy(document);
	document_destroy(other);
}

static void names_of_all_kinds_are_only_data(void **state)
{
	struct document *document = documents_make(
		"{\"id\":\"d\",\"entities\":[{\"type\":\"Live\",\"name\":\"`]->() DETACH DELETE n //\",\"properties\":{"
		"\"a`b "
		"c'\\\"\":\"x\\u0001\\ny\",\"list\":[\"p\",\"q\"],\"mixed\":[1,\"a\"],\"real\":0.1,\"map\":{\"a\":1}}},"
		"{\"type\":\"Live\",\"name\":\"\xf0\x9f\x90\x98 "
		"\xd0\x96\"}],\"relationships\":[{\"from\":{\"type\":\"Live\","
		"\"name\":\"`]->() DETACH DELETE n //\"},\"type\":\"DELETE\",\"to\":{\"type\":\"Live\",\"name\":"
		"\"\xf0\x9f\x90\x98 \xd0\x96\"},\"properties\":{\"name\":\"n\",\"none\":null}}]}");

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(live_publish(store, "d", 1), VERDICT_OK);
	assert_true(holds(ENTITIES
			  "AND e.list IS NOT NULL RETURN e[\\\"a`b c'\\\\\\\"\\\"] = 'x\\u0001\\ny' AND "
			  "e.list = ['p', 'q'] AND e.mixed = '[1,\\\"a\\\"]' AND e.real = 0.1 AND "
			  "e.map = '{\\\"a\\\":1}' AND e.name = '`]->() DETACH DELETE n //' AND e.ordinal IS NULL"));
	assert_true(holds("MATCH (:Entity {type: 'Live'})-[r:DELETE]->(b) RETURN r.name = 'n' AND r.none IS NULL AND "
			  "b.name = '\xf0\x9f\x90\x98 \xd0\x96'"));
	document_destroy(document);
}

static void a_batch_writes_many_documents(void **state)
{
	struct leg_write writes[100], *list[100];
	struct document *documents[100];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		char id[32];
		(void)snprintf(id, sizeof(id), "document %u", i);
		documents[i] = graph(id, (int)i);
		writes[i] = live_apply_of(documents[i], 1000 - i);
		list[i] = &writes[i];
	}
	(void)live_submit_for(store, list, 100, LIVE_TIMEOUT_NS);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(writes[i].verdict, VERDICT_OK);
	assert_int_equal(number(DOCUMENTS "RETURN count(d)"), 100);
	assert_int_equal(number(MENTIONS "RETURN count(m)"), 300);
	assert_int_equal(number(RELATIONSHIPS "RETURN count(r)"), 200);
	assert_true(comes(ENTITIES "RETURN count(e)", 3));
	for (unsigned i = 0; i < 100; i++)
		writes[i].op = LEG_REMOVE;
	(void)live_submit_for(store, list, 100, LIVE_TIMEOUT_NS);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(writes[i].verdict, VERDICT_OK);
	assert_int_equal(number(RELATIONSHIPS "RETURN count(r)"), 0);
	assert_true(comes(ENTITIES "RETURN count(e)", 0));
	for (unsigned i = 0; i < 100; i++)
		document_destroy(documents[i]);
}

/* ---- publish ---- */

static void the_newest_publish_wins_in_any_order(void **state)
{
	static const unsigned orders[][3] = {{1, 2, 3}, {3, 2, 1}, {2, 3, 1}, {3, 3, 2}};
	struct document *documents[] = {graph("a", 1), graph("b", 2), graph("c", 3)};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		clean();
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(live_apply(store, documents[k], k + 1), VERDICT_OK);
		assert_int_equal(number(ENTITIES "AND e.born IS NOT NULL RETURN count(e)"), 0);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(live_publish(store, "x", orders[i][k]), VERDICT_OK);
		assert_int_equal(number(ENTITIES "AND e.name = 'Adam' RETURN e.born"), 3);
		assert_true(holds(ENTITIES "AND e.name = 'Zoë' RETURN e.updated_by IS NULL"));
	}
	for (unsigned k = 0; k < 3; k++)
		document_destroy(documents[k]);
}

static void only_properties_need_a_publish(void **state)
{
	struct document *with = graph("d", 1);
	struct document *without = documents_make("{\"id\":\"d\",\"entities\":[{\"type\":\"Live\",\"name\":\"n\"}]}");

	(void)state;
	assert_true(store->ops->publishes(store, with));
	assert_false(store->ops->publishes(store, without));
	assert_true(store->ops->publishes(store, NULL));
	assert_int_equal(live_publish(store, "nothing there", 77), VERDICT_OK);
	document_destroy(with);
	document_destroy(without);
}

/* ---- remove ---- */

static void shared_entities_stay_and_lonely_ones_go(void **state)
{
	struct document *document = graph("d", 1970);
	struct document *other =
		documents_make("{\"id\":\"e\",\"entities\":[{\"type\":\"LivePerson\",\"name\":\"Adam\"}]}");

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(live_apply(store, other, 2), VERDICT_OK);
	assert_int_equal(live_remove(store, "d", 1, 0), VERDICT_OK);
	assert_int_equal(number(RELATIONSHIPS "RETURN count(r)"), 0);
	assert_int_equal(number(MENTIONS "RETURN count(m)"), 1);
	assert_true(comes(ENTITIES "RETURN count(e)", 1));
	assert_true(holds(ENTITIES "RETURN e.name = 'Adam'"));
	assert_true(holds(TOMBSTONES
			  "RETURN t.keys IS NULL AND t.id IS NULL AND t.removed_ms > 0 AND t.is_uncollected IS NULL"));
	assert_int_equal(live_remove(store, "d", 1, 0), VERDICT_OK);
	assert_int_equal(live_remove(store, "e", 2, 0), VERDICT_OK);
	assert_true(comes(ENTITIES "RETURN count(e)", 0));
	document_destroy(document);
	document_destroy(other);
}

static void an_overwrite_shrinks(void **state)
{
	struct document *wide = graph("d", 1970);
	struct document *narrow =
		documents_make("{\"id\":\"d\",\"entities\":[{\"type\":\"LiveCity\",\"name\":\"Rome\"}]}");

	(void)state;
	assert_int_equal(live_apply(store, wide, 1), VERDICT_OK);
	assert_int_equal(live_apply(store, narrow, 2), VERDICT_OK);
	assert_int_equal(number(DOCUMENTS "RETURN count(d)"), 2);
	assert_int_equal(live_remove(store, "d", 1, 0), VERDICT_OK);
	assert_int_equal(number(DOCUMENTS "RETURN count(d)"), 1);
	assert_true(comes(ENTITIES "RETURN count(e)", 1));
	assert_int_equal(number(MENTIONS "RETURN count(m)"), 1);
	document_destroy(wide);
	document_destroy(narrow);
}

static void tombstones_expire(void **state)
{
	struct store *hasty = make_store(live_env("NEO4J_URL"), live_env("NEO4J_PASSWORD"), 100);

	(void)state;
	assert_int_equal(live_remove(hasty, "d", 1, 0), VERDICT_OK);
	assert_true(comes(TOMBSTONES "RETURN count(t)", 0));
	live_close(hasty);
}

/* ---- failures ---- */

static void a_wrong_password_is_the_operators(void **state)
{
	struct store *wrong = make_store(live_env("NEO4J_URL"), "not the password", 0);
	struct document *document = graph("d", 1970);
	struct leg_write write = live_apply_of(document, 1);

	(void)state;
	assert_int_equal(live_one(wrong, &write), VERDICT_MISCONFIGURED);
	assert_non_null(strstr(write.err.text, "password"));
	document_destroy(document);
	live_close(wrong);
}

static void a_refused_connection_is_an_outage(void **state)
{
	struct store *nowhere = make_store("http://127.0.0.1:1", "x", 0);
	struct document *document = graph("d", 1970);
	struct leg_write write = live_apply_of(document, 1);

	(void)state;
	assert_int_equal(live_one(nowhere, &write), VERDICT_OUTAGE);
	assert_non_null(strstr(write.err.text, "127.0.0.1:1"));
	document_destroy(document);
	live_close(nowhere);
}

static void a_bolt_url_is_refused_with_advice(void **state)
{
	static const char *const urls[] = {"bolt://h:7687", "http://",     "http://h:0", "http://h:99999",
					   "http://u:p@h",  "http://h/db", "h:7474",     "http://h:7474x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct neo4j_config config = {.url = urls[i]};
		struct store *made;
		struct err err;
		assert_true(neo4j_create(&live_loop, &config, NULL, &made, &err) < 0);
		assert_non_null(strstr(err.text, "http://HOST:PORT"));
		assert_null(strstr(err.text, "u:p"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(init_is_idempotent, fresh, done),
		cmocka_unit_test_setup_teardown(without_constraints_nothing_is_written, fresh, done),
		cmocka_unit_test_setup_teardown(every_field_is_read_back, fresh, done),
		cmocka_unit_test_setup_teardown(a_repeated_apply_changes_nothing, fresh, done),
		cmocka_unit_test_setup_teardown(a_late_apply_finds_the_tombstone, fresh, done),
		cmocka_unit_test_setup_teardown(names_of_all_kinds_are_only_data, fresh, done),
		cmocka_unit_test_setup_teardown(a_batch_writes_many_documents, fresh, done),
		cmocka_unit_test_setup_teardown(the_newest_publish_wins_in_any_order, fresh, done),
		cmocka_unit_test_setup_teardown(only_properties_need_a_publish, fresh, done),
		cmocka_unit_test_setup_teardown(shared_entities_stay_and_lonely_ones_go, fresh, done),
		cmocka_unit_test_setup_teardown(an_overwrite_shrinks, fresh, done),
		cmocka_unit_test_setup_teardown(tombstones_expire, fresh, done),
		cmocka_unit_test_setup_teardown(a_wrong_password_is_the_operators, fresh, done),
		cmocka_unit_test_setup_teardown(a_refused_connection_is_an_outage, fresh, done),
		cmocka_unit_test_setup_teardown(a_bolt_url_is_refused_with_advice, fresh, done),
	};
	struct http_config config = {.store = "reader",
				     .connect_timeout_ms = 3000,
				     .idle_s = 10,
				     .max_idle = 1,
				     .reply_max_bytes = 16u << 20};
	char host[128] = "";
	unsigned port = 7474;
	struct err err;
	int rc;

	if (sscanf(live_env("NEO4J_URL"), "http://%127[^:/]:%u", host, &port) < 1) {
		(void)printf("skipped: NEO4J_URL is not a plain http://HOST:PORT\n");
		return LIVE_SKIP;
	}
	config.host = host;
	config.port = (uint16_t)port;
	config.user = getenv("NEO4J_USER") != NULL ? getenv("NEO4J_USER") : "neo4j";
	config.password = live_env("NEO4J_PASSWORD");
	(void)uv_loop_init(&live_loop);
	if (http_client_create(&live_loop, &config, NULL, &reader, &err) != 0) {
		(void)printf("%s\n", err.text);
		return 1;
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	live_http_close(reader);
	return uv_loop_close(&live_loop) == 0 ? rc : 1; /* a handle that is left is a leak */
}
