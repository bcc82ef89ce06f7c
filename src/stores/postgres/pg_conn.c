/* Exchanges on one connection. A COMMAND_OK in a pipeline promises nothing until the sync has come, so an exchange ends
 * with its PIPELINE_SYNC or with the connection; libpq never sends the one after the other is lost. */
#include "pg_conn.h"

#include "pg_received.h"

#include "base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TO(state) (1u << (state))

/* How often a socket is read at most before its connection is handed out: a server that goes away leaves one message
 * and the end of the stream. */
#define PG_LOOKS_MAX 8

static const unsigned may[] = {
	[PG_CONN_DOWN] = TO(PG_CONN_RESOLVING) | TO(PG_CONN_CONNECTING) | TO(PG_CONN_DOWN) | TO(PG_CONN_CLOSED),
	[PG_CONN_RESOLVING] = TO(PG_CONN_CONNECTING) | TO(PG_CONN_DOWN) | TO(PG_CONN_CLOSED),
	[PG_CONN_CONNECTING] = TO(PG_CONN_GREETING) | TO(PG_CONN_DOWN) | TO(PG_CONN_CLOSED),
	[PG_CONN_GREETING] = TO(PG_CONN_IDLE) | TO(PG_CONN_DOWN) | TO(PG_CONN_CLOSED),
	[PG_CONN_IDLE] = TO(PG_CONN_BUSY) | TO(PG_CONN_DOWN) | TO(PG_CONN_CLOSED),
	[PG_CONN_BUSY] = TO(PG_CONN_IDLE) | TO(PG_CONN_DOWN) | TO(PG_CONN_CLOSED),
	[PG_CONN_CLOSED] = 0,
};

void pg_conn_move(struct pg_conn *conn, enum pg_conn_state to)
{
	MUST((may[conn->state] & TO(to)) != 0);
	conn->state = to;
}

static void pg_conn_finish(struct pg_conn *conn)
{
	struct pg_exchange *exchange = conn->exchange;
	struct pg_end end = conn->end;

	conn->exchange = NULL;
	exchange->ended(exchange, &end);
}

static void pg_conn_roll_back(struct pg_conn *conn)
{
	/* no crash point: without it the server rolls back when the connection ends */
	conn->is_rolling_back = true;
	conn->n_seen = 0;
	conn->n_expected = 1;
	if (PQsendQueryParams(conn->pq, "ROLLBACK", 0, NULL, NULL, NULL, NULL, 1) != 1 || PQpipelineSync(conn->pq) != 1)
		conn->is_broken = true; /* the pump drops the connection; the server rolls back by itself */
}

/* More results than statements, a sync before the last of them, a COPY: libpq hands them on (a COPY again and again,
 * for ever), but no PostgreSQL does that. What the server has done is unknown, and so is what it will say next. */
static void pg_conn_breach(struct pg_conn *conn)
{
	conn->is_fatal = true; /* also after an ERROR: nothing of this server is to be believed */
	pg_conn_lose(conn, VERDICT_OUTAGE,
		     "the server's answers don't belong to what was asked; is a PostgreSQL listening there?");
}

static void pg_conn_synced(struct pg_conn *conn)
{
	if (conn->n_seen != conn->n_expected) {
		pg_conn_breach(conn);
		return;
	}
	if (conn->is_fatal) {
		pg_conn_lose(conn, VERDICT_OUTAGE, conn->end.err.text);
		return;
	}
	if (conn->end.kind == PG_END_ERROR && conn->is_transaction && !conn->is_rolling_back) {
		pg_conn_roll_back(conn);
		return;
	}
	pg_conn_finish(conn);
}

/* An error that ends the session, or one that a pooler makes up between us and the server (class 08), says nothing
 * about what a COMMIT further down the pipeline did: PgBouncer may have forwarded it. An ERROR of the server's own
 * does: it skips everything up to the sync. */
bool pg_conn_is_fatal(const PGresult *result, const char *sqlstate)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return sqlstate == NULL || severity == NULL || strcmp(severity, "ERROR") != 0 ||
	       strncmp(sqlstate, "08", 2) == 0 || strcmp(sqlstate, "40003") == 0;
}

static void pg_conn_note_error(struct pg_conn *conn, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (conn->end.kind != PG_END_OK || conn->is_rolling_back)
		return; /* the first one is the cause */
	conn->is_fatal = pg_conn_is_fatal(result, sqlstate);
	conn->end.kind = PG_END_ERROR;
	conn->end.statement = conn->n_seen;
	conn->end.verdict = pg_sqlstate_verdict(sqlstate);
	if (sqlstate != NULL)
		memcpy(conn->end.sqlstate, sqlstate, strnlen(sqlstate, PG_SQLSTATE_BYTES - 1));
	if (text == NULL)
		pg_conn_message(conn->pq, &conn->end.err);
	else
		(void)err_set(&conn->end.err, 0, "%s (SQLSTATE %s)", text, sqlstate != NULL ? sqlstate : "unknown");
}

static bool pg_conn_is_good(ExecStatusType status)
{
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool pg_conn_is_copy(ExecStatusType status)
{
	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* An error may come behind the last result: the sync commits what runs without BEGIN, and that can fail. */
static bool pg_conn_is_breach(const struct pg_conn *conn, ExecStatusType status)
{
	if (pg_conn_is_copy(status))
		return true;
	return conn->n_seen == conn->n_expected && pg_conn_is_good(status);
}

static void pg_conn_hand_on(struct pg_conn *conn, const PGresult *result)
{
	enum pg_taken taken = PG_TAKEN_BREACH;

	if (!pg_conn_is_copy(PQresultStatus(result)))
		taken = conn->exchange->take(conn->exchange, result);
	if (taken == PG_TAKEN_BREACH)
		pg_conn_breach(conn);
	else if (taken == PG_TAKEN_LAST)
		pg_conn_finish(conn);
}

static void pg_conn_result(struct pg_conn *conn, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (conn->exchange->take != NULL) {
		pg_conn_hand_on(conn, result);
		return;
	}
	if (status == PGRES_PIPELINE_SYNC) {
		pg_conn_synced(conn);
		return;
	}
	if (pg_conn_is_breach(conn, status)) {
		pg_conn_breach(conn);
		return;
	}
	if (!pg_conn_is_good(status) && status != PGRES_PIPELINE_ABORTED)
		pg_conn_note_error(conn, result);
	else if (pg_conn_is_good(status) && !conn->is_rolling_back && conn->exchange->result != NULL)
		conn->exchange->result(conn->exchange, conn->n_seen, result);
	if (conn->n_seen < conn->n_expected)
		conn->n_seen++;
}

static void pg_conn_read(struct pg_conn *conn)
{
	/* What came before the end of the stream is still answered: libpq keeps it. */
	while (conn->pq != NULL && conn->exchange != NULL && !PQisBusy(conn->pq)) {
		PGresult *result = PQgetResult(conn->pq);

		if (result == NULL) {
			if (PQstatus(conn->pq) == CONNECTION_BAD)
				return;
			continue; /* the end of one statement's results */
		}
		pg_conn_result(conn, result);
		PQclear(result);
	}
}

static void pg_conn_flush(struct pg_conn *conn)
{
	/* 1: the socket is full. The server may be waiting for us to read, so both directions stay open. */
	int wanted = UV_READABLE | (PQflush(conn->pq) == 1 ? UV_WRITABLE : 0);

	if (wanted != conn->poll_events && pg_conn_watch(conn, wanted) != 0)
		pg_conn_lose(conn, VERDICT_OUTAGE, "its socket can't be watched");
}

static void pg_conn_lose_by_peer(struct pg_conn *conn)
{
	struct err why;

	pg_conn_message(conn->pq, &why);
	/* Backends that go because another one has crashed say so first (57P02); an error of libpq's has no code. */
	conn->end.is_cut = conn->end.sqlstate[0] == '\0' && !conn->is_broken;
	pg_conn_lose(conn, VERDICT_OUTAGE, why.text[0] != '\0' ? why.text : "the server closed the connection");
}

/* libpq keeps a result of any size. It doubles its buffer as it goes, so that it may have twice of what is counted. */
static bool pg_conn_is_flooded(const struct pg_conn *conn)
{
	uint64_t max_bytes = conn->exchange != NULL ? conn->exchange->max_bytes : 0;

	return max_bytes != 0 && pg_received_bytes(PQsocket(conn->pq)) - conn->n_bytes_before > max_bytes;
}

void pg_conn_pump(struct pg_conn *conn)
{
	if (pg_conn_is_flooded(conn)) {
		pg_conn_lose(conn, VERDICT_OUTAGE, "an answer is longer than the limit");
		return;
	}
	(void)PQconsumeInput(conn->pq); /* a failure shows in PQstatus(), after what could still be read */
	pg_conn_read(conn);
	if (conn->pq == NULL)
		return;
	if (PQstatus(conn->pq) == CONNECTION_BAD || conn->is_broken)
		pg_conn_lose_by_peer(conn);
	else
		pg_conn_flush(conn);
}

/* An idle connection's socket says at once whether the server is still there; the poll would say so one turn later. */
static bool pg_conn_is_alive(struct pg_conn *conn)
{
	for (unsigned i = 0; i < PG_LOOKS_MAX; i++) {
		char byte;
		ssize_t n = recv(PQsocket(conn->pq), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0 || PQconsumeInput(conn->pq) != 1 || PQstatus(conn->pq) == CONNECTION_BAD)
			return false;
	}
	return true;
}

bool pg_conn_take(struct pg_conn *conn)
{
	MUST(conn->state == PG_CONN_IDLE);
	if (!pg_conn_is_alive(conn)) {
		pg_conn_lose_by_peer(conn);
		return false;
	}
	if (conn->n_settings != conn->shared->n_settings) {
		pg_conn_lose(conn, VERDICT_OUTAGE, "it is made again with other time limits");
		return false;
	}
	pg_conn_move(conn, PG_CONN_BUSY);
	return true;
}

void pg_conn_release(struct pg_conn *conn)
{
	MUST(conn->exchange == NULL);
	pg_conn_move(conn, PG_CONN_IDLE);
}

static bool pg_conn_send(struct pg_conn *conn, const struct pg_statement *statement)
{
	/* no crash point: the jobs have theirs */
	const struct pg_params *params = &statement->params;
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];
	Oid types[PG_PARAMS_MAX];

	for (uint32_t i = 0; i < params->n; i++) {
		struct str value = pg_params_value(params, i);

		values[i] = value.at;
		lengths[i] = (int)value.len; /* pg_params_check() bounds it */
		formats[i] = 1;
		types[i] = params->oids[i];
	}
	/* The unnamed statement: PgBouncer needs to know nothing of it. */
	return PQsendQueryParams(conn->pq, statement->sql, (int)params->n, types, values, lengths, formats, 1) == 1;
}

static void pg_conn_begin(struct pg_conn *conn, struct pg_exchange *exchange, const struct pg_script *script)
{
	conn->exchange = exchange;
	conn->n_seen = 0;
	conn->n_expected = script->n;
	conn->is_handed = false;
	conn->is_broken = false;
	conn->is_rolling_back = false;
	conn->is_fatal = false;
	conn->is_transaction = strncmp(script->statements[0].sql, "BEGIN", 5) == 0;
	conn->end = (struct pg_end){.kind = PG_END_OK, .verdict = VERDICT_OK};
}

/* All is with libpq, or not all of it. */
static void pg_conn_handed(struct pg_conn *conn)
{
	int rc;

	conn->is_handed = !conn->is_broken;
	rc = conn->is_broken ? -1 : PQflush(conn->pq);
	if (rc >= 0 && PQstatus(conn->pq) != CONNECTION_BAD &&
	    pg_conn_watch(conn, UV_READABLE | (rc == 1 ? UV_WRITABLE : 0)) == 0)
		return;
	conn->is_broken = true;
	pg_conn_later(conn, 0); /* ended() never comes from inside this call */
}

void pg_conn_run(struct pg_conn *conn, struct pg_exchange *exchange, const struct pg_script *script)
{
	MUST((conn->state == PG_CONN_BUSY || conn->state == PG_CONN_GREETING) && conn->exchange == NULL);
	MUST(script->n > 0);
	pg_conn_begin(conn, exchange, script);
	for (uint32_t i = 0; i < script->n && !conn->is_broken; i++)
		conn->is_broken = !pg_conn_send(conn, &script->statements[i]);
	if (!conn->is_broken)
		conn->is_broken = PQpipelineSync(conn->pq) != 1;
	pg_conn_handed(conn);
}

void pg_conn_run_own(struct pg_conn *conn, struct pg_exchange *exchange)
{
	/* no crash point: the jobs have theirs */
	MUST(conn->state == PG_CONN_BUSY && conn->exchange == NULL);
	conn->exchange = exchange;
	conn->is_rolling_back = false;
	conn->is_fatal = false;
	conn->n_bytes_before = exchange->max_bytes != 0 ? pg_received_bytes(PQsocket(conn->pq)) : 0;
	conn->end = (struct pg_end){.kind = PG_END_OK, .verdict = VERDICT_OK};
	conn->is_broken = !exchange->send(exchange, conn->pq);
	pg_conn_handed(conn);
}

/* The lost exchange's end: an ERROR of the server's own stays one, nothing after it was run. */
static void pg_conn_end_lost(struct pg_conn *conn, const char *why)
{
	if (conn->end.kind == PG_END_ERROR && !conn->is_fatal) {
		pg_conn_finish(conn);
		return;
	}
	conn->end.kind = PG_END_LOST;
	conn->end.verdict = conn->is_handed ? VERDICT_DOUBT : VERDICT_OUTAGE;
	(void)err_set(&conn->end.err, 0, "%s", why);
	pg_conn_finish(conn);
}

static void pg_conn_disconnect(struct pg_conn *conn)
{
	pg_conn_unwatch(conn); /* before libpq closes the descriptor: libuv would watch whatever gets its number next */
	PQfinish(conn->pq);
	conn->pq = NULL;
	(void)uv_timer_stop(&conn->timer); /* never fails */
	resolve_cancel(&conn->resolve);
}

/* How long until the next try. A connection that worked and was lost is made again at once, unless it was lost as soon
 * as it was made: a server that throws everybody out must not be hammered. */
static uint64_t pg_conn_wait_ms(struct pg_conn *conn)
{
	const struct backoff *backoff = &conn->shared->config->backoff;
	bool was_ready = conn->state == PG_CONN_IDLE || conn->state == PG_CONN_BUSY;

	if (was_ready) {
		conn->tries = 0;
		if ((uv_now(conn->shared->loop) - conn->ready_ms) * 1000000u >= backoff->base_ns)
			return 0;
		return backoff_wait_ns(backoff, 1, conn->shared->rng) / 1000000u;
	}
	conn->tries++;
	return backoff_wait_ns(backoff, conn->tries, conn->shared->rng) / 1000000u;
}

void pg_conn_lose(struct pg_conn *conn, enum verdict verdict, const char *why)
{
	uint64_t wait_ms = pg_conn_wait_ms(conn);
	struct err kept;

	(void)err_set(&kept, 0, "%s", why); /* `why` may be libpq's, or the exchange's own */
	conn->last_verdict = verdict;
	conn->last_error = kept;
	pg_conn_disconnect(conn);
	pg_conn_move(conn, PG_CONN_DOWN);
	log_with(conn->shared->log, LOG_WARN_LEVEL, LOG_STORE_FAILED, LOG_FIELDS({"store", str_of("postgresql")}),
		 "postgres: connection %s is down: %s; next try in %llu ms", conn->name, kept.text,
		 (unsigned long long)wait_ms);
	pg_conn_later(conn, wait_ms);
	if (conn->exchange != NULL)
		pg_conn_end_lost(conn, kept.text);
	if (conn->state != PG_CONN_CLOSED)
		conn->events->down(conn);
}

void pg_conn_drop(struct pg_conn *conn, const char *why)
{
	MUST(conn->state == PG_CONN_BUSY);
	pg_conn_lose(conn, VERDICT_OUTAGE, why);
}

bool pg_conn_is_hopeful(const struct pg_conn *conn)
{
	return conn->state == PG_CONN_IDLE || conn->state == PG_CONN_BUSY ||
	       (conn->state != PG_CONN_CLOSED && conn->tries == 0);
}

void pg_conn_close(struct pg_conn *conn)
{
	if (conn->state == PG_CONN_CLOSED)
		return;
	pg_conn_disconnect(conn);
	pg_conn_move(conn, PG_CONN_CLOSED);
	pg_conn_close_timer(conn);
	if (conn->exchange != NULL)
		pg_conn_end_lost(conn, "the daemon is closing");
}
