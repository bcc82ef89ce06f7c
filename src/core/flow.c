/* The states and their moves. flow_step() dispatches; each event ends in flow_advance(), which starts what may start by
 * now, and in flow_save(), which asks for a record when something must become durable. */
#include "flow.h"

#include <string.h>

#define BIT(i)    ((uint64_t)1 << (i))
#define TO(state) ((uint32_t)1 << (state))

/* STARTING goes back to PENDING when the flow is stopped before its record is durable: nothing was sent. */
static const uint32_t flow_step_may[FLOW_STEP_STATES] = {
	[FLOW_STEP_PENDING] = TO(FLOW_STEP_STARTING) | TO(FLOW_STEP_SKIPPED),
	[FLOW_STEP_STARTING] =
		TO(FLOW_STEP_DOING) | TO(FLOW_STEP_PENDING) | TO(FLOW_STEP_UNSURE) | TO(FLOW_STEP_WAITING),
	[FLOW_STEP_DOING] = TO(FLOW_STEP_WAITING) | TO(FLOW_STEP_DONE) | TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNSURE),
	[FLOW_STEP_WAITING] =
		TO(FLOW_STEP_DOING) | TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNSURE) | TO(FLOW_STEP_RESOLVED),
	[FLOW_STEP_DONE] = TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_KEPT),
	[FLOW_STEP_FAILED] = 0,
	[FLOW_STEP_UNSURE] = TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_KEPT),
	[FLOW_STEP_SKIPPED] = 0,
	[FLOW_STEP_UNDOING] = TO(FLOW_STEP_UNDO_WAITING) | TO(FLOW_STEP_UNDONE),
	[FLOW_STEP_UNDO_WAITING] = TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_RESOLVED),
	[FLOW_STEP_UNDONE] = 0,
	[FLOW_STEP_KEPT] = 0,
	[FLOW_STEP_RESOLVED] = 0,
};

/* Those that a restart must find. That a do is out, or waits for its next try, is all the same to it: it may have run.
 */
static const uint32_t flow_durable = TO(FLOW_STEP_PENDING) | TO(FLOW_STEP_STARTING) | TO(FLOW_STEP_DONE) |
				     TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNSURE) | TO(FLOW_STEP_SKIPPED) |
				     TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_UNDONE) | TO(FLOW_STEP_KEPT) |
				     TO(FLOW_STEP_RESOLVED);

static const uint32_t flow_may[FLOW_STATES] = {
	[FLOW_RUNNING] = TO(FLOW_COMPENSATING) | TO(FLOW_COMMITTED),
	[FLOW_COMPENSATING] = TO(FLOW_COMPENSATED),
	[FLOW_COMMITTED] = 0,
	[FLOW_COMPENSATED] = 0,
};

/* Ended well enough for the steps after it. */
#define FLOW_WELL (TO(FLOW_STEP_DONE) | TO(FLOW_STEP_RESOLVED))
/* Ended so that the steps after it are skipped. */
#define FLOW_BADLY (TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNSURE) | TO(FLOW_STEP_SKIPPED))
/* Nothing of it is left to be undone. */
#define FLOW_SETTLED                                                                                                   \
	(TO(FLOW_STEP_PENDING) | TO(FLOW_STEP_SKIPPED) | TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNDONE) |                 \
	 TO(FLOW_STEP_KEPT) | TO(FLOW_STEP_RESOLVED))
/* A do or undo of it is out, or waits for its next try. */
#define FLOW_TRIED (TO(FLOW_STEP_DOING) | TO(FLOW_STEP_WAITING) | TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_UNDO_WAITING))
/* What waits to be undone. */
#define FLOW_RAN (TO(FLOW_STEP_DONE) | TO(FLOW_STEP_UNSURE))

static bool flow_step_is(const struct flow *flow, uint32_t step, uint32_t states)
{
	return (TO(flow->steps[step].state) & states) != 0;
}

static void flow_step_move(struct flow *flow, uint32_t step, enum flow_step_state to)
{
	struct flow_step *at = &flow->steps[step];

	MUST(flow_step_may[at->state] & TO(to));
	/* UNDOING must be durable before the undo is sent for the first time; after a wait it already is. */
	if ((flow_durable & TO(to)) != 0 && !(at->state == FLOW_STEP_UNDO_WAITING && to == FLOW_STEP_UNDOING))
		flow->dirty |= BIT(step);
	at->state = to;
}

/* The same for a step that is through with a do or an undo. */
static void flow_step_end(struct flow *flow, uint32_t step, enum flow_step_state to)
{
	flow->steps[step].is_parked = false;
	flow_step_move(flow, step, to);
}

static void flow_move(struct flow *flow, enum flow_state to)
{
	MUST(flow_may[flow->state] & TO(to));
	flow->state = to;
	flow->is_state_dirty = true;
}

static void flow_act(struct flow_actions *actions, enum flow_action_kind kind, uint32_t step)
{
	MUST(actions->n < FLOW_ACTIONS_MAX);
	actions->at[actions->n++] = (struct flow_action){.kind = kind, .step = step};
}

static bool flow_is_final_pivot(const struct flow *flow, uint32_t step)
{
	return flow->plans[step].is_pivot && !flow->plans[step].has_undo;
}

/* The pivot that can't be undone and may have run, or FLOW_STEPS_MAX. */
static uint32_t flow_pivot_in_hand(const struct flow *flow)
{
	for (uint32_t i = 0; i < flow->n_steps; i++)
		if (flow_is_final_pivot(flow, i) &&
		    (flow_step_is(flow, i, TO(FLOW_STEP_DOING)) ||
		     (flow_step_is(flow, i, TO(FLOW_STEP_WAITING)) && flow->steps[i].is_unsure)))
			return i;
	return FLOW_STEPS_MAX;
}

bool flow_is_endless(const struct flow *flow, uint32_t step)
{
	if (flow_step_is(flow, step, TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_UNDO_WAITING)))
		return true;
	if (flow->state != FLOW_RUNNING)
		return false;
	if (flow_is_final_pivot(flow, step) && flow->steps[step].is_unsure)
		return true;
	return flow->is_past_pivot && !flow->plans[step].is_optional;
}

/* ---- failing ---- */

static void flow_note_failure(struct flow *flow, enum code code, uint32_t step)
{
	if (flow->failure.code == CODE_NONE)
		flow->failure = (struct flow_failure){.code = code, .step = step};
}

/* A do that will not be tried again. */
static void flow_give_up(struct flow *flow, uint32_t step)
{
	flow_step_end(flow, step, flow->steps[step].is_unsure ? FLOW_STEP_UNSURE : FLOW_STEP_FAILED);
}

/* From here on it only goes back. What is out is waited for: its outcome decides whether there is anything to undo. */
static void flow_turn_back(struct flow *flow)
{
	flow_move(flow, FLOW_COMPENSATING);
	for (uint32_t i = 0; i < flow->n_steps; i++) {
		if (flow_step_is(flow, i, TO(FLOW_STEP_STARTING)))
			flow_step_move(flow, i, FLOW_STEP_PENDING);
		else if (flow_step_is(flow, i, TO(FLOW_STEP_WAITING)))
			flow_give_up(flow, i);
	}
}

static enum code flow_code(const struct flow_event *event)
{
	switch (event->verdict) {
	case FLOW_OK: /* not asked for */
	case FLOW_TRANSIENT:
	case FLOW_OUTAGE:
	case FLOW_DOUBT:
		return CODE_STORE_UNAVAILABLE;
	case FLOW_PERMANENT:
		return CODE_STORE_REFUSED;
	case FLOW_MISCONFIGURED:
		break;
	}
	return CODE_STORE_MISCONFIGURED;
}

/* ---- going on ---- */

/* One look at each step; true when a step has moved, which may set others free. */
static bool flow_advance_forwards(struct flow *flow)
{
	bool any = false;

	for (uint32_t i = 0; i < flow->n_steps; i++) {
		bool is_free = true, is_skipped = false;

		if (flow->steps[i].state != FLOW_STEP_PENDING)
			continue;
		for (uint32_t k = 0; k < flow->n_steps; k++) {
			if (!(flow->plans[i].after & BIT(k)))
				continue;
			is_free = is_free && flow_step_is(flow, k, FLOW_WELL);
			is_skipped = is_skipped || flow_step_is(flow, k, FLOW_BADLY);
		}
		if (is_skipped || is_free)
			flow_step_move(flow, i, is_skipped ? FLOW_STEP_SKIPPED : FLOW_STEP_STARTING);
		any = any || is_skipped;
	}
	return any;
}

static bool flow_is_through(const struct flow *flow)
{
	for (uint32_t i = 0; i < flow->n_steps; i++)
		if (!flow_step_is(flow, i, FLOW_WELL | FLOW_BADLY))
			return false;
	return true;
}

static bool flow_may_undo(const struct flow *flow, uint32_t step)
{
	for (uint32_t k = 0; k < flow->n_steps; k++)
		if ((flow->plans[k].after & BIT(step)) != 0 && !flow_step_is(flow, k, FLOW_SETTLED))
			return false;
	return true;
}

static bool flow_advance_backwards(struct flow *flow)
{
	bool any = false;

	for (uint32_t i = flow->n_steps; i-- > 0;) {
		if (!flow_step_is(flow, i, FLOW_RAN) || !flow_may_undo(flow, i))
			continue;
		if (flow->plans[i].has_undo) {
			flow->steps[i].tries = 0;
			flow->held |= BIT(i);
			flow_step_move(flow, i, FLOW_STEP_UNDOING);
		} else {
			flow_step_move(flow, i, FLOW_STEP_KEPT);
			any = true;
		}
	}
	return any;
}

static bool flow_is_settled(const struct flow *flow)
{
	for (uint32_t i = 0; i < flow->n_steps; i++)
		if (!flow_step_is(flow, i, FLOW_SETTLED))
			return false;
	return true;
}

static void flow_advance(struct flow *flow)
{
	if (flow->state == FLOW_RUNNING) {
		while (flow_advance_forwards(flow))
			;
		if (flow_is_through(flow))
			flow_move(flow, FLOW_COMMITTED);
	} else if (flow->state == FLOW_COMPENSATING) {
		while (flow_advance_backwards(flow))
			;
		if (flow_is_settled(flow))
			flow_move(flow, FLOW_COMPENSATED);
	}
}

static void flow_begin_saving(struct flow *flow)
{
	flow->is_saving = true;
	flow->saving = flow->dirty;
	flow->is_state_saving = flow->is_state_dirty;
	flow->dirty = 0;
	flow->is_state_dirty = false;
}

static void flow_save(struct flow *flow, struct flow_actions *actions)
{
	if (flow->is_saving || (flow->dirty == 0 && !flow->is_state_dirty))
		return;
	flow_begin_saving(flow);
	flow_act(actions, FLOW_ACT_SAVE, FLOW_STEPS_MAX);
}

/* ---- events ---- */

static bool flow_is_terminal(const struct flow *flow)
{
	return flow->state == FLOW_COMMITTED || flow->state == FLOW_COMPENSATED;
}

static void flow_on_saved(struct flow *flow, struct flow_actions *actions)
{
	uint64_t saved = flow->saving;

	if (!flow->is_saving)
		return;
	flow->is_saving = false;
	flow->saving = 0;
	if (flow->is_state_saving && flow_is_terminal(flow) && !flow->is_state_dirty) {
		flow->has_ended = true;
		flow_act(actions, FLOW_ACT_END, FLOW_STEPS_MAX);
		return;
	}
	for (uint32_t i = 0; i < flow->n_steps; i++) {
		if (!(saved & BIT(i)))
			continue;
		if (flow->steps[i].state == FLOW_STEP_STARTING) {
			flow_step_move(flow, i, FLOW_STEP_DOING);
			flow_act(actions, FLOW_ACT_DO, i);
		} else if ((flow->held & BIT(i)) != 0 && !(flow->dirty & BIT(i))) {
			flow->held &= ~BIT(i);
			flow_act(actions, FLOW_ACT_UNDO, i);
		}
	}
}

static void flow_on_done(struct flow *flow, uint32_t step)
{
	flow->steps[step].is_unsure = false;
	flow_step_end(flow, step, FLOW_STEP_DONE);
	if (!flow->plans[step].is_pivot || flow->state != FLOW_RUNNING)
		return;
	flow->is_past_pivot = true;
	flow->failure = (struct flow_failure){.code = CODE_NONE}; /* a stop that came while it was out: too late */
}

/* Is another try allowed, and is there any hope in it? */
static bool flow_may_try_again(const struct flow *flow, uint32_t step, enum flow_verdict verdict)
{
	const struct flow_step *at = &flow->steps[step];

	if (flow->state != FLOW_RUNNING)
		return false;
	if (flow_is_endless(flow, step))
		return true;
	if (verdict == FLOW_PERMANENT || verdict == FLOW_MISCONFIGURED || flow->failure.code != CODE_NONE)
		return false;
	if (verdict == FLOW_DOUBT && !flow->plans[step].is_repeatable)
		return false;
	return at->tries < flow->plans[step].max_tries;
}

/* Sent again it might run twice, and it can't be undone, else it would have been given up: only an operator can tell.
 */
static bool flow_needs_operator(const struct flow *flow, uint32_t step)
{
	return flow->steps[step].is_unsure && !flow->plans[step].is_repeatable;
}

static void flow_wait(struct flow *flow, uint32_t step, struct flow_actions *actions)
{
	flow_step_move(flow, step, FLOW_STEP_WAITING);
	if (flow_needs_operator(flow, step))
		flow->steps[step].is_parked = true;
	else
		flow_act(actions, FLOW_ACT_WAIT, step);
}

static void flow_on_do_ended(struct flow *flow, const struct flow_event *event, struct flow_actions *actions)
{
	uint32_t step = event->step;

	if (event->verdict == FLOW_OK) {
		flow_on_done(flow, step);
		return;
	}
	flow->steps[step].tries++;
	if (event->verdict == FLOW_DOUBT)
		flow->steps[step].is_unsure = true;
	if (flow_may_try_again(flow, step, event->verdict)) {
		flow_wait(flow, step, actions);
		return;
	}
	flow_give_up(flow, step);
	if (flow->state != FLOW_RUNNING || flow->plans[step].is_optional)
		return;
	flow_note_failure(flow, flow_code(event), step);
	flow_turn_back(flow);
}

static void flow_on_ended(struct flow *flow, const struct flow_event *event, struct flow_actions *actions)
{
	uint32_t step = event->step;

	if (flow_step_is(flow, step, TO(FLOW_STEP_DOING))) {
		flow_on_do_ended(flow, event, actions);
	} else if (!flow_step_is(flow, step, TO(FLOW_STEP_UNDOING)) || (flow->held & BIT(step)) != 0) {
		return; /* nothing of it is out */
	} else if (event->verdict == FLOW_OK) {
		flow_step_end(flow, step, FLOW_STEP_UNDONE);
	} else {
		flow->steps[step].tries++;
		flow_step_move(flow, step, FLOW_STEP_UNDO_WAITING);
		flow_act(actions, FLOW_ACT_WAIT, step);
	}
}

static void flow_on_retry(struct flow *flow, uint32_t step, struct flow_actions *actions)
{
	if (flow_step_is(flow, step, TO(FLOW_STEP_WAITING))) {
		flow_step_move(flow, step, FLOW_STEP_DOING);
		flow_act(actions, FLOW_ACT_DO, step);
	} else if (flow_step_is(flow, step, TO(FLOW_STEP_UNDO_WAITING))) {
		flow_step_move(flow, step, FLOW_STEP_UNDOING);
		flow_act(actions, FLOW_ACT_UNDO, step);
	}
}

static void flow_on_stop(struct flow *flow, const struct flow_event *event)
{
	uint32_t pivot = flow_pivot_in_hand(flow);

	if (!flow_can_stop(flow))
		return;
	flow_note_failure(flow, event->code, FLOW_STEPS_MAX);
	if (pivot == FLOW_STEPS_MAX)
		flow_turn_back(flow);
}

bool flow_can_resolve(const struct flow *flow, uint32_t step)
{
	if (!flow_is_endless(flow, step))
		return false;
	return flow_step_is(flow, step, TO(FLOW_STEP_WAITING) | TO(FLOW_STEP_UNDO_WAITING)) ||
	       flow->steps[step].is_parked;
}

static void flow_on_resolve(struct flow *flow, uint32_t step)
{
	if (!flow_can_resolve(flow, step) ||
	    !flow_step_is(flow, step, TO(FLOW_STEP_WAITING) | TO(FLOW_STEP_UNDO_WAITING)))
		return;
	flow_step_end(flow, step, FLOW_STEP_RESOLVED);
	if (flow->plans[step].is_pivot && flow->state == FLOW_RUNNING) {
		flow->is_past_pivot = true;
		flow->failure = (struct flow_failure){.code = CODE_NONE};
	}
}

void flow_step(struct flow *flow, const struct flow_event *event, struct flow_actions *actions)
{
	MUST(event->step < flow->n_steps || event->kind == FLOW_EV_SAVED || event->kind == FLOW_EV_STOP);
	if (flow->has_ended)
		return;
	switch (event->kind) {
	case FLOW_EV_SAVED:
		flow_on_saved(flow, actions);
		break;
	case FLOW_EV_ENDED:
		flow_on_ended(flow, event, actions);
		break;
	case FLOW_EV_RETRY:
		flow_on_retry(flow, event->step, actions);
		break;
	case FLOW_EV_PARK:
		if (flow_is_endless(flow, event->step) && flow_step_is(flow, event->step, FLOW_TRIED))
			flow->steps[event->step].is_parked = true;
		break;
	case FLOW_EV_STOP:
		flow_on_stop(flow, event);
		break;
	case FLOW_EV_RESOLVE:
		flow_on_resolve(flow, event->step);
		break;
	}
	flow_advance(flow);
	flow_save(flow, actions);
}

/* ---- the beginning ---- */

void flow_init(struct flow *flow, uint32_t n_steps, const struct flow_step_plan *plans, struct flow_step *steps)
{
	MUST(n_steps > 0 && n_steps <= FLOW_STEPS_MAX);
	*flow = (struct flow){.state = FLOW_RUNNING, .n_steps = n_steps, .plans = plans, .steps = steps};
	memset(steps, 0, n_steps * sizeof(*steps));
	flow->is_state_dirty = true;
	flow_advance(flow);
	flow_begin_saving(flow);
}

/* A do that may have been sent by the process before. */
static void flow_recover_do(struct flow *flow, uint32_t step, struct flow_actions *actions)
{
	struct flow_step *at = &flow->steps[step];

	at->state = FLOW_STEP_STARTING;
	at->is_unsure = true;
	if (flow->state == FLOW_RUNNING && flow->plans[step].is_repeatable) {
		flow_step_move(flow, step, FLOW_STEP_DOING);
		flow_act(actions, FLOW_ACT_DO, step);
	} else if (flow->state == FLOW_RUNNING && flow_is_endless(flow, step)) {
		flow_wait(flow, step, actions);
	} else {
		flow_step_move(flow, step, FLOW_STEP_UNSURE);
		if (flow->state == FLOW_RUNNING && !flow->plans[step].is_optional)
			flow_note_failure(flow, CODE_STORE_UNAVAILABLE, step);
	}
}

static void flow_recover_undo(struct flow *flow, uint32_t step, struct flow_actions *actions)
{
	flow->steps[step].state = FLOW_STEP_UNDOING;
	flow_act(actions, FLOW_ACT_UNDO, step);
}

static bool flow_had_pivot(const struct flow *flow)
{
	for (uint32_t i = 0; i < flow->n_steps; i++)
		if (flow->plans[i].is_pivot && flow_step_is(flow, i, FLOW_WELL))
			return true;
	return false;
}

void flow_recover(struct flow *flow, enum flow_state state, uint32_t n_steps, const struct flow_step_plan *plans,
		  struct flow_step *steps, struct flow_failure failure, struct flow_actions *actions)
{
	MUST(n_steps > 0 && n_steps <= FLOW_STEPS_MAX);
	*flow = (struct flow){.state = state, .n_steps = n_steps, .plans = plans, .steps = steps, .failure = failure};
	flow->is_past_pivot = state == FLOW_RUNNING && flow_had_pivot(flow);
	for (uint32_t i = 0; i < n_steps; i++) {
		steps[i].is_unsure = steps[i].state == FLOW_STEP_UNSURE;
		steps[i].is_parked = false;
		if (flow_step_is(flow, i, TO(FLOW_STEP_STARTING) | TO(FLOW_STEP_DOING) | TO(FLOW_STEP_WAITING)))
			flow_recover_do(flow, i, actions);
		else if (flow_step_is(flow, i, TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_UNDO_WAITING)))
			flow_recover_undo(flow, i, actions);
	}
	if (state == FLOW_RUNNING && flow->failure.code != CODE_NONE && flow_pivot_in_hand(flow) == FLOW_STEPS_MAX)
		flow_turn_back(flow);
	flow_advance(flow);
	flow_save(flow, actions);
}

/* ---- what others ask ---- */

bool flow_can_stop(const struct flow *flow)
{
	uint32_t pivot = flow_pivot_in_hand(flow);

	if (flow->state != FLOW_RUNNING || flow->is_past_pivot || flow->failure.code != CODE_NONE)
		return false;
	return pivot == FLOW_STEPS_MAX || !flow->steps[pivot].is_unsure;
}

uint64_t flow_parked(const struct flow *flow)
{
	uint64_t parked = 0;

	for (uint32_t i = 0; i < flow->n_steps; i++)
		if (flow->steps[i].is_parked)
			parked |= BIT(i);
	return parked;
}

/* ---- names ---- */

static const char *const flow_names[FLOW_STATES] = {
	[FLOW_RUNNING] = "running",
	[FLOW_COMPENSATING] = "compensating",
	[FLOW_COMMITTED] = "committed",
	[FLOW_COMPENSATED] = "compensated",
};

static const char *const flow_step_names[FLOW_STEP_STATES] = {
	[FLOW_STEP_PENDING] = "pending",   [FLOW_STEP_STARTING] = "starting",
	[FLOW_STEP_DOING] = "doing",       [FLOW_STEP_WAITING] = "waiting",
	[FLOW_STEP_DONE] = "done",         [FLOW_STEP_FAILED] = "failed",
	[FLOW_STEP_UNSURE] = "unsure",     [FLOW_STEP_SKIPPED] = "skipped",
	[FLOW_STEP_UNDOING] = "undoing",   [FLOW_STEP_UNDO_WAITING] = "undo_waiting",
	[FLOW_STEP_UNDONE] = "undone",     [FLOW_STEP_KEPT] = "kept",
	[FLOW_STEP_RESOLVED] = "resolved",
};

static uint32_t flow_find_name(const char *const *names, uint32_t n, const char *name)
{
	uint32_t i = 0;

	while (i < n && strcmp(names[i], name) != 0)
		i++;
	return i;
}

const char *flow_state_name(enum flow_state state)
{
	return flow_names[state];
}

const char *flow_step_state_name(enum flow_step_state state)
{
	return flow_step_names[state];
}

bool flow_state_of(const char *name, enum flow_state *out_state)
{
	uint32_t i = flow_find_name(flow_names, FLOW_STATES, name);

	if (i == FLOW_STATES)
		return false;
	*out_state = (enum flow_state)i;
	return true;
}

bool flow_step_state_of(const char *name, enum flow_step_state *out_state)
{
	uint32_t i = flow_find_name(flow_step_names, FLOW_STEP_STATES, name);

	if (i == FLOW_STEP_STATES)
		return false;
	*out_state = (enum flow_step_state)i;
	return true;
}
