/* The client against a server on the same loop that answers, lies, keeps silent or goes. */
#include "base/buf.h"
#include "stores/http/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

#define NS_IN_MS      1000000u
#define REPLY_CAP     1000u
#define OK_REPLY      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define REFUSAL_REPLY "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"

/* ---- the server ---- */

enum manner {
	ANSWER,         /* `reply`, and keep the connection */
	ANSWER_FIRST,   /* `reply` to the first request; the second is read, and its connection ends; then `reply` again
			 */
	ANSWER_ONCE,    /* `reply` to the first request; the second is read, and then the server is gone altogether */
	SILENT,         /* read, never answer */
	HANG_UP,        /* read, then close */
	HALF,           /* `reply`, then close */
	ANSWER_AT_START /* `reply` and close at the first bytes, however many are to come */
};

struct server {
	uv_tcp_t listener;
	bool is_listening;
	enum manner manner;
	const char *reply;
	unsigned n_connections;
	unsigned n_requests;
	struct buf seen; /* all that came */
	uint16_t port;
};

struct visitor {
	uv_tcp_t tcp;
	struct server *server;
	struct buf got;
	char chunk[65536];
};

static uv_loop_t loop;
static struct server server;
static struct http_client *client;

static void visitor_closed(uv_handle_t *handle)
{
	struct visitor *visitor = container_of(handle, struct visitor, tcp);

	buf_fini(&visitor->got);
	free(visitor);
}

static void visitor_leave(struct visitor *visitor)
{
	if (!uv_is_closing((uv_handle_t *)&visitor->tcp))
		uv_close((uv_handle_t *)&visitor->tcp, visitor_closed);
}

static void server_leave(void)
{
	if (server.is_listening)
		uv_close((uv_handle_t *)&server.listener, NULL);
	server.is_listening = false;
}

static void visitor_say(struct visitor *visitor)
{
	uv_buf_t out = uv_buf_init((char *)(uintptr_t)server.reply, (unsigned)strlen(server.reply));

	(void)uv_try_write((uv_stream_t *)&visitor->tcp, &out, 1);
}

/* Is what came a whole request: a head, and as many bytes after it as it says? */
static bool request_is_whole(const struct buf *got)
{
	const char *end = got->at != NULL ? strstr(got->at, "\r\n\r\n") : NULL;
	const char *length = got->at != NULL ? strstr(got->at, "Content-Length: ") : NULL;
	size_t n_body = length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0;

	return end != NULL && got->len >= (size_t)(end + 4 - got->at) + n_body;
}

static void visitor_act(struct visitor *visitor)
{
	server.n_requests++;
	switch (server.manner) {
	case ANSWER:
		visitor_say(visitor);
		break;
	case ANSWER_FIRST:
		if (server.n_requests == 2)
			visitor_leave(visitor);
		else
			visitor_say(visitor);
		break;
	case ANSWER_ONCE:
		if (server.n_requests == 1) {
			visitor_say(visitor);
			break;
		}
		server_leave();
		visitor_leave(visitor);
		break;
	case SILENT:
		break;
	case HALF:
		visitor_say(visitor);
		visitor_leave(visitor);
		break;
	case HANG_UP:
	case ANSWER_AT_START:
		visitor_leave(visitor);
		break;
	}
}

static void visitor_room(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
	struct visitor *visitor = container_of(handle, struct visitor, tcp);

	(void)wanted;
	*out = uv_buf_init(visitor->chunk, sizeof(visitor->chunk));
}

static void visitor_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in)
{
	struct visitor *visitor = container_of(stream, struct visitor, tcp);

	if (n < 0) {
		visitor_leave(visitor);
		return;
	}
	buf_append(&visitor->got, in->base, (size_t)n);
	buf_append(&server.seen, in->base, (size_t)n);
	if (server.manner == ANSWER_AT_START && visitor->got.len == (size_t)n) {
		visitor_say(visitor);
		visitor_act(visitor);
	} else if (server.manner != ANSWER_AT_START && request_is_whole(&visitor->got)) {
		buf_clear(&visitor->got);
		visitor_act(visitor);
	}
}

static void server_visited(uv_stream_t *listener, int status)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	assert_int_equal(status, 0);
	assert_non_null(visitor);
	visitor->server = &server;
	server.n_connections++;
	assert_int_equal(uv_tcp_init(&loop, &visitor->tcp), 0);
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&visitor->tcp), 0);
	assert_int_equal(uv_read_start((uv_stream_t *)&visitor->tcp, visitor_room, visitor_read), 0);
}

static void server_open(void)
{
	struct sockaddr_in at;
	int len = sizeof(at);

	server = (struct server){.manner = ANSWER, .reply = OK_REPLY, .is_listening = true};
	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &at), 0);
	assert_int_equal(uv_tcp_init(&loop, &server.listener), 0);
	assert_int_equal(uv_tcp_bind(&server.listener, (struct sockaddr *)&at, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server.listener, 16, server_visited), 0);
	assert_int_equal(uv_tcp_getsockname(&server.listener, (struct sockaddr *)&at, &len), 0);
	server.port = ntohs(at.sin_port);
}

/* ---- the client ---- */

struct ask {
	struct http_req req;
	bool is_done;
	char text[64]; /* the reply's beginning */
};

static void ask_done(struct http_req *req)
{
	struct ask *ask = container_of(req, struct ask, req);

	(void)snprintf(ask->text, sizeof(ask->text), "%s", req->reply.at != NULL ? req->reply.at : "");
	ask->is_done = true;
	uv_stop(&loop); /* a timer that brought this must not be followed by a wait for the next event */
}

/* Of the next request. */
static bool ask_is_once;
static const char *const *ask_headers; /* two, or NULL */

static void ask_send(struct ask *ask, const char *body, uint64_t timeout_ms)
{
	*ask = (struct ask){.req = {.method = body != NULL ? "PUT" : "GET",
				    .path = "/a/path?wait=true",
				    .body = str_of(body),
				    .timeout_ns = timeout_ms * NS_IN_MS,
				    .headers = ask_headers,
				    .n_headers = ask_headers != NULL ? 2 : 0,
				    .is_once = ask_is_once,
				    .done = ask_done}};
	http_client_submit(client, &ask->req);
	assert_false(ask->is_done); /* later, never from inside */
}

static enum http_outcome ask_wait(struct ask *ask)
{
	while (!ask->is_done)
		(void)uv_run(&loop, UV_RUN_ONCE);
	return ask->req.outcome;
}

static enum http_outcome ask_once(struct ask *ask, const char *body)
{
	ask_send(ask, body, 2000);
	return ask_wait(ask);
}

static void client_open(const char *host, uint16_t port)
{
	const struct http_config config = {.store = "test",
					   .host = host,
					   .port = port,
					   .header = "api-key: secret",
					   .connect_timeout_ms = 1000,
					   .idle_s = 5,
					   .max_idle = 4,
					   .reply_max_bytes = REPLY_CAP};
	struct err err;

	if (http_client_create(&loop, &config, NULL, &client, &err) != 0)
		fail_msg("%s", err.text);
}

static void client_closed(void *arg)
{
	*(bool *)arg = true;
	uv_stop(&loop);
}

static void client_leave(void)
{
	bool is_closed = false;

	http_client_close(client, client_closed, &is_closed);
	while (!is_closed)
		(void)uv_run(&loop, UV_RUN_ONCE);
}

static int set_up(void **state)
{
	(void)state;
	if (uv_loop_init(&loop) != 0)
		return -1;
	server_open();
	client_open("127.0.0.1", server.port);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	client_leave();
	server_leave();
	buf_fini(&server.seen);
	while (uv_run(&loop, UV_RUN_DEFAULT) != 0)
		continue;
	return uv_loop_close(&loop); /* a handle that is left is a leak */
}

/* ---- answers ---- */

static void a_reply_is_handed_over(void **state)
{
	struct ask ask;

	(void)state;
	assert_int_equal(ask_once(&ask, "{\"a\":1}"), HTTP_ANSWERED);
	assert_int_equal(ask.req.status, 200);
	assert_string_equal(ask.text, "hi");
	assert_true(ask.req.latency_ns > 0);
	assert_non_null(strstr(server.seen.at, "PUT /a/path?wait=true HTTP/1.1\r\n"));
	assert_non_null(strstr(server.seen.at, "api-key: secret\r\n"));
	assert_non_null(strstr(server.seen.at, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(server.seen.at, "\r\n\r\n{\"a\":1}"));
}

static void a_connection_is_used_again(void **state)
{
	struct ask ask;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask_once(&ask, i % 2 == 0 ? "{}" : NULL), HTTP_ANSWERED);
	assert_int_equal(server.n_connections, 1);
	assert_int_equal(http_client_connections(client), 1);
}

static void requests_run_side_by_side(void **state)
{
	struct ask asks[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		ask_send(&asks[i], "{}", 2000);
	for (size_t i = 0; i < ARRAY_LEN(asks); i++)
		assert_int_equal(ask_wait(&asks[i]), HTTP_ANSWERED);
	assert_true(http_client_connections(client) <= 5); /* max_idle, and the one that was used last */
}

/* Beyond 1 MB curl would ask for "100-continue" first, and wait. */
static void a_long_body_goes_at_once(void **state)
{
	size_t n = 3u << 20;
	char *body = malloc(n + 1);
	struct ask ask;

	(void)state;
	assert_non_null(body);
	memset(body, 'x', n);
	body[n] = '\0';
	assert_int_equal(ask_once(&ask, body), HTTP_ANSWERED);
	assert_true(ask.req.latency_ns < 900u * NS_IN_MS);
	assert_null(strstr(server.seen.at, "Expect"));
	free(body);
}

/* As Qdrant does with a body over its limit. */
static void an_early_refusal_is_read(void **state)
{
	size_t n = 40u << 20;
	char *body = malloc(n + 1);
	struct ask ask;

	(void)state;
	assert_non_null(body);
	memset(body, 'x', n);
	body[n] = '\0';
	server.manner = ANSWER_AT_START;
	server.reply = REFUSAL_REPLY;
	/* The system may throw the reply away together with the connection; then nobody can know. Never "not sent". */
	if (ask_once(&ask, body) == HTTP_ANSWERED)
		assert_int_equal(ask.req.status, 400);
	else
		assert_int_equal(ask.req.outcome, HTTP_LOST);
	free(body);
}

static void a_redirect_is_not_followed(void **state)
{
	struct ask ask;

	(void)state;
	server.reply = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
	assert_int_equal(ask_once(&ask, NULL), HTTP_ANSWERED);
	assert_int_equal(ask.req.status, 302);
	assert_int_equal(server.n_requests, 1);
}

static void a_proxy_in_the_environment_is_ignored(void **state)
{
	struct ask ask;

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(ask_once(&ask, NULL), HTTP_ANSWERED);
	assert_int_equal(unsetenv("http_proxy"), 0);
}

/* ---- failures: sent or not sent ---- */

static void a_refused_connection_was_not_sent(void **state)
{
	struct ask ask;

	(void)state;
	server_leave();
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(ask_once(&ask, "{}"), HTTP_NOT_SENT);
	assert_int_equal(http_verdict(&ask.req), VERDICT_OUTAGE);
	assert_non_null(strstr(ask.req.err.text, http_client_endpoint(client)));
}

static void silence_is_doubt_after_the_time_out(void **state)
{
	struct ask ask;

	(void)state;
	server.manner = SILENT;
	ask_send(&ask, "{}", 200);
	assert_int_equal(ask_wait(&ask), HTTP_LOST);
	assert_int_equal(http_verdict(&ask.req), VERDICT_DOUBT);
	assert_true(ask.req.latency_ns >= 190u * NS_IN_MS && ask.req.latency_ns < 1900u * NS_IN_MS);
	assert_non_null(strstr(ask.req.err.text, "unknown"));
}

static void a_hang_up_and_half_a_reply_are_doubt(void **state)
{
	struct ask ask;

	(void)state;
	server.manner = HANG_UP;
	assert_int_equal(ask_once(&ask, "{}"), HTTP_LOST);
	server.manner = HALF;
	server.reply = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results\"";
	assert_int_equal(ask_once(&ask, "{}"), HTTP_LOST);
	server.reply = "HTTP/1.1 200 O";
	assert_int_equal(ask_once(&ask, "{}"), HTTP_LOST);
}

/* The kept connection closes after the request was read, and curl tries once more by itself: that this second try is
 * refused must not hide that the first was sent. */
static void a_repeated_request_counts_as_sent(void **state)
{
	struct ask ask;

	(void)state;
	server.manner = ANSWER_ONCE;
	assert_int_equal(ask_once(&ask, "{}"), HTTP_ANSWERED);
	assert_int_equal(ask_once(&ask, "{}"), HTTP_LOST);
	assert_int_equal(server.n_requests, 2);
}

/* With and without a body: curl would send each of them again by itself, and the server would have it twice. */
static void what_must_go_once_is_not_repeated(void **state)
{
	static const char *const bodies[] = {"{}", "", NULL};
	struct ask ask;

	(void)state;
	server.manner = ANSWER_FIRST;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		server.n_requests = 0;
		assert_int_equal(ask_once(&ask, bodies[i]), HTTP_ANSWERED);
		ask_send(&ask, bodies[i], 2000);
		assert_int_equal(ask_wait(&ask), HTTP_ANSWERED); /* curl's own repeating */
		assert_int_equal(server.n_requests, 3);
		server.n_requests = 0;
		assert_int_equal(ask_once(&ask, bodies[i]), HTTP_ANSWERED);
		ask_is_once = true;
		assert_int_equal(ask_once(&ask, bodies[i]), HTTP_LOST);
		ask_is_once = false;
		assert_int_equal(server.n_requests, 2);
		assert_true(ask.req.is_cut);
	}
}

static void a_request_has_headers_of_its_own(void **state)
{
	static const char *const headers[] = {"Idempotency-Key: a/b/do", "X-Empty;"};
	struct ask ask;

	(void)state;
	ask_headers = headers;
	assert_int_equal(ask_once(&ask, "{}"), HTTP_ANSWERED);
	ask_headers = NULL;
	assert_non_null(strstr(server.seen.at, "Idempotency-Key: a/b/do\r\n"));
	assert_non_null(strstr(server.seen.at, "X-Empty:"));
	assert_non_null(strstr(server.seen.at, "api-key: secret\r\n"));
	buf_clear(&server.seen);
	assert_int_equal(ask_once(&ask, "{}"), HTTP_ANSWERED);
	assert_null(strstr(server.seen.at, "Idempotency-Key"));
}

static void a_wish_to_wait_is_handed_on(void **state)
{
	struct ask ask;

	(void)state;
	server.reply = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
	assert_int_equal(ask_once(&ask, "{}"), HTTP_ANSWERED);
	assert_int_equal(ask.req.status, 429);
	assert_int_equal(ask.req.retry_after_s, 7);
}

static void a_reply_over_the_limit_ends(void **state)
{
	struct ask ask;

	(void)state;
	server.manner = HALF;
	server.reply =
		"HTTP/1.1 200 OK\r\n\r\n"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................"
		"................................................................................................";
	assert_true(strlen(server.reply) > REPLY_CAP + 19);
	assert_int_equal(ask_once(&ask, "{}"), HTTP_LOST);
	assert_non_null(strstr(ask.req.err.text, "limit"));
}

static void what_is_no_http_is_doubt(void **state)
{
	struct ask ask;

	(void)state;
	server.manner = HALF;
	server.reply = "SSH-2.0-OpenSSH_9.2\r\n";
	assert_int_equal(ask_once(&ask, "{}"), HTTP_LOST);
}

/* ---- names ---- */

static void a_name_is_looked_up_off_the_loop(void **state)
{
	struct ask ask;
	uint16_t port = server.port;

	(void)state;
	client_leave();
	client_open("localhost", port);
	/* The name may have an IPv6 address that nobody listens at: the next try takes the next address. */
	if (ask_once(&ask, "{}") == HTTP_NOT_SENT)
		assert_int_equal(ask_once(&ask, "{}"), HTTP_ANSWERED);
	assert_int_equal(ask.req.outcome, HTTP_ANSWERED);
	assert_non_null(strstr(server.seen.at, "Host: localhost:"));
}

static void an_unknown_name_is_an_outage(void **state)
{
	struct ask first, second;

	(void)state;
	client_leave();
	client_open("no-such-host.invalid", 1);
	ask_send(&first, "{}", 2000);
	ask_send(&second, "{}", 2000);
	assert_int_equal(ask_wait(&first), HTTP_NOT_SENT);
	assert_int_equal(ask_wait(&second), HTTP_NOT_SENT);
	assert_non_null(strstr(first.req.err.text, "no-such-host.invalid"));
}

static void settings_that_would_inject_are_refused(void **state)
{
	const struct http_config good = {.store = "t",
					 .host = "h",
					 .port = 1,
					 .user = "u",
					 .password = "p",
					 .connect_timeout_ms = 1,
					 .idle_s = 1,
					 .max_idle = 1,
					 .reply_max_bytes = 1};
	struct http_config bad[] = {good, good, good, good, good, good};
	struct http_client *made;
	struct err err;

	(void)state;
	bad[0].header = "api-key: k\r\nX: y";
	bad[1].user = "u:v";
	bad[2].password = "p\n";
	bad[3].host = "h/../x";
	bad[4].host = "h\r\nX: y";
	bad[5].port = 0;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(http_client_create(&loop, &bad[i], NULL, &made, &err), -EINVAL);
		assert_true(err.text[0] != '\0');
	}
}

/* ---- skipping and closing ---- */

static void a_skip_is_reported_later(void **state)
{
	struct ask ask = {.req = {.done = ask_done}};

	(void)state;
	http_client_skip(client, &ask.req);
	assert_false(ask.is_done);
	assert_int_equal(ask_wait(&ask), HTTP_SKIPPED);
	assert_int_equal(server.n_connections, 0);
}

static void closing_ends_what_is_out(void **state)
{
	struct ask asks[3];
	struct ask skipped = {.req = {.done = ask_done}};
	uint16_t port = server.port;

	(void)state;
	server.manner = SILENT;
	ask_send(&asks[0], "{}", 60000);
	while (server.n_requests == 0)
		(void)uv_run(&loop, UV_RUN_ONCE);
	ask_send(&asks[1], "{}", 60000);
	http_client_skip(client, &skipped.req);
	client_leave();
	assert_true(asks[0].is_done && asks[1].is_done && skipped.is_done);
	assert_int_equal(asks[0].req.outcome, HTTP_LOST);
	assert_int_equal(asks[1].req.outcome, HTTP_NOT_SENT);
	client_open("localhost", port);
	ask_send(&asks[2], "{}", 60000); /* waits for its address */
	client_leave();
	assert_true(asks[2].is_done);
	assert_int_equal(asks[2].req.outcome, HTTP_NOT_SENT);
	client_open("127.0.0.1", port);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_reply_is_handed_over),
		TEST(a_connection_is_used_again),
		TEST(requests_run_side_by_side),
		TEST(a_long_body_goes_at_once),
		TEST(an_early_refusal_is_read),
		TEST(a_redirect_is_not_followed),
		TEST(a_proxy_in_the_environment_is_ignored),
		TEST(a_refused_connection_was_not_sent),
		TEST(silence_is_doubt_after_the_time_out),
		TEST(a_hang_up_and_half_a_reply_are_doubt),
		TEST(a_repeated_request_counts_as_sent),
		TEST(what_must_go_once_is_not_repeated),
		TEST(a_request_has_headers_of_its_own),
		TEST(a_wish_to_wait_is_handed_on),
		TEST(a_reply_over_the_limit_ends),
		TEST(what_is_no_http_is_doubt),
		TEST(a_name_is_looked_up_off_the_loop),
		TEST(an_unknown_name_is_an_outage),
		TEST(settings_that_would_inject_are_refused),
		TEST(a_skip_is_reported_later),
		TEST(closing_ends_what_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
