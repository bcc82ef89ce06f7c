/* Sagas written with the client library. */
#include "sagad/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_saga_is_written_step_by_step(void **state)
{
	struct sagad_saga *saga = sagad_saga_create();
	char *json;

	(void)state;
	assert_int_equal(sagad_saga_add_step(saga, "a", "postgresql", "{\"sql\":\"x\"}", "null"), 0);
	assert_int_equal(sagad_saga_add_service_step(saga, "b", "pay", "{\"n\":18446744073709551616}", NULL), 0);
	assert_int_equal(sagad_saga_set_step(saga, "after", "[]"), 0);
	assert_int_equal(sagad_saga_set_step(saga, "pivot", "false"), 0);
	assert_int_equal(sagad_saga_set_step(saga, "pivot", "true"), 0);
	assert_int_equal(sagad_saga_set(saga, "deadline_ms", "3000"), 0);
	assert_int_equal(sagad_saga_set_key(saga, "k\"1"), 0);
	json = sagad_saga_json(saga);
	assert_string_equal(json,
			    "{\"steps\":[{\"name\":\"a\",\"store\":\"postgresql\",\"do\":{\"sql\":\"x\"},\"undo\":"
			    "null},{\"name\":\"b\",\"service\":\"pay\",\"do\":{\"n\":18446744073709551616},\"after\":"
			    "[],\"pivot\":true}],\"deadline_ms\":3000,\"idempotency_key\":\"k\\\"1\"}");
	assert_string_equal(sagad_saga_error(saga), "");
	free(json);
	sagad_saga_free(saga);
}

static void the_first_fault_is_kept(void **state)
{
	struct sagad_saga *saga = sagad_saga_create();

	(void)state;
	assert_int_equal(sagad_saga_add_step(saga, "a", "redis", "{\"commands\":[}", "null"), -EINVAL);
	assert_int_equal(sagad_saga_add_step(saga, "b", "redis", "{}", "null"), -EINVAL);
	assert_int_equal(sagad_saga_set_key(saga, "k"), -EINVAL);
	assert_non_null(strstr(sagad_saga_error(saga), "step 'a': do: byte"));
	assert_null(sagad_saga_json(saga));
	sagad_saga_free(saga);
}

static void a_member_needs_a_step(void **state)
{
	struct sagad_saga *saga = sagad_saga_create();

	(void)state;
	assert_int_equal(sagad_saga_set_step(saga, "pivot", "true"), -EINVAL);
	assert_non_null(strstr(sagad_saga_error(saga), "no step yet"));
	sagad_saga_free(saga);
}

static void nothing_is_taken_for_a_saga(void **state)
{
	(void)state;
	assert_int_equal(sagad_saga_add_step(NULL, "a", "redis", "{}", NULL), -ENOMEM);
	assert_int_equal(sagad_saga_set(NULL, "wait", "\"ended\""), -ENOMEM);
	assert_null(sagad_saga_json(NULL));
	assert_string_equal(sagad_saga_error(NULL), "out of memory");
	sagad_saga_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_saga_is_written_step_by_step),
		cmocka_unit_test(the_first_fault_is_kept),
		cmocka_unit_test(a_member_needs_a_step),
		cmocka_unit_test(nothing_is_taken_for_a_saga),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
