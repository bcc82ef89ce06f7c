/* What qdrant.c (writes), qdrant_init.c (collection, ping) and qdrant_steps.c (clients' own steps) share. Nobody else
 * includes it. */
#ifndef SAGAD_STORES_QDRANT_INTERNAL_H
#define SAGAD_STORES_QDRANT_INTERNAL_H

#include "qdrant.h"
#include "qdrant_codec.h"
#include "stores/http/http_store.h"

struct qdrant;

/* One of the engine's requests while it is out: one HTTP request after another until the cursor is at its end. */
struct qdrant_call {
	struct http_req http;
	struct qdrant *qdrant;
	struct store_req *req; /* NULL: this slot is free */
	struct qdrant_cursor cursor;
	struct qdrant_body body;
	bool was_sent;               /* an earlier part of it was done */
	struct qdrant_answer answer; /* the first that isn't OK ends the call */
	struct err err;
	uint64_t begun_ns;
};

struct qdrant {
	struct store store;
	struct log *log;
	struct http_client *client;
	struct qdrant_limits limits;
	uint64_t admin_timeout_ns;
	char collection[256];
	char upsert_path[320]; /* "/collections/C/points?wait=true" */
	char remove_path[320]; /* "/collections/C/points/delete?wait=true" */
	struct store_status status;
	struct qdrant_call *calls; /* store.max_requests slots */
	void (*closed)(void *arg);
	void *closed_arg;
};

void qdrant_init(struct store *store, struct store_init_req *req);
void qdrant_ping(struct store *store, struct store_init_req *req);

/* How the server is reached. `out_key` is the caller's, empty before, and holds the header that *out_http points at. */
void qdrant_fill_http(const struct qdrant_config *config, struct http_config *out_http, struct buf *out_key);

/* Another API key for the requests from now on; "": none. As http_client_renew(). */
int qdrant_renew_key(struct http_client *client, const char *key) WARN_UNUSED;

#endif
