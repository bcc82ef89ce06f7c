#include "sim.h"

#include "base/mutant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/* One try on its way: see call.h. */
struct target_call {
	struct sent sent;
	struct target_port *port;
	struct call *req; /* the engine's, until the answer */
	struct flow_fact *fact;
	uint32_t step;
	enum call_kind kind;
	bool is_refused, is_stubborn;
	enum fault fault; /* FAULT_KINDS: none */
	uint64_t delay_ns;
	enum verdict verdict;
	const char *text;
};

static struct target_call *call_of(struct sent *sent)
{
	return container_of(sent, struct target_call, sent);
}

static struct sim *sim_of(const struct target_call *call)
{
	return call->port->server->sim;
}

static void target_call_destroy(struct sent *sent)
{
	free(call_of(sent));
}

/* ---- what a server does ---- */

/* Its state of one step, before or without its barrier. */
static enum verdict do_step(struct target_call *call, struct step_fact *step)
{
	const struct sim_target *server = call->port->server;

	if (server->has_barrier && step->is_blocked)
		return VERDICT_PERMANENT;
	if (server->is_exact && step->is_done && !(server->has_barrier && MUTANT(barrier_unread)))
		return VERDICT_OK;
	if (call->is_refused)
		return VERDICT_PERMANENT;
	step->is_done = true;
	flow_facts_effect(&sim_of(call)->flow_facts, call->fact, call->step);
	return VERDICT_OK;
}

static enum verdict undo_step(struct target_call *call, struct step_fact *step)
{
	const struct sim_target *server = call->port->server;

	if (call->is_stubborn && !sim_of(call)->is_safe)
		return world_chance(&sim_of(call)->world, 500) ? VERDICT_PERMANENT : VERDICT_TRANSIENT;
	if (server->is_exact && step->is_blocked)
		return VERDICT_OK;
	step->is_blocked = true;
	step->is_live = false;
	return VERDICT_OK;
}

static void execute(struct target_call *call)
{
	struct step_fact *step = &call->fact->steps[call->step];
	enum verdict verdict = VERDICT_OK;

	/* Given up by its sender, or sent by a daemon that has died or is thought dead. */
	if (call->sent.is_answered || call->sent.daemon->is_dead || call->sent.daemon->journal.is_fenced)
		step->is_loose = true;
	switch (call->kind) {
	case CALL_DO:
		verdict = do_step(call, step);
		break;
	case CALL_UNDO:
		verdict = undo_step(call, step);
		break;
	case CALL_CHECK:
		verdict = step->n_effects > 0 ? VERDICT_OK : VERDICT_PERMANENT;
		break;
	}
	if (!call->sent.is_answered) {
		call->verdict = verdict;
		call->text = verdict == VERDICT_OK ? "" : "said no";
	}
}

/* ---- faults ---- */

static void hit(const struct target_call *call, enum fault fault)
{
	const struct sim_target *server = call->port->server;

	trace_line(&server->sim->trace, server->name, "fault", "%s strikes d%u's call of %s", fault_name(fault),
		   call->sent.daemon->number, trace_id(&call->fact->id));
	fault_hit_flow(&server->sim->faults, fault,
		       call->fact->has_ended                 ? FLOW_STATE_ENDED
		       : call->fact->durable == FLOW_RUNNING ? FLOW_STATE_RUNNING
							     : FLOW_STATE_COMPENSATING);
}

static void answer(struct target_call *call, enum verdict verdict, const char *text)
{
	if (call->sent.is_answered)
		return;
	call->verdict = verdict;
	call->text = text;
}

static void answer_soon(struct target_call *call)
{
	if (!call->sent.is_answered && !call->sent.daemon->is_dead)
		world_after(&sim_of(call)->world, &call->sent.answer, call->delay_ns);
}

static void on_answer(struct event *event)
{
	struct sent *sent = container_of(event, struct sent, answer);

	call_finish(sent);
	call_release(sent);
}

static void arrive_with_fault(struct target_call *call)
{
	struct sim *sim = sim_of(call);

	hit(call, call->fault);
	switch ((unsigned)call->fault) {
	case FAULT_LOST_BEFORE:
		return; /* the time-out answers */
	case FAULT_LOST_AFTER:
	case FAULT_LATE:
		execute(call);
		answer(call, VERDICT_DOUBT, "no answer in time");
		return;
	case FAULT_RESET:
	case FAULT_STORE_CRASH:
		if (world_chance(&sim->world, 500))
			execute(call);
		answer(call, VERDICT_DOUBT, "connection reset");
		break;
	case FAULT_MALFORMED:
	case FAULT_CUT_OFF:
		execute(call);
		answer(call, VERDICT_DOUBT, "a reply that makes no sense");
		break;
	case FAULT_DEADLOCK:
		answer(call, VERDICT_TRANSIENT, "deadlock, later please");
		break;
	case FAULT_DUPLICATE:
	case FAULT_RESENT:
		execute(call);
		call->fact->steps[call->step].is_loose = true; /* somebody on the way sends it twice */
		world_after(&sim->world, &call->sent.again, world_between(&sim->world, 0, sim_latest_ns(sim)));
		break;
	default:
		execute(call);
	}
	if (call->fault == FAULT_STORE_CRASH)
		call->port->server->down_ns =
			sim->world.now_ns + world_between(&sim->world, 10 * NS_PER_MS, 8 * NS_PER_S);
	answer_soon(call);
}

static bool meets_outage(struct target_call *call)
{
	struct sim *sim = sim_of(call);
	struct sim_target *server = call->port->server;

	if (sim->world.now_ns < server->mute_ns) {
		hit(call, FAULT_STORE_MUTE);
		world_at(&sim->world, &call->sent.arrival, server->mute_ns);
		return true;
	}
	if (sim->world.now_ns >= server->down_ns)
		return false;
	hit(call, FAULT_STORE_DOWN);
	answer(call, VERDICT_OUTAGE, "connection refused");
	answer_soon(call);
	return true;
}

static void on_arrival(struct event *event)
{
	struct sent *sent = container_of(event, struct sent, arrival);
	struct target_call *call = call_of(sent);

	if (!meets_outage(call)) {
		if (call->fault != FAULT_KINDS) {
			arrive_with_fault(call);
		} else {
			execute(call);
			answer_soon(call);
		}
	}
	call_release(sent);
}

static void on_again(struct event *event)
{
	struct sent *sent = container_of(event, struct sent, again);
	struct target_call *call = call_of(sent);
	enum verdict verdict = call->verdict;

	execute(call);
	if (!sent->is_answered)
		call->verdict = verdict;
	call_release(sent);
}

static enum fault draw_fault(struct sim *sim)
{
	static const enum fault kinds[] = {
		FAULT_LOST_BEFORE, FAULT_LOST_AFTER, FAULT_RESET,   FAULT_LATE,     FAULT_DUPLICATE,
		FAULT_RESENT,      FAULT_MALFORMED,  FAULT_CUT_OFF, FAULT_DEADLOCK, FAULT_STORE_CRASH,
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		if (fault_strikes(&sim->faults, kinds[i]))
			return kinds[i];
	return FAULT_KINDS;
}

/* ---- the port ---- */

static const char *const kind_names[] = {"do", "undo", "check"};

static void target_call_reply(struct sent *sent)
{
	struct target_call *call = call_of(sent);
	struct call *req = call->req;
	struct sim *sim = sim_of(call);

	call->port->n_out--;
	req->verdict = call->verdict;
	if (call->verdict != VERDICT_OK)
		(void)err_set(&req->err, 0, "%s: %s", call->port->server->name, call->text);
	else if (call->kind != CALL_UNDO)
		buf_append_format(&req->result_json, "{\"count\":%" PRIu64 "}",
				  flow_facts_number(&call->fact->id, call->step));
	trace_daemon(&sim->trace, sent->daemon->number, "hears", "%s on %s(%s, s%u): %s", call->port->server->name,
		     kind_names[call->kind], trace_id(&call->fact->id), call->step, verdict_name(call->verdict));
	if (!sent->daemon->is_dead && !sent->daemon->journal.is_fenced)
		flow_facts_heard(&sim->flow_facts, call->fact, call->step, call->kind, call->verdict);
	call->req = NULL;
	req->done(req);
}

static uint32_t no_states(const struct sent *sent)
{
	(void)sent;
	return 0;
}

/* A reference must have become the number of the step that it names: "=N=" stands around it in the body. */
static void check_body(struct target_call *call, struct str body)
{
	struct facts *facts = &sim_of(call)->facts;
	const char *mark = memmem(body.at, body.len, "\"of\":[", 6);
	uint64_t number;
	unsigned of;

	if (mark == NULL)
		return;
	if (sscanf(mark, "\"of\":[%u,%" SCNu64 "]", &of, &number) != 2 ||
	    number != flow_facts_number(&call->fact->id, of))
		facts_violate(facts, 12, "saga %s, step s%u: a reference has become something else: %.*s",
			      trace_id(&call->fact->id), call->step, STR_ARG(body));
}

static void plan(struct target_call *call)
{
	struct sim *sim = sim_of(call);
	uint64_t at_ns = sim->world.now_ns + sim_delay_ns(sim);
	uint64_t timeout_ns = call->req->timeout_ns;

	call->delay_ns = sim_delay_ns(sim);
	call->fault = draw_fault(sim);
	call->verdict = VERDICT_DOUBT;
	call->text = "no answer in time";
	call->sent.arrival.fire = on_arrival;
	call->sent.again.fire = on_again;
	call->sent.answer.fire = on_answer;
	if (call->fault == FAULT_LATE)
		at_ns += timeout_ns + world_between(&sim->world, 0, sim_latest_ns(sim));
	world_at(&sim->world, &call->sent.arrival, at_ns);
	world_after(&sim->world, &call->sent.answer, timeout_ns);
}

static void check_port(struct target_call *call, const struct call *req)
{
	struct facts *facts = &sim_of(call)->facts;
	struct target_port *port = call->port;

	if (++port->n_out > port->target.max_calls)
		facts_violate(facts, 12, "%u calls are out to %s, at most are %u", port->n_out, port->target.name,
			      port->target.max_calls);
	if (req->timeout_ns == 0)
		facts_violate(facts, 12, "a call to %s has no time-out", port->target.name);
	trace_daemon(&sim_of(call)->trace, port->daemon->number, "sends", "%s(%s, s%u) to %s", kind_names[req->kind],
		     trace_id(&req->saga), call->step, port->target.name);
	if (!daemon_is_doomed(port->daemon))
		flow_facts_sent(&sim_of(call)->flow_facts, port->daemon, call->fact, call->step, req->kind);
}

static void port_submit(struct target *target, struct call *req)
{
	struct target_port *port = container_of(target, struct target_port, target);
	struct target_call *call = calloc(1, sizeof(*call));
	bool is_whole;

	MUST(call != NULL);
	call->port = port;
	call->req = req;
	call->kind = req->kind;
	call->fact = flow_facts_find(&port->server->sim->flow_facts, &req->saga);
	MUST(call->fact != NULL && req->step.len >= 2);
	call->step = (uint32_t)strtoul(req->step.at + 1, NULL, 10);
	call->is_refused = memmem(req->body_json.at, req->body_json.len, "REFUSE", 6) != NULL;
	call->is_stubborn = memmem(req->body_json.at, req->body_json.len, "STUBBORN", 8) != NULL;
	is_whole = call->step < call->fact->n_steps && call->fact->steps[call->step].target == port->server->number;
	MUST(is_whole);
	call->sent.reply = target_call_reply;
	call->sent.destroy = target_call_destroy;
	call->sent.states = no_states;
	call_begin(&call->sent, port->daemon);
	check_port(call, req);
	check_body(call, req->body_json);
	plan(call);
}

static void port_status(const struct target *target, struct store_status *out_status)
{
	memset(out_status, 0, sizeof(*out_status));
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "fake %s", target->name);
}

static void port_close(struct target *target, void (*closed)(void *arg), void *arg)
{
	(void)target;
	closed(arg);
}

void target_port_init(struct target_port *port, struct sim_target *server, struct daemon *daemon)
{
	static const struct target_ops ops = {.submit = port_submit, .status = port_status, .close = port_close};

	*port = (struct target_port){
		.target = {.ops = &ops,
			   .name = server->name,
			   .is_service = server->is_service,
			   .has_barrier = server->has_barrier,
			   .max_calls = 4},
		.server = server,
		.daemon = daemon,
	};
}

/* ---- servers ---- */

void sim_targets_init(struct sim *sim)
{
	static const struct sim_target kinds[SIM_TARGETS] = {
		{.name = "postgresql", .has_barrier = true, .is_exact = true},
		{.name = "redis", .has_barrier = true, .is_exact = true},
		{.name = "neo4j", .has_barrier = true, .is_exact = true},
		{.name = "payments", .is_exact = true, .is_service = true},
		{.name = "mail", .is_service = true},
	};

	for (uint32_t i = 0; i < SIM_TARGETS; i++) {
		sim->targets[i] = kinds[i];
		sim->targets[i].sim = sim;
		sim->targets[i].number = i;
	}
}

uint32_t sim_target_of(const struct sim *sim, struct str name)
{
	uint32_t i = 0;

	while (i < SIM_TARGETS && !str_is_equal(name, str_of(sim->targets[i].name)))
		i++;
	MUST(i < SIM_TARGETS);
	return i;
}

void sim_targets_strike(struct sim *sim)
{
	struct rng *rng = &sim->flow_clients.rng;

	for (uint32_t i = 0; i < SIM_TARGETS; i++) {
		uint32_t share = fault_is_in(&sim->faults, FAULT_STORE_DOWN) ? 10 : 0;

		if (rng_chance(rng, share))
			sim->targets[i].down_ns = sim->world.now_ns + rng_between(rng, 10 * NS_PER_MS, 15 * NS_PER_S);
		share = fault_is_in(&sim->faults, FAULT_STORE_MUTE) ? 10 : 0;
		if (rng_chance(rng, share))
			sim->targets[i].mute_ns = sim->world.now_ns + rng_between(rng, 10 * NS_PER_MS, 8 * NS_PER_S);
	}
}

void sim_targets_heal(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_TARGETS; i++)
		sim->targets[i].down_ns = sim->targets[i].mute_ns = sim->world.now_ns;
}
