/* A failing case gets as small as it can: planted bugs that need so many jobs and strikes, and no more. */
#include "shrink.h"
#include "sim.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RUNS  5000
#define FIRST 100

/* ---- planted bugs ---- */

static bool has_a_commit(const struct sim *sim)
{
	return sim->clients.n_committed >= 1;
}

static bool has_a_duplicate_and_a_commit(const struct sim *sim)
{
	return sim->clients.n_committed >= 1 && sim->faults.counts.hits[FAULT_DUPLICATE] > 0;
}

static bool has_a_crash(const struct sim *sim)
{
	return sim->faults.counts.hits[FAULT_CRASH] > 0;
}

static void break_at_a_commit(struct sim *sim)
{
	if (has_a_commit(sim))
		facts_violate(&sim->facts, 7, "a commit");
}

static void break_at_a_duplicate_and_a_commit(struct sim *sim)
{
	if (has_a_duplicate_and_a_commit(sim))
		facts_violate(&sim->facts, 7, "a duplicate and a commit");
}

static void abort_at_a_crash(struct sim *sim)
{
	if (has_a_crash(sim))
		abort();
}

/* The first seed from FIRST on that comes to this; with the bug planted. Where each fault changes what the next one
 * meets, shrinking ends at a small case that is not always the smallest: this seed's is. Clients with sagas of their
 * own draw from streams of their own, which shrinking doesn't thin out. */
static struct sim_case find_failing(bool (*has)(const struct sim *sim), void (*spoil)(struct sim *sim))
{
	struct sim *sim = malloc(sizeof(*sim));
	struct sim_case run;
	bool is_found = false;

	assert_non_null(sim);
	for (uint64_t seed = FIRST; !is_found; seed++) {
		run = case_of_seed(seed, true);
		sim_init(sim, &run, TRACE_OFF);
		sim_run(sim);
		is_found = has(sim) && !sim->flow_clients.is_on;
		sim_fini(sim);
	}
	free(sim);
	run.spoil = spoil;
	return run;
}

/* ---- shrinking ---- */

static void what_needs_no_fault_loses_them_all(void **state)
{
	struct sim_case run = find_failing(has_a_commit, break_at_a_commit);
	struct shrink_result result;

	(void)state;
	assert_int_equal(shrink_case(&run, RUNS, &result), 0);
	assert_true(result.is_failed);
	assert_int_equal(result.invariant, 7);
	assert_int_equal(run.n_jobs, 1);
	assert_int_equal(run.n_strikes, 0);
	case_fini(&run);
}

static void what_needs_one_fault_keeps_it(void **state)
{
	struct sim_case run = find_failing(has_a_duplicate_and_a_commit, break_at_a_duplicate_and_a_commit);
	struct shrink_result result;

	(void)state;
	assert_int_equal(shrink_case(&run, RUNS, &result), 0);
	assert_true(result.is_failed);
	assert_in_range(run.n_jobs, 1, 4); /* of dozens: a duplicate needs a commit beside it */
	assert_int_equal(run.n_strikes, 1);
	assert_int_equal(run.strikes[0].fault, FAULT_DUPLICATE);
	case_fini(&run);
}

static void what_ends_its_process_is_shrunk_as_well(void **state)
{
	struct sim_case run = find_failing(has_a_crash, abort_at_a_crash);
	struct shrink_result result;

	(void)state;
	assert_int_equal(shrink_case(&run, RUNS, &result), 0);
	assert_true(result.is_failed);
	assert_int_equal(result.invariant, 0);
	assert_int_equal(run.n_strikes, 1);
	assert_int_equal(run.strikes[0].fault, FAULT_CRASH);
	case_fini(&run);
}

static void what_passes_is_left_alone(void **state)
{
	struct sim_case run = case_of_seed(1, false);
	struct shrink_result result;

	(void)state;
	assert_int_equal(shrink_case(&run, RUNS, &result), 0);
	assert_false(result.is_failed);
	assert_false(run.has_jobs);
	case_fini(&run);
}

/* ---- the case on a command line ---- */

static void assert_prints(const struct sim_case *run, const char *text)
{
	struct buf out;

	buf_init(&out);
	case_print(run, &out);
	buf_append(&out, "", 1);
	assert_string_equal(out.at, text);
	buf_fini(&out);
}

static void a_case_is_read_as_it_is_printed(void **state)
{
	struct sim_case run = case_of_seed(7, true);
	const char *bad;

	(void)state;
	assert_prints(&run, "tools/sim --seed 7");
	assert_int_equal(case_parse_jobs(&run, "3,7-9", &bad), 0);
	assert_int_equal(case_parse_strikes(&run, "crash:203,reply_late:17", &bad), 0);
	assert_int_equal(case_parse_without(&run, "overload", &bad), 0);
	assert_true(case_has_job(&run, 8) && !case_has_job(&run, 6));
	assert_true(case_has_strike(&run, FAULT_CRASH, 203) && !case_has_strike(&run, FAULT_CRASH, 17));
	assert_prints(&run, "tools/sim --seed 7 --only-jobs 3,7,8,9 --only-strikes crash:203,reply_late:17 "
			    "--without overload");
	case_fini(&run);
	assert_prints(&run, "tools/sim --seed 7 --only-jobs none --only-strikes none --without overload");
}

static void nonsense_is_refused(void **state)
{
	static const char *const jobs[] = {"", "x", "3,", "9-7", "-1", "3 4"};
	static const char *const strikes[] = {"", "crash", "crash:", "crash:x", "nothing:3", "crash:3,"};
	struct sim_case run = case_of_seed(1, true);
	const char *bad;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(jobs); i++)
		assert_int_not_equal(case_parse_jobs(&run, jobs[i], &bad), 0);
	for (unsigned i = 0; i < ARRAY_LEN(strikes); i++)
		assert_int_not_equal(case_parse_strikes(&run, strikes[i], &bad), 0);
	assert_int_not_equal(case_parse_without(&run, "crash,", &bad), 0);
	case_fini(&run);
}

/* ---- streams ---- */

static struct sim *run_of(const struct sim_case *run)
{
	struct sim *sim = malloc(sizeof(*sim));

	assert_non_null(sim);
	sim_init(sim, run, TRACE_OFF);
	sim_run(sim);
	return sim;
}

/* What job so and so asks for; false: it was not asked for. */
static bool find_want(const struct sim *sim, uint32_t number, struct want *out_want)
{
	const struct list *it;

	for (it = sim->clients.jobs.next; it != &sim->clients.jobs; it = it->next) {
		const struct client_job *job =
			(const struct client_job *)(const void *)((const char *)it - offsetof(struct client_job, node));
		if (job->number != number)
			continue;
		*out_want = job->want;
		return true;
	}
	return false;
}

static void a_job_that_is_left_out_changes_no_other(void **state)
{
	struct sim_case whole = case_of_seed(3, false), part = case_of_seed(3, false);
	struct sim *all, *some;
	struct want a = {.doc = 0}, b = {.doc = 0};
	const char *bad;

	(void)state;
	assert_int_equal(case_parse_jobs(&part, "2,5,9", &bad), 0);
	all = run_of(&whole);
	some = run_of(&part);
	assert_false(find_want(some, 1, &a));
	for (unsigned i = 0; i < 3; i++) {
		assert_true(find_want(all, part.jobs[i], &a));
		assert_true(find_want(some, part.jobs[i], &b));
		assert_int_equal(a.doc, b.doc);
		assert_int_equal(a.number, b.number);
		assert_int_equal(a.is_delete, b.is_delete);
	}
	sim_fini(all);
	sim_fini(some);
	free(all);
	free(some);
	case_fini(&part);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_needs_no_fault_loses_them_all),
		cmocka_unit_test(what_needs_one_fault_keeps_it),
		cmocka_unit_test(what_ends_its_process_is_shrunk_as_well),
		cmocka_unit_test(what_passes_is_left_alone),
		cmocka_unit_test(a_case_is_read_as_it_is_printed),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_job_that_is_left_out_changes_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
