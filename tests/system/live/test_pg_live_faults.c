/* The PostgreSQL adapter against a real server that fails it: lost connections, doubt, other owners, missing tables. */
#include "pg_fixture.h"

PG_FIXTURE_DONE(pivot_done, truth_pivot_req)
PG_FIXTURE_DONE(read_done, truth_read_req)
PG_FIXTURE_DONE(init_done, store_init_req)

static void a_lost_epoch_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct truth_pivot_req req;
	struct truth_settle settle = {.abort_if_absent = true, .document_id = str_of("d")};
	struct truth_settle_req settled;

	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_run_sql(pg_fixture_database, "UPDATE sagad_owner SET epoch = epoch + 1");
	req = pg_fixture_pivot(f, &pivot);
	assert_true(req.is_epoch_lost);
	assert_int_not_equal(pivot.verdict, VERDICT_OK);
	settle.saga = pivot.saga;
	settled = pg_fixture_settle(f, &settle, "");
	assert_true(settled.is_epoch_lost);
	assert_int_not_equal(settled.verdict, VERDICT_OK);
	assert_sql("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM sagad_ledger)", "0|0");
}

static void doubt_is_settled_as_aborted(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct truth_pivot_req req;
	struct truth_settle settle = {.abort_if_absent = true,
				      .document_id = str_of("d"),
				      .idempotency_key = str_of("k"),
				      .code = "in_doubt",
				      .reason = "the deadline passed"};
	struct truth_settle_req settled;
	PGconn *blocker = pg_fixture_connect(pg_fixture_database);

	PQclear(PQexec(blocker, "BEGIN; LOCK TABLE documents"));
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pivot.idempotency_key = str_of("k");
	{
		struct truth_pivot *list[] = {&pivot};

		req = pg_fixture_pivots(f, list, 1, 300000000u);
	}
	assert_int_equal(pivot.verdict, VERDICT_DOUBT);
	assert_non_null(strstr(pivot.err.text, "300 ms"));
	assert_true(strncmp(req.backend, "sagad:", 6) == 0);
	/* The backend is still waiting: it would commit when the lock is gone. */
	settle.saga = pivot.saga;
	settled = pg_fixture_settle(f, &settle, req.backend);
	if (settled.verdict != VERDICT_OK)
		fail_msg("%s", settled.err.text);
	assert_int_equal(settle.row.outcome, LEDGER_ABORTED);
	assert_string_equal(settle.row.code, "in_doubt");
	assert_string_equal(settle.row.reason.text, "the deadline passed");
	PQclear(PQexec(blocker, "COMMIT"));
	PQfinish(blocker);
	(void)pg_fixture_pivot(f, &pivot); /* too late: the ledger says aborted */
	assert_int_equal(pivot.verdict, VERDICT_OK);
	assert_int_equal(pivot.result, PIVOT_CONFLICT);
	assert_sql("SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM sagad_ledger)", "0|1");
}

static void a_killed_backend_is_doubt_and_the_next_pivot_works(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot, *list[] = {&pivot};
	struct truth_pivot_req req = {.pivots = list, .n_pivots = 1, .timeout_ns = TIMEOUT_NS, .done = pivot_done};
	struct truth_settle settle = {.abort_if_absent = false};
	PGconn *blocker = pg_fixture_connect(pg_fixture_database);

	PQclear(PQexec(blocker, "BEGIN; LOCK TABLE documents"));
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_begin(f);
	f->truth->ops->pivot(f->truth, &req);
	for (int i = 0; i < 50; i++) {
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(2000);
	}
	pg_fixture_run_sql(
		pg_fixture_database,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sagad:%' "
		"AND wait_event_type = 'Lock'");
	pg_fixture_wait(f);
	assert_int_equal(pivot.verdict, VERDICT_DOUBT);
	PQclear(PQexec(blocker, "COMMIT"));
	PQfinish(blocker);
	settle.saga = pivot.saga;
	assert_int_equal(pg_fixture_settle(f, &settle, req.backend).verdict, VERDICT_OK);
	assert_int_equal(settle.row.outcome, LEDGER_ABSENT);
	pg_fixture_pivot_ok(f, &pivot);
	assert_int_equal(pg_fixture_settle(f, &settle, "").verdict, VERDICT_OK);
	assert_int_equal(settle.row.outcome, LEDGER_COMMITTED);
	settle.abort_if_absent = true; /* too late for that */
	settle.document_id = str_of("d");
	assert_int_equal(pg_fixture_settle(f, &settle, "").verdict, VERDICT_OK);
	assert_int_equal(settle.row.outcome, LEDGER_COMMITTED);
}

static void a_commit_is_known_after_its_ledger_row_was_pruned(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct truth_settle settle = {.by_document = true, .document_id = str_of("d")};

	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_pivot_ok(f, &pivot);
	pg_fixture_run_sql(pg_fixture_database, "DELETE FROM sagad_ledger");
	settle.saga = pivot.saga;
	assert_int_equal(pg_fixture_settle(f, &settle, "").verdict, VERDICT_OK);
	assert_int_equal(settle.row.outcome, LEDGER_COMMITTED);
	assert_memory_equal(&settle.row.saga, &pivot.saga, sizeof(pivot.saga));
	assert_sql("SELECT count(*) FROM sagad_ledger", "0");
	settle.document_id = str_of("another"); /* whose version it isn't */
	assert_int_equal(pg_fixture_settle(f, &settle, "").verdict, VERDICT_OK);
	assert_int_equal(settle.row.outcome, LEDGER_ABSENT);
}

static void an_abort_whose_key_is_taken_is_written_without_it(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;
	struct truth_settle settle = {.saga = pg_fixture_saga(),
				      .abort_if_absent = true,
				      .document_id = str_of("e"),
				      .idempotency_key = str_of("k"),
				      .code = "x",
				      .reason = "y"};

	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pivot.idempotency_key = str_of("k");
	pg_fixture_pivot_ok(f, &pivot);
	assert_int_equal(pg_fixture_settle(f, &settle, NULL).verdict, VERDICT_OK);
	assert_int_equal(settle.row.outcome, LEDGER_ABORTED);
	assert_sql("SELECT document_id, idempotency_key, outcome FROM sagad_ledger ORDER BY document_id",
		   "d|k|committed\ne|NULL|aborted");
}

static void a_restart_that_was_seen_fails_no_request(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;

	/* Every connection ends, before the loop has had a turn to see it. */
	pg_fixture_run_sql(
		pg_fixture_database,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sagad:%'");
	usleep(100000);
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_pivot_ok(f, &pivot);
	assert_true(pg_fixture_read(f, "d", NULL).is_found);
}

static void a_lock_that_lasts_is_transient(void **state)
{
	struct pg_config config = pg_fixture_config();
	struct fixture f;
	struct sample s;
	struct truth_pivot pivot;
	PGconn *blocker = pg_fixture_connect(pg_fixture_database);

	(void)state;
	config.lock_timeout_ms = 200;
	pg_fixture_open_with(&f, &config);
	assert_int_equal(pg_fixture_claim(&f, 1, true).verdict, VERDICT_OK);
	PQclear(PQexec(blocker, "BEGIN; LOCK TABLE documents"));
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	(void)pg_fixture_pivot(&f, &pivot);
	assert_int_equal(pivot.verdict, VERDICT_TRANSIENT);
	PQclear(PQexec(blocker, "COMMIT"));
	PQfinish(blocker);
	pg_fixture_pivot_ok(&f, &pivot);
	pg_fixture_close(&f);
}

static void claims_follow_the_journal(void **state)
{
	struct fixture *f = *state, second, third;
	struct truth_claim_req claim;
	struct sample s;
	struct truth_pivot pivot;
	uint64_t epoch = pg_fixture_claim(f, 1, false).epoch; /* the same run again: nobody is ended */

	pg_fixture_open(&second);
	claim = pg_fixture_claim(&second, 2, false);
	assert_int_equal(claim.verdict, VERDICT_PERMANENT);
	assert_non_null(strstr(claim.err.text, "another daemon"));
	claim = pg_fixture_claim(&second, 2, true);
	assert_int_equal(claim.verdict, VERDICT_OK);
	assert_true(claim.was_other_journal);
	assert_true(claim.epoch > epoch);
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	assert_true(pg_fixture_pivot(f, &pivot).is_epoch_lost);
	pg_fixture_open(&third); /* the same journal: its daemon is gone, whatever is still connected */
	claim = pg_fixture_claim(&third, 2, false);
	assert_int_equal(claim.verdict, VERDICT_OK);
	assert_false(claim.was_other_journal);
	pg_fixture_close(&second);
	pg_fixture_close(&third);
	pg_fixture_open(&second); /* another journal, and nobody is connected */
	usleep(200000);
	claim = pg_fixture_claim(&second, 3, false);
	assert_int_equal(claim.verdict, VERDICT_OK);
	assert_true(claim.was_other_journal);
	pg_fixture_close(&second);
}

static void the_claim_ends_a_pivot_that_waits(void **state)
{
	struct fixture *f = *state, second;
	struct sample s;
	struct truth_pivot pivot, *list[] = {&pivot};
	struct truth_pivot_req req = {.pivots = list, .n_pivots = 1, .timeout_ns = TIMEOUT_NS, .done = pivot_done};
	PGconn *blocker = pg_fixture_connect(pg_fixture_database);

	PQclear(PQexec(blocker, "BEGIN; LOCK TABLE documents"));
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_begin(f);
	f->truth->ops->pivot(f->truth, &req);
	for (int i = 0; i < 50; i++) {
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(2000);
	}
	pg_fixture_open(&second);
	assert_int_equal(pg_fixture_claim(&second, 1, false).verdict, VERDICT_OK);
	PQclear(PQexec(blocker, "COMMIT"));
	PQfinish(blocker);
	pg_fixture_begin(f);
	pg_fixture_wait(f);
	assert_int_equal(pivot.verdict, VERDICT_DOUBT);
	assert_sql("SELECT count(*) FROM documents", "0");
	pg_fixture_close(&second);
}

static void named(PGconn *conn, const char *application_name)
{
	char sql[128];

	(void)snprintf(sql, sizeof(sql), "SET application_name = '%s'", application_name);
	PQclear(PQexec(conn, sql));
}

/* Of a run before the owner's: its daemon was thought dead and has sent half of a pivot. One that is in nobody's way is
 * left alone; a database may serve two daemons in two schemas. */
static void the_claim_ends_older_backends_that_hold_the_owner_row(void **state)
{
	struct fixture second;
	PGconn *holder = pg_fixture_connect(pg_fixture_database), *other = pg_fixture_connect(pg_fixture_database);
	PGresult *result;

	(void)state; /* the owner, of the same journal */
	named(holder, "sagad:0123456789abcdef0123456789abcdef:1");
	named(other, "sagad:0123456789abcdef0123456789abcdef:2");
	PQclear(PQexec(holder, "BEGIN; SELECT epoch FROM sagad_owner FOR SHARE"));
	pg_fixture_open(&second);
	assert_int_equal(pg_fixture_claim(&second, 1, false).verdict, VERDICT_OK);
	pg_fixture_close(&second);
	PQclear(PQexec(holder, "COMMIT"));
	assert_int_equal(PQstatus(holder), CONNECTION_BAD);
	result = PQexec(other, "SELECT 1");
	assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
	PQclear(result);
	PQfinish(other);
	PQfinish(holder);
}

static void the_schema_is_made_once_and_checked(void **state)
{
	struct fixture f;
	struct store_schema wrong = pg_fixture_schema;
	struct store_init_req req;

	(void)state;
	pg_fixture_run_sql("postgres", "DROP DATABASE IF EXISTS sagad_live_schema WITH (FORCE)");
	pg_fixture_run_sql("postgres", "CREATE DATABASE sagad_live_schema");
	{
		struct pg_config config = pg_fixture_config();

		config.dbname = "sagad_live_schema";
		pg_fixture_open_with(&f, &config);
	}
	assert_int_equal(pg_fixture_claim(&f, 1, false).verdict, VERDICT_MISCONFIGURED);
	req = pg_fixture_init(&f, &pg_fixture_schema, true);
	assert_int_equal(req.verdict, VERDICT_MISCONFIGURED);
	assert_non_null(strstr(req.err.text, "sagad_ledger"));
	req = pg_fixture_init(&f, &pg_fixture_schema, false);
	assert_int_equal(req.verdict, VERDICT_OK);
	assert_non_null(strstr(req.report, "tables made"));
	req = pg_fixture_init(&f, &pg_fixture_schema, false);
	assert_int_equal(req.verdict, VERDICT_OK);
	assert_non_null(strstr(req.report, "tables found"));
	assert_int_equal(pg_fixture_init(&f, &pg_fixture_schema, true).verdict, VERDICT_OK);
	wrong.dims = 5;
	req = pg_fixture_init(&f, &wrong, false);
	assert_int_equal(req.verdict, VERDICT_PERMANENT);
	assert_non_null(strstr(req.err.text, "4 dimensions"));
	assert_non_null(strstr(req.err.text, "asked for were 5"));
	wrong = pg_fixture_schema;
	wrong.ann_index = true;
	wrong.hnsw_m = 8;
	req = pg_fixture_init(&f, &wrong, false);
	assert_int_equal(req.verdict, pg_fixture_has_vector ? VERDICT_OK : VERDICT_PERMANENT);
	if (pg_fixture_has_vector)
		assert_non_null(strstr(req.report, "index built"));
	assert_int_equal(pg_fixture_claim(&f, 1, false).verdict, VERDICT_OK);
	pg_fixture_close(&f);
	pg_fixture_run_sql("sagad_live_schema", "DROP TABLE documents; CREATE TABLE documents (id int)");
	{
		struct pg_config config = pg_fixture_config();

		config.dbname = "sagad_live_schema";
		pg_fixture_open_with(&f, &config);
	}
	req = pg_fixture_init(&f, &pg_fixture_schema, false);
	assert_int_equal(req.verdict, VERDICT_PERMANENT);
	assert_non_null(strstr(req.err.text, "documents."));
	pg_fixture_close(&f);
	pg_fixture_run_sql("postgres", "DROP DATABASE sagad_live_schema WITH (FORCE)");
}

static void without_a_server_requests_fail_fast_and_status_says_why(void **state)
{
	struct pg_config config = pg_fixture_config();
	struct fixture f;
	struct truth_read read = {.document_id = str_of("d")}, *reads[] = {&read};
	struct truth_read_req req = {.reads = reads, .n_reads = 1, .timeout_ns = TIMEOUT_NS, .done = read_done};
	struct store_status status;

	(void)state;
	config.host = "127.0.0.1";
	config.port = 1;
	pg_fixture_open_with(&f, &config);
	pg_fixture_begin(&f);
	f.truth->ops->read(f.truth, &req);
	pg_fixture_wait(&f);
	assert_int_equal(read.verdict, VERDICT_OUTAGE);
	f.truth->ops->status(f.truth, &status);
	assert_false(status.is_up);
	assert_true(status.was_tried);
	assert_string_equal(status.endpoint, "127.0.0.1:1");
	assert_true(status.last_error.text[0] != '\0');
	pg_fixture_close(&f);
}

static void a_database_that_is_not_there_is_for_an_operator(void **state)
{
	struct pg_config config = pg_fixture_config();
	struct fixture f;
	struct store_init_req req = {.done = init_done};

	(void)state;
	config.dbname = "no_such_database";
	pg_fixture_open_with(&f, &config);
	pg_fixture_begin(&f);
	f.truth->ops->ping(f.truth, &req);
	pg_fixture_wait(&f);
	assert_int_equal(req.verdict, VERDICT_MISCONFIGURED);
	assert_non_null(strstr(req.err.text, "no_such_database"));
	pg_fixture_close(&f);
}

static void status_names_the_server(void **state)
{
	struct fixture *f = *state;
	struct store_status status;

	f->truth->ops->status(f->truth, &status);
	assert_true(status.is_up);
	assert_true(status.n_connections >= 2);
	assert_true(status.version[0] >= '1' && status.version[0] <= '9');
	assert_true(status.latency_ns > 0);
	assert_sql("SELECT count(DISTINCT application_name) = count(*), bool_and(length(application_name) <= 63) "
		   "FROM pg_stat_activity WHERE application_name LIKE 'sagad:%'",
		   "t|t");
}

static void closing_ends_what_is_out(void **state)
{
	struct fixture f;
	struct sample s;
	struct truth_pivot pivot, *list[] = {&pivot};
	struct truth_pivot_req req = {.pivots = list, .n_pivots = 1, .timeout_ns = TIMEOUT_NS, .done = pivot_done};

	(void)state;
	pg_fixture_open(&f);
	assert_int_equal(pg_fixture_claim(&f, 1, true).verdict, VERDICT_OK);
	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_begin(&f);
	f.truth->ops->pivot(f.truth, &req);
	assert_false(f.is_done);
	pg_fixture_close(&f);
	assert_true(f.is_done);
	assert_int_equal(pivot.verdict, VERDICT_DOUBT);
}

/* Connections end at any moment of a pivot: whatever it was told, the ledger and the documents agree, and an outcome
 * that is settled stays. */
static void outcomes_are_true_whenever_connections_end(void **state)
{
	enum { ROUNDS = 60 };
	struct fixture *f = *state;
	unsigned n_doubt = 0, n_committed = 0;
	PGconn *killer = pg_fixture_connect(pg_fixture_database);

	srand(7);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct sample s;
		struct truth_pivot pivot, *list[] = {&pivot};
		struct truth_pivot_req req = {
			.pivots = list, .n_pivots = 1, .timeout_ns = TIMEOUT_NS, .done = pivot_done};
		struct truth_settle settle = {.abort_if_absent = true, .code = "x", .reason = "y"};
		char id[16];
		bool is_there;

		(void)snprintf(id, sizeof(id), "d%u", round);
		pg_fixture_sample(&s, id, round, 8);
		pivot = pg_fixture_pivot_of(&s, NULL);
		pg_fixture_begin(f);
		f->truth->ops->pivot(f->truth, &req);
		usleep((unsigned)rand() % 4000);
		PQclear(PQexec(killer, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
				       "WHERE application_name LIKE 'sagad:%'"));
		pg_fixture_wait(f);
		n_doubt += pivot.verdict == VERDICT_DOUBT;
		settle.saga = pivot.saga;
		settle.document_id = str_of(id);
		for (unsigned tries = 0; tries < 100; tries++) /* its own connection was ended as well */
			if (pg_fixture_settle(f, &settle, req.backend).verdict == VERDICT_OK)
				break;
		is_there = pg_fixture_read(f, id, NULL).is_found;
		assert_int_equal(settle.row.outcome, is_there ? LEDGER_COMMITTED : LEDGER_ABORTED);
		if (pivot.verdict == VERDICT_OK)
			assert_int_equal(is_there, pivot.result == PIVOT_COMMITTED);
		n_committed += is_there;
	}
	PQfinish(killer);
	printf("%d rounds: %u in doubt, %u committed\n", ROUNDS, n_doubt, n_committed);
	assert_sql("SELECT count(*) FROM documents d FULL JOIN sagad_ledger l ON l.saga_id = d.version "
		   "WHERE (d.id IS NULL) <> (l.outcome = 'aborted')",
		   "0");
	assert_sql("SELECT count(*) FROM documents d WHERE (SELECT count(*) FROM chunks c WHERE c.document_id = d.id) "
		   "<> 8",
		   "0");
}

static void a_missing_table_is_for_an_operator_and_heals(void **state)
{
	struct fixture *f = *state;
	struct sample s;
	struct truth_pivot pivot;

	pg_fixture_sample(&s, "d", 1, 1);
	pivot = pg_fixture_pivot_of(&s, NULL);
	pg_fixture_run_sql(pg_fixture_database, "ALTER TABLE entities RENAME TO hidden");
	(void)pg_fixture_pivot(f, &pivot);
	assert_int_equal(pivot.verdict, VERDICT_MISCONFIGURED);
	assert_non_null(strstr(pivot.err.text, "entities"));
	pg_fixture_run_sql(pg_fixture_database, "ALTER TABLE hidden RENAME TO entities");
	pg_fixture_pivot_ok(f, &pivot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OWNER_TEST(a_lost_epoch_writes_nothing),
		OWNER_TEST(doubt_is_settled_as_aborted),
		OWNER_TEST(a_killed_backend_is_doubt_and_the_next_pivot_works),
		OWNER_TEST(a_commit_is_known_after_its_ledger_row_was_pruned),
		OWNER_TEST(an_abort_whose_key_is_taken_is_written_without_it),
		OWNER_TEST(a_restart_that_was_seen_fails_no_request),
		OWNER_TEST(a_lock_that_lasts_is_transient),
		OWNER_TEST(claims_follow_the_journal),
		OWNER_TEST(the_claim_ends_a_pivot_that_waits),
		OWNER_TEST(the_claim_ends_older_backends_that_hold_the_owner_row),
		cmocka_unit_test(the_schema_is_made_once_and_checked),
		cmocka_unit_test(without_a_server_requests_fail_fast_and_status_says_why),
		cmocka_unit_test(a_database_that_is_not_there_is_for_an_operator),
		OWNER_TEST(status_names_the_server),
		OWNER_TEST(outcomes_are_true_whenever_connections_end),
		OWNER_TEST(a_missing_table_is_for_an_operator_and_heals),
		OWNER_TEST(closing_ends_what_is_out),
	};

	if (!pg_fixture_has_server())
		return 77;
	return cmocka_run_group_tests(tests, pg_fixture_group_open, pg_fixture_group_close);
}
