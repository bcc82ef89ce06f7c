#include "handmade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct uuid handmade_first = {{1, 2, 3, 4, 5, 6, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}};
const struct uuid handmade_second = {{1, 2, 3, 4, 5, 7, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 2}};

struct write_copy handmade_write(const struct uuid *saga)
{
	return (struct write_copy){
		.op = LEG_APPLY,
		.saga = *saga,
		.doc = HANDMADE_DOC,
		.has_document = true,
		.n_whole = 2,
		.n_chunks = STORE_CHUNKS_UNKNOWN,
		.entities = 1u << 1,
		.properties = 1u << 1,
	};
}

struct pivot_copy handmade_pivot(const struct uuid *saga)
{
	return (struct pivot_copy){
		.saga = *saga,
		.doc = HANDMADE_DOC,
		.row = {.is_found = true, .version = *saga, .n_chunks = 2, .has_properties = true},
	};
}

void handmade_apply(struct sim *sim, const struct uuid *saga)
{
	struct write_copy write = handmade_write(saga);

	facts_intent_durable(&sim->facts, saga, HANDMADE_DOC);
	for (uint32_t i = 0; i < SIM_STORES; i++)
		assert_true(sim_store_apply(&sim->stores[i], &write, 2));
}

void handmade_commit(struct sim *sim, const struct uuid *saga)
{
	struct pivot_copy pivot = handmade_pivot(saga);

	pivot.is_expected = sim->truth.docs[HANDMADE_DOC].is_found;
	pivot.expected = sim->truth.docs[HANDMADE_DOC].version;
	sim_truth_commit(&sim->truth, &pivot);
	sim_truth_end(&sim->truth);
}

void handmade_publish(struct sim *sim, const struct uuid *saga)
{
	struct write_copy write = handmade_write(saga);

	for (uint32_t i = 0; i < SIM_STORES; i++)
		sim_store_publish(&sim->stores[i], &write);
}

int handmade_set_up(void **state)
{
	static struct sim_case run;
	struct sim *sim = malloc(sizeof(*sim));

	assert_non_null(sim);
	run = case_of_seed(1, false);
	sim_init(sim, &run, TRACE_OFF);
	handmade_apply(sim, &handmade_first);
	handmade_commit(sim, &handmade_first);
	handmade_publish(sim, &handmade_first);
	run.has_faults = true; /* the invariants of each step are looked at then; none is drawn */
	invariants_after_step(sim);
	assert_false(sim->facts.is_violated);
	*state = sim;
	return 0;
}

int handmade_tear_down(void **state)
{
	sim_fini(*state);
	free(*state);
	return 0;
}

void handmade_expect(const struct sim *sim, unsigned number, const char *words)
{
	char start[64];

	(void)snprintf(start, sizeof(start), "invariant %u broken: ", number);
	assert_true(sim->facts.is_violated);
	assert_memory_equal(sim->facts.violation, start, strlen(start));
	if (strstr(sim->facts.violation, words) == NULL)
		fail_msg("'%s' isn't in '%s'", words, sim->facts.violation);
}
