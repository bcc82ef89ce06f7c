/* The Redis adapter against the server named by REDIS_URL, below a key prefix of its own; what needs a server that
 * dies, stops or refuses runs against `redis-server` children of this program. */
#include "live_store.h"
#include "stores/redis/redis.h"
#include "stores/redis/redis_url.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define PREFIX "sagad-live-test"

static struct store *store;
static redisContext *reader;

/* ---- looking ---- */

static void check_reader(redisReply *reply)
{
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		fail_msg("the test's own client failed: %s", reply != NULL ? reply->str : reader->errstr);
}

static void open_reader(void)
{
	struct redis_url url;
	struct err err;

	if (redis_url_parse(live_env("REDIS_URL"), &url, &err) != 0)
		fail_msg("%s", err.text);
	reader = url.path[0] != '\0' ? redisConnectUnix(url.path) : redisConnect(url.host, url.port);
	if (reader == NULL || reader->err != 0)
		fail_msg("no connection for looking: %s", reader != NULL ? reader->errstr : "out of memory");
	if (url.user[0] != '\0')
		freeReplyObject(redisCommand(reader, "AUTH %s %s", url.user, url.password));
	else if (url.password[0] != '\0')
		freeReplyObject(redisCommand(reader, "AUTH %s", url.password));
	if (url.db != 0)
		freeReplyObject(redisCommand(reader, "SELECT %u", url.db));
}

/* "doc:{d}" and so on; NULL: not there. The caller frees it. */
static char *read_key(const char *key)
{
	redisReply *reply = redisCommand(reader, "GET " PREFIX ":%s", key);
	char *value;

	check_reader(reply);
	value = reply->type == REDIS_REPLY_STRING ? strdup(reply->str) : NULL;
	freeReplyObject(reply);
	return value;
}

static bool has_key(const char *key)
{
	char *value = read_key(key);

	free(value);
	return value != NULL;
}

static long long ttl_of(const char *key)
{
	redisReply *reply = redisCommand(reader, "TTL " PREFIX ":%s", key);
	long long ttl;

	check_reader(reply);
	ttl = reply->integer;
	freeReplyObject(reply);
	return ttl;
}

static const char *key_of(const char *kind, const char *id, uint64_t saga)
{
	static char key[256];
	struct uuid uuid = documents_saga(saga);
	char text[UUID_TEXT_BYTES];

	uuid_format(&uuid, text);
	(void)snprintf(key, sizeof(key), "%s:{%s}:%s", kind, id, text);
	return key;
}

static bool is_staged(const char *id, uint64_t saga)
{
	return has_key(key_of("stage", id, saga));
}

static bool is_dead(const char *id, uint64_t saga)
{
	return has_key(key_of("dead", id, saga));
}

/* Is this saga's version the live one? */
static bool is_live(const char *id, uint64_t saga)
{
	char key[256], version[UUID_TEXT_BYTES + 16], text[UUID_TEXT_BYTES];
	struct uuid uuid = documents_saga(saga);
	char *value;
	bool is;

	uuid_format(&uuid, text);
	(void)snprintf(version, sizeof(version), "{\"version\":\"%s\"", text);
	(void)snprintf(key, sizeof(key), "doc:{%s}", id);
	value = read_key(key);
	is = value != NULL && strncmp(value, version, strlen(version)) == 0;
	free(value);
	return is;
}

static void wipe(void)
{
	redisReply *reply = redisCommand(reader, "EVAL %s 0",
					 "for _, key in ipairs(redis.call('KEYS', '" PREFIX
					 ":*')) do redis.call('DEL', key) end return 1");

	check_reader(reply);
	freeReplyObject(reply);
}

static void forget_scripts(void)
{
	redisReply *reply = redisCommand(reader, "SCRIPT FLUSH");

	check_reader(reply);
	freeReplyObject(reply);
}

static struct store *make_store(const char *url)
{
	const struct redis_config config = {.url = url,
					    .key_prefix = PREFIX,
					    .staging_ttl_s = 100,
					    .fence_ttl_s = 200,
					    .cache_ttl_s = 300,
					    .connect_timeout_ms = 500,
					    .admin_timeout_ms = 500,
					    .connections = 2};
	struct store *made;
	struct err err;

	if (redis_store_create(&live_loop, &config, NULL, &made, &err) != 0)
		fail_msg("%s", err.text);
	return made;
}

static int fresh(void **state)
{
	(void)state;
	wipe();
	store = make_store(live_env("REDIS_URL"));
	return 0;
}

static int done(void **state)
{
	(void)state;
	live_close(store);
	wipe();
	return 0;
}

static enum verdict publish(const struct document *document, uint64_t saga, uint32_t ttl_s)
{
	struct leg_write write = {.op = LEG_PUBLISH,
				  .saga = documents_saga(saga),
				  .document_id = document->id,
				  .document = document,
				  .cache_ttl_s = ttl_s};

	return live_one(store, &write);
}

/* ---- what each operation leaves ---- */

static void init_proves_the_rights_and_says_the_version(void **state)
{
	struct store_init_req req;
	struct store_status status;

	(void)state;
	assert_int_equal(live_run_init(store, store->ops->init, NULL, true, &req), VERDICT_OK);
	assert_null(strstr(req.report, "writing works"));
	assert_int_equal(live_run_init(store, store->ops->init, NULL, false, &req), VERDICT_OK);
	assert_non_null(strstr(req.report, "writing works"));
	assert_int_equal(live_run_init(store, store->ops->ping, NULL, false, NULL), VERDICT_OK);
	store->ops->status(store, &status);
	assert_true(status.is_up);
	assert_true(status.version[0] != '\0');
	assert_true(status.latency_ns > 0);
	assert_true(store->ops->publishes(store, NULL));
}

static void a_document_is_staged_then_live(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\",\"title\":\"T\",\"content\":\"hello\"}");
	char *value;

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_true(is_staged("d", 1));
	assert_false(is_live("d", 1));
	assert_in_range(ttl_of(key_of("stage", "d", 1)), 90, 100);
	assert_int_equal(publish(document, 1, 50), VERDICT_OK);
	assert_true(is_live("d", 1));
	assert_false(is_staged("d", 1));
	assert_in_range(ttl_of("doc:{d}"), 40, 50);
	value = read_key("doc:{d}");
	assert_non_null(strstr(value, "\"content\":\"hello\""));
	free(value);
	document_destroy(document);
}

static void a_publish_without_its_staging_key_sets_the_value_again(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\",\"content\":\"hello\"}");

	(void)state;
	assert_int_equal(publish(document, 1, 0), VERDICT_OK);
	assert_true(is_live("d", 1));
	assert_in_range(ttl_of("doc:{d}"), 290, 300); /* the configured TTL */
	document_destroy(document);
}

static void a_publish_in_recovery_uses_what_is_staged_or_drops_the_old(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(live_publish(store, "d", 1), VERDICT_OK);
	assert_true(is_live("d", 1));
	assert_int_equal(live_publish(store, "d", 2), VERDICT_OK); /* nobody has version 2 any more */
	assert_false(has_key("doc:{d}"));
	assert_int_equal(live_publish(store, "d", 3), VERDICT_OK);
	assert_false(has_key("doc:{d}"));
	document_destroy(document);
}

static void a_newer_version_is_never_replaced(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(publish(document, 2, 0), VERDICT_OK);
	assert_int_equal(publish(document, 1, 0), VERDICT_OK);
	assert_true(is_live("d", 2));
	assert_false(is_staged("d", 1));
	assert_int_equal(live_publish(store, "d", 1), VERDICT_OK);
	assert_true(is_live("d", 2));
	document_destroy(document);
}

static void a_removed_saga_stays_away(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct leg_write late = live_apply_of(document, 1);

	(void)state;
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(live_remove(store, "d", 1, 0), VERDICT_OK);
	assert_false(is_staged("d", 1));
	assert_true(is_dead("d", 1));
	assert_in_range(ttl_of(key_of("dead", "d", 1)), 190, 200);
	assert_int_equal(live_one(store, &late), VERDICT_TRANSIENT);
	assert_non_null(strstr(late.err.text, "removed"));
	assert_int_equal(publish(document, 1, 0), VERDICT_OK); /* nothing to do is no failure */
	assert_false(is_staged("d", 1));
	assert_false(has_key("doc:{d}"));
	document_destroy(document);
}

static void a_removal_takes_its_own_version_only(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");

	(void)state;
	assert_int_equal(publish(document, 2, 0), VERDICT_OK);
	assert_int_equal(live_remove(store, "d", 1, 0), VERDICT_OK);
	assert_true(is_live("d", 2));
	assert_int_equal(live_remove(store, "d", 2, 0), VERDICT_OK);
	assert_false(has_key("doc:{d}"));
	document_destroy(document);
}

/* ---- any order, any number of times ---- */

#define N_OPS 6

static enum verdict run_op(const struct document *document, unsigned op)
{
	uint64_t saga = 1 + op / 3;

	if (op % 3 == 0)
		return live_apply(store, document, saga);
	if (op % 3 == 1)
		return publish(document, saga, 0);
	return live_remove(store, "d", saga, 0);
}

/* All orders of apply, publish and remove of two sagas, each operation once and its repetition right behind it. What
 * was removed must be gone whatever came before or after; an unremoved saga can't be in here, so nothing may stay. */
static void all_orders_end_the_same(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	unsigned order[N_OPS] = {0, 1, 2, 3, 4, 5}, count[N_OPS] = {0}, n_orders = 0, i = 0;

	(void)state;
	while (i < N_OPS) { /* Heap's algorithm */
		if (i == 0 || count[i] < i) {
			if (i > 0) {
				unsigned with = i % 2 == 0 ? 0 : count[i], kept = order[with];
				order[with] = order[i];
				order[i] = kept;
				count[i]++;
				i = 0;
			}
			wipe();
			for (unsigned at = 0; at < N_OPS; at++) {
				enum verdict first = run_op(document, order[at]);
				assert_int_equal(run_op(document, order[at]), first);
				assert_true(first == VERDICT_OK || first == VERDICT_TRANSIENT);
			}
			n_orders++;
			assert_false(has_key("doc:{d}"));
			assert_false(is_staged("d", 1) || is_staged("d", 2));
			assert_true(is_dead("d", 1) && is_dead("d", 2));
			i = 1;
			continue;
		}
		count[i++] = 0;
	}
	assert_int_equal(n_orders, 720);
	document_destroy(document);
}

/* Saga 2 is the winner: whatever the order of the rest, its value is the live one at the end. */
static void the_committed_version_wins_in_all_orders(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	static const unsigned orders[][4] = {{0, 1, 2, 4}, {4, 0, 1, 2}, {0, 4, 1, 2}, {0, 4, 2, 1},
					     {2, 4, 0, 1}, {4, 2, 0, 1}, {1, 4, 2, 0}, {0, 1, 4, 2}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		wipe();
		assert_int_equal(live_apply(store, document, 2), VERDICT_OK);
		for (unsigned at = 0; at < 4; at++)
			(void)run_op(document, orders[i][at]); /* its verdict depends on the order */
		assert_true(is_live("d", 2));
		assert_false(is_staged("d", 1) || is_staged("d", 2));
	}
	document_destroy(document);
}

/* ---- batches, scripts, names ---- */

static void a_batch_goes_out_as_one(void **state)
{
	static struct leg_write writes[LIVE_MAX];
	struct leg_write *pointers[LIVE_MAX];
	struct document *document = documents_make("{\"id\":\"d\",\"content\":\"some text\"}");

	(void)state;
	forget_scripts(); /* the first round hears NOSCRIPT for each */
	for (uint64_t i = 0; i < LIVE_MAX; i++) {
		writes[i] = live_apply_of(document, i);
		pointers[i] = &writes[i];
	}
	assert_false(live_submit_for(store, pointers, LIVE_MAX, LIVE_TIMEOUT_NS));
	for (uint64_t i = 0; i < LIVE_MAX; i++) {
		assert_int_equal(writes[i].verdict, VERDICT_OK);
		assert_true(is_staged("d", i));
	}
	document_destroy(document);
}

static void a_large_value_passes(void **state)
{
	size_t n = 6u << 20;
	char *content = malloc(n + 1);
	struct document *document;
	struct document big;

	(void)state;
	assert_non_null(content);
	memset(content, 'x', n);
	content[n] = '\0';
	document = documents_make("{\"id\":\"d\"}");
	big = *document;
	big.content = (struct str){content, n};
	assert_int_equal(live_apply(store, &big, 1), VERDICT_OK);
	assert_int_equal(live_publish(store, "d", 1), VERDICT_OK);
	assert_true(is_live("d", 1));
	document_destroy(document);
	free(content);
}

static void odd_ids_keep_their_keys_apart(void **state)
{
	static const char *const ids[] = {"}", "{", "a}b", "\xf0\x9f\x98\x80 \xc3\xa4", "x\\r\\n*1", "a b", "d}:x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		char params[128];
		struct document *document;
		(void)snprintf(params, sizeof(params), "{\"id\":\"%s\"}", ids[i]);
		document = documents_make(params);
		assert_int_equal(live_apply(store, document, i), VERDICT_OK);
		assert_int_equal(publish(document, i, 0), VERDICT_OK);
		document_destroy(document);
	}
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (i != 4) /* its escapes became the characters themselves */
			assert_true(is_live(ids[i], i));
}

static void what_is_not_ours_is_replaced(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	redisReply *reply = redisCommand(reader, "SADD " PREFIX ":doc:{d} x");

	(void)state;
	check_reader(reply);
	freeReplyObject(reply);
	assert_int_equal(live_apply(store, document, 1), VERDICT_OK);
	assert_int_equal(live_remove(store, "d", 2, 0), VERDICT_OK);
	assert_int_equal(live_publish(store, "d", 1), VERDICT_OK);
	assert_true(is_live("d", 1));
	document_destroy(document);
}

/* ---- servers of our own ---- */

struct server {
	pid_t pid;
	char folder[64];
	char url[128];
};

static bool server_start(struct server *server, const char *option, const char *value)
{
	char path[96];
	struct stat seen;

	strcpy(server->folder, "/tmp/sagad-redis-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	(void)snprintf(path, sizeof(path), "%s/socket", server->folder);
	(void)snprintf(server->url, sizeof(server->url), "unix://%s", path);
	server->pid = fork();
	if (server->pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			(void)dup2(null, STDOUT_FILENO);
		(void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--save", "",
			     "--appendonly", "no", "--dir", server->folder, option, value, NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && stat(path, &seen) != 0; i++) {
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			print_message("no redis-server on PATH: not run\n");
			(void)rmdir(server->folder);
			return false;
		}
		(void)usleep(10000);
	}
	return true;
}

static void server_kill(struct server *server)
{
	if (server->pid > 0) {
		(void)kill(server->pid, SIGKILL);
		(void)waitpid(server->pid, NULL, 0);
	}
	server->pid = 0;
}

static void server_remove(struct server *server)
{
	char path[96];

	server_kill(server);
	(void)snprintf(path, sizeof(path), "%s/socket", server->folder);
	(void)unlink(path);
	(void)rmdir(server->folder);
}

static enum verdict apply_within(struct store *at, const struct document *document, uint64_t saga, uint64_t ms,
				 struct err *out_err)
{
	struct leg_write write = live_apply_of(document, saga), *writes[] = {&write};

	(void)live_submit_for(at, writes, 1, ms * 1000000u);
	*out_err = write.err;
	return write.verdict;
}

static void a_killed_server_is_an_outage_and_its_return_is_noticed(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct store_status status;
	struct server server;
	struct store *own;
	struct err err;
	enum verdict verdict;

	(void)state;
	if (!server_start(&server, "--databases", "4"))
		skip();
	own = make_store(server.url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_OK);
	server_kill(&server);
	verdict = apply_within(own, document, 1, 2000, &err);
	assert_true(verdict == VERDICT_OUTAGE || verdict == VERDICT_DOUBT); /* the EOF may come in between */
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_OUTAGE);
	assert_non_null(strstr(err.text, "redis"));
	own->ops->status(own, &status);
	assert_false(status.is_up);
	server_remove(&server);
	live_close(own);

	if (!server_start(&server, "--databases", "4"))
		skip();
	own = make_store(server.url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_OK);
	live_close(own);
	server_remove(&server);
	document_destroy(document);
}

static void a_stopped_server_is_doubt_within_the_timeout(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct server server;
	struct store *own;
	struct err err;
	uint64_t begun_ns;

	(void)state;
	if (!server_start(&server, "--databases", "4"))
		skip();
	own = make_store(server.url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_OK);
	assert_int_equal(kill(server.pid, SIGSTOP), 0);
	begun_ns = uv_hrtime();
	assert_int_equal(apply_within(own, document, 2, 200, &err), VERDICT_DOUBT);
	assert_true(uv_hrtime() - begun_ns < 1000000000u);
	assert_non_null(strstr(err.text, "in time"));
	/* A new connection is accepted by the kernel, and nobody answers its PING. */
	assert_int_equal(apply_within(own, document, 3, 200, &err), VERDICT_OUTAGE);
	assert_int_equal(live_run_init(own, own->ops->ping, NULL, false, NULL), VERDICT_OUTAGE);
	assert_int_equal(kill(server.pid, SIGCONT), 0);
	assert_int_equal(apply_within(own, document, 2, 2000, &err), VERDICT_OK);
	live_close(own);
	server_remove(&server);
	document_destroy(document);
}

static void a_wrong_password_is_for_the_operator(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct server server;
	struct store *own;
	struct err err;
	char url[160];

	(void)state;
	if (!server_start(&server, "--requirepass", "right"))
		skip();
	own = make_store(server.url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_MISCONFIGURED);
	assert_non_null(strstr(err.text, "NOAUTH"));
	live_close(own);
	(void)snprintf(url, sizeof(url), "unix://:wrong@%s", server.url + strlen("unix://"));
	own = make_store(url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_MISCONFIGURED);
	assert_non_null(strstr(err.text, "WRONGPASS"));
	assert_int_equal(live_run_init(own, own->ops->init, NULL, false, NULL), VERDICT_MISCONFIGURED);
	live_close(own);
	(void)snprintf(url, sizeof(url), "unix://:right@%s?db=9", server.url + strlen("unix://"));
	own = make_store(url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_OK);
	live_close(own);
	(void)snprintf(url, sizeof(url), "unix://:right@%s?db=99", server.url + strlen("unix://"));
	own = make_store(url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_MISCONFIGURED);
	live_close(own);
	server_remove(&server);
	document_destroy(document);
}

/* Staging needs memory; a removal works without any, fence included. */
static void a_full_server_is_an_outage_that_can_be_cleaned_up(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct leg_write removal = {.op = LEG_REMOVE, .saga = documents_saga(1), .document_id = str_of("d")};
	struct store_init_req req;
	struct server server;
	struct store *own;
	struct err err;

	(void)state;
	if (!server_start(&server, "--maxmemory", "1"))
		skip();
	own = make_store(server.url);
	assert_int_equal(apply_within(own, document, 1, 2000, &err), VERDICT_OUTAGE);
	assert_non_null(strstr(err.text, "OOM"));
	assert_int_equal(live_one(own, &removal), VERDICT_OK);
	assert_int_equal(live_run_init(own, own->ops->init, NULL, true, &req), VERDICT_OK);
	live_close(own);
	server_remove(&server);
	document_destroy(document);
}

static void an_unfit_eviction_policy_is_named(void **state)
{
	struct store_init_req req;
	struct server server;
	struct store *own;

	(void)state;
	if (!server_start(&server, "--maxmemory-policy", "allkeys-lru"))
		skip();
	own = make_store(server.url);
	assert_int_equal(live_run_init(own, own->ops->init, NULL, false, &req), VERDICT_OK);
	assert_non_null(strstr(req.report, "allkeys-lru"));
	live_close(own);
	server_remove(&server);
}

static void a_replica_is_refused(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct server server;
	struct store *own;
	struct err err;
	enum verdict verdict;

	(void)state;
	if (!server_start(&server, "--replicaof", "127.0.0.1 1"))
		skip();
	own = make_store(server.url);
	verdict = apply_within(own, document, 1, 2000, &err);
	assert_int_equal(verdict, VERDICT_OUTAGE);
	assert_int_equal(live_run_init(own, own->ops->init, NULL, true, NULL), VERDICT_MISCONFIGURED);
	live_close(own);
	server_remove(&server);
	document_destroy(document);
}

#define LIVE_TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE_TEST(init_proves_the_rights_and_says_the_version),
		LIVE_TEST(a_document_is_staged_then_live),
		LIVE_TEST(a_publish_without_its_staging_key_sets_the_value_again),
		LIVE_TEST(a_publish_in_recovery_uses_what_is_staged_or_drops_the_old),
		LIVE_TEST(a_newer_version_is_never_replaced),
		LIVE_TEST(a_removed_saga_stays_away),
		LIVE_TEST(a_removal_takes_its_own_version_only),
		LIVE_TEST(all_orders_end_the_same),
		LIVE_TEST(the_committed_version_wins_in_all_orders),
		LIVE_TEST(a_batch_goes_out_as_one),
		LIVE_TEST(a_large_value_passes),
		LIVE_TEST(odd_ids_keep_their_keys_apart),
		LIVE_TEST(what_is_not_ours_is_replaced),
		cmocka_unit_test(a_killed_server_is_an_outage_and_its_return_is_noticed),
		cmocka_unit_test(a_stopped_server_is_doubt_within_the_timeout),
		cmocka_unit_test(a_wrong_password_is_for_the_operator),
		cmocka_unit_test(a_full_server_is_an_outage_that_can_be_cleaned_up),
		cmocka_unit_test(an_unfit_eviction_policy_is_named),
		cmocka_unit_test(a_replica_is_refused),
	};
	int n_failed;

	(void)signal(SIGPIPE, SIG_IGN);
	MUST(uv_loop_init(&live_loop) == 0);
	open_reader();
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	redisFree(reader);
	MUST(uv_loop_close(&live_loop) == 0);
	return n_failed;
}
