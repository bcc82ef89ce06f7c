#include "flow_run.h"

#include <errno.h>
#include <stdlib.h>

#define LOSSES_BEFORE_HOLD 3 /* one request that a service never answers doesn't make it a service that is away */

/* One try that is out. */
struct flow_call {
	struct call call;
	struct flow_run *run;
	uint32_t step;
	struct buf body;
	bool is_after_doubt; /* CHECK: of a do that has just ended in doubt; otherwise before it is sent again */
};

/* ---- queues ---- */

static struct flow_target *flow_send_target(struct flow_run *run, uint32_t step)
{
	return &run->engine->flows.targets[run->parts[step].target];
}

static bool flow_send_is_closed(const struct flow_target *target, const struct moment *now)
{
	return target->is_held && target->held_until_ns > now->mono_ns;
}

static void flow_send_fail(struct flow_run *run, uint32_t step, enum flow_verdict verdict, const char *text)
{
	struct flow_event event = {.kind = FLOW_EV_ENDED, .step = step, .verdict = verdict};

	flow_run_feed(run, &event, text);
}

void flow_send_push(struct flow_run *run, uint32_t step)
{
	struct flow_part *part = &run->parts[step];
	struct flow_target *target;

	part->due_ns = 0;
	if (run->flow.steps[step].tries == 0) {
		part->failing_since_ns = 0;
		part->is_hopeless = false;
	}
	if (part->target == FLOW_NO_TARGET) {
		struct err err;

		(void)err_set(&err, 0, "\"%.*s\" isn't configured any more; configure it again, or resolve the step",
			      STR_ARG(flow_run_target_name(run, step)));
		flow_send_fail(run, step, FLOW_MISCONFIGURED, err.text);
		return;
	}
	target = flow_send_target(run, step);
	if (flow_send_is_closed(target, &run->engine->now) && !flow_is_endless(&run->flow, step)) {
		flow_send_fail(run, step, FLOW_OUTAGE, target->last_error.text);
		return;
	}
	MUST(list_is_empty(&part->node) && part->call == NULL);
	list_append(&target->queue, &part->node);
	target->n_waiting++;
}

bool flow_send_unqueue(struct flow_run *run, uint32_t step)
{
	struct flow_part *part = &run->parts[step];

	if (list_is_empty(&part->node))
		return false;
	list_remove(&part->node);
	flow_send_target(run, step)->n_waiting--;
	return true;
}

void flow_send_drop(struct flow_run *run, uint32_t step)
{
	struct flow_call *call = run->parts[step].call;

	(void)flow_send_unqueue(run, step);
	if (call == NULL)
		return;
	buf_fini(&call->body);
	buf_fini(&call->call.result_json);
	free(call);
	run->parts[step].call = NULL;
}

/* ---- holds ---- */

/* Dos that wait here fail now, by their own budget; what must succeed goes on waiting. */
static void flow_send_turn_away(struct flow_target *target)
{
	struct list waiting, *node;

	list_init(&waiting);
	list_splice(&waiting, &target->queue);
	while ((node = list_take_first(&waiting)) != NULL) {
		struct flow_part *part = container_of(node, struct flow_part, node);
		struct flow_run *run = flow_run_of(part);

		if (flow_is_endless(&run->flow, part->step)) {
			list_append(&target->queue, node);
			continue;
		}
		target->n_waiting--;
		flow_send_fail(run, part->step, FLOW_OUTAGE, target->last_error.text);
	}
}

static void flow_send_hold(struct engine *engine, struct flow_target *target, const struct err *err)
{
	target->is_held = true;
	target->last_error = *err;
	target->held_until_ns =
		engine->now.mono_ns + backoff_wait_ns(&engine->flows.config.retry, target->n_losses, &engine->rng);
	timers_set(&engine->timers, &target->timer, target->held_until_ns);
	flow_send_turn_away(target);
}

/* One step that ends in doubt again and again (an undo that a service answers with 503) doesn't tell that the service
 * is away: it would close it to all others. */
static bool flow_send_is_doubt_again(struct flow_target *target, const struct flow_call *ended)
{
	const struct call *call = &ended->call;
	bool is_again = call->verdict == VERDICT_DOUBT && target->n_losses > 0 && target->lost_step == ended->step &&
			uuid_compare(&target->lost_saga, &call->saga) == 0;

	target->lost_saga = call->saga;
	target->lost_step = ended->step;
	return is_again;
}

static void flow_send_note_verdict(struct engine *engine, struct flow_target *target, const struct flow_call *ended)
{
	const struct call *call = &ended->call;

	if (call->verdict != VERDICT_OK)
		target->n_failures++;
	switch (call->verdict) {
	case VERDICT_OK:
	case VERDICT_TRANSIENT:
	case VERDICT_PERMANENT:
	case VERDICT_MISCONFIGURED: /* it has said so itself; a statement alone may be the cause */
		target->n_losses = 0;
		target->is_held = false;
		break;
	case VERDICT_OUTAGE:
	case VERDICT_DOUBT:
		if (flow_send_is_closed(target, &engine->now) || flow_send_is_doubt_again(target, ended))
			break; /* the first: others of the same flight */
		if (target->n_losses < UINT32_MAX)
			target->n_losses++;
		if (call->verdict == VERDICT_OUTAGE || target->is_held || target->n_losses >= LOSSES_BEFORE_HOLD)
			flow_send_hold(engine, target, &call->err);
		break;
	}
}

void flow_send_unhold(struct engine *engine, uint32_t place)
{
	struct flow_target *target = place < engine->flows.n_targets ? &engine->flows.targets[place] : NULL;

	if (target == NULL || !target->is_held)
		return;
	target->held_until_ns = 0;
	timers_set(&engine->timers, &target->timer, engine->now.mono_ns);
}

/* ---- sending ---- */

static void flow_send_on_done(struct call *call)
{
	struct flow_call *ours = container_of(call, struct flow_call, call);

	list_append(&ours->run->engine->flows.returned, &call->node);
}

static struct str flow_send_result_of(const void *arg, uint32_t step)
{
	const struct flow_run *run = arg;
	const struct flow_part *part = &run->parts[step];

	return (struct str){part->result, part->result_bytes};
}

static enum call_kind flow_send_kind(const struct flow_run *run, uint32_t step)
{
	if (run->flow.steps[step].state == FLOW_STEP_UNDOING)
		return CALL_UNDO;
	if (run->flow.steps[step].is_unsure && run->spec->steps[step].has_check && !run->parts[step].has_said_no)
		return CALL_CHECK;
	return CALL_DO;
}

static uint64_t flow_send_timeout_ms(const struct flow_run *run, uint32_t step)
{
	uint64_t own_ms = run->spec->steps[step].timeout_ms;

	return own_ms != 0 ? own_ms : run->engine->flows.config.step_timeout_ms;
}

static int flow_send_render(struct flow_call *made, struct err *err)
{
	static const enum flow_body bodies[] = {
		[CALL_DO] = FLOW_BODY_DO, [CALL_UNDO] = FLOW_BODY_UNDO, [CALL_CHECK] = FLOW_BODY_CHECK};
	int rc = flow_spec_render(made->run->spec, made->step, bodies[made->call.kind], flow_send_result_of, made->run,
				  &made->body, err);

	return rc == 0 && made->body.failed ? -ENOMEM : rc;
}

static void flow_send_submit(struct flow_target *target, struct flow_call *made)
{
	struct flow_run *run = made->run;
	const struct flow_spec_step *spec = &run->spec->steps[made->step];

	made->call.saga = run->id;
	made->call.step = spec->name;
	made->call.body_json = buf_str(&made->body);
	made->call.keeps_result = spec->is_referenced;
	made->call.timeout_ns = flow_send_timeout_ms(run, made->step) * NS_PER_MS;
	made->call.uid = run->uid;
	made->call.done = flow_send_on_done;
	list_init(&made->call.node);
	run->parts[made->step].call = made;
	if (made->call.kind == CALL_DO)
		run->parts[made->step].has_said_no = false;
	run->n_out++;
	target->n_out++;
	target->n_calls[made->call.kind]++;
	target->target->ops->submit(target->target, &made->call);
}

/* 0; -ENOMEM: it must be tried again; -EINVAL: its body can't be made, and it has failed. */
static int flow_send_call(struct flow_target *target, struct flow_run *run, uint32_t step, enum call_kind kind,
			  bool is_after_doubt)
{
	struct flow_call *made = calloc(1, sizeof(*made));
	struct err err = {""};
	int rc = -ENOMEM;

	if (made == NULL)
		return rc;
	made->run = run;
	made->step = step;
	made->call.kind = kind;
	made->is_after_doubt = is_after_doubt;
	rc = flow_send_render(made, &err);
	if (rc == 0) {
		flow_send_submit(target, made);
		return 0;
	}
	buf_fini(&made->body);
	free(made);
	if (rc == -ENOMEM)
		return rc;
	run->parts[step].is_hopeless = true;
	flow_send_fail(run, step, kind == CALL_CHECK ? FLOW_DOUBT : FLOW_PERMANENT, err.text);
	return rc;
}

static uint32_t flow_send_places(const struct flow_target *target, const struct moment *now)
{
	uint32_t max = target->is_held ? 1 : target->target->max_calls;

	if (target->held_until_ns > now->mono_ns || target->n_out >= max)
		return 0;
	return max - (uint32_t)target->n_out;
}

static void flow_send_pump_target(struct engine *engine, struct flow_target *target)
{
	struct list *node;

	while (!list_is_empty(&target->queue) && flow_send_places(target, &engine->now) > 0) {
		struct flow_part *part;
		struct flow_run *run;

		node = list_take_first(&target->queue);
		part = container_of(node, struct flow_part, node);
		run = flow_run_of(part);
		target->n_waiting--;
		if (flow_send_call(target, run, part->step, flow_send_kind(run, part->step), false) != -ENOMEM)
			continue;
		list_prepend(&target->queue, node);
		target->n_waiting++;
		timers_set(&engine->timers, &target->timer, engine_after_ms(engine, FLOW_SHORTAGE_MS));
		return;
	}
}

void flow_send_pump(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->flows.n_targets; i++)
		flow_send_pump_target(engine, &engine->flows.targets[i]);
}

/* ---- what comes back ---- */

static enum flow_verdict flow_send_verdict(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_OK:
		return FLOW_OK;
	case VERDICT_TRANSIENT:
		return FLOW_TRANSIENT;
	case VERDICT_OUTAGE:
		return FLOW_OUTAGE;
	case VERDICT_DOUBT:
		return FLOW_DOUBT;
	case VERDICT_PERMANENT:
		return FLOW_PERMANENT;
	case VERDICT_MISCONFIGURED:
		break;
	}
	return FLOW_MISCONFIGURED;
}

/* The reply's own memory becomes the step's result. */
static void flow_send_keep_result(struct flow_run *run, uint32_t step, struct buf *result)
{
	struct flow_part *part = &run->parts[step];
	size_t max_bytes = run->engine->flows.config.max_result_bytes;
	struct err note;

	flow_keep_text(&part->error, NULL, 0);
	if (result->failed || result->len > max_bytes) {
		(void)err_set(&note, 0, "it is done, but its result of %zu bytes was not kept: %s", result->len,
			      result->failed ? "out of memory" : "over sagas.max_result");
		flow_keep_text(&part->error, note.text, strlen(note.text));
		return;
	}
	if (result->len == 0)
		return;
	run->engine->flows.bytes -= part->result_bytes;
	free(part->result);
	part->result = result->at;
	part->result_bytes = (uint32_t)result->len;
	run->engine->flows.bytes += part->result_bytes;
	*result = (struct buf){.at = NULL};
}

/* The service's wish, within what an operator would wait for. */
static void flow_send_note_wish(struct flow_run *run, uint32_t step, uint64_t wish_ms)
{
	uint64_t max_ms = run->engine->flows.config.parked_retry_ms;

	if (wish_ms > 0)
		run->parts[step].due_ns = engine_after_ms(run->engine, wish_ms < max_ms ? wish_ms : max_ms);
}

static void flow_send_end(struct flow_call *ended, enum flow_verdict verdict)
{
	struct flow_run *run = ended->run;
	uint32_t step = ended->step;
	struct flow_event event = {.kind = FLOW_EV_ENDED, .step = step, .verdict = verdict};

	if (verdict == FLOW_OK) {
		if (run->parts[step].is_settling) /* before the record that says so borrows it */
			flow_keep_text(&run->parts[step].reason, NULL, 0);
		if (ended->call.kind != CALL_UNDO)
			flow_send_keep_result(run, step, &ended->call.result_json);
		else if (run->flow.failure.step != step)
			flow_keep_text(&run->parts[step].error, NULL, 0);
		run->parts[step].failing_since_ns = 0;
	} else if (ended->call.verdict == VERDICT_TRANSIENT) {
		flow_send_note_wish(run, step, ended->call.retry_after_ms);
	}
	flow_run_feed(run, &event, verdict == FLOW_OK ? NULL : ended->call.err.text);
	flow_care_on_call_ended(run, step);
}

/* A check has ended. Before a do: "no" lets it be sent. After a doubt: whatever isn't "yes" leaves the doubt, since
 * what was sent may still arrive; but after "no" it may be sent again. */
static void flow_send_end_check(struct flow_target *target, struct flow_call *ended)
{
	struct flow_run *run = ended->run;
	struct flow_part *part = &run->parts[ended->step];

	if (ended->call.verdict == VERDICT_OK) {
		flow_send_end(ended, FLOW_OK);
		return;
	}
	part->has_said_no = ended->call.verdict == VERDICT_PERMANENT;
	if (part->has_said_no && !ended->is_after_doubt && !part->is_settling && run->flow.state == FLOW_RUNNING) {
		list_prepend(&target->queue, &part->node);
		target->n_waiting++;
		return;
	}
	flow_send_end(ended, FLOW_DOUBT);
}

/* Who knows whether it has run? The service may. */
static bool flow_send_asks(struct flow_target *target, struct flow_call *ended)
{
	struct flow_run *run = ended->run;
	const struct flow_spec_step *spec = &run->spec->steps[ended->step];

	if (ended->call.kind != CALL_DO || ended->call.verdict != VERDICT_DOUBT || !spec->has_check ||
	    flow_send_places(target, &run->engine->now) == 0)
		return false;
	return flow_send_call(target, run, ended->step, CALL_CHECK, true) == 0;
}

static void flow_send_look(struct engine *engine, struct flow_target *target, struct flow_call *ended)
{
	flow_send_note_verdict(engine, target, ended);
	if (ended->call.kind == CALL_CHECK)
		flow_send_end_check(target, ended);
	else if (!flow_send_asks(target, ended))
		flow_send_end(ended, flow_send_verdict(ended->call.verdict));
}

static void flow_send_return(struct engine *engine, struct flow_call *ended)
{
	struct flow_run *run = ended->run;
	struct flow_target *target = flow_send_target(run, ended->step);

	run->parts[ended->step].call = NULL;
	run->n_out--;
	target->n_out--;
	if (engine->phase != ENGINE_HALTED)
		flow_send_look(engine, target, ended);
	buf_fini(&ended->body);
	buf_fini(&ended->call.result_json);
	free(ended);
}

bool flow_send_collect(struct engine *engine)
{
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&engine->flows.returned)) != NULL) {
		struct call *call = container_of(node, struct call, node);

		flow_send_return(engine, container_of(call, struct flow_call, call));
		any = true;
	}
	return any;
}
