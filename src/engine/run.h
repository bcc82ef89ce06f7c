/* One saga on its way: ties the state machine of src/core to locks, queues, timers and the journal.
 *
 * A run lives from its admission until its saga has ended and nothing that it sent is out any more. */
#ifndef SAGAD_ENGINE_RUN_H
#define SAGAD_ENGINE_RUN_H

#include "core/saga.h"
#include "engine/state.h"

struct accepted; /* accepted.h */
struct run;

/* A store's part: apply and publish use `send` one after the other, remove(R) has its own. */
struct run_leg {
	struct run *run;
	uint32_t store;
	struct send send;
	struct timer timer;
	struct send old;
	struct timer old_timer;
};

struct run {
	struct engine *engine;
	struct saga saga;
	struct engine_job *job;    /* NULL once it has its answer */
	struct document *document; /* NULL for a delete */
	struct accepted *accepted; /* whose attempt this is, and whose `document` is; NULL: a job of its own */
	size_t bytes;              /* counted in engine->bytes */
	struct str document_id;    /* in `texts` */
	struct str key;            /* in `texts`; absent: none */
	uint32_t cache_ttl_s;
	struct lock_wait lock; /* the document's; unused when an accepted job holds it over its attempts */
	struct lock_wait key_lock;
	struct timer deadline;
	uint64_t started_ns;            /* admitted; of an accepted job: this attempt began */
	uint64_t entered_ns;            /* its state */
	uint32_t suspected;             /* bit i: its content is a suspect at store i, as engine->suspects has it */
	uint64_t spent_ns[SAGA_STATES]; /* in each state, until it left it */
	struct timer truth_timer;
	uint32_t truth_op; /* what waits on it, an enum saga_action_kind */
	uint64_t turn;     /* its client's: turns.h */
	struct read_item read;
	struct pivot_item pivot;
	struct settle_item settle;
	bool is_recording; /* `settle` writes a refusal */
	struct debt debts[2 * STORES_MAX];
	struct journal_req intent;
	uint32_t n_out;       /* requests that will still call back */
	uint32_t clean;       /* bit i: remove(S) is due in store i, as soon as nothing is out */
	bool is_handing_over; /* what is due after the pivot becomes background work at the end */
	bool is_intent_open;  /* the journal has an intent that this run must close */
	struct list node;     /* in engine->runs or engine->answered */
	struct run_leg legs[STORES_MAX];
	char texts[];
};

/* Starts a saga for a job that has passed the bounds; the answer comes through job->done(). `accepted` is NULL, or the
 * accepted job whose attempt this is: it holds the document's lock, keeps the document, and has no deadline.
 * -ENOMEM, or -EBUSY when too many wait for the document's lock: nothing was taken. */
int run_start(struct engine *engine, struct engine_job *job, struct accepted *accepted) WARN_UNUSED;

/* An event for its saga, and everything that follows from it. */
void run_step(struct run *run, const struct saga_event *event);

/* Performs one action (run_act.c). */
void run_act(struct run *run, const struct saga_action *action);

/* Answers the job (answer.c). */
void run_answer(struct run *run);

/* Answers the job with an error that isn't the saga's: the engine halts. */
void run_answer_halted(struct run *run, enum code code, const struct err *err);

/* Gives up everything that waits and isn't out (run_act.c). */
void run_abandon(struct run *run);

/* Frees it, when it has ended and nothing is out; its background work starts then. */
void run_reap(struct run *run);

/* Its intent came back from the journal. */
void run_on_journaled(struct run *run, struct journal_req *req);

/* Tries now what waits for its next try at `store` (SAGA_TRUTH: at PostgreSQL). False: nothing does. */
bool run_try_now(struct run *run, uint32_t store);

/* For engine_destroy(). */
void run_free(struct run *run);

/* The run whose own lock this is; NULL when it is an accepted job's. */
struct run *run_of_lock(struct lock_wait *lock);

#endif
