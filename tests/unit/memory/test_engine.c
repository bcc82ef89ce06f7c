/* The engine with memory running out at each allocation in turn, from its start to its end: a start says so and ends, a
 * job is answered once, and whatever was missing, the next job of the same document commits. */
#include "scarce.h"

#include "../engine/rig.h"
#include "lib/documents.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK  "\"chunks\":[{\"text\":\"t\",\"embedding\":[1,2]}]"
#define N_JOBS 6

static struct rig rig;
static struct rig_job jobs[N_JOBS];
static struct rig_query queries[2];
static struct truth_debt_row debt;

static struct document *document_of(const char *id)
{
	struct buf params = {0};
	struct document *document;

	buf_append_format(&params, "{\"id\":\"%s\"," CHUNK "}", id);
	document = documents_make(buf_str(&params).at);
	buf_fini(&params);
	return document;
}

/* An open intent, an accepted job and a debt. */
static void leave_work(void)
{
	rig.intents[rig.n_intents++] =
		(struct journal_intent){.saga = {{1}}, .document_id = str_of("left"), .n_chunks = 1};
	rig.jobs[rig.n_jobs++] = (struct journal_job){
		.id = {{2}},
		.document_id = str_of("waiting"),
		.job_json = str_of("{\"id\":\"waiting\",\"wait\":\"accepted\"," CHUNK "}"),
		.deaths = {{"qdrant", 1}},
		.n_deaths = 1,
	};
	debt = (struct truth_debt_row){.debt = {.store = "neo4j", .op = LEG_REMOVE, .saga = {{3}}},
				       .document_id = str_of("owed")};
	rig.rows = &debt;
	rig.n_rows = 1;
}

/* Two puts of one document, one that a store refuses, one with a key, a delete, an accepted job, and questions. */
static void submit_all(struct document **documents)
{
	static const char *const ids[N_JOBS] = {"a", "a", "b", "c", "d", "e"};

	memset(jobs, 0, sizeof(jobs));
	memset(queries, 0, sizeof(queries));
	jobs[2].job.options.idempotency_key = str_of("k");
	jobs[5].job.options.wait = WAIT_ACCEPTED;
	for (unsigned i = 0; i < N_JOBS; i++)
		rig_submit(&rig, &jobs[i], documents[i], ids[i]);
	queries[0].query.document_id = str_of("a");
	queries[1].query.has_job = true;
	rig_ask(&rig, &queries[0]);
	rig_ask(&rig, &queries[1]);
}

static void make_documents(struct document **documents)
{
	static const char *const ids[N_JOBS] = {"a", "a", "b", "c", NULL, "e"};

	for (unsigned i = 0; i < N_JOBS; i++)
		documents[i] = ids[i] != NULL ? document_of(ids[i]) : NULL;
}

static void check_answers(void)
{
	for (unsigned i = 0; i < N_JOBS; i++) {
		const struct rig_job *job = &jobs[i];

		assert_int_equal(job->n_answers, 1);
		if (job->outcome.kind == OUTCOME_FAILED && job->outcome.code != CODE_INTERNAL)
			fail_msg("job %u: %s: %s", i, code_name(job->outcome.code), job->outcome.err.text);
	}
	assert_int_equal(queries[0].n_answers, 1);
	assert_int_equal(queries[1].n_answers, 1);
}

/* Nobody holds what somebody needs. */
static void check_that_it_goes_on(void)
{
	static const char *const ids[] = {"a", "b", "c", "d", "e", "waiting"};

	rig_wait(&rig, 5000);
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct rig_job job = {0};
		struct document *document = document_of(ids[i]);

		assert_int_equal(rig_do(&rig, &job, document, ids[i])->kind, OUTCOME_COMMITTED);
	}
	assert_int_equal(rig_stats(&rig).n_sagas, 0);
	assert_int_equal(rig_stats(&rig).bytes, 0);
}

static void drop(struct document **documents)
{
	for (unsigned i = 0; i < N_JOBS; i++)
		document_destroy(documents[i]);
}

/* True: an allocation failed on the way. */
static bool live(size_t nth)
{
	struct document *documents[N_JOBS];
	bool has_failed;
	int rc;

	rig_init(&rig);
	rig.reading = (struct truth_read){.is_found = true, .version = {{1}}, .n_chunks = 1};
	leave_work();
	make_documents(documents);
	scarce_begin(nth);
	rc = rig_start(&rig);
	if (rc == 0) {
		submit_all(documents);
		rig_wait(&rig, 2000);
	}
	has_failed = scarce_end();
	if (rc == 0) {
		check_answers();
		check_that_it_goes_on();
	} else {
		assert_true(has_failed);
		assert_int_equal(rc, -ENOMEM);
		drop(documents);
	}
	rig_fini(&rig);
	return has_failed;
}

static void an_engine_lives_through_each_failure(void **state)
{
	size_t nth = 1;

	(void)state;
	while (live(nth))
		nth++;
	assert_true(nth > 50); /* it did allocate */
}

/* ---- an operator's order ---- */

static struct engine_resolution resolution;
static unsigned n_resolutions;

static void on_resolved(struct engine_resolution *of)
{
	(void)of;
	n_resolutions++;
}

static void begin_resolving(const struct uuid *id)
{
	resolution = (struct engine_resolution){
		.order = {.has_id = true, .id = *id, .reason = str_of("by hand")},
		.done = on_resolved,
	};
	list_init(&resolution.node);
	n_resolutions = 0;
	engine_resolve(rig.engine, &resolution);
}

/* Two stores refuse to remove what a third one has refused to take, and a job waits for that one. */
static void leave_parked(struct uuid *out_saga, struct uuid *out_job)
{
	struct rig_job refused = {0}, waiting = {.job.options.wait = WAIT_ACCEPTED};

	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	rig.stores[0].verdicts[LEG_REMOVE] = rig.stores[2].verdicts[LEG_REMOVE] = VERDICT_PERMANENT;
	*out_saga = rig_do(&rig, &refused, document_of("a"), "a")->saga;
	assert_int_equal(rig_stats(&rig).n_parked, 2);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_MISCONFIGURED;
	*out_job = rig_do(&rig, &waiting, document_of("b"), "b")->saga;
}

static bool settle(size_t nth, bool is_job)
{
	struct uuid saga, job;
	uint32_t n_resolved;
	bool has_failed;

	rig_init(&rig);
	rig_run(&rig);
	leave_parked(&saga, &job);
	scarce_begin(nth);
	begin_resolving(is_job ? &job : &saga);
	rig_answer(&rig);
	has_failed = scarce_end();
	assert_int_equal(n_resolutions, 1);
	assert_true(resolution.code == CODE_NONE || (has_failed && resolution.code == CODE_INTERNAL));
	n_resolved = resolution.n_resolved;
	if (resolution.code != CODE_NONE) { /* what was not resolved can be ordered again */
		begin_resolving(is_job ? &job : &saga);
		rig_answer(&rig);
		n_resolved += resolution.n_resolved;
	}
	assert_int_equal(n_resolved, is_job ? 1 : 2);
	rig_fini(&rig);
	return has_failed;
}

static void an_order_lives_through_each_failure(void **state)
{
	size_t nth = 1;

	(void)state;
	while (settle(nth, false))
		nth++;
	assert_true(nth > 2); /* one for each store */
	nth = 1;
	while (settle(nth, true))
		nth++;
	assert_true(nth > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_engine_lives_through_each_failure),
		cmocka_unit_test(an_order_lives_through_each_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
