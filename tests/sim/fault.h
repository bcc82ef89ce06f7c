/* The kinds of fault, a different mix of them for each seed, and the count of how often each was met, and in which
 * states sagas were at the time. */
#ifndef SAGAD_SIM_FAULT_H
#define SAGAD_SIM_FAULT_H

#include "core/saga.h"
#include "world.h"

enum fault {
	/* of one request to a store */
	FAULT_LOST_BEFORE, /* the request never arrives */
	FAULT_LOST_AFTER,  /* it has its effect, the reply is lost */
	FAULT_LATE,        /* the effect lands after the time-out, after a compensation maybe */
	FAULT_DUPLICATE,   /* the transport repeats it by itself, soon or late */
	FAULT_TRANSIENT,
	FAULT_PARTIAL,     /* some of it is applied, then an error */
	FAULT_STORE_CRASH, /* the store dies in the middle of a batch */
	/* of a document */
	FAULT_POISON_ALONE, /* the store names the culprit */
	FAULT_POISON_BATCH, /* the store refuses the batch */
	FAULT_POISON_KILLS, /* the store's process doesn't survive it */
	/* of a store, for a while */
	FAULT_STORE_DOWN,
	FAULT_STORE_MISCONFIGURED,
	FAULT_STORE_MUTE, /* takes requests and says nothing, until it wakes up and does them */
	/* of PostgreSQL */
	FAULT_TRUTH_DOWN,
	FAULT_TRUTH_TRANSIENT,
	FAULT_TRUTH_LOST,      /* a read, a settlement or a payment whose reply is lost */
	FAULT_DOUBT_COMMITTED, /* COMMIT happened, its reply is lost */
	FAULT_DOUBT_LOST,      /* the connection broke before COMMIT arrived */
	FAULT_DOUBT_RUNNING,   /* it runs on, and commits later unless its backend is ended */
	FAULT_PIVOT_BATCH,     /* PostgreSQL refuses one document, and so the transaction */
	FAULT_PIVOT_KILLS,     /* the connection breaks with one document, again and again */
	FAULT_TRUTH_WENT_BACK, /* it comes back without its last commits */
	/* of the journal */
	FAULT_JOURNAL_SLOW,
	FAULT_JOURNAL_FAILS,
	/* of the daemon and its surroundings */
	FAULT_CRASH,
	FAULT_CRASH_IN_RECOVERY,
	FAULT_CRASH_TWICE,
	FAULT_ZOMBIE, /* an older daemon goes on beside its successor */
	FAULT_CLOCK_STEP,
	FAULT_CLIENT_VANISHES,
	FAULT_OVERLOAD,
	FAULT_KINDS
};

struct fault_counts {
	uint64_t hits[FAULT_KINDS];
	uint64_t in_state[FAULT_KINDS][SAGA_STATES]; /* hits while a saga of the daemon was in this state */
};

struct faults {
	struct world *world;             /* borrowed */
	bool is_on;                      /* false: the safety phase, or --no-faults */
	uint32_t per_mille[FAULT_KINDS]; /* 0: not in this seed's mix */
	const uint64_t *n_by_state;      /* borrowed: of the daemon in charge; NULL: none runs */
	struct fault_counts counts;
};

/* Draws the mix. */
void faults_init(struct faults *faults, struct world *world, bool is_on);

/* Is it in the mix, and are faults on? */
bool fault_is_in(const struct faults *faults, enum fault fault);

/* Does it strike now? Counts nothing: fault_hit() does, when it takes effect. */
bool fault_strikes(struct faults *faults, enum fault fault);

void fault_hit(struct faults *faults, enum fault fault);

/* "reply_late"; never NULL. */
const char *fault_name(enum fault fault);

void fault_counts_add(struct fault_counts *sum, const struct fault_counts *counts);

/* Two tables on standard output: hits, and hits by state. */
void fault_counts_print(const struct fault_counts *counts);

/* Prints the kinds that are below `min_hits`; how many there are. */
unsigned fault_counts_below(const struct fault_counts *counts, uint64_t min_hits);

#endif
