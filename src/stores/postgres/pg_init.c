/* `init` and `ping`: looks at the catalog, makes what is missing, looks again. Two of them at the same time are put in
 * order by an advisory lock. */
#include "pg.h"

#include "pg_catalog.h"
#include "pg_schema.h"
#include "pg_value.h"

#include "base/crash_point.h"
#include "base/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define INIT_TIMEOUT_NS  ((uint64_t)120 * 1000000000u)
#define INDEX_TIMEOUT_NS ((uint64_t)7 * 24 * 3600 * 1000000000u) /* building an index takes as long as it takes */

enum init_step { INIT_LOOK, INIT_EXTENSION, INIT_CREATE, INIT_LOOK_AGAIN, INIT_UNLIMIT, INIT_DROP_INDEX, INIT_INDEX };

/* Where the statements of a look stand. */
enum init_look { LOOK_TABLES, LOOK_COLUMNS, LOOK_EMBEDDING, LOOK_INDEX, LOOK_TYPES };

/* The job's scratch. */
struct init {
	struct pg_schema_found found;
	bool has_made_tables;
	bool has_made_index;
};

static const char sql_begin[] = "BEGIN";

/* Any number that is this program's own: "sagad" in ASCII. */
static const char sql_lock[] = "SELECT pg_advisory_xact_lock(495622775140)";

/* For a build that may take hours; the connection is dropped afterwards, and its settings with it. */
static const char sql_unlimit[] =
	"SELECT set_config('statement_timeout', '0', false), "
	"set_config('lock_timeout', '0', false), "
	"(SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout')";

static const struct pg_job_ops init_ops, ping_ops;

void pg_schema_init(struct truth *truth, struct store_init_req *req)
{
	bool is_long = req->schema->ann_index && !req->check_only;

	req->report[0] = '\0';
	pg_job_submit(&pg_of(truth)->admin, &init_ops, (union pg_request){.init = req},
		      is_long ? INDEX_TIMEOUT_NS : INIT_TIMEOUT_NS);
}

static struct init *pg_init_of(const struct pg_job *job)
{
	return job->scratch;
}

static void pg_init_look(struct pg_job *job, enum init_step step)
{
	/* no crash point: reads only */
	struct pg_script script;

	pg_init_of(job)->found = (struct pg_schema_found){.dims = -1};
	pg_script_init(&script);
	(void)pg_script_add(&script, pg_schema_sql_missing); /* none of these has parameters */
	(void)pg_script_add(&script, pg_schema_sql_columns);
	(void)pg_script_add(&script, pg_schema_sql_embedding);
	(void)pg_script_add(&script, pg_schema_sql_index);
	(void)pg_script_add(&script, pg_catalog_sql_embedding);
	job->step = step;
	pg_job_run(job, &script);
}

static void pg_init_start(struct pg_job *job)
{
	job->scratch = calloc(1, sizeof(struct init));
	if (job->scratch == NULL)
		pg_job_doom(job, VERDICT_TRANSIENT, "postgres: out of memory; try again later");
	else
		pg_init_look(job, INIT_LOOK);
}

static void pg_init_read_embedding(struct pg_schema_found *found, const PGresult *result)
{
	found->has_extension = pg_value_bool(pg_catalog_value(result, 0, 0));
	found->can_have_extension = pg_value_bool(pg_catalog_value(result, 0, 1));
	found->has_embedding = !PQgetisnull(result, 0, 2);
	found->is_vector = pg_value_bool(pg_catalog_value(result, 0, 2));
	if (found->has_embedding)
		found->dims = pg_value_int(pg_catalog_value(result, 0, 3));
}

static void pg_init_read_index(struct pg_schema_found *found, const PGresult *result)
{
	found->has_index = PQntuples(result) > 0;
	found->is_index_valid = found->has_index && pg_value_bool(pg_catalog_value(result, 0, 0));
}

static void pg_init_result(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	struct pg_schema_found *found = &pg_init_of(job)->found;

	if (job->step != INIT_LOOK && job->step != INIT_LOOK_AGAIN)
		return;
	if (nth == LOOK_INDEX)
		pg_init_read_index(found, result);
	else if (nth == LOOK_TYPES)
		pg_catalog_read_embedding(result, &job->pool->shared->embedding);
	else if (PQntuples(result) != 1)
		return;
	else if (nth == LOOK_TABLES)
		pg_value_text(pg_catalog_value(result, 0, 0), found->missing_tables, sizeof(found->missing_tables));
	else if (nth == LOOK_COLUMNS)
		pg_value_text(pg_catalog_value(result, 0, 0), found->missing_columns, sizeof(found->missing_columns));
	else
		pg_init_read_embedding(found, result);
}

static void pg_init_start_transaction(struct pg_script *script)
{
	pg_script_init(script);
	(void)pg_script_add(script, sql_begin); /* neither has parameters */
	(void)pg_script_add(script, sql_lock);
}

static void pg_init_make_extension(struct pg_job *job)
{
	struct pg_script script;

	pg_init_start_transaction(&script);
	(void)pg_script_add(&script, "CREATE EXTENSION IF NOT EXISTS vector"); /* nor have these */
	(void)pg_script_add(&script, "COMMIT");
	job->step = INIT_EXTENSION;
	CRASH_POINT(POSTGRES_INIT_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_INIT_SENT);
}

static void pg_init_create(struct pg_job *job)
{
	struct init *init = pg_init_of(job);
	struct pg_script script;
	struct buf chunks;

	buf_init(&chunks);
	pg_schema_write_chunks(&chunks, job->req.init->schema->dims, init->found.can_have_extension);
	if (chunks.failed) {
		pg_job_doom(job, VERDICT_TRANSIENT, "postgres: out of memory; try again later");
		return;
	}
	pg_init_start_transaction(&script);
	for (const char *const *sql = pg_schema_sql_create; *sql != NULL; sql++)
		(void)pg_script_add(&script, *sql); /* no parameters, all of them */
	(void)pg_script_add(&script, chunks.at);
	(void)pg_script_add(&script, "COMMIT");
	init->has_made_tables = true;
	job->step = INIT_CREATE;
	CRASH_POINT(POSTGRES_INIT_BEFORE);
	pg_job_run(job, &script); /* copies the texts */
	CRASH_POINT(POSTGRES_INIT_SENT);
	buf_fini(&chunks);
}

static void pg_init_run_one(struct pg_job *job, const char *sql, enum init_step step)
{
	struct pg_script script;

	pg_script_init(&script);
	(void)pg_script_add(&script, sql); /* no parameters */
	job->step = step;
	CRASH_POINT_IF(step != INIT_LOOK, POSTGRES_INIT_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT_IF(step != INIT_LOOK, POSTGRES_INIT_SENT);
}

/* CONCURRENTLY writes nothing into a transaction, so it goes alone. */
static void pg_init_build_index(struct pg_job *job)
{
	struct err err;
	struct buf sql;

	buf_init(&sql);
	if (pg_schema_write_index(&sql, job->req.init->schema, &err) != 0)
		pg_job_doom(job, VERDICT_PERMANENT, "%s", err.text);
	else if (sql.failed)
		pg_job_doom(job, VERDICT_TRANSIENT, "postgres: out of memory; try again later");
	else
		pg_init_run_one(job, sql.at, INIT_INDEX);
	buf_fini(&sql);
}

static void pg_init_report(struct pg_job *job)
{
	const struct init *init = pg_init_of(job);
	struct store_init_req *req = job->req.init;
	const char *index = init->has_made_index    ? "HNSW index built"
			    : init->found.has_index ? "HNSW index found"
						    : "no index for approximate search";
	struct err none = {""};

	(void)snprintf(req->report, sizeof(req->report), "tables %s, embeddings as %s%lld%s, %s%s",
		       init->has_made_tables ? "made" : "found", init->found.is_vector ? "vector(" : "real[] of ",
		       (long long)init->found.dims, init->found.is_vector ? ")" : " (without pgvector)", index,
		       job->pool->shared->is_unsafe ? "; warning: fsync is off" : ""); /* some 120 characters */
	pg_job_end(job, VERDICT_OK, &none);
}

static void pg_init_check(struct pg_job *job)
{
	const struct pg_schema_found *found = &pg_init_of(job)->found;
	struct err err;

	if (found->missing_tables[0] == '\0') {
		pg_init_report(job);
		return;
	}
	(void)err_set(&err, 0, "postgres: missing are the tables %s; run sagactl init", found->missing_tables);
	pg_job_end(job, VERDICT_MISCONFIGURED, &err);
}

static void pg_init_looked(struct pg_job *job)
{
	const struct pg_schema_found *found = &pg_init_of(job)->found;
	const struct store_init_req *req = job->req.init;
	struct err err;

	if (pg_schema_compare(found, req->schema, &err) != 0)
		pg_job_end(job, VERDICT_PERMANENT, &err);
	else if (req->check_only)
		pg_init_check(job);
	else if (!found->has_embedding && found->can_have_extension && !found->has_extension)
		pg_init_make_extension(job);
	else if (found->missing_tables[0] != '\0')
		pg_init_create(job);
	else
		pg_init_look(job, INIT_LOOK_AGAIN);
}

static void pg_init_looked_again(struct pg_job *job)
{
	const struct pg_schema_found *found = &pg_init_of(job)->found;
	const struct store_schema *schema = job->req.init->schema;
	struct err err;

	if (pg_schema_compare(found, schema, &err) != 0)
		pg_job_end(job, VERDICT_PERMANENT, &err); /* somebody made them otherwise meanwhile */
	else if (schema->ann_index && !found->is_index_valid)
		pg_init_run_one(job, sql_unlimit, INIT_UNLIMIT);
	else
		pg_init_report(job);
}

/* The build is over: the connection without limits must not be used for anything else. */
static void pg_init_built(struct pg_job *job)
{
	struct pg_conn *conn = job->conn;

	job->conn = NULL;
	pg_conn_drop(conn, "it had no time limits while it built an index");
	pg_init_of(job)->has_made_index = true;
	pg_init_report(job);
}

static void pg_init_failed(struct pg_job *job, const struct pg_end *end)
{
	struct err err, told;
	enum verdict verdict = pg_end_verdict(end, "making tables", &told);

	err = told;
	if (job->step == INIT_EXTENSION && verdict == VERDICT_MISCONFIGURED)
		(void)err_set(&err, 0,
			      "%.250s; as a superuser run CREATE EXTENSION vector in this database, then again",
			      told.text);
	if (job->step >= INIT_UNLIMIT && job->conn != NULL) {
		struct pg_conn *conn = job->conn;

		job->conn = NULL;
		pg_conn_drop(conn, "it had no time limits while it built an index");
	}
	pg_job_end(job, verdict, &err);
}

static void pg_init_ended(struct pg_job *job, const struct pg_end *end)
{
	CRASH_POINT_IF(job->step != INIT_LOOK && job->step != INIT_LOOK_AGAIN, POSTGRES_INIT_AFTER);
	if (end->kind != PG_END_OK) {
		pg_init_failed(job, end);
		return;
	}
	switch ((enum init_step)job->step) {
	case INIT_LOOK:
		pg_init_looked(job);
		return;
	case INIT_EXTENSION:
		pg_init_create(job);
		return;
	case INIT_CREATE:
		pg_init_look(job, INIT_LOOK_AGAIN);
		return;
	case INIT_LOOK_AGAIN:
		pg_init_looked_again(job);
		return;
	case INIT_UNLIMIT:
		if (pg_init_of(job)->found.has_index)
			pg_init_run_one(job, "DROP INDEX chunks_embedding_hnsw", INIT_DROP_INDEX); /* a broken build */
		else
			pg_init_build_index(job);
		return;
	case INIT_DROP_INDEX:
		pg_init_build_index(job);
		return;
	case INIT_INDEX:
		pg_init_built(job);
		return;
	}
}

static void pg_init_finish(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct store_init_req *req = job->req.init;

	req->verdict = verdict;
	req->err = *err;
	req->done(req);
}

static const struct pg_job_ops init_ops = {
	.start = pg_init_start,
	.result = pg_init_result,
	.ended = pg_init_ended,
	.finish = pg_init_finish,
};

/* ---- ping ---- */

void pg_schema_ping(struct truth *truth, struct store_init_req *req)
{
	struct pg *pg = pg_of(truth);

	req->report[0] = '\0';
	pg_job_submit(&pg->admin, &ping_ops, (union pg_request){.init = req},
		      (uint64_t)pg->config.connect_timeout_ms * 1000000u);
}

static void pg_ping_start(struct pg_job *job)
{
	pg_init_run_one(job, "SELECT 1", INIT_LOOK);
}

static void pg_ping_ended(struct pg_job *job, const struct pg_end *end)
{
	struct err err = {""};
	enum verdict verdict = VERDICT_OK;

	if (end->kind != PG_END_OK)
		verdict = pg_end_verdict(end, "asking whether it is there", &err);
	pg_job_end(job, verdict, &err);
}

static const struct pg_job_ops ping_ops = {
	.start = pg_ping_start,
	.ended = pg_ping_ended,
	.finish = pg_init_finish,
};
