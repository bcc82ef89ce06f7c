/* The load itself: connections, requests under way, answers.
 *
 * Closed loop: every connection keeps `depth` requests under way, and sends the next one when an answer has come; it
 * shows what the daemon can do. Open loop: requests start by the clock, whatever the answers do, and a latency counts
 * from the moment when the request should have started, so that a stall is charged to every request it delayed
 * (Tene's "coordinated omission"). One thread, since the daemon needs the machine's other core. */
#ifndef SAGAD_BENCH_LOAD_H
#define SAGAD_BENCH_LOAD_H

#include "plan.h"
#include "samples.h"

#include <stdbool.h>
#include <stdint.h>

#define LOAD_CODES      24 /* different error codes that are counted apart; further ones are "other" */
#define LOAD_CODE_BYTES 32

struct load_config {
	const char *socket_path;
	uint32_t n_clients;
	uint32_t depth;    /* requests under way on a connection: closed loop its number, open loop its bound */
	double rate;       /* requests a second, open loop; 0: closed loop */
	double warmup_s;   /* requests that start earlier don't count */
	double measure_s;  /* 0: until n_max requests */
	uint64_t n_max;    /* requests in all, 0: until the time is up */
	double patience_s; /* without any answer: give up */
	bool is_quiet;     /* no line of progress */
};

struct load_code {
	char name[LOAD_CODE_BYTES];
	uint64_t n;
};

struct load_result {
	struct samples all;      /* answers without an error, in the measured time */
	uint64_t n_ok[OP_KINDS]; /* the same, by kind */
	uint64_t n_unchanged;    /* of them: nothing was written */
	uint64_t n_owed;         /* of them: committed, and a store owes something */
	uint64_t n_failed;       /* errors, at any time */
	uint64_t n_unknown;      /* no answer: the connection was lost */
	uint64_t n_late_starts;  /* open loop: requests that had to wait for a connection with room */
	uint64_t n_bytes;        /* of the requests in n_ok */
	double seconds;          /* measured */
	struct load_code codes[LOAD_CODES];
	uint32_t n_codes;
};

/* Runs it to its end. The result is the caller's, to be freed with load_result_fini().
 * Errors: of connecting; -ETIMEDOUT: no answer within patience_s; -ECONNRESET: the daemon is gone; -ENOMEM. The result
 * is filled as far as it came. */
int load_run(const struct load_config *config, struct plan *plan, struct load_result *result,
	     struct err *err) WARN_UNUSED;
void load_result_fini(struct load_result *result);

#endif
