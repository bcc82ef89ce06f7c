/* What operators see of the work that is open, and what they can have tried at once. */
#include "rig.h"

#include "engine/roster.h"
#include "lib/documents.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CHUNK    "\"chunks\":[{\"text\":\"t\",\"embedding\":[1,2]}]"
#define ROWS_MAX 16

struct listing {
	struct roster_list list;
	struct work_filter filter;
	struct work_row rows[ROWS_MAX];
	unsigned n;
};

static struct rig rig;
static struct rig_job refused, backing_off;
static struct uuid job;

static void on_row(struct roster_list *list, const struct work_row *row)
{
	struct listing *listing = container_of(list, struct listing, list);

	assert_true(listing->n < ROWS_MAX);
	listing->rows[listing->n++] = *row;
}

static void show(struct listing *listing)
{
	listing->n = 0;
	listing->list.filter = &listing->filter;
	listing->list.row = on_row;
	assert_int_equal(roster_list(rig.engine, &listing->list), 0);
}

/* A removal parked at qdrant and redis, late at neo4j; a job that waits; a saga that backs off at neo4j. */
static int set_up(void **state)
{
	struct rig_job accepted = {.job.options.wait = WAIT_ACCEPTED};

	(void)state;
	rig_init(&rig);
	rig.config.retry.base_ns = rig.config.retry.cap_ns = 3600 * (uint64_t)NS_PER_MS * 1000;
	rig.config.background = rig.config.retry;
	rig_run(&rig);
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_PERMANENT;
	rig.stores[0].verdicts[LEG_REMOVE] = rig.stores[2].verdicts[LEG_REMOVE] = VERDICT_PERMANENT;
	memset(&refused, 0, sizeof(refused));
	memset(&backing_off, 0, sizeof(backing_off));
	(void)rig_do(&rig, &refused, documents_make("{\"id\":\"a\"," CHUNK "}"), "a");
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_MISCONFIGURED;
	job = rig_do(&rig, &accepted, documents_make("{\"id\":\"b\"," CHUNK "}"), "b")->saga;
	rig.stores[1].verdicts[LEG_APPLY] = VERDICT_TRANSIENT;
	backing_off.job.options.deadline_ms = 3600 * 1000;
	(void)rig_do(&rig, &backing_off, documents_make("{\"id\":\"c\"," CHUNK "}"), "c");
	assert_int_equal(backing_off.n_answers, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_fini(&rig);
	return 0;
}

static void all_that_is_open_is_listed_by_age(void **state)
{
	struct listing all = {.filter.limit = ROWS_MAX};

	(void)state;
	show(&all);
	assert_int_equal(all.list.n_by_state[WORK_WAITING], 1);
	assert_true(all.list.n_by_state[WORK_PARKED] >= 2);
	assert_int_equal(all.list.n_by_state[WORK_RUNNING], 1);
	assert_false(all.list.has_more);
	for (unsigned i = 1; i < all.n; i++)
		assert_true(uuid_compare(&all.rows[i - 1].id, &all.rows[i].id) <= 0);
	assert_memory_equal(&all.rows[0].id, &refused.outcome.saga, sizeof(struct uuid));
	assert_string_equal(all.rows[0].op, "remove");
	assert_string_equal(all.rows[0].error, "qdrant is ill");
	assert_true(all.rows[0].next_try_ms > 0);
}

static void a_filter_shows_what_fits_only(void **state)
{
	struct listing by_id = {.filter = {.limit = ROWS_MAX, .has_id = true, .id = job}};
	struct listing by_store = {
		.filter = {.limit = ROWS_MAX, .has_id = true, .id = refused.outcome.saga, .store = str_of("redis")}};
	struct listing by_state = {.filter = {.limit = ROWS_MAX, .states = 1u << WORK_RUNNING}};
	struct listing old = {.filter = {.limit = ROWS_MAX, .older_than_ms = 60000}};

	(void)state;
	show(&by_id);
	assert_int_equal(by_id.n, 1);
	assert_int_equal(by_id.rows[0].state, WORK_WAITING);
	show(&by_store);
	assert_int_equal(by_store.n, 1);
	assert_string_equal(by_store.rows[0].store, "redis");
	show(&by_state);
	assert_int_equal(by_state.n, 1);
	assert_string_equal(by_state.rows[0].store, "neo4j");
	show(&old);
	assert_int_equal(old.n, 0);
	rig.now.unix_ms += 60000;
	rig.now.mono_ns += 60000 * (uint64_t)NS_PER_MS;
	rig_turn(&rig);
	show(&old);
	assert_true(old.n >= 4);
}

static void pages_follow_each_other_without_a_gap(void **state)
{
	struct listing all = {.filter.limit = ROWS_MAX}, page = {.filter.limit = 1};
	unsigned n = 0;

	(void)state;
	show(&all);
	do {
		show(&page);
		assert_int_equal(page.n, 1);
		assert_memory_equal(&page.rows[0].id, &all.rows[n].id, sizeof(struct uuid));
		page.filter.after = page.list.next;
		n++;
	} while (page.list.has_more);
	assert_int_equal(n, all.n);
}

static void what_waits_is_tried_now(void **state)
{
	struct work_order at_qdrant = {.store = str_of("qdrant"), .has_id = true, .id = refused.outcome.saga};
	struct work_order the_job = {.has_id = true, .id = job};
	struct work_order nobody = {.has_id = true, .id = {{9}}};
	struct work_order all = {.is_all = true};
	uint32_t n_before = rig.stores[0].n_asked[LEG_REMOVE];

	(void)state;
	rig_say(&rig, LEG_APPLY, VERDICT_OK);
	rig_say(&rig, LEG_REMOVE, VERDICT_OK);
	assert_int_equal(roster_retry(rig.engine, &nobody), 0);
	assert_int_equal(roster_retry(rig.engine, &at_qdrant), 1);
	rig_answer(&rig);
	assert_int_equal(rig.stores[0].n_asked[LEG_REMOVE], n_before + 1);
	assert_int_equal(backing_off.n_answers, 0);
	assert_int_equal(roster_retry(rig.engine, &the_job), 1);
	rig_answer(&rig);
	assert_int_equal(rig.n_notes[JOURNAL_JOB_DONE], 1);
	assert_true(roster_retry(rig.engine, &all) >= 2);
	rig_answer(&rig);
	assert_int_equal(backing_off.outcome.kind, OUTCOME_COMMITTED);
	assert_int_equal(rig_stats(&rig).n_parked, 0);
	assert_int_equal(roster_retry(rig.engine, &all), 0);
}

#define RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG(all_that_is_open_is_listed_by_age),
		RIG(a_filter_shows_what_fits_only),
		RIG(pages_follow_each_other_without_a_gap),
		RIG(what_waits_is_tried_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
