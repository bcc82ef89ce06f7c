#include "flow_run.h"

#include <errno.h>
#include <stdlib.h>

static int64_t flow_tell_until_ms(const struct flow_run *run, uint32_t step)
{
	uint64_t due_ns = run->parts[step].due_ns, now_ns = run->engine->now.mono_ns;

	if (due_ns == 0)
		return -1;
	return due_ns > now_ns ? (int64_t)((due_ns - now_ns) / NS_PER_MS) : 0;
}

static struct flow_report_step flow_tell_step(const struct flow_run *run, uint32_t step)
{
	const struct flow_part *part = &run->parts[step];
	const struct flow_step *core = &run->flow.steps[step];

	return (struct flow_report_step){
		.name = run->spec->steps[step].name,
		.target = run->spec->steps[step].target,
		.state = core->state,
		.is_parked = core->is_parked,
		.n_tries = core->tries,
		.unix_ms = part->unix_ms,
		.next_try_ms = flow_tell_until_ms(run, step),
		.result_json = {part->result, part->result_bytes},
		.error = str_of(part->error),
		.reason = str_of(part->reason),
	};
}

/* An end is told when it is durable: after a crash before that the saga may end otherwise. */
static enum flow_state flow_tell_state(const struct flow_run *run)
{
	if (run->flow.has_ended)
		return run->flow.state;
	if (run->flow.state == FLOW_COMMITTED)
		return FLOW_RUNNING;
	return run->flow.state == FLOW_COMPENSATED ? FLOW_COMPENSATING : run->flow.state;
}

void flow_tell_run(const struct flow_run *run, struct flow_report *report, struct flow_report_step *steps)
{
	const struct flow_failure *failure = &run->flow.failure;

	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		steps[i] = flow_tell_step(run, i);
	*report = (struct flow_report){
		.id = run->id,
		.state = flow_tell_state(run),
		.uid = run->uid,
		.key = run->spec->key,
		.code = failure->code,
		.error = str_of(run->reason),
		.began_unix_ms = run->began_unix_ms,
		.deadline_unix_ms = run->deadline_unix_ms,
		.ended_unix_ms = run->ended_unix_ms,
		.steps = steps,
		.n_steps = run->flow.n_steps,
	};
	if (failure->code != CODE_NONE && failure->step < run->flow.n_steps)
		report->failed_step = run->spec->steps[failure->step].name;
}

/* ---- from the journal ---- */

static bool flow_tell_has_service(const void *arg, struct str name)
{
	(void)arg;
	(void)name;
	return true; /* it was checked when the saga came */
}

int flow_tell_parse(const struct engine *engine, struct str spec_json, struct flow_spec **out_spec, struct err *err)
{
	struct flow_limits limits = engine->flows.config.limits;
	struct request_fault fault = {.code = CODE_NONE};
	int rc;

	limits.max_steps = FLOW_SPEC_STEPS_MAX;
	limits.max_depth = FLOW_SPEC_STEPS_MAX;
	limits.max_bytes = SIZE_MAX;
	limits.max_deadline_ms = UINT64_MAX;
	limits.max_timeout_ms = UINT64_MAX;
	limits.max_tries = UINT32_MAX;
	limits.has_service = flow_tell_has_service;
	limits.arg = NULL;
	rc = flow_spec_parse(spec_json, &limits, out_spec, &fault);
	return rc == 0 ? 0 : err_set(err, rc, "%s: %s", fault.path, fault.err.text);
}

static void flow_tell_found_step(const struct journal_step *found, struct flow_report_step *step)
{
	enum flow_step_state state;

	if (found->state != NULL && flow_step_state_of(found->state, &state))
		step->state = state;
	step->n_tries = found->n_tries;
	step->unix_ms = found->unix_ms;
	step->result_json = found->result_json;
	step->error = found->error;
	step->reason = found->reason;
}

/* The journal has the reason of the failure, not its step; a step that failed for certain is it. */
static struct str flow_tell_failed_step(const struct flow_report *report, const struct flow_spec *spec)
{
	for (uint32_t i = 0; spec != NULL && i < spec->n_steps; i++)
		if (!spec->steps[i].is_optional && report->steps[i].error.at != NULL &&
		    str_is_equal(report->steps[i].error, report->error))
			return spec->steps[i].name;
	return STR_NONE;
}

void flow_tell_found(const struct engine *engine, const struct journal_flow *found, const struct flow_spec *spec,
		     struct flow_report *report, struct flow_report_step *steps)
{
	uint32_t n = spec != NULL ? spec->n_steps : 0;
	enum flow_state state = FLOW_RUNNING;

	for (uint32_t i = 0; i < n; i++)
		steps[i] = (struct flow_report_step){
			.name = spec->steps[i].name, .target = spec->steps[i].target, .next_try_ms = -1};
	for (uint32_t i = 0; i < found->n_steps; i++)
		if (found->steps[i].step < n)
			flow_tell_found_step(&found->steps[i], &steps[found->steps[i].step]);
	if (!flow_state_of(found->state, &state))
		log_error(engine->log, "a saga in the journal has the state \"%s\", which isn't known here",
			  found->state);
	*report = (struct flow_report){
		.id = found->id,
		.state = state,
		.uid = found->uid,
		.key = found->key,
		.code = found->code != NULL && found->code[0] != '\0' ? code_of_name(found->code) : CODE_NONE,
		.error = found->reason,
		.began_unix_ms = found->began_unix_ms,
		.deadline_unix_ms = found->deadline_unix_ms,
		.ended_unix_ms = found->ended_unix_ms,
		.steps = steps,
		.n_steps = n,
	};
	if (report->code != CODE_NONE)
		report->failed_step = flow_tell_failed_step(report, spec);
}
