/* Clients' own sagas at a start: journals that this daemon only half understands, and targets that it has no more. */
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
static struct rig_target *const pay = &rig.flows.targets[1];

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

/* A saga whose second step is out when the process ends. */
static void leave_one(void)
{
	struct rig_saga saga = {0};

	rig_run(&rig);
	pay->is_held = true;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", ",'idempotent':true")));
	pay->is_held = false;
}

static struct rig_saga asked;

static void ask_kept(void)
{
	memset(&asked, 0, sizeof(asked));
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, false);
}

/* ---- journals ---- */

/* It is left for a daemon that understands it: nothing is sent, and nothing is written over it. */
static void expect_untouched(void)
{
	uint32_t n_records = rig.flows.kept[0].n_records;

	rig_restart(&rig);
	rig_wait(&rig, 1000);
	assert_string_equal(rig.flows.sent, "");
	assert_int_equal(rig_flow_stats(&rig).n_open, 0);
	assert_int_equal(rig.flows.kept[0].n_records, n_records);
	assert_true(rig_has_said(&rig, "error saga ", "stays in the journal as it is"));
}

static void one_in_an_unknown_state_is_left_alone(void **state)
{
	(void)state;
	leave_one();
	(void)strcpy(rig.flows.kept[0].state, "dreaming");
	expect_untouched();
	ask_kept();
	assert_int_equal(asked.code, CODE_NONE);
	assert_string_equal(asked.steps, "a=done b=starting");
	assert_true(rig_has_said(&rig, "\"dreaming\"", "isn't known here"));
}

static void one_with_a_step_in_an_unknown_state_is_left_alone(void **state)
{
	(void)state;
	leave_one();
	(void)strcpy(rig.flows.kept[0].steps[1].state, "dreaming");
	expect_untouched();
	ask_kept();
	assert_string_equal(asked.steps, "a=done b=pending");
}

static void one_with_a_step_too_many_is_left_alone(void **state)
{
	(void)state;
	leave_one();
	(void)strcpy(rig.flows.kept[0].steps[5].state, "done");
	expect_untouched();
	ask_kept();
	assert_string_equal(asked.steps, "a=done b=starting");
}

static void one_whose_parameters_can_t_be_read_is_left_alone(void **state)
{
	(void)state;
	leave_one();
	(void)strcpy(rig.flows.kept[0].spec, "{}");
	(void)strcpy(rig.flows.kept[0].code, code_name(CODE_CANCELLED));
	expect_untouched();
	ask_kept();
	assert_int_equal(asked.code, CODE_NONE); /* what can be told of it is */
	assert_int_equal(asked.failure, CODE_CANCELLED);
	assert_string_equal(asked.failed_step, "");
	assert_string_equal(asked.steps, "");
	assert_true(rig_has_said(&rig, "the journal's parameters", "can't be read"));
}

/* ---- before it is the owner ---- */

static void start_without_a_claim(void)
{
	rig_fini(&rig);
	list_init(&pay->out);
	rig.is_held[RIG_CLAIM] = true;
	rig.flows.sent[0] = '\0';
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_CLAIMING);
}

static void what_was_loaded_is_told_and_not_touched_before_the_claim(void **state)
{
	struct work_order order = {.has_id = true};

	(void)state;
	leave_one();
	start_without_a_claim();
	order.id = rig.flows.kept[0].id;
	ask_kept();
	assert_string_equal(asked.steps, "a=done b=starting");
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, true);
	assert_int_equal(asked.code, CODE_NOT_READY);
	assert_int_equal(roster_retry(rig.engine, &order), 0);
	order.has_id = false;
	assert_int_equal(roster_retry(rig.engine, &order), 0);
	assert_string_equal(rig.flows.sent, "");
	rig.is_held[RIG_CLAIM] = false;
	rig_answer(&rig);
	ask_kept();
	assert_int_equal(asked.state, FLOW_COMMITTED);
}

static unsigned n_resolutions;

static void on_resolved(struct engine_resolution *of)
{
	(void)of;
	n_resolutions++;
}

static void what_was_loaded_is_not_resolved_before_the_claim(void **state)
{
	struct engine_resolution resolution = {.order = {.has_id = true, .reason = str_of("by hand")},
					       .done = on_resolved};

	(void)state;
	leave_one();
	start_without_a_claim();
	resolution.order.id = rig.flows.kept[0].id;
	list_init(&resolution.node);
	n_resolutions = 0;
	engine_resolve(rig.engine, &resolution);
	rig_answer(&rig);
	assert_int_equal(n_resolutions, 1);
	assert_int_equal(resolution.n_resolved, 0);
	assert_true(resolution.code != CODE_NONE);
}

/* ---- targets that aren't configured any more ---- */

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

static void a_saga_waits_for_a_target_that_is_gone_until_it_is_back(void **state)
{
	struct work_filter filter = {.limit = 10}, elsewhere = {.limit = 10, .store = str_of("payments")};
	struct rows rows = {.list = {.filter = &filter, .row = on_row}};
	struct work_order order = {.step = str_of("b")};

	(void)state;
	leave_one();
	rig.flows.n_targets = 1;
	rig_restart(&rig);
	rig_wait(&rig, 15000);
	ask_kept();
	assert_int_equal(asked.state, FLOW_COMPENSATING); /* b may have run */
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1);
	assert_non_null(strstr(rig.said, "isn't configured any more"));
	assert_int_equal(roster_list(rig.engine, &rows.list), 0);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.row.state, WORK_PARKED);
	assert_null(rows.row.store);
	rows.list.filter = &elsewhere;
	assert_int_equal(roster_list(rig.engine, &rows.list), 0);
	assert_int_equal(rows.n, 1); /* it has none of that name */
	assert_int_equal(roster_retry(rig.engine, &order), 1);
	rig_answer(&rig);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1);
	rig.flows.n_targets = RIG_TARGETS;
	rig_restart(&rig);
	rig_wait(&rig, 1000);
	ask_kept();
	assert_int_equal(asked.state, FLOW_COMPENSATED);
	assert_string_equal(asked.steps, "a=undone b=undone");
}

static void a_new_saga_on_a_target_that_is_gone_is_refused(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig.flows.n_targets = 1;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", "")));
	assert_int_equal(saga.n_answers, 1);
	assert_int_equal(saga.code, CODE_INVALID_FIELD);
	assert_non_null(strstr(saga.error, "step \"b\": this daemon runs no steps on \"payments\""));
	assert_string_equal(rig.flows.sent, "");
	assert_int_equal(rig_flow_stats(&rig).n_open, 0);
	assert_int_equal(rig.flows.n_records, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_in_an_unknown_state_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_with_a_step_in_an_unknown_state_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_with_a_step_too_many_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_whose_parameters_can_t_be_read_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_loaded_is_told_and_not_touched_before_the_claim, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_loaded_is_not_resolved_before_the_claim, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_saga_waits_for_a_target_that_is_gone_until_it_is_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_new_saga_on_a_target_that_is_gone_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
