/* A pool of connections and the requests that run on them.
 *
 * Every request of the port becomes a job: it gets a connection, runs one exchange or several, one after the other, and
 * ends exactly once, never from inside its submit. A job waits for a connection only while one can be expected; there
 * is no other queue. */
#ifndef SAGAD_STORES_POSTGRES_PG_POOL_H
#define SAGAD_STORES_POSTGRES_PG_POOL_H

#include "pg_conn.h"

#include "base/list.h"

struct pg;
struct pg_job;
struct pg_pool_conn;

/* What a job answers with; how far it got is in the job. */
struct pg_job_ops {
	/* A connection is there: builds the job's first script. Runs at most once. */
	void (*start)(struct pg_job *job);
	/* A statement's good result. May be NULL. */
	void (*result)(struct pg_job *job, uint32_t nth, const PGresult *result);
	/* An exchange has ended: the next one with pg_job_run() or pg_job_pause(), or pg_job_end(). */
	void (*ended)(struct pg_job *job, const struct pg_end *end);
	/* After pg_job_pause(). May be NULL. */
	void (*resume)(struct pg_job *job);
	/* The last call: fills in the request's out fields and calls its done(). */
	void (*finish)(struct pg_job *job, enum verdict verdict, const struct err *err);
};

union pg_request {
	struct truth_read_req *read;
	struct truth_pivot_req *pivot;
	struct truth_settle_req *settle;
	struct truth_pay_req *pay;
	struct truth_debts_req *debts;
	struct truth_claim_req *claim;
	struct store_init_req *init;
};

struct pg_job {
	struct list node;     /* in the pool's free, waiting or running list */
	struct pg_pool *pool; /* borrowed */
	const struct pg_job_ops *ops;
	union pg_request req;
	struct pg_conn *conn; /* taken; NULL while it waits, and after a loss */
	struct pg_exchange exchange;
	uv_timer_t deadline;
	uv_timer_t pause; /* between two exchanges, and for an end that must come later */
	uint64_t timeout_ms;
	uint64_t sent_ns;            /* uv_hrtime() of the present exchange's start */
	char backend[PG_NAME_BYTES]; /* name of the connection it ran on last */
	bool is_doomed;              /* ends in the next turn of the loop, with the next two */
	enum verdict doom;
	struct err doom_err;
	uint32_t step; /* the kind's own: which of its exchanges runs, so is the next */
	uint32_t n_found;
	struct pg_pivot_plan plan;
	void *scratch; /* the kind's own, freed with free() before finish() returns */
};

struct pg_pool {
	struct pg *pg; /* borrowed */
	struct pg_shared *shared;
	struct pg_pool_conn *conns; /* owned; so are the jobs */
	uint32_t n_conns;
	struct pg_job *jobs;
	uint32_t n_jobs;
	uint32_t n_open; /* handles and connections that closing waits for */
	bool is_closing;
	struct list free;
	struct list waiting;
	struct list running;
	struct err last_error; /* of the exchange or the connection that failed last; empty after a success */
	bool was_tried;
	uint64_t latency_ns; /* of the last exchange */
	void (*closed)(struct pg_pool *pool);
};

/* Memory for n_conns connections and n_jobs jobs. `shared` is kept until closed(). 0, or -ENOMEM: then pg_pool_fini().
 */
int pg_pool_alloc(struct pg_pool *pool, struct pg *pg, struct pg_shared *shared, uint32_t n_conns,
		  uint32_t n_jobs) WARN_UNUSED;

/* Lets the connections connect. From here on only pg_pool_close() ends it. */
void pg_pool_start(struct pg_pool *pool);

/* Ends all jobs, closes all connections; then closed(). Not to be called from inside a job's callback. */
void pg_pool_close(struct pg_pool *pool, void (*closed)(struct pg_pool *pool));

/* Frees the memory: after closed(), or of a pool that was not started; zeroes are fine. */
void pg_pool_fini(struct pg_pool *pool);

/* Connections that are idle or busy. */
uint32_t pg_pool_n_up(const struct pg_pool *pool);

/* Takes a place for a request and starts it when a connection is free. More requests than n_jobs are a bug of the
 * caller: port/truth.h bounds them. */
void pg_job_submit(struct pg_pool *pool, const struct pg_job_ops *ops, union pg_request req, uint64_t timeout_ns);

/* Sends a script on the job's connection; takes the script's content. For a script that found no memory, or a value
 * too large, the job ends. */
void pg_job_run(struct pg_job *job, struct pg_script *script);

/* Calls ops->resume() in wait_ms. */
void pg_job_pause(struct pg_job *job, uint64_t wait_ms);

/* Ends the job in the next turn of the loop: from start(), where finish() must not come at once. */
void pg_job_doom(struct pg_job *job, enum verdict verdict, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Ends the job now: gives the connection back, then finish(). `err` is borrowed. */
void pg_job_end(struct pg_job *job, enum verdict verdict, const struct err *err);

#endif
