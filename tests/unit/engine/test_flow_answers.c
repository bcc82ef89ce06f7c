/* Clients' own sagas: what is answered when it isn't the usual, when documents fail, and what a drain waits for. */
#include "rig.h"

#include "lib/documents.h"

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

static void nothing_more(struct engine_flow_query *query)
{
	query->report = NULL; /* borrowed for the call */
}

/* saga.get by a user who may see their own sagas only. */
static enum code ask_as(uint32_t uid, const struct uuid *id)
{
	struct engine_flow_query query = {.id = *id, .has_uid = true, .uid = uid, .done = nothing_more};

	list_init(&query.node);
	engine_ask_flow(rig.engine, &query);
	rig_answer(&rig);
	return query.code;
}

/* ---- saga.get ---- */

static void a_user_sees_only_their_own(void **state)
{
	struct rig_saga saga = {.flow.uid = 5};

	(void)state;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(ask_as(5, &rig.flows.kept[0].id), CODE_NONE);
	assert_int_equal(ask_as(6, &rig.flows.kept[0].id), CODE_NOT_FOUND);
	pg->is_held = false;
	rig_answer(&rig);
	assert_int_equal(saga.n_answers, 1);
	assert_int_equal(ask_as(5, &saga.id), CODE_NONE); /* from the journal */
	assert_int_equal(ask_as(6, &saga.id), CODE_NOT_FOUND);
}

static void one_that_has_ended_can_t_be_cancelled(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, THREE);
	rig_saga_ask(&rig, &saga, &saga.id, true);
	assert_int_equal(saga.code, CODE_CONFLICT);
	assert_int_equal(saga.state, FLOW_COMMITTED);
}

static void one_that_isn_t_durable_yet_is_not_found(void **state)
{
	struct rig_saga saga = {0}, asked = {0};
	struct uuid id;

	(void)state;
	rig_run(&rig);
	rig.flows.is_journal_held = true;
	rig_saga_run(&rig, &saga, THREE);
	id = container_of(rig.flows.records.next, struct journal_flow_req, node)->flow;
	rig_saga_ask(&rig, &asked, &id, false);
	assert_int_equal(asked.code, CODE_NOT_FOUND);
	rig.flows.is_journal_held = false;
	rig_answer(&rig);
	assert_int_equal(saga.state, FLOW_COMMITTED);
}

static void a_journal_that_can_t_be_read_is_no_answer(void **state)
{
	struct rig_saga asked = {0};
	struct uuid nobody = {{9}};

	(void)state;
	rig_run(&rig);
	rig.flows.journal_rc = -EIO;
	rig_saga_ask(&rig, &asked, &nobody, false);
	assert_int_equal(asked.code, CODE_JOURNAL_FAILED);
	assert_non_null(strstr(asked.error, "can't be read"));
	rig.flows.journal_rc = 0;
	rig_saga_ask(&rig, &asked, &nobody, false);
	assert_int_equal(asked.code, CODE_NOT_FOUND);
}

static void a_question_that_is_out_at_the_end_is_forgotten(void **state)
{
	static struct engine_flow_query query;
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, THREE);
	rig.flows.is_journal_held = true;
	query = (struct engine_flow_query){.id = saga.id, .done = nothing_more};
	list_init(&query.node);
	engine_ask_flow(rig.engine, &query);
	rig_answer(&rig);
	assert_false(list_is_empty(&rig.flows.finds)); /* tear_down() frees it */
}

/* ---- known keys ---- */

#define KEYED "{'idempotency_key':'k','steps':[" PG("a", "") "]}"

/* ... up to the look-up of what the key stands for. */
static void submit_known_key(struct rig_saga *again)
{
	struct rig_saga first = {0};

	rig_run(&rig);
	rig_saga_run(&rig, &first, KEYED);
	assert_int_equal(first.state, FLOW_COMMITTED);
	rig_saga_submit(&rig, again, KEYED);
	while (list_is_empty(&rig.flows.finds)) {
		rig_turn(&rig);
		if (!list_is_empty(&rig.flows.records))
			(void)rig_flow_answer(&rig);
	}
}

static void a_known_key_whose_saga_has_just_been_pruned_can_be_tried_again(void **state)
{
	struct rig_saga again = {0};

	(void)state;
	submit_known_key(&again);
	rig.flows.kept[0].is_used = false;
	rig_answer(&rig);
	assert_int_equal(again.n_answers, 1);
	assert_int_equal(again.code, CODE_INTERNAL);
	rig_saga_run(&rig, &again, KEYED);
	assert_int_equal(again.state, FLOW_COMMITTED);
}

static void a_known_key_that_can_t_be_read_is_no_new_saga(void **state)
{
	struct rig_saga again = {0};

	(void)state;
	submit_known_key(&again);
	rig.flows.journal_rc = -EIO;
	rig_answer(&rig);
	assert_int_equal(again.code, CODE_JOURNAL_FAILED);
	assert_string_equal(rig.flows.sent, " do:a");
}

static void a_known_key_that_only_waits_for_acceptance_is_answered_at_once(void **state)
{
	static const char json[] = "{'idempotency_key':'k','wait':'accepted','steps':[" PG("a", "") "]}";
	struct rig_saga first = {0}, again = {0};

	(void)state;
	rig_run(&rig);
	pg->is_held = true;
	rig_saga_run(&rig, &first, json);
	rig_saga_run(&rig, &again, json);
	assert_int_equal(again.n_answers, 1);
	assert_int_equal(again.state, FLOW_RUNNING);
	assert_true(again.is_stored);
}

/* ---- bounds and halting ---- */

static void texts_beyond_the_memory_s_bound_are_refused_until_it_is_raised(void **state)
{
	struct rig_saga saga = {0};
	struct flow_config config;

	(void)state;
	rig.flows.config.max_flow_bytes = 10;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(saga.code, CODE_OVERLOADED);
	config = rig.flows.config;
	config.max_flow_bytes = 1000000;
	engine_reconfigure_flows(rig.engine, &config);
	rig_saga_run(&rig, &saga, THREE);
	assert_int_equal(saga.state, FLOW_COMMITTED);
}

static void all_who_wait_are_told_when_it_halts(void **state)
{
	struct rig_saga first = {0}, second = {0}, asked = {0};

	(void)state;
	rig_run(&rig);
	rig.flows.is_journal_held = true;
	rig_saga_run(&rig, &first, THREE);
	rig_saga_run(&rig, &second, THREE);
	rig.flows.journal_rc = -ENOSPC;
	rig.flows.is_journal_held = false;
	rig_answer(&rig); /* the second record comes back to an engine that has halted */
	assert_int_equal(first.n_answers + second.n_answers, 2);
	assert_int_equal(first.code, CODE_IN_DOUBT);
	assert_int_equal(second.code, CODE_IN_DOUBT);
	rig_saga_ask(&rig, &asked, &first.id, false);
	assert_int_equal(asked.code, CODE_SHUTTING_DOWN);
	assert_string_equal(rig.flows.sent, "");
}

/* ---- documents as steps ---- */

#define DOCUMENT_OF(id)                                                                                                \
	"{'name':'d','store':'documents','do':{'method':'document.put','params':{'id':" id                             \
	",'chunks':[{'text':'t','embedding':[1,2]}]}},'undo':{'method':'document.delete','params':{'id':'a'}}}"

static void a_document_that_a_store_refuses_fails_the_step(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	rig_saga_run(&rig, &saga, SAGA(DOCUMENT_OF("'a'")));
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_string_equal(saga.steps, "d=failed");
	assert_non_null(strstr(saga.error, code_name(CODE_STORE_REFUSED)));
}

static void a_misconfigured_store_fails_the_step_as_such(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_MISCONFIGURED;
	rig_saga_run(&rig, &saga, SAGA(DOCUMENT_OF("'a'")));
	rig_wait(&rig, 10000);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_int_equal(saga.failure, CODE_STORE_MISCONFIGURED);
}

static void a_document_in_doubt_is_asked_for_again_under_its_key(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.verdicts[RIG_PIVOT] = VERDICT_DOUBT;
	rig.verdicts[RIG_SETTLE] = VERDICT_OUTAGE;
	rig_saga_run(&rig, &saga, SAGA(DOCUMENT_OF("'a'")));
	rig_wait(&rig, 1500); /* its try is over */
	assert_int_equal(saga.n_answers, 0);
	rig.verdicts[RIG_PIVOT] = rig.verdicts[RIG_SETTLE] = VERDICT_OK;
	rig.settled = LEDGER_COMMITTED;
	rig_wait(&rig, 5000);
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_non_null(strstr(rig.last_key, "/d/do"));
}

static void an_unchanged_document_is_a_result_too(void **state)
{
	static const char params[] = "{\"id\":\"a\",\"chunks\":[{\"text\":\"t\",\"embedding\":[1,2]}]}";
	struct document *document = documents_make(params);
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}};
	memcpy(rig.reading.content_hash, document->content_hash, DIGEST_BYTES);
	document_destroy(document);
	rig_saga_run(&rig, &saga, SAGA(DOCUMENT_OF("'a'")));
	assert_int_equal(saga.state, FLOW_COMMITTED);
	assert_non_null(strstr(saga.results, "\"outcome\":\"unchanged\""));
}

static void a_document_whose_id_turns_out_to_be_none_fails_the_step(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_saga_run(&rig, &saga, SAGA(PG("a", "") "," DOCUMENT_OF("{'$from':'a','pointer':'/n'}")));
	assert_int_equal(saga.state, FLOW_COMPENSATED); /* 7 is no text */
	assert_string_equal(saga.steps, "a=undone d=failed");
	assert_non_null(strstr(saga.error, "id"));
}

static void a_document_that_is_out_at_the_end_is_forgotten(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	rig_saga_run(&rig, &saga, SAGA(DOCUMENT_OF("'a'")));
	assert_int_equal(saga.n_answers, 0); /* tear_down() frees it */
}

/* ---- draining ---- */

static void a_drain_waits_for_what_was_just_submitted(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	engine_drain(rig.engine);
	rig_saga_submit(&rig, &saga, THREE);
	assert_false(engine_is_drained(rig.engine));
	rig_answer(&rig);
	assert_int_equal(saga.code, CODE_SHUTTING_DOWN);
	assert_true(engine_is_drained(rig.engine));
}

static void a_drain_waits_for_a_record(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig.flows.is_journal_held = true;
	rig_saga_run(&rig, &saga, THREE);
	engine_drain(rig.engine);
	rig_answer(&rig);
	assert_false(engine_is_drained(rig.engine));
	rig.flows.is_journal_held = false;
	rig_answer(&rig);
	assert_true(engine_is_drained(rig.engine));
	assert_int_equal(saga.state, FLOW_COMMITTED);
}

static void a_drain_waits_for_a_do_that_backs_off(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	pg->verdicts[CALL_DO] = VERDICT_TRANSIENT;
	rig_saga_run(&rig, &saga, THREE);
	engine_drain(rig.engine);
	rig_turn(&rig);
	assert_false(engine_is_drained(rig.engine)); /* its budget ends soon */
	rig_wait(&rig, 5000);
	assert_int_equal(saga.state, FLOW_COMPENSATED);
	assert_true(engine_is_drained(rig.engine));
}

static void a_drain_does_not_wait_for_a_do_past_the_pivot(void **state)
{
	struct rig_saga saga = {0};

	(void)state;
	rig_run(&rig);
	rig_sicken(pay, "/do/b", VERDICT_TRANSIENT);
	rig_saga_run(&rig, &saga,
		     SAGA(PG("a", ",'pivot':true") ",{'name':'b','service':'payments','idempotent':true,"
						   "'do':{'method':'POST','path':'/do/b'}}"));
	rig_wait(&rig, 5000);
	assert_int_equal(rig_flow_stats(&rig).n_open, 1);
	engine_drain(rig.engine);
	rig_turn(&rig);
	assert_true(engine_is_drained(rig.engine)); /* the next start goes on with it */
	assert_int_equal(saga.n_answers, 0);
}

/* One whose second step waits for a place that four others have. */
static void queue_behind_four(struct rig_saga *waiting, struct rig_saga *others)
{
	pay->is_held = true;
	rig_saga_run(&rig, waiting, SAGA(PAY("p", "") "," PG("q", "")));
	pg->is_held = true;
	for (unsigned i = 0; i < 4; i++)
		rig_saga_run(&rig, &others[i], SAGA(PG("o", "")));
	pay->is_held = false;
	rig_answer(&rig);
}

static void a_drain_waits_for_a_do_that_waits_for_a_place(void **state)
{
	static struct rig_saga waiting, others[4];

	(void)state;
	rig_run(&rig);
	queue_behind_four(&waiting, others);
	assert_int_equal(rig_flow_stats(&rig).n_waiting[0], 1);
	engine_drain(rig.engine);
	rig_turn(&rig);
	assert_false(engine_is_drained(rig.engine));
	pg->is_held = false;
	rig_answer(&rig);
	assert_true(engine_is_drained(rig.engine));
	assert_int_equal(waiting.state, FLOW_COMMITTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_user_sees_only_their_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_has_ended_can_t_be_cancelled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_isn_t_durable_yet_is_not_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_journal_that_can_t_be_read_is_no_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_question_that_is_out_at_the_end_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_known_key_whose_saga_has_just_been_pruned_can_be_tried_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_known_key_that_can_t_be_read_is_no_new_saga, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_known_key_that_only_waits_for_acceptance_is_answered_at_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(texts_beyond_the_memory_s_bound_are_refused_until_it_is_raised, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(all_who_wait_are_told_when_it_halts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_document_that_a_store_refuses_fails_the_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_misconfigured_store_fails_the_step_as_such, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_document_in_doubt_is_asked_for_again_under_its_key, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_unchanged_document_is_a_result_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_document_whose_id_turns_out_to_be_none_fails_the_step, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_document_that_is_out_at_the_end_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_waits_for_what_was_just_submitted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_waits_for_a_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_waits_for_a_do_that_backs_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_does_not_wait_for_a_do_past_the_pivot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_drain_waits_for_a_do_that_waits_for_a_place, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
