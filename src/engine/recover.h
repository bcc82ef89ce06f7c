/* The start after whatever happened before: the order in which it is done is what makes it safe.
 *
 *   load the journal -> become the owner (older backends are ended, the epoch is bumped: no older saga can commit from
 *   here on) -> ask the ledger about each open intent -> load the debts -> take up accepted jobs, then clients'
 *   own sagas -> run
 *
 * Each step is idempotent; killed in the middle of it, the next start does it again. */
#ifndef SAGAD_ENGINE_RECOVER_H
#define SAGAD_ENGINE_RECOVER_H

#include "engine/state.h"

/* Loads the journal (blocking) and prepares the rest. */
int recover_init(struct engine *engine, struct err *err) WARN_UNUSED;
void recover_fini(struct engine *engine);

/* Looks at what ended since the last turn and goes on. True when something was done. */
bool recover_turn(struct engine *engine);

/* Is the start under way without a failure so far? Then jobs wait for its end: it is a matter of milliseconds. */
bool recover_is_smooth(const struct engine *engine);

/* Ends a backoff. */
void recover_nudge(struct engine *engine);

/* What the start waits for; NULL: nothing in particular. */
const char *recover_reason(const struct engine *engine);

#endif
