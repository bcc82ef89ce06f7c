/* At the start: what the journal has is loaded before any port opens, and taken up when this daemon is the owner and
 * the accepted jobs have begun. */
#include "flow_run.h"

#include <errno.h>
#include <stdlib.h>

static int flow_load_text(char **kept, struct str text)
{
	flow_keep_text(kept, text.at, text.len);
	return text.at == NULL || *kept != NULL ? 0 : -ENOMEM;
}

static int flow_load_step(struct flow_run *run, const struct journal_step *found)
{
	struct flow_part *part = &run->parts[found->step];
	struct flow_step *core = &run->flow.steps[found->step];
	int rc;

	if (!flow_step_state_of(found->state, &core->state))
		return -EINVAL;
	part->unix_ms = found->unix_ms;
	rc = flow_load_text(&part->result, found->result_json);
	if (rc == 0)
		rc = flow_load_text(&part->error, found->error);
	if (rc == 0)
		rc = flow_load_text(&part->reason, found->reason);
	if (rc == 0)
		part->result_bytes = (uint32_t)found->result_json.len;
	return rc;
}

/* The journal has the reason of the failure; the step that has the same one is it. */
static void flow_load_failed_step(struct flow_run *run)
{
	for (uint32_t i = 0; i < run->flow.n_steps && run->reason != NULL; i++)
		if (run->parts[i].error != NULL && strcmp(run->parts[i].error, run->reason) == 0)
			run->flow.failure.step = i;
}

static int flow_load_run(struct flow_run *run, const struct journal_flow *found)
{
	int rc = flow_state_of(found->state, &run->flow.state) ? 0 : -EINVAL;

	run->is_known = run->is_loaded = true;
	run->began_unix_ms = found->began_unix_ms;
	run->deadline_unix_ms = found->deadline_unix_ms;
	if (found->code != NULL && found->code[0] != '\0')
		run->flow.failure = (struct flow_failure){.code = code_of_name(found->code), .step = FLOW_STEPS_MAX};
	if (rc == 0)
		rc = flow_load_text(&run->reason, found->reason);
	for (uint32_t i = 0; rc == 0 && i < found->n_steps; i++)
		rc = found->steps[i].step < run->flow.n_steps ? flow_load_step(run, &found->steps[i]) : -EINVAL;
	flow_load_failed_step(run);
	return rc;
}

/* One that can't be understood stays in the journal, untouched, for a daemon that does; the others must not wait. */
static int flow_load_skip(struct engine *engine, const struct journal_flow *found, const char *why)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&found->id, id);
	log_error(engine->log, "saga %s stays in the journal as it is: %s", id, why);
	return 0;
}

static int flow_load_on_found(void *arg, const struct journal_flow *found)
{
	struct engine *engine = arg;
	struct flow_spec *spec = NULL;
	struct flow_run *run;
	struct err err;
	int rc = flow_tell_parse(engine, found->spec_json, &spec, &err);

	if (uuid_compare(&found->id, &engine->last_id) > 0)
		engine->last_id = found->id;
	if (rc == -ENOMEM)
		return rc;
	if (rc != 0)
		return flow_load_skip(engine, found, err.text);
	run = flow_run_create(engine, spec, found->uid, &found->id);
	if (run == NULL) {
		free(spec);
		return -ENOMEM;
	}
	rc = flow_load_run(run, found);
	if (rc != 0) {
		flow_run_free(run);
		return rc == -ENOMEM ? rc : flow_load_skip(engine, found, "its state is none that is known here");
	}
	flow_run_enlist(run);
	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		engine->flows.bytes += run->parts[i].result_bytes;
	return 0;
}

int flow_load(struct engine *engine, struct err *err)
{
	if (!engine->flows.is_on)
		return 0;
	return engine->journal->ops->load_flows(engine->journal, flow_load_on_found, engine, err);
}

/* By the wall's clock: the time in which nothing ran counts too. */
static void flow_load_set_deadline(struct flow_run *run)
{
	int64_t left_ms = run->deadline_unix_ms - run->engine->now.unix_ms;

	if (run->deadline_unix_ms != 0)
		run->deadline_ns = left_ms > 0 ? engine_after_ms(run->engine, (uint64_t)left_ms) : 1;
}

static void flow_load_begin(struct flow_run *run)
{
	struct flow_actions actions = {.n = 0};
	bool was_failing = run->flow.failure.code != CODE_NONE;

	run->is_loaded = false;
	flow_recover(&run->flow, run->flow.state, run->flow.n_steps, run->flow.plans, run->flow.steps,
		     run->flow.failure, &actions);
	if (!was_failing && run->flow.failure.code != CODE_NONE) {
		static const char text[] = "sagad was restarted while its do was out, so it may have run; it isn't "
					   "idempotent, and isn't sent again";

		flow_keep_text(&run->reason, text, sizeof(text) - 1);
		flow_keep_text(&run->parts[run->flow.failure.step].error, text, sizeof(text) - 1);
	}
	flow_load_set_deadline(run);
	flow_run_act(run, &actions);
	flow_run_set_timer(run);
}

void flow_load_begin_all(struct engine *engine)
{
	struct list *it, *tmp;
	uint32_t n = 0;

	list_each (it, tmp, &engine->flows.runs) {
		struct flow_run *run = container_of(it, struct flow_run, node);

		if (!run->is_loaded)
			continue;
		flow_load_begin(run);
		n++;
	}
	if (n > 0)
		log_info(engine->log, "recovered %u sagas of clients' own", n);
}
