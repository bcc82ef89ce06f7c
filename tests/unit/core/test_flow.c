/* What no order of events of small sagas shows: the failure's code, names, and what comes at the wrong time. */
#include "core/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define N_STEPS 2

static struct flow flow;
static struct flow_step steps[N_STEPS];
static struct flow_step_plan plans[N_STEPS];
static struct flow_actions actions;

/* Two steps, one after the other; the second is the pivot when there is one. */
static int set_up(void **state)
{
	(void)state;
	memset(steps, 0, sizeof(steps));
	for (uint32_t i = 0; i < N_STEPS; i++)
		plans[i] = (struct flow_step_plan){.after = i, .max_tries = 2, .has_undo = true, .is_repeatable = true};
	return 0;
}

static void feed(enum flow_event_kind kind, uint32_t step, enum flow_verdict verdict)
{
	struct flow_event event = {.kind = kind, .step = step, .verdict = verdict};

	actions.n = 0;
	flow_step(&flow, &event, &actions);
}

/* A record is durable, and what it set free has ended so. */
static void feed_saved_and(uint32_t step, enum flow_verdict verdict)
{
	feed(FLOW_EV_SAVED, 0, FLOW_OK);
	feed(FLOW_EV_ENDED, step, verdict);
}

static bool has_action(enum flow_action_kind kind, uint32_t step)
{
	for (uint32_t i = 0; i < actions.n; i++)
		if (actions.at[i].kind == kind && actions.at[i].step == step)
			return true;
	return false;
}

static enum code code_of_failure(enum flow_verdict verdict)
{
	plans[0].max_tries = 1;
	flow_init(&flow, N_STEPS, plans, steps);
	feed_saved_and(0, verdict);
	assert_int_not_equal(flow.state, FLOW_RUNNING);
	assert_int_equal(flow.failure.step, 0);
	return flow.failure.code;
}

static void a_failure_is_named_by_what_the_target_said(void **state)
{
	(void)state;
	assert_int_equal(code_of_failure(FLOW_TRANSIENT), CODE_STORE_UNAVAILABLE);
	assert_int_equal(code_of_failure(FLOW_OUTAGE), CODE_STORE_UNAVAILABLE);
	assert_int_equal(code_of_failure(FLOW_DOUBT), CODE_STORE_UNAVAILABLE);
	assert_int_equal(code_of_failure(FLOW_PERMANENT), CODE_STORE_REFUSED);
	assert_int_equal(code_of_failure(FLOW_MISCONFIGURED), CODE_STORE_MISCONFIGURED);
}

static void what_an_operator_must_mend_is_not_tried_again(void **state)
{
	(void)state;
	flow_init(&flow, N_STEPS, plans, steps);
	feed_saved_and(0, FLOW_MISCONFIGURED);
	assert_int_equal(steps[0].state, FLOW_STEP_FAILED);
	assert_int_equal(steps[0].tries, 1);
}

static void only_what_must_succeed_is_parked(void **state)
{
	(void)state;
	plans[0].is_pivot = true;
	plans[0].has_undo = plans[1].has_undo = false;
	flow_init(&flow, N_STEPS, plans, steps);
	feed(FLOW_EV_SAVED, 0, FLOW_OK);
	feed(FLOW_EV_PARK, 0, FLOW_OK); /* it may still be given up */
	assert_int_equal(flow_parked(&flow), 0);
	feed(FLOW_EV_ENDED, 0, FLOW_OK);
	assert_true(flow.is_past_pivot);
	feed(FLOW_EV_PARK, 0, FLOW_OK); /* the engine's clock was late */
	assert_int_equal(flow_parked(&flow), 0);
	feed(FLOW_EV_SAVED, 0, FLOW_OK);
	feed(FLOW_EV_PARK, 1, FLOW_OK); /* this one is tried */
	assert_int_equal(flow_parked(&flow), 2);
}

/* The process before was told to stop while the pivot was out, and didn't hear of its end. */
static void a_restart_asks_the_pivot_before_it_stops(void **state)
{
	const struct flow_failure stopped = {.code = CODE_CANCELLED, .step = FLOW_STEPS_MAX};

	(void)state;
	plans[1].is_pivot = true;
	plans[1].has_undo = false;
	steps[0].state = FLOW_STEP_DONE;
	steps[1].state = FLOW_STEP_STARTING;
	actions.n = 0;
	flow_recover(&flow, FLOW_RUNNING, N_STEPS, plans, steps, stopped, &actions);
	assert_int_equal(flow.state, FLOW_RUNNING);
	assert_true(has_action(FLOW_ACT_DO, 1));
	feed(FLOW_EV_ENDED, 1, FLOW_OK);
	assert_int_equal(flow.state, FLOW_COMMITTED);
}

static void a_stop_before_the_pivot_outlives_a_restart(void **state)
{
	const struct flow_failure stopped = {.code = CODE_CANCELLED, .step = FLOW_STEPS_MAX};

	(void)state;
	steps[0].state = FLOW_STEP_DONE;
	actions.n = 0;
	flow_recover(&flow, FLOW_RUNNING, N_STEPS, plans, steps, stopped, &actions);
	assert_int_equal(flow.state, FLOW_COMPENSATING);
	assert_int_equal(steps[1].state, FLOW_STEP_PENDING);
}

static void every_state_has_a_name_of_its_own(void **state)
{
	enum flow_state back;
	enum flow_step_state step_back;

	(void)state;
	for (uint32_t i = 0; i < FLOW_STATES; i++) {
		assert_true(flow_state_of(flow_state_name((enum flow_state)i), &back));
		assert_int_equal(back, i);
	}
	for (uint32_t i = 0; i < FLOW_STEP_STATES; i++) {
		assert_true(flow_step_state_of(flow_step_state_name((enum flow_step_state)i), &step_back));
		assert_int_equal(step_back, i);
	}
}

/* A journal that a newer daemon, or a hand, has written into. */
static void a_name_of_no_state_is_told(void **state)
{
	enum flow_state back = FLOW_RUNNING;
	enum flow_step_state step_back = FLOW_STEP_PENDING;

	(void)state;
	assert_false(flow_state_of("dreaming", &back));
	assert_false(flow_step_state_of("dreaming", &step_back));
	assert_int_equal(back, FLOW_RUNNING);
	assert_int_equal(step_back, FLOW_STEP_PENDING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_failure_is_named_by_what_the_target_said, set_up),
		cmocka_unit_test_setup(what_an_operator_must_mend_is_not_tried_again, set_up),
		cmocka_unit_test_setup(only_what_must_succeed_is_parked, set_up),
		cmocka_unit_test_setup(a_restart_asks_the_pivot_before_it_stops, set_up),
		cmocka_unit_test_setup(a_stop_before_the_pivot_outlives_a_restart, set_up),
		cmocka_unit_test_setup(every_state_has_a_name_of_its_own, set_up),
		cmocka_unit_test_setup(a_name_of_no_state_is_told, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
