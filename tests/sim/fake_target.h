/* What steps of clients' own sagas run on: stores with a barrier (PostgreSQL-, Redis- and Neo4j-like), one that knows
 * idempotency keys, and one that does everything that it is told.
 *
 * What a server holds of a step lies in its step_fact. Of a do whose body says REFUSE it says that it is wrong for
 * good; an undo whose body says STUBBORN fails until the faults end. */
#ifndef SAGAD_SIM_FAKE_TARGET_H
#define SAGAD_SIM_FAKE_TARGET_H

#include "call.h"
#include "flow_facts.h"
#include "port/target.h"

#define SIM_TARGETS 5

struct sim_target {
	struct sim *sim;
	const char *name;
	uint32_t number;
	bool has_barrier;
	bool is_exact; /* a barrier, or idempotency keys: a do has its effect once */
	bool is_service;
	uint64_t down_ns; /* until when nobody reaches it */
	uint64_t mute_ns; /* until when it says nothing */
};

/* One daemon's connections to it. */
struct target_port {
	struct target target;
	struct sim_target *server;
	struct daemon *daemon;
	uint32_t n_out;
};

void sim_targets_init(struct sim *sim);
uint32_t sim_target_of(const struct sim *sim, struct str name);
void target_port_init(struct target_port *port, struct sim_target *server, struct daemon *daemon);

/* Once a tick: outages. */
void sim_targets_strike(struct sim *sim);
void sim_targets_heal(struct sim *sim);

#endif
