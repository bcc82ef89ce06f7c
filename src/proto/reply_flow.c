#include "reply_flow.h"

#include "reply_build.h"

#include <string.h>

/* A result is JSON that a target's adapter or the engine has made. */
static void flow_add_json(struct reply *reply, yyjson_mut_val *object, const char *key, struct str json)
{
	reply_add(reply, object, key, yyjson_mut_rawncpy(reply->doc, json.at, json.len));
}

static void flow_add_target(struct reply *reply, yyjson_mut_val *object, const struct reply_flow_step *step)
{
	reply_add_str(reply, object, step->is_service ? "service" : "store", step->target);
}

static void flow_add_time(struct reply *reply, yyjson_mut_val *object, const char *key, int64_t unix_ms)
{
	if (unix_ms != 0)
		reply_note(reply, yyjson_mut_obj_add_sint(reply->doc, object, key, unix_ms));
}

static void flow_add_step(struct reply *reply, yyjson_mut_val *array, const struct reply_flow_step *step, bool is_whole)
{
	yyjson_mut_val *object = reply_append_object(reply, array);

	reply_add_str(reply, object, "name", step->name);
	flow_add_target(reply, object, step);
	reply_add_text(reply, object, "state", step->state);
	if (step->is_parked)
		reply_add_bool(reply, object, "parked", true);
	if (step->n_tries > 0 || is_whole)
		reply_add_number(reply, object, "tries", step->n_tries);
	if (step->error.at != NULL && step->error.len > 0)
		reply_add_str(reply, object, "error", step->error);
	if (step->reason.at != NULL && step->reason.len > 0)
		reply_add_str(reply, object, "reason", step->reason);
	if (!is_whole)
		return;
	flow_add_time(reply, object, "since_unix_ms", step->unix_ms);
	if (step->next_try_ms >= 0)
		reply_add_number(reply, object, "next_try_ms", (uint64_t)step->next_try_ms);
	if (step->result_json.at != NULL && step->result_json.len > 0)
		flow_add_json(reply, object, "result", step->result_json);
}

static void flow_add_steps(struct reply *reply, yyjson_mut_val *object, const struct reply_flow *flow, bool is_whole)
{
	yyjson_mut_val *array = reply_add_array(reply, object, "steps");

	for (uint32_t i = 0; i < flow->n_steps; i++)
		flow_add_step(reply, array, &flow->steps[i], is_whole);
}

static const struct reply_flow_step *flow_failed_step(const struct reply_flow *flow)
{
	for (uint32_t i = 0; flow->failed_step.at != NULL && i < flow->n_steps; i++)
		if (str_is_equal(flow->steps[i].name, flow->failed_step))
			return &flow->steps[i];
	return NULL;
}

/* A step's name is a key of the answer's own: it is copied. */
static void flow_add_results(struct reply *reply, yyjson_mut_val *result, const struct reply_flow *flow)
{
	yyjson_mut_val *results = reply_add_object(reply, result, "results");
	bool are_all_done = true;

	for (uint32_t i = 0; i < flow->n_steps; i++) {
		const struct reply_flow_step *step = &flow->steps[i];
		struct str json = step->result_json.len > 0 ? step->result_json : str_of("null");

		are_all_done = are_all_done && step->is_done;
		if (step->is_done)
			reply_note(reply, yyjson_mut_obj_add(results, reply_str(reply, step->name),
							     yyjson_mut_rawncpy(reply->doc, json.at, json.len)));
	}
	if (!are_all_done)
		flow_add_steps(reply, result, flow, false);
}

static void flow_add_failure(struct reply *reply, const struct reply_flow *flow)
{
	const struct reply_flow_step *failed = flow_failed_step(flow);
	enum code code = flow->code != CODE_NONE ? flow->code : CODE_INTERNAL;
	struct err message;
	yyjson_mut_val *data;

	(void)err_set(&message, 0, "%.*s", STR_ARG(flow->error));
	data = reply_add_error(reply, code, message.text);
	reply_add_text(reply, data, "outcome", "compensated");
	reply_add_uuid(reply, data, "saga_id", &flow->id);
	reply_add_bool(reply, data, "stored", flow->is_stored);
	if (failed != NULL) {
		reply_add_str(reply, data, "step", failed->name);
		flow_add_target(reply, data, failed);
		reply_add_number(reply, data, "tries", failed->n_tries);
	}
	flow_add_steps(reply, data, flow, false);
}

void reply_flow_outcome(struct buf *out, const char *id_json, const struct reply_flow *flow)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	if (flow->end == REPLY_FLOW_COMPENSATED) {
		flow_add_failure(&reply, flow);
		reply_finish(&reply, out);
		return;
	}
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_text(&reply, result, "outcome", flow->end == REPLY_FLOW_COMMITTED ? "committed" : "accepted");
	reply_add_uuid(&reply, result, "saga_id", &flow->id);
	reply_add_bool(&reply, result, "stored", flow->is_stored);
	if (flow->end == REPLY_FLOW_COMMITTED)
		flow_add_results(&reply, result, flow);
	else
		reply_add_text(&reply, result, "state", flow->state);
	reply_finish(&reply, out);
}

void reply_flow_status(struct buf *out, const char *id_json, const struct reply_flow *flow)
{
	struct reply reply;
	yyjson_mut_val *result;

	reply_init(&reply, id_json);
	result = reply_add_object(&reply, reply.root, "result");
	reply_add_uuid(&reply, result, "saga_id", &flow->id);
	reply_add_text(&reply, result, "kind", "steps");
	reply_add_text(&reply, result, "state", flow->state);
	reply_add_number(&reply, result, "uid", flow->uid);
	if (flow->key.at != NULL && flow->key.len > 0)
		reply_add_str(&reply, result, "idempotency_key", flow->key);
	flow_add_time(&reply, result, "began_unix_ms", flow->began_unix_ms);
	flow_add_time(&reply, result, "deadline_unix_ms", flow->deadline_unix_ms);
	flow_add_time(&reply, result, "ended_unix_ms", flow->ended_unix_ms);
	if (flow->code != CODE_NONE) {
		reply_add_text(&reply, result, "code", code_name(flow->code));
		reply_add_str(&reply, result, "error", flow->error);
	}
	if (flow->failed_step.at != NULL)
		reply_add_str(&reply, result, "failed_step", flow->failed_step);
	flow_add_steps(&reply, result, flow, true);
	reply_finish(&reply, out);
}
