/* The connection: requests out, answers in. While it waits to send it also reads, so that a daemon which stops reading
 * until its answers are taken and a client that only sends can't wait for each other. */
#include "reply.h"

#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CLIENT_READ_BYTES 65536

struct sagad_client {
	int fd; /* -1: the connection is gone */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct buf in;
	size_t n_searched;
	struct list replies; /* parsed, not taken; oldest first */
	size_t n_replies;    /* of requests; those with id 0 don't count */
	uint64_t last_id;
	uint64_t *out_ids; /* requests whose answers haven't come, in the order of their sending; owned */
	size_t n_out;
	size_t out_size;
	struct err err;
};

/* ---- time ---- */

static int64_t client_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail with this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* INT64_MAX: never. */
static int64_t client_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : client_now_ms() + timeout_ms;
}

/* Waits for events on the socket. 1: some came, 0: the deadline passed, or a negative errno. */
static int client_poll(int fd, short events, short *out_events, int64_t deadline_ms)
{
	struct pollfd entry = {.fd = fd, .events = events};
	int rc;

	do {
		int64_t left = deadline_ms == INT64_MAX ? -1 : deadline_ms - client_now_ms();

		if (deadline_ms != INT64_MAX && left < 0)
			left = 0;
		rc = poll(&entry, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	} while (rc < 0 && errno == EINTR);
	*out_events = entry.revents;
	return rc < 0 ? -errno : rc;
}

/* ---- connect ---- */

static int client_connect_failed(struct err *err, int rc, const char *path)
{
	const char *hint = "check that sagad is running";

	if (rc == -ENOENT)
		hint = "no daemon has made that socket: is sagad running, and is this its socket path?";
	else if (rc == -ECONNREFUSED)
		hint = "no daemon listens there any more: start sagad";
	else if (rc == -EACCES || rc == -EPERM)
		hint = "this user may not use it: ask for the group that owns the socket";
	else if (rc == -ETIMEDOUT)
		hint = "the daemon doesn't take clients in; is it overloaded or stopped?";
	return err_set(err, rc, "cannot connect to sagad at %s: %s; %s", path, strerror(-rc), hint);
}

/* A full backlog makes a Unix socket's connect() return EAGAIN instead of going on in the background, so it is tried
 * again until the time is up (connect(2), unix(7)). */
static int client_try_connect(int fd, const struct sockaddr_un *address, int64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (client_now_ms() >= deadline_ms)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
	}
	return 0;
}

static int client_open(struct sagad_client *client, const char *path, int timeout_ms)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(&client->err, -ENAMETOOLONG, "socket path %s is too long: the kernel takes %zu bytes",
			       path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	memcpy(client->path, path, strlen(path) + 1);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		return err_set(&client->err, -errno, "cannot make a socket: %s", strerror(errno));
	rc = client_try_connect(client->fd, &address, client_deadline(timeout_ms));
	return rc == 0 ? 0 : client_connect_failed(&client->err, rc, path);
}

int sagad_connect(const char *path, int timeout_ms, struct sagad_client **out_client, char *error, size_t error_bytes)
{
	struct sagad_client *client = calloc(1, sizeof(*client));
	int rc = -ENOMEM;

	if (client != NULL) {
		client->fd = -1;
		list_init(&client->replies);
		rc = client_open(client, path, timeout_ms);
	}
	if (rc == 0) {
		*out_client = client;
		return 0;
	}
	if (error != NULL && error_bytes > 0)
		(void)snprintf(error, error_bytes, "%s", client != NULL ? client->err.text : "out of memory");
	sagad_close(client);
	return rc;
}

void sagad_close(struct sagad_client *client)
{
	struct list *node;

	if (client == NULL)
		return;
	while ((node = list_take_first(&client->replies)) != NULL)
		sagad_reply_free(container_of(node, struct sagad_reply, node));
	if (client->fd >= 0)
		(void)close(client->fd); /* nothing is buffered in it */
	free(client->out_ids);
	buf_fini(&client->in);
	free(client);
}

/* ---- in ---- */

/* The connection is of no use any more; answers that came before can still be taken. */
static int client_lose(struct sagad_client *client, int rc, const char *what)
{
	if (client->fd >= 0)
		(void)close(client->fd); /* nothing is buffered in it */
	client->fd = -1;
	return err_set(&client->err, rc,
		       "%s: %s; whether the %zu requests without an answer were done is not known: connect again, then "
		       "ask document.status or send them again with their idempotency keys",
		       client->path, what, client->n_out);
}

static int client_no_connection(struct sagad_client *client)
{
	/* How it was lost says more than that it is lost. */
	if (client->err.text[0] != '\0')
		return -ENOTCONN;
	return err_set(&client->err, -ENOTCONN, "%s: the connection is gone; connect again", client->path);
}

static bool client_forget(struct sagad_client *client, uint64_t id)
{
	for (size_t i = 0; i < client->n_out; i++) {
		if (client->out_ids[i] != id)
			continue;
		memmove(&client->out_ids[i], &client->out_ids[i + 1],
			(client->n_out - i - 1) * sizeof(*client->out_ids));
		client->n_out--;
		return true;
	}
	return false;
}

static int client_take_line(struct sagad_client *client, const char *line, size_t len)
{
	struct sagad_reply *reply;
	int rc = client_reply_parse(line, len, &reply);

	if (rc == -ENOMEM)
		return err_set(&client->err, rc, "out of memory for an answer of %zu bytes", len);
	if (rc == 0 && reply->id != 0 && !client_forget(client, reply->id)) {
		sagad_reply_free(reply);
		rc = -EPROTO;
	}
	if (rc != 0)
		return client_lose(client, rc, "what answers there doesn't speak sagad's protocol");
	list_append(&client->replies, &reply->node);
	if (reply->id != 0)
		client->n_replies++;
	return 0;
}

static int client_take_lines(struct sagad_client *client)
{
	size_t taken = 0;
	int rc = 0;

	while (rc == 0 && client->n_searched < client->in.len) {
		char *end = memchr(client->in.at + client->n_searched, '\n', client->in.len - client->n_searched);
		size_t len;

		if (end == NULL) {
			client->n_searched = client->in.len;
			break;
		}
		len = (size_t)(end - (client->in.at + taken));
		rc = client_take_line(client, client->in.at + taken, len);
		taken += len + 1;
		client->n_searched = taken;
	}
	buf_consume(&client->in, taken);
	client->n_searched -= taken;
	return rc;
}

/* Reads what is there. The caller has polled. */
static int client_read(struct sagad_client *client)
{
	ssize_t n;

	if (buf_reserve(&client->in, CLIENT_READ_BYTES) != 0) {
		client->in.failed = false;
		return err_set(&client->err, -ENOMEM, "out of memory");
	}
	n = recv(client->fd, client->in.at + client->in.len, CLIENT_READ_BYTES, 0);
	if (n > 0) {
		client->in.len += (size_t)n;
		return client_take_lines(client);
	}
	if (n == 0)
		return client_lose(client, -ECONNRESET, "the daemon has closed the connection");
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return client_lose(client, -errno, strerror(errno));
}

/* ---- out ---- */

/* What the socket takes right now. *out_at moves on. */
static int client_write_some(struct sagad_client *client, const struct buf *line, size_t *out_at)
{
	ssize_t n = send(client->fd, line->at + *out_at, line->len - *out_at, MSG_NOSIGNAL);

	if (n >= 0)
		*out_at += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

/* The daemon may have said why before it closed: a turned-away client should learn that. */
static int client_write_failed(struct sagad_client *client, int rc)
{
	short events;

	while (client->fd >= 0 && client_poll(client->fd, POLLIN, &events, client_now_ms()) > 0 &&
	       client_read(client) == 0)
		;
	if (client->fd < 0)
		return rc;
	return client_lose(client, rc, strerror(-rc));
}

static int client_write(struct sagad_client *client, const struct buf *line)
{
	size_t at = 0;
	short events;
	int rc;

	while (at < line->len) {
		rc = client_write_some(client, line, &at);
		if (rc != 0)
			return client_write_failed(client, rc);
		if (at == line->len)
			break;
		rc = client_poll(client->fd, POLLIN | POLLOUT, &events, INT64_MAX);
		if (rc < 0)
			return client_lose(client, rc, strerror(-rc));
		if ((events & ~POLLOUT) != 0)
			rc = client_read(client);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int client_build(struct sagad_client *client, struct buf *line, const char *method, const char *params,
			size_t params_bytes)
{
	size_t begin;

	buf_append_format(line, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\"",
			  (unsigned long long)client->last_id + 1, method);
	if (params != NULL) {
		if (memchr(params, '\0', params_bytes) != NULL)
			return err_set(&client->err, -EINVAL, "params hold a NUL byte, which is no JSON");
		buf_append_text(line, ",\"params\":");
		begin = line->len;
		buf_append(line, params, params_bytes);
		/* JSON has line ends between its tokens only, where a space means the same. */
		for (size_t i = begin; i < line->len; i++)
			if (line->at[i] == '\n' || line->at[i] == '\r')
				line->at[i] = ' ';
	}
	buf_append_text(line, "}\n");
	return line->failed ? err_set(&client->err, -ENOMEM, "out of memory for a request of %zu bytes", params_bytes)
			    : 0;
}

static int client_remember(struct sagad_client *client)
{
	size_t size = client->out_size != 0 ? client->out_size : 32;
	uint64_t *grown;

	if (client->n_out == client->out_size) {
		grown = realloc(client->out_ids, 2 * size * sizeof(*grown));
		if (grown == NULL)
			return err_set(&client->err, -ENOMEM, "out of memory");
		client->out_ids = grown;
		client->out_size = 2 * size;
	}
	client->out_ids[client->n_out++] = ++client->last_id;
	return 0;
}

int sagad_submit(struct sagad_client *client, const char *method, const char *params, size_t params_bytes,
		 uint64_t *out_id)
{
	struct buf line;
	uint64_t id;
	int rc;

	if (client->fd < 0)
		return client_no_connection(client);
	buf_init(&line);
	rc = client_build(client, &line, method, params, params_bytes);
	if (rc == 0)
		rc = client_remember(client);
	if (rc == 0) {
		id = client->last_id;
		rc = client_write(client, &line);
		if (rc == 0 && out_id != NULL)
			*out_id = id;
	}
	buf_fini(&line);
	return rc;
}

/* ---- waiting ---- */

/* id 0: any. */
static struct sagad_reply *client_find(struct sagad_client *client, uint64_t id)
{
	struct list *node, *next;

	list_each (node, next, &client->replies) {
		struct sagad_reply *reply = container_of(node, struct sagad_reply, node);

		if (id == 0 || reply->id == id || reply->id == 0)
			return reply;
	}
	return NULL;
}

static bool client_is_out(const struct sagad_client *client, uint64_t id)
{
	for (size_t i = 0; i < client->n_out; i++)
		if (client->out_ids[i] == id)
			return true;
	return false;
}

static int client_take(struct sagad_client *client, struct sagad_reply *reply, struct sagad_reply **out_reply)
{
	list_remove(&reply->node);
	if (reply->id != 0)
		client->n_replies--;
	*out_reply = reply;
	return 0;
}

static int client_wait(struct sagad_client *client, uint64_t id, int timeout_ms, struct sagad_reply **out_reply)
{
	int64_t deadline_ms = client_deadline(timeout_ms);
	struct sagad_reply *reply;
	short events;
	int rc;

	while ((reply = client_find(client, id)) == NULL) {
		if (client->fd < 0)
			return client_no_connection(client);
		if (id == 0 ? client->n_out == 0 : !client_is_out(client, id))
			return err_set(&client->err, -ENOENT, "no such request is out");
		rc = client_poll(client->fd, POLLIN, &events, deadline_ms);
		if (rc == 0)
			return err_set(&client->err, -ETIMEDOUT, "%s: no answer within %d ms; the request is still out",
				       client->path, timeout_ms);
		rc = rc < 0 ? client_lose(client, rc, strerror(-rc)) : client_read(client);
		if (rc < 0 && client_find(client, id) == NULL)
			return rc;
	}
	return client_take(client, reply, out_reply);
}

int sagad_wait(struct sagad_client *client, uint64_t id, int timeout_ms, struct sagad_reply **out_reply)
{
	if (id == 0)
		return err_set(&client->err, -ENOENT, "no request has the id 0");
	return client_wait(client, id, timeout_ms, out_reply);
}

int sagad_wait_any(struct sagad_client *client, int timeout_ms, struct sagad_reply **out_reply)
{
	return client_wait(client, 0, timeout_ms, out_reply);
}

int sagad_call(struct sagad_client *client, const char *method, const char *params, size_t params_bytes, int timeout_ms,
	       struct sagad_reply **out_reply)
{
	uint64_t id;
	int rc = sagad_submit(client, method, params, params_bytes, &id);

	return rc != 0 ? rc : sagad_wait(client, id, timeout_ms, out_reply);
}

int sagad_saga_run(struct sagad_client *client, const struct sagad_saga *saga, int timeout_ms,
		   struct sagad_reply **out_reply)
{
	char *json = sagad_saga_json(saga);
	const char *fault = sagad_saga_error(saga);
	int rc;

	if (json == NULL && fault[0] != '\0')
		return err_set(&client->err, -EINVAL, "the saga can't be run: %s", fault);
	if (json == NULL)
		return err_set(&client->err, -ENOMEM, "out of memory for a saga");
	rc = sagad_call(client, "saga.run", json, strlen(json), timeout_ms, out_reply);
	free(json);
	return rc;
}

/* ---- the rest ---- */

size_t sagad_outstanding(const struct sagad_client *client)
{
	return client->n_out + client->n_replies;
}

const char *sagad_client_error(const struct sagad_client *client)
{
	return client->err.text;
}

int sagad_client_fd(const struct sagad_client *client)
{
	return client->fd;
}
