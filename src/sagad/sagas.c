/* saga.list, saga.get, saga.retry, saga.resolve: what is open, and what an operator does about it. */
#include "dispatch_internal.h"

#include "engine/roster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* A request that waits for the journal, the ledger or the engine. It lives until they have ended it, answered or not.
 */
struct saga_call {
	struct list node; /* in dispatch->saga_calls */
	struct dispatch *dispatch;
	struct caller caller;
	struct request *request; /* owned */
	struct reply_work work;  /* LIST, GET: the answer so far; begun when `has_work` */
	bool has_work;
	union {
		struct journal_resolved_req resolved; /* LIST */
		struct journal_flow_list_req ended;   /* LIST */
		struct engine_flow_query flow;        /* GET */
		struct engine_query query;            /* GET */
		struct engine_resolution resolution;  /* RESOLVE */
	};
	bool is_known; /* GET: something was found */
};

/* ---- life ---- */

static struct saga_call *saga_call_create(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct saga_call *call = calloc(1, sizeof(*call));
	struct caller caller;

	if (call == NULL) {
		caller_init(&caller, peer, request);
		caller_answer_error(&caller, CODE_INTERNAL, "out of memory; nothing was done");
		request_destroy(request);
		return NULL;
	}
	call->dispatch = dispatch;
	call->request = request;
	caller_init(&call->caller, peer, request);
	list_append(&dispatch->saga_calls, &call->node);
	return call;
}

static void saga_call_destroy(struct saga_call *call)
{
	struct buf unread = {0};

	if (call->has_work)
		reply_work_end(&call->work, &unread);
	buf_fini(&unread);
	list_remove(&call->node);
	request_destroy(call->request);
	free(call);
}

static void saga_call_answer(struct saga_call *call)
{
	struct buf answer = {0};

	reply_work_end(&call->work, &answer);
	call->has_work = false;
	caller_answer(&call->caller, &answer);
	saga_call_destroy(call);
}

static void saga_call_refuse(struct saga_call *call, enum code code, const char *message)
{
	caller_answer_error(&call->caller, code, message);
	saga_call_destroy(call);
}

void sagas_abandon_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->saga_calls)
		caller_answer_error(&container_of(it, struct saga_call, node)->caller, CODE_SHUTTING_DOWN,
				    "the daemon is stopping; ask its successor");
}

void sagas_free_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->saga_calls)
		saga_call_destroy(container_of(it, struct saga_call, node));
}

/* ---- saga.list ---- */

struct shown {
	struct roster_list list;
	struct reply_work *work;
	int64_t now_unix_ms;
	uint32_t n;
};

static void shown_row(struct roster_list *list, const struct work_row *row)
{
	struct shown *shown = container_of(list, struct shown, list);

	reply_work_row(shown->work, row, shown->now_unix_ms);
	shown->n++;
}

static int64_t unix_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail with this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void list_open(struct saga_call *call)
{
	struct shown shown = {
		.list = {.filter = &call->request->work, .row = shown_row},
		.work = &call->work,
		.now_unix_ms = unix_now_ms(),
	};
	char next[WORK_PAGE_BYTES];

	if (roster_list(call->dispatch->engine, &shown.list) != 0) {
		saga_call_refuse(call, CODE_INTERNAL, "out of memory for the list; ask again");
		return;
	}
	for (unsigned i = 0; i < WORK_RESOLVED; i++)
		reply_work_number(&call->work, "counts", work_state_name((enum work_state)i), shown.list.n_by_state[i]);
	if (shown.list.has_more) {
		work_page_name(&shown.list.next, next);
		reply_work_text(&call->work, NULL, "next", next);
	}
	saga_call_answer(call);
}

static void resolved_row(struct saga_call *call, const struct journal_resolution *what)
{
	struct work_row row = {
		.id = what->saga,
		.kind = what->store[0] == '\0' ? WORK_JOB : WORK_BACKGROUND,
		.state = WORK_RESOLVED,
		.op = what->work,
		.step = "",
		.document_id = what->document_id,
		.store = what->store[0] == '\0' ? NULL : what->store,
		.since_unix_ms = what->unix_ms,
		.next_try_ms = -1,
		.error = what->error,
		.reason = what->reason,
		.uid = what->uid,
	};

	reply_work_row(&call->work, &row, unix_now_ms());
}

static void list_resolved_done(struct journal_resolved_req *req)
{
	struct saga_call *call = container_of(req, struct saga_call, resolved);
	struct work_place next = {.part = 0};
	char page[WORK_PAGE_BYTES];
	uint32_t n = 0;
	struct list *node;

	while ((node = list_take_first(&req->rows)) != NULL) {
		struct journal_resolved_row *row = container_of(node, struct journal_resolved_row, node);

		resolved_row(call, &row->what);
		next.part = (uint32_t)row->place;
		n++;
		free(row);
	}
	if (req->rc != 0) {
		saga_call_refuse(call, CODE_JOURNAL_FAILED, "the journal can't be read; see the daemon's log");
		return;
	}
	if (n == req->limit) {
		work_page_name(&next, page);
		reply_work_text(&call->work, NULL, "next", page);
	}
	saga_call_answer(call);
}

static void list_ended_done(struct journal_flow_list_req *req)
{
	struct saga_call *call = container_of(req, struct saga_call, ended);
	struct work_place next = {.part = 0};
	char page[WORK_PAGE_BYTES];
	uint32_t n = 0;
	struct list *node;

	while ((node = list_take_first(&req->rows)) != NULL) {
		struct journal_flow_row *row = container_of(node, struct journal_flow_row, node);

		reply_work_ended(&call->work, &(struct reply_ended){row->id, row->state, row->code, row->reason.text,
								    row->uid, row->began_unix_ms, row->ended_unix_ms});
		next.part = (uint32_t)row->place;
		n++;
		free(row);
	}
	if (req->rc != 0) {
		saga_call_refuse(call, CODE_JOURNAL_FAILED, "the journal can't be read; see the daemon's log");
		return;
	}
	if (n == req->limit) {
		work_page_name(&next, page);
		reply_work_text(&call->work, NULL, "next", page);
	}
	saga_call_answer(call);
}

static void list_ended(struct saga_call *call)
{
	const struct work_filter *filter = &call->request->work;
	struct journal *journal = call->dispatch->ports->journal;

	call->ended = (struct journal_flow_list_req){.before = filter->after.part,
						     .limit = filter->limit,
						     .has_uid = filter->has_uid,
						     .uid = filter->uid,
						     .done = list_ended_done};
	list_init(&call->ended.node);
	list_init(&call->ended.rows);
	journal->ops->flow_list(journal, &call->ended);
}

/* Whoever doesn't administrate sees the sagas that their user wrote: those of documents belong to nobody. */
void sagas_list(struct dispatch *dispatch, struct peer *peer, struct request *request, bool is_admin)
{
	struct saga_call *call = saga_call_create(dispatch, peer, request);
	struct journal *journal = dispatch->ports->journal;

	if (call == NULL)
		return;
	request->work.has_uid = !is_admin;
	request->work.uid = (uint32_t)peer_uid(peer);
	reply_work_begin(&call->work, request->id_json, "sagas");
	call->has_work = true;
	if (request->work.states == (uint32_t)1 << WORK_ENDED) {
		list_ended(call);
		return;
	}
	if (request->work.states != (uint32_t)1 << WORK_RESOLVED || !is_admin) {
		list_open(call);
		return;
	}
	call->resolved = (struct journal_resolved_req){
		.before = request->work.after.part, .limit = request->work.limit, .done = list_resolved_done};
	list_init(&call->resolved.node);
	journal->ops->resolved(journal, &call->resolved);
}

/* ---- saga.get ---- */

static void get_add_ledger(struct saga_call *call)
{
	const struct ledger_row *row = &call->query.ledger;

	if (call->query.code != CODE_NONE) {
		reply_work_text(&call->work, "ledger", "error", call->query.err.text);
	} else if (row->outcome != LEDGER_ABSENT) {
		call->is_known = true;
		reply_work_text(&call->work, "ledger", "outcome",
				row->outcome == LEDGER_COMMITTED ? "committed" : "aborted");
		if (row->code[0] != '\0')
			reply_work_text(&call->work, "ledger", "code", row->code);
		if (row->reason.text[0] != '\0')
			reply_work_text(&call->work, "ledger", "reason", row->reason.text);
	}
}

static void get_ledger_done(struct engine_query *query)
{
	struct saga_call *call = container_of(query, struct saga_call, query);

	get_add_ledger(call);
	if (call->is_known)
		saga_call_answer(call);
	else
		saga_call_refuse(
			call, CODE_NOT_FOUND,
			"nothing is open under this id, and neither the journal nor the ledger knows it (any more)");
}

static void get_add_job(struct saga_call *call)
{
	const struct job_status *status = &call->query.job_status;
	char saga[UUID_TEXT_BYTES];

	if (call->query.code != CODE_NONE || status->state == JOB_IS_UNKNOWN)
		return;
	call->is_known = true;
	reply_work_text(&call->work, "job", "state", reply_job_state_name(status->state));
	if (status->state == JOB_IS_DONE) {
		uuid_format(&status->saga, saga);
		reply_work_text(&call->work, "job", "saga_id", saga);
	}
	if (status->state == JOB_IS_FAILED) {
		reply_work_text(&call->work, "job", "code", status->code);
		reply_work_text(&call->work, "job", "reason", status->reason);
	}
}

static void get_job_done(struct engine_query *query)
{
	struct saga_call *call = container_of(query, struct saga_call, query);
	struct uuid id = call->request->work.id;

	get_add_job(call);
	call->query = (struct engine_query){.has_saga = true, .saga = id, .done = get_ledger_done};
	list_init(&call->query.node);
	engine_ask(call->dispatch->engine, &call->query);
}

/* A saga that a client wrote is told with all its steps; anything else is looked for on. */
static void get_flow_done(struct engine_flow_query *query)
{
	struct saga_call *call = container_of(query, struct saga_call, flow);
	struct uuid id = call->request->work.id;
	struct buf answer = {0};

	if (query->code == CODE_NONE) {
		flows_print(&answer, call->caller.id_json, query->report, true);
		caller_answer(&call->caller, &answer);
		saga_call_destroy(call);
		return;
	}
	call->query = (struct engine_query){.has_job = true, .job = id, .done = get_job_done};
	list_init(&call->query.node);
	engine_ask(call->dispatch->engine, &call->query);
}

void sagas_get(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct saga_call *call = saga_call_create(dispatch, peer, request);
	struct shown shown = {.list = {.filter = &request->work, .row = shown_row}};
	char id[UUID_TEXT_BYTES];

	if (call == NULL)
		return;
	reply_work_begin(&call->work, request->id_json, "open");
	call->has_work = true;
	uuid_format(&request->work.id, id);
	reply_work_text(&call->work, NULL, "id", id);
	shown.work = &call->work;
	shown.now_unix_ms = unix_now_ms();
	if (roster_list(dispatch->engine, &shown.list) != 0) {
		saga_call_refuse(call, CODE_INTERNAL, "out of memory; ask again");
		return;
	}
	call->is_known = shown.n > 0;
	call->flow = (struct engine_flow_query){.id = request->work.id, .done = get_flow_done};
	list_init(&call->flow.node);
	engine_ask_flow(dispatch->engine, &call->flow);
}

/* ---- saga.retry ---- */

void sagas_retry(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct caller caller;
	struct buf answer = {0};
	uint32_t n = roster_retry(dispatch->engine, &request->order);

	caller_init(&caller, peer, request);
	log_info(&dispatch->sink->log, "uid %u lets %" PRIu32 " pieces of waiting work be tried now",
		 (unsigned)peer_uid(peer), n);
	reply_numbers(&answer, request->id_json, (const struct reply_number[]){{"retried", n}}, 1);
	caller_answer(&caller, &answer);
	request_destroy(request);
}

/* ---- saga.resolve ---- */

static void resolve_done(struct engine_resolution *resolution)
{
	struct saga_call *call = container_of(resolution, struct saga_call, resolution);
	struct buf answer = {0};

	if (resolution->code != CODE_NONE) {
		saga_call_refuse(call, resolution->code, resolution->err.text);
		return;
	}
	reply_numbers(&answer, call->caller.id_json,
		      (const struct reply_number[]){{"resolved", resolution->n_resolved},
						    {"pending", resolution->is_pending}},
		      2);
	caller_answer(&call->caller, &answer);
	saga_call_destroy(call);
}

void sagas_resolve(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct saga_call *call = saga_call_create(dispatch, peer, request);

	if (call == NULL)
		return;
	call->resolution = (struct engine_resolution){
		.order = request->order, .uid = (uint32_t)peer_uid(peer), .done = resolve_done};
	list_init(&call->resolution.node);
	engine_resolve(dispatch->engine, &call->resolution);
}
