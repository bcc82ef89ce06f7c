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
	JOURNAL_JOB_DONE,   /* job `saga` is done; `made` is the saga that did it */
	JOURNAL_JOB_DEATHS, /* `store` has died n_deaths times in a row with job `saga` alone in its hands; 0: forget it
			     */
	JOURNAL_RESOLVED    /* an operator has said that work of `saga` is settled: kept for those who ask why */
};

/* What an operator has settled. */
struct journal_resolution {
	struct uuid saga;
	struct str document_id;
	const char *work;  /* "remove", "publish", "apply", or "job": an accepted job that was given up */
	const char *store; /* "": of a job */
	const char *error; /* the last one of the work; "" when there was none */
	const char *reason;
	uint32_t uid; /* of the operator's process */
	int64_t unix_ms;
};

struct journal_req {
	enum journal_op op;     /* in */
	struct uuid saga;       /* in: the saga, or the job's id */
	struct uuid made;       /* in: JOB_DONE: the saga that did it */
	struct str document_id; /* in: INTENT, ACCEPT, RESOLVED. Borrowed until done() */
	uint32_t n_chunks;      /* in: INTENT: of the version it writes, 0 for a delete */
	int64_t unix_ms;        /* in: when */
	struct str job_json;    /* in: ACCEPT: what request_parse_job() takes. Borrowed until done() */
	bool is_delete;         /* in: ACCEPT, INTENT */
	const char *code;       /* in: JOB_FAILED; static or kept until done() */
	const char *reason;     /* in: JOB_FAILED, RESOLVED; kept until done() */
	const char *store;      /* in: JOB_DEATHS, RESOLVED; static */
	uint32_t n_deaths;      /* in: JOB_DEATHS */
	const char *work;       /* in: RESOLVED: as in struct journal_resolution, as the next two; static */
	const char *error;      /* in: RESOLVED; kept until done() */
	uint32_t uid;           /* in: RESOLVED */
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

#define JOURNAL_DEATHS_MAX 16

/* A store that did not survive a job, and how often in a row. */
struct journal_deaths {
	char store[16];
	uint32_t n;
};

struct journal_job {
	struct uuid id;
	struct str document_id;
	struct str job_json;
	bool is_delete;
	struct journal_deaths deaths[JOURNAL_DEATHS_MAX];
	uint32_t n_deaths; /* rows of `deaths` */
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

struct journal_resolved_row {
	struct list node;
	uint64_t place; /* in the order of their making, from 1 */
	struct journal_resolution what;
	char texts[];
};

/* A page of what operators have settled, newest first. */
struct journal_resolved_req {
	uint64_t before;  /* in: rows of a smaller place only; 0: from the newest */
	uint32_t limit;   /* in: 1..1000 */
	struct list rows; /* out: struct journal_resolved_row, newest first; the caller frees each */
	int rc;           /* out */
	void (*done)(struct journal_resolved_req *req); /* exactly once, later */
	struct list node;
};

/* ---- sagas that clients wrote themselves: src/core/flow.h ---- */

#define JOURNAL_STEPS_MAX 64 /* of a flow */

/* One step's state, as it is to be, or as it was found. A text that is absent leaves the one that is there. */
struct journal_step {
	uint32_t step;     /* its place in the client's list, from 0 */
	const char *state; /* flow_step_state_name(); static, or borrowed for the call */
	uint32_t n_tries;
	struct str result_json; /* of its do; absent: none */
	struct str error;       /* the last one; absent: none */
	struct str reason;      /* RESOLVED: the operator's; absent otherwise */
	int64_t unix_ms;        /* of this state */
};

/* A record of a flow: its beginning with its first steps, or what has changed since. Durable as a whole or not at all.
 */
struct journal_flow_req {
	bool is_begin; /* in; so is all up to `steps` */
	struct uuid flow;
	const char *state;    /* flow_state_name(), static; NULL: as it was. A terminal one ends the flow: from then on
				 it is kept for those who ask, as ended jobs are */
	const char *code;     /* code_name() of the failure; NULL: as it was */
	struct str reason;    /* of the failure; absent: as it was */
	uint32_t uid;         /* BEGIN: of the client; so are the next five */
	struct str key;       /* idempotency key, unique for each uid while the flow is kept; absent: none */
	uint8_t hash[32];     /* of what the key stands for */
	struct str spec_json; /* the parameters of saga.run, as flow_spec_parse() takes them again */
	int64_t began_unix_ms;
	int64_t deadline_unix_ms; /* 0: none */
	const struct journal_step *steps;
	uint32_t n_steps; /* all texts and steps are borrowed until done() */
	int64_t unix_ms;
	/* Out: as in journal_req. */
	bool is_known;     /* BEGIN: that uid's key is known: nothing was written */
	struct uuid known; /* with is_known: the flow that has the key */
	bool is_same;      /* with is_known: its hash is the same */
	int rc;
	struct err err;
	void (*done)(struct journal_flow_req *req);
	struct list node; /* the journal's until done() */
};

/* A flow as the journal has it. Borrowed for the call that brings it, or (find) until the caller frees it. */
struct journal_flow {
	struct uuid id;
	const char *state;
	const char *code; /* "": no failure */
	struct str reason;
	uint32_t uid;
	struct str key;
	struct str spec_json;
	int64_t began_unix_ms;
	int64_t deadline_unix_ms;
	int64_t ended_unix_ms;            /* 0: it hasn't */
	const struct journal_step *steps; /* those that have a state, by their place */
	uint32_t n_steps;
};

struct journal_flow_find_req {
	struct uuid flow;           /* in */
	struct journal_flow *found; /* out: NULL: there is none. One allocation, the caller's: free() */
	int rc;                     /* out */
	void (*done)(struct journal_flow_find_req *req); /* exactly once, later */
	struct list node;
};

/* A page of ended flows, newest first. */
struct journal_flow_row {
	struct list node;
	uint64_t place; /* in the order of their ends, from 1 */
	struct uuid id;
	char state[24];
	char code[48];
	uint32_t uid;
	int64_t began_unix_ms, ended_unix_ms;
	struct err reason;
};

struct journal_flow_list_req {
	uint64_t before; /* in: rows of a smaller place only; 0: from the newest */
	uint32_t limit;  /* in: 1..1000 */
	bool has_uid;    /* in: only those of `uid` */
	uint32_t uid;
	struct list rows; /* out: struct journal_flow_row, newest first; the caller frees each */
	int rc;
	void (*done)(struct journal_flow_list_req *req);
	struct list node;
};

struct journal_ops {
	/* `req` with done == NULL is taken: the journal copies what it needs before it returns. */
	void (*submit)(struct journal *journal, struct journal_req *req);
	void (*lookup)(struct journal *journal, struct journal_lookup_req *req);
	void (*resolved)(struct journal *journal, struct journal_resolved_req *req);
	/* Blocking, before the loop runs: calls back for each open intent, then for each waiting job in the order of
	 * their acceptance. What is passed is borrowed for the call. A callback's non-zero value ends the walk and is
	 * returned. */
	int (*load)(struct journal *journal, int (*intent)(void *arg, const struct journal_intent *found),
		    int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err);
	void (*flow)(struct journal *journal, struct journal_flow_req *req);
	void (*flow_find)(struct journal *journal, struct journal_flow_find_req *req);
	void (*flow_list)(struct journal *journal, struct journal_flow_list_req *req);
	/* As load(), for each flow that hasn't ended, oldest first. */
	int (*load_flows)(struct journal *journal, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
			  struct err *err);
	/* Waits for what was submitted, stops the thread, closes the file; then closed(arg). */
	void (*close)(struct journal *journal, void (*closed)(void *arg), void *arg);
};

struct journal {
	const struct journal_ops *ops;
	struct uuid id; /* made with the file; PostgreSQL's owner row names it */
};

#endif
