/* What PostgreSQL holds, and what a transaction does to it. How requests fail is in fake_truth_call.c. */
#include "sim.h"

#include "base/mutant.h"

#include <stdlib.h>
#include <string.h>

void sim_truth_init(struct sim_truth *server, struct sim *sim)
{
	struct world *world = &sim->world;

	memset(server, 0, sizeof(*server));
	server->sim = sim;
	server->starts = 1;
	list_init(&server->running);
	server->max_pivots = (uint32_t)world_between(world, 1, 3);
	server->max_reads = (uint32_t)world_between(world, 1, 3);
	server->max_batch = (uint32_t)world_between(world, 1, 16);
	server->max_batch_bytes = (size_t)world_between(world, 1000, 30000);
}

void sim_truth_fini(struct sim_truth *server)
{
	struct ledger_entry *entry, *next;

	HASH_ITER(hh, server->ledger, entry, next)
	{
		HASH_DEL(server->ledger, entry);
		free(entry);
	}
	free(server->debts);
	free(server->undos);
}

bool sim_truth_is_ill(const struct sim_truth *server, enum truth_ill ill)
{
	return server->sim->world.now_ns < server->ill_ns[ill];
}

static struct undo *undo_note(struct sim_truth *server, uint32_t doc)
{
	struct undo *undo;

	if (server->n_undos == server->n_undos_room) {
		server->n_undos_room = server->n_undos_room == 0 ? 64 : 2 * server->n_undos_room;
		server->undos = realloc(server->undos, server->n_undos_room * sizeof(*server->undos));
		MUST(server->undos != NULL);
	}
	undo = &server->undos[server->n_undos++];
	memset(undo, 0, sizeof(*undo));
	undo->tx = server->tx;
	undo->doc = doc;
	return undo;
}

bool truth_is_current(const struct sim_truth *server, uint32_t doc, const struct uuid *saga)
{
	const struct doc_row *row = &server->docs[doc];

	return row->is_found && !row->is_deleted && uuid_compare(&row->version, saga) == 0;
}

/* ---- ledger ---- */

const struct ledger_entry *sim_truth_ledger(const struct sim_truth *server, const struct uuid *saga)
{
	struct ledger_entry *entry;

	HASH_FIND(hh, server->ledger, saga, sizeof(*saga), entry);
	return entry;
}

const struct ledger_entry *sim_truth_ledger_by_key(const struct sim_truth *server, struct str key)
{
	const struct ledger_entry *entry;

	if (key.len == 0)
		return NULL;
	for (entry = server->ledger; entry != NULL; entry = entry->hh.next)
		if (str_is_equal(str_of(entry->key), key))
			return entry;
	return NULL;
}

static struct ledger_entry *ledger_add(struct sim_truth *server, const struct uuid *saga, uint32_t doc, const char *key,
				       enum ledger_outcome outcome)
{
	struct ledger_entry *entry = calloc(1, sizeof(*entry));
	struct undo *undo;

	MUST(entry != NULL && strlen(key) < sizeof(entry->key));
	entry->row.saga = *saga;
	entry->row.outcome = outcome;
	entry->doc = doc;
	strcpy(entry->key, key);
	HASH_ADD(hh, server->ledger, row.saga, sizeof(entry->row.saga), entry);
	undo = undo_note(server, doc);
	undo->kind = UNDO_LEDGER;
	undo->saga = *saga;
	return entry;
}

void sim_truth_abort(struct sim_truth *server, const struct truth_settle *settle)
{
	struct ledger_entry *entry;
	char key[TRUTH_KEY_BYTES + 1] = "";

	if (sim_truth_ledger(server, &settle->saga) != NULL ||
	    sim_truth_ledger_by_key(server, settle->idempotency_key) != NULL)
		return;
	MUST(settle->idempotency_key.len < sizeof(key));
	if (settle->idempotency_key.len > 0)
		memcpy(key, settle->idempotency_key.at, settle->idempotency_key.len);
	entry = ledger_add(server, &settle->saga, content_doc(settle->document_id), key, LEDGER_ABORTED);
	memcpy(entry->row.content_hash, settle->content_hash, DIGEST_BYTES);
	entry->row.is_delete = settle->is_delete;
	MUST(settle->code != NULL && strlen(settle->code) < sizeof(entry->row.code));
	strcpy(entry->row.code, settle->code);
	(void)err_set(&entry->row.reason, 0, "%s", settle->reason != NULL ? settle->reason : "");
}

/* ---- debts ---- */

static void debt_add(struct sim_truth *server, const struct debt *debt, uint32_t doc)
{
	if (server->n_debts == server->n_debts_room) {
		server->n_debts_room = server->n_debts_room == 0 ? 16 : 2 * server->n_debts_room;
		server->debts = realloc(server->debts, server->n_debts_room * sizeof(*server->debts));
		MUST(server->debts != NULL);
	}
	server->debts[server->n_debts++] = (struct debt_entry){*debt, doc, server->epoch};
}

static bool debt_is(const struct debt *a, const struct debt *b)
{
	return strcmp(a->store, b->store) == 0 && a->op == b->op && uuid_compare(&a->saga, &b->saga) == 0;
}

static bool debt_drop(struct sim_truth *server, const struct debt *debt, struct debt_entry *out_entry)
{
	for (uint32_t i = 0; i < server->n_debts; i++) {
		if (!debt_is(&server->debts[i].debt, debt))
			continue;
		*out_entry = server->debts[i];
		server->debts[i] = server->debts[--server->n_debts];
		return true;
	}
	return false;
}

/* As `DELETE ... WHERE document_id = $1` would, but only what an earlier daemon has left: more would show at once. */
static void debt_drop_older_of(struct sim_truth *server, uint32_t doc)
{
	for (uint32_t i = server->n_debts; i-- > 0;)
		if (server->debts[i].doc == doc && server->debts[i].epoch < server->epoch)
			server->debts[i] = server->debts[--server->n_debts];
}

void sim_truth_pay(struct sim_truth *server, const struct debt *debt)
{
	struct debt_entry paid;
	struct undo *undo;

	if (!debt_drop(server, debt, &paid))
		return;
	facts_touched(&server->sim->facts, paid.doc);
	undo = undo_note(server, paid.doc);
	undo->kind = UNDO_DEBT_PAID;
	undo->debt = paid;
	if (MUTANT(debt_paid_by_document))
		debt_drop_older_of(server, paid.doc);
}

uint32_t sim_truth_debts_of(const struct sim_truth *server, uint32_t doc)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < server->n_debts; i++)
		n += server->debts[i].doc == doc;
	return n;
}

int debt_compare(const struct debt *a, const struct debt *b)
{
	int order = uuid_compare(&a->owner, &b->owner);

	if (order == 0)
		order = strcmp(a->store, b->store);
	if (order == 0)
		order = (int)a->op - (int)b->op;
	return order != 0 ? order : uuid_compare(&a->saga, &b->saga);
}

/* ---- the pivot ---- */

static bool is_as_expected(const struct doc_row *row, const struct pivot_copy *pivot)
{
	if (!row->is_found)
		return !pivot->is_expected;
	return pivot->is_expected && uuid_compare(&row->version, &pivot->expected) == 0;
}

static void commit_debts(struct sim_truth *server, const struct pivot_copy *pivot)
{
	struct debt_entry same;

	for (uint32_t i = 0; i < pivot->n_debts; i++) {
		struct undo *undo;

		if (debt_drop(server, &pivot->debts[i], &same))
			facts_violate(&server->sim->facts, 12, "a debt to %s of saga %s is written twice",
				      same.debt.store, trace_id(&same.debt.saga));
		debt_add(server, &pivot->debts[i], pivot->doc);
		undo = undo_note(server, pivot->doc);
		undo->kind = UNDO_DEBT_ADDED;
		undo->debt = (struct debt_entry){pivot->debts[i], pivot->doc, server->epoch};
	}
}

static void commit_rows(struct sim_truth *server, const struct pivot_copy *pivot)
{
	struct doc_row *row = &server->docs[pivot->doc];
	struct ledger_entry *entry = ledger_add(server, &pivot->saga, pivot->doc, pivot->key, LEDGER_COMMITTED);
	struct undo *undo = undo_note(server, pivot->doc);

	memcpy(entry->row.content_hash, pivot->hash, DIGEST_BYTES);
	entry->row.is_delete = pivot->is_delete;
	undo->kind = UNDO_DOC;
	undo->row = *row;
	undo->saga = pivot->saga;
	*row = pivot->row;
	facts_touched(&server->sim->facts, pivot->doc);
	row->updated_unix_ms = world_moment(&server->sim->world).unix_ms;
	commit_debts(server, pivot);
}

void sim_truth_commit(struct sim_truth *server, struct pivot_copy *pivot)
{
	const struct ledger_entry *own = sim_truth_ledger(server, &pivot->saga);
	const struct doc_row before = server->docs[pivot->doc];

	pivot->verdict = VERDICT_OK;
	pivot->result = PIVOT_CONFLICT;
	if (own != NULL) {
		if (own->row.outcome == LEDGER_COMMITTED)
			pivot->result = PIVOT_COMMITTED; /* its first answer was lost */
		return;
	}
	if (sim_truth_ledger_by_key(server, str_of(pivot->key)) != NULL || !is_as_expected(&before, pivot))
		return;
	pivot->result = PIVOT_COMMITTED;
	facts_committed(&server->sim->facts, &pivot->saga, pivot->doc, pivot->is_delete,
			before.is_found ? &before.version : NULL);
	if (pivot->mark.kind != POISON_NONE && pivot->mark.store == SIM_TRUTH)
		facts_violate(&server->sim->facts, 11, "poison saga %s committed", trace_id(&pivot->saga));
	commit_rows(server, pivot);
	trace_line(&server->sim->trace, "postgresql", "commits", "%s(%s) of doc-%u",
		   pivot->is_delete ? "delete" : "put", trace_id(&pivot->saga), pivot->doc);
}

void sim_truth_end(struct sim_truth *server)
{
	server->tx++;
}

/* ---- going back ---- */

static void undo_ledger(struct sim_truth *server, const struct undo *undo)
{
	struct ledger_entry *entry;

	/* Refusals are outcomes, too: what their keys remembered is gone. */
	server->sim->facts.is_tainted[undo->doc] = true;
	HASH_FIND(hh, server->ledger, &undo->saga, sizeof(undo->saga), entry);
	MUST(entry != NULL);
	HASH_DEL(server->ledger, entry);
	free(entry);
}

static void undo_one(struct sim_truth *server, const struct undo *undo)
{
	struct debt_entry gone;

	switch (undo->kind) {
	case UNDO_DOC:
		server->docs[undo->doc] = undo->row;
		facts_lost(&server->sim->facts, &undo->saga, undo->doc);
		break;
	case UNDO_LEDGER:
		undo_ledger(server, undo);
		break;
	case UNDO_DEBT_ADDED:
		(void)debt_drop(server, &undo->debt.debt, &gone); /* it may have been paid since */
		break;
	case UNDO_DEBT_PAID:
		debt_add(server, &undo->debt.debt, undo->doc);
		break;
	}
}

uint32_t sim_truth_go_back(struct sim_truth *server, uint32_t n)
{
	uint32_t n_gone = 0;

	while (n_gone < n && server->n_undos > 0) {
		uint64_t tx = server->undos[server->n_undos - 1].tx;

		while (server->n_undos > 0 && server->undos[server->n_undos - 1].tx == tx)
			undo_one(server, &server->undos[--server->n_undos]);
		n_gone++;
	}
	return n_gone;
}
