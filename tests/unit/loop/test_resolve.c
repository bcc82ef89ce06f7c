#include "loop/resolve.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct lookup {
	struct resolve resolve;
	uint32_t n_done;
	int rc;
	char address[64];
	struct err err;
};

static void lookup_done(struct resolve *resolve, int rc, const char *address, const struct err *err)
{
	struct lookup *lookup = container_of(resolve, struct lookup, resolve);

	lookup->n_done++;
	lookup->rc = rc;
	lookup->err = *err;
	(void)snprintf(lookup->address, sizeof(lookup->address), "%s", address != NULL ? address : "");
}

static int setup(void **state)
{
	uv_loop_t *loop = malloc(sizeof(*loop));

	*state = loop;
	return loop == NULL ? -1 : uv_loop_init(loop);
}

static int teardown(void **state)
{
	int rc = uv_loop_close(*state);

	free(*state);
	return rc;
}

static void numeric_addresses_are_answered_later(void **state)
{
	struct lookup four = {.resolve.done = lookup_done}, six = {.resolve.done = lookup_done};

	assert_int_equal(resolve_start(&four.resolve, *state, "127.0.0.1"), 0);
	assert_int_equal(resolve_start(&six.resolve, *state, "::1"), 0);
	assert_int_equal(four.n_done + six.n_done, 0);
	assert_int_equal(resolve_start(&four.resolve, *state, "127.0.0.2"), -EBUSY);
	uv_run(*state, UV_RUN_DEFAULT);
	assert_int_equal(four.n_done, 1);
	assert_int_equal(four.rc, 0);
	assert_string_equal(four.address, "127.0.0.1");
	assert_string_equal(six.address, "::1");
}

static void a_name_becomes_an_address(void **state)
{
	struct lookup lookup = {.resolve.done = lookup_done};

	assert_int_equal(resolve_start(&lookup.resolve, *state, "localhost"), 0);
	uv_run(*state, UV_RUN_DEFAULT);
	assert_int_equal(lookup.n_done, 1);
	assert_int_equal(lookup.rc, 0);
	assert_true(strcmp(lookup.address, "127.0.0.1") == 0 || strcmp(lookup.address, "::1") == 0);
	assert_int_equal(resolve_start(&lookup.resolve, *state, "localhost"), 0); /* it can be used again */
	uv_run(*state, UV_RUN_DEFAULT);
	assert_int_equal(lookup.n_done, 2);
}

static void an_unknown_name_is_named_in_the_error(void **state)
{
	struct lookup lookup = {.resolve.done = lookup_done};

	assert_int_equal(resolve_start(&lookup.resolve, *state, "no-such-host.invalid"), 0);
	uv_run(*state, UV_RUN_DEFAULT);
	assert_int_equal(lookup.n_done, 1);
	assert_true(lookup.rc < 0 && lookup.rc > -3000);
	assert_non_null(strstr(lookup.err.text, "no-such-host.invalid"));
}

static void cancelling_still_answers_once(void **state)
{
	struct lookup numeric = {.resolve.done = lookup_done}, name = {.resolve.done = lookup_done};

	assert_int_equal(resolve_start(&numeric.resolve, *state, "127.0.0.1"), 0);
	assert_int_equal(resolve_start(&name.resolve, *state, "localhost"), 0);
	resolve_cancel(&numeric.resolve);
	resolve_cancel(&name.resolve);
	assert_int_equal(numeric.n_done + name.n_done, 0);
	uv_run(*state, UV_RUN_DEFAULT);
	assert_int_equal(numeric.n_done, 1);
	assert_int_equal(numeric.rc, -ECANCELED);
	assert_int_equal(name.n_done, 1);
	assert_int_equal(name.rc, -ECANCELED);
	resolve_cancel(&name.resolve); /* nothing runs: nothing happens */
}

static void names_that_cannot_be_are_refused_at_once(void **state)
{
	struct lookup lookup = {.resolve.done = lookup_done};
	char longest[300];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(resolve_start(&lookup.resolve, *state, ""), -EINVAL);
	assert_int_equal(resolve_start(&lookup.resolve, *state, longest), -ENAMETOOLONG);
	assert_int_equal(lookup.n_done, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numeric_addresses_are_answered_later, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_becomes_an_address, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_name_is_named_in_the_error, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelling_still_answers_once, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_cannot_be_are_refused_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
