/* The kinds of fault, a different mix of them for each seed, and the count of how often each was met, and in which
 * states sagas were at the time.
 *
 * Each kind has draws of its own (see case.h). What is told apart here is what the engine can tell apart, or what
 * leaves something else behind: a reply that makes no sense and one that is cut off differ in the verdicts that the
 * adapters give, a full disk and a failed fsync in what the next start finds. */
#ifndef SAGAD_SIM_FAULT_H
#define SAGAD_SIM_FAULT_H

#include "case.h"
#include "core/saga.h"
#include "trace.h"
#include "world.h"

enum fault {
	/* of one request to a store */
	FAULT_LOST_BEFORE,  /* the request never arrives: a time-out */
	FAULT_LOST_AFTER,   /* it has its effect, the reply is lost: a time-out */
	FAULT_RESET,        /* the connection breaks before or after the effect: doubt at once */
	FAULT_LATE,         /* the effect lands after the time-out, after a compensation maybe */
	FAULT_OUT_OF_ORDER, /* it takes so long that later requests overtake it */
	FAULT_DUPLICATE,    /* it arrives once more behind its answer, soon or late */
	FAULT_RESENT,       /* the transport sends it again before there is an answer, and gets that of the second */
	FAULT_MALFORMED,    /* done, and the reply makes no sense: of the request, or of one of its writes */
	FAULT_CUT_OFF,     /* done, and the reply ends in the middle: where there is one for each write, some have it */
	FAULT_DEADLOCK,    /* a transaction is taken back whole; a busy Redis refuses some scripts */
	FAULT_PARTIAL,     /* some of it is applied, then an error */
	FAULT_STORE_CRASH, /* the store dies in the middle of a batch; what it had acknowledged stays */
	/* of a document */
	FAULT_POISON_ALONE, /* the store names the culprit */
	FAULT_POISON_BATCH, /* the store refuses the batch */
	FAULT_POISON_KILLS, /* the store's process doesn't survive it */
	/* of a store, for a while */
	FAULT_STORE_DOWN,
	FAULT_STORE_MISCONFIGURED,
	FAULT_STORE_MUTE, /* takes requests and says nothing, until it wakes up and does them */
	FAULT_HALF_OPEN,  /* one daemon's connections lead nowhere: time-outs, and nothing ever arrives */
	FAULT_READ_ONLY,
	FAULT_LOADING,
	FAULT_OUT_OF_MEMORY, /* Redis still takes removals then */
	FAULT_RATE_LIMIT,
	FAULT_REDIS_FORGETS, /* dies, and comes back without its last acknowledged writes, or without any */
	/* of PostgreSQL */
	FAULT_TRUTH_DOWN,
	FAULT_TRUTH_MUTE, /* stops for a while; what it was sent is done when it goes on, unless its backend is ended */
	FAULT_TRUTH_READ_ONLY, /* a standby: reads work */
	FAULT_TRUTH_MISCONFIGURED,
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
	FAULT_JOURNAL_FULL,  /* a short write, no space: the group is not there, and the disk stays full for a while */
	FAULT_JOURNAL_ERROR, /* EIO: the group is not there */
	FAULT_JOURNAL_FSYNC, /* fails: the group is there or not */
	FAULT_JOURNAL_TORN,  /* the machine dies while a group is written: it is there whole, or gone whole */
	FAULT_JOURNAL_UNREADABLE, /* EIO at the start; the next start can read it */
	FAULT_JOURNAL_LOST,       /* the start finds no file, and makes a new one */
	/* of the daemon and its surroundings */
	FAULT_CRASH,           /* at any moment, or behind any turn */
	FAULT_CRASH_AT_ACTION, /* behind any request, record or answer: what the same turn had still to send never goes
				*/
	FAULT_CRASH_IN_RECOVERY,
	FAULT_CRASH_TWICE,
	FAULT_ZOMBIE,       /* an older daemon goes on beside its successor */
	FAULT_ZOMBIE_WAKES, /* ... it was stopped meanwhile, with requests in flight, and goes on now */
	FAULT_CLOCK_STEP,
	/* of the clients */
	FAULT_CLIENT_VANISHES,
	FAULT_OVERLOAD,
	FAULT_SAME_KEY,    /* a job comes again under its key, while the first still runs maybe */
	FAULT_KEY_REUSED,  /* other content under a key that was used */
	FAULT_INTERLEAVED, /* puts and deletes of one document at once */
	FAULT_KINDS
};

/* Columns of the coverage table: the states that a saga can be in, and one for "it has ended": background work, or a
 * daemon that has died. */
#define FAULT_STATES (SAGA_ABORTED + 1)
#define FAULT_AFTER  SAGA_ABORTED

/* The same for sagas that clients wrote themselves. */
enum flow_column { FLOW_STATE_RUNNING, FLOW_STATE_COMPENSATING, FLOW_STATE_ENDED, FLOW_COLUMNS };

struct fault_counts {
	uint64_t hits[FAULT_KINDS];
	uint64_t in_flow[FAULT_KINDS][FLOW_COLUMNS];
	uint64_t in_state[FAULT_KINDS][FAULT_STATES];
};

struct faults {
	struct world *world;             /* borrowed; so is the next */
	struct trace *trace;             /* NULL: none */
	const struct sim_case *run;      /* borrowed: what is left out */
	bool is_on;                      /* false: the safety phase, or --no-faults */
	uint32_t per_mille[FAULT_KINDS]; /* 0: not in this seed's mix */
	struct rng rng[FAULT_KINDS];
	uint32_t n_draws[FAULT_KINDS];
	const uint64_t *n_by_state; /* borrowed: of the daemon in charge; NULL: none runs */
	const uint64_t *n_errands;  /* the same */
	const uint64_t *n_flows;    /* the same: by enum flow_column */
	struct fault_counts counts;
};

/* Draws the mix. */
void faults_init(struct faults *faults, struct world *world, const struct sim_case *run);

/* Is it in the mix, and are faults on? */
bool fault_is_in(const struct faults *faults, enum fault fault);

/* Does it strike now? Counts nothing: fault_hit() does, when it takes effect. */
bool fault_strikes(struct faults *faults, enum fault fault);

/* It takes effect, on all that is going on; or on sagas in these states (bits), which its request is for. */
void fault_hit(struct faults *faults, enum fault fault);
void fault_hit_in(struct faults *faults, enum fault fault, uint32_t states);

/* It takes effect on a saga that a client wrote itself. */
void fault_hit_flow(struct faults *faults, enum fault fault, enum flow_column column);

/* "reply_late"; never NULL. */
const char *fault_name(enum fault fault);

/* ---- coverage.c: fault x state, and which cells must be filled ---- */

void fault_counts_add(struct fault_counts *sum, const struct fault_counts *counts);

/* The table on standard output: hits, and hits by state; with `is_why`, the reasons for the cells that can't occur. */
void fault_counts_print(const struct fault_counts *counts, bool is_why);

/* Prints the kinds that are below `min_hits`; how many there are. */
unsigned fault_counts_below(const struct fault_counts *counts, uint64_t min_hits);

/* Prints the cells that can occur and are empty, and those that can't and aren't; how many there are. */
unsigned fault_counts_empty(const struct fault_counts *counts);

#endif
