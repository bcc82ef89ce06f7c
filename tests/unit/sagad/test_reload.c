/* A configuration that is read again: what is put in force, what waits, and what a fault leaves alone. */
#include "sagad/config.h"
#include "sagad/config_keys.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char path[64];
	struct config config;
	struct config_changes changes;
	struct buf faults;
};

static void put(const struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int fixture_open(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	assert_non_null(f);
	strcpy(f->path, "/tmp/test-reload-XXXXXX");
	fd = mkstemp(f->path); /* mode 0600 */
	assert_true(fd >= 0);
	(void)close(fd);
	put(f, "limits: { max_chunks = 10; };\npostgresql: { host = \"one\"; password = \"old\"; };\n");
	assert_int_equal(config_load(&(struct config_sources){.file = f->path}, &f->config, &f->faults), 0);
	*state = f;
	return 0;
}

static int fixture_close(void **state)
{
	struct fixture *f = *state;

	config_fini(&f->config);
	buf_fini(&f->faults);
	(void)unlink(f->path);
	free(f);
	return 0;
}

static int reload_text(struct fixture *f, const char *text)
{
	put(f, text);
	buf_clear(&f->faults);
	return config_reload(&f->config, &(struct config_sources){.file = f->path}, &f->changes, &f->faults);
}

static bool is_among(const size_t *indexes, uint32_t n, const char *section, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(config_keys[indexes[i]].section, section) == 0 &&
		    strcmp(config_keys[indexes[i]].name, name) == 0)
			return true;
	return false;
}

static void the_same_file_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const char *host = f->config.postgresql.host;

	assert_int_equal(
		reload_text(f, "limits: { max_chunks = 10; };\n\npostgresql: { host = \"one\"; password = \"old\"; };"),
		0);
	assert_int_equal(f->changes.n_applied + f->changes.n_pending, 0);
	assert_ptr_equal(f->config.postgresql.host, host); /* parts of the daemon may have borrowed it */
	assert_int_equal(f->config.origins[config_key_find(str_of("postgresql"), str_of("host"))].line, 3);
}

static void limits_and_secrets_are_put_in_force(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		reload_text(f, "limits: { max_chunks = 20; };\npostgresql: { host = \"one\"; password = \"new\"; };"),
		0);
	assert_int_equal(f->changes.n_applied, 2);
	assert_true(is_among(f->changes.applied, 2, "limits", "max_chunks"));
	assert_true(is_among(f->changes.applied, 2, "postgresql", "password"));
	assert_int_equal(f->config.limits.max_chunks, 20);
	assert_string_equal(f->config.postgresql.password, "new");
}

static void a_key_that_is_gone_gets_its_default(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reload_text(f, "postgresql: { host = \"one\"; };"), 0);
	assert_int_equal(f->config.limits.max_chunks, 10000);
	assert_string_equal(f->config.postgresql.password, "");
}

static void an_address_waits_for_a_restart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		reload_text(f, "limits: { max_chunks = 10; };\npostgresql: { host = \"two\"; password = \"old\"; };"),
		0);
	assert_int_equal(f->changes.n_applied, 0);
	assert_int_equal(f->changes.n_pending, 1);
	assert_true(is_among(f->changes.pending, 1, "postgresql", "host"));
	assert_string_equal(f->config.postgresql.host, "one");
}

static void a_fault_leaves_everything_alone(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reload_text(f, "limits: { max_chunks = 20; max_chunk = 3; };"), -EINVAL);
	assert_non_null(strstr(f->faults.at, "did you mean `max_chunks`"));
	assert_int_equal(f->config.limits.max_chunks, 10);
	assert_string_equal(f->config.postgresql.password, "old");
}

/* redis.fence_ttl waits for a restart; with its old value the new deadline doesn't fit. */
static void a_new_value_must_fit_an_old_one_that_stays(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reload_text(f, "timeouts: { max_deadline = \"1d\"; };\nneo4j: { tombstones = \"2d\"; };\n"
					"redis: { fence_ttl = \"2d\"; staging_ttl = \"1d\"; };"),
			 -EINVAL);
	assert_non_null(strstr(f->faults.at, "a late write would stay"));
	assert_int_equal(f->config.timeouts.max_deadline_ms, 3600 * 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_file_changes_nothing),       TEST(limits_and_secrets_are_put_in_force),
		TEST(a_key_that_is_gone_gets_its_default), TEST(an_address_waits_for_a_restart),
		TEST(a_fault_leaves_everything_alone),     TEST(a_new_value_must_fit_an_old_one_that_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
