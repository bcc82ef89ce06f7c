#include "service.h"

#include "sagad/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUMMARY_MS 1000

static const char *phase_words(enum engine_phase phase)
{
	switch (phase) {
	case ENGINE_CLAIMING:
		return "waiting for PostgreSQL; jobs are refused as not_ready";
	case ENGINE_RECOVERING:
		return "recovering; jobs are refused as not_ready";
	case ENGINE_RUNNING:
		return "running";
	case ENGINE_DRAINING:
		return "stopping";
	case ENGINE_HALTED:
		return "halted";
	}
	MUST(!"a phase that is none");
	return "";
}

/* One line for `systemctl status`; sent when it differs from the last one. */
static void summary_tell(struct service *service, const struct engine_stats *stats)
{
	char text[sizeof(service->told)];

	(void)snprintf(text, sizeof(text),
		       "%s; %" PRIu64 " sagas now, %" PRIu64 " committed, %" PRIu64 " failed, %" PRIu64
		       " in the background, %" PRIu64 " parked",
		       stats->phase == ENGINE_RUNNING && stats->blocked != NULL ? stats->blocked
										: phase_words(stats->phase),
		       stats->n_sagas, stats->n_committed, stats->n_failed, stats->n_errands,
		       stats->n_parked); /* cut on purpose */
	if (strcmp(text, service->told) == 0)
		return;
	memcpy(service->told, text, sizeof(text));
	notify_status(text);
}

static void summary_due(uv_timer_t *timer)
{
	struct service *service = container_of(timer, struct service, summary);
	struct engine_stats stats;

	engine_stats(service->engine, &stats);
	summary_tell(service, &stats);
	sink_tick(service->sink);
}

/* From the loop itself: when it hangs, this stops, and systemd ends the process; the journal makes that safe. */
static void watchdog_due(uv_timer_t *timer)
{
	(void)timer;
	notify_alive();
}

/* While the owner is being claimed the engine says itself why it waits. */
static void blocked_watch(struct service *service, const struct engine_stats *stats)
{
	const char *blocked = stats->phase == ENGINE_RUNNING ? stats->blocked : NULL;

	if ((blocked != NULL) == (service->blocked != NULL))
		return;
	service->blocked = blocked;
	if (blocked != NULL)
		log_error(&service->sink->log, "admission has stopped: %s", blocked);
	else
		log_info(&service->sink->log, "admission goes on");
	summary_tell(service, stats);
}

void service_watch(struct service *service, const struct engine_stats *stats)
{
	blocked_watch(service, stats);
	if (stats->phase == service->phase)
		return;
	service->phase = stats->phase;
	summary_tell(service, stats);
}

void service_start(struct service *service, uv_loop_t *loop, struct engine *engine, struct sink *sink)
{
	uint64_t watchdog_ms = notify_watchdog_ms();
	uint64_t beat_ms = watchdog_ms / 3 + 1; /* two may be late */

	*service = (struct service){.engine = engine, .sink = sink, .phase = ENGINE_CLAIMING};
	MUST(uv_timer_init(loop, &service->summary) == 0);
	MUST(uv_timer_init(loop, &service->watchdog) == 0);
	MUST(uv_timer_start(&service->summary, summary_due, SUMMARY_MS, SUMMARY_MS) == 0);
	if (watchdog_ms > 0)
		MUST(uv_timer_start(&service->watchdog, watchdog_due, 0, beat_ms) == 0);
	notify_ready(phase_words(ENGINE_CLAIMING));
}

void service_close(struct service *service)
{
	uv_close((uv_handle_t *)&service->summary, NULL);
	uv_close((uv_handle_t *)&service->watchdog, NULL);
}
