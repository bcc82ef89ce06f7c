/* The port to the journal: durable notes of what may have been touched, and of jobs that were accepted.
 *
 * The engine calls on the loop's thread; the journal commits on its own thread what has gathered, in one transaction
 * (group commit), and calls back on the loop's thread, in the order of the submits. */
#ifndef SAGAD_PORT_JOURNAL_H
#define SAGAD_PORT_JOURNAL_H

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;

enum journal_op {
	JOURNAL_INTENT,     /* saga `saga` may touch stores from now on */
	JOURNAL_ABORTED,    /* saga `saga` will never commit; what it wrote is being removed */
	JOURNAL_CLOSE,      /* nothing is left to do for saga `saga` */
	JOURNAL_ACCEPT,     /* job `saga` with its bytes: from the commit on it survives anything */
	JOURNAL_JOB_FAILED, /* job `saga` failed for good: remembered with code and reason, its bytes go */
	JOURNAL_JOB_DONE    /* job `saga` is done; `made` is the saga that did it */
};

struct journal_req {
	enum journal_op op;     /* in */
	struct uuid saga;       /* in: the saga, or the job's id */
	struct uuid made;       /* in: JOB_DONE: the saga that did it */
	struct str document_id; /* in: INTENT, ACCEPT. Borrowed until done() */
	uint32_t n_chunks;      /* in: INTENT: of the version it writes, 0 for a delete */
	int64_t unix_ms;        /* in: when */
	struct str job_json;    /* in: ACCEPT: what request_parse_job() takes. Borrowed until done() */
	bool is_delete;         /* in: ACCEPT, INTENT */
	const char *code;       /* in: JOB_FAILED; static or kept until done() */
	const char *reason;     /* in: JOB_FAILED; kept until done() */
	/* Out: 0 means durable. Anything else: the journal has failed, as all later submits will, and the daemon must
	 * stop: what the file holds is known only by opening it again. */
	int rc;
	struct err err;
	void (*done)(struct journal_req *req); /* exactly once for each submit, later; NULL: nobody waits */
	struct list node;                      /* the journal's until done() */
};

/* What was found at the start. */
struct journal_intent {
	struct uuid saga;
	struct str document_id;
	uint32_t n_chunks;
	bool is_delete;
	bool is_aborted;
	int64_t unix_ms; /* of the abort, or of the intent */
};

struct journal_job {
	struct uuid id;
	struct str document_id;
	struct str job_json;
	bool is_delete;
};

/* How an accepted job ended, or that it hasn't. */
enum journal_job_state { JOB_UNKNOWN, JOB_WAITING, JOB_DONE, JOB_FAILED };

struct journal_job_row {
	enum journal_job_state state;
	struct uuid made; /* JOB_DONE */
	char code[48];    /* JOB_FAILED */
	struct err reason;
};

struct journal_lookup_req {
	struct uuid id;             /* in */
	struct journal_job_row row; /* out */
	int rc;
	void (*done)(struct journal_lookup_req *req); /* exactly once, later */
	struct list node;
};

struct journal_ops {
	/* `req` with done == NULL is taken: the journal copies what it needs before it returns. */
	void (*submit)(struct journal *journal, struct journal_req *req);
	void (*lookup)(struct journal *journal, struct journal_lookup_req *req);
	/* Blocking, before the loop runs: calls back for each open intent, then for each waiting job in the order of
	 * their acceptance. What is passed is borrowed for the call. A callback's non-zero value ends the walk and is
	 * returned. */
	int (*load)(struct journal *journal, int (*intent)(void *arg, const struct journal_intent *found),
		    int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err);
	/* Waits for what was submitted, stops the thread, closes the file; then closed(arg). */
	void (*close)(struct journal *journal, void (*closed)(void *arg), void *arg);
};

struct journal {
	const struct journal_ops *ops;
	struct uuid id; /* made with the file; PostgreSQL's owner row names it */
};

#endif
