/* The load generator's own arithmetic: a bench that draws or counts wrongly measures something else. */
#include "sagabench/plan.h"
#include "sagabench/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <yyjson.h>

static void test_quantiles_are_samples_by_nearest_rank(void **state)
{
	struct samples samples = {0};

	(void)state;
	assert_int_equal(samples_quantile(&samples, 0.5), 0);
	for (uint64_t i = 1000; i >= 1; i--)
		assert_int_equal(samples_add(&samples, i), 0);
	assert_int_equal(samples_quantile(&samples, 0), 1);
	assert_int_equal(samples_quantile(&samples, 0.5), 500);
	assert_int_equal(samples_quantile(&samples, 0.999), 999);
	assert_int_equal(samples_quantile(&samples, 1), 1000);
	assert_int_equal(samples_add(&samples, 5000), 0);
	assert_int_equal(samples_quantile(&samples, 1), 5000);
	samples_fini(&samples);
}

/* With exponent 1 over 3 ranks the weights are 6/11, 3/11 and 2/11. */
static void test_zipf_draws_by_its_weights(void **state)
{
	struct rng rng = {7};
	struct zipf zipf;
	unsigned n[3] = {0};

	(void)state;
	zipf_init(&zipf, 1);
	assert_int_equal(zipf_grow(&zipf, 2), 0);
	assert_int_equal(zipf_grow(&zipf, 3), 0);
	for (unsigned i = 0; i < 110000; i++)
		n[zipf_draw(&zipf, 3, &rng)]++;
	assert_in_range(n[0], 59000, 61000);
	assert_in_range(n[1], 29000, 31000);
	assert_in_range(n[2], 19000, 21000);
	assert_int_equal(zipf_draw(&zipf, 1, &rng), 0);
	zipf_fini(&zipf);
}

static void test_without_an_exponent_all_are_as_likely(void **state)
{
	struct rng rng = {7};
	struct zipf zipf;
	unsigned n[4] = {0};

	(void)state;
	zipf_init(&zipf, 0);
	assert_int_equal(zipf_grow(&zipf, 4), 0);
	for (unsigned i = 0; i < 40000; i++)
		n[zipf_draw(&zipf, 4, &rng)]++;
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(n[i], 9500, 10500);
	zipf_fini(&zipf);
}

static const struct shape shape = {
	.n_chunks = 2, .n_dims = 3, .n_entities = 3, .n_relationships = 6, .n_names = 5, .text_bytes = 20, .seed = 1};

/* What is sent is a document: its parts are as many as the shape says, its relationships differ. */
static void test_a_request_is_a_document_of_the_shape(void **state)
{
	struct plan_config config = {.prefix = "p", .has_keys = true};
	struct pool pool;
	struct plan plan;
	struct op op;
	struct buf params = {0};
	yyjson_doc *doc;
	yyjson_val *root;

	(void)state;
	assert_int_equal(pool_make(&pool, &shape, 4, NULL), 0);
	assert_int_equal(plan_init(&plan, &config, &pool, NULL), 0);
	assert_int_equal(plan_next(&plan, &op), 0);
	assert_int_equal(op.kind, OP_INSERT);
	plan_write(&plan, &op, &params);
	doc = yyjson_read(params.at, params.len, 0);
	assert_non_null(doc);
	root = yyjson_doc_get_root(doc);
	assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "id")), "p/0");
	assert_non_null(yyjson_obj_get(root, "idempotency_key"));
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "chunks")), 2);
	assert_int_equal(yyjson_arr_size(yyjson_ptr_get(root, "/chunks/1/embedding")), 3);
	assert_int_equal(yyjson_get_len(yyjson_ptr_get(root, "/chunks/1/text")), 20);
	assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "relationships")), 6);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned j = 0; j < i; j++)
			assert_false(yyjson_equals(yyjson_arr_get(yyjson_obj_get(root, "relationships"), i),
						   yyjson_arr_get(yyjson_obj_get(root, "relationships"), j)));
	yyjson_doc_free(doc);
	buf_fini(&params);
	plan_fini(&plan);
	pool_fini(&pool);
}

static void test_a_saga_is_sent_as_it_is_but_for_its_key(void **state)
{
	struct plan_config config = {.prefix = "p", .seed = 7, .has_keys = true, .saga = "{\"steps\":[]}"};
	struct pool none = {0};
	struct buf params = {0};
	struct plan plan;
	struct op op;

	(void)state;
	assert_int_equal(plan_init(&plan, &config, &none, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		buf_clear(&params);
		assert_int_equal(plan_next(&plan, &op), 0);
		plan_write(&plan, &op, &params);
		assert_string_equal(plan_method(&op), "saga.run");
		assert_string_equal(params.at, i == 0 ? "{\"idempotency_key\":\"p/7/saga-0\",\"steps\":[]}"
						      : "{\"idempotency_key\":\"p/7/saga-1\",\"steps\":[]}");
	}
	config.has_keys = false;
	buf_clear(&params);
	plan_write(&plan, &op, &params);
	assert_string_equal(params.at, config.saga);
	buf_fini(&params);
	plan_fini(&plan);
}

static void test_the_greatest_version_stays(void **state)
{
	struct plan_config config = {.prefix = "p", .overwrites = 0.5, .deletes = 0.5, .n_known = 1};
	struct op put = {.kind = OP_OVERWRITE, .body = 1}, delete = {.kind = OP_DELETE};
	struct pool pool;
	struct plan plan;

	(void)state;
	assert_int_equal(pool_make(&pool, &shape, 2, NULL), 0);
	assert_int_equal(plan_init(&plan, &config, &pool, NULL), 0);
	assert_int_equal(plan_sums(&plan).documents, 1);
	plan_committed(&plan, &delete, "01a1ff11-0002");
	assert_int_equal(plan_sums(&plan).documents, 0);
	plan_committed(&plan, &put, "01a1ff11-0001");
	assert_int_equal(plan_sums(&plan).documents, 0);
	plan_committed(&plan, &put, "01a1ff11-0003");
	assert_int_equal(plan_sums(&plan).documents, 1);
	assert_int_equal(plan_sums(&plan).chunks, 2);
	assert_int_equal(plan_sums(&plan).mentions, 3);
	assert_int_equal(plan_sums(&plan).relationships, 6);
	plan_fini(&plan);
	pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_are_samples_by_nearest_rank),
		cmocka_unit_test(test_zipf_draws_by_its_weights),
		cmocka_unit_test(test_without_an_exponent_all_are_as_likely),
		cmocka_unit_test(test_a_request_is_a_document_of_the_shape),
		cmocka_unit_test(test_a_saga_is_sent_as_it_is_but_for_its_key),
		cmocka_unit_test(test_the_greatest_version_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
