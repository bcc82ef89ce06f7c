#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STEP_MS 50

/* ---- stores ---- */

static void store_submit(struct store *store, struct store_req *req)
{
	struct rig_store *ours = container_of(store, struct rig_store, store);

	ours->timeout_ns = req->timeout_ns;
	ours->n_asked[req->writes[0]->op] += req->n_writes;
	list_append(&ours->out, &req->node);
}

static size_t store_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	(void)write;
	return 1;
}

static bool store_publishes(const struct store *store, const struct document *document)
{
	(void)store;
	(void)document;
	return true;
}

static bool store_answer(struct rig_store *ours)
{
	struct list *node = list_take_first(&ours->out);
	struct store_req *req;

	if (node == NULL)
		return false;
	req = container_of(node, struct store_req, node);
	for (uint32_t i = 0; i < req->n_writes; i++) {
		req->writes[i]->verdict = ours->verdicts[req->writes[i]->op];
		if (req->writes[i]->verdict != VERDICT_OK)
			(void)err_set(&req->writes[i]->err, 0, "%s is ill", ours->store.name);
	}
	req->done(req);
	return true;
}

/* ---- PostgreSQL ---- */

#define TRUTH_OP(name, kind, type)                                                                                     \
	static void truth_##name(struct truth *truth, struct type *req)                                                \
	{                                                                                                              \
		struct rig *rig = container_of(truth, struct rig, truth);                                              \
                                                                                                                       \
		rig->n_asked[kind]++;                                                                                  \
		list_append(&rig->out[kind], &req->node);                                                              \
	}

TRUTH_OP(claim, RIG_CLAIM, truth_claim_req)
TRUTH_OP(read, RIG_READ, truth_read_req)
TRUTH_OP(pivot, RIG_PIVOT, truth_pivot_req)
TRUTH_OP(settle, RIG_SETTLE, truth_settle_req)
TRUTH_OP(pay, RIG_PAY, truth_pay_req)
TRUTH_OP(debts, RIG_DEBTS, truth_debts_req)

static void truth_prune(struct truth *truth, uint64_t keep_ms, struct truth_pay_req *req)
{
	struct rig *rig = container_of(truth, struct rig, truth);

	(void)keep_ms;
	rig->n_asked[RIG_PRUNE]++;
	list_append(&rig->out[RIG_PRUNE], &req->node);
}

static size_t truth_pivot_bytes(const struct truth *truth, const struct truth_pivot *pivot)
{
	(void)truth;
	(void)pivot;
	return 1;
}

static enum verdict truth_verdict(const struct rig *rig, enum rig_request kind, struct err *err)
{
	if (rig->verdicts[kind] != VERDICT_OK)
		(void)err_set(err, 0, "postgresql is ill");
	return rig->verdicts[kind];
}

static void answer_claim(struct rig *rig, struct list *node)
{
	struct truth_claim_req *req = container_of(node, struct truth_claim_req, node);

	req->verdict = truth_verdict(rig, RIG_CLAIM, &req->err);
	req->epoch = 7;
	req->done(req);
}

static void answer_read(struct rig *rig, struct list *node)
{
	struct truth_read_req *req = container_of(node, struct truth_read_req, node);

	for (uint32_t i = 0; i < req->n_reads; i++) {
		struct str id = req->reads[i]->document_id, key = req->reads[i]->idempotency_key;

		(void)snprintf(rig->last_key, sizeof(rig->last_key), "%.*s", STR_ARG(key));
		*req->reads[i] = rig->reading;
		req->reads[i]->document_id = id;
		req->reads[i]->idempotency_key = key;
		req->reads[i]->verdict = truth_verdict(rig, RIG_READ, &req->reads[i]->err);
	}
	req->done(req);
}

static void answer_pivot(struct rig *rig, struct list *node)
{
	struct truth_pivot_req *req = container_of(node, struct truth_pivot_req, node);

	for (uint32_t i = 0; i < req->n_pivots; i++) {
		req->pivots[i]->verdict = truth_verdict(rig, RIG_PIVOT, &req->pivots[i]->err);
		req->pivots[i]->result = rig->pivoted;
	}
	req->done(req);
}

static void answer_settle(struct rig *rig, struct list *node)
{
	struct truth_settle_req *req = container_of(node, struct truth_settle_req, node);

	req->verdict = truth_verdict(rig, RIG_SETTLE, &req->err);
	for (uint32_t i = 0; i < req->n_settles; i++)
		req->settles[i]->row = (struct ledger_row){.outcome = rig->settled, .saga = req->settles[i]->saga};
	req->done(req);
}

static void answer_pay(struct rig *rig, struct list *node)
{
	struct truth_pay_req *req = container_of(node, struct truth_pay_req, node);

	req->verdict = truth_verdict(rig, RIG_PAY, &req->err);
	req->done(req);
}

static void answer_debts(struct rig *rig, struct list *node)
{
	struct truth_debts_req *req = container_of(node, struct truth_debts_req, node);

	req->verdict = truth_verdict(rig, RIG_DEBTS, &req->err);
	req->rows = rig->rows;
	req->n_rows = req->verdict == VERDICT_OK ? rig->n_rows : 0;
	if (req->verdict == VERDICT_OK)
		rig->n_rows = 0;
	req->done(req);
}

static bool truth_answer(struct rig *rig, enum rig_request kind)
{
	static void (*const answers[RIG_REQUESTS])(struct rig * rig, struct list * node) = {
		[RIG_CLAIM] = answer_claim,   [RIG_READ] = answer_read, [RIG_PIVOT] = answer_pivot,
		[RIG_SETTLE] = answer_settle, [RIG_PAY] = answer_pay,   [RIG_DEBTS] = answer_debts,
		[RIG_PRUNE] = answer_pay,
	};
	struct list *node = rig->is_held[kind] ? NULL : list_take_first(&rig->out[kind]);

	if (node == NULL)
		return false;
	answers[kind](rig, node);
	return true;
}

/* ---- the journal ---- */

static void journal_submit(struct journal *journal, struct journal_req *req)
{
	struct rig *rig = container_of(journal, struct rig, journal);

	rig->n_notes[req->op]++;
	if (req->op == JOURNAL_JOB_DONE || req->op == JOURNAL_JOB_FAILED)
		rig->last_end = *req;
	if (req->done != NULL)
		list_append(&rig->records, &req->node);
}

static void journal_lookup(struct journal *journal, struct journal_lookup_req *req)
{
	list_append(&container_of(journal, struct rig, journal)->lookups, &req->node);
}

static int journal_load(struct journal *journal, int (*intent)(void *arg, const struct journal_intent *found),
			int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err)
{
	struct rig *rig = container_of(journal, struct rig, journal);
	int rc = rig->load_rc;

	if (rc != 0)
		return err_set(err, rc, "the journal can't be read");
	for (uint32_t i = 0; i < rig->n_intents && rc == 0; i++)
		rc = intent(arg, &rig->intents[i]);
	for (uint32_t i = 0; i < rig->n_jobs && rc == 0; i++)
		rc = job(arg, &rig->jobs[i]);
	return rc;
}

static bool journal_answer(struct rig *rig)
{
	struct list *node = rig->is_journal_held ? NULL : list_take_first(&rig->records);

	if (node != NULL) {
		struct journal_req *req = container_of(node, struct journal_req, node);

		req->rc = rig->journal_rc;
		if (req->rc != 0)
			(void)err_set(&req->err, req->rc, "no space left");
		req->done(req);
		return true;
	}
	node = rig->is_journal_held ? NULL : list_take_first(&rig->lookups);
	if (node != NULL) {
		struct journal_lookup_req *req = container_of(node, struct journal_lookup_req, node);

		req->row = rig->row;
		req->rc = rig->journal_rc;
		req->done(req);
		return true;
	}
	return false;
}

/* ---- the log ---- */

static void say(struct rig *rig, const char *text, size_t n)
{
	size_t room = sizeof(rig->said) - 1 - rig->n_said;

	if (n > room)
		n = room;
	memcpy(rig->said + rig->n_said, text, n);
	rig->n_said += n;
	rig->said[rig->n_said] = '\0';
}

static void on_log(struct log *log, const struct log_event *event)
{
	struct rig *rig = container_of(log, struct rig, log);
	const char *level = log_level_name(event->level);

	say(rig, level, strlen(level));
	say(rig, " ", 1);
	say(rig, event->text, strlen(event->text));
	for (size_t i = 0; i < event->n_fields; i++) {
		if (event->fields[i].value.at == NULL)
			continue;
		say(rig, " ", 1);
		say(rig, event->fields[i].key, strlen(event->fields[i].key));
		say(rig, "=", 1);
		say(rig, event->fields[i].value.at, event->fields[i].value.len);
	}
	say(rig, "\n", 1);
}

bool rig_has_said(const struct rig *rig, const char *a, const char *b)
{
	for (const char *line = rig->said, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		const char *at_a = strstr(line, a), *at_b = strstr(line, b);

		if (at_a != NULL && at_a < end && at_b != NULL && at_b < end)
			return true;
	}
	return false;
}

/* ---- the engine ---- */

static void init_stores(struct rig *rig)
{
	static const struct store_ops plain = {.submit = store_submit, .write_bytes = store_bytes};
	static const struct store_ops publishing = {
		.submit = store_submit, .write_bytes = store_bytes, .publishes = store_publishes};
	static const char *const names[RIG_STORES] = {"qdrant", "neo4j", "redis"};

	for (uint32_t i = 0; i < RIG_STORES; i++) {
		rig->stores[i].store = (struct store){
			.ops = i == 2 ? &publishing : &plain,
			.name = names[i],
			.max_requests = 2,
			.max_batch = 8,
			.max_batch_bytes = 1000,
			.has_fences = i > 0,
		};
		list_init(&rig->stores[i].out);
		rig->ports[i] = &rig->stores[i].store;
	}
}

void rig_init(struct rig *rig)
{
	static const struct truth_ops truth_ops = {
		.claim = truth_claim,
		.read = truth_read,
		.pivot = truth_pivot,
		.settle = truth_settle,
		.pay = truth_pay,
		.debts = truth_debts,
		.prune = truth_prune,
		.pivot_bytes = truth_pivot_bytes,
	};
	static const struct journal_ops journal_ops = {
		.submit = journal_submit,
		.lookup = journal_lookup,
		.load = journal_load,
		.flow = rig_flow_journal,
		.flow_find = rig_flow_find,
		.load_flows = rig_flow_load,
	};

	memset(rig, 0, sizeof(*rig));
	rig->config = engine_config_default();
	rig->now = (struct moment){.mono_ns = 1000 * (uint64_t)NS_PER_MS, .unix_ms = 1800000000000};
	init_stores(rig);
	rig->truth = (struct truth){
		.ops = &truth_ops, .max_pivots = 2, .max_reads = 3, .max_batch = 8, .max_batch_bytes = 1000};
	for (unsigned i = 0; i < RIG_REQUESTS; i++)
		list_init(&rig->out[i]);
	rig->journal.ops = &journal_ops;
	list_init(&rig->records);
	list_init(&rig->lookups);
	rig_flow_init(&rig->flows);
	rig->log = (struct log){LOG_DEBUG_LEVEL, on_log};
}

int rig_start(struct rig *rig)
{
	struct err err = {""};
	int rc = engine_create(&rig->config, &rig->truth, &rig->journal, rig->ports, RIG_STORES, &rig->log, 1,
			       &rig->engine);

	if (rc == 0 && rig->has_targets)
		rc = rig_flow_set_targets(rig);
	if (rc == 0)
		rc = engine_start(rig->engine, false, &rig->now, &err);
	if (rc != 0)
		say(rig, err.text, strlen(err.text));
	return rc;
}

void rig_run(struct rig *rig)
{
	MUST(rig_start(rig) == 0);
	rig_answer(rig);
	MUST(rig_stats(rig).phase == ENGINE_RUNNING);
}

void rig_fini(struct rig *rig)
{
	engine_destroy(rig->engine);
	rig->engine = NULL;
}

void rig_turn(struct rig *rig)
{
	engine_turn(rig->engine, &rig->now);
}

void rig_answer(struct rig *rig)
{
	bool any;

	do {
		rig_turn(rig);
		any = journal_answer(rig);
		any = rig_flow_answer(rig) || any;
		for (unsigned i = 0; i < RIG_REQUESTS; i++)
			any = truth_answer(rig, (enum rig_request)i) || any;
		for (uint32_t i = 0; i < RIG_STORES; i++)
			any = store_answer(&rig->stores[i]) || any;
	} while (any);
}

void rig_wait(struct rig *rig, uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms; passed += STEP_MS) {
		rig->now.mono_ns += STEP_MS * NS_PER_MS;
		rig->now.unix_ms += STEP_MS;
		rig_answer(rig);
	}
}

static void on_done(struct engine_job *base, const struct outcome *outcome)
{
	struct rig_job *job = container_of(base, struct rig_job, job);

	job->outcome = *outcome;
	job->n_answers++;
}

void rig_submit(struct rig *rig, struct rig_job *job, struct document *document, const char *document_id)
{
	job->job.is_delete = document == NULL;
	job->job.document = document;
	job->job.document_id = str_of(document_id);
	job->job.done = on_done;
	job->n_answers = 0;
	engine_submit(rig->engine, &job->job);
}

const struct outcome *rig_do(struct rig *rig, struct rig_job *job, struct document *document, const char *document_id)
{
	rig_submit(rig, job, document, document_id);
	rig_answer(rig);
	return &job->outcome;
}

static void on_asked(struct engine_query *base)
{
	container_of(base, struct rig_query, query)->n_answers++;
}

void rig_ask(struct rig *rig, struct rig_query *query)
{
	query->query.done = on_asked;
	query->n_answers = 0;
	engine_ask(rig->engine, &query->query);
}

void rig_say(struct rig *rig, enum leg_op op, enum verdict verdict)
{
	for (uint32_t i = 0; i < RIG_STORES; i++)
		rig->stores[i].verdicts[op] = verdict;
}

struct engine_stats rig_stats(const struct rig *rig)
{
	struct engine_stats stats;

	engine_stats(rig->engine, &stats);
	return stats;
}
