/* The number of requests to a store: found on stores whose best number is known. */
#include "engine/pace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four before it */
#include <cmocka.h>

#define MS       ((uint64_t)1000000)
#define N_WRITES 10

/* A store that does the most with `best` requests at once, and `loss` less for each one more or fewer. */
struct model {
	uint32_t best;
	double loss;
	uint64_t now_ns;
	uint64_t random;
};

static double model_rate(const struct model *model, uint32_t n_requests)
{
	double off = fabs((double)n_requests - model->best);

	return 1.0 / (1.0 + model->loss * off);
}

/* Within a twentieth of 1. */
static double model_noise(struct model *model)
{
	model->random = model->random * 6364136223846793005u + 1442695040888963407u;
	return 0.95 + 0.1 * (double)(model->random >> 40) / (double)(1u << 24);
}

/* One request's end, with all of them in use and more waiting. */
static void model_end(struct model *model, struct pace *pace)
{
	model->now_ns += (uint64_t)(10.0 * (double)MS / model_rate(model, pace->now) * model_noise(model));
	pace_ended(pace, N_WRITES, true, false, model->now_ns);
}

/* How often, of `n` requests, the number was within one of the best. */
static double run(struct model *model, struct pace *pace, unsigned n)
{
	unsigned n_near = 0;

	for (unsigned i = 0; i < n; i++) {
		model_end(model, pace);
		assert_in_range(pace->now, 1, pace->max);
		n_near += pace->now + 1 >= model->best && pace->now <= model->best + 1;
	}
	return (double)n_near / n;
}

static void the_best_number_is_found_and_kept(void **state)
{
	struct model model = {.best = 2, .loss = 0.2};
	struct pace pace;

	(void)state;
	pace_init(&pace, 8);
	assert_int_equal(pace.now, 2);
	(void)run(&model, &pace, 400);
	assert_true(run(&model, &pace, 4000) > 0.9);
}

static void a_best_number_that_changes_is_followed(void **state)
{
	struct model model = {.best = 2, .loss = 0.2};
	struct pace pace;

	(void)state;
	pace_init(&pace, 8);
	(void)run(&model, &pace, 2000);
	model.best = 6;
	(void)run(&model, &pace, 2000);
	assert_true(run(&model, &pace, 4000) > 0.9);
}

/* All are as good: the fewest are taken, but for the tries. One only: nothing is tried. */
static void of_equals_the_fewest_are_taken(void **state)
{
	struct model flat = {.best = 3, .loss = 0}, single = {.best = 1, .loss = 0.2};
	struct pace pace;

	(void)state;
	pace_init(&pace, 4);
	(void)run(&flat, &pace, 1000);
	flat.best = 1;
	assert_true(run(&flat, &pace, 4000) > 0.9);
	pace_init(&pace, 1);
	(void)run(&single, &pace, 400);
	assert_int_equal(pace.now, 1);
}

static void failures_halve_it_once_for_what_was_out(void **state)
{
	struct pace pace;
	uint64_t now_ns = 0;

	(void)state;
	pace_init(&pace, 8);
	for (unsigned i = 0; i < 400; i++)
		pace_ended(&pace, 1, false, false, now_ns += 100 * MS);
	assert_int_equal(pace.now, 8);
	for (unsigned i = 0; i < 8; i++)
		pace_ended(&pace, N_WRITES, true, true, now_ns += MS);
	assert_int_equal(pace.now, 4); /* eight were out when the first one failed */
	for (unsigned i = 0; i < 40; i++)
		pace_ended(&pace, N_WRITES, true, true, now_ns += MS);
	assert_int_equal(pace.now, 1);
}

static void without_load_all_are_allowed(void **state)
{
	struct pace pace;
	uint64_t now_ns = 0;

	(void)state;
	pace_init(&pace, 8);
	for (unsigned i = 0; i < 100; i++)
		pace_ended(&pace, N_WRITES, true, true, now_ns += 10 * MS);
	assert_int_equal(pace.now, 1);
	for (unsigned i = 0; i < 400; i++)
		pace_ended(&pace, 1, false, false, now_ns += 10 * MS);
	assert_int_equal(pace.now, 8);
}

static void a_load_that_is_kept_up_with_needs_few(void **state)
{
	struct pace pace;
	uint64_t now_ns = 0;

	(void)state;
	pace_init(&pace, 8);
	for (unsigned i = 0; i < 400; i++)
		pace_ended(&pace, N_WRITES, false, false, now_ns += 10 * MS);
	assert_int_equal(pace.now, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_best_number_is_found_and_kept),
		cmocka_unit_test(a_best_number_that_changes_is_followed),
		cmocka_unit_test(of_equals_the_fewest_are_taken),
		cmocka_unit_test(failures_halve_it_once_for_what_was_out),
		cmocka_unit_test(without_load_all_are_allowed),
		cmocka_unit_test(a_load_that_is_kept_up_with_needs_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
