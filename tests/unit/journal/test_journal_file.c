/* Which file may be the journal: who else has it, whose it is, whether it can be written at all. Children are forked
 * before this process has a second thread. */
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int open_fails(struct fixture *fix, const char *path, const char *says)
{
	struct err err = {0};
	int rc = journal_open(&fix->loop, path, NULL, &fix->options, &fix->journal, &err);

	if (strstr(err.text, says) == NULL || strstr(err.text, path) == NULL)
		print_message("[%s] was expected in: %s\n", says, err.text);
	assert_non_null(strstr(err.text, says));
	assert_non_null(strstr(err.text, path)); /* where */
	return rc;
}

static void a_second_daemon_is_refused(void **state)
{
	struct fixture *fix = *state;
	struct journal *first;
	char linked[128];
	pid_t child;
	int status;

	(void)snprintf(linked, sizeof(linked), "%s-by-another-name", fix->path);
	fixture_open(fix);
	first = fix->journal;
	assert_int_equal(open_fails(fix, fix->path, "another sagad"), -EBUSY);
	assert_int_equal(symlink(fix->path, linked), 0);
	{
		struct err err = {0};
		assert_int_equal(journal_open(&fix->loop, linked, NULL, &fix->options, &fix->journal, &err), -EBUSY);
	}
	assert_int_equal(unlink(linked), 0);
	fix->journal = first;
	assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_CLOSE, .saga = fixture_saga(1)}), 0);
	fixture_close(fix);

	/* A process that dies without a word leaves no lock behind. */
	child = fork();
	if (child == 0) {
		struct fixture own = *fix;
		struct err err = {0};
		if (uv_loop_init(&own.loop) == 0 &&
		    journal_open(&own.loop, own.path, NULL, &own.options, &own.journal, &err) == 0)
			(void)raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	fixture_open(fix);
	fixture_close(fix);
}

static void other_files_are_refused(void **state)
{
	struct fixture *fix = *state;
	FILE *file;

	fixture_open(fix);
	fixture_close(fix);
	fixture_run_sql(fix->path, "PRAGMA user_version = 4");
	assert_int_equal(open_fails(fix, fix->path, "newer"), -EPROTO);
	fixture_run_sql(fix->path, "PRAGMA user_version = 1; PRAGMA application_id = 7");
	assert_int_equal(open_fails(fix, fix->path, "another program"), -EINVAL);
	fixture_remove(fix->path, "-wal");
	file = fopen(fix->path, "w");
	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		assert_true(fputs("this is not a database\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(open_fails(fix, fix->path, "no journal"), -EINVAL);
}

static void missing_and_wrong_places_are_named(void **state)
{
	struct fixture *fix = *state;

	assert_int_equal(open_fails(fix, "/no/such/folder/journal.db", "/no/such/folder"), -ENOENT);
	assert_int_equal(open_fails(fix, fix->folder, "no regular file"), -EISDIR);
	fixture_remove(fix->folder, ".lock");
}

/* Root may write everywhere, so a child gives its rights up first. */
static void a_folder_without_write_rights_is_named(void **state)
{
	struct fixture *fix = *state;
	pid_t child;
	int status;

	assert_int_equal(chmod(fix->folder, 0555), 0);
	child = fork();
	if (child == 0) {
		struct journal *journal;
		struct err err = {0};
		if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(3);
		if (journal_open(&fix->loop, fix->path, NULL, &fix->options, &journal, &err) != -EACCES)
			_exit(1);
		_exit(strstr(err.text, "Permission denied") != NULL && strstr(err.text, fix->path) != NULL ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(chmod(fix->folder, 0755), 0);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(a_second_daemon_is_refused),
		FILE_TEST(other_files_are_refused),
		FILE_TEST(missing_and_wrong_places_are_named),
		FILE_TEST(a_folder_without_write_rights_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
