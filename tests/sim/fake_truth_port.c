/* The fake PostgreSQL as the port that the engine gets: takes requests, checks them, sends them on their way. */
#include "fake_truth_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum fault draw_fault(struct sim *sim, enum truth_kind kind)
{
	static const enum fault of_pivots[] = {FAULT_TRUTH_TRANSIENT, FAULT_DOUBT_COMMITTED, FAULT_DOUBT_LOST,
					       FAULT_DOUBT_RUNNING};
	static const enum fault of_others[] = {FAULT_TRUTH_TRANSIENT, FAULT_TRUTH_LOST};
	const enum fault *kinds = kind == TRUTH_PIVOT ? of_pivots : of_others;
	unsigned n = kind == TRUTH_PIVOT ? ARRAY_LEN(of_pivots) : ARRAY_LEN(of_others);

	for (unsigned i = 0; i < n; i++)
		if (fault_strikes(&sim->faults, kinds[i]))
			return kinds[i];
	return FAULT_KINDS;
}

static void check_counts(struct truth_port *port, enum truth_kind kind, uint32_t n_items)
{
	struct facts *facts = &port->server->sim->facts;
	const struct truth *truth = &port->truth;

	if (n_items == 0 || n_items > truth->max_batch)
		facts_violate(facts, 12, "a %s has %u members, at most are %u", truth_kind_name(kind), n_items,
			      truth->max_batch);
	if (truth_call_count_out(port, kind, 1) > (kind == TRUTH_PIVOT ? truth->max_pivots : truth->max_reads))
		facts_violate(facts, 12, "too many requests of kind %s are out to PostgreSQL", truth_kind_name(kind));
}

static struct truth_call *truth_call_begin(struct truth *truth, enum truth_kind kind, uint32_t n_items,
					   uint64_t timeout_ns)
{
	struct truth_port *port = container_of(truth, struct truth_port, truth);
	struct truth_call *call = calloc(1, sizeof(*call));
	struct sim *sim = port->server->sim;

	MUST(call != NULL);
	list_init(&call->node);
	call->port = port;
	call->kind = kind;
	call->epoch = port->epoch;
	call->starts = port->starts;
	call->delay_ns = sim_delay_ns(sim);
	call->timeout_at_ns = sim->world.now_ns + timeout_ns;
	call->was_connected = port->starts == port->server->starts && !sim_truth_is_ill(port->server, TRUTH_DOWN);
	call->fault = draw_fault(sim, kind);
	call->call.reply = truth_call_reply;
	call->call.destroy = truth_call_destroy;
	call->call.states = truth_call_states;
	call->call.arrival.fire = truth_call_on_arrival;
	call->call.again.fire = truth_call_on_again;
	call->call.answer.fire = truth_call_on_answer;
	(void)snprintf(call->backend, sizeof(call->backend), "sagad-%u-%u", port->daemon->number,
		       port->n_connections++);
	call_begin(&call->call, port->daemon);
	check_counts(port, kind, n_items);
	if (kind != TRUTH_PIVOT)
		trace_daemon(&sim->trace, port->daemon->number, "sends", "%s of %u to postgresql",
			     truth_kind_name(kind), n_items);
	world_after(&sim->world, &call->call.arrival, call->delay_ns);
	MUST(timeout_ns > 0); /* longer than any delay, so an answer is lost by a fault only */
	return call;
}

uint32_t truth_call_states(const struct sent *base)
{
	const struct truth_call *call = (const struct truth_call *)(const void *)base; /* its first member */
	const struct daemon *daemon = call->call.daemon;
	bool is_over = call->call.is_answered || daemon->is_dead; /* then nothing of the engine's may be looked at */
	uint32_t states = 0;

	for (uint32_t i = 0; i < call->n_pivots; i++)
		states |= daemon_states_of(daemon, LEG_APPLY, &call->pivots[i].saga);
	if (call->kind == TRUTH_READ && !is_over)
		for (uint32_t i = 0; i < call->req.read->n_reads; i++)
			states |= daemon_states_of_reader(daemon, call->req.read->reads[i]);
	else if (call->kind == TRUTH_SETTLE && !is_over)
		for (uint32_t i = 0; i < call->req.settle->n_settles; i++)
			states |= daemon_states_of(daemon, LEG_APPLY, &call->req.settle->settles[i]->saga);
	else if (call->kind != TRUTH_PIVOT)
		states |= 1u << FAULT_AFTER;
	return states;
}

static void ops_read(struct truth *truth, struct truth_read_req *req)
{
	truth_call_begin(truth, TRUTH_READ, req->n_reads, req->timeout_ns)->req.read = req;
}

static void ops_settle(struct truth *truth, struct truth_settle_req *req)
{
	truth_call_begin(truth, TRUTH_SETTLE, req->n_settles, req->timeout_ns)->req.settle = req;
}

static void ops_pay(struct truth *truth, struct truth_pay_req *req)
{
	truth_call_begin(truth, TRUTH_PAY, req->n_debts > 0 ? 1 : 0, req->timeout_ns)->req.pay = req;
}

static void ops_prune(struct truth *truth, uint64_t keep_ms, struct truth_pay_req *req)
{
	(void)keep_ms;
	truth_call_begin(truth, TRUTH_PRUNE, 1, req->timeout_ns)->req.pay = req;
}

static void ops_debts(struct truth *truth, struct truth_debts_req *req)
{
	truth_call_begin(truth, TRUTH_DEBTS, 1, req->timeout_ns)->req.debts = req;
}

static void ops_claim(struct truth *truth, struct truth_claim_req *req)
{
	truth_call_begin(truth, TRUTH_CLAIM, 1, req->timeout_ns)->req.claim = req;
}

static void ops_ping(struct truth *truth, struct store_init_req *req)
{
	truth_call_begin(truth, TRUTH_PING, 1, NS_PER_S)->req.ping = req;
}

static void copy_pivot(struct pivot_copy *copy, const struct truth_pivot *pivot)
{
	copy->saga = pivot->saga;
	copy->doc = content_doc(pivot->document_id);
	copy->is_delete = pivot->is_delete;
	copy->is_expected = pivot->is_expected;
	copy->expected = pivot->expected;
	copy->row = (struct doc_row){.is_found = true, .is_deleted = pivot->is_delete, .version = pivot->saga};
	memcpy(copy->hash, pivot->content_hash, DIGEST_BYTES);
	MUST(pivot->idempotency_key.len < sizeof(copy->key));
	if (pivot->idempotency_key.len > 0)
		memcpy(copy->key, pivot->idempotency_key.at, pivot->idempotency_key.len);
	copy->n_debts = pivot->n_debts;
	copy->debts = calloc(pivot->n_debts + 1, sizeof(*copy->debts));
	MUST(copy->debts != NULL);
	if (pivot->n_debts > 0)
		memcpy(copy->debts, pivot->debts, pivot->n_debts * sizeof(*copy->debts));
	if (pivot->document == NULL)
		return;
	copy->mark = content_mark(pivot->document);
	copy->row.n_chunks = pivot->document->n_chunks;
	copy->row.has_properties = content_has_properties(pivot->document);
	memcpy(copy->row.hash, pivot->document->content_hash, DIGEST_BYTES);
}

static void check_pivots(struct truth_call *call)
{
	struct facts *facts = &truth_call_sim(call)->facts;

	for (uint32_t i = 0; i < call->n_pivots; i++)
		for (uint32_t j = i + 1; j < call->n_pivots; j++)
			if (call->pivots[i].doc == call->pivots[j].doc ||
			    (call->pivots[i].key[0] != '\0' && strcmp(call->pivots[i].key, call->pivots[j].key) == 0))
				facts_violate(facts, 12, "a pivot has doc-%u or its key twice", call->pivots[i].doc);
	for (uint32_t i = 0; i < call->n_pivots; i++)
		if (call->req.pivot->pivots[i]->is_delete != (call->req.pivot->pivots[i]->document == NULL))
			facts_violate(facts, 12, "the pivot of saga %s is a put without a document, or the reverse",
				      trace_id(&call->pivots[i].saga));
}

static void ops_pivot(struct truth *truth, struct truth_pivot_req *req)
{
	struct truth_call *call = truth_call_begin(truth, TRUTH_PIVOT, req->n_pivots, req->timeout_ns);

	call->req.pivot = req;
	call->n_pivots = req->n_pivots;
	call->pivots = calloc(req->n_pivots, sizeof(*call->pivots));
	MUST(call->pivots != NULL);
	for (uint32_t i = 0; i < req->n_pivots; i++) {
		copy_pivot(&call->pivots[i], req->pivots[i]);
		trace_daemon(&truth_call_sim(call)->trace, call->call.daemon->number, "sends",
			     "pivot(%s) of doc-%u to postgresql", trace_id(&req->pivots[i]->saga), call->pivots[i].doc);
	}
	check_pivots(call);
}

static void ops_status(const struct truth *truth, struct store_status *out_status)
{
	(void)truth;
	memset(out_status, 0, sizeof(*out_status));
}

static size_t ops_pivot_bytes(const struct truth *truth, const struct truth_pivot *pivot)
{
	(void)truth;
	return pivot->document != NULL ? 500 + 100 * (size_t)pivot->document->n_chunks : 200;
}

static void ops_close(struct truth *truth, void (*closed)(void *arg), void *arg)
{
	(void)truth;
	closed(arg);
}

void truth_port_init(struct truth_port *port, struct sim_truth *server, struct daemon *daemon)
{
	static const struct truth_ops ops = {
		.claim = ops_claim,
		.read = ops_read,
		.pivot = ops_pivot,
		.settle = ops_settle,
		.pay = ops_pay,
		.debts = ops_debts,
		.prune = ops_prune,
		.ping = ops_ping,
		.status = ops_status,
		.pivot_bytes = ops_pivot_bytes,
		.close = ops_close,
	};

	*port = (struct truth_port){
		.truth =
			{
				.ops = &ops,
				.max_pivots = server->max_pivots,
				.max_reads = server->max_reads,
				.max_batch = server->max_batch,
				.max_batch_bytes = server->max_batch_bytes,
			},
		.server = server,
		.daemon = daemon,
		.starts = server->starts,
	};
}
