/* Clients' own sagas over a whole engine: what is sent when, what is answered, and what the journal has meanwhile. */
#include "rig.h"

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

/* ---- the way forwards ---- */

static void steps_run_in_order_and_are_committed(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(saga.n_answers, 1);
	assert_int_equal(saga.code, CODE_NONE);
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_string_equal(saga.steps, "a=done b=done c=done");
	assert_string_equal(saga.results, "a={\"n\":7} b={\"n\":7} c={\"n\":7} ");
	assert_string_equal(rig.flows.sent, " do:a do:b do:c");
	assert_int_equal(rig.flows.n_records, 4); /* the beginning, and one for each step */
	assert_string_equal(rig.flows.kept[0].state, "committed");
	assert_int_equal(rig_flow_stats(&rig).n_open, 0);
	assert_int_equal(rig_flow_stats(&rig).n_committed, 1);
	assert_int_equal(rig_flow_stats(&rig).bytes, 0);
}

static void nothing_is_sent_before_the_journal_has_it(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.flows.is_journal_held = true;
	rig_saga_run(&rig, &saga, THREE);
	assert_string_equal(rig.flows.sent, "");
	rig.flows.is_journal_held = false;
	pg->is_held = true;
	rig_answer(&rig);
	assert_string_equal(rig.flows.sent, " do:a");
	rig.flows.is_journal_held = true;
	pg->is_held = false;
	rig_answer(&rig);
	assert_string_equal(rig.flows.sent, " do:a"); /* its result isn't durable yet */
	rig.flows.is_journal_held = false;
	rig_answer(&rig);
	assert_int_equal(saga.state, FLOW_COMMITTED);
}

static void a_result_reaches_a_later_step(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "\"left\":7", VERDICT_PERMANENT);
	rig_saga_run(&rig, &saga,
		     SAGA(PG("a", "") ",{'name':'b','service':'payments','undo':null,'do':{'method':'POST','path':'/',"
				      "'body':{'left':{'$from':'a','pointer':'/n'}}}}"));
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(saga.steps, "a=undone b=failed");
}

static void an_answer_can_come_at_the_beginning(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &saga, "{'wait':'accepted','steps':[" PG("a", "") "]}");
	assert_int_equal(saga.n_answers, 1);
	assert_int_equal(saga.state, FLOW_RUNNING);
	pg->is_held = false;
	rig_answer(&rig);
	rig_saga_ask(&rig, &saga, &saga.id, false);
	assert_int_equal(saga.code, CODE_NONE);
	assert_int_equal(saga.state, FLOW_COMMITTED); /* from the journal: it is open no more */
	assert_string_equal(saga.steps, "a=done");
}

/* ---- and back ---- */

static void what_ran_is_undone_in_reverse_order(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pg, "do c", VERDICT_PERMANENT);
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(saga.failure, CODE_STORE_REFUSED);
	assert_string_equal(saga.failed_step, "c");
	assert_string_equal(saga.error, "postgresql is ill");
	assert_string_equal(rig.flows.sent, " do:a do:b do:c undo:b undo:a");
	assert_string_equal(saga.steps, "a=undone b=undone c=failed");
}

static void the_journal_keeps_what_an_ended_saga_was(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pg, "do c", VERDICT_PERMANENT);
	rig_saga_run(&rig, &saga, THREE);
	rig_saga_ask(&rig, &saga, &saga.id, false);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(saga.failure, CODE_STORE_REFUSED);
	assert_string_equal(saga.failed_step, "c");
	assert_string_equal(saga.steps, "a=undone b=undone c=failed");
}

static void a_transient_failure_is_tried_again_within_its_budget(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pg, "do b", VERDICT_TRANSIENT);
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(saga.n_answers, 0);
	rig_wait(&rig, 5000);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(rig.flows.sent, " do:a do:b do:b do:b undo:a");
	assert_int_equal(saga.failure, CODE_STORE_UNAVAILABLE);
}

static void doubt_without_a_barrier_is_not_sent_again_but_undone(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_DOUBT);
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", "")));
	assert_string_equal(rig.flows.sent, " do:a do:b undo:b undo:a");
	assert_string_equal(saga.steps, "a=undone b=undone");
}

static void doubt_behind_a_barrier_is_sent_again(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pg, "do b", VERDICT_DOUBT);
	rig_saga_run(&rig, &saga, THREE);
	pg->sick = NULL;
	rig_wait(&rig, 1000);
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_string_equal(rig.flows.sent, " do:a do:b do:b do:c");
}

static void a_service_is_asked_before_anything_is_sent_again(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_DOUBT);
	rig_saga_run(&rig, &saga, SAGA(PAY("b", CHECK)));
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_string_equal(rig.flows.sent, " do:b check:b"); /* it said yes */
	rig.flows.sent[0] = '\0';
	pay->verdicts[CALL_CHECK] = VERDICT_PERMANENT;
	rig_saga_run(&rig, &saga, SAGA(PAY("b", CHECK)));
	pay->sick = NULL;
	rig_wait(&rig, 1000);
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_string_equal(rig.flows.sent, " do:b check:b do:b"); /* no */
	rig.flows.sent[0] = '\0';
	pay->verdicts[CALL_CHECK] = VERDICT_TRANSIENT;
	rig_sicken(pay, "/do/b", VERDICT_DOUBT);
	rig_saga_run(&rig, &saga, SAGA(PAY("b", CHECK)));
	rig_wait(&rig, 10000);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(rig.flows.sent, " do:b check:b check:b check:b undo:b"); /* it doesn't know */
}

/* ---- undos that fail ---- */

static void an_undo_is_tried_until_it_succeeds(void **state)
{
	struct rig_saga saga = {0};
	uint32_t n_tried;

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_PERMANENT);
	pg->verdicts[CALL_UNDO] = VERDICT_PERMANENT;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", "")));
	rig_wait(&rig, 9000);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 0);
	n_tried = pg->n_asked[CALL_UNDO];
	assert_in_range(n_tried, 5, 20);
	rig_wait(&rig, 60000);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 1);
	assert_true(rig_has_said(&rig, "parked", "step=a"));
	assert_in_range(pg->n_asked[CALL_UNDO] - n_tried, 8, 14); /* one in five seconds */
	assert_int_equal(saga.n_answers, 0);
	pg->verdicts[CALL_UNDO] = VERDICT_OK;
	rig_wait(&rig, 6000);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(rig_flow_stats(&rig).n_parked, 0);
	assert_string_equal(saga.steps, "a=undone b=failed");
}

/* Two roads of four steps that part and meet again, twelve times, in one saga: fails at each step in turn. */
#define N_FIFTY 50

static void make_fifty(char *json, size_t size)
{
	size_t n = (size_t)snprintf(json, size, "{'steps':[");

	for (int i = 0; i < N_FIFTY; i++) {
		n += (size_t)snprintf(
			json + n, size - n,
			"%s{'name':'s%02d','store':'postgresql','do':{'sql':'do s%02d.'},'undo':{'sql':'u'}",
			i > 0 ? "," : "", i, i);
		if (i > 0 && i % 4 == 0)
			n += (size_t)snprintf(json + n, size - n, ",'after':['s%02d','s%02d']", i - 1, i - 2);
		else if (i % 4 == 2)
			n += (size_t)snprintf(json + n, size - n, ",'after':['s%02d']", i - 2);
		else if (i % 4 == 3)
			n += (size_t)snprintf(json + n, size - n, ",'after':['s%02d']", i - 2);
		n += (size_t)snprintf(json + n, size - n, "}");
	}
	(void)snprintf(json + n, size - n, "]}");
}

static const char *sent_at(const char *kind, int step)
{
	char text[16];

	(void)snprintf(text, sizeof(text), " %s:s%02d", kind, step);
	return strstr(rig.flows.sent, text);
}

static void check_fifty(int bad)
{
	assert_null(sent_at("undo", bad));
	for (int i = 0; i < N_FIFTY; i++) {
		assert_true((sent_at("do", i) != NULL && i != bad) == (sent_at("undo", i) != NULL));
		/* The next in the graph is undone before, if it ran at all. */
		for (int k = i + 1; k < i + 3 && k < N_FIFTY; k++) {
			bool is_after = (k % 4 == 0) || (k % 4 == 1 && i == k - 1) || (k % 4 >= 2 && i == k - 2);

			if (is_after && sent_at("undo", k) != NULL)
				assert_true(sent_at("undo", k) < sent_at("undo", i));
		}
	}
}

static void fifty_steps_fail_at_each_in_turn(void **state)
{
	static char json[RIG_SPEC_BYTES];

	(void)state;
	make_fifty(json, sizeof(json));
	rig.flows.config.limits.max_depth = N_FIFTY;
	rig_run(&rig);
	for (int i = 0; i < N_FIFTY; i++) {
		struct rig_saga saga = {0};
		char sick[16];

		(void)snprintf(sick, sizeof(sick), "do s%02d.", i);
		rig_sicken(pg, sick, VERDICT_PERMANENT);
		rig.flows.sent[0] = '\0';
		rig_saga_run(&rig, &saga, json);
		assert_int_equal(saga.state, FLOW_COMPENSATED);
		check_fifty(i);
	}
	pg->sick = NULL;
}

/* ---- stopping ---- */

static void a_deadline_ends_in_compensation(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pg, "do b", VERDICT_OUTAGE);
	rig_saga_run(&rig, &saga, "{'deadline_ms':1000,'steps':[" PG("a", "") "," PG("b", ",'retry':{'max':90}") "]}");
	rig_wait(&rig, 900);
	assert_int_equal(saga.n_answers, 0);
	rig_wait(&rig, 3000); /* the undo waits for the store's hold */
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(saga.failure, CODE_DEADLINE_EXCEEDED);
	assert_string_equal(saga.steps, "a=undone b=failed");
}

static void a_cancelled_saga_waits_for_what_is_out(void **state)
{
	struct rig_saga saga = {0}, asked = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, "{'wait':'accepted','steps':[" PG("a", "") "," PAY("b", "") "]}");
	pay->is_held = true;
	rig_saga_run(&rig, &saga, "{'wait':'accepted','steps':[" PG("a", "") "," PAY("b", "") "]}");
	rig_saga_ask(&rig, &asked, &saga.id, true);
	assert_int_equal(asked.code, CODE_NONE);
	assert_int_equal(asked.state, FLOW_COMPENSATING);
	assert_string_equal(asked.steps, "a=done b=doing");
	rig_saga_ask(&rig, &asked, &saga.id, true);
	assert_int_equal(asked.code, CODE_CONFLICT);
	pay->is_held = false;
	rig_answer(&rig);
	rig_saga_ask(&rig, &asked, &saga.id, false);
	assert_int_equal(asked.state, FLOW_COMPENSATED);
	assert_int_equal(asked.failure, CODE_CANCELLED);
	assert_string_equal(asked.steps, "a=undone b=undone");
}

static void a_cancelled_do_that_waits_for_a_place_is_never_sent(void **state)
{
	static struct rig_saga sagas[5];
	struct rig_saga asked = {0};

	(void)state;
	rig_run(&rig);
	pay->is_held = true;
	for (unsigned i = 0; i < ARRAY_LEN(sagas); i++)
		rig_saga_run(&rig, &sagas[i], "{'wait':'accepted','steps':[" PG("a", "") "," PAY("b", "") "]}");
	assert_int_equal(pay->n_asked[CALL_DO], 4);
	rig_saga_ask(&rig, &asked, &sagas[4].id, true);
	assert_string_equal(asked.steps, "a=undoing b=failed");
	rig_answer(&rig);
	rig_saga_ask(&rig, &asked, &sagas[4].id, false);
	assert_string_equal(asked.steps, "a=undone b=failed");
	assert_int_equal(pay->n_asked[CALL_DO], 4);
}

static void a_deadline_outlives_the_process(void **state)
{
	struct rig_saga saga = {0}, asked = {0};

	(void)state;
	rig_run(&rig);
	pay->is_held = true;
	rig_saga_run(&rig, &saga, "{'deadline_ms':1000,'steps':[" PG("a", "") "," PAY("b", ",'idempotent':true") "]}");
	pay->is_held = false;
	pay->verdicts[CALL_DO] = VERDICT_TRANSIENT;
	rig.now.unix_ms += 2000;
	rig_restart(&rig);
	rig_wait(&rig, 50);
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, false);
	assert_int_equal(asked.state, FLOW_COMPENSATED);
	assert_int_equal(asked.failure, CODE_DEADLINE_EXCEEDED);
}

/* ---- keys ---- */

static void a_known_key_gives_the_first_one_s_answer(void **state)
{
	struct rig_saga first = {0}, again = {0}, other = {0};

	(void)state;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &first, "{'idempotency_key':'k','steps':[" PG("a", "") "]}");
	rig_saga_run(&rig, &again, "{'idempotency_key':'k','steps':[" PG("a", "") "]}");
	rig_saga_run(&rig, &other, "{'idempotency_key':'k','steps':[" PG("z", "") "]}");
	assert_int_equal(other.code, CODE_KEY_REUSED);
	assert_int_equal(first.n_answers + again.n_answers, 0);
	assert_int_equal(rig_flow_stats(&rig).n_open, 1);
	pg->is_held = false;
	rig_answer(&rig);
	assert_int_equal(first.n_answers, 1);
	assert_int_equal(again.n_answers, 1);
	assert_true(again.is_stored && !first.is_stored);
	assert_memory_equal(&first.id, &again.id, sizeof(first.id));
	rig_saga_run(&rig, &again, "{'idempotency_key':'k','steps':[" PG("a", "") "]}");
	assert_int_equal(again.state, FLOW_COMMITTED); /* from the journal */
	assert_true(again.is_stored);
	assert_string_equal(rig.flows.sent, " do:a");
}

/* ---- restarts ---- */

static void a_restart_goes_on_where_the_journal_is(void **state)
{
	struct rig_saga saga = {0}, asked = {0};

	(void)state;
	rig_run(&rig);
	pay->is_held = true;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", ",'idempotent':true")));
	rig_restart(&rig);
	assert_string_equal(rig.flows.sent, " do:b");
	pay->is_held = false;
	rig_answer(&rig);
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, false);
	assert_int_equal(asked.state, FLOW_COMMITTED);
	assert_string_equal(asked.results, "a={\"n\":7} b={\"n\":7} ");
}

static void a_restart_undoes_what_may_have_run_and_can_t_be_repeated(void **state)
{
	struct rig_saga saga = {0}, asked = {0};

	(void)state;
	rig_run(&rig);
	pay->is_held = true;
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," PAY("b", "")));
	pay->is_held = false;
	rig_restart(&rig);
	assert_string_equal(rig.flows.sent, " undo:b undo:a");
	rig_saga_ask(&rig, &asked, &rig.flows.kept[0].id, false);
	assert_int_equal(asked.state, FLOW_COMPENSATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(steps_run_in_order_and_are_committed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_sent_before_the_journal_has_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_result_reaches_a_later_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_answer_can_come_at_the_beginning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_ran_is_undone_in_reverse_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_journal_keeps_what_an_ended_saga_was, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_transient_failure_is_tried_again_within_its_budget, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(doubt_without_a_barrier_is_not_sent_again_but_undone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(doubt_behind_a_barrier_is_sent_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_service_is_asked_before_anything_is_sent_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_undo_is_tried_until_it_succeeds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_deadline_ends_in_compensation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cancelled_saga_waits_for_what_is_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cancelled_do_that_waits_for_a_place_is_never_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_deadline_outlives_the_process, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_known_key_gives_the_first_one_s_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_restart_goes_on_where_the_journal_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_restart_undoes_what_may_have_run_and_can_t_be_repeated, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(fifty_steps_fail_at_each_in_turn, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
