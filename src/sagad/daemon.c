#include "daemon.h"

#include "engine/engine.h"
#include "sagad/dispatch.h"
#include "sagad/handover.h"
#include "sagad/notify.h"
#include "sagad/ops.h"
#include "sagad/ports.h"
#include "sagad/reload.h"
#include "sagad/service.h"
#include "sagad/settings.h"
#include "sagad/sockets.h"
#include "sagad/survey.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define FLUSH_MS      2000 /* for clients that read their last answers slowly */
#define HALT_FLUSH_MS 200  /* a halt is urgent, but whoever waits should learn of it */

/* SERVING -> DRAINING -> FLUSHING -> CLOSING -> CLOSED; every stage may become HALTED until the ports are closed. */
enum stage {
	STAGE_SERVING,
	STAGE_DRAINING, /* no new jobs; those that run end */
	STAGE_FLUSHING, /* the sockets are closing; answers go out */
	STAGE_CLOSING,  /* the ports are closing; the engine isn't called any more */
	STAGE_CLOSED,
	STAGE_HALTED, /* answers go out, then the process ends; nothing else is closed */
	STAGES
};

#define TO(stage) (1u << (stage))

static const unsigned stage_may[STAGES] = {
	[STAGE_SERVING] = TO(STAGE_DRAINING) | TO(STAGE_HALTED),
	[STAGE_DRAINING] = TO(STAGE_FLUSHING) | TO(STAGE_HALTED),
	[STAGE_FLUSHING] = TO(STAGE_CLOSING) | TO(STAGE_HALTED),
	[STAGE_CLOSING] = TO(STAGE_CLOSED),
	[STAGE_CLOSED] = 0,
	[STAGE_HALTED] = 0,
};

struct daemon {
	struct config *config;
	const struct daemon_options *options;
	struct sink *sink;
	struct log *log;
	uv_loop_t loop;
	enum stage stage;
	enum daemon_exit exit;
	struct ports ports;
	struct engine *engine;
	struct dispatch dispatch;
	struct dispatch_control control;
	struct handover handover;
	struct sockets sockets;
	struct ops ops;
	struct service service;
	struct survey greeting; /* asks each store once at the start, so that the log says what is there */
	uv_prepare_t turn;
	uv_timer_t wake;
	uv_timer_t drain_timer;
	uv_signal_t signals[3];
};

static const int signal_numbers[ARRAY_LEN(((struct daemon *)NULL)->signals)] = {SIGTERM, SIGINT, SIGHUP};

static void daemon_move(struct daemon *daemon, enum stage to)
{
	MUST((stage_may[daemon->stage] & TO(to)) != 0);
	daemon->stage = to;
}

static struct moment moment_now(void)
{
	struct timespec wall;

	(void)clock_gettime(CLOCK_REALTIME, &wall); /* cannot fail with this clock */
	return (struct moment){.mono_ns = uv_hrtime(), .unix_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000};
}

/* ---- the end ---- */

static void daemon_ports_closed(struct ports *ports)
{
	struct daemon *daemon = container_of(ports, struct daemon, ports);

	daemon_move(daemon, STAGE_CLOSED);
	ops_close(&daemon->ops);
	engine_destroy(daemon->engine);
	daemon->engine = NULL;
	dispatch_fini(&daemon->dispatch);
}

/* With its last handle libuv gives a signal its default action back, by which a SIGTERM that comes once more would end
 * the daemon in the middle of its clean end. */
static void daemon_close_signals(struct daemon *daemon)
{
	for (size_t i = 0; i < ARRAY_LEN(daemon->signals); i++) {
		uv_close((uv_handle_t *)&daemon->signals[i], NULL);
		(void)signal(signal_numbers[i], SIG_IGN); /* fails for numbers that are none only */
	}
}

static void daemon_sockets_closed(struct sockets *sockets)
{
	struct daemon *daemon = container_of(sockets, struct daemon, sockets);

	if (daemon->stage == STAGE_HALTED) {
		uv_stop(&daemon->loop);
		return;
	}
	daemon_move(daemon, STAGE_CLOSING);
	uv_close((uv_handle_t *)&daemon->turn, NULL);
	uv_close((uv_handle_t *)&daemon->wake, NULL);
	uv_close((uv_handle_t *)&daemon->drain_timer, NULL);
	service_close(&daemon->service);
	daemon_close_signals(daemon);
	ports_close(&daemon->ports, daemon_ports_closed);
}

static void daemon_flush(struct daemon *daemon)
{
	struct engine_stats stats;

	engine_stats(daemon->engine, &stats);
	if (engine_is_drained(daemon->engine))
		log_info(daemon->log, "drained; background work left to the next start: %" PRIu64, stats.n_errands);
	else
		log_warn(daemon->log,
			 "stopping with %" PRIu64 " sagas unfinished; the next start finishes them or takes "
			 "them back",
			 stats.n_sagas);
	daemon_move(daemon, STAGE_FLUSHING);
	dispatch_abandon(&daemon->dispatch);
	ops_freeze(&daemon->ops);
	sockets_close(&daemon->sockets, FLUSH_MS, daemon_sockets_closed);
}

static void daemon_drain_timed_out(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, drain_timer);

	if (daemon->stage == STAGE_DRAINING)
		daemon_flush(daemon);
}

static void daemon_drain(struct daemon *daemon, const char *why)
{
	uint64_t limit_ms = daemon->config->daemon.drain_timeout_ms;
	struct engine_stats stats;

	engine_stats(daemon->engine, &stats);
	log_info(daemon->log,
		 "stopping: %s; %" PRIu64 " sagas run, waiting %" PRIu64 " ms at most (once more: at once)", why,
		 stats.n_sagas, limit_ms);
	notify_stopping();
	sockets_leave_to_next(&daemon->sockets);
	daemon_move(daemon, STAGE_DRAINING);
	engine_drain(daemon->engine);
	MUST(uv_timer_start(&daemon->drain_timer, daemon_drain_timed_out, limit_ms, 0) == 0);
}

static int daemon_reload(struct daemon *daemon, struct config_changes *out_changes, struct buf *out_faults)
{
	const struct reload_targets targets = {daemon->engine, &daemon->dispatch, &daemon->sockets,
					       &daemon->ops,   &daemon->ports,    daemon->sink};

	return reload(daemon->config, daemon->options->sources, &targets, out_changes, out_faults);
}

static void daemon_signalled(uv_signal_t *handle, int number)
{
	static struct config_changes changes;
	struct daemon *daemon = handle->data;
	struct buf faults = {0};

	if (number == SIGHUP && daemon->stage == STAGE_SERVING)
		(void)daemon_reload(daemon, &changes, &faults); /* it has logged how it went */
	else if (number == SIGHUP)
		log_info(daemon->log, "SIGHUP: stopping already, the configuration isn't read again");
	else if (daemon->stage == STAGE_SERVING)
		daemon_drain(daemon, number == SIGTERM ? "SIGTERM" : "SIGINT");
	else if (daemon->stage == STAGE_DRAINING)
		daemon_flush(daemon);
	buf_fini(&faults);
}

static int control_reload_daemon(struct dispatch_control *control, struct config_changes *out_changes,
				 struct buf *out_faults)
{
	struct daemon *daemon = container_of(control, struct daemon, control);

	return daemon->stage == STAGE_SERVING ? daemon_reload(daemon, out_changes, out_faults) : -ESHUTDOWN;
}

static void control_drain_daemon(struct dispatch_control *control)
{
	struct daemon *daemon = container_of(control, struct daemon, control);

	if (daemon->stage == STAGE_SERVING)
		daemon_drain(daemon, "sagad.drain");
}

/* The stores are left as they are and the engine gets no more turns: what they hold is the successor's, or the next
 * start's, to judge. Only the clients are told. */
static void daemon_halt(struct daemon *daemon, const struct engine_stats *stats)
{
	bool is_flushing = daemon->stage == STAGE_FLUSHING;

	/* Without an epoch the daemon never was the owner: somebody else is. */
	daemon->exit = stats->epoch == 0 ? DAEMON_EXIT_OTHER : DAEMON_EXIT_HALTED;
	daemon_move(daemon, STAGE_HALTED);
	notify_status(engine_halt_reason(daemon->engine)->text);
	if (is_flushing)
		return;
	dispatch_abandon(&daemon->dispatch);
	ops_freeze(&daemon->ops);
	sockets_close(&daemon->sockets, HALT_FLUSH_MS, daemon_sockets_closed);
}

/* ---- the engine's turn ---- */

static void daemon_watch(struct daemon *daemon)
{
	struct engine_stats stats;

	engine_stats(daemon->engine, &stats);
	service_watch(&daemon->service, &stats);
	dispatch_know_dims(&daemon->dispatch, stats.dims);
	if (stats.phase == ENGINE_HALTED && daemon->stage < STAGE_CLOSING)
		daemon_halt(daemon, &stats);
}

/* Wakes the loop when the engine wants its next turn. The loop's own time is refreshed first: a turn may have taken
 * long, and a timer counts from that time. */
static void daemon_arm(struct daemon *daemon)
{
	uint64_t next_ns = engine_next_ns(daemon->engine), now_ns, wait_ms;

	if (next_ns == NEVER_NS) {
		(void)uv_timer_stop(&daemon->wake); /* cannot fail */
		return;
	}
	uv_update_time(&daemon->loop);
	now_ns = uv_hrtime();
	wait_ms = next_ns <= now_ns ? 0 : (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	MUST(uv_timer_start(&daemon->wake, daemon->wake.timer_cb, wait_ms, 0) == 0);
}

static void daemon_woken(uv_timer_t *timer)
{
	(void)timer; /* the turn comes in this very round of the loop, before it sleeps again */
}

/* Right before the loop sleeps: whatever the callbacks of this round have brought, timers and closings included, is
 * dealt with in one turn, so that what came together leaves in one batch. */
static void daemon_turn(uv_prepare_t *handle)
{
	struct daemon *daemon = container_of(handle, struct daemon, turn);
	struct moment now = moment_now();

	if (daemon->stage == STAGE_HALTED)
		return;
	engine_turn(daemon->engine, &now);
	daemon_watch(daemon);
	if (daemon->stage == STAGE_HALTED)
		return;
	if (daemon->stage == STAGE_DRAINING && engine_is_drained(daemon->engine))
		daemon_flush(daemon);
	daemon_arm(daemon);
}

/* ---- the start ---- */

static void greet_store(struct daemon *daemon, uint32_t index)
{
	const struct survey_item *item = &daemon->greeting.items[index];
	struct store_status status;

	survey_status(&daemon->greeting, index, &status);
	if (item->req.verdict == VERDICT_OK)
		log_info(daemon->log, "%s is up: %s at %s", item->name, status.version, status.endpoint);
	else
		log_with(daemon->log, LOG_WARN_LEVEL, LOG_STORE_FAILED, LOG_FIELDS({"store", str_of(item->name)}),
			 "%s can't be used yet: %s (%s)", item->name, item->req.err.text, status.endpoint);
}

static void daemon_greeted(struct survey *survey)
{
	struct daemon *daemon = container_of(survey, struct daemon, greeting);

	if (daemon->stage != STAGE_SERVING)
		return;
	for (uint32_t i = 0; i < survey->n_items; i++)
		greet_store(daemon, i);
}

static int daemon_start_engine(struct daemon *daemon, struct err *err)
{
	const struct engine_config engine_config = settings_engine(daemon->config);
	const struct flow_config flows = settings_flows(daemon->config);
	struct moment now = moment_now();
	uint64_t seed;
	int rc;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return err_set(err, -errno, "getrandom: %s", strerror(errno));
	rc = engine_create(&engine_config, daemon->ports.truth, daemon->ports.journal, daemon->ports.stores,
			   daemon->ports.n_stores, daemon->log, seed, &daemon->engine);
	if (rc != 0)
		return err_set(err, rc, "the engine can't be made: %s", strerror(-rc));
	rc = engine_set_targets(daemon->engine, &flows, daemon->ports.targets, daemon->ports.n_targets);
	if (rc != 0)
		return err_set(err, rc, "sagas can't be run: %s", strerror(-rc));
	return engine_start(daemon->engine, daemon->options->take_over, &now, err);
}

static int daemon_start_handles(struct daemon *daemon)
{
	int rc = 0;

	MUST(uv_timer_init(&daemon->loop, &daemon->wake) == 0);
	MUST(uv_timer_init(&daemon->loop, &daemon->drain_timer) == 0);
	MUST(uv_prepare_init(&daemon->loop, &daemon->turn) == 0);
	MUST(uv_prepare_start(&daemon->turn, daemon_turn) == 0);
	MUST(uv_timer_start(&daemon->wake, daemon_woken, 0, 0) == 0); /* the first round must not sleep */
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(daemon->signals); i++) {
		rc = uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		if (rc == 0)
			rc = uv_signal_start(&daemon->signals[i], daemon_signalled, signal_numbers[i]);
	}
	return rc;
}

/* The journal comes first: who can't have it touches nothing else, and can try again. */
static int daemon_open_ports(struct daemon *daemon, struct err *err)
{
	int rc;

	do
		rc = ports_open(&daemon->ports, &daemon->loop, daemon->config, daemon->log, err);
	while (rc == -EBUSY && handover_wait(&daemon->handover, daemon->config, daemon->log, err->text));
	return rc;
}

static int daemon_open_ops(struct daemon *daemon, struct err *err)
{
	const struct ops_sources sources = {daemon->config, daemon->engine, &daemon->ports, &daemon->dispatch,
					    &daemon->sockets};

	return ops_open(&daemon->ops, &daemon->loop, &sources, daemon->log, err);
}

/* Everything in its order. */
static int daemon_start(struct daemon *daemon, struct err *err)
{
	int rc = handover_begin(&daemon->handover, daemon->config, daemon->options->replace, daemon->log, err);

	if (rc == 0)
		rc = daemon_open_ports(daemon, err);
	if (rc == 0)
		rc = daemon_start_engine(daemon, err);
	if (rc != 0)
		return rc;
	dispatch_init(&daemon->dispatch, &daemon->loop, daemon->config, daemon->engine, &daemon->ports, daemon->sink,
		      &daemon->control);
	rc = sockets_open(&daemon->sockets, &daemon->loop, daemon->config, &daemon->dispatch, &daemon->handover,
			  daemon->log, err);
	if (rc != 0)
		return rc;
	rc = daemon_open_ops(daemon, err);
	if (rc != 0)
		return rc;
	rc = daemon_start_handles(daemon);
	if (rc != 0)
		return err_set(err, rc, "signals: %s", uv_strerror(rc));
	survey_start(&daemon->greeting, &daemon->ports, SURVEY_PING, NULL, false, daemon_greeted);
	return 0;
}

static enum daemon_exit exit_of_start(int rc)
{
	if (rc == -EBUSY || rc == -EADDRINUSE)
		return DAEMON_EXIT_OTHER;
	/* EPROTO: the journal of a newer version. */
	return rc == -EINVAL || rc == -EPROTO ? DAEMON_EXIT_USAGE : DAEMON_EXIT_FAILED;
}

static void daemon_say_started(struct daemon *daemon)
{
	const struct config *config = daemon->config;

	log_info(daemon->log, "sagad %s started: pid %d, jobs on %s, administration on %s, journal %s", SAGAD_VERSION,
		 (int)getpid(), daemon->sockets.jobs_place, daemon->sockets.admin_place, config->daemon.journal);
	service_start(&daemon->service, &daemon->loop, daemon->engine, daemon->sink);
}

enum daemon_exit daemon_run(struct config *config, const struct daemon_options *options, struct sink *sink)
{
	/* Static, so that what an abrupt end leaves behind is still reachable for a leak checker. */
	static struct daemon daemon;
	struct err err = {""};
	int rc;

	daemon = (struct daemon){.config = config, .options = options, .sink = sink, .log = &sink->log};
	daemon.control = (struct dispatch_control){control_reload_daemon, control_drain_daemon};
	rc = uv_loop_init(&daemon.loop);
	if (rc != 0)
		(void)err_set(&err, rc, "the loop can't be made: %s", uv_strerror(rc));
	else
		rc = daemon_start(&daemon, &err);
	if (rc != 0) {
		log_error(daemon.log, "can't start: %s", err.text);
		return exit_of_start(rc);
	}
	daemon_say_started(&daemon);
	(void)uv_run(&daemon.loop, UV_RUN_DEFAULT); /* 1 after uv_stop(): the stage tells what happened */
	if (daemon.stage == STAGE_HALTED)
		return daemon.exit;
	MUST(daemon.stage == STAGE_CLOSED);
	rc = uv_loop_close(&daemon.loop);
	if (rc != 0)
		log_warn(daemon.log, "the loop had handles left at the end");
	log_info(daemon.log, "stopped");
	return DAEMON_EXIT_CLEAN;
}
