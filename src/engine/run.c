#include "run.h"

#include "base/mutant.h"
#include "engine/accepted.h"
#include "engine/errand.h"
#include "engine/run_care.h"

#include <errno.h>
#include <stdlib.h>

#define RUN_TIMERS(engine) (2 * (engine)->n_stores + 2)

/* ---- ends of what was sent ---- */

static void run_look(struct run *run)
{
	if (!saga_is_terminal(&run->saga) || run->n_out > 0)
		return;
	list_remove(&run->node);
	list_append(&run->engine->answered, &run->node);
}

static void run_on_send_started(struct send *send)
{
	struct run_leg *leg = container_of(send, struct run_leg, send);
	struct saga_event event = {.kind = SAGA_EV_SENT, .store = leg->store};

	if (send->write.op == LEG_APPLY && !saga_is_terminal(&leg->run->saga))
		run_step(leg->run, &event);
}

static void run_on_sent_ended(struct run_leg *leg, const struct send *send, enum saga_event_kind kind)
{
	struct saga_event event = {
		.kind = kind,
		.store = leg->store,
		.verdict = (enum saga_verdict)send->write.verdict,
		.is_batched = send->is_batched,
		.is_death = send->is_death,
		.err = &send->write.err,
	};

	if (MUTANT(refusal_retried) && event.verdict == SAGA_PERMANENT && leg->run->saga.tries[leg->store] > 0)
		event.verdict = SAGA_TRANSIENT;
	leg->run->n_out--;
	run_step(leg->run, &event);
}

static void run_on_send_done(struct send *send)
{
	run_on_sent_ended(container_of(send, struct run_leg, send), send,
			  send->write.op == LEG_APPLY ? SAGA_EV_APPLIED : SAGA_EV_PUBLISHED);
}

static void run_on_old_done(struct send *send)
{
	run_on_sent_ended(container_of(send, struct run_leg, old), send, SAGA_EV_REMOVED);
}

static void run_fill_reading(const struct run *run, const struct truth_read *read, struct saga_reading *out_reading)
{
	const struct ledger_row *row = &read->by_key;

	*out_reading = (struct saga_reading){
		.is_found = read->is_found,
		.is_deleted = read->is_deleted,
		.version = read->version,
		.n_chunks = read->n_chunks,
		.n_debts = read->n_debts,
		.key = SAGA_KEY_UNKNOWN,
		.key_saga = row->saga,
		.key_reason = &row->reason,
	};
	memcpy(out_reading->content_hash, read->content_hash, DIGEST_BYTES);
	if (row->outcome == LEDGER_ABSENT)
		return;
	out_reading->key = row->outcome == LEDGER_COMMITTED ? SAGA_KEY_COMMITTED : SAGA_KEY_REFUSED;
	out_reading->key_is_same = row->is_delete == run->saga.plan.is_delete &&
				   memcmp(row->content_hash, run->saga.plan.content_hash, DIGEST_BYTES) == 0;
	out_reading->key_code = code_of_name(row->code);
}

static void run_on_read(struct read_item *item)
{
	struct run *run = container_of(item, struct run, read);
	struct saga_reading reading;
	struct saga_event event = {
		.kind = SAGA_EV_READ,
		.store = SAGA_TRUTH,
		.verdict = (enum saga_verdict)item->read.verdict,
		.reading = &reading,
		.err = &item->read.err,
	};

	if (item->read.verdict == VERDICT_OK)
		run_fill_reading(run, &item->read, &reading);
	if (MUTANT(intent_not_awaited) && run->engine->now.mono_ns - run->entered_ns > 20 * NS_PER_MS)
		run_step(run, &(struct saga_event){.kind = SAGA_EV_INTENT_DURABLE, .store = SAGA_NO_STORE});
	run->n_out--;
	run_step(run, &event);
}

static void run_on_pivot_started(struct pivot_item *item)
{
	struct run *run = container_of(item, struct run, pivot);
	struct saga_event event = {.kind = SAGA_EV_PIVOT_SENT, .store = SAGA_TRUTH};

	if (run->saga.state == SAGA_PIVOT_READY) /* not so for one that goes out again in a halved batch */
		run_step(run, &event);
}

static void run_on_pivot(struct pivot_item *item)
{
	struct run *run = container_of(item, struct run, pivot);
	struct saga_event event = {
		.kind = SAGA_EV_PIVOT,
		.store = SAGA_TRUTH,
		.verdict = (enum saga_verdict)item->pivot.verdict,
		.is_batched = item->is_batched,
		.is_death = item->is_death,
		.is_conflict = item->pivot.result == PIVOT_CONFLICT,
		.err = &item->pivot.err,
	};

	if (MUTANT(doubt_committed) && event.verdict == SAGA_DOUBT && event.is_batched)
		event.verdict = SAGA_OK;
	if (MUTANT(lock_released_early) && event.verdict == SAGA_DOUBT)
		lock_release(&run->engine->documents, &run->lock);
	if (item->pivot.verdict == VERDICT_OK && item->pivot.result == PIVOT_COMMITTED)
		desk_note_commit(&run->engine->desk, &run->saga.id);
	run->n_out--;
	run_step(run, &event);
}

/* What the ledger said; otherwise only with a seeded bug. */
static enum ledger_outcome run_outcome(const struct run *run, enum ledger_outcome outcome)
{
	if (MUTANT(duplicate_committed) && outcome == LEDGER_ABORTED)
		return LEDGER_COMMITTED;
	if (MUTANT(abort_row_left_out) && outcome == LEDGER_ABSENT && run->saga.is_late)
		return LEDGER_ABORTED;
	return outcome;
}

static void run_on_settle(struct settle_item *item)
{
	struct run *run = container_of(item, struct run, settle);
	enum ledger_outcome outcome = run_outcome(run, item->settle.row.outcome);
	struct saga_event event = {
		.kind = run->is_recording ? SAGA_EV_RECORDED : SAGA_EV_SETTLED,
		.store = SAGA_TRUTH,
		.verdict = (enum saga_verdict)item->verdict,
		.settled = outcome == LEDGER_COMMITTED ? SAGA_SETTLED_COMMITTED
			   : outcome == LEDGER_ABORTED ? SAGA_SETTLED_ABORTED
						       : SAGA_SETTLED_ABSENT,
		.err = &item->err,
	};

	if (event.kind == SAGA_EV_SETTLED && item->verdict == VERDICT_OK && outcome == LEDGER_COMMITTED)
		desk_note_commit(&run->engine->desk, &run->saga.id);
	run->n_out--;
	run_step(run, &event);
}

void run_on_journaled(struct run *run, struct journal_req *req)
{
	struct saga_event event = {.kind = SAGA_EV_INTENT_DURABLE, .store = SAGA_NO_STORE};

	run->n_out--;
	if (!engine_journal_failed(run->engine, req))
		run_step(run, &event);
	else
		run_look(run);
}

/* ---- timers ---- */

static void run_on_deadline(struct timer *timer)
{
	struct saga_event event = {.kind = SAGA_EV_DEADLINE, .store = SAGA_NO_STORE};

	run_step(container_of(timer, struct run, deadline), &event);
}

static void run_retry(struct run *run, uint32_t store, enum saga_action_kind op)
{
	struct saga_event event = {.kind = SAGA_EV_RETRY, .store = store, .op = (uint32_t)op};

	run_step(run, &event);
}

static void run_on_truth_timer(struct timer *timer)
{
	struct run *run = container_of(timer, struct run, truth_timer);

	run_retry(run, SAGA_TRUTH, (enum saga_action_kind)run->truth_op);
}

static void run_on_leg_timer(struct timer *timer)
{
	struct run_leg *leg = container_of(timer, struct run_leg, timer);

	run_retry(leg->run, leg->store, leg->run->saga.state == SAGA_OWING ? SAGA_ACT_PUBLISH : SAGA_ACT_APPLY);
}

static void run_on_old_timer(struct timer *timer)
{
	struct run_leg *leg = container_of(timer, struct run_leg, old_timer);

	run_retry(leg->run, leg->store, SAGA_ACT_REMOVE);
}

static bool run_hurry(struct run *run, struct timer *timer)
{
	if (timer->place == 0)
		return false;
	timers_set(&run->engine->timers, timer, run->engine->now.mono_ns);
	return true;
}

bool run_try_now(struct run *run, uint32_t store)
{
	bool has_waited;

	if (store == SAGA_TRUTH)
		return run_hurry(run, &run->truth_timer);
	has_waited = run_hurry(run, &run->legs[store].timer);
	return run_hurry(run, &run->legs[store].old_timer) || has_waited;
}

/* ---- locks ---- */

static void run_on_key_lock(struct lock_wait *wait)
{
	struct saga_event event = {.kind = SAGA_EV_LOCKED, .store = SAGA_NO_STORE};

	run_step(container_of(wait, struct run, key_lock), &event);
}

/* The document is ours; now the key, if there is one. Nobody who holds a key waits for a document, so no circle forms.
 * Without memory for the key's entry the saga goes on: two of one key at once then fail at the ledger's unique index.
 */
static void run_lock_key(struct run *run)
{
	run->key_lock.name = run->key;
	run->key_lock.granted = run_on_key_lock;
	if (run->key.at != NULL && lock_take(&run->engine->keys, &run->key_lock, UINT32_MAX) == LOCK_WAITING)
		return;
	run_on_key_lock(&run->key_lock);
}

static void run_on_lock(struct lock_wait *wait)
{
	run_lock_key(container_of(wait, struct run, lock));
}

struct run *run_of_lock(struct lock_wait *lock)
{
	return lock->granted == run_on_lock ? container_of(lock, struct run, lock) : NULL;
}

/* ---- start ---- */

static void run_plan(const struct run *run, const struct engine_job *job, struct saga_plan *out_plan)
{
	struct engine *engine = run->engine;
	const struct put_options *options = &job->options;

	*out_plan = (struct saga_plan){
		.is_delete = job->is_delete,
		.has_key = run->key.at != NULL,
		.has_if_version = options->has_if_version,
		.if_version = options->if_version,
		.if_absent = options->if_absent,
		.write_unchanged = options->write_unchanged,
		.max_tries = engine->config.max_tries,
	};
	for (uint32_t i = 0; i < engine->n_stores; i++) {
		struct store *store = engine->senders[i].store;

		out_plan->stores |= (uint32_t)1 << i;
		if (run->document != NULL && store->ops->publishes != NULL &&
		    store->ops->publishes(store, run->document))
			out_plan->publishes |= (uint32_t)1 << i;
	}
	if (run->document != NULL) {
		memcpy(out_plan->content_hash, run->document->content_hash, DIGEST_BYTES);
	} else {
		struct digest digest;

		digest_init(&digest);
		digest_add(&digest, str_of("document.delete"));
		digest_add(&digest, run->document_id);
		digest_finish(&digest, out_plan->content_hash);
	}
	suspects_find(&engine->suspects, out_plan->content_hash, out_plan->deaths);
}

static struct str run_keep_text(char **at, struct str text)
{
	struct str kept = {*at, text.len};

	if (text.at == NULL)
		return STR_NONE;
	memcpy(*at, text.at, text.len);
	*at += text.len + 1; /* zeroed memory: the NUL is there */
	return kept;
}

static void run_init_turns(struct run *run, uint64_t turn)
{
	run->turn = turn;
	run->read.item.turn = turn;
	run->pivot.item.turn = turn;
	run->settle.item.turn = turn;
	for (uint32_t i = 0; i < run->engine->n_stores; i++) {
		run->legs[i].send.item.turn = turn;
		run->legs[i].old.item.turn = turn;
	}
}

static void run_init_parts(struct run *run)
{
	batch_item_init(&run->read.item);
	run->read.done = run_on_read;
	batch_item_init(&run->pivot.item);
	run->pivot.started = run_on_pivot_started;
	run->pivot.done = run_on_pivot;
	batch_item_init(&run->settle.item);
	run->settle.done = run_on_settle;
	run->deadline.fire = run_on_deadline;
	run->truth_timer.fire = run_on_truth_timer;
	list_init(&run->intent.node);
	for (uint32_t i = 0; i < run->engine->n_stores; i++) {
		struct run_leg *leg = &run->legs[i];

		leg->run = run;
		leg->store = i;
		send_init(&leg->send, run_on_send_started, run_on_send_done);
		send_init(&leg->old, NULL, run_on_old_done);
		leg->timer.fire = run_on_leg_timer;
		leg->old_timer.fire = run_on_old_timer;
	}
}

static struct run *run_create(struct engine *engine, struct engine_job *job, struct accepted *accepted)
{
	struct str id = job->document != NULL ? job->document->id : job->document_id;
	struct str key = job->options.idempotency_key;
	struct run *run = calloc(1, sizeof(*run) + id.len + key.len + 2);
	struct saga_plan plan;
	struct uuid saga_id;
	char *at;

	if (run == NULL)
		return NULL;
	at = run->texts;
	run->engine = engine;
	run->job = job;
	run->accepted = accepted;
	run->document = job->document;
	run->document_id = run_keep_text(&at, id);
	run->key = run_keep_text(&at, key);
	run->cache_ttl_s = job->options.has_cache_ttl ? job->options.cache_ttl_s : engine->config.cache_ttl_s;
	run->started_ns = engine->now.mono_ns;
	run->entered_ns = engine->now.mono_ns;
	run->bytes = accepted == NULL && job->document != NULL ? job->document->memory_bytes : 0;
	run_init_parts(run);
	run_init_turns(run, job->turn);
	run_plan(run, job, &plan);
	saga_id = engine_new_id(engine);
	saga_init(&run->saga, &plan, &saga_id);
	run_care_take(run);
	return run;
}

static void run_set_deadline(struct run *run, const struct engine_job *job)
{
	const struct engine_config *config = &run->engine->config;
	uint64_t ms = job->options.deadline_ms != 0 ? job->options.deadline_ms : config->deadline_ms;

	if (ms > config->max_deadline_ms)
		ms = config->max_deadline_ms;
	timers_set(&run->engine->timers, &run->deadline, engine_after_ms(run->engine, ms));
}

/* Takes or waits for the document's lock: 0, 1 when it has to wait, or negative. */
static int run_lock_document(struct run *run)
{
	run->lock.name = run->document_id;
	run->lock.granted = run_on_lock;
	switch (lock_take(&run->engine->documents, &run->lock, run->engine->config.max_waiting)) {
	case LOCK_HELD:
		return 0;
	case LOCK_WAITING:
		return 1;
	case LOCK_FULL:
		return -EBUSY;
	case LOCK_NO_MEMORY:
		return -ENOMEM;
	}
	return -ENOMEM;
}

int run_start(struct engine *engine, struct engine_job *job, struct accepted *accepted)
{
	struct run *run = run_create(engine, job, accepted);
	int rc;

	if (run == NULL)
		return -ENOMEM;
	rc = timers_reserve(&engine->timers, RUN_TIMERS(engine));
	if (rc != 0)
		goto free_run;
	rc = accepted == NULL ? run_lock_document(run) : 0;
	if (rc < 0)
		goto release_timers;
	list_append(&engine->runs, &run->node);
	engine->n_by_state[run->saga.state]++;
	engine->bytes += run->bytes;
	if (accepted == NULL) {
		engine->n_sagas++;
		run_set_deadline(run, job);
	} else {
		accepted->n_runs++;
	}
	if (rc == 0)
		run_lock_key(run);
	return 0;
release_timers:
	timers_release(&engine->timers, RUN_TIMERS(engine));
free_run:
	free(run);
	return rc;
}

/* ---- steps and the end ---- */

static void run_measure(struct run *run, enum saga_state before)
{
	struct engine *engine = run->engine;
	uint64_t spent_ns = engine->now.mono_ns - run->entered_ns;

	if (run->saga.state == before)
		return;
	histogram_add(&engine->meter.state_ns[before], spent_ns);
	run->spent_ns[before] += spent_ns;
	run->entered_ns = engine->now.mono_ns;
}

void run_step(struct run *run, const struct saga_event *event)
{
	struct saga_actions actions = {.n = 0};
	enum saga_state before = run->saga.state;
	uint32_t deaths[SAGA_STORES_MAX + 1];

	if (run->engine->phase != ENGINE_HALTED) {
		memcpy(deaths, run->saga.deaths, sizeof(deaths));
		saga_step(&run->saga, event, &actions);
		run->engine->n_by_state[before]--;
		run->engine->n_by_state[run->saga.state]++;
		run_measure(run, before);
		run_care_note(run, deaths);
		for (uint32_t i = 0; i < actions.n; i++)
			run_act(run, &actions.at[i]);
	}
	run_look(run);
}

/* The version that was replaced may have been written moments ago, and a copy of that write may still come. */
static void run_leave_second_removal(struct run *run)
{
	const struct saga *saga = &run->saga;
	struct errand_order order = {
		.kind = ERRAND_DEBT,
		.op = LEG_REMOVE,
		.saga = saga->replaced,
		.document_id = run->document_id,
		.n_chunks = saga->replaced_chunks,
		.committed_unix_ms = run->read.read.updated_unix_ms,
		.is_removed = true,
	};
	bool has_committed = saga->state == SAGA_DONE &&
			     (saga->result == SAGA_RESULT_COMMITTED || saga->result == SAGA_RESULT_DELETED);

	if (!has_committed || !saga->is_found || saga->is_deleted)
		return;
	order.stores = errand_exposed_stores(run->engine, &saga->replaced, order.committed_unix_ms,
					     saga->plan.stores & ~saga->remove_due);
	if (order.stores != 0)
		errand_start(run->engine, &order);
}

/* What the saga leaves to be done becomes background work, now that nothing of it is out any more. */
static void run_leave_errands(struct run *run)
{
	const struct saga *saga = &run->saga;
	struct errand_order order = {.document_id = run->document_id, .saga = saga->id, .closes_intent = true};

	if (run->clean != 0) {
		order.kind = ERRAND_ABORT;
		order.op = LEG_REMOVE;
		order.stores = run->clean;
		if (MUTANT(abort_skips_refused) && saga->failure.code == CODE_STORE_REFUSED &&
		    saga->failure.store < SAGA_STORES_MAX)
			order.stores &= ~((uint32_t)1 << saga->failure.store);
		if (MUTANT(removal_by_document) && saga->failure.code != CODE_DEADLINE_EXCEEDED && saga->is_found &&
		    !saga->is_deleted)
			order.saga = saga->replaced;
		order.n_chunks = run->document != NULL ? run->document->n_chunks : 0;
		errand_start(run->engine, &order);
	}
	if (MUTANT(debt_lost) && !saga->is_late)
		return;
	if (run->is_handing_over && saga->publish_due != 0) {
		order.kind = ERRAND_PUBLISH;
		order.op = LEG_PUBLISH;
		order.stores = saga->publish_due;
		for (uint32_t i = 0; i < run->engine->n_stores; i++)
			if (saga_owes(saga, i, SAGA_ACT_PUBLISH))
				order.owed |= saga->publish_due & ((uint32_t)1 << i);
		errand_start(run->engine, &order);
	}
	if (run->is_handing_over && saga->remove_due != 0) {
		order.kind = ERRAND_DEBT;
		order.op = LEG_REMOVE;
		order.saga = saga->replaced;
		order.stores = saga->remove_due;
		order.owed = saga->remove_due;
		order.n_chunks = saga->replaced_chunks;
		order.committed_unix_ms = run->read.read.updated_unix_ms;
		order.closes_intent = false;
		errand_start(run->engine, &order);
	}
}

void run_reap(struct run *run)
{
	MUST(saga_is_terminal(&run->saga) && run->n_out == 0 && run->job == NULL);
	run_leave_errands(run);
	run_leave_second_removal(run);
	run_free(run);
}

void run_free(struct run *run)
{
	struct engine *engine = run->engine;

	run_abandon(run);
	timers_cancel(&engine->timers, &run->deadline);
	lock_release(&engine->keys, &run->key_lock);
	lock_release(&engine->documents, &run->lock);
	timers_release(&engine->timers, RUN_TIMERS(engine));
	engine->bytes -= run->bytes;
	engine->n_by_state[run->saga.state]--;
	list_remove(&run->node);
	if (run->accepted != NULL) {
		run_care_leave(run);
		accepted_on_run_reaped(run->accepted);
	} else {
		engine->n_sagas--;
		document_destroy(run->document);
	}
	free(run);
}
