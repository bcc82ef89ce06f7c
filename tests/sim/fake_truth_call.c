/* Requests to PostgreSQL: on their way, arriving, failing, in doubt, answered. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum truth_kind { TRUTH_READ, TRUTH_PIVOT, TRUTH_SETTLE, TRUTH_PAY, TRUTH_PRUNE, TRUTH_DEBTS, TRUTH_CLAIM, TRUTH_PING };

static const char *const kind_names[] = {
	[TRUTH_READ] = "read",   [TRUTH_PIVOT] = "pivot", [TRUTH_SETTLE] = "settle", [TRUTH_PAY] = "pay",
	[TRUTH_PRUNE] = "prune", [TRUTH_DEBTS] = "debts", [TRUTH_CLAIM] = "claim",   [TRUTH_PING] = "ping",
};

struct truth_call {
	struct call call;
	struct list node; /* in `running` while it may commit after its answer */
	struct truth_port *port;
	enum truth_kind kind;
	union {
		struct truth_read_req *read;
		struct truth_pivot_req *pivot;
		struct truth_settle_req *settle;
		struct truth_pay_req *pay;
		struct truth_debts_req *debts;
		struct truth_claim_req *claim;
		struct store_init_req *ping;
	} req; /* the engine's, until the answer */
	uint64_t delay_ns;
	uint64_t epoch;
	uint32_t starts; /* of the server, as its connection knows it */
	enum fault fault;
	char backend[64];
	struct pivot_copy *pivots;
	uint32_t n_pivots;
	struct truth_debt_row *rows; /* of DEBTS */
	uint32_t n_rows;
	char (*row_docs)[16];
	/* As it will be answered. */
	enum verdict verdict;
	bool is_shared;
	bool is_epoch_lost;
	bool is_broken; /* its connection was of before a restart */
	const char *text;
};

static struct truth_call *truth_call_of(struct call *call)
{
	return container_of(call, struct truth_call, call);
}

static struct sim *truth_call_sim(const struct truth_call *call)
{
	return call->port->server->sim;
}

static void truth_call_destroy(struct call *base)
{
	struct truth_call *call = truth_call_of(base);

	list_remove(&call->node);
	for (uint32_t i = 0; i < call->n_pivots; i++)
		free(call->pivots[i].debts);
	free(call->pivots);
	free(call->rows);
	free(call->row_docs);
	free(call);
}

/* ---- answers ---- */

static void say(const struct truth_call *call, enum verdict verdict, struct err *err)
{
	err_clear(err);
	if (verdict != VERDICT_OK)
		(void)err_set(err, 0, "postgresql: %s", call->text);
}

static void reply_read(struct truth_call *call)
{
	struct truth_read_req *req = call->req.read;

	for (uint32_t i = 0; i < req->n_reads; i++) {
		req->reads[i]->verdict = call->verdict;
		say(call, call->verdict, &req->reads[i]->err);
	}
	req->done(req);
}

static void reply_one_pivot(const struct truth_call *call, const struct pivot_copy *copy, struct truth_pivot *pivot)
{
	struct facts *facts = &truth_call_sim(call)->facts;

	if (uuid_compare(&pivot->saga, &copy->saga) != 0 || content_doc(pivot->document_id) != copy->doc)
		facts_violate(facts, 12, "the pivot of saga %s changed while it was out", trace_id(&copy->saga));
	pivot->verdict = call->verdict == VERDICT_OK ? copy->verdict : call->verdict;
	pivot->result = copy->result;
	if (pivot->verdict == VERDICT_OK && pivot->result == PIVOT_COMMITTED)
		call->call.daemon->last_commit = pivot->saga;
	say(call, pivot->verdict, &pivot->err);
	if (pivot->verdict == VERDICT_PERMANENT && call->n_pivots == 1)
		facts_refused(facts, SIM_TRUTH, &pivot->saga);
	if (pivot->verdict == VERDICT_DOUBT && call->n_pivots == 1)
		facts_of(facts, &pivot->saga)->lonely_doubts++;
}

static void reply_pivot(struct truth_call *call)
{
	struct truth_pivot_req *req = call->req.pivot;

	for (uint32_t i = 0; i < call->n_pivots; i++)
		reply_one_pivot(call, &call->pivots[i], req->pivots[i]);
	req->is_shared = call->is_shared && call->verdict != VERDICT_OK;
	req->is_epoch_lost = call->is_epoch_lost;
	req->backend[0] = '\0';
	if (call->verdict == VERDICT_DOUBT)
		strcpy(req->backend, call->backend);
	req->done(req);
}

static void reply_settle(struct truth_call *call)
{
	struct truth_settle_req *req = call->req.settle;

	req->verdict = call->verdict;
	req->is_epoch_lost = call->is_epoch_lost;
	say(call, call->verdict, &req->err);
	req->done(req);
}

static void reply_pay(struct truth_call *call)
{
	call->req.pay->verdict = call->verdict;
	say(call, call->verdict, &call->req.pay->err);
	call->req.pay->done(call->req.pay);
}

static void reply_debts(struct truth_call *call)
{
	struct truth_debts_req *req = call->req.debts;

	req->verdict = call->verdict;
	req->rows = call->rows;
	req->n_rows = call->verdict == VERDICT_OK ? call->n_rows : 0;
	say(call, call->verdict, &req->err);
	req->done(req);
}

static void reply_claim(struct truth_call *call)
{
	struct truth_claim_req *req = call->req.claim;

	req->verdict = call->verdict;
	say(call, call->verdict, &req->err);
	if (call->verdict == VERDICT_OK)
		call->port->epoch = req->epoch;
	req->done(req);
}

static void reply_ping(struct truth_call *call)
{
	call->req.ping->verdict = call->verdict;
	say(call, call->verdict, &call->req.ping->err);
	call->req.ping->done(call->req.ping);
}

/* Claims and pings have no bound. */
static uint32_t count_out(struct truth_port *port, enum truth_kind kind, int change)
{
	uint32_t *count = kind == TRUTH_PIVOT ? &port->n_pivots_out : &port->n_reads_out;

	if (kind == TRUTH_CLAIM || kind == TRUTH_PING)
		return 0;
	*count = (uint32_t)((int)*count + change);
	return *count;
}

static void truth_call_reply(struct call *base)
{
	struct truth_call *call = truth_call_of(base);

	count_out(call->port, call->kind, -1);
	trace_line(&truth_call_sim(call)->trace, "d%u postgresql answers %s: %s%s", base->daemon->number,
		   kind_names[call->kind], call->verdict == VERDICT_OK ? "ok" : call->text,
		   call->is_epoch_lost ? ", another owner" : "");
	if (call->is_epoch_lost)
		base->daemon->is_told_of_successor = true;
	if (call->is_broken)
		call->port->starts = call->port->server->starts;
	switch (call->kind) {
	case TRUTH_READ:
		reply_read(call);
		break;
	case TRUTH_PIVOT:
		reply_pivot(call);
		break;
	case TRUTH_SETTLE:
		reply_settle(call);
		break;
	case TRUTH_PAY:
	case TRUTH_PRUNE:
		reply_pay(call);
		break;
	case TRUTH_DEBTS:
		reply_debts(call);
		break;
	case TRUTH_CLAIM:
		reply_claim(call);
		break;
	case TRUTH_PING:
		reply_ping(call);
		break;
	}
}

static void will_say(struct truth_call *call, enum verdict verdict, const char *text)
{
	call->verdict = verdict;
	call->text = text;
}

static void on_answer(struct event *event)
{
	struct call *call = container_of(event, struct call, answer);

	call_finish(call);
	call_release(call);
}

/* ---- what each request does when it arrives ---- */

static void do_read_one(const struct sim_truth *server, struct truth_read *read)
{
	uint32_t doc = content_doc(read->document_id);
	const struct doc_row *row = &server->docs[doc];
	const struct ledger_entry *entry = sim_truth_ledger_by_key(server, read->idempotency_key);

	read->is_found = row->is_found;
	read->is_deleted = row->is_deleted;
	read->version = row->version;
	memcpy(read->content_hash, row->hash, DIGEST_BYTES);
	read->n_chunks = row->n_chunks;
	read->n_debts = sim_truth_debts_of(server, doc);
	read->updated_unix_ms = row->updated_unix_ms;
	memset(&read->by_key, 0, sizeof(read->by_key));
	if (entry != NULL)
		read->by_key = entry->row;
}

static void do_read(struct truth_call *call)
{
	for (uint32_t i = 0; i < call->req.read->n_reads; i++)
		do_read_one(call->port->server, call->req.read->reads[i]);
}

static bool is_owner(struct truth_call *call)
{
	call->is_epoch_lost = call->epoch != call->port->server->epoch;
	if (call->is_epoch_lost)
		will_say(call, VERDICT_TRANSIENT, "a newer daemon owns this database");
	return !call->is_epoch_lost;
}

static void do_settle(struct truth_call *call)
{
	struct truth_settle_req *req = call->req.settle;
	struct sim_truth *server = call->port->server;

	if (req->backend != NULL && req->backend[0] != '\0')
		sim_truth_end_backend(server, req->backend);
	if (!is_owner(call))
		return;
	for (uint32_t i = 0; i < req->n_settles; i++) {
		struct truth_settle *settle = req->settles[i];
		const struct ledger_entry *entry;

		if (settle->abort_if_absent)
			sim_truth_abort(server, settle);
		entry = sim_truth_ledger(server, &settle->saga);
		memset(&settle->row, 0, sizeof(settle->row));
		if (entry != NULL)
			settle->row = entry->row;
	}
	sim_truth_end(server);
}

static void do_pay(struct truth_call *call)
{
	for (uint32_t i = 0; i < call->req.pay->n_debts; i++)
		sim_truth_pay(call->port->server, &call->req.pay->debts[i]);
	sim_truth_end(call->port->server);
}

static int row_order(const void *a, const void *b)
{
	return debt_compare(&((const struct truth_debt_row *)a)->debt, &((const struct truth_debt_row *)b)->debt);
}

static void do_debts(struct truth_call *call)
{
	const struct sim_truth *server = call->port->server;
	const struct truth_debts_req *req = call->req.debts;
	bool is_first = uuid_is_nil(&req->after_owner);

	call->rows = calloc(server->n_debts + 1, sizeof(*call->rows));
	call->row_docs = calloc(server->n_debts + 1, sizeof(*call->row_docs));
	MUST(call->rows != NULL && call->row_docs != NULL);
	for (uint32_t i = 0; i < server->n_debts; i++) {
		const struct debt_entry *entry = &server->debts[i];
		char *text = call->row_docs[call->n_rows];

		if (!is_first && debt_compare(&entry->debt, &req->after) <= 0)
			continue;
		(void)snprintf(text, sizeof(*call->row_docs), "doc-%u", entry->doc);
		call->rows[call->n_rows++] = (struct truth_debt_row){entry->debt, str_of(text)};
	}
	qsort(call->rows, call->n_rows, sizeof(*call->rows), row_order);
	if (call->n_rows > req->limit)
		call->n_rows = req->limit;
}

static void do_claim(struct truth_call *call)
{
	struct sim_truth *server = call->port->server;
	struct truth_claim_req *req = call->req.claim;
	bool is_other = server->owner != NULL && uuid_compare(&server->owner_journal, &req->journal) != 0;

	if (is_other && !req->take_over && !server->owner->is_dead && server->owner != call->call.daemon) {
		will_say(call, VERDICT_PERMANENT, "another daemon owns this database");
		return;
	}
	sim_truth_end_backend(server, NULL);
	req->was_other_journal = is_other;
	req->epoch = ++server->epoch;
	server->owner = call->call.daemon;
	server->owner_journal = req->journal;
	trace_line(&server->sim->trace, "d%u is the owner, epoch %llu", call->call.daemon->number,
		   (unsigned long long)server->epoch);
}

static uint32_t find_poison(const struct truth_call *call, enum poison kind)
{
	for (uint32_t i = 0; i < call->n_pivots; i++)
		if (call->pivots[i].mark.kind == kind && call->pivots[i].mark.store == SIM_TRUTH)
			return i;
	return call->n_pivots;
}

static void commit_all(struct truth_call *call)
{
	for (uint32_t i = 0; i < call->n_pivots; i++)
		sim_truth_commit(call->port->server, &call->pivots[i]);
	sim_truth_end(call->port->server);
}

static bool pivot_is_poisoned(struct truth_call *call)
{
	struct faults *faults = &truth_call_sim(call)->faults;

	if (find_poison(call, POISON_KILLS) < call->n_pivots) {
		fault_hit(faults, FAULT_PIVOT_KILLS);
		will_say(call, VERDICT_DOUBT, "server closed the connection unexpectedly");
		call->is_shared = true;
		return true;
	}
	if (find_poison(call, POISON_BATCH) == call->n_pivots && find_poison(call, POISON_ALONE) == call->n_pivots)
		return false;
	fault_hit(faults, FAULT_PIVOT_BATCH);
	will_say(call, VERDICT_PERMANENT, "22P05 in one of the rows");
	call->is_shared = true;
	return true;
}

/* It runs on behind the lost connection; settle() or a claim may end it before it commits. */
static void pivot_runs_on(struct truth_call *call)
{
	struct sim *sim = truth_call_sim(call);

	list_append(&call->port->server->running, &call->node);
	world_after(&sim->world, &call->call.again, world_between(&sim->world, NS_PER_MS, 20 * NS_PER_S));
}

static void do_pivot(struct truth_call *call)
{
	if (!is_owner(call) || pivot_is_poisoned(call))
		return;
	if (call->fault == FAULT_KINDS) {
		commit_all(call);
		return;
	}
	fault_hit(&truth_call_sim(call)->faults, call->fault);
	call->is_shared = true;
	if (call->fault == FAULT_TRUTH_TRANSIENT) {
		will_say(call, VERDICT_TRANSIENT, "40P01 deadlock");
		return;
	}
	will_say(call, VERDICT_DOUBT, "connection reset after COMMIT was sent");
	if (call->fault == FAULT_DOUBT_COMMITTED)
		commit_all(call);
	else if (call->fault == FAULT_DOUBT_RUNNING)
		pivot_runs_on(call);
}

/* Of all that is no pivot: the fault first, since a request that is lost may have had its effect or not. */
static bool is_struck(struct truth_call *call)
{
	struct sim *sim = truth_call_sim(call);

	if (call->fault == FAULT_KINDS)
		return false;
	fault_hit(&sim->faults, call->fault);
	if (call->fault == FAULT_TRUTH_TRANSIENT)
		will_say(call, VERDICT_TRANSIENT, "53300 too many connections");
	else
		will_say(call, VERDICT_DOUBT, "connection reset");
	return call->fault == FAULT_TRUTH_TRANSIENT || world_chance(&sim->world, 500);
}

static void do_request(struct truth_call *call)
{
	if (call->kind == TRUTH_PIVOT) {
		do_pivot(call);
		return;
	}
	if (is_struck(call))
		return;
	switch (call->kind) {
	case TRUTH_READ:
		do_read(call);
		break;
	case TRUTH_SETTLE:
		do_settle(call);
		break;
	case TRUTH_PAY:
		do_pay(call);
		break;
	case TRUTH_DEBTS:
		do_debts(call);
		break;
	case TRUTH_CLAIM:
		do_claim(call);
		break;
	case TRUTH_PRUNE: /* outcomes are kept for longer than a run takes */
	case TRUTH_PING:
	case TRUTH_PIVOT:
		break;
	}
}

/* All connections of before the server's restart are broken; the daemon makes new ones when the first says so. */
static bool is_disconnected(struct truth_call *call)
{
	struct sim *sim = truth_call_sim(call);
	const struct sim_truth *server = call->port->server;

	if (sim->world.now_ns >= server->down_ns && call->starts == server->starts)
		return false;
	fault_hit(&sim->faults, FAULT_TRUTH_DOWN);
	call->is_broken = sim->world.now_ns >= server->down_ns;
	will_say(call, VERDICT_OUTAGE, "connection refused");
	call->is_shared = true;
	return true;
}

static void on_arrival(struct event *event)
{
	struct truth_call *call = truth_call_of(container_of(event, struct call, arrival));

	/* What was answered in the meantime (with doubt) has lent us nothing any more; only a pivot was copied. The
	 * same of a dead daemon's request: what arrives then is a pivot, or of no consequence. */
	if ((!call->call.is_answered && !call->call.daemon->is_dead) || call->kind == TRUTH_PIVOT)
		if (!is_disconnected(call))
			do_request(call);
	if (!call->call.is_answered && !call->call.daemon->is_dead)
		world_after(&truth_call_sim(call)->world, &call->call.answer, call->delay_ns);
	call_release(&call->call);
}

/* A transaction that ran on commits. */
static void on_again(struct event *event)
{
	struct truth_call *call = truth_call_of(container_of(event, struct call, again));

	list_remove(&call->node);
	if (call->epoch == call->port->server->epoch) {
		trace_line(&truth_call_sim(call)->trace, "postgresql: backend %s comes to its COMMIT", call->backend);
		commit_all(call);
	}
	call_release(&call->call);
}

void sim_truth_end_backend(struct sim_truth *server, const char *name)
{
	struct list *it, *tmp;

	list_each (it, tmp, &server->running) {
		struct truth_call *call = container_of(it, struct truth_call, node);

		if (name != NULL && strcmp(call->backend, name) != 0)
			continue;
		trace_line(&server->sim->trace, "postgresql ends backend %s", call->backend);
		list_remove(&call->node);
		world_cancel(&server->sim->world, &call->call.again);
		call_release(&call->call);
	}
}

void sim_truth_stop(struct sim_truth *server, uint64_t until_ns)
{
	sim_truth_end_backend(server, NULL);
	server->starts++;
	server->down_ns = until_ns;
}

/* ---- submit ---- */

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
		facts_violate(facts, 12, "a %s has %u members, at most are %u", kind_names[kind], n_items,
			      truth->max_batch);
	if (count_out(port, kind, 1) > (kind == TRUTH_PIVOT ? truth->max_pivots : truth->max_reads))
		facts_violate(facts, 12, "too many requests of kind %s are out to PostgreSQL", kind_names[kind]);
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
	call->fault = draw_fault(sim, kind);
	call->call.reply = truth_call_reply;
	call->call.destroy = truth_call_destroy;
	call->call.arrival.fire = on_arrival;
	call->call.again.fire = on_again;
	call->call.answer.fire = on_answer;
	(void)snprintf(call->backend, sizeof(call->backend), "sagad-%u-%u", port->daemon->number,
		       port->n_connections++);
	call_begin(&call->call, port->daemon);
	check_counts(port, kind, n_items);
	world_after(&sim->world, &call->call.arrival, call->delay_ns);
	/* Longer than any delay, so an answer is lost by a fault only; timeout_ns is what the engine asked for. */
	MUST(timeout_ns > 0);
	return call;
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
		trace_line(&truth_call_sim(call)->trace, "d%u postgresql <- pivot(%s) doc-%u",
			   call->call.daemon->number, trace_id(&req->pivots[i]->saga), call->pivots[i].doc);
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
