/* The target `documents`: a step is a document saga of this very engine. Its idempotency key is the saga, the step and
 * do or undo, so PostgreSQL's ledger is its barrier: it happens once, however often it is sent. */
#include "flow_run.h"

#include "engine/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DOCUMENT_CALLS_MAX 256
#define DOCUMENT_KEY_BYTES (UUID_TEXT_BYTES + STEP_NAME_BYTES + 8)

struct flow_documents {
	struct target target;
	struct engine *engine;
	struct list out; /* flow_document.node */
};

struct flow_document {
	struct engine_job job;
	struct call *call;
	struct request *request; /* owns the texts */
	struct list node;
	char key[DOCUMENT_KEY_BYTES];
};

static enum verdict documents_verdict(const struct outcome *outcome)
{
	if (outcome->kind != OUTCOME_FAILED)
		return VERDICT_OK;
	switch ((unsigned)outcome->code) {
	case CODE_IN_DOUBT:
		return VERDICT_DOUBT;
	case CODE_STORE_MISCONFIGURED:
	case CODE_SCHEMA_MISMATCH:
		return VERDICT_MISCONFIGURED;
	default:
		return code_is_retriable(outcome->code) ? VERDICT_TRANSIENT : VERDICT_PERMANENT;
	}
}

static const char *documents_outcome_name(enum outcome_kind kind)
{
	switch (kind) {
	case OUTCOME_COMMITTED:
		return "committed";
	case OUTCOME_UNCHANGED:
		return "unchanged";
	case OUTCOME_DELETED:
		return "deleted";
	case OUTCOME_ABSENT:
		return "absent";
	case OUTCOME_ACCEPTED:
	case OUTCOME_FAILED:
		break;
	}
	return "accepted";
}

/* As document.put answers: what a later step may refer to. */
static void documents_write_result(struct buf *out, const struct outcome *outcome)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(&outcome->saga, text);
	buf_append_format(out, "{\"outcome\":\"%s\",\"saga_id\":\"%s\"", documents_outcome_name(outcome->kind), text);
	if (outcome->has_version) {
		uuid_format(&outcome->version, text);
		buf_append_format(out, ",\"version\":\"%s\"", text);
	}
	if (outcome->has_previous) {
		uuid_format(&outcome->previous, text);
		buf_append_format(out, ",\"previous\":\"%s\"", text);
	}
	buf_append_format(out, ",\"chunks\":%u,\"stored\":%s}", outcome->n_chunks,
			  outcome->is_stored ? "true" : "false");
}

static void documents_on_done(struct engine_job *job, const struct outcome *outcome)
{
	struct flow_document *document = container_of(job, struct flow_document, job);
	struct call *call = document->call;

	call->verdict = documents_verdict(outcome);
	if (call->verdict == VERDICT_OK) {
		documents_write_result(&call->result_json, outcome);
		call->is_repeated = outcome->is_stored;
	} else {
		(void)err_set(&call->err, 0, "%s: %s", code_name(outcome->code), outcome->err.text);
		call->retry_after_ms = outcome->retry_after_ms;
	}
	list_remove(&document->node);
	request_destroy(document->request);
	free(document);
	call->done(call);
}

/* {"method": ..., "params": ...} is a request but for its head. */
static int documents_parse(const struct engine *engine, struct str body, struct request **out_request, struct err *err)
{
	struct request_fault fault = {.code = CODE_NONE};
	struct buf line = {0};
	int rc = -ENOMEM;

	MUST(body.len > 1 && body.at[0] == '{');
	buf_append_text(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,");
	buf_append(&line, body.at + 1, body.len - 1);
	if (!line.failed)
		rc = request_parse(line.at, line.len, &engine->config.limits, out_request, &fault);
	buf_fini(&line);
	if (rc == 0 && (*out_request)->method != METHOD_DOCUMENT_PUT &&
	    (*out_request)->method != METHOD_DOCUMENT_DELETE) {
		request_destroy(*out_request);
		return err_set(err, -EINVAL, "a step on documents is a document.put or a document.delete");
	}
	return rc == 0 ? 0 : err_set(err, rc, "%s%s%s", fault.path, fault.path[0] != '\0' ? ": " : "", fault.err.text);
}

static void documents_fail(struct call *call, enum verdict verdict)
{
	call->verdict = verdict;
	call->done(call); /* only notes it: flow_send.c takes it up in its turn */
}

static void documents_run(struct flow_documents *documents, struct call *call, struct request *request)
{
	struct flow_document *document = calloc(1, sizeof(*document));
	char saga[UUID_TEXT_BYTES];

	if (document == NULL) {
		request_destroy(request);
		(void)err_set(&call->err, 0, "out of memory");
		documents_fail(call, VERDICT_TRANSIENT);
		return;
	}
	uuid_format(&call->saga, saga);
	(void)snprintf(document->key, sizeof(document->key), "%s/%.*s/%s", saga, STR_ARG(call->step),
		       call->kind == CALL_UNDO ? "undo" : "do"); /* fits: a step's name is bounded */
	document->call = call;
	document->request = request;
	document->job = (struct engine_job){
		.is_delete = request->method == METHOD_DOCUMENT_DELETE,
		.options = request->options,
		.is_step = true,
		.done = documents_on_done,
	};
	document->job.options.idempotency_key = str_of(document->key);
	document->job.options.wait = WAIT_COMMITTED;
	document->job.options.deadline_ms = call->timeout_ns / NS_PER_MS;
	document->job.document = request_take_document(request);
	document->job.document_id = document->job.is_delete ? request->document_id : document->job.document->id;
	list_init(&document->job.node);
	list_append(&documents->out, &document->node);
	engine_submit(documents->engine, &document->job);
}

static void documents_submit(struct target *target, struct call *call)
{
	struct flow_documents *documents = container_of(target, struct flow_documents, target);
	struct request *request;
	int rc = documents_parse(documents->engine, call->body_json, &request, &call->err);

	if (rc == 0)
		documents_run(documents, call, request);
	else
		documents_fail(call, rc == -ENOMEM ? VERDICT_TRANSIENT : VERDICT_PERMANENT);
}

/* PostgreSQL's own row in store.list tells. */
static void documents_status(const struct target *target, struct store_status *out_status)
{
	(void)target;
	*out_status = (struct store_status){.is_up = true};
}

static void documents_close(struct target *target, void (*closed)(void *arg), void *arg)
{
	flow_documents_destroy(target);
	closed(arg);
}

struct target *flow_documents_create(struct engine *engine)
{
	static const struct target_ops ops = {
		.submit = documents_submit, .status = documents_status, .close = documents_close};
	struct flow_documents *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return NULL;
	made->engine = engine;
	list_init(&made->out);
	made->target =
		(struct target){.ops = &ops, .name = "documents", .has_barrier = true, .max_calls = DOCUMENT_CALLS_MAX};
	return &made->target;
}

void flow_documents_destroy(struct target *target)
{
	struct flow_documents *documents = container_of(target, struct flow_documents, target);
	struct list *it, *tmp;

	if (target == NULL)
		return;
	list_each (it, tmp, &documents->out) { /* only at the engine's end: their runs are gone */
		struct flow_document *document = container_of(it, struct flow_document, node);

		request_destroy(document->request);
		free(document);
	}
	free(documents);
}
