/* The gate: after an outage nothing is asked and nothing is written before the last commit has been found again. */
#include "engine/desk.h"

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

static const struct truth_ops fake_ops = {.settle = take_settle};

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_doubt_is_settled_after_the_last_commit_was_found),
		cmocka_unit_test(a_server_that_went_back_settles_no_doubt),
		cmocka_unit_test(while_the_gate_can_not_ask_nothing_is_settled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
