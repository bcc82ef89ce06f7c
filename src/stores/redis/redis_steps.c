/* Connections and flights: what was submitted in one turn of the loop goes out as one pipeline a connection. */
#include "stores/redis/redis_steps.h"

#include "stores/redis/redis_internal.h"
#include "stores/redis/redis_steps_codec.h"
#include "stores/step/step_turn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET          "redis"
#define CONNECTIONS_MAX 64
#define PIPELINE_MAX    256
#define CALLS_MAX       1024
#define RESULT_MAX      ((size_t)512 << 10) /* a reply may have 1 MiB, and JSON's escapes double it */

/* A call while it is out. */
struct redis_step {
	struct list node; /* free or waiting; in a flight unused */
	struct call *call;
	struct redis_steps_command command;
	uint64_t deadline_ns;
	bool wants_text; /* the server lacked the script */
};

struct redis_steps_conn {
	struct redis_conn conn;
	struct redis_exchange exchange;
	struct redis_steps *owner;
	struct redis_step **flight; /* in the order of their commands */
	uint32_t n_flight;
	bool with_text;
	bool wants_reconnect;
};

struct redis_steps {
	struct target target;
	struct redis_target server;
	char *key_prefix;
	struct redis_steps_codec codec;
	struct redis_steps_conn *conns;
	uint32_t n_conns;
	uint32_t pipeline;
	struct redis_step *steps; /* target.max_calls of them */
	struct list free;
	struct list waiting;
	struct step_turn turn;
	struct store_status status;
	uint32_t n_open; /* connections that aren't closed yet */
	bool is_closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

static struct redis_steps *redis_steps_of(struct target *target)
{
	return container_of(target, struct redis_steps, target);
}

static void redis_steps_end(struct redis_steps *steps, struct redis_step *step)
{
	struct call *call = step->call;

	redis_steps_codec_fini(&step->command);
	step->call = NULL;
	list_append(&steps->free, &step->node);
	step_turn_end(&steps->turn, call);
}

/* ---- a flight ---- */

static struct redis_steps_conn *redis_steps_conn_of(struct redis_exchange *exchange)
{
	return container_of(exchange, struct redis_steps_conn, exchange);
}

static int redis_steps_write(struct redis_exchange *exchange, struct redis_link *link)
{
	/* no crash point: link_write() has one */
	struct redis_steps_conn *conn = redis_steps_conn_of(exchange);

	for (uint32_t i = 0; i < conn->n_flight; i++) {
		struct redis_steps_command *command = &conn->flight[i]->command;
		int rc;

		redis_steps_codec_name(&conn->owner->codec, command, conn->with_text);
		rc = redis_link_add(link, (int)command->argc, command->argv, command->lens);
		if (rc != 0)
			return rc;
	}
	return (int)conn->n_flight;
}

static void redis_steps_reply(struct redis_exchange *exchange, uint32_t index, const redisReply *reply)
{
	struct redis_steps_conn *conn = redis_steps_conn_of(exchange);
	struct redis_step *step = conn->flight[index];
	enum redis_reply_kind kind = REDIS_REPLY_IS_OTHER;
	struct str text = STR_NONE;

	if (reply->type == REDIS_REPLY_ERROR)
		kind = REDIS_REPLY_IS_ERROR;
	else if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
		kind = REDIS_REPLY_IS_TEXT;
	if (kind != REDIS_REPLY_IS_OTHER)
		text = (struct str){reply->str, reply->len};
	switch (redis_steps_codec_answer(&conn->owner->codec, step->call, kind, text)) {
	case REDIS_HINT_NONE:
		return;
	case REDIS_HINT_SEND_TEXT:
		step->wants_text = true;
		return;
	case REDIS_HINT_RECONNECT:
		conn->wants_reconnect = true;
		return;
	}
}

static void redis_steps_note(struct redis_steps *steps, const struct redis_exchange *exchange)
{
	steps->status.was_tried = true;
	steps->status.is_up = exchange->how == REDIS_ANSWERED;
	if (exchange->how != REDIS_ANSWERED) {
		steps->status.last_error = exchange->err;
		return;
	}
	steps->status.latency_ns = exchange->latency_ns;
	err_clear(&steps->status.last_error);
}

static void redis_steps_ended(struct redis_exchange *exchange);

static void redis_steps_fly(struct redis_steps_conn *conn)
{
	uint64_t deadline_ns = UINT64_MAX;

	for (uint32_t i = 0; i < conn->n_flight; i++)
		if (conn->flight[i]->deadline_ns < deadline_ns)
			deadline_ns = conn->flight[i]->deadline_ns;
	conn->wants_reconnect = false;
	conn->exchange = (struct redis_exchange){.deadline_ns = deadline_ns,
						 .write = redis_steps_write,
						 .reply = redis_steps_reply,
						 .end = redis_steps_ended};
	redis_conn_start(&conn->conn, &conn->exchange);
}

/* After NOSCRIPT, which comes once after a restart of the server, those go out again with the text. */
static uint32_t redis_steps_keep_unsent(struct redis_steps_conn *conn)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < conn->n_flight; i++) {
		struct redis_step *step = conn->flight[i];

		if (step->wants_text && !conn->with_text)
			conn->flight[n++] = step;
		else
			redis_steps_end(conn->owner, step);
		step->wants_text = false;
	}
	return n;
}

static void redis_steps_lose(struct redis_steps_conn *conn, const struct redis_exchange *exchange)
{
	for (uint32_t i = 0; i < conn->n_flight; i++) {
		struct redis_step *step = conn->flight[i];

		if (exchange->how == REDIS_NOT_SENT)
			step_codec_fail(step->call, TARGET, exchange->verdict, "%.300s", exchange->err.text);
		else if (i >= exchange->n_replies)
			step_codec_fail(step->call, TARGET, VERDICT_DOUBT, "%.250s; whether it was done is unknown",
					exchange->err.text);
		redis_steps_end(conn->owner, step);
	}
	conn->n_flight = 0;
}

static void redis_steps_ended(struct redis_exchange *exchange)
{
	struct redis_steps_conn *conn = redis_steps_conn_of(exchange);
	struct redis_steps *steps = conn->owner;

	redis_steps_note(steps, exchange);
	if (exchange->how != REDIS_ANSWERED) {
		redis_steps_lose(conn, exchange);
	} else {
		conn->n_flight = redis_steps_keep_unsent(conn);
		if (conn->n_flight > 0 && !steps->is_closing) {
			conn->with_text = true;
			redis_steps_fly(conn);
			return;
		}
		if (conn->wants_reconnect)
			redis_conn_drop(&conn->conn);
	}
	step_turn_soon(&steps->turn);
}

/* What waits is shared out over the connections; a second one is made only when the first is in use. */
static struct redis_steps_conn *redis_steps_pick(struct redis_steps *steps)
{
	struct redis_steps_conn *picked = NULL;

	for (uint32_t i = 0; i < steps->n_conns; i++) {
		struct redis_steps_conn *conn = &steps->conns[i];

		if (!redis_conn_is_free(&conn->conn))
			continue;
		if (conn->conn.state == REDIS_CONN_IDLE)
			return conn;
		if (picked == NULL)
			picked = conn;
	}
	return picked;
}

static void redis_steps_turned(struct step_turn *turn)
{
	struct redis_steps *steps = container_of(turn, struct redis_steps, turn);

	while (!list_is_empty(&steps->waiting) && !steps->is_closing) {
		struct redis_steps_conn *conn = redis_steps_pick(steps);

		if (conn == NULL)
			return;
		conn->with_text = false;
		conn->n_flight = 0;
		while (!list_is_empty(&steps->waiting) && conn->n_flight < steps->pipeline)
			conn->flight[conn->n_flight++] =
				container_of(list_take_first(&steps->waiting), struct redis_step, node);
		redis_steps_fly(conn);
	}
}

/* ---- the port's operations ---- */

static void redis_steps_submit(struct target *target, struct call *call)
{
	struct redis_steps *steps = redis_steps_of(target);
	struct list *node = list_take_first(&steps->free);
	struct redis_step *step;
	uint64_t now_ns = uv_hrtime();

	MUST(node != NULL && !steps->is_closing); /* the engine has at most max_calls out */
	step = container_of(node, struct redis_step, node);
	step_codec_begin(call);
	*step = (struct redis_step){.call = call};
	list_init(&step->node);
	step->deadline_ns = call->timeout_ns < UINT64_MAX - now_ns ? now_ns + call->timeout_ns : UINT64_MAX;
	if (!redis_steps_codec_read(&steps->codec, call, &step->command)) {
		redis_steps_end(steps, step);
		return;
	}
	list_append(&steps->waiting, &step->node);
	step_turn_soon(&steps->turn);
}

static void redis_steps_status(const struct target *target, struct store_status *out_status)
{
	/* container_of() would drop the const. */
	const struct redis_steps *steps = (const void *)((const char *)target - offsetof(struct redis_steps, target));

	*out_status = steps->status;
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "%s", steps->server.endpoint);
	for (uint32_t i = 0; i < steps->n_conns; i++) {
		enum redis_conn_state state = steps->conns[i].conn.state;

		out_status->n_connections += state == REDIS_CONN_IDLE || state == REDIS_CONN_BUSY ? 1 : 0;
	}
}

static int redis_steps_renew_secret(struct target *target, const char *secret)
{
	return redis_target_renew(&redis_steps_of(target)->server, secret);
}

static void redis_steps_free(struct redis_steps *steps)
{
	for (uint32_t i = 0; steps->conns != NULL && i < steps->n_conns; i++)
		free((void *)steps->conns[i].flight);
	free(steps->conns);
	free(steps->steps);
	free(steps->key_prefix);
	redis_target_fini(&steps->server);
	free(steps);
}

static void redis_steps_turn_closed(struct step_turn *turn)
{
	struct redis_steps *steps = container_of(turn, struct redis_steps, turn);
	void (*closed)(void *arg) = steps->closed;
	void *arg = steps->closed_arg;

	redis_steps_free(steps);
	closed(arg);
}

static void redis_steps_conn_closed(struct redis_conn *conn)
{
	struct redis_steps *steps = container_of(conn, struct redis_steps_conn, conn)->owner;

	if (--steps->n_open == 0)
		step_turn_close(&steps->turn, redis_steps_turn_closed);
}

static void redis_steps_close(struct target *target, void (*closed)(void *arg), void *arg)
{
	struct redis_steps *steps = redis_steps_of(target);
	struct list *node;

	MUST(!steps->is_closing);
	steps->is_closing = true;
	steps->closed = closed;
	steps->closed_arg = arg;
	while ((node = list_take_first(&steps->waiting)) != NULL) {
		struct redis_step *step = container_of(node, struct redis_step, node);

		step_codec_fail(step->call, TARGET, VERDICT_OUTAGE, "the daemon is closing");
		redis_steps_end(steps, step);
	}
	for (uint32_t i = 0; i < steps->n_conns; i++)
		redis_conn_close(&steps->conns[i].conn, redis_steps_conn_closed);
}

static const struct target_ops redis_steps_ops = {
	.submit = redis_steps_submit,
	.status = redis_steps_status,
	.renew_secret = redis_steps_renew_secret,
	.close = redis_steps_close,
};

/* ---- making ---- */

static uint32_t redis_steps_or(uint32_t value, uint32_t fallback)
{
	return value != 0 ? value : fallback;
}

static void redis_steps_configure(struct redis_steps *steps, const struct redis_steps_config *config)
{
	uint32_t max_calls;

	steps->n_conns = redis_steps_or(config->connections, 2);
	steps->pipeline = redis_steps_or(config->pipeline, 64);
	max_calls = steps->n_conns * steps->pipeline;
	steps->target = (struct target){.ops = &redis_steps_ops,
					.name = TARGET,
					.has_barrier = true,
					.max_calls = max_calls < CALLS_MAX ? max_calls : CALLS_MAX};
	steps->codec.barrier_ttl_s = redis_steps_or(config->barrier_ttl_s, 604800);
	steps->codec.dead_ttl_s = steps->codec.barrier_ttl_s < 86400 ? steps->codec.barrier_ttl_s : 86400;
	steps->codec.max_result_bytes = config->max_result_bytes != 0 ? config->max_result_bytes : (size_t)256 << 10;
	redis_steps_codec_init(&steps->codec);
	list_init(&steps->free);
	list_init(&steps->waiting);
}

static int redis_steps_alloc(struct redis_steps *steps, struct err *err)
{
	steps->conns = calloc(steps->n_conns, sizeof(*steps->conns));
	steps->steps = calloc(steps->target.max_calls, sizeof(*steps->steps));
	if (steps->conns == NULL || steps->steps == NULL)
		return err_set(err, -ENOMEM, "redis: out of memory");
	for (uint32_t i = 0; i < steps->n_conns; i++) {
		steps->conns[i].owner = steps;
		steps->conns[i].flight = calloc(steps->pipeline, sizeof(*steps->conns[i].flight));
		if (steps->conns[i].flight == NULL)
			return err_set(err, -ENOMEM, "redis: out of memory");
	}
	for (uint32_t i = 0; i < steps->target.max_calls; i++)
		list_append(&steps->free, &steps->steps[i].node);
	return 0;
}

int redis_steps_create(uv_loop_t *loop, const struct redis_steps_config *config, struct log *log,
		       struct target **out_target, struct err *err)
{
	struct redis_steps *steps;
	int rc;

	if (config->connections > CONNECTIONS_MAX || config->pipeline > PIPELINE_MAX ||
	    config->max_result_bytes > RESULT_MAX)
		return err_set(err, -EINVAL,
			       "redis: connections of steps must be 1 to %d, calls in a pipeline 1 to %d, results at "
			       "most 512 KiB",
			       CONNECTIONS_MAX, PIPELINE_MAX);
	steps = calloc(1, sizeof(*steps));
	if (steps == NULL)
		return err_set(err, -ENOMEM, "redis: out of memory");
	redis_steps_configure(steps, config);
	rc = redis_target_make(&config->server, &steps->server, &steps->key_prefix, err);
	steps->codec.key_prefix = steps->key_prefix;
	if (rc == 0)
		rc = redis_steps_alloc(steps, err);
	if (rc != 0) {
		redis_steps_free(steps);
		return rc;
	}
	step_turn_init(&steps->turn, loop, redis_steps_turned);
	for (uint32_t i = 0; i < steps->n_conns; i++)
		redis_conn_init(&steps->conns[i].conn, loop, &steps->server, log);
	steps->n_open = steps->n_conns;
	*out_target = &steps->target;
	return 0;
}
