/* The end of doubt. The backend that may still commit is ended first and must be gone; then either outcome can be
 * looked up, or `aborted` be written: the ledger's unique index lets one outcome in. */
#include "pg.h"

#include "pg_catalog.h"
#include "pg_ledger.h"
#include "pg_value.h"

#include "base/crash_point.h"
#include "base/must.h"

#include <string.h>

#define SETTLE_POLL_MS 20

enum settle_step { SETTLE_END_BACKEND, SETTLE_DECIDE };

/* A terminated backend leaves pg_stat_activity after its transaction has ended: ShutdownPostgres() runs before
 * pgstat_beshutdown_hook(). */
static const char sql_end_backend[] = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
				      "WHERE application_name = $1 AND pid <> pg_backend_pid()";

static const char sql_begin[] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

static const char sql_owner[] = "SELECT epoch FROM sagad_owner WHERE epoch = $1 FOR SHARE";

/* Once with the key, so that it remembers the refusal; a key that another saga has taken keeps its row, and the outcome
 * goes in without one. Each waits for a row that another transaction is about to insert. */
#define SQL_ABORT(key)                                                                                                 \
	"INSERT INTO sagad_ledger (saga_id, document_id, idempotency_key, outcome, is_delete, content_hash, code, "    \
	"reason, created_at) SELECT s.saga, s.id, " key ", 'aborted', s.is_delete, s.hash, s.code, s.reason, "         \
	"clock_timestamp() FROM unnest($2, $3, $4, $5, $6, $7, $8) AS s(saga, id, key, hash, code, reason, "           \
	"is_delete) "                                                                                                  \
	"WHERE EXISTS (SELECT 1 FROM sagad_owner WHERE epoch = $1) "                                                   \
	"ON CONFLICT DO NOTHING"

static const char sql_abort[] = SQL_ABORT("s.key");
static const char sql_abort_without_key[] = SQL_ABORT("NULL");

/* A statement of its own: READ COMMITTED shows it what a conflicting transaction has committed meanwhile. */
#define SQL_ROWS(is_current)                                                                                           \
	"SELECT s.nth, " is_current ", " PG_LEDGER_COLUMNS                                                             \
	"FROM unnest($1, $2) WITH ORDINALITY AS s(saga, id, nth) LEFT JOIN sagad_ledger l ON l.saga_id = s.saga"

static const char sql_rows[] = SQL_ROWS("false");
static const char sql_rows_by_document[] =
	SQL_ROWS("EXISTS (SELECT 1 FROM documents d WHERE d.id = s.id AND d.version = s.saga)");

static const struct pg_job_ops settle_ops;

void pg_settle_submit(struct truth *truth, struct truth_settle_req *req)
{
	req->is_epoch_lost = false;
	pg_job_submit(&pg_of(truth)->reads, &settle_ops, (union pg_request){.settle = req}, req->timeout_ns);
}

static void pg_settle_end_backend(struct pg_job *job)
{
	struct pg_script script;

	pg_script_init(&script);
	pg_params_add_text(pg_script_add(&script, sql_end_backend), str_of(job->req.settle->backend));
	job->step = SETTLE_END_BACKEND;
	job->n_found = 0;
	CRASH_POINT(POSTGRES_SETTLE_END_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_SETTLE_END_SENT);
}

static bool pg_settle_aborts(const struct truth_settle *settle)
{
	return settle->abort_if_absent;
}

/* Only these look at the table of documents: whoever locks it must not keep a doubt from being settled. */
static bool pg_settle_by_document(const struct truth_settle *settle)
{
	return settle->by_document;
}

static bool pg_settle_any(const struct truth_settle_req *req, bool (*is)(const struct truth_settle *settle))
{
	for (uint32_t i = 0; i < req->n_settles; i++)
		if (is(req->settles[i]))
			return true;
	return false;
}

static struct str pg_settle_text(const char *text)
{
	return str_of(text != NULL ? text : "");
}

/* Texts of the rows to be written, one array each. */
static void pg_settle_add_texts(struct pg_params *params, const struct truth_settle_req *req,
				struct str (*text)(const struct truth_settle *settle))
{
	pg_params_open(params, pg_params_texts);
	for (uint32_t i = 0; i < req->n_settles; i++)
		if (req->settles[i]->abort_if_absent)
			pg_params_item_str(params, text(req->settles[i]));
	pg_params_close(params);
}

static struct str pg_settle_id(const struct truth_settle *settle)
{
	return settle->document_id;
}

static struct str pg_settle_key(const struct truth_settle *settle)
{
	return settle->idempotency_key;
}

static struct str pg_settle_code(const struct truth_settle *settle)
{
	return pg_settle_text(settle->code);
}

static struct str pg_settle_reason(const struct truth_settle *settle)
{
	return pg_settle_text(settle->reason);
}

static void pg_settle_add_abort(struct pg_script *script, const char *sql, const struct truth_settle_req *req,
				uint64_t epoch)
{
	struct pg_params *params = pg_script_add(script, sql);

	pg_params_add_int8(params, (int64_t)epoch);
	pg_params_open(params, pg_params_uuids);
	for (uint32_t i = 0; i < req->n_settles; i++)
		if (req->settles[i]->abort_if_absent)
			pg_params_item_uuid(params, &req->settles[i]->saga);
	pg_params_close(params);
	pg_settle_add_texts(params, req, pg_settle_id);
	pg_settle_add_texts(params, req, pg_settle_key);
	pg_params_open(params, pg_params_byteas);
	for (uint32_t i = 0; i < req->n_settles; i++)
		if (req->settles[i]->abort_if_absent)
			pg_params_item(params, req->settles[i]->content_hash, DIGEST_BYTES);
	pg_params_close(params);
	pg_settle_add_texts(params, req, pg_settle_code);
	pg_settle_add_texts(params, req, pg_settle_reason);
	pg_params_open(params, pg_params_bools);
	for (uint32_t i = 0; i < req->n_settles; i++)
		if (req->settles[i]->abort_if_absent)
			pg_params_item_bool(params, req->settles[i]->is_delete);
	pg_params_close(params);
}

static void pg_settle_decide(struct pg_job *job)
{
	const struct truth_settle_req *req = job->req.settle;
	uint64_t epoch = job->pool->pg->epoch;
	struct pg_script script;
	struct pg_params *params;

	pg_script_init(&script);
	(void)pg_script_add(&script, sql_begin); /* without parameters, as COMMIT below */
	job->plan.owner = script.n;
	pg_params_add_int8(pg_script_add(&script, sql_owner), (int64_t)epoch);
	if (pg_settle_any(req, pg_settle_aborts)) {
		pg_settle_add_abort(&script, sql_abort, req, epoch);
		pg_settle_add_abort(&script, sql_abort_without_key, req, epoch);
	}
	job->plan.outcome = script.n;
	params = pg_script_add(&script, pg_settle_any(req, pg_settle_by_document) ? sql_rows_by_document : sql_rows);
	pg_params_open(params, pg_params_uuids);
	for (uint32_t i = 0; i < req->n_settles; i++)
		pg_params_item_uuid(params, &req->settles[i]->saga);
	pg_params_close(params);
	pg_params_open(params, pg_params_texts);
	for (uint32_t i = 0; i < req->n_settles; i++)
		pg_params_item_str(params, req->settles[i]->document_id);
	pg_params_close(params);
	(void)pg_script_add(&script, "COMMIT");
	job->step = SETTLE_DECIDE;
	job->n_found = 0;
	CRASH_POINT(POSTGRES_SETTLE_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_SETTLE_SENT);
}

static void pg_settle_start(struct pg_job *job)
{
	const struct truth_settle_req *req = job->req.settle;

	if (job->pool->pg->epoch == 0)
		pg_job_doom(job, VERDICT_OUTAGE, "postgres: this daemon has not become the owner of the database yet");
	else if (req->backend != NULL && req->backend[0] != '\0')
		pg_settle_end_backend(job);
	else
		pg_settle_decide(job);
}

/* A ledger row is deleted for its age; the version that a document has was committed all the same. */
static void pg_settle_read_row(const PGresult *result, int row, struct truth_settle *settle)
{
	pg_ledger_read(result, row, 2, &settle->row);
	if (settle->row.outcome == LEDGER_ABSENT && pg_value_bool(pg_catalog_value(result, row, 1))) {
		settle->row.outcome = LEDGER_COMMITTED;
		settle->row.saga = settle->saga;
	}
}

static void pg_settle_read_rows(const struct truth_settle_req *req, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		int64_t place = pg_value_int(pg_catalog_value(result, row, 0));

		if (place >= 1 && place <= (int64_t)req->n_settles)
			pg_settle_read_row(result, row, req->settles[place - 1]);
	}
}

static void pg_settle_result(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	if (job->step == SETTLE_END_BACKEND && PQntuples(result) == 1)
		job->n_found = (uint32_t)pg_value_int(pg_catalog_value(result, 0, 0)); /* backends still there */
	else if (job->step == SETTLE_DECIDE && nth == job->plan.owner)
		job->n_found = (uint32_t)PQntuples(result); /* 1: our epoch is the owner's */
	else if (job->step == SETTLE_DECIDE && nth == job->plan.outcome)
		pg_settle_read_rows(job->req.settle, result);
}

static void pg_settle_decided(struct pg_job *job)
{
	struct err err = {""};

	job->req.settle->is_epoch_lost = job->n_found == 0;
	if (job->n_found != 0) {
		pg_job_end(job, VERDICT_OK, &err);
		return;
	}
	(void)err_set(&err, 0, "postgres: another daemon has become the owner of this database; nothing was settled");
	pg_job_end(job, VERDICT_TRANSIENT, &err);
}

static void pg_settle_ended(struct pg_job *job, const struct pg_end *end)
{
	bool is_ending = job->step == SETTLE_END_BACKEND;
	struct err err;

	CRASH_POINT_IF(is_ending, POSTGRES_SETTLE_END_AFTER);
	CRASH_POINT_IF(!is_ending, POSTGRES_SETTLE_AFTER);
	if (end->kind != PG_END_OK) {
		enum verdict verdict = pg_end_verdict(
			end, is_ending ? "ending the connection in doubt" : "looking up outcomes in the ledger", &err);

		pg_job_end(job, verdict, &err);
	} else if (!is_ending) {
		pg_settle_decided(job);
	} else if (job->n_found == 0) {
		pg_settle_decide(job);
	} else {
		pg_job_pause(job, SETTLE_POLL_MS);
	}
}

static void pg_settle_finish(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct truth_settle_req *req = job->req.settle;

	for (uint32_t i = 0; i < req->n_settles && verdict != VERDICT_OK; i++)
		req->settles[i]->row = (struct ledger_row){.outcome = LEDGER_ABSENT};
	req->verdict = verdict;
	req->err = *err;
	req->done(req);
}

static const struct pg_job_ops settle_ops = {
	.start = pg_settle_start,
	.result = pg_settle_result,
	.ended = pg_settle_ended,
	.resume = pg_settle_end_backend,
	.finish = pg_settle_finish,
};
