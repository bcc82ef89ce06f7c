/* Accepted jobs: durable in the journal before their answer, then tried until they are done or refused for good.
 *
 * An accepted job holds its document's lock from its acceptance to its end, over all its attempts, so that jobs of one
 * document take effect in the order in which they came. */
#ifndef SAGAD_ENGINE_ACCEPTED_H
#define SAGAD_ENGINE_ACCEPTED_H

#include "core/saga.h"
#include "engine/state.h"

struct accepted {
	struct engine *engine;
	struct uuid id;
	struct engine_job *caller; /* waits for the acceptance; NULL afterwards and after a restart */
	struct engine_job job;     /* of the attempts; its texts are in `texts` or in `request` */
	struct document *document; /* owned; NULL for a delete */
	struct request *request;   /* after a restart: what the journal's bytes parsed to */
	struct lock_wait lock;
	struct timer timer;
	struct journal_req accept;
	bool is_durable;
	bool is_locked;
	bool is_ended;
	uint32_t n_attempts;
	uint32_t n_runs; /* runs of it that are not freed yet */
	/* By store, the last one PostgreSQL's: what an attempt has learned of the size of batches, as in struct
	 * batch_item, for the next one; 0: nothing yet. */
	uint32_t caps[SAGA_STORES_MAX + 1];
	struct err last_error;
	bool is_given_up; /* by an operator; `given_up` says why */
	struct err given_up;
	struct list node;
	char texts[];
};

/* Takes a job with WAIT_ACCEPTED that has passed the bounds. 0, -ENOMEM or -EBUSY. */
int accepted_submit(struct engine *engine, struct engine_job *job) WARN_UNUSED;

/* Takes a job that the journal had at the start: queues it for its document's lock, in the order of the calls. */
int accepted_recover(struct engine *engine, const struct journal_job *found, struct err *err) WARN_UNUSED;

/* The recovered ones may start. */
void accepted_begin_all(struct engine *engine);

/* A store (or SAGA_TRUTH) has died with it so often in a row; 0: it survived. The journal keeps it. */
void accepted_note_deaths(struct accepted *accepted, uint32_t store, uint32_t n_deaths);

/* The journal has answered. */
void accepted_on_journaled(struct accepted *accepted, struct journal_req *req);

/* A run of it was freed. */
void accepted_on_run_reaped(struct accepted *accepted);

/* The waiting one of that id; NULL. */
struct accepted *accepted_find(struct engine *engine, const struct uuid *id);

/* Ends it without its being done, as CODE_RESOLVED. An attempt that is under way goes on: if it succeeds, the job is
 * done. True: it has ended. `reason` is copied. */
bool accepted_give_up(struct accepted *accepted, const char *reason);

/* What it waits for: "queued", "backing_off", "attempt". */
const char *accepted_step(const struct accepted *accepted);

/* Tries it now. False: it isn't waiting for its next try. */
bool accepted_retry(struct accepted *accepted);

/* For engine_destroy(). */
void accepted_free(struct accepted *accepted);

#endif
