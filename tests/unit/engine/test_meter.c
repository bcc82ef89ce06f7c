#include "engine/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct meter meter;

static int begin(void **state)
{
	(void)state;
	meter_init(&meter);
	return 0;
}

static void answer(enum outcome_kind kind, enum code code, bool is_stored, const char *id)
{
	struct outcome outcome = {.kind = kind, .code = code, .is_stored = is_stored, .store = "neo4j"};

	(void)err_set(&outcome.err, 0, "why of %s", id);
	meter_answer(&meter, &outcome, str_of(id), 1000000, 77);
}

static void answers_are_counted_by_outcome(void **state)
{
	(void)state;
	answer(OUTCOME_COMMITTED, CODE_NONE, false, "a");
	answer(OUTCOME_COMMITTED, CODE_NONE, true, "a");
	answer(OUTCOME_UNCHANGED, CODE_NONE, false, "a");
	answer(OUTCOME_DELETED, CODE_NONE, false, "a");
	answer(OUTCOME_ABSENT, CODE_NONE, false, "a");
	answer(OUTCOME_FAILED, CODE_CONFLICT, false, "a");
	answer(OUTCOME_FAILED, CODE_STORE_UNAVAILABLE, false, "a");
	for (unsigned i = 0; i < METER_OUTCOMES; i++)
		assert_int_equal(meter.n_outcomes[i], 1);
	assert_int_equal(meter.saga_ns.n, 7);
	assert_int_equal(meter.n_failures[CODE_CONFLICT], 1);
	assert_int_equal(meter.n_failures[CODE_STORE_UNAVAILABLE], 1);
}

static void conflicts_are_no_failures_to_look_at(void **state)
{
	(void)state;
	answer(OUTCOME_FAILED, CODE_CONFLICT, false, "a");
	answer(OUTCOME_FAILED, CODE_KEY_REUSED, false, "a");
	answer(OUTCOME_FAILED, CODE_STORE_REFUSED, true, "a");
	assert_null(meter_failure(&meter, 0));
	answer(OUTCOME_FAILED, CODE_STORE_REFUSED, false, "b");
	assert_string_equal(meter_failure(&meter, 0)->document_id, "b");
	assert_string_equal(meter_failure(&meter, 0)->code, "store_refused");
	assert_string_equal(meter_failure(&meter, 0)->store, "neo4j");
	assert_string_equal(meter_failure(&meter, 0)->reason.text, "why of b");
}

static void the_newest_failures_are_kept(void **state)
{
	char id[16];

	(void)state;
	for (unsigned i = 0; i < 3 * METER_FAILURES + 5; i++) {
		(void)snprintf(id, sizeof(id), "d%u", i);
		answer(OUTCOME_FAILED, CODE_DEADLINE_EXCEEDED, false, id);
		assert_string_equal(meter_failure(&meter, 0)->document_id, id);
	}
	for (unsigned i = 0; i < METER_FAILURES; i++) {
		(void)snprintf(id, sizeof(id), "d%u", 3 * METER_FAILURES + 4 - i);
		assert_string_equal(meter_failure(&meter, i)->document_id, id);
	}
	assert_null(meter_failure(&meter, METER_FAILURES));
}

/* Cut at a character's border, whatever its length. */
static void long_ids_are_cut_between_characters(void **state)
{
	static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x98\x83", "\xf0\x9f\x98\x80"};
	char id[600];

	(void)state;
	for (size_t c = 0; c < 4; c++) {
		size_t width = strlen(characters[c]), kept;

		for (size_t lead = 0; lead < 4; lead++) {
			size_t len = lead;

			memset(id, 'a', lead);
			while (len + width < sizeof(id) - 1) {
				memcpy(id + len, characters[c], width);
				len += width;
			}
			id[len] = '\0';
			answer(OUTCOME_FAILED, CODE_INTERNAL, false, id);
			kept = strlen(meter_failure(&meter, 0)->document_id);
			assert_in_range(kept, METER_TEXT_BYTES - 4, METER_TEXT_BYTES - 1);
			assert_int_equal((kept - lead) % width, 0);
		}
	}
}

static void parked_work_is_listed_until_it_is_done(void **state)
{
	struct uuid sagas[METER_FAILURES + 5];
	struct err reason;

	(void)state;
	(void)err_set(&reason, 0, "out of disk");
	for (unsigned i = 0; i < METER_FAILURES + 5; i++) {
		sagas[i] = uuid_make_v7(1000 + i, i, i);
		meter_parked(&meter, 1, "qdrant", &sagas[i], str_of("p"), &reason, (int64_t)i);
		assert_int_equal(meter.parked[0].unix_ms, i);
	}
	assert_int_equal(meter.stores[1].n_parked, METER_FAILURES + 5);
	assert_int_equal(meter.n_parked_kept, METER_FAILURES);
	assert_string_equal(meter.parked[0].reason.text, "out of disk");
	assert_null(meter_failure(&meter, 0));
	meter_unparked(&meter, 2, "neo4j", &sagas[METER_FAILURES + 4]); /* another store's */
	assert_int_equal(meter.n_parked_kept, METER_FAILURES);
	for (unsigned i = 0; i < METER_FAILURES + 5; i++) /* the oldest were not kept: counted only */
		meter_unparked(&meter, 1, "qdrant", &sagas[i]);
	assert_int_equal(meter.n_parked_kept, 0);
	assert_int_equal(meter.stores[1].n_parked, 0);
}

static void requests_count_their_batch_where_it_matters(void **state)
{
	(void)state;
	meter_request(&meter.stores[0], LEG_APPLY, 64, 5000000);
	meter_request(&meter.stores[METER_TRUTH_STORE], METER_READ, 0, 5000000);
	assert_int_equal(meter.stores[0].batch.n, 1);
	assert_int_equal(meter.stores[0].batch.sum, 64);
	assert_int_equal(meter.stores[METER_TRUTH_STORE].batch.n, 0);
	assert_int_equal(meter.stores[METER_TRUTH_STORE].latency_ns[METER_READ].n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_are_counted_by_outcome, begin),
		cmocka_unit_test_setup(conflicts_are_no_failures_to_look_at, begin),
		cmocka_unit_test_setup(the_newest_failures_are_kept, begin),
		cmocka_unit_test_setup(long_ids_are_cut_between_characters, begin),
		cmocka_unit_test_setup(parked_work_is_listed_until_it_is_done, begin),
		cmocka_unit_test_setup(requests_count_their_batch_where_it_matters, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
