/* The operations endpoint: /metrics, /healthz, /readyz, /status.json and the status page, over HTTP for reading only.
 * It watches the daemon and changes nothing in it, beside one cheap question to each store now and then, so that a
 * store that is down shows on a quiet day, too. */
#ifndef SAGAD_SAGAD_OPS_H
#define SAGAD_SAGAD_OPS_H

#include "base/err.h"
#include "base/log.h"
#include "sagad/ops_view.h"

#include <uv.h>

struct http_server;
struct ops_page;

/* Embedded in the daemon; fields are this file's. All zeroes: closed. */
struct ops {
	struct ops_sources sources;
	struct log *log;
	uv_loop_t *loop;
	struct http_server *server; /* NULL: not configured */
	struct ops_page *page;
	struct window window;
	uv_timer_t sample_timer;
	uv_timer_t check_timer;
	struct survey check;
	bool is_check_out;
	bool is_frozen; /* the parts are closing: the last view is shown */
	uint64_t started_ns;
	uint64_t drain_began_ns; /* 0: not draining */
	struct ops_view view;
};

/* Listens where operations.listen says; empty: does nothing. Sources are borrowed until ops_freeze(), the configuration
 * and the log until ops_close(). 0; -EADDRINUSE: somebody listens there; or another negative errno. */
int ops_open(struct ops *ops, uv_loop_t *loop, const struct ops_sources *sources, struct log *log,
	     struct err *err) WARN_UNUSED;

/* Another operations.check_interval. */
void ops_reconfigure(struct ops *ops);

/* The stores are about to be closed: looks a last time. Whoever asks is shown that, and how long the drain lasts. */
void ops_freeze(struct ops *ops);

/* Ends it. The loop must turn once more before `ops` may go. */
void ops_close(struct ops *ops);

#endif
