#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- targets ---- */

static const char *const kind_names[3] = {[CALL_DO] = "do", [CALL_UNDO] = "undo", [CALL_CHECK] = "check"};

static struct rig *rig_of_target(struct rig_target *ours)
{
	return ours->target.is_service ? container_of(ours, struct rig, flows.targets[1])
				       : container_of(ours, struct rig, flows.targets[0]);
}

static void target_submit(struct target *target, struct call *call)
{
	struct rig_target *ours = container_of(target, struct rig_target, target);
	struct rig_flows *flows = &rig_of_target(ours)->flows;
	size_t used = strlen(flows->sent);
	uint32_t n_out = 1;

	for (struct list *it = ours->out.next; it != &ours->out; it = it->next)
		n_out++;
	ours->max_out = n_out > ours->max_out ? n_out : ours->max_out;
	ours->n_asked[call->kind]++;
	ours->timeout_ns = call->timeout_ns;
	(void)snprintf(flows->sent + used, sizeof(flows->sent) - used, " %s:%.*s", kind_names[call->kind],
		       STR_ARG(call->step));
	list_append(&ours->out, &call->node);
}

static bool target_answer(struct rig_target *ours)
{
	struct list *node = ours->is_held ? NULL : list_take_first(&ours->out);
	struct call *call;

	if (node == NULL)
		return false;
	call = container_of(node, struct call, node);
	call->verdict = ours->verdicts[call->kind];
	if (ours->sick != NULL && strstr(call->body_json.at, ours->sick) != NULL)
		call->verdict = ours->sick_verdict;
	if (call->verdict != VERDICT_OK)
		(void)err_set(&call->err, 0, "%s is ill", ours->target.name);
	else if (call->kind == CALL_DO && ours->result != NULL)
		buf_append_text(&call->result_json, ours->result);
	call->retry_after_ms = call->verdict == VERDICT_TRANSIENT ? ours->retry_after_ms : 0;
	call->done(call);
	return true;
}

void rig_sicken(struct rig_target *target, const char *body, enum verdict verdict)
{
	target->sick = body;
	target->sick_verdict = verdict;
}

static void target_init(struct rig_target *ours, const char *name, bool is_service)
{
	static const struct target_ops ops = {.submit = target_submit};

	ours->target = (struct target){
		.ops = &ops, .name = name, .is_service = is_service, .has_barrier = !is_service, .max_calls = 4};
	ours->result = "{\"n\":7}";
	list_init(&ours->out);
}

/* ---- the journal ---- */

static void take_text(char *to, size_t size, bool *out_has, struct str text)
{
	if (text.at == NULL)
		return;
	(void)snprintf(to, size, "%.*s", STR_ARG(text));
	if (out_has != NULL)
		*out_has = true;
}

static struct rig_flow *find_kept(struct rig_flows *flows, const struct uuid *id)
{
	for (unsigned i = 0; i < RIG_FLOWS_MAX; i++)
		if (flows->kept[i].is_used && uuid_compare(&flows->kept[i].id, id) == 0)
			return &flows->kept[i];
	return NULL;
}

static struct rig_flow *find_key(struct rig_flows *flows, struct str key, uint32_t uid)
{
	for (unsigned i = 0; i < RIG_FLOWS_MAX; i++)
		if (flows->kept[i].is_used && flows->kept[i].has_key && flows->kept[i].uid == uid &&
		    str_is_equal(str_of(flows->kept[i].key), key))
			return &flows->kept[i];
	return NULL;
}

static struct rig_flow *keep_begin(struct rig_flows *flows, const struct journal_flow_req *req)
{
	struct rig_flow *kept = flows->kept;

	while (kept < flows->kept + RIG_FLOWS_MAX - 1 && kept->is_used)
		kept++;
	memset(kept, 0, sizeof(*kept)); /* the last one is used again and again by tests of many */
	kept->is_used = true;
	kept->id = req->flow;
	kept->uid = req->uid;
	kept->began_unix_ms = req->began_unix_ms;
	kept->deadline_unix_ms = req->deadline_unix_ms;
	memcpy(kept->hash, req->hash, sizeof(kept->hash));
	take_text(kept->key, sizeof(kept->key), &kept->has_key, req->key);
	take_text(kept->spec, sizeof(kept->spec), NULL, req->spec_json);
	return kept;
}

static void keep(struct rig_flow *kept, const struct journal_flow_req *req)
{
	kept->n_records++;
	if (req->state != NULL)
		take_text(kept->state, sizeof(kept->state), NULL, str_of(req->state));
	if (req->code != NULL)
		take_text(kept->code, sizeof(kept->code), NULL, str_of(req->code));
	take_text(kept->reason, sizeof(kept->reason), NULL, req->reason);
	if (req->state != NULL && (strcmp(req->state, "committed") == 0 || strcmp(req->state, "compensated") == 0))
		kept->ended_unix_ms = req->unix_ms;
	for (uint32_t i = 0; i < req->n_steps && req->steps[i].step < RIG_FLOW_STEPS; i++) {
		struct rig_flow_step *step = &kept->steps[req->steps[i].step];

		take_text(step->state, sizeof(step->state), NULL, str_of(req->steps[i].state));
		take_text(step->result, sizeof(step->result), &step->has_result, req->steps[i].result_json);
		take_text(step->error, sizeof(step->error), &step->has_error, req->steps[i].error);
		take_text(step->reason, sizeof(step->reason), &step->has_reason, req->steps[i].reason);
	}
}

void rig_flow_journal(struct journal *journal, struct journal_flow_req *req)
{
	list_append(&container_of(journal, struct rig, journal)->flows.records, &req->node);
}

void rig_flow_find(struct journal *journal, struct journal_flow_find_req *req)
{
	list_append(&container_of(journal, struct rig, journal)->flows.finds, &req->node);
}

static void answer_record(struct rig_flows *flows, struct journal_flow_req *req)
{
	struct rig_flow *known = req->is_begin && req->key.at != NULL ? find_key(flows, req->key, req->uid) : NULL;

	req->rc = flows->journal_rc;
	if (req->rc != 0) {
		(void)err_set(&req->err, req->rc, "no space left");
	} else if (known != NULL) {
		req->is_known = true;
		req->known = known->id;
		req->is_same = memcmp(known->hash, req->hash, sizeof(req->hash)) == 0;
	} else {
		flows->n_records++;
		if (req->is_begin)
			keep(keep_begin(flows, req), req);
		else if (find_kept(flows, &req->flow) != NULL)
			keep(find_kept(flows, &req->flow), req);
	}
	req->done(req);
}

static struct str text_of(const char *text, bool has)
{
	return has ? str_of(text) : STR_NONE;
}

static void show_kept(const struct rig_flow *kept, struct journal_flow *flow, struct journal_step *steps)
{
	*flow = (struct journal_flow){
		.id = kept->id,
		.state = kept->state,
		.code = kept->code,
		.reason = text_of(kept->reason, kept->reason[0] != '\0'),
		.uid = kept->uid,
		.key = text_of(kept->key, kept->has_key),
		.spec_json = str_of(kept->spec),
		.began_unix_ms = kept->began_unix_ms,
		.deadline_unix_ms = kept->deadline_unix_ms,
		.ended_unix_ms = kept->ended_unix_ms,
		.steps = steps,
	};
	for (uint32_t i = 0; i < RIG_FLOW_STEPS; i++) {
		const struct rig_flow_step *step = &kept->steps[i];

		if (step->state[0] == '\0')
			continue;
		steps[flow->n_steps++] = (struct journal_step){
			.step = i,
			.state = step->state,
			.result_json = text_of(step->result, step->has_result),
			.error = text_of(step->error, step->has_error),
			.reason = text_of(step->reason, step->has_reason),
		};
	}
}

static void answer_find(struct rig_flows *flows, struct journal_flow_find_req *req)
{
	const struct rig_flow *kept = find_kept(flows, &req->flow);

	req->rc = flows->journal_rc;
	if (req->rc == 0 && kept != NULL) {
		struct journal_flow *found = malloc(sizeof(*found) + RIG_FLOW_STEPS * sizeof(struct journal_step));

		if (found != NULL)
			show_kept(kept, found, (struct journal_step *)(void *)(found + 1));
		else
			req->rc = -ENOMEM;
		req->found = found;
	}
	req->done(req);
}

int rig_flow_load(struct journal *journal, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
		  struct err *err)
{
	struct rig_flows *flows = &container_of(journal, struct rig, journal)->flows;
	int rc = 0;

	(void)err;
	for (unsigned i = 0; i < RIG_FLOWS_MAX && rc == 0; i++) {
		struct journal_step steps[RIG_FLOW_STEPS];
		struct journal_flow found;

		if (!flows->kept[i].is_used || flows->kept[i].ended_unix_ms != 0)
			continue;
		show_kept(&flows->kept[i], &found, steps);
		rc = flow(arg, &found);
	}
	return rc;
}

/* ---- the rig ---- */

static bool has_service(const void *arg, struct str name)
{
	(void)arg;
	return str_is_equal(name, str_of("payments"));
}

void rig_flow_init(struct rig_flows *flows)
{
	list_init(&flows->records);
	list_init(&flows->finds);
	target_init(&flows->targets[0], "postgresql", false);
	target_init(&flows->targets[1], "payments", true);
	for (unsigned i = 0; i < RIG_TARGETS; i++)
		flows->ports[i] = &flows->targets[i].target;
	flows->n_targets = RIG_TARGETS;
	flows->config = (struct flow_config){
		.max_flows = 1000,
		.max_flow_bytes = 1000000,
		.max_result_bytes = 200,
		.step_timeout_ms = 1000,
		.max_tries = 3,
		.retry = {.base_ns = 100 * (uint64_t)NS_PER_MS, .cap_ns = 1000 * (uint64_t)NS_PER_MS},
		.undo = {.base_ns = 100 * (uint64_t)NS_PER_MS, .cap_ns = 2000 * (uint64_t)NS_PER_MS},
		.park_after_ms = 10000,
		.parked_retry_ms = 5000,
		.limits = {.max_steps = 64,
			   .max_depth = 64,
			   .max_bytes = 100000,
			   .max_deadline_ms = 1000000,
			   .max_timeout_ms = 100000,
			   .max_tries = 100,
			   .has_service = has_service,
			   .documents = document_limits_default()},
	};
}

int rig_flow_set_targets(struct rig *rig)
{
	return engine_set_targets(rig->engine, &rig->flows.config, rig->flows.ports, rig->flows.n_targets);
}

bool rig_flow_answer(struct rig *rig)
{
	struct rig_flows *flows = &rig->flows;
	struct list *node = flows->is_journal_held ? NULL : list_take_first(&flows->records);
	bool any = node != NULL;

	if (node != NULL)
		answer_record(flows, container_of(node, struct journal_flow_req, node));
	node = flows->is_journal_held ? NULL : list_take_first(&flows->finds);
	if (node != NULL)
		answer_find(flows, container_of(node, struct journal_flow_find_req, node));
	any = any || node != NULL;
	for (unsigned i = 0; i < RIG_TARGETS; i++)
		any = target_answer(&flows->targets[i]) || any;
	return any;
}

/* ---- sagas ---- */

static void take_report(struct rig_saga *saga, const struct flow_report *report)
{
	saga->id = report->id;
	saga->state = report->state;
	saga->failure = report->code;
	saga->is_stored = report->is_stored;
	(void)snprintf(saga->error, sizeof(saga->error), "%.*s", STR_ARG(report->error));
	(void)snprintf(saga->failed_step, sizeof(saga->failed_step), "%.*s", STR_ARG(report->failed_step));
	saga->steps[0] = saga->results[0] = '\0';
	for (uint32_t i = 0; i < report->n_steps; i++) {
		const struct flow_report_step *step = &report->steps[i];
		size_t n = strlen(saga->steps), m = strlen(saga->results);

		(void)snprintf(saga->steps + n, sizeof(saga->steps) - n, "%s%.*s=%s%s", i > 0 ? " " : "",
			       STR_ARG(step->name), flow_step_state_name(step->state),
			       step->is_parked ? "(parked)" : "");
		if (step->result_json.at != NULL)
			(void)snprintf(saga->results + m, sizeof(saga->results) - m, "%.*s=%.*s ", STR_ARG(step->name),
				       STR_ARG(step->result_json));
	}
}

static void on_done(struct engine_flow *flow)
{
	struct rig_saga *saga = container_of(flow, struct rig_saga, flow);

	saga->n_answers++;
	saga->code = flow->code;
	(void)snprintf(saga->error, sizeof(saga->error), "%s", flow->err.text);
	if (flow->report != NULL)
		take_report(saga, flow->report);
}

void rig_saga_submit(struct rig *rig, struct rig_saga *saga, const char *json)
{
	struct request_fault fault = {.code = CODE_NONE};
	uint32_t uid = saga->flow.uid;
	char text[RIG_SPEC_BYTES];
	size_t len = strlen(json);
	int rc;

	MUST(len < sizeof(text));
	for (size_t i = 0; i <= len; i++)
		text[i] = json[i] == '\'' ? '"' : json[i];
	memset(saga, 0, sizeof(*saga));
	saga->flow.uid = uid;
	saga->flow.done = on_done;
	list_init(&saga->flow.node);
	rc = flow_spec_parse((struct str){text, len}, &rig->flows.config.limits, &saga->flow.spec, &fault);
	if (rc != 0)
		(void)fprintf(stderr, "%s: %s\n", fault.path, fault.err.text);
	MUST(rc == 0);
	engine_run_flow(rig->engine, &saga->flow);
}

void rig_saga_run(struct rig *rig, struct rig_saga *saga, const char *json)
{
	rig_saga_submit(rig, saga, json);
	rig_answer(rig);
}

struct asked {
	struct engine_flow_query query;
	struct rig_saga *saga;
};

static void on_asked(struct engine_flow_query *query)
{
	struct rig_saga *saga = container_of(query, struct asked, query)->saga;

	saga->n_answers++;
	saga->code = query->code;
	(void)snprintf(saga->error, sizeof(saga->error), "%s", query->err.text);
	if (query->report != NULL)
		take_report(saga, query->report);
}

void rig_saga_ask(struct rig *rig, struct rig_saga *saga, const struct uuid *id, bool is_cancel)
{
	struct asked asked = {.saga = saga};

	asked.query = (struct engine_flow_query){.id = *id, .is_cancel = is_cancel, .done = on_asked};
	list_init(&asked.query.node);
	saga->n_answers = 0;
	engine_ask_flow(rig->engine, &asked.query);
	rig_turn(rig);
	if (saga->n_answers == 0)
		rig_answer(rig);
	MUST(saga->n_answers == 1);
}

void rig_restart(struct rig *rig)
{
	rig_fini(rig);
	for (unsigned i = 0; i < RIG_TARGETS; i++)
		list_init(&rig->flows.targets[i].out);
	for (unsigned i = 0; i < RIG_REQUESTS; i++)
		list_init(&rig->out[i]);
	for (unsigned i = 0; i < RIG_STORES; i++)
		list_init(&rig->stores[i].out);
	list_init(&rig->flows.records);
	list_init(&rig->flows.finds);
	list_init(&rig->records);
	list_init(&rig->lookups);
	rig->flows.sent[0] = '\0';
	rig_run(rig);
}

struct flow_stats rig_flow_stats(const struct rig *rig)
{
	struct flow_stats stats;

	engine_flow_stats(rig->engine, &stats);
	return stats;
}
