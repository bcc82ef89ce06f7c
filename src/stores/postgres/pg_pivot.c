/* The pivot: hands the codec's transaction to a connection and reads what became of it. */
#include "pg.h"

#include "pg_catalog.h"
#include "pg_value.h"

#include "base/crash_point.h"
#include "base/must.h"
#include "base/mutant.h"

#include <stdlib.h>
#include <string.h>

/* Steps of the job: what has been seen of the transaction. */
#define SAW_OWNER  1u /* our epoch is the owner's */
#define SAW_COMMIT 2u /* COMMIT's own result; nothing counts before it and the sync */

static const struct pg_job_ops pivot_ops;

void pg_pivot_submit(struct truth *truth, struct truth_pivot_req *req)
{
	req->is_shared = false;
	req->is_epoch_lost = false;
	req->backend[0] = '\0';
	for (uint32_t i = 0; i < req->n_pivots; i++) {
		req->pivots[i]->result = PIVOT_CONFLICT;
		err_clear(&req->pivots[i]->err);
	}
	pg_job_submit(&pg_of(truth)->pivots, &pivot_ops, (union pg_request){.pivot = req}, req->timeout_ns);
}

/* The tables are not as this daemon last saw them: a new connection looks at the catalog again. */
static void pg_pivot_look_again(struct pg_job *job, const char *why)
{
	struct pg_conn *conn = job->conn;

	job->conn = NULL;
	if (conn != NULL)
		pg_conn_drop(conn, why);
}

static void pg_pivot_start(struct pg_job *job)
{
	const struct pg *pg = job->pool->pg;
	struct truth_pivot_req *req = job->req.pivot;
	struct pg_script script;

	if (pg->epoch == 0) {
		pg_job_doom(job, VERDICT_OUTAGE, "postgres: this daemon has not become the owner of the database yet");
		return;
	}
	if (!pg->shared.embedding.is_known) {
		pg_job_doom(job, VERDICT_MISCONFIGURED,
			    "postgres: table chunks with its column embedding is missing; run sagactl init");
		pg_pivot_look_again(job, job->doom_err.text); /* somebody may put it back without init */
		return;
	}
	pg_script_init(&script);
	/* The codec's failure is seen again by pg_job_run(); memory for sorting is the one thing that isn't. */
	if (pg_pivot_build(&script, req->pivots, req->n_pivots, pg->epoch, &pg->shared.embedding, &job->plan) != 0 &&
	    script.n == 0) {
		pg_job_doom(job, VERDICT_TRANSIENT, "postgres: out of memory while a batch was built; try again later");
		return;
	}
	CRASH_POINT(POSTGRES_PIVOT_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_PIVOT_SENT);
}

static struct truth_pivot *pg_pivot_find(const struct truth_pivot_req *req, const struct uuid *saga)
{
	for (uint32_t i = 0; i < req->n_pivots; i++)
		if (uuid_compare(&req->pivots[i]->saga, saga) == 0)
			return req->pivots[i];
	return NULL;
}

/* No row: the document's version was another one, or the key had been taken. An `aborted` row was written by settle():
 * this saga must not commit any more, and has not. */
static void pg_pivot_read_outcomes(const struct truth_pivot_req *req, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct uuid saga = pg_value_uuid(pg_catalog_value(result, row, 0));
		struct truth_pivot *pivot = pg_pivot_find(req, &saga);

		if (pivot == NULL)
			continue;
		if (str_is_equal(pg_catalog_value(result, row, 1), str_of("committed")) || MUTANT(duplicate_committed))
			pivot->result = PIVOT_COMMITTED;
		else
			(void)err_set(&pivot->err, 0,
				      "postgres: this saga had been aborted before, so it was not committed");
	}
}

static void pg_pivot_result(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	if (nth == job->plan.owner && PQntuples(result) == 1)
		job->step |= SAW_OWNER;
	if (nth == job->plan.outcome)
		pg_pivot_read_outcomes(job->req.pivot, result);
	/* COMMIT of a failed transaction succeeds, too, and says ROLLBACK. */
	if (nth == job->plan.commit && strcmp(PQcmdStatus((PGresult *)(uintptr_t)result), "COMMIT") == 0)
		job->step |= SAW_COMMIT;
}

static void pg_pivot_ended(struct pg_job *job, const struct pg_end *end)
{
	struct truth_pivot_req *req = job->req.pivot;
	struct err err = {""};
	enum verdict verdict = VERDICT_OK;

	CRASH_POINT(POSTGRES_PIVOT_AFTER);
	if (end->kind != PG_END_OK)
		verdict = pg_end_verdict(end, "transaction of the documents", &err);
	else if ((job->step & SAW_OWNER) == 0 && !MUTANT(epoch_unchecked))
		req->is_epoch_lost = true;
	else if ((job->step & SAW_COMMIT) == 0)
		verdict = VERDICT_TRANSIENT;
	if (req->is_epoch_lost) {
		verdict = VERDICT_TRANSIENT; /* nobody may take anything back because of it */
		(void)err_set(&err, 0,
			      "postgres: another daemon has become the owner of this database; nothing was written");
	} else if (end->kind == PG_END_OK && verdict != VERDICT_OK) {
		(void)err_set(&err, 0, "postgres: the server rolled the transaction back");
	}
	req->is_cut = verdict == VERDICT_DOUBT && end->is_cut;
	if (verdict == VERDICT_DOUBT)
		memcpy(req->backend, job->backend, sizeof(req->backend));
	if (verdict == VERDICT_MISCONFIGURED) /* a refused type or column: the schema changed under this connection */
		pg_pivot_look_again(job, err.text);
	pg_job_end(job, verdict, &err);
}

static void pg_pivot_name(const struct truth_pivot *pivot, const struct err *why, struct err *out_err)
{
	(void)err_set(out_err, 0, "document %.*s: %s", pivot->document_id.len > 80 ? 80 : (int)pivot->document_id.len,
		      pivot->document_id.at, why->text);
}

static void pg_pivot_finish(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct truth_pivot_req *req = job->req.pivot;

	/* What the server refused or lost it did as a whole; a transaction has no culprit to name. */
	req->is_shared = verdict == VERDICT_PERMANENT || verdict == VERDICT_TRANSIENT || verdict == VERDICT_DOUBT;
	for (uint32_t i = 0; i < req->n_pivots; i++) {
		struct truth_pivot *pivot = req->pivots[i];

		pivot->verdict = verdict;
		if (verdict == VERDICT_OK)
			continue;
		pivot->result = PIVOT_CONFLICT; /* never a committed one with a verdict that isn't OK */
		if (req->n_pivots == 1)
			pg_pivot_name(pivot, err, &pivot->err);
		else
			pivot->err = *err;
	}
	req->done(req);
}

static const struct pg_job_ops pivot_ops = {
	.start = pg_pivot_start,
	.result = pg_pivot_result,
	.ended = pg_pivot_ended,
	.finish = pg_pivot_finish,
};
