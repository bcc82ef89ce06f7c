/* Clients' own sagas when things go wrong around them: targets that are away, operators, bounds, the end of the daemon.
 */
#include "rig.h"

#include "engine/roster.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* ---- targets that are away ---- */

static void a_target_that_is_away_is_asked_once_a_backoff(void **state)
{
	static struct rig_saga sagas[60], other;
	uint32_t n_before;

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_PERMANENT);
	pay->is_held = true;
	for (unsigned i = 0; i < ARRAY_LEN(sagas); i++)
		rig_saga_run(&rig, &sagas[i], SAGA(PG("a", "") "," PAY("b", "")));
	pg->verdicts[CALL_UNDO] = VERDICT_OUTAGE;
	pay->is_held = false;
	rig_answer(&rig);
	rig_wait(&rig, 3000);
	n_before = pg->n_asked[CALL_UNDO];
	rig_wait(&rig, 10000);
	assert_in_range(pg->n_asked[CALL_UNDO] - n_before, 8, 30); /* a hold lasts a second at most */
	assert_int_equal(rig_flow_stats(&rig).n_compensating, 60);
	pay->sick = NULL;
	rig_saga_run(&rig, &other, SAGA(PAY("z", "")));
	assert_int_equal(other.state, FLOW_COMMITTED); /* a neighbour elsewhere */
	pg->verdicts[CALL_UNDO] = VERDICT_OK;
	rig_wait(&rig, 6000);
	for (unsigned i = 0; i < ARRAY_LEN(sagas); i++)
		assert_int_equal(sagas[i].state, FLOW_COMPENSATED);
	assert_int_equal(rig_flow_stats(&rig).n_open, 0);
	assert_true(pg->max_out <= pg->target.max_calls);
}

static void a_do_at_a_target_that_is_away_fails_by_its_own_budget(void **state)
{
	static struct rig_saga sagas[30];

	(void)state;
	rig_run(&rig);
	pg->verdicts[CALL_DO] = VERDICT_OUTAGE;
	for (unsigned i = 0; i < ARRAY_LEN(sagas); i++)
		rig_saga_run(&rig, &sagas[i], THREE);
	rig_wait(&rig, 3000);
	for (unsigned i = 0; i < ARRAY_LEN(sagas); i++) {
		assert_int_equal(sagas[i].state, FLOW_COMPENSATED);
		assert_int_equal(sagas[i].failure, CODE_STORE_UNAVAILABLE);
	}
	assert_in_range(pg->n_asked[CALL_DO], 2, 12);
}

static void a_service_s_wish_is_honoured(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_TRANSIENT);
	pay->retry_after_ms = 3000;
	rig_saga_run(&rig, &saga, SAGA(PAY("b", "")));
	pay->sick = NULL;
	rig_wait(&rig, 2900);
	assert_int_equal(pay->n_asked[CALL_DO], 1);
	rig_wait(&rig, 200);
	assert_int_equal(saga.state, FLOW_COMMITTED);
}

/* ---- operators ---- */

static struct engine_resolution resolution;
static unsigned n_resolutions;

static void on_resolved(struct engine_resolution *of)
{
	(void)of;
	n_resolutions++;
}

static void resolve(const char *step)
{
	resolution = (struct engine_resolution){
		.order = {.has_id = true,
			  .id = rig.flows.kept[0].id,
			  .step = str_of(step),
			  .reason = str_of("by hand")},
		.uid = 7,
		.done = on_resolved,
	};
	list_init(&resolution.node);
	n_resolutions = 0;
	engine_resolve(rig.engine, &resolution);
	rig_answer(&rig);
	assert_int_equal(n_resolutions, 1);
}

static void park_an_undo(struct rig_saga *saga)
{
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_PERMANENT);
	pg->verdicts[CALL_UNDO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, saga, SAGA(PG("a", "") "," PAY("b", "")));
	rig_wait(&rig, 20000);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1);
}

static void a_parked_step_is_resolved_with_a_reason(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	park_an_undo(&saga);
	resolve("b");
	assert_int_equal(resolution.code, CODE_CONFLICT); /* that step isn't */
	resolve(NULL);
	assert_int_equal(resolution.code, CODE_NONE);
	assert_int_equal(resolution.n_resolved, 1);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(saga.steps, "a=resolved b=failed");
	assert_string_equal(rig.flows.kept[0].steps[0].reason, "by hand");
	assert_int_equal(rig_flow_stats(&rig).n_parked, 0);
	resolve(NULL);
	assert_int_equal(resolution.code, CODE_NOT_FOUND);
}

static void what_merely_backs_off_is_resolved_by_its_name_only(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_PERMANENT);
	pg->verdicts[CALL_UNDO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", "")));
	resolve(NULL);
	assert_int_equal(resolution.code, CODE_CONFLICT);
	resolve("a");
	assert_int_equal(resolution.n_resolved, 1);
	assert_string_equal(saga.steps, "a=resolved b=failed");
}

static void a_step_that_is_out_is_resolved_when_its_call_has_ended(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	park_an_undo(&saga);
	pg->is_held = true;
	rig_wait(&rig, 6000);
	resolution = (struct engine_resolution){
		.order = {.has_id = true, .id = rig.flows.kept[0].id, .reason = str_of("by hand")},
		.done = on_resolved,
	};
	list_init(&resolution.node);
	n_resolutions = 0;
	engine_resolve(rig.engine, &resolution);
	rig_answer(&rig);
	assert_int_equal(n_resolutions, 0);
	pg->is_held = false;
	rig_answer(&rig);
	assert_int_equal(n_resolutions, 1);
	assert_string_equal(saga.steps, "a=resolved b=failed");
}

static void an_operator_tries_now(void **state)
{
	struct rig_saga saga = {0};
	struct work_order order = {.step = str_of("b")};

	(void)state;
	park_an_undo(&saga);
	pg->verdicts[CALL_UNDO] = VERDICT_OK;
	assert_int_equal(roster_retry(rig.engine, &order), 0);
	order.step = str_of("a");
	assert_int_equal(roster_retry(rig.engine, &order), 1);
	rig_answer(&rig);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
}

struct rows {
	struct roster_list list;
	struct work_row row;
	unsigned n;
};

static void on_row(struct roster_list *list, const struct work_row *row)
{
	struct rows *rows = container_of(list, struct rows, list);

	rows->row = *row;
	rows->n++;
}

static void operators_see_what_is_parked_and_why(void **state)
{
	struct rig_saga saga = {0};
	struct work_filter filter = {.limit = 10, .has_uid = true, .uid = 1};
	struct rows rows = {.list = {.filter = &filter, .row = on_row}};

	(void)state;
	park_an_undo(&saga);
	assert_int_equal(roster_list(rig.engine, &rows.list), 0);
	assert_int_equal(rows.n, 0); /* another's */
	filter.uid = 0;
	assert_int_equal(roster_list(rig.engine, &rows.list), 0);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.row.state, WORK_PARKED);
	assert_string_equal(rows.row.store, "postgresql");
	assert_string_equal(rows.row.step, "compensating");
	assert_string_equal(rows.row.error, "postgresql is ill");
	assert_in_range(rows.row.next_try_ms, 0, 5000);
}

/* ---- documents as steps ---- */

static void a_document_is_a_step(void **state)
{
	static const char json[] =
		"{'steps':[{'name':'d','store':'documents','do':{'method':'document.put','params':{'id':'a','chunks':[{"
		"'text':'t','embedding':[1,2]}]}},'undo':{'method':'document.delete','params':{'id':'a'}}}," PAY(
			"b", "") "]}";
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, json);
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_non_null(strstr(saga.results, "d={\"outcome\":\"committed\",\"saga_id\":\""));
	assert_int_equal(rig_stats(&rig).n_committed, 1);
	assert_non_null(strstr(rig.last_key, "/d/do"));
	rig_sicken(pay, "/do/b", VERDICT_PERMANENT);
	rig.reading.is_found = true;
	rig_saga_run(&rig, &saga, json);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(saga.steps, "d=undone b=failed");
	assert_non_null(strstr(rig.last_key, "/d/undo"));
}

/* ---- bounds, halting, draining ---- */

static void a_result_that_is_too_long_is_left_out_with_a_note(void **state)
{
	static char result[300];
	struct rig_saga saga = {0};

	(void)state;
	memset(result, '1', sizeof(result) - 1);
	pg->result = result;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, SAGA(PG("a", "")));
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_string_equal(saga.results, "");
	assert_true(rig.flows.kept[0].steps[0].has_error);
}

static void a_pointer_that_leads_nowhere_fails_the_step(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga,
		     SAGA(PG("a", "") ",{'name':'b','service':'payments','undo':null,'do':{'method':'POST','path':'/',"
				      "'body':{'left':{'$from':'a','pointer':'/nowhere'}}}}"));
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(saga.steps, "a=undone b=failed");
	assert_non_null(strstr(saga.error, "/nowhere"));
	assert_int_equal(pay->n_asked[CALL_DO], 0);
}

static void too_many_are_refused(void **state)
{
	struct rig_saga first = {0}, second = {0};

	(void)state;
	rig.flows.config.max_flows = 1;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &first, THREE);
	rig_saga_run(&rig, &second, THREE);
	assert_int_equal(second.code, CODE_OVERLOADED);
	assert_true(second.flow.retry_after_ms > 0);
	assert_int_equal(rig_flow_stats(&rig).n_refused, 1);
}

static void a_journal_that_fails_stops_everything(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &saga, THREE);
	rig.flows.journal_rc = -ENOSPC;
	pg->is_held = false;
	rig_answer(&rig);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_HALTED);
	assert_int_equal(saga.code, CODE_IN_DOUBT);
	assert_string_equal(rig.flows.sent, " do:a");
}

static void a_drain_waits_for_what_runs_and_not_for_what_backs_off(void **state)
{
	struct rig_saga saga = {0}, refused = {0};

	(void)state;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &saga, THREE);
	engine_drain(rig.engine);
	rig_saga_run(&rig, &refused, THREE);
	assert_int_equal(refused.code, CODE_SHUTTING_DOWN);
	assert_false(engine_is_drained(rig.engine));
	pg->verdicts[CALL_UNDO] = VERDICT_TRANSIENT;
	rig_sicken(pg, "do b", VERDICT_PERMANENT);
	pg->is_held = false;
	rig_answer(&rig);
	assert_true(engine_is_drained(rig.engine));
	assert_int_equal(saga.n_answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_target_that_is_away_is_asked_once_a_backoff, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_do_at_a_target_that_is_away_fails_by_its_own_budget, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_service_s_wish_is_honoured, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_merely_backs_off_is_resolved_by_its_name_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_parked_step_is_resolved_with_a_reason, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_step_that_is_out_is_resolved_when_its_call_has_ended, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_operator_tries_now, set_up, tear_down),
		cmocka_unit_test_setup_teardown(operators_see_what_is_parked_and_why, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_document_is_a_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_result_that_is_too_long_is_left_out_with_a_note, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_pointer_that_leads_nowhere_fails_the_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_journal_that_fails_stops_everything, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_waits_for_what_runs_and_not_for_what_backs_off, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
