/* Every invariant can fail: worlds made by hand, each with one thing wrong, and the one that must find it. Those that
 * are looked at after each step are in test_invariants_now.c. */
#include "handmade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- at rest ---- */

static void a_whole_world_is_fine(void **state)
{
	struct sim *sim = *state;

	invariants_at_rest(sim);
	assert_false(sim->facts.is_violated);
}

static void an_orphan_is_found(void **state)
{
	struct sim *sim = *state;
	struct write_copy write = handmade_write(&handmade_second);

	facts_intent_durable(&sim->facts, &handmade_second, HANDMADE_DOC);
	assert_true(sim_store_apply(&sim->stores[STORE_NEO4J], &write, 2));
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "neo4j holds version");
}

static void a_missing_version_is_found(void **state)
{
	struct sim *sim = *state;
	struct held *held = sim->stores[STORE_QDRANT].held;

	HASH_DEL(sim->stores[STORE_QDRANT].held, held);
	free(held);
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "qdrant lacks version");
}

static void a_torn_version_is_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_QDRANT].held->n_parts = 1;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "in part (1 of 2)");
}

static void another_content_is_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_NEO4J].held->hash[0] ^= 1;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "another content");
}

static void an_unpublished_graph_is_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_NEO4J].held->is_published = false;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "never told to publish");
}

static void a_stale_cache_is_found(void **state)
{
	struct sim *sim = *state;

	sim->stores[STORE_REDIS].live[HANDMADE_DOC].saga = handmade_second;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "redis serves version");
}

static void a_deleted_document_in_a_store_is_a_ghost(void **state)
{
	struct sim *sim = *state;

	sim->truth.docs[HANDMADE_DOC].is_deleted = true;
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "qdrant holds version");
}

static void a_forgotten_debt_is_found(void **state)
{
	struct sim *sim = *state;
	struct debt debt = {.store = "qdrant", .op = LEG_REMOVE, .saga = handmade_first, .owner = handmade_second};
	struct pivot_copy pivot = handmade_pivot(&handmade_second);

	handmade_apply(sim, &handmade_second);
	pivot.is_expected = true;
	pivot.expected = handmade_first;
	pivot.debts = &debt;
	pivot.n_debts = 1;
	sim_truth_commit(&sim->truth, &pivot);
	for (uint32_t i = 0; i < SIM_STORES; i++) {
		struct write_copy old = handmade_write(&handmade_first);

		sim_store_remove(&sim->stores[i], &old);
	}
	handmade_publish(sim, &handmade_second);
	invariants_at_rest(sim);
	handmade_expect(sim, 1, "a debt to qdrant");
}

static void a_lost_commit_is_found(void **state)
{
	struct sim *sim = *state;
	struct ledger_entry *entry = sim->truth.ledger;

	HASH_DEL(sim->truth.ledger, entry);
	free(entry);
	invariants_at_rest(sim);
	handmade_expect(sim, 2, "the ledger lacks it");
}

static void an_open_intent_is_found(void **state)
{
	struct sim *sim = *state;
	struct disk_intent *intent = calloc(1, sizeof(*intent));
	struct sim_disk *disk = sim_disk_add(sim);

	assert_non_null(intent);
	intent->saga = handmade_second;
	HASH_ADD(hh, disk->intents, saga, sizeof(intent->saga), intent);
	invariants_at_rest(sim);
	handmade_expect(sim, 8, "is open in journal 0");
}

/* An accepted job as the clients know it, and as the disk has it: state UNKNOWN makes no row. */
static void accept_job(struct sim *sim, enum journal_job_state row_state, const char *code)
{
	struct sim_disk *disk = sim_disk_add(sim);
	struct disk_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->id = handmade_second;
	job->row.state = row_state;
	job->row.made = handmade_second;
	(void)snprintf(job->row.code, sizeof(job->row.code), "%s", code);
	if (row_state == JOB_UNKNOWN)
		free(job);
	else
		HASH_ADD(hh, disk->jobs, id, sizeof(job->id), job);
	sim->clients.accepted = calloc(1, sizeof(*sim->clients.accepted));
	assert_non_null(sim->clients.accepted);
	sim->clients.accepted[0] = (struct accepted_job){handmade_second, disk, HANDMADE_DOC};
	sim->clients.n_accepted = 1;
}

static void a_forgotten_job_is_found(void **state)
{
	accept_job(*state, JOB_UNKNOWN, "");
	invariants_at_rest(*state);
	handmade_expect(*state, 2, "has not ended");
}

static void a_waiting_job_is_found(void **state)
{
	accept_job(*state, JOB_WAITING, "");
	invariants_at_rest(*state);
	handmade_expect(*state, 2, "has not ended");
}

static void a_job_that_gave_up_is_found(void **state)
{
	accept_job(*state, JOB_FAILED, "store_unavailable");
	invariants_at_rest(*state);
	handmade_expect(*state, 2, "which is not for good");
}

static void a_job_done_by_nobody_is_found(void **state)
{
	accept_job(*state, JOB_DONE, "");
	invariants_at_rest(*state);
	handmade_expect(*state, 2, "which never committed");
}

/* ---- as it happens ---- */

static void an_apply_before_its_intent_is_found(void **state)
{
	struct sim *sim = *state;

	facts_sent(&sim->facts, STORE_QDRANT, LEG_APPLY, &handmade_second, HANDMADE_DOC, false);
	handmade_expect(sim, 5, "before its intent was durable");
}

static void a_commit_before_a_store_has_it_is_found(void **state)
{
	struct sim *sim = *state;
	struct write_copy write = handmade_write(&handmade_second);

	assert_true(sim_store_apply(&sim->stores[STORE_QDRANT], &write, 2));
	assert_true(sim_store_apply(&sim->stores[STORE_NEO4J], &write, 2));
	handmade_commit(sim, &handmade_second);
	handmade_expect(sim, 6, "in stores 0x3 only");
}

static void a_commit_of_half_a_version_is_found(void **state)
{
	struct sim *sim = *state;
	struct write_copy write = handmade_write(&handmade_second);

	for (uint32_t i = 0; i < SIM_STORES; i++)
		assert_true(sim_store_apply(&sim->stores[i], &write, i == STORE_QDRANT ? 1 : 2));
	handmade_commit(sim, &handmade_second);
	handmade_expect(sim, 6, "in stores 0x6 only");
}

static void a_publish_before_the_commit_is_found(void **state)
{
	struct sim *sim = *state;

	facts_sent(&sim->facts, STORE_REDIS, LEG_PUBLISH, &handmade_second, HANDMADE_DOC, false);
	handmade_expect(sim, 6, "before it had committed");
}

static void a_removal_of_the_current_version_is_found(void **state)
{
	struct sim *sim = *state;
	struct write_copy write = handmade_write(&handmade_first);

	sim_store_remove(&sim->stores[STORE_QDRANT], &write);
	handmade_expect(sim, 4, "lost the current version");
}

static void a_removal_that_is_on_its_way_is_found(void **state)
{
	struct sim *sim = *state;

	facts_sent(&sim->facts, STORE_QDRANT, LEG_REMOVE, &handmade_first, HANDMADE_DOC, true);
	handmade_expect(sim, 4, "is doc-3's version now");
}

static void a_removal_of_another_saga_is_found(void **state)
{
	struct sim *sim = *state;

	facts_removed(&sim->facts, STORE_QDRANT, &handmade_second, &handmade_first, false);
	handmade_expect(sim, 4, "took what saga");
}

static void a_commit_after_its_removal_is_found(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	facts_sent(&sim->facts, STORE_QDRANT, LEG_REMOVE, &handmade_second, HANDMADE_DOC, false);
	handmade_commit(sim, &handmade_second);
	handmade_expect(sim, 4, "its removal had been sent");
}

static void a_permanent_error_that_is_retried_is_found(void **state)
{
	struct sim *sim = *state;

	facts_intent_durable(&sim->facts, &handmade_second, HANDMADE_DOC);
	facts_refused(&sim->facts, STORE_NEO4J, &handmade_second);
	facts_sent(&sim->facts, STORE_NEO4J, LEG_APPLY, &handmade_second, HANDMADE_DOC, false);
	handmade_expect(sim, 9, "refused it for good");
}

static void a_smaller_version_is_found(void **state)
{
	struct sim *sim = *state;
	struct uuid smaller = handmade_first;

	smaller.bytes[0] = 0;
	handmade_apply(sim, &smaller);
	handmade_commit(sim, &smaller);
	handmade_expect(sim, 10, "is not greater than");
}

static void a_poison_that_commits_is_found(void **state)
{
	struct sim *sim = *state;
	struct pivot_copy pivot = handmade_pivot(&handmade_second);

	handmade_apply(sim, &handmade_second);
	pivot.is_expected = true;
	pivot.expected = handmade_first;
	pivot.mark = (struct poison_mark){POISON_BATCH, SIM_TRUTH};
	sim_truth_commit(&sim->truth, &pivot);
	handmade_expect(sim, 11, "poison saga");
}

static void an_empty_acknowledgement_is_found(void **state)
{
	struct sim *sim = *state;

	facts_answered_committed(&sim->facts, &handmade_second, HANDMADE_DOC);
	handmade_expect(sim, 2, "PostgreSQL never had it");
}

static void a_failure_that_commits_later_is_found(void **state)
{
	struct sim *sim = *state;

	handmade_apply(sim, &handmade_second);
	facts_answered_failed(&sim->facts, &handmade_second, HANDMADE_DOC);
	handmade_commit(sim, &handmade_second);
	handmade_expect(sim, 3, "told that nothing was kept");
}

static void a_commit_answered_as_failed_is_found(void **state)
{
	struct sim *sim = *state;

	facts_answered_failed(&sim->facts, &handmade_first, HANDMADE_DOC);
	handmade_expect(sim, 3, "but it had committed");
}

/* ---- with an engine ---- */

static struct client_job *put_and_run(struct sim *sim)
{
	(void)daemon_start(sim, sim_disk_add(sim), false);
	while (sim->current->stats.phase != ENGINE_RUNNING)
		assert_true(world_step(&sim->world));
	clients_probe(&sim->clients);
	while (sim->clients.n_open > 0 && !sim->facts.is_violated)
		assert_true(world_step(&sim->world));
	return container_of(sim->clients.jobs.prev, struct client_job, node);
}

static void a_second_answer_is_found(void **state)
{
	struct sim *sim = *state;
	struct client_job *job = put_and_run(sim);
	struct outcome outcome = {.kind = OUTCOME_ABSENT};

	assert_false(sim->facts.is_violated);
	job->job.done(&job->job, &outcome);
	handmade_expect(sim, 3, "a second answer");
}

static void a_blamed_innocent_is_found(void **state)
{
	struct sim *sim = *state;
	struct client_job *job = put_and_run(sim);
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = CODE_STORE_REFUSED, .err = {"refused"}};

	job->n_answers = 0;
	job->job.done(&job->job, &outcome);
	handmade_expect(sim, 11, "the document is innocent");
}

static void a_key_that_remembers_a_passing_failure_is_found(void **state)
{
	struct sim *sim = *state;
	struct client_job *job = put_and_run(sim);
	struct outcome outcome = {
		.kind = OUTCOME_FAILED, .code = CODE_DEADLINE_EXCEEDED, .err = {"late"}, .is_stored = true};
	struct key_fact *fact = calloc(1, sizeof(*fact));

	assert_non_null(fact);
	strcpy(fact->key, "key-of-a-test");
	HASH_ADD_STR(sim->clients.keys, key, fact);
	strcpy(job->want.key, fact->key);
	job->n_answers = 0;
	job->job.done(&job->job, &outcome);
	handmade_expect(sim, 3, "a failure that may pass");
}

static void a_daemon_that_writes_on_after_a_loss_is_found(void **state)
{
	struct sim *sim = *state;

	(void)put_and_run(sim);
	assert_false(sim->facts.is_violated);
	sim->current->lost_commit = sim->current->last_commit;
	clients_probe(&sim->clients);
	while (sim->clients.n_open > 0 && !sim->facts.is_violated)
		assert_true(world_step(&sim->world));
	handmade_expect(sim, 2, "writes on");
}

static void a_conflict_with_nobody_is_found(void **state)
{
	struct sim *sim = *state;
	struct client_job *job = put_and_run(sim);
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = CODE_CONFLICT, .err = {"another writer"}};

	job->n_answers = 0;
	job->job.done(&job->job, &outcome);
	handmade_expect(sim, 11, "nobody else writes");
}

static void too_many_sagas_are_found(void **state)
{
	struct sim *sim = *state;

	(void)daemon_start(sim, sim_disk_add(sim), false);
	while (sim->current->stats.phase != ENGINE_RUNNING)
		assert_true(world_step(&sim->world));
	sim->config.max_sagas = 0; /* the engine has a copy of its own, and goes by that */
	clients_probe(&sim->clients);
	while (sim->clients.n_open > 0 && !sim->facts.is_violated)
		assert_true(world_step(&sim->world));
	handmade_expect(sim, 7, "sagas, at most are 0");
}

static void a_daemon_that_outlives_its_journal_is_found(void **state)
{
	struct sim *sim = *state;

	(void)put_and_run(sim);
	sim->current->is_told_of_failure = true;
	daemon_touch(sim->current);
	while (!sim->facts.is_violated)
		assert_true(world_step(&sim->world));
	handmade_expect(sim, 2, "the daemon goes on");
}

#define WORLD(test) cmocka_unit_test_setup_teardown(test, handmade_set_up, handmade_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD(a_whole_world_is_fine),
		WORLD(an_orphan_is_found),
		WORLD(a_missing_version_is_found),
		WORLD(a_torn_version_is_found),
		WORLD(another_content_is_found),
		WORLD(an_unpublished_graph_is_found),
		WORLD(a_stale_cache_is_found),
		WORLD(a_deleted_document_in_a_store_is_a_ghost),
		WORLD(a_forgotten_debt_is_found),
		WORLD(a_lost_commit_is_found),
		WORLD(an_open_intent_is_found),
		WORLD(a_forgotten_job_is_found),
		WORLD(a_waiting_job_is_found),
		WORLD(a_job_that_gave_up_is_found),
		WORLD(a_job_done_by_nobody_is_found),
		WORLD(an_apply_before_its_intent_is_found),
		WORLD(a_commit_before_a_store_has_it_is_found),
		WORLD(a_commit_of_half_a_version_is_found),
		WORLD(a_publish_before_the_commit_is_found),
		WORLD(a_removal_of_the_current_version_is_found),
		WORLD(a_removal_that_is_on_its_way_is_found),
		WORLD(a_removal_of_another_saga_is_found),
		WORLD(a_commit_after_its_removal_is_found),
		WORLD(a_permanent_error_that_is_retried_is_found),
		WORLD(a_smaller_version_is_found),
		WORLD(a_poison_that_commits_is_found),
		WORLD(an_empty_acknowledgement_is_found),
		WORLD(a_failure_that_commits_later_is_found),
		WORLD(a_commit_answered_as_failed_is_found),
		WORLD(a_second_answer_is_found),
		WORLD(a_blamed_innocent_is_found),
		WORLD(a_key_that_remembers_a_passing_failure_is_found),
		WORLD(a_conflict_with_nobody_is_found),
		WORLD(a_daemon_that_writes_on_after_a_loss_is_found),
		WORLD(too_many_sagas_are_found),
		WORLD(a_daemon_that_outlives_its_journal_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
