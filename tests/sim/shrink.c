/* Delta debugging: halves of the list are left out, then quarters, down to single ones, first of the jobs, then of the
 * strikes, until neither gets shorter. */
#include "shrink.h"

#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHUFFLES      4
#define CHILD_SECONDS 20 /* a run takes some milliseconds; one that never ends is a failure as well */

/* How a case ended. */
struct ending {
	bool is_failed;
	unsigned invariant;
	int signal;
};

/* Shared with the child. */
struct account {
	bool is_over;
	unsigned invariant;
	struct case_log log;
};

struct shrinker {
	struct sim_case *at;
	struct account *account;
	struct ending wanted;
	uint32_t n_runs, max_runs;
	uint64_t n_shuffles; /* tried so far */
};

/* ---- one run ---- */

static _Noreturn void child_main(const struct sim_case *run, struct account *account)
{
	struct sim *sim = malloc(sizeof(*sim));
	struct sim_case own = *run;
	int nowhere = open("/dev/null", O_WRONLY);

	if (nowhere >= 0)
		(void)dup2(nowhere, STDERR_FILENO);
	(void)alarm(CHILD_SECONDS);
	MUST(sim != NULL);
	own.log = &account->log;
	sim_init(sim, &own, TRACE_OFF);
	sim_run(sim);
	account->invariant = sim->facts.is_violated ? sim->facts.invariant : 0;
	account->is_over = true;
	_exit(0);
}

static int run_case(struct shrinker *shrinker, const struct sim_case *run, struct ending *out_ending)
{
	struct account *account = shrinker->account;
	int status = 0;
	pid_t pid;

	shrinker->n_runs++;
	account->is_over = false;
	account->invariant = 0;
	account->log.n_jobs = account->log.n_strikes = 0;
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child_main(run, account);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*out_ending = (struct ending){
		.is_failed = !account->is_over || account->invariant != 0,
		.invariant = account->invariant,
		.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	};
	return 0;
}

static bool is_same(const struct ending *a, const struct ending *b)
{
	return a->is_failed && a->invariant == b->invariant && a->signal == b->signal;
}

/* ---- lists ---- */

static void list_all(struct sim_case *at, const struct case_log *log)
{
	case_fini(at);
	at->has_jobs = at->has_strikes = true;
	at->jobs = calloc(log->n_jobs + 1, sizeof(*at->jobs));
	at->strikes = calloc(log->n_strikes + 1, sizeof(*at->strikes));
	MUST(at->jobs != NULL && at->strikes != NULL);
	at->n_jobs = log->n_jobs;
	for (uint32_t i = 0; i < log->n_jobs; i++)
		at->jobs[i] = log->jobs[i];
	at->n_strikes = log->n_strikes;
	if (log->n_strikes > 0)
		memcpy(at->strikes, log->strikes, log->n_strikes * sizeof(*at->strikes));
}

static void cut_out(void *items, uint32_t *n, size_t size, uint32_t first, uint32_t n_cut)
{
	char *at = items;

	memmove(at + first * size, at + (first + n_cut) * size, (*n - first - n_cut) * size);
	*n -= n_cut;
}

/* A smaller case runs otherwise, and may fail no more just for that: it gets some tries, each with other delays. */
static int run_shuffled(struct shrinker *shrinker, struct sim_case *run, bool *out_is_same)
{
	struct ending ending;
	int rc;

	for (unsigned try = 0; try < SHUFFLES; try++) {
		if (try > 0)
			run->shuffle = ++shrinker->n_shuffles;
		rc = run_case(shrinker, run, &ending);
		*out_is_same = rc == 0 && is_same(&ending, &shrinker->wanted);
		if (rc != 0 || *out_is_same)
			return rc;
	}
	return 0;
}

/* Keeps the case without these if it fails like before; what never came to happen in it goes as well. */
static int try_without(struct shrinker *shrinker, bool of_jobs, uint32_t first, uint32_t n_cut, bool *out_is_kept)
{
	struct sim_case smaller = case_copy(shrinker->at);
	int rc;

	if (of_jobs)
		cut_out(smaller.jobs, &smaller.n_jobs, sizeof(*smaller.jobs), first, n_cut);
	else
		cut_out(smaller.strikes, &smaller.n_strikes, sizeof(*smaller.strikes), first, n_cut);
	rc = run_shuffled(shrinker, &smaller, out_is_kept);
	if (*out_is_kept) {
		list_all(&smaller, &shrinker->account->log);
		case_fini(shrinker->at);
		*shrinker->at = smaller;
	} else {
		case_fini(&smaller);
	}
	return rc;
}

static uint32_t length_of(const struct shrinker *shrinker, bool of_jobs)
{
	return of_jobs ? shrinker->at->n_jobs : shrinker->at->n_strikes;
}

static int reduce(struct shrinker *shrinker, bool of_jobs)
{
	uint32_t n_cut = length_of(shrinker, of_jobs);
	int rc = 0;

	for (; n_cut > 0; n_cut /= 2) {
		uint32_t first = 0;

		while (rc == 0 && first < length_of(shrinker, of_jobs) && shrinker->n_runs < shrinker->max_runs) {
			uint32_t left = length_of(shrinker, of_jobs) - first;
			bool is_kept;

			rc = try_without(shrinker, of_jobs, first, left < n_cut ? left : n_cut, &is_kept);
			if (!is_kept)
				first += n_cut;
		}
	}
	return rc;
}

/* A kind that shapes the whole run instead of striking: small bounds. */
static int try_without_overload(struct shrinker *shrinker)
{
	struct sim_case smaller = case_copy(shrinker->at);
	struct ending ending;
	int rc;

	smaller.without |= (uint64_t)1 << FAULT_OVERLOAD;
	rc = run_case(shrinker, &smaller, &ending);
	if (rc == 0 && is_same(&ending, &shrinker->wanted))
		shrinker->at->without = smaller.without;
	case_fini(&smaller);
	return rc;
}

static int shrink(struct shrinker *shrinker)
{
	uint32_t before, after;
	int rc = 0;

	do {
		before = shrinker->at->n_jobs + shrinker->at->n_strikes;
		rc = reduce(shrinker, true);
		if (rc == 0)
			rc = reduce(shrinker, false);
		after = shrinker->at->n_jobs + shrinker->at->n_strikes;
	} while (rc == 0 && after < before && shrinker->n_runs < shrinker->max_runs);
	return rc != 0 ? rc : try_without_overload(shrinker);
}

int shrink_case(struct sim_case *at, uint32_t max_runs, struct shrink_result *out_result)
{
	struct shrinker shrinker = {.at = at, .max_runs = max_runs};
	void *shared = mmap(NULL, sizeof(struct account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc;

	*out_result = (struct shrink_result){.is_failed = false};
	if (shared == MAP_FAILED)
		return -errno;
	shrinker.account = shared;
	rc = run_case(&shrinker, at, &shrinker.wanted);
	if (rc != 0 || !shrinker.wanted.is_failed)
		goto unmap;
	list_all(at, &shrinker.account->log);
	out_result->is_failed = true;
	out_result->invariant = shrinker.wanted.invariant;
	out_result->n_jobs_before = at->n_jobs;
	out_result->n_strikes_before = at->n_strikes;
	rc = shrink(&shrinker);
	out_result->n_runs = shrinker.n_runs;
unmap:
	(void)munmap(shared, sizeof(struct account));
	return rc;
}

void shrink_print(const struct sim_case *at, const struct shrink_result *result)
{
	struct buf command;

	buf_init(&command);
	case_print(at, &command);
	printf("shrunk from %u jobs and %u strikes of faults to %u and %u, in %u runs; again:\n  %.*s\n",
	       result->n_jobs_before, result->n_strikes_before, at->n_jobs, at->n_strikes, result->n_runs,
	       STR_ARG(buf_str(&command)));
	buf_fini(&command);
}
