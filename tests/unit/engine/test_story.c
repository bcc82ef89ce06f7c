/* The line that a saga leaves in the log: what it says, and when it is written at all. */
#include "rig.h"

#include "engine/meter.h"
#include "lib/documents.h"

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
	rig.log.level = LOG_INFO_LEVEL;
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

static void forget_what_was_said(void)
{
	rig.n_said = 0;
	rig.said[0] = '\0';
}

static void expect_said(const char *first, const char *second)
{
	if (!rig_has_said(&rig, first, second))
		fail_msg("no line has '%s' and '%s':\n%s", first, second, rig.said);
}

static void a_success_is_told_only_when_asked_for(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	forget_what_was_said();
	(void)rig_do(&rig, &job, a(), "a");
	assert_string_equal(rig.said, "");
	rig.config.log_successes = true;
	engine_reconfigure(rig.engine, &rig.config);
	(void)rig_do(&rig, &job, a(), "a");
	expect_said("info saga committed", "document=a");
	(void)rig_do(&rig, &job, NULL, "a");
	expect_said("info saga absent", "document=a");
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}};
	(void)rig_do(&rig, &job, NULL, "a");
	expect_said("info saga deleted", "neo4j: not sent");
}

static void an_unchanged_document_is_told_as_such(void **state)
{
	struct rig_job job = {0};
	struct document *document = a();

	(void)state;
	rig.config.log_successes = true;
	rig_run(&rig);
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}};
	memcpy(rig.reading.content_hash, document->content_hash, DIGEST_BYTES);
	assert_int_equal(rig_do(&rig, &job, document, "a")->kind, OUTCOME_UNCHANGED);
	expect_said("info saga unchanged", "document=a");
}

static void a_failure_is_told_with_the_whole_way_to_it(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig.config.max_tries = 2;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_OUTAGE;
	rig_submit(&rig, &job, a(), "a");
	rig_wait(&rig, 1000);
	assert_int_equal(job.outcome.code, CODE_STORE_UNAVAILABLE);
	expect_said("warn saga failed document=a", "code=store_unavailable store=neo4j tries=2 reason=neo4j is ill");
	expect_said("stages=projecting ", "stores=qdrant: applied; neo4j: not sent, 2 failed tries; redis: applied");
}

static void an_error_that_another_hides_is_told_beside_it(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_TRANSIENT;
	rig.config.retry.base_ns = 3600 * (uint64_t)NS_PER_MS * 1000;
	rig.config.retry.cap_ns = rig.config.retry.base_ns;
	engine_reconfigure(rig.engine, &rig.config);
	rig.stores[0].verdicts[LEG_APPLY] = VERDICT_OK;
	job.job.options.deadline_ms = 500;
	rig_submit(&rig, &job, a(), "a");
	rig_wait(&rig, 1000);
	assert_int_equal(job.outcome.code, CODE_DEADLINE_EXCEEDED);
	expect_said("code=deadline_exceeded", "neo4j: sent, 1 failed try, last: neo4j is ill");
}

static void doubt_is_told_with_what_postgresql_said(void **state)
{
	struct rig_job job = {.job.options.deadline_ms = 500};

	(void)state;
	rig_run(&rig);
	rig.verdicts[RIG_PIVOT] = VERDICT_DOUBT;
	rig.verdicts[RIG_SETTLE] = VERDICT_OUTAGE;
	rig_submit(&rig, &job, a(), "a");
	rig_wait(&rig, 5000);
	assert_int_equal(job.outcome.code, CODE_IN_DOUBT);
	expect_said("warn saga in doubt, its client was told so", "; postgresql, ");
	expect_said("in doubt", "stages=in_doubt ");
}

static void a_failed_read_and_a_refused_pivot_are_told(void **state)
{
	struct rig_job job = {0};

	(void)state;
	rig_run(&rig);
	rig.verdicts[RIG_READ] = VERDICT_MISCONFIGURED;
	(void)rig_do(&rig, &job, a(), "a");
	expect_said("code=store_misconfigured store=postgresql", "; postgresql, 1 failed try");
	rig.verdicts[RIG_READ] = VERDICT_OK;
	rig.verdicts[RIG_PIVOT] = VERDICT_PERMANENT;
	(void)rig_do(&rig, &job, a(), "a");
	expect_said("code=store_refused store=postgresql", "; postgresql, 1 failed try");
}

static void work_owed_is_told_when_it_was_slow(void **state)
{
	struct rig_job job = {.job.options.deadline_ms = 500};

	(void)state;
	rig.config.slow_saga_ms = 100;
	rig_run(&rig);
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}};
	rig.stores[2].verdicts[LEG_PUBLISH] = VERDICT_OUTAGE;
	rig.stores[1].verdicts[LEG_REMOVE] = VERDICT_OUTAGE;
	rig_submit(&rig, &job, a(), "a");
	rig_wait(&rig, 1000);
	assert_int_equal(job.outcome.kind, OUTCOME_COMMITTED);
	expect_said("warn slow saga committed, with work owed", "neo4j: removal of the old version owed");
	expect_said("redis: publication owed", "took=500");
	rig_submit(&rig, &job, NULL, "a");
	rig_wait(&rig, 1000);
	expect_said("warn slow saga deleted, with work owed", "owing 500");
}

static void an_attempt_that_is_tried_again_is_no_warning(void **state)
{
	struct rig_job accepted = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig_run(&rig);
	rig_say(&rig, LEG_APPLY, VERDICT_MISCONFIGURED);
	(void)rig_do(&rig, &accepted, a(), "a");
	expect_said("info saga failed, will be tried again", "code=store_misconfigured");
	assert_false(rig_has_said(&rig, "warn", "saga"));
}

static void outcomes_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < METER_OUTCOMES; i++)
		assert_true(strlen(meter_outcome_name((enum meter_outcome)i)) > 3);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG(a_success_is_told_only_when_asked_for),      RIG(an_unchanged_document_is_told_as_such),
		RIG(a_failure_is_told_with_the_whole_way_to_it), RIG(an_error_that_another_hides_is_told_beside_it),
		RIG(doubt_is_told_with_what_postgresql_said),    RIG(a_failed_read_and_a_refused_pivot_are_told),
		RIG(work_owed_is_told_when_it_was_slow),         RIG(an_attempt_that_is_tried_again_is_no_warning),
		cmocka_unit_test(outcomes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
