/* What is known of each saga, told by the fakes and the clients as it happens, and the claims that must hold then.
 *
 * The fakes obey; the judge stands here. Every claim that fails is noted once, as a text, with the time; the run ends
 * there. Numbers are those of the invariants:
 *
 *   1  at rest each store holds the version PostgreSQL has of each document, whole, and nothing else; the graph has
 *      the entities that its versions mention, and no properties of a saga that never committed
 *   2  what was acknowledged is in PostgreSQL; every accepted job ends
 *   3  one terminal answer; the same key gives the same one; what was answered as failed never becomes visible
 *   4  a removal touches its own saga only, and a dead or replaced one at that
 *   5  nothing is sent to a store before the intent is durable
 *   6  the pivot comes when every store has the version
 *   7  bounds hold
 *   8  every saga ends
 *   9  a permanent refusal is not tried again, other failures max_tries times; as often again what may have killed
 *      the store
 *  10  a version is greater than the one it replaces
 *  11  a poison document fails alone
 *  12  the ports' contracts hold: sizes, counts, memory kept until done()
 *  13  at every moment Qdrant and Neo4j hold PostgreSQL's version whole, entities included, and the cache is never
 * ahead 14  at every moment somebody knows of whatever else a store holds: an open intent, a debt, a removal to come */
#ifndef SAGAD_SIM_FACTS_H
#define SAGAD_SIM_FACTS_H

#include "base/digest.h"
#include "base/uuid.h"
#include "content.h"
#include "port/store.h"
#include "trace.h"

#include <uthash.h>

struct saga_fact {
	struct uuid saga;
	uint32_t doc;
	bool is_intent_durable;
	bool is_committed;
	bool is_lost;                  /* PostgreSQL forgot the commit */
	bool is_orphaned;              /* its intent was in a journal that is lost: nobody knows what it left */
	bool is_failed;                /* its client was told that nothing was kept */
	bool is_permanent;             /* PostgreSQL refused its pivot for good, alone */
	uint32_t applied;              /* bit i: store i has had all of it */
	uint32_t removed;              /* bit i: its removal was sent to store i */
	uint32_t refused;              /* bit i: store i refused its apply for good, alone */
	uint32_t failures[SIM_STORES]; /* how often its apply failed, for a reason that may be its own */
	uint32_t deaths[SIM_STORES];   /* ... by the end of a connection that it had for itself */
	uint64_t replaced_ns;          /* when a later version took its place; 0: none has */
	UT_hash_handle hh;
};

struct facts {
	struct trace *trace; /* borrowed */
	struct saga_fact *by_saga;
	uint32_t required;         /* bit i: store i must have a version before the pivot */
	uint32_t cuts[DOCS_MAX];   /* how often a connection ended with this document alone on it */
	uint32_t max_tries;        /* of an apply that fails; 0: not limited */
	bool is_tainted[DOCS_MAX]; /* PostgreSQL lost commits of this document: only an operator puts it right */
	bool is_cache_lossy;       /* Redis lost writes that it had acknowledged: what it holds may be old */
	uint32_t touched;          /* bit i: this step has changed something of document i */
	uint64_t last_death_ns;    /* when a daemon died last; 0: never */
	bool has_clock_stepped;
	uint32_t n_swept; /* what was left for the sweep */
	bool is_violated;
	unsigned invariant; /* which */
	char violation[TRACE_LINE_BYTES];
};

void facts_init(struct facts *facts, struct trace *trace, uint32_t required);
void facts_fini(struct facts *facts);

/* Notes that invariant `number` is broken; the first one stays. */
void facts_violate(struct facts *facts, unsigned number, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The saga's facts, made when it is new; facts_find() gives NULL then. */
struct saga_fact *facts_of(struct facts *facts, const struct uuid *saga);
struct saga_fact *facts_find(const struct facts *facts, const struct uuid *saga);

void facts_intent_durable(struct facts *facts, const struct uuid *saga, uint32_t doc);

/* A write goes out. `is_current`: PostgreSQL has this saga's version now. */
void facts_sent(struct facts *facts, uint32_t store, enum leg_op op, const struct uuid *saga, uint32_t doc,
		bool is_current);

/* The store has all of this version, or (whole == false) has lost it by a removal. */
void facts_applied(struct facts *facts, uint32_t store, const struct uuid *saga, bool is_whole);

/* A removal had its effect on what belongs to `touched`. */
void facts_removed(struct facts *facts, uint32_t store, const struct uuid *saga, const struct uuid *touched,
		   bool is_current);

/* A request with this document alone was cut off. As often as max_tries it may be blamed, whatever the cause: no store
 * can tell. */
void facts_cut(struct facts *facts, uint32_t doc);

/* A permanent verdict for this saga's apply alone was delivered. */
void facts_refused(struct facts *facts, uint32_t store, const struct uuid *saga);

/* Its apply failed otherwise, alone or by itself; `is_cut`: by the end of a connection that it had for itself. */
void facts_failed(struct facts *facts, uint32_t store, const struct uuid *saga, bool is_cut);

/* PostgreSQL's transaction with this saga committed. `replaced` is NULL for a document without a row. */
void facts_committed(struct facts *facts, const struct uuid *saga, uint32_t doc, bool is_delete,
		     const struct uuid *replaced);

/* Something of this document has changed: invariants_after_step() looks at it. */
void facts_touched(struct facts *facts, uint32_t doc);

/* The saga's intent is gone with its journal. */
void facts_orphaned(struct facts *facts, const struct uuid *saga);

/* PostgreSQL went back behind this commit. */
void facts_lost(struct facts *facts, const struct uuid *saga, uint32_t doc);

/* May a store without fences hold this version although it was replaced? A repeated request that comes after the first
 * removal is met by the second, which only the daemon's memory knows of, for versions that are
 * young by the clock: a crash, or a clock that is set, leaves the rest to the sweep. */
bool facts_is_for_sweep(const struct facts *facts, const struct uuid *saga);

/* A client was told that this saga committed. */
void facts_answered_committed(struct facts *facts, const struct uuid *saga, uint32_t doc);

/* A client was told that it failed and nothing was kept. */
void facts_answered_failed(struct facts *facts, const struct uuid *saga, uint32_t doc);

#endif
