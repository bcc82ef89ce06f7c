#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BIT(i)    ((uint64_t)1 << (i))
#define TO(state) ((uint32_t)1 << (state))

#define OPEN_DO (TO(FLOW_STEP_STARTING) | TO(FLOW_STEP_DOING) | TO(FLOW_STEP_WAITING))
#define WELL    (TO(FLOW_STEP_DONE) | TO(FLOW_STEP_RESOLVED))
#define TO_UNDO (TO(FLOW_STEP_UNDOING) | TO(FLOW_STEP_UNDO_WAITING))
#define SETTLED                                                                                                        \
	(TO(FLOW_STEP_PENDING) | TO(FLOW_STEP_SKIPPED) | TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNDONE) |                 \
	 TO(FLOW_STEP_KEPT) | TO(FLOW_STEP_RESOLVED))

void flow_facts_init(struct flow_facts *facts, struct sim *sim)
{
	*facts = (struct flow_facts){.sim = sim};
}

void flow_facts_fini(struct flow_facts *facts)
{
	struct flow_fact *fact, *next;

	HASH_ITER(hh, facts->by_id, fact, next)
	{
		HASH_DEL(facts->by_id, fact);
		free(fact);
	}
}

struct flow_fact *flow_facts_find(const struct flow_facts *facts, const struct uuid *id)
{
	struct flow_fact *fact;

	HASH_FIND(hh, facts->by_id, id, sizeof(*id), fact);
	return fact;
}

uint64_t flow_facts_number(const struct uuid *flow, uint32_t step)
{
	uint64_t low = 0;

	memcpy(&low, flow->bytes + 9, 6);
	return low % 1000000 * 100 + step;
}

static bool is_in(const struct step_fact *step, uint32_t states)
{
	return (TO(step->durable) & states) != 0;
}

static void violate(struct flow_facts *facts, unsigned number, const struct flow_fact *fact, uint32_t step,
		    const char *what)
{
	facts_violate(&facts->sim->facts, number, "saga %s, step s%u (%s): %s", trace_id(&fact->id), step,
		      flow_step_state_name(fact->steps[step].durable), what);
}

/* ---- beginnings ---- */

static void fill_step(struct flow_facts *facts, struct step_fact *step, const struct flow_spec_step *spec)
{
	*step = (struct step_fact){
		.after = spec->after,
		.has_undo = spec->has_undo,
		.is_optional = spec->is_optional,
		.is_pivot = spec->is_pivot,
		.is_idempotent = spec->is_idempotent,
		.max_tries = spec->max_tries,
		.target = sim_target_of(facts->sim, spec->target),
		.durable = FLOW_STEP_PENDING,
	};
}

void flow_facts_began(struct flow_facts *facts, const struct daemon *daemon, const struct journal_flow_req *req)
{
	struct flow_fact *fact = flow_facts_find(facts, &req->flow);
	struct request_fault fault;
	struct flow_spec *spec;

	if (fact != NULL) {
		facts_violate(&facts->sim->facts, 12, "saga %s begins twice", trace_id(&req->flow));
		return;
	}
	if (flow_spec_parse(req->spec_json, &facts->sim->flow_config.limits, &spec, &fault) != 0) {
		facts_violate(&facts->sim->facts, 12, "the spec of saga %s can't be read again: %s",
			      trace_id(&req->flow), fault.err.text);
		return;
	}
	fact = calloc(1, sizeof(*fact));
	MUST(fact != NULL);
	fact->id = req->flow;
	fact->uid = req->uid;
	fact->began_by = daemon->number;
	fact->n_steps = spec->n_steps;
	for (uint32_t i = 0; i < spec->n_steps; i++)
		fill_step(facts, &fact->steps[i], &spec->steps[i]);
	free(spec);
	HASH_ADD(hh, facts->by_id, id, sizeof(fact->id), fact);
}

/* ---- the journal ---- */

static void check_undoing(struct flow_facts *facts, const struct daemon *daemon, const struct flow_fact *fact,
			  uint32_t i)
{
	const struct step_fact *step = &fact->steps[i];

	if (!step->was_started || is_in(step, TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_SKIPPED)))
		violate(facts, 17, fact, i, "is to be undone, and never ran");
	else if (step->started_by == daemon->number && !step->may_have_run && !step->is_out)
		violate(facts, 17, fact, i, "is to be undone, and each try of it had certainly changed nothing");
	else if (!step->has_undo)
		violate(facts, 17, fact, i, "is to be undone, and has no undo");
	else if (fact->is_past_pivot)
		violate(facts, 17, fact, i, "is to be undone behind the pivot");
}

/* Said of what a daemon in charge has recorded. */
static void check_step(struct flow_facts *facts, const struct daemon *daemon, const struct flow_fact *fact, uint32_t i,
		       enum flow_step_state to)
{
	const struct step_fact *step = &fact->steps[i];

	switch ((unsigned)to) {
	case FLOW_STEP_DONE:
		if (!step->has_do_ok)
			violate(facts, 17, fact, i, "is recorded as done, and its target never said so");
		break;
	case FLOW_STEP_UNDOING:
		check_undoing(facts, daemon, fact, i);
		break;
	case FLOW_STEP_UNDONE:
		if (!step->has_undo_ok)
			violate(facts, 17, fact, i, "is recorded as undone, and its target never said so");
		break;
	case FLOW_STEP_KEPT:
		if (step->has_undo)
			violate(facts, 16, fact, i, "is kept, and has an undo");
		break;
	default:
		break;
	}
}

static bool may_end(const struct step_fact *step, bool is_commit)
{
	if (!is_commit)
		return is_in(step, SETTLED);
	if (is_in(step, WELL | TO(FLOW_STEP_SKIPPED)))
		return true;
	return step->is_optional && is_in(step, TO(FLOW_STEP_FAILED) | TO(FLOW_STEP_UNSURE));
}

static void check_end(struct flow_facts *facts, struct flow_fact *fact)
{
	if (fact->durable != FLOW_COMMITTED && fact->durable != FLOW_COMPENSATED)
		return;
	fact->has_ended = true;
	for (uint32_t i = 0; i < fact->n_steps; i++)
		if (!may_end(&fact->steps[i], fact->durable == FLOW_COMMITTED))
			violate(facts, 16, fact, i,
				fact->durable == FLOW_COMMITTED ? "its saga has committed" : "its saga is compensated");
}

static void write_step(struct flow_facts *facts, const struct daemon *daemon, struct flow_fact *fact,
		       const struct journal_step *from)
{
	struct step_fact *step = &fact->steps[from->step];
	enum flow_step_state to;

	if (from->step >= fact->n_steps || !flow_step_state_of(from->state, &to)) {
		facts_violate(&facts->sim->facts, 12, "saga %s: a record of step %u, \"%s\"", trace_id(&fact->id),
			      from->step, from->state);
		return;
	}
	check_step(facts, daemon, fact, from->step, to);
	step->durable = to;
	if (is_in(step, OPEN_DO))
		step->started_by = daemon->number;
	step->was_started = step->was_started || is_in(step, OPEN_DO);
	if (step->is_pivot && is_in(step, WELL) && fact->durable == FLOW_RUNNING)
		fact->is_past_pivot = true;
}

void flow_facts_written(struct flow_facts *facts, const struct daemon *daemon, const struct journal_flow_req *req)
{
	struct flow_fact *fact = flow_facts_find(facts, &req->flow);

	if (fact == NULL)
		return; /* told already */
	if (fact->has_ended)
		facts_violate(&facts->sim->facts, 3, "saga %s has ended, and goes on", trace_id(&fact->id));
	fact->is_durable = true;
	if (req->state != NULL && !flow_state_of(req->state, &fact->durable))
		facts_violate(&facts->sim->facts, 12, "saga %s: a state \"%s\"", trace_id(&fact->id), req->state);
	if (fact->is_past_pivot && fact->durable != FLOW_RUNNING && fact->durable != FLOW_COMMITTED)
		facts_violate(&facts->sim->facts, 17, "saga %s goes back behind its pivot", trace_id(&fact->id));
	for (uint32_t i = 0; i < req->n_steps; i++)
		write_step(facts, daemon, fact, &req->steps[i]);
	if (req->state != NULL)
		check_end(facts, fact);
}

/* ---- calls ---- */

static void check_do(struct flow_facts *facts, const struct flow_fact *fact, uint32_t i)
{
	const struct step_fact *step = &fact->steps[i];
	const struct sim_target *target = &facts->sim->targets[step->target];
	uint32_t max_tries = step->max_tries != 0 ? step->max_tries : facts->sim->flow_config.max_tries;

	if (!fact->is_durable || !is_in(step, OPEN_DO))
		violate(facts, 5, fact, i, "its do is sent, and its intent isn't durable");
	for (uint32_t k = 0; k < fact->n_steps; k++)
		if ((step->after & BIT(k)) != 0 && !is_in(&fact->steps[k], WELL))
			violate(facts, 18, fact, i, "is sent before a step that it depends on is done and durable");
	if (fact->durable != FLOW_RUNNING)
		violate(facts, 17, fact, i, "its do is sent while its saga goes back");
	if (!target->has_barrier && !step->is_idempotent && step->is_in_doubt)
		violate(facts, 15, fact, i, "may have run, is not repeatable, and is sent again");
	if (!fact->is_past_pivot && !step->is_pivot && step->n_sent_by > max_tries)
		violate(facts, 9, fact, i, "is tried more often than allowed");
}

static void check_undo(struct flow_facts *facts, const struct flow_fact *fact, uint32_t i)
{
	if (!is_in(&fact->steps[i], TO_UNDO) || fact->durable != FLOW_COMPENSATING)
		violate(facts, 5, fact, i, "its undo is sent, and that isn't durable");
	if (fact->is_past_pivot)
		violate(facts, 17, fact, i, "is undone behind the pivot");
	for (uint32_t k = 0; k < fact->n_steps; k++)
		if ((fact->steps[k].after & BIT(i)) != 0 && !is_in(&fact->steps[k], SETTLED))
			violate(facts, 17, fact, i, "is undone before a step that depends on it");
}

void flow_facts_sent(struct flow_facts *facts, const struct daemon *daemon, struct flow_fact *fact, uint32_t i,
		     enum call_kind kind)
{
	struct step_fact *step = &fact->steps[i];

	if (daemon->journal.is_fenced) {
		fact->has_had_zombie = true;
		step->is_in_doubt = step->may_have_run = true;
		return;
	}
	if (kind == CALL_UNDO) {
		check_undo(facts, fact, i);
		return;
	}
	if (kind == CALL_CHECK)
		return;
	if (step->is_out) /* with a daemon that has died */
		step->is_in_doubt = step->may_have_run = true;
	if (step->sent_by != daemon->number)
		step->n_sent_by = 0;
	step->sent_by = daemon->number;
	step->n_sent_by++;
	step->n_sent_do++;
	check_do(facts, fact, i);
	step->is_out = true;
}

void flow_facts_heard(struct flow_facts *facts, struct flow_fact *fact, uint32_t i, enum call_kind kind,
		      enum verdict verdict)
{
	struct step_fact *step = &fact->steps[i];

	(void)facts;
	if (kind == CALL_UNDO) {
		step->has_undo_ok = step->has_undo_ok || verdict == VERDICT_OK;
		return;
	}
	if (kind == CALL_DO)
		step->is_out = false;
	step->has_do_ok = step->has_do_ok || verdict == VERDICT_OK;
	step->may_have_run =
		step->may_have_run || verdict == VERDICT_OK || (kind == CALL_DO && verdict == VERDICT_DOUBT);
	if (kind == CALL_DO && verdict == VERDICT_DOUBT)
		step->is_in_doubt = true;
	if (kind == CALL_CHECK && verdict == VERDICT_PERMANENT)
		step->is_in_doubt = step->is_out = false;
}

void flow_facts_effect(struct flow_facts *facts, struct flow_fact *fact, uint32_t i)
{
	struct step_fact *step = &fact->steps[i];

	step->is_live = true;
	step->n_effects++;
	if (step->n_effects > 1 && facts->sim->targets[step->target].is_exact)
		violate(facts, 15, fact, i, "has its effect a second time");
}

/* ---- at rest ---- */

/* true: the effect must be there; false: it must not. */
static bool must_be_live(const struct step_fact *step, bool *out_is_known)
{
	*out_is_known = is_in(step, TO(FLOW_STEP_DONE) | TO(FLOW_STEP_UNDONE) | TO(FLOW_STEP_FAILED) |
					    TO(FLOW_STEP_PENDING) | TO(FLOW_STEP_SKIPPED));
	return is_in(step, TO(FLOW_STEP_DONE));
}

static void check_effect(struct flow_facts *facts, const struct flow_fact *fact, uint32_t i)
{
	const struct step_fact *step = &fact->steps[i];
	bool is_known, is_live = must_be_live(step, &is_known);

	if (!is_known || step->is_live == is_live)
		return;
	if (!facts->sim->targets[step->target].has_barrier && (step->is_loose || fact->has_had_zombie))
		return; /* its client's own duty: docs/sagas.md */
	violate(facts, 16, fact, i, is_live ? "its effect is missing in the end" : "has left its effect behind");
}

void flow_facts_at_rest(struct flow_facts *facts)
{
	struct flow_fact *fact;

	for (fact = facts->by_id; fact != NULL; fact = fact->hh.next) {
		if (fact->is_orphaned || !fact->is_durable)
			continue;
		if (!fact->has_ended) {
			facts_violate(&facts->sim->facts, 8, "saga %s has not ended: %s", trace_id(&fact->id),
				      flow_state_name(fact->durable));
			continue;
		}
		for (uint32_t i = 0; i < fact->n_steps; i++)
			check_effect(facts, fact, i);
	}
}
