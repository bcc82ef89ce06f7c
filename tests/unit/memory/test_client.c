/* The client library with memory running out at each allocation in turn: an error that says so, and a client that can
 * still be closed. The daemon is a thread that gives each request one answer. */
#include "scarce.h"

#include "sagad/client.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sagad-memory-XXXXXX", path[64];
static int listener;
static pthread_t thread;

/* Answers with the number of lines that came: ids of a connection begin at 1. */
static void serve(int fd)
{
	static char bytes[65536];
	unsigned id = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] == '\n') {
				char answer[128];
				int len =
					snprintf(answer, sizeof(answer),
						 "{\"jsonrpc\":\"2.0\",\"id\":%u,\"result\":{\"outcome\":\"committed\","
						 "\"chunks\":3}}\n",
						 ++id);
				(void)send(fd, answer, (size_t)len, MSG_NOSIGNAL); /* the client may have gone */
			}
	(void)close(fd);
}

static void *serve_all(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		serve(fd);
	return NULL;
}

static int talk(struct sagad_client *client)
{
	struct sagad_reply *reply = NULL;
	int rc = 0;

	for (int i = 0; rc == 0 && i < 20; i++) /* more than the first table of ids holds */
		rc = sagad_submit(client, "document.delete", "{\"id\":\"d\"}", 10, NULL);
	if (rc == 0)
		rc = sagad_wait(client, 20, 5000, &reply);
	sagad_reply_free(reply);
	reply = NULL;
	if (rc == 0)
		rc = sagad_call(client, "document.put", "{\n\"id\":\"d\"}", 11, 5000, &reply);
	if (rc == 0)
		rc = strcmp(sagad_reply_text(reply, "outcome"), "committed") == 0 ? 0 : -EPROTO;
	sagad_reply_free(reply);
	if (rc != 0 && sagad_client_error(client)[0] == '\0')
		rc = -EINVAL; /* an error without a text */
	return rc;
}

static void calling(void **state)
{
	bool has_failed = true;

	(void)state;
	for (size_t nth = 1; has_failed; nth++) {
		struct sagad_client *client = NULL;
		char error[SAGAD_ERROR_BYTES] = "";
		int rc;

		scarce_begin(nth);
		rc = sagad_connect(path, 5000, &client, error, sizeof(error));
		if (rc == 0)
			rc = talk(client);
		has_failed = scarce_end();
		if (rc != 0 && (rc != -ENOMEM || !has_failed))
			fail_msg("allocation %zu failed: %d: %s", nth, rc, error);
		sagad_close(client);
	}
}

static int start(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/jobs.sock", folder);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	return pthread_create(&thread, NULL, serve_all, NULL);
}

static int stop(void **state)
{
	(void)state;
	(void)shutdown(listener, SHUT_RDWR); /* accept() then returns */
	(void)close(listener);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(calling)};

	return cmocka_run_group_tests(tests, start, stop);
}
