/* A small HTTP/1.1 server for reading: GET and HEAD, one answer a request, whatever it is asked. libmicrohttpd reads
 * the requests; what the paths mean is the owner's.
 *
 * It is bounded against slow, large and odd clients: so many connections, so many bytes of headers, so much time from a
 * connection's or an answer's beginning to the end of the next answer. There is no authentication: what it shows is
 * meant for whoever can reach the address.
 *
 * All calls on the loop's thread. */
#ifndef SAGAD_NET_HTTP_SERVER_H
#define SAGAD_NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

#include <stdint.h>
#include <uv.h>

struct http_server;

/* What one request gets. The owner fills it in. */
struct http_answer {
	unsigned status;          /* 200, 404, 503 */
	const char *content_type; /* static */
	const char *csp; /* Content-Security-Policy; kept until the server is closed; NULL: nothing is allowed */
	struct buf body; /* taken */
};

struct http_server_config {
	const char *listen;       /* see http_address.h; borrowed for the call */
	uint32_t max_connections; /* more wait in the kernel's queue */
	uint32_t max_header_bytes;
	uint64_t max_wait_ms; /* for a whole request to come and its answer to be read; idle connections, too */
	/* Fills in the answer for a path ("/metrics"), borrowed for the call and hostile. Any byte but NUL may be in
	 * it. */
	void (*answer)(void *owner, const char *path, struct http_answer *out_answer);
	void *owner;
	struct log *log; /* borrowed for the server's life; may be NULL */
};

/* Listens. 0; -EINVAL: the address can't be read; -EADDRINUSE: somebody listens there; or another negative errno. */
int http_server_create(uv_loop_t *loop, const struct http_server_config *config, struct http_server **out_server,
		       struct err *err) WARN_UNUSED;

/* Where it really listens, "127.0.0.1:7242". */
const char *http_server_address(const struct http_server *server);

/* Can only this machine reach it? */
bool http_server_is_loopback(const struct http_server *server);

uint64_t http_server_requests(const struct http_server *server);

/* Ends every connection and frees the server; then closed(arg), later. Takes no NULL. */
void http_server_close(struct http_server *server, void (*closed)(void *arg), void *arg);

#endif
