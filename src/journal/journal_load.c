/* Reading what is open, at the start. A row that makes no sense is an error, never skipped: skipping it would mean to
 * forget a saga that may have touched stores, or a job that was acknowledged. */
#include "journal/journal_load.h"

#include "journal/journal_db.h"

#include <errno.h>
#include <stdio.h>

struct load {
	sqlite3 *sqlite;
	const char *path;
	int (*intent)(void *arg, const struct journal_intent *found);
	int (*job)(void *arg, const struct journal_job *found);
	void *arg;
};

static struct str column_text(sqlite3_stmt *statement, int at)
{
	const char *text = (const char *)sqlite3_column_text(statement, at);

	return (struct str){text != NULL ? text : "", text != NULL ? (size_t)sqlite3_column_bytes(statement, at) : 0};
}

static int load_intent(const struct load *load, sqlite3_stmt *row, struct err *err)
{
	struct journal_intent found = {
		.document_id = column_text(row, 1),
		.n_chunks = (uint32_t)sqlite3_column_int64(row, 2),
		.is_delete = sqlite3_column_int(row, 3) != 0,
		.is_aborted = sqlite3_column_int(row, 4) != 0,
		.unix_ms = sqlite3_column_int64(row, 5),
	};

	if (!uuid_parse(column_text(row, 0), &found.saga))
		return err_set(err, -EINVAL, "journal %s: damaged: an intent's saga is \"%.*s\", which is no UUID",
			       load->path, STR_ARG(column_text(row, 0)));
	return load->intent(load->arg, &found);
}

/* More stores than there are places can't be: their number is bounded by the same figure. */
static int load_deaths(const struct load *load, struct journal_job *job, struct err *err)
{
	sqlite3_stmt *row = NULL;
	char id[UUID_TEXT_BYTES];
	int rc = sqlite3_prepare_v2(load->sqlite, "SELECT store, n FROM deaths WHERE job = ?1", -1, &row, NULL);

	/* no crash point: reads only */
	uuid_format(&job->id, id);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(row, 1, id, UUID_TEXT_BYTES - 1, SQLITE_STATIC);
	while (rc == SQLITE_OK && (rc = sqlite3_step(row)) == SQLITE_ROW && job->n_deaths < JOURNAL_DEATHS_MAX) {
		struct journal_deaths *deaths = &job->deaths[job->n_deaths++];
		struct str store = column_text(row, 0);

		(void)snprintf(deaths->store, sizeof(deaths->store), "%.*s", STR_ARG(store)); /* names are short */
		deaths->n = (uint32_t)sqlite3_column_int64(row, 1);
		rc = SQLITE_OK;
	}
	(void)sqlite3_finalize(row); /* repeats the error that rc has */
	if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
		return journal_db_fail(load->sqlite, load->path, rc, "can't be read", err);
	return 0;
}

static int load_job(const struct load *load, sqlite3_stmt *row, struct err *err)
{
	int rc;
	struct journal_job found = {
		.document_id = column_text(row, 1),
		.is_delete = sqlite3_column_int(row, 2) != 0,
	};
	const char *bytes = sqlite3_column_blob(row, 3); /* NULL for an empty one, too */

	if (!uuid_parse(column_text(row, 0), &found.id))
		return err_set(err, -EINVAL, "journal %s: damaged: a job's id is \"%.*s\", which is no UUID",
			       load->path, STR_ARG(column_text(row, 0)));
	found.job_json = (struct str){bytes != NULL ? bytes : "", (size_t)sqlite3_column_bytes(row, 3)};
	rc = load_deaths(load, &found, err);
	return rc == 0 ? load->job(load->arg, &found) : rc;
}

static int load_rows(const struct load *load, const char *sql,
		     int (*row)(const struct load *load, sqlite3_stmt *row, struct err *err), struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(load->sqlite, sql, -1, &statement, NULL);
	int taken = 0;

	while (rc == SQLITE_OK && taken == 0) {
		rc = sqlite3_step(statement);
		if (rc != SQLITE_ROW)
			break;
		taken = row(load, statement, err);
		rc = SQLITE_OK;
	}
	if (rc != SQLITE_OK && rc != SQLITE_DONE)
		taken = journal_db_fail(load->sqlite, load->path, rc, "can't be read", err);
	(void)sqlite3_finalize(statement); /* repeats the error that rc has */
	return taken;
}

int journal_load(const char *path, int (*intent)(void *arg, const struct journal_intent *found),
		 int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err)
{
	/* no crash point: reads only */
	struct load load = {.path = path, .intent = intent, .job = job, .arg = arg};
	int rc = sqlite3_open_v2(path, &load.sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(load.sqlite, "BEGIN", NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		rc = journal_db_fail(load.sqlite, path, rc, "can't be read", err);
		goto close_db;
	}
	rc = load_rows(&load,
		       "SELECT saga, document_id, n_chunks, is_delete, is_aborted, unix_ms FROM intents ORDER BY saga",
		       load_intent, err);
	if (rc == 0)
		rc = load_rows(&load,
			       "SELECT id, document_id, is_delete, job FROM jobs WHERE state = 'waiting' ORDER BY seq",
			       load_job, err);
close_db:
	(void)sqlite3_close(load.sqlite); /* read only: nothing can be lost */
	return rc;
}
