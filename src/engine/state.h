/* The engine's own struct, for the files of this folder only. */
#ifndef SAGAD_ENGINE_STATE_H
#define SAGAD_ENGINE_STATE_H

#include "engine/desk.h"
#include "engine/engine.h"
#include "engine/flow_state.h"
#include "engine/locks.h"
#include "engine/meter.h"
#include "engine/sender.h"
#include "engine/suspects.h"
#include "engine/timers.h"
#include "engine/turns.h"

struct recovery; /* recover.c */

/* The backoff that all background work of a store shares. */
struct errand_hold {
	uint64_t until_ns; /* nothing is sent before; 0: the store is well */
	uint32_t tries;
};

struct engine {
	struct engine_config config;
	struct truth *truth;
	struct journal *journal;
	struct log *log;
	uint32_t n_stores;
	struct sender senders[STORES_MAX];
	struct desk desk;
	struct timers timers;
	struct locks documents;
	struct locks keys;
	struct rng rng;
	struct moment now;
	struct uuid last_id;
	enum engine_phase phase;
	struct err halt;
	bool take_over;
	/* Inboxes: what came since the last turn. */
	struct list submitted; /* engine_job.node */
	struct list asked;     /* engine_query.node */
	struct list resolving; /* engine_resolution.node: asked for, not looked at yet */
	struct list resolved;  /* what is on its way to the journal: resolution.c */
	struct list asks;      /* questions that are out: query.c */
	struct list journaled; /* journal_req.node of requests that ended */
	struct list looked_up; /* journal_lookup_req.node */
	struct list runs;      /* struct run */
	struct list errands;   /* struct errand */
	struct list accepted;  /* struct accepted */
	struct list answered;  /* runs that ended and can be freed */
	uint32_t n_sagas;
	uint64_t n_by_state[16]; /* runs, by enum saga_state */
	size_t bytes;
	struct suspects suspects;
	struct errand_hold holds[STORES_MAX];
	uint32_t n_errands;
	uint32_t last_errand; /* the number of the last one */
	uint32_t n_parked;
	uint32_t n_accepted;
	uint64_t n_committed, n_unchanged, n_failed, n_refused, n_stored, n_retries;
	uint64_t n_owed[STORES_MAX];
	struct turns turns;
	struct meter meter;
	uint64_t epoch;
	uint32_t dims; /* of every embedding, by PostgreSQL's schema; 0: any, or not known yet */
	struct recovery *recovery;
	struct truth_pay_req prune;
	bool is_prune_out, has_prune_ended;
	struct timer prune_timer;
	struct flows flows;
};

/* Stops everything: nothing is sent any more, each job is told what can be said of it. */
void engine_halt(struct engine *engine, enum code code, const struct err *err);

/* A saga id greater than any made before. */
struct uuid engine_new_id(struct engine *engine);

/* ... and greater than `floor`, whatever the clock does. */
struct uuid engine_new_id_above(struct engine *engine, const struct uuid *floor);

/* When an id was made, Unix time in milliseconds. */
uint64_t engine_ms_of(const struct uuid *id);

uint64_t engine_after_ms(const struct engine *engine, uint64_t ms);

/* Why nothing new can be taken in this phase; CODE_NONE: it can. */
enum code engine_phase_refusal(const struct engine *engine, const char **out_text);

/* A note to the journal that nobody waits for. */
void engine_journal_note(struct engine *engine, enum journal_op op, const struct uuid *saga);

/* Has `verdict` of an ended journal request stopped the engine? */
bool engine_journal_failed(struct engine *engine, const struct journal_req *req);

/* A store's name for people; SAGA_TRUTH is PostgreSQL. NULL: there is no such store. */
const char *engine_store_name(const struct engine *engine, uint32_t store);

#endif
