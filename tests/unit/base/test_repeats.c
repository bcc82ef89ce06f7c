/* Repeats are counted by kind, code and store, told of once a window, and never lost. */
#include "base/repeats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND ((uint64_t)1000000000)

static struct {
	struct repeats repeats;
	unsigned n_told;
	unsigned n_counted; /* sum of what was told */
	char last[256];
	char code[32], store[32];
} world;

static void tell(struct repeats *repeats, const struct log_event *event)
{
	unsigned n = 0;

	assert_ptr_equal(repeats, &world.repeats);
	assert_int_equal(event->kind, LOG_REPEATS);
	assert_int_equal(sscanf(event->text, "... %u more", &n), 1);
	world.n_told++;
	world.n_counted += n;
	(void)snprintf(world.last, sizeof(world.last), "%s", event->text);
	(void)snprintf(world.code, sizeof(world.code), "%.*s", STR_ARG(log_field_of(event, "code")));
	(void)snprintf(world.store, sizeof(world.store), "%.*s", STR_ARG(log_field_of(event, "store")));
}

static int begin(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.repeats.max_written = 2;
	world.repeats.tell = tell;
	return 0;
}

static bool pass(enum log_level level, enum log_kind kind, const char *code, const char *store, uint64_t now_ns)
{
	const struct log_field fields[] = {{"code", str_of(code)}, {"store", str_of(store)}};
	const struct log_event event = {level, kind, "saga failed", "saga failed", fields, 2};

	return repeats_pass(&world.repeats, &event, now_ns);
}

static bool failed(const char *code, const char *store, uint64_t now_ns)
{
	return pass(LOG_WARN_LEVEL, LOG_SAGA_FAILED, code, store, now_ns);
}

static void the_first_are_written_the_others_counted(void **state)
{
	(void)state;
	assert_true(failed("conflict", "neo4j", SECOND));
	assert_true(failed("conflict", "neo4j", SECOND));
	for (unsigned i = 0; i < 57; i++)
		assert_false(failed("conflict", "neo4j", 2 * SECOND));
	assert_int_equal(world.n_told, 0);
	repeats_tick(&world.repeats, 10 * SECOND);
	assert_int_equal(world.n_told, 0); /* ten seconds after the first, not before */
	repeats_tick(&world.repeats, 11 * SECOND);
	assert_string_equal(world.last, "... 57 more like this in the last 10 s: saga failed");
	assert_string_equal(world.code, "conflict");
	assert_string_equal(world.store, "neo4j");
	repeats_tick(&world.repeats, 99 * SECOND);
	assert_int_equal(world.n_told, 1);
	assert_true(failed("conflict", "neo4j", 100 * SECOND));
}

static void a_line_after_the_window_tells_of_the_one_before(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		(void)failed("conflict", NULL, SECOND);
	assert_true(failed("conflict", NULL, 12 * SECOND));
	assert_int_equal(world.n_counted, 3);
}

static void other_codes_stores_and_levels_are_others(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		(void)failed("conflict", "neo4j", SECOND);
	assert_true(failed("conflict", "qdrant", SECOND));
	assert_true(failed("store_refused", "neo4j", SECOND));
	assert_true(failed("conflict", NULL, SECOND));
	assert_true(pass(LOG_ERROR_LEVEL, LOG_SAGA_FAILED, "conflict", "neo4j", SECOND));
	assert_true(pass(LOG_WARN_LEVEL, LOG_SAGA_SLOW, "conflict", "neo4j", SECOND));
	assert_false(failed("conflict", "neo4j", SECOND));
}

static void what_was_asked_for_is_written(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_true(pass(LOG_INFO_LEVEL, LOG_SAGA_DONE, NULL, NULL, SECOND));
		assert_true(pass(LOG_INFO_LEVEL, LOG_PLAIN, NULL, NULL, SECOND));
		assert_true(pass(LOG_DEBUG_LEVEL, LOG_JOB_REFUSED, NULL, NULL, SECOND));
	}
	world.repeats.max_written = 0;
	for (unsigned i = 0; i < 20; i++)
		assert_true(failed("conflict", NULL, SECOND));
	repeats_flush(&world.repeats);
	assert_int_equal(world.n_told, 0);
}

/* More sorts than rows: the oldest is told of early, and the sum is still right. */
static void nothing_is_lost_when_there_are_many_sorts(void **state)
{
	unsigned n_held = 0;
	char code[16];

	(void)state;
	for (unsigned i = 0; i < 10 * REPEATS_ROWS; i++) {
		(void)snprintf(code, sizeof(code), "code%u", i);
		for (unsigned again = 0; again < 5; again++)
			n_held += failed(code, NULL, SECOND + i) ? 0 : 1;
	}
	assert_int_equal(n_held, 3 * 10 * REPEATS_ROWS);
	repeats_flush(&world.repeats);
	assert_int_equal(world.n_counted, n_held);
}

static void texts_handed_on_are_told_apart(void **state)
{
	const struct log_event one = {LOG_ERROR_LEVEL, LOG_PLAIN, "%s", "a fault", NULL, 0};
	const struct log_event other = {LOG_ERROR_LEVEL, LOG_PLAIN, "%s", "another", NULL, 0};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		(void)repeats_pass(&world.repeats, &one, SECOND);
	assert_false(repeats_pass(&world.repeats, &one, SECOND));
	assert_true(repeats_pass(&world.repeats, &other, SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_are_written_the_others_counted, begin),
		cmocka_unit_test_setup(a_line_after_the_window_tells_of_the_one_before, begin),
		cmocka_unit_test_setup(other_codes_stores_and_levels_are_others, begin),
		cmocka_unit_test_setup(what_was_asked_for_is_written, begin),
		cmocka_unit_test_setup(nothing_is_lost_when_there_are_many_sorts, begin),
		cmocka_unit_test_setup(texts_handed_on_are_told_apart, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
