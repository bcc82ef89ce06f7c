#include "query.h"

#include "engine/accepted.h"
#include "engine/run.h"

#include <stdlib.h>

/* A look-up on its way; freed when it is answered. */
struct ask {
	struct engine *engine;
	struct engine_query *query;
	struct read_item read;
	struct journal_lookup_req lookup;
	struct settle_item settle;
	bool is_second_try;
	struct list node; /* in engine->asks */
};

static void ask_answer(struct ask *ask, enum code code)
{
	struct engine_query *query = ask->query;

	list_remove(&ask->node);
	free(ask);
	query->code = code;
	query->done(query);
}

/* What this daemon is doing with the document right now. */
static void query_fill_in_flight(struct engine *engine, struct engine_query *query)
{
	struct lock_wait *lock = lock_find(&engine->documents, query->document_id);
	struct document_status *status = &query->status;
	struct run *run;

	if (lock == NULL)
		return;
	run = run_of_lock(lock);
	status->is_in_flight = true;
	status->n_waiting = lock->n_waiters;
	status->state = run != NULL ? saga_state_name(run->saga.state) : "accepted";
	status->saga = run != NULL ? run->saga.id : container_of(lock, struct accepted, lock)->id;
}

static void ask_on_read(struct read_item *item)
{
	struct ask *ask = container_of(item, struct ask, read);
	const struct truth_read *read = &item->read;
	struct document_status *status = &ask->query->status;

	/* The first use of connections that a restart of PostgreSQL has broken fails; the next one doesn't. */
	if ((read->verdict == VERDICT_OUTAGE || read->verdict == VERDICT_TRANSIENT) && !ask->is_second_try) {
		ask->is_second_try = true;
		desk_push_read(&ask->engine->desk, &ask->read);
		return;
	}
	if (read->verdict != VERDICT_OK) {
		ask->query->err = read->err;
		ask_answer(ask,
			   read->verdict == VERDICT_MISCONFIGURED ? CODE_STORE_MISCONFIGURED : CODE_STORE_UNAVAILABLE);
		return;
	}
	*status = (struct document_status){.presence = PRESENCE_ABSENT};
	if (read->is_found)
		status->presence = read->is_deleted ? PRESENCE_DELETED : PRESENCE_PRESENT;
	status->version = read->version;
	status->n_chunks = read->n_chunks;
	status->n_debts = read->n_debts;
	status->updated_unix_ms = read->updated_unix_ms;
	query_fill_in_flight(ask->engine, ask->query);
	ask_answer(ask, CODE_NONE);
}

static void ask_on_settle(struct settle_item *item)
{
	struct ask *ask = container_of(item, struct ask, settle);

	ask->query->ledger = item->settle.row;
	ask->query->err = item->err;
	ask_answer(ask, item->verdict == VERDICT_OK ? CODE_NONE : CODE_STORE_UNAVAILABLE);
}

static void ask_on_lookup_done(struct journal_lookup_req *req)
{
	list_append(&container_of(req, struct ask, lookup)->engine->looked_up, &req->node);
}

void query_on_lookup(struct engine *engine, struct journal_lookup_req *req)
{
	struct ask *ask = container_of(req, struct ask, lookup);
	struct job_status *status = &ask->query->job_status;
	struct engine_query *query = ask->query;

	(void)engine;
	status->job = req->id;
	switch (req->row.state) {
	case JOB_UNKNOWN:
		status->state = JOB_IS_UNKNOWN;
		break;
	case JOB_WAITING:
		status->state = JOB_IS_WAITING;
		break;
	case JOB_DONE:
		status->state = JOB_IS_DONE;
		status->saga = req->row.made;
		break;
	case JOB_FAILED:
		status->state = JOB_IS_FAILED;
		status->code = req->row.code;
		status->reason = req->row.reason.text;
		break;
	}
	query->code = req->rc == 0 ? CODE_NONE : CODE_JOURNAL_FAILED;
	query->done(query); /* the texts are in the ask, so it goes last */
	list_remove(&ask->node);
	free(ask);
}

static void query_fill_waiting(struct engine_query *query, const struct accepted *accepted)
{
	query->job_status = (struct job_status){
		.state = JOB_IS_WAITING,
		.job = accepted->id,
		.n_attempts = accepted->n_attempts,
		.last_error = accepted->last_error.text[0] != '\0' ? accepted->last_error.text : NULL,
	};
	query->code = CODE_NONE;
	query->done(query);
}

static bool query_is_refused(struct engine *engine, struct engine_query *query)
{
	if (engine->phase != ENGINE_HALTED && engine->desk.is_open)
		return false;
	if (query->has_job && engine->phase != ENGINE_HALTED)
		return false; /* the journal is all it takes */
	query->code = CODE_NOT_READY;
	(void)err_set(&query->err, 0, "the daemon has not reached PostgreSQL yet; ask again");
	query->done(query);
	return true;
}

void query_start(struct engine *engine, struct engine_query *query)
{
	struct accepted *accepted = query->has_job ? accepted_find(engine, &query->job) : NULL;
	struct ask *ask;

	if (accepted != NULL && !accepted->is_ended) {
		query_fill_waiting(query, accepted);
		return;
	}
	if (query_is_refused(engine, query))
		return;
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL) {
		query->code = CODE_INTERNAL;
		(void)err_set(&query->err, 0, "out of memory; ask again");
		query->done(query);
		return;
	}
	ask->engine = engine;
	ask->query = query;
	list_append(&engine->asks, &ask->node);
	if (query->has_job) {
		ask->lookup = (struct journal_lookup_req){.id = query->job, .done = ask_on_lookup_done};
		list_init(&ask->lookup.node);
		engine->journal->ops->lookup(engine->journal, &ask->lookup);
		return;
	}
	if (query->has_saga) {
		batch_item_init(&ask->settle.item);
		ask->settle.settle.saga = query->saga;
		ask->settle.done = ask_on_settle;
		desk_push_settle(&engine->desk, &ask->settle);
		return;
	}
	batch_item_init(&ask->read.item);
	ask->read.done = ask_on_read;
	ask->read.read.document_id = query->document_id;
	desk_push_read(&engine->desk, &ask->read);
}

void query_free_all(struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->asks) {
		struct ask *ask = container_of(it, struct ask, node);

		/* Only at the engine's end. */
		(void)desk_cancel_read(&engine->desk, &ask->read);
		(void)desk_cancel_settle(&engine->desk, &ask->settle);
		free(ask);
	}
	list_init(&engine->asks);
}
