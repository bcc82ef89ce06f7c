#include "ops.h"

#include "net/http_server.h"
#include "sagad/ops_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_CONNECTIONS  64
#define MAX_HEADER_BYTES 16384
#define MAX_WAIT_MS      10000
/* A daemon that is being replaced lets go of its journal a moment before it lets go of its port. */
#define LISTEN_TRIES   20
#define LISTEN_WAIT_NS 50000000

static int64_t unix_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- looking ---- */

static const struct ops_view *ops_look(struct ops *ops)
{
	uint64_t now_ns = uv_hrtime();

	if (!ops->is_frozen)
		ops_view_take(&ops->view, &ops->sources, unix_now_ms());
	if (ops->drain_began_ns == 0 && ops->view.stats.phase == ENGINE_DRAINING)
		ops->drain_began_ns = now_ns;
	ops->view.unix_ms = unix_now_ms();
	ops->view.uptime_ms = (now_ns - ops->started_ns) / NS_PER_MS;
	ops->view.drain_ms = ops->drain_began_ns == 0 ? 0 : (now_ns - ops->drain_began_ns) / NS_PER_MS + 1;
	return &ops->view;
}

static void ops_on_sample(uv_timer_t *timer)
{
	struct ops *ops = container_of(timer, struct ops, sample_timer);
	struct engine_stats stats;

	if (ops->is_frozen)
		return;
	engine_stats(ops->sources.engine, &stats);
	if (stats.phase == ENGINE_DRAINING && ops->drain_began_ns == 0)
		ops->drain_began_ns = uv_hrtime();
	window_sample(&ops->window, engine_meter(ops->sources.engine), uv_hrtime());
}

static void ops_on_checked(struct survey *survey)
{
	container_of(survey, struct ops, check)->is_check_out = false; /* the adapters know what came out */
}

static void ops_on_check(uv_timer_t *timer)
{
	struct ops *ops = container_of(timer, struct ops, check_timer);

	if (ops->is_check_out || ops->is_frozen)
		return;
	ops->is_check_out = true;
	survey_start(&ops->check, ops->sources.ports, SURVEY_PING, NULL, false, ops_on_checked);
}

/* ---- answering ---- */

static void answer_health(const struct ops_view *view, struct http_answer *out_answer)
{
	const char *reason = NULL;

	if (ops_view_is_healthy(view, &reason)) {
		buf_append_text(&out_answer->body, "ok\n");
	} else {
		out_answer->status = 503;
		buf_append_format(&out_answer->body, "%s\n", reason);
	}
}

static void answer_readiness(const struct ops_view *view, struct http_answer *out_answer)
{
	if (ops_view_is_ready(view, &out_answer->body))
		buf_append_text(&out_answer->body, "ready\n");
	else
		out_answer->status = 503;
}

static void answer_json(struct ops *ops, const struct ops_view *view, struct http_answer *out_answer)
{
	out_answer->content_type = "application/json";
	if (ops_json_print(view, &ops->window, &out_answer->body) != 0)
		out_answer->body.failed = true;
}

static void answer_page(struct ops *ops, const struct ops_view *view, struct http_answer *out_answer)
{
	out_answer->content_type = "text/html; charset=utf-8";
	out_answer->csp = ops->page->csp;
	ops_page_print(view, &ops->window, &out_answer->body);
}

static void ops_answer(void *owner, const char *path, struct http_answer *out_answer)
{
	struct ops *ops = owner;
	const struct ops_view *view = ops_look(ops);

	if (strcmp(path, "/metrics") == 0) {
		out_answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
		ops_metrics_print(view, &out_answer->body);
	} else if (strcmp(path, "/healthz") == 0) {
		answer_health(view, out_answer);
	} else if (strcmp(path, "/readyz") == 0) {
		answer_readiness(view, out_answer);
	} else if (strcmp(path, "/status.json") == 0) {
		answer_json(ops, view, out_answer);
	} else if (strcmp(path, "/") == 0) {
		answer_page(ops, view, out_answer);
	} else {
		out_answer->status = 404;
		buf_append_text(&out_answer->body,
				"not found; there are /, /status.json, /metrics, /healthz and /readyz\n");
	}
}

/* ---- life ---- */

static int ops_listen(struct ops *ops, struct err *err)
{
	const char *listen = ops->sources.config->operations.listen;
	const struct http_server_config config = {
		.listen = listen,
		.max_connections = MAX_CONNECTIONS,
		.max_header_bytes = MAX_HEADER_BYTES,
		.max_wait_ms = MAX_WAIT_MS,
		.answer = ops_answer,
		.owner = ops,
		.log = ops->log,
	};
	const struct timespec pause = {.tv_nsec = LISTEN_WAIT_NS};
	int rc = -EADDRINUSE;

	for (int i = 0; rc == -EADDRINUSE && i < LISTEN_TRIES; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL); /* a signal shortens it: the next try comes sooner */
		rc = http_server_create(ops->loop, &config, &ops->server, err);
	}
	if (rc != 0) {
		err_prefix(err, "operations.listen: ");
		if (rc == -EADDRINUSE)
			return err_set(
				err, rc,
				"operations.listen: another program listens on %s already; give another port, or "
				"\"\" for no operations endpoint",
				listen);
		return rc;
	}
	log_info(ops->log, "status page on http://%s/", http_server_address(ops->server));
	if (!http_server_is_loopback(ops->server))
		log_warn(ops->log,
			 "operations.listen = %s: whoever reaches that address can read metrics and document ids; "
			 "there is "
			 "no password",
			 listen);
	return 0;
}

static void ops_start_checks(struct ops *ops)
{
	uint64_t check_ms = ops->sources.config->operations.check_interval_ms;

	(void)uv_timer_stop(&ops->check_timer); /* cannot fail */
	if (check_ms > 0)
		MUST(uv_timer_start(&ops->check_timer, ops_on_check, check_ms, check_ms) == 0);
}

void ops_reconfigure(struct ops *ops)
{
	if (ops->server != NULL && !ops->is_frozen)
		ops_start_checks(ops);
}

int ops_open(struct ops *ops, uv_loop_t *loop, const struct ops_sources *sources, struct log *log, struct err *err)
{
	int rc;

	*ops = (struct ops){.sources = *sources, .loop = loop, .log = log, .started_ns = uv_hrtime()};
	if (sources->config->operations.listen[0] == '\0')
		return 0;
	ops->page = malloc(sizeof(*ops->page));
	if (ops->page == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	ops_page_init(ops->page);
	rc = ops_listen(ops, err);
	if (rc != 0) {
		free(ops->page);
		ops->page = NULL;
		return rc;
	}
	MUST(uv_timer_init(loop, &ops->sample_timer) == 0);
	MUST(uv_timer_init(loop, &ops->check_timer) == 0);
	MUST(uv_timer_start(&ops->sample_timer, ops_on_sample, 0, WINDOW_SAMPLE_MS) == 0);
	ops_start_checks(ops);
	return 0;
}

void ops_freeze(struct ops *ops)
{
	if (ops->server == NULL)
		return;
	(void)ops_look(ops); /* the view stays */
	ops->is_frozen = true;
}

static void ops_closed(void *arg)
{
	struct ops *ops = arg;

	free(ops->page);
	ops->page = NULL;
}

void ops_close(struct ops *ops)
{
	if (ops->server == NULL)
		return;
	uv_close((uv_handle_t *)&ops->sample_timer, NULL);
	uv_close((uv_handle_t *)&ops->check_timer, NULL);
	http_server_close(ops->server, ops_closed, ops);
	ops->server = NULL;
}
