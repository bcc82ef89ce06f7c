/* What goes on without a client: parked work and its end, what a start finds, and an accepted job's attempts. */
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

#define CHUNK  "\"chunks\":[{\"text\":\"t\",\"embedding\":[1,2]}]"
#define A_PAGE 1000 /* of debts, as recovery asks for them */

static struct rig rig;
static struct truth_debt_row rows[A_PAGE];

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

static struct truth_debt_row debt_of(const char *store, enum leg_op op, unsigned number)
{
	struct truth_debt_row row = {.debt = {.op = op}, .document_id = str_of("a")};

	(void)snprintf(row.debt.store, sizeof(row.debt.store), "%s", store);
	row.debt.saga = documents_saga(number);
	row.debt.owner = documents_saga(number + 1);
	return row;
}

/* ---- parked ---- */

static void what_fails_for_good_is_parked_and_heard_of_when_it_is_done(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	rig.stores[0].verdicts[LEG_REMOVE] = VERDICT_PERMANENT;
	(void)rig_do(&rig, &job, a(), "a");
	assert_int_equal(job.outcome.code, CODE_STORE_REFUSED);
	assert_int_equal(rig_stats(&rig).n_parked, 1);
	assert_true(rig_has_said(&rig, "error parked", "store=qdrant"));
	assert_true(rig_has_said(&rig, "op=remove", "reason=qdrant is ill"));
	rig_wait(&rig, rig.config.parked_retry_ms + 100);
	assert_true(rig.stores[0].n_asked[LEG_REMOVE] >= 2);
	assert_int_equal(rig_stats(&rig).n_parked, 1); /* counted and told once */
	rig.stores[0].verdicts[LEG_REMOVE] = VERDICT_OK;
	rig_wait(&rig, rig.config.parked_retry_ms + 100);
	assert_int_equal(rig_stats(&rig).n_parked, 0);
	assert_true(rig_has_said(&rig, "info no longer parked: done", "store=qdrant"));
	rig_wait(&rig, rig.config.late_write_window_ms);
	assert_int_equal(rig_stats(&rig).n_errands, 0);
}

static void what_fails_for_long_is_parked_too(void **state)
{
	(void)state;
	rig.config.park_after_ms = 5000;
	rows[0] = debt_of("redis", LEG_PUBLISH, 1);
	rig.rows = rows;
	rig.n_rows = 1;
	rig.stores[2].verdicts[LEG_PUBLISH] = VERDICT_TRANSIENT;
	rig_run(&rig);
	rig_wait(&rig, 1000);
	assert_int_equal(rig_stats(&rig).n_parked, 0);
	rig_wait(&rig, 20000);
	assert_int_equal(rig_stats(&rig).n_parked, 1);
	assert_true(rig_has_said(&rig, "error parked", "op=publish"));
	rig.stores[2].verdicts[LEG_PUBLISH] = VERDICT_OK;
	rig_wait(&rig, rig.config.parked_retry_ms + 1000);
	assert_int_equal(rig_stats(&rig).n_parked, 0);
	assert_int_equal(rig.n_asked[RIG_PAY], 1);
}

static void an_unfenced_store_is_asked_by_the_age_of_the_version(void **state)
{
	(void)state;
	rows[0] = debt_of("qdrant", LEG_REMOVE, 1); /* of years ago */
	rows[1] = debt_of("qdrant", LEG_REMOVE, 2);
	rows[1].debt.saga = uuid_make_v7((uint64_t)rig.now.unix_ms - 10, 1, 2);
	rig.rows = rows;
	rig.n_rows = 2;
	rig_run(&rig);
	rig_answer(&rig);
	assert_int_equal(rig.stores[0].n_asked[LEG_REMOVE], 2);
	assert_int_equal(rig_stats(&rig).n_errands, 1); /* the young one is removed once more */
	rig_wait(&rig, rig.config.late_write_window_ms + 100);
	assert_int_equal(rig.stores[0].n_asked[LEG_REMOVE], 3);
	assert_int_equal(rig_stats(&rig).n_errands, 0);
}

/* ---- what a start finds ---- */

static void debts_come_page_by_page_and_a_strange_store_keeps_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < A_PAGE; i++)
		rows[i] = debt_of("neo4j", LEG_REMOVE, i);
	rows[3] = debt_of("elsewhere", LEG_REMOVE, 3);
	rig.rows = rows;
	rig.n_rows = A_PAGE;
	rig_run(&rig);
	assert_int_equal(rig.n_asked[RIG_DEBTS], 2);
	assert_true(rig_has_said(&rig, "\"elsewhere\"", "not configured"));
	rig_wait(&rig, 1000);
	assert_int_equal(rig.stores[1].n_asked[LEG_REMOVE], A_PAGE - 1);
	assert_int_equal(rig_stats(&rig).n_errands, 0);
}

static void a_journal_that_cannot_be_read_ends_the_start(void **state)
{
	(void)state;
	rig.load_rc = -EIO;
	assert_int_equal(rig_start(&rig), -EIO);
	assert_string_equal(rig.said, "the journal can't be read");
}

static void an_accepted_job_that_cannot_be_read_fails_alone(void **state)
{
	struct journal_job bad = {.id = {{1}}, .document_id = str_of("a"), .job_json = str_of("{\"id\":")};
	struct journal_job good = {.id = {{2}},
				   .document_id = str_of("b"),
				   .is_delete = true,
				   .job_json = str_of("{\"id\":\"b\",\"wait\":\"accepted\"}")};

	(void)state;
	rig.jobs[rig.n_jobs++] = bad;
	rig.jobs[rig.n_jobs++] = good;
	rig_run(&rig);
	rig_answer(&rig);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_FAILED], 1);
	assert_true(rig_has_said(&rig, "error accepted job failed for good", "document=a"));
	assert_int_equal(rig.n_notes[JOURNAL_JOB_DONE], 1);
	assert_int_equal(rig.last_end.saga.bytes[0], 2);
	assert_true(uuid_is_nil(&rig.last_end.made)); /* there was nothing to delete */
}

static void an_open_intent_is_removed_or_published_by_what_the_ledger_says(void **state)
{
	struct journal_intent put = {.saga = {{1}}, .document_id = str_of("a"), .n_chunks = 2};
	struct journal_intent gone = {.saga = {{2}}, .document_id = str_of("b"), .is_delete = true};

	(void)state;
	rig.intents[rig.n_intents++] = put;
	rig.intents[rig.n_intents++] = gone;
	rig.verdicts[RIG_SETTLE] = VERDICT_OUTAGE;
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_RECOVERING);
	assert_true(rig_has_said(&rig, "warn", "recovery waits for PostgreSQL"));
	rig.verdicts[RIG_SETTLE] = VERDICT_OK;
	rig.settled = LEDGER_COMMITTED;
	rig_wait(&rig, 2000);
	assert_int_equal(rig_stats(&rig).phase, ENGINE_RUNNING);
	assert_int_equal(rig.stores[2].n_asked[LEG_PUBLISH], 1); /* of the put; a delete has nothing to publish */
	assert_int_equal(rig.stores[0].n_asked[LEG_REMOVE], 0);
	assert_int_equal(rig.n_notes[JOURNAL_CLOSE], 2);
}

static void an_engine_that_ends_in_recovery_gives_its_intents_up(void **state)
{
	struct journal_intent put = {.saga = {{1}}, .document_id = str_of("a"), .n_chunks = 2};

	(void)state;
	rig.intents[rig.n_intents++] = put;
	rig.is_held[RIG_DEBTS] = true;
	rig.verdicts[RIG_SETTLE] = VERDICT_OUTAGE;
	assert_int_equal(rig_start(&rig), 0);
	rig_answer(&rig);
	rig_fini(&rig);
	assert_int_equal(rig.n_notes[JOURNAL_CLOSE], 0);
}

/* ---- accepted jobs ---- */

static void too_much_background_work_delays_an_attempt(void **state)
{
	struct rig_job accepted = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig_run(&rig);
	rig.is_journal_held = true;
	rig_submit(&rig, &accepted, a(), "a");
	rig_answer(&rig);
	rig.config.max_errands = 0;
	engine_reconfigure(rig.engine, &rig.config);
	rig.is_journal_held = false;
	rig_wait(&rig, 1000);
	assert_int_equal(accepted.outcome.kind, OUTCOME_ACCEPTED);
	assert_int_equal(rig.n_asked[RIG_READ], 0);
	rig.config.max_errands = 10;
	engine_reconfigure(rig.engine, &rig.config);
	rig_wait(&rig, 1000);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_DONE], 1);
}

static void a_refused_job_ends_with_its_reason(void **state)
{
	struct rig_job accepted = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig_run(&rig);
	rig.settled = LEDGER_ABORTED; /* the refusal is recorded under the job's key */
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	(void)rig_do(&rig, &accepted, a(), "a");
	assert_int_equal(accepted.outcome.kind, OUTCOME_ACCEPTED);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_FAILED], 1);
	assert_string_equal(rig.last_end.code, "store_refused");
	assert_true(rig_has_said(&rig, "error accepted job failed for good", "reason=neo4j is ill"));
	assert_int_equal(rig_stats(&rig).n_jobs_accepted, 0);
}

static void old_outcomes_are_deleted_now_and_then(void **state)
{
	(void)state;
	rig_run(&rig);
	rig_wait(&rig, 1000);
	assert_int_equal(rig.n_asked[RIG_PRUNE], 1);
	rig_wait(&rig, 61000);
	assert_int_equal(rig.n_asked[RIG_PRUNE], 2);
}

static void paid_debts_are_deleted_again_until_it_is_done(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}, .n_chunks = 3};
	rig.verdicts[RIG_PAY] = VERDICT_TRANSIENT;
	assert_int_equal(rig_do(&rig, &job, a(), "a")->kind, OUTCOME_COMMITTED);
	assert_int_equal(rig.n_asked[RIG_PAY], 1);
	rig.verdicts[RIG_PAY] = VERDICT_OK;
	rig_wait(&rig, 2000);
	assert_int_equal(rig.n_asked[RIG_PAY], 2);
	rig.is_held[RIG_PAY] = true; /* and one that is out at the end */
	(void)rig_do(&rig, &job, documents_make("{\"id\":\"a\",\"title\":\"x\"," CHUNK "}"), "a");
	assert_int_equal(rig.n_asked[RIG_PAY], 3);
	rig_fini(&rig);
	assert_int_equal(job.outcome.kind, OUTCOME_COMMITTED);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG(what_fails_for_good_is_parked_and_heard_of_when_it_is_done),
		RIG(what_fails_for_long_is_parked_too),
		RIG(an_unfenced_store_is_asked_by_the_age_of_the_version),
		RIG(debts_come_page_by_page_and_a_strange_store_keeps_its_own),
		RIG(a_journal_that_cannot_be_read_ends_the_start),
		RIG(an_accepted_job_that_cannot_be_read_fails_alone),
		RIG(an_open_intent_is_removed_or_published_by_what_the_ledger_says),
		RIG(an_engine_that_ends_in_recovery_gives_its_intents_up),
		RIG(too_much_background_work_delays_an_attempt),
		RIG(a_refused_job_ends_with_its_reason),
		RIG(old_outcomes_are_deleted_now_and_then),
		RIG(paid_debts_are_deleted_again_until_it_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
