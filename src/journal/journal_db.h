/* The journal's file: SQLite calls only. No threads and no loop in here: one thread at a time uses a journal_db. */
#ifndef SAGAD_JOURNAL_JOURNAL_DB_H
#define SAGAD_JOURNAL_JOURNAL_DB_H

#include "base/err.h"
#include "journal/journal.h"
#include "port/journal.h"

#include <sqlite3.h>
#include <stdint.h>

#define JOURNAL_DB_VERSION        3          /* PRAGMA user_version */
#define JOURNAL_DB_APPLICATION_ID 0x73616764 /* "sagd": file(1) and a second look tell whose file it is */

enum journal_db_statement {
	JOURNAL_DB_BEGIN,
	JOURNAL_DB_COMMIT,
	JOURNAL_DB_PUT_INTENT,
	JOURNAL_DB_ABORT_INTENT,
	JOURNAL_DB_CLOSE_INTENT,
	JOURNAL_DB_ACCEPT_JOB,
	JOURNAL_DB_END_JOB,
	JOURNAL_DB_PUT_DEATHS,
	JOURNAL_DB_FORGET_DEATHS,
	JOURNAL_DB_PUT_RESOLVED,
	JOURNAL_DB_LIST_RESOLVED,
	JOURNAL_DB_FIND_JOB,
	JOURNAL_DB_PRUNE_OLD,
	JOURNAL_DB_PRUNE_MANY,
	JOURNAL_DB_PRUNE_RESOLVED,
	JOURNAL_DB_PUT_FLOW,
	JOURNAL_DB_MOVE_FLOW,
	JOURNAL_DB_PUT_STEP,
	JOURNAL_DB_FIND_KEY,
	JOURNAL_DB_FIND_FLOW,
	JOURNAL_DB_FIND_STEPS,
	JOURNAL_DB_LIST_FLOWS,
	JOURNAL_DB_LIST_FLOWS_OF,
	JOURNAL_DB_PRUNE_OLD_FLOWS,
	JOURNAL_DB_PRUNE_MANY_FLOWS,
	JOURNAL_DB_STATEMENTS
};

struct journal_db {
	sqlite3 *sqlite; /* NULL: closed */
	sqlite3_stmt *statements[JOURNAL_DB_STATEMENTS];
	char *path; /* owned */
	struct uuid id;
	struct journal_options options;
	uint64_t n_outcomes;    /* ended jobs that are remembered */
	uint64_t n_ended_flows; /* the same of flows */
	int64_t last_place;     /* of the flow that ended last */
	int64_t last_prune_ms;  /* Unix time */
};

/* Opens or creates; path, absolute, is kept as a copy. On failure nothing is left open. Errors: see journal_open(). */
int journal_db_open(struct journal_db *db, const char *path, const struct journal_options *options,
		    struct err *err) WARN_UNUSED;

/* Takes zeroes and what was closed. After a failed write nothing more is written, no checkpoint either: which pages
 * reached the disk is unknown until the next open. */
void journal_db_close(struct journal_db *db, bool is_failed);

/* Runs a statement that returns no rows, with what is bound to it; unbinds it. */
int journal_db_run(struct journal_db *db, enum journal_db_statement which, const char *what,
		   struct err *err) WARN_UNUSED;

/* begin, any number of records, commit: 0 or a negative errno, after which only journal_db_close() is allowed. */
int journal_db_begin(struct journal_db *db, struct err *err) WARN_UNUSED;
int journal_db_record(struct journal_db *db, const struct journal_req *req, struct err *err) WARN_UNUSED;
int journal_db_commit(struct journal_db *db, struct err *err) WARN_UNUSED;

/* Forgets outcomes that are old or too many, a bounded number each time; between begin and commit. */
int journal_db_prune(struct journal_db *db, int64_t now_unix_ms, struct err *err) WARN_UNUSED;

/* How a job ended; JOB_UNKNOWN is a success. */
int journal_db_lookup(struct journal_db *db, const struct uuid *id, struct journal_job_row *out_row,
		      struct err *err) WARN_UNUSED;

/* Fills req->rows, newest first; on failure they stay empty. */
int journal_db_list_resolved(struct journal_db *db, struct journal_resolved_req *req, struct err *err) WARN_UNUSED;

/* Sets err to what SQLite says about the journal at `path`, returns a negative errno. */
int journal_db_fail(sqlite3 *sqlite, const char *path, int sqlite_rc, const char *what, struct err *err) WARN_UNUSED;

#endif
