/* What goes to PostgreSQL: reads, pivots, settlements and paid debts, each gathered into batches.
 *
 * It also keeps the gate: after an outage nothing is read or written before the last commit that this daemon saw has
 * been found in the ledger again. If it isn't there, the server went back in time, and the gate stays shut. */
#ifndef SAGAD_ENGINE_DESK_H
#define SAGAD_ENGINE_DESK_H

#include "base/backoff.h"
#include "engine/batch.h"
#include "engine/meter.h"
#include "engine/pace.h"
#include "engine/timers.h"
#include "port/clock.h"
#include "port/truth.h"

#include <stdbool.h>
#include <stdint.h>

struct desk;

struct read_item {
	struct truth_read read;
	struct batch_item item;
	bool is_waiting;
	void (*done)(struct read_item *read);
};

struct pivot_item {
	struct truth_pivot pivot;
	struct batch_item item;
	bool is_waiting;
	bool is_batched;  /* out: failed together with others */
	bool is_suspect;  /* in, out: it goes out with no other beside it, as a send's */
	bool is_death;    /* out: PostgreSQL ended the connection, and had no other pivot to do */
	char backend[64]; /* out, on DOUBT: for the settlement */
	void (*started)(struct pivot_item *pivot);
	void (*done)(struct pivot_item *pivot);
};

struct settle_item {
	struct truth_settle settle;
	char backend[64]; /* in: to be ended first; "": none */
	struct batch_item item;
	bool is_waiting;
	enum verdict verdict; /* out */
	struct err err;
	void (*done)(struct settle_item *settle);
};

/* Heap; the desk frees it. */
struct pay_item {
	struct debt debt;
	struct batch_item item;
};

struct desk_config {
	uint64_t timeout_ns;
	uint64_t keep_ms;          /* ledger rows live this long; an older last commit can't be looked for */
	struct backoff background; /* between tries of payments and of the gate */
};

struct desk_slots; /* the requests: desk_slots.h */

struct desk {
	struct truth *truth;
	struct desk_config config;
	struct timers *timers;
	struct rng *rng;
	const struct moment *now; /* the engine's */
	struct list reads, pivots, settles, pays;
	struct list suspects;      /* waiting pivots that go out with no other beside them: sender.h says why */
	struct pivot_item *lonely; /* the suspect that is out. The settlement before it shows that the server is well */
	bool is_others_turn;       /* suspects and all others take turns */
	uint32_t n_pivots_out;     /* requests */
	struct pace pace;          /* how many of them may be out */
	uint32_t n_reads, n_pivots; /* waiting */
	uint32_t n_side_out;        /* reads, settlements, payments that are out; at most truth->max_reads */
	struct desk_slots *slots;
	struct list ended_reads, ended_pivots;
	bool has_settle_ended, has_pay_ended;
	bool is_open;          /* false before the owner's claim: nothing goes out */
	bool is_suspect;       /* an outage was seen since commits were heard of; the gate is shut */
	uint64_t n_lost;       /* the adapter's count of lost connections, as last seen */
	bool is_gate_stale;    /* one more was lost while the gate asked: its answer may be of before */
	bool has_gone_back;    /* a commit is gone */
	bool is_epoch_lost;    /* a newer owner exists */
	uint64_t n_suspicions; /* outages seen so far */
	bool is_of_before;     /* the pivot that is being looked at was sent before the last of them */
	uint32_t heard_from; /* who is being looked at: a pivot's request by its number; after the last, a settlement */
	bool has_heard;      /* of any commit */
	uint32_t gate_next;  /* of slots->heard: those before it were found since the last outage */
	struct settle_item gate;
	bool is_gate_out;
	enum verdict shut_verdict; /* what waits is told while the gate is shut and pauses */
	struct err shut_err;
	struct timer gate_timer, pay_timer;
	uint32_t gate_tries, pay_tries;
	uint64_t n_pivot_requests, n_pivots_sent;
	struct meter_store *meter; /* NULL: nothing is measured */
};

/* 0 or -ENOMEM. The desk must not move afterwards; reserves its own timers. */
int desk_init(struct desk *desk, struct truth *truth, const struct desk_config *config, struct timers *timers,
	      struct rng *rng, const struct moment *now) WARN_UNUSED;
void desk_fini(struct desk *desk); /* of zeroes, too */

void desk_push_read(struct desk *desk, struct read_item *read);
void desk_push_pivot(struct desk *desk, struct pivot_item *pivot);
void desk_push_settle(struct desk *desk, struct settle_item *settle);

/* Deletes a debt's row, some time. Out of memory: the row stays and is paid once more after a restart, which does no
 * harm. */
void desk_pay(struct desk *desk, const struct debt *debt);

/* Take something back that waits; false: it doesn't. done() will not come. */
bool desk_cancel_read(struct desk *desk, struct read_item *read);
bool desk_cancel_pivot(struct desk *desk, struct pivot_item *pivot);
bool desk_cancel_settle(struct desk *desk, struct settle_item *settle);

/* Looks at how a request ended, for the gate; needed for those only that the desk doesn't send itself. */
void desk_note_verdict(struct desk *desk, enum verdict verdict);

/* Other times from now on. */
void desk_reconfigure(struct desk *desk, const struct desk_config *config);

/* Remembers a commit of the request that is being collected, for the gate. */
void desk_note_commit(struct desk *desk, const struct uuid *saga);

/* May one more request other than a pivot go out? Whoever sends one by itself counts it in n_side_out. */
static inline bool desk_has_side_place(const struct desk *desk)
{
	return desk->n_side_out < desk->truth->max_reads;
}

/* As those of a sender. */
bool desk_collect(struct desk *desk);
void desk_pump(struct desk *desk);

#endif
