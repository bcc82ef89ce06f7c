/* Redis as a store: whole documents as JSON, for readers that don't want to ask PostgreSQL.
 *
 *     <prefix>:doc:{<id>}           the live value, with a TTL; it begins with {"version":"<saga>"
 *     <prefix>:stage:{<id>}:<saga>  apply's value: proves memory, rights and connection before the pivot
 *     <prefix>:dead:{<id>}:<saga>   remove's fence: a late apply or publish of that saga finds it
 *
 * Each operation is one Lua script, so that looking and writing are one step. The three keys of a document share the
 * hash tag {<id>}: up to the id's first '}', which is the same text in all three. An id that begins with '}' has an
 * empty tag; a Redis Cluster would refuse such a document (CROSSSLOT), a single server takes it.
 *
 * The process ignores SIGPIPE (hiredis writes with write()).
 *
 * An apply of a removed saga is PERMANENT; a publish of one is OK, because a newer version took its place. */
#ifndef SAGAD_STORES_REDIS_REDIS_H
#define SAGAD_STORES_REDIS_REDIS_H

#include "base/err.h"
#include "base/log.h"
#include "base/must.h"
#include "port/store.h"

#include <stdint.h>
#include <uv.h>

/* Zeroes and NULL stand for the defaults, given at each field. */
struct redis_config {
	const char *url;     /* redis://... or unix://...; NULL or "": the next six are used. See redis_url.h */
	const char *host;    /* "127.0.0.1" */
	uint16_t port;       /* 6379 */
	const char *path;    /* a Unix socket instead of host and port; NULL or "": none */
	bool is_tls;         /* over host and port; rediss:// sets it, too */
	const char *ca_file; /* with is_tls: PEM; NULL: the system's */
	const char *cert_file;
	const char *key_file;
	const char *tls_verify; /* "full", "ca" or "none"; NULL: full */
	const char *user;       /* NULL or "": Redis' default user */
	const char *password;   /* NULL or "": none */
	uint32_t db;            /* 0 */

	const char *key_prefix;      /* "sagad"; 1..64 bytes, no braces, blanks or control characters */
	uint32_t staging_ttl_s;      /* 7200; longer than the longest deadline of a saga */
	uint32_t fence_ttl_s;        /* 86400; longer than the longest saga with its late writes */
	uint32_t cache_ttl_s;        /* 3600: of a live value whose job names none */
	uint32_t connect_timeout_ms; /* 5000: look-up, connect and handshake together */
	uint32_t admin_timeout_ms;   /* 5000: of init and ping */
	uint32_t connections;        /* 2: each with one pipeline at a time, 1..64; init and ping have one more */
	uint32_t max_batch;          /* 256: writes in a pipeline, 1..4096 */
	size_t max_batch_bytes;      /* 8 MiB: of a pipeline */
};

/* Makes the store; connects to nothing. Loop's thread. The configuration is copied, `log` is kept until close().
 * -EINVAL: a value that can't be, err names it. -ENOTSUP: TLS is asked for, and this build has none. -ENOMEM.
 * init: creates nothing; a server that is a replica, too old, or refuses the rights gives MISCONFIGURED. */
int redis_store_create(uv_loop_t *loop, const struct redis_config *config, struct log *log, struct store **out_store,
		       struct err *err) WARN_UNUSED;

#endif
