/* All of the clients' own sagas: the engine's hooks, figures, the beginning and the end. */
#include "flows.h"

#include "engine/flow_run.h"
#include "engine/recover.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(FLOW_TARGETS_MAX == TARGETS_MAX + 1, "there is a place for `documents`");

/* ---- the beginning and the end ---- */

static void flows_on_timer(struct timer *timer)
{
	(void)timer; /* the turn's pump does it */
}

void flows_init(struct engine *engine)
{
	struct flows *flows = &engine->flows;

	list_init(&flows->submitted);
	list_init(&flows->asked);
	list_init(&flows->journaled);
	list_init(&flows->found);
	list_init(&flows->returned);
	list_init(&flows->runs);
	list_init(&flows->asks);
	list_init(&flows->over);
	list_init(&flows->settling);
}

static void flows_add_target(struct flows *flows, struct target *target)
{
	struct flow_target *added = &flows->targets[flows->n_targets++];

	added->target = target;
	added->timer.fire = flows_on_timer;
	list_init(&added->queue);
}

int engine_set_targets(struct engine *engine, const struct flow_config *config, struct target *const *targets,
		       uint32_t n_targets)
{
	struct flows *flows = &engine->flows;
	struct target *documents;

	MUST(n_targets <= TARGETS_MAX && !flows->is_on && engine->phase == ENGINE_CLAIMING);
	if (timers_reserve(&engine->timers, n_targets + 1) != 0)
		return -ENOMEM;
	documents = flow_documents_create(engine);
	if (documents == NULL) {
		timers_release(&engine->timers, n_targets + 1);
		return -ENOMEM;
	}
	flows->config = *config;
	flows->is_on = true;
	for (uint32_t i = 0; i < n_targets; i++)
		flows_add_target(flows, targets[i]);
	flows_add_target(flows, documents);
	return 0;
}

void engine_reconfigure_flows(struct engine *engine, const struct flow_config *config)
{
	engine->flows.config = *config;
}

void flows_fini(struct engine *engine)
{
	struct flows *flows = &engine->flows;
	struct list *it, *tmp;

	list_each (it, tmp, &flows->over)
		flow_run_free(container_of(it, struct flow_run, node));
	list_each (it, tmp, &flows->runs)
		flow_run_free(container_of(it, struct flow_run, node));
	flow_admit_free(engine);
	flow_care_free(engine);
	for (uint32_t i = 0; i < flows->n_targets; i++)
		timers_cancel(&engine->timers, &flows->targets[i].timer);
	if (flows->is_on) {
		timers_release(&engine->timers, flows->n_targets);
		flow_documents_destroy(flows->targets[flows->n_targets - 1].target);
	}
	free(flows->table);
}

/* ---- the turn ---- */

void engine_run_flow(struct engine *engine, struct engine_flow *flow)
{
	list_append(&engine->flows.submitted, &flow->node);
}

void engine_ask_flow(struct engine *engine, struct engine_flow_query *query)
{
	list_append(&engine->flows.asked, &query->node);
}

bool flows_take_inboxes(struct engine *engine)
{
	struct flows *flows = &engine->flows;
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&flows->journaled)) != NULL) {
		flow_note_on_journaled(engine, container_of(node, struct journal_flow_req, node));
		any = true;
	}
	while ((node = list_take_first(&flows->found)) != NULL) {
		flow_admit_on_found(engine, container_of(node, struct journal_flow_find_req, node));
		any = true;
	}
	while (!recover_is_smooth(engine) && (node = list_take_first(&flows->submitted)) != NULL) {
		flow_admit(engine, container_of(node, struct engine_flow, node));
		any = true;
	}
	while ((node = list_take_first(&flows->asked)) != NULL) {
		flow_admit_ask(engine, container_of(node, struct engine_flow_query, node));
		any = true;
	}
	return any;
}

bool flows_reap(struct engine *engine)
{
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&engine->flows.over)) != NULL) {
		flow_run_free(container_of(node, struct flow_run, node));
		any = true;
	}
	return any;
}

void flows_halt(struct engine *engine, const struct err *err)
{
	struct list *it, *tmp;
	struct err text = *err;

	err_prefix(&text, "sagad stops; the saga goes on at its next start, ask saga.get then: ");
	list_each (it, tmp, &engine->flows.runs)
		flow_admit_answer(container_of(it, struct flow_run, node), CODE_IN_DOUBT, &text);
	flow_care_halt(engine, err);
}

/* Does it only wait for the next try of what is tried until it succeeds? */
static bool flows_is_resting(const struct flow_run *run)
{
	bool is_waiting = false;

	if (run->record != NULL || run->n_out > 0)
		return false;
	for (uint32_t i = 0; i < run->flow.n_steps; i++) {
		enum flow_step_state state = run->flow.steps[i].state;

		if (state == FLOW_STEP_STARTING || state == FLOW_STEP_DOING)
			return false;
		is_waiting = is_waiting || state == FLOW_STEP_WAITING || state == FLOW_STEP_UNDO_WAITING ||
			     state == FLOW_STEP_UNDOING;
		if (state == FLOW_STEP_WAITING && !flow_is_endless(&run->flow, i))
			return false;
	}
	return is_waiting;
}

bool flows_are_drained(const struct engine *engine)
{
	const struct flows *flows = &engine->flows;

	if (!list_is_empty(&flows->submitted))
		return false;
	for (struct list *it = flows->runs.next; it != &flows->runs; it = it->next) {
		const struct flow_run *run = container_of(it, struct flow_run, node);

		if (!run->is_loaded && !flows_is_resting(run))
			return false;
	}
	return true;
}

/* ---- figures ---- */

static void flows_fill_target(const struct flow_target *target, uint32_t i, struct flow_stats *out_stats)
{
	out_stats->targets[i] = target->target->name;
	for (unsigned kind = 0; kind < ARRAY_LEN(target->n_calls); kind++)
		out_stats->n_calls[i][kind] = target->n_calls[kind];
	out_stats->n_failures[i] = target->n_failures;
	out_stats->n_waiting[i] = target->n_waiting;
	out_stats->n_out[i] = target->n_out;
}

void engine_flow_stats(const struct engine *engine, struct flow_stats *out_stats)
{
	const struct flows *flows = &engine->flows;

	*out_stats = (struct flow_stats){
		.n_targets = flows->n_targets,
		.n_open = flows->n_open,
		.n_compensating = flows->n_compensating,
		.n_parked = flows->n_parked,
		.bytes = flows->bytes,
		.n_committed = flows->n_committed,
		.n_compensated = flows->n_compensated,
		.n_refused = flows->n_refused,
		.n_resolved = flows->n_resolved,
	};
	for (uint32_t i = 0; i < flows->n_targets; i++)
		flows_fill_target(&flows->targets[i], i, out_stats);
}
