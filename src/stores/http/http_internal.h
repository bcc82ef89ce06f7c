/* What the two halves of the client share: http.c (requests) and http_socket.c (curl's sockets and timer on libuv).
 * Nobody else includes it. */
#ifndef SAGAD_STORES_HTTP_INTERNAL_H
#define SAGAD_STORES_HTTP_INTERNAL_H

#include "http.h"
#include "loop/resolve.h"

#include <curl/curl.h>

struct http_client {
	uv_loop_t *loop;
	struct log *log;
	struct http_config config; /* its texts are the client's own copies */
	CURLM *multi;
	struct curl_slist *headers;
	struct curl_slist **old_headers; /* requests that are out may still use them */
	size_t n_old_headers;
	uv_timer_t curl_timer;    /* curl's own one time-out */
	uv_timer_t soon_timer;    /* reports what finished without the network; ends the client */
	uv_timer_t resolve_timer; /* bounds what waits for an address */
	struct list sockets;      /* struct http_socket: what curl asked to be watched */
	struct list waiting;      /* struct http_req: no address yet */
	struct list sent;         /* struct http_req: curl has them */
	struct list finished;     /* struct http_req: done() is owed */
	struct resolve resolve;
	char address[64]; /* numeric; empty: unknown */
	bool is_numeric;  /* the configured host is an address */
	bool is_closing;
	uint32_t n_connections;
	unsigned n_handles; /* libuv's: the client's memory goes when the last has closed */
	void (*closed)(void *arg);
	void *closed_arg;
	char endpoint[300]; /* "host:port" */
};

/* Sets the socket and timer callbacks on a fresh multi handle; starts the curl timer's handle. */
void http_socket_attach(struct http_client *client);

/* Sets the open and close callbacks of an easy handle, so that a poll ends before its descriptor does. */
void http_socket_attach_easy(struct http_client *client, CURL *easy);

/* Reports the transfers that curl has ended; called after each time that curl was given control. */
void http_client_drain(struct http_client *client);

/* Calls done() for what has finished without the network. */
void http_client_report_finished(struct http_client *client);

/* Ends all that waits or is out; done() is owed then. */
void http_client_abandon(struct http_client *client);

/* A libuv handle of the client has closed. */
void http_client_handle_closed(struct http_client *client);

#endif
