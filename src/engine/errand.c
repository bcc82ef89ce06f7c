#include "errand.h"

#include "base/mutant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BIT(i)                ((uint32_t)1 << (i))
#define ERRAND_TIMERS(engine) ((engine)->n_stores + 1)

const char *errand_op_name(enum leg_op op)
{
	switch (op) {
	case LEG_APPLY:
		return "apply";
	case LEG_PUBLISH:
		return "publish";
	case LEG_REMOVE:
		return "remove";
	}
	MUST(!"an operation that is none");
	return "";
}

static uint32_t errand_store_of(const struct errand_chore *chore)
{
	return (uint32_t)(chore - chore->errand->chores);
}

static void errand_send(struct errand_chore *chore)
{
	struct errand *errand = chore->errand;

	chore->send.write = (struct leg_write){
		.op = errand->op,
		.saga = errand->saga,
		.document_id = errand->document_id,
		.n_chunks = errand->n_chunks,
		.cache_ttl_s = errand->cache_ttl_s,
	};
	sender_push(&errand->engine->senders[errand_store_of(chore)], &chore->send);
}

/* While a store is away its background work waits together: one request a backoff, however much is owed. */
static void errand_send_or_hold(struct errand_chore *chore)
{
	struct engine *engine = chore->errand->engine;
	uint64_t until_ns = engine->holds[errand_store_of(chore)].until_ns;

	if (until_ns > engine->now.mono_ns)
		timers_set(&engine->timers, &chore->timer, until_ns);
	else
		errand_send(chore);
}

/* Notes how the store took a piece of background work: the first failure since it was last well begins a backoff. */
static void errand_note_store(struct engine *engine, uint32_t store, enum verdict verdict)
{
	struct errand_hold *hold = &engine->holds[store];

	if (verdict == VERDICT_OK)
		*hold = (struct errand_hold){0};
	else if ((verdict == VERDICT_OUTAGE || verdict == VERDICT_DOUBT || verdict == VERDICT_MISCONFIGURED) &&
		 hold->until_ns <= engine->now.mono_ns)
		hold->until_ns =
			engine->now.mono_ns + backoff_wait_ns(&engine->config.background, ++hold->tries, &engine->rng);
}

static void errand_begin_round(struct errand *errand)
{
	errand->due = errand->stores;
	for (uint32_t i = 0; i < errand->engine->n_stores; i++) {
		if (!(errand->due & BIT(i)))
			continue;
		errand->engine->n_owed[i]++;
		errand->chores[i].tries = 0;
		errand_send_or_hold(&errand->chores[i]);
	}
}

void errand_free(struct errand *errand)
{
	struct engine *engine = errand->engine;

	for (uint32_t i = 0; i < engine->n_stores; i++) {
		(void)sender_abandon(&engine->senders[i], &errand->chores[i].send); /* only at the engine's end */
		timers_cancel(&engine->timers, &errand->chores[i].timer);
	}
	timers_cancel(&engine->timers, &errand->round_timer);
	timers_release(&engine->timers, ERRAND_TIMERS(engine));
	list_remove(&errand->node);
	engine->n_errands--;
	free(errand);
}

static void errand_on_round(struct timer *timer)
{
	struct errand *errand = container_of(timer, struct errand, round_timer);

	errand->round++;
	errand_begin_round(errand);
}

static int64_t errand_made_ms(const struct uuid *version)
{
	int64_t made_ms = 0;

	for (unsigned i = 0; i < 6; i++)
		made_ms = made_ms * 256 + version->bytes[i];
	return made_ms;
}

/* A version's last apply was sent before its commit; where that moment isn't known, within its saga's deadline, so that
 * the time in its id tells. Clocks that differ or step mislead by so much; what is then left is the sweep's. */
static bool errand_is_young(const struct engine *engine, const struct uuid *version, int64_t committed_unix_ms)
{
	const struct engine_config *config = &engine->config;
	int64_t window_ms = (int64_t)config->late_write_window_ms;

	if (committed_unix_ms != 0)
		return engine->now.unix_ms - committed_unix_ms < 2 * window_ms;
	return engine->now.unix_ms - errand_made_ms(version) < window_ms + (int64_t)config->max_deadline_ms;
}

uint32_t errand_exposed_stores(const struct engine *engine, const struct uuid *version, int64_t committed_unix_ms,
			       uint32_t stores)
{
	uint32_t exposed = 0;

	for (uint32_t i = 0; i < engine->n_stores; i++)
		if (!engine->senders[i].store->has_fences)
			exposed |= stores & BIT(i);
	return exposed != 0 && errand_is_young(engine, version, committed_unix_ms) ? exposed : 0;
}

/* The stores that need the second removal; 0: the errand is done. */
static uint32_t errand_second_round(const struct errand *errand)
{
	if (errand->round > 0)
		return 0;
	if (errand->kind == ERRAND_ABORT)
		return MUTANT(second_removal_left_out) ? 0 : errand->stores;
	if (errand->kind != ERRAND_DEBT || errand->op != LEG_REMOVE)
		return 0;
	return errand_exposed_stores(errand->engine, &errand->saga, errand->committed_unix_ms, errand->stores);
}

/* A first removal may come before a late write has landed; the second comes when none can be on its way any more. */
static void errand_finish_round(struct errand *errand)
{
	struct engine *engine = errand->engine;
	uint32_t again = errand_second_round(errand);

	if (again != 0) {
		if (MUTANT(intent_closed_early) && errand->closes_intent)
			engine_journal_note(engine, JOURNAL_CLOSE, &errand->saga);
		errand->stores = again;
		errand->owed = 0; /* paid by the first */
		timers_set(&engine->timers, &errand->round_timer,
			   engine_after_ms(engine, engine->config.late_write_window_ms));
		return;
	}
	if (errand->closes_intent)
		engine_journal_note(engine, JOURNAL_CLOSE, &errand->saga);
	errand_free(errand);
}

static void errand_pay(struct errand_chore *chore, uint32_t store)
{
	struct errand *errand = chore->errand;
	const char *name = errand->engine->senders[store].store->name;
	struct debt debt = {.op = errand->op, .saga = errand->saga, .n_chunks = errand->n_chunks};

	if (!(errand->owed & BIT(store)))
		return;
	memcpy(debt.store, name, strlen(name) < sizeof(debt.store) ? strlen(name) : sizeof(debt.store) - 1);
	desk_pay(&errand->engine->desk, &debt);
}

static void errand_park(struct errand_chore *chore, uint32_t store)
{
	struct errand *errand = chore->errand;
	char text[UUID_TEXT_BYTES], tries[16];

	if (chore->is_parked)
		return;
	chore->is_parked = true;
	errand->engine->n_parked++;
	meter_parked(&errand->engine->meter, store, errand->engine->senders[store].store->name, &errand->saga,
		     errand->document_id, &chore->send.write.err, errand->engine->now.unix_ms);
	uuid_format(&errand->saga, text);
	(void)snprintf(tries, sizeof(tries), "%" PRIu32, chore->tries); /* fits */
	log_with(errand->engine->log, LOG_ERROR_LEVEL, LOG_WORK_PARKED,
		 LOG_FIELDS({"document", errand->document_id}, {"saga", str_of(text)},
			    {"store", str_of(errand->engine->senders[store].store->name)},
			    {"op", str_of(errand_op_name(errand->op))}, {"tries", str_of(tries)},
			    {"reason", str_of(chore->send.write.err.text)}),
		 "parked");
}

/* Who was woken by a parked piece of work wants to know that it is done after all. */
static void errand_unpark(struct errand_chore *chore, uint32_t store)
{
	struct errand *errand = chore->errand;
	const char *name = errand->engine->senders[store].store->name;
	char text[UUID_TEXT_BYTES];

	chore->is_parked = false;
	errand->engine->n_parked--;
	meter_unparked(&errand->engine->meter, store, name, &errand->saga);
	uuid_format(&errand->saga, text);
	log_with(errand->engine->log, LOG_INFO_LEVEL, LOG_WORK_DONE,
		 LOG_FIELDS({"document", errand->document_id}, {"saga", str_of(text)}, {"store", str_of(name)},
			    {"op", str_of(errand_op_name(errand->op))}),
		 "no longer parked: done");
}

static void errand_on_failed(struct errand_chore *chore, uint32_t store)
{
	struct engine *engine = chore->errand->engine;
	enum verdict verdict = chore->send.write.verdict;
	uint64_t wait_ns;

	if (chore->tries++ == 0)
		chore->failing_since_ns = engine->now.mono_ns;
	engine->n_retries++;
	engine->meter.stores[store].n_retries++;
	if (verdict == VERDICT_PERMANENT ||
	    engine->now.mono_ns - chore->failing_since_ns >= engine->config.park_after_ms * NS_PER_MS)
		errand_park(chore, store);
	if (chore->is_parked)
		wait_ns = engine->config.parked_retry_ms * NS_PER_MS;
	else
		wait_ns = backoff_wait_ns(&engine->config.background, chore->tries, &engine->rng);
	timers_set(&engine->timers, &chore->timer, engine->now.mono_ns + wait_ns);
}

static void errand_finish_chore(struct errand_chore *chore, uint32_t store)
{
	struct errand *errand = chore->errand;

	errand->engine->n_owed[store]--;
	errand->due &= ~BIT(store);
	errand_pay(chore, store);
	if (errand->due == 0)
		errand_finish_round(errand);
}

static void errand_on_done(struct send *send)
{
	struct errand_chore *chore = container_of(send, struct errand_chore, send);
	struct errand *errand = chore->errand;
	uint32_t store = errand_store_of(chore);

	errand_note_store(errand->engine, store, send->write.verdict);
	if (send->write.verdict != VERDICT_OK && !chore->is_settled) {
		errand_on_failed(chore, store);
		return;
	}
	if (chore->is_parked)
		errand_unpark(chore, store);
	errand_finish_chore(chore, store);
}

bool errand_retry(struct errand *errand, uint32_t store)
{
	struct errand_chore *chore = &errand->chores[store];

	if (!(errand->due & BIT(store)) || chore->timer.place == 0)
		return false;
	errand->engine->holds[store] = (struct errand_hold){0};
	timers_set(&errand->engine->timers, &chore->timer, errand->engine->now.mono_ns);
	return true;
}

void errand_settle(struct errand *errand, uint32_t store)
{
	struct engine *engine = errand->engine;
	struct errand_chore *chore = &errand->chores[store];

	MUST((errand->due & BIT(store)) != 0 && chore->is_parked);
	chore->is_parked = false;
	chore->is_settled = true;
	engine->n_parked--;
	meter_unparked(&engine->meter, store, engine->senders[store].store->name, &errand->saga);
	errand->stores &= ~BIT(store); /* no second round there either */
	timers_cancel(&engine->timers, &chore->timer);
	if (chore->send.state != SEND_OUT) {
		(void)sender_abandon(&engine->senders[store], &chore->send); /* it may be waiting */
		errand_finish_chore(chore, store);
	}
}

static void errand_on_timer(struct timer *timer)
{
	errand_send_or_hold(container_of(timer, struct errand_chore, timer));
}

static struct errand *errand_create(struct engine *engine, const struct errand_order *order)
{
	size_t chores = engine->n_stores * sizeof(struct errand_chore);
	struct errand *errand = calloc(1, sizeof(*errand) + chores + order->document_id.len + 1);
	char *text;

	if (errand == NULL || timers_reserve(&engine->timers, ERRAND_TIMERS(engine)) != 0) {
		free(errand);
		return NULL;
	}
	text = (char *)errand + sizeof(*errand) + chores;
	memcpy(text, order->document_id.at, order->document_id.len);
	errand->engine = engine;
	errand->kind = order->kind;
	errand->op = order->op;
	errand->saga = order->saga;
	errand->document_id = (struct str){text, order->document_id.len};
	errand->n_chunks = order->n_chunks;
	errand->cache_ttl_s = engine->config.cache_ttl_s;
	errand->stores = order->stores;
	errand->owed = order->owed;
	errand->committed_unix_ms = order->committed_unix_ms;
	errand->round = order->is_second_round ? 1 : 0;
	errand->closes_intent = order->closes_intent;
	errand->since_unix_ms = order->since_unix_ms != 0 ? order->since_unix_ms : engine->now.unix_ms;
	errand->round_timer.fire = errand_on_round;
	for (uint32_t i = 0; i < engine->n_stores; i++) {
		errand->chores[i].errand = errand;
		errand->chores[i].timer.fire = errand_on_timer;
		send_init(&errand->chores[i].send, NULL, errand_on_done);
	}
	return errand;
}

void errand_start(struct engine *engine, const struct errand_order *order)
{
	struct errand *errand = errand_create(engine, order);

	if (errand == NULL) {
		log_error(engine->log, "out of memory: %s of document \"%.*s\" is left to the next start",
			  errand_op_name(order->op), STR_ARG(order->document_id));
		return;
	}
	errand->number = ++engine->last_errand;
	list_append(&engine->errands, &errand->node);
	engine->n_errands++;
	if (errand->stores == 0 || order->is_removed)
		errand_finish_round(errand);
	else
		errand_begin_round(errand);
}
