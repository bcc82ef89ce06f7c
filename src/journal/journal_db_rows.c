/* The journal's rows: what each record writes, what a look-up reads, what is forgotten. */
#include "journal/journal_db.h"

#include "base/crash_point.h"
#include "journal/journal_flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PRUNE_EVERY_MS   1000
#define PRUNE_MAX_ROWS   500 /* a commit waits for its part of the pruning; at least as many as come in */
#define RESOLVED_KEPT    100000
#define FREE_PAGES_KEPT  16384 /* 64 MiB of 4 KiB pages stay in the file for the jobs to come */
#define FREE_PAGES_GIVEN "2048"

static int rows_fail(const struct journal_db *db, int sqlite_rc, const char *what, struct err *err)
{
	return journal_db_fail(db->sqlite, db->path, sqlite_rc, what, err);
}

/* Binding fails for lack of memory or a text above 1 GB only; the column's NOT NULL or the step then reports it. */
static void bind_uuid(sqlite3_stmt *statement, int at, const struct uuid *uuid)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(uuid, text);
	(void)sqlite3_bind_text(statement, at, text, UUID_TEXT_BYTES - 1, SQLITE_TRANSIENT);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	(void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

static void bind_str(sqlite3_stmt *statement, int at, struct str text)
{
	(void)sqlite3_bind_text64(statement, at, text.at != NULL ? text.at : "", text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int put_intent(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_PUT_INTENT];

	bind_uuid(statement, 1, &req->saga);
	bind_str(statement, 2, req->document_id);
	(void)sqlite3_bind_int64(statement, 3, req->n_chunks);
	(void)sqlite3_bind_int(statement, 4, req->is_delete);
	(void)sqlite3_bind_int64(statement, 5, req->unix_ms);
	CRASH_POINT(JOURNAL_INTENT_BEFORE);
	return journal_db_run(db, JOURNAL_DB_PUT_INTENT, "an intent can't be written", err);
}

static int abort_intent(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	bind_uuid(db->statements[JOURNAL_DB_ABORT_INTENT], 1, &req->saga);
	(void)sqlite3_bind_int64(db->statements[JOURNAL_DB_ABORT_INTENT], 2, req->unix_ms);
	CRASH_POINT(JOURNAL_ABORTED_BEFORE);
	return journal_db_run(db, JOURNAL_DB_ABORT_INTENT, "an abort can't be written", err);
}

static int close_intent(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	bind_uuid(db->statements[JOURNAL_DB_CLOSE_INTENT], 1, &req->saga);
	CRASH_POINT(JOURNAL_CLOSE_BEFORE);
	return journal_db_run(db, JOURNAL_DB_CLOSE_INTENT, "the end of a saga can't be written", err);
}

static int accept_job(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_ACCEPT_JOB];
	int rc;

	bind_uuid(statement, 1, &req->saga);
	bind_str(statement, 2, req->document_id);
	(void)sqlite3_bind_int(statement, 3, req->is_delete);
	(void)sqlite3_bind_int64(statement, 4, req->unix_ms);
	/* This one must not slip: a NULL would be a job that was accepted without its bytes. */
	rc = sqlite3_bind_blob64(statement, 5, req->job_json.at != NULL ? req->job_json.at : "", req->job_json.len,
				 SQLITE_STATIC);
	if (rc != SQLITE_OK)
		return rows_fail(db, rc, "an accepted job can't be written", err);
	CRASH_POINT(JOURNAL_ACCEPT_BEFORE);
	return journal_db_run(db, JOURNAL_DB_ACCEPT_JOB, "an accepted job can't be written", err);
}

static int64_t unix_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail with this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int forget_deaths(struct journal_db *db, const struct uuid *job, const char *store, struct err *err)
{
	/* no crash point: in the batch's transaction, which has its own */
	bind_uuid(db->statements[JOURNAL_DB_FORGET_DEATHS], 1, job);
	bind_text(db->statements[JOURNAL_DB_FORGET_DEATHS], 2, store);
	return journal_db_run(db, JOURNAL_DB_FORGET_DEATHS, "the deaths of a store can't be forgotten", err);
}

static int end_job(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_END_JOB];
	bool is_done = req->op == JOURNAL_JOB_DONE;
	int rc;

	bind_uuid(statement, 1, &req->saga);
	bind_text(statement, 2, is_done ? "done" : "failed");
	if (is_done)
		bind_uuid(statement, 3, &req->made);
	bind_text(statement, 4, is_done ? NULL : req->code);
	bind_text(statement, 5, is_done ? NULL : req->reason);
	(void)sqlite3_bind_int64(statement, 6, req->unix_ms > 0 ? req->unix_ms : unix_now_ms());
	CRASH_POINT(JOURNAL_JOB_END_BEFORE);
	rc = journal_db_run(db, JOURNAL_DB_END_JOB, "the outcome of a job can't be written", err);
	if (rc == 0) {
		db->n_outcomes += (uint64_t)sqlite3_changes(db->sqlite);
		rc = forget_deaths(db, &req->saga, NULL, err);
	}
	return rc;
}

static int put_deaths(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	/* no crash point: in the batch's transaction, which has its own */
	if (req->n_deaths == 0)
		return forget_deaths(db, &req->saga, req->store, err);
	bind_uuid(db->statements[JOURNAL_DB_PUT_DEATHS], 1, &req->saga);
	bind_text(db->statements[JOURNAL_DB_PUT_DEATHS], 2, req->store);
	(void)sqlite3_bind_int64(db->statements[JOURNAL_DB_PUT_DEATHS], 3, req->n_deaths);
	return journal_db_run(db, JOURNAL_DB_PUT_DEATHS, "the deaths of a store can't be written", err);
}

/* Old ones matter to nobody; without a bound a script in a loop would fill the disk. */
static int prune_resolved(struct journal_db *db, struct err *err)
{
	int64_t newest = sqlite3_last_insert_rowid(db->sqlite);

	/* no crash point: in the batch's transaction, which has its own */
	(void)sqlite3_bind_int64(db->statements[JOURNAL_DB_PRUNE_RESOLVED], 1, newest - RESOLVED_KEPT);
	return journal_db_run(db, JOURNAL_DB_PRUNE_RESOLVED, "old resolutions can't be removed", err);
}

static int put_resolved(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_PUT_RESOLVED];
	int rc;

	CRASH_POINT(JOURNAL_RESOLVED_BEFORE);
	bind_uuid(statement, 1, &req->saga);
	bind_str(statement, 2, req->document_id);
	bind_text(statement, 3, req->work);
	bind_text(statement, 4, req->store);
	bind_text(statement, 5, req->error);
	bind_text(statement, 6, req->reason);
	(void)sqlite3_bind_int64(statement, 7, req->uid);
	(void)sqlite3_bind_int64(statement, 8, req->unix_ms);
	rc = journal_db_run(db, JOURNAL_DB_PUT_RESOLVED, "what was resolved can't be written", err);
	return rc == 0 ? prune_resolved(db, err) : rc;
}

int journal_db_begin(struct journal_db *db, struct err *err)
{
	CRASH_POINT(JOURNAL_BATCH_BEFORE);
	return journal_db_run(db, JOURNAL_DB_BEGIN, "a transaction can't be begun", err);
}

int journal_db_record(struct journal_db *db, const struct journal_req *req, struct err *err)
{
	switch (req->op) {
	case JOURNAL_INTENT:
		return put_intent(db, req, err);
	case JOURNAL_ABORTED:
		return abort_intent(db, req, err);
	case JOURNAL_CLOSE:
		return close_intent(db, req, err);
	case JOURNAL_ACCEPT:
		return accept_job(db, req, err);
	case JOURNAL_JOB_FAILED:
	case JOURNAL_JOB_DONE:
		return end_job(db, req, err);
	case JOURNAL_JOB_DEATHS:
		return put_deaths(db, req, err);
	case JOURNAL_RESOLVED:
		return put_resolved(db, req, err);
	}
	MUST(!"a journal operation that is none");
	return -EINVAL;
}

int journal_db_commit(struct journal_db *db, struct err *err)
{
	int rc;

	CRASH_POINT(JOURNAL_COMMIT_BEFORE);
	rc = journal_db_run(db, JOURNAL_DB_COMMIT, "a commit failed", err);
	CRASH_POINT_IF(rc == 0, JOURNAL_COMMIT_AFTER);
	return rc;
}

/* ---- what is forgotten ---- */

static int prune_old(struct journal_db *db, int64_t now_unix_ms, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_PRUNE_OLD];
	int rc;

	CRASH_POINT(JOURNAL_PRUNE_BEFORE);
	(void)sqlite3_bind_int64(statement, 1, now_unix_ms - (int64_t)db->options.keep_ms);
	(void)sqlite3_bind_int(statement, 2, PRUNE_MAX_ROWS);
	rc = journal_db_run(db, JOURNAL_DB_PRUNE_OLD, "old outcomes can't be removed", err);
	if (rc == 0)
		db->n_outcomes -= (uint64_t)sqlite3_changes(db->sqlite);
	return rc;
}

static int prune_many(struct journal_db *db, struct err *err)
{
	uint64_t excess = db->n_outcomes - db->options.keep_count;
	int rc;

	CRASH_POINT(JOURNAL_PRUNE_BEFORE);
	(void)sqlite3_bind_int64(db->statements[JOURNAL_DB_PRUNE_MANY], 1,
				 (int64_t)(excess < PRUNE_MAX_ROWS ? excess : PRUNE_MAX_ROWS));
	rc = journal_db_run(db, JOURNAL_DB_PRUNE_MANY, "outcomes above the configured count can't be removed", err);
	if (rc == 0)
		db->n_outcomes -= (uint64_t)sqlite3_changes(db->sqlite);
	return rc;
}

/* A flood of accepted jobs makes the file big; afterwards its space goes back to the system, a little at a time. */
static int give_space_back(struct journal_db *db, struct err *err)
{
	/* no crash point: a part of the batch's transaction, which has them */
	sqlite3_stmt *statement = NULL;
	int64_t n_free = 0;
	int rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA freelist_count", -1, &statement, NULL);

	if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		n_free = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement); /* reading only: not knowing it means not shrinking now */
	if (n_free <= FREE_PAGES_KEPT)
		return 0;
	rc = sqlite3_exec(db->sqlite, "PRAGMA incremental_vacuum(" FREE_PAGES_GIVEN ")", NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : rows_fail(db, rc, "free space can't be given back", err);
}

int journal_db_prune(struct journal_db *db, int64_t now_unix_ms, struct err *err)
{
	int64_t since_ms = now_unix_ms - db->last_prune_ms;
	bool is_due = since_ms < 0 || since_ms >= PRUNE_EVERY_MS;
	int rc = 0;

	if (db->n_outcomes > db->options.keep_count)
		rc = prune_many(db, err);
	if (rc == 0)
		rc = journal_flows_prune(db, now_unix_ms, is_due, err);
	if (rc != 0 || !is_due)
		return rc;
	db->last_prune_ms = now_unix_ms;
	rc = prune_old(db, now_unix_ms, err);
	return rc == 0 ? give_space_back(db, err) : rc;
}

/* ---- look-up ---- */

static struct str column_str(sqlite3_stmt *statement, int at)
{
	const char *text = (const char *)sqlite3_column_text(statement, at);

	return (struct str){text, text != NULL ? (size_t)sqlite3_column_bytes(statement, at) : 0};
}

static int read_job_row(struct journal_db *db, sqlite3_stmt *statement, struct journal_job_row *out_row,
			struct err *err)
{
	struct journal_job_row row = {.state = JOB_WAITING};
	struct str state = column_str(statement, 0), code = column_str(statement, 2);
	struct str reason = column_str(statement, 3);

	if (str_is_equal(state, str_of("done")))
		row.state = JOB_DONE;
	if (str_is_equal(state, str_of("failed")))
		row.state = JOB_FAILED;
	if (row.state == JOB_DONE && !uuid_parse(column_str(statement, 1), &row.made))
		return err_set(err, -EINVAL, "journal %s: damaged: a job that is done names no saga", db->path);
	(void)snprintf(row.code, sizeof(row.code), "%.*s", STR_ARG(code)); /* codes are short */
	(void)err_set(&row.reason, 0, "%.*s", STR_ARG(reason));
	*out_row = row;
	return 0;
}

int journal_db_lookup(struct journal_db *db, const struct uuid *id, struct journal_job_row *out_row, struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_FIND_JOB];
	int stepped, rc = 0;

	bind_uuid(statement, 1, id);
	stepped = sqlite3_step(statement);
	if (stepped == SQLITE_ROW)
		rc = read_job_row(db, statement, out_row, err);
	else if (stepped == SQLITE_DONE)
		*out_row = (struct journal_job_row){.state = JOB_UNKNOWN};
	else
		rc = rows_fail(db, stepped, "a job can't be looked up", err);
	(void)sqlite3_reset(statement); /* repeats the error that `stepped` has */
	return rc;
}

/* ---- what was resolved ---- */

/* One allocation for a row and its texts. */
static struct journal_resolved_row *read_resolved(sqlite3_stmt *statement)
{
	struct str texts[5];
	struct journal_resolved_row *row;
	size_t n_bytes = 0;
	char *at;

	for (int i = 0; i < 5; i++) {
		texts[i] = column_str(statement, 2 + i);
		n_bytes += texts[i].len + 1;
	}
	row = calloc(1, sizeof(*row) + n_bytes);
	if (row == NULL)
		return NULL;
	at = row->texts;
	for (int i = 0; i < 5; i++) {
		if (texts[i].len > 0)
			memcpy(at, texts[i].at, texts[i].len);
		texts[i].at = at;
		at += texts[i].len + 1; /* zeroed memory: the NUL is there */
	}
	row->place = (uint64_t)sqlite3_column_int64(statement, 0);
	row->what = (struct journal_resolution){
		.document_id = texts[0],
		.work = texts[1].at,
		.store = texts[2].at,
		.error = texts[3].at,
		.reason = texts[4].at,
		.uid = (uint32_t)sqlite3_column_int64(statement, 7),
		.unix_ms = sqlite3_column_int64(statement, 8),
	};
	return row;
}

static void free_resolved(struct journal_resolved_req *req)
{
	struct list *node;

	while ((node = list_take_first(&req->rows)) != NULL)
		free(container_of(node, struct journal_resolved_row, node));
}

int journal_db_list_resolved(struct journal_db *db, struct journal_resolved_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_LIST_RESOLVED];
	int64_t before = req->before == 0 || req->before > INT64_MAX ? INT64_MAX : (int64_t)req->before;
	int stepped, rc = 0;

	/* no crash point: reads only */
	(void)sqlite3_bind_int64(statement, 1, before);
	(void)sqlite3_bind_int64(statement, 2, req->limit);
	while (rc == 0 && (stepped = sqlite3_step(statement)) == SQLITE_ROW) {
		struct journal_resolved_row *row = read_resolved(statement);

		if (row == NULL) {
			rc = err_set(err, -ENOMEM, "journal %s: out of memory", db->path);
		} else {
			list_append(&req->rows, &row->node);
			if (!uuid_parse(column_str(statement, 1), &row->what.saga))
				rc = err_set(err, -EINVAL, "journal %s: damaged: a resolution names no saga", db->path);
		}
	}
	if (rc == 0 && stepped != SQLITE_DONE)
		rc = rows_fail(db, stepped, "resolutions can't be read", err);
	(void)sqlite3_reset(statement); /* repeats the error that `stepped` has */
	if (rc != 0)
		free_resolved(req);
	return rc;
}
