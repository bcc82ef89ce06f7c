#include "stores/redis/redis_conn.h"

#include "stores/redis/redis_codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TO(state) (1u << (state))

static const unsigned conn_may[] = {
	[REDIS_CONN_DOWN] = TO(REDIS_CONN_RESOLVING) | TO(REDIS_CONN_CONNECTING),
	[REDIS_CONN_RESOLVING] = TO(REDIS_CONN_CONNECTING) | TO(REDIS_CONN_DOWN),
	[REDIS_CONN_CONNECTING] = TO(REDIS_CONN_GREETING) | TO(REDIS_CONN_DOWN),
	[REDIS_CONN_GREETING] = TO(REDIS_CONN_BUSY) | TO(REDIS_CONN_DOWN),
	[REDIS_CONN_IDLE] = TO(REDIS_CONN_BUSY) | TO(REDIS_CONN_DOWN),
	[REDIS_CONN_BUSY] = TO(REDIS_CONN_IDLE) | TO(REDIS_CONN_DOWN),
};

static void conn_move(struct redis_conn *conn, enum redis_conn_state to)
{
	MUST(conn_may[conn->state] & TO(to));
	conn->state = to;
}

/* ---- ends ---- */

static void conn_finish(struct redis_conn *conn, enum redis_end how, enum verdict verdict, const struct err *err)
{
	struct redis_exchange *exchange = conn->exchange;

	(void)uv_timer_stop(&conn->timer); /* can't fail */
	conn->exchange = NULL;
	exchange->how = how;
	exchange->is_cut = how == REDIS_LOST && conn->is_cut;
	exchange->verdict = verdict;
	exchange->n_replies = how == REDIS_NOT_SENT ? 0 : conn->n_got;
	exchange->latency_ns = uv_hrtime() - conn->begun_ns;
	if (err != NULL) {
		exchange->err = *err;
		err_prefix(&exchange->err, "redis %s: ", conn->target->endpoint);
	} else {
		err_clear(&exchange->err);
	}
	exchange->end(exchange);
}

/* Gives the link up, and with it the exchange that is on it. */
static void conn_fail(struct redis_conn *conn, enum verdict verdict, const struct err *err)
{
	bool was_sent = conn->state == REDIS_CONN_BUSY && redis_link_was_sent(conn->link);

	if (conn->link != NULL)
		redis_link_drop(conn->link);
	conn->link = NULL;
	conn->is_failing = false;
	if (conn->state != REDIS_CONN_DOWN)
		conn_move(conn, REDIS_CONN_DOWN);
	if (conn->exchange == NULL)
		return;
	if (was_sent)
		conn_finish(conn, REDIS_LOST, VERDICT_DOUBT, err);
	else
		conn_finish(conn, REDIS_NOT_SENT, verdict, err);
}

/* The same from the next turn of the loop: start() never ends an exchange itself. */
static void conn_fail_later(struct redis_conn *conn, enum verdict verdict, const struct err *err);

static void on_timer(uv_timer_t *timer)
{
	struct redis_conn *conn = container_of(timer, struct redis_conn, timer);
	struct err err = {0};

	if (conn->is_failing) {
		err = conn->failed_err;
		conn_fail(conn, conn->failed_verdict, &err);
		return;
	}
	if (conn->state == REDIS_CONN_RESOLVING)
		(void)err_set(&err, -ETIMEDOUT, "the look-up of its name took too long");
	else if (conn->state == REDIS_CONN_BUSY)
		(void)err_set(&err, -ETIMEDOUT, "no answer in time (%u of %u replies came)", conn->n_got,
			      conn->n_expected);
	else
		(void)err_set(&err, -ETIMEDOUT, "no connection in time%s",
			      conn->target->tls != NULL ? "; does it speak TLS on this port?" : "");
	conn_fail(conn, VERDICT_OUTAGE, &err);
}

static void conn_set_timer(struct redis_conn *conn, uint64_t ms)
{
	uv_update_time(conn->loop); /* the loop's clock stands still while a turn is long */
	MUST(uv_timer_start(&conn->timer, on_timer, ms, 0) == 0); /* fails without a callback only */
}

static void conn_fail_later(struct redis_conn *conn, enum verdict verdict, const struct err *err)
{
	conn->is_failing = true;
	conn->failed_verdict = verdict;
	conn->failed_err = *err;
	conn_set_timer(conn, 0);
}

static uint64_t ms_until(uint64_t deadline_ns)
{
	uint64_t now_ns = uv_hrtime();

	return deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 + 1 : 0;
}

/* ---- the exchange on an open link ---- */

static void conn_begin_exchange(struct redis_conn *conn)
{
	int n;

	conn_move(conn, REDIS_CONN_BUSY);
	redis_link_mark(conn->link);
	conn->n_got = 0;
	conn->begun_ns = uv_hrtime();
	conn_set_timer(conn, ms_until(conn->exchange->deadline_ns));
	n = conn->exchange->write(conn->exchange, conn->link);
	if (n <= 0) {
		struct err err = {0};
		(void)err_set(&err, n, "no memory for a request");
		conn_fail_later(conn, VERDICT_TRANSIENT, &err);
		return;
	}
	conn->n_expected = (uint32_t)n;
}

static void conn_on_reply(struct redis_conn *conn, const redisReply *reply)
{
	uint32_t index = conn->n_got++;

	conn->exchange->reply(conn->exchange, index, reply);
	if (conn->n_got < conn->n_expected)
		return;
	conn_move(conn, REDIS_CONN_IDLE);
	conn_finish(conn, REDIS_ANSWERED, VERDICT_OK, NULL);
}

/* ---- greeting ---- */

static int greet_with(struct redis_conn *conn, int argc, const char *a, const char *b, const char *c)
{
	/* no crash point: settings of a session, which ends with the connection */
	const char *argv[] = {a, b, c};
	size_t lens[] = {strlen(a), strlen(b), strlen(c)};

	conn->n_expected++;
	return redis_link_add(conn->link, argc, argv, lens);
}

/* PING always: the first answer then belongs to the greeting, also one like "max number of clients reached", and no
 * request is sent before the server has spoken. */
static int conn_greet(struct redis_conn *conn)
{
	const struct redis_target *target = conn->target;
	char db[12];
	int rc = 0;

	conn->n_expected = 0;
	conn->n_got = 0;
	if (target->password != NULL && target->user != NULL)
		rc = greet_with(conn, 3, "AUTH", target->user, target->password);
	else if (target->password != NULL)
		rc = greet_with(conn, 2, "AUTH", target->password, "");
	if (rc == 0 && target->db != 0) {
		(void)snprintf(db, sizeof(db), "%u", target->db); /* 10 digits fit */
		rc = greet_with(conn, 2, "SELECT", db, "");
	}
	return rc == 0 ? greet_with(conn, 1, "PING", "", "") : rc;
}

static void conn_on_greeting(struct redis_conn *conn, const redisReply *reply)
{
	struct err err = {0};
	enum redis_codec_hint hint;
	enum verdict verdict;

	conn->n_got++;
	if (reply->type == REDIS_REPLY_ERROR) {
		verdict = redis_codec_error((struct str){reply->str, reply->len}, &hint);
		if (verdict == VERDICT_PERMANENT) /* no document has been shown to it yet */
			verdict = VERDICT_MISCONFIGURED;
		(void)err_set(&err, -EACCES, "it refuses the connection: %.*s%s",
			      (int)(reply->len < ERR_TEXT_BYTES ? reply->len : ERR_TEXT_BYTES), reply->str,
			      verdict == VERDICT_MISCONFIGURED ? "; correct user, password, rights or database" : "");
		conn_fail(conn, verdict, &err);
		return;
	}
	if (reply->type != REDIS_REPLY_STATUS) {
		(void)err_set(&err, -EPROTO, "it doesn't answer as a Redis does; is this the right port?");
		conn_fail(conn, VERDICT_OUTAGE, &err);
		return;
	}
	if (conn->n_got == conn->n_expected)
		conn_begin_exchange(conn);
}

/* ---- the link's events ---- */

static void on_connected(void *owner)
{
	struct redis_conn *conn = owner;
	struct err err = {0};

	conn_move(conn, REDIS_CONN_GREETING);
	if (conn_greet(conn) == 0)
		return;
	(void)err_set(&err, -ENOMEM, "no memory for a request");
	conn_fail(conn, VERDICT_TRANSIENT, &err);
}

static void on_replied(void *owner, const redisReply *reply)
{
	struct redis_conn *conn = owner;
	struct err err = {0};

	/* A reply before a byte of the exchange went out is none of its, whatever it says; and one to commands of which
	 * some found no memory can't be counted off. */
	if (conn->state == REDIS_CONN_GREETING) {
		conn_on_greeting(conn, reply);
	} else if (conn->state == REDIS_CONN_BUSY && redis_link_was_sent(conn->link) && !conn->is_failing) {
		conn_on_reply(conn, reply);
	} else {
		(void)err_set(&err, -EPROTO, "an answer that nobody asked for");
		log_with(conn->log, LOG_WARN_LEVEL, LOG_STORE_FAILED, LOG_FIELDS({"store", str_of("redis")}),
			 "redis %s: %s; the connection is given up", conn->target->endpoint, err.text);
		conn_fail(conn, VERDICT_OUTAGE, &err);
	}
}

static void on_broken(void *owner, const struct err *err)
{
	struct redis_conn *conn = owner;

	conn->is_cut = true;
	conn_fail(conn, VERDICT_OUTAGE, err);
	conn->is_cut = false;
}

static const struct redis_link_events link_events = {
	.connected = on_connected,
	.replied = on_replied,
	.broken = on_broken,
};

/* ---- connecting ---- */

static void conn_connect(struct redis_conn *conn, const char *address)
{
	struct err err = {0};

	conn_move(conn, REDIS_CONN_CONNECTING);
	if (redis_link_open(conn->loop, address, conn->target->port, conn->target->path, conn->target->tls,
			    &link_events, conn, &conn->link, &err) != 0)
		conn_fail_later(conn, VERDICT_OUTAGE, &err);
}

static void conn_check_closed(struct redis_conn *conn)
{
	if (conn->is_closing && conn->is_timer_closed && !conn->resolve.is_busy)
		conn->closed(conn);
}

static void on_resolved(struct resolve *resolve, int rc, const char *address, const struct err *err)
{
	struct redis_conn *conn = container_of(resolve, struct redis_conn, resolve);

	if (conn->is_closing) {
		conn_check_closed(conn);
		return;
	}
	if (conn->state != REDIS_CONN_RESOLVING)
		return; /* the exchange that wanted it has timed out */
	if (rc != 0)
		conn_fail(conn, VERDICT_OUTAGE, err);
	else
		conn_connect(conn, address);
}

static void conn_resolve(struct redis_conn *conn)
{
	struct err err = {0};
	int rc;

	conn_move(conn, REDIS_CONN_RESOLVING);
	if (conn->resolve.is_busy)
		return; /* an earlier exchange's look-up still runs; its answer serves as well */
	rc = resolve_start(&conn->resolve, conn->loop, conn->target->host);
	if (rc == 0)
		return;
	(void)err_set(&err, rc, "its name can't be looked up: %s", strerror(-rc));
	conn_fail_later(conn, VERDICT_OUTAGE, &err);
}

/* ---- the calls ---- */

void redis_conn_init(struct redis_conn *conn, uv_loop_t *loop, const struct redis_target *target, struct log *log)
{
	*conn = (struct redis_conn){.loop = loop, .target = target, .log = log};
	conn->resolve.done = on_resolved;
	MUST(uv_timer_init(loop, &conn->timer) == 0); /* can't fail */
}

bool redis_conn_is_free(const struct redis_conn *conn)
{
	return conn->exchange == NULL && !conn->is_closing;
}

void redis_conn_start(struct redis_conn *conn, struct redis_exchange *exchange)
{
	uint64_t left_ms = ms_until(exchange->deadline_ns);
	uint64_t connect_ms = conn->target->connect_timeout_ms;

	MUST(redis_conn_is_free(conn));
	conn->exchange = exchange;
	conn->begun_ns = uv_hrtime();
	if (conn->state == REDIS_CONN_IDLE) {
		conn_begin_exchange(conn);
		return;
	}
	conn_set_timer(conn, left_ms < connect_ms ? left_ms : connect_ms);
	if (conn->target->path != NULL)
		conn_connect(conn, NULL);
	else
		conn_resolve(conn);
}

void redis_conn_drop(struct redis_conn *conn)
{
	MUST(conn->exchange == NULL);
	conn_fail(conn, VERDICT_OUTAGE, NULL);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct redis_conn *conn = container_of(handle, struct redis_conn, timer);

	conn->is_timer_closed = true;
	conn_check_closed(conn);
}

void redis_conn_close(struct redis_conn *conn, void (*closed)(struct redis_conn *conn))
{
	struct err err = {0};

	MUST(!conn->is_closing);
	conn->is_closing = true;
	conn->closed = closed;
	(void)err_set(&err, -ECANCELED, "sagad closes the connection");
	conn_fail(conn, VERDICT_OUTAGE, &err);
	resolve_cancel(&conn->resolve);
	uv_close((uv_handle_t *)&conn->timer, on_timer_closed);
}
