#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SERVER_BACKLOG 128
#define SERVER_TICK_MS 250

/* ---- the loop's turns ---- */

static void server_on_turn(uv_idle_t *turn)
{
	struct server *server = container_of(turn, struct server, turn);
	struct list now;
	struct list *node;

	/* What becomes due meanwhile waits for the next turn: one client can't keep the loop here. */
	list_init(&now);
	list_splice(&now, &server->due);
	while ((node = list_take_first(&now)) != NULL)
		peer_turn(container_of(node, struct peer, due));
	if (list_is_empty(&server->due))
		(void)uv_idle_stop(&server->turn); /* documented to always succeed */
}

void peer_is_due(struct peer *peer)
{
	struct server *server = peer->server;

	if (peer->is_closing || !list_is_empty(&peer->due))
		return;
	list_append(&server->due, &peer->due);
	(void)uv_idle_start(&server->turn, server_on_turn); /* fails without a callback only */
}

static void server_all_due(struct server *server)
{
	struct list *node, *next;

	list_each (node, next, &server->peers)
		peer_is_due(container_of(node, struct peer, node));
}

static void server_drop_all(struct server *server)
{
	struct list *node, *next;

	list_each (node, next, &server->peers)
		peer_drop(container_of(node, struct peer, node));
}

static void server_take_client(struct server *server)
{
	int rc = peer_accept(server);

	server->has_client_at_door = rc == -ENOMEM;
	if (rc != 0)
		log_warn(server->config.log, "%s: could not take a client in: %s", server->config.name,
			 uv_strerror(rc));
}

static void server_on_connection(uv_stream_t *stream, int status)
{
	struct server *server = container_of(stream, struct server, pipe);

	if (status == 0)
		server_take_client(server);
	else
		log_warn(server->config.log, "%s: could not take a client in: %s", server->config.name,
			 uv_strerror(status));
}

static void server_on_tick(uv_timer_t *tick)
{
	struct server *server = container_of(tick, struct server, tick);
	uint64_t now_ms = uv_now(server->loop);
	struct list *node, *next;

	if (server->is_closing && now_ms >= server->close_by_ms) {
		server_drop_all(server);
		return;
	}
	if (server->has_client_at_door && server->is_listening)
		server_take_client(server);
	list_each (node, next, &server->peers) {
		struct peer *peer = container_of(node, struct peer, node);

		if (!peer_has_stalled(peer, now_ms))
			continue;
		server->counts.n_dropped++;
		log_warn(server->config.log, "%s: dropped pid %d, uid %u: it neither read nor sent for %llu ms",
			 server->config.name, peer->who.pid, peer->who.uid,
			 (unsigned long long)server->config.stall_ms);
		peer_drop(peer);
	}
}

/* ---- the beginning ---- */

/* Descriptors for the stores and the journal come first; a client too many is turned away, not an accept() failing. */
static int server_limit_clients(struct server *server, struct err *err)
{
	struct rlimit limit;
	uint64_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return err_set(err, -errno, "cannot read RLIMIT_NOFILE: %s", strerror(errno));
	room = limit.rlim_cur > server->config.spare_fds ? limit.rlim_cur - server->config.spare_fds : 0;
	if (room < 2)
		return err_set(err, -EMFILE,
			       "%s: RLIMIT_NOFILE is %llu and %u descriptors are kept for the stores: raise it "
			       "(LimitNOFILE= in the unit, ulimit -n)",
			       server->config.name, (unsigned long long)limit.rlim_cur, server->config.spare_fds);
	if (server->config.max_clients < room)
		return 0;
	server->config.max_clients = (uint32_t)(room - 1);
	log_warn(server->config.log, "%s: max_clients lowered to %u by RLIMIT_NOFILE", server->config.name,
		 server->config.max_clients);
	return 0;
}

static int server_open_listener(struct server *server, struct err *err)
{
	const struct server_config *config = &server->config;

	if (config->fd >= 0)
		return listener_take(&server->listener, config->fd, config->path, err);
	return listener_open(&server->listener, config->path, config->mode, config->socket_gid, err);
}

static int server_listen(struct server *server, struct err *err)
{
	int rc = uv_pipe_open(&server->pipe, server->listener.fd);

	if (rc != 0)
		return err_set(err, rc, "%s: cannot use the socket: %s", server->config.name, uv_strerror(rc));
	server->listener.fd = -1; /* libuv's now */
	rc = uv_listen((uv_stream_t *)&server->pipe, SERVER_BACKLOG, server_on_connection);
	if (rc != 0)
		return err_set(err, rc, "%s: cannot listen: %s", server->config.name, uv_strerror(rc));
	server->is_listening = true;
	return 0;
}

static int server_init_handles(struct server *server, struct err *err)
{
	/* None of the three can fail: they only fill in the handle (libuv 1.44, src/unix). */
	MUST(uv_pipe_init(server->loop, &server->pipe, 0) == 0);
	MUST(uv_timer_init(server->loop, &server->tick) == 0);
	MUST(uv_idle_init(server->loop, &server->turn) == 0);
	server->n_handles = 3;
	MUST(uv_timer_start(&server->tick, server_on_tick, SERVER_TICK_MS, SERVER_TICK_MS) == 0);
	return server_listen(server, err);
}

int server_create(uv_loop_t *loop, const struct server_config *config, struct server_events *events,
		  struct server **out_server, struct err *err)
{
	struct server *server = calloc(1, sizeof(*server));
	int rc;

	if (server == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", config->name);
	*server = (struct server){.config = *config, .events = events, .loop = loop};
	list_init(&server->peers);
	list_init(&server->due);
	rc = server_limit_clients(server, err);
	if (rc == 0)
		rc = server_open_listener(server, err);
	if (rc != 0) {
		free(server);
		return rc;
	}
	rc = server_init_handles(server, err);
	if (rc != 0) {
		server_close(server, 0, NULL, NULL); /* frees it at the loop's next turns */
		return rc;
	}
	*out_server = server;
	return 0;
}

int server_replace(const struct server_config *config, int *out_fd, struct err *err)
{
	return listener_replace(config->path, config->mode, config->socket_gid, out_fd, err);
}

void server_reconfigure(struct server *server, const struct server_config *config)
{
	struct err err;

	server->config.max_line_bytes = config->max_line_bytes;
	server->config.max_buffered_bytes = config->max_buffered_bytes;
	server->config.max_clients = config->max_clients;
	server->config.max_jobs = config->max_jobs;
	server->config.max_unsent_bytes = config->max_unsent_bytes;
	server->config.stall_ms = config->stall_ms;
	server->config.access = config->access;
	/* The limit of descriptors hasn't changed since the start, when there was room for one client at least. */
	if (server_limit_clients(server, &err) != 0)
		log_warn(server->config.log, "%s", err.text);
	server_all_due(server); /* a client at its old bound may go on, one above its new bound must stop */
}

/* ---- the end ---- */

static void server_on_handle_closed(uv_handle_t *handle)
{
	struct server *server = handle->data;

	server->n_handles--;
	if (server->n_handles > 0)
		return;
	if (server->closed != NULL)
		server->closed(server->closed_arg);
	free(server);
}

static void server_close_handle(struct server *server, uv_handle_t *handle)
{
	handle->data = server;
	uv_close(handle, server_on_handle_closed);
}

/* The last peer takes the server's other handles with it. */
void server_peer_left(struct server *server)
{
	if (!server->is_closing || !list_is_empty(&server->peers) || uv_is_closing((uv_handle_t *)&server->turn))
		return;
	server_close_handle(server, (uv_handle_t *)&server->tick);
	server_close_handle(server, (uv_handle_t *)&server->turn);
}

void server_stop_listening(struct server *server)
{
	if (uv_is_closing((uv_handle_t *)&server->pipe))
		return;
	server->is_listening = false;
	listener_remove(&server->listener);
	listener_fini(&server->listener);
	server_close_handle(server, (uv_handle_t *)&server->pipe);
}

void server_close(struct server *server, uint64_t flush_ms, void (*closed)(void *arg), void *arg)
{
	MUST(!server->is_closing);
	server->is_closing = true;
	server->closed = closed;
	server->closed_arg = arg;
	server->close_by_ms = uv_now(server->loop) + flush_ms;
	server_stop_listening(server);
	if (flush_ms == 0)
		server_drop_all(server);
	server_all_due(server);
	server_peer_left(server);
}

void server_pause(struct server *server, bool is_paused)
{
	if (server->is_paused == is_paused)
		return;
	server->is_paused = is_paused;
	server_all_due(server);
}

void server_counts(const struct server *server, struct server_counts *out_counts)
{
	*out_counts = server->counts;
}
