/* The journal: open intents, accepted jobs and how those ended, what operators have settled, and sagas that clients
 * wrote themselves with their steps, in one SQLite file that the sqlite3 shell can read while the daemon runs (tables
 * `intents`, `jobs`, `deaths`, `resolved`, `sagas`, `saga_steps`). Implements port/journal.h.
 *
 * Format version 3; a file of version 1 or 2 is brought forward when it is opened, in one transaction. WAL with
 * synchronous=FULL: an answer of 0 means that the bytes were fsynced. */
#ifndef SAGAD_JOURNAL_JOURNAL_H
#define SAGAD_JOURNAL_JOURNAL_H

#include "base/err.h"
#include "base/histogram.h"
#include "base/log.h"
#include "port/journal.h"

#include <stdint.h>
#include <uv.h>

struct journal_options {
	uint64_t keep_ms;    /* how an accepted job or a saga ended is remembered this long, unless there are ... */
	uint32_t keep_count; /* ... more outcomes than this, of jobs or of sagas: then the oldest go first */
	uint32_t busy_ms;    /* how long another process (somebody's sqlite3 shell) may hold the file's write lock */
};

/* 24 hours, 100000 outcomes, 10 s. */
struct journal_options journal_options_default(void);

/* Opens or creates the journal and starts its thread. Blocking; before the loop runs.
 * `path` and `options` are borrowed for the call, `log` (may be NULL) until closed().
 * Errors, each with a text: -ENOENT, the directory is missing (it is not made); -EACCES, -EROFS and the like;
 * -EBUSY, another process has this journal; -EINVAL, the file is something else, or damaged; -EPROTO, written by a
 * newer sagad. Ended by out->ops->close(). */
int journal_open(uv_loop_t *loop, const char *path, struct log *log, const struct journal_options *options,
		 struct journal **out, struct err *err) WARN_UNUSED;

/* Another keep_ms from the next pruning on. Loop's thread. */
void journal_set_keep(struct journal *journal, uint64_t keep_ms);

/* For metrics. */
struct journal_stats {
	uint64_t n_commits; /* transactions */
	uint64_t n_records; /* submits that they made durable */
	uint64_t n_waiting; /* submitted, not answered yet */
	uint64_t n_bytes;   /* of the file and its write-ahead log, at most a second old */
	bool is_failed;     /* nothing becomes durable any more */
	struct histogram commit_ns;
	struct histogram records; /* in a transaction */
};

/* Loop's thread. */
void journal_stats(struct journal *journal, struct journal_stats *out_stats);

#endif
