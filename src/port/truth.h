/* The port to PostgreSQL, the source of truth: what is read before a saga's writes, the pivot that decides it, and the
 * debts that come after. Loop's thread only; like a store, the adapter keeps no queue. */
#ifndef SAGAD_PORT_TRUTH_H
#define SAGAD_PORT_TRUTH_H

#include "base/digest.h"
#include "base/err.h"
#include "base/list.h"
#include "base/uuid.h"
#include "port/store.h"
#include "port/verdict.h"

#include <stdbool.h>
#include <stdint.h>

#define TRUTH_KEY_BYTES        256 /* idempotency keys, 1..256 bytes */
#define TRUTH_CODE_BYTES       48  /* a stable error code, with its NUL */
#define TRUTH_STORE_NAME_BYTES 16

struct truth;

enum ledger_outcome {
	LEDGER_ABSENT, /* no row */
	LEDGER_COMMITTED,
	LEDGER_ABORTED /* also: a permanent refusal that its key remembers */
};

/* A row of the ledger: how a saga ended. */
struct ledger_row {
	enum ledger_outcome outcome;
	struct uuid saga;
	uint8_t content_hash[DIGEST_BYTES];
	bool is_delete;
	char code[TRUTH_CODE_BYTES]; /* of an abort; "" otherwise */
	struct err reason;           /* of an abort */
};

/* ---- read: the state of a document before the saga writes ---- */

struct truth_read {
	struct str document_id;     /* in: borrowed until done() */
	struct str idempotency_key; /* in: absent when the client gave none */
	/* Out, from one snapshot: */
	bool is_found; /* a row exists, a deleted document's tombstone included */
	bool is_deleted;
	struct uuid version;                /* R: the saga that wrote (or deleted) it */
	uint8_t content_hash[DIGEST_BYTES]; /* zeroes for a tombstone */
	uint32_t n_chunks;                  /* of R */
	uint32_t n_debts;                   /* open debts of this document */
	int64_t updated_unix_ms;
	struct ledger_row by_key; /* outcome ABSENT when no key was given or none is known */
	enum verdict verdict;
	struct err err;
};

struct truth_read_req {
	struct truth_read **reads; /* borrowed until done() */
	uint32_t n_reads;          /* 1..max_batch */
	uint64_t timeout_ns;
	void (*done)(struct truth_read_req *req);
	struct list node; /* the adapter's while the request is out */
};

/* ---- debts ---- */

/* Work that a store owes after a pivot. Its key is (store, op, saga): deleted by all three, never by document. */
struct debt {
	char store[TRUTH_STORE_NAME_BYTES];
	enum leg_op op;
	struct uuid saga;  /* the saga named by the op: R for a removal, S for a publish */
	struct uuid owner; /* the saga whose pivot wrote the debt */
	uint32_t n_chunks; /* of `saga`, for a removal */
};

/* ---- pivot: one transaction for many sagas; COMMIT decides ---- */

enum pivot_result {
	PIVOT_COMMITTED,
	PIVOT_CONFLICT /* the document's version was not the expected one any more; nothing of this saga was written */
};

struct truth_pivot {
	struct uuid saga;                   /* S, in */
	bool is_delete;                     /* in: rows go, the version stays in a tombstone */
	const struct document *document;    /* in: NULL for a delete */
	struct str document_id;             /* in */
	struct str idempotency_key;         /* in: absent when none */
	uint8_t content_hash[DIGEST_BYTES]; /* in: for the ledger; of a delete zeroes */
	bool is_expected;                   /* in: false: the document must have no row */
	struct uuid expected;               /* in: R, when is_expected */
	const struct debt *debts;           /* in: written by this transaction */
	uint32_t n_debts;
	/* Out. OK: `result` says which. DOUBT: COMMIT may have happened; settle() finds out. TRANSIENT, OUTAGE: it did
	 * not happen. PERMANENT: PostgreSQL refused; is_shared as in store_req. */
	enum verdict verdict;
	enum pivot_result result;
	struct err err;
};

struct truth_pivot_req {
	struct truth_pivot **pivots; /* borrowed until done() */
	uint32_t n_pivots;           /* 1..max_batch; no document and no key twice */
	uint64_t timeout_ns;         /* then the connection is dropped and the verdict is DOUBT */
	bool is_shared;              /* out: the error belongs to the transaction, any of the pivots may be the cause */
	bool is_cut;                 /* out, on DOUBT: as in store_req */
	bool is_epoch_lost;          /* out: a newer owner exists; nothing was written, the daemon must stop */
	char backend[64]; /* out, on DOUBT: application_name of the connection that is in doubt; for settle() */
	void (*done)(struct truth_pivot_req *req);
	struct list node;
};

/* ---- settle: end doubt; look up or write outcomes ---- */

struct truth_settle {
	struct uuid saga;           /* in */
	bool by_document;           /* in: COMMITTED also when there is no row (it was pruned), but the document has
				       this saga's version. For a start; `document_id` says which */
	bool abort_if_absent;       /* in: insert an `aborted` row when there is none, then read what is there */
	struct str document_id;     /* in, for that row; so are the next five */
	struct str idempotency_key; /* absent: the outcome is remembered under no key */
	bool is_delete;
	uint8_t content_hash[DIGEST_BYTES];
	const char *code;
	const char *reason;
	struct ledger_row row; /* out: read in a fresh statement after a possible insert */
};

struct truth_settle_req {
	const char *backend;           /* in: end this backend first and wait until it is gone; "" or NULL: none */
	struct truth_settle **settles; /* borrowed until done() */
	uint32_t n_settles;            /* 1..max_batch */
	uint64_t timeout_ns;
	enum verdict verdict; /* out: OK: each row is final. Otherwise: nothing is known */
	bool is_epoch_lost;   /* out */
	struct err err;
	void (*done)(struct truth_settle_req *req);
	struct list node;
};

/* ---- debts: paid and loaded ---- */

struct truth_pay_req {
	const struct debt *debts; /* in: to delete, by their exact keys; those that are not there are no error */
	uint32_t n_debts;
	uint64_t timeout_ns;
	enum verdict verdict;
	struct err err;
	void (*done)(struct truth_pay_req *req);
	struct list node;
};

struct truth_debt_row {
	struct debt debt;
	struct str document_id;
};

/* All debts, oldest first; used once at start, page by page. */
struct truth_debts_req {
	uint32_t limit;              /* in: rows at most, 1..10000 */
	struct uuid after_owner;     /* in: rows with a greater (owner, store, op, saga); nil: from the start */
	struct debt after;           /* in: with after_owner, the last row of the page before */
	struct truth_debt_row *rows; /* out: the adapter's, valid until done() returns */
	uint32_t n_rows;
	uint64_t timeout_ns;
	enum verdict verdict;
	struct err err;
	void (*done)(struct truth_debts_req *req);
	struct list node;
};

/* ---- owner: one active daemon for a database ---- */

struct truth_claim_req {
	struct uuid journal; /* in: the journal's id. The same id as the owner's proves that its daemon is gone */
	bool take_over;      /* in: become the owner although another journal's daemon is still connected */
	/* Out. OK: older backends were ended, the epoch was bumped, no older saga can commit from now on.
	 * PERMANENT: another daemon is the owner and connected. MISCONFIGURED: schema missing. */
	uint64_t epoch;
	uint32_t dims;          /* components of every embedding by the schema; 0: any */
	bool was_other_journal; /* the owner before had another journal: its open intents are known to nobody here */
	enum verdict verdict;
	struct err err;
	uint64_t timeout_ns;
	void (*done)(struct truth_claim_req *req);
	struct list node;
};

struct truth_ops {
	void (*claim)(struct truth *truth, struct truth_claim_req *req);
	void (*read)(struct truth *truth, struct truth_read_req *req);
	void (*pivot)(struct truth *truth, struct truth_pivot_req *req);
	void (*settle)(struct truth *truth, struct truth_settle_req *req);
	void (*pay)(struct truth *truth, struct truth_pay_req *req);
	void (*debts)(struct truth *truth, struct truth_debts_req *req);
	/* Deletes ledger rows older than keep_ms, a bounded number of them each time. Reported through done() like pay.
	 */
	void (*prune)(struct truth *truth, uint64_t keep_ms, struct truth_pay_req *req);
	/* As those of a store. */
	void (*init)(struct truth *truth, struct store_init_req *req);
	void (*ping)(struct truth *truth, struct store_init_req *req);
	void (*status)(const struct truth *truth, struct store_status *out_status);
	/* Bytes this pivot adds to a transaction, roughly. Pure. */
	size_t (*pivot_bytes)(const struct truth *truth, const struct truth_pivot *pivot);
	int (*renew_secret)(struct truth *truth, const char *secret);
	/* Another bound on one request from now on: what the server itself is told, for the sessions' next requests. */
	void (*renew_timeout)(struct truth *truth, uint64_t timeout_ms);
	void (*close)(struct truth *truth, void (*closed)(void *arg), void *arg);
};

/* Embedded in the adapter's own struct. Every submit calls done() exactly once, later. */
struct truth {
	const struct truth_ops *ops;
	uint32_t max_pivots;    /* pivot requests out at once */
	uint32_t max_reads;     /* read requests out at once; settle, pay and debts count here, too */
	uint32_t max_batch;     /* sagas in one request, 1..1000 */
	size_t max_batch_bytes; /* of one pivot */
	uint64_t n_lost;        /* connections that were lost so far, counted by the adapter, also those that nobody was
				   using: behind the next one may be another server, or an older state of the same */
};

#endif
