/* Events that come too late or are not meant, and what a saga owes: nothing may follow from them. */
#include "feed.h"

static void a_failure_without_words_keeps_none_of_an_older_one(void **state)
{
	struct saga saga = begin_projecting(plan_put(), nothing);
	struct saga_event event = {.kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_PERMANENT};
	struct saga_actions actions = {.n = 0};

	(void)state;
	(void)FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0, .verdict = SAGA_TRANSIENT);
	assert_string_equal(saga.failure.err.text, refusal.text);
	saga_step(&saga, &event, &actions);
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	assert_string_equal(saga.failure.err.text, "");
}

/* Each event in a state that doesn't wait for it any more. */
static void what_comes_too_late_changes_nothing(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga, before;

	(void)state;
	saga_init(&saga, &plan, &mine);
	(void)FEED(&saga, .kind = SAGA_EV_DEADLINE);
	before = saga;
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_LOCKED), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_INTENT_DURABLE), "");
	assert_string_equal(feed_reading(&saga, something), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 2), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 0), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SETTLED, .settled = SAGA_SETTLED_COMMITTED), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RECORDED), "");
	assert_memory_equal(&saga, &before, sizeof(saga));
}

static void a_second_reading_is_not_taken(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	saga_init(&saga, &plan, &mine);
	(void)FEED(&saga, .kind = SAGA_EV_LOCKED);
	assert_string_equal(feed_reading(&saga, nothing), "");
	assert_string_equal(feed_reading(&saga, something), "");
	assert_false(saga.is_found);
}

static void waits_that_are_not_needed_any_more_do_nothing(void **state)
{
	static const enum saga_action_kind ops[] = {SAGA_ACT_READ,   SAGA_ACT_APPLY,   SAGA_ACT_PIVOT,
						    SAGA_ACT_SETTLE, SAGA_ACT_PUBLISH, SAGA_ACT_REMOVE};
	struct saga saga = begin_pivoting(plan_put(), something);

	(void)state;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = 0, .op = ops[i]), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "publish2 remove0 remove1 remove2");
	(void)FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 2);
	(void)FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 0);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = 2, .op = SAGA_ACT_PUBLISH), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = 0, .op = SAGA_ACT_REMOVE), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = 1, .op = SAGA_ACT_REMOVE), "remove1");
}

/* The intent of a saga whose reading is here and the intent isn't: no other read goes out. */
static void a_wait_for_a_reading_ends_with_the_reading(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	saga_init(&saga, &plan, &mine);
	(void)FEED(&saga, .kind = SAGA_EV_LOCKED);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_READ, .verdict = SAGA_OUTAGE), "wait(read)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = SAGA_TRUTH, .op = SAGA_ACT_READ), "read");
	(void)feed_reading(&saga, nothing);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = SAGA_TRUTH, .op = SAGA_ACT_READ), "");
}

static void what_was_handed_over_or_done_is_not_counted_again(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.max_tries = 1;
	saga = begin_pivoting(plan, something);
	(void)FEED(&saga, .kind = SAGA_EV_PIVOT);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 0), "paid0(remove)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 0), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 1, .verdict = SAGA_OUTAGE), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 1), ""); /* left to the background */
	assert_true(saga.remove_due & 2u);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 0), ""); /* never due */
	assert_int_equal(saga.publish_due, 4);
}

static void only_an_overwrite_owes_and_only_what_its_stores_need(void **state)
{
	struct saga_plan plan = plan_put(),
			 deletion = {.is_delete = true, .stores = ALL, .publishes = 4, .max_tries = 3};
	struct saga saga;

	(void)state;
	plan.stores = 3;
	plan.publishes = 2;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, something), "apply0 apply1");
	assert_true(saga_owes(&saga, 0, SAGA_ACT_REMOVE));
	assert_false(saga_owes(&saga, 2, SAGA_ACT_REMOVE)); /* takes no part */
	assert_false(saga_owes(&saga, 0, SAGA_ACT_PUBLISH));
	assert_true(saga_owes(&saga, 1, SAGA_ACT_PUBLISH));
	assert_false(saga_owes(&saga, 1, SAGA_ACT_APPLY));
	saga = begin(deletion);
	assert_string_equal(feed_reading(&saga, something), "pivot");
	assert_true(saga_owes(&saga, 2, SAGA_ACT_REMOVE));
	assert_false(saga_owes(&saga, 2, SAGA_ACT_PUBLISH));
}

static void a_refusal_past_the_deadline_is_not_recorded_any_more(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.has_key = true;
	saga = begin_pivoting(plan, something);
	(void)FEED(&saga, .kind = SAGA_EV_DEADLINE);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .is_conflict = true), "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_CONFLICT);
}

static void a_death_without_words_is_blamed_in_ours(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga_event event = {.kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_DOUBT, .is_death = true};
	struct saga_actions actions = {.n = 0};
	struct saga saga;

	(void)state;
	plan.max_tries = 1;
	saga = begin_projecting(plan, nothing);
	saga_step(&saga, &event, &actions);
	assert_string_equal(render(&actions), "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	assert_int_equal(saga.failure.tries, 1);
	assert_string_equal(saga.failure.err.text,
			    "its process has not survived this document; don't send it again as it is: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_without_words_keeps_none_of_an_older_one),
		cmocka_unit_test(what_comes_too_late_changes_nothing),
		cmocka_unit_test(a_second_reading_is_not_taken),
		cmocka_unit_test(a_refusal_past_the_deadline_is_not_recorded_any_more),
		cmocka_unit_test(a_death_without_words_is_blamed_in_ours),
		cmocka_unit_test(waits_that_are_not_needed_any_more_do_nothing),
		cmocka_unit_test(a_wait_for_a_reading_ends_with_the_reading),
		cmocka_unit_test(what_was_handed_over_or_done_is_not_counted_again),
		cmocka_unit_test(only_an_overwrite_owes_and_only_what_its_stores_need),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
