/* One client: its bytes cut into lines, its answers sent, its reading stopped while it has too much under way.
 *
 * Nothing is delivered, sent or freed from inside a call of the daemon's: peer_reply() and peer_end() only note what is
 * to be done, and the loop's next turn does it. Answers that come in the same turn leave in one write. */
#include "internal.h"

#include "base/crash_point.h"

#include "access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEER_READ_BYTES 65536
#define PEER_KEEP_BYTES 262144 /* a larger buffer goes when it is empty */

static void peer_release(struct peer *peer)
{
	MUST(peer->n_holds > 0);
	peer->n_holds--;
	if (peer->n_holds > 0)
		return;
	buf_fini(&peer->in);
	buf_fini(&peer->out);
	buf_fini(&peer->sending);
	free(peer);
}

static size_t peer_unsent(const struct peer *peer)
{
	return peer->out.len + peer->sending.len;
}

static void peer_count_buffered(struct peer *peer, size_t before)
{
	peer->server->counts.buffered_bytes += peer->in.len;
	peer->server->counts.buffered_bytes -= before;
}

/* ---- the end ---- */

static void peer_on_closed(uv_handle_t *handle)
{
	struct peer *peer = container_of(handle, struct peer, pipe);
	struct server *server = peer->server;

	list_remove(&peer->node);
	server->counts.n_clients--;
	server_peer_left(server);
	peer->server = NULL;
	peer_release(peer);
}

void peer_drop(struct peer *peer)
{
	struct server *server = peer->server;

	if (peer->is_closing)
		return;
	peer->is_closing = true;
	list_remove(&peer->due);
	server->counts.buffered_bytes -= peer->in.len;
	server->counts.unsent_bytes -= peer_unsent(peer);
	buf_fini(&peer->in);
	buf_fini(&peer->out);
	uv_close((uv_handle_t *)&peer->pipe, peer_on_closed);
}

static bool peer_is_done(const struct peer *peer)
{
	return (peer->is_eof || peer->server->is_closing) && peer->n_jobs == 0 && peer_unsent(peer) == 0 &&
	       (peer->in.len == 0 || peer->server->is_closing);
}

/* ---- in ---- */

static bool peer_may_read(const struct peer *peer)
{
	const struct server *server = peer->server;

	return !server->is_paused && !server->is_closing && !peer->is_closing &&
	       peer->n_jobs < server->config.max_jobs && peer_unsent(peer) < server->config.max_unsent_bytes;
}

/* What was delivered leaves the buffer once, after all that could be delivered. */
static void peer_consume(struct peer *peer, size_t n_bytes)
{
	size_t before = peer->in.len;

	if (peer->is_closing || n_bytes == 0)
		return;
	buf_consume(&peer->in, n_bytes);
	peer->n_searched = 0;
	if (peer->in.len == 0 && peer->in.size_bytes > PEER_KEEP_BYTES)
		buf_fini(&peer->in);
	peer_count_buffered(peer, before);
}

static void peer_skip(struct peer *peer, size_t n_bytes, enum server_skip why)
{
	struct server *server = peer->server;

	server->counts.n_skipped++;
	log_warn(server->config.log, "%s: skipped a line of more than %zu bytes from pid %d, uid %u: %s",
		 server->config.name, n_bytes, peer->who.pid, peer->who.uid,
		 why == SERVER_SKIP_TOO_LONG ? "max_line_bytes" : "max_buffered_bytes");
	server->events->skipped(server->events, peer, n_bytes, why);
}

static void peer_deliver_line(struct peer *peer, char *line, size_t len)
{
	struct server *server = peer->server;

	line[len] = '\0'; /* over the newline, or where the buffer has a NUL anyway */
	if (len > 0 && line[len - 1] == '\r')
		line[--len] = '\0';
	if (len == 0)
		return;
	if (len > server->config.max_line_bytes) {
		peer_skip(peer, len, SERVER_SKIP_TOO_LONG);
		return;
	}
	server->counts.n_lines++;
	server->events->line(server->events, peer, line, len);
}

/* The end of the next line from `begin` on; NULL: it isn't there yet. What a client sent before it shut its side down
 * is a line without a newline, too. */
static char *peer_find_end(struct peer *peer, size_t begin)
{
	size_t from = begin > peer->n_searched ? begin : peer->n_searched;
	char *end = from < peer->in.len ? memchr(peer->in.at + from, '\n', peer->in.len - from) : NULL;

	if (end == NULL && peer->is_eof && begin < peer->in.len)
		end = peer->in.at + peer->in.len;
	return end;
}

/* A line whose end hasn't come and which may not grow: the rest of it is thrown away as it comes. */
static void peer_check_growth(struct peer *peer)
{
	const struct server_config *config = &peer->server->config;
	size_t n_bytes = peer->in.len;
	/* A carriage return at the end may belong to the line's end, of which only the newline is missing. */
	size_t n_line = peer->in.at[n_bytes - 1] == '\r' ? n_bytes - 1 : n_bytes;
	bool is_too_long = n_line > config->max_line_bytes;

	peer->n_searched = n_bytes;
	if (!is_too_long && peer->server->counts.buffered_bytes <= config->max_buffered_bytes)
		return;
	peer->is_skipping = true;
	peer_skip(peer, n_bytes, is_too_long ? SERVER_SKIP_TOO_LONG : SERVER_SKIP_NO_ROOM);
	peer_consume(peer, n_bytes);
}

static void peer_deliver(struct peer *peer)
{
	size_t taken = 0;
	char *end;

	while (peer_may_read(peer) && (end = peer_find_end(peer, taken)) != NULL) {
		size_t begin = taken, len = (size_t)(end - (peer->in.at + begin));

		taken = begin + len + (begin + len < peer->in.len ? 1 : 0);
		peer->n_searched = taken;
		if (peer->is_skipping)
			peer->is_skipping = false;
		else
			peer_deliver_line(peer, peer->in.at + begin, len);
	}
	peer_consume(peer, taken);
	if (!peer_may_read(peer) || peer->in.len == 0)
		return; /* what is left has not been searched yet */
	if (peer->is_skipping)
		peer_consume(peer, peer->in.len);
	else
		peer_check_growth(peer);
}

static void peer_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
	struct peer *peer = container_of(handle, struct peer, pipe);

	(void)suggested;
	if (buf_reserve(&peer->in, PEER_READ_BYTES) != 0)
		*out_buf = uv_buf_init(NULL, 0); /* libuv then calls back with UV_ENOBUFS */
	else
		*out_buf = uv_buf_init(peer->in.at + peer->in.len, PEER_READ_BYTES);
}

static void peer_stop_reading(struct peer *peer)
{
	if (peer->is_reading)
		(void)uv_read_stop((uv_stream_t *)&peer->pipe); /* documented to always succeed */
	peer->is_reading = false;
}

static void peer_on_read(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *unused)
{
	struct peer *peer = container_of(stream, struct peer, pipe);

	(void)unused;
	if (n_read == 0)
		return;
	if (n_read == UV_EOF) {
		peer->is_eof = true;
		peer_stop_reading(peer);
	} else if (n_read < 0) {
		peer_drop(peer);
		return;
	} else {
		peer->last_read_ms = uv_now(peer->server->loop);
		peer->in.len += (size_t)n_read;
		peer->in.at[peer->in.len] = '\0';
		peer->server->counts.buffered_bytes += (size_t)n_read;
	}
	peer_turn(peer);
}

static void peer_start_reading(struct peer *peer)
{
	if (peer->is_reading || peer->is_eof)
		return;
	peer->last_read_ms = uv_now(peer->server->loop);
	if (uv_read_start((uv_stream_t *)&peer->pipe, peer_on_alloc, peer_on_read) != 0)
		peer_drop(peer);
	else
		peer->is_reading = true;
}

/* ---- out ---- */

static void peer_on_written(uv_write_t *write, int status)
{
	struct peer *peer = container_of(write, struct peer, write);

	peer->is_writing = false;
	if (peer->is_closing)
		return; /* peer_drop() has counted these bytes already; they go with the peer */
	peer->server->counts.unsent_bytes -= peer->sending.len;
	if (peer->sending.size_bytes > PEER_KEEP_BYTES)
		buf_fini(&peer->sending);
	buf_clear(&peer->sending);
	if (status != 0)
		peer_drop(peer);
	else
		peer_is_due(peer);
}

static void peer_send(struct peer *peer)
{
	struct buf swapped = peer->sending;
	uv_buf_t bytes;

	if (peer->is_writing || peer->out.len == 0)
		return;
	peer->sending = peer->out;
	peer->out = swapped;
	bytes = uv_buf_init(peer->sending.at, (unsigned)peer->sending.len);
	peer->last_write_ms = uv_now(peer->server->loop);
	peer->is_writing = true;
	CRASH_POINT(ANSWER_WRITE_BEFORE);
	if (uv_write(&peer->write, (uv_stream_t *)&peer->pipe, &bytes, 1, peer_on_written) != 0) {
		peer->is_writing = false;
		peer_drop(peer);
	}
	CRASH_POINT(ANSWER_WRITE_AFTER); /* libuv writes at once what the socket takes */
}

/* ---- what the server and the daemon call ---- */

void peer_turn(struct peer *peer)
{
	if (peer->is_closing)
		return;
	peer_send(peer);
	if (!peer->is_closing)
		peer_deliver(peer);
	if (peer->is_closing)
		return;
	if (peer_may_read(peer))
		peer_start_reading(peer);
	else
		peer_stop_reading(peer);
	if (!peer->is_closing && peer_is_done(peer))
		peer_drop(peer);
}

bool peer_has_stalled(struct peer *peer, uint64_t now_ms)
{
	uint64_t stall_ms = peer->server->config.stall_ms;
	size_t queue_bytes = uv_stream_get_write_queue_size((const uv_stream_t *)&peer->pipe);
	bool is_in_line = peer->in.len > 0 || peer->is_skipping;

	if (queue_bytes != peer->last_queue_bytes || !peer->is_writing)
		peer->last_write_ms = now_ms;
	peer->last_queue_bytes = queue_bytes;
	if (stall_ms == 0 || peer->is_closing)
		return false;
	return now_ms - peer->last_write_ms >= stall_ms ||
	       (peer->is_reading && is_in_line && now_ms - peer->last_read_ms >= stall_ms);
}

void peer_reply(struct peer *peer, const char *bytes, size_t len)
{
	if (peer_is_gone(peer) || len == 0)
		return;
	buf_append(&peer->out, bytes, len);
	if (peer->out.failed) {
		log_error(peer->server->config.log, "%s: no memory for an answer of %zu bytes; dropping pid %d",
			  peer->server->config.name, len, peer->who.pid);
		peer_drop(peer);
		return;
	}
	peer->server->counts.unsent_bytes += len;
	peer_is_due(peer);
}

void peer_begin(struct peer *peer)
{
	peer->n_jobs++;
	peer->n_holds++;
}

void peer_end(struct peer *peer, const char *bytes, size_t len)
{
	MUST(peer->n_jobs > 0);
	peer_reply(peer, bytes, len);
	peer->n_jobs--;
	if (!peer_is_gone(peer))
		peer_is_due(peer);
	peer_release(peer);
}

bool peer_is_gone(const struct peer *peer)
{
	return peer->server == NULL || peer->is_closing;
}

uint64_t *peer_number(struct peer *peer)
{
	return &peer->number;
}

uid_t peer_uid(const struct peer *peer)
{
	return peer->who.uid;
}

bool peer_is_allowed(const struct peer *peer, const struct server_access *access)
{
	uv_os_fd_t fd;

	if (peer->server == NULL || uv_fileno((const uv_handle_t *)&peer->pipe, &fd) != 0)
		return false;
	return access_is_allowed(access, fd, &peer->who);
}

pid_t peer_pid(const struct peer *peer)
{
	return peer->who.pid;
}

/* ---- the beginning ---- */

/* Says why at best: the client may not even read. */
static void peer_turn_away(struct peer *peer, const char *line)
{
	/* no crash point: a word to a client that is turned away; nothing depends on it */
	uv_os_fd_t fd;

	if (line != NULL && uv_fileno((uv_handle_t *)&peer->pipe, &fd) == 0)
		(void)send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL); /* at best */
	peer_drop(peer);
}

static void peer_admit(struct peer *peer)
{
	struct server *server = peer->server;
	uv_os_fd_t fd = -1;

	if (uv_fileno((uv_handle_t *)&peer->pipe, &fd) != 0 || access_read(fd, &peer->who) != 0) {
		peer_drop(peer);
	} else if (!access_is_allowed(&server->config.access, fd, &peer->who)) {
		server->counts.n_forbidden++;
		log_warn(server->config.log,
			 "%s: refused pid %d, uid %u, gid %u: not among the allowed users and groups",
			 server->config.name, peer->who.pid, peer->who.uid, peer->who.gid);
		peer_turn_away(peer, server->config.forbidden_line);
	} else if (server->counts.n_clients > server->config.max_clients) {
		server->counts.n_turned_away++;
		log_warn(server->config.log, "%s: turned pid %d away: max_clients, %u, is reached", server->config.name,
			 peer->who.pid, server->config.max_clients);
		peer_turn_away(peer, server->config.full_line);
	} else {
		peer_turn(peer);
	}
}

int peer_accept(struct server *server)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	int rc;

	if (peer == NULL)
		return -ENOMEM;
	peer->server = server;
	peer->n_holds = 1;
	list_init(&peer->due);
	rc = uv_pipe_init(server->loop, &peer->pipe, 0);
	if (rc != 0) {
		free(peer);
		return rc;
	}
	list_append(&server->peers, &peer->node);
	server->counts.n_clients++;
	server->counts.n_accepted++;
	rc = uv_accept((uv_stream_t *)&server->pipe, (uv_stream_t *)&peer->pipe);
	if (rc != 0)
		peer_drop(peer);
	else
		peer_admit(peer);
	return rc;
}
