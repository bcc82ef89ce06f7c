/* Real files in a folder of their own for each test; children are forked before this process has a second thread. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

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
					   .saga = fixture_saga(number),
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
	struct ask ask = {.req = {.id = fixture_saga(number), .done = on_lookup}, .fix = fix};

	fix->journal->ops->lookup(fix->journal, &ask.req);
	assert_int_equal(ask.n_done, 0);
	uv_run(&fix->loop, UV_RUN_DEFAULT);
	assert_int_equal(ask.n_done, 1);
	assert_int_equal(ask.req.rc, 0);
	return ask.req.row;
}

static void accept_job(struct fixture *fix, uint64_t number, const char *document_id, const char *job)
{
	assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_ACCEPT,
								  .saga = fixture_saga(number),
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

	fixture_open(fix);
	id = fix->journal->id;
	assert_false(uuid_is_nil(&id));
	assert_int_equal(stat(fix->path, &seen), 0);
	assert_int_equal(seen.st_mode & 0777, 0600);
	fixture_close(fix);
	fixture_open(fix);
	assert_int_equal(uuid_compare(&id, &fix->journal->id), 0);
	fixture_close(fix);
}

static void what_gathers_is_one_commit_in_order(void **state)
{
	struct fixture *fix = *state;
	struct journal_stats stats;
	struct run run;

	fixture_open(fix);
	submit_and_wait(fix, &run, 5000);
	assert_int_equal(run.n_failed, 0);
	journal_stats(fix->journal, &stats);
	assert_int_equal(stats.n_records, 5000);
	assert_int_equal(stats.n_waiting, 0);
	assert_in_range(stats.n_commits, 1, 500);
	fixture_close(fix);
}

static void an_intent_lives_until_it_is_closed(void **state)
{
	struct fixture *fix = *state;
	struct found found = {0};
	struct run run;

	fixture_open(fix);
	submit_and_wait(fix, &run, 3);
	assert_int_equal(
		fixture_record(fix,
			       (struct journal_req){.op = JOURNAL_ABORTED, .saga = fixture_saga(2), .unix_ms = 77}),
		0);
	assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_CLOSE, .saga = fixture_saga(0)}), 0);
	fixture_close(fix);
	fixture_open(fix);
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 2);
	assert_int_equal(found.n_aborted, 1);
	assert_int_equal(found.intent.unix_ms, 77);
	assert_int_equal(found.intent.n_chunks, 2);
	fixture_close(fix);
}

static void jobs_come_back_in_the_order_of_their_acceptance(void **state)
{
	struct fixture *fix = *state;
	struct found found = {0};

	fixture_open(fix);
	accept_job(fix, 9, "first", "{\"a\":1}");
	accept_job(fix, 3, "second", "{\"b\":2}");
	accept_job(fix, 5, "third \xc3\xa4", "{\"c\":3}");
	assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_JOB_DONE,
								  .saga = fixture_saga(3),
								  .made = fixture_saga(4)}),
			 0);
	fixture_close(fix);
	fixture_open(fix);
	load_all(fix, &found);
	assert_int_equal(found.n_jobs, 2);
	assert_string_equal(found.ids, "first;third \xc3\xa4;");
	assert_string_equal(found.jobs, "{\"a\":1};{\"c\":3};");
	fixture_close(fix);
}

static void outcomes_are_looked_up(void **state)
{
	struct fixture *fix = *state;
	struct journal_job_row row;
	struct uuid made = fixture_saga(40);

	fixture_open(fix);
	accept_job(fix, 1, "one", "{}");
	accept_job(fix, 2, "two", "{}");
	accept_job(fix, 3, "three", "{}");
	assert_int_equal(
		fixture_record(fix,
			       (struct journal_req){.op = JOURNAL_JOB_DONE, .saga = fixture_saga(1), .made = made}),
		0);
	assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_JOB_FAILED,
								  .saga = fixture_saga(2),
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
	fixture_close(fix);
}

static void notes_that_nobody_waits_for_are_copied(void **state)
{
	struct fixture *fix = *state;
	char document_id[] = "borrowed", reason[] = "a reason";
	struct journal_req req = {.op = JOURNAL_INTENT, .saga = fixture_saga(1), .document_id = {document_id, 8}};
	struct found found = {0};

	fixture_open(fix);
	accept_job(fix, 2, "two", "{}");
	fix->journal->ops->submit(fix->journal, &req);
	req = (struct journal_req){
		.op = JOURNAL_JOB_FAILED, .saga = fixture_saga(2), .code = "internal", .reason = reason};
	fix->journal->ops->submit(fix->journal, &req);
	memset(document_id, 'x', 8);
	memset(reason, 'x', 8);
	memset(&req, 0xff, sizeof(req));
	assert_string_equal(look_up(fix, 2).reason.text, "a reason");
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 1);
	fixture_close(fix);
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

	fixture_open(fix);
	before = commits(fix);
	for (uint64_t i = 0; i < 20; i++) {
		intent.saga = note.saga = fixture_saga(i);
		assert_int_equal(fixture_record(fix, intent), 0);
		list_init(&note.node);
		fix->journal->ops->submit(fix->journal, &note);
	}
	assert_int_equal(commits(fix), before + 20);
	wait_for_commits(fix, before + 21); /* the last one goes by itself, in the end */
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 0);
	fixture_close(fix);
}

static void closing_waits_for_what_was_submitted(void **state)
{
	struct fixture *fix = *state;
	struct journal_req req = {.op = JOURNAL_INTENT, .document_id = str_of("d")};
	struct found found = {0};

	fixture_open(fix);
	for (uint64_t i = 0; i < 2000; i++) {
		req.saga = fixture_saga(i);
		fix->journal->ops->submit(fix->journal, &req);
	}
	fixture_close(fix);
	fixture_open(fix);
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 2000);
	fixture_close(fix);
}

static void outcomes_beyond_the_count_are_forgotten(void **state)
{
	struct fixture *fix = *state;

	fix->options.keep_count = 3;
	fixture_open(fix);
	for (uint64_t i = 0; i < 8; i++) {
		accept_job(fix, i, "d", "{}");
		assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_JOB_DONE,
									  .saga = fixture_saga(i),
									  .made = fixture_saga(i),
									  .unix_ms = 4000000000000 + (int64_t)i}),
				 0);
	}
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(look_up(fix, i).state, i < 5 ? JOB_UNKNOWN : JOB_DONE);
	fixture_close(fix);
}

static void old_outcomes_are_forgotten_and_waiting_jobs_never(void **state)
{
	struct fixture *fix = *state;

	fixture_open(fix);
	accept_job(fix, 1, "waits", "{}");
	accept_job(fix, 2, "done long ago", "{}");
	assert_int_equal(
		fixture_record(fix,
			       (struct journal_req){.op = JOURNAL_JOB_DONE, .saga = fixture_saga(2), .unix_ms = 1}),
		0);
	fixture_close(fix);
	fixture_open(fix); /* the pruning runs once a second; a new start has not run it yet */
	assert_int_equal(fixture_record(fix, (struct journal_req){.op = JOURNAL_CLOSE, .saga = fixture_saga(9)}), 0);
	assert_int_equal(look_up(fix, 1).state, JOB_WAITING);
	assert_int_equal(look_up(fix, 2).state, JOB_UNKNOWN);
	fixture_close(fix);
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

	fixture_open(fix);
	submit_and_wait(fix, &run, 500);
	accept_job(fix, 900, "d", "{}");
	assert_int_equal(fix->journal->ops->load(fix->journal, submit_from_load, stop_at_job, fix, &err), -ECHILD);
	(void)look_up(fix, 0); /* after what was submitted */
	load_all(fix, &found);
	assert_int_equal(found.n_intents, 500);
	assert_int_equal(found.n_aborted, 500);
	fixture_close(fix);
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
	fix->journal->ops->close(fix->journal, fixture_on_closed, fix);
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
	fixture_open(fix); /* what is there is whole */
	load_all(fix, &found);
	fixture_close(fix);
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
					   .saga = fixture_saga(teller->next),
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
						   .saga = fixture_saga(i),
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
	fixture_open(fix);
	load_all(fix, &found);
	do {
		assert_true(number < KILL_RECORDS);
		assert_int_equal(found.has[number], 1); /* acknowledged, so it is there */
		n_told++;
	} while (read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number));
	assert_true(n_told <= found.n_intents);
	fixture_close(fix);
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
		JOURNAL_TEST(a_full_disk_fails_the_journal_for_good),
		JOURNAL_TEST(what_was_acknowledged_survives_kill_9),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
