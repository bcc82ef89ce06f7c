/* sagad-sim: the engine, unmodified, against fake stores in virtual time, one run a seed. */
#include "shrink.h"
#include "sim.h"
#include "workers.h"

#include "base/mutant.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *argp_program_version = "sagad-sim";

#define SHRINK_RUNS 20000

struct options {
	struct workers_job job;
	struct sim_case run; /* of --seed */
	bool is_single;
	bool is_shrunk;
	uint64_t min_hits;
	bool is_full_cover;
	bool is_why;
};

enum {
	OPTION_NO_FAULTS = 1000,
	OPTION_MIN_HITS,
	OPTION_FIRST,
	OPTION_QUIET,
	OPTION_SHRINK,
	OPTION_ONLY_JOBS,
	OPTION_ONLY_STRIKES,
	OPTION_WITHOUT,
	OPTION_SHUFFLE,
	OPTION_FULL_COVER,
	OPTION_WHY,
	OPTION_MUTANT,
	OPTION_LIST_MUTANTS
};

static const struct argp_option option_table[] = {
	{"seeds", 'n', "N", 0, "Run N seeds (500)", 0},
	{"first", OPTION_FIRST, "K", 0, "The first of them (1)", 0},
	{"seed", 's', "S", 0, "Run this one only, with a trace of all that happens", 0},
	{"jobs", 'j', "J", 0, "Processes at a time, 1 to 64 (1)", 0},
	{"no-faults", OPTION_NO_FAULTS, NULL, 0, "Nothing fails", 0},
	{"min-hits", OPTION_MIN_HITS, "H", 0, "Fail when a kind of fault was hit less often in all (0)", 0},
	{"full-cover", OPTION_FULL_COVER, NULL, 0,
	 "Fail when a cell of the table that can occur is empty, or one that can't isn't", 0},
	{"why", OPTION_WHY, NULL, 0, "With the table, say why cells can't occur", 0},
	{"quiet", OPTION_QUIET, NULL, 0, "Of a failed seed print one line, and don't shrink it", 0},
	{"shrink", OPTION_SHRINK, NULL, 0, "With --seed: leave out what the failure doesn't need, and trace the rest",
	 0},
	{"only-jobs", OPTION_ONLY_JOBS, "N,N-N", 0, "With --seed: ask for these jobs only, by their numbers; or 'none'",
	 0},
	{"only-strikes", OPTION_ONLY_STRIKES, "KIND:N", 0,
	 "With --seed: only these strikes of faults, by kind and draw, separated by commas; or 'none'", 0},
	{"shuffle", OPTION_SHUFFLE, "K", 0, "With --seed: the same jobs and faults with other delays (0)", 0},
	{"without", OPTION_WITHOUT, "KIND,KIND", 0, "Leave these kinds of fault out", 0},
	{"mutant", OPTION_MUTANT, "NAME", 0, "With this seeded bug (of a build with -Dmutants=true)", 0},
	{"list-mutants", OPTION_LIST_MUTANTS, NULL, 0, "Print their names, where they are and what they do", 0},
	{0},
};

static uint64_t parse_number(const char *text, uint64_t low, uint64_t high, struct argp_state *state)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < low || value > high)
		argp_error(state, "'%s' is not a number from %" PRIu64 " to %" PRIu64, text, low, high);
	return value;
}

static void choose_mutant(const char *name, struct argp_state *state)
{
#ifdef SAGAD_MUTANTS
	if (mutant_choose(name) != 0)
		argp_error(state, "there is no mutant '%s'; --list-mutants names them", name);
#else
	argp_error(state, "this build has no mutant '%s'; configure one with -Dmutants=true", name);
#endif
}

static _Noreturn void list_mutants(void)
{
#ifdef SAGAD_MUTANTS
	for (unsigned i = 0; mutant_line(i) != NULL; i++)
		puts(mutant_line(i));
#endif
	exit(0);
}

static error_t parse_list(int (*parse)(struct sim_case *, const char *, const char **), struct options *options,
			  const char *text, struct argp_state *state)
{
	const char *bad = text;

	if (parse(&options->run, text, &bad) != 0)
		argp_error(state, "not understood: '%s'", bad);
	options->job.without = options->run.without;
	return 0;
}

static error_t parse_case_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 's':
		options->is_single = true;
		options->run.seed = parse_number(arg, 0, UINT64_MAX / 2, state);
		return 0;
	case OPTION_SHRINK:
		options->is_shrunk = true;
		return 0;
	case OPTION_SHUFFLE:
		options->run.shuffle = parse_number(arg, 0, UINT64_MAX / 2, state);
		return 0;
	case OPTION_ONLY_JOBS:
		return parse_list(case_parse_jobs, options, arg, state);
	case OPTION_ONLY_STRIKES:
		return parse_list(case_parse_strikes, options, arg, state);
	case OPTION_WITHOUT:
		return parse_list(case_parse_without, options, arg, state);
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'n':
		options->job.n = parse_number(arg, 1, 100000000, state);
		return 0;
	case OPTION_FIRST:
		options->job.first = parse_number(arg, 0, UINT64_MAX / 2, state);
		return 0;
	case 'j':
		options->job.n_jobs = (unsigned)parse_number(arg, 1, 64, state);
		return 0;
	case OPTION_NO_FAULTS:
		options->job.has_faults = options->run.has_faults = false;
		return 0;
	case OPTION_MIN_HITS:
		options->min_hits = parse_number(arg, 0, 1000000000, state);
		return 0;
	case OPTION_QUIET:
		options->job.is_quiet = true;
		return 0;
	case OPTION_FULL_COVER:
		options->is_full_cover = true;
		return 0;
	case OPTION_WHY:
		options->is_why = true;
		return 0;
	case OPTION_MUTANT:
		choose_mutant(arg, state);
		return 0;
	case OPTION_LIST_MUTANTS:
		list_mutants();
	default:
		return parse_case_option(key, arg, state);
	}
}

/* False: there was nothing to shrink. */
static bool shrink_first(struct options *options)
{
	struct shrink_result result;
	int rc = shrink_case(&options->run, SHRINK_RUNS, &result);

	if (rc != 0)
		fprintf(stderr, "sagad-sim: can't shrink: %s\n", strerror(-rc));
	else if (!result.is_failed)
		puts("it doesn't fail: nothing to shrink");
	else
		shrink_print(&options->run, &result);
	return rc == 0 && result.is_failed;
}

static int run_single(struct options *options)
{
	struct sim *sim = malloc(sizeof(*sim));
	bool is_failed;

	MUST(sim != NULL);
	if (options->is_shrunk && !shrink_first(options))
		puts("the whole of it:");
	sim_init(sim, &options->run, TRACE_PRINT);
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		if (sim->faults.per_mille[i] > 0)
			trace_line(&sim->trace, "", "mix", "%s, %u in a thousand", fault_name((enum fault)i),
				   sim->faults.per_mille[i]);
	sim_run(sim);
	is_failed = sim->facts.is_violated;
	printf("seed %" PRIu64 " %s after %.3f s of virtual time%s%s\n", options->run.seed,
	       is_failed ? "failed" : "passed", (double)sim->world.now_ns / 1e9, is_failed ? ": " : "",
	       sim->facts.violation);
	printf("%d passed, %d failed\n", !is_failed, is_failed);
	sim_fini(sim);
	free(sim);
	case_fini(&options->run);
	return is_failed ? 1 : 0;
}

static int run_many(const struct options *options)
{
	struct workers_result result;
	struct timespec begin, end;
	unsigned n_below, n_empty = 0;
	int rc;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	rc = workers_run(&options->job, &result);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	if (rc != 0) {
		fprintf(stderr, "sagad-sim: no worker process: %s\n", strerror(-rc));
		return 2;
	}
	putchar('\n');
	fault_counts_print(&result.counts, options->is_why);
	n_below = fault_counts_below(&result.counts, options->min_hits);
	if (options->is_full_cover)
		n_empty = fault_counts_empty(&result.counts);
	printf("%" PRIu64 " answers, %" PRIu64 " of them commits; %.1f s\n", result.n_answered, result.n_committed,
	       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	/* A kind of fault that hardly ever struck, or never in some state, proves nothing: it counts as a failure. */
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", result.n_passed, result.n_failed + n_below + n_empty);
	return result.n_failed > 0 || n_below + n_empty > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		option_table,
		parse_option,
		NULL,
		"Runs the saga engine against fake stores in virtual time: each seed is one run, with its own mix of "
		"faults.",
		NULL,
		NULL,
		NULL,
	};
	struct options options = {.job = {.first = 1, .n = 500, .n_jobs = 1, .has_faults = true},
				  .run = {.has_faults = true}};

	if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
		return 2;
	return options.is_single ? run_single(&options) : run_many(&options);
}
