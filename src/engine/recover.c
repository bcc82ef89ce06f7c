#include "recover.h"

#include "base/mutant.h"
#include "engine/accepted.h"
#include "engine/errand.h"
#include "engine/flow_run.h"

#include <errno.h>
#include <stdlib.h>

#define RECOVER_DEBTS_A_PAGE 1000
#define RECOVER_TIMERS       1

/* An intent that was open when the last daemon ended. */
struct leftover {
	struct settle_item settle;
	struct engine *engine;
	uint32_t n_chunks;
	bool is_delete;
	int64_t since_unix_ms;
	struct str document_id;
	struct list node;
	char text[];
};

struct recovery {
	struct engine *engine;
	struct truth_claim_req claim;
	struct truth_debts_req debts;
	struct debt last_debt;
	bool is_claim_out, has_claim_ended;
	bool is_debts_out, has_debts_ended, are_debts_loaded;
	struct list leftovers;
	uint32_t n_leftovers, n_settled_out, n_committed, n_removed, n_debts;
	struct timer timer;
	uint32_t tries;
	struct err last_error;
	struct err logged; /* the last message that was logged, so that it isn't logged at each try */
};

/* ---- the journal ---- */

static void recover_on_settled(struct settle_item *item);

static int recover_on_intent(void *arg, const struct journal_intent *found)
{
	struct engine *engine = arg;
	struct leftover *leftover = calloc(1, sizeof(*leftover) + found->document_id.len + 1);

	if (leftover == NULL)
		return -ENOMEM;
	memcpy(leftover->text, found->document_id.at, found->document_id.len);
	leftover->engine = engine;
	leftover->document_id = (struct str){leftover->text, found->document_id.len};
	leftover->n_chunks = found->n_chunks;
	leftover->is_delete = found->is_delete;
	leftover->since_unix_ms = found->unix_ms;
	leftover->settle.settle.saga = found->saga;
	leftover->settle.settle.document_id = leftover->document_id;
	leftover->settle.settle.by_document = true;
	leftover->settle.done = recover_on_settled;
	batch_item_init(&leftover->settle.item);
	list_append(&engine->recovery->leftovers, &leftover->node);
	engine->recovery->n_leftovers++;
	if (uuid_compare(&found->saga, &engine->last_id) > 0)
		engine->last_id = found->saga;
	return 0;
}

static int recover_on_job(void *arg, const struct journal_job *found)
{
	struct engine *engine = arg;

	if (MUTANT(accepted_forgotten) && engine->recovery->n_leftovers > 0)
		return 0;
	return accepted_recover(engine, found, &engine->recovery->last_error);
}

static void recover_on_claim(struct truth_claim_req *req)
{
	container_of(req, struct recovery, claim)->has_claim_ended = true;
}

static void recover_on_debts(struct truth_debts_req *req);

static void recover_on_timer(struct timer *timer)
{
	(void)timer; /* the turn that follows tries again */
}

int recover_init(struct engine *engine, struct err *err)
{
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	int rc;

	if (recovery == NULL || timers_reserve(&engine->timers, RECOVER_TIMERS) != 0) {
		free(recovery);
		return err_set(err, -ENOMEM, "out of memory");
	}
	engine->recovery = recovery;
	recovery->engine = engine;
	recovery->timer.fire = recover_on_timer;
	recovery->claim.done = recover_on_claim;
	recovery->debts.done = recover_on_debts;
	list_init(&recovery->claim.node);
	list_init(&recovery->debts.node);
	list_init(&recovery->leftovers);
	rc = engine->journal->ops->load(engine->journal, recover_on_intent, recover_on_job, engine, err);
	if (rc != 0 && recovery->last_error.text[0] != '\0' && err != NULL)
		*err = recovery->last_error;
	return rc != 0 ? rc : flow_load(engine, err);
}

void recover_fini(struct engine *engine)
{
	struct recovery *recovery = engine->recovery;
	struct list *node;

	if (recovery == NULL)
		return;
	while ((node = list_take_first(&recovery->leftovers)) != NULL) {
		struct leftover *leftover = container_of(node, struct leftover, node);

		(void)desk_cancel_settle(&engine->desk, &leftover->settle); /* only at the engine's end */
		free(leftover);
	}
	timers_cancel(&engine->timers, &recovery->timer);
	timers_release(&engine->timers, RECOVER_TIMERS);
	free(recovery);
	engine->recovery = NULL;
}

/* ---- tries ---- */

static void recover_wait(struct recovery *recovery, const char *what, const struct err *err)
{
	struct engine *engine = recovery->engine;

	recovery->tries++;
	if (strcmp(recovery->logged.text, err->text) != 0)
		log_warn(engine->log, "%s: %s; trying again", what, err->text);
	recovery->logged = *err;
	recovery->last_error = *err;
	timers_set(&engine->timers, &recovery->timer,
		   engine->now.mono_ns + backoff_wait_ns(&engine->config.background, recovery->tries, &engine->rng));
}

bool recover_is_smooth(const struct engine *engine)
{
	return (engine->phase == ENGINE_CLAIMING || engine->phase == ENGINE_RECOVERING) && engine->recovery != NULL &&
	       engine->recovery->tries == 0;
}

void recover_nudge(struct engine *engine)
{
	if (engine->recovery == NULL)
		return;
	engine->recovery->tries = 0;
	timers_cancel(&engine->timers, &engine->recovery->timer);
}

const char *recover_reason(const struct engine *engine)
{
	return engine->recovery->last_error.text[0] != '\0' ? engine->recovery->last_error.text : NULL;
}

/* ---- the owner ---- */

static void recover_claim(struct recovery *recovery)
{
	struct engine *engine = recovery->engine;

	recovery->is_claim_out = true;
	recovery->claim.journal = engine->journal->id;
	recovery->claim.take_over = engine->take_over;
	recovery->claim.timeout_ns = engine->config.truth_timeout_ms * NS_PER_MS;
	recovery->claim.was_other_journal = false;
	err_clear(&recovery->claim.err);
	engine->truth->ops->claim(engine->truth, &recovery->claim);
}

static void recover_owned(struct recovery *recovery)
{
	struct engine *engine = recovery->engine;
	struct list *it, *tmp;

	engine->epoch = recovery->claim.epoch;
	engine->dims = recovery->claim.dims;
	engine->desk.is_open = true;
	if (engine->phase == ENGINE_CLAIMING) /* not while draining */
		engine->phase = ENGINE_RECOVERING;
	recovery->tries = 0;
	err_clear(&recovery->logged);
	err_clear(&recovery->last_error);
	if (recovery->claim.was_other_journal)
		log_warn(engine->log,
			 "the owner before had another journal: what its open sagas left in the stores is known "
			 "only there; readers don't accept it");
	list_each (it, tmp, &recovery->leftovers) {
		recovery->n_settled_out++;
		desk_push_settle(&engine->desk, &container_of(it, struct leftover, node)->settle);
	}
}

static void recover_look_claim(struct recovery *recovery)
{
	recovery->has_claim_ended = false;
	recovery->is_claim_out = false;
	switch (recovery->claim.verdict) {
	case VERDICT_OK:
		recover_owned(recovery);
		break;
	case VERDICT_PERMANENT:
		engine_halt(recovery->engine, CODE_SHUTTING_DOWN, &recovery->claim.err);
		break;
	case VERDICT_TRANSIENT:
	case VERDICT_OUTAGE:
	case VERDICT_DOUBT:
	case VERDICT_MISCONFIGURED:
		recover_wait(recovery, "not ready", &recovery->claim.err);
		break;
	}
}

/* ---- open intents ---- */

static void recover_leave_errand(struct leftover *leftover, bool is_committed)
{
	struct engine *engine = leftover->engine;
	struct errand_order order = {
		.kind = is_committed ? ERRAND_PUBLISH : ERRAND_ABORT,
		.op = is_committed ? LEG_PUBLISH : LEG_REMOVE,
		.saga = leftover->settle.settle.saga,
		.document_id = leftover->document_id,
		.n_chunks = leftover->n_chunks,
		.closes_intent = true,
		.since_unix_ms = leftover->since_unix_ms,
		/* Two rounds, however old the journal says the abort is: the clock may have been set since. */
		.is_second_round = leftover->is_delete,
	};

	/* A delete applies nothing, so there is nothing of it to remove or to publish. */
	for (uint32_t i = 0; i < engine->n_stores && !leftover->is_delete; i++) {
		struct store *store = engine->senders[i].store;
		bool publishes = store->ops->publishes != NULL && store->ops->publishes(store, NULL);

		if (!is_committed || publishes)
			order.stores |= (uint32_t)1 << i;
	}
	errand_start(engine, &order);
}

static void recover_on_settled(struct settle_item *item)
{
	struct leftover *leftover = container_of(item, struct leftover, settle);
	struct recovery *recovery = leftover->engine->recovery;
	bool is_committed =
		item->settle.row.outcome == LEDGER_COMMITTED && !(MUTANT(leftover_unasked) && recovery->tries == 0);

	if (item->verdict != VERDICT_OK) { /* the ledger must be asked; nothing else tells */
		recover_wait(recovery, "recovery waits for PostgreSQL", &item->err);
		recovery->n_settled_out--;
		return;
	}
	recovery->n_settled_out--;
	if (is_committed)
		recovery->n_committed++;
	else
		recovery->n_removed++;
	recover_leave_errand(leftover, is_committed);
	list_remove(&leftover->node);
	free(leftover);
}

/* Those whose question failed are asked again after the wait. */
static bool recover_ask_again(struct recovery *recovery)
{
	struct list *it, *tmp;
	bool any = false;

	if (recovery->timer.place != 0 || recovery->n_settled_out > 0)
		return false;
	list_each (it, tmp, &recovery->leftovers) {
		recovery->n_settled_out++;
		desk_push_settle(&recovery->engine->desk, &container_of(it, struct leftover, node)->settle);
		any = true;
	}
	return any;
}

/* ---- debts ---- */

static uint32_t recover_store_index(const struct engine *engine, const char *name)
{
	for (uint32_t i = 0; i < engine->n_stores; i++)
		if (strcmp(engine->senders[i].store->name, name) == 0)
			return i;
	return UINT32_MAX;
}

/* The rows are the adapter's until this returns, so their errands start here and now; that only fills queues. */
static void recover_on_debts(struct truth_debts_req *req)
{
	struct recovery *recovery = container_of(req, struct recovery, debts);

	recovery->has_debts_ended = true;
	if (req->verdict != VERDICT_OK || (MUTANT(debts_unread) && recovery->n_leftovers > 0))
		return;
	for (uint32_t i = 0; i < req->n_rows; i++) {
		const struct debt *debt = &req->rows[i].debt;
		uint32_t store = recover_store_index(recovery->engine, debt->store);
		struct errand_order order = {
			.kind = ERRAND_DEBT,
			.op = debt->op,
			.saga = debt->saga,
			.document_id = req->rows[i].document_id,
			.n_chunks = debt->n_chunks,
			.since_unix_ms = (int64_t)engine_ms_of(&debt->owner),
		};

		recovery->last_debt = *debt;
		if (store == UINT32_MAX) {
			log_error(recovery->engine->log,
				  "a debt names the store \"%s\", which is not configured; it stays", debt->store);
			continue;
		}
		order.stores = order.owed = (uint32_t)1 << store;
		recovery->n_debts++;
		errand_start(recovery->engine, &order);
	}
}

static void recover_load_debts(struct recovery *recovery)
{
	struct engine *engine = recovery->engine;

	recovery->is_debts_out = true;
	engine->desk.n_side_out++;
	recovery->debts.limit = RECOVER_DEBTS_A_PAGE;
	recovery->debts.after = recovery->last_debt;
	recovery->debts.after_owner = recovery->last_debt.owner;
	recovery->debts.timeout_ns = engine->config.truth_timeout_ms * NS_PER_MS;
	err_clear(&recovery->debts.err);
	engine->truth->ops->debts(engine->truth, &recovery->debts);
}

static void recover_look_debts(struct recovery *recovery)
{
	recovery->has_debts_ended = false;
	recovery->is_debts_out = false;
	recovery->engine->desk.n_side_out--;
	if (recovery->debts.verdict != VERDICT_OK)
		recover_wait(recovery, "recovery waits for PostgreSQL", &recovery->debts.err);
	else if (recovery->debts.n_rows < RECOVER_DEBTS_A_PAGE)
		recovery->are_debts_loaded = true;
}

/* ---- the turn ---- */

static void recover_finish(struct recovery *recovery)
{
	struct engine *engine = recovery->engine;

	log_info(engine->log,
		 "ready: epoch %llu; recovered %u open sagas (%u committed, %u to remove), %u debts, %u accepted jobs",
		 (unsigned long long)engine->epoch, recovery->n_leftovers, recovery->n_committed, recovery->n_removed,
		 recovery->n_debts, engine->n_accepted);
	if (engine->phase == ENGINE_RECOVERING)
		engine->phase = ENGINE_RUNNING;
	recover_fini(engine);
	accepted_begin_all(engine);
	flow_load_begin_all(engine);
}

static bool recover_turn_recovering(struct recovery *recovery)
{
	bool any = false;

	if (recovery->has_debts_ended) {
		recover_look_debts(recovery);
		any = true;
	}
	any = recover_ask_again(recovery) || any;
	if (!recovery->are_debts_loaded && !recovery->is_debts_out && recovery->timer.place == 0 &&
	    desk_has_side_place(&recovery->engine->desk)) {
		recover_load_debts(recovery);
		any = true;
	}
	if (recovery->are_debts_loaded && list_is_empty(&recovery->leftovers)) {
		recover_finish(recovery);
		any = true;
	}
	return any;
}

bool recover_turn(struct engine *engine)
{
	struct recovery *recovery = engine->recovery;

	if (recovery == NULL)
		return false;
	if (recovery->has_claim_ended) {
		recover_look_claim(recovery);
		return true;
	}
	if (engine->phase == ENGINE_RECOVERING)
		return recover_turn_recovering(recovery);
	if (engine->phase != ENGINE_CLAIMING || recovery->is_claim_out || recovery->timer.place != 0)
		return false;
	recover_claim(recovery);
	return true;
}
