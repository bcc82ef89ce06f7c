/* Real files in a folder of their own for each test; children are forked before this process has a second thread. */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char folder[64];
	char path[96];
	uv_loop_t loop;
	struct journal *journal;
	struct journal_options options;
	bool is_closed;
};

static int fixture_setup(void **state)
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

static void remove_file(const char *path, const char *end)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s%s", path, end);
	(void)unlink(name);
}

static int fixture_teardown(void **state)
{
	struct fixture *fix = *state;
	static const char *const ends[] = {"", "-wal", "-shm", ".lock", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		remove_file(fix->path, ends[i]);
	(void)rmdir(fix->folder);
	if (uv_loop_close(&fix->loop) != 0)
		return -1;
	free(fix);
	return 0;
}

static void on_closed(void *arg)
{
	((struct fixture *)arg)->is_closed = true;
}

static void open_journal(struct fixture *fix)
{
	struct err err = {0};
	int rc = journal_open(&fix->loop, fix->path, NULL, &fix->options, &fix->journal, &err);

	if (rc != 0)
		print_message("%s\n", err.text);
	assert_int_equal(rc, 0);
}

static void close_journal(struct fixture *fix)
{
	fix->is_closed = false;
	fix->journal->ops->close(fix->journal, on_closed, fix);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_true(fix->is_closed);
}

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

static struct uuid saga_of(uint64_t number)
{
	return uuid_make_v7(1700000000000u + number, 0, number);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *sqlite = NULL;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

/* ---- a run of records ---- */

struct record {
	struct journal_req req;
	struct run *run;
	uint64_t number;
};

struct run {
	struct record *records;
	uint64_t n_done;
	uint64_t n_failed;
	uint64_t next; /* the number that must be answered next */
	struct fixture *fix;
	uint64_t stop_after;
};

static void on_record(struct journal_req *req)
{
	struct record *record = container_of(req, struct record, req);
	struct run *run = record->run;

	assert_int_equal(record->number, run->next);
	run->next++;
	run->n_done++;
	run->n_failed += req->rc != 0;
	if (run->n_done == run->stop_after)
		uv_stop(&run->fix->loop);
}

static void submit_intent(struct run *run, uint64_t number)
{
	struct record *record = &run->records[number];

	record->run = run;
	record->number = number;
	record->req = (struct journal_req){.op = JOURNAL_INTENT,
					   .saga = saga_of(number),
					   .document_id = str_of("a document"),
					   .n_chunks = (uint32_t)number,
					   .unix_ms = 1,
					   .done = on_record};
	run->fix->journal->ops->submit(run->fix->journal, &record->req);
}

static void submit_and_wait(struct fixture *fix, struct run *run, uint64_t n_records)
{
	*run = (struct run){.records = calloc(n_records, sizeof(*run->records)), .fix = fix, .stop_after = n_records};
	assert_non_null(run->records);
	for (uint64_t i = 0; i < n_records; i++)
		submit_intent(run, i);
	assert_int_equal(run->n_done, 0); /* never from inside the submit */
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(run->n_done, n_records);
	free(run->records);
}

/* One record that is waited for. */
static int record_now(struct fixture *fix, struct journal_req req)
{
	struct record record = {.req = req};
	struct run run = {.fix = fix, .stop_after = 1};

	record.run = &run;
	record.req.done = on_record;
	fix->journal->ops->submit(fix->journal, &record.req);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(run.n_done, 1);
	return record.req.rc;
}

/* ---- what load() finds ---- */

struct found {
	uint32_t n_intents, n_aborted, n_jobs;
	struct journal_intent intent; /* the last one, its texts gone */
	char ids[256];                /* of the jobs, in order */
	char jobs[256];
	uint8_t *has; /* by number, when not NULL */
	uint64_t n_has;
};

static int on_intent(void *arg, const struct journal_intent *intent)
{
	struct found *found = arg;

	found->n_intents++;
	found->n_aborted += intent->is_aborted;
	found->intent = *intent;
	if (found->has != NULL && intent->n_chunks < found->n_has)
		found->has[intent->n_chunks] = 1;
	return 0;
}

static int on_job(void *arg, const struct journal_job *job)
{
	struct found *found = arg;
	size_t n_ids = strlen(found->ids), n_jobs = strlen(found->jobs);

	found->n_jobs++;
	(void)snprintf(found->ids + n_ids, sizeof(found->ids) - n_ids, "%.*s;", STR_ARG(job->document_id));
	(void)snprintf(found->jobs + n_jobs, sizeof(found->jobs) - n_jobs, "%.*s;", STR_ARG(job->job_json));
	return 0;
}

static void load_all(struct fixture *fix, struct found *found)
{
	struct err err = {0};
	int rc = fix->journal->ops->load(fix->journal, on_intent, on_job, found, &err);

	if (rc != 0)
		print_message("%s\n", err.text);
	assert_int_equal(rc, 0);
}

/* ---- look-ups ---- */

struct ask {
	struct journal_lookup_req req;
	struct fixture *fix;
	uint32_t n_done;
};

static void on_lookup(struct journal_lookup_req *req)
{
	struct ask *ask = container_of(req, struct ask, req);

	ask->n_done++;
	uv_stop(&ask->fix->loop);
}

static struct journal_job_row look_up(struct fixture *fix, uint64_t number)
{
	struct ask ask = {.req = {.id = saga_of(number), .done = on_lookup}, .fix = fix};

	fix->journal->ops->lookup(fix->journal, &ask.req);
	assert_int_equal(ask.n_done, 0);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(ask.n_done, 1);
	assert_int_equal(ask.req.rc, 0);
	return ask.req.row;
}

static void accept_job(struct fixture *fix, uint64_t number, const char *document_id, const char *job)
{
	assert_int_equal(record_now(fix, (struct journal_req){.op = JOURNAL_ACCEPT,
							      .saga = saga_of(number),
							      .document_id = str_of(document_id),
							      .job_json = str_of(job),
							      .unix_ms = 5}),
			 0);
}

/* ---- tests ---- */

static void a_new_journal_has_an_id_that_stays(void **state)
{
	struct fixture *fix = *state;
	struct uuid id;
	struct stat seen;

	open_journal(fix);
	id = fix->journal->id;
	assert_false(uuid_is_nil(&id));
	assert_int_equal(stat(fix->path, &seen), 0);
	assert_int_equal(seen.st_mode & 0777, 0600);
	close_journal(fix);
	open_journal(fix);
	assert_int_equal(uuid_compare(&id, &fix->journal->id), 0);
	close_journal(fix);
}

static void what_gathers_is_one_commit_in_order(void **state)
{
	struct fixture *fix = *state;
	struct journal_stats stats;
	struct run run;

	open_journal(fix);
	submit_and_wait(fix, &run, 5000);
	assert_int_equal(run.n_failed, 0);
	journal_stats(fix->journal, &stats);
	assert_int_equal(stats.n_records, 5000);
	assert_int_equal(stats.n_waiting, 0);
	assert_in_range(stats.n_commits, 1, 500);
	close_journal(fix);
}

static void an_intent_lives_until_it_is_closed(void **state)
{
	struct fixture *fix = *state;
	struct found found = {0};
	struct run run;

	open_journal(fix);
	submit_and_wait(fix, &run, 3);
	assert_int_equal(
		record_now(fix, (struct journal_req){.op = JOURNAL_ABORTED, .saga = saga_of(2), .unix_ms = 77}), 0);
	assert_int_equal(record_now(fix, (struct journal_req){.op = JOURNAL_CLOSE, .saga = saga_of(0)}), 0);
	close_journal(fix);
	open_journal(fix);
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 2);
	assert_int_equal(found.n_aborted, 1);
	assert_int_equal(found.intent.unix_ms, 77);
	assert_int_equal(found.intent.n_chunks, 2);
	close_journal(fix);
}

static void jobs_come_back_in_the_order_of_their_acceptance(void **state)
{
	struct fixture *fix = *state;
	struct found found = {0};

	open_journal(fix);
	accept_job(fix, 9, "first", "{\"a\":1}");
	accept_job(fix, 3, "second", "{\"b\":2}");
	accept_job(fix, 5, "third \xc3\xa4", "{\"c\":3}");
	assert_int_equal(
		record_now(fix, (struct journal_req){.op = JOURNAL_JOB_DONE, .saga = saga_of(3), .made = saga_of(4)}),
		0);
	close_journal(fix);
	open_journal(fix);
	load_all(fix, &found);
	assert_int_equal(found.n_jobs, 2);
	assert_string_equal(found.ids, "first;third \xc3\xa4;");
	assert_string_equal(found.jobs, "{\"a\":1};{\"c\":3};");
	close_journal(fix);
}

static void outcomes_are_looked_up(void **state)
{
	struct fixture *fix = *state;
	struct journal_job_row row;
	struct uuid made = saga_of(40);

	open_journal(fix);
	accept_job(fix, 1, "one", "{}");
	accept_job(fix, 2, "two", "{}");
	accept_job(fix, 3, "three", "{}");
	assert_int_equal(
		record_now(fix, (struct journal_req){.op = JOURNAL_JOB_DONE, .saga = saga_of(1), .made = made}), 0);
	assert_int_equal(record_now(fix, (struct journal_req){.op = JOURNAL_JOB_FAILED,
							      .saga = saga_of(2),
							      .code = "store_refused",
							      .reason = "qdrant: wrong dimension"}),
			 0);
	row = look_up(fix, 1);
	assert_int_equal(row.state, JOB_DONE);
	assert_int_equal(uuid_compare(&row.made, &made), 0);
	row = look_up(fix, 2);
	assert_int_equal(row.state, JOB_FAILED);
	assert_string_equal(row.code, "store_refused");
	assert_string_equal(row.reason.text, "qdrant: wrong dimension");
	assert_int_equal(look_up(fix, 3).state, JOB_WAITING);
	assert_int_equal(look_up(fix, 4).state, JOB_UNKNOWN);
	close_journal(fix);
}

static void notes_that_nobody_waits_for_are_copied(void **state)
{
	struct fixture *fix = *state;
	char document_id[] = "borrowed", reason[] = "a reason";
	struct journal_req req = {.op = JOURNAL_INTENT, .saga = saga_of(1), .document_id = {document_id, 8}};
	struct found found = {0};

	open_journal(fix);
	accept_job(fix, 2, "two", "{}");
	fix->journal->ops->submit(fix->journal, &req);
	req = (struct journal_req){.op = JOURNAL_JOB_FAILED, .saga = saga_of(2), .code = "internal", .reason = reason};
	fix->journal->ops->submit(fix->journal, &req);
	memset(document_id, 'x', 8);
	memset(reason, 'x', 8);
	memset(&req, 0xff, sizeof(req));
	assert_string_equal(look_up(fix, 2).reason.text, "a reason");
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 1);
	close_journal(fix);
}

static uint64_t commits(struct fixture *fix)
{
	struct journal_stats stats;

	journal_stats(fix->journal, &stats);
	return stats.n_commits;
}

static void on_enough(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* What is committed without anybody waiting shows only in the file. */
static void wait_for_commits(struct fixture *fix, uint64_t n)
{
	uv_timer_t timer;

	assert_int_equal(uv_timer_init(&fix->loop, &timer), 0);
	while (commits(fix) < n) {
		assert_int_equal(uv_timer_start(&timer, on_enough, 5, 0), 0);
		uv_run(&fix->loop, UV_RUN_DEFAULT);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&fix->loop, UV_RUN_NOWAIT);
}

/* An intent right behind a closing must not wait for the closing's own sync. */
static void closings_make_no_commit_while_others_come(void **state)
{
	struct fixture *fix = *state;
	struct journal_req intent = {.op = JOURNAL_INTENT, .document_id = str_of("a document"), .unix_ms = 1};
	struct journal_req note = {.op = JOURNAL_CLOSE};
	struct found found = {0};
	uint64_t before;

	open_journal(fix);
	before = commits(fix);
	for (uint64_t i = 0; i < 20; i++) {
		intent.saga = note.saga = saga_of(i);
		assert_int_equal(record_now(fix, intent), 0);
		list_init(&note.node);
		fix->journal->ops->submit(fix->journal, &note);
	}
	assert_int_equal(commits(fix), before + 20);
	wait_for_commits(fix, before + 21); /* the last one goes by itself, in the end */
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 0);
	close_journal(fix);
}

static void closing_waits_for_what_was_submitted(void **state)
{
	struct fixture *fix = *state;
	struct journal_req req = {.op = JOURNAL_INTENT, .document_id = str_of("d")};
	struct found found = {0};

	open_journal(fix);
	for (uint64_t i = 0; i < 2000; i++) {
		req.saga = saga_of(i);
		fix->journal->ops->submit(fix->journal, &req);
	}
	close_journal(fix);
	open_journal(fix);
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 2000);
	close_journal(fix);
}

static void outcomes_beyond_the_count_are_forgotten(void **state)
{
	struct fixture *fix = *state;

	fix->options.keep_count = 3;
	open_journal(fix);
	for (uint64_t i = 0; i < 8; i++) {
		accept_job(fix, i, "d", "{}");
		assert_int_equal(record_now(fix, (struct journal_req){.op = JOURNAL_JOB_DONE,
								      .saga = saga_of(i),
								      .made = saga_of(i),
								      .unix_ms = 4000000000000 + (int64_t)i}),
				 0);
	}
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(look_up(fix, i).state, i < 5 ? JOB_UNKNOWN : JOB_DONE);
	close_journal(fix);
}

static void old_outcomes_are_forgotten_and_waiting_jobs_never(void **state)
{
	struct fixture *fix = *state;

	open_journal(fix);
	accept_job(fix, 1, "waits", "{}");
	accept_job(fix, 2, "done long ago", "{}");
	assert_int_equal(
		record_now(fix, (struct journal_req){.op = JOURNAL_JOB_DONE, .saga = saga_of(2), .unix_ms = 1}), 0);
	close_journal(fix);
	open_journal(fix); /* the pruning runs once a second; a new start has not run it yet */
	assert_int_equal(record_now(fix, (struct journal_req){.op = JOURNAL_CLOSE, .saga = saga_of(9)}), 0);
	assert_int_equal(look_up(fix, 1).state, JOB_WAITING);
	assert_int_equal(look_up(fix, 2).state, JOB_UNKNOWN);
	close_journal(fix);
}

static int submit_from_load(void *arg, const struct journal_intent *found)
{
	struct fixture *fix = arg;
	struct journal_req req = {.op = JOURNAL_ABORTED, .saga = found->saga, .unix_ms = 2};

	fix->journal->ops->submit(fix->journal, &req);
	return 0;
}

static int stop_at_job(void *arg, const struct journal_job *found)
{
	(void)arg;
	(void)found;
	return -ECHILD;
}

static void load_may_submit_and_may_be_ended(void **state)
{
	struct fixture *fix = *state;
	struct found found = {0};
	struct err err = {0};
	struct run run;

	open_journal(fix);
	submit_and_wait(fix, &run, 500);
	accept_job(fix, 900, "d", "{}");
	assert_int_equal(fix->journal->ops->load(fix->journal, submit_from_load, stop_at_job, fix, &err), -ECHILD);
	(void)look_up(fix, 0); /* after what was submitted */
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 500);
	assert_int_equal(found.n_aborted, 500);
	close_journal(fix);
}

static void a_second_daemon_is_refused(void **state)
{
	struct fixture *fix = *state;
	struct journal *first;
	char linked[128];
	pid_t child;
	int status;

	(void)snprintf(linked, sizeof(linked), "%s-by-another-name", fix->path);
	open_journal(fix);
	first = fix->journal;
	assert_int_equal(open_fails(fix, fix->path, "another sagad"), -EBUSY);
	assert_int_equal(symlink(fix->path, linked), 0);
	{
		struct err err = {0};
		assert_int_equal(journal_open(&fix->loop, linked, NULL, &fix->options, &fix->journal, &err), -EBUSY);
	}
	assert_int_equal(unlink(linked), 0);
	fix->journal = first;
	assert_int_equal(record_now(fix, (struct journal_req){.op = JOURNAL_CLOSE, .saga = saga_of(1)}), 0);
	close_journal(fix);

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
	open_journal(fix);
	close_journal(fix);
}

static void other_files_are_refused(void **state)
{
	struct fixture *fix = *state;
	FILE *file;

	open_journal(fix);
	close_journal(fix);
	run_sql(fix->path, "PRAGMA user_version = 4");
	assert_int_equal(open_fails(fix, fix->path, "newer"), -EPROTO);
	run_sql(fix->path, "PRAGMA user_version = 1; PRAGMA application_id = 7");
	assert_int_equal(open_fails(fix, fix->path, "another program"), -EINVAL);
	remove_file(fix->path, "-wal");
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
	remove_file(fix->folder, ".lock");
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

/* The limit on a file's size makes write() fail as a full disk does. */
static int fill_the_disk(struct fixture *fix)
{
	const struct rlimit small = {300000, RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};
	struct run run = {.records = calloc(20001, sizeof(*run.records)), .fix = fix, .stop_after = 20000};
	char big[4000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	(void)signal(SIGXFSZ, SIG_IGN);
	if (run.records == NULL || setrlimit(RLIMIT_FSIZE, &small) != 0)
		return 10;
	for (uint64_t i = 0; i < 20000; i++)
		submit_intent(&run, i);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	if (run.n_failed == 0 || strstr(run.records[19999].req.err.text, fix->path) == NULL)
		return 11;
	/* Failed for good: space that comes back changes nothing. */
	if (setrlimit(RLIMIT_FSIZE, &all) != 0)
		return 12;
	run.stop_after = 20001;
	submit_intent(&run, 20000);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	if (run.records[20000].req.rc == 0 || run.records[20000].req.err.text[0] == '\0')
		return 13;
	fix->journal->ops->close(fix->journal, on_closed, fix);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	free(run.records);
	return fix->is_closed ? 0 : 14;
}

static void a_full_disk_fails_the_journal_for_good(void **state)
{
	struct fixture *fix = *state;
	struct found found = {0};
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct err err = {0};
		if (journal_open(&fix->loop, fix->path, NULL, &fix->options, &fix->journal, &err) != 0)
			_exit(9);
		_exit(fill_the_disk(fix));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	open_journal(fix); /* what is there is whole */
	load_all(fix, &found);
	close_journal(fix);
}

/* ---- kill -9 in the middle ---- */

#define KILL_RECORDS 200000

struct teller {
	struct record *records;
	struct fixture *fix;
	int fd;
	uint64_t next;
};

static void tell_record(struct journal_req *req)
{
	struct record *record = container_of(req, struct record, req);
	struct teller *teller = (struct teller *)(void *)record->run;
	uint32_t number = (uint32_t)record->number;

	if (req->rc != 0 || write(teller->fd, &number, sizeof(number)) != (ssize_t)sizeof(number))
		_exit(1);
	if (teller->next >= KILL_RECORDS)
		_exit(2); /* the parent is too slow to kill */
	record = &teller->records[teller->next];
	*record = (struct record){.run = (struct run *)(void *)teller, .number = teller->next};
	record->req = (struct journal_req){.op = JOURNAL_INTENT,
					   .saga = saga_of(teller->next),
					   .document_id = str_of("d"),
					   .n_chunks = (uint32_t)teller->next,
					   .done = tell_record};
	teller->next++;
	teller->fix->journal->ops->submit(teller->fix->journal, &record->req);
}

static _Noreturn void submit_until_killed(struct fixture *fix, int fd)
{
	struct teller teller = {.records = calloc(KILL_RECORDS, sizeof(struct record)), .fix = fix, .fd = fd};
	struct err err = {0};

	if (teller.records == NULL ||
	    journal_open(&fix->loop, fix->path, NULL, &fix->options, &fix->journal, &err) != 0)
		_exit(3);
	for (uint64_t i = 0; i < 64; i++) {
		struct record *record = &teller.records[i];
		record->run = (struct run *)(void *)&teller;
		record->number = i;
		record->req = (struct journal_req){.op = JOURNAL_INTENT,
						   .saga = saga_of(i),
						   .document_id = str_of("d"),
						   .n_chunks = (uint32_t)i,
						   .done = tell_record};
		teller.next++;
		fix->journal->ops->submit(fix->journal, &record->req);
	}
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	_exit(4);
}

static void kill_and_compare(struct fixture *fix, unsigned wait_us)
{
	struct found found = {.has = calloc(KILL_RECORDS, 1), .n_has = KILL_RECORDS};
	uint64_t n_told = 0;
	uint32_t number;
	int ends[2], status;
	pid_t child;

	assert_non_null(found.has);
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
	child = fork();
	if (child == 0)
		submit_until_killed(fix, ends[1]);
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &number, sizeof(number)), sizeof(number)); /* it is in the middle now */
	(void)usleep(wait_us);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	open_journal(fix);
	load_all(fix, &found);
	do {
		assert_true(number < KILL_RECORDS);
		assert_int_equal(found.has[number], 1); /* acknowledged, so it is there */
		n_told++;
	} while (read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number));
	assert_true(n_told <= found.n_intents);
	close_journal(fix);
	(void)close(ends[0]);
	free(found.has);
	assert_int_equal(unlink(fix->path), 0);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		kill_and_compare(*state, 7000 * i);
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOURNAL_TEST(a_new_journal_has_an_id_that_stays),
		JOURNAL_TEST(what_gathers_is_one_commit_in_order),
		JOURNAL_TEST(an_intent_lives_until_it_is_closed),
		JOURNAL_TEST(jobs_come_back_in_the_order_of_their_acceptance),
		JOURNAL_TEST(outcomes_are_looked_up),
		JOURNAL_TEST(notes_that_nobody_waits_for_are_copied),
		JOURNAL_TEST(closings_make_no_commit_while_others_come),
		JOURNAL_TEST(closing_waits_for_what_was_submitted),
		JOURNAL_TEST(outcomes_beyond_the_count_are_forgotten),
		JOURNAL_TEST(old_outcomes_are_forgotten_and_waiting_jobs_never),
		JOURNAL_TEST(load_may_submit_and_may_be_ended),
		JOURNAL_TEST(a_second_daemon_is_refused),
		JOURNAL_TEST(other_files_are_refused),
		JOURNAL_TEST(missing_and_wrong_places_are_named),
		JOURNAL_TEST(a_folder_without_write_rights_is_named),
		JOURNAL_TEST(a_full_disk_fails_the_journal_for_good),
		JOURNAL_TEST(what_was_acknowledged_survives_kill_9),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
