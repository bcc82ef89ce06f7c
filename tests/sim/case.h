/* What is run: a seed, and what is left out of it.
 *
 * A seed draws its jobs from one stream of numbers and each kind of fault from another, so that leaving out a job or a
 * fault does not change what the others are. A job is named by its number in the order of the arrivals; a strike of a
 * fault by its kind and by the number of the draw that decided it: "crash:203". With these names a failing seed is
 * shrunk (shrink.h), and the shrunk case is run again from the command line. */
#ifndef SAGAD_SIM_CASE_H
#define SAGAD_SIM_CASE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct sim;

struct strike {
	uint32_t fault; /* enum fault */
	uint32_t draw;  /* from 1, among the draws for this kind */
};

#define CASE_LOG_JOBS    8192
#define CASE_LOG_STRIKES 65536

/* What a run has come across: the first so many. */
struct case_log {
	uint32_t n_jobs;
	uint32_t jobs[CASE_LOG_JOBS];
	uint32_t n_strikes;
	struct strike strikes[CASE_LOG_STRIKES];
};

struct sim_case {
	uint64_t seed;
	bool has_faults;
	uint64_t shuffle; /* not 0: the same jobs and faults, and other delays */
	uint64_t without; /* bit f: kind f is not in the mix */
	bool has_jobs;    /* only `jobs` are asked for; otherwise all */
	uint32_t *jobs;   /* numbers from 1, ascending; the case's */
	uint32_t n_jobs;
	bool has_strikes;       /* only `strikes` happen; otherwise all that are drawn */
	struct strike *strikes; /* in no order; the case's */
	uint32_t n_strikes;
	struct case_log *log; /* borrowed: told of it as it runs; NULL: nobody wants to know */
	void (*spoil)(
		struct sim *sim); /* called after each step; NULL: nothing is. For a test of what must find bugs */
};

/* All of a seed. */
struct sim_case case_of_seed(uint64_t seed, bool has_faults);

/* A copy that owns its lists; case_fini() frees them. */
struct sim_case case_copy(const struct sim_case *original);
void case_fini(struct sim_case *at);

/* Is job number `job` asked for, does this strike happen? */
bool case_has_job(const struct sim_case *at, uint32_t job);
bool case_has_strike(const struct sim_case *at, uint32_t fault, uint32_t draw);

/* A job is asked for, a fault strikes: to the log, if there is one. */
void case_note_job(const struct sim_case *at, uint32_t job);
void case_note_strike(const struct sim_case *at, uint32_t fault, uint32_t draw);

/* "3,7-9" or "none" as the jobs; "crash:203,reply_late:17" or "none" as the strikes; "crash,zombie" as the kinds that
 * are left out. 0, or -EINVAL with *out_bad at what isn't understood. */
int case_parse_jobs(struct sim_case *at, const char *text, const char **out_bad);
int case_parse_strikes(struct sim_case *at, const char *text, const char **out_bad);
int case_parse_without(struct sim_case *at, const char *text, const char **out_bad);

/* Appends the command that runs it. */
void case_print(const struct sim_case *at, struct buf *out);

#endif
