/* A whole engine on ports that a test holds in its hand: what it sends waits until rig_answer() gives the verdicts that
 * the test has set. Time stands still until rig_wait(). It allocates nothing, so that memory may run out around it. */
#ifndef SAGAD_TESTS_UNIT_ENGINE_RIG_H
#define SAGAD_TESTS_UNIT_ENGINE_RIG_H

#include "engine/engine.h"
#include "rig_flow.h"
#include "port/journal.h"
#include "port/truth.h"

#define RIG_STORES     3  /* qdrant without fences, neo4j, and redis which publishes */
#define RIG_NOTES      16 /* kinds of journal records */
#define RIG_FOUND_MAX  4
#define RIG_SAID_BYTES 16384

enum rig_request { RIG_CLAIM, RIG_READ, RIG_PIVOT, RIG_SETTLE, RIG_PAY, RIG_DEBTS, RIG_PRUNE, RIG_REQUESTS };

struct rig_store {
	struct store store;
	struct list out;
	enum verdict verdicts[LEG_OPS]; /* of the next answers */
	uint64_t timeout_ns;            /* of the last request */
	uint32_t n_asked[LEG_OPS];      /* writes that were sent */
};

struct rig {
	struct engine *engine;
	struct engine_config config;
	struct moment now;
	struct rig_store stores[RIG_STORES];
	struct store *ports[RIG_STORES];
	/* PostgreSQL */
	struct truth truth;
	struct list out[RIG_REQUESTS];
	enum verdict verdicts[RIG_REQUESTS];
	bool is_held[RIG_REQUESTS]; /* keep these unanswered */
	uint32_t n_asked[RIG_REQUESTS];
	struct truth_read reading; /* what a read finds */
	char last_key[160];        /* of the last read */
	enum pivot_result pivoted;
	enum ledger_outcome settled; /* what the ledger has of every saga */
	struct truth_debt_row *rows; /* what the next page of debts holds; after it none is left */
	uint32_t n_rows;
	/* the journal */
	struct journal journal;
	struct list records, lookups;
	bool is_journal_held;
	int journal_rc;
	uint32_t n_notes[RIG_NOTES]; /* by enum journal_op: submitted so far */
	struct journal_req last_end; /* the last JOB_DONE or JOB_FAILED; its texts are gone */
	struct journal_intent intents[RIG_FOUND_MAX];
	uint32_t n_intents;
	struct journal_job jobs[RIG_FOUND_MAX];
	uint32_t n_jobs;
	struct journal_job_row row; /* what a look-up finds */
	int load_rc;
	/* clients' own sagas: rig_flow.h */
	bool has_targets; /* set it before rig_start() */
	struct rig_flows flows;
	/* the log: one line an event, with its fields */
	struct log log;
	char said[RIG_SAID_BYTES];
	size_t n_said;
};

/* A job with the answer it got. */
struct rig_job {
	struct engine_job job;
	struct outcome outcome;
	unsigned n_answers;
};

struct rig_query {
	struct engine_query query;
	unsigned n_answers;
};

/* Sets up ports on which all goes well; `config` may be changed before rig_start(). */
void rig_init(struct rig *rig);

/* Creates and starts the engine. 0 or what the engine said; then there may be none. */
int rig_start(struct rig *rig);

/* ... and lets it come to run. */
void rig_run(struct rig *rig);

/* Destroys the engine; what is out is given up as a closing port would. */
void rig_fini(struct rig *rig);

/* Turns and answers until nothing moves. */
void rig_answer(struct rig *rig);

/* A turn without an answer. */
void rig_turn(struct rig *rig);

/* Lets time pass in small steps, answering. */
void rig_wait(struct rig *rig, uint64_t ms);

/* Submits a put of this document (taken), or a delete when it is NULL. Options in `job->job` may be set before. */
void rig_submit(struct rig *rig, struct rig_job *job, struct document *document, const char *document_id);

/* The same with the answer that comes at once. */
const struct outcome *rig_do(struct rig *rig, struct rig_job *job, struct document *document, const char *document_id);

void rig_ask(struct rig *rig, struct rig_query *query);

/* All stores answer this operation so. */
void rig_say(struct rig *rig, enum leg_op op, enum verdict verdict);

struct engine_stats rig_stats(const struct rig *rig);

/* Has a line been logged that has both texts in it? */
bool rig_has_said(const struct rig *rig, const char *a, const char *b);

#endif
