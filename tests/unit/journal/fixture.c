#include "fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int fixture_setup(void **state)
{
	struct fixture *fix = calloc(1, sizeof(*fix));

	if (fix == NULL)
		return -1;
	strcpy(fix->folder, "/tmp/sagad-journal-XXXXXX");
	if (mkdtemp(fix->folder) == NULL || uv_loop_init(&fix->loop) != 0)
		return -1;
	(void)snprintf(fix->path, sizeof(fix->path), "%s/journal.db", fix->folder);
	fix->options = journal_options_default();
	*state = fix;
	return 0;
}

void fixture_remove(const char *path, const char *end)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s%s", path, end);
	(void)unlink(name);
}

void fixture_remove_files(const struct fixture *fix)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		fixture_remove(fix->path, ends[i]);
}

int fixture_teardown(void **state)
{
	struct fixture *fix = *state;

	fixture_remove_files(fix);
	(void)rmdir(fix->folder);
	if (uv_loop_close(&fix->loop) != 0)
		return -1;
	free(fix);
	return 0;
}

void fixture_open(struct fixture *fix)
{
	struct err err = {0};
	int rc = journal_open(&fix->loop, fix->path, NULL, &fix->options, &fix->journal, &err);

	if (rc != 0)
		print_message("%s\n", err.text);
	assert_int_equal(rc, 0);
}

void fixture_on_closed(void *fix)
{
	((struct fixture *)fix)->is_closed = true;
}

void fixture_close(struct fixture *fix)
{
	fix->is_closed = false;
	fix->journal->ops->close(fix->journal, fixture_on_closed, fix);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_true(fix->is_closed);
}

struct one_record {
	struct journal_req req;
	struct fixture *fix;
	uint32_t n_done;
};

static void fixture_on_record(struct journal_req *req)
{
	struct one_record *record = container_of(req, struct one_record, req);

	record->n_done++;
	uv_stop(&record->fix->loop);
}

int fixture_record(struct fixture *fix, struct journal_req req)
{
	struct one_record record = {.req = req, .fix = fix};

	record.req.done = fixture_on_record;
	fix->journal->ops->submit(fix->journal, &record.req);
	assert_int_equal(record.n_done, 0); /* never from inside the submit */
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(record.n_done, 1);
	return record.req.rc;
}

void fixture_run_sql(const char *path, const char *sql)
{
	sqlite3 *sqlite = NULL;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

int64_t fixture_read_number(const char *path, const char *sql)
{
	sqlite3 *sqlite = NULL;
	sqlite3_stmt *statement = NULL;
	int64_t number;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	return number;
}

struct uuid fixture_saga(uint64_t number)
{
	return uuid_make_v7(1700000000000u + number, 0, number);
}
