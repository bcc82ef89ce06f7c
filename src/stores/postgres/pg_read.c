/* What there is of a document before a saga writes: one statement for a whole batch, so one snapshot. */
#include "pg.h"

#include "pg_catalog.h"
#include "pg_ledger.h"
#include "pg_value.h"

#include "base/must.h"

static const char sql_read[] =
	"SELECT r.nth, d.version, d.content_hash, d.chunk_count, d.ingestion_status = 'DELETED', "
	"(extract(epoch FROM d.updated_at) * 1000)::int8, "
	"(SELECT count(*) FROM sagad_debts b WHERE b.document_id = r.id), " PG_LEDGER_COLUMNS
	"FROM unnest($1, $2) WITH ORDINALITY AS r(id, key, nth) "
	"LEFT JOIN documents d ON d.id = r.id "
	"LEFT JOIN sagad_ledger l ON l.idempotency_key = r.key "
	"ORDER BY r.nth";

enum read_column {
	READ_NTH,
	READ_VERSION,
	READ_HASH,
	READ_CHUNKS,
	READ_DELETED,
	READ_UPDATED,
	READ_DEBTS,
	READ_LEDGER
};

static const struct pg_job_ops read_ops;

void pg_read_submit(struct truth *truth, struct truth_read_req *req)
{
	pg_job_submit(&pg_of(truth)->reads, &read_ops, (union pg_request){.read = req}, req->timeout_ns);
}

static void pg_read_start(struct pg_job *job)
{
	/* no crash point: reads only */
	const struct truth_read_req *req = job->req.read;
	struct pg_script script;
	struct pg_params *params;

	pg_script_init(&script);
	params = pg_script_add(&script, sql_read);
	pg_params_open(params, pg_params_texts);
	for (uint32_t i = 0; i < req->n_reads; i++)
		pg_params_item_str(params, req->reads[i]->document_id);
	pg_params_close(params);
	pg_params_open(params, pg_params_texts);
	for (uint32_t i = 0; i < req->n_reads; i++)
		pg_params_item_str(params, req->reads[i]->idempotency_key);
	pg_params_close(params);
	pg_job_run(job, &script);
}

static void pg_read_row(struct truth_read *read, const PGresult *result, int row)
{
	read->is_found = !PQgetisnull(result, row, READ_VERSION);
	read->version = pg_value_uuid(pg_catalog_value(result, row, READ_VERSION));
	pg_value_bytes(pg_catalog_value(result, row, READ_HASH), read->content_hash, sizeof(read->content_hash));
	read->n_chunks = (uint32_t)pg_value_int(pg_catalog_value(result, row, READ_CHUNKS));
	read->is_deleted = pg_value_bool(pg_catalog_value(result, row, READ_DELETED));
	read->updated_unix_ms = pg_value_int(pg_catalog_value(result, row, READ_UPDATED));
	read->n_debts = (uint32_t)pg_value_int(pg_catalog_value(result, row, READ_DEBTS));
	pg_ledger_read(result, row, READ_LEDGER, &read->by_key);
}

static void pg_read_result(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	const struct truth_read_req *req = job->req.read;

	(void)nth; /* there is one statement */
	for (int row = 0; row < PQntuples(result); row++) {
		int64_t place = pg_value_int(pg_catalog_value(result, row, READ_NTH));

		if (place < 1 || place > (int64_t)req->n_reads)
			continue;
		pg_read_row(req->reads[place - 1], result, row);
		job->n_found++;
	}
}

static void pg_read_ended(struct pg_job *job, const struct pg_end *end)
{
	struct err err = {""};
	enum verdict verdict = VERDICT_OK;

	if (end->kind != PG_END_OK) {
		verdict = pg_end_verdict(end, "reading documents' versions", &err);
	} else if (job->n_found != job->req.read->n_reads) {
		verdict = VERDICT_DOUBT;
		(void)err_set(&err, 0, "postgres: the answer has %u rows for %u documents", job->n_found,
			      job->req.read->n_reads);
	}
	pg_job_end(job, verdict, &err);
}

static void pg_read_finish(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct truth_read_req *req = job->req.read;

	for (uint32_t i = 0; i < req->n_reads; i++) {
		req->reads[i]->verdict = verdict;
		req->reads[i]->err = *err;
	}
	req->done(req);
}

static const struct pg_job_ops read_ops = {
	.start = pg_read_start,
	.result = pg_read_result,
	.ended = pg_read_ended,
	.finish = pg_read_finish,
};
