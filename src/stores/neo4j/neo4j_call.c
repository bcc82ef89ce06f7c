/* Writes: the engine's requests out and back, each after a check when one is due.
 *
 *     submit --> (check --> ) write --> done()
 */
#include "neo4j_internal.h"

#include "base/crash_point.h"

static void neo4j_call_end(struct neo4j_call *call)
{
	struct store_req *req = call->req;

	neo4j_body_fini(&call->body);
	call->req = NULL; /* the slot is free: done() may submit the next */
	http_store_end(req, &call->http, call->answer.verdict, call->answer.is_shared);
}

/* One verdict for all. */
static void neo4j_call_end_all(struct neo4j_call *call)
{
	http_store_give_all(call->req, call->answer.verdict, &call->err);
	neo4j_call_end(call);
}

static void neo4j_call_send(struct neo4j_call *call, int body_rc)
{
	/* no crash point: neo4j_call_write() has one; the check only reads */
	uint64_t left_ns = http_store_left_ns(call->req, call->begun_ns);

	if (body_rc == 0) {
		neo4j_send(call->neo4j, &call->http, &call->body, left_ns);
		return;
	}
	(void)err_set(&call->err, 0, "neo4j: no memory for the request");
	call->answer = (struct neo4j_answer){VERDICT_TRANSIENT, true};
	http_client_skip(call->neo4j->client, &call->http); /* submit() may be on the stack */
}

static void neo4j_call_write(struct neo4j_call *call)
{
	const struct store_req *req = call->req;

	call->is_check = false;
	CRASH_POINT_OF(NEO4J_APPLY_BEFORE, req->writes[0]->op);
	neo4j_body_fini(&call->body);
	neo4j_call_send(call,
			neo4j_write_body(req->writes, req->n_writes, &call->neo4j->dialect, &call->body, &call->err));
}

/* Nothing was written before the check's end: however it failed, there is no doubt about the write. */
static void neo4j_call_checked(struct neo4j_call *call)
{
	enum verdict verdict = http_verdict(&call->http);

	if (call->http.outcome == HTTP_ANSWERED)
		verdict = neo4j_take_check(call->neo4j, &call->http, &call->err);
	else
		call->err = call->http.err;
	neo4j_note(call->neo4j, &call->http, verdict, &call->err);
	if (verdict == VERDICT_OK) {
		neo4j_call_write(call);
		return;
	}
	if (verdict == VERDICT_DOUBT)
		(void)err_set(&call->err, 0, "neo4j %s: no answer to the check before the write; nothing was written",
			      http_client_endpoint(call->neo4j->client));
	call->answer = (struct neo4j_answer){verdict == VERDICT_DOUBT ? VERDICT_OUTAGE : verdict, false};
	neo4j_call_end_all(call);
}

static void neo4j_call_written(struct neo4j_call *call)
{
	struct neo4j *neo4j = call->neo4j;
	struct store_req *req = call->req;
	const struct http_req *http = &call->http;

	CRASH_POINT_OF(NEO4J_APPLY_AFTER, req->writes[0]->op);
	if (http->outcome == HTTP_ANSWERED) {
		call->answer =
			neo4j_write_answer(http->status, buf_str(&http->reply), req->writes, req->n_writes, &call->err);
	} else {
		/* The request may be what the server's process didn't survive: its JSON is outside of the limits. */
		call->answer.verdict = http_verdict(http);
		call->answer.is_shared = call->answer.verdict == VERDICT_DOUBT;
		call->err = http->err;
	}
	neo4j_note(neo4j, http, call->answer.verdict, &call->err);
	if (call->answer.verdict == VERDICT_OK && req->writes[0]->op == LEG_REMOVE)
		neo4j_collect_soon(neo4j);
	if (http->outcome == HTTP_ANSWERED)
		neo4j_call_end(call);
	else
		neo4j_call_end_all(call);
}

static void neo4j_call_done(struct http_req *http)
{
	struct neo4j_call *call = container_of(http, struct neo4j_call, http);

	if (http->outcome == HTTP_SKIPPED)
		neo4j_call_end_all(call);
	else if (call->is_check)
		neo4j_call_checked(call);
	else
		neo4j_call_written(call);
}

static struct neo4j_call *neo4j_call_take(struct neo4j *neo4j)
{
	for (uint32_t i = 0; i < neo4j->store.max_requests; i++)
		if (neo4j->calls[i].req == NULL)
			return &neo4j->calls[i];
	return NULL;
}

void neo4j_submit(struct store *store, struct store_req *req)
{
	struct neo4j *neo4j = container_of(store, struct neo4j, store);
	struct neo4j_call *call = neo4j_call_take(neo4j);

	MUST(call != NULL); /* the engine has at most max_requests out */
	*call = (struct neo4j_call){
		.http = {.done = neo4j_call_done}, .neo4j = neo4j, .req = req, .begun_ns = uv_hrtime()};
	if (neo4j->is_checked) {
		neo4j_call_write(call);
		return;
	}
	call->is_check = true;
	neo4j_call_send(call, neo4j_check_body(&call->body));
}
