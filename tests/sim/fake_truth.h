/* PostgreSQL as the engine's port sees it: rows, ledger, debts, the owner's row, and transactions that may be in doubt.
 *
 * A transaction has its effect at one moment, that of its COMMIT. One that is in doubt may still have that moment
 * before it; settle() and claim() end the backends that they are told to, and what those had not committed never
 * happens. Every change is noted, so that the server can come back without the last ones. */
#ifndef SAGAD_SIM_FAKE_TRUTH_H
#define SAGAD_SIM_FAKE_TRUTH_H

#include "call.h"
#include "content.h"
#include "port/truth.h"

#include <uthash.h>

struct sim;

struct doc_row {
	bool is_found;
	bool is_deleted;
	struct uuid version;
	uint8_t hash[DIGEST_BYTES];
	uint32_t n_chunks;
	bool has_properties; /* the graph must be published */
	int64_t updated_unix_ms;
};

struct ledger_entry {
	struct ledger_row row;
	char key[TRUTH_KEY_BYTES + 1]; /* "": none */
	uint32_t doc;
	UT_hash_handle hh;
};

struct debt_entry {
	struct debt debt;
	uint32_t doc;
	uint64_t epoch; /* in which it was written */
};

/* What a committed transaction changed: what was there before. */
struct undo {
	enum { UNDO_DOC, UNDO_LEDGER, UNDO_DEBT_ADDED, UNDO_DEBT_PAID } kind;
	uint64_t tx;
	uint32_t doc;
	struct doc_row row;     /* DOC */
	struct uuid saga;       /* LEDGER; DOC: the version that came */
	struct debt_entry debt; /* the debt ones */
};

/* What may be wrong with it for a while. */
enum truth_ill { TRUTH_DOWN, TRUTH_MUTE, TRUTH_READ_ONLY, TRUTH_MISCONFIGURED, TRUTH_ILLS };

struct sim_truth {
	struct sim *sim;
	struct doc_row docs[DOCS_MAX];
	struct ledger_entry *ledger;
	struct debt_entry *debts; /* in no order */
	uint32_t n_debts, n_debts_room;
	uint64_t epoch;
	struct uuid owner_journal;
	const struct daemon *owner; /* NULL: nobody ever was */
	struct undo *undos;
	uint32_t n_undos, n_undos_room;
	uint64_t tx;
	uint64_t ill_ns[TRUTH_ILLS]; /* until when it is in this condition */
	uint32_t starts;             /* a connection of an earlier start is broken */
	struct list running;         /* pivots in doubt that may still commit, or that it hasn't looked at yet */
	uint32_t max_pivots, max_reads, max_batch;
	size_t max_batch_bytes;
};

struct truth_port {
	struct truth truth;
	struct sim_truth *server;
	struct daemon *daemon;
	uint64_t epoch; /* as its last claim got it */
	uint32_t starts;
	uint32_t n_connections; /* ever made: their names */
	uint32_t n_pivots_out, n_reads_out;
};

/* A pivot with all that is needed of it after its request is gone. */
struct pivot_copy {
	struct uuid saga;
	uint32_t doc;
	bool is_delete;
	bool is_expected;
	struct uuid expected;
	struct doc_row row; /* as it will be */
	char key[TRUTH_KEY_BYTES + 1];
	uint8_t hash[DIGEST_BYTES];
	struct debt *debts;
	uint32_t n_debts;
	struct poison_mark mark;
	enum verdict verdict;
	enum pivot_result result;
};

void sim_truth_init(struct sim_truth *server, struct sim *sim);
void sim_truth_fini(struct sim_truth *server);

void truth_port_init(struct truth_port *port, struct sim_truth *server, struct daemon *daemon);

/* Is this saga's the version of the document, and not a deleted one? */
bool truth_is_current(const struct sim_truth *server, uint32_t doc, const struct uuid *saga);

/* One saga's part of a committing transaction. */
void sim_truth_commit(struct sim_truth *server, struct pivot_copy *pivot);

/* Ends a transaction: what follows belongs to the next. */
void sim_truth_end(struct sim_truth *server);

const struct ledger_entry *sim_truth_ledger(const struct sim_truth *server, const struct uuid *saga);
const struct ledger_entry *sim_truth_ledger_by_key(const struct sim_truth *server, struct str key);

/* Inserts an `aborted` row unless the saga or its key has one. */
void sim_truth_abort(struct sim_truth *server, const struct truth_settle *settle);

void sim_truth_pay(struct sim_truth *server, const struct debt *debt);
uint32_t sim_truth_debts_of(const struct sim_truth *server, uint32_t doc);

/* Orders debts as the port's pages do: by owner, store, op, saga. */
int debt_compare(const struct debt *a, const struct debt *b);

/* Ends this backend, or all of them (NULL): what it has not committed never happens. */
void sim_truth_end_backend(struct sim_truth *server, const char *name);

bool sim_truth_is_ill(const struct sim_truth *server, enum truth_ill ill);

/* The server stops: what runs there is lost. It is back at `until_ns`. */
void sim_truth_stop(struct sim_truth *server, uint64_t until_ns);

/* It forgets its last transactions, at most n. How many it has forgotten. */
uint32_t sim_truth_go_back(struct sim_truth *server, uint32_t n);

#endif
