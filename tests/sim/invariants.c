/* What must hold after each step, and when nothing is left to do: the stores against PostgreSQL, and the journal's
 * disks. */
#include "sim.h"

#include <string.h>

static bool is_tainted(const struct sim *sim, uint32_t doc)
{
	return sim->facts.is_tainted[doc];
}

static bool is_orphaned(const struct sim *sim, const struct uuid *saga)
{
	const struct saga_fact *fact = facts_find(&sim->facts, saga);

	return fact != NULL && fact->is_orphaned;
}

static const char *store_text(const struct sim_store *server)
{
	return server->name;
}

static void check_whole(struct sim *sim, const struct sim_store *server, uint32_t doc, const struct held *held)
{
	const struct doc_row *row = &sim->truth.docs[doc];

	if (held == NULL) {
		facts_violate(&sim->facts, 1, "%s lacks version %s of doc-%u", store_text(server),
			      trace_id(&row->version), doc);
		return;
	}
	if (held->n_parts != row->n_chunks || memcmp(held->hash, row->hash, DIGEST_BYTES) != 0)
		facts_violate(&sim->facts, 1, "%s has version %s of doc-%u in part (%u of %u), or another content",
			      store_text(server), trace_id(&row->version), doc, held->n_parts, row->n_chunks);
	if (server->kind == STORE_NEO4J && row->has_properties && !held->is_published &&
	    !is_orphaned(sim, &row->version))
		facts_violate(&sim->facts, 1, "%s was never told to publish version %s of doc-%u", store_text(server),
			      trace_id(&row->version), doc);
}

/* Known to nobody, and no fault of the daemon's: the sweep finds it, or its life time ends. */
static bool is_left_over(const struct sim *sim, const struct sim_store *server, const struct uuid *saga)
{
	if (server->kind == STORE_REDIS && sim->facts.is_cache_lossy)
		return true;
	return is_orphaned(sim, saga) || (server->kind == STORE_QDRANT && facts_is_for_sweep(&sim->facts, saga));
}

/* Every version of a document has a PostgreSQL row, is a leftover of a document where commits were lost, or is wrong.
 */
static void check_store(struct sim *sim, struct sim_store *server)
{
	const struct held *held;

	sim_store_expire(server);
	for (held = server->held; held != NULL; held = held->hh.next)
		if (truth_is_current(&sim->truth, held->doc, &held->saga) || is_tainted(sim, held->doc))
			continue;
		else if (is_left_over(sim, server, &held->saga))
			sim->facts.n_swept++;
		else
			facts_violate(&sim->facts, 1, "%s holds version %s of doc-%u, which PostgreSQL doesn't have",
				      store_text(server), trace_id(&held->saga), held->doc);
	for (uint32_t doc = 0; doc < DOCS_MAX; doc++) {
		const struct doc_row *row = &sim->truth.docs[doc];
		struct held *own;

		if (!row->is_found || row->is_deleted || is_tainted(sim, doc) || server->kind == STORE_REDIS)
			continue;
		HASH_FIND(hh, server->held, &row->version, sizeof(row->version), own);
		check_whole(sim, server, doc, own);
	}
}

/* The cache has the version or, when its life time is over or a crash cost it, nothing. */
static void check_cache(struct sim *sim, const struct sim_store *server)
{
	for (uint32_t doc = 0; doc < DOCS_MAX && !sim->facts.is_cache_lossy; doc++) {
		const struct live_value *live = &server->live[doc];
		const struct doc_row *row = &sim->truth.docs[doc];

		if (is_tainted(sim, doc))
			continue;
		if (live->is_set && (!truth_is_current(&sim->truth, doc, &live->saga) ||
				     memcmp(live->hash, row->hash, DIGEST_BYTES) != 0))
			facts_violate(&sim->facts, 1, "%s serves version %s of doc-%u, which PostgreSQL doesn't have",
				      store_text(server), trace_id(&live->saga), doc);
		if (!live->is_set && row->is_found && !row->is_deleted && sim->n_daemons == 1 &&
		    (int64_t)world_moment(&sim->world).unix_ms - row->updated_unix_ms < 60000 &&
		    sim->world.step_ms == 0)
			facts_violate(&sim->facts, 1, "%s serves nothing for doc-%u, which was written a minute ago",
				      store_text(server), doc);
	}
}

static void check_truth(struct sim *sim)
{
	const struct saga_fact *fact;

	for (uint32_t i = 0; i < sim->truth.n_debts; i++)
		if (!is_tainted(sim, sim->truth.debts[i].doc))
			facts_violate(&sim->facts, 1, "a debt to %s of saga %s is open, and nobody works on it",
				      sim->truth.debts[i].debt.store, trace_id(&sim->truth.debts[i].debt.saga));
	for (fact = sim->facts.by_saga; fact != NULL; fact = fact->hh.next) {
		const struct ledger_entry *entry = sim_truth_ledger(&sim->truth, &fact->saga);

		if (fact->is_committed && !fact->is_lost && (entry == NULL || entry->row.outcome != LEDGER_COMMITTED))
			facts_violate(&sim->facts, 2, "saga %s of doc-%u had committed, and the ledger lacks it",
				      trace_id(&fact->saga), fact->doc);
	}
}

static void check_disks(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->n_disks; i++) {
		const struct disk_intent *intent = sim->disks[i].intents;

		if (intent != NULL && !sim->disks[i].is_lost)
			facts_violate(&sim->facts, 8, "the intent of saga %s of doc-%u is open in journal %u",
				      trace_id(&intent->saga), intent->doc, i);
	}
}

/* ---- the graph ---- */

static void check_properties(struct sim *sim, const struct sim_store *server, uint32_t i)
{
	const struct shared_entity *entity = &server->entities[i];
	const struct saga_fact *fact = facts_find(&sim->facts, &entity->updated_by);
	const struct held *held;

	if (!uuid_is_nil(&entity->updated_by) && (fact == NULL || !fact->is_committed))
		facts_violate(&sim->facts, 1, "entity %u has properties of saga %s, which never committed", i,
			      trace_id(&entity->updated_by));
	for (held = server->held; held != NULL; held = held->hh.next)
		if (held->is_published && (held->properties >> i & 1) != 0 &&
		    uuid_compare(&entity->updated_by, &held->saga) < 0)
			facts_violate(&sim->facts, 1, "entity %u lacks the properties that version %s gave it", i,
				      trace_id(&held->saga));
}

static void check_graph(struct sim *sim, const struct sim_store *server)
{
	uint32_t mentioned = sim_graph_mentioned(server);

	for (uint32_t i = 0; i < ENTITIES_MAX; i++) {
		bool is_mentioned = (mentioned >> i & 1) != 0;

		if (server->entities[i].is_there != is_mentioned)
			facts_violate(&sim->facts, 1, "entity %u %s", i,
				      is_mentioned ? "has vanished, and a version mentions it"
						   : "is there, and nothing mentions it");
		else if (is_mentioned)
			check_properties(sim, server, i);
	}
}

/* ---- after each step ---- */

static bool has_open_intent(const struct sim *sim, const struct uuid *saga)
{
	for (uint32_t i = 0; i < sim->n_disks; i++) {
		const struct disk_intent *intent;

		HASH_FIND(hh, sim->disks[i].intents, saga, sizeof(*saga), intent);
		if (intent != NULL && !sim->disks[i].is_lost)
			return true;
	}
	return false;
}

static bool has_debt(const struct sim *sim, const struct sim_store *server, const struct uuid *saga)
{
	for (uint32_t i = 0; i < sim->truth.n_debts; i++) {
		const struct debt *debt = &sim->truth.debts[i].debt;

		if (uuid_compare(&debt->saga, saga) == 0 && strcmp(debt->store, server->name) == 0)
			return true;
	}
	return false;
}

/* Without fences a replaced version may come back; its second removal is in memory, and at rest it must be gone. */
static bool is_coming_back(const struct sim *sim, const struct sim_store *server, const struct uuid *saga)
{
	const struct saga_fact *fact = facts_find(&sim->facts, saga);

	return !server->has_fences && fact != NULL && fact->replaced_ns != 0;
}

static void check_held(struct sim *sim, const struct sim_store *server, const struct held *held)
{
	const struct uuid *saga = &held->saga;

	if (truth_is_current(&sim->truth, held->doc, saga) || has_open_intent(sim, saga) ||
	    has_debt(sim, server, saga) || is_coming_back(sim, server, saga) || is_left_over(sim, server, saga))
		return;
	facts_violate(&sim->facts, 14, "%s holds version %s of doc-%u, and neither journal nor debts know of it",
		      store_text(server), trace_id(saga), held->doc);
}

static void check_store_now(struct sim *sim, struct sim_store *server, uint32_t doc)
{
	const struct doc_row *row = &sim->truth.docs[doc];
	const struct held *held, *own = NULL;

	for (held = server->held; held != NULL; held = held->hh.next) {
		if (held->doc != doc)
			continue;
		check_held(sim, server, held);
		if (uuid_compare(&held->saga, &row->version) == 0)
			own = held;
	}
	if (server->kind == STORE_REDIS || !row->is_found || row->is_deleted)
		return;
	if (own == NULL || own->n_parts != row->n_chunks || memcmp(own->hash, row->hash, DIGEST_BYTES) != 0)
		facts_violate(&sim->facts, 13, "%s lacks version %s of doc-%u, or parts of it, at this moment",
			      store_text(server), trace_id(&row->version), doc);
	for (uint32_t i = 0; i < ENTITIES_MAX && own != NULL; i++)
		if (server->kind == STORE_NEO4J && (own->entities >> i & 1) != 0 && !server->entities[i].is_there)
			facts_violate(&sim->facts, 13, "%s lacks entity %u, which version %s of doc-%u mentions",
				      store_text(server), i, trace_id(&row->version), doc);
}

static void check_cache_now(struct sim *sim, uint32_t doc)
{
	const struct live_value *live = &sim->stores[STORE_REDIS].live[doc];
	const struct saga_fact *fact = facts_find(&sim->facts, &live->saga);

	if (live->is_set &&
	    (fact == NULL || !fact->is_committed || uuid_compare(&live->saga, &sim->truth.docs[doc].version) > 0))
		facts_violate(&sim->facts, 13, "redis serves version %s of doc-%u, which is ahead of PostgreSQL",
			      trace_id(&live->saga), doc);
}

void invariants_after_step(struct sim *sim)
{
	uint32_t touched = sim->facts.touched;

	sim->facts.touched = 0;
	if (!sim->run->has_faults) /* then only what a user could see, at rest: what faults prove is proved with faults
				    */
		return;
	for (uint32_t doc = 0; touched != 0; doc++, touched >>= 1) {
		if ((touched & 1) == 0 || is_tainted(sim, doc))
			continue;
		for (uint32_t i = 0; i < SIM_STORES; i++)
			check_store_now(sim, &sim->stores[i], doc);
		check_cache_now(sim, doc);
	}
}

/* ---- at rest ---- */

void invariants_at_rest(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_STORES; i++)
		check_store(sim, &sim->stores[i]);
	check_graph(sim, &sim->stores[STORE_NEO4J]);
	check_cache(sim, &sim->stores[STORE_REDIS]);
	check_truth(sim);
	check_disks(sim);
	clients_check_accepted(&sim->clients);
	flow_facts_at_rest(&sim->flow_facts);
}
