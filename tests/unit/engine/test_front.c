/* The engine's front: who is refused and with which words, draining, halting, other settings while it runs, and what
 * document.status is told. */
#include "rig.h"

#include "engine/meter.h"
#include "lib/documents.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK "\"chunks\":[{\"text\":\"t\",\"embedding\":[1,2]}]"

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_init(&rig);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_fini(&rig);
	return 0;
}

static struct document *a(void)
{
	return documents_make("{\"id\":\"a\"," CHUNK "}");
}

static struct document *b(void)
{
	return documents_make("{\"id\":\"b\"," CHUNK "}");
}

static void expect_refusal(const struct rig_job *job, enum code code, const char *text)
{
	assert_int_equal(job->n_answers, 1);
	assert_int_equal(job->outcome.kind, OUTCOME_FAILED);
	assert_string_equal(code_name(job->outcome.code), code_name(code));
	if (strstr(job->outcome.err.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", job->outcome.err.text, text);
}

/* ---- admission ---- */

static void a_start_that_fails_says_why_and_a_nudge_tries_again(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig.verdicts[RIG_CLAIM] = VERDICT_OUTAGE;
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	(void)rig_do(&rig, &job, a(), "a");
	expect_refusal(&job, CODE_NOT_READY, "postgresql is ill");
	assert_true(job.outcome.retry_after_ms > 0);
	assert_string_equal(rig_stats(&rig).blocked, "postgresql is ill");
	assert_int_equal(rig.n_asked[RIG_CLAIM], 1);
	rig.verdicts[RIG_CLAIM] = VERDICT_OK;
	engine_nudge(rig.engine);
	rig_answer(&rig);
	assert_int_equal(rig.n_asked[RIG_CLAIM], 2);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_RUNNING);
	engine_nudge(rig.engine); /* nothing waits any more */
	assert_int_equal(rig_do(&rig, &job, a(), "a")->kind, OUTCOME_COMMITTED);
}

static void while_it_recovers_the_next_try_is_waited_for(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig.verdicts[RIG_DEBTS] = VERDICT_OUTAGE;
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_RECOVERING);
	(void)rig_do(&rig, &job, a(), "a");
	expect_refusal(&job, CODE_NOT_READY, "postgresql is ill");
	rig.verdicts[RIG_DEBTS] = VERDICT_OK;
	rig_wait(&rig, 2000);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_RUNNING);
}

static void another_owner_halts_it_for_good(void **state)
{
	struct rig_job job = {0};
	struct rig_query query = {.query.document_id = str_of("a")};

	(void)state;
	rig.verdicts[RIG_CLAIM] = VERDICT_PERMANENT;
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_HALTED);
	assert_string_equal(engine_halt_reason(rig.engine)->text, "postgresql is ill");
	assert_true(engine_next_ns(rig.engine) == NEVER_NS);
	engine_drain(rig.engine);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_HALTED);
	(void)rig_do(&rig, &job, a(), "a");
	expect_refusal(&job, CODE_SHUTTING_DOWN, "postgresql is ill");
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(query.n_answers, 1);
	assert_int_equal(query.query.code, CODE_NOT_READY);
}

static void at_each_bound_a_job_is_refused(void **state)
{
	struct rig_job first = {0}, second = {0};

	(void)state;
	rig.config.max_waiting = 1;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	rig_submit(&rig, &first, a(), "a");
	rig_turn(&rig);
	rig.config.max_sagas = 1;
	engine_reconfigure(rig.engine, &rig.config);
	(void)rig_do(&rig, &second, b(), "b");
	expect_refusal(&second, CODE_OVERLOADED, "limits.max_sagas");
	rig.config.max_sagas = 10;
	rig.config.max_bytes = 1;
	engine_reconfigure(rig.engine, &rig.config);
	(void)rig_do(&rig, &second, b(), "b");
	expect_refusal(&second, CODE_OVERLOADED, "limits.max_bytes");
	rig.config.max_bytes = 1 << 20;
	rig.config.max_errands = 0;
	engine_reconfigure(rig.engine, &rig.config);
	(void)rig_do(&rig, &second, b(), "b");
	expect_refusal(&second, CODE_OVERLOADED, "limits.max_errands");
	assert_int_equal(rig_stats(&rig).n_refused, 3);
}

static void the_queue_of_a_document_has_an_end(void **state)
{
	struct rig_job jobs[2] = {0}, late = {0}, accepted = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig.config.max_waiting = 1;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	rig_submit(&rig, &jobs[0], a(), "a");
	rig_submit(&rig, &jobs[1], a(), "a");
	(void)rig_do(&rig, &late, a(), "a");
	expect_refusal(&late, CODE_OVERLOADED, "limits.max_waiting");
	(void)rig_do(&rig, &accepted, a(), "a");
	expect_refusal(&accepted, CODE_OVERLOADED, "limits.max_waiting");
	rig.is_held[RIG_READ] = false;
	rig_answer(&rig);
	assert_int_equal(jobs[0].outcome.kind, OUTCOME_COMMITTED);
	assert_int_equal(jobs[1].outcome.kind, OUTCOME_COMMITTED);
}

static void settings_change_what_is_sent_next(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	rig.config.store_timeout_ms = 1234;
	engine_reconfigure(rig.engine, &rig.config);
	assert_int_equal(rig_do(&rig, &job, a(), "a")->kind, OUTCOME_COMMITTED);
	assert_int_equal(rig.stores[0].timeout_ns, 1234 * (uint64_t)NS_PER_MS);
	rig.config.deadline_ms = 100;
	engine_reconfigure(rig.engine, &rig.config);
	rig.is_held[RIG_READ] = true;
	rig_submit(&rig, &job, a(), "a");
	rig_wait(&rig, 200);
	expect_refusal(&job, CODE_DEADLINE_EXCEEDED, "the deadline passed while preparing");
}

/* ---- draining ---- */

static void draining_ends_what_runs_and_takes_nothing_new(void **state)
{
	struct rig_job job = {0}, accepted = {.job.options.wait = WAIT_ACCEPTED}, late = {0};

	(void)state;
	rig_run(&rig);
	assert_true(engine_is_drained(rig.engine));
	rig.is_held[RIG_READ] = rig.is_journal_held = true;
	rig_submit(&rig, &accepted, b(), "b");
	assert_false(engine_is_drained(rig.engine)); /* not even looked at */
	rig_turn(&rig);
	assert_false(engine_is_drained(rig.engine)); /* its caller waits for the journal */
	rig.is_journal_held = false;
	rig_submit(&rig, &job, a(), "a");
	rig_turn(&rig);
	engine_drain(rig.engine);
	rig_answer(&rig);
	assert_int_equal(accepted.outcome.kind, OUTCOME_ACCEPTED);
	assert_int_equal(job.n_answers, 0);
	assert_false(engine_is_drained(rig.engine)); /* a saga runs */
	(void)rig_do(&rig, &late, a(), "a");
	expect_refusal(&late, CODE_SHUTTING_DOWN, "its successor");
	rig.is_held[RIG_READ] = false;
	rig_answer(&rig);
	assert_int_equal(job.outcome.kind, OUTCOME_COMMITTED);
	assert_true(engine_is_drained(rig.engine));
	assert_int_equal(rig_stats(&rig).n_jobs_accepted, 1); /* the journal has it */
}

static void a_drain_before_the_start_is_over_stays_one(void **state)
{
	struct journal_job found = {.id = {{1}},
				    .document_id = str_of("a"),
				    .job_json = str_of("{\"id\":\"a\",\"wait\":\"accepted\"," CHUNK "}")};

	(void)state;
	rig.jobs[rig.n_jobs++] = found;
	rig.is_held[RIG_CLAIM] = true;
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	engine_drain(rig.engine);
	rig.is_held[RIG_CLAIM] = false;
	rig_answer(&rig);
	rig_wait(&rig, 1000);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_DRAINING);
	assert_int_equal(rig.n_asked[RIG_READ], 0); /* the job waits for the next daemon */
	assert_true(engine_is_drained(rig.engine));
}

/* ---- halting ---- */

static void a_failed_journal_tells_each_job_what_can_be_said(void **state)
{
	struct rig_job pivoting = {0}, owing = {0}, accepting = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig_run(&rig);
	rig.stores[2].verdicts[LEG_PUBLISH] = VERDICT_OUTAGE; /* committed, and the cache not yet */
	rig_submit(&rig, &owing, a(), "a");
	rig_answer(&rig);
	rig.is_held[RIG_PIVOT] = true;
	rig_submit(&rig, &pivoting, b(), "b");
	rig_answer(&rig);
	rig.journal_rc = -ENOSPC;
	rig_submit(&rig, &accepting, documents_make("{\"id\":\"c\"," CHUNK "}"), "c");
	rig_answer(&rig);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_HALTED);
	expect_refusal(&accepting, CODE_IN_DOUBT, "no space left"); /* its record may be there */
	expect_refusal(&pivoting, CODE_IN_DOUBT, "no space left");
	assert_int_equal(owing.n_answers, 1);
	assert_int_equal(owing.outcome.kind, OUTCOME_COMMITTED);
	assert_int_equal(owing.outcome.n_owed, 1);
	assert_string_equal(owing.outcome.owed[0].op, "publish");
}

/* ---- document.status ---- */

static void a_status_tells_what_postgresql_has_and_what_runs(void **state)
{
	struct rig_query query = {.query.document_id = str_of("a")};
	const struct document_status *status = &query.query.status;
	struct rig_job running = {0}, waiting = {0};

	(void)state;
	rig_run(&rig);
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(query.n_answers, 1);
	assert_int_equal(status->presence, PRESENCE_ABSENT);
	assert_false(status->is_in_flight);
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}, .n_chunks = 3};
	rig.is_held[RIG_PIVOT] = true;
	rig_submit(&rig, &running, a(), "a");
	rig_submit(&rig, &waiting, a(), "a");
	rig_answer(&rig);
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(status->presence, PRESENCE_PRESENT);
	assert_int_equal(status->n_chunks, 3);
	assert_true(status->is_in_flight);
	assert_string_equal(status->state, "pivoting");
	assert_int_equal(status->n_waiting, 1);
	rig.reading.is_deleted = true;
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(status->presence, PRESENCE_DELETED);
}

static void a_status_names_an_accepted_job_that_holds_the_document(void **state)
{
	struct rig_query query = {.query.document_id = str_of("a")};
	struct rig_job accepted = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig_run(&rig);
	rig.is_journal_held = true;
	rig_submit(&rig, &accepted, a(), "a");
	rig_answer(&rig);
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_string_equal(query.query.status.state, "accepted");
	rig.is_journal_held = false;
	rig_answer(&rig);
	assert_memory_equal(&query.query.status.saga, &accepted.outcome.saga, sizeof(struct uuid));
}

static void a_status_is_asked_for_twice_and_then_given_up(void **state)
{
	struct rig_query query = {.query.document_id = str_of("a")};

	(void)state;
	rig_run(&rig);
	rig.verdicts[RIG_READ] = VERDICT_TRANSIENT;
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(rig.n_asked[RIG_READ], 2);
	assert_int_equal(query.query.code, CODE_STORE_UNAVAILABLE);
	assert_string_equal(query.query.err.text, "postgresql is ill");
	rig.verdicts[RIG_READ] = VERDICT_MISCONFIGURED;
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(rig.n_asked[RIG_READ], 3); /* no second try mends that */
	assert_int_equal(query.query.code, CODE_STORE_MISCONFIGURED);
}

static void before_postgresql_is_reached_only_the_journal_tells(void **state)
{
	struct rig_query document = {.query.document_id = str_of("a")};
	struct rig_query job = {.query = {.has_job = true, .job = {{9}}}};

	(void)state;
	rig.is_held[RIG_CLAIM] = true;
	assert_int_equal(rig_start(&rig), 0);
	rig_ask(&rig, &document);
	rig_ask(&rig, &job);
	rig_answer(&rig);
	assert_int_equal(document.query.code, CODE_NOT_READY);
	assert_int_equal(job.query.code, CODE_NONE);
	assert_int_equal(job.query.job_status.state, JOB_IS_UNKNOWN);
}

static void a_job_is_looked_up_in_the_journal(void **state)
{
	struct rig_query query = {.query = {.has_job = true, .job = {{9}}}};
	const struct job_status *status = &query.query.job_status;

	(void)state;
	rig_run(&rig);
	rig.row = (struct journal_job_row){.state = JOB_WAITING};
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(status->state, JOB_IS_WAITING);
	rig.row = (struct journal_job_row){.state = JOB_DONE, .made = {{3}}};
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(status->state, JOB_IS_DONE);
	assert_int_equal(status->saga.bytes[0], 3);
	rig.row = (struct journal_job_row){.state = JOB_FAILED, .code = "store_refused"};
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(status->state, JOB_IS_FAILED);
	rig.journal_rc = -EIO;
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(query.query.code, CODE_JOURNAL_FAILED);
}

static void a_job_that_waits_here_tells_its_attempts(void **state)
{
	struct rig_job accepted = {.job.options.wait = WAIT_ACCEPTED};
	struct rig_query query = {.query.has_job = true};
	const struct job_status *status = &query.query.job_status;

	(void)state;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	query.query.job = rig_do(&rig, &accepted, a(), "a")->saga;
	rig_ask(&rig, &query);
	rig_turn(&rig);
	assert_int_equal(status->state, JOB_IS_WAITING);
	assert_int_equal(status->n_attempts, 1);
	assert_null(status->last_error);
	rig.is_held[RIG_READ] = false;
	rig_say(&rig, LEG_APPLY, VERDICT_MISCONFIGURED);
	rig_answer(&rig);
	rig_ask(&rig, &query);
	rig_turn(&rig);
	assert_non_null(strstr(status->last_error, "is ill"));
	rig_say(&rig, LEG_APPLY, VERDICT_OK);
	rig_wait(&rig, 2000);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_DONE], 1);
}

static void a_saga_is_asked_of_the_ledger(void **state)
{
	struct rig_query query = {.query = {.has_saga = true, .saga = {{5}}}};

	(void)state;
	rig_run(&rig);
	rig.settled = LEDGER_ABORTED;
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(query.query.code, CODE_NONE);
	assert_int_equal(query.query.ledger.outcome, LEDGER_ABORTED);
	assert_int_equal(query.query.ledger.saga.bytes[0], 5);
	rig.verdicts[RIG_SETTLE] = VERDICT_OUTAGE;
	rig_ask(&rig, &query);
	rig_answer(&rig);
	assert_int_equal(query.query.code, CODE_STORE_UNAVAILABLE);
	assert_string_equal(query.query.err.text, "postgresql is ill");
}

static void a_deadline_beyond_the_longest_is_cut(void **state)
{
	struct rig_job job = {.job.options.deadline_ms = 3600 * 1000};

	(void)state;
	rig.config.max_deadline_ms = 500;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	rig_submit(&rig, &job, a(), "a");
	rig_wait(&rig, 400);
	assert_int_equal(job.n_answers, 0);
	rig_wait(&rig, 200);
	expect_refusal(&job, CODE_DEADLINE_EXCEEDED, "preparing");
}

static void what_is_asked_at_the_end_gets_no_answer(void **state)
{
	struct rig_query query = {.query.document_id = str_of("a")};
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	rig_ask(&rig, &query);
	rig_turn(&rig);
	rig_submit(&rig, &job, a(), "a"); /* never looked at */
	rig_fini(&rig);
	assert_int_equal(query.n_answers, 0);
	assert_int_equal(job.n_answers, 0);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG(a_start_that_fails_says_why_and_a_nudge_tries_again),
		RIG(while_it_recovers_the_next_try_is_waited_for),
		RIG(another_owner_halts_it_for_good),
		RIG(at_each_bound_a_job_is_refused),
		RIG(the_queue_of_a_document_has_an_end),
		RIG(settings_change_what_is_sent_next),
		RIG(draining_ends_what_runs_and_takes_nothing_new),
		RIG(a_drain_before_the_start_is_over_stays_one),
		RIG(a_failed_journal_tells_each_job_what_can_be_said),
		RIG(a_status_tells_what_postgresql_has_and_what_runs),
		RIG(a_status_names_an_accepted_job_that_holds_the_document),
		RIG(a_status_is_asked_for_twice_and_then_given_up),
		RIG(before_postgresql_is_reached_only_the_journal_tells),
		RIG(a_job_is_looked_up_in_the_journal),
		RIG(a_job_that_waits_here_tells_its_attempts),
		RIG(a_saga_is_asked_of_the_ledger),
		RIG(a_deadline_beyond_the_longest_is_cut),
		RIG(what_is_asked_at_the_end_gets_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
