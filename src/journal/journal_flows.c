/* What a record of a flow writes, what is looked up and listed, what is forgotten. A flow that has ended has a `place`
 * in the order of the ends; the ids of all tables are texts, for people with a sqlite3 shell. */
#include "journal/journal_flows.h"

#include "base/crash_point.h"
#include "journal/journal_flows_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRUNE_MAX_FLOWS 500 /* as with jobs: a commit waits for its part */

static void bind_maybe(sqlite3_stmt *statement, int at, struct str text)
{
	if (text.at == NULL)
		(void)sqlite3_bind_null(statement, at); /* none of these copies anything: they can't fail */
	else
		(void)sqlite3_bind_text64(statement, at, text.at, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static void bind_word(sqlite3_stmt *statement, int at, const char *word)
{
	bind_maybe(statement, at, str_of(word)); /* NULL binds NULL */
}

static int put_step(struct journal_db *db, const char *flow, const struct journal_step *step, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_PUT_STEP];

	/* no crash point: in the batch's transaction, which has its own */
	bind_word(statement, 1, flow);
	(void)sqlite3_bind_int64(statement, 2, step->step);
	bind_word(statement, 3, step->state);
	(void)sqlite3_bind_int64(statement, 4, step->n_tries);
	bind_maybe(statement, 5, step->result_json);
	bind_maybe(statement, 6, step->error);
	bind_maybe(statement, 7, step->reason);
	(void)sqlite3_bind_int64(statement, 8, step->unix_ms);
	return journal_db_run(db, JOURNAL_DB_PUT_STEP, "a step of a saga can't be written", err);
}

static int put_steps(struct journal_db *db, const char *flow, const struct journal_flow_req *req, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < req->n_steps; i++)
		rc = put_step(db, flow, &req->steps[i], err);
	return rc;
}

/* Whose key is it? */
static int find_key(struct journal_db *db, struct journal_flow_req *req, struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_FIND_KEY];
	const char *id = NULL;
	int stepped, rc = 0;

	(void)sqlite3_bind_int64(statement, 1, req->uid);
	bind_maybe(statement, 2, req->key);
	stepped = sqlite3_step(statement);
	if (stepped == SQLITE_ROW)
		id = (const char *)sqlite3_column_text(statement, 0);
	if (stepped != SQLITE_ROW)
		rc = journal_db_fail(db->sqlite, db->path, stepped, "a saga's key can't be looked up", err);
	else if (!uuid_parse(str_of(id), &req->known))
		rc = err_set(err, -EINVAL, "journal %s: damaged: the saga of a key has no id", db->path);
	else
		req->is_same = sqlite3_column_bytes(statement, 1) == (int)sizeof(req->hash) &&
			       memcmp(sqlite3_column_blob(statement, 1), req->hash, sizeof(req->hash)) == 0;
	req->is_known = rc == 0;
	(void)sqlite3_reset(statement);          /* repeats the error that `stepped` has */
	(void)sqlite3_clear_bindings(statement); /* can't fail */
	return rc;
}

static int begin_flow(struct journal_db *db, const char *flow, struct journal_flow_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_PUT_FLOW];
	int rc;

	/* no crash point: in the batch's transaction, which has its own */
	bind_word(statement, 1, flow);
	(void)sqlite3_bind_int64(statement, 2, req->uid);
	bind_maybe(statement, 3, req->key);
	(void)sqlite3_bind_blob(statement, 4, req->hash, sizeof(req->hash), SQLITE_STATIC);
	bind_word(statement, 5, req->state);
	bind_word(statement, 6, req->code);
	bind_maybe(statement, 7, req->reason);
	(void)sqlite3_bind_int64(statement, 8, req->began_unix_ms);
	(void)sqlite3_bind_int64(statement, 9, req->deadline_unix_ms);
	bind_maybe(statement, 10, req->spec_json);
	rc = journal_db_run(db, JOURNAL_DB_PUT_FLOW, "the beginning of a saga can't be written", err);
	if (rc != 0)
		return rc;
	return sqlite3_changes(db->sqlite) == 0 ? find_key(db, req, err) : put_steps(db, flow, req, err);
}

/* The names of core/flow.h, which this folder doesn't know; a unit test holds them together. */
static bool is_terminal(const char *state)
{
	return strcmp(state, "committed") == 0 || strcmp(state, "compensated") == 0;
}

static int move_flow(struct journal_db *db, const char *flow, const struct journal_flow_req *req, struct err *err)
{
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_MOVE_FLOW];
	bool is_end = req->state != NULL && is_terminal(req->state);
	int rc;

	/* no crash point: in the batch's transaction, which has its own */
	bind_word(statement, 1, flow);
	bind_word(statement, 2, req->state);
	bind_word(statement, 3, req->code);
	bind_maybe(statement, 4, req->reason);
	if (is_end) {
		(void)sqlite3_bind_int64(statement, 5, req->unix_ms);
		(void)sqlite3_bind_int64(statement, 6, db->last_place + 1);
	}
	rc = journal_db_run(db, JOURNAL_DB_MOVE_FLOW, "a saga's state can't be written", err);
	if (rc == 0 && is_end && sqlite3_changes(db->sqlite) > 0) {
		db->last_place++;
		db->n_ended_flows++;
	}
	return rc;
}

int journal_flows_record(struct journal_db *db, struct journal_flow_req *req, struct err *err)
{
	char flow[UUID_TEXT_BYTES];
	int rc = 0;

	uuid_format(&req->flow, flow);
	if (req->is_begin)
		return begin_flow(db, flow, req, err);
	if (req->state != NULL || req->code != NULL || req->reason.at != NULL)
		rc = move_flow(db, flow, req, err);
	return rc == 0 ? put_steps(db, flow, req, err) : rc;
}

/* ---- what is forgotten ---- */

static int prune(struct journal_db *db, enum journal_db_statement which, struct err *err)
{
	int rc;

	CRASH_POINT(JOURNAL_PRUNE_BEFORE);
	rc = journal_db_run(db, which, "ended sagas can't be removed", err);
	if (rc == 0)
		db->n_ended_flows -= (uint64_t)sqlite3_changes(db->sqlite); /* not those of the trigger */
	return rc;
}

int journal_flows_prune(struct journal_db *db, int64_t now_unix_ms, bool is_due, struct err *err)
{
	int rc = 0;

	if (db->n_ended_flows > db->options.keep_count) {
		uint64_t excess = db->n_ended_flows - db->options.keep_count;
		uint64_t n = excess < PRUNE_MAX_FLOWS ? excess : PRUNE_MAX_FLOWS;

		(void)sqlite3_bind_int64(db->statements[JOURNAL_DB_PRUNE_MANY_FLOWS], 1, (int64_t)n);
		rc = prune(db, JOURNAL_DB_PRUNE_MANY_FLOWS, err);
	}
	if (rc != 0 || !is_due)
		return rc;
	(void)sqlite3_bind_int64(db->statements[JOURNAL_DB_PRUNE_OLD_FLOWS], 1,
				 now_unix_ms - (int64_t)db->options.keep_ms);
	(void)sqlite3_bind_int(db->statements[JOURNAL_DB_PRUNE_OLD_FLOWS], 2, PRUNE_MAX_FLOWS);
	return prune(db, JOURNAL_DB_PRUNE_OLD_FLOWS, err);
}

/* ---- look-up and list ---- */

int journal_flows_find(struct journal_db *db, struct journal_flow_find_req *req, struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = db->statements[JOURNAL_DB_FIND_FLOW];
	char id[UUID_TEXT_BYTES];
	int stepped, rc = 0;

	req->found = NULL;
	uuid_format(&req->flow, id);
	bind_word(statement, 1, id);
	stepped = sqlite3_step(statement);
	if (stepped == SQLITE_ROW)
		rc = journal_flows_read(db->sqlite, db->path, statement, db->statements[JOURNAL_DB_FIND_STEPS],
					&req->found, err);
	else if (stepped != SQLITE_DONE)
		rc = journal_db_fail(db->sqlite, db->path, stepped, "a saga can't be looked up", err);
	(void)sqlite3_reset(statement);          /* repeats the error that `stepped` has */
	(void)sqlite3_clear_bindings(statement); /* can't fail; `id` ends here */
	return rc;
}

static void copy_word(sqlite3_stmt *statement, int column, char *out, size_t n_bytes)
{
	const char *word = (const char *)sqlite3_column_text(statement, column);

	(void)snprintf(out, n_bytes, "%s", word != NULL ? word : ""); /* ours are short */
}

static int take_row(struct journal_db *db, struct journal_flow_list_req *req, sqlite3_stmt *statement, struct err *err)
{
	const char *id = (const char *)sqlite3_column_text(statement, 1);
	struct journal_flow_row *row = calloc(1, sizeof(*row));

	if (row == NULL)
		return err_set(err, -ENOMEM, "journal %s: out of memory", db->path);
	list_append(&req->rows, &row->node);
	row->place = (uint64_t)sqlite3_column_int64(statement, 0);
	copy_word(statement, 2, row->state, sizeof(row->state));
	copy_word(statement, 3, row->code, sizeof(row->code));
	copy_word(statement, 4, row->reason.text, sizeof(row->reason.text));
	row->uid = (uint32_t)sqlite3_column_int64(statement, 5);
	row->began_unix_ms = sqlite3_column_int64(statement, 6);
	row->ended_unix_ms = sqlite3_column_int64(statement, 7);
	return uuid_parse(str_of(id), &row->id)
		       ? 0
		       : err_set(err, -EINVAL, "journal %s: damaged: an ended saga has no id", db->path);
}

static void free_rows(struct journal_flow_list_req *req)
{
	struct list *node;

	while ((node = list_take_first(&req->rows)) != NULL)
		free(container_of(node, struct journal_flow_row, node));
}

int journal_flows_list(struct journal_db *db, struct journal_flow_list_req *req, struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = db->statements[req->has_uid ? JOURNAL_DB_LIST_FLOWS_OF : JOURNAL_DB_LIST_FLOWS];
	int64_t before = req->before == 0 || req->before > INT64_MAX ? INT64_MAX : (int64_t)req->before;
	int stepped = SQLITE_DONE, rc = 0;

	(void)sqlite3_bind_int64(statement, 1, before);
	(void)sqlite3_bind_int64(statement, 2, req->limit);
	if (req->has_uid)
		(void)sqlite3_bind_int64(statement, 3, req->uid);
	while (rc == 0 && (stepped = sqlite3_step(statement)) == SQLITE_ROW)
		rc = take_row(db, req, statement, err);
	if (rc == 0 && stepped != SQLITE_DONE)
		rc = journal_db_fail(db->sqlite, db->path, stepped, "ended sagas can't be read", err);
	(void)sqlite3_reset(statement); /* repeats the error that `stepped` has */
	if (rc != 0)
		free_rows(req);
	return rc;
}
