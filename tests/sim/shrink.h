/* A failing case made smaller: fewer jobs and fewer strikes of faults, as long as it fails in the same way (the same
 * invariant, or the same signal). What is left out changes the moments of the rest, so each smaller case is tried with
 * several sets of delays. Every attempt runs in a process of its own, so that one which aborts is a result like
 * any other. */
#ifndef SAGAD_SIM_SHRINK_H
#define SAGAD_SIM_SHRINK_H

#include "case.h"

struct shrink_result {
	bool is_failed;     /* the case fails at all; otherwise nothing was shrunk */
	unsigned invariant; /* that is broken; 0: its process ended by itself */
	uint32_t n_runs;
	uint32_t n_jobs_before, n_strikes_before; /* what is left stands in the case */
};

/* Shrinks the case in place: it lists its jobs and strikes then, and stops getting smaller after `max_runs`. 0, or a
 * negative errno when no process could be started. */
int shrink_case(struct sim_case *at, uint32_t max_runs, struct shrink_result *out_result);

/* Prints what was reached, and the command that runs it again. */
void shrink_print(const struct sim_case *at, const struct shrink_result *result);

#endif
