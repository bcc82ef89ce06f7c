/* A projection store as the engine's port sees it: Qdrant-, Neo4j- or Redis-like.
 *
 * The server keeps versions by saga. What sets the kinds apart is what the real ones have: a fence that a removal
 * leaves (Neo4j, Redis), so that a late apply or publish changes nothing; a live value beside the staged one, and a
 * life time of both (Redis); something to publish (Redis always, Neo4j when entities have properties). A removal by
 * ids (Qdrant) takes as many parts as it was told that there are. Entities are shared by all versions that mention
 * them, and a collector deletes those that nothing mentions any more (Neo4j).
 *
 * The files: fake_store.c what the server holds, fake_store_graph.c its entities, fake_store_image.c what it forgets,
 * fake_store_call.c requests on their way, fake_store_fault.c how they fail. */
#ifndef SAGAD_SIM_FAKE_STORE_H
#define SAGAD_SIM_FAKE_STORE_H

#include "base/digest.h"
#include "call.h"
#include "content.h"
#include "port/store.h"

#include <uthash.h>

struct sim;

enum store_kind { STORE_QDRANT, STORE_NEO4J, STORE_REDIS };

/* What may be wrong with a server for a while. */
enum ill { ILL_DOWN, ILL_MUTE, ILL_MISCONFIGURED, ILL_READ_ONLY, ILL_LOADING, ILL_OUT_OF_MEMORY, ILL_RATE_LIMIT, ILLS };

/* What a store holds of one version. */
struct held {
	struct uuid saga;
	uint32_t doc;
	uint8_t hash[DIGEST_BYTES];
	uint32_t n_parts;    /* that are there, the first ones */
	uint32_t n_whole;    /* that there should be */
	uint32_t entities;   /* bit i: it mentions entity i */
	uint32_t properties; /* bit i: ... and gives it properties */
	bool is_published;
	uint64_t expires_ns; /* NEVER_NS where values have no life time */
	UT_hash_handle hh;
};

struct fence {
	struct uuid saga;
	UT_hash_handle hh;
};

/* STORE_NEO4J: shared by the versions that mention it. */
struct shared_entity {
	bool is_there;
	struct uuid updated_by; /* the version whose properties it has; nil: none */
};

struct live_value {
	bool is_set;
	struct uuid saga;
	uint8_t hash[DIGEST_BYTES];
	uint64_t expires_ns;
};

struct sim_store {
	struct sim *sim;
	enum store_kind kind;
	uint32_t number;
	const char *name;
	bool has_fences; /* its removals leave a fence */
	struct held *held;
	struct fence *fences;
	struct live_value live[DOCS_MAX]; /* STORE_REDIS */
	struct shared_entity entities[ENTITIES_MAX];
	uint32_t uncollected; /* bit i: a removed version mentioned entity i, and the collector hasn't looked since */
	struct event collect;
	struct store_image *image; /* what is on its disk; NULL: nothing */
	uint64_t ill_ns[ILLS];     /* until when it is in this condition */
	/* Of the port, the same for each daemon. */
	uint32_t max_requests;
	uint32_t max_batch;
	size_t max_batch_bytes;
};

/* One daemon's connection to it: what the engine gets. */
struct store_port {
	struct store store;
	struct sim_store *server;
	struct daemon *daemon;
	uint32_t n_out;
	uint64_t half_open_ns;  /* until when its connections lead nowhere */
	uint64_t newest_action; /* of the requests that have arrived */
};

void sim_store_init(struct sim_store *server, struct sim *sim, uint32_t number);
void sim_store_fini(struct sim_store *server);

void store_port_init(struct store_port *port, struct sim_store *server, struct daemon *daemon);

/* For a call that arrives: what one write does. Sets nothing but the store. Fenced: false. */
struct write_copy;
bool sim_store_apply(struct sim_store *server, const struct write_copy *write, uint32_t n_parts);
void sim_store_publish(struct sim_store *server, const struct write_copy *write);
void sim_store_remove(struct sim_store *server, const struct write_copy *write);

/* Forgets what has outlived its life time. */
void sim_store_expire(struct sim_store *server);

bool sim_store_is_ill(const struct sim_store *server, enum ill ill);

/* STORE_REDIS: writes what it holds to its disk; forgets what it holds and takes up what is on the disk. */
void sim_store_save(struct sim_store *server);
void sim_store_forget(struct sim_store *server);
void sim_store_image_free(struct sim_store *server);

/* STORE_NEO4J: what its versions' entities become. */
void sim_graph_init(struct sim_store *server);
void sim_graph_applied(struct sim_store *server, const struct held *held);
void sim_graph_published(struct sim_store *server, const struct held *held);
void sim_graph_removed(struct sim_store *server, const struct held *held);

/* Bit i: a version that the store holds mentions entity i. */
uint32_t sim_graph_mentioned(const struct sim_store *server);

/* A write with all that is needed of it after its request is gone. */
struct write_copy {
	enum leg_op op;
	struct uuid saga;
	uint32_t doc;
	bool has_document;
	uint8_t hash[DIGEST_BYTES];
	uint32_t n_whole;  /* of the document */
	uint32_t n_chunks; /* as a removal was told */
	uint32_t ttl_s;
	uint32_t entities;
	uint32_t properties;
	struct poison_mark mark;
	enum verdict verdict;
};

#endif
