/* Neo4j as a store: a node for each version of a document, shared entities, relationships of a version; through the
 * HTTP transaction endpoint, one request for one transaction. neo4j_codec.h draws the graph.
 *
 * Every request may be repeated: an apply begins with its saga's node, which is there already the second time, and a
 * removal leaves a tombstone on it that keeps a late apply out. Constraints are checked before the first write after
 * each loss of the connection, and without them nothing is written.
 *
 * Entities that no document mentions any more are deleted by a collector, on a timer of its own after removals. */
#ifndef SAGAD_STORES_NEO4J_NEO4J_H
#define SAGAD_STORES_NEO4J_NEO4J_H

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "port/store.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Zeroes and NULL stand for the defaults, given at each field. */
struct neo4j_config {
	const char *url;              /* "http://127.0.0.1:7474"; http or https, not bolt */
	const char *ca_file;          /* with https: PEM; NULL: the system's */
	const char *cert_file;        /* with it: PEM, the daemon's own certificate; NULL: none */
	const char *key_file;         /* PEM, its key; NULL: in cert_file */
	const char *verify;           /* "full", "ca" or "none", as enum http_verify; NULL: "full" */
	const char *user;             /* "neo4j" */
	const char *password;         /* NULL or "": no authentication is sent */
	const char *database;         /* "neo4j" */
	uint32_t connect_timeout_ms;  /* 3000 */
	uint32_t admin_timeout_ms;    /* 90000: of each request of init, ping and the collector */
	uint32_t connections;         /* 2: requests out at once, 1..64; few writers are faster than many */
	uint32_t max_batch;           /* 128: sagas in one transaction, 1..4096 */
	size_t max_batch_bytes;       /* 1 MiB: of one request; the server holds it outside of its memory limits */
	uint64_t tombstone_ms;        /* 3600000: how long a removed saga's name is kept; longer than any late write */
	uint32_t collect_interval_ms; /* 1000: from a removal to the collector's next step */
};

/* Makes the store; connects to nothing. Loop's thread. The configuration is copied, `log` is kept until close().
 * -EINVAL: a value that can't be; err names it.
 * init: PERMANENT when the schema can't be made (what is there is against it), MISCONFIGURED under check_only when
 * something is missing. */
int neo4j_create(uv_loop_t *loop, const struct neo4j_config *config, struct log *log, struct store **out_store,
		 struct err *err) WARN_UNUSED;

#endif
