/* The state machine, path by path: each test feeds events and compares the actions with a line of text. */
#include "feed.h"

static void insert_publishes_then_answers(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), nothing);

	(void)state;
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "publish2");
	assert_false(saga_owes(&saga, 2, SAGA_ACT_PUBLISH));
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 2), "forget answer unlock");
	assert_int_equal(saga.result, SAGA_RESULT_COMMITTED);
	assert_true(saga_is_terminal(&saga));
}

static void overwrite_removes_the_old_version_and_pays(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), something);

	(void)state;
	assert_true(saga_owes(&saga, 0, SAGA_ACT_REMOVE) && saga_owes(&saga, 2, SAGA_ACT_PUBLISH));
	assert_false(saga_owes(&saga, 0, SAGA_ACT_PUBLISH));
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "publish2 remove0 remove1 remove2");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 0), "paid0(remove)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 2), "paid2(publish)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 1), "paid1(remove)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_REMOVED, .store = 2), "paid2(remove) forget answer unlock");
}

static void after_the_pivot_a_dead_store_only_delays(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), nothing);

	(void)state;
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "publish2");
	for (int i = 0; i < 2; i++)
		assert_string_equal(FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 2, .verdict = SAGA_OUTAGE),
				    "wait2(publish)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = 2, .op = SAGA_ACT_PUBLISH), "publish2");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PUBLISHED, .store = 2, .verdict = SAGA_OUTAGE),
			    "hand_over answer unlock");
	assert_int_equal(saga.result, SAGA_RESULT_COMMITTED);
	assert_int_equal(saga.publish_due, 4);
}

static void delete_goes_straight_to_the_pivot(void **state)
{
	struct saga_plan plan = {.is_delete = true, .stores = ALL, .max_tries = 3};
	struct saga saga = begin(plan);

	(void)state;
	assert_string_equal(feed_reading(&saga, something), "pivot");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT_SENT), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "remove0 remove1 remove2");
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, nothing), "forget answer unlock");
	assert_int_equal(saga.result, SAGA_RESULT_ABSENT);
}

static void put_over_a_tombstone_removes_nothing(void **state)
{
	struct saga_reading deleted = {.is_found = true, .is_deleted = true, .version = {{1}}};
	struct saga saga = begin_pivoting(plan_put(), deleted);

	(void)state;
	assert_false(saga_owes(&saga, 0, SAGA_ACT_REMOVE));
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "publish2");
}

static void a_permanent_error_cleans_every_store_that_was_sent_anything(void **state)
{
	struct saga saga = begin_projecting(plan_put(), nothing);

	(void)state;
	/* A 400 counts as sent: stores apply parts. */
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_PERMANENT),
			    "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	assert_int_equal(saga.failure.store, 1);
	assert_int_equal(saga.state, SAGA_ABORTED);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0), ""); /* late */
}

static void a_refusal_is_recorded_under_its_key_a_transient_failure_is_not(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.has_key = true;
	plan.max_tries = 1;
	saga = begin_projecting(plan, nothing);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_PERMANENT),
			    "clean(7) record");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RECORDED), "answer unlock");
	saga = begin_projecting(plan, nothing);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_DOUBT),
			    "clean(7) answer unlock");
}

static void an_outage_before_anything_was_sent_leaves_nothing_to_clean(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.max_tries = 2;
	saga = begin(plan);
	(void)feed_reading(&saga, nothing);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SENT, .store = 1), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_OUTAGE), "wait1(apply)");
	assert_int_equal(saga.sent, 0);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = 1, .op = SAGA_ACT_APPLY), "apply1");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SENT, .store = 1), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_OUTAGE),
			    "forget answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_UNAVAILABLE);
}

static void an_outage_after_a_doubt_still_counts_as_sent(void **state)
{
	struct saga saga = begin_projecting(plan_put(), nothing);

	(void)state;
	(void)FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_DOUBT);
	(void)FEED(&saga, .kind = SAGA_EV_SENT, .store = 1);
	(void)FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_OUTAGE);
	assert_int_equal(saga.sent, ALL);
}

static void doubts_in_a_batch_cost_no_try(void **state)
{
	struct saga saga = begin_projecting(plan_put(), nothing);

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_string_equal(
			FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0, .verdict = SAGA_DOUBT, .is_batched = true),
			"wait0(apply)");
	for (int i = 0; i < 2; i++)
		(void)FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0, .verdict = SAGA_DOUBT);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 0, .verdict = SAGA_DOUBT),
			    "clean(7) answer unlock");
}

static void doubt_at_the_pivot_is_settled_never_guessed(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), nothing);

	(void)state;
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .verdict = SAGA_DOUBT), "settle");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SETTLED, .verdict = SAGA_OUTAGE), "wait(settle)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = SAGA_TRUTH, .op = SAGA_ACT_SETTLE), "settle");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SETTLED, .settled = SAGA_SETTLED_ABSENT), "pivot");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT_SENT), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .verdict = SAGA_DOUBT), "settle");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SETTLED, .settled = SAGA_SETTLED_COMMITTED), "publish2");
}

static void past_the_deadline_doubt_ends_in_an_abort_row(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), nothing);

	(void)state;
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_DEADLINE), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .verdict = SAGA_DOUBT), "settle(abort)");
	/* While PostgreSQL is away the client is told that it isn't known; the lock stays. */
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SETTLED, .verdict = SAGA_OUTAGE), "wait(settle) answer");
	assert_int_equal(saga.failure.code, CODE_IN_DOUBT);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = SAGA_TRUTH, .op = SAGA_ACT_SETTLE),
			    "settle(abort)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_SETTLED, .settled = SAGA_SETTLED_ABORTED), "clean(7) unlock");
}

/* Tries the pivot once more, and it is lost. */
static const char *lose_pivot(struct saga *saga, bool is_death)
{
	if (saga->state == SAGA_PIVOT_READY)
		(void)FEED(saga, .kind = SAGA_EV_PIVOT_SENT);
	assert_string_equal(FEED(saga, .kind = SAGA_EV_PIVOT, .verdict = SAGA_DOUBT, .is_death = is_death), "settle");
	return FEED(saga, .kind = SAGA_EV_SETTLED, .settled = SAGA_SETTLED_ABSENT);
}

static void as_many_deaths_at_the_pivot_are_permanent(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), nothing);

	(void)state;
	assert_string_equal(lose_pivot(&saga, false), "pivot"); /* no evidence */
	assert_string_equal(lose_pivot(&saga, true), "pivot");
	assert_string_equal(lose_pivot(&saga, true), "pivot");
	assert_string_equal(lose_pivot(&saga, true), "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	assert_non_null(strstr(saga.failure.err.text, "has not survived this document"));
}

/* It may be PostgreSQL that hangs: the same document may do well later. */
static void doubts_that_are_no_deaths_blame_nobody(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.has_key = true;
	saga = begin_pivoting(plan, nothing);
	for (int i = 0; i < 2; i++)
		assert_string_equal(lose_pivot(&saga, false), "pivot");
	assert_string_equal(lose_pivot(&saga, false), "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_UNAVAILABLE);
}

static const char *lose_apply(struct saga *saga, bool is_death)
{
	return FEED(saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_DOUBT, .is_death = is_death);
}

static void as_many_deaths_at_a_store_are_permanent(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.has_key = true;
	saga = begin_projecting(plan, nothing);
	assert_string_equal(lose_apply(&saga, false), "wait1(apply)");
	assert_string_equal(lose_apply(&saga, true), "wait1(apply)");
	assert_string_equal(lose_apply(&saga, true), "wait1(apply)");
	assert_int_equal(saga.tries[1], 1); /* the store's return has tries of its own */
	assert_string_equal(lose_apply(&saga, true), "clean(7) record");
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	assert_int_equal(saga.failure.store, 1);
	assert_int_equal(saga.failure.tries, 3);
}

static void deaths_of_earlier_attempts_count(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.deaths[1] = 2;
	saga = begin_projecting(plan, nothing);
	assert_string_equal(lose_apply(&saga, true), "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	saga = begin_projecting(plan, nothing);
	(void)FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1);
	assert_int_equal(saga.deaths[1], 0); /* survived: they must come in a row */
}

static void a_conflict_at_the_pivot_cleans(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), something);

	(void)state;
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .is_conflict = true), "clean(7) answer unlock");
	assert_int_equal(saga.failure.code, CODE_CONFLICT);
}

static void a_transient_pivot_is_tried_again_within_its_tries(void **state)
{
	struct saga saga = begin_pivoting(plan_put(), nothing);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .verdict = SAGA_TRANSIENT), "wait(pivot)");
		assert_string_equal(FEED(&saga, .kind = SAGA_EV_RETRY, .store = SAGA_TRUTH, .op = SAGA_ACT_PIVOT),
				    "pivot");
		(void)FEED(&saga, .kind = SAGA_EV_PIVOT_SENT);
	}
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT, .verdict = SAGA_TRANSIENT), "clean(7) answer unlock");
}

static void versions_asked_for_are_compared(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.if_absent = true;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, something), "forget answer unlock");
	assert_int_equal(saga.failure.code, CODE_CONFLICT);
	plan.if_absent = false;
	plan.has_if_version = true;
	plan.if_version = newer;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, something), "forget answer unlock");
	plan.if_version = older;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, something), "apply0 apply1 apply2");
}

static void unchanged_content_is_skipped_but_not_while_debts_are_open(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga_reading reading = something;
	struct saga saga;

	(void)state;
	plan.content_hash[0] = 1;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, reading), "forget answer unlock");
	assert_int_equal(saga.result, SAGA_RESULT_UNCHANGED);
	reading.n_debts = 1;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, reading), "apply0 apply1 apply2");
	reading.n_debts = 0;
	plan.write_unchanged = true;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, reading), "apply0 apply1 apply2");
}

static void a_known_key_gives_the_stored_outcome(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga_reading reading = {.key = SAGA_KEY_COMMITTED, .key_is_same = true, .key_saga = older};
	struct saga saga;

	(void)state;
	plan.has_key = true;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, reading), "forget answer unlock");
	assert_int_equal(saga.result, SAGA_RESULT_STORED);
	assert_memory_equal(&saga.stored, &older, sizeof(older));
	reading.key_is_same = false;
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, reading), "forget answer unlock");
	assert_int_equal(saga.failure.code, CODE_KEY_REUSED);
	reading = (struct saga_reading){
		.key = SAGA_KEY_REFUSED, .key_is_same = true, .key_code = CODE_STORE_REFUSED, .key_reason = &refusal};
	saga = begin(plan);
	assert_string_equal(feed_reading(&saga, reading), "forget answer unlock");
	assert_int_equal(saga.failure.code, CODE_STORE_REFUSED);
	assert_string_equal(saga.failure.err.text, refusal.text);
}

static void an_id_older_than_the_version_it_replaces_is_drawn_again(void **state)
{
	struct saga_reading reading = something;
	struct saga saga = begin(plan_put());

	(void)state;
	reading.version = newer;
	memset(reading.content_hash, 1, sizeof(reading.content_hash));
	assert_string_equal(feed_reading(&saga, reading), "rename intent");
	saga.id = (struct uuid){{10}};
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_INTENT_DURABLE), "apply0 apply1 apply2");
}

static void nothing_is_sent_before_the_intent_is_durable(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	saga_init(&saga, &plan, &mine);
	(void)FEED(&saga, .kind = SAGA_EV_LOCKED);
	assert_string_equal(feed_reading(&saga, nothing), "");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_INTENT_DURABLE), "apply0 apply1 apply2");
}

static void reads_are_tried_again_then_given_up(void **state)
{
	struct saga saga = begin(plan_put());

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_string_equal(FEED(&saga, .kind = SAGA_EV_READ, .verdict = SAGA_OUTAGE), "wait(read)");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_READ, .verdict = SAGA_OUTAGE), "forget answer unlock");
	assert_int_equal(saga.failure.store, SAGA_TRUTH);
}

static void the_deadline_ends_each_state_in_its_way(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	saga_init(&saga, &plan, &mine);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_DEADLINE), "forget answer unlock");
	assert_int_equal(saga.failure.code, CODE_DEADLINE_EXCEEDED);
	saga = begin(plan);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_DEADLINE), "forget answer unlock");
	saga = begin_projecting(plan, nothing);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_DEADLINE), "clean(7) answer unlock");
	saga = begin_pivoting(plan, something);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "publish2 remove0 remove1 remove2");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_DEADLINE), "hand_over answer unlock");
	assert_int_equal(saga.remove_due, ALL);
	saga = begin_pivoting(plan, nothing);
	(void)FEED(&saga, .kind = SAGA_EV_DEADLINE);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_PIVOT), "hand_over answer unlock");
	assert_int_equal(saga.result, SAGA_RESULT_COMMITTED);
}

static void a_deadline_while_recording_answers_at_once(void **state)
{
	struct saga_plan plan = plan_put();
	struct saga saga;

	(void)state;
	plan.has_key = true;
	saga = begin_projecting(plan, nothing);
	(void)FEED(&saga, .kind = SAGA_EV_APPLIED, .store = 1, .verdict = SAGA_PERMANENT);
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_DEADLINE), "answer unlock");
	assert_string_equal(FEED(&saga, .kind = SAGA_EV_RECORDED), "");
}

static void states_have_names(void **state)
{
	(void)state;
	for (int i = 0; i < SAGA_STATES; i++)
		assert_true(strlen(saga_state_name((enum saga_state)i)) > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(insert_publishes_then_answers),
		cmocka_unit_test(overwrite_removes_the_old_version_and_pays),
		cmocka_unit_test(after_the_pivot_a_dead_store_only_delays),
		cmocka_unit_test(delete_goes_straight_to_the_pivot),
		cmocka_unit_test(put_over_a_tombstone_removes_nothing),
		cmocka_unit_test(a_permanent_error_cleans_every_store_that_was_sent_anything),
		cmocka_unit_test(a_refusal_is_recorded_under_its_key_a_transient_failure_is_not),
		cmocka_unit_test(an_outage_before_anything_was_sent_leaves_nothing_to_clean),
		cmocka_unit_test(an_outage_after_a_doubt_still_counts_as_sent),
		cmocka_unit_test(doubts_in_a_batch_cost_no_try),
		cmocka_unit_test(doubt_at_the_pivot_is_settled_never_guessed),
		cmocka_unit_test(past_the_deadline_doubt_ends_in_an_abort_row),
		cmocka_unit_test(as_many_deaths_at_the_pivot_are_permanent),
		cmocka_unit_test(doubts_that_are_no_deaths_blame_nobody),
		cmocka_unit_test(as_many_deaths_at_a_store_are_permanent),
		cmocka_unit_test(deaths_of_earlier_attempts_count),
		cmocka_unit_test(a_conflict_at_the_pivot_cleans),
		cmocka_unit_test(a_transient_pivot_is_tried_again_within_its_tries),
		cmocka_unit_test(versions_asked_for_are_compared),
		cmocka_unit_test(unchanged_content_is_skipped_but_not_while_debts_are_open),
		cmocka_unit_test(a_known_key_gives_the_stored_outcome),
		cmocka_unit_test(an_id_older_than_the_version_it_replaces_is_drawn_again),
		cmocka_unit_test(nothing_is_sent_before_the_intent_is_durable),
		cmocka_unit_test(reads_are_tried_again_then_given_up),
		cmocka_unit_test(the_deadline_ends_each_state_in_its_way),
		cmocka_unit_test(a_deadline_while_recording_answers_at_once),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
