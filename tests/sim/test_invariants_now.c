/* The invariants of each step can fail, and so can those of the graph, of tries, and of what may be left over. */
#include "handmade.h"

#include <stdlib.h>
#include <string.h>

static void after_a_step(struct sim *sim)
{
	facts_touched(&sim->facts, HANDMADE_DOC);
	invariants_after_step(sim);
}

/* An open intent in a journal of its own. */
static struct sim_disk *open_intent(struct sim *sim, const struct uuid *saga)
{
	struct sim_disk *disk = sim_disk_add(sim);
	struct disk_intent *intent = calloc(1, sizeof(*intent));

	assert_non_null(intent);
	intent->saga = *saga;
	intent->doc = HANDMADE_DOC;
	HASH_ADD(hh, disk->intents, saga, sizeof(intent->saga), intent);
	return disk;
}

/* ---- 13: at every moment ---- */

static void a_whole_world_is_fine_now(void **state)
{
	struct sim *sim = *state;

	after_a_step(sim);
	assert_false(sim->facts.is_violated);
}

static void a_version_that_is_missing_for_a_moment_is_found(void **state)
{
	struct sim *sim = *state;
	struct held *held = sim->stores[STORE_NEO4J].held;

	HASH_DEL(sim->stores[STORE_NEO4J].held, held);
	free(held);
	after_a_step(sim);
	handmade_expect(sim, 13, "neo4j lacks version");
}

static void a_torn_version_is_found_at_once(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_QDRANT].held->n_parts = 1;
	after_a_step(sim);
	handmade_expect(sim, 13, "or parts of it");
}

static void an_entity_that_vanishes_is_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_NEO4J].entities[1].is_there = false;
	after_a_step(sim);
	handmade_expect(sim, 13, "lacks entity 1");
}

static void a_cache_ahead_of_the_truth_is_found(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	(void)open_intent(sim, &handmade_second);
	sim->stores[STORE_REDIS].live[HANDMADE_DOC].saga = handmade_second;
	after_a_step(sim);
	handmade_expect(sim, 13, "ahead of PostgreSQL");
}

/* ---- 14: somebody knows ---- */

static void what_nobody_knows_of_is_found(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	after_a_step(sim);
	handmade_expect(sim, 14, "neither journal nor debts");
}

static void what_an_intent_knows_of_is_fine(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	(void)open_intent(sim, &handmade_second);
	after_a_step(sim);
	assert_false(sim->facts.is_violated);
}

static void what_only_a_lost_journal_knew_of_is_fine(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	sim_disk_lose(open_intent(sim, &handmade_second));
	after_a_step(sim);
	invariants_at_rest(sim);
	assert_false(sim->facts.is_violated);
}

static void a_replaced_version_without_a_debt_is_found(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	(void)open_intent(sim, &handmade_second);
	handmade_commit(sim, &handmade_second);
	after_a_step(sim);
	handmade_expect(sim, 14, "neo4j holds version");
}

/* ---- 1: the graph at rest ---- */

static void an_entity_that_nothing_mentions_is_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_NEO4J].entities[4].is_there = true;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "entity 4 is there");
}

static void properties_of_an_aborted_saga_are_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_NEO4J].entities[1].updated_by = handmade_second;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "which never committed");
}

static void missing_properties_are_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_NEO4J].entities[1].updated_by = UUID_NIL;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "lacks the properties");
}

/* ---- 1: a cache that forgot ---- */

static void a_forgetful_cache_is_excused_for_a_time(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_REDIS].live[HANDMADE_DOC].saga = handmade_second;
	sim->facts.is_cache_lossy = true;
	invariants_at_rest(sim);
	assert_false(sim->facts.is_violated);
	sim->facts.is_cache_lossy = false;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "redis serves version");
}

/* ---- 9: tries ---- */

static void one_try_too_many_is_found(void **state)
{
	struct sim *sim = *state;

	facts_intent_durable(&sim->facts, &handmade_second, HANDMADE_DOC);
	sim->facts.max_tries = 2;
	facts_failed(&sim->facts, STORE_QDRANT, &handmade_second, false);
	facts_failed(&sim->facts, STORE_QDRANT, &handmade_second, true);
	facts_sent(&sim->facts, STORE_QDRANT, LEG_APPLY, &handmade_second, HANDMADE_DOC, false);
	assert_false(sim->facts.is_violated);
	facts_failed(&sim->facts, STORE_QDRANT, &handmade_second, false);
	facts_sent(&sim->facts, STORE_QDRANT, LEG_APPLY, &handmade_second, HANDMADE_DOC, false);
	handmade_expect(sim, 9, "after 2 failures and 1 lost");
}

static void one_death_too_many_is_found(void **state)
{
	struct sim *sim = *state;

	facts_intent_durable(&sim->facts, &handmade_second, HANDMADE_DOC);
	sim->facts.max_tries = 2;
	for (unsigned i = 0; i < 4; i++)
		facts_failed(&sim->facts, STORE_REDIS, &handmade_second, true);
	facts_sent(&sim->facts, STORE_REDIS, LEG_APPLY, &handmade_second, HANDMADE_DOC, false);
	handmade_expect(sim, 9, "4 lost connections");
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, handmade_set_up, handmade_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(a_whole_world_is_fine_now),
		WORLD(a_version_that_is_missing_for_a_moment_is_found),
		WORLD(a_torn_version_is_found_at_once),
		WORLD(an_entity_that_vanishes_is_found),
		WORLD(a_cache_ahead_of_the_truth_is_found),
		WORLD(what_nobody_knows_of_is_found),
		WORLD(what_an_intent_knows_of_is_fine),
		WORLD(what_only_a_lost_journal_knew_of_is_fine),
		WORLD(a_replaced_version_without_a_debt_is_found),
		WORLD(an_entity_that_nothing_mentions_is_found),
		WORLD(properties_of_an_aborted_saga_are_found),
		WORLD(missing_properties_are_found),
		WORLD(a_forgetful_cache_is_excused_for_a_time),
		WORLD(one_try_too_many_is_found),
		WORLD(one_death_too_many_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
