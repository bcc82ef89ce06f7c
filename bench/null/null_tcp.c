#include "null_tcp.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES 262144u
#define BACKLOG    64

#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static void conn_on_closed(uv_handle_t *handle)
{
	struct null_conn *conn = CONTAINER(handle, struct null_conn, tcp);

	if (conn->state != NULL)
		conn->server->ops->close(conn->state);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	buf_fini(&conn->sending);
	free(conn);
}

static void conn_close(struct null_conn *conn)
{
	if (!uv_is_closing((uv_handle_t *)&conn->tcp))
		uv_close((uv_handle_t *)&conn->tcp, conn_on_closed);
}

static void conn_send(struct null_conn *conn);

static void conn_on_written(uv_write_t *write, int status)
{
	struct null_conn *conn = CONTAINER(write, struct null_conn, write);

	conn->is_writing = false;
	buf_clear(&conn->sending);
	if (status != 0)
		conn_close(conn);
	else
		conn_send(conn);
}

static void conn_send(struct null_conn *conn)
{
	struct buf swapped = conn->sending;
	uv_buf_t bytes;

	if (conn->is_writing || conn->out.len == 0)
		return;
	conn->sending = conn->out;
	conn->out = swapped;
	bytes = uv_buf_init(conn->sending.at, (unsigned)conn->sending.len);
	conn->is_writing = true;
	if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &bytes, 1, conn_on_written) != 0)
		conn_close(conn);
}

static void conn_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
	struct null_conn *conn = CONTAINER(handle, struct null_conn, tcp);

	(void)suggested;
	if (buf_reserve(&conn->in, READ_BYTES) != 0)
		*out_buf = uv_buf_init(NULL, 0); /* libuv then calls back with UV_ENOBUFS */
	else
		*out_buf = uv_buf_init(conn->in.at + conn->in.len, READ_BYTES);
}

static void conn_on_read(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *unused)
{
	struct null_conn *conn = CONTAINER(stream, struct null_conn, tcp);
	ssize_t n_taken;

	(void)unused;
	if (n_read < 0) {
		conn_close(conn);
		return;
	}
	conn->in.len += (size_t)n_read;
	n_taken = conn->server->ops->take(conn, conn->in.at, conn->in.len);
	if (n_taken < 0 || conn->out.failed) {
		conn_close(conn);
		return;
	}
	buf_consume(&conn->in, (size_t)n_taken);
	conn_send(conn);
}

static void null_tcp_on_connection(uv_stream_t *stream, int status)
{
	struct null_tcp *server = CONTAINER(stream, struct null_tcp, tcp);
	struct null_conn *conn = status == 0 ? calloc(1, sizeof(*conn)) : NULL;

	if (conn == NULL)
		return; /* the client sees a connection that says nothing, and gives up */
	conn->server = server;
	if (uv_tcp_init(stream->loop, &conn->tcp) != 0) {
		free(conn);
		return;
	}
	conn->state = server->ops->open(server->owner);
	if (conn->state == NULL || uv_accept(stream, (uv_stream_t *)&conn->tcp) != 0 ||
	    uv_tcp_nodelay(&conn->tcp, 1) != 0 ||
	    uv_read_start((uv_stream_t *)&conn->tcp, conn_on_alloc, conn_on_read) != 0)
		conn_close(conn);
}

int null_tcp_listen(struct null_tcp *server, uv_loop_t *loop, const struct null_tcp_ops *ops, void *owner)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int size = sizeof(address), rc;

	server->ops = ops;
	server->owner = owner;
	rc = uv_tcp_init(loop, &server->tcp);
	if (rc == 0)
		rc = uv_tcp_bind(&server->tcp, (const struct sockaddr *)&address, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&server->tcp, BACKLOG, null_tcp_on_connection);
	if (rc == 0)
		rc = uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &size);
	server->port = ntohs(address.sin_port);
	return rc;
}
