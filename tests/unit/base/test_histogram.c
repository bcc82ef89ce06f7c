#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void bounds_are_the_leading_digits(void **state)
{
	static const uint64_t first[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30};
	struct histogram histogram;

	(void)state;
	histogram_init(&histogram, 1);
	for (unsigned i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		assert_int_equal(histogram_bound(&histogram, i), first[i]);
	assert_int_equal(histogram_bound(&histogram, HISTOGRAM_BOUNDS - 1), 1000000);
	histogram_init(&histogram, HISTOGRAM_LEAST_NS);
	assert_int_equal(histogram_bound(&histogram, HISTOGRAM_BOUNDS - 1), 100000000000u);
}

static void bounds_rise(void **state)
{
	struct histogram histogram;

	(void)state;
	histogram_init(&histogram, 7);
	for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(histogram_bound(&histogram, i - 1) < histogram_bound(&histogram, i));
}

static void a_value_lies_at_or_below_its_bound(void **state)
{
	struct histogram histogram;

	(void)state;
	histogram_init(&histogram, 1);
	histogram_add(&histogram, 0);
	histogram_add(&histogram, 1);
	histogram_add(&histogram, 2);
	histogram_add(&histogram, 10);
	histogram_add(&histogram, 11);
	histogram_add(&histogram, 1000000);
	histogram_add(&histogram, 1000001);
	histogram_add(&histogram, UINT64_MAX / 4);
	assert_int_equal(histogram.counts[0], 2);
	assert_int_equal(histogram.counts[1], 1);
	assert_int_equal(histogram.counts[9], 1);
	assert_int_equal(histogram.counts[10], 1);
	assert_int_equal(histogram.counts[HISTOGRAM_BOUNDS - 1], 1);
	assert_int_equal(histogram.counts[HISTOGRAM_BOUNDS], 2);
	assert_int_equal(histogram.n, 8);
}

static void coarse_bounds_are_one_two_and_five(void **state)
{
	struct histogram histogram;
	unsigned n = 0;

	(void)state;
	histogram_init(&histogram, 1);
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		uint64_t digit = histogram_bound(&histogram, i);

		while (digit >= 10)
			digit /= 10;
		assert_int_equal(histogram_bound_is_coarse(i), digit == 1 || digit == 2 || digit == 5);
		n += histogram_bound_is_coarse(i);
	}
	assert_int_equal(n, 3 * HISTOGRAM_DECADES + 1);
}

static void quantiles_are_right_to_the_leading_digit(void **state)
{
	struct histogram histogram;

	(void)state;
	histogram_init(&histogram, 1);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	for (uint64_t value = 1; value <= 1000; value++)
		histogram_add(&histogram, value);
	assert_in_range(histogram_quantile(&histogram, 0.5), 490, 510);
	assert_in_range(histogram_quantile(&histogram, 0.9), 890, 910);
	assert_in_range(histogram_quantile(&histogram, 0.99), 980, 1000);
	assert_int_equal(histogram_quantile(&histogram, 1), 1000);
	assert_in_range(histogram_quantile(&histogram, 0), 0, 1);
}

static void a_quantile_beyond_all_bounds_is_the_last_bound(void **state)
{
	struct histogram histogram;

	(void)state;
	histogram_init(&histogram, 1);
	histogram_add(&histogram, UINT64_MAX);
	assert_int_equal(histogram_quantile(&histogram, 0.9), 1000000);
}

static void two_readings_give_what_came_between(void **state)
{
	struct histogram now, before, between;

	(void)state;
	histogram_init(&now, 1);
	histogram_add(&now, 5);
	before = now;
	histogram_add(&now, 700);
	histogram_add(&now, 700);
	histogram_between(&now, &before, &between);
	assert_int_equal(between.n, 2);
	assert_int_equal(between.sum, 1400);
	assert_in_range(histogram_quantile(&between, 0.5), 600, 700);
	histogram_merge(&between, &before);
	assert_memory_equal(&between, &now, sizeof(now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_the_leading_digits),
		cmocka_unit_test(bounds_rise),
		cmocka_unit_test(a_value_lies_at_or_below_its_bound),
		cmocka_unit_test(coarse_bounds_are_one_two_and_five),
		cmocka_unit_test(quantiles_are_right_to_the_leading_digit),
		cmocka_unit_test(a_quantile_beyond_all_bounds_is_the_last_bound),
		cmocka_unit_test(two_readings_give_what_came_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
