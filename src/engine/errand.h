/* Background work: what is owed to a store after a pivot or an abort, tried with backoff until it is done.
 *
 * An errand holds no lock: it names a saga that is dead or committed, and the operations of different sagas commute.
 * Each is also in the journal (an open intent) or in PostgreSQL (a debt), so losing one in memory is made good at the
 * next start. */
#ifndef SAGAD_ENGINE_ERRAND_H
#define SAGAD_ENGINE_ERRAND_H

#include "engine/state.h"

enum errand_kind {
	ERRAND_ABORT,   /* remove(S) now and once more after the late-write window, then close the intent */
	ERRAND_PUBLISH, /* publish(S), then close the intent */
	ERRAND_DEBT     /* pay debts of one operation and saga; a young version is removed once more, like an abort's */
};

struct errand_chore {
	struct errand *errand;
	struct send send;
	struct timer timer;
	uint32_t tries;
	uint64_t failing_since_ns;
	bool is_parked;
	bool is_settled; /* an operator said so: however its request ends, it is done */
};

struct errand {
	struct engine *engine;
	enum errand_kind kind;
	enum leg_op op;
	struct uuid saga;
	struct str document_id; /* in `texts` of the allocation */
	uint32_t n_chunks;
	uint32_t cache_ttl_s;
	uint32_t stores; /* bit i: store i takes part */
	uint32_t due;    /* bit i: not done yet in this round */
	uint32_t owed;   /* bit i: a debt's row must be deleted when store i is done */
	uint32_t round;
	int64_t committed_unix_ms; /* when `saga` was committed, by PostgreSQL's clock; 0: not known */
	bool closes_intent;        /* of `saga` */
	int64_t since_unix_ms;     /* when it became due; after a restart by the id of the saga that left it */
	uint32_t number;           /* among this engine's, from 1 */
	struct timer round_timer;
	struct list node;
	struct errand_chore chores[]; /* n_stores of them, then the text of document_id */
};

struct errand_order {
	enum errand_kind kind;
	enum leg_op op;
	struct uuid saga;
	struct str document_id;
	uint32_t n_chunks;
	uint32_t stores;
	uint32_t owed;
	int64_t committed_unix_ms; /* DEBT of a removal: when that version was committed; 0: not known */
	bool closes_intent;
	int64_t since_unix_ms; /* 0: now */
	bool is_second_round;  /* ABORT, recovered, of a delete: it applied nothing, so nothing of it can come late */
	bool is_removed;       /* DEBT: the first removal has been; only the one after the late-write window is left */
};

/* Starts it. Out of memory: logs that the work waits in the journal or in PostgreSQL for the next start. */
void errand_start(struct engine *engine, const struct errand_order *order);

/* "publish", "remove". */
const char *errand_op_name(enum leg_op op);

/* Tries one store's part now. False: it is not waiting for its next try. */
bool errand_retry(struct errand *errand, uint32_t store);

/* Gives a parked part up, as if it were done. May free the errand. */
void errand_settle(struct errand *errand, uint32_t store);

/* The stores, out of `stores`, where a copy of this version's apply may still arrive and stay: those without fences,
 * while the version is young. committed_unix_ms as in the order. */
uint32_t errand_exposed_stores(const struct engine *engine, const struct uuid *version, int64_t committed_unix_ms,
			       uint32_t stores);

/* For engine_destroy(). */
void errand_free(struct errand *errand);

#endif
