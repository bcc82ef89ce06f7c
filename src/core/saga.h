/* The document saga as a state machine: an event in, actions out.
 *
 * It knows no store by name, no clock and no wire; it decides what must happen next and the engine makes it happen.
 * The table of states is that of docs/architecture.md. What it promises: before the pivot everything that was sent can
 * be removed by this saga's name, the pivot is handed out only when every leg has been applied, and an answer is given
 * exactly once.
 *
 *   QUEUED -> PREPARING -> PROJECTING -> PIVOT_READY -> PIVOTING -> OWING -> DONE
 *                 |             |             |    ^       |  ^
 *                 |             |             |    |       v  |
 *                 |             +-> CLEANING <-+   +--- IN_DOUBT
 *                 v                    v
 *               DONE                ABORTED
 */
#ifndef SAGAD_CORE_SAGA_H
#define SAGAD_CORE_SAGA_H

#include "base/code.h"
#include "base/err.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

#define SAGA_STORES_MAX 8
#define SAGA_NO_STORE   UINT32_MAX      /* no store in particular */
#define SAGA_TRUTH      SAGA_STORES_MAX /* PostgreSQL, where a store's index is asked for */

enum saga_state {
	SAGA_QUEUED,      /* waits for its document's lock */
	SAGA_PREPARING,   /* the intent goes to the journal, PostgreSQL is read */
	SAGA_PROJECTING,  /* apply(S) in every store */
	SAGA_PIVOT_READY, /* all applied; waits for a transaction */
	SAGA_PIVOTING,    /* the transaction is out */
	SAGA_IN_DOUBT,    /* COMMIT was sent, its answer never came */
	SAGA_OWING,       /* committed; publish(S) and remove(R) are under way */
	SAGA_CLEANING,    /* will never commit; a refusal is being recorded under its key */
	SAGA_ABORTED,     /* terminal */
	SAGA_DONE,        /* terminal: committed, unchanged, absent, or a stored outcome */
	SAGA_STATES
};

/* How an operation ended; the values of port/verdict.h, which this folder may not include. */
enum saga_verdict { SAGA_OK, SAGA_TRANSIENT, SAGA_OUTAGE, SAGA_DOUBT, SAGA_PERMANENT, SAGA_MISCONFIGURED };

/* What is to be done; never changes after saga_init(). */
struct saga_plan {
	bool is_delete;
	uint32_t stores;    /* bit i: store i takes part; at least one */
	uint32_t publishes; /* bit i: store i needs publish(S) for this document */
	bool has_key;       /* an idempotency key was given */
	bool has_if_version;
	struct uuid if_version;
	bool if_absent;
	bool write_unchanged;
	uint8_t content_hash[32];
	uint32_t max_tries;                   /* of one operation on one store, 1 or more */
	uint32_t deaths[SAGA_STORES_MAX + 1]; /* of earlier attempts with the same content, as in struct saga */
};

/* What PostgreSQL said of the document. */
struct saga_reading {
	bool is_found; /* a row, or a deleted document's tombstone */
	bool is_deleted;
	struct uuid version; /* R */
	uint8_t content_hash[32];
	uint32_t n_chunks;
	uint32_t n_debts;
	enum { SAGA_KEY_UNKNOWN, SAGA_KEY_COMMITTED, SAGA_KEY_REFUSED } key;
	struct uuid key_saga;
	bool key_is_same;   /* the key's row has this job's content hash and kind */
	enum code key_code; /* of a refusal */
	const struct err *key_reason;
};

enum saga_event_kind {
	SAGA_EV_LOCKED, /* the document's (and the key's) lock is ours */
	SAGA_EV_INTENT_DURABLE,
	SAGA_EV_READ,      /* verdict; reading when it is OK */
	SAGA_EV_SENT,      /* apply(S) was handed to `store` */
	SAGA_EV_APPLIED,   /* apply(S) at `store` ended with `verdict` */
	SAGA_EV_PUBLISHED, /* publish(S) at `store` */
	SAGA_EV_REMOVED,   /* remove(R) at `store` */
	SAGA_EV_RETRY,     /* the wait that ACT_WAIT asked for is over; `store`, or SAGA_TRUTH; `op` as asked */
	SAGA_EV_PIVOT_SENT,
	SAGA_EV_PIVOT,    /* verdict; is_conflict when it is OK */
	SAGA_EV_SETTLED,  /* verdict; settled when it is OK */
	SAGA_EV_RECORDED, /* the refusal stands in the ledger, or could not be written: the same from here on */
	SAGA_EV_DEADLINE  /* at most once */
};

enum saga_settled { SAGA_SETTLED_ABSENT, SAGA_SETTLED_COMMITTED, SAGA_SETTLED_ABORTED };

struct saga_event {
	enum saga_event_kind kind;
	uint32_t store; /* index, or SAGA_TRUTH */
	enum saga_verdict verdict;
	bool is_batched; /* the operation failed together with others: it may be innocent */
	bool is_death; /* DOUBT: the store was well a moment before, had nothing else to do, and ended the connection */
	const struct saga_reading *reading; /* borrowed for the call */
	bool is_conflict;
	enum saga_settled settled;
	uint32_t op;           /* RETRY: enum saga_action_kind of the operation that waits */
	const struct err *err; /* borrowed for the call; NULL when all is well */
};

enum saga_action_kind {
	SAGA_ACT_INTENT, /* journal the intent of saga->id; nothing may be sent before it is durable */
	SAGA_ACT_RENAME, /* draw a new saga->id greater than saga->replaced, forget the old one's intent */
	SAGA_ACT_READ,
	SAGA_ACT_APPLY,     /* send apply(S) to `store` */
	SAGA_ACT_PIVOT,     /* hand it to PostgreSQL */
	SAGA_ACT_SETTLE,    /* find out; abort_if_absent: and make sure it never commits */
	SAGA_ACT_RECORD,    /* write the refusal under the job's key */
	SAGA_ACT_PUBLISH,   /* send publish(S) to `store` */
	SAGA_ACT_REMOVE,    /* send remove(R) to `store` */
	SAGA_ACT_PAID,      /* the debt (store, op) is paid: delete its row */
	SAGA_ACT_WAIT,      /* back off for `tries` failed tries, then SAGA_EV_RETRY with this store and op */
	SAGA_ACT_CLEAN,     /* remove(S) in every store of `stores`, now and once more later, in the background */
	SAGA_ACT_HAND_OVER, /* what is still due after the pivot goes on in the background */
	SAGA_ACT_FORGET,    /* nothing was touched, or nothing is left to do: close the intent */
	SAGA_ACT_ANSWER,    /* tell the client; once */
	SAGA_ACT_UNLOCK     /* give the document's lock to the next; once */
};

struct saga_action {
	enum saga_action_kind kind;
	uint32_t store;
	uint32_t op;          /* WAIT, PAID: the operation, an enum saga_action_kind */
	uint32_t tries;       /* WAIT */
	uint32_t stores;      /* CLEAN */
	bool abort_if_absent; /* SETTLE */
};

#define SAGA_ACTIONS_MAX (2 * SAGA_STORES_MAX + 8)

struct saga_actions {
	struct saga_action at[SAGA_ACTIONS_MAX];
	uint32_t n;
};

/* What the answer says. */
enum saga_result {
	SAGA_RESULT_NONE,
	SAGA_RESULT_COMMITTED,
	SAGA_RESULT_UNCHANGED,
	SAGA_RESULT_DELETED,
	SAGA_RESULT_ABSENT,
	SAGA_RESULT_STORED, /* the key's stored commit, by saga->stored */
	SAGA_RESULT_FAILED  /* failure says why */
};

struct saga_failure {
	enum code code;
	uint32_t store; /* index, SAGA_TRUTH or SAGA_NO_STORE */
	uint32_t tries;
	struct err err;
};

/* Embedded by the engine; fields are read by it and changed here only. */
struct saga {
	enum saga_state state;
	struct saga_plan plan;
	struct uuid id; /* S; the engine replaces it on SAGA_ACT_RENAME */
	bool is_intent_durable;
	bool is_read;
	bool is_late; /* the deadline has passed */
	bool is_answered;
	bool is_found;        /* a row is there: the pivot expects `replaced` */
	bool is_deleted;      /* ... and it is a tombstone */
	struct uuid replaced; /* R */
	uint32_t replaced_chunks;
	bool is_overtaken; /* at the pivot the version was not `replaced` any more: what it is now isn't known */
	struct uuid stored;
	uint32_t sent;         /* bit i: apply(S) may have reached store i */
	uint32_t sent_before;  /* bit i: ... in a try before the one that is out */
	uint32_t applied;      /* bit i: it has */
	uint32_t publish_due;  /* bit i: publish(S) is not done yet */
	uint32_t remove_due;   /* bit i: remove(R) is not done yet */
	uint32_t publish_left; /* bit i: ... and no longer tried by this saga */
	uint32_t remove_left;
	uint32_t tries[SAGA_STORES_MAX + 1]; /* failed ones of apply or publish there, or at PostgreSQL */
	uint32_t remove_tries[SAGA_STORES_MAX];
	uint32_t lonely_doubts; /* pivots of this saga alone that had no answer, and were no deaths */
	uint32_t
		deaths[SAGA_STORES_MAX + 1]; /* apply or pivot with which the store died, in a row. As many as max_tries
						say that this document is the cause, whatever else is out of order */
	bool is_stored;                      /* the result is the one that the key remembers */
	enum saga_result result;
	struct saga_failure failure;
};

/* Starts in SAGA_QUEUED. `id` must be greater than any id this process made before. */
void saga_init(struct saga *saga, const struct saga_plan *plan, const struct uuid *id);

/* Takes one event; appends what must be done to `actions`, which the caller has set to n = 0. Events that come too late
 * (an answer for an attempt that was given up) change nothing. */
void saga_step(struct saga *saga, const struct saga_event *event, struct saga_actions *actions);

/* Is nothing more expected of this saga? */
bool saga_is_terminal(const struct saga *saga);

/* Must the pivot write a debt for this operation at this store? op is SAGA_ACT_PUBLISH or SAGA_ACT_REMOVE. */
bool saga_owes(const struct saga *saga, uint32_t store, enum saga_action_kind op);

/* "projecting"; never NULL. */
const char *saga_state_name(enum saga_state state);

#endif
