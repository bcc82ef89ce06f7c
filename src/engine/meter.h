/* What the engine counts and measures, for whoever watches it: totals since the start, durations as histograms, and the
 * last failures. Nothing in here decides anything.
 *
 * Times are those of the engine's turns: an answer that comes within a turn counts from the turn before. */
#ifndef SAGAD_ENGINE_METER_H
#define SAGAD_ENGINE_METER_H

#include "base/code.h"
#include "base/err.h"
#include "base/histogram.h"
#include "base/str.h"
#include "core/saga.h"
#include "port/clock.h"
#include "port/store.h"
#include "proto/outcome.h"

#include <stdint.h>

#define METER_FAILURES    20
#define METER_TEXT_BYTES  192 /* of a document id; cut at a character's border */
#define METER_STORE_BYTES 32
#define METER_VERDICTS    6
#define METER_TRUTH_STORE STORES_MAX /* PostgreSQL's place among the stores */
#define METER_STORES      (STORES_MAX + 1)
#define METER_OPERATIONS  4

/* Of PostgreSQL; a projection store has those of enum leg_op. */
enum meter_truth_op { METER_READ, METER_PIVOT, METER_SETTLE, METER_PAY };

/* How sagas were answered. */
enum meter_outcome {
	METER_COMMITTED,
	METER_DELETED,
	METER_UNCHANGED, /* the same content was there: nothing written */
	METER_ABSENT,    /* a delete of what wasn't there */
	METER_REPLAYED,  /* the idempotency key's stored answer */
	METER_REJECTED,  /* the request's own fault: conflict, key reused, refused by a store for its content */
	METER_FAILED,    /* everything else */
	METER_OUTCOMES
};

struct meter_store {
	struct histogram latency_ns[METER_OPERATIONS]; /* of requests, by operation */
	struct histogram batch;                        /* sagas in a request */
	uint64_t n_retries;
	uint32_t n_allowed; /* requests that may be out at once, of PostgreSQL transactions; 0: none has ended yet */
	uint64_t n_verdicts[METER_VERDICTS]; /* of writes, by enum verdict */
	uint64_t n_parked;                   /* now */
};

struct meter_failure {
	int64_t unix_ms;
	char document_id[METER_TEXT_BYTES];
	char store[METER_STORE_BYTES]; /* empty: none in particular */
	const char *code;              /* static */
	struct uuid saga;              /* of parked work */
	struct err reason;
};

struct meter {
	uint64_t n_outcomes[METER_OUTCOMES];
	uint64_t n_failures[CODE_COUNT]; /* REJECTED and FAILED, by code */
	uint64_t n_refusals[CODE_COUNT]; /* at admission */
	uint64_t n_compensations;        /* sagas that had to be taken back from a store */
	struct histogram saga_ns;        /* from admission to the answer */
	struct histogram state_ns[SAGA_STATES];
	struct meter_store stores[METER_STORES];
	struct meter_failure failures[METER_FAILURES]; /* a ring */
	uint64_t n_recorded;                           /* failures ever put in there; the next goes to n % size */
	struct meter_failure parked[METER_FAILURES];   /* what is parked now, the newest first, as many as fit */
	uint32_t n_parked_kept;
};

void meter_init(struct meter *meter);

/* Counts an answer. `document_id` is borrowed for the call. */
void meter_answer(struct meter *meter, const struct outcome *outcome, struct str document_id, uint64_t took_ns,
		  int64_t unix_ms);

/* Notes background work that was parked, and that it is done after all. */
void meter_parked(struct meter *meter, uint32_t store, const char *store_name, const struct uuid *saga,
		  struct str document_id, const struct err *reason, int64_t unix_ms);
void meter_unparked(struct meter *meter, uint32_t store, const char *store_name, const struct uuid *saga);

/* A request of n sagas' writes ended; 0: it was none of those whose batches matter. */
void meter_request(struct meter_store *store, uint32_t operation, uint32_t n_writes, uint64_t took_ns);

/* The i-th last failure, 0 the newest; NULL when there are fewer. */
const struct meter_failure *meter_failure(const struct meter *meter, uint32_t i);

/* "committed"; never NULL. */
const char *meter_outcome_name(enum meter_outcome outcome);

#endif
