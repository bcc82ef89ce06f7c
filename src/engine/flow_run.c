#include "flow_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BIT(i) ((uint64_t)1 << (i))

/* ---- by id ---- */

static uint32_t flow_run_hash(const struct uuid *id)
{
	uint32_t hash;

	memcpy(&hash, id->bytes + 12, sizeof(hash)); /* the end of a UUIDv7 is random */
	return hash;
}

static void flow_run_index(struct flows *flows, struct flow_run *run)
{
	struct flow_run **bucket = &flows->table[flow_run_hash(&run->id) & (flows->n_buckets - 1)];

	run->next_in_bucket = *bucket;
	*bucket = run;
}

/* Twice as many buckets once there are as many flows. Without memory the chains just get longer. */
static void flow_run_grow(struct flows *flows)
{
	uint32_t n = flows->n_buckets == 0 ? 64 : 2 * flows->n_buckets;
	struct flow_run **table = flows->n_open < flows->n_buckets ? NULL : calloc(n, sizeof(struct flow_run *));
	struct list *it, *tmp;

	if (table == NULL)
		return;
	free(flows->table);
	flows->table = table;
	flows->n_buckets = n;
	list_each (it, tmp, &flows->runs)
		flow_run_index(flows, container_of(it, struct flow_run, node));
}

static void flow_run_unindex(struct flows *flows, struct flow_run *run)
{
	struct flow_run **at = &flows->table[flow_run_hash(&run->id) & (flows->n_buckets - 1)];

	while (*at != NULL && *at != run)
		at = &(*at)->next_in_bucket;
	if (*at != NULL)
		*at = run->next_in_bucket;
}

struct flow_run *flow_run_find(struct engine *engine, const struct uuid *id)
{
	struct flows *flows = &engine->flows;
	struct flow_run *run = NULL;

	if (flows->n_buckets > 0)
		run = flows->table[flow_run_hash(id) & (flows->n_buckets - 1)];
	while (run != NULL && uuid_compare(&run->id, id) != 0)
		run = run->next_in_bucket;
	return run;
}

/* ---- making and freeing ---- */

static uint8_t flow_run_target(const struct flows *flows, struct str name)
{
	for (uint32_t i = 0; i < flows->n_targets; i++)
		if (str_is_equal(name, str_of(flows->targets[i].target->name)))
			return (uint8_t)i;
	return FLOW_NO_TARGET;
}

static struct flow_step_plan flow_run_plan(const struct flows *flows, const struct flow_spec_step *step, uint8_t target)
{
	bool has_barrier = target != FLOW_NO_TARGET && flows->targets[target].target->has_barrier;

	return (struct flow_step_plan){
		.after = step->after,
		.max_tries = step->has_retry && step->max_tries > 0 ? step->max_tries : flows->config.max_tries,
		.has_undo = step->has_undo,
		.is_optional = step->is_optional && !step->is_pivot,
		.is_pivot = step->is_pivot,
		.is_repeatable = has_barrier || step->is_idempotent || step->has_check,
	};
}

static void flow_run_on_timer(struct timer *timer);

struct flow_run *flow_run_create(struct engine *engine, struct flow_spec *spec, uint32_t uid, const struct uuid *id)
{
	uint32_t n = spec->n_steps;
	size_t parts = n * sizeof(struct flow_part), plans = n * sizeof(struct flow_step_plan);
	struct flow_run *run = calloc(1, sizeof(*run) + parts + plans + n * sizeof(struct flow_step));
	struct flow_step_plan *plan;

	if (run == NULL || timers_reserve(&engine->timers, 1) != 0) {
		free(run);
		return NULL;
	}
	plan = (struct flow_step_plan *)(void *)((char *)run + sizeof(*run) + parts);
	run->engine = engine;
	run->spec = spec;
	run->uid = uid;
	run->id = *id;
	run->timer.fire = flow_run_on_timer;
	list_init(&run->node);
	list_init(&run->waiters);
	for (uint32_t i = 0; i < n; i++) {
		run->parts[i].step = (uint8_t)i;
		run->parts[i].target = flow_run_target(&engine->flows, spec->steps[i].target);
		list_init(&run->parts[i].node);
		plan[i] = flow_run_plan(&engine->flows, &spec->steps[i], run->parts[i].target);
	}
	run->flow.n_steps = n;
	run->flow.plans = plan;
	run->flow.steps = (struct flow_step *)(void *)((char *)plan + plans);
	return run;
}

static size_t flow_run_bytes(const struct flow_run *run)
{
	return sizeof(*run) + run->spec->json.len + run->spec->n_steps * sizeof(struct flow_spec_step);
}

void flow_run_enlist(struct flow_run *run)
{
	struct flows *flows = &run->engine->flows;

	flow_run_grow(flows);
	list_append(&flows->runs, &run->node);
	if (flows->n_buckets > 0)
		flow_run_index(flows, run);
	flows->n_open++;
	flows->bytes += flow_run_bytes(run);
}

/* It is open no more: it isn't found, counted or listed. */
static void flow_run_delist(struct flow_run *run)
{
	struct flows *flows = &run->engine->flows;

	if (list_is_empty(&run->node))
		return;
	list_remove(&run->node);
	if (flows->n_buckets > 0)
		flow_run_unindex(flows, run);
	flows->n_open--;
	flows->n_compensating -= run->is_counted_compensating;
	flows->n_parked -= run->is_counted_parked;
	run->is_counted_compensating = run->is_counted_parked = false;
	flows->bytes -= flow_run_bytes(run);
	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		flows->bytes -= run->parts[i].result_bytes;
}

void flow_run_free(struct flow_run *run)
{
	flow_run_delist(run);
	list_remove(&run->node);
	timers_cancel(&run->engine->timers, &run->timer);
	timers_release(&run->engine->timers, 1);
	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		flow_send_drop(run, i); /* only at the engine's end */
		free(run->parts[i].result);
		free(run->parts[i].error);
		free(run->parts[i].reason);
	}
	flow_note_free(run->record);
	free(run->spec);
	free(run->reason);
	free(run);
}

/* ---- small things ---- */

struct flow_run *flow_run_of(struct flow_part *part)
{
	return container_of(part - part->step, struct flow_run, parts);
}

struct str flow_run_target_name(const struct flow_run *run, uint32_t step)
{
	return run->spec->steps[step].target;
}

void flow_keep_text(char **kept, const char *text, size_t len)
{
	char *made = text == NULL ? NULL : malloc(len + 1);

	if (made != NULL) {
		memcpy(made, text, len);
		made[len] = '\0';
	}
	free(*kept);
	*kept = made;
}

/* ---- the timer ---- */

static uint64_t flow_run_earlier(uint64_t a, uint64_t b)
{
	return b != 0 && b < a ? b : a;
}

void flow_run_set_timer(struct flow_run *run)
{
	uint64_t due = flow_run_earlier(NEVER_NS, run->record_due_ns);

	if (flow_can_stop(&run->flow))
		due = flow_run_earlier(due, run->deadline_ns);
	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		enum flow_step_state state = run->flow.steps[i].state;

		if (state != FLOW_STEP_WAITING && state != FLOW_STEP_UNDO_WAITING)
			run->parts[i].due_ns = 0; /* given up meanwhile */
		due = flow_run_earlier(due, run->parts[i].due_ns);
	}
	if (due == NEVER_NS || run->flow.has_ended)
		timers_cancel(&run->engine->timers, &run->timer);
	else if (run->timer.place == 0 || run->timer.at_ns != due)
		timers_set(&run->engine->timers, &run->timer, due);
}

static void flow_run_look_deadline(struct flow_run *run, uint64_t now_ns)
{
	struct flow_event stop = {.kind = FLOW_EV_STOP, .code = CODE_DEADLINE_EXCEEDED};

	if (run->deadline_ns == 0 || run->deadline_ns > now_ns || !flow_can_stop(&run->flow))
		return;
	run->deadline_ns = 0;
	flow_run_feed(run, &stop, "its deadline has passed");
}

static void flow_run_on_timer(struct timer *timer)
{
	struct flow_run *run = container_of(timer, struct flow_run, timer);
	uint64_t now_ns = run->engine->now.mono_ns;

	if (run->record_due_ns != 0 && run->record_due_ns <= now_ns) {
		run->record_due_ns = 0;
		flow_note_write(run);
	}
	flow_run_look_deadline(run, now_ns);
	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		struct flow_event retry = {.kind = FLOW_EV_RETRY, .step = i};

		if (run->parts[i].due_ns == 0 || run->parts[i].due_ns > now_ns)
			continue;
		run->parts[i].due_ns = 0;
		flow_run_feed(run, &retry, NULL);
	}
	flow_run_set_timer(run);
}

/* ---- waiting and parking ---- */

static void flow_run_tell_parked(const struct flow_run *run, uint32_t step)
{
	const struct flow_part *part = &run->parts[step];
	bool is_undo = run->flow.state == FLOW_COMPENSATING;
	char id[UUID_TEXT_BYTES], tries[16];

	uuid_format(&run->id, id);
	(void)snprintf(tries, sizeof(tries), "%" PRIu32, run->flow.steps[step].tries); /* fits */
	log_with(run->engine->log, LOG_ERROR_LEVEL, LOG_WORK_PARKED,
		 LOG_FIELDS({"saga", str_of(id)}, {"store", flow_run_target_name(run, step)},
			    {"step", run->spec->steps[step].name}, {"op", str_of(is_undo ? "undo" : "do")},
			    {"tries", str_of(tries)}, {"reason", str_of(part->error)}),
		 "parked");
}

static void flow_run_tell_unparked(const struct flow_run *run, uint32_t step)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&run->id, id);
	log_with(run->engine->log, LOG_INFO_LEVEL, LOG_WORK_DONE,
		 LOG_FIELDS({"saga", str_of(id)}, {"store", flow_run_target_name(run, step)},
			    {"step", run->spec->steps[step].name}),
		 "no longer parked: %s", flow_step_state_name(run->flow.steps[step].state));
}

static struct backoff flow_run_backoff(const struct flow_run *run, uint32_t step)
{
	const struct flow_config *config = &run->engine->flows.config;
	const struct flow_spec_step *spec = &run->spec->steps[step];
	struct backoff own = {.base_ns = spec->base_ms * NS_PER_MS, .cap_ns = spec->cap_ms * NS_PER_MS};

	if (flow_is_endless(&run->flow, step))
		return config->undo;
	if (!spec->has_retry || own.base_ns == 0)
		return config->retry;
	if (own.cap_ns < own.base_ns)
		own.cap_ns = own.base_ns > config->retry.cap_ns ? own.base_ns : config->retry.cap_ns;
	return own;
}

static void flow_run_look_parking(struct flow_run *run, uint32_t step)
{
	struct engine *engine = run->engine;
	struct flow_part *part = &run->parts[step];
	struct flow_event park = {.kind = FLOW_EV_PARK, .step = step};
	struct flow_actions none = {.n = 0};

	if (part->failing_since_ns == 0)
		part->failing_since_ns = engine->now.mono_ns;
	if (!flow_is_endless(&run->flow, step) || run->flow.steps[step].is_parked)
		return;
	if (part->is_hopeless ||
	    engine->now.mono_ns - part->failing_since_ns >= engine->flows.config.park_after_ms * NS_PER_MS)
		flow_step(&run->flow, &park, &none); /* asks for nothing */
}

/* FLOW_ACT_WAIT. What the target itself has asked for was put into due_ns before. */
static void flow_run_wait(struct flow_run *run, uint32_t step)
{
	struct engine *engine = run->engine;
	const struct flow_config *config = &engine->flows.config;
	struct flow_part *part = &run->parts[step];
	struct backoff backoff = flow_run_backoff(run, step);
	uint64_t wait_ns = backoff_wait_ns(&backoff, run->flow.steps[step].tries, &engine->rng);
	uint64_t asked_ns = part->due_ns;

	flow_run_look_parking(run, step);
	if (run->flow.steps[step].is_parked)
		wait_ns = config->parked_retry_ms * NS_PER_MS;
	part->due_ns = engine->now.mono_ns + wait_ns;
	if (asked_ns > part->due_ns)
		part->due_ns = asked_ns;
}

/* ---- events and actions ---- */

static void flow_run_tell_failed(const struct flow_run *run)
{
	char id[UUID_TEXT_BYTES];
	uint32_t step = run->flow.failure.step;

	uuid_format(&run->id, id);
	log_with(run->engine->log, LOG_INFO_LEVEL, LOG_SAGA_FAILED,
		 LOG_FIELDS({"saga", str_of(id)}, {"code", str_of(code_name(run->flow.failure.code))},
			    {"store", step < run->flow.n_steps ? flow_run_target_name(run, step) : STR_NONE},
			    {"step", step < run->flow.n_steps ? run->spec->steps[step].name : STR_NONE},
			    {"reason", str_of(run->reason)}),
		 "saga compensated");
}

static void flow_run_end(struct flow_run *run)
{
	struct flows *flows = &run->engine->flows;

	run->ended_unix_ms = run->engine->now.unix_ms;
	if (run->flow.state == FLOW_COMMITTED) {
		flows->n_committed++;
	} else {
		flows->n_compensated++;
		flow_run_tell_failed(run);
	}
	flow_admit_answer(run, CODE_NONE, NULL);
	flow_run_delist(run);
	timers_cancel(&run->engine->timers, &run->timer);
	list_append(&flows->over, &run->node);
}

/* The record first: what is sent may fail at once, and what follows from that belongs to the next record. */
void flow_run_act(struct flow_run *run, const struct flow_actions *actions)
{
	for (uint32_t i = 0; i < actions->n; i++)
		if (actions->at[i].kind == FLOW_ACT_SAVE)
			flow_note_write(run);
	for (uint32_t i = 0; i < actions->n; i++) {
		const struct flow_action *action = &actions->at[i];

		switch (action->kind) {
		case FLOW_ACT_SAVE:
			break;
		case FLOW_ACT_DO:
		case FLOW_ACT_UNDO:
			flow_send_push(run, action->step);
			break;
		case FLOW_ACT_WAIT:
			flow_run_wait(run, action->step);
			break;
		case FLOW_ACT_END:
			flow_run_end(run);
			break;
		}
	}
}

static void flow_run_count(struct flow_run *run)
{
	struct flows *flows = &run->engine->flows;
	bool is_compensating = run->flow.state == FLOW_COMPENSATING, is_parked = flow_parked(&run->flow) != 0;

	if (list_is_empty(&run->node) || run->flow.has_ended)
		return;
	flows->n_compensating += is_compensating;
	flows->n_compensating -= run->is_counted_compensating;
	flows->n_parked += is_parked;
	flows->n_parked -= run->is_counted_parked;
	run->is_counted_compensating = is_compensating;
	run->is_counted_parked = is_parked;
}

static void flow_run_step(struct flow_run *run, const struct flow_event *event)
{
	struct flow_actions actions = {.n = 0};
	uint64_t was_parked = flow_parked(&run->flow), is_parked;
	enum flow_step_state before =
		event->step < run->flow.n_steps ? run->flow.steps[event->step].state : FLOW_STEP_STATES;

	flow_step(&run->flow, event, &actions);
	if (before != FLOW_STEP_STATES && run->flow.steps[event->step].state != before)
		run->parts[event->step].unix_ms = run->engine->now.unix_ms;
	flow_run_act(run, &actions);
	is_parked = flow_parked(&run->flow);
	for (uint32_t i = 0; i < run->flow.n_steps && was_parked != is_parked; i++) {
		if ((is_parked & ~was_parked) & BIT(i))
			flow_run_tell_parked(run, i);
		else if ((was_parked & ~is_parked) & BIT(i))
			flow_run_tell_unparked(run, i);
	}
}

/* Its do waits for a place, and the flow goes back by now: it certainly hasn't run in this try. */
static uint32_t flow_run_take_unsent(struct flow_run *run)
{
	if (run->flow.state != FLOW_COMPENSATING)
		return UINT32_MAX;
	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if (run->flow.steps[i].state == FLOW_STEP_DOING && flow_send_unqueue(run, i))
			return i;
	return UINT32_MAX;
}

void flow_run_feed(struct flow_run *run, const struct flow_event *event, const char *text)
{
	enum code failure = run->flow.failure.code;
	uint32_t unsent;

	if (event->kind == FLOW_EV_ENDED && event->verdict != FLOW_OK && text != NULL)
		flow_keep_text(&run->parts[event->step].error, text, strlen(text));
	flow_run_step(run, event);
	if (run->flow.failure.code != failure)
		flow_keep_text(&run->reason, run->flow.failure.code == CODE_NONE ? NULL : text,
			       text != NULL ? strlen(text) : 0);
	while ((unsent = flow_run_take_unsent(run)) != UINT32_MAX) {
		struct flow_event ended = {.kind = FLOW_EV_ENDED, .step = unsent, .verdict = FLOW_OUTAGE};

		flow_run_step(run, &ended);
	}
	flow_run_count(run);
	if (!run->flow.has_ended)
		flow_run_set_timer(run);
}
