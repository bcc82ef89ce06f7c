/* Opening and checking the journal's file, and its statements. What a failed call leaves behind is for the next open to
 * find out: nothing here repeats a write that failed, because after a failed fsync the kernel may have dropped the
 * pages and marked them clean ("fsyncgate", PostgreSQL mailing list, 2018). */
#include "journal/journal_db.h"

#include "base/crash_point.h"
#include "journal/journal_flows_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char schema_sql[] =
	"CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE intents ("
	"  saga TEXT PRIMARY KEY, document_id TEXT NOT NULL, n_chunks INTEGER NOT NULL, is_delete INTEGER NOT NULL,"
	"  is_aborted INTEGER NOT NULL DEFAULT 0, unix_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE jobs ("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL,"
	"  is_delete INTEGER NOT NULL,"
	"  state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),"
	"  made TEXT, code TEXT, reason TEXT, accepted_ms INTEGER NOT NULL, ended_ms INTEGER, job BLOB);"
	"CREATE INDEX jobs_ended ON jobs (ended_ms, seq) WHERE ended_ms IS NOT NULL;";

/* What each format has more than the one before it, from 2 on. A published line is never changed: files are made of
 * it. */
static const char *const format_sql[] = {
	[2] = "CREATE TABLE deaths ("
	      "  job TEXT NOT NULL, store TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (job, store)) WITHOUT ROWID;"
	      "CREATE TABLE resolved ("
	      "  seq INTEGER PRIMARY KEY AUTOINCREMENT, saga TEXT NOT NULL, document_id TEXT NOT NULL,"
	      "  work TEXT NOT NULL, store TEXT NOT NULL, error TEXT NOT NULL, reason TEXT NOT NULL,"
	      "  uid INTEGER NOT NULL, unix_ms INTEGER NOT NULL);",
	/* `place`: in the order of their ends, NULL while it hasn't ended. The long column comes last, so that a look
	 * at the others doesn't read it. */
	[3] = "CREATE TABLE sagas ("
	      "  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, uid INTEGER NOT NULL,"
	      "  idempotency_key TEXT, hash BLOB NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, reason TEXT,"
	      "  began_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, ended_ms INTEGER, place INTEGER,"
	      "  spec TEXT NOT NULL);"
	      "CREATE UNIQUE INDEX sagas_key ON sagas (uid, idempotency_key) WHERE idempotency_key IS NOT NULL;"
	      "CREATE INDEX sagas_open ON sagas (seq) WHERE place IS NULL;"
	      "CREATE UNIQUE INDEX sagas_ended ON sagas (place) WHERE place IS NOT NULL;"
	      "CREATE INDEX sagas_ended_of ON sagas (uid, place) WHERE place IS NOT NULL;"
	      "CREATE TABLE saga_steps ("
	      "  saga TEXT NOT NULL, step INTEGER NOT NULL, state TEXT NOT NULL, n_tries INTEGER NOT NULL,"
	      "  error TEXT, reason TEXT, unix_ms INTEGER NOT NULL, result TEXT,"
	      "  PRIMARY KEY (saga, step)) WITHOUT ROWID;"
	      "CREATE TRIGGER sagas_forgotten AFTER DELETE ON sagas BEGIN"
	      "  DELETE FROM saga_steps WHERE saga = old.id; END;",
};
_Static_assert(ARRAY_LEN(format_sql) == JOURNAL_DB_VERSION + 1, "each format has its line");

static const char *const statement_sql[JOURNAL_DB_STATEMENTS] = {
	/* IMMEDIATE: whoever else writes is waited for here, not found out at the first record. */
	[JOURNAL_DB_BEGIN] = "BEGIN IMMEDIATE",
	[JOURNAL_DB_COMMIT] = "COMMIT",
	[JOURNAL_DB_PUT_INTENT] = "INSERT OR REPLACE INTO intents (saga, document_id, n_chunks, is_delete, unix_ms)"
				  " VALUES (?1, ?2, ?3, ?4, ?5)",
	[JOURNAL_DB_ABORT_INTENT] = "UPDATE intents SET is_aborted = 1, unix_ms = ?2 WHERE saga = ?1",
	[JOURNAL_DB_CLOSE_INTENT] = "DELETE FROM intents WHERE saga = ?1",
	[JOURNAL_DB_ACCEPT_JOB] = "INSERT INTO jobs (id, document_id, is_delete, accepted_ms, job)"
				  " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING",
	[JOURNAL_DB_END_JOB] = "UPDATE jobs SET state = ?2, made = ?3, code = ?4, reason = ?5, ended_ms = ?6,"
			       " job = NULL WHERE id = ?1 AND state = 'waiting'",
	[JOURNAL_DB_PUT_DEATHS] = "INSERT OR REPLACE INTO deaths (job, store, n) VALUES (?1, ?2, ?3)",
	[JOURNAL_DB_FORGET_DEATHS] = "DELETE FROM deaths WHERE job = ?1 AND (?2 IS NULL OR store = ?2)",
	[JOURNAL_DB_PUT_RESOLVED] = "INSERT INTO resolved (saga, document_id, work, store, error, reason, uid, unix_ms)"
				    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[JOURNAL_DB_LIST_RESOLVED] = "SELECT seq, saga, document_id, work, store, error, reason, uid, unix_ms"
				     " FROM resolved WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
	[JOURNAL_DB_FIND_JOB] = "SELECT state, made, code, reason FROM jobs WHERE id = ?1",
	[JOURNAL_DB_PRUNE_OLD] = "DELETE FROM jobs WHERE seq IN"
				 " (SELECT seq FROM jobs WHERE ended_ms < ?1 ORDER BY ended_ms LIMIT ?2)",
	[JOURNAL_DB_PRUNE_MANY] = "DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE ended_ms IS NOT NULL"
				  " ORDER BY ended_ms, seq LIMIT ?1)",
	[JOURNAL_DB_PRUNE_RESOLVED] = "DELETE FROM resolved WHERE seq <= ?1",
	[JOURNAL_DB_PUT_FLOW] = "INSERT INTO sagas"
				" (id, uid, idempotency_key, hash, state, code, reason, began_ms, deadline_ms, spec)"
				" VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, ''), ?7, ?8, ?9, ?10)"
				" ON CONFLICT (uid, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING",
	[JOURNAL_DB_MOVE_FLOW] = "UPDATE sagas SET state = coalesce(?2, state), code = coalesce(?3, code),"
				 " reason = coalesce(?4, reason), ended_ms = ?5, place = ?6"
				 " WHERE id = ?1 AND place IS NULL",
	[JOURNAL_DB_PUT_STEP] = "INSERT INTO saga_steps (saga, step, state, n_tries, result, error, reason, unix_ms)"
				" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (saga, step) DO UPDATE SET"
				" state = excluded.state, n_tries = excluded.n_tries,"
				" result = coalesce(excluded.result, result), error = coalesce(excluded.error, error),"
				" reason = coalesce(excluded.reason, reason), unix_ms = excluded.unix_ms",
	[JOURNAL_DB_FIND_KEY] = "SELECT id, hash FROM sagas WHERE uid = ?1 AND idempotency_key = ?2",
	[JOURNAL_DB_FIND_FLOW] = JOURNAL_FLOWS_READ_ROW " WHERE id = ?1",
	[JOURNAL_DB_FIND_STEPS] = JOURNAL_FLOWS_READ_STEPS,
	[JOURNAL_DB_LIST_FLOWS] = "SELECT place, id, state, code, reason, uid, began_ms, ended_ms FROM sagas"
				  " WHERE place < ?1 ORDER BY place DESC LIMIT ?2",
	[JOURNAL_DB_LIST_FLOWS_OF] = "SELECT place, id, state, code, reason, uid, began_ms, ended_ms FROM sagas"
				     " WHERE uid = ?3 AND place < ?1 ORDER BY place DESC LIMIT ?2",
	/* Looks at the first of them only: without an index on their age a walk over all would hold up commits. */
	[JOURNAL_DB_PRUNE_OLD_FLOWS] = "DELETE FROM sagas WHERE seq IN (SELECT seq FROM (SELECT seq, ended_ms"
				       " FROM sagas WHERE place IS NOT NULL ORDER BY place LIMIT ?2)"
				       " WHERE ended_ms < ?1)",
	[JOURNAL_DB_PRUNE_MANY_FLOWS] = "DELETE FROM sagas WHERE seq IN"
					" (SELECT seq FROM sagas WHERE place IS NOT NULL ORDER BY place LIMIT ?1)",
};

/* ---- errors ---- */

struct failure {
	int rc;
	const char *advice;
};

static struct failure failure_of(int sqlite_rc, int system_errno)
{
	switch (sqlite_rc & 0xff) {
	case SQLITE_FULL:
		return (struct failure){-ENOSPC, "the disk is full; free some space and start sagad again"};
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return (struct failure){-EBUSY, "another program (a sqlite3 shell?) holds a lock on it; end that one"};
	case SQLITE_NOMEM:
		return (struct failure){-ENOMEM, "no memory"};
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return (struct failure){-EROFS, "make the file, its -wal and -shm files and their directory writable"};
	case SQLITE_CANTOPEN:
		return (struct failure){system_errno != 0 ? -system_errno : -EACCES,
					"check the rights of the file and its directory"};
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return (struct failure){-EINVAL, "this is no journal, or a damaged one; move it away to start with a "
						 "new one, then run a verify: open sagas of the old one are lost"};
	default:
		return (struct failure){-EIO, "check the disk and start sagad again"};
	}
}

int journal_db_fail(sqlite3 *sqlite, const char *path, int sqlite_rc, const char *what, struct err *err)
{
	int system_errno = sqlite != NULL ? sqlite3_system_errno(sqlite) : 0;
	struct failure failure = failure_of(sqlite_rc, system_errno);
	const char *text = sqlite != NULL ? sqlite3_errmsg(sqlite) : sqlite3_errstr(sqlite_rc);

	if (system_errno != 0)
		return err_set(err, failure.rc, "journal %s: %s: %s (%s); %s", path, what, text, strerror(system_errno),
			       failure.advice);
	return err_set(err, failure.rc, "journal %s: %s: %s; %s", path, what, text, failure.advice);
}

static int db_fail(const struct journal_db *db, int sqlite_rc, const char *what, struct err *err)
{
	return journal_db_fail(db->sqlite, db->path, sqlite_rc, what, err);
}

int journal_db_run(struct journal_db *db, enum journal_db_statement which, const char *what, struct err *err)
{
	/* no crash point: its callers have them */
	sqlite3_stmt *statement = db->statements[which];
	int stepped = sqlite3_step(statement), rc = 0;

	if (stepped != SQLITE_DONE)
		rc = db_fail(db, stepped, what, err);
	(void)sqlite3_reset(statement);          /* repeats the error that `stepped` has */
	(void)sqlite3_clear_bindings(statement); /* can't fail; borrowed texts must not stay bound */
	return rc;
}

static int db_run(struct journal_db *db, const char *sql, const char *what, struct err *err)
{
	/* no crash point: its callers have them */
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(db, rc, what, err);
}

static int db_read_number(struct journal_db *db, const char *sql, int64_t *out_number, struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		*out_number = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement); /* repeats the error that rc has */
	return rc == SQLITE_ROW ? 0 : db_fail(db, rc, "can't be read", err);
}

/* ---- opening ---- */

/* The new name must survive a power cut as the content does. `path` is absolute. */
static int sync_directory(const char *path, struct err *err)
{
	/* no crash point: make_file() has one behind it */
	char *directory = strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	int fd = directory != NULL ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = 0;

	if (fd < 0 || fsync(fd) != 0)
		rc = err_set(err, -errno, "journal %s: its directory can't be synced: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd); /* opened for reading */
	free(directory);
	return rc;
}

/* The file is made before SQLite sees it, so that its mode is 0600 from the start, whatever the umask: SQLite gives
 * the -wal and -shm files the mode of the database. */
static int make_file(const char *path, struct err *err)
{
	struct stat found;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0) {
		(void)close(fd); /* empty */
		CRASH_POINT(JOURNAL_FILE_AFTER);
		return sync_directory(path, err);
	}
	if (errno != EEXIST)
		return err_set(err, -errno, "journal %s: can't be created: %s; its directory must be writable", path,
			       strerror(errno));
	if (stat(path, &found) == 0 && !S_ISREG(found.st_mode))
		return err_set(err, S_ISDIR(found.st_mode) ? -EISDIR : -EINVAL,
			       "journal %s: this is no regular file; name a file in a directory of sagad's own", path);
	return 0;
}

/* Whose file is it? Looks before anything is changed in it. *out_version: 0 for a file that is new. */
static int check_format(struct journal_db *db, int64_t *out_version, struct err *err)
{
	int64_t application = 0, version = 0, n_tables = 0;
	int rc = db_read_number(db, "PRAGMA application_id", &application, err);

	if (rc == 0)
		rc = db_read_number(db, "PRAGMA user_version", &version, err);
	if (rc == 0)
		rc = db_read_number(db, "SELECT count(*) FROM sqlite_schema", &n_tables, err);
	if (rc != 0)
		return rc;
	*out_version = version;
	if (application == 0 && version == 0 && n_tables == 0)
		return 0;
	if (application != JOURNAL_DB_APPLICATION_ID)
		return err_set(err, -EINVAL,
			       "journal %s: this is a SQLite file of another program (application_id %lld); name "
			       "another file",
			       db->path, (long long)application);
	if (version > JOURNAL_DB_VERSION)
		return err_set(err, -EPROTO,
			       "journal %s: its format is version %lld, this sagad knows up to %d; run the sagad that "
			       "wrote it, or a newer one",
			       db->path, (long long)version, JOURNAL_DB_VERSION);
	if (version < 1)
		return err_set(err, -EINVAL, "journal %s: damaged: it has no format version", db->path);
	return 0;
}

static int set_wal(struct journal_db *db, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->sqlite, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
	bool is_wal = false;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	CRASH_POINT(JOURNAL_WAL_AFTER);
	if (rc == SQLITE_ROW)
		is_wal = strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
	(void)sqlite3_finalize(statement); /* repeats the error that rc has */
	if (rc != SQLITE_ROW)
		return db_fail(db, rc, "can't be set to WAL", err);
	if (!is_wal)
		return err_set(err, -ENOTSUP,
			       "journal %s: WAL is not possible here (a network file system?); use a local disk",
			       db->path);
	return db_run(db, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;", "can't be set up", err);
}

/* Within a transaction: from format `version` to the newest, whose number is set last. */
static int add_formats(struct journal_db *db, int64_t version, struct err *err)
{
	char sql[64];
	int rc = 0;

	/* no crash point: in the callers' transaction; the unit tests end the process at each statement of it */
	for (int64_t to = version + 1; rc == 0 && to <= JOURNAL_DB_VERSION; to++)
		rc = db_run(db, format_sql[to], "can't be brought to this sagad's format", err);
	(void)sqlite3_snprintf(sizeof(sql), sql, "PRAGMA user_version = %d", JOURNAL_DB_VERSION);
	return rc == 0 ? db_run(db, sql, "can't be brought to this sagad's format", err) : rc;
}

/* A crash in the middle leaves the old format whole. The older sagad can't read the new one: it says so. */
static int migrate(struct journal_db *db, int64_t version, struct err *err)
{
	int rc;

	if (version == JOURNAL_DB_VERSION)
		return 0;
	/* no crash point: the unit tests end the process at each statement of this */
	rc = db_run(db, "BEGIN IMMEDIATE", "can't be brought to this sagad's format", err);
	if (rc == 0)
		rc = add_formats(db, version, err);
	return rc == 0 ? db_run(db, "COMMIT", "can't be brought to this sagad's format", err) : rc;
}

static int make_schema(struct journal_db *db, struct err *err)
{
	char text[UUID_TEXT_BYTES], sql[256];
	struct timespec now;
	uint64_t random[2];
	struct uuid id;
	int rc;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_set(err, -EIO, "journal %s: the kernel gave no random bytes for its id", db->path);
	(void)clock_gettime(CLOCK_REALTIME, &now); /* can't fail with this clock */
	id = uuid_make_v7((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, random[0], random[1]);
	uuid_format(&id, text);
	(void)sqlite3_snprintf(sizeof(sql), sql,
			       "INSERT INTO about VALUES ('journal', '%s'); PRAGMA application_id = %d;", text,
			       JOURNAL_DB_APPLICATION_ID);
	CRASH_POINT(JOURNAL_SCHEMA_BEFORE);
	rc = db_run(db, "BEGIN IMMEDIATE", "can't be made", err);
	if (rc == 0)
		rc = db_run(db, schema_sql, "can't be made", err);
	if (rc == 0)
		rc = db_run(db, sql, "can't be made", err);
	if (rc == 0)
		rc = add_formats(db, 1, err);
	CRASH_POINT(JOURNAL_SCHEMA_COMMIT);
	if (rc == 0)
		rc = db_run(db, "COMMIT", "can't be made", err);
	CRASH_POINT(JOURNAL_SCHEMA_AFTER);
	return rc;
}

static int read_id(struct journal_db *db, struct err *err)
{
	/* no crash point: reads only */
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(db->sqlite, "SELECT value FROM about WHERE key = 'journal'", -1, &statement, NULL);
	bool is_id = false;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		is_id = uuid_parse(str_of((const char *)sqlite3_column_text(statement, 0)), &db->id);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		rc = SQLITE_OK;
	(void)sqlite3_finalize(statement); /* repeats the error that rc has */
	if (rc != SQLITE_OK)
		return db_fail(db, rc, "its id can't be read", err);
	return is_id ? 0 : err_set(err, -EINVAL, "journal %s: damaged: it has no id", db->path);
}

static int prepare_statements(struct journal_db *db, struct err *err)
{
	for (int i = 0; i < JOURNAL_DB_STATEMENTS; i++) {
		int rc = sqlite3_prepare_v3(db->sqlite, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
					    &db->statements[i], NULL);
		if (rc != SQLITE_OK)
			return db_fail(db, rc, "its tables are not those of a journal", err);
	}
	return 0;
}

static int check_content(struct journal_db *db, int64_t version, struct err *err)
{
	int64_t n_outcomes = 0, n_ended_flows = 0;
	int rc = set_wal(db, err);

	if (rc == 0)
		rc = version == 0 ? make_schema(db, err) : migrate(db, version, err);
	if (rc == 0)
		rc = read_id(db, err);
	if (rc == 0)
		rc = db_read_number(db, "SELECT count(*) FROM jobs WHERE ended_ms IS NOT NULL", &n_outcomes, err);
	if (rc == 0)
		rc = db_read_number(db, "SELECT count(*) FROM sagas WHERE place IS NOT NULL", &n_ended_flows, err);
	if (rc == 0)
		rc = db_read_number(db, "SELECT max(place) FROM sagas WHERE place IS NOT NULL", &db->last_place, err);
	if (rc == 0)
		rc = prepare_statements(db, err);
	db->n_outcomes = (uint64_t)n_outcomes;
	db->n_ended_flows = (uint64_t)n_ended_flows;
	return rc;
}

int journal_db_open(struct journal_db *db, const char *path, const struct journal_options *options, struct err *err)
{
	/* no crash point: auto_vacuum is only noted until the schema's transaction writes the first page */
	int64_t version = 0;
	int rc = make_file(path, err);

	if (rc != 0)
		return rc;
	*db = (struct journal_db){.options = *options, .path = strdup(path)};
	if (db->path == NULL)
		return err_set(err, -ENOMEM, "journal %s: out of memory", path);
	/* NOMUTEX: one thread at a time uses this connection, handed over under the journal's own mutex. */
	rc = sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		rc = db_fail(db, rc, "can't be opened", err);
		goto close_db;
	}
	(void)sqlite3_busy_timeout(db->sqlite, (int)options->busy_ms); /* fails on a NULL handle only */
	/* Incremental: must come before the first page is written, and lets a journal that was big for a while shrink.
	 */
	rc = db_run(db, "PRAGMA auto_vacuum = INCREMENTAL", "can't be read", err);
	if (rc == 0)
		rc = check_format(db, &version, err);
	if (rc == 0)
		rc = check_content(db, version, err);
	if (rc != 0)
		goto close_db;
	return 0;
close_db:
	journal_db_close(db, true);
	return rc;
}

void journal_db_close(struct journal_db *db, bool is_failed)
{
	if (db->sqlite != NULL && is_failed)
		(void)sqlite3_db_config(db->sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* can't fail */
	for (int i = 0; i < JOURNAL_DB_STATEMENTS; i++)
		(void)sqlite3_finalize(db->statements[i]); /* repeats what was reported when it ran */
	CRASH_POINT(JOURNAL_END_BEFORE);
	(void)sqlite3_close(db->sqlite); /* no statement is left; a checkpoint that fails is done at the next open */
	CRASH_POINT(JOURNAL_END_AFTER);
	free(db->path);
	*db = (struct journal_db){0};
}
