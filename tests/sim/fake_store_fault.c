/* Requests to a store: on their way, arriving, failing. The verdicts are those that the adapters in src/stores/ give:
 * qdrant_reply.c, neo4j_reply.c, redis_codec.c, redis.c, http.c. */
#include "fake_store_call.h"

static void all_get(struct store_call *call, enum verdict verdict, bool is_shared, const char *text)
{
	if (call->call.is_answered)
		return; /* it came too late: the answer was given */
	for (uint32_t i = 0; i < call->n_writes; i++)
		call->writes[i].verdict = verdict;
	call->is_shared = is_shared;
	call->is_cut = false;
	call->text = text;
}

static void all_are_cut(struct store_call *call, const char *text)
{
	all_get(call, VERDICT_DOUBT, true, text);
	call->is_cut = !call->call.is_answered;
}

static void answer_soon(struct store_call *call)
{
	if (!call->call.is_answered && !call->call.daemon->is_dead)
		world_after(&store_call_sim(call)->world, &call->call.answer, call->delay_ns);
}

static void on_answer(struct event *event)
{
	struct sent *call = container_of(event, struct sent, answer);

	call_finish(call);
	call_release(call);
}

/* Is this the apply of a document that this store takes so badly? */
static bool is_poison(const struct store_call *call, uint32_t i, enum poison kind)
{
	const struct write_copy *write = &call->writes[i];

	return write->op == LEG_APPLY && write->mark.kind == kind && write->mark.store == call->port->server->number;
}

uint32_t store_call_states(const struct sent *base)
{
	const struct store_call *call = (const struct store_call *)(const void *)base; /* its first member */
	uint32_t states = 0;

	for (uint32_t i = 0; i < call->n_writes; i++)
		states |= daemon_states_of(base->daemon, call->writes[i].op, &call->writes[i].saga);
	return states;
}

/* It takes effect: on the sagas whose writes these are, or on those whose documents are poison of this kind. What comes
 * after its answer was given is met by what makes it late, and by nothing else. */
static void hit_those(struct store_call *call, enum fault fault, enum poison kind)
{
	struct sim_store *server = call->port->server;
	const struct uuid *one = NULL;
	uint32_t states = 0;

	if (call->call.is_answered && fault != FAULT_LATE && fault != FAULT_DUPLICATE)
		return;
	for (uint32_t i = 0; i < call->n_writes; i++) {
		if (kind != POISON_NONE && !is_poison(call, i, kind))
			continue;
		one = &call->writes[i].saga;
		states |= daemon_states_of(call->call.daemon, call->writes[i].op, one);
	}
	MUST(one != NULL);
	trace_line(&server->sim->trace, server->name, "fault", "%s strikes d%u's request of %u, %s among them",
		   fault_name(fault), call->call.daemon->number, call->n_writes, trace_id(one));
	fault_hit_in(&server->sim->faults, fault, states);
}

static void hit(struct store_call *call, enum fault fault)
{
	hit_those(call, fault, POISON_NONE);
}

/* ---- the effect ---- */

static void execute(struct store_call *call, uint32_t i)
{
	struct sim_store *server = call->port->server;
	struct write_copy *write = &call->writes[i];
	bool is_done = true;

	switch (write->op) {
	case LEG_APPLY:
		is_done = sim_store_apply(server, write, write->n_whole);
		break;
	case LEG_PUBLISH:
		sim_store_publish(server, write);
		break;
	case LEG_REMOVE:
		sim_store_remove(server, write);
		break;
	}
	if (call->call.is_answered)
		return;
	/* Nothing is wrong with the document: another daemon has declared the saga dead. */
	write->verdict = is_done ? VERDICT_OK : VERDICT_TRANSIENT;
	if (!is_done)
		call->text = "a fence of a removal stands on this version";
}

static void execute_all(struct store_call *call)
{
	for (uint32_t i = 0; i < call->n_writes; i++)
		execute(call, i);
}

/* The first writes whole, the next one in part. One transaction in Neo4j and one command in Redis: there or not. */
static void execute_some(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;
	uint32_t n = (uint32_t)rng_below(&world->rng, call->n_writes);
	struct write_copy *torn = &call->writes[n];

	if (call->port->server->kind == STORE_NEO4J) {
		if (world_chance(world, 500))
			execute_all(call);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		execute(call, i);
	if (torn->op == LEG_APPLY && call->port->server->kind == STORE_QDRANT)
		(void)sim_store_apply(call->port->server, torn, (uint32_t)rng_below(&world->rng, torn->n_whole));
}

static void crash_store(struct store_call *call)
{
	struct sim *sim = store_call_sim(call);
	struct sim_store *server = call->port->server;

	server->ill_ns[ILL_DOWN] = sim->world.now_ns + world_between(&sim->world, 10 * NS_PER_MS, 8 * NS_PER_S);
	trace_line(&sim->trace, server->name, "dies", "is back at %.3f", (double)server->ill_ns[ILL_DOWN] / 1e9);
	all_are_cut(call, "connection reset by the store");
}

/* ---- poison: in the document, whatever the faults are ---- */

static uint32_t find_poison(const struct store_call *call, enum poison kind)
{
	for (uint32_t i = 0; i < call->n_writes; i++)
		if (is_poison(call, i, kind))
			return i;
	return call->n_writes;
}

/* The store names the culprit; the others are done. */
static void refuse_alone(struct store_call *call)
{
	for (uint32_t i = 0; i < call->n_writes; i++) {
		if (!is_poison(call, i, POISON_ALONE))
			execute(call, i);
		else if (!call->call.is_answered)
			call->writes[i].verdict = VERDICT_PERMANENT;
	}
	call->is_shared = false;
	call->text = "400, this document is wrong";
}

static bool arrive_poisoned(struct store_call *call)
{
	if (find_poison(call, POISON_KILLS) < call->n_writes) {
		hit_those(call, FAULT_POISON_KILLS, POISON_KILLS);
		crash_store(call);
		return true;
	}
	if (find_poison(call, POISON_BATCH) < call->n_writes) {
		hit_those(call, FAULT_POISON_BATCH, POISON_BATCH);
		if (call->port->server->kind != STORE_NEO4J)
			execute_some(call);
		all_get(call, VERDICT_PERMANENT, true, "400, something in the request is wrong");
		return true;
	}
	if (find_poison(call, POISON_ALONE) == call->n_writes)
		return false;
	hit_those(call, FAULT_POISON_ALONE, POISON_ALONE);
	refuse_alone(call);
	return true;
}

/* ---- faults of one request ---- */

static void arrive_partial(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;

	execute_some(call);
	if (world_chance(world, 500))
		all_are_cut(call, "half a reply");
	else
		all_get(call, VERDICT_TRANSIENT, true, "503 in the middle");
}

/* Neo4j takes its transaction back; Qdrant answers 500; each script has a reply of its own from Redis. */
static void arrive_deadlock(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;

	if (call->port->server->kind != STORE_REDIS) {
		all_get(call, VERDICT_TRANSIENT, call->port->server->kind == STORE_QDRANT, "deadlock, later please");
		return;
	}
	for (uint32_t i = 0; i < call->n_writes; i++) {
		if (world_chance(world, 500))
			execute(call, i);
		else if (!call->call.is_answered)
			call->writes[i].verdict = VERDICT_TRANSIENT;
	}
	call->is_shared = false;
	call->text = "BUSY, later please";
}

/* A word instead of JSON is doubt about the whole request; where each write has its reply, about that one. Neo4j's
 * reply to a removal may leave one out: that one is tried again. */
static void arrive_malformed(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;
	enum store_kind kind = call->port->server->kind;
	struct write_copy *odd = &call->writes[rng_below(&world->rng, call->n_writes)];

	execute_all(call);
	if (call->call.is_answered)
		return;
	if (kind == STORE_QDRANT || (kind == STORE_NEO4J && world_chance(world, 500))) {
		all_get(call, VERDICT_DOUBT, true, "a reply that makes no sense");
		return;
	}
	call->is_shared = false;
	call->text = "a reply that makes no sense for one of the writes";
	if (kind == STORE_NEO4J && odd->op == LEG_APPLY)
		all_get(call, VERDICT_DOUBT, false, call->text);
	else
		odd->verdict = kind == STORE_NEO4J ? VERDICT_TRANSIENT : VERDICT_DOUBT;
}

/* Redis' replies come one by one: what has come is known. */
static void arrive_cut_off(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;
	uint32_t n = (uint32_t)rng_below(&world->rng, call->n_writes);

	execute_all(call);
	if (call->call.is_answered)
		return;
	if (call->port->server->kind != STORE_REDIS) {
		all_are_cut(call, "the reply ends in the middle");
		return;
	}
	for (uint32_t i = n; i < call->n_writes; i++)
		call->writes[i].verdict = VERDICT_DOUBT;
	call->is_shared = n == 0;
	call->is_cut = true;
	call->text = "the reply ends in the middle";
}

static void arrive_reset(struct store_call *call)
{
	if (world_chance(&store_call_sim(call)->world, 500))
		execute_some(call);
	else if (world_chance(&store_call_sim(call)->world, 500))
		execute_all(call);
	all_are_cut(call, "connection reset");
}

/* The copy comes behind the answer; how late is bounded by what docs/guarantees.md allows a network. */
static void arrive_twice(struct store_call *call)
{
	struct sim *sim = store_call_sim(call);

	execute_all(call);
	world_after(&sim->world, &call->call.again,
		    world_chance(&sim->world, 500) ? world_between(&sim->world, 0, 5 * NS_PER_MS)
						   : world_between(&sim->world, 0, sim_latest_ns(sim)));
}

/* curl sends a POST again when a connection that was kept alive breaks; nobody is told. */
static void arrive_to_be_sent_again(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;

	execute_all(call);
	call->is_sent_again = true;
	world_after(world, &call->call.again, world_between(world, 0, 50 * NS_PER_MS));
}

static void arrive_with_fault(struct store_call *call)
{
	switch ((unsigned)call->fault) {
	case FAULT_LATE:
	case FAULT_LOST_AFTER:
		execute_all(call);
		break;
	case FAULT_RESET:
		arrive_reset(call);
		break;
	case FAULT_DUPLICATE:
		arrive_twice(call);
		break;
	case FAULT_RESENT:
		arrive_to_be_sent_again(call);
		break;
	case FAULT_MALFORMED:
		arrive_malformed(call);
		break;
	case FAULT_CUT_OFF:
		arrive_cut_off(call);
		break;
	case FAULT_DEADLOCK:
		arrive_deadlock(call);
		break;
	case FAULT_PARTIAL:
		arrive_partial(call);
		break;
	case FAULT_STORE_CRASH:
		execute_some(call);
		crash_store(call);
		break;
	case FAULT_LOST_BEFORE:
		break;
	default: /* none, or one that is only slow */
		execute_all(call);
	}
	if (call->fault == FAULT_LOST_BEFORE || call->fault == FAULT_LOST_AFTER || call->fault == FAULT_LATE)
		all_get(call, VERDICT_DOUBT, true, "no answer in time");
}

/* Does its answer come at all before the time-out, and now? */
static bool is_answered_now(const struct store_call *call)
{
	return call->fault != FAULT_LOST_BEFORE && call->fault != FAULT_LOST_AFTER && call->fault != FAULT_LATE &&
	       !call->is_sent_again;
}

static void note_hit(struct store_call *call)
{
	bool is_overtaken = call->call.action < call->port->newest_action;

	if (!is_overtaken)
		call->port->newest_action = call->call.action;
	if (call->fault == FAULT_KINDS || call->fault == FAULT_DUPLICATE ||
	    (call->fault == FAULT_OUT_OF_ORDER && !is_overtaken))
		return; /* a copy is met when it comes */
	hit(call, call->fault);
}

/* ---- a server that isn't well ---- */

static const struct {
	enum fault fault;
	const char *text;
	struct {
		enum verdict verdict;
		bool is_shared;
	} says[SIM_STORES];
	bool takes_removals[SIM_STORES];
} ill_table[ILLS] = {
	[ILL_DOWN] = {FAULT_STORE_DOWN,
		      "connection refused",
		      {{VERDICT_OUTAGE, true}, {VERDICT_OUTAGE, true}, {VERDICT_OUTAGE, true}},
		      {false}},
	[ILL_MUTE] = {FAULT_STORE_MUTE, "", {{VERDICT_DOUBT, true}}, {false}}, /* says nothing: see arrive_at_mute() */
	[ILL_MISCONFIGURED] = {FAULT_STORE_MISCONFIGURED,
			       "401, wrong password",
			       {{VERDICT_MISCONFIGURED, false},
				{VERDICT_MISCONFIGURED, false},
				{VERDICT_MISCONFIGURED, false}},
			       {false}},
	[ILL_READ_ONLY] = {FAULT_READ_ONLY,
			   "read only",
			   {{VERDICT_MISCONFIGURED, false}, {VERDICT_MISCONFIGURED, false}, {VERDICT_OUTAGE, false}},
			   {false}},
	[ILL_LOADING] = {FAULT_LOADING,
			 "loading, later please",
			 {{VERDICT_TRANSIENT, true}, {VERDICT_OUTAGE, false}, {VERDICT_TRANSIENT, false}},
			 {false}},
	[ILL_OUT_OF_MEMORY] = {FAULT_OUT_OF_MEMORY,
			       "out of memory",
			       {{VERDICT_TRANSIENT, true}, {VERDICT_TRANSIENT, true}, {VERDICT_OUTAGE, false}},
			       {[STORE_REDIS] = true}},
	[ILL_RATE_LIMIT] = {FAULT_RATE_LIMIT,
			    "429, later please",
			    {{VERDICT_TRANSIENT, false}, {VERDICT_TRANSIENT, false}, {VERDICT_OUTAGE, false}},
			    {false}},
};

static void arrive_at_mute(struct store_call *call)
{
	struct sim_store *server = call->port->server;

	hit(call, FAULT_STORE_MUTE);
	call->fault = FAULT_KINDS;
	world_at(&server->sim->world, &call->call.arrival, server->ill_ns[ILL_MUTE] + call->delay_ns);
}

/* True: that was all. */
static bool arrive_at_ill_server(struct store_call *call)
{
	struct sim_store *server = call->port->server;

	for (unsigned ill = 0; ill < ILLS; ill++) {
		if (!sim_store_is_ill(server, (enum ill)ill) ||
		    (ill_table[ill].takes_removals[server->kind] && call->writes[0].op == LEG_REMOVE))
			continue;
		if (ill == ILL_MUTE) {
			arrive_at_mute(call);
			return true;
		}
		hit(call, ill_table[ill].fault);
		all_get(call, ill_table[ill].says[server->kind].verdict, ill_table[ill].says[server->kind].is_shared,
			ill_table[ill].text);
		answer_soon(call);
		return true;
	}
	return false;
}

/* ---- arrival ---- */

static void on_arrival(struct event *event)
{
	struct store_call *call = store_call_of(container_of(event, struct sent, arrival));

	sim_store_expire(call->port->server);
	if (store_call_sim(call)->world.now_ns < call->port->half_open_ns) {
		hit(call, FAULT_HALF_OPEN);
		all_get(call, VERDICT_DOUBT, true, "no answer in time");
	} else if (!arrive_at_ill_server(call)) {
		note_hit(call);
		if (arrive_poisoned(call)) {
			answer_soon(call);
		} else {
			arrive_with_fault(call);
			if (is_answered_now(call))
				answer_soon(call);
		}
	}
	call_release(&call->call);
}

static bool is_well(const struct sim_store *server)
{
	for (unsigned ill = 0; ill < ILLS; ill++)
		if (sim_store_is_ill(server, (enum ill)ill))
			return false;
	return true;
}

/* The copy changes the store, and the answer only when the transport still waits for one. */
static void arrive_again(struct store_call *call)
{
	for (uint32_t i = 0; i < call->n_writes; i++) {
		enum verdict verdict = call->writes[i].verdict;

		if (verdict == VERDICT_OK)
			execute(call, i);
		if (!call->is_sent_again)
			call->writes[i].verdict = verdict;
	}
}

static void on_again(struct event *event)
{
	struct store_call *call = store_call_of(container_of(event, struct sent, again));
	struct sim_store *server = call->port->server;

	if (is_well(server)) {
		trace_line(&server->sim->trace, server->name, "again", "a request of d%u comes once more",
			   call->call.daemon->number);
		if (call->fault == FAULT_DUPLICATE)
			hit(call, FAULT_DUPLICATE);
		arrive_again(call);
	} else if (call->is_sent_again) {
		all_are_cut(call, "connection reset");
	}
	if (call->is_sent_again)
		answer_soon(call);
	call_release(&call->call);
}

/* ---- on its way ---- */

static enum fault draw_fault(struct sim *sim)
{
	static const enum fault kinds[] = {
		FAULT_LOST_BEFORE,  FAULT_LOST_AFTER, FAULT_RESET,   FAULT_LATE,
		FAULT_OUT_OF_ORDER, FAULT_DUPLICATE,  FAULT_RESENT,  FAULT_MALFORMED,
		FAULT_CUT_OFF,      FAULT_DEADLOCK,   FAULT_PARTIAL, FAULT_STORE_CRASH,
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		if (fault_strikes(&sim->faults, kinds[i]))
			return kinds[i];
	return FAULT_KINDS;
}

void store_call_redraw(struct sent *base)
{
	struct store_call *call = store_call_of(base);
	struct world *world = &store_call_sim(call)->world;

	if (call->fault != FAULT_KINDS)
		return;
	for (unsigned i = 0; i < 3 && call->fault == FAULT_KINDS; i++)
		call->fault = draw_fault(store_call_sim(call));
	if (call->fault == FAULT_LATE)
		call->fault = FAULT_LOST_BEFORE; /* it is on its way already, and not that late */
	else if (call->fault == FAULT_OUT_OF_ORDER)
		world_after(world, &base->arrival, world_between(world, NS_PER_MS, 60 * NS_PER_MS));
}

void store_call_plan(struct store_call *call, uint64_t timeout_ns)
{
	struct sim *sim = store_call_sim(call);
	uint64_t arrival_ns;

	call->delay_ns = sim_delay_ns(sim);
	call->fault = draw_fault(sim);
	call->text = "no answer in time";
	call->is_shared = true;
	arrival_ns = call->delay_ns;
	if (call->fault == FAULT_LATE)
		arrival_ns = world_between(&sim->world, timeout_ns, sim_latest_ns(sim));
	else if (call->fault == FAULT_OUT_OF_ORDER)
		arrival_ns = world_between(&sim->world, 2 * NS_PER_MS, timeout_ns / 2);
	call->call.arrival.fire = on_arrival;
	call->call.again.fire = on_again;
	call->call.answer.fire = on_answer;
	world_after(&sim->world, &call->call.arrival, arrival_ns);
	world_after(&sim->world, &call->call.answer, timeout_ns);
}
