/* What the engine keeps of clients' own sagas beside the sagas themselves: their targets, inboxes and counts. */
#ifndef SAGAD_ENGINE_FLOW_STATE_H
#define SAGAD_ENGINE_FLOW_STATE_H

#include "engine/flows.h"
#include "engine/timers.h"

/* A target with the steps that wait for a place there.
 *
 * One that is away is held: what must succeed in the end (undos, dos past the pivot) waits in the queue without a try,
 * one call each backoff finds out whether it is back; other dos fail at once, by their own budget of tries. */
struct flow_target {
	struct target *target;
	struct list queue; /* flow_part.node, first come first served */
	uint64_t n_waiting, n_out;
	uint64_t held_until_ns;
	uint32_t n_losses; /* in a row, since it last answered: outages, and doubts of different steps */
	struct uuid lost_saga; /* with lost_step: where the last doubt was */
	uint32_t lost_step;
	bool is_held;      /* until it answers again; before held_until_ns nothing is sent, then one call at a time */
	struct err last_error;
	struct timer timer; /* the end of the hold, or of a lack of memory */
	uint64_t n_calls[3], n_failures;
};

struct flows {
	struct flow_config config;
	bool is_on; /* engine_set_targets() was called */
	struct flow_target targets[FLOW_TARGETS_MAX];
	uint32_t n_targets; /* the last one is `documents` */
	/* Inboxes. */
	struct list submitted;   /* engine_flow.node */
	struct list asked;       /* engine_flow_query.node */
	struct list journaled;   /* journal_flow_req.node */
	struct list found;       /* journal_flow_find_req.node */
	struct list returned;    /* call.node: calls that have ended */
	struct list runs;        /* flow_run.node, oldest first */
	struct list asks;        /* flow_ask.node: questions to the journal */
	struct list over;        /* flow_run.node: ended, to be freed */
	struct flow_run **table; /* by id; a power of two of buckets */
	uint32_t n_buckets;
	uint64_t n_open, n_compensating, n_parked, bytes;
	uint64_t n_committed, n_compensated, n_refused, n_resolved;
	struct list settling; /* flow_settling.node: resolutions that wait */
};

#endif
