/* The server against real sockets. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- framing ---- */

static void lines_survive_every_split(void **state)
{
	static const char text[] = "one\n\n\r\ntwo\r\njob three\nfour\n";
	struct rig rig;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	for (size_t split = 0; split < sizeof(text) - 1; split++) {
		int fd = dial(rig.path);
		char got[64] = "";

		say(fd, text, split);
		usleep(1500);
		say(fd, text + split, sizeof(text) - 1 - split);
		shutdown(fd, SHUT_WR);
		for (size_t len = 0; len < 19;) {
			ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, 0);

			assert_true(n > 0);
			len += (size_t)n;
		}
		/* The job's answer may come at any time; the others keep their order. */
		assert_non_null(strstr(got, "three\n"));
		assert_true(strstr(got, "one\n") < strstr(got, "two\n"));
		assert_true(strstr(got, "two\n") < strstr(got, "four\n"));
		expect_end(fd);
		close(fd);
	}
	rig_stop(&rig);
	assert_int_equal(rig.counts.n_lines, 4 * (sizeof(text) - 1));
}

static void a_line_too_long_is_skipped_and_the_connection_goes_on(void **state)
{
	char line[256];
	struct rig rig;

	(void)state;
	memset(line, 'x', sizeof(line));
	rig_prepare(&rig);
	rig.config.max_line_bytes = 64;
	rig_start(&rig);
	for (size_t len = 62; len < 70; len++) {
		for (size_t split = 0; split <= len; split += 3) {
			int fd = dial(rig.path);
			char expected[128];

			say(fd, line, split);
			usleep(500);
			say(fd, line, len - split);
			say(fd, "\nafter\n", 7);
			snprintf(expected, sizeof(expected), "%.*s\nafter\n", len <= 64 ? (int)len : 5,
				 len <= 64 ? line : "!long");
			expect(fd, expected);
			close(fd);
		}
	}
	rig_stop(&rig);
}

/* The carriage return is no part of the line, also when the newline comes later. */
static void a_line_as_long_as_may_be_may_end_with_crlf(void **state)
{
	char line[65], expected[80];
	struct rig rig;
	int fd;

	(void)state;
	memset(line, 'x', 64);
	line[64] = '\r';
	rig_prepare(&rig);
	rig.config.max_line_bytes = 64;
	rig_start(&rig);
	fd = dial(rig.path);
	say(fd, line, 65);
	usleep(20000);
	say(fd, "\nafter\n", 7);
	line[64] = '\n';
	snprintf(expected, sizeof(expected), "%.65safter\n", line);
	expect(fd, expected);
	close(fd);
	rig_stop(&rig);
}

static void a_line_much_too_long_costs_no_memory(void **state)
{
	static char block[65536];
	struct rig rig;
	int fd;

	(void)state;
	memset(block, 'y', sizeof(block));
	rig_prepare(&rig);
	rig.config.max_line_bytes = 1000;
	rig_start(&rig);
	fd = dial(rig.path);
	for (int i = 0; i < 500; i++)
		say(fd, block, sizeof(block));
	say(fd, "\nafter\n", 7);
	expect(fd, "!long\nafter\n");
	close(fd);
	rig_stop(&rig);
	assert_int_equal(rig.counts.n_skipped, 1);
	assert_int_equal(rig.counts.buffered_bytes, 0);
}

static void unfinished_lines_of_all_clients_are_bounded(void **state)
{
	static char block[40000];
	struct rig rig;
	int first, second;

	(void)state;
	memset(block, 'z', sizeof(block));
	rig_prepare(&rig);
	rig.config.max_buffered_bytes = 60000;
	rig_start(&rig);
	first = dial(rig.path);
	second = dial(rig.path);
	say(first, block, sizeof(block));
	usleep(20000);
	say(second, block, sizeof(block));
	expect(second, "!room\n");
	say(second, "\nafter\n", 7);
	expect(second, "after\n");
	close(first);
	close(second);
	rig_stop(&rig);
}

static void the_last_line_needs_no_newline(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(rig.path);
	say(fd, "one\ntwo", 7);
	shutdown(fd, SHUT_WR);
	expect(fd, "one\ntwo\n");
	expect_end(fd);
	close(fd);
	rig_stop(&rig);
}

/* ---- clients that behave badly ---- */

static void a_half_closed_client_still_gets_its_answers(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(rig.path);
	say(fd, "job a\n", 6);
	shutdown(fd, SHUT_WR);
	expect(fd, "a\n");
	expect_end(fd);
	close(fd);
	rig_stop(&rig);
}

static void a_client_that_vanishes_harms_nobody(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	for (int i = 0; i < 20; i++) {
		fd = dial(rig.path);
		say(fd, "hold\njob x\nunfini", 17);
		close(fd);
	}
	fd = dial(rig.path);
	say(fd, "hello\n", 6);
	expect(fd, "hello\n");
	close(fd);
	usleep(20000);
	rig_stop(&rig); /* answers the held jobs of clients that are gone */
}

static void a_client_that_never_reads_is_stopped_and_dropped(void **state)
{
	struct rig rig;
	int deaf, other;
	ssize_t n = 0;

	(void)state;
	rig_prepare(&rig);
	rig.config.max_unsent_bytes = 200000;
	rig.config.stall_ms = 400;
	rig_start(&rig);
	deaf = dial(rig.path);
	for (int i = 0; i < 200 && n >= 0; i++)
		n = send(deaf, "big\nbig\nbig\n", 12, MSG_NOSIGNAL | MSG_DONTWAIT);
	other = dial(rig.path);
	for (int i = 0; i < 10; i++) {
		say(other, "hello\n", 6);
		expect(other, "hello\n");
		usleep(100000);
	}
	close(deaf);
	close(other);
	rig_stop(&rig);
	assert_int_equal(rig.counts.n_dropped, 1);
	assert_true(rig.max_unsent_seen <= 200000 + BIG_BYTES + 100);
}

static void a_client_that_stops_in_a_line_is_dropped(void **state)
{
	struct rig rig;
	int slow, idle;

	(void)state;
	rig_prepare(&rig);
	rig.config.stall_ms = 300;
	rig_start(&rig);
	idle = dial(rig.path);
	slow = dial(rig.path);
	say(slow, "half a li", 9);
	expect_end(slow);
	say(idle, "still here\n", 11); /* silence between lines is no fault */
	expect(idle, "still here\n");
	close(slow);
	close(idle);
	rig_stop(&rig);
}

static void jobs_in_flight_are_bounded(void **state)
{
	struct rig rig;
	char lines[1000] = "";
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig.config.max_jobs = 4;
	rig_start(&rig);
	fd = dial(rig.path);
	for (int i = 0; i < 100; i++)
		strcat(lines, "job a\n");
	say(fd, lines, strlen(lines));
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 100; i++)
		expect(fd, "a\n");
	expect_end(fd);
	close(fd);
	rig_stop(&rig);
	assert_true(rig.max_jobs_seen <= 4);
}

static void a_paused_server_goes_on_where_it_was(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(rig.path);
	say(fd, "one\npause\ntwo\nthree\n", 20);
	expect(fd, "one\ntwo\nthree\n");
	close(fd);
	rig_stop(&rig);
}

static void a_client_too_many_is_told_so(void **state)
{
	struct rig rig;
	int fds[20];

	(void)state;
	rig_prepare(&rig);
	rig.config.max_clients = 15;
	rig_start(&rig);
	for (int i = 0; i < 15; i++) {
		fds[i] = dial(rig.path);
		say(fds[i], "hello\n", 6);
		expect(fds[i], "hello\n");
	}
	for (int i = 15; i < 20; i++) {
		fds[i] = dial(rig.path);
		expect(fds[i], "full\n");
		expect_end(fds[i]);
	}
	for (int i = 0; i < 20; i++)
		close(fds[i]);
	rig_stop(&rig);
	assert_int_equal(rig.counts.n_turned_away, 5);
}

static void answers_are_flushed_at_the_end(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	fd = dial(rig.path);
	say(fd, "hold\nhello\n", 11);
	expect(fd, "hello\n");
	rig_stop(&rig);
	expect(fd, "held\n");
	expect_end(fd);
	close(fd);
}

/* ---- the socket's file ---- */

static void leave_a_dead_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void a_dead_socket_is_replaced(void **state)
{
	struct stat found;
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	leave_a_dead_socket(rig.path);
	rig_start(&rig);
	assert_int_equal(stat(rig.path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	fd = dial(rig.path);
	say(fd, "hello\n", 6);
	expect(fd, "hello\n");
	close(fd);
	rig_stop(&rig);
}

static void a_live_socket_is_refused(void **state)
{
	struct rig rig, second;
	struct err err;

	(void)state;
	rig_prepare(&rig);
	rig_start(&rig);
	rig_prepare(&second);
	second.config.path = rig.path;
	assert_int_equal(server_create(&second.loop, &second.config, &second.events, &second.server, &err),
			 -EADDRINUSE);
	assert_non_null(strstr(err.text, "another daemon"));
	rig_cancel(&second);
	rig_stop(&rig);
}

static void a_socket_of_somebody_else_is_refused(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rig rig;
	struct err err;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	rig_prepare(&rig);
	strcpy(address.sun_path, rig.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(server_create(&rig.loop, &rig.config, &rig.events, &rig.server, &err), -EADDRINUSE);
	close(fd);
	assert_int_equal(access(rig.path, F_OK), 0);
	unlink(rig.path);
	rig_cancel(&rig);
}

static void a_file_that_is_no_socket_stays(void **state)
{
	struct rig rig;
	struct err err;

	(void)state;
	rig_prepare(&rig);
	fclose(fopen(rig.path, "w"));
	assert_int_equal(server_create(&rig.loop, &rig.config, &rig.events, &rig.server, &err), -EEXIST);
	assert_int_equal(unlink(rig.path), 0);
	rig_cancel(&rig);
}

static void a_path_too_long_is_refused(void **state)
{
	char path[200];
	struct rig rig;
	struct err err;

	(void)state;
	rig_prepare(&rig);
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	rig.config.path = path;
	assert_int_equal(server_create(&rig.loop, &rig.config, &rig.events, &rig.server, &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.text, "199 bytes"));
	rig_cancel(&rig);
}

static void an_inherited_socket_is_taken(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct rig rig;
	int fd;

	(void)state;
	rig_prepare(&rig);
	strcpy(address.sun_path, rig.path);
	rig.config.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(rig.config.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(rig.config.fd, 5), 0);
	rig.config.path = NULL; /* its file is not the server's */
	rig_start(&rig);
	fd = dial(rig.path);
	say(fd, "hello\n", 6);
	expect(fd, "hello\n");
	close(fd);
	rig_end(&rig);
	assert_int_equal(unlink(rig.path), 0); /* whoever made it removes it */
	rig_remove(&rig);
}

static void descriptors_are_kept_for_the_stores(void **state)
{
	struct rig rig;
	struct err err;

	(void)state;
	rig_prepare(&rig);
	rig.config.spare_fds = UINT32_MAX;
	assert_int_equal(server_create(&rig.loop, &rig.config, &rig.events, &rig.server, &err), -EMFILE);
	rig_cancel(&rig);
}

/* ---- who may connect ---- */

/* What a client of that user is answered. */
static void expect_as(uid_t uid, const char *path, const char *expected)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		char got[64] = "";
		int fd;

		if (setgid(uid) != 0 || setuid(uid) != 0)
			_exit(2);
		fd = dial(path);
		if (fd < 0)
			_exit(3);
		if (send(fd, "hello\n", 6, MSG_NOSIGNAL) < 0 && errno != EPIPE)
			_exit(5); /* who is turned away may find the door closed already */
		for (size_t len = 0; len < strlen(expected);) {
			ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, 0);

			if (n <= 0)
				break;
			len += (size_t)n;
		}
		_exit(strcmp(got, expected) == 0 ? 0 : 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void only_allowed_users_are_served(void **state)
{
	struct rig rig;

	(void)state;
	if (geteuid() != 0)
		skip();
	rig_prepare(&rig);
	rig.config.mode = 0666;
	rig.config.access.uids[0] = 12345;
	rig.config.access.n_uids = 1;
	rig.config.access.gids[0] = 12347;
	rig.config.access.n_gids = 1;
	rig_start(&rig);
	expect_as(0, rig.path, "hello\n");
	expect_as(12345, rig.path, "hello\n");
	expect_as(12346, rig.path, "forbidden\n");
	expect_as(12347, rig.path, "hello\n"); /* by its group */
	rig_stop(&rig);
	assert_int_equal(rig.counts.n_forbidden, 1);
	assert_int_equal(rig.counts.n_lines, 3); /* nothing of the fourth was looked at */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_survive_every_split),
		cmocka_unit_test(a_line_too_long_is_skipped_and_the_connection_goes_on),
		cmocka_unit_test(a_line_as_long_as_may_be_may_end_with_crlf),
		cmocka_unit_test(a_line_much_too_long_costs_no_memory),
		cmocka_unit_test(unfinished_lines_of_all_clients_are_bounded),
		cmocka_unit_test(the_last_line_needs_no_newline),
		cmocka_unit_test(a_half_closed_client_still_gets_its_answers),
		cmocka_unit_test(a_client_that_vanishes_harms_nobody),
		cmocka_unit_test(a_client_that_never_reads_is_stopped_and_dropped),
		cmocka_unit_test(a_client_that_stops_in_a_line_is_dropped),
		cmocka_unit_test(jobs_in_flight_are_bounded),
		cmocka_unit_test(a_paused_server_goes_on_where_it_was),
		cmocka_unit_test(a_client_too_many_is_told_so),
		cmocka_unit_test(answers_are_flushed_at_the_end),
		cmocka_unit_test(a_dead_socket_is_replaced),
		cmocka_unit_test(a_live_socket_is_refused),
		cmocka_unit_test(a_socket_of_somebody_else_is_refused),
		cmocka_unit_test(a_file_that_is_no_socket_stays),
		cmocka_unit_test(a_path_too_long_is_refused),
		cmocka_unit_test(an_inherited_socket_is_taken),
		cmocka_unit_test(descriptors_are_kept_for_the_stores),
		cmocka_unit_test(only_allowed_users_are_served),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
