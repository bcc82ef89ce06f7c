/* HTTP/1.1 requests to one server, on the loop: libcurl's multi interface driven by libuv.
 *
 * Promises: done() comes exactly once for each submit, later, never from inside it. An outcome of HTTP_NOT_SENT is
 * said only when not one byte of the request can have reached the server. Knows nothing about what is in a body.
 *
 * libcurl repeats a request by itself when a kept-alive connection turns out to be closed, and the server may have
 * worked on the first one (curl issue 18417; no switch turns it off). So every request given to this client must be
 * idempotent or fenced in the store, or say is_once; those of the adapters beside this folder are. */
#ifndef SAGAD_STORES_HTTP_HTTP_H
#define SAGAD_STORES_HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "base/str.h"
#include "port/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct http_client;

/* What of the server's certificate is checked with https. */
enum http_verify {
	HTTP_VERIFY_FULL, /* who signed it, and that it is for this host */
	HTTP_VERIFY_CA,   /* who signed it */
	HTTP_VERIFY_NONE  /* nothing: anybody in between may read and change what is sent */
};

struct http_config {
	const char *store;           /* the store's name, for messages; static */
	const char *host;            /* a name or a numeric address, without brackets */
	uint16_t port;               /* 1..65535 */
	bool is_tls;                 /* https */
	enum http_verify verify;     /* with is_tls */
	const char *ca_file;         /* PEM; NULL: the system's */
	const char *cert_file;       /* PEM, the client's own certificate; NULL: none */
	const char *key_file;        /* PEM, its key; NULL: it stands in cert_file */
	const char *user;            /* Basic authentication; NULL: none */
	const char *password;        /* with user */
	const char *header;          /* one more header line, "api-key: K"; NULL: none */
	uint32_t connect_timeout_ms; /* name look-up, TCP and TLS, each; 1 or more */
	uint32_t idle_s;        /* a connection that was idle longer isn't used again; less than the server's own */
	uint32_t max_idle;      /* connections kept, 1..64 */
	size_t reply_max_bytes; /* a longer reply ends the request as HTTP_LOST */
};

enum http_outcome {
	HTTP_ANSWERED, /* a whole reply came, whatever its status */
	HTTP_NOT_SENT, /* no connection: nothing of the request left this machine */
	HTTP_LOST,     /* sent at least in part, and no whole reply came */
	HTTP_SKIPPED   /* http_client_skip(): there was nothing to send */
};

/* One request. Embed it; container_of() leads back. Kept by the client from the submit until done(). */
struct http_req {
	const char *method;  /* in: static: "GET", "PUT", "POST", "PATCH", "DELETE" */
	const char *path;    /* in: with the query, percent-encoded, begins with '/'. Copied by the submit */
	struct str body;     /* in: JSON, borrowed until done(); absent: none */
	uint64_t timeout_ns; /* in: from the submit to the last byte of the reply */
	/* in: lines "Name: value" beside the client's own; checked by the caller, borrowed until done(). NULL: none */
	const char *const *headers;
	uint32_t n_headers;
	/* in: curl must not send it a second time by itself: LOST instead, when a kept connection ends under it */
	bool is_once;

	enum http_outcome outcome; /* out; so are the next five */
	uint16_t status;           /* ANSWERED */
	uint32_t retry_after_s;    /* ANSWERED: the server's own wish; 0: none */
	struct buf reply;          /* ANSWERED: the body; freed after done() */
	struct err err;            /* NOT_SENT, LOST: what happened and where */
	bool is_cut;               /* LOST: the server ended the connection */
	bool is_cert_refused;      /* NOT_SENT: the server's certificate isn't trusted: an operator must act */
	uint64_t latency_ns;       /* out: from the submit to the outcome */

	void (*done)(struct http_req *req);

	/* The client's own. */
	struct list node;
	void *easy;         /* CURL * */
	void *resolve_list; /* struct curl_slist *: the address, for curl */
	void *header_list;  /* struct curl_slist *: the client's headers and its own; NULL: the client's alone */
	struct http_client *client;
	uint64_t begun_ns;
	bool is_sent;      /* curl has handed bytes of it to a socket */
	bool is_repeating; /* curl wanted to send it again, against is_once */
	bool is_too_long;
	char error_text[256]; /* CURL_ERROR_SIZE */
};

/* "full", "ca" or "none"; NULL is "full". */
enum http_verify http_verify_of(const char *word);

/* Makes a client; connects to nothing. Loop's thread, as all below. `config` and its texts are copied; `log` is kept
 * until the client is closed. -EINVAL: a text with control characters, or a user name with a colon. */
int http_client_create(uv_loop_t *loop, const struct http_config *config, struct log *log,
		       struct http_client **out_client, struct err *err) WARN_UNUSED;

void http_client_submit(struct http_client *client, struct http_req *req);

/* Sends nothing: done() comes later with HTTP_SKIPPED. For work that turns out to need no request. */
void http_client_skip(struct http_client *client, struct http_req *req);

/* Another password, or another header line, for the requests submitted from now on; NULL: as it was. Copied. -EINVAL: a
 * control character; -ENOMEM. Then the old one stays. */
int http_client_renew(struct http_client *client, const char *password, const char *header) WARN_UNUSED;

/* TCP connections open now, idle ones included. */
uint32_t http_client_connections(const struct http_client *client);

/* "host:port", for messages; lives as long as the client. */
const char *http_client_endpoint(const struct http_client *client);

/* Ends what is out (NOT_SENT or LOST, done() is called for each), closes every connection, frees the client, then
 * calls closed(arg), later. No submit from here on. Takes NULL: then closed(arg) is called at once. */
void http_client_close(struct http_client *client, void (*closed)(void *arg), void *arg);

/* The verdict of an outcome that isn't ANSWERED: OUTAGE, DOUBT, or MISCONFIGURED for a certificate; SKIPPED is OK. */
enum verdict http_verdict(const struct http_req *req);

#endif
