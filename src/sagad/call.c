/* Calls that the engine ends: put, delete, status. A client that vanishes changes nothing for its job: the call stays,
 * only its answer is dropped. */
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

struct document_call {
	struct list node; /* in dispatch->calls */
	struct dispatch *dispatch;
	struct caller caller;
	struct request *request; /* owned; keeps the texts that the engine borrows */
	union {
		struct engine_job job;
		struct engine_query query;
	};
	struct str document_id; /* in `text`: the document itself may be gone before the answer is printed */
	char text[];
};

static struct document_call *call_create(struct dispatch *dispatch, struct peer *peer, struct request *request,
					 struct str document_id)
{
	struct document_call *call = calloc(1, sizeof(*call) + document_id.len + 1);
	struct caller caller;

	if (call == NULL) {
		caller_init(&caller, peer, request);
		caller_answer_error(&caller, CODE_INTERNAL, "out of memory; nothing was kept");
		request_destroy(request);
		return NULL;
	}
	call->dispatch = dispatch;
	call->request = request;
	if (document_id.at != NULL) {
		memcpy(call->text, document_id.at, document_id.len);
		call->document_id = (struct str){call->text, document_id.len};
	}
	caller_init(&call->caller, peer, request);
	list_append(&dispatch->calls, &call->node);
	return call;
}

static void call_destroy(struct document_call *call)
{
	list_remove(&call->node);
	request_destroy(call->request);
	free(call);
}

/* ---- document.put, document.delete ---- */

/* Refusals at the door name no saga, and under load there are many of them: counted, and logged for debugging only. The
 * engine tells of sagas. */
static void refusal_log(struct document_call *call, const struct outcome *outcome)
{
	log_with(&call->dispatch->sink->log, LOG_DEBUG_LEVEL, LOG_JOB_REFUSED,
		 LOG_FIELDS({"document", call->document_id}, {"code", str_of(code_name(outcome->code))},
			    {"store", str_of(outcome->store)}, {"reason", str_of(outcome->err.text)}),
		 "job refused");
}

static void call_job_done(struct engine_job *job, const struct outcome *outcome)
{
	struct document_call *call = container_of(job, struct document_call, job);
	struct buf answer = {0};

	if (outcome->kind == OUTCOME_FAILED && uuid_is_nil(&outcome->saga))
		refusal_log(call, outcome);
	reply_outcome(&answer, call->caller.id_json, call->document_id, outcome);
	caller_answer(&call->caller, &answer);
	call_destroy(call);
}

void call_document(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	bool is_delete = request->method == METHOD_DOCUMENT_DELETE;
	struct document_call *call =
		call_create(dispatch, peer, request, is_delete ? request->document_id : request->document->id);

	if (call == NULL)
		return;
	call->job = (struct engine_job){
		.is_delete = is_delete,
		.document_id = call->document_id,
		.options = request->options,
		.params_json = request->params_json,
		.client_turn = peer_number(peer),
		.done = call_job_done,
	};
	if (!is_delete)
		call->job.document = request_take_document(request);
	list_init(&call->job.node);
	engine_submit(dispatch->engine, &call->job);
}

/* ---- document.status ---- */

static void call_status_done(struct engine_query *query)
{
	struct document_call *call = container_of(query, struct document_call, query);
	struct buf answer = {0};

	if (query->code != CODE_NONE)
		reply_error(&answer, call->caller.id_json, query->code, query->err.text);
	else if (query->has_job)
		reply_job(&answer, call->caller.id_json, &query->job_status);
	else
		reply_status(&answer, call->caller.id_json, call->document_id, &query->status);
	caller_answer(&call->caller, &answer);
	call_destroy(call);
}

void call_status(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct document_call *call = call_create(dispatch, peer, request, request->document_id);

	if (call == NULL)
		return;
	call->query = (struct engine_query){
		.document_id = call->document_id,
		.has_job = request->has_job,
		.job = request->job,
		.done = call_status_done,
	};
	list_init(&call->query.node);
	engine_ask(dispatch->engine, &call->query);
}

/* ---- the end ---- */

/* Nobody knows yet how this one ends: the journal does, and the next start finishes it or takes it back. */
static void call_abandon_job(struct document_call *call)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = CODE_IN_DOUBT};
	struct buf answer = {0};

	(void)err_set(
		&outcome.err, 0,
		"the daemon stopped before this job ended; its next start finishes it or takes it back: ask again "
		"then, with the same idempotency key");
	reply_outcome(&answer, call->caller.id_json, call->document_id, &outcome);
	caller_answer(&call->caller, &answer);
}

void call_abandon_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->calls) {
		struct document_call *call = container_of(it, struct document_call, node);

		if (call->request->method == METHOD_DOCUMENT_STATUS)
			caller_answer_error(&call->caller, CODE_SHUTTING_DOWN, "the daemon is stopping: ask again");
		else
			call_abandon_job(call);
	}
}

void call_free_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->calls) {
		struct document_call *call = container_of(it, struct document_call, node);

		MUST(call->caller.peer == NULL);
		call_destroy(call);
	}
}
