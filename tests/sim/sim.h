/* One seed: the world, its servers, its daemons and its clients, from the first job until nothing is left to do. */
#ifndef SAGAD_SIM_SIM_H
#define SAGAD_SIM_SIM_H

#include "clients.h"
#include "daemon.h"
#include "facts.h"
#include "fake_journal.h"
#include "fake_store.h"
#include "fake_target.h"
#include "fake_truth.h"
#include "fault.h"
#include "flow_clients.h"
#include "flow_facts.h"
#include "trace.h"
#include "world.h"

#define DISKS_MAX 16

struct sim {
	const struct sim_case *run; /* borrowed: the seed, and what is left out of it */
	struct world world;
	struct trace trace;
	struct faults faults;
	struct facts facts;
	struct engine_config config;
	struct sim_truth truth;
	struct sim_store stores[SIM_STORES];
	struct sim_disk disks[DISKS_MAX];
	uint32_t n_disks;
	struct list daemons; /* the dead among them */
	struct daemon *current;
	unsigned n_daemons;
	struct event restart;
	struct sim_disk *restart_disk;
	struct event zombie_end;
	struct event tick;
	uint64_t n_ticks; /* of chaos */
	bool is_safe;     /* no faults any more */
	uint32_t n_gone_back;
	bool redis_saves; /* now and then what it holds; otherwise it forgets everything when it dies */
	struct clients clients;
	struct sim_target targets[SIM_TARGETS];
	struct flow_config flow_config;
	struct flow_facts flow_facts;
	struct flow_clients flow_clients;
};

void sim_init(struct sim *sim, const struct sim_case *run, enum trace_mode mode);
void sim_fini(struct sim *sim);

/* Runs the seed to its end, or to the first broken invariant (see sim->facts). */
void sim_run(struct sim *sim);

/* The next event, and what must hold after it. false: there is none. */
bool sim_step(struct sim *sim);

/* How long a message is on its way. */
uint64_t sim_delay_ns(struct sim *sim);

/* How long after it was sent a request may still have its effect: less than the late-write window. */
uint64_t sim_latest_ns(const struct sim *sim);

/* The daemon crashed or halted: another one starts some time later. */
void sim_daemon_ended(struct daemon *daemon);

/* A new, empty journal. */
struct sim_disk *sim_disk_add(struct sim *sim);

/* ---- operator.c ---- */

/* Once a tick: now and then looks at what is open, and lets it be tried now. */
void operator_acts(struct sim *sim);

/* ---- chaos.c: the faults that strike by time ---- */

void chaos_begin(struct sim *sim);

/* Has it a saga in a state that doesn't last? */
bool chaos_is_rare(const struct daemon *daemon);

/* This daemon's turn has ended: the rare moments are the best ones. */
void chaos_look(struct sim *sim, const struct daemon *daemon);

/* All servers are well, nothing strikes any more. */
void chaos_end(struct sim *sim);

/* ---- questions.c: what document.status says at rest ---- */

/* Asks for every document and every accepted job, one after the other. */
void questions_ask_all(struct sim *sim);

/* ---- invariants.c: what must hold ---- */

/* After each step, of the documents that it has touched. */
void invariants_after_step(struct sim *sim);

/* When nothing is left to do. */
void invariants_at_rest(struct sim *sim);

#endif
