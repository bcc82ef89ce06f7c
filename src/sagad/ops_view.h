/* One look at the whole daemon, taken at one moment: what metrics, health checks and the status page are made of. Plain
 * values, so that it can be shown when the parts that it came from are closing. */
#ifndef SAGAD_SAGAD_OPS_VIEW_H
#define SAGAD_SAGAD_OPS_VIEW_H

#include "engine/engine.h"
#include "engine/flows.h"
#include "engine/meter.h"
#include "journal/journal.h"
#include "net/server.h"
#include "sagad/config.h"
#include "sagad/dispatch.h"
#include "sagad/ops_window.h"
#include "sagad/ports.h"
#include "sagad/sockets.h"
#include "sagad/survey.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a view comes from; all borrowed. */
struct ops_sources {
	const struct config *config;
	struct engine *engine;
	struct ports *ports;
	const struct dispatch *dispatch;
	const struct sockets *sockets;
};

struct ops_store {
	const char *name;     /* static */
	uint32_t meter_index; /* its place in struct meter */
	struct store_status status;
	uint64_t n_waiting;
	uint64_t n_owed;
};

/* proc(5) of this process; zeroes where it can't be read. */
struct ops_process {
	double cpu_s;
	double started_unix_s;
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t n_fds;
	uint64_t max_fds;
};

struct ops_view {
	int64_t unix_ms;
	uint64_t uptime_ms;
	uint64_t drain_ms; /* since the drain began; 0: none */
	struct engine_stats stats;
	struct flow_stats flows; /* sagas that clients wrote */
	struct meter meter;
	struct ops_store stores[SURVEY_MAX]; /* PostgreSQL first */
	uint32_t n_stores;
	struct journal_stats journal;
	struct server_counts jobs;
	struct server_counts admin;
	struct dispatch_counts lines;
	struct ops_process process;
	const struct config *config;
};

/* Looks. drain_ms and uptime_ms are the caller's. */
void ops_view_take(struct ops_view *view, const struct ops_sources *sources, int64_t unix_ms);

/* Is the process well, whatever the stores are? Otherwise out_reason says what isn't; static or the view's. */
bool ops_view_is_healthy(const struct ops_view *view, const char **out_reason);

/* Are documents taken, with all stores there? One line for each reason against it is appended. */
bool ops_view_is_ready(const struct ops_view *view, struct buf *out_reasons);

/* Why the daemon itself takes no documents; NULL: it does. */
const char *ops_view_phase_reason(const struct ops_view *view);

/* "running"; never NULL. */
const char *ops_phase_name(enum engine_phase phase);

uint64_t ops_view_owed(const struct ops_view *view);

/* "up", "down", or "unknown" before the first exchange. */
const char *ops_store_state(const struct ops_store *store);

#endif
