/* An operator settles work that the engine can't end: parked removals, accepted jobs. */
#include "rig.h"

#include "lib/documents.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK "\"chunks\":[{\"text\":\"t\",\"embedding\":[1,2]}]"

struct order {
	struct engine_resolution resolution;
	unsigned n_answers;
};

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

static void on_resolved(struct engine_resolution *resolution)
{
	container_of(resolution, struct order, resolution)->n_answers++;
}

static void resolve(struct order *order, const struct uuid *id, const char *store)
{
	*order = (struct order){.resolution = {.order = {.has_id = true, .id = *id, .reason = str_of("seen to")},
					       .uid = 42,
					       .done = on_resolved}};
	order->resolution.order.store = str_of(store);
	engine_resolve(rig.engine, &order->resolution);
}

/* Two stores refuse to remove what a third one has refused to take. */
static struct uuid park_two(void)
{
	struct rig_job job = {0};

	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	rig.stores[0].verdicts[LEG_REMOVE] = rig.stores[2].verdicts[LEG_REMOVE] = VERDICT_PERMANENT;
	(void)rig_do(&rig, &job, documents_make("{\"id\":\"a\"," CHUNK "}"), "a");
	assert_int_equal(rig_stats(&rig).n_parked, 2);
	return job.outcome.saga;
}

static struct uuid accept_one(const char *id, struct document *document)
{
	struct rig_job job = {.job.options.wait = WAIT_ACCEPTED};

	return rig_do(&rig, &job, document, id)->saga;
}

static void parked_work_is_settled_store_by_store(void **state)
{
	struct uuid saga = park_two();
	struct order order;

	(void)state;
	resolve(&order, &saga, "qdrant");
	rig_answer(&rig);
	assert_int_equal(order.n_answers, 1);
	assert_int_equal(order.resolution.code, CODE_NONE);
	assert_int_equal(order.resolution.n_resolved, 1);
	assert_int_equal(rig.n_notes[JOURNAL_RESOLVED], 1);
	assert_int_equal(rig_stats(&rig).n_parked, 1);
	assert_true(rig_has_said(&rig, "warn resolved by uid 42: remove of saga", "at qdrant: seen to"));
	resolve(&order, &saga, NULL);
	rig_answer(&rig);
	assert_int_equal(order.resolution.n_resolved, 1);
	assert_int_equal(rig_stats(&rig).n_parked, 0);
	rig_wait(&rig, rig.config.late_write_window_ms + 100);
	assert_int_equal(rig_stats(&rig).n_errands, 0);
	assert_int_equal(rig.stores[0].n_asked[LEG_REMOVE], 1);
}

static void what_is_not_parked_or_not_there_is_refused(void **state)
{
	struct uuid saga = park_two(), nobody = {{9}};
	struct order order;

	(void)state;
	resolve(&order, &saga, "neo4j"); /* that one waits for its second removal only */
	rig_answer(&rig);
	assert_int_equal(order.n_answers, 1);
	assert_string_equal(code_name(order.resolution.code), code_name(CODE_CONFLICT));
	resolve(&order, &nobody, NULL);
	rig_answer(&rig);
	assert_string_equal(code_name(order.resolution.code), code_name(CODE_NOT_FOUND));
	assert_int_equal(rig.n_notes[JOURNAL_RESOLVED], 0);
}

static void what_is_still_tried_is_refused(void **state)
{
	struct rig_job job = {0};
	struct order order;

	(void)state;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	rig.stores[0].verdicts[LEG_REMOVE] = VERDICT_TRANSIENT;
	(void)rig_do(&rig, &job, documents_make("{\"id\":\"a\"," CHUNK "}"), "a");
	resolve(&order, &job.outcome.saga, "qdrant");
	rig_answer(&rig);
	assert_string_equal(code_name(order.resolution.code), code_name(CODE_CONFLICT));
	assert_int_equal(rig.n_notes[JOURNAL_RESOLVED], 0);
}

static void what_ends_meanwhile_is_not_settled(void **state)
{
	struct uuid saga = park_two();
	struct order order;

	(void)state;
	rig.is_journal_held = true;
	resolve(&order, &saga, "qdrant");
	rig_answer(&rig);
	assert_int_equal(order.n_answers, 0);
	rig.stores[0].verdicts[LEG_REMOVE] = VERDICT_OK;
	rig_wait(&rig, rig.config.parked_retry_ms + 100);
	assert_int_equal(rig_stats(&rig).n_parked, 1);
	rig.is_journal_held = false;
	rig_answer(&rig);
	assert_int_equal(order.n_answers, 1);
	assert_int_equal(order.resolution.n_resolved, 0);
}

static void a_job_that_waits_for_its_next_attempt_ends_at_once(void **state)
{
	struct order order;
	struct uuid job;

	(void)state;
	rig_run(&rig);
	rig_say(&rig, LEG_APPLY, VERDICT_MISCONFIGURED);
	job = accept_one("a", documents_make("{\"id\":\"a\"," CHUNK "}"));
	resolve(&order, &job, NULL);
	rig_answer(&rig);
	assert_int_equal(order.resolution.n_resolved, 1);
	assert_false(order.resolution.is_pending);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_FAILED], 1);
	assert_string_equal(rig.last_end.code, code_name(CODE_RESOLVED));
	assert_int_equal(rig_stats(&rig).n_jobs_accepted, 0);
	assert_true(rig_has_said(&rig, "warn resolved by uid 42: job of accepted job", "seen to"));
}

static void a_job_under_way_ends_with_its_attempt(void **state)
{
	struct order order;
	struct uuid job;

	(void)state;
	rig_run(&rig);
	rig.is_held[RIG_READ] = true;
	rig_say(&rig, LEG_APPLY, VERDICT_MISCONFIGURED);
	job = accept_one("a", documents_make("{\"id\":\"a\"," CHUNK "}"));
	resolve(&order, &job, NULL);
	rig_answer(&rig);
	assert_int_equal(order.n_answers, 1);
	assert_true(order.resolution.is_pending);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_FAILED], 0);
	rig.is_held[RIG_READ] = false;
	rig_answer(&rig);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_FAILED], 1);
	assert_int_equal(rig_stats(&rig).n_jobs_accepted, 0);
}

static void nothing_is_settled_that_the_journal_could_not_keep(void **state)
{
	struct uuid saga = park_two();
	struct order order, late;

	(void)state;
	rig.journal_rc = -EIO;
	resolve(&order, &saga, NULL);
	rig_answer(&rig);
	assert_int_equal(order.n_answers, 1);
	assert_string_equal(code_name(order.resolution.code), code_name(CODE_SHUTTING_DOWN));
	assert_int_equal(order.resolution.n_resolved, 0);
	resolve(&late, &saga, NULL);
	rig_answer(&rig);
	assert_string_equal(code_name(late.resolution.code), code_name(CODE_SHUTTING_DOWN));
	assert_int_equal(late.n_answers, 1);
}

static void what_waits_for_the_journal_at_the_end_is_dropped(void **state)
{
	struct uuid saga = park_two();
	struct order order;

	(void)state;
	rig.is_journal_held = true;
	resolve(&order, &saga, NULL);
	rig_answer(&rig);
	rig_fini(&rig);
	assert_int_equal(order.n_answers, 0);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG(parked_work_is_settled_store_by_store),
		RIG(what_is_not_parked_or_not_there_is_refused),
		RIG(what_is_still_tried_is_refused),
		RIG(what_ends_meanwhile_is_not_settled),
		RIG(a_job_that_waits_for_its_next_attempt_ends_at_once),
		RIG(a_job_under_way_ends_with_its_attempt),
		RIG(nothing_is_settled_that_the_journal_could_not_keep),
		RIG(what_waits_for_the_journal_at_the_end_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
