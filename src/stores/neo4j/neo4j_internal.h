/* What neo4j.c (making, ending), neo4j_call.c (writes), neo4j_admin.c (schema, ping) and neo4j_collect.c share. Nobody
 * else includes it. */
#ifndef SAGAD_STORES_NEO4J_INTERNAL_H
#define SAGAD_STORES_NEO4J_INTERNAL_H

#include "neo4j.h"
#include "neo4j_codec.h"
#include "stores/http/http_store.h"

#include <stdbool.h>

struct neo4j;

/* One of the engine's requests while it is out: the check when one is due, then the write. */
struct neo4j_call {
	struct http_req http;
	struct neo4j *neo4j;
	struct store_req *req; /* NULL: this slot is free */
	bool is_check;         /* the check is out, not the write */
	struct neo4j_body body;
	struct neo4j_answer answer;
	struct err err;
	uint64_t begun_ns;
};

struct neo4j {
	struct store store;
	struct log *log;
	struct http_client *client;
	char path[96]; /* "/db/neo4j/tx/commit" */
	uint64_t admin_timeout_ns;
	uint64_t tombstone_ms;
	uint32_t collect_interval_ms;
	struct store_status status;
	bool is_checked; /* the constraints were there when last seen, and the connection held since */
	struct neo4j_dialect dialect;
	struct neo4j_call *calls; /* store.max_requests slots */
	uv_timer_t collect_timer;
	struct http_req collect;
	struct neo4j_body collect_body;
	bool is_collecting;      /* a step is out */
	bool has_removed;        /* since the last step began */
	bool has_collect_failed; /* said once in the log, until it works again */
	bool is_closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Keeps what status() tells about an exchange, and asks for a new check when the connection was lost. */
void neo4j_note(struct neo4j *neo4j, const struct http_req *http, enum verdict verdict, const struct err *err);

/* The verdict on an answered check: keeps version and dialect; MISCONFIGURED when a constraint is missing. */
enum verdict neo4j_take_check(struct neo4j *neo4j, const struct http_req *http, struct err *err);

/* Fills method, path, body and time-out, and sends. */
void neo4j_send(struct neo4j *neo4j, struct http_req *http, const struct neo4j_body *body, uint64_t timeout_ns);

struct neo4j_url {
	char host[256];
	uint16_t port;
	bool is_tls;
};

/* The HTTP client's configuration out of the store's; `out_url` holds its host. 0, or -EINVAL and err. */
int neo4j_http_config(const struct neo4j_config *config, struct neo4j_url *out_url, struct http_config *out_http,
		      struct err *err) WARN_UNUSED;

/* neo4j_call.c */
void neo4j_submit(struct store *store, struct store_req *req);

/* neo4j_admin.c */
void neo4j_init(struct store *store, struct store_init_req *req);
void neo4j_ping(struct store *store, struct store_init_req *req);

/* neo4j_collect.c: there may be something to collect. */
void neo4j_collect_soon(struct neo4j *neo4j);

#endif
