/* What the journal holds at the start. */
#ifndef SAGAD_JOURNAL_JOURNAL_LOAD_H
#define SAGAD_JOURNAL_JOURNAL_LOAD_H

#include "base/err.h"
#include "port/journal.h"

/* Walks open intents, then waiting jobs in the order of their acceptance, over a connection of its own: callbacks may
 * submit, and the walk sees one snapshot. Blocking. As load() in port/journal.h; `path` is borrowed for the call. */
int journal_load(const char *path, int (*intent)(void *arg, const struct journal_intent *found),
		 int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err) WARN_UNUSED;

#endif
