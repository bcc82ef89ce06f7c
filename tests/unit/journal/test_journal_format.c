/* Files of the formats before this one: what they hold survives the step, and a crash in the middle of it leaves either
 * the old format whole or the newest one. And what came with format 2: deaths and resolutions. */
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The schema as sagad 0.1 wrote it, with an open intent, an aborted one, and jobs in each state. */
static const char format_1[] =
	"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; BEGIN;"
	"CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE intents ("
	"  saga TEXT PRIMARY KEY, document_id TEXT NOT NULL, n_chunks INTEGER NOT NULL, is_delete INTEGER NOT NULL,"
	"  is_aborted INTEGER NOT NULL DEFAULT 0, unix_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE jobs ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL,"
	"  is_delete INTEGER NOT NULL,"
	"  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),"
	"  made TEXT, code TEXT, reason TEXT, accepted_ms INTEGER NOT NULL, ended_ms INTEGER, job BLOB);"
	"CREATE INDEX jobs_ended ON jobs (ended_ms, seq) WHERE ended_ms IS NOT NULL;"
	"INSERT INTO about VALUES ('journal', '018bcfe5-6800-7000-8000-0000000000aa');"
	"INSERT INTO intents VALUES ('018bcfe5-6801-7000-8000-000000000001', 'open', 3, 0, 0, 11);"
	"INSERT INTO intents VALUES ('018bcfe5-6802-7000-8000-000000000002', 'aborted', 4, 0, 1, 12);"
	"INSERT INTO jobs (id, document_id, is_delete, accepted_ms, job)"
	"  VALUES ('018bcfe5-6803-7000-8000-000000000003', 'first', 0, 13, '{\"id\":\"first\"}');"
	"INSERT INTO jobs (id, document_id, is_delete, state, made, accepted_ms, ended_ms)"
	"  VALUES ('018bcfe5-6804-7000-8000-000000000004', 'second', 0, 'done',"
	"    '018bcfe5-6805-7000-8000-000000000005', 14, 4000000000000);"
	"INSERT INTO jobs (id, document_id, is_delete, accepted_ms, job)"
	"  VALUES ('018bcfe5-6806-7000-8000-000000000006', 'third', 1, 15, '{\"id\":\"third\"}');"
	"PRAGMA application_id = 1935763300; PRAGMA user_version = 1; COMMIT;";

/* What format 2 had more, as sagad wrote it, and a row in each. */
static const char format_2[] =
	"BEGIN;"
	"CREATE TABLE deaths ("
	"  job TEXT NOT NULL, store TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (job, store)) WITHOUT ROWID;"
	"CREATE TABLE resolved ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT, saga TEXT NOT NULL, document_id TEXT NOT NULL,"
	"  work TEXT NOT NULL, store TEXT NOT NULL, error TEXT NOT NULL, reason TEXT NOT NULL,"
	"  uid INTEGER NOT NULL, unix_ms INTEGER NOT NULL);"
	"INSERT INTO deaths VALUES ('018bcfe5-6803-7000-8000-000000000003', 'neo4j', 2);"
	"INSERT INTO resolved (saga, document_id, work, store, error, reason, uid, unix_ms)"
	"  VALUES ('018bcfe5-6807-7000-8000-000000000007', 'fourth', 'remove', 'redis', '', 'gone', 0, 16);"
	"PRAGMA user_version = 2; COMMIT;";

static struct uuid id_of(const char *text)
{
	struct uuid id;

	assert_true(uuid_parse(str_of(text), &id));
	return id;
}

/* ---- what load() finds ---- */

struct found {
	char text[1024]; /* one piece for each intent and job, in order */
};

static int on_intent(void *arg, const struct journal_intent *intent)
{
	struct found *found = arg;
	size_t n = strlen(found->text);

	(void)snprintf(found->text + n, sizeof(found->text) - n, "%.*s/%u%s ", STR_ARG(intent->document_id),
		       intent->n_chunks, intent->is_aborted ? "/aborted" : "");
	return 0;
}

static int on_job(void *arg, const struct journal_job *job)
{
	struct found *found = arg;
	size_t n = strlen(found->text);

	n += (size_t)snprintf(found->text + n, sizeof(found->text) - n, "job %.*s %.*s%s ", STR_ARG(job->document_id),
			      STR_ARG(job->job_json), job->is_delete ? "/delete" : "");
	for (uint32_t i = 0; i < job->n_deaths; i++)
		n += (size_t)snprintf(found->text + n, sizeof(found->text) - n, "%s=%u ", job->deaths[i].store,
				      job->deaths[i].n);
	return 0;
}

static void assert_holds(struct fixture *fix, const char *expected)
{
	struct found found = {{0}};
	struct err err = {0};

	assert_int_equal(fix->journal->ops->load(fix->journal, on_intent, on_job, &found, &err), 0);
	assert_string_equal(found.text, expected);
}

static const char held[] = "open/3 aborted/4/aborted job first {\"id\":\"first\"} job third {\"id\":\"third\"}/delete ";

/* ---- records ---- */

struct waiting {
	struct journal_req req;
	struct fixture *fix;
};

static void on_record(struct journal_req *req)
{
	uv_stop(&container_of(req, struct waiting, req)->fix->loop);
}

static void record_now(struct fixture *fix, struct journal_req req)
{
	struct waiting waiting = {.req = req, .fix = fix};

	waiting.req.done = on_record;
	waiting.req.rc = 1;
	fix->journal->ops->submit(fix->journal, &waiting.req);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(waiting.req.rc, 0);
}

/* ---- tests ---- */

static void format_1_is_brought_forward(void **state)
{
	struct fixture *fix = *state;
	struct uuid id = id_of("018bcfe5-6800-7000-8000-0000000000aa");

	fixture_run_sql(fix->path, format_1);
	fixture_open(fix);
	assert_int_equal(uuid_compare(&fix->journal->id, &id), 0);
	assert_holds(fix, held);
	fixture_close(fix);
	assert_int_equal(fixture_read_number(fix->path, "PRAGMA user_version"), 3);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM jobs WHERE state = 'done'"), 1);
	fixture_open(fix);
	assert_holds(fix, held);
	fixture_close(fix);
}

static int on_flow(void *arg, const struct journal_flow *found)
{
	(void)found;
	++*(uint32_t *)arg;
	return 0;
}

static void format_2_is_brought_forward(void **state)
{
	struct fixture *fix = *state;
	struct err err = {0};
	uint32_t n_flows = 0;

	fixture_run_sql(fix->path, format_1);
	fixture_run_sql(fix->path, format_2);
	fixture_open(fix);
	assert_holds(fix, "open/3 aborted/4/aborted job first {\"id\":\"first\"} neo4j=2 "
			  "job third {\"id\":\"third\"}/delete ");
	assert_int_equal(fix->journal->ops->load_flows(fix->journal, on_flow, &n_flows, &err), 0);
	assert_int_equal(n_flows, 0);
	fixture_close(fix);
	assert_int_equal(fixture_read_number(fix->path, "PRAGMA user_version"), 3);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM resolved WHERE reason = 'gone'"), 1);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM sagas, saga_steps"), 0);
}

static int kill_at;

static int die_at_statement(unsigned what, void *arg, void *statement, void *text)
{
	(void)what;
	(void)arg;
	(void)statement;
	(void)text;
	if (--kill_at == 0)
		(void)raise(SIGKILL);
	return 0;
}

static int watch_connection(sqlite3 *sqlite, char **error, const struct sqlite3_api_routines *api)
{
	(void)error;
	(void)api;
	return sqlite3_trace_v2(sqlite, SQLITE_TRACE_STMT, die_at_statement, NULL);
}

/* True: the child died before it had opened the journal. */
static bool open_and_die(struct fixture *fix, int at)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct err err = {0};

		kill_at = at;
		(void)sqlite3_auto_extension((void (*)(void))watch_connection);
		_exit(journal_open(&fix->loop, fix->path, NULL, &fix->options, &fix->journal, &err) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status))
		return true;
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* A step from `from` to the newest, ended at each of its statements in turn. */
static void crash_in_the_step(struct fixture *fix, int64_t from, int64_t n_old_tables, const char *holds)
{
	static const char n_tables[] =
		"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
	unsigned n_old = 0, n_new = 0;
	bool has_died = true;

	for (int at = 1; has_died; at++) {
		int64_t version;

		fixture_remove_files(fix);
		fixture_run_sql(fix->path, format_1);
		if (from == 2)
			fixture_run_sql(fix->path, format_2);
		has_died = open_and_die(fix, at);
		version = fixture_read_number(fix->path, "PRAGMA user_version");
		n_old += version == from;
		n_new += version == 3;
		assert_int_equal(fixture_read_number(fix->path, n_tables), version == from ? n_old_tables : 7);
		fixture_open(fix);
		assert_holds(fix, holds);
		fixture_close(fix);
	}
	assert_true(n_old > 5 && n_new > 2); /* it was struck on both sides of the commit */
}

static void a_crash_in_the_step_leaves_one_format_or_the_other(void **state)
{
	crash_in_the_step(*state, 1, 3, held);
	crash_in_the_step(*state, 2, 5,
			  "open/3 aborted/4/aborted job first {\"id\":\"first\"} neo4j=2 "
			  "job third {\"id\":\"third\"}/delete ");
}

static void a_newer_format_is_refused_and_stays_as_it_is(void **state)
{
	struct fixture *fix = *state;
	struct err err = {0};

	fixture_run_sql(fix->path, format_1);
	fixture_run_sql(fix->path, "PRAGMA user_version = 4");
	assert_int_equal(journal_open(&fix->loop, fix->path, NULL, &fix->options, &fix->journal, &err), -EPROTO);
	assert_non_null(strstr(err.text, "version 4, this sagad knows up to 3"));
	assert_int_equal(fixture_read_number(fix->path, "PRAGMA user_version"), 4);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM sqlite_schema WHERE name = 'deaths'"), 0);
}

static void deaths_are_kept_with_their_job(void **state)
{
	struct fixture *fix = *state;
	struct uuid job = id_of("018bcfe5-6803-7000-8000-000000000003");
	struct journal_req deaths = {.op = JOURNAL_JOB_DEATHS, .saga = job, .store = "qdrant", .n_deaths = 2};

	fixture_run_sql(fix->path, format_1);
	fixture_open(fix);
	record_now(fix, deaths);
	deaths.n_deaths = 3;
	record_now(fix, deaths);
	deaths.store = "neo4j";
	deaths.n_deaths = 1;
	record_now(fix, deaths);
	fixture_close(fix);
	fixture_open(fix);
	assert_holds(fix, "open/3 aborted/4/aborted job first {\"id\":\"first\"} neo4j=1 qdrant=3 "
			  "job third {\"id\":\"third\"}/delete ");
	deaths.n_deaths = 0; /* it survived one */
	record_now(fix, deaths);
	assert_holds(fix, "open/3 aborted/4/aborted job first {\"id\":\"first\"} qdrant=3 "
			  "job third {\"id\":\"third\"}/delete ");
	record_now(fix, (struct journal_req){.op = JOURNAL_JOB_FAILED,
					     .saga = job,
					     .unix_ms = 4000000000000,
					     .code = "store_refused",
					     .reason = "r"});
	fixture_close(fix);
	assert_int_equal(fixture_read_number(fix->path, "SELECT count(*) FROM deaths"), 0);
}

struct listing {
	struct journal_resolved_req req;
	struct fixture *fix;
};

static void on_listed(struct journal_resolved_req *req)
{
	uv_stop(&container_of(req, struct listing, req)->fix->loop);
}

/* The reasons of a page, and the place of its last row. */
static uint64_t list_reasons(struct fixture *fix, uint64_t before, uint32_t limit, char *out, size_t n_bytes)
{
	struct listing listing = {.req = {.before = before, .limit = limit, .rc = 1, .done = on_listed}, .fix = fix};
	uint64_t last = 0;
	struct list *node;

	fix->journal->ops->resolved(fix->journal, &listing.req);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(listing.req.rc, 0);
	out[0] = '\0';
	while ((node = list_take_first(&listing.req.rows)) != NULL) {
		struct journal_resolved_row *row = container_of(node, struct journal_resolved_row, node);
		size_t n = strlen(out);

		(void)snprintf(out + n, n_bytes - n, "%.*s|%s|%s|%s|%s|%u;", STR_ARG(row->what.document_id),
			       row->what.work, row->what.store, row->what.error, row->what.reason, row->what.uid);
		last = row->place;
		free(row);
	}
	return last;
}

static void resolutions_are_listed_newest_first(void **state)
{
	struct fixture *fix = *state;
	struct journal_req req = {
		.op = JOURNAL_RESOLVED,
		.saga = id_of("018bcfe5-6803-7000-8000-000000000003"),
		.document_id = str_of("first"),
		.work = "remove",
		.store = "qdrant",
		.error = "collection missing",
		.reason = "dropped by hand",
		.uid = 1000,
		.unix_ms = 16,
	};
	char text[512];
	uint64_t last;

	fixture_open(fix);
	record_now(fix, req);
	req.reason = "the second";
	record_now(fix, req);
	req.reason = "the third";
	record_now(fix, req);
	fixture_close(fix);
	fixture_open(fix);
	last = list_reasons(fix, 0, 2, text, sizeof(text));
	assert_string_equal(text, "first|remove|qdrant|collection missing|the third|1000;"
				  "first|remove|qdrant|collection missing|the second|1000;");
	last = list_reasons(fix, last, 2, text, sizeof(text));
	assert_string_equal(text, "first|remove|qdrant|collection missing|dropped by hand|1000;");
	assert_int_equal(list_reasons(fix, last, 2, text, sizeof(text)), 0);
	fixture_close(fix);
}

#define FORMAT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FORMAT_TEST(format_1_is_brought_forward),
		FORMAT_TEST(format_2_is_brought_forward),
		FORMAT_TEST(a_crash_in_the_step_leaves_one_format_or_the_other),
		FORMAT_TEST(a_newer_format_is_refused_and_stays_as_it_is),
		FORMAT_TEST(deaths_are_kept_with_their_job),
		FORMAT_TEST(resolutions_are_listed_newest_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
