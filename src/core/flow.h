/* A saga that a client wrote itself, as a state machine: steps in a graph, each with a do and an undo. Called a flow in
 * the source, to tell it from the document saga beside it; users only ever read "saga".
 *
 * It knows no store, no clock and no wire. What it promises: a do is sent only when the intent of it, and the results
 * of all steps before it, are durable; nothing is undone that certainly never ran; an undo is sent only when all undos
 * of the steps after it have ended; after the pivot nothing is undone any more; the end is told exactly once.
 *
 *   RUNNING -----------------------> COMMITTED        a step:
 *      |  required step failed,                         PENDING -> STARTING -> DOING <-> WAITING -> DONE | FAILED |
 * UNSURE |  deadline, cancelled                           PENDING -> SKIPPED v DONE | UNSURE -> UNDOING <->
 * UNDO_WAITING -> UNDONE COMPENSATING ------------------> COMPENSATED        any that is tried for too long: parked,
 * tried rarely
 */
#ifndef SAGAD_CORE_FLOW_H
#define SAGAD_CORE_FLOW_H

#include "base/code.h"
#include "base/err.h"
#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

#define FLOW_STEPS_MAX 64 /* so that a set of steps is a uint64_t: bit i is step i, in the order of the client's list  \
			   */

enum flow_state {
	FLOW_RUNNING,
	FLOW_COMPENSATING,
	FLOW_COMMITTED,   /* terminal: every step is DONE, RESOLVED, SKIPPED, or optional and FAILED or UNSURE */
	FLOW_COMPENSATED, /* terminal: what ran, or may have run, is UNDONE, KEPT or RESOLVED */
	FLOW_STATES
};

enum flow_step_state {
	FLOW_STEP_PENDING,      /* waits for the steps before it */
	FLOW_STEP_STARTING,     /* its intent is on the way to the journal */
	FLOW_STEP_DOING,        /* its do is queued or out */
	FLOW_STEP_WAITING,      /* backs off before the next try of its do */
	FLOW_STEP_DONE,         /* its do has run */
	FLOW_STEP_FAILED,       /* its do has certainly changed nothing */
	FLOW_STEP_UNSURE,       /* its do may have run, and is not tried again */
	FLOW_STEP_SKIPPED,      /* depends on an optional step that isn't DONE */
	FLOW_STEP_UNDOING,      /* its undo is queued or out */
	FLOW_STEP_UNDO_WAITING, /* backs off before the next try of its undo */
	FLOW_STEP_UNDONE,
	FLOW_STEP_KEPT,     /* ran, or may have; the client gave `"undo": null` */
	FLOW_STEP_RESOLVED, /* an operator has said that it is settled */
	FLOW_STEP_STATES
};

/* The values of port/verdict.h, which this folder may not include. */
enum flow_verdict { FLOW_OK, FLOW_TRANSIENT, FLOW_OUTAGE, FLOW_DOUBT, FLOW_PERMANENT, FLOW_MISCONFIGURED };

/* Of one step; never changes. */
struct flow_step_plan {
	uint64_t after; /* the steps that must have ended well before it */
	uint32_t
		max_tries; /* of the do before the pivot, 1 or more; the undo, and a do after the pivot, are tried on */
	bool has_undo;     /* false: `"undo": null`, or a step from the pivot on */
	bool is_optional;  /* its failure lets the flow go on */
	bool is_pivot;     /* at most one: every other step is before it or after it in the graph */
	bool is_repeatable; /* in doubt its do is sent again: a barrier, a ledger, a check or the client's `idempotent`
			     * makes sure that it runs once */
};

struct flow_step {
	enum flow_step_state state;
	bool is_unsure; /* a try of its do may have run */
	bool is_parked; /* tried for too long; counted and listed */
	uint32_t tries; /* failed ones, of the do or of the undo */
};

struct flow_failure {
	enum code code;
	uint32_t step; /* FLOW_STEPS_MAX: none in particular: the deadline, a cancellation */
	struct err err;
};

/* Embedded by the engine in memory of its own size: steps and plans lie there, n_steps of each. Its fields are read by
 * the engine and changed here only. */
struct flow {
	enum flow_state state;
	uint32_t n_steps; /* 1..FLOW_STEPS_MAX */
	const struct flow_step_plan *plans;
	struct flow_step *steps;
	uint64_t dirty;      /* steps whose state isn't durable yet and must be */
	bool is_state_dirty; /* the same of `state` */
	bool is_past_pivot;
	bool has_ended;               /* FLOW_ACT_END has been given */
	struct flow_failure *failure; /* the first one; memory of the engine's, code CODE_NONE while all is well */
};

enum flow_event_kind {
	FLOW_EV_SAVED, /* what FLOW_ACT_SAVE handed out is durable; `saved` are its steps */
	FLOW_EV_ENDED, /* the do or undo of `step` that is out has ended with `verdict` */
	FLOW_EV_RETRY, /* the wait of `step` is over */
	FLOW_EV_PARK,  /* `step` has been tried for too long (the engine measures): it is parked and goes on, rarely */
	FLOW_EV_STOP, /* deadline or cancellation, with `code` and `err`. Ignored after the pivot and while compensating
		       */
	FLOW_EV_RESOLVE /* an operator has settled `step`, which is parked or waits: as if its undo (or do) had been
			   done */
};

struct flow_event {
	enum flow_event_kind kind;
	uint32_t step;
	enum flow_verdict verdict;
	uint64_t saved;
	bool is_state_saved;
	enum code code;
	const struct err *err; /* borrowed for the call; NULL when all is well */
};

enum flow_action_kind {
	FLOW_ACT_SAVE, /* make flow->dirty and the state durable, in one record; FLOW_EV_SAVED when it is. One at a
			  time: what turns dirty meanwhile is asked for again afterwards */
	FLOW_ACT_DO,   /* send the do of `step` */
	FLOW_ACT_UNDO,
	FLOW_ACT_WAIT, /* back off for steps[step].tries failed tries, then FLOW_EV_RETRY */
	FLOW_ACT_END   /* the terminal state is durable: tell the client; nothing follows */
};

struct flow_action {
	enum flow_action_kind kind;
	uint32_t step;
};

#define FLOW_ACTIONS_MAX (FLOW_STEPS_MAX + 4)

struct flow_actions {
	struct flow_action at[FLOW_ACTIONS_MAX];
	uint32_t n;
};

/* A new flow: its first steps are STARTING and dirty; the first FLOW_EV_SAVED (with the flow's own record) sends them.
 */
void flow_init(struct flow *flow, uint32_t n_steps, const struct flow_step_plan *plans, struct flow_step *steps,
	       struct flow_failure *failure);

/* One that the journal had: `steps` hold the states that were durable. A do that may have been sent (STARTING, DOING,
 * WAITING) is sent again when it is repeatable, otherwise UNSURE; an undo is sent again. */
void flow_recover(struct flow *flow, enum flow_state state, uint32_t n_steps, const struct flow_step_plan *plans,
		  struct flow_step *steps, struct flow_failure *failure, struct flow_actions *actions);

/* Takes one event; appends what must be done to `actions`, which the caller has set to n = 0. What comes too late
 * changes nothing. */
void flow_step(struct flow *flow, const struct flow_event *event, struct flow_actions *actions);

/* May a cancellation, or the deadline, still stop it? */
bool flow_can_stop(const struct flow *flow);

/* Steps that are parked. */
uint64_t flow_parked(const struct flow *flow);

/* Is this graph without a cycle? `out_step` gets a step of the cycle. `after` has n masks. */
bool flow_is_acyclic(const uint64_t *after, uint32_t n, uint32_t *out_step) WARN_UNUSED;

/* All steps that come before `step`, directly or not. */
uint64_t flow_ancestors(const uint64_t *after, uint32_t n, uint32_t step);

/* "compensating", "undo_waiting": in the journal, in answers, in metrics; never NULL. */
const char *flow_state_name(enum flow_state state);
const char *flow_step_state_name(enum flow_step_state state);

/* By its name, as the journal has it. False: none of these. */
bool flow_state_of(const char *name, enum flow_state *out_state) WARN_UNUSED;
bool flow_step_state_of(const char *name, enum flow_step_state *out_state) WARN_UNUSED;

#endif
