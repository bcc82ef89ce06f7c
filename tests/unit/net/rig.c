#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct rig *rig_of_events(struct server_events *events)
{
	return (struct rig *)(void *)((char *)events - offsetof(struct rig, events));
}

static void rig_hold(struct rig *rig, struct peer *peer)
{
	assert_true(rig->n_held < HELD_MAX);
	peer_begin(peer);
	rig->held[rig->n_held++] = peer;
}

static void rig_job(struct rig *rig, struct peer *peer, const char *text)
{
	assert_true(rig->n_jobs < HELD_MAX);
	peer_begin(peer);
	rig->jobs[rig->n_jobs].peer = peer;
	snprintf(rig->jobs[rig->n_jobs].text, sizeof(rig->jobs[0].text), "%s\n", text);
	rig->n_jobs++;
	if (rig->n_jobs > rig->max_jobs_seen)
		rig->max_jobs_seen = rig->n_jobs;
}

static void rig_on_timer(uv_timer_t *timer)
{
	struct rig *rig = timer->data;

	while (rig->n_jobs > 0) {
		rig->n_jobs--;
		peer_end(rig->jobs[rig->n_jobs].peer, rig->jobs[rig->n_jobs].text, strlen(rig->jobs[rig->n_jobs].text));
	}
}

static void rig_on_unpause(uv_timer_t *timer)
{
	struct rig *rig = timer->data;

	server_pause(rig->server, false);
}

static void rig_call(struct rig *rig, struct peer *peer, const char *line)
{
	const char *id = strstr(line, "\"id\":");
	char text[128];

	snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%lu,\"result\":{\"n\":%lu}}",
		 strtoul(id + 5, NULL, 10), strtoul(id + 5, NULL, 10));
	rig_job(rig, peer, text);
	if (rig->n_jobs >= 3)
		rig_on_timer(&rig->timer);
}

static void rig_line(struct server_events *events, struct peer *peer, const char *bytes, size_t len)
{
	static const char big[BIG_BYTES] = "";
	struct rig *rig = rig_of_events(events);
	struct server_counts counts;

	assert_int_equal(strlen(bytes), len);
	if (strncmp(bytes, "job ", 4) == 0) {
		rig_job(rig, peer, bytes + 4);
	} else if (strcmp(bytes, "hold") == 0) {
		rig_hold(rig, peer);
	} else if (strcmp(bytes, "big") == 0) {
		peer_reply(peer, big, sizeof(big));
	} else if (strcmp(bytes, "pause") == 0) {
		server_pause(rig->server, true);
		uv_timer_start(&rig->unpause, rig_on_unpause, 50, 0);
	} else if (bytes[0] == '{') {
		rig_call(rig, peer, bytes);
	} else {
		peer_reply(peer, bytes, len);
		peer_reply(peer, "\n", 1);
	}
	server_counts(rig->server, &counts);
	if (counts.unsent_bytes > rig->max_unsent_seen)
		rig->max_unsent_seen = counts.unsent_bytes;
}

static void rig_skipped(struct server_events *events, struct peer *peer, size_t n_bytes, enum server_skip why)
{
	const char *text = why == SERVER_SKIP_TOO_LONG ? "!long\n" : "!room\n";

	(void)events;
	(void)n_bytes;
	peer_reply(peer, text, strlen(text));
}

static void rig_on_closed(void *arg)
{
	struct rig *rig = arg;

	uv_close((uv_handle_t *)&rig->stop, NULL);
	uv_close((uv_handle_t *)&rig->timer, NULL);
	uv_close((uv_handle_t *)&rig->unpause, NULL);
}

static void rig_on_stop(uv_async_t *stop)
{
	struct rig *rig = stop->data;

	server_counts(rig->server, &rig->counts);
	rig_on_timer(&rig->timer);
	while (rig->n_held > 0)
		peer_end(rig->held[--rig->n_held], "held\n", 5);
	server_close(rig->server, 1000, rig_on_closed, rig);
}

static void *rig_run(void *arg)
{
	struct rig *rig = arg;

	uv_run(&rig->loop, UV_RUN_DEFAULT);
	return NULL;
}

void rig_prepare(struct rig *rig)
{
	*rig = (struct rig){.events = {rig_line, rig_skipped}};
	strcpy(rig->dir, "/tmp/sagad-test-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	chmod(rig->dir, 0755);
	snprintf(rig->path, sizeof(rig->path), "%s/s", rig->dir);
	rig->config = (struct server_config){
		.name = "test",
		.path = rig->path,
		.fd = -1,
		.mode = 0600,
		.socket_gid = (gid_t)-1,
		.max_line_bytes = 1 << 20,
		.max_buffered_bytes = 64 << 20,
		.max_clients = 200,
		.spare_fds = 64,
		.max_jobs = HELD_MAX,
		.max_unsent_bytes = 4 << 20,
		.stall_ms = 20000,
		.full_line = "full\n",
		.forbidden_line = "forbidden\n",
	};
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	uv_async_init(&rig->loop, &rig->stop, rig_on_stop);
	uv_timer_init(&rig->loop, &rig->timer);
	uv_timer_init(&rig->loop, &rig->unpause);
	rig->stop.data = rig;
	rig->timer.data = rig;
	rig->unpause.data = rig;
	uv_timer_start(&rig->timer, rig_on_timer, 2, 2);
}

void rig_start(struct rig *rig)
{
	struct err err = {""};

	if (server_create(&rig->loop, &rig->config, &rig->events, &rig->server, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_run, rig), 0);
}

void rig_remove(struct rig *rig)
{
	char lock[128];

	assert_int_equal(uv_loop_close(&rig->loop), 0);
	snprintf(lock, sizeof(lock), "%s.lock", rig->path);
	unlink(lock);
	assert_int_equal(rmdir(rig->dir), 0); /* the socket's file has gone */
}

void rig_end(struct rig *rig)
{
	uv_async_send(&rig->stop);
	pthread_join(rig->thread, NULL);
}

void rig_stop(struct rig *rig)
{
	rig_end(rig);
	rig_remove(rig);
}

void rig_answer_every_ms(struct rig *rig, unsigned ms)
{
	uv_timer_start(&rig->timer, rig_on_timer, ms, ms);
}

void rig_cancel(struct rig *rig)
{
	rig_on_closed(rig);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	rig_remove(rig);
}

int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		if (errno != EAGAIN) {
			close(fd);
			return -1;
		}
		usleep(1000);
	}
	return fd;
}

void say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

void expect(int fd, const char *expected)
{
	char got[4096] = "";
	size_t len = 0, wanted = strlen(expected);
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	assert_true(wanted < sizeof(got));
	while (len < wanted) {
		ssize_t n;

		if (poll(&entry, 1, 5000) != 1)
			break;
		n = recv(fd, got + len, wanted - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	got[len] = '\0';
	assert_string_equal(got, expected);
}

void expect_end(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&entry, 1, 5000), 1);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
}
