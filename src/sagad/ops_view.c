#include "ops_view.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- the process ---- */

/* Worked out once: two clocks read one after the other give a little more or less each time, and whoever watches this
 * number for changes takes each of them for a restart. */
static double started_unix_s(unsigned long long started_ticks)
{
	static double kept;
	struct timespec boot = {0}, wall = {0};

	if (kept != 0)
		return kept;
	(void)clock_gettime(CLOCK_BOOTTIME, &boot); /* neither fails with these clocks */
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	kept = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - (double)boot.tv_sec - (double)boot.tv_nsec / 1e9 +
	       (double)started_ticks / (double)sysconf(_SC_CLK_TCK);
	return kept;
}

/* proc(5): field 22 of stat is the start in clock ticks since boot, 23 and 24 the memory. The second field, the
 * program's name, may hold spaces and brackets. */
static void read_stat(struct ops_process *process)
{
	unsigned long long started = 0, virtual_bytes = 0;
	long long resident_pages = 0;
	char text[1024];
	const char *fields;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t n;

	if (file == NULL)
		return;
	n = fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file); /* only read */
	text[n] = '\0';
	fields = strrchr(text, ')');
	if (fields == NULL || sscanf(fields + 1,
				     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
				     "%llu %llu %lld",
				     &started, &virtual_bytes, &resident_pages) != 3)
		return;
	process->started_unix_s = started_unix_s(started);
	process->virtual_bytes = virtual_bytes;
	process->resident_bytes = (uint64_t)resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (folder == NULL)
		return 0;
	while (readdir(folder) != NULL)
		n++;
	(void)closedir(folder);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static void process_take(struct ops_process *process)
{
	struct rusage usage = {0};
	struct rlimit limit = {0};

	*process = (struct ops_process){0};
	read_stat(process);
	(void)getrusage(RUSAGE_SELF, &usage); /* cannot fail for oneself */
	process->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	process->n_fds = count_fds();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		process->max_fds = limit.rlim_cur;
}

/* ---- the stores ---- */

static void stores_take(struct ops_view *view, const struct ports *ports)
{
	view->n_stores = ports->n_stores + 1;
	view->stores[0].name = "postgresql";
	view->stores[0].meter_index = METER_TRUTH_STORE;
	ports->truth->ops->status(ports->truth, &view->stores[0].status);
	for (uint32_t i = 0; i < ports->n_stores; i++) {
		struct ops_store *store = &view->stores[i + 1];

		store->name = ports->stores[i]->name;
		store->meter_index = i;
		store->n_waiting = view->stats.n_waiting[i];
		store->n_owed = view->stats.n_owed[i];
		ports->stores[i]->ops->status(ports->stores[i], &store->status);
	}
}

void ops_view_take(struct ops_view *view, const struct ops_sources *sources, int64_t unix_ms)
{
	memset(view, 0, sizeof(*view));
	view->config = sources->config;
	view->unix_ms = unix_ms;
	engine_stats(sources->engine, &view->stats);
	engine_flow_stats(sources->engine, &view->flows);
	view->meter = *engine_meter(sources->engine);
	stores_take(view, sources->ports);
	journal_stats(sources->ports->journal, &view->journal);
	server_counts(sources->sockets->jobs, &view->jobs);
	server_counts(sources->sockets->admin, &view->admin);
	view->lines = sources->dispatch->counts;
	process_take(&view->process);
}

uint64_t ops_view_owed(const struct ops_view *view)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < view->n_stores; i++)
		n += view->stores[i].n_owed;
	return n;
}

const char *ops_store_state(const struct ops_store *store)
{
	if (!store->status.was_tried)
		return "unknown";
	return store->status.is_up ? "up" : "down";
}

/* ---- health ---- */

const char *ops_phase_name(enum engine_phase phase)
{
	switch (phase) {
	case ENGINE_CLAIMING:
		return "claiming";
	case ENGINE_RECOVERING:
		return "recovering";
	case ENGINE_RUNNING:
		return "running";
	case ENGINE_DRAINING:
		return "draining";
	case ENGINE_HALTED:
		return "halted";
	}
	MUST(!"a phase that is none");
	return "";
}

bool ops_view_is_healthy(const struct ops_view *view, const char **out_reason)
{
	if (view->journal.is_failed) {
		*out_reason = "the journal failed: nothing is admitted, the daemon stops";
		return false;
	}
	if (view->stats.phase == ENGINE_HALTED) {
		*out_reason = "the daemon has halted itself and stops; its log says why";
		return false;
	}
	return true;
}

const char *ops_view_phase_reason(const struct ops_view *view)
{
	switch (view->stats.phase) {
	case ENGINE_CLAIMING:
		return view->stats.blocked != NULL ? view->stats.blocked : "waits for PostgreSQL to become its owner";
	case ENGINE_RECOVERING:
		return "recovers what an earlier run left unfinished";
	case ENGINE_RUNNING:
		return view->stats.blocked;
	case ENGINE_DRAINING:
		return "stops: no new documents";
	case ENGINE_HALTED:
		return "has halted itself; its log says why";
	}
	MUST(!"a phase that is none");
	return NULL;
}

/* Most errors begin with their store's name already. */
static void reason_append(struct buf *out_reasons, const struct ops_store *store)
{
	const char *text = store->status.last_error.text;
	size_t n;

	if (text[0] == '\0')
		text = "not reachable";
	n = strcspn(text, ":");
	if (text[n] != ':' || strncmp(text, store->name, n) != 0)
		buf_append_format(out_reasons, "%s: ", store->name);
	buf_append_format(out_reasons, "%s\n", text);
}

bool ops_view_is_ready(const struct ops_view *view, struct buf *out_reasons)
{
	const char *reason = ops_view_phase_reason(view);
	bool is_ready = reason == NULL && !view->journal.is_failed;

	if (reason != NULL)
		buf_append_format(out_reasons, "%s\n", reason);
	if (view->journal.is_failed)
		buf_append_text(out_reasons, "journal: failed\n");
	for (uint32_t i = 0; i < view->n_stores; i++) {
		const struct ops_store *store = &view->stores[i];

		if (!store->status.was_tried || store->status.is_up)
			continue;
		is_ready = false;
		reason_append(out_reasons, store);
	}
	return is_ready;
}
