/* A listening socket on the loopback interface and its connections, on libuv: bytes gather until the protocol above
 * takes whole messages off their front; what it answers goes out in one write. */
#ifndef SAGAD_BENCH_NULL_NULL_TCP_H
#define SAGAD_BENCH_NULL_NULL_TCP_H

#include "base/buf.h"

#include <sys/types.h>
#include <uv.h>

struct null_conn;

struct null_tcp_ops {
	/* The protocol's state of a new connection; NULL: no memory, it is refused. */
	void *(*open)(void *owner);
	/* Takes whole messages off the front of `bytes` and appends answers to conn->out. The bytes taken, or -1: the
	 * peer is to be hung up on. */
	ssize_t (*take)(struct null_conn *conn, const char *bytes, size_t n_bytes);
	void (*close)(void *state);
};

/* Zeroes, then null_tcp_listen(). */
struct null_tcp {
	uv_tcp_t tcp;
	const struct null_tcp_ops *ops;
	void *owner; /* for open(); the caller's */
	uint16_t port;
};

struct null_conn {
	uv_tcp_t tcp;
	struct null_tcp *server;
	void *state;
	struct buf in, out, sending;
	uv_write_t write;
	bool is_writing;
};

/* Listens on a free port of 127.0.0.1. 0, or libuv's error. */
int null_tcp_listen(struct null_tcp *server, uv_loop_t *loop, const struct null_tcp_ops *ops, void *owner)
	__attribute__((warn_unused_result));

#endif
