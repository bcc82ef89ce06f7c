/* Requests to a store: on their way, arriving, failing, answered. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct store_call {
	struct call call;
	struct store_port *port;
	struct store_req *req; /* the engine's, until the answer */
	struct write_copy *writes;
	uint32_t n_writes;
	uint64_t delay_ns; /* one way */
	enum fault fault;  /* FAULT_KINDS: none */
	bool is_shared;    /* as it will be answered; so is the next */
	bool is_cut;
	const char *text; /* of the error */
};

static struct store_call *store_call_of(struct call *call)
{
	return container_of(call, struct store_call, call);
}

static struct sim *store_call_sim(const struct store_call *call)
{
	return call->port->server->sim;
}

static void store_call_destroy(struct call *base)
{
	struct store_call *call = store_call_of(base);

	free(call->writes);
	free(call);
}

/* ---- the answer ---- */

static void note_refusal(struct store_call *call, const struct write_copy *write)
{
	if (write->verdict == VERDICT_PERMANENT && write->op == LEG_APPLY && (!call->is_shared || call->n_writes == 1))
		facts_refused(&store_call_sim(call)->facts, call->port->server->number, &write->saga);
}

/* What the engine lent must be as it was: it was to be kept until done(). */
static void check_lent(struct store_call *call, const struct leg_write *lent, const struct write_copy *copy)
{
	if (uuid_compare(&lent->saga, &copy->saga) != 0 || content_doc(lent->document_id) != copy->doc ||
	    (copy->has_document && memcmp(lent->document->content_hash, copy->hash, DIGEST_BYTES) != 0))
		facts_violate(&store_call_sim(call)->facts, 12, "a write of saga %s changed while its request was out",
			      trace_id(&copy->saga));
}

static void store_call_reply(struct call *base)
{
	struct store_call *call = store_call_of(base);
	struct store_req *req = call->req;

	call->port->n_out--;
	for (uint32_t i = 0; i < call->n_writes; i++) {
		struct leg_write *write = req->writes[i];

		check_lent(call, write, &call->writes[i]);
		write->verdict = call->writes[i].verdict;
		if (write->verdict != VERDICT_OK)
			(void)err_set(&write->err, 0, "%s: %s", call->port->server->name, call->text);
		note_refusal(call, &call->writes[i]);
	}
	req->is_shared = call->is_shared;
	req->is_cut = call->is_cut;
	if (call->is_cut && call->n_writes == 1 && call->writes[0].op == LEG_APPLY)
		facts_cut(&store_call_sim(call)->facts, call->writes[0].doc);
	trace_line(&store_call_sim(call)->trace, "d%u %s answers %u: %s", base->daemon->number,
		   call->port->server->name, call->n_writes, call->writes[0].verdict == VERDICT_OK ? "ok" : call->text);
	call->req = NULL;
	req->done(req);
}

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
	struct call *call = container_of(event, struct call, answer);

	call_finish(call);
	call_release(call);
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

/* The first writes whole, the next one in part. */
static void execute_some(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;
	uint32_t n = (uint32_t)rng_below(&world->rng, call->n_writes);
	struct write_copy *torn = &call->writes[n];

	for (uint32_t i = 0; i < n; i++)
		execute(call, i);
	/* One transaction in Neo4j and one command in Redis: those are there or not. */
	if (torn->op == LEG_APPLY && call->port->server->kind == STORE_QDRANT)
		(void)sim_store_apply(call->port->server, torn, (uint32_t)rng_below(&world->rng, torn->n_whole));
}

static void crash_store(struct store_call *call)
{
	struct sim *sim = store_call_sim(call);
	struct sim_store *server = call->port->server;

	server->down_ns = sim->world.now_ns + world_between(&sim->world, 10 * NS_PER_MS, 8 * NS_PER_S);
	trace_line(&sim->trace, "%s dies", server->name);
	all_are_cut(call, "connection reset by the store");
}

/* ---- arrival ---- */

static uint32_t find_poison(const struct store_call *call, enum poison kind)
{
	for (uint32_t i = 0; i < call->n_writes; i++)
		if (call->writes[i].op == LEG_APPLY && call->writes[i].mark.kind == kind &&
		    call->writes[i].mark.store == call->port->server->number)
			return i;
	return call->n_writes;
}

/* Poison works whatever the faults are: it is in the document. */
static bool arrive_poisoned(struct store_call *call)
{
	struct faults *faults = &store_call_sim(call)->faults;

	if (find_poison(call, POISON_KILLS) < call->n_writes) {
		fault_hit(faults, FAULT_POISON_KILLS);
		crash_store(call);
		return true;
	}
	if (find_poison(call, POISON_BATCH) < call->n_writes) {
		fault_hit(faults, FAULT_POISON_BATCH);
		execute_some(call);
		all_get(call, VERDICT_PERMANENT, true, "400, something in the request is wrong");
		return true;
	}
	if (find_poison(call, POISON_ALONE) == call->n_writes)
		return false;
	fault_hit(faults, FAULT_POISON_ALONE);
	for (uint32_t i = 0; i < call->n_writes; i++) {
		if (call->writes[i].mark.kind != POISON_ALONE ||
		    call->writes[i].mark.store != call->port->server->number)
			execute(call, i);
		else if (!call->call.is_answered)
			call->writes[i].verdict = VERDICT_PERMANENT;
	}
	call->is_shared = false;
	call->text = "400, this document is wrong";
	return true;
}

static void arrive_partial(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;

	execute_some(call);
	if (world_chance(world, 500))
		all_are_cut(call, "half a reply");
	else
		all_get(call, VERDICT_TRANSIENT, true, "503 in the middle");
}

static void arrive_transient(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;

	if (world_chance(world, 500)) {
		all_get(call, VERDICT_TRANSIENT, true, "429, later please");
		return;
	}
	for (uint32_t i = 0; i < call->n_writes; i++) {
		if (world_chance(world, 500))
			execute(call, i);
		else if (!call->call.is_answered)
			call->writes[i].verdict = VERDICT_TRANSIENT;
	}
	call->is_shared = false;
	call->text = "deadlock, later please";
}

/* The copies come behind the first; how late is bounded by what docs/guarantees.md allows a network. */
static void arrive_twice(struct store_call *call)
{
	struct sim *sim = store_call_sim(call);

	execute_all(call);
	world_after(&sim->world, &call->call.again,
		    world_chance(&sim->world, 500) ? world_between(&sim->world, 0, 5 * NS_PER_MS)
						   : world_between(&sim->world, 0, sim_latest_ns(sim)));
}

static void arrive_with_fault(struct store_call *call)
{
	struct world *world = &store_call_sim(call)->world;

	if (call->fault == FAULT_KINDS) {
		execute_all(call);
		return;
	}
	fault_hit(&store_call_sim(call)->faults, call->fault);
	if (call->fault == FAULT_LOST_AFTER || call->fault == FAULT_LATE)
		execute_all(call);
	else if (call->fault == FAULT_DUPLICATE)
		arrive_twice(call);
	else if (call->fault == FAULT_TRANSIENT)
		arrive_transient(call);
	else if (call->fault == FAULT_PARTIAL)
		arrive_partial(call);
	else if (call->fault == FAULT_STORE_CRASH) {
		execute_some(call);
		crash_store(call);
	}
	if (call->fault == FAULT_LOST_BEFORE || call->fault == FAULT_LOST_AFTER || call->fault == FAULT_LATE) {
		all_get(call, VERDICT_DOUBT, true, "no answer");
		if (call->fault != FAULT_LATE && world_chance(world, 500)) {
			all_are_cut(call, "connection reset"); /* otherwise the time-out */
			answer_soon(call);
		}
		return;
	}
}

static bool is_lost(const struct store_call *call)
{
	return call->fault == FAULT_LOST_BEFORE || call->fault == FAULT_LOST_AFTER || call->fault == FAULT_LATE;
}

/* The condition that the server is in; true: that was all. */
static bool arrive_at_ill_server(struct store_call *call)
{
	struct sim *sim = store_call_sim(call);
	struct sim_store *server = call->port->server;
	uint64_t now_ns = sim->world.now_ns;

	if (now_ns < server->down_ns) {
		fault_hit(&sim->faults, FAULT_STORE_DOWN);
		all_get(call, VERDICT_OUTAGE, true, "connection refused");
		answer_soon(call);
		return true;
	}
	if (now_ns < server->mute_ns) {
		fault_hit(&sim->faults, FAULT_STORE_MUTE);
		call->fault = FAULT_KINDS;
		world_at(&sim->world, &call->call.arrival, server->mute_ns + call->delay_ns);
		return true;
	}
	if (now_ns < server->misconfigured_ns) {
		fault_hit(&sim->faults, FAULT_STORE_MISCONFIGURED);
		all_get(call, VERDICT_MISCONFIGURED, true, "401, wrong password");
		answer_soon(call);
		return true;
	}
	return false;
}

static void on_arrival(struct event *event)
{
	struct store_call *call = store_call_of(container_of(event, struct call, arrival));

	sim_store_expire(call->port->server);
	if (!arrive_at_ill_server(call)) {
		if (arrive_poisoned(call))
			answer_soon(call);
		else {
			arrive_with_fault(call);
			if (!is_lost(call))
				answer_soon(call);
		}
	}
	call_release(&call->call);
}

static void on_again(struct event *event)
{
	struct store_call *call = store_call_of(container_of(event, struct call, again));
	struct sim_store *server = call->port->server;
	uint64_t now_ns = store_call_sim(call)->world.now_ns;

	if (now_ns >= server->down_ns && now_ns >= server->mute_ns && now_ns >= server->misconfigured_ns &&
	    find_poison(call, POISON_BATCH) == call->n_writes) {
		trace_line(&store_call_sim(call)->trace, "%s gets a request of d%u once more", server->name,
			   call->call.daemon->number);
		for (uint32_t i = 0; i < call->n_writes; i++) {
			enum verdict verdict = call->writes[i].verdict;

			if (verdict == VERDICT_OK)
				execute(call, i);
			call->writes[i].verdict = verdict;
		}
	}
	call_release(&call->call);
}

/* ---- submit ---- */

static enum fault draw_fault(struct sim *sim)
{
	static const enum fault kinds[] = {FAULT_LOST_BEFORE, FAULT_LOST_AFTER, FAULT_LATE,       FAULT_DUPLICATE,
					   FAULT_TRANSIENT,   FAULT_PARTIAL,    FAULT_STORE_CRASH};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		if (fault_strikes(&sim->faults, kinds[i]))
			return kinds[i];
	return FAULT_KINDS;
}

static void copy_write(struct write_copy *copy, const struct leg_write *write)
{
	copy->op = write->op;
	copy->saga = write->saga;
	copy->doc = content_doc(write->document_id);
	copy->n_chunks = write->n_chunks;
	copy->ttl_s = write->cache_ttl_s;
	copy->verdict = VERDICT_DOUBT;
	if (write->document == NULL)
		return;
	copy->has_document = true;
	copy->n_whole = write->document->n_chunks;
	copy->mark = content_mark(write->document);
	memcpy(copy->hash, write->document->content_hash, sizeof(copy->hash));
}

static void check_write(struct store_call *call, const struct leg_write *write, const struct write_copy *copy)
{
	struct sim *sim = store_call_sim(call);
	static const char *const names[] = {"apply", "publish", "remove"};

	if (write->op == LEG_APPLY && write->document == NULL)
		facts_violate(&sim->facts, 12, "an apply of saga %s came without a document", trace_id(&write->saga));
	if (write->op != call->req->writes[0]->op)
		facts_violate(&sim->facts, 12, "a request to %s mixes operations", call->port->server->name);
	trace_line(&sim->trace, "d%u %s <- %s(%s) doc-%u", call->call.daemon->number, call->port->server->name,
		   names[write->op], trace_id(&write->saga), copy->doc);
	facts_sent(&sim->facts, call->port->server->number, write->op, &write->saga, copy->doc,
		   truth_is_current(&sim->truth, copy->doc, &write->saga));
}

static void check_request(struct store_port *port, const struct store_req *req)
{
	struct facts *facts = &port->server->sim->facts;

	if (req->n_writes == 0 || req->n_writes > port->store.max_batch)
		facts_violate(facts, 12, "a request to %s has %u writes, at most are %u", port->store.name,
			      req->n_writes, port->store.max_batch);
	if (++port->n_out > port->store.max_requests)
		facts_violate(facts, 12, "%u requests are out to %s, at most are %u", port->n_out, port->store.name,
			      port->store.max_requests);
}

static void store_call_plan(struct store_call *call, uint64_t timeout_ns)
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
	call->call.arrival.fire = on_arrival;
	call->call.again.fire = on_again;
	call->call.answer.fire = on_answer;
	world_after(&sim->world, &call->call.arrival, arrival_ns);
	world_after(&sim->world, &call->call.answer, timeout_ns);
}

static void port_submit(struct store *store, struct store_req *req)
{
	struct store_port *port = container_of(store, struct store_port, store);
	struct store_call *call = calloc(1, sizeof(*call));

	MUST(call != NULL);
	call->port = port;
	call->req = req;
	call->n_writes = req->n_writes;
	call->writes = calloc(req->n_writes, sizeof(*call->writes));
	MUST(call->writes != NULL);
	call->call.reply = store_call_reply;
	call->call.destroy = store_call_destroy;
	call_begin(&call->call, port->daemon);
	check_request(port, req);
	for (uint32_t i = 0; i < req->n_writes; i++) {
		copy_write(&call->writes[i], req->writes[i]);
		check_write(call, req->writes[i], &call->writes[i]);
	}
	store_call_plan(call, req->timeout_ns);
}

/* ---- the rest of the port ---- */

static bool port_publishes(const struct store *store, const struct document *document)
{
	const struct store_port *port = (const struct store_port *)(const void *)store; /* its first member */

	if (port->server->kind == STORE_NEO4J)
		return document == NULL || content_has_properties(document);
	return port->server->kind == STORE_REDIS;
}

static size_t port_write_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	return write->document != NULL ? 200 + 100 * (size_t)write->document->n_chunks : 100;
}

static void port_status(const struct store *store, struct store_status *out_status)
{
	memset(out_status, 0, sizeof(*out_status));
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "fake %s", store->name);
}

static void port_close(struct store *store, void (*closed)(void *arg), void *arg)
{
	(void)store;
	closed(arg);
}

void store_port_init(struct store_port *port, struct sim_store *server, struct daemon *daemon)
{
	static const struct store_ops ops = {
		.submit = port_submit,
		.status = port_status,
		.publishes = port_publishes,
		.write_bytes = port_write_bytes,
		.close = port_close,
	};

	*port = (struct store_port){
		.store =
			{
				.ops = &ops,
				.name = server->name,
				.max_requests = server->max_requests,
				.max_batch = server->max_batch,
				.max_batch_bytes = server->max_batch_bytes,
				.has_fences = server->has_fences,
			},
		.server = server,
		.daemon = daemon,
	};
}
