/* A client's own saga in this engine: core/flow.h with its texts, timers and waiters. For the flow_*.c of this folder.
 *
 *   flows         all of them: the engine's hooks
 *   flow_run      its life: events in, actions carried out, its timer, its end
 *   flow_admit    saga.run, saga.get, saga.cancel: who waits for what
 *   flow_send     calls to targets: queues, holds, checks
 *   flow_note     its records in the journal
 *   flow_load     what the journal had at the start
 *   flow_tell     reports
 *   flow_care     operators: the rows of saga.list, saga.retry, saga.resolve
 *   flow_documents  the target `documents`: steps that are document sagas of this engine */
#ifndef SAGAD_ENGINE_FLOW_RUN_H
#define SAGAD_ENGINE_FLOW_RUN_H

#include "core/flow.h"
#include "engine/state.h"
#include "port/target.h"

struct flow_call;
struct flow_record;

/* The engine's half of a step. Kept small: there may be many times 100,000. */
struct flow_part {
	struct list node; /* in its target's queue, or in none */
	uint64_t due_ns;  /* of its next try; 0: none is planned */
	uint64_t failing_since_ns;
	struct flow_call *call; /* that is out */
	char *result;           /* of its do, JSON; NULL: none */
	char *error;            /* the last one */
	char *reason;           /* an operator's */
	int64_t unix_ms;        /* of its state */
	uint32_t result_bytes;
	uint8_t step;
	uint8_t target;   /* place in flows.targets; FLOW_NO_TARGET: it isn't configured any more */
	bool has_said_no; /* its check: the do has not run; so it may be sent again */
	bool is_hopeless; /* its body can't be made: parked without trying on */
	bool is_settling; /* an operator has settled it; the call that is out is waited for */
};

struct flow_run {
	struct engine *engine;
	struct flow flow;
	struct uuid id;
	struct flow_spec *spec; /* owned */
	uint32_t uid;
	bool is_known;  /* its first record is durable */
	bool is_loaded; /* from the journal, and not taken up yet */
	bool is_counted_compensating, is_counted_parked;
	uint32_t n_out; /* calls */
	struct list node;
	struct flow_run *next_in_bucket;
	struct list waiters;       /* engine_flow.node */
	struct engine_flow *owner; /* the one that brought it; NULL: it has its answer */
	struct timer timer;        /* the earliest of all that is due */
	uint64_t deadline_ns;      /* 0: none */
	uint64_t record_due_ns;    /* there was no memory for a record: when to try again */
	struct flow_record *record;
	int64_t began_unix_ms, deadline_unix_ms, ended_unix_ms;
	char *reason;             /* of the failure */
	struct flow_part parts[]; /* n_steps; then struct flow_step_plan and struct flow_step, n_steps each */
};

#define FLOW_NO_TARGET   UINT8_MAX
#define FLOW_SHORTAGE_MS 100 /* until the next try when there was no memory */

/* ---- flows.c ---- */

void flows_init(struct engine *engine);
void flows_fini(struct engine *engine);
bool flows_take_inboxes(struct engine *engine);
bool flows_reap(struct engine *engine);

/* Whoever waits is told that the sagas go on at the next start. */
void flows_halt(struct engine *engine, const struct err *err);

/* Is there nothing left whose end is near? What backs off in the background waits in the journal as well. */
bool flows_are_drained(const struct engine *engine);

/* ---- flow_run.c ---- */

/* A run that isn't in any list yet; takes the spec on success. NULL: out of memory. */
struct flow_run *flow_run_create(struct engine *engine, struct flow_spec *spec, uint32_t uid, const struct uuid *id);
void flow_run_free(struct flow_run *run);

/* Among those that are open, from now on. */
void flow_run_enlist(struct flow_run *run);

struct flow_run *flow_run_find(struct engine *engine, const struct uuid *id);
struct flow_run *flow_run_of(struct flow_part *part);
struct str flow_run_target_name(const struct flow_run *run, uint32_t step);

/* One event, and all that follows from it. `text` is why, NULL: all is well. The run may be over afterwards; it is
 * freed at the end of the turn. */
void flow_run_feed(struct flow_run *run, const struct flow_event *event, const char *text);

/* Carries out what flow_recover() wants. */
void flow_run_act(struct flow_run *run, const struct flow_actions *actions);

/* Sets its timer to the earliest of what is due. */
void flow_run_set_timer(struct flow_run *run);

/* A text of its own for `kept`; what was there goes. Out of memory: none. */
void flow_keep_text(char **kept, const char *text, size_t len);

/* ---- flow_send.c ---- */

/* The step's do or undo, by its state, into its target's queue. */
void flow_send_push(struct flow_run *run, uint32_t step);

/* Takes a step that waits out of its queue. False: it was in none. */
bool flow_send_unqueue(struct flow_run *run, uint32_t step);

/* For engine_destroy(): forgets what waits or is out. */
void flow_send_drop(struct flow_run *run, uint32_t step);

void flow_send_pump(struct engine *engine);
bool flow_send_collect(struct engine *engine);

/* An operator says "try now": a held target is tried with the next call. */
void flow_send_unhold(struct engine *engine, uint32_t target);

/* ---- flow_note.c ---- */

/* Writes what the flow wants saved; without memory it is tried again later. */
void flow_note_write(struct flow_run *run);
void flow_note_on_journaled(struct engine *engine, struct journal_flow_req *req);
void flow_note_free(struct flow_record *record);

/* ---- flow_admit.c ---- */

void flow_admit(struct engine *engine, struct engine_flow *flow);
void flow_admit_ask(struct engine *engine, struct engine_flow_query *query);
void flow_admit_on_found(struct engine *engine, struct journal_flow_find_req *req);

/* Its key was known: this run never was; those who wait get what the key stands for. */
void flow_admit_on_known(struct flow_run *run, const struct uuid *known, bool is_same);

/* All who wait; `code` CODE_NONE: with a report. */
void flow_admit_answer(struct flow_run *run, enum code code, const struct err *err);
/* Those that wait for its acceptance only. */
void flow_admit_answer_accepted(struct flow_run *run);
void flow_admit_free(struct engine *engine);

/* ---- flow_tell.c ---- */

/* Fills in report and steps (FLOW_STEPS_MAX of them) from a run; borrowed while nothing happens. */
void flow_tell_run(const struct flow_run *run, struct flow_report *report, struct flow_report_step *steps);

/* The same of one that the journal has; `spec` is what its spec_json parsed to, NULL: it can't be read. */
void flow_tell_found(const struct engine *engine, const struct journal_flow *found, const struct flow_spec *spec,
		     struct flow_report *report, struct flow_report_step *steps);

/* Parses what the journal has, whatever the limits are by now. */
int flow_tell_parse(const struct engine *engine, struct str spec_json, struct flow_spec **out_spec, struct err *err);

/* ---- flow_load.c ---- */

int flow_load(struct engine *engine, struct err *err) WARN_UNUSED;
void flow_load_begin_all(struct engine *engine);

/* ---- flow_care.c ---- */

struct work_row flow_care_row(const struct flow_run *run);

/* Everything that fits and waits is tried in the next turn; how many steps that is. */
uint32_t flow_care_retry(struct engine *engine, const struct work_order *order);

/* saga.resolve. False: its id is none of an open saga of a client's own. */
bool flow_care_resolve(struct engine *engine, struct engine_resolution *resolution);

/* A call of the step has ended, a record is durable: may a resolution go on? */
void flow_care_on_call_ended(struct flow_run *run, uint32_t step);
void flow_care_on_saved(struct flow_run *run);
void flow_care_halt(struct engine *engine, const struct err *err);
void flow_care_free(struct engine *engine);

/* ---- flow_documents.c ---- */

struct target *flow_documents_create(struct engine *engine);
void flow_documents_destroy(struct target *target);

#endif
