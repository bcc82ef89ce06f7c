#include "facts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void facts_init(struct facts *facts, struct trace *trace, uint32_t required)
{
	memset(facts, 0, sizeof(*facts));
	facts->trace = trace;
	facts->required = required;
}

void facts_fini(struct facts *facts)
{
	struct saga_fact *fact, *next;

	HASH_ITER(hh, facts->by_saga, fact, next)
	{
		HASH_DEL(facts->by_saga, fact);
		free(fact);
	}
}

void facts_violate(struct facts *facts, unsigned number, const char *fmt, ...)
{
	int used;
	va_list args;

	if (facts->is_violated)
		return;
	facts->is_violated = true;
	facts->invariant = number;
	used = snprintf(facts->violation, sizeof(facts->violation), "invariant %u broken: ", number);
	MUST(used > 0);
	va_start(args, fmt);
	(void)vsnprintf(facts->violation + used, sizeof(facts->violation) - (size_t)used, fmt, args); /* may be cut */
	va_end(args);
	trace_line(facts->trace, "", "broken", "%s", facts->violation);
}

struct saga_fact *facts_find(const struct facts *facts, const struct uuid *saga)
{
	struct saga_fact *fact;

	HASH_FIND(hh, facts->by_saga, saga, sizeof(*saga), fact);
	return fact;
}

struct saga_fact *facts_of(struct facts *facts, const struct uuid *saga)
{
	struct saga_fact *fact = facts_find(facts, saga);

	if (fact != NULL)
		return fact;
	fact = calloc(1, sizeof(*fact));
	MUST(fact != NULL);
	fact->saga = *saga;
	HASH_ADD(hh, facts->by_saga, saga, sizeof(fact->saga), fact);
	return fact;
}

void facts_intent_durable(struct facts *facts, const struct uuid *saga, uint32_t doc)
{
	struct saga_fact *fact = facts_of(facts, saga);

	fact->is_intent_durable = true;
	fact->doc = doc;
}

static void sent_apply(struct facts *facts, uint32_t store, struct saga_fact *fact)
{
	if (!fact->is_intent_durable)
		facts_violate(facts, 5, "apply of saga %s was sent to store %u before its intent was durable",
			      trace_id(&fact->saga), store);
	if ((fact->refused & (1u << store)) != 0)
		facts_violate(facts, 9, "apply of saga %s was sent again to store %u, which had refused it for good",
			      trace_id(&fact->saga), store);
	if (facts->max_tries > 0 && (fact->failures[store] >= facts->max_tries ||
				     fact->failures[store] + fact->deaths[store] >= 2 * facts->max_tries))
		facts_violate(facts, 9,
			      "apply of saga %s was sent again to store %u after %u failures and %u lost connections, "
			      "max_tries is %u",
			      trace_id(&fact->saga), store, fact->failures[store], fact->deaths[store],
			      facts->max_tries);
}

static void sent_remove(struct facts *facts, uint32_t store, struct saga_fact *fact, bool is_current)
{
	if (is_current)
		facts_violate(facts, 4, "removal of saga %s was sent to store %u, but it is doc-%u's version now",
			      trace_id(&fact->saga), store, fact->doc);
	fact->removed |= 1u << store;
}

void facts_sent(struct facts *facts, uint32_t store, enum leg_op op, const struct uuid *saga, uint32_t doc,
		bool is_current)
{
	struct saga_fact *fact = facts_of(facts, saga);

	fact->doc = doc;
	switch (op) {
	case LEG_APPLY:
		sent_apply(facts, store, fact);
		break;
	case LEG_PUBLISH:
		if (!fact->is_committed)
			facts_violate(facts, 6, "publish of saga %s was sent to store %u before it had committed",
				      trace_id(saga), store);
		break;
	case LEG_REMOVE:
		sent_remove(facts, store, fact, is_current && !facts->is_tainted[doc]);
		break;
	}
}

void facts_applied(struct facts *facts, uint32_t store, const struct uuid *saga, bool is_whole)
{
	struct saga_fact *fact = facts_of(facts, saga);

	if (is_whole)
		fact->applied |= 1u << store;
	else
		fact->applied &= ~(1u << store);
}

void facts_removed(struct facts *facts, uint32_t store, const struct uuid *saga, const struct uuid *touched,
		   bool is_current)
{
	struct saga_fact *fact = facts_of(facts, touched);

	if (uuid_compare(saga, touched) != 0)
		facts_violate(facts, 4, "removal of saga %s at store %u took what saga %s wrote", trace_id(saga), store,
			      trace_id(touched));
	if (is_current && !facts->is_tainted[fact->doc])
		facts_violate(facts, 4, "store %u lost the current version %s of doc-%u to a removal", store,
			      trace_id(touched), fact->doc);
	fact->applied &= ~(1u << store);
}

void facts_cut(struct facts *facts, uint32_t doc)
{
	facts->cuts[doc]++;
}

void facts_refused(struct facts *facts, uint32_t store, const struct uuid *saga)
{
	struct saga_fact *fact = facts_of(facts, saga);

	if (store == SIM_TRUTH)
		fact->is_permanent = true;
	else
		fact->refused |= 1u << store;
}

void facts_failed(struct facts *facts, uint32_t store, const struct uuid *saga, bool is_cut)
{
	struct saga_fact *fact = facts_of(facts, saga);

	if (is_cut)
		fact->deaths[store]++;
	else
		fact->failures[store]++;
}

static void committed_check_stores(struct facts *facts, const struct saga_fact *fact, bool is_delete)
{
	if (fact->removed != 0)
		facts_violate(facts, 4, "saga %s committed, but its removal had been sent (stores %#x)",
			      trace_id(&fact->saga), fact->removed);
	if (!is_delete && (fact->applied & facts->required) != facts->required)
		facts_violate(facts, 6, "saga %s of doc-%u committed with its version in stores %#x only, of %#x",
			      trace_id(&fact->saga), fact->doc, fact->applied, facts->required);
}

void facts_committed(struct facts *facts, const struct uuid *saga, uint32_t doc, bool is_delete,
		     const struct uuid *replaced)
{
	struct saga_fact *fact = facts_of(facts, saga);

	fact->doc = doc;
	if (fact->is_committed && !fact->is_lost)
		facts_violate(facts, 3, "saga %s committed twice", trace_id(saga));
	if (fact->is_failed)
		facts_violate(facts, 3, "saga %s committed after its client was told that nothing was kept",
			      trace_id(saga));
	if (fact->is_permanent)
		facts_violate(facts, 9, "saga %s was sent to PostgreSQL again, which had refused it for good",
			      trace_id(saga));
	if (replaced != NULL && uuid_compare(saga, replaced) <= 0)
		facts_violate(facts, 10, "version %s of doc-%u is not greater than %s, which it replaces",
			      trace_id(saga), doc, trace_id(replaced));
	committed_check_stores(facts, fact, is_delete);
	if (replaced != NULL)
		facts_of(facts, replaced)->replaced_ns = facts->trace->world->now_ns;
	fact->is_committed = true;
	fact->is_lost = false;
}

void facts_lost(struct facts *facts, const struct uuid *saga, uint32_t doc)
{
	facts_of(facts, saga)->is_lost = true;
	facts->is_tainted[doc] = true;
}

void facts_touched(struct facts *facts, uint32_t doc)
{
	facts->touched |= 1u << doc;
}

void facts_orphaned(struct facts *facts, const struct uuid *saga)
{
	facts_of(facts, saga)->is_orphaned = true;
}

bool facts_is_for_sweep(const struct facts *facts, const struct uuid *saga)
{
	const struct saga_fact *fact = facts_find(facts, saga);

	return fact != NULL && fact->replaced_ns != 0 &&
	       (facts->has_clock_stepped || facts->last_death_ns >= fact->replaced_ns);
}

void facts_answered_committed(struct facts *facts, const struct uuid *saga, uint32_t doc)
{
	const struct saga_fact *fact = facts_find(facts, saga);

	if (fact == NULL || !fact->is_committed)
		facts_violate(facts, 2, "saga %s of doc-%u was acknowledged as committed, and PostgreSQL never had it",
			      trace_id(saga), doc);
}

void facts_answered_failed(struct facts *facts, const struct uuid *saga, uint32_t doc)
{
	struct saga_fact *fact = facts_of(facts, saga);

	if (fact->is_committed && !fact->is_lost)
		facts_violate(facts, 3, "saga %s of doc-%u was answered as failed, but it had committed",
			      trace_id(saga), doc);
	fact->is_failed = true;
	fact->doc = doc;
}
