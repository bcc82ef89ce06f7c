/* What systemd, or whoever plays its part, is told while the daemon runs: readiness, a live summary, and that the loop
 * still turns. The log gets what changes. Loop's thread. */
#ifndef SAGAD_SAGAD_SERVICE_H
#define SAGAD_SAGAD_SERVICE_H

#include "engine/engine.h"
#include "sagad/sink.h"

#include <stdbool.h>
#include <uv.h>

struct service {
	struct engine *engine; /* borrowed */
	struct sink *sink;     /* borrowed */
	uv_timer_t summary;
	uv_timer_t watchdog;
	enum engine_phase phase; /* as last seen */
	const char *blocked;     /* as last seen */
	char told[200];          /* the summary that was sent last */
};

/* Says READY and begins to tell. Everything is borrowed until service_close(). */
void service_start(struct service *service, uv_loop_t *loop, struct engine *engine, struct sink *sink);

/* Looks at the engine, after each of its turns. */
void service_watch(struct service *service, const struct engine_stats *stats);

/* Closes the timers. */
void service_close(struct service *service);

#endif
