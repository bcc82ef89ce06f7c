/* The disk fails at each call in turn: what was answered as durable is in the file, and after the first failure nothing
 * is answered as durable any more. */
#include "fault_vfs.h"
#include "journal/journal.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define N_RECORDS  24 /* by turns: an accepted job, which brings its bytes, an intent, and a saga of a client's */
#define N_AT_ONCE  3
#define JOB_BYTES  9000 /* more than two pages, so that a transaction takes several writes */
#define MOST_CALLS 5000

struct record {
	struct journal_req req;
	struct journal_flow_req flow; /* every third */
	struct scene *scene;
	bool is_done, is_durable;
};

/* One journal's life with one fault in it. */
struct scene {
	char folder[64];
	char path[96];
	uv_loop_t loop;
	struct journal *journal;
	struct record records[N_RECORDS + N_AT_ONCE]; /* the last for a look at the file afterwards */
	uint32_t n_done, n_durable, n_failed;
	bool has[N_RECORDS]; /* found by load() */
	bool is_closed;
	char job[JOB_BYTES];
};

static struct uuid saga_of(uint64_t number)
{
	return uuid_make_v7(1700000000000u + number, 0, number);
}

static void on_closed(void *arg)
{
	((struct scene *)arg)->is_closed = true;
}

static int scene_open(struct scene *scene)
{
	struct journal_options options = journal_options_default();
	struct err err = {0};
	int rc = journal_open(&scene->loop, scene->path, NULL, &options, &scene->journal, &err);

	if (rc != 0)
		assert_non_null(strstr(err.text, scene->path)); /* where */
	return rc;
}

static void scene_close(struct scene *scene)
{
	scene->is_closed = false;
	scene->journal->ops->close(scene->journal, on_closed, scene);
	(void)uv_run(&scene->loop, UV_RUN_DEFAULT);
	assert_true(scene->is_closed);
}

static void scene_init(struct scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	memset(scene->job, 'x', sizeof(scene->job));
	/* In memory where that can be had: a thousand lives of twenty real syncs each would take minutes. */
	(void)strcpy(scene->folder,
		     access("/dev/shm", W_OK) == 0 ? "/dev/shm/sagad-journal-XXXXXX" : "/tmp/sagad-journal-XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	(void)snprintf(scene->path, sizeof(scene->path), "%s/journal.db", scene->folder);
	assert_int_equal(uv_loop_init(&scene->loop), 0);
}

static void scene_fini(struct scene *scene)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock", "-journal"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		char name[128];
		(void)snprintf(name, sizeof(name), "%s%s", scene->path, ends[i]);
		(void)unlink(name); /* most don't exist */
	}
	assert_int_equal(rmdir(scene->folder), 0);
	(void)uv_run(&scene->loop, UV_RUN_DEFAULT); /* what a failed open left to be closed */
	assert_int_equal(uv_loop_close(&scene->loop), 0);
}

static void note_answer(struct record *record, int rc, const struct err *err)
{
	struct scene *scene = record->scene;

	assert_false(record->is_done);
	record->is_done = true;
	record->is_durable = rc == 0;
	scene->n_done++;
	if (rc == 0) {
		assert_int_equal(scene->n_failed, 0); /* failed once: failed for good */
		scene->n_durable++;
	} else {
		assert_non_null(strstr(err->text, scene->path));
		scene->n_failed++;
	}
	if (scene->n_done % N_AT_ONCE == 0)
		uv_stop(&scene->loop);
}

static void on_record(struct journal_req *req)
{
	note_answer(container_of(req, struct record, req), req->rc, &req->err);
}

static void on_flow_record(struct journal_flow_req *req)
{
	assert_false(req->is_known);
	note_answer(container_of(req, struct record, flow), req->rc, &req->err);
}

static const struct journal_step two_steps[] = {
	{.step = 0, .state = "starting", .unix_ms = 1},
	{.step = 1, .state = "starting", .unix_ms = 1},
};

static void submit_flow(struct scene *scene, uint32_t number)
{
	struct record *record = &scene->records[number];

	record->flow = (struct journal_flow_req){.is_begin = true,
						 .flow = saga_of(number),
						 .state = "running",
						 .spec_json = str_of("{}"),
						 .began_unix_ms = number + 1,
						 .steps = two_steps,
						 .n_steps = 2,
						 .unix_ms = number + 1,
						 .done = on_flow_record};
	scene->journal->ops->flow(scene->journal, &record->flow);
}

static void submit(struct scene *scene, uint32_t number)
{
	struct record *record = &scene->records[number];
	bool is_job = number % 3 == 0;

	record->scene = scene;
	if (number % 3 == 2) {
		submit_flow(scene, number);
		return;
	}
	record->req = (struct journal_req){.op = is_job ? JOURNAL_ACCEPT : JOURNAL_INTENT,
					   .saga = saga_of(number),
					   .document_id = str_of("a document"),
					   .job_json = {scene->job, is_job ? sizeof(scene->job) : 0},
					   .n_chunks = number,
					   .unix_ms = number + 1,
					   .done = on_record};
	scene->journal->ops->submit(scene->journal, &record->req);
}

static void submit_all(struct scene *scene)
{
	for (uint32_t i = 0; i < N_RECORDS; i += N_AT_ONCE) {
		for (uint32_t j = i; j < i + N_AT_ONCE; j++)
			submit(scene, j);
		(void)uv_run(&scene->loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(scene->n_done, N_RECORDS);
}

static void note_found(struct scene *scene, const struct uuid *saga)
{
	for (uint32_t i = 0; i < N_RECORDS; i++) {
		struct uuid wanted = saga_of(i);
		if (uuid_compare(&wanted, saga) == 0)
			scene->has[i] = true;
	}
}

static int on_intent(void *arg, const struct journal_intent *found)
{
	note_found(arg, &found->saga);
	return 0;
}

static int on_job(void *arg, const struct journal_job *found)
{
	assert_int_equal(found->job_json.len, JOB_BYTES); /* whole or not at all */
	note_found(arg, &found->id);
	return 0;
}

static int on_flow(void *arg, const struct journal_flow *found)
{
	assert_int_equal(found->n_steps, 2); /* whole or not at all */
	note_found(arg, &found->id);
	return 0;
}

/* On a good disk again: all that was durable is there, and the journal takes records. */
static void check_file(struct scene *scene)
{
	struct err err = {0};

	assert_int_equal(scene_open(scene), 0);
	assert_int_equal(scene->journal->ops->load(scene->journal, on_intent, on_job, scene, &err), 0);
	assert_int_equal(scene->journal->ops->load_flows(scene->journal, on_flow, scene, &err), 0);
	for (uint32_t i = 0; i < N_RECORDS; i++)
		if (scene->records[i].is_done && scene->records[i].is_durable && !scene->has[i])
			fail_msg("record %u was answered as durable and is gone", i);
	scene->n_done = scene->n_failed = 0;
	for (uint32_t i = 0; i < N_AT_ONCE; i++)
		submit(scene, N_RECORDS + i);
	(void)uv_run(&scene->loop, UV_RUN_DEFAULT);
	assert_int_equal(scene->n_failed, 0);
	scene_close(scene);
}

/* One life whose n-th call fails; false when there was no n-th call. The fault is there from before the open, or from
 * after it. */
static bool fails_at(enum fault_vfs_kind kind, uint64_t at, bool is_lasting, bool with_open, uint32_t *out_n_durable)
{
	static const struct fault_vfs_plan none;
	struct fault_vfs_plan plan = {.kind = kind, .at = at, .is_lasting = is_lasting};
	struct scene scene;
	bool has_struck;
	int rc;

	scene_init(&scene);
	fault_vfs_arm(with_open ? &plan : &none);
	rc = scene_open(&scene);
	if (!with_open) {
		assert_int_equal(rc, 0);
		fault_vfs_arm(&plan);
	}
	if (rc == 0) {
		submit_all(&scene);
		scene_close(&scene);
	}
	has_struck = fault_vfs_struck() > 0;
	assert_true(has_struck || (rc == 0 && scene.n_failed == 0)); /* nothing fails by itself */
	*out_n_durable = scene.n_durable;
	fault_vfs_arm(&none);
	check_file(&scene);
	scene_fini(&scene);
	return has_struck;
}

/* At the first call, the second, ... until a life has so few. */
static void each_call_fails(enum fault_vfs_kind kind, uint64_t least)
{
	for (int i = 0; i < 4; i++) {
		uint32_t n_durable = 0, most = 0;
		uint64_t at = 1;

		for (; fails_at(kind, at, i & 1, i & 2, &n_durable); at++) {
			assert_true(at < MOST_CALLS);
			most = n_durable > most ? n_durable : most;
		}
		assert_int_equal(n_durable, N_RECORDS);
		assert_true(at > least);
		assert_true(most > 0); /* some were answered before the fault */
		print_message("%s, %s: %u places\n", i & 2 ? "while it opens and after" : "after it was opened",
			      i & 1 ? "from then on" : "once", (unsigned)at - 1);
	}
}

static void no_space_at_each_write(void **state)
{
	(void)state;
	each_call_fails(FAULT_VFS_ENOSPC, 2 * N_RECORDS / N_AT_ONCE);
}

static void an_error_at_each_write(void **state)
{
	(void)state;
	each_call_fails(FAULT_VFS_EIO, 2 * N_RECORDS / N_AT_ONCE);
}

static void half_of_each_write(void **state)
{
	(void)state;
	each_call_fails(FAULT_VFS_SHORT, 2 * N_RECORDS / N_AT_ONCE);
}

static void each_sync_fails(void **state)
{
	(void)state;
	each_call_fails(FAULT_VFS_SYNC, N_RECORDS / N_AT_ONCE);
}

static void each_sync_fails_and_loses_what_was_written(void **state)
{
	(void)state;
	each_call_fails(FAULT_VFS_SYNC_LOST, N_RECORDS / N_AT_ONCE);
}

static void a_slow_disk_is_waited_for(void **state)
{
	struct fault_vfs_plan slow = {.kind = FAULT_VFS_SLOW, .at = 1, .is_lasting = true, .delay_ms = 20};
	struct scene scene;

	(void)state;
	scene_init(&scene);
	assert_int_equal(scene_open(&scene), 0);
	fault_vfs_arm(&slow);
	submit_all(&scene);
	assert_true(fault_vfs_struck() >= N_RECORDS / N_AT_ONCE);
	assert_int_equal(scene.n_durable, N_RECORDS);
	scene_close(&scene);
	fault_vfs_arm(&(struct fault_vfs_plan){0});
	check_file(&scene);
	scene_fini(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_space_at_each_write),
		cmocka_unit_test(an_error_at_each_write),
		cmocka_unit_test(half_of_each_write),
		cmocka_unit_test(each_sync_fails),
		cmocka_unit_test(each_sync_fails_and_loses_what_was_written),
		cmocka_unit_test(a_slow_disk_is_waited_for),
	};

	return fault_vfs_install() == SQLITE_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
