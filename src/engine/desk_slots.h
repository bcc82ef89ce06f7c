/* The desk's requests, allocated once. For desk.c and desk_slots.c only. */
#ifndef SAGAD_ENGINE_DESK_SLOTS_H
#define SAGAD_ENGINE_DESK_SLOTS_H

#include "engine/desk.h"

struct read_slot {
	struct truth_read_req req;
	struct desk *desk;
	struct batch_item **items;
	struct truth_read **reads;
	uint64_t sent_ns;
	struct list node;
};

struct pivot_slot {
	struct truth_pivot_req req;
	struct desk *desk;
	struct batch_item **items;
	struct truth_pivot **pivots;
	uint64_t sent_ns;
	uint64_t n_suspicions; /* the desk's, when it was sent */
	struct list node;
};

/* A commit that the gate asks for. */
struct heard {
	struct uuid saga; /* nil: none */
	uint64_t at_ns;   /* mono_ns: not the wall's clock, which may be set */
	uint64_t keep_ms; /* the shortest since then for which the ledger keeps its row */
};

struct desk_slots {
	struct desk *desk;
	struct read_slot *reads;
	uint32_t n_reads;
	struct list free_reads;
	struct pivot_slot *pivots;
	uint32_t n_pivots;
	struct list free_pivots;
	/* Two for each pivot's request, and two for settlements: what was heard of last, and what was heard of after an
	 * outage, from the server of before it maybe. The commits of one request follow each other, so the last stands
	 * for all of them; those of two may be heard of in another order than they were made in. */
	struct heard *heard;
	/* One settlement and one payment at a time are enough: both are batched. */
	struct truth_settle_req settle;
	struct batch_item **settle_items;
	struct truth_settle **settles;
	bool is_settle_out;
	uint64_t settle_sent_ns;
	struct truth_pay_req pay;
	struct batch_item **pay_items;
	struct debt *debts;
	bool is_pay_out;
	uint64_t pay_sent_ns;
};

/* Allocates the requests of desk->slots, with their done() set: those only note that they came. 0 or -ENOMEM. */
int desk_slots_init(struct desk *desk) WARN_UNUSED;
void desk_slots_fini(struct desk *desk);

#endif
