/* Qdrant as a store: a point for each chunk of each version, through the REST interface.
 *
 * apply and remove send `wait=true` and believe only `completed`. Every request may be repeated: a point's id is named
 * by document, saga and ordinal, and a removal takes one saga's points. Qdrant has no fence for a late apply: the
 * engine's second removal takes what came after the first.
 *
 * For those who compare: after a restart of Qdrant its /readyz is green while writes of its log are still being
 * applied. One operation with wait=true (a removal of a saga that isn't there does) comes before any count or scroll.
 */
#ifndef SAGAD_STORES_QDRANT_QDRANT_H
#define SAGAD_STORES_QDRANT_QDRANT_H

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "port/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Zeroes and NULL stand for the defaults, given at each field. */
struct qdrant_config {
	const char *host;            /* "127.0.0.1" */
	uint16_t port;               /* 6333 */
	bool is_tls;                 /* https */
	const char *ca_file;         /* with is_tls: PEM; NULL: the system's */
	const char *cert_file;       /* with it: PEM, the daemon's own certificate; NULL: none */
	const char *key_file;        /* PEM, its key; NULL: in cert_file */
	const char *verify;          /* "full", "ca" or "none", as enum http_verify; NULL: "full" */
	const char *api_key;         /* NULL or "": none */
	const char *collection;      /* "documents"; letters, digits, '_', '-' and '.', 1..255 of them */
	uint32_t connect_timeout_ms; /* 3000 */
	uint32_t admin_timeout_ms;   /* 30000: of each request of init and ping */
	uint32_t connections;        /* 2: requests out at once, 1..64 */
	uint32_t max_batch;          /* 128: sagas in one request of the engine, 1..4096 */
	size_t max_batch_bytes;      /* 8 MiB: of that */
	uint32_t max_points;         /* 2048: of one HTTP request; a larger batch becomes several */
	size_t max_body_bytes;       /* 30 MiB: of one HTTP request; the server refuses 32 MiB and more */
};

/* Makes the store; connects to nothing. Loop's thread. The configuration is copied, `log` is kept until close().
 * -EINVAL: a value that can't be; err names it.
 * init: a collection that doesn't fit gives PERMANENT, a missing one under check_only MISCONFIGURED. */
int qdrant_create(uv_loop_t *loop, const struct qdrant_config *config, struct log *log, struct store **out_store,
		  struct err *err) WARN_UNUSED;

#endif
