/* A saga that a client wrote itself, as a state machine: steps in a graph, each with a do and an undo. Called a flow in
 * the source, to tell it from the document saga beside it; users only ever read "saga".
 *
 * It knows no store, no clock and no wire. What it promises: a do is sent only when the intent of it, and the results
 * of all steps before it, are durable; nothing is undone that certainly never ran; an undo is sent only when it is
 * durable that all steps after it are undone; after the pivot nothing is undone any more; the end is told exactly once.
 *
 *   RUNNING ------> COMMITTED        a step, forwards:  PENDING -> STARTING -> DOING <-> WAITING
 *      |                                                   |          |          |          |
 *      | a required step failed,                        SKIPPED    PENDING     DONE | FAILED | UNSURE
 *      v deadline, cancelled         backwards:         DONE | UNSURE -> UNDOING <-> UNDO_WAITING
 *   COMPENSATING -> COMPENSATED                              |              |             |
 *                                                          KEPT       UNDONE | RESOLVED (by an operator)
 *
 * The pivot without an undo: while its do is out nothing can be stopped, and once it may have run it is tried until it
 * is known to have: neither forwards nor backwards would be right otherwise. */
#ifndef SAGAD_CORE_FLOW_H
#define SAGAD_CORE_FLOW_H

#include "base/code.h"
#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

#define FLOW_STEPS_MAX                                                                                                 \
	64 /* so that a set of steps is a uint64_t: bit i is step i, in the order of the client's list                 \
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

/* What made it compensate; its text is the engine's to keep, who has passed it in. */
struct flow_failure {
	enum code code; /* CODE_NONE while all is well */
	uint32_t step;  /* FLOW_STEPS_MAX: none in particular: the deadline, a cancellation */
};

/* Embedded by the engine in memory of its own size: steps and plans lie there, n_steps of each. Its fields are read by
 * the engine and changed here only. */
struct flow {
	enum flow_state state;
	uint32_t n_steps; /* 1..FLOW_STEPS_MAX */
	const struct flow_step_plan *plans;
	struct flow_step *steps;
	uint64_t dirty;      /* steps whose state must become durable with the next record */
	bool is_state_dirty; /* the same of `state` */
	bool is_saving;      /* a record is on its way: FLOW_ACT_SAVE was given, FLOW_EV_SAVED hasn't come */
	bool is_state_saving;
	uint64_t saving; /* the steps in that record */
	uint64_t held;   /* UNDOING, and their undo is sent when the record that says so is durable */
	bool is_past_pivot;
	bool has_ended;              /* FLOW_ACT_END has been given */
	struct flow_failure failure; /* the first one */
};

enum flow_event_kind {
	FLOW_EV_SAVED,  /* the record that FLOW_ACT_SAVE asked for is durable */
	FLOW_EV_ENDED,  /* the do or undo of `step` that is out has ended with `verdict` */
	FLOW_EV_RETRY,  /* the wait of `step` is over */
	FLOW_EV_PARK,   /* `step` has been tried for too long (the engine measures): it is parked and goes on, rarely */
	FLOW_EV_STOP,   /* deadline or cancellation, with `code`. Ignored after the pivot and while compensating; while
			   the do of a pivot without an undo is out it waits for that */
	FLOW_EV_RESOLVE /* an operator has settled `step`: flow_can_resolve(). As if its undo (or do) had been done */
};

struct flow_event {
	enum flow_event_kind kind;
	uint32_t step;
	enum flow_verdict verdict;
	enum code
		code; /* STOP: why. ENDED: the failure's code where the verdict says too little; CODE_NONE: it says all
		       */
};

enum flow_action_kind {
	FLOW_ACT_SAVE, /* make the steps in flow->saving, as they are now, and with is_state_saving the state durable,
			  in one record; then FLOW_EV_SAVED. One at a time: what turns dirty meanwhile is asked for
			  afterwards */
	FLOW_ACT_DO,   /* send the do of `step` */
	FLOW_ACT_UNDO,
	FLOW_ACT_WAIT, /* back off for steps[step].tries failed tries, then FLOW_EV_RETRY */
	FLOW_ACT_END   /* the terminal state is durable: tell the client; nothing follows */
};

struct flow_action {
	enum flow_action_kind kind;
	uint32_t step;
};

#define FLOW_ACTIONS_MAX (2 * FLOW_STEPS_MAX + 4)

struct flow_actions {
	struct flow_action at[FLOW_ACTIONS_MAX];
	uint32_t n;
};

/* A new flow: its first steps are STARTING, and its first record is on the way, as after FLOW_ACT_SAVE; the first
 * FLOW_EV_SAVED sends them. */
void flow_init(struct flow *flow, uint32_t n_steps, const struct flow_step_plan *plans, struct flow_step *steps);

/* One that the journal had: `steps` hold the states that were durable. A do that may have been sent (STARTING, DOING,
 * WAITING) is sent again when it is repeatable, otherwise UNSURE; past the pivot it waits for an operator then, parked.
 * An undo is sent again. `failure` is what the journal had. */
void flow_recover(struct flow *flow, enum flow_state state, uint32_t n_steps, const struct flow_step_plan *plans,
		  struct flow_step *steps, struct flow_failure failure, struct flow_actions *actions);

/* Takes one event; appends what must be done to `actions`, which the caller has set to n = 0. What comes too late
 * changes nothing. */
void flow_step(struct flow *flow, const struct flow_event *event, struct flow_actions *actions);

/* May a cancellation, or the deadline, still stop it? */
bool flow_can_stop(const struct flow *flow);

/* May an operator settle this step? It is parked, or its undo (past the pivot: its do) waits for the next try. */
bool flow_can_resolve(const struct flow *flow, uint32_t step);

/* Is this step tried until it succeeds: an undo, a do past the pivot, a pivot that may have run? */
bool flow_is_endless(const struct flow *flow, uint32_t step);

/* Steps that are parked. */
uint64_t flow_parked(const struct flow *flow);

/* "compensating", "undo_waiting": in the journal, in answers, in metrics; never NULL. */
const char *flow_state_name(enum flow_state state);
const char *flow_step_state_name(enum flow_step_state state);

/* By its name, as the journal has it. False: none of these. */
bool flow_state_of(const char *name, enum flow_state *out_state) WARN_UNUSED;
bool flow_step_state_of(const char *name, enum flow_step_state *out_state) WARN_UNUSED;

#endif
