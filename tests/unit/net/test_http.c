/* The HTTP server against real sockets: what it answers, and what it does with clients that are slow, large or odd. */
#include "net/http_address.h"
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG_BYTES (32u << 20) /* more than the kernel buffers */

/* The server on a thread of its own, so that a test may block. */
struct rig {
	struct http_server_config config;
	struct http_server *server;
	uv_loop_t loop;
	uv_async_t stop;
	pthread_t thread;
	uint16_t port;
};

static void rig_answer(void *owner, const char *path, struct http_answer *out_answer)
{
	(void)owner;
	if (strcmp(path, "/big") == 0) {
		(void)buf_reserve(&out_answer->body, BIG_BYTES);
		memset(out_answer->body.at, 'b', BIG_BYTES);
		out_answer->body.len = BIG_BYTES;
		out_answer->body.at[BIG_BYTES] = '\0';
	} else if (strcmp(path, "/here") == 0) {
		out_answer->csp = "default-src 'self'";
		buf_append_text(&out_answer->body, "here\n");
	} else {
		out_answer->status = 404;
		buf_append_text(&out_answer->body, "not found\n");
	}
}

static void rig_closed(void *arg)
{
	struct rig *rig = arg;

	uv_close((uv_handle_t *)&rig->stop, NULL);
}

static void rig_on_stop(uv_async_t *async)
{
	struct rig *rig = async->data;

	http_server_close(rig->server, rig_closed, rig);
}

static void *rig_main(void *arg)
{
	struct rig *rig = arg;

	assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
	return NULL;
}

static void rig_prepare(struct rig *rig)
{
	*rig = (struct rig){.config = {.listen = "127.0.0.1:0",
				       .max_connections = 4,
				       .max_header_bytes = 4096,
				       .max_wait_ms = 1000,
				       .answer = rig_answer}};
	assert_int_equal(uv_loop_init(&rig->loop), 0);
}

static void rig_start(struct rig *rig)
{
	struct err err;

	assert_int_equal(http_server_create(&rig->loop, &rig->config, &rig->server, &err), 0);
	assert_true(http_server_is_loopback(rig->server));
	rig->port = (uint16_t)atoi(strrchr(http_server_address(rig->server), ':') + 1);
	assert_int_not_equal(rig->port, 0);
	assert_int_equal(uv_async_init(&rig->loop, &rig->stop, rig_on_stop), 0);
	rig->stop.data = rig;
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_main, rig), 0);
}

static void rig_stop(struct rig *rig)
{
	assert_int_equal(uv_async_send(&rig->stop), 0);
	assert_int_equal(pthread_join(rig->thread, NULL), 0);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
}

static int dial(const struct rig *rig)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
	struct timeval limit = {.tv_sec = 8};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads to the end of the connection, or until the text has `enough` in it. */
static void hear(int fd, const char *enough, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;

	to[0] = '\0';
	while (len < size - 1 && (enough == NULL || strstr(to, enough) == NULL)) {
		n = recv(fd, to + len, size - 1 - len, 0);
		assert_true(n >= 0 || errno == ECONNRESET);
		if (n <= 0)
			return;
		len += (size_t)n;
		to[len] = '\0';
	}
}

/* One request on a connection of its own. */
static void ask(const struct rig *rig, const char *request, char *to, size_t size)
{
	int fd = dial(rig);

	say(fd, request);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	hear(fd, NULL, to, size);
	close(fd);
}

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static void answers_with_the_headers_that_a_page_needs(void **state)
{
	char got[4096];
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	ask(&rig, "GET /here HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", got, sizeof(got));
	assert_true(begins_with(got, "HTTP/1.1 200 "));
	assert_non_null(strstr(got, "Content-Security-Policy: default-src 'self'\r\n"));
	assert_non_null(strstr(got, "X-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(got, "Cache-Control: no-store\r\n"));
	assert_non_null(strstr(got, "\r\n\r\nhere\n"));
	ask(&rig, "HEAD /here HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", got, sizeof(got));
	assert_true(begins_with(got, "HTTP/1.1 200 "));
	assert_non_null(strstr(got, "Content-Length: 5\r\n"));
	assert_null(strstr(got, "here\n"));
	ask(&rig, "GET /elsewhere?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", got, sizeof(got));
	assert_true(begins_with(got, "HTTP/1.1 404 "));
	assert_non_null(strstr(got, "default-src 'none'"));
	rig_stop(&rig);
}

static void one_connection_serves_many_requests(void **state)
{
	char got[4096];
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(&rig);
	for (int i = 0; i < 50; i++) {
		say(fd, "GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n");
		hear(fd, "here\n", got, sizeof(got));
		assert_true(begins_with(got, "HTTP/1.1 200 "));
	}
	close(fd);
	rig_stop(&rig);
}

static void nothing_but_reading_is_possible(void **state)
{
	static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"};
	char got[4096], request[256];
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		snprintf(request, sizeof(request),
			 "%s /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", methods[i]);
		ask(&rig, request, got, sizeof(got));
		assert_true(begins_with(got, "HTTP/1.1 405 "));
		assert_non_null(strstr(got, "Allow: GET, HEAD\r\n"));
	}
	rig_stop(&rig);
}

static void another_name_for_this_machine_is_refused(void **state)
{
	static const char *const evil[] = {"evil.example", "evil.example:7242", "localhost.evil.example",
					   "127.0.0.1.nip.io"};
	static const char *const good[] = {"localhost", "localhost:7242", "127.0.0.1:7242", "[::1]:7242", "10.0.0.1"};
	char got[4096], request[256];
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		snprintf(request, sizeof(request), "GET /here HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			 evil[i]);
		ask(&rig, request, got, sizeof(got));
		assert_true(begins_with(got, "HTTP/1.1 421 "));
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(request, sizeof(request), "GET /here HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
			 good[i]);
		ask(&rig, request, got, sizeof(got));
		assert_true(begins_with(got, "HTTP/1.1 200 "));
	}
	rig_stop(&rig);
}

static void odd_requests_end_their_connection_only(void **state)
{
	static const char *const odd[] = {
		"\r\n\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"GET /here HTTP/9.9\r\n\r\n",
		"GET /%00%ff%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /here HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"GET /here HTTP/1.1\r\nno colon here\r\n\r\n",
		"{\"jsonrpc\":\"2.0\"}\n",
	};
	char got[8192];
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		ask(&rig, odd[i], got, sizeof(got));
		assert_true(got[0] == '\0' || begins_with(got, "HTTP/1."));
		ask(&rig, "GET /here HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", got, sizeof(got));
		assert_true(begins_with(got, "HTTP/1.1 200 "));
	}
	rig_stop(&rig);
}

static void headers_without_end_cost_a_bounded_memory(void **state)
{
	char got[4096], line[1024];
	struct rig rig;
	int fd;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(&rig);
	say(fd, "GET /here HTTP/1.1\r\nX-Long: ");
	for (int i = 0; i < 64; i++)
		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
			break;
	hear(fd, NULL, got, sizeof(got));
	assert_true(got[0] == '\0' || begins_with(got, "HTTP/1.1 431 ") || begins_with(got, "HTTP/1.1 413 "));
	close(fd);
	rig_stop(&rig);
}

/* A byte now and then is no silence, and still ends. */
static void who_sends_slowly_is_cut_off(void **state)
{
	char got[256];
	struct rig rig;
	uint64_t began_ns = uv_hrtime();
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(&rig);
	say(fd, "GET /here HTTP/1.1\r\n");
	for (int i = 0; i < 40; i++) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(100000);
	}
	hear(fd, NULL, got, sizeof(got));
	assert_true(uv_hrtime() - began_ns < 6000000000u);
	close(fd);
	rig_stop(&rig);
}

static void who_reads_nothing_is_cut_off(void **state)
{
	static char got[65536];
	struct rig rig;
	size_t n_read = 0;
	ssize_t n;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(&rig);
	say(fd, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
	sleep(3);
	while ((n = recv(fd, got, sizeof(got), 0)) > 0)
		n_read += (size_t)n;
	assert_true(n_read < BIG_BYTES);
	close(fd);
	rig_stop(&rig);
}

static void a_large_answer_arrives_whole(void **state)
{
	static char got[BIG_BYTES + 4096];
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	ask(&rig, "GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", got, sizeof(got));
	assert_int_equal(strlen(strstr(got, "\r\n\r\n") + 4), BIG_BYTES);
	rig_stop(&rig);
}

/* More than max_connections wait in the kernel; they are served when the idle ones were cut off. */
static void idle_connections_keep_nobody_out_for_long(void **state)
{
	char got[4096];
	struct rig rig;
	int idle[8];

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	for (size_t i = 0; i < 8; i++)
		idle[i] = dial(&rig);
	ask(&rig, "GET /here HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", got, sizeof(got));
	assert_true(begins_with(got, "HTTP/1.1 200 "));
	for (size_t i = 0; i < 8; i++)
		close(idle[i]);
	rig_stop(&rig);
}

static void closing_ends_what_is_open(void **state)
{
	char got[64];
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(&rig);
	say(fd, "GET /here HTTP/1.1\r\n");
	usleep(20000);
	rig_stop(&rig);
	hear(fd, NULL, got, sizeof(got));
	assert_string_equal(got, "");
	close(fd);
}

static void a_taken_port_is_named(void **state)
{
	struct rig rig;
	struct http_server_config config;
	struct http_server *second;
	struct err err;
	char listen[64];
	uv_loop_t loop;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	config = rig.config;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", rig.port);
	config.listen = listen;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(http_server_create(&loop, &config, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, listen));
	assert_int_equal(uv_loop_close(&loop), 0);
	rig_stop(&rig);
}

static void addresses_are_numbers(void **state)
{
	static const char *const good[] = {"127.0.0.1:7242", "127.8.8.8:1", "[::1]:65535", "localhost:7242"};
	static const char *const open[] = {"0.0.0.0:7242", "[::]:7242", "192.168.1.1:80", "[fe80::1]:80"};
	static const char *const bad[] = {
		"",          ":7242",        "127.0.0.1",    "127.0.0.1:", "127.0.0.1:65536",
		"host:7242", "127.0.0.1:7x", "127.0.0.1:-1", "[::1]",      "[::1:80",
		"::1:80",    "1.2.3:80",     "[::1]x:80",    "*:80",       "127.0.0.1:000080"};
	struct http_address address;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(http_address_parse(good[i], &address, &err), 0);
		assert_true(address.is_loopback);
	}
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		assert_int_equal(http_address_parse(open[i], &address, &err), 0);
		assert_false(address.is_loopback);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(http_address_parse(bad[i], &address, &err), -EINVAL);
		assert_non_null(strstr(err.text, "127.0.0.1:7242"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_with_the_headers_that_a_page_needs),
		cmocka_unit_test(one_connection_serves_many_requests),
		cmocka_unit_test(nothing_but_reading_is_possible),
		cmocka_unit_test(another_name_for_this_machine_is_refused),
		cmocka_unit_test(odd_requests_end_their_connection_only),
		cmocka_unit_test(headers_without_end_cost_a_bounded_memory),
		cmocka_unit_test(who_sends_slowly_is_cut_off),
		cmocka_unit_test(who_reads_nothing_is_cut_off),
		cmocka_unit_test(a_large_answer_arrives_whole),
		cmocka_unit_test(idle_connections_keep_nobody_out_for_long),
		cmocka_unit_test(closing_ends_what_is_open),
		cmocka_unit_test(a_taken_port_is_named),
		cmocka_unit_test(addresses_are_numbers),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
