/* sagad-sim: the engine, unmodified, against fake stores in virtual time, one run a seed. */
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

struct options {
	struct workers_job job;
	bool is_single;
	uint64_t seed;
	uint64_t min_hits;
};

enum { OPTION_NO_FAULTS = 1000, OPTION_MIN_HITS, OPTION_FIRST, OPTION_QUIET, OPTION_MUTANT, OPTION_LIST_MUTANTS };

static const struct argp_option option_table[] = {
	{"seeds", 'n', "N", 0, "Run N seeds (500)", 0},
	{"first", OPTION_FIRST, "K", 0, "The first of them (1)", 0},
	{"seed", 's', "S", 0, "Run this one only, with a trace of all that happens", 0},
	{"jobs", 'j', "J", 0, "Processes at a time, 1 to 64 (1)", 0},
	{"no-faults", OPTION_NO_FAULTS, NULL, 0, "Nothing fails", 0},
	{"min-hits", OPTION_MIN_HITS, "H", 0, "Fail when a kind of fault was hit less often in all (0)", 0},
	{"quiet", OPTION_QUIET, NULL, 0, "Of a failed seed print one line, not its last events", 0},
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
	case 's':
		options->is_single = true;
		options->seed = parse_number(arg, 0, UINT64_MAX / 2, state);
		return 0;
	case 'j':
		options->job.n_jobs = (unsigned)parse_number(arg, 1, 64, state);
		return 0;
	case OPTION_NO_FAULTS:
		options->job.has_faults = false;
		return 0;
	case OPTION_MIN_HITS:
		options->min_hits = parse_number(arg, 0, 1000000000, state);
		return 0;
	case OPTION_QUIET:
		options->job.is_quiet = true;
		return 0;
	case OPTION_MUTANT:
		choose_mutant(arg, state);
		return 0;
	case OPTION_LIST_MUTANTS:
		list_mutants();
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

static int run_single(const struct options *options)
{
	struct sim *sim = malloc(sizeof(*sim));
	bool is_failed;

	MUST(sim != NULL);
	sim_init(sim, options->seed, TRACE_PRINT, options->job.has_faults);
	for (unsigned i = 0; i < FAULT_KINDS; i++)
		if (sim->faults.per_mille[i] > 0)
			trace_line(&sim->trace, "in the mix: %s, %u in a thousand", fault_name((enum fault)i),
				   sim->faults.per_mille[i]);
	sim_run(sim);
	is_failed = sim->facts.is_violated;
	printf("seed %" PRIu64 " %s after %.3f s of virtual time%s%s\n", options->seed, is_failed ? "failed" : "passed",
	       (double)sim->world.now_ns / 1e9, is_failed ? ": " : "", sim->facts.violation);
	printf("%d passed, %d failed\n", !is_failed, is_failed);
	sim_fini(sim);
	free(sim);
	return is_failed ? 1 : 0;
}

static int run_many(const struct options *options)
{
	struct workers_result result;
	struct timespec begin, end;
	unsigned n_below;
	int rc;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	rc = workers_run(&options->job, &result);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	if (rc != 0) {
		fprintf(stderr, "sagad-sim: no worker process: %s\n", strerror(-rc));
		return 2;
	}
	putchar('\n');
	fault_counts_print(&result.counts);
	n_below = fault_counts_below(&result.counts, options->min_hits);
	printf("%" PRIu64 " answers, %" PRIu64 " of them commits; %.1f s\n", result.n_answered, result.n_committed,
	       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	/* A kind of fault that hardly ever struck proves nothing: it counts as a failure. */
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", result.n_passed, result.n_failed + n_below);
	return result.n_failed > 0 || n_below > 0 ? 1 : 0;
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
	struct options options = {.job = {.first = 1, .n = 500, .n_jobs = 1, .has_faults = true}};

	if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
		return 2;
	return options.is_single ? run_single(&options) : run_many(&options);
}
