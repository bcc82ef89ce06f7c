/* A configuration read with memory running out at each allocation in turn: -ENOMEM or all of it. */
#include "scarce.h"

#include "sagad/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const options[] = {"limits.max_clients=7", "redis.host=x"};
static const struct config_sources sources = {.file = SAGAD_CONF, .options = options, .n_options = 2};

static void loading(void **state)
{
	bool has_failed = true;

	(void)state;
	for (size_t nth = 1; has_failed; nth++) {
		struct config config;
		struct buf faults = {0};
		int rc;

		scarce_begin(nth);
		rc = config_load(&sources, &config, &faults);
		has_failed = scarce_end();
		if (rc != 0 && (rc != -ENOMEM || !has_failed))
			fail_msg("allocation %zu failed: %d: %s", nth, rc, faults.at);
		config_fini(&config);
		buf_fini(&faults);
	}
}

static void reloading(void **state)
{
	struct config config;
	struct buf faults = {0};
	bool has_failed = true;

	(void)state;
	assert_int_equal(config_load(&sources, &config, &faults), 0);
	for (size_t nth = 1; has_failed; nth++) {
		struct config_changes changes;
		int rc;

		config.limits.max_clients = 3;
		scarce_begin(nth);
		rc = config_reload(&config, &sources, &changes, &faults);
		has_failed = scarce_end();
		if (rc != 0 && (rc != -ENOMEM || !has_failed))
			fail_msg("allocation %zu failed: %d: %s", nth, rc, faults.at);
		assert_int_equal(config.limits.max_clients, rc == 0 ? 7 : 3);
		buf_fini(&faults);
	}
	config_fini(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(loading), cmocka_unit_test(reloading)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
