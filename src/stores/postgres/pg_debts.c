/* Debts paid and loaded, and old rows of the ledger pruned. */
#include "pg.h"

#include "pg_catalog.h"
#include "pg_value.h"

#include "base/crash_point.h"
#include "base/must.h"
#include "base/mutant.h"

#include <stdlib.h>
#include <string.h>

#define PRUNE_ROWS 5000

/* For old rows of the ledger: those that a crash of the server brings back are deleted the next time. A payment waits
 * for the disk as a pivot does: the debt would come back, and nobody would pay it before the next start of the daemon.
 */
static const char sql_relaxed[] = "SELECT set_config('synchronous_commit', 'off', true)";

static const char sql_pay[] = "DELETE FROM sagad_debts b USING unnest($1, $2, $3) AS p(store, op, saga) "
			      "WHERE b.store = p.store AND b.op = p.op AND b.saga_id = p.saga";

/* A seeded bug's. */
#define SQL_PAY_BY_DOCUMENT                                                                                            \
	"DELETE FROM sagad_debts b USING sagad_debts c, unnest($1, $2, $3) AS p(store, op, saga) "                     \
	"WHERE c.store = p.store AND c.op = p.op AND c.saga_id = p.saga AND b.document_id = c.document_id"

/* What a debt can be in this version. A row of another kind stays where it is, and keeps no other from being paid. */
#define SQL_OPS "('publish', 'remove')"

static const char sql_page[] = "SELECT store, op, saga_id, owner, document_id, chunk_count FROM sagad_debts "
			       "WHERE (owner, store, op, saga_id) > ($1, $2, $3, $4) AND op IN " SQL_OPS " "
			       "ORDER BY owner, store, op, saga_id LIMIT $5";

static const char sql_unknown[] = "SELECT count(*), min(op) FROM sagad_debts WHERE op NOT IN " SQL_OPS;

static const char sql_prune[] = "DELETE FROM sagad_ledger WHERE saga_id IN (SELECT saga_id FROM sagad_ledger "
				"WHERE created_at < clock_timestamp() - $1 * interval '1 millisecond' "
				"ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

static const struct pg_job_ops pay_ops, page_ops, prune_ops;

/* ---- pay ---- */

void pg_debts_pay(struct truth *truth, struct truth_pay_req *req)
{
	pg_job_submit(&pg_of(truth)->reads, &pay_ops, (union pg_request){.pay = req}, req->timeout_ns);
}

static void pg_debts_add_keys(struct pg_params *params, const struct truth_pay_req *req)
{
	pg_params_open(params, pg_params_texts);
	for (uint32_t i = 0; i < req->n_debts; i++)
		pg_params_item_str(params, str_of(req->debts[i].store));
	pg_params_close(params);
	pg_params_open(params, pg_params_texts);
	for (uint32_t i = 0; i < req->n_debts; i++)
		pg_params_item_str(params, str_of(pg_pivot_op_name(req->debts[i].op)));
	pg_params_close(params);
	pg_params_open(params, pg_params_uuids);
	for (uint32_t i = 0; i < req->n_debts; i++)
		pg_params_item_uuid(params, &req->debts[i].saga);
	pg_params_close(params);
}

static void pg_debts_start_pay(struct pg_job *job)
{
	struct pg_script script;

	pg_script_init(&script);
	(void)pg_script_add(&script, "BEGIN"); /* without parameters, as COMMIT */
	pg_debts_add_keys(pg_script_add(&script, MUTANT(debt_paid_by_document) ? SQL_PAY_BY_DOCUMENT : sql_pay),
			  job->req.pay);
	(void)pg_script_add(&script, "COMMIT");
	CRASH_POINT(POSTGRES_PAY_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_PAY_SENT);
}

static void pg_debts_end_delete(struct pg_job *job, const struct pg_end *end, const char *what)
{
	struct err err = {""};
	enum verdict verdict = VERDICT_OK;

	if (end->kind != PG_END_OK)
		verdict = pg_end_verdict(end, what, &err);
	pg_job_end(job, verdict, &err);
}

static void pg_debts_ended_pay(struct pg_job *job, const struct pg_end *end)
{
	CRASH_POINT(POSTGRES_PAY_AFTER);
	pg_debts_end_delete(job, end, "deleting paid debts");
}

static void pg_debts_finish_pay(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct truth_pay_req *req = job->req.pay;

	req->verdict = verdict;
	req->err = *err;
	req->done(req);
}

static const struct pg_job_ops pay_ops = {
	.start = pg_debts_start_pay,
	.ended = pg_debts_ended_pay,
	.finish = pg_debts_finish_pay,
};

/* ---- a page of debts ---- */

void pg_debts_submit(struct truth *truth, struct truth_debts_req *req)
{
	req->rows = NULL;
	req->n_rows = 0;
	pg_job_submit(&pg_of(truth)->reads, &page_ops, (union pg_request){.debts = req}, req->timeout_ns);
}

static void pg_debts_start_page(struct pg_job *job)
{
	/* no crash point: reads only */
	const struct truth_debts_req *req = job->req.debts;
	bool is_first = uuid_is_nil(&req->after_owner);
	struct pg_script script;
	struct pg_params *params;

	pg_script_init(&script);
	params = pg_script_add(&script, sql_page);
	pg_params_add_uuid(params, &req->after_owner);
	pg_params_add_text(params, str_of(is_first ? "" : req->after.store));
	pg_params_add_text(params, str_of(is_first ? "" : pg_pivot_op_name(req->after.op)));
	pg_params_add_uuid(params, is_first ? &UUID_NIL : &req->after.saga);
	pg_params_add_int8(params, req->limit);
	if (is_first)
		(void)pg_script_add(&script, sql_unknown); /* without parameters */
	pg_job_run(job, &script);
}

/* The rows and, behind them, the texts of their document ids, in one allocation. */
static struct truth_debt_row *pg_debts_alloc(const PGresult *result)
{
	size_t n_bytes = (size_t)PQntuples(result) * sizeof(struct truth_debt_row) + 1;

	for (int row = 0; row < PQntuples(result); row++)
		n_bytes += pg_catalog_value(result, row, 4).len;
	return calloc(1, n_bytes);
}

static bool pg_debts_read_row(const PGresult *result, int row, struct truth_debt_row *out_row, char *text)
{
	struct str id = pg_catalog_value(result, row, 4);
	char op[16];

	pg_value_text(pg_catalog_value(result, row, 1), op, sizeof(op));
	if (!pg_pivot_op_parse(op, &out_row->debt.op))
		return false;
	pg_value_text(pg_catalog_value(result, row, 0), out_row->debt.store, sizeof(out_row->debt.store));
	out_row->debt.saga = pg_value_uuid(pg_catalog_value(result, row, 2));
	out_row->debt.owner = pg_value_uuid(pg_catalog_value(result, row, 3));
	out_row->debt.n_chunks = (uint32_t)pg_value_int(pg_catalog_value(result, row, 5));
	if (id.len > 0)
		memcpy(text, id.at, id.len);
	out_row->document_id = (struct str){text, id.len};
	return true;
}

static void pg_debts_tell_unknown(struct pg_job *job, const PGresult *result)
{
	int64_t n_rows = PQntuples(result) == 1 ? pg_value_int(pg_catalog_value(result, 0, 0)) : 0;
	char op[16];

	if (n_rows == 0)
		return;
	pg_value_text(pg_catalog_value(result, 0, 1), op, sizeof(op));
	log_error(job->pool->shared->log,
		  "postgres: %lld rows of sagad_debts have an op that this version doesn't know, such as \"%s\"; they "
		  "stay. "
		  "Were they written by a newer sagad, or by hand?",
		  (long long)n_rows, op);
}

static void pg_debts_read_page(struct pg_job *job, const PGresult *result)
{
	struct truth_debt_row *rows = pg_debts_alloc(result);
	char *text;

	job->scratch = rows;
	if (rows == NULL)
		return;
	text = (char *)(rows + PQntuples(result));
	for (int row = 0; row < PQntuples(result); row++) {
		if (!pg_debts_read_row(result, row, &rows[row], text))
			return;
		text += rows[row].document_id.len;
		job->n_found++;
	}
	job->step = 1; /* all of them were understood */
}

static void pg_debts_result_page(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	if (nth == 0)
		pg_debts_read_page(job, result);
	else
		pg_debts_tell_unknown(job, result);
}

static void pg_debts_ended_page(struct pg_job *job, const struct pg_end *end)
{
	struct err err = {""};
	enum verdict verdict = VERDICT_OK;

	if (end->kind != PG_END_OK) {
		verdict = pg_end_verdict(end, "reading debts", &err);
	} else if (job->scratch == NULL) {
		verdict = VERDICT_TRANSIENT;
		(void)err_set(&err, 0, "postgres: out of memory while debts were read; try again later");
	} else if (job->step == 0) {
		verdict = VERDICT_MISCONFIGURED;
		(void)err_set(&err, 0,
			      "postgres: table sagad_debts has an op that this version doesn't know; was it "
			      "written by a newer sagad?");
	}
	pg_job_end(job, verdict, &err);
}

static void pg_debts_finish_page(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct truth_debts_req *req = job->req.debts;

	req->rows = verdict == VERDICT_OK ? job->scratch : NULL;
	req->n_rows = verdict == VERDICT_OK ? job->n_found : 0;
	req->verdict = verdict;
	req->err = *err;
	req->done(req);
}

static const struct pg_job_ops page_ops = {
	.start = pg_debts_start_page,
	.result = pg_debts_result_page,
	.ended = pg_debts_ended_page,
	.finish = pg_debts_finish_page,
};

/* ---- prune ---- */

/* All pruning keeps rows equally long: the last word counts. */
void pg_debts_prune(struct truth *truth, uint64_t keep_ms, struct truth_pay_req *req)
{
	struct pg *pg = pg_of(truth);

	pg->prune_keep_ms = keep_ms;
	pg_job_submit(&pg->admin, &prune_ops, (union pg_request){.pay = req}, req->timeout_ns);
}

static void pg_debts_start_prune(struct pg_job *job)
{
	struct pg_script script;
	struct pg_params *params;

	pg_script_init(&script);
	(void)pg_script_add(&script, "BEGIN"); /* without parameters, as the next and COMMIT */
	(void)pg_script_add(&script, sql_relaxed);
	params = pg_script_add(&script, sql_prune);
	pg_params_add_int8(params, (int64_t)job->pool->pg->prune_keep_ms);
	pg_params_add_int8(params, PRUNE_ROWS);
	(void)pg_script_add(&script, "COMMIT");
	CRASH_POINT(POSTGRES_PRUNE_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_PRUNE_SENT);
}

static void pg_debts_ended_prune(struct pg_job *job, const struct pg_end *end)
{
	CRASH_POINT(POSTGRES_PRUNE_AFTER);
	pg_debts_end_delete(job, end, "deleting old rows of the ledger");
}

static const struct pg_job_ops prune_ops = {
	.start = pg_debts_start_prune,
	.ended = pg_debts_ended_prune,
	.finish = pg_debts_finish_pay,
};
