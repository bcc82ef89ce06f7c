#include "desk_slots.h"

#include <errno.h>
#include <stdlib.h>

/* ---- done() of each request: only noted ---- */

static void desk_on_read(struct truth_read_req *req)
{
	list_append(&container_of(req, struct read_slot, req)->desk->ended_reads, &req->node);
}

static void desk_on_pivot(struct truth_pivot_req *req)
{
	list_append(&container_of(req, struct pivot_slot, req)->desk->ended_pivots, &req->node);
}

static void desk_on_settle(struct truth_settle_req *req)
{
	container_of(req, struct desk_slots, settle)->desk->has_settle_ended = true;
}

static void desk_on_pay(struct truth_pay_req *req)
{
	container_of(req, struct desk_slots, pay)->desk->has_pay_ended = true;
}

/* ---- init ---- */

static int desk_init_reads(struct desk *desk, struct desk_slots *slots)
{
	/* One place of max_reads is left for settlements, one for payments. */
	uint32_t n = desk->truth->max_reads > 2 ? desk->truth->max_reads - 2 : 1;

	slots->reads = calloc(n, sizeof(struct read_slot));
	if (slots->reads == NULL)
		return -ENOMEM;
	slots->n_reads = n;
	for (uint32_t i = 0; i < n; i++) {
		struct read_slot *slot = &slots->reads[i];

		slot->desk = desk;
		slot->items = calloc(desk->truth->max_batch, sizeof(struct batch_item *));
		slot->reads = calloc(desk->truth->max_batch, sizeof(struct truth_read *));
		if (slot->items == NULL || slot->reads == NULL)
			return -ENOMEM;
		slot->req.done = desk_on_read;
		list_init(&slot->req.node);
		list_append(&slots->free_reads, &slot->node);
	}
	return 0;
}

static int desk_init_pivots(struct desk *desk, struct desk_slots *slots)
{
	uint32_t n = desk->truth->max_pivots;

	slots->pivots = calloc(n, sizeof(struct pivot_slot));
	slots->heard = calloc(2 * ((size_t)n + 1), sizeof(struct heard));
	if (slots->pivots == NULL || slots->heard == NULL)
		return -ENOMEM;
	slots->n_pivots = n;
	for (uint32_t i = 0; i < n; i++) {
		struct pivot_slot *slot = &slots->pivots[i];

		slot->desk = desk;
		slot->items = calloc(desk->truth->max_batch, sizeof(struct batch_item *));
		slot->pivots = calloc(desk->truth->max_batch, sizeof(struct truth_pivot *));
		if (slot->items == NULL || slot->pivots == NULL)
			return -ENOMEM;
		slot->req.done = desk_on_pivot;
		list_init(&slot->req.node);
		list_append(&slots->free_pivots, &slot->node);
	}
	return 0;
}

static int desk_init_sides(struct desk *desk, struct desk_slots *slots)
{
	uint32_t n = desk->truth->max_batch;

	slots->settle_items = calloc(n, sizeof(struct batch_item *));
	slots->settles = calloc(n, sizeof(struct truth_settle *));
	slots->pay_items = calloc(n, sizeof(struct batch_item *));
	slots->debts = calloc(n, sizeof(struct debt));
	slots->settle.done = desk_on_settle;
	slots->pay.done = desk_on_pay;
	list_init(&slots->settle.node);
	list_init(&slots->pay.node);
	if (slots->settle_items == NULL || slots->settles == NULL || slots->pay_items == NULL || slots->debts == NULL)
		return -ENOMEM;
	return 0;
}

int desk_slots_init(struct desk *desk)
{
	desk->slots = calloc(1, sizeof(struct desk_slots));
	if (desk->slots == NULL)
		return -ENOMEM;
	desk->slots->desk = desk;
	list_init(&desk->slots->free_reads);
	list_init(&desk->slots->free_pivots);
	if (desk_init_reads(desk, desk->slots) != 0 || desk_init_pivots(desk, desk->slots) != 0 ||
	    desk_init_sides(desk, desk->slots) != 0)
		return -ENOMEM;
	return 0;
}

void desk_slots_fini(struct desk *desk)
{
	struct desk_slots *slots = desk->slots;

	if (slots == NULL)
		return;
	for (uint32_t i = 0; i < slots->n_reads; i++) {
		free(slots->reads[i].items);
		free(slots->reads[i].reads);
	}
	for (uint32_t i = 0; i < slots->n_pivots; i++) {
		free(slots->pivots[i].items);
		free(slots->pivots[i].pivots);
	}
	free(slots->reads);
	free(slots->pivots);
	free(slots->heard);
	free(slots->settle_items);
	free(slots->settles);
	free(slots->pay_items);
	free(slots->debts);
	free(slots);
	desk->slots = NULL;
}
