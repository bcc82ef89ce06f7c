#include "workers.h"

#include "shrink.h"
#include "sim.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX    64
#define SHRINKS_MAX 2    /* of each process: when everything fails, two are enough to look at */
#define SHRINK_RUNS 3000 /* for each */

struct report {
	uint64_t seed;
	bool is_start; /* it begins; otherwise it has ended */
	bool is_failed;
	uint64_t n_answered, n_committed;
	struct fault_counts counts;
};

struct worker {
	pid_t pid;
	int fd;               /* -1: it has ended */
	uint64_t seed;        /* that it is at */
	bool is_at_work;      /* at that seed */
	struct report report; /* as far as it was read */
	size_t n_read;
};

/* ---- in the worker ---- */

static void write_all(int fd, const void *bytes, size_t n_bytes)
{
	const char *at = bytes;

	while (n_bytes > 0) {
		ssize_t n = write(fd, at, n_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(3); /* nobody listens any more */
		at += n;
		n_bytes -= (size_t)n;
	}
}

static struct sim_case case_of_job(uint64_t seed, const struct workers_job *job)
{
	struct sim_case run = case_of_seed(seed, job->has_faults);

	run.without = job->without;
	return run;
}

/* Once more with its trace: the same case is the same run. */
static void print_end_of_trace(const struct sim_case *run)
{
	struct sim *sim = malloc(sizeof(*sim));

	MUST(sim != NULL);
	sim_init(sim, run, TRACE_KEEP);
	sim_run(sim);
	trace_dump(&sim->trace);
	sim_fini(sim);
	free(sim);
}

/* A seed that ends its process has no trace here: it would end this one, too. */
static void tell_more(uint64_t seed, const struct workers_job *job)
{
	static unsigned n_shrinks;
	struct sim_case run = case_of_job(seed, job);
	struct shrink_result result;

	if (!job->is_quiet && n_shrinks++ < SHRINKS_MAX && shrink_case(&run, SHRINK_RUNS, &result) == 0 &&
	    result.is_failed) {
		if (result.invariant != 0)
			print_end_of_trace(&run);
		shrink_print(&run, &result);
	}
	case_fini(&run);
	(void)fflush(stdout); /* one piece, as far as it goes */
}

static void tell_failure(const struct sim *sim, const struct workers_job *job)
{
	printf("\nseed %" PRIu64 " failed at %.6f s: %s\n", sim->run->seed, (double)sim->world.now_ns / 1e9,
	       sim->facts.violation);
	tell_more(sim->run->seed, job);
}

static void run_seed(uint64_t seed, const struct workers_job *job, int fd)
{
	struct sim *sim = malloc(sizeof(*sim));
	struct sim_case run = case_of_job(seed, job);
	struct report report = {.seed = seed, .is_start = true};

	MUST(sim != NULL);
	write_all(fd, &report, sizeof(report));
	sim_init(sim, &run, TRACE_OFF);
	sim_run(sim);
	report.is_start = false;
	report.is_failed = sim->facts.is_violated;
	report.n_answered = sim->clients.n_answered;
	report.n_committed = sim->clients.n_committed;
	report.counts = sim->faults.counts;
	if (report.is_failed)
		tell_failure(sim, job);
	sim_fini(sim);
	free(sim);
	write_all(fd, &report, sizeof(report));
}

static _Noreturn void worker_main(uint64_t seed, const struct workers_job *job, int fd)
{
	static char out[1 << 16];

	(void)setvbuf(stdout, out, _IOFBF, sizeof(out));
	for (; seed < job->first + job->n; seed += job->n_jobs)
		run_seed(seed, job, fd);
	exit(0);
}

/* ---- in the parent ---- */

static int worker_start(struct worker *worker, uint64_t seed, const struct workers_job *job)
{
	int fds[2];

	(void)fflush(stdout); /* or the child would print it, too */
	*worker = (struct worker){.fd = -1, .seed = seed};
	if (seed >= job->first + job->n)
		return 0;
	if (pipe(fds) != 0)
		return -errno;
	worker->pid = fork();
	if (worker->pid == 0) {
		(void)close(fds[0]);
		worker_main(seed, job, fds[1]);
	}
	(void)close(fds[1]);
	if (worker->pid < 0) {
		(void)close(fds[0]);
		return -EAGAIN;
	}
	worker->fd = fds[0];
	return 0;
}

static void take_report(struct worker *worker, struct workers_result *result)
{
	const struct report *report = &worker->report;

	worker->seed = report->seed;
	worker->is_at_work = report->is_start;
	if (report->is_start)
		return;
	if (report->is_failed)
		result->n_failed++;
	else
		result->n_passed++;
	result->n_answered += report->n_answered;
	result->n_committed += report->n_committed;
	fault_counts_add(&result->counts, &report->counts);
}

/* The worker has ended: at the end of its seeds, or in the middle of one. */
static int worker_ended(struct worker *worker, const struct workers_job *job, struct workers_result *result)
{
	int status = 0;

	(void)close(worker->fd);
	worker->fd = -1;
	(void)waitpid(worker->pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	printf("\nseed %" PRIu64 " ended its process (%s %d); run it alone: --seed %" PRIu64 "\n", worker->seed,
	       WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	       worker->seed);
	result->n_failed++;
	if (!worker->is_at_work)
		return 0; /* after its last seed: a leak, found on the way out */
	tell_more(worker->seed, job);
	return worker_start(worker, worker->seed + job->n_jobs, job);
}

static int worker_read(struct worker *worker, const struct workers_job *job, struct workers_result *result)
{
	ssize_t n = read(worker->fd, (char *)&worker->report + worker->n_read, sizeof(worker->report) - worker->n_read);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return worker_ended(worker, job, result);
	worker->n_read += (size_t)n;
	if (worker->n_read == sizeof(worker->report)) {
		worker->n_read = 0;
		take_report(worker, result);
	}
	return 0;
}

static int workers_wait(struct worker *workers, const struct workers_job *job, struct workers_result *result)
{
	struct pollfd polls[JOBS_MAX];
	unsigned n_open = 0;
	int rc = 0;

	for (unsigned i = 0; i < job->n_jobs; i++) {
		polls[i] = (struct pollfd){.fd = workers[i].fd, .events = POLLIN};
		n_open += workers[i].fd >= 0;
	}
	if (n_open == 0)
		return 1;
	if (poll(polls, job->n_jobs, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned i = 0; i < job->n_jobs && rc == 0; i++)
		if (polls[i].revents != 0)
			rc = worker_read(&workers[i], job, result);
	return rc;
}

int workers_run(const struct workers_job *job, struct workers_result *out_result)
{
	static struct worker workers[JOBS_MAX];
	int rc = 0;

	MUST(job->n_jobs >= 1 && job->n_jobs <= JOBS_MAX);
	memset(out_result, 0, sizeof(*out_result));
	for (unsigned i = 0; i < job->n_jobs && rc == 0; i++)
		rc = worker_start(&workers[i], job->first + i, job);
	while (rc == 0)
		rc = workers_wait(workers, job, out_result);
	return rc < 0 ? rc : 0;
}
