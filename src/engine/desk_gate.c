#include "desk_gate.h"

#include "base/mutant.h"
#include "engine/desk_slots.h"

static uint32_t desk_n_heard(const struct desk *desk)
{
	return 2 * (desk->slots->n_pivots + 1);
}

void desk_note_verdict(struct desk *desk, enum verdict verdict)
{
	if (verdict != VERDICT_OUTAGE && verdict != VERDICT_DOUBT)
		return;
	if (MUTANT(gate_open) && verdict == VERDICT_OUTAGE && desk->n_suspicions == 0)
		return;
	desk->n_suspicions++;
	desk->is_suspect = desk->has_heard;
	desk->gate_next = 0;
}

/* A row that a shorter time has deleted doesn't come back with a longer one: nobody may take it for a lost commit. */
void desk_reconfigure(struct desk *desk, const struct desk_config *config)
{
	desk->config = *config;
	for (uint32_t i = 0; i < desk_n_heard(desk); i++)
		if (config->keep_ms < desk->slots->heard[i].keep_ms)
			desk->slots->heard[i].keep_ms = config->keep_ms;
}

/* The answer of a pivot that was out during an outage may come after it: from the server of before, which may have lost
 * it, or from one that went back and takes new ones, too. So it proves nothing of what was heard of before it, and is
 * asked for beside that. */
void desk_note_commit(struct desk *desk, const struct uuid *saga)
{
	bool is_late = desk->is_suspect || desk->is_of_before;
	uint32_t at = 2 * desk->heard_from + (is_late ? 1 : 0);

	desk->slots->heard[at] = (struct heard){*saga, desk->now->mono_ns, desk->config.keep_ms};
	desk->has_heard = true;
	if (is_late && (!desk->is_suspect || at < desk->gate_next))
		desk->gate_next = at;
	desk->is_suspect = is_late;
}

/* The next to ask for; false: all have been found, or are so old that their rows may have been deleted. */
static bool desk_find_unproven(struct desk *desk)
{
	for (; desk->gate_next < desk_n_heard(desk); desk->gate_next++) {
		const struct heard *heard = &desk->slots->heard[desk->gate_next];

		if (!uuid_is_nil(&heard->saga) && desk->now->mono_ns - heard->at_ns <= heard->keep_ms / 2 * NS_PER_MS)
			return true;
	}
	return false;
}

/* It is there. A late one is now the last of its request. */
static void desk_pass_heard(struct desk *desk)
{
	struct heard *heard = &desk->slots->heard[desk->gate_next];

	if (uuid_compare(&heard->saga, &desk->gate.settle.saga) != 0)
		return; /* heard of while the gate asked for another */
	if (desk->gate_next % 2 != 0) {
		heard[-1] = *heard;
		*heard = (struct heard){0};
	}
	desk->gate_next++;
}

/* Who is in doubt must hear at once that nobody can say: its client's deadline doesn't wait for the gate's backoff. */
bool desk_gate_tell_settles(struct desk *desk)
{
	struct list settles, *node;
	bool any = false;

	if (!desk->is_suspect || desk->is_gate_out || desk->gate_timer.place == 0)
		return false;
	list_init(&settles);
	list_splice(&settles, &desk->settles);
	while ((node = list_take_first(&settles)) != NULL) {
		struct settle_item *settle = desk_settle_of(node);

		settle->is_waiting = false;
		settle->verdict = desk->shut_verdict;
		settle->err = desk->shut_err;
		settle->done(settle);
		any = true;
	}
	return any;
}

/* Whatever waits hears what the gate heard: their own retries and deadlines decide what to do about it. Only the gate's
 * own request is in doubt; what waits was never sent. */
static void desk_fail_waiting(struct desk *desk, enum verdict verdict, const struct err *err)
{
	struct list reads, pivots, *node;

	if (verdict == VERDICT_DOUBT)
		verdict = VERDICT_OUTAGE;
	desk->shut_verdict = verdict;
	desk->shut_err = *err;
	list_init(&reads);
	list_init(&pivots);
	list_splice(&reads, &desk->reads);
	list_splice(&pivots, &desk->pivots);
	list_splice(&pivots, &desk->suspects);
	desk->n_reads = 0;
	desk->n_pivots = 0;
	while ((node = list_take_first(&reads)) != NULL) {
		struct read_item *read =
			container_of(container_of(node, struct batch_item, node), struct read_item, item);

		read->is_waiting = false;
		read->read.verdict = verdict;
		read->read.err = *err;
		read->done(read);
	}
	while ((node = list_take_first(&pivots)) != NULL) {
		struct pivot_item *pivot =
			container_of(container_of(node, struct batch_item, node), struct pivot_item, item);

		pivot->is_waiting = false;
		pivot->is_batched = false;
		pivot->is_death = false;
		pivot->pivot.verdict = verdict;
		pivot->pivot.err = *err;
		pivot->started(pivot);
		pivot->done(pivot);
	}
	(void)desk_gate_tell_settles(desk); /* those that came while the gate asked */
}

static void desk_on_gate(struct settle_item *settle)
{
	struct desk *desk = container_of(settle, struct desk, gate);
	struct err err = settle->err;
	enum verdict verdict = settle->verdict;

	desk->is_gate_out = false;
	if (verdict == VERDICT_OK && desk->is_gate_stale)
		return; /* the next pump asks again */
	if (verdict == VERDICT_OK && settle->settle.row.outcome == LEDGER_COMMITTED) {
		desk->gate_tries = 0;
		desk_pass_heard(desk);
		desk->is_suspect = desk_find_unproven(desk);
		desk->has_gone_back = desk->has_gone_back && desk->is_suspect;
		return;
	}
	if (verdict == VERDICT_OK) {
		desk->has_gone_back = true;
		verdict = VERDICT_MISCONFIGURED;
		(void)err_set(&err, 0,
			      "PostgreSQL has lost a commit that it had confirmed (failover to a lagging replica, or a "
			      "restore?); bring the right server back, or restart sagad to accept what is there");
	}
	desk->gate_tries++;
	timers_set(desk->timers, &desk->gate_timer,
		   desk->now->mono_ns + backoff_wait_ns(&desk->config.background, desk->gate_tries, desk->rng));
	desk_fail_waiting(desk, verdict, &err);
}

/* A connection that was lost in idleness is an outage as well. */
static void desk_look_lost(struct desk *desk)
{
	if (desk->n_lost == desk->truth->n_lost)
		return;
	desk->n_lost = desk->truth->n_lost;
	desk_note_verdict(desk, VERDICT_OUTAGE);
	desk->is_gate_stale = desk->is_gate_out;
}

/* True: more than the gate's own question may go out. */
bool desk_gate_is_open(struct desk *desk)
{
	if (!desk->is_open)
		return false;
	desk_look_lost(desk);
	desk->is_suspect = desk->is_suspect && desk_find_unproven(desk);
	if (!desk->is_suspect)
		return true;
	if (!desk->is_gate_out && desk->gate_timer.place == 0) {
		desk->is_gate_out = true;
		desk->is_gate_stale = false;
		desk->gate.settle = (struct truth_settle){.saga = desk->slots->heard[desk->gate_next].saga};
		desk_push_settle(desk, &desk->gate);
	}
	return false;
}

static void desk_on_gate_timer(struct timer *timer)
{
	(void)timer; /* the pump that follows looks again */
}

void desk_gate_init(struct desk *desk)
{
	batch_item_init(&desk->gate.item);
	desk->gate.done = desk_on_gate;
	desk->gate_timer.fire = desk_on_gate_timer;
}
