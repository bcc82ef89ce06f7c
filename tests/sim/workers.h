/* Many seeds on several processes: a seed that aborts the process fails alone.
 *
 * Each worker takes every n-th seed and reports over a pipe; when it dies, the seed it was at has failed and a new
 * worker goes on behind it. */
#ifndef SAGAD_SIM_WORKERS_H
#define SAGAD_SIM_WORKERS_H

#include "fault.h"

#include <stdbool.h>
#include <stdint.h>

struct workers_job {
	uint64_t first;  /* seed */
	uint64_t n;      /* seeds */
	unsigned n_jobs; /* processes, 1..64 */
	bool has_faults;
	uint64_t without; /* as in struct sim_case */
	bool is_quiet;    /* of what failed one line, no trace, and nothing is shrunk */
};

struct workers_result {
	uint64_t n_passed;
	uint64_t n_failed;
	uint64_t n_answered, n_committed;
	struct fault_counts counts;
};

/* 0, or a negative errno when no process could be started. Failures are printed as they come. */
int workers_run(const struct workers_job *job, struct workers_result *out_result);

#endif
