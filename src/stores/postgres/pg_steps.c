/* Connections, flights, time limits; one call is pg_steps_call.c's.
 *
 * Calls wait in one list. A free connection takes its share of them and sends them as one flight: each call with a sync
 * of its own, so that each fails alone. The flights of several connections commit together (PostgreSQL's group commit).
 */
#include "pg_steps_internal.h"

#include "base/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET          "postgresql"
#define CONNECTIONS_MAX 64
#define PIPELINE_MAX    256
#define CALLS_MAX       1024
/* What a call's results may hold beside the values that count: row headers, names. */
#define RESULT_SLACK_BYTES ((size_t)1 << 20)

static struct pg_steps *pg_steps_of(struct target *target)
{
	return container_of(target, struct pg_steps, target);
}

/* ---- ends ---- */

static void pg_steps_end(struct pg_steps *steps, struct pg_step *step)
{
	struct call *call = step->call;

	pg_step_close(step);
	step->call = NULL;
	list_remove(&step->node);
	list_append(&steps->free, &step->node);
	step_turn_end(&steps->turn, call);
}

/* What is in a flight that brings no more answers. */
static void pg_steps_lose_flight(struct pg_steps_conn *conn, const char *why)
{
	struct list *node;

	while ((node = list_take_first(&conn->flight)) != NULL) {
		struct pg_step *step = container_of(node, struct pg_step, node);
		char text[ERR_TEXT_BYTES];

		(void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, why);
		pg_step_lost(step, VERDICT_OUTAGE, text);
		pg_steps_end(conn->owner, step);
	}
}

/* ---- flights ---- */

static bool pg_steps_send_flight(struct pg_exchange *exchange, PGconn *pq)
{
	struct pg_steps_conn *conn = container_of(exchange, struct pg_steps_conn, exchange);
	struct list *it, *tmp;

	list_each (it, tmp, &conn->flight)
		if (!pg_step_send(container_of(it, struct pg_step, node), pq))
			return false;
	return true;
}

/* The first of the flight has all its answers. */
static void pg_steps_landed(struct pg_steps_conn *conn, struct pg_step *step)
{
	struct pg_steps *steps = conn->owner;
	bool is_open = step->phase == PG_STEP_OPEN;

	if (pg_step_judge(step)) {
		conn->is_dirty = conn->is_dirty || step->is_fatal;
		pg_steps_end(steps, step);
	} else if (!is_open) {
		list_remove(&step->node);
		list_prepend(&steps->waiting, &step->node);
	} /* else its transaction is open: the next phase goes over this connection, from ended() */
}

static enum pg_taken pg_steps_take(struct pg_exchange *exchange, const PGresult *result)
{
	struct pg_steps_conn *conn = container_of(exchange, struct pg_steps_conn, exchange);
	struct pg_step *step;

	if (list_is_empty(&conn->flight))
		return PG_TAKEN_BREACH;
	step = container_of(conn->flight.next, struct pg_step, node);
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC)
		return pg_step_take(step, result) ? PG_TAKEN_MORE : PG_TAKEN_BREACH;
	if (!step->has_failed && step->n_seen < step->n_expected)
		return PG_TAKEN_BREACH;
	if (!pg_step_synced(step))
		return PG_TAKEN_MORE;
	pg_steps_landed(conn, step);
	return list_is_empty(&conn->flight) || pg_step_is_alone(step) ? PG_TAKEN_LAST : PG_TAKEN_MORE;
}

static void pg_steps_ended(struct pg_exchange *exchange, const struct pg_end *end);

static uint32_t pg_steps_count(const struct list *head)
{
	uint32_t n = 0;

	for (const struct list *it = head->next; it != head; it = it->next)
		n++;
	return n;
}

static void pg_steps_fly(struct pg_steps_conn *conn)
{
	/* no crash point: the journal's are on both sides of it */
	struct pg_steps *steps = conn->owner;

	conn->exchange = (struct pg_exchange){
		.send = pg_steps_send_flight,
		.take = pg_steps_take,
		.ended = pg_steps_ended,
		.max_bytes = pg_steps_count(&conn->flight) * (4 * steps->max_result_bytes + RESULT_SLACK_BYTES),
	};
	pg_conn_run_own(&conn->conn, &conn->exchange);
}

static void pg_steps_ended(struct pg_exchange *exchange, const struct pg_end *end)
{
	struct pg_steps_conn *conn = container_of(exchange, struct pg_steps_conn, exchange);
	struct pg_steps *steps = conn->owner;

	steps->was_tried = true;
	if (end->kind != PG_END_OK) {
		steps->last_error = end->err;
		pg_steps_lose_flight(conn, end->err.text);
		return;
	}
	err_clear(&steps->last_error);
	if (!list_is_empty(&conn->flight)) {
		pg_steps_fly(conn); /* the one whose transaction is open */
		return;
	}
	if (conn->is_dirty || PQtransactionStatus(conn->conn.pq) != PQTRANS_IDLE)
		pg_conn_drop(&conn->conn, "a step may have left something in its session");
	else
		pg_conn_release(&conn->conn);
	step_turn_soon(&steps->turn);
}

/* Moves calls from the waiting ones into the flight: at most n, fewer before and after one that must be alone. */
static void pg_steps_board(struct pg_steps *steps, struct pg_steps_conn *conn, uint32_t n)
{
	conn->is_dirty = false;
	for (uint32_t i = 0; i < n && !list_is_empty(&steps->waiting) && !conn->is_dirty; i++) {
		struct pg_step *step = container_of(steps->waiting.next, struct pg_step, node);

		if (i > 0 && pg_step_is_alone(step))
			return;
		list_remove(&step->node);
		list_append(&conn->flight, &step->node);
		conn->is_dirty = step->body.is_dirty;
		if (pg_step_is_alone(step))
			return;
	}
}

/* What waits is shared out over the connections that are free. */
static void pg_steps_serve(struct pg_steps *steps)
{
	uint32_t n_idle = 0, n_waiting = pg_steps_count(&steps->waiting), share;

	for (uint32_t i = 0; i < steps->n_conns; i++)
		n_idle += steps->conns[i].conn.state == PG_CONN_IDLE ? 1 : 0;
	if (n_idle == 0)
		return;
	share = (n_waiting + n_idle - 1) / n_idle;
	share = share < steps->pipeline ? share : steps->pipeline;
	for (uint32_t i = 0; i < steps->n_conns && !list_is_empty(&steps->waiting); i++) {
		struct pg_steps_conn *conn = &steps->conns[i];

		if (conn->conn.state != PG_CONN_IDLE || !pg_conn_take(&conn->conn))
			continue;
		pg_steps_board(steps, conn, share);
		pg_steps_fly(conn);
	}
}

/* Ends what waits for connections that nobody can expect before long. */
static void pg_steps_despair(struct pg_steps *steps)
{
	const struct pg_conn *failed = &steps->conns[0].conn;
	struct list *it, *tmp;
	char why[ERR_TEXT_BYTES];

	for (uint32_t i = 0; i < steps->n_conns; i++) {
		if (pg_conn_is_hopeful(&steps->conns[i].conn))
			return;
		if (steps->conns[i].conn.last_verdict != VERDICT_OK)
			failed = &steps->conns[i].conn;
	}
	(void)snprintf(why, sizeof(why), "%.100s, port %u: %.220s", steps->config.host, steps->config.port,
		       failed->last_error.text);
	list_each (it, tmp, &steps->waiting) {
		struct pg_step *step = container_of(it, struct pg_step, node);

		pg_step_lost(step, failed->last_verdict == VERDICT_OK ? VERDICT_OUTAGE : failed->last_verdict, why);
		pg_steps_end(steps, step);
	}
}

static void pg_steps_turned(struct step_turn *turn)
{
	struct pg_steps *steps = container_of(turn, struct pg_steps, turn);

	if (steps->is_closing)
		return;
	pg_steps_serve(steps);
	if (!list_is_empty(&steps->waiting))
		pg_steps_despair(steps);
}

/* ---- time limits ---- */

static void pg_steps_arm(struct pg_steps *steps, uint64_t deadline_ns);

static uint64_t pg_steps_earliest(const struct list *head, uint64_t earliest_ns)
{
	for (const struct list *it = head->next; it != head; it = it->next) {
		const struct pg_step *step = (const void *)((const char *)it - offsetof(struct pg_step, node));

		earliest_ns = step->deadline_ns < earliest_ns ? step->deadline_ns : earliest_ns;
	}
	return earliest_ns;
}

static void pg_steps_expire_waiting(struct pg_steps *steps, uint64_t now_ns)
{
	struct list *it, *tmp;

	list_each (it, tmp, &steps->waiting) {
		struct pg_step *step = container_of(it, struct pg_step, node);

		if (step->deadline_ns > now_ns)
			continue;
		pg_step_lost(step, VERDICT_TRANSIENT, "no connection was free in time");
		pg_steps_end(steps, step);
	}
}

/* One that is too late takes its flight along: there is no other way to make libpq forget it, and the barrier tells
 * the others' next tries what became of them. */
static void pg_steps_on_deadline(uv_timer_t *timer)
{
	struct pg_steps *steps = container_of(timer, struct pg_steps, deadline);
	uint64_t now_ns = uv_hrtime(), earliest_ns;

	steps->deadline_ns = UINT64_MAX;
	pg_steps_expire_waiting(steps, now_ns);
	for (uint32_t i = 0; i < steps->n_conns; i++) {
		struct pg_steps_conn *conn = &steps->conns[i];

		if (pg_steps_earliest(&conn->flight, UINT64_MAX) <= now_ns)
			pg_conn_drop(&conn->conn, "no answer in time");
	}
	earliest_ns = pg_steps_earliest(&steps->waiting, UINT64_MAX);
	for (uint32_t i = 0; i < steps->n_conns; i++)
		earliest_ns = pg_steps_earliest(&steps->conns[i].flight, earliest_ns);
	if (earliest_ns != UINT64_MAX)
		pg_steps_arm(steps, earliest_ns);
}

static void pg_steps_arm(struct pg_steps *steps, uint64_t deadline_ns)
{
	uint64_t now_ns = uv_hrtime();
	uint64_t wait_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000u + 1 : 0;

	if (deadline_ns >= steps->deadline_ns)
		return;
	steps->deadline_ns = deadline_ns;
	/* Fails for a closed timer only. */
	MUST(uv_timer_start(&steps->deadline, pg_steps_on_deadline, wait_ms, 0) == 0);
}

/* ---- what connections tell ---- */

static struct pg_steps_conn *pg_steps_conn_of(struct pg_conn *conn)
{
	return container_of(conn, struct pg_steps_conn, conn);
}

static void pg_steps_on_ready(struct pg_conn *conn)
{
	struct pg_steps *steps = pg_steps_conn_of(conn)->owner;

	steps->was_tried = true;
	err_clear(&steps->last_error);
	step_turn_soon(&steps->turn);
}

static void pg_steps_on_down(struct pg_conn *conn)
{
	struct pg_steps *steps = pg_steps_conn_of(conn)->owner;

	steps->was_tried = true;
	steps->last_error = conn->last_error;
	step_turn_soon(&steps->turn);
}

/* ---- closing ---- */

static void pg_steps_free(struct pg_steps *steps)
{
	free(steps->conns);
	free(steps->steps);
	for (size_t i = 0; i < PG_TEXTS; i++)
		free(steps->texts[i]);
	free(steps);
}

static void pg_steps_turn_closed(struct step_turn *turn)
{
	struct pg_steps *steps = container_of(turn, struct pg_steps, turn);
	void (*closed)(void *arg) = steps->closed;
	void *arg = steps->closed_arg;

	pg_steps_free(steps);
	closed(arg);
}

static void pg_steps_part_closed(struct pg_steps *steps)
{
	if (--steps->n_open == 0)
		step_turn_close(&steps->turn, pg_steps_turn_closed);
}

static void pg_steps_on_conn_closed(struct pg_conn *conn)
{
	pg_steps_part_closed(pg_steps_conn_of(conn)->owner);
}

static void pg_steps_deadline_closed(uv_handle_t *handle)
{
	pg_steps_part_closed(container_of(handle, struct pg_steps, deadline));
}

/* In a turn of its own: no connection's callback is on the stack. */
static void pg_steps_close_now(uv_timer_t *timer)
{
	struct pg_steps *steps = container_of(timer, struct pg_steps, deadline);

	while (!list_is_empty(&steps->waiting)) {
		struct pg_step *step = container_of(steps->waiting.next, struct pg_step, node);

		pg_step_lost(step, VERDICT_OUTAGE, "the daemon is closing");
		pg_steps_end(steps, step);
	}
	steps->n_open = steps->n_conns + 1;
	for (uint32_t i = 0; i < steps->n_conns; i++)
		pg_conn_close(&steps->conns[i].conn);
	uv_close((uv_handle_t *)&steps->deadline, pg_steps_deadline_closed);
}

static void pg_steps_close(struct target *target, void (*closed)(void *arg), void *arg)
{
	struct pg_steps *steps = pg_steps_of(target);

	MUST(!steps->is_closing);
	steps->is_closing = true;
	steps->closed = closed;
	steps->closed_arg = arg;
	MUST(uv_timer_start(&steps->deadline, pg_steps_close_now, 0, 0) == 0); /* fails for a closed timer only */
}

/* ---- the port's other operations ---- */

static void pg_steps_submit(struct target *target, struct call *call)
{
	struct pg_steps *steps = pg_steps_of(target);
	struct list *node = list_take_first(&steps->free);
	struct pg_step *step;
	uint64_t now_ns = uv_hrtime();

	MUST(node != NULL && !steps->is_closing); /* the engine has at most max_calls out */
	step = container_of(node, struct pg_step, node);
	step_codec_begin(call);
	*step = (struct pg_step){.owner = steps, .call = call};
	step->deadline_ns = call->timeout_ns < UINT64_MAX - now_ns ? now_ns + call->timeout_ns : UINT64_MAX - 1;
	list_append(&steps->waiting, &step->node);
	if (!pg_step_open(step)) {
		pg_steps_end(steps, step);
		return;
	}
	pg_steps_arm(steps, step->deadline_ns);
	step_turn_soon(&steps->turn);
}

static uint32_t pg_steps_n_up(const struct pg_steps *steps)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < steps->n_conns; i++)
		n += steps->conns[i].conn.state == PG_CONN_IDLE || steps->conns[i].conn.state == PG_CONN_BUSY ? 1 : 0;
	return n;
}

static void pg_steps_status(const struct target *target, struct store_status *out_status)
{
	/* container_of() would drop the const. */
	const struct pg_steps *steps = (const void *)((const char *)target - offsetof(struct pg_steps, target));

	*out_status = (struct store_status){
		.is_up = pg_steps_n_up(steps) > 0,
		.was_tried = steps->was_tried,
		.latency_ns = steps->latency_ns,
		.n_connections = pg_steps_n_up(steps),
		.last_error = steps->last_error,
	};
	(void)snprintf(out_status->version, sizeof(out_status->version), "%s", steps->shared.server); /* as large */
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "%.120s%s%u", steps->config.host,
		       steps->config.host[0] == '/' ? "/.s.PGSQL." : ":", steps->config.port); /* cut is good enough */
}

static int pg_steps_renew_secret(struct target *target, const char *secret)
{
	struct pg_steps *steps = pg_steps_of(target);

	return pg_config_renew_secret(&steps->config, steps->texts, secret);
}

static const struct target_ops pg_steps_ops = {
	.submit = pg_steps_submit,
	.status = pg_steps_status,
	.renew_secret = pg_steps_renew_secret,
	.close = pg_steps_close,
};

/* ---- making ---- */

static const struct pg_conn_events pg_steps_events = {pg_steps_on_ready, pg_steps_on_down, pg_steps_on_conn_closed};

static int pg_steps_check(const struct pg_steps_config *config, struct err *err)
{
	if (config->connections > CONNECTIONS_MAX || config->pipeline > PIPELINE_MAX)
		return err_set(err, -EINVAL,
			       "postgres: connections of steps must be 1 to %d, calls in a pipeline 1 to %d",
			       CONNECTIONS_MAX, PIPELINE_MAX);
	return pg_config_check(&config->server, err);
}

static int pg_steps_configure(struct pg_steps *steps, const struct pg_steps_config *config, struct err *err)
{
	char prefix[PG_NAME_BYTES];
	struct pg_config server = config->server;
	uint32_t max_calls;
	int rc = pg_config_seed(&steps->rng, &steps->shared, err);

	/* Another name than the documents' connections have: a starting daemon ends those of an earlier run. */
	(void)snprintf(prefix, sizeof(prefix), "%.16s-steps", server.application_prefix);
	server.application_prefix = prefix;
	steps->n_conns = config->connections != 0 ? config->connections : 4;
	steps->pipeline = config->pipeline != 0 ? config->pipeline : 16;
	steps->max_result_bytes = config->max_result_bytes != 0 ? config->max_result_bytes : (size_t)256 << 10;
	max_calls = steps->n_conns * steps->pipeline;
	max_calls = max_calls < CALLS_MAX ? max_calls : CALLS_MAX;
	steps->target =
		(struct target){.ops = &pg_steps_ops, .name = TARGET, .has_barrier = true, .max_calls = max_calls};
	if (rc == 0 && pg_config_copy(&server, &steps->config, steps->texts) != 0)
		rc = err_set(err, -ENOMEM, "postgres: out of memory");
	return rc;
}

static int pg_steps_alloc(struct pg_steps *steps, struct err *err)
{
	list_init(&steps->free);
	list_init(&steps->waiting);
	steps->conns = calloc(steps->n_conns, sizeof(*steps->conns));
	steps->steps = calloc(steps->target.max_calls, sizeof(*steps->steps));
	if (steps->conns == NULL || steps->steps == NULL)
		return err_set(err, -ENOMEM, "postgres: out of memory");
	for (uint32_t i = 0; i < steps->target.max_calls; i++)
		list_append(&steps->free, &steps->steps[i].node);
	return 0;
}

static void pg_steps_start(struct pg_steps *steps, uv_loop_t *loop, struct log *log)
{
	steps->shared.loop = loop;
	steps->shared.log = log;
	steps->shared.config = &steps->config;
	steps->shared.rng = &steps->rng;
	steps->deadline_ns = UINT64_MAX;
	MUST(uv_timer_init(loop, &steps->deadline) == 0); /* always 0 */
	step_turn_init(&steps->turn, loop, pg_steps_turned);
	for (uint32_t i = 0; i < steps->n_conns; i++) {
		steps->conns[i].owner = steps;
		list_init(&steps->conns[i].flight);
		pg_conn_init(&steps->conns[i].conn, &steps->shared, &pg_steps_events);
	}
}

int pg_steps_create(uv_loop_t *loop, const struct pg_steps_config *config, struct log *log, struct target **out_target,
		    struct err *err)
{
	int rc = pg_steps_check(config, err);
	struct pg_steps *steps;

	if (rc != 0)
		return rc;
	steps = calloc(1, sizeof(*steps));
	if (steps == NULL)
		return err_set(err, -ENOMEM, "postgres: out of memory");
	rc = pg_steps_configure(steps, config, err);
	if (rc == 0)
		rc = pg_steps_alloc(steps, err);
	if (rc != 0) {
		pg_steps_free(steps);
		return rc;
	}
	pg_steps_start(steps, loop, log);
	*out_target = &steps->target;
	return 0;
}
