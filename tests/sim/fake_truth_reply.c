/* Answers of the fake PostgreSQL: each kind of request gets its own fields filled in. */
#include "fake_truth_call.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[TRUTH_READ] = "read",   [TRUTH_PIVOT] = "pivot", [TRUTH_SETTLE] = "settle", [TRUTH_PAY] = "pay",
	[TRUTH_PRUNE] = "prune", [TRUTH_DEBTS] = "debts", [TRUTH_CLAIM] = "claim",   [TRUTH_PING] = "ping",
};
const char *truth_kind_name(enum truth_kind kind)
{
	return kind_names[kind];
}

void truth_call_destroy(struct sent *base)
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
	if (pivot->verdict == VERDICT_DOUBT && call->is_cut && call->n_pivots == 1)
		facts_cut(facts, copy->doc);
}

static void reply_pivot(struct truth_call *call)
{
	struct truth_pivot_req *req = call->req.pivot;

	for (uint32_t i = 0; i < call->n_pivots; i++)
		reply_one_pivot(call, &call->pivots[i], req->pivots[i]);
	req->is_shared = call->is_shared && call->verdict != VERDICT_OK;
	req->is_cut = call->verdict == VERDICT_DOUBT && call->is_cut;
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

uint32_t truth_call_count_out(struct truth_port *port, enum truth_kind kind, int change)
{
	uint32_t *count = kind == TRUTH_PIVOT ? &port->n_pivots_out : &port->n_reads_out;

	if (kind == TRUTH_CLAIM || kind == TRUTH_PING)
		return 0;
	*count = (uint32_t)((int)*count + change);
	return *count;
}

void truth_call_reply(struct sent *base)
{
	struct truth_call *call = truth_call_of(base);

	truth_call_count_out(call->port, call->kind, -1);
	trace_daemon(&truth_call_sim(call)->trace, base->daemon->number, "hears", "postgresql on %s: %s%s%s%s",
		     truth_kind_name(call->kind), verdict_name(call->verdict), call->verdict != VERDICT_OK ? ": " : "",
		     call->verdict != VERDICT_OK ? call->text : "", call->is_epoch_lost ? ", another owner" : "");
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
