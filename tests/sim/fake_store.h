/* A projection store as the engine's port sees it: Qdrant-, Neo4j- or Redis-like.
 *
 * The server keeps versions by saga. What sets the kinds apart is what the real ones have: a fence that a removal
 * leaves (Neo4j, Redis), so that a late apply or publish changes nothing; a live value beside the staged one, and a
 * life time of both (Redis); something to publish (Redis always, Neo4j when entities have properties). A removal by
 * ids (Qdrant) takes as many parts as it was told that there are. */
#ifndef SAGAD_SIM_FAKE_STORE_H
#define SAGAD_SIM_FAKE_STORE_H

#include "base/digest.h"
#include "call.h"
#include "content.h"
#include "port/store.h"

#include <uthash.h>

struct sim;

enum store_kind { STORE_QDRANT, STORE_NEO4J, STORE_REDIS };

/* What a store holds of one version. */
struct held {
	struct uuid saga;
	uint32_t doc;
	uint8_t hash[DIGEST_BYTES];
	uint32_t n_parts; /* that are there, the first ones */
	uint32_t n_whole; /* that there should be */
	bool is_published;
	uint64_t expires_ns; /* NEVER_NS where values have no life time */
	UT_hash_handle hh;
};

struct fence {
	struct uuid saga;
	UT_hash_handle hh;
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
	/* Until when it is in this condition. */
	uint64_t down_ns;
	uint64_t misconfigured_ns;
	uint64_t mute_ns;
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
	struct poison_mark mark;
	enum verdict verdict;
};

#endif
