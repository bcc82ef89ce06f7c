/* Sagas that clients wrote themselves, over the ports to their targets and the journal: the half of the engine that
 * src/core/flow.h asks for. As the engine: no I/O, no clock, everything happens in engine_turn().
 *
 * A flow's do is sent when the journal has its intent; calls to one target go out at most max_calls at a time, oldest
 * first, and one flow's backoff never holds up another's. A step on `documents` is a document saga of this very engine,
 * with the idempotency key "SAGA/STEP/do", so that it happens once. */
#ifndef SAGAD_ENGINE_FLOWS_H
#define SAGAD_ENGINE_FLOWS_H

#include "base/backoff.h"
#include "base/err.h"
#include "base/list.h"
#include "core/flow.h"
#include "proto/flow_spec.h"
#include "proto/work.h"

struct engine;
struct target; /* port/target.h */

#define FLOW_TARGETS_MAX 33 /* TARGETS_MAX and `documents` */

struct flow_config {
	uint32_t max_flows;        /* open ones in memory; beyond: overloaded */
	size_t max_flow_bytes;     /* of their texts and results */
	size_t max_result_bytes;   /* of one step's result; a longer one becomes null with a note */
	uint64_t deadline_ms;      /* of one that names none; 0: none */
	uint64_t step_timeout_ms;  /* of one try of a step that names none */
	uint32_t max_tries;        /* of a step that names none */
	struct backoff retry;      /* the same */
	struct backoff undo;       /* between tries of undos, and of dos after the pivot */
	uint64_t park_after_ms;    /* such a step that fails for so long is parked ... */
	uint64_t parked_retry_ms;  /* ... and tried so rarely */
	struct flow_limits limits; /* for flows that are read from the journal at the start */
};

/* How a flow stands or has ended: what saga.run, saga.get and saga.cancel answer. Texts are borrowed for the call. */
struct flow_report_step {
	struct str name, target;
	enum flow_step_state state;
	bool is_parked;
	uint32_t n_tries;
	int64_t unix_ms;        /* of its state */
	int64_t next_try_ms;    /* until then; negative: nothing is planned */
	struct str result_json; /* absent: none */
	struct str error;       /* the last one; absent: none */
	struct str reason;      /* RESOLVED; absent otherwise */
};

struct flow_report {
	struct uuid id;
	enum flow_state state;
	uint32_t uid;
	struct str key;
	enum code code;         /* of the failure that made it compensate; CODE_NONE: none */
	struct str failed_step; /* absent: none in particular */
	struct str error;
	int64_t began_unix_ms, deadline_unix_ms, ended_unix_ms;
	bool is_stored; /* the idempotency key was known: this is its stored outcome */
	const struct flow_report_step *steps;
	uint32_t n_steps;
};

/* saga.run. Embed it; done() comes exactly once, from engine_turn(). */
struct engine_flow {
	struct flow_spec *spec; /* taken by engine_run_flow(), whatever becomes of it */
	uint32_t uid;
	enum flow_wait wait; /* the engine's: as the spec said */
	/* Out, borrowed for the call: code CODE_NONE and a report (of the end, or with FLOW_WAIT_ACCEPTED of the
	 * beginning), or why it was refused before anything ran. */
	enum code code;
	struct err err;
	uint64_t retry_after_ms;
	const struct flow_report *report;
	void (*done)(struct engine_flow *flow);
	struct list node; /* the engine's */
};

/* saga.get and saga.cancel of one id, from memory or from the journal. done() as above. */
struct engine_flow_query {
	struct uuid id;
	bool is_cancel;
	bool has_uid; /* only a flow of this uid; of another it is CODE_NOT_FOUND */
	uint32_t uid;
	enum code
		code; /* out: CODE_NOT_FOUND; CODE_CONFLICT: a cancel that comes too late, `report` says where it is */
	struct err err;
	const struct flow_report *report; /* out */
	void (*done)(struct engine_flow_query *query);
	struct list node;
};

/* Gives the engine its targets, before engine_start(); from then on it takes up what the journal has of such sagas,
 * also when no target is given. `documents` is its own. 0 or -ENOMEM. The targets outlive the engine. */
int engine_set_targets(struct engine *engine, const struct flow_config *config, struct target *const *targets,
		       uint32_t n_targets) WARN_UNUSED;

/* Other limits, times and tries, from now on. */
void engine_reconfigure_flows(struct engine *engine, const struct flow_config *config);

void engine_run_flow(struct engine *engine, struct engine_flow *flow);
void engine_ask_flow(struct engine *engine, struct engine_flow_query *query);

/* By target: in the order of engine_set_targets(), then `documents`. */
struct flow_stats {
	uint32_t n_targets;
	const char *targets[FLOW_TARGETS_MAX];
	uint64_t n_open, n_compensating, n_parked; /* now; parked: flows that have a parked step */
	uint64_t bytes;
	uint64_t n_committed, n_compensated, n_refused, n_resolved; /* since start */
	uint64_t n_calls[FLOW_TARGETS_MAX][3];                      /* by target and enum call_kind, since start */
	uint64_t n_failures[FLOW_TARGETS_MAX];                      /* calls that were not OK */
	uint64_t n_waiting[FLOW_TARGETS_MAX];                       /* calls that wait for a place, now */
	uint64_t n_out[FLOW_TARGETS_MAX];
};
void engine_flow_stats(const struct engine *engine, struct flow_stats *out_stats);

#endif
