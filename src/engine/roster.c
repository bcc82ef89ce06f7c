#include "roster.h"

#include "engine/accepted.h"
#include "engine/errand.h"
#include "engine/flow_run.h"
#include "engine/run.h"

#include <errno.h>
#include <stdlib.h>

#define BIT(i) ((uint32_t)1 << (i))
#define ROSTER_DEFAULT                                                                                                 \
	(BIT(WORK_RUNNING) | BIT(WORK_IN_DOUBT) | BIT(WORK_WAITING) | BIT(WORK_OWED) | BIT(WORK_PARKED) |              \
	 BIT(WORK_COMPENSATING))

/* The part of a place below an errand's number: 0, or a store and 1. */
#define ROSTER_STORE_BITS 4
_Static_assert(STORES_MAX < 1 << ROSTER_STORE_BITS, "a store fits into its bits");

/* A row before it is filled in: where it is in the order, and what it is of. */
struct roster_entry {
	struct work_place place;
	enum work_kind kind;
	uint32_t store; /* of BACKGROUND: an index, or SAGA_NO_STORE for one that is late */
	void *of;       /* struct run, accepted, errand or flow_run, by `kind` */
};

struct roster_entries {
	struct roster_entry *at;
	uint32_t n;
	uint32_t size;
	bool has_failed;
};

/* ---- rows ---- */

static int64_t roster_unix_ms(const struct engine *engine, uint64_t mono_ns)
{
	return engine->now.unix_ms - (int64_t)((engine->now.mono_ns - mono_ns) / NS_PER_MS);
}

static int64_t roster_until_ms(const struct engine *engine, const struct timer *timer)
{
	if (timer->place == 0)
		return -1;
	return timer->at_ns > engine->now.mono_ns ? (int64_t)((timer->at_ns - engine->now.mono_ns) / NS_PER_MS) : 0;
}

/* The store that a saga waits for: the one that failed last, else the first that has not done its part. */
static uint32_t roster_store_of_run(const struct run *run)
{
	const struct saga *saga = &run->saga;
	uint32_t missing = saga->state == SAGA_PROJECTING ? saga->plan.stores & ~saga->applied
			   : saga->state == SAGA_OWING    ? saga->publish_due | saga->remove_due
							  : 0;

	if (saga->failure.code != CODE_NONE && saga->failure.store <= SAGA_TRUTH &&
	    (saga->failure.store == SAGA_TRUTH || (missing & BIT(saga->failure.store)) != 0))
		return saga->failure.store;
	for (uint32_t i = 0; i < run->engine->n_stores; i++)
		if (missing & BIT(i))
			return i;
	return saga->state == SAGA_QUEUED ? SAGA_NO_STORE : SAGA_TRUTH;
}

static struct work_row roster_row_of_run(const struct run *run)
{
	const struct engine *engine = run->engine;
	const struct saga *saga = &run->saga;
	uint32_t store = roster_store_of_run(run);

	return (struct work_row){
		.id = saga->id,
		.kind = WORK_DOCUMENT,
		.state = saga->state == SAGA_IN_DOUBT ? WORK_IN_DOUBT : WORK_RUNNING,
		.op = saga->plan.is_delete ? "delete" : "put",
		.step = saga_state_name(saga->state),
		.document_id = run->document_id,
		.store = engine_store_name(engine, store),
		.since_unix_ms = roster_unix_ms(engine, run->started_ns),
		.n_tries = store <= SAGA_TRUTH ? saga->tries[store] + saga->deaths[store] : 0,
		.next_try_ms = store == SAGA_NO_STORE
				       ? -1
				       : roster_until_ms(engine, store == SAGA_TRUTH ? &run->truth_timer
										     : &run->legs[store].timer),
		.error = saga->failure.code != CODE_NONE ? saga->failure.err.text : "",
		.reason = "",
	};
}

static struct work_row roster_row_of_job(const struct accepted *accepted)
{
	return (struct work_row){
		.id = accepted->id,
		.kind = WORK_JOB,
		.state = WORK_WAITING,
		.op = accepted->job.is_delete ? "delete" : "put",
		.step = accepted_step(accepted),
		.document_id = accepted->job.document_id,
		.since_unix_ms = (int64_t)engine_ms_of(&accepted->id),
		.n_tries = accepted->n_attempts,
		.next_try_ms = roster_until_ms(accepted->engine, &accepted->timer),
		.error = accepted->last_error.text,
		.reason = "",
	};
}

static struct work_row roster_row_of_errand(const struct errand *errand, uint32_t store)
{
	const struct engine *engine = errand->engine;
	const struct errand_chore *chore = store < engine->n_stores ? &errand->chores[store] : NULL;
	const struct timer *timer = chore != NULL ? &chore->timer : &errand->round_timer;
	struct work_row row = {
		.id = errand->saga,
		.kind = WORK_BACKGROUND,
		.state = chore == NULL      ? WORK_LATE
			 : chore->is_parked ? WORK_PARKED
					    : WORK_OWED,
		.op = errand_op_name(errand->op),
		.step = timer->place != 0 ? "backing_off" : "sending",
		.document_id = errand->document_id,
		.store = engine_store_name(engine, store),
		.since_unix_ms = errand->since_unix_ms,
		.next_try_ms = roster_until_ms(engine, timer),
		.error = "",
		.reason = "",
	};

	if (chore == NULL) {
		row.step = "once_more";
		return row;
	}
	row.n_tries = chore->tries;
	row.error = chore->send.write.err.text;
	return row;
}

static struct work_row roster_fill(const struct roster_entry *entry)
{
	switch (entry->kind) {
	case WORK_DOCUMENT:
		return roster_row_of_run(entry->of);
	case WORK_JOB:
		return roster_row_of_job(entry->of);
	case WORK_BACKGROUND:
		return roster_row_of_errand(entry->of, entry->store);
	case WORK_STEPS:
		return flow_care_row(entry->of);
	}
	MUST(!"a kind of work that is none");
	return (struct work_row){.kind = WORK_DOCUMENT};
}

/* ---- what is there ---- */

static void roster_add(struct roster_entries *entries, const struct roster_entry *entry)
{
	if (entries->n == entries->size) {
		uint32_t size = entries->size == 0 ? 256 : 2 * entries->size;
		struct roster_entry *at = realloc(entries->at, size * sizeof(*at));

		if (at == NULL) {
			entries->has_failed = true;
			return;
		}
		entries->at = at;
		entries->size = size;
	}
	entries->at[entries->n++] = *entry;
}

static void roster_add_errand(struct roster_entries *entries, struct errand *errand)
{
	struct roster_entry entry = {.kind = WORK_BACKGROUND, .of = errand, .store = SAGA_NO_STORE};
	/* Several errands may name one saga: debts that were loaded at the start are one each. */
	uint32_t part = errand->number << ROSTER_STORE_BITS;

	entry.place = (struct work_place){errand->saga, part};
	if (errand->due == 0)
		roster_add(entries, &entry);
	for (uint32_t i = 0; i < errand->engine->n_stores; i++) {
		if (!(errand->due & BIT(i)))
			continue;
		entry.store = i;
		entry.place.part = part | (1 + i);
		roster_add(entries, &entry);
	}
}

static void roster_gather(struct engine *engine, struct roster_entries *entries)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->runs) {
		struct run *run = container_of(it, struct run, node);
		struct roster_entry entry = {.kind = WORK_DOCUMENT, .of = run, .place = {run->saga.id, 0}};

		if (!saga_is_terminal(&run->saga))
			roster_add(entries, &entry);
	}
	list_each (it, tmp, &engine->accepted) {
		struct accepted *accepted = container_of(it, struct accepted, node);
		struct roster_entry entry = {.kind = WORK_JOB, .of = accepted, .place = {accepted->id, 1}};

		if (accepted->is_durable && !accepted->is_ended)
			roster_add(entries, &entry);
	}
	list_each (it, tmp, &engine->errands)
		roster_add_errand(entries, container_of(it, struct errand, node));
	list_each (it, tmp, &engine->flows.runs) {
		struct flow_run *run = container_of(it, struct flow_run, node);
		struct roster_entry entry = {.kind = WORK_STEPS, .of = run, .place = {run->id, 0}};

		if (run->is_known)
			roster_add(entries, &entry);
	}
}

static int roster_compare(const struct work_place *a, const struct work_place *b)
{
	int order = uuid_compare(&a->id, &b->id);

	if (order != 0)
		return order;
	return a->part < b->part ? -1 : a->part > b->part;
}

static int roster_order(const void *a, const void *b)
{
	return roster_compare(&((const struct roster_entry *)a)->place, &((const struct roster_entry *)b)->place);
}

/* ---- pages ---- */

static bool roster_fits(const struct engine *engine, const struct work_filter *filter, const struct work_row *row)
{
	if (filter->has_id && uuid_compare(&filter->id, &row->id) != 0)
		return false;
	if (filter->store.at != NULL && (row->store == NULL || !str_is_equal(filter->store, str_of(row->store))))
		return false;
	if (filter->has_uid && (row->kind != WORK_STEPS || row->uid != filter->uid))
		return false;
	return filter->older_than_ms == 0 || engine->now.unix_ms - row->since_unix_ms >= (int64_t)filter->older_than_ms;
}

static void roster_show(struct engine *engine, const struct roster_entries *entries, struct roster_list *list)
{
	const struct work_filter *filter = list->filter;
	uint32_t states = filter->states != 0 ? filter->states : ROSTER_DEFAULT, n_shown = 0;

	for (uint32_t i = 0; i < entries->n; i++) {
		const struct roster_entry *entry = &entries->at[i];
		struct work_row row = roster_fill(entry);

		if (!roster_fits(engine, filter, &row))
			continue;
		list->n_by_state[row.state]++;
		if (!(states & BIT(row.state)) || list->has_more || roster_compare(&entry->place, &filter->after) <= 0)
			continue;
		if (n_shown == filter->limit) {
			list->has_more = true;
			continue;
		}
		list->row(list, &row);
		list->next = entry->place;
		n_shown++;
	}
}

int roster_list(struct engine *engine, struct roster_list *list)
{
	struct roster_entries entries = {.n = 0};

	memset(list->n_by_state, 0, sizeof(list->n_by_state));
	list->has_more = false;
	roster_gather(engine, &entries);
	if (entries.n > 0)
		qsort(entries.at, entries.n, sizeof(*entries.at), roster_order);
	if (!entries.has_failed)
		roster_show(engine, &entries, list);
	free(entries.at);
	return entries.has_failed ? -ENOMEM : 0;
}

/* ---- try now ---- */

static bool roster_is_store(const struct engine *engine, const struct work_order *order, uint32_t store)
{
	return order->store.at == NULL || str_is_equal(order->store, str_of(engine_store_name(engine, store)));
}

static bool roster_is_id(const struct work_order *order, const struct uuid *id)
{
	return !order->has_id || uuid_compare(&order->id, id) == 0;
}

static uint32_t roster_retry_runs(struct engine *engine, const struct work_order *order)
{
	struct list *it, *tmp;
	uint32_t n = 0;

	list_each (it, tmp, &engine->runs) {
		struct run *run = container_of(it, struct run, node);
		bool has_waited = false;

		if (!roster_is_id(order, &run->saga.id))
			continue;
		if (roster_is_store(engine, order, SAGA_TRUTH))
			has_waited = run_try_now(run, SAGA_TRUTH);
		for (uint32_t i = 0; i < engine->n_stores; i++)
			if (roster_is_store(engine, order, i))
				has_waited = run_try_now(run, i) || has_waited;
		n += has_waited;
	}
	return n;
}

/* A job waits for no store in particular: any of them may be what its last attempt met. */
static uint32_t roster_retry_jobs(struct engine *engine, const struct work_order *order)
{
	struct list *it, *tmp;
	uint32_t n = 0;

	list_each (it, tmp, &engine->accepted) {
		struct accepted *accepted = container_of(it, struct accepted, node);

		if (roster_is_id(order, &accepted->id))
			n += accepted_retry(accepted);
	}
	return n;
}

static uint32_t roster_retry_errands(struct engine *engine, const struct work_order *order)
{
	struct list *it, *tmp;
	uint32_t n = 0;

	list_each (it, tmp, &engine->errands) {
		struct errand *errand = container_of(it, struct errand, node);

		for (uint32_t i = 0; i < engine->n_stores && roster_is_id(order, &errand->saga); i++)
			if (roster_is_store(engine, order, i))
				n += errand_retry(errand, i);
	}
	return n;
}

uint32_t roster_retry(struct engine *engine, const struct work_order *order)
{
	return roster_retry_runs(engine, order) + roster_retry_jobs(engine, order) +
	       roster_retry_errands(engine, order) + flow_care_retry(engine, order);
}
