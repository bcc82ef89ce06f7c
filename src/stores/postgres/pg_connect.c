/* Making a connection: name, address, TCP and TLS and authentication, then the session's settings and a look at the
 * catalog, all within one time limit. */
#include "pg_conn.h"

#include "pg_catalog.h"
#include "pg_value.h"

#include "base/must.h"
#include "loop/watch_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The poll on one descriptor. It outlives its connection by a turn of the loop: libuv needs it until it is closed. */
struct pg_watch {
	uv_poll_t poll;
	struct pg_conn *conn;
};

static const char sql_settings[] =
	"SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false), "
	"set_config('idle_in_transaction_session_timeout', $3, false), "
	/* `off` acknowledges what a crash may take back; anything stronger than `on` is the operator's choice. */
	"set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
	"ELSE current_setting('synchronous_commit') END, false), "
	"current_setting('fsync') = 'off'";
static const char sql_transaction_timeout[] = "SELECT set_config('transaction_timeout', $1, false)";
static const char sql_search_path[] = "SELECT set_config('search_path', $1, false)";

#define GREETING_SETTINGS       0      /* the place of sql_settings in the greeting */
#define GREETING_FSYNC          4      /* its column */
#define HAS_TRANSACTION_TIMEOUT 170000 /* PQserverVersion() */
#define PG_OPTIONS_MAX          20

/* Keywords and values for PQconnectStartParams(). */
struct pg_options {
	const char *keys[PG_OPTIONS_MAX + 1];
	const char *values[PG_OPTIONS_MAX + 1];
	uint32_t n;
};

static void pg_connect_on_timer(uv_timer_t *timer);
static void pg_connect_on_poll(uv_poll_t *poll, int status, int events);

/* ---- handles ---- */

static void pg_connect_handle_closed(struct pg_conn *conn)
{
	MUST(conn->n_handles > 0);
	conn->n_handles--;
	if (conn->state == PG_CONN_CLOSED && conn->n_handles == 0)
		conn->events->closed(conn);
}

static void pg_connect_on_watch_closed(uv_handle_t *handle)
{
	struct pg_watch *watch = container_of(handle, struct pg_watch, poll);
	struct pg_conn *conn = watch->conn;

	free(watch);
	pg_connect_handle_closed(conn);
}

static void pg_connect_on_timer_closed(uv_handle_t *handle)
{
	pg_connect_handle_closed(container_of(handle, struct pg_conn, timer));
}

void pg_conn_unwatch(struct pg_conn *conn)
{
	struct pg_watch *watch = conn->watch;

	if (watch == NULL)
		return;
	conn->watch = NULL;
	conn->poll_events = 0;
	(void)uv_poll_stop(&watch->poll); /* always 0: libuv's documentation */
	uv_close((uv_handle_t *)&watch->poll, pg_connect_on_watch_closed);
}

static int pg_connect_make_watch(struct pg_conn *conn)
{
	struct pg_watch *made = calloc(1, sizeof(*made));
	int rc;

	if (made == NULL)
		return UV_ENOMEM;
	made->conn = conn;
	rc = uv_poll_init(conn->shared->loop, &made->poll, PQsocket(conn->pq));
	if (rc != 0) {
		free(made); /* a handle that was not initialised has nothing to close */
		return rc;
	}
	conn->n_handles++;
	conn->watch = made;
	return 0;
}

int pg_conn_watch(struct pg_conn *conn, int poll_events)
{
	int rc = conn->watch == NULL ? pg_connect_make_watch(conn) : 0;

	if (rc == 0 && poll_events == conn->poll_events)
		return 0; /* starting a poll again costs two system calls */
	if (rc == 0)
		rc = uv_poll_start(&conn->watch->poll, poll_events, pg_connect_on_poll);
	if (rc == 0)
		conn->poll_events = poll_events;
	return rc;
}

void pg_conn_later(struct pg_conn *conn, uint64_t wait_ms)
{
	/* It fails only for a closing handle or without a callback. */
	MUST(uv_timer_start(&conn->timer, pg_connect_on_timer, wait_ms, 0) == 0);
}

void pg_conn_close_timer(struct pg_conn *conn)
{
	uv_close((uv_handle_t *)&conn->timer, pg_connect_on_timer_closed);
}

/* ---- messages ---- */

void pg_conn_message(const PGconn *pq, struct err *out_err)
{
	const char *text = pq != NULL ? PQerrorMessage(pq) : "out of memory";
	/* In verbose messages the line of the server's source comes last; it helps nobody here. */
	const char *end = strstr(text, "\nLOCATION:");
	size_t n = end != NULL ? (size_t)(end - text) : strlen(text);
	char line[ERR_TEXT_BYTES];

	while (n > 0 && text[n - 1] == '\n')
		n--;
	pg_value_text((struct str){text, n}, line, sizeof(line));
	for (char *at = line; *at != '\0'; at++)
		if (*at == '\n' || *at == '\t')
			*at = ' ';
	(void)err_set(out_err, 0, "%s", line);
}

static void pg_connect_add_hint(struct err *why)
{
	struct err told = *why;

	(void)err_set(why, 0, "%.300s; check user, password and database in the configuration", told.text);
}

static void pg_connect_refused(struct pg_conn *conn)
{
	char sqlstate[PG_SQLSTATE_BYTES];
	enum verdict verdict = VERDICT_OUTAGE;
	struct err why;

	if (conn->pq != NULL && pg_sqlstate_find(PQerrorMessage(conn->pq), sqlstate) &&
	    pg_sqlstate_verdict(sqlstate) == VERDICT_MISCONFIGURED)
		verdict = VERDICT_MISCONFIGURED;
	pg_conn_message(conn->pq, &why);
	if (verdict == VERDICT_MISCONFIGURED)
		pg_connect_add_hint(&why);
	pg_conn_lose(conn, verdict, why.text);
}

/* ---- the greeting ---- */

static void pg_connect_on_result(struct pg_exchange *exchange, uint32_t nth, const PGresult *result)
{
	struct pg_conn *conn = container_of(exchange, struct pg_conn, greeting);

	if (nth == GREETING_SETTINGS && PQntuples(result) == 1)
		conn->shared->is_unsafe = pg_value_bool(pg_catalog_value(result, 0, GREETING_FSYNC));
	/* The look at the catalog is the only one with three columns, and the last. */
	if (PQnfields(result) == 3)
		pg_catalog_read_embedding(result, &conn->shared->embedding);
}

static void pg_connect_note_server(struct pg_conn *conn)
{
	struct pg_shared *shared = conn->shared;
	const char *version = PQparameterStatus(conn->pq, "server_version");

	if (shared->server[0] != '\0')
		return;
	pg_value_text(str_of(version != NULL ? version : "unknown"), shared->server, sizeof(shared->server));
	log_info(shared->log, "postgres: connected to %s, port %u, server version %s; embeddings are %s",
		 shared->config->host, shared->config->port, shared->server,
		 !shared->embedding.is_known   ? "not there yet (sagactl init makes the tables)"
		 : shared->embedding.is_vector ? "pgvector's vector"
					       : "real[], without pgvector");
	if (shared->is_unsafe)
		log_warn(shared->log,
			 "postgres: the server runs with fsync = off: after a crash of its machine committed "
			 "documents may be missing or damaged; set fsync = on");
}

static void pg_connect_on_greeted(struct pg_exchange *exchange, const struct pg_end *end)
{
	struct pg_conn *conn = container_of(exchange, struct pg_conn, greeting);
	struct err why;

	if (conn->state != PG_CONN_GREETING)
		return; /* lost: pg_conn_lose() has seen to it */
	if (end->kind == PG_END_ERROR) {
		(void)err_set(&why, 0, "the session's settings were refused: %.300s", end->err.text);
		pg_conn_lose(conn, end->verdict == VERDICT_MISCONFIGURED ? end->verdict : VERDICT_OUTAGE, why.text);
		return;
	}
	(void)uv_timer_stop(&conn->timer); /* never fails */
	conn->tries = 0;
	conn->ready_ms = uv_now(conn->shared->loop);
	err_clear(&conn->last_error);
	conn->last_verdict = VERDICT_OK;
	pg_connect_note_server(conn);
	pg_conn_move(conn, PG_CONN_IDLE);
	conn->events->ready(conn);
}

static void pg_connect_add_ms(struct pg_params *params, uint32_t ms)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%ums", ms); /* 12 characters at most */
	pg_params_add_text(params, str_of(text));
}

static void pg_connect_greet(struct pg_conn *conn)
{
	/* no crash point: settings of a session, which ends with the connection */
	const struct pg_config *config = conn->shared->config;
	struct pg_script script;
	struct pg_params *params;

	conn->n_settings = conn->shared->n_settings;
	pg_script_init(&script);
	params = pg_script_add(&script, sql_settings);
	pg_connect_add_ms(params, config->statement_timeout_ms);
	pg_connect_add_ms(params, config->lock_timeout_ms);
	pg_connect_add_ms(params, config->idle_in_transaction_timeout_ms);
	if (PQserverVersion(conn->pq) >= HAS_TRANSACTION_TIMEOUT)
		pg_connect_add_ms(pg_script_add(&script, sql_transaction_timeout), config->transaction_timeout_ms);
	if (config->search_path != NULL)
		pg_params_add_text(pg_script_add(&script, sql_search_path), str_of(config->search_path));
	(void)pg_script_add(&script, pg_catalog_sql_embedding);
	conn->greeting = (struct pg_exchange){pg_connect_on_result, pg_connect_on_greeted};
	if (pg_script_check(&script) == 0)
		pg_conn_run(conn, &conn->greeting, &script);
	else
		pg_conn_lose(conn, VERDICT_OUTAGE, "out of memory");
	pg_script_fini(&script);
}

/* ---- the connection ---- */

static void pg_connect_on_notice(void *arg, const char *message)
{
	const struct pg_shared *shared = arg;

	log_debug(shared->log, "postgres: %.*s", (int)strcspn(message, "\n"), message);
}

static void pg_connect_established(struct pg_conn *conn)
{
	(void)PQsetErrorVerbosity(conn->pq, PQERRORS_DEFAULT); /* returns the one before */
	if (PQsetnonblocking(conn->pq, 1) != 0 || PQenterPipelineMode(conn->pq) != 1) {
		pg_connect_refused(conn);
		return;
	}
	pg_conn_move(conn, PG_CONN_GREETING);
	pg_connect_greet(conn);
}

static void pg_connect_step(struct pg_conn *conn)
{
	PostgresPollingStatusType status;

	/* libpq may close its socket in here and open another under the same number. */
	pg_conn_unwatch(conn);
	status = PQconnectPoll(conn->pq);
	if (status == PGRES_POLLING_OK)
		pg_connect_established(conn);
	else if (status != PGRES_POLLING_READING && status != PGRES_POLLING_WRITING)
		pg_connect_refused(conn);
	else if (pg_conn_watch(conn, status == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE) != 0)
		pg_conn_lose(conn, VERDICT_OUTAGE, "its socket can't be watched");
}

static void pg_connect_on_poll(uv_poll_t *poll, int status, int events)
{
	struct pg_conn *conn = container_of(poll, struct pg_watch, poll)->conn;

	(void)events; /* libpq finds out by itself what can be done */
	if (conn->state == PG_CONN_CONNECTING)
		pg_connect_step(conn);
	else if (status < 0)
		pg_conn_lose(conn, VERDICT_OUTAGE, uv_strerror(watch_error(PQsocket(conn->pq), status)));
	else
		pg_conn_pump(conn);
}

static void pg_connect_option(struct pg_options *options, const char *key, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	MUST(options->n < PG_OPTIONS_MAX);
	options->keys[options->n] = key;
	options->values[options->n++] = value;
}

static void pg_connect_options(const struct pg_conn *conn, const char *port, struct pg_options *options)
{
	const struct pg_config *config = conn->shared->config;

	pg_connect_option(options, "host", config->host);
	pg_connect_option(options, "hostaddr", conn->address);
	pg_connect_option(options, "port", port);
	pg_connect_option(options, "user", config->user);
	pg_connect_option(options, "password", config->password);
	pg_connect_option(options, "dbname", config->dbname);
	pg_connect_option(options, "application_name", conn->name);
	pg_connect_option(options, "client_encoding", "UTF8");
	pg_connect_option(options, "sslmode", config->sslmode);
	pg_connect_option(options, "sslrootcert", config->sslrootcert);
	pg_connect_option(options, "sslcert", config->sslcert);
	pg_connect_option(options, "sslkey", config->sslkey);
	pg_connect_option(options, "sslcrl", config->sslcrl);
	pg_connect_option(options, "gssencmode", "disable"); /* Kerberos libraries look names up and block */
	pg_connect_option(options, "keepalives_idle", "30");
	pg_connect_option(options, "keepalives_interval", "10");
	pg_connect_option(options, "keepalives_count", "3");
}

static void pg_connect_start(struct pg_conn *conn)
{
	struct pg_options options = {.n = 0};
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", conn->shared->config->port); /* 5 digits */
	(void)snprintf(conn->name, sizeof(conn->name), "%s:%s:%u", conn->shared->config->application_prefix,
		       conn->shared->instance, ++conn->shared->n_names); /* postgres_create() bounds the prefix */
	pg_connect_options(conn, port, &options);
	pg_conn_move(conn, PG_CONN_CONNECTING);
	conn->pq = PQconnectStartParams(options.keys, options.values, 0);
	if (conn->pq == NULL || PQstatus(conn->pq) == CONNECTION_BAD) {
		pg_connect_refused(conn);
		return;
	}
	/* Verbose messages carry the SQLSTATE of a refusal, which libpq shows nowhere else. */
	(void)PQsetErrorVerbosity(conn->pq, PQERRORS_VERBOSE);
	(void)PQsetNoticeProcessor(conn->pq, pg_connect_on_notice, conn->shared);
	if (pg_conn_watch(conn, UV_WRITABLE) != 0)
		pg_conn_lose(conn, VERDICT_OUTAGE, "its socket can't be watched");
}

static void pg_connect_on_resolved(struct resolve *resolve, int rc, const char *address, const struct err *err)
{
	struct pg_conn *conn = container_of(resolve, struct pg_conn, resolve);

	if (conn->state == PG_CONN_RESOLVING && rc == 0) {
		pg_value_text(str_of(address), conn->address, sizeof(conn->address));
		pg_connect_start(conn);
	} else if (conn->state == PG_CONN_RESOLVING) {
		pg_conn_lose(conn, VERDICT_OUTAGE, err->text);
	}
	pg_connect_handle_closed(conn);
}

static void pg_connect_resolve(struct pg_conn *conn)
{
	int rc;

	pg_conn_move(conn, PG_CONN_RESOLVING);
	if (conn->resolve.is_busy) { /* a worker still hangs in the look-up before */
		pg_conn_lose(conn, VERDICT_OUTAGE, "the name service doesn't answer");
		return;
	}
	conn->resolve.done = pg_connect_on_resolved;
	rc = resolve_start(&conn->resolve, conn->shared->loop, conn->shared->config->host);
	if (rc != 0)
		pg_conn_lose(conn, VERDICT_OUTAGE, strerror(-rc));
	else
		conn->n_handles++;
}

/* The next try. */
static void pg_connect_try(struct pg_conn *conn)
{
	pg_conn_later(conn, conn->shared->config->connect_timeout_ms);
	conn->address[0] = '\0';
	if (conn->shared->config->host[0] == '/')
		pg_connect_start(conn);
	else
		pg_connect_resolve(conn);
}

static void pg_connect_timed_out(struct pg_conn *conn)
{
	struct err why;

	(void)err_set(&why, 0, "no connection to %.200s, port %u, within %u ms", conn->shared->config->host,
		      conn->shared->config->port, conn->shared->config->connect_timeout_ms);
	pg_conn_lose(conn, VERDICT_OUTAGE, why.text);
}

static void pg_connect_on_timer(uv_timer_t *timer)
{
	struct pg_conn *conn = container_of(timer, struct pg_conn, timer);

	switch (conn->state) {
	case PG_CONN_DOWN:
		pg_connect_try(conn);
		return;
	case PG_CONN_RESOLVING:
	case PG_CONN_CONNECTING:
		pg_connect_timed_out(conn);
		return;
	case PG_CONN_GREETING:
		if (conn->is_broken)
			pg_conn_pump(conn);
		else
			pg_connect_timed_out(conn);
		return;
	case PG_CONN_BUSY:
		pg_conn_pump(conn); /* libpq did not take the script: see pg_conn_run() */
		return;
	case PG_CONN_IDLE:
	case PG_CONN_CLOSED:
		return;
	}
}

void pg_conn_init(struct pg_conn *conn, struct pg_shared *shared, const struct pg_conn_events *events)
{
	*conn = (struct pg_conn){.state = PG_CONN_DOWN, .shared = shared, .events = events};
	MUST(uv_timer_init(shared->loop, &conn->timer) == 0); /* always 0 */
	conn->n_handles = 1;
	pg_conn_later(conn, 0);
}
