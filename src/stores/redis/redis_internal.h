/* What the adapter's files share. */
#ifndef SAGAD_STORES_REDIS_REDIS_INTERNAL_H
#define SAGAD_STORES_REDIS_REDIS_INTERNAL_H

#include "base/list.h"
#include "stores/redis/redis.h"
#include "stores/redis/redis_codec.h"
#include "stores/redis/redis_conn.h"

struct redis_store;

/* A connection for the engine's requests, and the request on it. */
struct redis_slot {
	struct redis_conn conn;
	struct redis_exchange exchange;
	struct redis_store *owner;
	struct store_req *req; /* NULL: free */
	bool with_text;        /* second round: the server lacked the script */
	bool wants_text;
	bool wants_reconnect;
};

/* The connection for init and ping, which must not wait behind the engine's requests, nor hold them up. */
struct redis_admin {
	struct redis_conn conn;
	struct redis_exchange exchange;
	struct redis_store *owner;
	struct list waiting; /* redis_admin_op.node */
	struct redis_admin_op *op;
};

struct redis_store {
	struct store store;
	uv_loop_t *loop;
	struct log *log;
	struct redis_target target;
	struct redis_codec codec;
	char *key_prefix;
	uint32_t admin_timeout_ms;
	struct store_status status; /* endpoint and n_connections are filled in when asked */
	struct redis_slot *slots;   /* store.max_requests of them */
	struct redis_admin admin;
	uint32_t n_open; /* connections that are not closed yet */
	bool is_closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Notes how an exchange with the server ended, for status(). err NULL: well. */
void redis_store_note(struct redis_store *store, uint64_t latency_ns, const struct err *err);

/* redis_target.c: makes target and key prefix of a configuration; both are the caller's to end, also after a failure:
 * 0, -EINVAL, -ENOTSUP or -ENOMEM. */
int redis_target_make(const struct redis_config *config, struct redis_target *out_target, char **out_prefix,
		      struct err *err) WARN_UNUSED;

/* Frees the target's texts; takes zeroes. */
void redis_target_fini(struct redis_target *target);

/* As store_ops' renew_secret. */
int redis_target_renew(struct redis_target *target, const char *secret) WARN_UNUSED;

/* redis_admin.c */
void redis_admin_init(struct redis_admin *admin, struct redis_store *owner);
void redis_admin_ask(struct redis_admin *admin, struct store_init_req *req, bool is_ping);

/* Ends what waits; `closed` comes as redis_conn_close()'s. */
void redis_admin_close(struct redis_admin *admin, void (*closed)(struct redis_conn *conn));

#endif
