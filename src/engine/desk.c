#include "desk.h"

#include "base/mutant.h"
#include "engine/desk_gate.h"
#include "engine/desk_slots.h"
#include "engine/suspects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void desk_on_pay_timer(struct timer *timer)
{
	(void)timer; /* the pump that follows looks again */
}

int desk_init(struct desk *desk, struct truth *truth, const struct desk_config *config, struct timers *timers,
	      struct rng *rng, const struct moment *now)
{
	*desk = (struct desk){.truth = truth, .config = *config, .timers = timers, .rng = rng, .now = now};
	list_init(&desk->reads);
	list_init(&desk->pivots);
	list_init(&desk->suspects);
	list_init(&desk->settles);
	list_init(&desk->pays);
	list_init(&desk->ended_reads);
	list_init(&desk->ended_pivots);
	desk_gate_init(desk);
	desk->pay_timer.fire = desk_on_pay_timer;
	if (desk_slots_init(desk) != 0)
		return -ENOMEM;
	desk->heard_from = desk->slots->n_pivots;
	pace_init(&desk->pace, truth->max_pivots);
	return timers_reserve(timers, 2);
}

void desk_fini(struct desk *desk)
{
	struct list *node;

	if (desk->truth == NULL)
		return; /* never came to desk_init() */
	while ((node = list_take_first(&desk->pays)) != NULL)
		free(container_of(container_of(node, struct batch_item, node), struct pay_item, item));
	/* The port was closed, so the request has ended; nobody has looked at it any more. */
	if (desk->slots != NULL && desk->slots->is_pay_out)
		for (uint32_t i = 0; i < desk->slots->pay.n_debts; i++)
			free(container_of(desk->slots->pay_items[i], struct pay_item, item));
	desk_slots_fini(desk);
}

/* ---- queues ---- */

void desk_push_read(struct desk *desk, struct read_item *read)
{
	MUST(!read->is_waiting);
	read->is_waiting = true;
	batch_queue(&desk->reads, &read->item);
	desk->n_reads++;
}

void desk_push_pivot(struct desk *desk, struct pivot_item *pivot)
{
	MUST(!pivot->is_waiting);
	pivot->is_waiting = true;
	pivot->item.bytes = desk->truth->ops->pivot_bytes(desk->truth, &pivot->pivot);
	batch_queue(pivot->is_suspect ? &desk->suspects : &desk->pivots, &pivot->item);
	desk->n_pivots++;
}

void desk_push_settle(struct desk *desk, struct settle_item *settle)
{
	MUST(!settle->is_waiting);
	settle->is_waiting = true;
	list_append(&desk->settles, &settle->item.node);
}

void desk_pay(struct desk *desk, const struct debt *debt)
{
	struct pay_item *pay = calloc(1, sizeof(*pay));

	if (pay == NULL)
		return;
	pay->debt = *debt;
	batch_item_init(&pay->item);
	list_append(&desk->pays, &pay->item.node);
}

bool desk_cancel_read(struct desk *desk, struct read_item *read)
{
	if (!read->is_waiting)
		return false;
	list_remove(&read->item.node);
	read->is_waiting = false;
	desk->n_reads--;
	return true;
}

bool desk_cancel_pivot(struct desk *desk, struct pivot_item *pivot)
{
	if (!pivot->is_waiting)
		return false;
	list_remove(&pivot->item.node);
	pivot->is_waiting = false;
	desk->n_pivots--;
	return true;
}

bool desk_cancel_settle(struct desk *desk, struct settle_item *settle)
{
	(void)desk;
	if (!settle->is_waiting)
		return false;
	list_remove(&settle->item.node);
	settle->is_waiting = false;
	return true;
}

/* ---- collecting ---- */

static void desk_measure(struct desk *desk, enum meter_truth_op op, uint32_t n_sagas, uint64_t sent_ns)
{
	if (desk->meter != NULL)
		meter_request(desk->meter, (uint32_t)op, n_sagas, desk->now->mono_ns - sent_ns);
}

static void desk_measure_verdict(struct desk *desk, enum verdict verdict)
{
	if (desk->meter != NULL)
		desk->meter->n_verdicts[verdict]++;
}

static bool desk_collect_reads(struct desk *desk)
{
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&desk->ended_reads)) != NULL) {
		struct read_slot *slot =
			container_of(container_of(node, struct truth_read_req, node), struct read_slot, req);

		desk->n_side_out--;
		desk_measure(desk, METER_READ, 0, slot->sent_ns);
		for (uint32_t i = 0; i < slot->req.n_reads; i++) {
			struct read_item *read = container_of(slot->items[i], struct read_item, item);

			desk_measure_verdict(desk, read->read.verdict);
			desk_note_verdict(desk, read->read.verdict);
			read->done(read);
		}
		list_append(&desk->slots->free_reads, &slot->node);
		any = true;
	}
	return any;
}

static void desk_judge_suspect(struct desk *desk, const struct pivot_slot *slot, struct pivot_item *pivot)
{
	bool is_lonely = pivot == desk->lonely;
	bool is_cut = pivot->pivot.verdict == VERDICT_DOUBT && slot->req.is_cut && slot->req.n_pivots == 1;

	pivot->is_death = suspects_judge(&pivot->is_suspect, pivot->pivot.verdict == VERDICT_OK, is_cut, is_lonely);
	if (is_lonely)
		desk->lonely = NULL;
}

static void desk_finish_pivot(struct desk *desk, struct pivot_slot *slot, struct pivot_item *pivot)
{
	uint32_t n = slot->req.n_pivots;

	desk_note_verdict(desk, pivot->pivot.verdict);
	desk_measure_verdict(desk, pivot->pivot.verdict);
	pivot->is_batched = n > 1 && (slot->req.is_shared || pivot->pivot.verdict == VERDICT_DOUBT);
	if (pivot->pivot.verdict == VERDICT_OK)
		pivot->item.cap = BATCH_NO_CAP;
	else if (pivot->pivot.verdict == VERDICT_DOUBT && n > 1)
		pivot->item.cap = (n + 1) / 2;
	memcpy(pivot->backend, slot->req.backend, sizeof(pivot->backend));
	desk_judge_suspect(desk, slot, pivot);
	pivot->done(pivot);
}

/* The batch's own fault is found by halves; nothing was written, so its members are simply waiting again. */
static void desk_halve_pivots(struct desk *desk, struct pivot_slot *slot)
{
	uint32_t n = slot->req.n_pivots;

	for (uint32_t i = 0; i < n; i++)
		container_of(slot->items[i], struct pivot_item, item)->is_waiting = true;
	batch_put_back(&desk->pivots, slot->items, n, (n + 1) / 2);
	desk->n_pivots += n;
}

/* A transaction's pivots end all alike. */
static void desk_note_pace(struct desk *desk, const struct pivot_slot *slot)
{
	pace_ended(&desk->pace, slot->req.n_pivots, !list_is_empty(&desk->pivots),
		   pace_is_failure(slot->pivots[0]->verdict), desk->now->mono_ns);
	if (desk->meter != NULL)
		desk->meter->n_allowed = desk->pace.now;
}

static bool desk_collect_pivots(struct desk *desk)
{
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&desk->ended_pivots)) != NULL) {
		struct pivot_slot *slot =
			container_of(container_of(node, struct truth_pivot_req, node), struct pivot_slot, req);

		any = true;
		desk_measure(desk, METER_PIVOT, slot->req.n_pivots, slot->sent_ns);
		desk_note_pace(desk, slot);
		desk->is_of_before = slot->n_suspicions != desk->n_suspicions;
		desk->heard_from = (uint32_t)(slot - desk->slots->pivots);
		if (slot->req.is_epoch_lost && !MUTANT(epoch_ignored))
			desk->is_epoch_lost = true; /* the engine halts; nobody is told anything */
		else if (slot->req.is_shared && slot->req.n_pivots > 1 &&
			 slot->pivots[0]->verdict == VERDICT_PERMANENT && !MUTANT(batch_blamed))
			desk_halve_pivots(desk, slot);
		else
			for (uint32_t i = 0; i < slot->req.n_pivots; i++)
				desk_finish_pivot(desk, slot, container_of(slot->items[i], struct pivot_item, item));
		list_append(&desk->slots->free_pivots, &slot->node);
		desk->n_pivots_out--;
	}
	desk->is_of_before = false;
	desk->heard_from = desk->slots->n_pivots;
	return any;
}

static bool desk_collect_settle(struct desk *desk)
{
	struct desk_slots *slots = desk->slots;

	if (!desk->has_settle_ended)
		return false;
	desk->has_settle_ended = false;
	slots->is_settle_out = false;
	desk->n_side_out--;
	desk_measure(desk, METER_SETTLE, 0, slots->settle_sent_ns);
	if (slots->settle.is_epoch_lost) {
		desk->is_epoch_lost = true;
		return true;
	}
	desk_note_verdict(desk, slots->settle.verdict);
	for (uint32_t i = 0; i < slots->settle.n_settles; i++) {
		struct settle_item *settle = container_of(slots->settle_items[i], struct settle_item, item);

		settle->verdict = slots->settle.verdict;
		settle->err = slots->settle.err;
		settle->done(settle);
	}
	return true;
}

static bool desk_collect_pay(struct desk *desk)
{
	struct desk_slots *slots = desk->slots;
	uint32_t n = slots->pay.n_debts;

	if (!desk->has_pay_ended)
		return false;
	desk->has_pay_ended = false;
	slots->is_pay_out = false;
	desk->n_side_out--;
	desk_measure(desk, METER_PAY, 0, slots->pay_sent_ns);
	if (slots->pay.verdict == VERDICT_OK) {
		desk->pay_tries = 0;
		for (uint32_t i = 0; i < n; i++)
			free(container_of(slots->pay_items[i], struct pay_item, item));
		return true;
	}
	desk_note_verdict(desk, slots->pay.verdict);
	for (uint32_t i = n; i-- > 0;)
		list_prepend(&desk->pays, &slots->pay_items[i]->node);
	desk->pay_tries++;
	timers_set(desk->timers, &desk->pay_timer,
		   desk->now->mono_ns + backoff_wait_ns(&desk->config.background, desk->pay_tries, desk->rng));
	return true;
}

bool desk_collect(struct desk *desk)
{
	bool any = desk_collect_reads(desk);

	any = desk_collect_pivots(desk) || any;
	any = desk_collect_settle(desk) || any;
	any = desk_gate_tell_settles(desk) || any;
	return desk_collect_pay(desk) || any;
}

/* ---- pumping ---- */

/* The settlements that may go out together: one backend is ended for one request. While the gate is shut its own
 * question is the only one: a server that went back in time knows nothing of a commit in doubt, and must not be made to
 * write that it never was, for the right server may come back. */
static struct list *desk_first_settle(struct desk *desk, bool is_gate_open)
{
	struct list *it, *tmp;

	list_each (it, tmp, &desk->settles)
		if (is_gate_open || desk_settle_of(it) == &desk->gate)
			return it;
	return NULL;
}

static uint32_t desk_take_settles(struct desk *desk, bool is_gate_open, struct list *first)
{
	struct desk_slots *slots = desk->slots;
	const char *backend = desk_settle_of(first)->backend;
	struct list same, *it, *tmp;
	uint32_t n;

	list_init(&same);
	list_each (it, tmp, &desk->settles)
		if (it == first || (is_gate_open && strcmp(desk_settle_of(it)->backend, backend) == 0)) {
			list_remove(it);
			list_append(&same, it);
		}
	n = batch_take(&same, desk->truth->max_batch, SIZE_MAX, slots->settle_items);
	while (!list_is_empty(&same))
		list_prepend(&desk->settles, list_take_first(&same));
	return n;
}

static void desk_pump_settles(struct desk *desk, bool is_gate_open)
{
	struct desk_slots *slots = desk->slots;
	struct list *first = desk_first_settle(desk, is_gate_open);
	uint32_t n;

	if (first == NULL)
		return;
	if (!desk->is_open || slots->is_settle_out || !desk_has_side_place(desk))
		return;
	slots->settle.backend = desk_settle_of(first)->backend;
	n = desk_take_settles(desk, is_gate_open, first);
	for (uint32_t i = 0; i < n; i++) {
		struct settle_item *settle = container_of(slots->settle_items[i], struct settle_item, item);

		settle->is_waiting = false;
		slots->settles[i] = &settle->settle;
	}
	slots->settle.settles = slots->settles;
	slots->settle.n_settles = n;
	slots->settle.timeout_ns = desk->config.timeout_ns;
	slots->settle.is_epoch_lost = false;
	err_clear(&slots->settle.err);
	slots->is_settle_out = true;
	slots->settle_sent_ns = desk->now->mono_ns;
	desk->n_side_out++;
	desk->truth->ops->settle(desk->truth, &slots->settle);
}

static void desk_pump_reads(struct desk *desk)
{
	while (!list_is_empty(&desk->reads) && !list_is_empty(&desk->slots->free_reads) && desk_has_side_place(desk)) {
		struct read_slot *slot =
			container_of(list_take_first(&desk->slots->free_reads), struct read_slot, node);
		uint32_t n = batch_take(&desk->reads, desk->truth->max_batch, SIZE_MAX, slot->items);

		for (uint32_t i = 0; i < n; i++) {
			struct read_item *read = container_of(slot->items[i], struct read_item, item);

			read->is_waiting = false;
			err_clear(&read->read.err);
			slot->reads[i] = &read->read;
		}
		desk->n_reads -= n;
		slot->req.reads = slot->reads;
		slot->req.n_reads = n;
		slot->sent_ns = desk->now->mono_ns;
		slot->req.timeout_ns = desk->config.timeout_ns;
		desk->n_side_out++;
		desk->truth->ops->read(desk->truth, &slot->req);
	}
}

static void desk_send_pivots(struct desk *desk, struct list *waiting, uint32_t max_batch)
{
	struct list *node = list_take_first(&desk->slots->free_pivots);
	struct pivot_slot *slot;
	uint32_t n;

	MUST(node != NULL); /* the callers have looked */
	slot = container_of(node, struct pivot_slot, node);
	n = batch_take(waiting, max_batch, desk->truth->max_batch_bytes, slot->items);
	for (uint32_t i = 0; i < n; i++) {
		struct pivot_item *pivot = container_of(slot->items[i], struct pivot_item, item);

		pivot->is_waiting = false;
		err_clear(&pivot->pivot.err);
		slot->pivots[i] = &pivot->pivot;
		pivot->started(pivot);
	}
	desk->n_pivots -= n;
	desk->n_pivots_sent += n;
	desk->n_pivot_requests++;
	desk->n_pivots_out++;
	slot->req.pivots = slot->pivots;
	slot->req.n_pivots = n;
	slot->n_suspicions = desk->n_suspicions;
	slot->sent_ns = desk->now->mono_ns;
	slot->req.timeout_ns = desk->config.timeout_ns;
	slot->req.is_shared = false;
	slot->req.is_cut = false;
	slot->req.is_epoch_lost = false;
	slot->req.backend[0] = '\0';
	desk->truth->ops->pivot(desk->truth, &slot->req);
}

static void desk_pump_pivots(struct desk *desk)
{
	bool has_suspects = !list_is_empty(&desk->suspects);

	if (desk->lonely != NULL || (has_suspects && !desk->is_others_turn && desk->n_pivots_out > 0))
		return;
	while ((!has_suspects || desk->is_others_turn) && !list_is_empty(&desk->pivots) &&
	       !list_is_empty(&desk->slots->free_pivots) && desk->n_pivots_out < desk->pace.now)
		desk_send_pivots(desk, &desk->pivots, desk->truth->max_batch);
	desk->is_others_turn = false;
	if (!has_suspects || desk->n_pivots_out > 0)
		return;
	desk->is_others_turn = true; /* after this one */
	desk->lonely =
		container_of(container_of(desk->suspects.next, struct batch_item, node), struct pivot_item, item);
	desk_send_pivots(desk, &desk->suspects, 1);
}

static void desk_pump_pays(struct desk *desk)
{
	struct desk_slots *slots = desk->slots;
	uint32_t n;

	if (slots->is_pay_out || list_is_empty(&desk->pays) || desk->pay_timer.place != 0 || !desk_has_side_place(desk))
		return;
	n = batch_take(&desk->pays, desk->truth->max_batch, SIZE_MAX, slots->pay_items);
	for (uint32_t i = 0; i < n; i++)
		slots->debts[i] = container_of(slots->pay_items[i], struct pay_item, item)->debt;
	slots->pay.debts = slots->debts;
	slots->pay.n_debts = n;
	slots->pay.timeout_ns = desk->config.timeout_ns;
	slots->is_pay_out = true;
	slots->pay_sent_ns = desk->now->mono_ns;
	desk->n_side_out++;
	desk->truth->ops->pay(desk->truth, &slots->pay);
}

void desk_pump(struct desk *desk)
{
	bool is_gate_open = desk_gate_is_open(desk);

	desk_pump_settles(desk, is_gate_open);
	if (!is_gate_open)
		return;
	desk_pump_pivots(desk);
	desk_pump_reads(desk);
	desk_pump_pays(desk);
}
