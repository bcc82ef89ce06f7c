/* What must hold when nothing is left to do: the stores against PostgreSQL, and the journal's disks. */
#include "sim.h"

#include <string.h>

static bool is_tainted(const struct sim *sim, uint32_t doc)
{
	return sim->facts.is_tainted[doc];
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
	if (server->kind == STORE_NEO4J && row->has_properties && !held->is_published)
		facts_violate(&sim->facts, 1, "%s was never told to publish version %s of doc-%u", store_text(server),
			      trace_id(&row->version), doc);
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
		else if (server->kind == STORE_QDRANT && facts_is_for_sweep(&sim->facts, &held->saga))
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
	for (uint32_t doc = 0; doc < DOCS_MAX; doc++) {
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

		if (intent != NULL)
			facts_violate(&sim->facts, 8, "the intent of saga %s of doc-%u is open in journal %u",
				      trace_id(&intent->saga), intent->doc, i);
	}
}

void invariants_at_rest(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_STORES; i++)
		check_store(sim, &sim->stores[i]);
	check_cache(sim, &sim->stores[STORE_REDIS]);
	check_truth(sim);
	check_disks(sim);
	clients_check_accepted(&sim->clients);
}
