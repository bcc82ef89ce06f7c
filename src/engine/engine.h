/* The engine: runs many document sagas at once over the ports, from admission to the answer and the work after it.
 *
 * It does no I/O and reads no clock: stores, PostgreSQL and the journal are reached through src/port/, time comes in
 * with engine_turn(). So the daemon and the simulator run the very same engine.
 *
 * How it is driven: adapters call done() of their requests whenever they like; that only notes the end. The owner calls
 * engine_turn() soon after (in the daemon: in each turn of the loop) and at engine_next_ns() at the latest; everything
 * happens in there, so no callback ever re-enters the engine. One thread. */
#ifndef SAGAD_ENGINE_ENGINE_H
#define SAGAD_ENGINE_ENGINE_H

#include "base/backoff.h"
#include "base/err.h"
#include "base/log.h"
#include "port/clock.h"
#include "port/journal.h"
#include "port/store.h"
#include "port/truth.h"
#include "proto/outcome.h"
#include "proto/request.h"
#include "proto/work.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct meter; /* meter.h */

struct engine_config {
	uint32_t max_sagas;            /* running and waiting for their lock; beyond: overloaded */
	size_t max_bytes;              /* of their documents in memory */
	uint32_t max_waiting;          /* for one document's lock */
	uint32_t max_errands;          /* background work in memory; beyond: overloaded */
	uint64_t deadline_ms;          /* of a put that names none */
	uint64_t max_deadline_ms;      /* a longer one is cut to it */
	uint64_t store_timeout_ms;     /* of one request to a store */
	uint64_t truth_timeout_ms;     /* of one request to PostgreSQL */
	uint32_t max_tries;            /* of one operation of a saga at one store */
	struct backoff retry;          /* between them */
	struct backoff background;     /* between tries of background work */
	uint64_t late_write_window_ms; /* after an abort the removal is repeated this much later; at least the longest
					  timeout */
	uint64_t park_after_ms;    /* background work that fails for so long is parked: counted, logged, rarely tried */
	uint64_t parked_retry_ms;  /* how rarely */
	uint64_t keep_outcomes_ms; /* ledger rows older than this are deleted */
	uint32_t cache_ttl_s;      /* of a put that names none */
	uint64_t slow_saga_ms;     /* one that takes longer is logged with its story; 0: none is */
	bool log_successes;        /* at level info instead of debug */
	struct document_limits limits; /* for accepted jobs, which are parsed again after a restart */
};

struct engine_config engine_config_default(void);

/* One put or delete. Embed it; all pointers must stay valid until done(). */
struct engine_job {
	bool is_delete;
	bool is_step; /* of a client's own saga, which goes on while the engine drains: it is taken then, too */
	struct document *document;  /* PUT: taken by engine_submit(), whatever becomes of it. DELETE: NULL */
	struct str document_id;     /* borrowed until done() */
	struct put_options options; /* texts borrowed until done() */
	struct str params_json;     /* WAIT_ACCEPTED: what the journal keeps; borrowed until done() */
	uint64_t *client_turn;      /* a place of the client's, zero at first, that the engine counts its jobs in, so
				       that one who floods holds up none of the others; borrowed for engine_submit().
				       NULL: nobody's */
	/* Exactly once for each submit, from engine_turn(); `outcome` is borrowed for the call. */
	void (*done)(struct engine_job *job, const struct outcome *outcome);
	uint64_t turn; /* the engine's; so is the next */
	struct list node;
};

/* saga.resolve. Embed it. */
struct engine_resolution {
	struct work_order order; /* texts borrowed until done() */
	uint32_t uid;            /* of the operator's process */
	/* Out: */
	enum code code;
	struct err err;
	uint32_t n_resolved; /* pieces of work */
	bool is_pending;     /* a job whose attempt is under way: it ends with it, unless that succeeds */
	uint32_t n_out;      /* the engine's */
	/* Exactly once, from engine_turn(), unless the engine is destroyed first. */
	void (*done)(struct engine_resolution *resolution);
	struct list node; /* the engine's */
};

/* document.status, and what saga.get asks others than the engine. Embed it. */
struct engine_query {
	struct str document_id; /* absent when has_job or has_saga; borrowed until done() */
	bool has_job;
	struct uuid job;
	bool has_saga; /* what the ledger knows of it */
	struct uuid saga;
	/* Out: */
	enum code code; /* CODE_NONE: the struct that fits is filled in */
	struct err err;
	struct document_status status;
	struct job_status job_status;
	struct ledger_row ledger;
	/* Exactly once, from engine_turn(). */
	void (*done)(struct engine_query *query);
	struct list node; /* the engine's */
};

enum engine_phase {
	ENGINE_CLAIMING, /* waits for PostgreSQL to become the owner; jobs wait for the first try, then they are refused
			  */
	ENGINE_RECOVERING, /* is the owner; reads the ledger, loads debts */
	ENGINE_RUNNING,
	ENGINE_DRAINING, /* no new jobs; what runs is finished */
	ENGINE_HALTED    /* must stop at once, removing nothing: see engine_halt_reason() */
};

struct engine_stats {
	enum engine_phase phase;
	uint64_t epoch;
	uint32_t dims;           /* of every embedding, by PostgreSQL's schema; 0: any, or not known yet */
	uint64_t n_by_state[16]; /* sagas now, by enum saga_state */
	uint64_t n_sagas;
	uint64_t bytes;
	uint64_t n_errands; /* background work: removals, publishes, debts */
	uint64_t n_parked;
	uint64_t n_jobs_accepted;                                         /* waiting in the journal */
	uint64_t n_committed, n_unchanged, n_failed, n_refused, n_stored; /* answers since start */
	uint64_t n_retries;
	uint64_t n_waiting[STORES_MAX]; /* writes that wait for a request, by store */
	uint64_t n_owed[STORES_MAX];    /* background work, by store */
	uint64_t n_requests[STORES_MAX];
	uint64_t n_writes[STORES_MAX];
	uint64_t n_pivots, n_pivot_requests;
	const char *blocked; /* why admission has stopped; NULL: it hasn't */
};

/* Makes an engine over these ports, which stay the caller's and must outlive it. `seed` feeds jitter and ids.
 * 0, or -ENOMEM. */
int engine_create(const struct engine_config *config, struct truth *truth, struct journal *journal,
		  struct store *const *stores, uint32_t n_stores, struct log *log, uint64_t seed,
		  struct engine **out_engine) WARN_UNUSED;

/* Loads the journal and begins to claim ownership. From the next engine_turn() on. 0, or the journal's error. */
int engine_start(struct engine *engine, bool take_over, const struct moment *now, struct err *err) WARN_UNUSED;

/* Admits a job or refuses it; the answer comes through done(), never from inside this call. */
void engine_submit(struct engine *engine, struct engine_job *job);

/* Answers document.status through query->done(); from the engine itself, PostgreSQL or the journal. */
void engine_ask(struct engine *engine, struct engine_query *query);

/* Declares parked work, or an accepted job, settled: resolution.h. */
void engine_resolve(struct engine *engine, struct engine_resolution *resolution);

/* Other limits, times and tries, for what is admitted, sent or tried again from now on. */
void engine_reconfigure(struct engine *engine, const struct engine_config *config);

/* What the start waits for may have come (the schema was made): try again now instead of after the backoff. */
void engine_nudge(struct engine *engine);

/* Does everything that can be done at this moment. */
void engine_turn(struct engine *engine, const struct moment *now);

/* When engine_turn() must be called again if nothing else happens; NEVER_NS: never. mono_ns of struct moment. */
uint64_t engine_next_ns(const struct engine *engine);

/* No new jobs from now on; those that run end as usual. */
void engine_drain(struct engine *engine);

/* Drained: no saga runs and no job waits for its answer. Background work may be left; the journal and PostgreSQL have
 * it. */
bool engine_is_drained(const struct engine *engine);

/* When the phase is ENGINE_HALTED: why. */
const struct err *engine_halt_reason(const struct engine *engine);

void engine_stats(const struct engine *engine, struct engine_stats *out_stats);

/* Durations, batches, failures; lives as long as the engine. */
const struct meter *engine_meter(const struct engine *engine);

/* Frees the engine. Every port must have been closed before: no request may be out. Jobs that had no answer get none.
 */
void engine_destroy(struct engine *engine);

#endif
