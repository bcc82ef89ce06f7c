/* One call: its statements in a flight, and what comes back.
 *
 * Plain statements run in the transaction that a pipeline makes by itself up to its sync: nothing in them can end it,
 * and it costs no statement of ours. What could (a procedure, a block) runs between BEGIN and COMMIT, where PostgreSQL
 * refuses to end a transaction from inside; COMMIT then stands behind a sync of its own, so that it is run after an
 * error, too, and rolls back. */
#include "pg_steps_internal.h"
#include "pg_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OID_TEXT 25
#define OID_UUID 2950

#define TARGET "postgresql"

static const char sql_do[] = "INSERT INTO sagad_barriers (saga, step, state) VALUES ($1, $2, 'done') "
			     "RETURNING set_config('statement_timeout', $3, true)";
/* An error that takes everything back, raised by nothing else here: the division by zero, when there is no row. */
static const char sql_undo[] =
	"WITH undone AS (UPDATE sagad_barriers SET state = 'undone', changed_at = now() "
	"WHERE saga = $1 AND step = $2 AND state = 'done' RETURNING 1) "
	"SELECT set_config('statement_timeout', $3, true), 1 / (SELECT count(*)::int FROM undone)";
static const char sql_look[] = "SELECT state, result FROM sagad_barriers WHERE saga = $1 AND step = $2";
/* Waits for a do that is still running, since its row is unique; what that one left shows the look behind it. */
static const char sql_block[] = "INSERT INTO sagad_barriers (saga, step, state) VALUES ($1, $2, 'blocked') "
				"ON CONFLICT (saga, step) DO NOTHING RETURNING state";
static const char sql_keep[] = "UPDATE sagad_barriers SET result = $3 WHERE saga = $1 AND step = $2";

#define STATE_NO_ROW    "22012" /* division_by_zero: sql_undo */
#define STATE_UNIQUE    "23505"
#define STATE_NO_TABLE  "42P01"
#define STATE_NO_COLUMN "42703"
#define STATE_NO_RIGHT  "42501"

static const char *pg_step_kind(const struct pg_step *step)
{
	return step->call->kind == CALL_UNDO ? "undo" : "do";
}

/* ---- beginning and end ---- */

static struct pg_steps *pg_steps_of_step(const struct pg_step *step)
{
	return step->owner;
}

bool pg_step_open(struct pg_step *step)
{
	struct call *call = step->call;

	uuid_format(&call->saga, step->saga);
	(void)snprintf(step->step, sizeof(step->step), "%.*s", STR_ARG(call->step)); /* as long */
	if (call->kind == CALL_CHECK) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "only services have a check");
		return false;
	}
	if (!pg_steps_codec_read(call, &step->body))
		return false;
	step->phase = call->kind == CALL_UNDO ? PG_STEP_UNDO : call->keeps_result ? PG_STEP_OPEN : PG_STEP_DO;
	return true;
}

void pg_step_close(struct pg_step *step)
{
	pg_steps_codec_fini(&step->body);
	yyjson_mut_doc_free(step->results);
	step->results = NULL;
	buf_fini(&step->kept_json);
}

bool pg_step_is_alone(const struct pg_step *step)
{
	return step->phase == PG_STEP_OPEN || step->phase == PG_STEP_KEEP || step->phase == PG_STEP_ROLL_BACK;
}

/* ---- sending ---- */

static bool pg_step_has_statements(const struct pg_step *step)
{
	return step->phase == PG_STEP_DO || step->phase == PG_STEP_OPEN || step->phase == PG_STEP_UNDO;
}

/* The barrier's statements: saga, step, and a third text where there is one. */
static bool pg_step_send_own(struct pg_step *step, PGconn *pq, const char *sql, const char *third)
{
	/* no crash point: pg_steps_send_flight() has one */
	const char *values[] = {step->saga, step->step, third};
	const Oid types[] = {OID_UUID, OID_TEXT, 0};

	step->n_expected++;
	return PQsendQueryParams(pq, sql, third != NULL ? 3 : 2, types, values, NULL, NULL, 0) == 1;
}

static bool pg_step_send_bare(PGconn *pq, const char *sql)
{
	/* no crash point: pg_steps_send_flight() has one */
	return PQsendQueryParams(pq, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* A little less than what the call has left: the server then ends the statement by itself, and nothing is in doubt. */
static void pg_step_write_timeout(const struct pg_step *step, char *out_text, size_t size_bytes)
{
	uint64_t now_ns = uv_hrtime();
	uint64_t left_ms = step->deadline_ns > now_ns ? (step->deadline_ns - now_ns) / 1000000u : 0;
	uint64_t margin_ms = left_ms / 8 < 200 ? left_ms / 8 : 200;

	left_ms = left_ms > margin_ms ? left_ms - margin_ms : 1; /* 0 would be no limit */
	(void)snprintf(out_text, size_bytes, "%llums", (unsigned long long)(left_ms < 86400000 ? left_ms : 86400000));
}

static bool pg_step_send_barrier(struct pg_step *step, PGconn *pq)
{
	char timeout[24];

	pg_step_write_timeout(step, timeout, sizeof(timeout));
	switch (step->phase) {
	case PG_STEP_DO:
	case PG_STEP_OPEN:
		return pg_step_send_own(step, pq, sql_do, timeout);
	case PG_STEP_UNDO:
		return pg_step_send_own(step, pq, sql_undo, timeout);
	case PG_STEP_KEEP:
		return pg_step_send_own(step, pq, sql_keep, step->kept_json.at != NULL ? step->kept_json.at : "null");
	case PG_STEP_LOOK:
		return pg_step_send_own(step, pq, sql_look, NULL);
	case PG_STEP_ROLL_BACK:
		step->n_expected++;
		return pg_step_send_bare(pq, "ROLLBACK");
	case PG_STEP_BLOCK:
		break;
	}
	return pg_step_send_own(step, pq, sql_block, NULL) && pg_step_send_own(step, pq, sql_look, NULL);
}

static bool pg_step_send_statements(struct pg_step *step, PGconn *pq)
{
	/* no crash point: pg_steps_send_flight() has one */
	for (uint32_t i = 0; i < step->body.n; i++) {
		const struct pg_steps_statement *statement = &step->body.statements[i];

		step->n_expected++;
		/* Text, and no types: PostgreSQL infers them. The unnamed statement: poolers needn't know of it. */
		if (PQsendQueryParams(pq, statement->sql, (int)statement->n_values, NULL, statement->values, NULL, NULL,
				      0) != 1)
			return false;
	}
	return true;
}

static void pg_step_begin(struct pg_step *step)
{
	bool is_open = step->phase == PG_STEP_OPEN;

	step->is_begun = true;
	step->is_block = pg_step_has_statements(step) ? is_open || !step->body.is_plain : step->phase == PG_STEP_KEEP;
	step->n_expected = 0;
	step->n_seen = 0;
	step->n_syncs = 0;
	if (step->phase == PG_STEP_ROLL_BACK)
		return; /* the error before it is what the call ends with */
	step->has_failed = false;
	step->is_fatal = false;
	step->is_inserted = false;
	step->state[0] = '\0';
	step->sqlstate[0] = '\0';
	step->n_result_bytes = 0;
	yyjson_mut_doc_free(step->results);
	step->results = NULL;
}

bool pg_step_send(struct pg_step *step, PGconn *pq)
{
	bool is_good = true;

	pg_step_begin(step);
	if (pg_step_has_statements(step) && step->is_block) {
		step->n_expected++;
		is_good = pg_step_send_bare(pq, "BEGIN");
	}
	is_good = is_good && pg_step_send_barrier(step, pq);
	if (pg_step_has_statements(step))
		is_good = is_good && pg_step_send_statements(step, pq);
	is_good = is_good && PQpipelineSync(pq) == 1;
	if (step->is_block && step->phase != PG_STEP_OPEN)
		is_good = is_good && pg_step_send_bare(pq, "COMMIT") && PQpipelineSync(pq) == 1;
	return is_good;
}

/* ---- results ---- */

/* Which of the client's statements: from 0; negative: one of ours. */
static int pg_step_statement(const struct pg_step *step, uint32_t nth)
{
	return pg_step_has_statements(step) ? (int)nth - (step->is_block ? 2 : 1) : -1;
}

static bool pg_step_add_row(struct pg_step *step, yyjson_mut_doc *doc, yyjson_mut_val *rows, const PGresult *result,
			    int row)
{
	yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, rows);

	for (int i = 0; object != NULL && i < PQnfields(result); i++) {
		struct str text = {PQgetvalue(result, row, i), (size_t)PQgetlength(result, row, i)};
		yyjson_mut_val *key = step_codec_string(doc, str_of(PQfname(result, i)));
		yyjson_mut_val *val = PQgetisnull(result, row, i) ? yyjson_mut_null(doc)
								  : pg_steps_codec_value(doc, PQftype(result, i), text);

		step->n_result_bytes += text.len + 8;
		if (!yyjson_mut_obj_add(object, key, val))
			return false;
	}
	return object != NULL;
}

/* A result that is too long, or finds no memory, is none: the step has run all the same. */
static bool pg_step_add_result(struct pg_step *step, const PGresult *result)
{
	yyjson_mut_doc *doc = step->results;
	yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, yyjson_mut_doc_get_root(doc));
	yyjson_mut_val *rows = object != NULL ? yyjson_mut_obj_add_arr(doc, object, "rows") : NULL;

	for (int i = 0; rows != NULL && i < PQntuples(result); i++)
		if (step->n_result_bytes > pg_steps_of_step(step)->max_result_bytes ||
		    !pg_step_add_row(step, doc, rows, result, i))
			return false;
	return rows != NULL && yyjson_mut_obj_add_uint(doc, object, "count",
						       strtoull(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10));
}

static void pg_step_keep_result(struct pg_step *step, const PGresult *result)
{
	if (step->results == NULL && step->n_result_bytes == 0) {
		step->results = yyjson_mut_doc_new(NULL);
		if (step->results != NULL)
			yyjson_mut_doc_set_root(step->results, yyjson_mut_arr(step->results));
	}
	if (step->results == NULL || pg_step_add_result(step, result))
		return;
	yyjson_mut_doc_free(step->results);
	step->results = NULL;
	step->n_result_bytes = SIZE_MAX / 2; /* the ones after it are of no use, either */
}

/* {"rows", "count"} of the last statement; with several, "results" as well. */
static yyjson_mut_doc *pg_step_result(struct pg_step *step)
{
	yyjson_mut_doc *doc = step->results;
	yyjson_mut_val *all = yyjson_mut_doc_get_root(doc), *last = yyjson_mut_arr_get_last(all), *root;

	if (last == NULL || yyjson_mut_arr_size(all) == 1) {
		yyjson_mut_doc_set_root(doc, last);
		return last != NULL ? doc : NULL;
	}
	root = yyjson_mut_val_mut_copy(doc, last);
	if (!yyjson_mut_obj_add_val(doc, root, "results", all))
		return NULL;
	yyjson_mut_doc_set_root(doc, root);
	return doc;
}

static void pg_step_note_row(struct pg_step *step, const PGresult *result)
{
	bool is_look = step->phase == PG_STEP_LOOK || step->n_seen == 1;

	if (PQntuples(result) != 1)
		return;
	if (!is_look) {
		step->is_inserted = true;
		return;
	}
	pg_value_text(str_of(PQgetvalue(result, 0, 0)), step->state, sizeof(step->state));
	buf_clear(&step->kept_json);
	if (PQnfields(result) > 1 && !PQgetisnull(result, 0, 1))
		buf_append(&step->kept_json, PQgetvalue(result, 0, 1), (size_t)PQgetlength(result, 0, 1));
}

/* The server's word on a wrong number of parameters. */
static bool pg_step_is_own_fault(const PGresult *result, const char *sqlstate)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return sqlstate != NULL && strcmp(sqlstate, "08P01") == 0 && severity != NULL && strcmp(severity, "ERROR") == 0;
}

static void pg_step_note_error(struct pg_step *step, const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (step->has_failed)
		return; /* the first one is the cause */
	step->has_failed = true;
	step->failed_at = step->n_seen;
	step->is_fatal = pg_conn_is_fatal(result, sqlstate) && !pg_step_is_own_fault(result, sqlstate);
	(void)snprintf(step->sqlstate, sizeof(step->sqlstate), "%s", sqlstate != NULL ? sqlstate : "");
	(void)err_set(&step->err, 0, "%s (SQLSTATE %s)", text != NULL ? text : "an error without words",
		      sqlstate != NULL ? sqlstate : "unknown");
}

/* The tag of what has run proves that we still are in the transaction that we began: nothing else changes it. COMMIT
 * says ROLLBACK after an error only. */
static bool pg_step_is_breach(const struct pg_step *step, const PGresult *result, bool is_commit)
{
	const char *tag = PQcmdStatus((PGresult *)(uintptr_t)result);

	if (is_commit)
		return !step->has_failed && strcmp(tag, "COMMIT") != 0;
	return pg_step_statement(step, step->n_seen) >= 0 && pg_steps_codec_is_breach(tag);
}

static void pg_step_take_good(struct pg_step *step, const PGresult *result)
{
	if (step->phase == PG_STEP_LOOK || step->phase == PG_STEP_BLOCK)
		pg_step_note_row(step, result);
	else if (pg_step_statement(step, step->n_seen) >= 0)
		pg_step_keep_result(step, result);
}

bool pg_step_take(struct pg_step *step, const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	bool is_good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
	bool is_commit = step->n_syncs > 0;

	/* An error may come behind the last result: the sync commits what runs without BEGIN, and that can fail. */
	if (is_good && step->n_seen >= step->n_expected + (is_commit ? 1 : 0))
		return false;
	if (!is_good && status != PGRES_PIPELINE_ABORTED)
		pg_step_note_error(step, result);
	else if (is_good && pg_step_is_breach(step, result, is_commit))
		return false;
	else if (is_good && !is_commit)
		pg_step_take_good(step, result);
	step->n_seen++;
	return true;
}

bool pg_step_synced(struct pg_step *step)
{
	step->n_syncs++;
	return step->n_syncs == (step->is_block && step->phase != PG_STEP_OPEN ? 2 : 1);
}

/* ---- what it means ---- */

static void pg_step_fail_barrier(struct pg_step *step)
{
	const struct pg_config *config = &pg_steps_of_step(step)->config;
	enum verdict verdict = pg_sqlstate_verdict(step->sqlstate);

	if (strcmp(step->sqlstate, STATE_NO_TABLE) == 0 || strcmp(step->sqlstate, STATE_NO_COLUMN) == 0)
		step_codec_fail(step->call, TARGET, VERDICT_MISCONFIGURED,
				"the table sagad_barriers is not as it must be (%.120s); run sagactl init",
				step->err.text);
	else if (strcmp(step->sqlstate, STATE_NO_RIGHT) == 0)
		step_codec_fail(step->call, TARGET, VERDICT_MISCONFIGURED,
				"%.120s; run GRANT SELECT, INSERT, UPDATE ON sagad_barriers TO %s", step->err.text,
				config->user != NULL ? config->user : "the steps' user");
	else
		step_codec_fail(step->call, TARGET, verdict == VERDICT_PERMANENT ? VERDICT_TRANSIENT : verdict,
				"the barrier's row: %s", step->err.text);
}

static void pg_step_fail(struct pg_step *step)
{
	int nth = pg_step_statement(step, step->failed_at);

	if (step->is_fatal)
		step_codec_fail(step->call, TARGET, VERDICT_DOUBT, "%s; whether it was done is unknown",
				step->err.text);
	else if (nth < 0 && step->failed_at < step->n_expected)
		pg_step_fail_barrier(step);
	else if (step->failed_at >= step->n_expected)
		step_codec_fail(step->call, TARGET, pg_steps_codec_verdict(step->sqlstate), "%s, COMMIT: %s",
				pg_step_kind(step), step->err.text);
	else
		step_codec_fail(step->call, TARGET, pg_steps_codec_verdict(step->sqlstate), "%s, statement %d: %s",
				pg_step_kind(step), nth + 1, step->err.text);
}

static bool pg_step_failed_at_barrier(const struct pg_step *step, const char *sqlstate)
{
	return step->has_failed && !step->is_fatal && pg_step_statement(step, step->failed_at) == -1 &&
	       strcmp(step->sqlstate, sqlstate) == 0;
}

static bool pg_step_go_on(struct pg_step *step, enum pg_step_phase phase)
{
	step->phase = phase;
	step->is_begun = false;
	return false;
}

static void pg_step_done(struct pg_step *step, bool is_repeated)
{
	step->call->is_repeated = is_repeated;
	if (step->kept_json.at != NULL)
		step_codec_done_text(step->call, buf_str(&step->kept_json), pg_steps_of_step(step)->max_result_bytes);
	else
		step_codec_done(step->call, step->results != NULL ? pg_step_result(step) : NULL,
				pg_steps_of_step(step)->max_result_bytes);
}

/* The transaction is open and all went well: what it brought goes into the barrier. */
static bool pg_step_judge_open(struct pg_step *step)
{
	yyjson_mut_doc *doc = step->results != NULL ? pg_step_result(step) : NULL;
	size_t len = 0;
	char *json = doc != NULL ? yyjson_mut_write(doc, YYJSON_WRITE_NOFLAG, &len) : NULL;

	buf_fini(&step->kept_json);
	if (json != NULL && len <= pg_steps_of_step(step)->max_result_bytes)
		step->kept_json = (struct buf){.at = json, .len = len, .size_bytes = len + 1};
	else
		free(json);
	return pg_step_go_on(step, PG_STEP_KEEP);
}

static bool pg_step_judge_look(struct pg_step *step)
{
	if (strcmp(step->state, "done") == 0)
		pg_step_done(step, true);
	else if (step->state[0] != '\0')
		step_codec_fail(step->call, TARGET, VERDICT_PERMANENT, "its undo came before it");
	else
		step_codec_fail(step->call, TARGET, VERDICT_TRANSIENT, "the barrier's row went meanwhile");
	return true;
}

static bool pg_step_judge_block(struct pg_step *step)
{
	if (!step->is_inserted && strcmp(step->state, "done") == 0)
		return pg_step_go_on(step, PG_STEP_UNDO); /* the do was still running when the undo came */
	if (!step->is_inserted && step->state[0] == '\0') {
		step_codec_fail(step->call, TARGET, VERDICT_TRANSIENT, "the barrier's row went meanwhile");
		return true;
	}
	buf_clear(&step->kept_json);
	step->kept_json.at = NULL;
	pg_step_done(step, !step->is_inserted);
	return true;
}

/* Back to where the error came up. */
static void pg_step_reopen(struct pg_step *step)
{
	if (step->phase != PG_STEP_ROLL_BACK)
		return;
	step->phase = PG_STEP_OPEN;
	step->is_block = true;
	step->n_expected = step->body.n + 2;
}

bool pg_step_judge(struct pg_step *step)
{
	if (step->phase == PG_STEP_OPEN && step->has_failed && !step->is_fatal)
		return pg_step_go_on(step, PG_STEP_ROLL_BACK);
	pg_step_reopen(step);
	if (step->call->kind == CALL_DO && pg_step_failed_at_barrier(step, STATE_UNIQUE))
		return pg_step_go_on(step, PG_STEP_LOOK);
	if (step->phase == PG_STEP_UNDO && pg_step_failed_at_barrier(step, STATE_NO_ROW))
		return pg_step_go_on(step, PG_STEP_BLOCK);
	if (step->has_failed) {
		pg_step_fail(step);
		return true;
	}
	switch (step->phase) {
	case PG_STEP_OPEN:
		return pg_step_judge_open(step);
	case PG_STEP_LOOK:
		return pg_step_judge_look(step);
	case PG_STEP_BLOCK:
		return pg_step_judge_block(step);
	case PG_STEP_DO:
	case PG_STEP_UNDO:
	case PG_STEP_KEEP:
	case PG_STEP_ROLL_BACK:
		break;
	}
	pg_step_done(step, false);
	return true;
}

/* Without its COMMIT nothing of it stays; what only blocks changes nothing of the client's. A look comes when the
 * barrier's row is there. */
static bool pg_step_is_harmless(const struct pg_step *step)
{
	if (step->phase == PG_STEP_LOOK)
		return false;
	return !step->is_begun || step->phase == PG_STEP_OPEN || step->phase == PG_STEP_BLOCK;
}

void pg_step_lost(struct pg_step *step, enum verdict verdict, const char *why)
{
	pg_step_reopen(step);
	if (step->has_failed && !step->is_fatal)
		pg_step_fail(step); /* the server's own word stands: nothing after it was run */
	else if (pg_step_is_harmless(step))
		step_codec_fail(step->call, TARGET, verdict, "%s; nothing was changed", why);
	else
		step_codec_fail(step->call, TARGET, VERDICT_DOUBT, "%s; whether it was done is unknown", why);
}
