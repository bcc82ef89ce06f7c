/* A flow as it lies in the journal, read from rows of two statements of any connection. */
#ifndef SAGAD_JOURNAL_JOURNAL_FLOWS_READ_H
#define SAGAD_JOURNAL_JOURNAL_FLOWS_READ_H

#include "base/err.h"
#include "port/journal.h"

#include <sqlite3.h>

/* The columns that `row` and `steps` have; a WHERE on sagas follows the first. */
#define JOURNAL_FLOWS_READ_ROW                                                                                         \
	"SELECT id, state, code, reason, idempotency_key, spec, uid, began_ms, deadline_ms, ended_ms FROM sagas"
#define JOURNAL_FLOWS_READ_STEPS                                                                                       \
	"SELECT step, state, result, error, reason, n_tries, unix_ms FROM saga_steps WHERE saga = ?1 ORDER BY step"

/* `row` stands on the flow; `steps` is bound and run here, and reset. 0 and *out_flow, one allocation, the caller's; or
 * a negative errno with a text about the journal at `path`. */
int journal_flows_read(sqlite3 *sqlite, const char *path, sqlite3_stmt *row, sqlite3_stmt *steps,
		       struct journal_flow **out_flow, struct err *err) WARN_UNUSED;

/* Walks those that have not ended, oldest first, over a connection of its own: as load_flows() in port/journal.h. */
int journal_flows_load(const char *path, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
		       struct err *err) WARN_UNUSED;

#endif
