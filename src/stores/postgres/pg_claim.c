/* Becoming the one owner of the database (design: one active daemon). In this order: look who is the owner, end the
 * backends of its run and of older ones that are in the way, wait until they are gone, bump the epoch. The bump's
 * UPDATE waits for pivots that hold the row FOR SHARE; a pivot that comes after it finds another epoch than its own and
 * writes nothing. */
#include "pg.h"

#include "pg_catalog.h"
#include "pg_schema.h"
#include "pg_value.h"

#include "base/crash_point.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_POLL_MS 20

/* An instance is PREFIX:HEX; application names are PREFIX:HEX:N. */
#define INSTANCE_BYTES 64

enum claim_step { CLAIM_LOOK, CLAIM_END_BACKENDS, CLAIM_BUMP };

/* Where the statements of CLAIM_LOOK stand. */
enum claim_look { LOOK_MISSING, LOOK_EMBEDDING, LOOK_MAKE_ROW, LOOK_OWNER, LOOK_DIMS };

static const char sql_make_row[] = "INSERT INTO sagad_owner (is_single, epoch) VALUES (true, 0) ON CONFLICT DO NOTHING";

static const char sql_owner[] =
	"SELECT o.epoch, o.journal, o.instance, to_char(o.claimed_at, 'YYYY-MM-DD HH24:MI:SS TZ'), "
	"count(a.pid), coalesce(host(min(a.client_addr)), 'the server''s own machine') "
	"FROM sagad_owner o LEFT JOIN pg_stat_activity a "
	"ON starts_with(a.application_name, o.instance || ':') AND a.pid <> pg_backend_pid() "
	"GROUP BY o.epoch, o.journal, o.instance, o.claimed_at";

/* Those of the owner's run, and of any other run the ones that have touched the owner row in a transaction that is
 * still open: a daemon from before the owner that woke up with half of a pivot sent would keep the bump waiting for
 * ever, and so would the bump of one that was killed in its claim. FOR SHARE takes ROW SHARE on the table until the
 * end. */
static const char sql_end_backends[] =
	"SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() "
	"AND (starts_with(a.application_name, $1 || ':') "
	"OR (starts_with(a.application_name, $2 || ':') AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid "
	"AND l.locktype = 'relation' AND l.relation = 'sagad_owner'::regclass "
	"AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))))";

static const char sql_bump[] = "UPDATE sagad_owner SET epoch = epoch + 1, journal = $1, instance = $2, "
			       "claimed_at = clock_timestamp() WHERE epoch = $3 RETURNING epoch";

/* What CLAIM_LOOK has found; the job's scratch. */
struct claim {
	char missing[200]; /* tables; "" when all are there */
	bool has_owner;
	uint64_t epoch;
	struct uuid journal;           /* nil: nobody was the owner so far */
	char instance[INSTANCE_BYTES]; /* of the owner's last run */
	char since[40];
	char host[64];
	uint32_t n_backends;
	uint64_t new_epoch; /* 0: somebody else was faster */
	int64_t dims;       /* -1: any */
	bool is_vector;
};

static const struct pg_job_ops claim_ops;

void pg_claim_submit(struct truth *truth, struct truth_claim_req *req)
{
	req->epoch = 0;
	req->was_other_journal = false;
	pg_job_submit(&pg_of(truth)->admin, &claim_ops, (union pg_request){.claim = req}, req->timeout_ns);
}

static struct claim *pg_claim_of(const struct pg_job *job)
{
	return job->scratch;
}

static void pg_claim_own_instance(const struct pg_job *job, char out_instance[INSTANCE_BYTES])
{
	(void)snprintf(out_instance, INSTANCE_BYTES, "%s:%s", job->pool->pg->config.application_prefix,
		       job->pool->shared->instance); /* 16 and 32 characters at most */
}

static void pg_claim_look(struct pg_job *job)
{
	struct pg_script script;

	memset(job->scratch, 0, sizeof(struct claim));
	pg_script_init(&script);
	(void)pg_script_add(&script, pg_schema_sql_missing); /* none of the five has parameters */
	(void)pg_script_add(&script, pg_catalog_sql_embedding);
	(void)pg_script_add(&script, sql_make_row);
	(void)pg_script_add(&script, sql_owner);
	(void)pg_script_add(&script, pg_schema_sql_embedding);
	job->step = CLAIM_LOOK;
	CRASH_POINT(POSTGRES_CLAIM_LOOK_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_CLAIM_LOOK_SENT);
}

static void pg_claim_start(struct pg_job *job)
{
	job->scratch = calloc(1, sizeof(struct claim));
	if (job->scratch == NULL)
		pg_job_doom(job, VERDICT_TRANSIENT, "postgres: out of memory while claiming; try again later");
	else
		pg_claim_look(job);
}

static void pg_claim_end_backends(struct pg_job *job)
{
	struct pg_script script;
	struct pg_params *params;

	pg_script_init(&script);
	params = pg_script_add(&script, sql_end_backends);
	pg_params_add_text(params, str_of(pg_claim_of(job)->instance));
	pg_params_add_text(params, str_of(job->pool->pg->config.application_prefix));
	job->step = CLAIM_END_BACKENDS;
	CRASH_POINT(POSTGRES_CLAIM_END_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_CLAIM_END_SENT);
}

static void pg_claim_bump(struct pg_job *job)
{
	char instance[INSTANCE_BYTES];
	struct pg_script script;
	struct pg_params *params;

	pg_claim_own_instance(job, instance);
	pg_script_init(&script);
	params = pg_script_add(&script, sql_bump);
	pg_params_add_uuid(params, &job->req.claim->journal);
	pg_params_add_text(params, str_of(instance));
	pg_params_add_int8(params, (int64_t)pg_claim_of(job)->epoch);
	job->step = CLAIM_BUMP;
	CRASH_POINT(POSTGRES_CLAIM_BUMP_BEFORE);
	pg_job_run(job, &script);
	CRASH_POINT(POSTGRES_CLAIM_BUMP_SENT);
}

static void pg_claim_read_owner(struct claim *claim, const PGresult *result)
{
	if (PQntuples(result) != 1)
		return;
	claim->has_owner = true;
	claim->epoch = (uint64_t)pg_value_int(pg_catalog_value(result, 0, 0));
	claim->journal = pg_value_uuid(pg_catalog_value(result, 0, 1));
	pg_value_text(pg_catalog_value(result, 0, 2), claim->instance, sizeof(claim->instance));
	pg_value_text(pg_catalog_value(result, 0, 3), claim->since, sizeof(claim->since));
	claim->n_backends = (uint32_t)pg_value_int(pg_catalog_value(result, 0, 4));
	pg_value_text(pg_catalog_value(result, 0, 5), claim->host, sizeof(claim->host));
}

static void pg_claim_look_result(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	struct claim *claim = pg_claim_of(job);

	if (nth == LOOK_MISSING && PQntuples(result) == 1)
		pg_value_text(pg_catalog_value(result, 0, 0), claim->missing, sizeof(claim->missing));
	else if (nth == LOOK_EMBEDDING)
		pg_catalog_read_embedding(result, &job->pool->shared->embedding);
	else if (nth == LOOK_OWNER)
		pg_claim_read_owner(claim, result);
	else if (nth == LOOK_DIMS && PQntuples(result) == 1) {
		claim->is_vector = pg_value_bool(pg_catalog_value(result, 0, 2));
		claim->dims = pg_value_int(pg_catalog_value(result, 0, 3));
	}
}

static void pg_claim_result(struct pg_job *job, uint32_t nth, const PGresult *result)
{
	struct claim *claim = pg_claim_of(job);

	if (job->step == CLAIM_LOOK)
		pg_claim_look_result(job, nth, result);
	else if (job->step == CLAIM_END_BACKENDS && PQntuples(result) == 1)
		claim->n_backends = (uint32_t)pg_value_int(pg_catalog_value(result, 0, 0));
	else if (job->step == CLAIM_BUMP && PQntuples(result) == 1)
		claim->new_epoch = (uint64_t)pg_value_int(pg_catalog_value(result, 0, 0));
}

static void pg_claim_refuse(struct pg_job *job)
{
	const struct claim *claim = pg_claim_of(job);
	struct err err;

	(void)err_set(&err, 0,
		      "postgres: another daemon owns this database since %s and is connected from %s (%u connections, "
		      "%.56s): stop it first, or start this one with --take-over",
		      claim->since, claim->host, claim->n_backends, claim->instance);
	pg_job_end(job, VERDICT_PERMANENT, &err);
}

static void pg_claim_looked(struct pg_job *job)
{
	const struct claim *claim = pg_claim_of(job);
	struct truth_claim_req *req = job->req.claim;
	char own[INSTANCE_BYTES];
	bool is_other = !uuid_is_nil(&claim->journal) && uuid_compare(&claim->journal, &req->journal) != 0;

	pg_claim_own_instance(job, own);
	req->was_other_journal = is_other;
	if (is_other && claim->n_backends > 0 && !req->take_over)
		pg_claim_refuse(job);
	else if (strcmp(claim->instance, own) != 0)
		pg_claim_end_backends(job);
	else
		pg_claim_bump(job); /* a claim of the same run, after a loss of connections, ends nobody */
}

static void pg_claim_bumped(struct pg_job *job)
{
	struct claim *claim = pg_claim_of(job);
	struct err none = {""};

	if (claim->new_epoch == 0) {
		job->step = CLAIM_LOOK; /* another claim came first: look again */
		pg_job_pause(job, CLAIM_POLL_MS);
		return;
	}
	job->pool->pg->epoch = claim->new_epoch;
	job->req.claim->epoch = claim->new_epoch;
	job->req.claim->dims = claim->dims > 0 ? (uint32_t)claim->dims : 0;
	log_info(job->pool->shared->log, "postgres: owner of the database, epoch %llu, embeddings as %s",
		 (unsigned long long)claim->new_epoch,
		 claim->is_vector ? "vector" : "real[]: without pgvector there is no vector search in PostgreSQL");
	pg_job_end(job, VERDICT_OK, &none);
}

static void pg_claim_failed(struct pg_job *job, const struct pg_end *end)
{
	const struct claim *claim = pg_claim_of(job);
	struct err err;
	enum verdict verdict = pg_end_verdict(end, "claiming the database", &err);

	if (job->step == CLAIM_LOOK && claim->missing[0] != '\0') {
		verdict = VERDICT_MISCONFIGURED;
		(void)err_set(&err, 0, "postgres: database %.64s lacks %.180s; run sagactl init",
			      job->pool->pg->config.dbname != NULL ? job->pool->pg->config.dbname : "(default)",
			      claim->missing);
	}
	pg_job_end(job, verdict, &err);
}

static void pg_claim_ended(struct pg_job *job, const struct pg_end *end)
{
	const struct claim *claim = pg_claim_of(job);

	CRASH_POINT_IF(job->step == CLAIM_LOOK, POSTGRES_CLAIM_LOOK_AFTER);
	CRASH_POINT_IF(job->step == CLAIM_END_BACKENDS, POSTGRES_CLAIM_END_AFTER);
	CRASH_POINT_IF(job->step == CLAIM_BUMP, POSTGRES_CLAIM_BUMP_AFTER);
	if (end->kind != PG_END_OK || (job->step == CLAIM_LOOK && claim->missing[0] != '\0')) {
		pg_claim_failed(job, end);
		return;
	}
	switch ((enum claim_step)job->step) {
	case CLAIM_LOOK:
		pg_claim_looked(job);
		return;
	case CLAIM_END_BACKENDS:
		if (claim->n_backends == 0)
			pg_claim_bump(job);
		else
			pg_job_pause(job, CLAIM_POLL_MS);
		return;
	case CLAIM_BUMP:
		pg_claim_bumped(job);
		return;
	}
}

static void pg_claim_resume(struct pg_job *job)
{
	if (job->step == CLAIM_LOOK)
		pg_claim_look(job);
	else
		pg_claim_end_backends(job);
}

static void pg_claim_finish(struct pg_job *job, enum verdict verdict, const struct err *err)
{
	struct truth_claim_req *req = job->req.claim;

	req->verdict = verdict;
	req->err = *err;
	req->done(req);
}

static const struct pg_job_ops claim_ops = {
	.start = pg_claim_start,
	.result = pg_claim_result,
	.ended = pg_claim_ended,
	.resume = pg_claim_resume,
	.finish = pg_claim_finish,
};
