/* The gate: after an outage nothing is asked and nothing is written before the last commits have been found again. */
#include "engine/desk.h"
#include "engine/desk_slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NS_PER_S ((uint64_t)1000 * NS_PER_MS)

/* A PostgreSQL that keeps the settlement that is out. */
struct fake_truth {
	struct truth truth;
	struct truth_settle_req *out;
	uint32_t n_settles;
	struct truth_pivot_req *pivot;
};

/* A saga that waits for its settlement. */
struct waiter {
	struct settle_item item;
	uint32_t n_done;
};

struct rig {
	struct fake_truth fake;
	struct timers timers;
	struct rng rng;
	struct moment now;
	struct desk desk;
	struct waiter waiter;
};

static void take_settle(struct truth *truth, struct truth_settle_req *req)
{
	struct fake_truth *fake = container_of(truth, struct fake_truth, truth);

	assert_null(fake->out);
	fake->out = req;
	fake->n_settles++;
}

static void take_pivot(struct truth *truth, struct truth_pivot_req *req)
{
	container_of(truth, struct fake_truth, truth)->pivot = req;
}

static size_t pivot_bytes(const struct truth *truth, const struct truth_pivot *pivot)
{
	(void)truth;
	(void)pivot;
	return 1;
}

static const struct truth_ops fake_ops = {.settle = take_settle, .pivot = take_pivot, .pivot_bytes = pivot_bytes};

static void note_done(struct settle_item *item)
{
	container_of(item, struct waiter, item)->n_done++;
}

static const struct uuid last_commit = {{1}}, in_doubt = {{2}};

/* A commit was seen, then a connection was lost with another COMMIT out; the saga's time is over. */
static void rig_init(struct rig *rig)
{
	static const struct desk_config config = {
		.timeout_ns = NS_PER_S, .keep_ms = 86400000, .background = {.base_ns = NS_PER_MS, .cap_ns = NS_PER_S}};

	memset(rig, 0, sizeof(*rig));
	rig->fake.truth = (struct truth){.ops = &fake_ops, .max_pivots = 1, .max_reads = 2, .max_batch = 10};
	assert_int_equal(desk_init(&rig->desk, &rig->fake.truth, &config, &rig->timers, &rig->rng, &rig->now), 0);
	rig->desk.is_open = true;
	desk_note_commit(&rig->desk, &last_commit);
	desk_note_verdict(&rig->desk, VERDICT_DOUBT);
	batch_item_init(&rig->waiter.item.item);
	rig->waiter.item.settle = (struct truth_settle){.saga = in_doubt, .abort_if_absent = true};
	rig->waiter.item.done = note_done;
	desk_push_settle(&rig->desk, &rig->waiter.item);
}

static void rig_fini(struct rig *rig)
{
	desk_fini(&rig->desk);
	timers_release(&rig->timers, 2);
	timers_fini(&rig->timers);
}

/* One question is out, about this saga; it is answered. */
static void answer(struct rig *rig, const struct uuid *saga, enum verdict verdict, enum ledger_outcome outcome)
{
	struct truth_settle_req *req = rig->fake.out;

	assert_non_null(req);
	assert_int_equal(req->n_settles, 1);
	assert_int_equal(uuid_compare(&req->settles[0]->saga, saga), 0);
	rig->fake.out = NULL;
	req->verdict = verdict;
	req->settles[0]->row.outcome = outcome;
	req->done(req);
	assert_true(desk_collect(&rig->desk));
}

static const struct uuid of_pivot = {{4}};

/* A saga whose pivot is out. */
struct pivot_note {
	struct pivot_item item;
	struct rig *rig;
};

static void note_started(struct pivot_item *item)
{
	(void)item;
}

static void note_committed(struct pivot_item *item)
{
	desk_note_commit(&container_of(item, struct pivot_note, item)->rig->desk, &of_pivot);
}

static void push_pivot(struct rig *rig, struct pivot_note *note)
{
	batch_item_init(&note->item.item);
	note->item.pivot = (struct truth_pivot){.saga = of_pivot};
	note->item.started = note_started;
	note->item.done = note_committed;
	desk_push_pivot(&rig->desk, &note->item);
}

static void answer_pivot(struct rig *rig)
{
	rig->fake.pivot->pivots[0]->verdict = VERDICT_OK;
	rig->fake.pivot->pivots[0]->result = PIVOT_COMMITTED;
	rig->fake.pivot->done(rig->fake.pivot);
	assert_true(desk_collect(&rig->desk));
}

static void a_doubt_is_settled_after_the_last_commit_was_found(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED);
	assert_int_equal(rig.waiter.n_done, 0);
	desk_pump(&rig.desk);
	answer(&rig, &in_doubt, VERDICT_OK, LEDGER_ABORTED);
	assert_int_equal(rig.waiter.n_done, 1);
	assert_int_equal(rig.waiter.item.verdict, VERDICT_OK);
	rig_fini(&rig);
}

/* It must not write that the saga was aborted: where the last commit is, that of the saga may be as well. */
static void a_server_that_went_back_settles_no_doubt(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_ABSENT);
	assert_true(rig.desk.has_gone_back);
	assert_int_equal(rig.waiter.n_done, 1);
	assert_int_equal(rig.waiter.item.verdict, VERDICT_MISCONFIGURED);
	desk_push_settle(&rig.desk, &rig.waiter.item);
	desk_pump(&rig.desk);
	assert_int_equal(rig.fake.n_settles, 1); /* the gate pauses; whoever asks meanwhile is told at once */
	assert_true(desk_collect(&rig.desk));
	assert_int_equal(rig.waiter.n_done, 2);
	assert_int_equal(rig.waiter.item.verdict, VERDICT_MISCONFIGURED);
	rig.now.mono_ns = NS_PER_S;
	assert_true(timers_fire(&rig.timers, rig.now.mono_ns));
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED); /* the right server is back */
	desk_push_settle(&rig.desk, &rig.waiter.item);
	desk_pump(&rig.desk);
	answer(&rig, &in_doubt, VERDICT_OK, LEDGER_COMMITTED);
	assert_int_equal(rig.waiter.n_done, 3);
	rig_fini(&rig);
}

static void while_the_gate_can_not_ask_nothing_is_settled(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_DOUBT, LEDGER_ABSENT);
	assert_int_equal(rig.waiter.n_done, 1);
	assert_int_equal(rig.waiter.item.verdict, VERDICT_OUTAGE); /* it was never sent */
	assert_false(rig.desk.has_gone_back);
	rig_fini(&rig);
}

/* Two connections: the answer of one comes when the loss of the other was seen. Its commit is as good as the last one,
 * and may be as lost. */
static void a_commit_that_is_heard_late_is_asked_for_as_well(void **state)
{
	static const struct uuid late = {{3}};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	desk_note_commit(&rig.desk, &late);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED);
	desk_pump(&rig.desk);
	answer(&rig, &late, VERDICT_OK, LEDGER_ABSENT);
	assert_true(rig.desk.has_gone_back);
	rig_fini(&rig);
}

static void a_late_commit_that_is_found_opens_the_gate(void **state)
{
	static const struct uuid late = {{3}};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	desk_note_commit(&rig.desk, &late);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED);
	desk_pump(&rig.desk);
	answer(&rig, &late, VERDICT_OK, LEDGER_COMMITTED);
	desk_pump(&rig.desk);
	answer(&rig, &in_doubt, VERDICT_OK, LEDGER_ABORTED);
	assert_int_equal(rig.waiter.n_done, 1);
	assert_int_equal(uuid_compare(&rig.desk.slots->heard[2].saga, &late), 0); /* the newest that it heard of */
	assert_true(uuid_is_nil(&rig.desk.slots->heard[3].saga));
	rig_fini(&rig);
}

/* The pivot was out before the outage, and its answer comes when the gate has opened again. */
static void an_answer_of_before_shuts_the_gate_again(void **state)
{
	struct pivot_note note = {.rig = NULL};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.desk.is_suspect = false;
	note.rig = &rig;
	push_pivot(&rig, &note);
	desk_pump(&rig.desk);
	assert_non_null(rig.fake.pivot);
	answer(&rig, &in_doubt, VERDICT_OK, LEDGER_ABORTED);
	desk_note_verdict(&rig.desk, VERDICT_OUTAGE);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED);
	assert_false(rig.desk.is_suspect);
	answer_pivot(&rig);
	assert_true(rig.desk.is_suspect);
	desk_pump(&rig.desk);
	answer(&rig, &of_pivot, VERDICT_OK, LEDGER_ABSENT);
	assert_true(rig.desk.has_gone_back);
	rig_fini(&rig);
}

/* The answers of two requests come in another order than their commits were made in: the one that was heard last may be
 * there, and the other be lost. */
static void the_last_commit_of_each_request_is_asked_for(void **state)
{
	static const struct uuid made_last = {{5}}, heard_last = {{6}};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.desk.is_suspect = false;
	rig.desk.heard_from = 0;
	desk_note_commit(&rig.desk, &made_last);
	rig.desk.heard_from = 1;
	desk_note_commit(&rig.desk, &heard_last);
	desk_note_verdict(&rig.desk, VERDICT_OUTAGE);
	desk_pump(&rig.desk);
	answer(&rig, &made_last, VERDICT_OK, LEDGER_COMMITTED);
	assert_true(rig.desk.is_suspect);
	desk_pump(&rig.desk);
	answer(&rig, &heard_last, VERDICT_OK, LEDGER_ABSENT);
	assert_true(rig.desk.has_gone_back);
	rig_fini(&rig);
}

/* The ledger keeps rows for so long only. */
static void a_commit_that_may_have_been_pruned_is_not_asked_for(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.now.mono_ns += (uint64_t)86400000 * NS_PER_MS;
	desk_pump(&rig.desk);
	assert_false(rig.desk.is_suspect);
	answer(&rig, &in_doubt, VERDICT_OK, LEDGER_ABORTED);
	rig_fini(&rig);
}

/* A row that was pruned by a shorter time doesn't come back with a longer one. */
static void the_shortest_keeping_so_far_counts(void **state)
{
	struct desk_config config;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	config = rig.desk.config;
	config.keep_ms = 1000;
	desk_reconfigure(&rig.desk, &config);
	config.keep_ms = 86400000;
	desk_reconfigure(&rig.desk, &config);
	rig.now.mono_ns += 1000 * (uint64_t)NS_PER_MS;
	desk_pump(&rig.desk);
	assert_false(rig.desk.is_suspect);
	answer(&rig, &in_doubt, VERDICT_OK, LEDGER_ABORTED);
	rig_fini(&rig);
}

/* The server behind a new connection may be another one; and so may the one behind the next, so that an answer from
 * between them proves nothing. */
static void a_connection_that_is_lost_in_idleness_shuts_the_gate(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.desk.is_suspect = false;
	rig.fake.truth.n_lost++;
	desk_pump(&rig.desk);
	assert_true(rig.desk.is_suspect);
	rig.fake.truth.n_lost++;
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED);
	assert_true(rig.desk.is_suspect);
	desk_pump(&rig.desk);
	answer(&rig, &last_commit, VERDICT_OK, LEDGER_COMMITTED);
	assert_false(rig.desk.is_suspect);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_doubt_is_settled_after_the_last_commit_was_found),
		cmocka_unit_test(a_server_that_went_back_settles_no_doubt),
		cmocka_unit_test(while_the_gate_can_not_ask_nothing_is_settled),
		cmocka_unit_test(a_commit_that_is_heard_late_is_asked_for_as_well),
		cmocka_unit_test(a_late_commit_that_is_found_opens_the_gate),
		cmocka_unit_test(an_answer_of_before_shuts_the_gate_again),
		cmocka_unit_test(the_last_commit_of_each_request_is_asked_for),
		cmocka_unit_test(a_commit_that_may_have_been_pruned_is_not_asked_for),
		cmocka_unit_test(the_shortest_keeping_so_far_counts),
		cmocka_unit_test(a_connection_that_is_lost_in_idleness_shuts_the_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
