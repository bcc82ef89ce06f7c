/* sagad.stats: every number that the daemon keeps, by name. */
#include "dispatch_internal.h"

#include "core/saga.h"

#include <stdio.h>
#include <sys/resource.h>

#define NUMBERS_MAX 128
#define NAME_BYTES  48

struct numbers {
	struct reply_number at[NUMBERS_MAX];
	char names[NUMBERS_MAX][NAME_BYTES]; /* of those that are put together */
	uint32_t n;
};

static void number_add(struct numbers *numbers, const char *name, uint64_t value)
{
	MUST(numbers->n < NUMBERS_MAX);
	numbers->at[numbers->n++] = (struct reply_number){.name = name, .value = value};
}

static void number_add_of(struct numbers *numbers, const char *prefix, const char *of, uint64_t value)
{
	char *name = numbers->names[numbers->n];

	(void)snprintf(name, NAME_BYTES, "%s_%s", prefix, of); /* both are short */
	number_add(numbers, name, value);
}

static void add_sagas(struct numbers *numbers, const struct engine_stats *stats)
{
	number_add(numbers, "phase", (uint64_t)stats->phase);
	number_add(numbers, "epoch", stats->epoch);
	number_add(numbers, "admission_blocked", stats->blocked != NULL);
	number_add(numbers, "sagas", stats->n_sagas);
	for (enum saga_state state = SAGA_QUEUED; state < SAGA_STATES; state++)
		number_add_of(numbers, "sagas", saga_state_name(state), stats->n_by_state[state]);
	number_add(numbers, "document_bytes", stats->bytes);
	number_add(numbers, "errands", stats->n_errands);
	number_add(numbers, "parked", stats->n_parked);
	number_add(numbers, "jobs_accepted", stats->n_jobs_accepted);
	number_add(numbers, "committed_total", stats->n_committed);
	number_add(numbers, "unchanged_total", stats->n_unchanged);
	number_add(numbers, "failed_total", stats->n_failed);
	number_add(numbers, "refused_total", stats->n_refused);
	number_add(numbers, "stored_total", stats->n_stored);
	number_add(numbers, "retries_total", stats->n_retries);
	number_add(numbers, "pivots_total", stats->n_pivots);
	number_add(numbers, "pivot_requests_total", stats->n_pivot_requests);
}

static void add_stores(struct numbers *numbers, const struct ports *ports, const struct engine_stats *stats)
{
	for (uint32_t i = 0; i < ports->n_stores; i++) {
		const char *name = ports->stores[i]->name;

		number_add_of(numbers, "waiting", name, stats->n_waiting[i]);
		number_add_of(numbers, "owed", name, stats->n_owed[i]);
		number_add_of(numbers, "requests_total", name, stats->n_requests[i]);
		number_add_of(numbers, "writes_total", name, stats->n_writes[i]);
	}
}

static void add_process(struct numbers *numbers, const struct dispatch_counts *counts)
{
	struct rusage usage = {0};

	(void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for oneself */
	number_add(numbers, "requests_total", counts->n_requests);
	number_add(numbers, "faults_total", counts->n_faults);
	number_add(numbers, "forbidden_total", counts->n_forbidden);
	number_add(numbers, "skipped_lines_total", counts->n_skipped);
	number_add(numbers, "max_rss_bytes", (uint64_t)usage.ru_maxrss * 1024);
	number_add(numbers, "cpu_ms",
		   (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
			   (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
}

void stats_answer(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct engine_stats stats;
	struct numbers numbers = {.n = 0};
	struct caller caller;
	struct buf answer = {0};

	engine_stats(dispatch->engine, &stats);
	add_sagas(&numbers, &stats);
	add_stores(&numbers, dispatch->ports, &stats);
	add_process(&numbers, &dispatch->counts);
	caller_init(&caller, peer, request);
	reply_numbers(&answer, request->id_json, numbers.at, numbers.n);
	caller_answer(&caller, &answer);
	request_destroy(request);
}
