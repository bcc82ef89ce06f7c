/* What operators see and do. A step is resolved when no call of it is out any more, and the operator has the answer
 * when the journal has the reason. */
#include "flow_run.h"

#include <stdlib.h>

#define BIT(i) ((uint64_t)1 << (i))

/* Resolutions of one order that are under way. */
struct flow_settling {
	struct engine_resolution *resolution;
	struct flow_run *run;
	uint64_t steps;
	struct list node; /* in flows.settling */
};

static bool flow_care_is_meant(const struct flow_run *run, const struct work_order *order, uint32_t step)
{
	const struct flow_spec_step *spec = &run->spec->steps[step];

	return (order->step.at == NULL || str_is_equal(order->step, spec->name)) &&
	       (order->store.at == NULL || str_is_equal(order->store, spec->target));
}

/* ---- rows of saga.list ---- */

/* The step that says most: a parked one, else one that waits, else one that is being tried. */
static uint32_t flow_care_telling_step(const struct flow_run *run)
{
	uint32_t found = FLOW_STEPS_MAX;
	int weight = 0;

	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		const struct flow_step *at = &run->flow.steps[i];
		bool is_waiting = at->state == FLOW_STEP_WAITING || at->state == FLOW_STEP_UNDO_WAITING;
		bool is_tried = at->state == FLOW_STEP_DOING || at->state == FLOW_STEP_UNDOING;
		int own = at->is_parked ? 3 : is_waiting ? 2 : is_tried ? 1 : 0;

		if (own > weight) {
			weight = own;
			found = i;
		}
	}
	return found;
}

struct work_row flow_care_row(const struct flow_run *run)
{
	const struct engine *engine = run->engine;
	uint32_t step = flow_care_telling_step(run);
	struct work_row row = {
		.id = run->id,
		.kind = WORK_STEPS,
		.state = flow_parked(&run->flow) != 0           ? WORK_PARKED
			 : run->flow.state == FLOW_COMPENSATING ? WORK_COMPENSATING
								: WORK_RUNNING,
		.op = "run",
		.step = flow_state_name(run->flow.state),
		.document_id = STR_NONE,
		.since_unix_ms = run->began_unix_ms,
		.next_try_ms = -1,
		.error = "",
		.reason = "",
		.uid = run->uid,
	};
	const struct flow_part *part = step < FLOW_STEPS_MAX ? &run->parts[step] : NULL;

	if (part == NULL)
		return row;
	if (part->target != FLOW_NO_TARGET)
		row.store = engine->flows.targets[part->target].target->name;
	row.n_tries = run->flow.steps[step].tries;
	row.error = part->error != NULL ? part->error : "";
	if (part->due_ns != 0)
		row.next_try_ms = part->due_ns > engine->now.mono_ns
					  ? (int64_t)((part->due_ns - engine->now.mono_ns) / NS_PER_MS)
					  : 0;
	return row;
}

/* ---- try now ---- */

static uint32_t flow_care_retry_run(struct flow_run *run, const struct work_order *order)
{
	struct engine *engine = run->engine;
	uint32_t n = 0;

	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		enum flow_step_state state = run->flow.steps[i].state;
		struct flow_part *part = &run->parts[i];

		if (!flow_care_is_meant(run, order, i))
			continue;
		if (state == FLOW_STEP_WAITING || state == FLOW_STEP_UNDO_WAITING)
			part->due_ns = engine->now.mono_ns;
		else if (list_is_empty(&part->node))
			continue;
		flow_send_unhold(engine, part->target);
		n++;
	}
	flow_run_set_timer(run);
	return n;
}

uint32_t flow_care_retry(struct engine *engine, const struct work_order *order)
{
	struct flow_run *only = order->has_id ? flow_run_find(engine, &order->id) : NULL;
	struct list *it, *tmp;
	uint32_t n = 0;

	if (order->has_id)
		return only != NULL && !only->is_loaded ? flow_care_retry_run(only, order) : 0;
	list_each (it, tmp, &engine->flows.runs) {
		struct flow_run *run = container_of(it, struct flow_run, node);

		if (!run->is_loaded)
			n += flow_care_retry_run(run, order);
	}
	return n;
}

/* ---- resolve ---- */

/* Without a step's name only what is parked is given up; by its name also what merely backs off. */
static uint64_t flow_care_steps_meant(const struct flow_run *run, const struct work_order *order)
{
	uint64_t steps = 0;

	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if (flow_care_is_meant(run, order, i) && flow_can_resolve(&run->flow, i) &&
		    (order->step.at != NULL || run->flow.steps[i].is_parked))
			steps |= BIT(i);
	return steps;
}

static void flow_care_settle(struct flow_run *run, uint32_t step)
{
	struct flow_event resolve = {.kind = FLOW_EV_RESOLVE, .step = step};
	struct flow_event unsent = {.kind = FLOW_EV_ENDED, .step = step, .verdict = FLOW_OUTAGE};

	run->parts[step].is_settling = true;
	if (run->parts[step].call != NULL)
		return; /* flow_care_on_call_ended() */
	if (flow_send_unqueue(run, step))
		flow_run_feed(run, &unsent, NULL);
	run->parts[step].is_settling = false;
	run->parts[step].due_ns = 0;
	flow_run_feed(run, &resolve, NULL);
}

void flow_care_on_call_ended(struct flow_run *run, uint32_t step)
{
	struct flow_part *part = &run->parts[step];
	enum flow_step_state state = run->flow.steps[step].state;

	if (!part->is_settling || part->call != NULL)
		return;
	if (state == FLOW_STEP_WAITING || state == FLOW_STEP_UNDO_WAITING) {
		flow_care_settle(run, step);
		return;
	}
	part->is_settling = false; /* it has succeeded after all */
}

static void flow_care_tell(const struct flow_run *run, uint32_t step, uint32_t uid)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&run->id, id);
	log_warn(run->engine->log, "resolved by uid %u: step \"%.*s\" of saga %s at %.*s: %s", uid,
		 STR_ARG(run->spec->steps[step].name), id, STR_ARG(flow_run_target_name(run, step)),
		 run->parts[step].reason);
}

bool flow_care_resolve(struct engine *engine, struct engine_resolution *resolution)
{
	const struct work_order *order = &resolution->order;
	struct flow_run *run = flow_run_find(engine, &order->id);
	struct flow_settling *settling;
	uint64_t steps;

	if (run == NULL || run->is_loaded)
		return false;
	steps = flow_care_steps_meant(run, order);
	settling = steps != 0 ? calloc(1, sizeof(*settling)) : NULL;
	if (settling == NULL) {
		resolution->code = steps != 0 ? CODE_INTERNAL : CODE_CONFLICT;
		(void)err_set(&resolution->err, 0, "%s",
			      steps != 0 ? "out of memory; try again"
					 : "no step of it that fits is parked; name one that backs off to resolve it "
					   "all the same, or `sagactl sagas retry` tries it now");
		resolution->done(resolution);
		return true;
	}
	*settling = (struct flow_settling){.resolution = resolution, .run = run, .steps = steps};
	list_append(&engine->flows.settling, &settling->node);
	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		if (!(steps & BIT(i)))
			continue;
		flow_keep_text(&run->parts[i].reason, order->reason.at, order->reason.len);
		flow_care_settle(run, i);
	}
	return true;
}

/* Durable, or ended otherwise? */
static bool flow_care_is_through(const struct flow_settling *settling)
{
	const struct flow_run *run = settling->run;

	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if ((settling->steps & BIT(i)) != 0 &&
		    (run->parts[i].is_settling || ((run->flow.dirty | run->flow.saving) & BIT(i)) != 0))
			return false;
	return true;
}

static void flow_care_answer(struct flow_settling *settling)
{
	struct engine_resolution *resolution = settling->resolution;
	const struct flow_run *run = settling->run;

	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		if (!(settling->steps & BIT(i)) || run->flow.steps[i].state != FLOW_STEP_RESOLVED)
			continue;
		flow_care_tell(run, i, resolution->uid);
		resolution->n_resolved++;
		run->engine->flows.n_resolved++;
	}
	list_remove(&settling->node);
	free(settling);
	resolution->done(resolution);
}

void flow_care_on_saved(struct flow_run *run)
{
	struct list *it, *tmp;

	list_each (it, tmp, &run->engine->flows.settling) {
		struct flow_settling *settling = container_of(it, struct flow_settling, node);

		if (settling->run == run && flow_care_is_through(settling))
			flow_care_answer(settling);
	}
}

void flow_care_halt(struct engine *engine, const struct err *err)
{
	struct list *node;

	while ((node = list_take_first(&engine->flows.settling)) != NULL) {
		struct flow_settling *settling = container_of(node, struct flow_settling, node);
		struct engine_resolution *resolution = settling->resolution;

		free(settling);
		resolution->code = CODE_SHUTTING_DOWN;
		resolution->err = *err;
		resolution->done(resolution);
	}
}

void flow_care_free(struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->flows.settling)
		free(container_of(it, struct flow_settling, node));
	list_init(&engine->flows.settling);
}
