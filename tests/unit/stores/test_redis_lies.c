/* The Redis adapter against a server that lies: a thread with a listening socket that plays a script to each client.
 * Nothing of it may crash the program, leak, or let a write count as done. */
#include "lib/documents.h"
#include "stores/redis/redis.h"
#include "stores/redis/redis_tls.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

/* What the server does with one client. It first reads the greeting (PING), except when it speaks at once. */
struct lie {
	bool at_once;         /* speaks before it has read anything */
	const char *greeting; /* the answer to PING; NULL: none */
	const char *answer;   /* after the request's first bytes; NULL: none */
	uint32_t repeat;      /* how often the answer is sent; 0 is once */
	bool closes;          /* afterwards; else it waits for the client to go */
	enum verdict verdict; /* what the first write must get */
	bool is_up;           /* what it says is odd and no fault of the server */
};

struct liar {
	pthread_t thread;
	int listener;
	uint16_t port;
	const struct lie *lie;
	int stop[2];
};

static uv_loop_t loop;

static bool say(int client, const char *text)
{
	size_t len = strlen(text);

	return send(client, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Is there something to read, before the test ends? */
static bool wait_for(const struct liar *liar, int fd)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = liar->stop[0], .events = POLLIN}};

	return poll(fds, 2, -1) > 0 && (fds[1].revents & POLLIN) == 0;
}

static bool swallow(const struct liar *liar, int client)
{
	static char bytes[65536]; /* one liar at a time */

	return wait_for(liar, client) && recv(client, bytes, sizeof(bytes), 0) > 0;
}

static void lie_to(const struct liar *liar, int client)
{
	const struct lie *lie = liar->lie;

	if (!lie->at_once && !swallow(liar, client))
		return;
	if (lie->greeting != NULL && !say(client, lie->greeting))
		return;
	while (swallow(liar, client)) {
		for (uint32_t i = 0; lie->answer != NULL && i <= lie->repeat; i++)
			if (!say(client, lie->answer))
				return;
		if (lie->closes)
			return;
	}
}

static void *liar_main(void *arg)
{
	struct liar *liar = arg;

	while (wait_for(liar, liar->listener)) {
		int client = accept(liar->listener, NULL, NULL);
		if (client < 0)
			continue;
		lie_to(liar, client);
		(void)close(client);
	}
	return NULL;
}

static void liar_start(struct liar *liar, const struct lie *lie)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*liar = (struct liar){.lie = lie, .listener = socket(AF_INET, SOCK_STREAM, 0)};
	assert_true(liar->listener >= 0);
	assert_int_equal(bind(liar->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(liar->listener, 8), 0);
	assert_int_equal(getsockname(liar->listener, (struct sockaddr *)&address, &size), 0);
	liar->port = ntohs(address.sin_port);
	assert_int_equal(pipe(liar->stop), 0);
	assert_int_equal(pthread_create(&liar->thread, NULL, liar_main, liar), 0);
}

static void liar_stop(struct liar *liar)
{
	assert_int_equal(write(liar->stop[1], "x", 1), 1);
	assert_int_equal(pthread_join(liar->thread, NULL), 0);
	(void)close(liar->stop[0]);
	(void)close(liar->stop[1]);
	(void)close(liar->listener);
}

/* ---- requests ---- */

struct asked {
	struct store_req req;
	struct store_init_req init;
	uint32_t n_done;
};

static void on_done(struct store_req *req)
{
	container_of(req, struct asked, req)->n_done++;
}

static void on_init_done(struct store_init_req *req)
{
	container_of(req, struct asked, init)->n_done++;
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

static struct store *make_store(uint16_t port)
{
	const struct redis_config config = {.host = "127.0.0.1",
					    .port = port,
					    .connect_timeout_ms = 150,
					    .admin_timeout_ms = 150,
					    .connections = 1};
	struct store *store;
	struct err err = {0};

	if (redis_store_create(&loop, &config, NULL, &store, &err) != 0)
		fail_msg("%s", err.text);
	return store;
}

static void close_store(struct store *store)
{
	bool is_closed = false;

	store->ops->close(store, on_closed, &is_closed);
	assert_false(is_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(is_closed);
}

#define N_WRITES 3

static void submit_and_wait(struct store *store, struct leg_write *writes, bool *out_is_shared)
{
	struct leg_write *pointers[N_WRITES];
	struct asked asked = {
		.req = {.writes = pointers, .n_writes = N_WRITES, .timeout_ns = 150000000, .done = on_done}};

	for (uint32_t i = 0; i < N_WRITES; i++) {
		writes[i] = (struct leg_write){.op = LEG_REMOVE, .saga = documents_saga(i), .document_id = str_of("d")};
		pointers[i] = &writes[i];
	}
	store->ops->submit(store, &asked.req);
	assert_int_equal(asked.n_done, 0);
	while (asked.n_done == 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(asked.n_done, 1);
	*out_is_shared = asked.req.is_shared;
}

static void play(const struct lie *lie)
{
	struct leg_write writes[N_WRITES];
	struct asked ping = {.init.done = on_init_done};
	struct store_status status;
	struct liar liar;
	struct store *store;
	bool is_shared;

	liar_start(&liar, lie);
	store = make_store(liar.port);
	for (int round = 0; round < 2; round++) { /* the connection can be used again after it */
		submit_and_wait(store, writes, &is_shared);
		/* The first write's verdict; the others must not be better than what was answered. */
		if (writes[0].verdict != lie->verdict)
			fail_msg("\"%s\" \"%s\": verdict %d: %s", lie->greeting != NULL ? lie->greeting : "-",
				 lie->answer != NULL ? lie->answer : "-", writes[0].verdict, writes[0].err.text);
		assert_int_not_equal(writes[N_WRITES - 1].verdict, VERDICT_OK);
		assert_non_null(strstr(writes[N_WRITES - 1].err.text, "redis"));
	}
	close_store(store);
	store = make_store(liar.port); /* the liar serves one connection at a time */
	store->ops->ping(store, &ping.init);
	while (ping.n_done == 0)
		uv_run(&loop, UV_RUN_ONCE);
	store->ops->status(store, &status);
	assert_int_equal(ping.init.verdict == VERDICT_OK, lie->is_up);
	assert_int_equal(status.is_up, lie->is_up);
	close_store(store);
	liar_stop(&liar);
}

#define PONG "+PONG\r\n"

static const struct lie lies[] = {
	{.closes = true, .verdict = VERDICT_OUTAGE},
	{.verdict = VERDICT_OUTAGE}, /* silent from the start */
	{.greeting = "HTTP/1.1 400 Bad Request\r\n\r\n", .closes = true, .verdict = VERDICT_OUTAGE},
	{.greeting = "\x15\x03\x01\x02\x02", .closes = true, .verdict = VERDICT_OUTAGE},
	{.greeting = ":1\r\n", .verdict = VERDICT_OUTAGE},
	{.greeting = "*1\r\n$4\r\nPONG\r\n", .verdict = VERDICT_OUTAGE},
	{.greeting = "+PO", .closes = true, .verdict = VERDICT_OUTAGE},
	{.greeting = "-NOAUTH Authentication required.\r\n", .verdict = VERDICT_MISCONFIGURED},
	{.greeting = "-ERR max number of clients reached\r\n", .closes = true, .verdict = VERDICT_OUTAGE},
	{.greeting = "-LOADING Redis is loading\r\n", .verdict = VERDICT_TRANSIENT},
	{.greeting = "-\r\n", .verdict = VERDICT_MISCONFIGURED},
	{.at_once = true, .greeting = PONG "+fenced\r\n+fenced\r\n+fenced\r\n", .verdict = VERDICT_OUTAGE},
	{.greeting = PONG "$6\r\nfenced\r\n$6\r\nfenced\r\n$6\r\nfenced\r\n", .verdict = VERDICT_OUTAGE},
	{.greeting = PONG, .verdict = VERDICT_DOUBT}, /* takes the request and never answers */
	{.greeting = PONG, .answer = "", .closes = true, .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "garbage\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "$6\r\nfen", .closes = true, .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "$6\r\nfen", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "$-5\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "$99999999999999999999\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "$2000000000\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "*2147483647\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "*4294967295\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "*-1\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "*0\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG,
	 .answer = "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
	 .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = ">3\r\n+message\r\n+a\r\n+b\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "%1\r\n+a\r\n+b\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = ":7\r\n:7\r\n:7\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "$-1\r\n$-1\r\n$-1\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "+staged\r\n+staged\r\n+staged\r\n", .verdict = VERDICT_DOUBT},
	{.greeting = PONG, .answer = "+fenced\r\n", .closes = true, .verdict = VERDICT_OK}, /* the first one is known */
	{.greeting = PONG, .answer = "-OOM command not allowed\r\n", .repeat = 2, .verdict = VERDICT_OUTAGE},
	{.greeting = PONG, .answer = "-READONLY replica\r\n", .repeat = 2, .verdict = VERDICT_OUTAGE},
	{.greeting = PONG, .answer = "-\r\n-\r\n-\r\n", .verdict = VERDICT_PERMANENT, .is_up = true},
	/* Always NOSCRIPT, also to EVAL: one second round, and no third. */
	{.greeting = PONG, .answer = "-NOSCRIPT No\r\n", .repeat = 2, .verdict = VERDICT_TRANSIENT},
	/* An endless line: what is kept of it is bounded. */
	{.greeting = PONG,
	 .answer = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 .repeat = 100000,
	 .verdict = VERDICT_DOUBT},
	{.greeting = PONG,
	 .answer = "+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	 .repeat = 100000,
	 .verdict = VERDICT_DOUBT},
};

static void no_lie_is_believed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++)
		play(&lies[i]);
}

/* More answers than questions: the writes are done, the surplus costs the connection only. */
static void a_surplus_answer_costs_the_connection(void **state)
{
	static const struct lie lie = {.greeting = PONG, .answer = "+fenced\r\n", .repeat = 5};
	struct leg_write writes[N_WRITES];
	struct store_status status;
	struct liar liar;
	struct store *store;
	bool is_shared;

	(void)state;
	liar_start(&liar, &lie);
	store = make_store(liar.port);
	for (int round = 0; round < 3; round++) {
		submit_and_wait(store, writes, &is_shared);
		for (int i = 0; i < N_WRITES; i++)
			assert_true(writes[i].verdict == VERDICT_OK || writes[i].verdict == VERDICT_DOUBT);
		for (int turn = 0; turn < 20; turn++)
			uv_run(&loop, UV_RUN_NOWAIT);
		store->ops->status(store, &status);
		assert_int_equal(status.n_connections, 0);
	}
	close_store(store);
	liar_stop(&liar);
}

static void a_lost_batch_is_shared(void **state)
{
	static const struct lie lie = {.greeting = PONG, .answer = "", .closes = true};
	struct leg_write writes[N_WRITES];
	struct liar liar;
	struct store *store;
	bool is_shared;

	(void)state;
	liar_start(&liar, &lie);
	store = make_store(liar.port);
	submit_and_wait(store, writes, &is_shared);
	assert_true(is_shared);
	for (int i = 0; i < N_WRITES; i++)
		assert_int_equal(writes[i].verdict, VERDICT_DOUBT);
	close_store(store);
	liar_stop(&liar);
}

static void closing_ends_what_is_out(void **state)
{
	static const struct lie lie = {.greeting = PONG};
	struct leg_write write = {.op = LEG_REMOVE, .document_id = str_of("d")}, *writes[] = {&write};
	struct asked asked = {.req = {.writes = writes, .n_writes = 1, .timeout_ns = UINT64_MAX, .done = on_done}};
	struct asked pings[3] = {0};
	struct liar liar;
	struct store *store;

	(void)state;
	liar_start(&liar, &lie);
	store = make_store(liar.port);
	store->ops->submit(store, &asked.req);
	for (size_t i = 0; i < ARRAY_LEN(pings); i++) {
		pings[i].init.done = on_init_done;
		store->ops->ping(store, &pings[i].init);
	}
	for (int turn = 0; turn < 30; turn++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		(void)usleep(1000);
	}
	assert_int_equal(asked.n_done, 0);
	close_store(store);
	assert_int_equal(asked.n_done, 1);
	assert_true(write.verdict == VERDICT_DOUBT || write.verdict == VERDICT_OUTAGE);
	for (size_t i = 0; i < ARRAY_LEN(pings); i++)
		assert_int_equal(pings[i].n_done, 1);
	liar_stop(&liar);
}

static void nobody_listening_is_an_outage(void **state)
{
	struct leg_write writes[N_WRITES];
	struct store *store = make_store(1); /* tcpmux: nobody has it */
	bool is_shared;

	(void)state;
	submit_and_wait(store, writes, &is_shared);
	assert_int_equal(writes[0].verdict, VERDICT_OUTAGE);
	assert_non_null(strstr(writes[0].err.text, "127.0.0.1:1"));
	assert_non_null(strstr(writes[0].err.text, "refused"));
	assert_false(is_shared);
	close_store(store);
}

static void impossible_configurations_are_refused(void **state)
{
	const struct redis_config wrong[] = {
		{.key_prefix = "a{b"}, {.key_prefix = "a b"},      {.connections = 65},       {.max_batch = 5000},
		{.user = "me"},        {.url = "http://example/"}, {.url = "redis://host/x"},
	};
	const struct redis_config tls = {.url = "rediss://localhost"};
	struct store *store;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err err = {0};
		assert_int_equal(redis_store_create(&loop, &wrong[i], NULL, &store, &err), -EINVAL);
		assert_memory_equal(err.text, "redis", 5);
	}
	if (!redis_tls_is_built()) {
		struct err err = {0};
		assert_int_equal(redis_store_create(&loop, &tls, NULL, &store, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, "hiredis 1.0"));
	}
}

static int loop_setup(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	return uv_loop_init(&loop);
}

static int loop_teardown(void **state)
{
	(void)state;
	return uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_lie_is_believed),
		cmocka_unit_test(a_surplus_answer_costs_the_connection),
		cmocka_unit_test(a_lost_batch_is_shared),
		cmocka_unit_test(closing_ends_what_is_out),
		cmocka_unit_test(nobody_listening_is_an_outage),
		cmocka_unit_test(impossible_configurations_are_refused),
	};

	return cmocka_run_group_tests(tests, loop_setup, loop_teardown);
}
