#include "pg_fixture.h"

char pg_fixture_database[64];
bool pg_fixture_has_vector;

/* ---- plain libpq beside the adapter ---- */

PGconn *pg_fixture_connect(const char *dbname)
{
	const char *keys[] = {"host", "port", "user", "password", "dbname", NULL};
	const char *values[] = {getenv("POSTGRES_HOST"),
				getenv("POSTGRES_PORT"),
				getenv("POSTGRES_USER"),
				getenv("POSTGRES_PASSWORD"),
				dbname,
				NULL};
	PGconn *pq = PQconnectdbParams(keys, values, 0);

	if (PQstatus(pq) != CONNECTION_OK)
		fail_msg("%s", PQerrorMessage(pq));
	return pq;
}

void pg_fixture_run_sql(const char *dbname, const char *sql)
{
	PGconn *pq = pg_fixture_connect(dbname);
	PGresult *result = PQexec(pq, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(pq));
	PQclear(result);
	PQfinish(pq);
}

/* All rows, columns parted by '|', rows by '\n'; in a static buffer. */
const char *pg_fixture_sql(const char *sql)
{
	static char text[TEXT_BYTES];
	PGconn *pq = pg_fixture_connect(pg_fixture_database);
	PGresult *result = PQexec(pq, sql);
	size_t n = 0;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(pq));
	text[0] = '\0';
	for (int row = 0; row < PQntuples(result); row++)
		for (int column = 0; column < PQnfields(result); column++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
					      column > 0 ? "|"
					      : row > 0  ? "\n"
							 : "",
					      PQgetisnull(result, row, column) ? "NULL"
									       : PQgetvalue(result, row, column));
	PQclear(result);
	PQfinish(pq);
	return text;
}

/* ---- the adapter ---- */

struct fixture *pg_fixture_now;

static void log_to_stderr(struct log *log, const struct log_event *event)
{
	(void)log;
	fprintf(stderr, "  %s\n", event->text);
}

struct pg_config pg_fixture_config(void)
{
	struct pg_config config = postgres_config_default();

	config.host = getenv("POSTGRES_HOST");
	config.port = (uint16_t)atoi(getenv("POSTGRES_PORT"));
	config.user = getenv("POSTGRES_USER");
	config.password = getenv("POSTGRES_PASSWORD");
	config.dbname = pg_fixture_database;
	return config;
}

void pg_fixture_open_with(struct fixture *f, const struct pg_config *config)
{
	struct err err;

	*f = (struct fixture){.log = {LOG_ERROR_LEVEL, log_to_stderr}};
	if (getenv("SAGAD_TEST_LOG") != NULL)
		f->log.level = LOG_DEBUG_LEVEL;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	if (postgres_create(&f->loop, config, &f->log, &f->truth, &err) != 0)
		fail_msg("%s", err.text);
}

void pg_fixture_open(struct fixture *f)
{
	struct pg_config config = pg_fixture_config();

	pg_fixture_open_with(f, &config);
}

static void on_closed(void *arg)
{
	((struct fixture *)arg)->is_closed = true;
}

void pg_fixture_close(struct fixture *f)
{
	f->truth->ops->close(f->truth, on_closed, f);
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	assert_true(f->is_closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

void pg_fixture_wait(struct fixture *f)
{
	while (!f->is_done)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
}

void pg_fixture_begin(struct fixture *f)
{
	pg_fixture_now = f;
	f->is_done = false;
}

PG_FIXTURE_DONE(init_done, store_init_req)
PG_FIXTURE_DONE(claim_done, truth_claim_req)
PG_FIXTURE_DONE(read_done, truth_read_req)
PG_FIXTURE_DONE(pivot_done, truth_pivot_req)
PG_FIXTURE_DONE(settle_done, truth_settle_req)

struct store_init_req pg_fixture_init(struct fixture *f, const struct store_schema *schema, bool check_only)
{
	struct store_init_req req = {.schema = schema, .check_only = check_only, .done = init_done};

	pg_fixture_begin(f);
	f->truth->ops->init(f->truth, &req);
	assert_false(f->is_done);
	pg_fixture_wait(f);
	return req;
}

struct truth_claim_req pg_fixture_claim(struct fixture *f, uint8_t journal, bool take_over)
{
	struct truth_claim_req req = {.take_over = take_over, .timeout_ns = TIMEOUT_NS, .done = claim_done};

	req.journal.bytes[15] = journal;
	pg_fixture_begin(f);
	f->truth->ops->claim(f->truth, &req);
	assert_false(f->is_done);
	pg_fixture_wait(f);
	return req;
}

struct truth_read pg_fixture_read(struct fixture *f, const char *id, const char *key)
{
	struct truth_read read = {.document_id = str_of(id), .idempotency_key = str_of(key)}, *reads[] = {&read};
	struct truth_read_req req = {.reads = reads, .n_reads = 1, .timeout_ns = TIMEOUT_NS, .done = read_done};

	pg_fixture_begin(f);
	f->truth->ops->read(f->truth, &req);
	pg_fixture_wait(f);
	if (read.verdict != VERDICT_OK)
		fail_msg("%s", read.err.text);
	return read;
}

struct truth_pivot_req pg_fixture_pivots(struct fixture *f, struct truth_pivot **pivots, uint32_t n,
					 uint64_t timeout_ns)
{
	struct truth_pivot_req req = {.pivots = pivots, .n_pivots = n, .timeout_ns = timeout_ns, .done = pivot_done};

	pg_fixture_begin(f);
	f->truth->ops->pivot(f->truth, &req);
	assert_false(f->is_done);
	pg_fixture_wait(f);
	return req;
}

struct truth_pivot_req pg_fixture_pivot(struct fixture *f, struct truth_pivot *pivot)
{
	return pg_fixture_pivots(f, &pivot, 1, TIMEOUT_NS);
}

void pg_fixture_pivot_ok(struct fixture *f, struct truth_pivot *pivot)
{
	struct truth_pivot_req req = pg_fixture_pivot(f, pivot);

	if (pivot->verdict != VERDICT_OK)
		fail_msg("%s", pivot->err.text);
	assert_int_equal(pivot->result, PIVOT_COMMITTED);
	assert_false(req.is_epoch_lost);
}

struct truth_settle_req pg_fixture_settle(struct fixture *f, struct truth_settle *settle, const char *backend)
{
	struct truth_settle *settles[] = {settle};
	struct truth_settle_req req = {
		.backend = backend, .settles = settles, .n_settles = 1, .timeout_ns = TIMEOUT_NS, .done = settle_done};

	pg_fixture_begin(f);
	f->truth->ops->settle(f->truth, &req);
	pg_fixture_wait(f);
	return req;
}

/* ---- documents ---- */

static void sample_chunk(struct sample *s, uint32_t i, unsigned seed)
{
	(void)snprintf(s->ids[i], sizeof(s->ids[i]), "c%u", i);
	(void)snprintf(s->texts[i], sizeof(s->texts[i]), "text %u.%u", seed, i);
	for (unsigned k = 0; k < DIMS; k++)
		s->embeddings[i][k] = (float)seed + (float)i + (float)k * 0.25f;
	s->chunks[i] = (struct chunk){.id = str_of(s->ids[i]),
				      .text = str_of(s->texts[i]),
				      .metadata_json = i == 0 ? str_of("{\"page\": 7}") : STR_NONE,
				      .embedding = s->embeddings[i]};
}

void pg_fixture_sample(struct sample *s, const char *id, unsigned seed, uint32_t n_chunks)
{
	*s = (struct sample){0};
	for (uint32_t i = 0; i < n_chunks; i++)
		sample_chunk(s, i, seed);
	s->entities[0] = (struct entity){.type = str_of("Person"), .name = str_of("Ada \"L\" \\ {x}")};
	s->entities[1] = (struct entity){
		.type = str_of("Place"), .name = str_of("Z\xc3\xbcrich"), .properties_json = str_of("{\"zip\":8000}")};
	s->relationship = (struct relationship){0, 1, str_of("LIVES_IN"), str_of("{\"since\":1843}")};
	s->document = (struct document){.id = str_of(id),
					.title = str_of("a title"),
					.source = STR_NONE,
					.content = str_of("content, with \t and \n and ,}\""),
					.metadata_json = str_of("{\"lang\": \"de\", \"n\": [1, 2]}"),
					.chunks = s->chunks,
					.n_chunks = n_chunks,
					.dims = n_chunks > 0 ? DIMS : 0,
					.entities = s->entities,
					.n_entities = 2,
					.relationships = &s->relationship,
					.n_relationships = 1};
	s->document.content_hash[0] = (uint8_t)seed;
}

struct uuid pg_fixture_saga(void)
{
	static uint64_t n = 1000;

	return uuid_make_v7(1700000000000u + n++, 1, 2);
}

struct truth_pivot pg_fixture_pivot_of(const struct sample *s, const struct uuid *expected)
{
	struct truth_pivot pivot = {.saga = pg_fixture_saga(),
				    .document = &s->document,
				    .document_id = s->document.id,
				    .is_expected = expected != NULL,
				    .expected = expected != NULL ? *expected : UUID_NIL};

	memcpy(pivot.content_hash, s->document.content_hash, DIGEST_BYTES);
	return pivot;
}

const struct store_schema pg_fixture_schema = {.dims = DIMS, .distance = "cosine"};

/* An adapter that owns a database with empty tables. */
int pg_fixture_owner_open(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct store_init_req init;
	struct truth_claim_req claim;

	assert_non_null(f);
	pg_fixture_open(f);
	init = pg_fixture_init(f, &pg_fixture_schema, false);
	if (init.verdict != VERDICT_OK)
		fail_msg("%s", init.err.text);
	pg_fixture_run_sql(pg_fixture_database,
			   "TRUNCATE documents, chunks, entities, relationships, sagad_ledger, sagad_debts");
	claim = pg_fixture_claim(f, 1, true);
	if (claim.verdict != VERDICT_OK)
		fail_msg("%s", claim.err.text);
	*state = f;
	return 0;
}

int pg_fixture_owner_close(void **state)
{
	pg_fixture_close(*state);
	free(*state);
	return 0;
}

int pg_fixture_group_open(void **state)
{
	char sql[128];

	(void)state;
	(void)snprintf(pg_fixture_database, sizeof(pg_fixture_database), "sagad_live_%ld", (long)getpid());
	(void)snprintf(sql, sizeof(sql), "CREATE DATABASE %s", pg_fixture_database);
	pg_fixture_run_sql("postgres", sql);
	pg_fixture_has_vector =
		strcmp(pg_fixture_sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"), "1") == 0;
	printf("PostgreSQL %s, %s pgvector\n", pg_fixture_sql("SHOW server_version"),
	       pg_fixture_has_vector ? "with" : "without");
	return 0;
}

int pg_fixture_group_close(void **state)
{
	char sql[128];

	(void)state;
	(void)snprintf(sql, sizeof(sql), "DROP DATABASE %s WITH (FORCE)", pg_fixture_database);
	pg_fixture_run_sql("postgres", sql);
	return 0;
}

bool pg_fixture_has_server(void)
{
	if (getenv("POSTGRES_HOST") != NULL && getenv("POSTGRES_PORT") != NULL)
		return true;
	printf("skipped: POSTGRES_HOST and POSTGRES_PORT name no server (tools/stores env prints them)\n");
	return false;
}
