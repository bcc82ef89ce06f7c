/* What each action of the state machine means in the world. */
#include "run.h"

#include "base/mutant.h"

static struct sender *run_sender(struct run *run, uint32_t store)
{
	return &run->engine->senders[store];
}

static void run_on_intent_done(struct journal_req *req)
{
	struct run *run = container_of(req, struct run, intent);

	list_append(&run->engine->journaled, &req->node);
}

static void run_act_intent(struct run *run)
{
	run->intent = (struct journal_req){
		.op = JOURNAL_INTENT,
		.saga = run->saga.id,
		.document_id = run->document_id,
		.n_chunks = run->document != NULL ? run->document->n_chunks : 0,
		.unix_ms = run->engine->now.unix_ms,
		.is_delete = run->saga.plan.is_delete,
		.done = run_on_intent_done,
	};
	list_init(&run->intent.node);
	run->is_intent_open = true;
	run->n_out++;
	run->engine->journal->ops->submit(run->engine->journal, &run->intent);
}

static void run_close_intent(struct run *run)
{
	if (run->is_intent_open)
		engine_journal_note(run->engine, JOURNAL_CLOSE, &run->saga.id);
	run->is_intent_open = false;
}

/* The clock may have gone back since R was made: an id must be greater than the one it replaces, whatever the clock
 * does. */
static void run_act_rename(struct run *run)
{
	run_close_intent(run);
	run->saga.id = engine_new_id_above(run->engine, &run->saga.replaced);
}

static void run_act_read(struct run *run)
{
	run->read.read = (struct truth_read){
		.document_id = run->document_id, .idempotency_key = run->key, .err = run->read.read.err};
	run->n_out++;
	desk_push_read(&run->engine->desk, &run->read);
}

static void run_act_send(struct run *run, uint32_t store, enum leg_op op)
{
	struct run_leg *leg = &run->legs[store];

	leg->send.write = (struct leg_write){
		.op = op,
		.saga = run->saga.id,
		.document_id = run->document_id,
		.document = run->document,
		.n_chunks = run->document->n_chunks,
		.cache_ttl_s = run->cache_ttl_s,
		.err = leg->send.write.err, /* of the try before: the story tells it */
	};
	run->n_out++;
	sender_push(run_sender(run, store), &leg->send);
}

static void run_act_remove(struct run *run, uint32_t store)
{
	struct run_leg *leg = &run->legs[store];

	leg->old.write = (struct leg_write){
		.op = LEG_REMOVE,
		.saga = run->saga.replaced,
		.document_id = run->document_id,
		.n_chunks = run->saga.replaced_chunks,
		.err = leg->old.write.err,
	};
	run->n_out++;
	sender_push(run_sender(run, store), &leg->old);
}

static struct debt run_debt(const struct run *run, uint32_t store, enum leg_op op)
{
	const struct saga *saga = &run->saga;
	struct debt debt = {.op = op, .owner = saga->id};
	const char *name = run->engine->senders[store].store->name;

	debt.saga = op == LEG_REMOVE ? saga->replaced : saga->id;
	debt.n_chunks = op == LEG_REMOVE ? saga->replaced_chunks : 0;
	MUST(strlen(name) < sizeof(debt.store));
	memcpy(debt.store, name, strlen(name));
	return debt;
}

static uint32_t run_list_debts(struct run *run)
{
	uint32_t n = 0;

	if (MUTANT(debt_left_out) && run->saga.tries[SAGA_TRUTH] > 0)
		return 0;
	for (uint32_t i = 0; i < run->engine->n_stores; i++) {
		if (saga_owes(&run->saga, i, SAGA_ACT_REMOVE))
			run->debts[n++] = run_debt(run, i, LEG_REMOVE);
		if (saga_owes(&run->saga, i, SAGA_ACT_PUBLISH))
			run->debts[n++] = run_debt(run, i, LEG_PUBLISH);
	}
	return n;
}

static void run_act_pivot(struct run *run)
{
	struct truth_pivot *pivot = &run->pivot.pivot;

	*pivot = (struct truth_pivot){
		.saga = run->saga.id,
		.is_delete = run->saga.plan.is_delete,
		.document = run->document,
		.document_id = run->document_id,
		.idempotency_key = run->key,
		.is_expected = run->saga.is_found,
		.expected = run->saga.replaced,
		.debts = run->debts,
		.n_debts = run_list_debts(run),
		.err = pivot->err,
	};
	memcpy(pivot->content_hash, run->saga.plan.content_hash, DIGEST_BYTES);
	run->n_out++;
	desk_push_pivot(&run->engine->desk, &run->pivot);
}

static void run_push_settle(struct run *run, bool abort_if_absent, struct str key, const char *code, const char *reason)
{
	run->settle.settle = (struct truth_settle){
		.saga = run->saga.id,
		.abort_if_absent = abort_if_absent,
		.document_id = run->document_id,
		.idempotency_key = key,
		.is_delete = run->saga.plan.is_delete,
		.code = code,
		.reason = reason,
	};
	memcpy(run->settle.settle.content_hash, run->saga.plan.content_hash, DIGEST_BYTES);
	run->n_out++;
	desk_push_settle(&run->engine->desk, &run->settle);
}

/* An abort out of doubt is a transient failure: it is remembered by the saga's name, not under the job's key. */
static void run_act_settle(struct run *run, bool abort_if_absent)
{
	memcpy(run->settle.backend, run->pivot.backend, sizeof(run->settle.backend));
	if (MUTANT(backend_left_alive) || (MUTANT(abort_row_left_out) && abort_if_absent))
		run->settle.backend[0] = '\0';
	run_push_settle(run, abort_if_absent && !MUTANT(abort_row_left_out),
			MUTANT(transient_remembered) ? run->key : STR_NONE, code_name(CODE_DEADLINE_EXCEEDED),
			"the commit stayed in doubt past the deadline");
}

static void run_act_record(struct run *run)
{
	run->is_recording = true;
	run->settle.backend[0] = '\0';
	run_push_settle(run, true, run->key, code_name(run->saga.failure.code), run->saga.failure.err.text);
}

static void run_act_wait(struct run *run, const struct saga_action *action)
{
	struct engine *engine = run->engine;
	uint64_t at_ns = engine->now.mono_ns + backoff_wait_ns(&engine->config.retry, action->tries, &engine->rng);

	engine->n_retries++;
	engine->meter.stores[action->store].n_retries++;
	if (action->store == SAGA_TRUTH) {
		run->truth_op = action->op;
		timers_set(&engine->timers, &run->truth_timer, at_ns);
	} else if (action->op == SAGA_ACT_REMOVE) {
		timers_set(&engine->timers, &run->legs[action->store].old_timer, at_ns);
	} else {
		timers_set(&engine->timers, &run->legs[action->store].timer, at_ns);
	}
}

static void run_act_clean(struct run *run, uint32_t stores)
{
	run_abandon(run);
	run->clean = stores;
	run->engine->meter.n_compensations += stores != 0;
	run->is_intent_open = false; /* the background work closes it */
	engine_journal_note(run->engine, JOURNAL_ABORTED, &run->saga.id);
}

static void run_act_hand_over(struct run *run)
{
	run_abandon(run);
	run->is_handing_over = true;
	if (run->saga.publish_due == 0)
		run_close_intent(run); /* removals stand as debts in PostgreSQL */
	run->is_intent_open = false;
}

static void run_act_unlock(struct run *run)
{
	timers_cancel(&run->engine->timers, &run->deadline);
	lock_release(&run->engine->keys, &run->key_lock);
	lock_release(&run->engine->documents, &run->lock);
}

static void run_act_paid(struct run *run, const struct saga_action *action)
{
	struct debt debt = run_debt(run, action->store, action->op == SAGA_ACT_REMOVE ? LEG_REMOVE : LEG_PUBLISH);

	desk_pay(&run->engine->desk, &debt);
}

void run_abandon(struct run *run)
{
	struct engine *engine = run->engine;

	run->n_out -= desk_cancel_read(&engine->desk, &run->read);
	run->n_out -= desk_cancel_pivot(&engine->desk, &run->pivot);
	run->n_out -= desk_cancel_settle(&engine->desk, &run->settle);
	timers_cancel(&engine->timers, &run->truth_timer);
	for (uint32_t i = 0; i < engine->n_stores; i++) {
		struct run_leg *leg = &run->legs[i];

		run->n_out -= sender_abandon(run_sender(run, i), &leg->send);
		run->n_out -= sender_abandon(run_sender(run, i), &leg->old);
		timers_cancel(&engine->timers, &leg->timer);
		timers_cancel(&engine->timers, &leg->old_timer);
	}
}

void run_act(struct run *run, const struct saga_action *action)
{
	switch (action->kind) {
	case SAGA_ACT_INTENT:
		run_act_intent(run);
		break;
	case SAGA_ACT_RENAME:
		run_act_rename(run);
		break;
	case SAGA_ACT_READ:
		run_act_read(run);
		break;
	case SAGA_ACT_APPLY:
		run_act_send(run, action->store, LEG_APPLY);
		break;
	case SAGA_ACT_PIVOT:
		run_act_pivot(run);
		break;
	case SAGA_ACT_SETTLE:
		run_act_settle(run, action->abort_if_absent);
		break;
	case SAGA_ACT_RECORD:
		run_act_record(run);
		break;
	case SAGA_ACT_PUBLISH:
		run_act_send(run, action->store, LEG_PUBLISH);
		break;
	case SAGA_ACT_REMOVE:
		run_act_remove(run, action->store);
		break;
	case SAGA_ACT_PAID:
		run_act_paid(run, action);
		break;
	case SAGA_ACT_WAIT:
		run_act_wait(run, action);
		break;
	case SAGA_ACT_CLEAN:
		run_act_clean(run, action->stores);
		break;
	case SAGA_ACT_HAND_OVER:
		run_act_hand_over(run);
		break;
	case SAGA_ACT_FORGET:
		run_abandon(run);
		run_close_intent(run);
		break;
	case SAGA_ACT_ANSWER:
		run_answer(run);
		break;
	case SAGA_ACT_UNLOCK:
		run_act_unlock(run);
		break;
	}
}
