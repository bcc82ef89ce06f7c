/* What is known of each saga that a client wrote itself, and the claims that must hold of it. As facts.h: the fakes
 * obey, the judge stands here. Numbers of the invariants, besides those of facts.h (3, 5, 8, 9, 12):
 *
 *  15  a step has its effect once at most where a barrier or an idempotency key can see to it; elsewhere what may have
 *      run is not sent again
 *  16  in the end a committed saga has the effect of each required step, a compensated one none but what its client
 *      wants kept
 *  17  a step is undone exactly when it ran or may have, after all that depend on it, and never behind the pivot
 *  18  no step is sent before what it depends on is done, and durable */
#ifndef SAGAD_SIM_FLOW_FACTS_H
#define SAGAD_SIM_FLOW_FACTS_H

#include "core/flow.h"
#include "port/journal.h"
#include "port/target.h"
#include "proto/flow_spec.h"

#include <uthash.h>

struct sim;
struct daemon;
struct sim_target;

struct step_fact {
	uint64_t after;
	bool has_undo, is_optional, is_pivot, is_idempotent;
	uint32_t max_tries; /* 0: the daemon's */
	uint32_t target;
	/* the journal */
	bool was_started;
	enum flow_step_state durable;
	unsigned started_by; /* the daemon that recorded its intent; another one can't know what became of it */
	/* what the daemons have sent and heard */
	uint32_t n_sent_do;
	unsigned sent_by;   /* the last daemon */
	uint32_t n_sent_by; /* dos that this one has sent */
	bool is_out;        /* a do, without an answer so far */
	bool may_have_run;  /* an answer was missing, or OK */
	bool is_in_doubt;   /* ... missing, and no check has said no since */
	bool has_do_ok, has_undo_ok;
	/* the target */
	bool is_done, is_blocked; /* of a barrier, or of idempotency keys: the undo's key is known */
	uint32_t n_effects;
	bool is_live;  /* the effect is there */
	bool is_loose; /* something arrived that its sender had given up: without a barrier nobody can say more */
};

struct flow_fact {
	struct uuid id;
	enum flow_state durable;
	bool is_durable, has_ended;
	bool is_orphaned; /* its journal is lost */
	bool is_past_pivot;
	bool has_had_zombie; /* a daemon that was thought dead may have gone on with it */
	unsigned began_by;
	uint32_t uid;
	uint32_t n_steps;
	UT_hash_handle hh;
	struct step_fact steps[FLOW_STEPS_MAX];
};

struct flow_facts {
	struct sim *sim;
	struct flow_fact *by_id;
};

void flow_facts_init(struct flow_facts *facts, struct sim *sim);
void flow_facts_fini(struct flow_facts *facts);
struct flow_fact *flow_facts_find(const struct flow_facts *facts, const struct uuid *id);

/* A daemon begins it: its record is on the way. */
void flow_facts_began(struct flow_facts *facts, const struct daemon *daemon, const struct journal_flow_req *req);

/* A record is on the disk. */
void flow_facts_written(struct flow_facts *facts, const struct daemon *daemon, const struct journal_flow_req *req);

/* A call goes out; its answer is heard. */
void flow_facts_sent(struct flow_facts *facts, const struct daemon *daemon, struct flow_fact *fact, uint32_t step,
		     enum call_kind kind);
void flow_facts_heard(struct flow_facts *facts, struct flow_fact *fact, uint32_t step, enum call_kind kind,
		      enum verdict verdict);

/* A do has had its effect at its target. */
void flow_facts_effect(struct flow_facts *facts, struct flow_fact *fact, uint32_t step);

/* Everything has come to rest. */
void flow_facts_at_rest(struct flow_facts *facts);

/* What a do of this step answers, and what a reference to it must be replaced by. */
uint64_t flow_facts_number(const struct uuid *flow, uint32_t step);

#endif
