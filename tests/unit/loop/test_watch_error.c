/* A broken connection is called by its own name, not by libuv's. */
#include "loop/watch_error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* Two connected ends over loopback. */
static void connect_pair(int out_ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	out_ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(out_ends[0], (struct sockaddr *)&address, len), 0);
	out_ends[1] = accept(listener, NULL, NULL);
	assert_true(out_ends[1] >= 0);
	close(listener);
}

static void test_reset(void **state)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct pollfd seen;
	int ends[2];

	(void)state;
	connect_pair(ends);
	assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(ends[1]);
	seen = (struct pollfd){.fd = ends[0], .events = POLLIN};
	assert_int_equal(poll(&seen, 1, 5000), 1);
	assert_int_equal(watch_error(ends[0], UV_EBADF), -ECONNRESET);
	assert_int_equal(watch_error(ends[0], UV_EBADF), UV_EBADF); /* asking took it off */
	close(ends[0]);
}

static void test_no_socket(void **state)
{
	(void)state;
	assert_int_equal(watch_error(-1, UV_EBADF), UV_EBADF);
	assert_int_equal(watch_error(STDIN_FILENO, UV_EIO), UV_EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reset), cmocka_unit_test(test_no_socket)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
