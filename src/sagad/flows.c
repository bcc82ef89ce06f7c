/* Sagas that clients wrote: who may run them, and the way of a request to the engine and back. A client that vanishes
 * changes nothing for its saga. */
#include "dispatch_internal.h"

#include "proto/flow_spec.h"
#include "proto/reply_flow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct flow_call {
	struct list node; /* in dispatch->flow_calls */
	struct dispatch *dispatch;
	struct caller caller;
	struct request *request; /* owned */
	union {
		struct engine_flow flow;        /* RUN */
		struct engine_flow_query query; /* GET, CANCEL */
	};
};

/* ---- life ---- */

static struct flow_call *flow_call_create(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct flow_call *call = calloc(1, sizeof(*call));
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
	list_append(&dispatch->flow_calls, &call->node);
	return call;
}

static void flow_call_destroy(struct flow_call *call)
{
	list_remove(&call->node);
	request_destroy(call->request);
	free(call);
}

static void flow_call_refuse(struct flow_call *call, enum code code, const char *message)
{
	caller_answer_error(&call->caller, code, message);
	flow_call_destroy(call);
}

void flows_abandon_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->flow_calls)
		caller_answer_error(
			&container_of(it, struct flow_call, node)->caller, CODE_SHUTTING_DOWN,
			"the daemon is stopping; a saga that has begun goes on with the next start: send it "
			"again then with the same idempotency key, or ask saga.get");
}

void flows_free_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->flow_calls)
		flow_call_destroy(container_of(it, struct flow_call, node));
}

/* ---- answers ---- */

static bool is_store_name(struct str name)
{
	return str_is_equal(name, str_of("postgresql")) || str_is_equal(name, str_of("redis")) ||
	       str_is_equal(name, str_of("neo4j")) || str_is_equal(name, str_of("qdrant")) ||
	       str_is_equal(name, str_of("documents"));
}

static struct reply_flow_step printed_step(const struct flow_report_step *step)
{
	return (struct reply_flow_step){
		.name = step->name,
		.target = step->target,
		.is_service = !is_store_name(step->target),
		.state = flow_step_state_name(step->state),
		.is_done = step->state == FLOW_STEP_DONE,
		.is_parked = step->is_parked,
		.n_tries = step->n_tries,
		.unix_ms = step->unix_ms,
		.next_try_ms = step->next_try_ms,
		.result_json = step->result_json,
		.error = step->error,
		.reason = step->reason,
	};
}

static enum reply_flow_end printed_end(enum flow_state state)
{
	if (state == FLOW_COMMITTED)
		return REPLY_FLOW_COMMITTED;
	return state == FLOW_COMPENSATED ? REPLY_FLOW_COMPENSATED : REPLY_FLOW_OPEN;
}

void flows_print(struct buf *out, const char *id_json, const struct flow_report *report, bool is_status)
{
	struct reply_flow_step steps[FLOW_SPEC_STEPS_MAX];
	struct reply_flow flow = {
		.id = report->id,
		.end = printed_end(report->state),
		.state = flow_state_name(report->state),
		.uid = report->uid,
		.key = report->key,
		.code = report->code,
		.failed_step = report->failed_step,
		.error = report->error,
		.began_unix_ms = report->began_unix_ms,
		.deadline_unix_ms = report->deadline_unix_ms,
		.ended_unix_ms = report->ended_unix_ms,
		.is_stored = report->is_stored,
		.steps = steps,
		.n_steps = report->n_steps,
	};

	MUST(report->n_steps <= FLOW_SPEC_STEPS_MAX);
	for (uint32_t i = 0; i < report->n_steps; i++)
		steps[i] = printed_step(&report->steps[i]);
	if (is_status)
		reply_flow_status(out, id_json, &flow);
	else
		reply_flow_outcome(out, id_json, &flow);
}

/* ---- saga.run: who may ---- */

static bool ids_have(const struct config_ids *ids, uid_t uid)
{
	for (uint32_t i = 0; i < ids->n; i++)
		if (ids->ids[i] == uid)
			return true;
	return false;
}

static bool is_user_allowed(const struct dispatch *dispatch, const struct peer *peer)
{
	const struct config *config = dispatch->config;
	struct server_access access = {.n_uids = config->sagas.uids.n, .n_gids = config->sagas.gids.n};

	for (uint32_t i = 0; i < access.n_uids; i++)
		access.uids[i] = config->sagas.uids.ids[i];
	for (uint32_t i = 0; i < access.n_gids; i++)
		access.gids[i] = config->sagas.gids.ids[i];
	return peer_is_allowed(peer, &access);
}

/* What is open to any user of sagas may be a service that isn't. */
static bool is_step_allowed(const struct dispatch *dispatch, const struct peer *peer, const struct flow_spec_step *step)
{
	const struct config_service *service;
	struct server_access access = {.is_open = false};

	if (!ports_has_target(dispatch->ports, step->target))
		return false;
	if (step->place != FLOW_AT_SERVICE)
		return true;
	service = config_services_find(&dispatch->config->sagas.services, step->target);
	if (service == NULL)
		return false;
	return service->uids.n == 0 || ids_have(&service->uids, peer_uid(peer)) || peer_is_allowed(peer, &access);
}

static bool are_steps_allowed(const struct flow_call *call, const struct flow_spec *spec, struct err *err)
{
	for (uint32_t i = 0; i < spec->n_steps; i++) {
		const struct flow_spec_step *step = &spec->steps[i];

		if (is_step_allowed(call->dispatch, call->caller.peer, step))
			continue;
		if (step->place == FLOW_AT_SERVICE)
			(void)err_set(err, 0,
				      "step '%s': steps[%" PRIu32 "].service: uid %u may not use the service '%s'; its "
				      "`uids` in the configuration (sagas.services) name who may",
				      step->name.at, i, (unsigned)peer_uid(call->caller.peer), step->target.at);
		else
			(void)err_set(err, 0,
				      "step '%s': steps[%" PRIu32 "].store: steps may not run on %s; the configuration "
				      "(sagas.stores) must allow it",
				      step->name.at, i, step->target.at);
		return false;
	}
	return true;
}

static bool is_run_allowed(struct flow_call *call, struct err *err)
{
	const struct dispatch *dispatch = call->dispatch;

	if (!dispatch->config->sagas.is_enabled)
		(void)err_set(err, 0,
			      "saga.run is off: sagas.enabled in the configuration allows it, then sagas.stores, "
			      "services and uids");
	else if (!is_user_allowed(dispatch, call->caller.peer))
		(void)err_set(err, 0, "uid %u may not run sagas: see sagas.uids and sagas.gids in the configuration",
			      (unsigned)peer_uid(call->caller.peer));
	else
		return true;
	return false;
}

/* ---- saga.run ---- */

static void run_done(struct engine_flow *flow)
{
	struct flow_call *call = container_of(flow, struct flow_call, flow);
	struct buf answer = {0};

	if (flow->code != CODE_NONE)
		reply_refusal(&answer, call->caller.id_json, flow->code, flow->err.text, flow->retry_after_ms);
	else
		flows_print(&answer, call->caller.id_json, flow->report, false);
	caller_answer(&call->caller, &answer);
	flow_call_destroy(call);
}

static void run_fault(struct flow_call *call, struct request_fault *fault)
{
	struct dispatch *dispatch = call->dispatch;
	struct buf answer = {0};

	dispatch->counts.n_faults++;
	dispatch->counts.n_faults_by_code[fault->code]++;
	memcpy(fault->id_json, call->caller.id_json, sizeof(fault->id_json));
	reply_fault(&answer, fault);
	caller_answer(&call->caller, &answer);
	flow_call_destroy(call);
}

static void run_forbid(struct flow_call *call, const struct err *err)
{
	call->dispatch->counts.n_forbidden++;
	call->dispatch->counts.n_faults_by_code[CODE_FORBIDDEN]++;
	log_debug(&call->dispatch->sink->log, "refused a saga of pid %d: %s", (int)peer_pid(call->caller.peer),
		  err->text);
	flow_call_refuse(call, CODE_FORBIDDEN, err->text);
}

/* Limits of documents may have followed store.init since. */
static struct flow_limits run_limits(const struct dispatch *dispatch)
{
	struct flow_limits limits = dispatch->flow_limits;

	limits.documents = dispatch->limits;
	return limits;
}

void flows_run(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct flow_call *call = flow_call_create(dispatch, peer, request);
	const struct flow_limits limits = run_limits(dispatch);
	struct request_fault fault;
	struct flow_spec *spec;
	struct err err;

	if (call == NULL)
		return;
	if (!is_run_allowed(call, &err)) {
		run_forbid(call, &err);
		return;
	}
	if (flow_spec_parse(request->params_json, &limits, &spec, &fault) != 0) {
		run_fault(call, &fault);
		return;
	}
	if (!are_steps_allowed(call, spec, &err)) {
		free(spec);
		run_forbid(call, &err);
		return;
	}
	call->flow = (struct engine_flow){.spec = spec, .uid = (uint32_t)peer_uid(peer), .done = run_done};
	list_init(&call->flow.node);
	engine_run_flow(dispatch->engine, &call->flow);
}

/* ---- saga.cancel; saga.get on the job socket ---- */

static void ask_done(struct engine_flow_query *query)
{
	struct flow_call *call = container_of(query, struct flow_call, query);
	struct buf answer = {0};

	if (query->code != CODE_NONE)
		reply_error(&answer, call->caller.id_json, query->code, query->err.text);
	else
		flows_print(&answer, call->caller.id_json, query->report, true);
	caller_answer(&call->caller, &answer);
	flow_call_destroy(call);
}

void flows_ask(struct dispatch *dispatch, struct peer *peer, struct request *request, bool is_any)
{
	struct flow_call *call = flow_call_create(dispatch, peer, request);

	if (call == NULL)
		return;
	call->query = (struct engine_flow_query){
		.id = request->work.id,
		.is_cancel = request->method == METHOD_SAGA_CANCEL,
		.has_uid = !is_any,
		.uid = (uint32_t)peer_uid(peer),
		.done = ask_done,
	};
	list_init(&call->query.node);
	engine_ask_flow(dispatch->engine, &call->query);
}
