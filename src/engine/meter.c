#include "meter.h"

#include "base/must.h"

#include <string.h>

_Static_assert(METER_TRUTH_STORE == SAGA_TRUTH, "one index names a store everywhere");

void meter_init(struct meter *meter)
{
	memset(meter, 0, sizeof(*meter));
	histogram_init(&meter->saga_ns, HISTOGRAM_LEAST_NS);
	for (unsigned i = 0; i < SAGA_STATES; i++)
		histogram_init(&meter->state_ns[i], HISTOGRAM_LEAST_NS);
	for (unsigned i = 0; i < METER_STORES; i++) {
		histogram_init(&meter->stores[i].batch, 1);
		for (unsigned op = 0; op < METER_OPERATIONS; op++)
			histogram_init(&meter->stores[i].latency_ns[op], HISTOGRAM_LEAST_NS);
	}
}

const char *meter_outcome_name(enum meter_outcome outcome)
{
	static const char *const names[METER_OUTCOMES] = {
		[METER_COMMITTED] = "committed", [METER_DELETED] = "deleted",   [METER_UNCHANGED] = "unchanged",
		[METER_ABSENT] = "absent",       [METER_REPLAYED] = "replayed", [METER_REJECTED] = "rejected",
		[METER_FAILED] = "failed",
	};

	MUST((unsigned)outcome < METER_OUTCOMES);
	return names[outcome];
}

static enum meter_outcome outcome_of(const struct outcome *outcome)
{
	if (outcome->is_stored)
		return METER_REPLAYED;
	switch (outcome->kind) {
	case OUTCOME_COMMITTED:
	case OUTCOME_ACCEPTED: /* never a saga's answer */
		return METER_COMMITTED;
	case OUTCOME_UNCHANGED:
		return METER_UNCHANGED;
	case OUTCOME_DELETED:
		return METER_DELETED;
	case OUTCOME_ABSENT:
		return METER_ABSENT;
	case OUTCOME_FAILED:
		return code_class(outcome->code) == CODE_CLASS_CALLER ? METER_REJECTED : METER_FAILED;
	}
	MUST(!"an outcome that is none");
	return METER_FAILED;
}

/* Copies as many whole characters as fit. */
static void text_keep(char *to, size_t size, struct str text)
{
	size_t n = text.len < size - 1 ? text.len : size - 1;

	while (n < text.len && n > 0 && ((unsigned char)text.at[n] & 0xc0) == 0x80)
		n--;
	if (n > 0)
		memcpy(to, text.at, n);
	to[n] = '\0';
}

static void failure_fill(struct meter_failure *failure, struct str document_id, const char *store, const char *code,
			 const struct err *reason, int64_t unix_ms)
{
	memset(failure, 0, sizeof(*failure));
	failure->unix_ms = unix_ms;
	text_keep(failure->document_id, sizeof(failure->document_id), document_id);
	text_keep(failure->store, sizeof(failure->store), str_of(store));
	failure->code = code;
	failure->reason = *reason;
}

/* Two writers that meet, or a key used twice, are told so and know what to do: no operator needs to look. */
static bool failure_is_worth_a_look(const struct outcome *outcome)
{
	return !outcome->is_stored && outcome->code != CODE_CONFLICT && outcome->code != CODE_KEY_REUSED;
}

void meter_answer(struct meter *meter, const struct outcome *outcome, struct str document_id, uint64_t took_ns,
		  int64_t unix_ms)
{
	meter->n_outcomes[outcome_of(outcome)]++;
	histogram_add(&meter->saga_ns, took_ns);
	if (outcome->kind != OUTCOME_FAILED)
		return;
	meter->n_failures[outcome->code]++;
	if (failure_is_worth_a_look(outcome))
		failure_fill(&meter->failures[meter->n_recorded++ % METER_FAILURES], document_id, outcome->store,
			     code_name(outcome->code), &outcome->err, unix_ms);
}

void meter_parked(struct meter *meter, uint32_t store, const char *store_name, const struct uuid *saga,
		  struct str document_id, const struct err *reason, int64_t unix_ms)
{
	uint32_t n = meter->n_parked_kept < METER_FAILURES ? meter->n_parked_kept : METER_FAILURES - 1;

	meter->stores[store].n_parked++;
	memmove(&meter->parked[1], &meter->parked[0], n * sizeof(meter->parked[0]));
	failure_fill(&meter->parked[0], document_id, store_name, "parked", reason, unix_ms);
	meter->parked[0].saga = *saga;
	meter->n_parked_kept = n + 1;
}

void meter_unparked(struct meter *meter, uint32_t store, const char *store_name, const struct uuid *saga)
{
	meter->stores[store].n_parked--;
	for (uint32_t i = 0; i < meter->n_parked_kept; i++) {
		struct meter_failure *parked = &meter->parked[i];

		if (uuid_compare(&parked->saga, saga) != 0 || strcmp(parked->store, store_name) != 0)
			continue;
		meter->n_parked_kept--;
		memmove(parked, parked + 1, (meter->n_parked_kept - i) * sizeof(*parked));
		return;
	}
}

void meter_request(struct meter_store *store, uint32_t operation, uint32_t n_writes, uint64_t took_ns)
{
	MUST(operation < METER_OPERATIONS);
	histogram_add(&store->latency_ns[operation], took_ns);
	if (n_writes > 0)
		histogram_add(&store->batch, n_writes);
}

const struct meter_failure *meter_failure(const struct meter *meter, uint32_t i)
{
	if (i >= METER_FAILURES || i >= meter->n_recorded)
		return NULL;
	return &meter->failures[(meter->n_recorded - 1 - i) % METER_FAILURES];
}
