#include "flow_run.h"

#include <stdlib.h>

#define FLOW_RETRY_AFTER_MS 500

/* A question to the journal, of one of the two. */
struct flow_ask {
	struct journal_flow_find_req req;
	struct engine *engine;
	struct engine_flow *flow;
	struct engine_flow_query *query;
	struct list node;
};

/* ---- answers ---- */

static void flow_admit_refuse(struct engine *engine, struct engine_flow *flow, enum code code, const char *text)
{
	free(flow->spec);
	flow->spec = NULL;
	flow->code = code;
	flow->report = NULL;
	(void)err_set(&flow->err, 0, "%s", text);
	flow->retry_after_ms = code_is_retriable(code) ? FLOW_RETRY_AFTER_MS : 0;
	engine->flows.n_refused++;
	flow->done(flow);
}

static void flow_admit_tell(struct flow_run *run, struct engine_flow *flow, enum code code, const struct err *err)
{
	struct flow_report_step steps[FLOW_STEPS_MAX];
	struct flow_report report;

	list_remove(&flow->node);
	flow_tell_run(run, &report, steps);
	report.is_stored = flow != run->owner;
	if (flow == run->owner)
		run->owner = NULL;
	flow->code = code;
	flow->report = code == CODE_NONE ? &report : NULL;
	err_clear(&flow->err);
	if (err != NULL)
		flow->err = *err;
	flow->done(flow);
}

void flow_admit_answer(struct flow_run *run, enum code code, const struct err *err)
{
	while (!list_is_empty(&run->waiters))
		flow_admit_tell(run, container_of(run->waiters.next, struct engine_flow, node), code, err);
}

/* What a waiter's spec said before the run took it. */
static bool flow_admit_waits_for_end(const struct engine_flow *flow)
{
	return flow->wait == FLOW_WAIT_ENDED;
}

void flow_admit_answer_accepted(struct flow_run *run)
{
	struct list *it, *tmp;

	list_each (it, tmp, &run->waiters) {
		struct engine_flow *flow = container_of(it, struct engine_flow, node);

		if (!flow_admit_waits_for_end(flow))
			flow_admit_tell(run, flow, CODE_NONE, NULL);
	}
}

/* ---- saga.run ---- */

/* Why it can't be taken now; CODE_NONE: it can. */
static enum code flow_admit_refusal(const struct engine *engine, const struct flow_spec *spec, const char **out_text)
{
	const struct flows *flows = &engine->flows;
	enum code code = engine_phase_refusal(engine, out_text);

	if (code != CODE_NONE)
		return code;
	*out_text = "too many sagas are open (sagas.max_open, sagas.max_memory); try again later";
	if (flows->n_open >= flows->config.max_flows || flows->bytes + spec->json.len > flows->config.max_flow_bytes)
		return CODE_OVERLOADED;
	return CODE_NONE;
}

static void flow_admit_set_deadline(struct flow_run *run, const struct flow_spec *spec)
{
	const struct engine *engine = run->engine;
	uint64_t ms = spec->deadline_ms != 0 ? spec->deadline_ms : engine->flows.config.deadline_ms;

	run->began_unix_ms = engine->now.unix_ms;
	if (ms == 0)
		return;
	run->deadline_ns = engine_after_ms(engine, ms);
	run->deadline_unix_ms = engine->now.unix_ms + (int64_t)ms;
}

/* A step on a store that this daemon has no steps for: the configuration allows less than the parser knows. */
static const struct flow_spec_step *flow_admit_stranger(const struct flow_run *run)
{
	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if (run->parts[i].target == FLOW_NO_TARGET)
			return &run->spec->steps[i];
	return NULL;
}

static void flow_admit_begin(struct flow_run *run, struct engine_flow *flow)
{
	flow_init(&run->flow, run->flow.n_steps, run->flow.plans, run->flow.steps);
	flow_admit_set_deadline(run, run->spec);
	flow->wait = run->spec->wait;
	flow->spec = NULL;
	run->owner = flow;
	list_append(&run->waiters, &flow->node);
	flow_run_enlist(run);
	flow_note_write(run);
	flow_run_set_timer(run);
}

void flow_admit(struct engine *engine, struct engine_flow *flow)
{
	const char *text = "";
	enum code code = flow_admit_refusal(engine, flow->spec, &text);
	const struct flow_spec_step *stranger;
	struct flow_run *run;
	struct uuid id;
	struct err err;

	if (code != CODE_NONE) {
		flow_admit_refuse(engine, flow, code, text);
		return;
	}
	id = engine_new_id(engine);
	run = flow_run_create(engine, flow->spec, flow->uid, &id);
	if (run == NULL) {
		flow_admit_refuse(engine, flow, CODE_INTERNAL, "out of memory; try again later");
		return;
	}
	stranger = flow_admit_stranger(run);
	if (stranger == NULL) {
		flow_admit_begin(run, flow);
		return;
	}
	(void)err_set(&err, 0, "step \"%.*s\": this daemon runs no steps on \"%.*s\" (sagas.stores, services)",
		      STR_ARG(stranger->name), STR_ARG(stranger->target));
	run->spec = NULL;
	run->flow.n_steps = 0;
	flow_run_free(run);
	flow_admit_refuse(engine, flow, CODE_INVALID_FIELD, err.text);
}

/* ---- asking the journal ---- */

static void flow_admit_on_found_done(struct journal_flow_find_req *req)
{
	list_append(&container_of(req, struct flow_ask, req)->engine->flows.found, &req->node);
}

static void flow_admit_answer_query(struct engine_flow_query *query, enum code code, const struct flow_report *report)
{
	query->code = code;
	query->report = report;
	switch ((unsigned)code) {
	case CODE_NONE:
		break;
	case CODE_NOT_FOUND:
		(void)err_set(&query->err, 0, "no saga has this id; those that have ended are kept for a while only");
		break;
	case CODE_CONFLICT:
		(void)err_set(
			&query->err, 0,
			"it can't be cancelled any more: it has ended, is being compensated, or is past its pivot");
		break;
	case CODE_INTERNAL:
		(void)err_set(&query->err, 0, "out of memory; ask again");
		break;
	}
	query->done(query);
}

static void flow_admit_find(struct engine *engine, const struct uuid *id, struct engine_flow *flow,
			    struct engine_flow_query *query)
{
	struct flow_ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL && flow != NULL)
		flow_admit_refuse(engine, flow, CODE_INTERNAL, "out of memory; try again later");
	else if (ask == NULL)
		flow_admit_answer_query(query, CODE_INTERNAL, NULL);
	if (ask == NULL)
		return;
	ask->engine = engine;
	ask->flow = flow;
	ask->query = query;
	ask->req = (struct journal_flow_find_req){.flow = *id, .done = flow_admit_on_found_done};
	list_init(&ask->req.node);
	list_append(&engine->flows.asks, &ask->node);
	engine->journal->ops->flow_find(engine->journal, &ask->req);
}

static void flow_admit_answer_found(struct flow_ask *ask, const struct flow_report *report)
{
	struct engine_flow_query *query = ask->query;

	if (ask->flow != NULL) {
		ask->flow->code = CODE_NONE;
		ask->flow->report = report;
		ask->flow->done(ask->flow);
	} else if (query->has_uid && query->uid != report->uid) {
		flow_admit_answer_query(query, CODE_NOT_FOUND, NULL);
	} else {
		flow_admit_answer_query(query, query->is_cancel ? CODE_CONFLICT : CODE_NONE, report);
	}
}

static void flow_admit_answer_missing(struct flow_ask *ask)
{
	enum code code = ask->req.rc != 0 ? CODE_JOURNAL_FAILED : CODE_NOT_FOUND;

	if (ask->flow != NULL) {
		/* It was there a moment ago. */
		flow_admit_refuse(ask->engine, ask->flow, code == CODE_NOT_FOUND ? CODE_INTERNAL : code,
				  "what this idempotency key stands for can't be read; try again");
	} else {
		(void)err_set(&ask->query->err, 0, "the journal can't be read; see the daemon's log");
		flow_admit_answer_query(ask->query, code, NULL);
	}
}

void flow_admit_on_found(struct engine *engine, struct journal_flow_find_req *req)
{
	struct flow_ask *ask = container_of(req, struct flow_ask, req);
	struct flow_report_step steps[FLOW_STEPS_MAX];
	struct flow_spec *spec = NULL;
	struct flow_report report;
	struct err err;

	list_remove(&ask->node);
	if (req->rc != 0 || req->found == NULL) {
		flow_admit_answer_missing(ask);
	} else {
		if (flow_tell_parse(engine, req->found->spec_json, &spec, &err) != 0)
			log_error(engine->log, "the journal's parameters of a saga can't be read: %s", err.text);
		flow_tell_found(engine, req->found, spec, &report, steps);
		report.is_stored = ask->flow != NULL;
		flow_admit_answer_found(ask, &report);
	}
	free(spec);
	free(req->found);
	free(ask);
}

/* ---- known keys ---- */

static void flow_admit_join(struct flow_run *run, struct engine_flow *flow)
{
	list_append(&run->waiters, &flow->node);
	if (!flow_admit_waits_for_end(flow))
		flow_admit_tell(run, flow, CODE_NONE, NULL);
}

void flow_admit_on_known(struct flow_run *run, const struct uuid *known, bool is_same)
{
	struct engine *engine = run->engine;
	struct flow_run *first = flow_run_find(engine, known);
	struct list *node;

	while ((node = list_take_first(&run->waiters)) != NULL) {
		struct engine_flow *flow = container_of(node, struct engine_flow, node);

		if (!is_same)
			flow_admit_refuse(
				engine, flow, CODE_KEY_REUSED,
				"this idempotency key was used for another saga; use a new key for a new request");
		else if (first != NULL)
			flow_admit_join(first, flow);
		else
			flow_admit_find(engine, known, flow, NULL);
	}
	flow_run_free(run);
}

/* ---- saga.get, saga.cancel ---- */

static void flow_admit_ask_run(struct flow_run *run, struct engine_flow_query *query)
{
	struct flow_report_step steps[FLOW_STEPS_MAX];
	struct flow_event stop = {.kind = FLOW_EV_STOP, .code = CODE_CANCELLED};
	struct flow_report report;
	enum code code = CODE_NONE;
	struct err why;

	if (query->is_cancel && run->is_loaded) {
		(void)err_set(&query->err, 0, "sagad is starting; try again");
		code = CODE_NOT_READY;
	} else if (query->is_cancel && !flow_can_stop(&run->flow)) {
		code = CODE_CONFLICT;
	} else if (query->is_cancel) {
		(void)err_set(&why, 0, "cancelled by uid %u", query->uid);
		flow_run_feed(run, &stop, why.text);
	}
	flow_tell_run(run, &report, steps);
	flow_admit_answer_query(query, code, &report);
}

void flow_admit_ask(struct engine *engine, struct engine_flow_query *query)
{
	struct flow_run *run = flow_run_find(engine, &query->id);

	if (engine->phase == ENGINE_HALTED) {
		query->err = engine->halt;
		flow_admit_answer_query(query, CODE_SHUTTING_DOWN, NULL);
	} else if (run == NULL) {
		flow_admit_find(engine, &query->id, NULL, query);
	} else if (!run->is_known || (query->has_uid && query->uid != run->uid)) {
		flow_admit_answer_query(query, CODE_NOT_FOUND, NULL);
	} else {
		flow_admit_ask_run(run, query);
	}
}

void flow_admit_free(struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->flows.submitted)
		free(container_of(it, struct engine_flow, node)->spec);
	list_each (it, tmp, &engine->flows.asks) {
		struct flow_ask *ask = container_of(it, struct flow_ask, node);

		free(ask->req.found);
		free(ask);
	}
	list_init(&engine->flows.asks);
}
