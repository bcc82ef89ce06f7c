/* What pg_steps.c (connections, flights, time limits) and pg_steps_call.c (one call's statements and answers) share.
 * Nobody else includes it. */
#ifndef SAGAD_STORES_POSTGRES_PG_STEPS_INTERNAL_H
#define SAGAD_STORES_POSTGRES_PG_STEPS_INTERNAL_H

#include "pg.h"
#include "pg_steps.h"
#include "pg_steps_codec.h"

#include "stores/step/step_turn.h"

/* What a call sends in a flight.
 *
 *     do:   DO --> done                                   undo:  UNDO --> done
 *              \-> (the barrier has a row) LOOK --> done            \-> (no done row) BLOCK --> done
 *     a do whose result is kept:  OPEN --> KEEP --> done                                    \-> (one meanwhile) UNDO
 *                                    \-> (an error) ROLL_BACK --> done, or LOOK
 */
enum pg_step_phase {
	PG_STEP_DO,        /* the barrier's row, then the client's statements */
	PG_STEP_OPEN,      /* the same, and the transaction stays open */
	PG_STEP_KEEP,      /* the result into the barrier's row */
	PG_STEP_ROLL_BACK, /* the open transaction, after an error in it */
	PG_STEP_LOOK,      /* what the barrier's row says */
	PG_STEP_UNDO,      /* the row from done to undone, then the client's statements */
	PG_STEP_BLOCK      /* a row that keeps the do out */
};

/* A call while it is out. */
struct pg_step {
	struct list node; /* free, waiting, or in a flight */
	struct pg_steps *owner;
	struct call *call;
	struct pg_steps_body body;
	enum pg_step_phase phase;
	uint64_t deadline_ns;
	char saga[UUID_TEXT_BYTES];
	char step[STEP_NAME_BYTES];
	/* Of the present flight. */
	bool is_begun;       /* libpq was given some of it */
	bool is_block;       /* BEGIN and COMMIT around it, not the pipeline's own transaction */
	uint32_t n_expected; /* results before the first sync */
	uint32_t n_seen;
	uint32_t n_syncs; /* that have come; two with is_block, but for OPEN */
	bool has_failed;
	bool is_fatal;      /* nobody knows what was done */
	uint32_t failed_at; /* which statement, from 0 */
	char sqlstate[PG_SQLSTATE_BYTES];
	struct err err;
	char state[16];          /* of the barrier's row: LOOK, BLOCK */
	bool is_inserted;        /* BLOCK: the row is ours */
	yyjson_mut_doc *results; /* owned: an array of {"rows", "count"} */
	size_t n_result_bytes;   /* of values in it, roughly */
	struct buf kept_json;    /* LOOK: the barrier's result; KEEP: ours */
};

struct pg_steps_conn {
	struct pg_conn conn;
	struct pg_exchange exchange;
	struct pg_steps *owner;
	struct list flight; /* pg_step.node, in the order of their sending */
	bool is_dirty;      /* not to be used for another flight */
};

struct pg_steps {
	struct target target;
	struct pg_config config;
	char *texts[PG_TEXTS];
	struct rng rng;
	struct pg_shared shared;
	struct pg_steps_conn *conns;
	uint32_t n_conns;
	uint32_t pipeline;
	size_t max_result_bytes;
	struct pg_step *steps; /* target.max_calls and some more */
	struct list free;
	struct list waiting; /* in the order of their coming; what goes on with a second flight stands in front */
	struct step_turn turn;
	uv_timer_t deadline; /* the earliest of what is out */
	uint64_t deadline_ns;
	bool was_tried;
	struct err last_error;
	uint64_t latency_ns;
	bool is_closing;
	uint32_t n_open; /* handles and connections that closing waits for */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* pg_steps_call.c */

/* Reads the call; false: it is decided. */
bool pg_step_open(struct pg_step *step) WARN_UNUSED;

/* Must it be alone on its connection until it ends? */
bool pg_step_is_alone(const struct pg_step *step);

/* Queues the phase's statements and syncs. False: libpq did not take all. */
bool pg_step_send(struct pg_step *step, PGconn *pq) WARN_UNUSED;

/* A result, errors included, but for syncs. False: no PostgreSQL says this here. */
bool pg_step_take(struct pg_step *step, const PGresult *result) WARN_UNUSED;

/* A sync. True: the flight of this phase is over. */
bool pg_step_synced(struct pg_step *step) WARN_UNUSED;

/* After that: true: the call is decided. False: the next phase is set. */
bool pg_step_judge(struct pg_step *step) WARN_UNUSED;

/* It gets no answer any more. `verdict` is that of a call that has certainly changed nothing. */
void pg_step_lost(struct pg_step *step, enum verdict verdict, const char *why);

void pg_step_close(struct pg_step *step);

#endif
