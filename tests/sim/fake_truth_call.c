/* Requests to PostgreSQL: arriving, failing, in doubt. */
#include "fake_truth_call.h"

#include "base/mutant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void will_say(struct truth_call *call, enum verdict verdict, const char *text)
{
	call->verdict = verdict;
	call->text = text;
}

void truth_call_on_answer(struct event *event)
{
	struct sent *call = container_of(event, struct sent, answer);

	call_finish(call);
	call_release(call);
}

static void hit(struct truth_call *call, enum fault fault)
{
	if (call->call.is_answered)
		return;
	trace_line(&truth_call_sim(call)->trace, "postgresql", "fault", "%s strikes d%u's %s", fault_name(fault),
		   call->call.daemon->number, truth_kind_name(call->kind));
	fault_hit_in(&truth_call_sim(call)->faults, fault, truth_call_states(&call->call));
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
	call->is_epoch_lost = call->epoch != call->port->server->epoch && !MUTANT(epoch_unchecked);
	if (call->is_epoch_lost)
		will_say(call, VERDICT_TRANSIENT, "a newer daemon owns this database");
	return !call->is_epoch_lost;
}

static bool has_version(const struct sim_truth *server, const struct truth_settle *settle)
{
	const struct doc_row *row = &server->docs[content_doc(settle->document_id)];

	return row->is_found && uuid_compare(&row->version, &settle->saga) == 0;
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
		/* An intent can be older than the rows that are kept. */
		if (settle->by_document && world_between(&server->sim->world, 0, 3) == 0)
			entry = NULL;
		if (entry != NULL)
			settle->row = entry->row;
		else if (settle->by_document && has_version(server, settle))
			settle->row = (struct ledger_row){.outcome = LEDGER_COMMITTED, .saga = settle->saga};
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
	trace_line(&server->sim->trace, "postgresql", "owner", "is d%u now, epoch %llu", call->call.daemon->number,
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
	const struct daemon *daemon = call->call.daemon;

	if (!uuid_is_nil(&daemon->lost_commit))
		facts_violate(&truth_call_sim(call)->facts, 2, "PostgreSQL has lost commit %s, and d%u writes on",
			      trace_id(&daemon->lost_commit), daemon->number);
	for (uint32_t i = 0; i < call->n_pivots; i++)
		sim_truth_commit(call->port->server, &call->pivots[i]);
	sim_truth_end(call->port->server);
}

static bool pivot_is_poisoned(struct truth_call *call)
{
	if (find_poison(call, POISON_KILLS) < call->n_pivots) {
		hit(call, FAULT_PIVOT_KILLS);
		will_say(call, VERDICT_DOUBT, "server closed the connection unexpectedly");
		call->is_cut = true;
		call->is_shared = true;
		return true;
	}
	if (find_poison(call, POISON_BATCH) == call->n_pivots && find_poison(call, POISON_ALONE) == call->n_pivots)
		return false;
	hit(call, FAULT_PIVOT_BATCH);
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
	if (call->fault == FAULT_KINDS || call->call.is_answered) {
		commit_all(call); /* nobody hears how it ends: its answer was given while the server was mute */
		return;
	}
	hit(call, call->fault);
	call->is_shared = true;
	if (call->fault == FAULT_TRUTH_TRANSIENT) {
		will_say(call, VERDICT_TRANSIENT, "40P01 deadlock");
		return;
	}
	will_say(call, VERDICT_DOUBT, "connection reset after COMMIT was sent");
	call->is_cut = world_chance(&truth_call_sim(call)->world, 500);
	if (world_chance(&truth_call_sim(call)->world, 700))
		call->delay_ns = call->timeout_at_ns -
				 truth_call_sim(call)
					 ->world.now_ns; /* not a reset but silence: the deadline may pass meanwhile */
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
	hit(call, call->fault);
	if (call->fault == FAULT_TRUTH_TRANSIENT)
		will_say(call, VERDICT_TRANSIENT, "53300 too many connections");
	else
		will_say(call, VERDICT_DOUBT, "connection reset");
	if (call->fault == FAULT_TRUTH_LOST && world_chance(&sim->world, 500))
		call->delay_ns = call->timeout_at_ns - sim->world.now_ns; /* not a reset but silence */
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

/* ---- a server that isn't well ---- */

/* All connections of before the server's restart are broken; the daemon makes new ones when the first says so. What it
 * had handed over to a connection that was well is in doubt. */
static bool is_disconnected(struct truth_call *call)
{
	struct sim *sim = truth_call_sim(call);
	const struct sim_truth *server = call->port->server;

	if (!sim_truth_is_ill(server, TRUTH_DOWN) && call->starts == server->starts)
		return false;
	hit(call, FAULT_TRUTH_DOWN);
	call->is_broken = !sim_truth_is_ill(server, TRUTH_DOWN);
	call->is_shared = call->was_connected && world_chance(&sim->world, 500);
	call->is_cut = call->is_shared;
	if (call->is_shared)
		will_say(call, VERDICT_DOUBT, "server closed the connection unexpectedly");
	else
		will_say(call, VERDICT_OUTAGE, "connection refused");
	return true;
}

/* It does nothing for now. What waits in its sockets is done when it goes on, whether anybody still listens or not. */
static bool is_unheard(struct truth_call *call)
{
	struct sim_truth *server = call->port->server;
	struct world *world = &server->sim->world;

	if (!sim_truth_is_ill(server, TRUTH_MUTE))
		return false;
	hit(call, FAULT_TRUTH_MUTE);
	will_say(call, VERDICT_DOUBT, "no answer in time");
	call->is_shared = true;
	if (call->kind == TRUTH_PIVOT && list_is_empty(&call->node))
		list_append(&server->running, &call->node);
	world_at(world, &call->call.arrival, server->ill_ns[TRUTH_MUTE] + call->delay_ns);
	if (!call->call.daemon->is_dead && !call->call.is_answered)
		world_at(world, &call->call.answer, call->timeout_at_ns);
	return true;
}

static bool is_writing(const struct truth_call *call)
{
	return call->kind != TRUTH_READ && call->kind != TRUTH_DEBTS && call->kind != TRUTH_PING;
}

static bool is_refused(struct truth_call *call)
{
	const struct sim_truth *server = call->port->server;

	if (sim_truth_is_ill(server, TRUTH_MISCONFIGURED)) {
		hit(call, FAULT_TRUTH_MISCONFIGURED);
		will_say(call, VERDICT_MISCONFIGURED, "42P01, a table is missing");
		return true;
	}
	if (!sim_truth_is_ill(server, TRUTH_READ_ONLY) || !is_writing(call))
		return false;
	hit(call, FAULT_TRUTH_READ_ONLY);
	will_say(call, VERDICT_OUTAGE, "25006, read-only transaction");
	return true;
}

/* Leaves the list of those that a settlement may still end. */
static void begin_work(struct truth_call *call)
{
	list_remove(&call->node);
	if (call->verdict != VERDICT_DOUBT || call->call.is_answered)
		return;
	call->verdict = VERDICT_OK; /* it was mute, and goes on in time */
	call->is_shared = false;
	call->is_cut = false;
}

/* False: it will come again. */
static bool arrive(struct truth_call *call)
{
	bool is_gone = is_disconnected(call);

	if (!is_gone && is_unheard(call))
		return false;
	if (is_gone) {
		list_remove(&call->node);
		return true;
	}
	begin_work(call);
	if (!is_refused(call))
		do_request(call);
	return true;
}

void truth_call_on_arrival(struct event *event)
{
	struct truth_call *call = truth_call_of(container_of(event, struct sent, arrival));

	/* What was answered in the meantime (with doubt) has lent us nothing any more; only a pivot was copied. The
	 * same of a dead daemon's request: what arrives then is a pivot, or of no consequence. */
	if ((!call->call.is_answered && !call->call.daemon->is_dead) || call->kind == TRUTH_PIVOT)
		if (!arrive(call))
			return;
	if (!call->call.is_answered && !call->call.daemon->is_dead)
		world_after(&truth_call_sim(call)->world, &call->call.answer, call->delay_ns);
	call_release(&call->call);
}

/* A transaction that ran on commits. */
void truth_call_on_again(struct event *event)
{
	struct truth_call *call = truth_call_of(container_of(event, struct sent, again));

	list_remove(&call->node);
	if (call->epoch == call->port->server->epoch) {
		trace_line(&truth_call_sim(call)->trace, "postgresql", "backend", "%s comes to its COMMIT",
			   call->backend);
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
		trace_line(&server->sim->trace, "postgresql", "backend", "%s is ended", call->backend);
		list_remove(&call->node);
		world_cancel(&server->sim->world, &call->call.again);
		world_cancel(&server->sim->world, &call->call.arrival);
		call_release(&call->call);
	}
}

void sim_truth_stop(struct sim_truth *server, uint64_t until_ns)
{
	sim_truth_end_backend(server, NULL);
	server->starts++;
	server->ill_ns[TRUTH_DOWN] = until_ns;
}
