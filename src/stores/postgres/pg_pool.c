#include "pg_pool.h"

#include "pg.h"

#include "base/must.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_IN_MS 1000000u

/* A job's place is taken until finish() has returned, and done() inside it may submit the next request. */
#define PG_POOL_SPARE_JOBS 2

static void pg_pool_on_ready(struct pg_conn *conn);
static void pg_pool_on_down(struct pg_conn *conn);
static void pg_pool_on_conn_closed(struct pg_conn *conn);

/* A connection and the pool that owns it. */
struct pg_pool_conn {
	struct pg_conn conn;
	struct pg_pool *pool;
};

static const struct pg_conn_events pool_events = {pg_pool_on_ready, pg_pool_on_down, pg_pool_on_conn_closed};

static struct pg_pool *pg_pool_of(struct pg_conn *conn)
{
	return container_of(conn, struct pg_pool_conn, conn)->pool;
}

/* ---- jobs: waiting, running, ending ---- */

static void pg_job_on_result(struct pg_exchange *exchange, uint32_t nth, const PGresult *result)
{
	struct pg_job *job = container_of(exchange, struct pg_job, exchange);

	if (job->ops->result != NULL)
		job->ops->result(job, nth, result);
}

static void pg_job_on_ended(struct pg_exchange *exchange, const struct pg_end *end)
{
	struct pg_job *job = container_of(exchange, struct pg_job, exchange);

	job->pool->was_tried = true;
	job->pool->latency_ns = uv_hrtime() - job->sent_ns;
	/* An ERROR of the server's own stays one when the connection dies behind it. */
	if (job->conn->state != PG_CONN_BUSY)
		job->conn = NULL;
	if (end->kind == PG_END_LOST) {
		job->pool->last_error = end->err;
	} else {
		err_clear(
			&job->pool->last_error); /* the server answers; what it says of a document is the document's */
	}
	job->ops->ended(job, end);
}

void pg_job_doom(struct pg_job *job, enum verdict verdict, const char *fmt, ...)
{
	va_list args;
	char text[ERR_TEXT_BYTES];

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut when too long */
	va_end(args);
	job->is_doomed = true;
	job->doom = verdict;
	(void)err_set(&job->doom_err, 0, "%s", text);
	pg_job_pause(job, 0);
}

/* The first waiting jobs get the connections that are free. */
static void pg_pool_serve(struct pg_pool *pool)
{
	for (uint32_t i = 0; i < pool->n_conns && !list_is_empty(&pool->waiting) && !pool->is_closing; i++) {
		struct pg_conn *conn = &pool->conns[i].conn;
		struct pg_job *job;

		if (conn->state != PG_CONN_IDLE || !pg_conn_take(conn))
			continue;
		job = container_of(pool->waiting.next, struct pg_job, node);
		list_remove(&job->node);
		list_append(&pool->running, &job->node);
		job->conn = conn;
		job->is_doomed = false;           /* help came before the turn that would have ended it */
		(void)uv_timer_stop(&job->pause); /* never fails */
		memcpy(job->backend, conn->name, sizeof(job->backend));
		job->ops->start(job);
	}
}

static bool pg_pool_is_hopeful(const struct pg_pool *pool)
{
	for (uint32_t i = 0; i < pool->n_conns; i++)
		if (pg_conn_is_hopeful(&pool->conns[i].conn))
			return true;
	return false;
}

/* Ends, in the next turn, what waits for connections that nobody can expect before long. */
static void pg_pool_despair(struct pg_pool *pool)
{
	const struct pg_conn *conn = &pool->conns[0].conn;
	struct list *it, *tmp;

	if (pool->is_closing || pg_pool_is_hopeful(pool))
		return;
	for (uint32_t i = 1; i < pool->n_conns && conn->last_verdict == VERDICT_OK; i++)
		conn = &pool->conns[i].conn;
	list_each (it, tmp, &pool->waiting) {
		struct pg_job *job = container_of(it, struct pg_job, node);

		if (!job->is_doomed)
			pg_job_doom(job, conn->last_verdict == VERDICT_OK ? VERDICT_OUTAGE : conn->last_verdict,
				    "postgres at %.100s, port %u: %.220s", pool->shared->config->host,
				    pool->shared->config->port, conn->last_error.text);
	}
}

void pg_job_end(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct pg_pool *pool = job->pool;
	struct pg_conn *conn = job->conn;

	(void)uv_timer_stop(&job->deadline); /* never fails; nor does the next */
	(void)uv_timer_stop(&job->pause);
	job->conn = NULL;
	if (conn != NULL)
		pg_conn_release(conn);
	job->ops->finish(job, verdict, err);
	free(job->scratch);
	job->scratch = NULL;
	list_remove(&job->node);
	list_append(&pool->free, &job->node);
	pg_pool_serve(pool);
}

static void pg_job_on_deadline(uv_timer_t *timer)
{
	struct pg_job *job = container_of(timer, struct pg_job, deadline);
	char why[96];
	struct err err;

	(void)snprintf(why, sizeof(why), "no answer within %llu ms", (unsigned long long)job->timeout_ms); /* fits */
	if (job->conn != NULL && job->conn->exchange == &job->exchange) {
		pg_conn_drop(job->conn, why); /* ended() ends the job */
		return;
	}
	(void)err_set(&err, 0, "postgres at %s, port %u: %s", job->pool->shared->config->host,
		      job->pool->shared->config->port, why);
	pg_job_end(job, job->conn != NULL ? VERDICT_TRANSIENT : VERDICT_OUTAGE, &err);
}

static void pg_job_on_pause(uv_timer_t *timer)
{
	struct pg_job *job = container_of(timer, struct pg_job, pause);

	if (!job->is_doomed) {
		job->ops->resume(job);
		return;
	}
	pg_job_end(job, job->doom, &job->doom_err);
}

void pg_job_pause(struct pg_job *job, uint64_t wait_ms)
{
	MUST(uv_timer_start(&job->pause, pg_job_on_pause, wait_ms, 0) == 0); /* fails for a closed timer only */
}

void pg_job_run(struct pg_job *job, struct pg_script *script)
{
	/* no crash point: the jobs have theirs */
	int rc = pg_script_check(script);

	if (rc == -EMSGSIZE)
		pg_job_doom(job, VERDICT_PERMANENT,
			    "postgres takes no value over 512 MB; the batch or document is larger");
	else if (rc != 0)
		pg_job_doom(job, VERDICT_TRANSIENT,
			    "postgres: out of memory while a request was built; try again later");
	if (rc == 0) {
		job->exchange = (struct pg_exchange){pg_job_on_result, pg_job_on_ended};
		job->sent_ns = uv_hrtime();
		pg_conn_run(job->conn, &job->exchange, script);
	}
	pg_script_fini(script);
}

void pg_job_submit(struct pg_pool *pool, const struct pg_job_ops *ops, union pg_request req, uint64_t timeout_ns)
{
	struct list *node = list_take_first(&pool->free);
	struct pg_job *job;

	MUST(node != NULL && !pool->is_closing);
	job = container_of(node, struct pg_job, node);
	job->ops = ops;
	job->req = req;
	job->conn = NULL;
	job->backend[0] = '\0';
	job->is_doomed = false;
	job->step = 0;
	job->n_found = 0;
	job->timeout_ms = timeout_ns / NS_IN_MS;
	list_append(&pool->waiting, &job->node);
	MUST(uv_timer_start(&job->deadline, pg_job_on_deadline, job->timeout_ms, 0) == 0); /* as in pg_job_pause() */
	pg_pool_serve(pool);
	pg_pool_despair(pool);
}

/* ---- what connections tell ---- */

static void pg_pool_on_ready(struct pg_conn *conn)
{
	pg_pool_of(conn)->was_tried = true;
	err_clear(&pg_pool_of(conn)->last_error);
	pg_pool_serve(pg_pool_of(conn));
}

static void pg_pool_on_down(struct pg_conn *conn)
{
	struct pg_pool *pool = pg_pool_of(conn);
	struct list *it, *tmp;

	pool->was_tried = true;
	pool->pg->truth.n_lost++;
	pool->last_error = conn->last_error;
	list_each (it, tmp, &pool->running) {
		struct pg_job *job = container_of(it, struct pg_job, node);

		/* It was lost between two exchanges of this job. */
		if (job->conn == conn) {
			job->conn = NULL;
			pg_job_doom(job, VERDICT_OUTAGE, "postgres: %.300s", conn->last_error.text);
		}
	}
	pg_pool_despair(pool);
}

/* ---- the pool ---- */

static void pg_pool_part_closed(struct pg_pool *pool)
{
	MUST(pool->n_open > 0);
	if (--pool->n_open == 0)
		pool->closed(pool);
}

static void pg_pool_on_conn_closed(struct pg_conn *conn)
{
	pg_pool_part_closed(pg_pool_of(conn));
}

static void pg_pool_on_deadline_closed(uv_handle_t *handle)
{
	pg_pool_part_closed(container_of(handle, struct pg_job, deadline)->pool);
}

static void pg_pool_on_pause_closed(uv_handle_t *handle)
{
	pg_pool_part_closed(container_of(handle, struct pg_job, pause)->pool);
}

static void pg_pool_init_job(struct pg_pool *pool, struct pg_job *job)
{
	job->pool = pool;
	MUST(uv_timer_init(pool->shared->loop, &job->deadline) == 0); /* always 0, both */
	MUST(uv_timer_init(pool->shared->loop, &job->pause) == 0);
	pool->n_open += 2;
	list_append(&pool->free, &job->node);
}

int pg_pool_alloc(struct pg_pool *pool, struct pg *pg, struct pg_shared *shared, uint32_t n_conns, uint32_t n_jobs)
{
	*pool = (struct pg_pool){.pg = pg, .shared = shared, .n_conns = n_conns};
	list_init(&pool->free);
	list_init(&pool->waiting);
	list_init(&pool->running);
	pool->n_jobs = n_jobs + PG_POOL_SPARE_JOBS;
	pool->conns = calloc(n_conns, sizeof(*pool->conns));
	pool->jobs = calloc(pool->n_jobs, sizeof(*pool->jobs));
	return pool->conns != NULL && pool->jobs != NULL ? 0 : -ENOMEM;
}

void pg_pool_start(struct pg_pool *pool)
{
	for (uint32_t i = 0; i < pool->n_jobs; i++)
		pg_pool_init_job(pool, &pool->jobs[i]);
	for (uint32_t i = 0; i < pool->n_conns; i++) {
		pool->conns[i].pool = pool;
		pg_conn_init(&pool->conns[i].conn, pool->shared, &pool_events);
	}
	pool->n_open += pool->n_conns;
}

void pg_pool_fini(struct pg_pool *pool)
{
	free(pool->conns);
	free(pool->jobs);
	pool->conns = NULL;
	pool->jobs = NULL;
}

/* Ends the jobs that no exchange ends: those that wait and those that pause. */
static void pg_pool_end_jobs(struct list *jobs, enum verdict verdict)
{
	struct err err;

	(void)err_set(&err, 0, "postgres: the daemon is closing");
	while (!list_is_empty(jobs)) {
		struct pg_job *job = container_of(jobs->next, struct pg_job, node);

		job->conn = NULL; /* closed as well */
		pg_job_end(job, verdict, &err);
	}
}

void pg_pool_close(struct pg_pool *pool, void (*closed)(struct pg_pool *pool))
{
	pool->is_closing = true;
	pool->closed = closed;
	pg_pool_end_jobs(&pool->waiting, VERDICT_OUTAGE);
	for (uint32_t i = 0; i < pool->n_conns; i++)
		pg_conn_close(&pool->conns[i].conn);
	pg_pool_end_jobs(&pool->running, VERDICT_DOUBT);
	for (uint32_t i = 0; i < pool->n_jobs; i++) {
		uv_close((uv_handle_t *)&pool->jobs[i].deadline, pg_pool_on_deadline_closed);
		uv_close((uv_handle_t *)&pool->jobs[i].pause, pg_pool_on_pause_closed);
	}
}

uint32_t pg_pool_n_up(const struct pg_pool *pool)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->n_conns; i++)
		n += pool->conns[i].conn.state == PG_CONN_IDLE || pool->conns[i].conn.state == PG_CONN_BUSY ? 1 : 0;
	return n;
}
