/* Clients' own sagas in operators' hands: what is resolved or tried now while calls are out, and steps that go wrong in
 * their own ways. */
#include "rig.h"

#include "engine/roster.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;
static struct rig_target *const pg = &rig.flows.targets[0], *const pay = &rig.flows.targets[1];

static int set_up(void **state)
{
	(void)state;
	rig_init(&rig);
	rig.has_targets = true;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_fini(&rig);
	return 0;
}

static struct engine_resolution resolution;
static unsigned n_resolutions;

static void on_resolved(struct engine_resolution *of)
{
	(void)of;
	n_resolutions++;
}

static void begin_resolving(const char *step, const char *store)
{
	resolution = (struct engine_resolution){
		.order = {.has_id = true,
			  .id = rig.flows.kept[0].id,
			  .step = str_of(step),
			  .store = str_of(store),
			  .reason = str_of("by hand")},
		.uid = 7,
		.done = on_resolved,
	};
	list_init(&resolution.node);
	n_resolutions = 0;
	engine_resolve(rig.engine, &resolution);
	rig_answer(&rig);
}

/* Undos of a and b are parked, at one target each. */
static void park_two(struct rig_saga *saga)
{
	rig_run(&rig);
	rig_sicken(pay, "/do/c", VERDICT_PERMANENT);
	pg->verdicts[CALL_UNDO] = pay->verdicts[CALL_UNDO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, saga, SAGA(PG("a", "") "," PAY("b", ",'after':[]") "," PAY("c", ",'after':['a','b']")));
	rig_wait(&rig, 30000);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1);
}

static void a_store_s_name_narrows_what_is_resolved(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	park_two(&saga);
	begin_resolving(NULL, "neo4j");
	assert_int_equal(resolution.code, CODE_CONFLICT);
	begin_resolving(NULL, "payments");
	assert_int_equal(resolution.n_resolved, 1);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1); /* a is still */
	begin_resolving(NULL, "postgresql");
	assert_int_equal(resolution.n_resolved, 1);
	assert_string_equal(saga.steps, "a=resolved b=resolved c=failed");
}

static void a_store_s_name_narrows_what_is_tried_now(void **state)
{
	struct rig_saga saga = {0};
	struct work_order order = {.has_id = true, .store = str_of("postgresql")};
	struct uuid nobody = {{9}};

	(void)state;
	park_two(&saga);
	pg->verdicts[CALL_UNDO] = pay->verdicts[CALL_UNDO] = VERDICT_OK;
	order.id = nobody;
	assert_int_equal(roster_retry(rig.engine, &order), 0);
	order.id = rig.flows.kept[0].id;
	assert_int_equal(roster_retry(rig.engine, &order), 1);
	rig_answer(&rig);
	assert_int_equal(saga.n_answers, 0);
	order.store = STR_NONE;
	assert_int_equal(roster_retry(rig.engine, &order), 1);
	rig_answer(&rig);
	assert_string_equal(saga.steps, "a=undone b=undone c=failed");
}

static struct work_row row;

static void on_row(struct roster_list *list, const struct work_row *shown)
{
	(void)list;
	row = *shown;
}

static void what_is_tried_now_is_due_now(void **state)
{
	struct rig_saga saga = {0}, asked = {0};
	struct work_filter filter = {.limit = 10};
	struct roster_list list = {.filter = &filter, .row = on_row};
	struct work_order order = {.has_id = false};

	(void)state;
	park_two(&saga);
	assert_int_equal(roster_retry(rig.engine, &order), 2);
	assert_int_equal(roster_list(rig.engine, &list), 0);
	assert_int_equal(row.next_try_ms, 0);
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, false);
	assert_int_equal(asked.state, FLOW_COMPENSATING);
}

static void what_has_succeeded_meanwhile_is_not_resolved(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	park_two(&saga);
	pg->is_held = true;
	rig_wait(&rig, 6000); /* a's undo is out */
	pg->verdicts[CALL_UNDO] = VERDICT_OK;
	begin_resolving("a", NULL);
	assert_int_equal(n_resolutions, 0);
	pg->is_held = false;
	rig_answer(&rig);
	assert_int_equal(n_resolutions, 1);
	assert_int_equal(resolution.n_resolved, 0);
	assert_false(rig.flows.kept[0].steps[0].has_reason);
	begin_resolving("b", NULL);
	assert_string_equal(saga.steps, "a=undone b=resolved c=failed");
}

static void an_order_of_two_steps_is_answered_when_both_are_through(void **state)
{
	struct rig_saga saga = {0}, other = {0};

	(void)state;
	park_two(&saga);
	pay->is_held = true;
	rig_wait(&rig, 6000); /* b's undo is out, a's isn't */
	begin_resolving(NULL, NULL);
	assert_string_equal(rig.flows.kept[0].steps[0].state, "resolved");
	rig_saga_run(&rig, &other, SAGA(PG("z", ""))); /* another's records say nothing of it */
	assert_int_equal(other.state, FLOW_COMMITTED);
	assert_int_equal(n_resolutions, 0);
	pay->is_held = false;
	rig_answer(&rig);
	assert_int_equal(n_resolutions, 1);
	assert_int_equal(resolution.n_resolved, 2);
	assert_string_equal(saga.steps, "a=resolved b=resolved c=failed");
}

static void a_parked_undo_that_waits_for_a_place_is_resolved_at_once(void **state)
{
	static struct rig_saga others[4];
	struct rig_saga saga = {0};
	uint32_t n_undos;

	(void)state;
	park_two(&saga);
	pg->is_held = true;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++)
		rig_saga_run(&rig, &others[i], SAGA(PG("o", "")));
	n_undos = pg->n_asked[CALL_UNDO];
	rig_wait(&rig, 6000);
	if (rig_flow_stats(&rig).n_waiting[0] == 0) /* its try was out already when the places went */
		rig_wait(&rig, 6000);
	begin_resolving("a", NULL);
	assert_int_equal(n_resolutions, 1);
	assert_int_equal(resolution.n_resolved, 1);
	assert_int_equal(rig_flow_stats(&rig).n_waiting[0], 0);
	assert_int_equal(pg->n_asked[CALL_UNDO], n_undos);
}

static void an_operator_who_waits_is_told_when_it_halts(void **state)
{
	struct rig_saga saga = {0}, other = {0};

	(void)state;
	park_two(&saga);
	pg->is_held = true;
	rig_wait(&rig, 6000);
	begin_resolving("a", NULL);
	assert_int_equal(n_resolutions, 0);
	rig.flows.journal_rc = -ENOSPC;
	rig_saga_run(&rig, &other, SAGA(PG("z", "")));
	assert_int_equal(rig_stats(&rig).phase, ENGINE_HALTED);
	assert_int_equal(n_resolutions, 1);
	assert_int_equal(resolution.code, CODE_SHUTTING_DOWN);
	assert_int_equal(resolution.n_resolved, 0);
}

static void an_order_that_is_open_at_the_end_is_forgotten(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	park_two(&saga);
	pg->is_held = true;
	rig_wait(&rig, 6000);
	begin_resolving("a", NULL);
	assert_int_equal(n_resolutions, 0); /* tear_down() frees it */
}

/* ---- steps ---- */

static void an_undo_whose_body_can_t_be_made_is_parked_at_once(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_PERMANENT);
	rig_saga_run(
		&rig, &saga,
		SAGA("{'name':'a','service':'payments','do':{'method':'POST','path':'/do/a'},'undo':{'method':'POST',"
		     "'path':'/undo/a','body':{'id':{'$from':'a','pointer':'/nowhere'}}}}," PAY("b", "")));
	assert_int_equal(saga.n_answers, 0);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1); /* trying on would find the same */
	assert_int_equal(pay->n_asked[CALL_UNDO], 0);
	begin_resolving("a", NULL);
	assert_string_equal(saga.steps, "a=resolved b=failed");
}

static void a_check_whose_body_can_t_be_made_leaves_the_doubt(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_DOUBT);
	rig_saga_run(&rig, &saga,
		     SAGA(PG("a", "") "," PAY(
			     "b", ",'check':{'method':'POST','path':'/','body':{'$from':'a','pointer':'/nowhere'}}")));
	rig_wait(&rig, 10000);
	assert_int_equal(pay->n_asked[CALL_CHECK], 0);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(saga.steps, "a=undone b=undone"); /* it may have run */
}

static void a_misconfigured_target_is_no_passing_failure(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pg, "do b", VERDICT_MISCONFIGURED);
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(saga.failure, CODE_STORE_MISCONFIGURED);
	assert_string_equal(rig.flows.sent, " do:a do:b undo:a");
}

static void a_step_s_own_timeout_and_backoff_count(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	pg->verdicts[CALL_DO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, &saga, SAGA(PG("a", ",'timeout_ms':300,'retry':{'base_ms':3000}")));
	assert_int_equal(pg->timeout_ns, 300 * (uint64_t)NS_PER_MS);
	rig_wait(&rig, 20000);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(pg->n_asked[CALL_DO], 3); /* as often as one that names no number */
}

static void a_short_backoff_of_its_own_grows_to_the_common_cap(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	pg->verdicts[CALL_DO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, &saga, SAGA(PG("a", ",'retry':{'max':12,'base_ms':10}")));
	rig_wait(&rig, 12000); /* eleven waits of a second at most */
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(pg->n_asked[CALL_DO], 12);
}

static void a_no_that_comes_after_the_cancellation_sends_nothing_more(void **state)
{
	struct rig_saga saga = {0}, asked = {0};

	(void)state;
	rig_run(&rig);
	pay->is_held = true;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", CHECK)));
	rig_restart(&rig);
	assert_string_equal(rig.flows.sent, " check:b"); /* it may have run */
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, true);
	assert_int_equal(asked.code, CODE_NONE);
	pay->verdicts[CALL_CHECK] = VERDICT_PERMANENT;
	pay->is_held = false;
	rig_answer(&rig);
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, false);
	assert_int_equal(asked.state, FLOW_COMPENSATED);
	assert_int_equal(pay->n_asked[CALL_DO], 1); /* the one before the restart */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_store_s_name_narrows_what_is_resolved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_store_s_name_narrows_what_is_tried_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_tried_now_is_due_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_has_succeeded_meanwhile_is_not_resolved, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_order_of_two_steps_is_answered_when_both_are_through, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_parked_undo_that_waits_for_a_place_is_resolved_at_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_operator_who_waits_is_told_when_it_halts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_order_that_is_open_at_the_end_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_undo_whose_body_can_t_be_made_is_parked_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_check_whose_body_can_t_be_made_leaves_the_doubt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_misconfigured_target_is_no_passing_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_step_s_own_timeout_and_backoff_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_backoff_of_its_own_grows_to_the_common_cap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_no_that_comes_after_the_cancellation_sends_nothing_more, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
