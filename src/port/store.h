/* The port to a projection store: Qdrant, Neo4j, Redis.
 *
 * The engine calls, an adapter in src/stores/ answers. Everything happens on the loop's thread. An adapter keeps no
 * queue: the engine has at most `max_requests` requests out at a time, and each goes out at once. */
#ifndef SAGAD_PORT_STORE_H
#define SAGAD_PORT_STORE_H

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "base/uuid.h"
#include "port/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct document; /* proto/document.h */
struct store;

#define STORES_MAX           8
#define STORE_CHUNKS_UNKNOWN UINT32_MAX

/* All three are idempotent and commute with those of other sagas, whatever their order and however often they come. */
enum leg_op {
	LEG_APPLY, /* write version `saga` of the document beside what is there; readers don't accept it yet. Of a saga
		      that was removed it writes nothing and is TRANSIENT: not the document's fault, and only a daemon
		      that another one has replaced ever sees it */
	LEG_PUBLISH, /* after the pivot: make version `saga` the live one where the store has such a thing; never
			replaces a newer version; without a document (recovery) what the store itself holds is used, and
			where nothing is held an older live value is removed */
	LEG_REMOVE /* take away all that saga `saga` wrote, by that name only; leaves a fence, where the store has one,
		      so that a late apply or publish of that saga does nothing that stays */
};
#define LEG_OPS 3

/* One saga's part of a request. The engine owns it and keeps it until the request's done(). */
struct leg_write {
	enum leg_op op;
	struct uuid saga;                /* the version that is applied, published or removed */
	struct str document_id;          /* borrowed until done() */
	const struct document *document; /* APPLY: never NULL. PUBLISH: NULL in recovery. REMOVE: NULL */
	uint32_t n_chunks;               /* REMOVE: how many chunks that version has, or STORE_CHUNKS_UNKNOWN */
	uint32_t cache_ttl_s;            /* APPLY, PUBLISH: life of a cached value, seconds */
	/* Out, set by the adapter before done(): */
	enum verdict verdict;
	struct err err; /* when verdict is not OK: what the store said, and about what */
};

/* One request: one round trip with the writes of many sagas, all of the same op. Embed it; container_of() leads back.
 */
struct store_req {
	struct leg_write **writes; /* in: borrowed until done() */
	uint32_t n_writes;         /* in: 1..max_batch */
	uint64_t timeout_ns;       /* in: from the submit to an answer; then the verdict is DOUBT */
	/* Out: the verdict PERMANENT, TRANSIENT or DOUBT was given to all writes because the store refused or lost the
	 * request as a whole; any one of them may be the cause. The engine halves such a batch. */
	bool is_shared;
	/* Out, with DOUBT: the store ended the connection in the middle of the request, as it does when its process
	 * dies. False: it was a time-out, or the store said something. */
	bool is_cut;
	/* Called exactly once for each submit, later, never from inside submit(). */
	void (*done)(struct store_req *req);
	struct list node; /* the adapter's while the request is out */
};

/* What `sagactl stores` shows. */
struct store_status {
	bool is_up;          /* the last exchange succeeded */
	bool was_tried;      /* false: nothing was ever sent */
	char version[64];    /* the server's own words; empty: unknown */
	char endpoint[160];  /* host:port or a path; never a password */
	uint64_t latency_ns; /* of the last exchange */
	uint32_t n_connections;
	struct err last_error; /* empty while all is well */
};

/* What `sagactl init` asks for; each adapter takes what concerns it. */
struct store_schema {
	uint32_t dims;     /* 1..65535 */
	char distance[16]; /* "cosine", "dot", "euclid" or "manhattan" */
	uint32_t hnsw_m;   /* 0: the store's default; so are the next */
	uint32_t hnsw_ef_construct;
	bool on_disk;
	bool quantize_int8;
	bool ann_index; /* PostgreSQL: build an HNSW index after the load */
};

/* Creating or checking a store's schema. Idempotent: what is there and fits stays, what doesn't fit is a refusal. */
struct store_init_req {
	const struct store_schema *schema;        /* in: borrowed until done() */
	bool check_only;                          /* in: change nothing, say whether it fits */
	enum verdict verdict;                     /* out */
	struct err err;                           /* out: on failure what is there, what was asked for, what to do */
	char report[512];                         /* out: one line on what was created or found */
	void (*done)(struct store_init_req *req); /* exactly once, later */
};

struct store_ops {
	void (*submit)(struct store *store, struct store_req *req);
	void (*init)(struct store *store, struct store_init_req *req);
	/* Fills out_status; sends nothing. */
	void (*status)(const struct store *store, struct store_status *out_status);
	/* Sends one cheap read; done() like init's, the report unused. Used for `sagactl stores` and by start-up. */
	void (*ping)(struct store *store, struct store_init_req *req);
	/* Does this document need LEG_PUBLISH here? NULL: never. Called with NULL: could any document need it? */
	bool (*publishes)(const struct store *store, const struct document *document);
	/* Bytes this write adds to a request, roughly; the engine bounds a batch with it. Pure. */
	size_t (*write_bytes)(const struct store *store, const struct leg_write *write);
	/* A new password or key, copied, for what is sent over connections that are made from now on; "": none. NULL:
	 * the store takes none while it runs. 0, or a negative errno with the old one in use. */
	int (*renew_secret)(struct store *store, const char *secret);
	/* Ends what is out with VERDICT_DOUBT, frees the adapter, then calls closed(arg). No call after it. */
	void (*close)(struct store *store, void (*closed)(void *arg), void *arg);
};

/* Embedded in each adapter's own struct. */
struct store {
	const struct store_ops *ops;
	const char *name;       /* "qdrant", "neo4j", "redis": in messages, metrics, journal and debts; never changes */
	uint32_t max_requests;  /* requests out at once, 1..64 */
	uint32_t max_batch;     /* writes in one request, 1..4096 */
	size_t max_batch_bytes; /* of one request; a write that is larger alone goes alone */
	bool has_fences; /* remove leaves a fence under the saga's name: a late apply of it changes nothing. Without
			    one a removal is repeated when no late apply can be on its way any more */
};

#endif
