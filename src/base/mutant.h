/* Seeded bugs: each takes one protection away, so that the tests can prove that they would notice.
 *
 * MUTANT(name) stands where the protection does. In every normal build it is the constant `false` and leaves no code;
 * with the meson option `mutants` it is true while `name` is the one that a test program has chosen. A daemon never
 * chooses any. tools/mutants shows of each that the unit tests and a simulation without faults don't see it, and that
 * with faults an invariant does: the promise rests on the protection, and the simulation on more than luck.
 *
 * To add one: a line here, MUTANT() in src/core, src/engine or a fake of the simulator, tools/mutants NAME. */
#ifndef SAGAD_BASE_MUTANT_H
#define SAGAD_BASE_MUTANT_H

#include <stdbool.h>

/* X(name, where it is, what goes wrong) */
#define MUTANTS(X)                                                                                                     \
	X(abort_row_left_out, "engine/run_act.c", "past the deadline a commit in doubt counts as aborted, unproven")   \
	X(abort_skips_refused, "engine/run.c", "an abort removes nothing from the store that answered 400")            \
	X(accepted_forgotten, "engine/recover.c", "a start with open sagas leaves accepted jobs in the journal")       \
	X(accepted_unwritten, "engine/accepted.c", "a delete is answered as accepted though the journal failed")       \
	X(backend_left_alive, "engine/run_act.c", "a commit in doubt is looked up while its backend may still commit") \
	X(barrier_unread, "tests/sim/fake_target.c", "a do that comes again runs again, whatever the barrier says")    \
	X(batch_blamed, "engine/desk.c", "a refused transaction is charged to every saga in it")                       \
	X(debt_left_out, "engine/run_act.c", "a pivot that is sent again writes no debts")                             \
	X(debts_unread, "engine/recover.c", "a start with open sagas doesn't take up the debts")                       \
	X(debt_lost, "engine/run.c", "what a store owes after the pivot is not handed to the background")              \
	X(debt_paid_by_document, "tests/sim/fake_truth.c, stores/postgres/pg_debts.c",                                 \
	  "a paid debt takes older debts of its document with it")                                                     \
	X(doubt_committed, "engine/run.c", "a COMMIT of several sagas without an answer is acknowledged")              \
	X(duplicate_committed, "engine/run.c, stores/postgres/pg_pivot.c", "a row that is there is read as a commit")  \
	X(epoch_ignored, "engine/desk.c", "a daemon that was told of a newer owner goes on")                           \
	X(epoch_unchecked, "tests/sim/fake_truth_call.c, stores/postgres/pg_pivot_codec.c",                            \
	  "PostgreSQL lets an older daemon commit")                                                                    \
	X(gate_open, "engine/desk_gate.c", "after an outage that leaves no doubt nobody looks for the last commit")    \
	X(id_not_renewed, "core/saga.c", "an id hours older than the version it replaces, a deleted one, is kept")     \
	X(intent_closed_early, "engine/errand.c", "an abort's intent is closed before its second removal")             \
	X(intent_not_awaited, "engine/run.c", "a slow journal's intent is taken for durable")                          \
	X(journal_failure_ignored, "engine/engine.c", "the daemon goes on when an intent could not be written")        \
	X(leftover_unasked, "engine/recover.c", "a smooth start removes open sagas whatever the ledger says")          \
	X(lock_released_early, "engine/run.c", "a saga in doubt gives its document's lock away")                       \
	X(refusal_retried, "engine/run.c", "a permanent refusal after a failed try is tried again")                    \
	X(removal_by_document, "engine/run.c",                                                                         \
	  "an abort removes what the document has instead of what the saga wrote")                                     \
	X(second_removal_left_out, "engine/errand.c", "an abort removes once only")                                    \
	X(transient_remembered, "engine/run_act.c", "a passed deadline is remembered under the job's key")

#ifdef SAGAD_MUTANTS

#define MUTANT_ENUMERATOR(name, where, text) MUTANT_##name,
enum mutant { MUTANTS(MUTANT_ENUMERATOR) MUTANT_NONE };
#undef MUTANT_ENUMERATOR

/* The one that is on: of this process, set before anything runs. */
extern enum mutant mutant_chosen;

#define MUTANT(name) (mutant_chosen == MUTANT_##name)

/* Switches it on. 0, or -ENOENT for a name that isn't in the table. */
int mutant_choose(const char *name) __attribute__((warn_unused_result));

/* "debt_left_out\tengine/run_act.c\tthe pivot writes no debts"; NULL past the last. */
const char *mutant_line(unsigned nth);

#else
#define MUTANT(name) false
#endif

#endif
