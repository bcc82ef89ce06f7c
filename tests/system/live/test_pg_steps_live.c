/* Steps in PostgreSQL: the barrier's cases, what a step may and may not do, what is lost and what isn't. */
#include "pg_fixture.h"

#include "live_target.h"
#include "stores/postgres/pg_steps.h"

static struct fixture schema;
static uv_loop_t loop;
static struct target *target;

static void log_nothing(struct log *log, const struct log_event *event)
{
	(void)log;
	if (getenv("SAGAD_TEST_LOG") != NULL)
		fprintf(stderr, "  %s\n", event->text);
}

static struct log quiet = {LOG_DEBUG_LEVEL, log_nothing};

static void run_sql(const char *sql)
{
	pg_fixture_run_sql(pg_fixture_database, sql);
}

static struct target *make_target(uv_loop_t *on, uint32_t connections)
{
	struct pg_steps_config config = {.server = pg_fixture_config(), .connections = connections};
	struct target *made = NULL;
	struct err err;

	if (pg_steps_create(on, &config, &quiet, &made, &err) != 0)
		fail_msg("%s", err.text);
	return made;
}

static int group_open(void **state)
{
	int rc = pg_fixture_group_open(state);

	if (rc != 0)
		return rc;
	pg_fixture_open(&schema);
	if (pg_fixture_init(&schema, &pg_fixture_schema, false).verdict != VERDICT_OK)
		return -1;
	pg_fixture_close(&schema);
	run_sql("CREATE TABLE stock (sku text PRIMARY KEY, n int CHECK (n >= 0))");
	return uv_loop_init(&loop);
}

static int group_close(void **state)
{
	MUST(uv_loop_close(&loop) == 0);
	return pg_fixture_group_close(state);
}

static int test_open(void **state)
{
	(void)state;
	run_sql("DELETE FROM stock; DELETE FROM sagad_barriers; INSERT INTO stock VALUES ('a', 5), ('b', 5)");
	target = make_target(&loop, 2);
	return 0;
}

static int test_close(void **state)
{
	(void)state;
	live_target_close(target, &loop);
	return 0;
}

#define TAKE "{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = $1 RETURNING n\",\"params\":[\"a\"]}"
#define GIVE "{\"sql\":\"UPDATE stock SET n = n + 1 WHERE sku = $1\",\"params\":[\"a\"]}"

static struct live_outcome *do_it(struct uuid saga, const char *body)
{
	return live_run(target, &loop, CALL_DO, saga, body, false);
}

static struct live_outcome *undo_it(struct uuid saga, const char *body)
{
	return live_run(target, &loop, CALL_UNDO, saga, body, false);
}

#define assert_stock(expected) assert_sql("SELECT n FROM stock WHERE sku = 'a'", expected)

/* ---- the barrier ---- */

static void a_repeated_do_happens_once(void **state)
{
	struct uuid saga = live_saga();
	struct live_outcome *outcome;

	(void)state;
	outcome = do_it(saga, TAKE);
	assert_call(outcome, VERDICT_OK);
	assert_false(outcome->is_repeated);
	assert_string_equal(outcome->result, "{\"rows\":[{\"n\":4}],\"count\":1}");
	outcome = do_it(saga, TAKE);
	assert_call(outcome, VERDICT_OK);
	assert_true(outcome->is_repeated);
	assert_string_equal(outcome->result, ""); /* nobody asked for it to be kept */
	assert_stock("4");
}

static void a_kept_result_comes_again(void **state)
{
	struct uuid saga = live_saga();
	struct live_outcome *outcome;

	(void)state;
	outcome = live_run(target, &loop, CALL_DO, saga, TAKE, true);
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result, "{\"rows\":[{\"n\":4}],\"count\":1}");
	for (int i = 0; i < 3; i++) {
		outcome = live_run(target, &loop, CALL_DO, saga, TAKE, i != 1);
		assert_call(outcome, VERDICT_OK);
		assert_true(outcome->is_repeated);
		assert_string_equal(outcome->result, "{\"rows\":[{\"n\":4}],\"count\":1}");
	}
	assert_stock("4");
}

/* The barrier comes before the statements. */
static void a_repeated_do_is_well_though_it_would_fail_by_now(void **state)
{
	struct uuid saga = live_saga();

	(void)state;
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	run_sql("UPDATE stock SET n = 0");
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	assert_stock("0");
	assert_call(do_it(live_saga(), TAKE), VERDICT_PERMANENT); /* the CHECK, for anybody else */
}

static void an_undo_without_a_do_blocks_it(void **state)
{
	struct uuid saga = live_saga();
	struct live_outcome *outcome;

	(void)state;
	outcome = undo_it(saga, GIVE);
	assert_call(outcome, VERDICT_OK);
	assert_stock("5");
	outcome = do_it(saga, TAKE);
	assert_call(outcome, VERDICT_PERMANENT);
	assert_non_null(strstr(outcome->err.text, "its undo came before it"));
	assert_call(live_run(target, &loop, CALL_DO, saga, TAKE, true), VERDICT_PERMANENT);
	assert_call(undo_it(saga, GIVE), VERDICT_OK);
	assert_stock("5");
}

static void a_repeated_undo_happens_once(void **state)
{
	struct uuid saga = live_saga();
	struct live_outcome *outcome;

	(void)state;
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	assert_stock("4");
	assert_call(undo_it(saga, GIVE), VERDICT_OK);
	assert_stock("5");
	outcome = undo_it(saga, GIVE);
	assert_call(outcome, VERDICT_OK);
	assert_true(outcome->is_repeated);
	assert_stock("5");
	assert_call(do_it(saga, TAKE), VERDICT_PERMANENT); /* a late do */
	assert_stock("5");
	assert_sql("SELECT state FROM sagad_barriers", "undone");
}

/* A do that failed leaves no row: it may be tried again, and an undo finds nothing to do. */
static void a_failed_do_leaves_nothing(void **state)
{
	struct uuid saga = live_saga();

	(void)state;
	run_sql("UPDATE stock SET n = 0 WHERE sku = 'a'");
	assert_call(do_it(saga, TAKE), VERDICT_PERMANENT);
	assert_call(live_run(target, &loop, CALL_DO, saga, TAKE, true), VERDICT_PERMANENT);
	assert_sql("SELECT count(*) FROM sagad_barriers", "0");
	run_sql("UPDATE stock SET n = 1 WHERE sku = 'a'");
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	assert_stock("0");
}

static void an_undo_that_fails_is_tried_again(void **state)
{
	struct uuid saga = live_saga();

	(void)state;
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	assert_call(undo_it(saga, "{\"sql\":\"UPDATE nowhere SET n = 1\"}"), VERDICT_PERMANENT);
	assert_sql("SELECT state FROM sagad_barriers", "done");
	assert_call(undo_it(saga, "{\"sql\":\"SELECT 1/0\"}"), VERDICT_PERMANENT); /* not the barrier's own */
	assert_sql("SELECT state FROM sagad_barriers", "done");
	assert_call(undo_it(saga, GIVE), VERDICT_OK);
	assert_stock("5");
}

/* ---- transactions ---- */

static void several_statements_are_one_transaction(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	outcome = do_it(live_saga(), "{\"statements\":["
				     "{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = 'a'\"},"
				     "{\"sql\":\"UPDATE stock SET n = n - 9 WHERE sku = 'b'\"}]}");
	assert_call(outcome, VERDICT_PERMANENT);
	assert_non_null(strstr(outcome->err.text, "statement 2"));
	assert_sql("SELECT sum(n) FROM stock", "10");
	outcome = do_it(live_saga(), "{\"statements\":["
				     "{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = $1\",\"params\":[\"a\"]},"
				     "{\"sql\":\"SELECT n FROM stock ORDER BY sku\"}]}");
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result,
			    "{\"rows\":[{\"n\":4},{\"n\":5}],\"count\":2,\"results\":["
			    "{\"rows\":[],\"count\":1},{\"rows\":[{\"n\":4},{\"n\":5}],\"count\":2}]}");
}

static void a_transaction_is_not_the_clients_to_end(void **state)
{
	static const char *const refused[] = {"COMMIT",
					      "commit;",
					      "ROLLBACK",
					      "BEGIN",
					      "END",
					      "ABORT",
					      "SAVEPOINT s",
					      "/* a /* nested */ comment */ COMMIT",
					      "-- a line\\n COMMIT",
					      ";;COMMIT",
					      "PREPARE TRANSACTION 'x'",
					      "SET statement_timeout = 0",
					      "COPY stock FROM STDIN",
					      "RESET ALL",
					      "DISCARD ALL",
					      "LISTEN x",
					      "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
					      "",
					      "RELEASE SAVEPOINT s",
					      "START TRANSACTION",
					      "(COMMIT)"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		char body[256];

		(void)snprintf(body, sizeof(body),
			       "{\"statements\":[{\"sql\":\"UPDATE stock SET n = 0\"},{\"sql\":\"%s\"}]}", refused[i]);
		assert_call(do_it(live_saga(), body), VERDICT_PERMANENT);
	}
	/* Two in one text, and what PostgreSQL itself refuses inside of a block. */
	assert_call(do_it(live_saga(), "{\"sql\":\"UPDATE stock SET n = 0; COMMIT\"}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"statements\":[{\"sql\":\"UPDATE stock SET n = 0\"},"
				       "{\"sql\":\"DO $$ BEGIN COMMIT; END $$\"}]}"),
		    VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"statements\":[{\"sql\":\"UPDATE stock SET n = 0\"},{\"sql\":\"VACUUM\"}]}"),
		    VERDICT_PERMANENT);
	run_sql("CREATE OR REPLACE PROCEDURE ends() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$");
	assert_call(
		do_it(live_saga(), "{\"statements\":[{\"sql\":\"UPDATE stock SET n = 0\"},{\"sql\":\"CALL ends()\"}]}"),
		VERDICT_PERMANENT);
	assert_sql("SELECT sum(n) FROM stock", "10");
	assert_sql("SELECT count(*) FROM sagad_barriers", "0");
}

/* A step that changes its session must not change another client's. */
static void nothing_is_left_in_a_session(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		assert_call(do_it(live_saga(), "{\"sql\":\"SELECT set_config('search_path', 'nowhere', false)\"}"),
			    VERDICT_OK);
	for (int i = 0; i < 4; i++)
		assert_call(do_it(live_saga(), "{\"sql\":\"DO $$ BEGIN SET work_mem = '64kB'; END $$\"}"), VERDICT_OK);
	for (int i = 0; i < 4; i++) {
		struct live_outcome *outcome =
			do_it(live_saga(), "{\"sql\":\"SELECT current_setting('search_path') = 'nowhere' AS a, "
					   "current_setting('work_mem') = '64kB' AS b\"}");

		assert_call(outcome, VERDICT_OK);
		assert_string_equal(outcome->result, "{\"rows\":[{\"a\":false,\"b\":false}],\"count\":1}");
	}
}

static void a_block_is_one_transaction_too(void **state)
{
	struct uuid saga = live_saga();

	(void)state;
	assert_call(do_it(saga, "{\"sql\":\"DO $$ BEGIN UPDATE stock SET n = n - 1 WHERE sku = 'a'; END $$\"}"),
		    VERDICT_OK);
	assert_call(do_it(saga, "{\"sql\":\"DO $$ BEGIN UPDATE stock SET n = n - 1 WHERE sku = 'a'; END $$\"}"),
		    VERDICT_OK);
	assert_stock("4");
	assert_call(undo_it(saga, "{\"sql\":\"DO $$ BEGIN UPDATE stock SET n = n + 1 WHERE sku = 'a'; END $$\"}"),
		    VERDICT_OK);
	assert_call(undo_it(saga, "{\"sql\":\"DO $$ BEGIN UPDATE stock SET n = n + 1 WHERE sku = 'a'; END $$\"}"),
		    VERDICT_OK);
	assert_stock("5");
	assert_call(do_it(live_saga(), "{\"sql\":\"DO $$ BEGIN RAISE EXCEPTION 'no'; END $$\"}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), TAKE), VERDICT_OK); /* the connection isn't in a failed transaction */
}

/* ---- what can fail ---- */

static void a_constraint_at_the_commit_counts(void **state)
{
	static const char *const bodies[] = {"{\"sql\":\"INSERT INTO child VALUES (7)\"}",
					     "{\"sql\":\"DO $$ BEGIN INSERT INTO child VALUES (7); END $$\"}"};

	(void)state;
	run_sql("CREATE TABLE IF NOT EXISTS parent (id int PRIMARY KEY); CREATE TABLE IF NOT EXISTS child "
		"(id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		assert_call(do_it(live_saga(), bodies[i]), VERDICT_PERMANENT);
		assert_call(live_run(target, &loop, CALL_DO, live_saga(), bodies[i], true), VERDICT_PERMANENT);
	}
	assert_sql("SELECT count(*) FROM child", "0");
	assert_sql("SELECT count(*) FROM sagad_barriers", "0");
}

static void errors_have_their_class(void **state)
{
	(void)state;
	assert_call(do_it(live_saga(), "{\"sql\":\"SELEC 1\"}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"sql\":\"SELECT * FROM nowhere\"}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"sql\":\"SELECT $1::int\",\"params\":[\"x\"]}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"sql\":\"SELECT $1\"}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"sql\":\"SELECT 1\",\"params\":[\"a\\u0000b\"]}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"sql\":7}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{}"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "[]"), VERDICT_PERMANENT);
	assert_call(do_it(live_saga(), "{\"sql\":\"SELECT 1\",\"params\":{}}"), VERDICT_PERMANENT);
	assert_call(live_run(target, &loop, CALL_CHECK, live_saga(), "{\"sql\":\"SELECT 1\"}", false),
		    VERDICT_PERMANENT);
}

/* The server ends what takes too long by itself: nothing is in doubt. */
static void a_slow_statement_is_ended_in_time(void **state)
{
	struct live_call live;
	uint64_t begun_ns = uv_hrtime();

	(void)state;
	live_call_init(&live, &loop, CALL_DO, live_saga(), "slow", "{\"sql\":\"SELECT pg_sleep(30)\"}");
	live.call.timeout_ns = 1000000000u;
	live_calls_run(target, &live, 1);
	assert_call(live_outcome_of(&live), VERDICT_TRANSIENT);
	assert_true(uv_hrtime() - begun_ns < 10000000000u);
	assert_sql("SELECT count(*) FROM sagad_barriers", "0");
}

static void a_missing_table_says_what_to_do(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	run_sql("ALTER TABLE sagad_barriers RENAME TO elsewhere");
	outcome = do_it(live_saga(), TAKE);
	run_sql("ALTER TABLE elsewhere RENAME TO sagad_barriers");
	assert_call(outcome, VERDICT_MISCONFIGURED);
	assert_non_null(strstr(outcome->err.text, "sagactl init"));
	assert_stock("5");
}

static void a_user_without_rights_is_told_which(void **state)
{
	struct pg_steps_config config = {.server = pg_fixture_config()};
	struct target *poor = NULL;
	struct live_outcome *outcome;
	struct err err;

	(void)state;
	run_sql("DROP ROLE IF EXISTS sagad_live_poor");
	run_sql("CREATE ROLE sagad_live_poor LOGIN PASSWORD 'poor'");
	config.server.user = "sagad_live_poor";
	config.server.password = "poor";
	assert_int_equal(pg_steps_create(&loop, &config, &quiet, &poor, &err), 0);
	outcome = live_run(poor, &loop, CALL_DO, live_saga(), TAKE, false);
	assert_call(outcome, VERDICT_MISCONFIGURED);
	assert_non_null(strstr(outcome->err.text, "GRANT SELECT, INSERT, UPDATE ON sagad_barriers TO sagad_live_poor"));
	run_sql("GRANT SELECT, INSERT, UPDATE ON sagad_barriers TO sagad_live_poor");
	outcome = live_run(poor, &loop, CALL_DO, live_saga(), TAKE, false);
	assert_call(outcome, VERDICT_PERMANENT); /* the client's own table */
	assert_call(live_run(poor, &loop, CALL_DO, live_saga(), "{\"sql\":\"SELECT 1\"}", true), VERDICT_OK);
	live_target_close(poor, &loop);
	run_sql("DROP OWNED BY sagad_live_poor");
	run_sql("DROP ROLE sagad_live_poor");
}

static void a_server_that_is_not_there_is_an_outage(void **state)
{
	struct pg_steps_config config = {.server = pg_fixture_config()};
	struct target *nowhere = NULL;
	struct err err;

	(void)state;
	config.server.port = 1;
	assert_int_equal(pg_steps_create(&loop, &config, &quiet, &nowhere, &err), 0);
	assert_call(live_run(nowhere, &loop, CALL_DO, live_saga(), TAKE, false), VERDICT_OUTAGE);
	live_target_close(nowhere, &loop);
}

/* ---- lost connections ---- */

/* Runs the loop until the query says so. */
static void wait_for(const char *sql, const char *expected)
{
	for (int i = 0; i < 2000 && strcmp(pg_fixture_sql(sql), expected) != 0; i++) {
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		(void)usleep(2000);
	}
	assert_sql(sql, expected);
}

#define STEP_BACKENDS "application_name LIKE 'sagad-steps:%' AND datname = current_database()"

/* The connection goes while the do runs: nobody knows, and the next try finds out. */
static void a_killed_connection_leaves_doubt_that_the_barrier_settles(void **state)
{
	struct uuid saga = live_saga();
	struct live_call live;
	struct live_outcome *outcome;

	(void)state;
	for (int keeps = 0; keeps < 2; keeps++) {
		live_call_init(&live, &loop, CALL_DO, saga, "step",
			       "{\"statements\":[{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = 'a'\"},"
			       "{\"sql\":\"SELECT pg_sleep(20)\"}]}");
		live.call.keeps_result = keeps == 1;
		target->ops->submit(target, &live.call);
		wait_for("SELECT count(*) FROM pg_stat_activity WHERE " STEP_BACKENDS " AND wait_event = 'PgSleep'",
			 "1");
		run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " STEP_BACKENDS
			" AND wait_event = 'PgSleep'");
		while (!live.is_done)
			(void)uv_run(&loop, UV_RUN_ONCE);
		outcome = live_outcome_of(&live);
		/* Without COMMIT on its way nothing can have happened. */
		assert_true(outcome->verdict == VERDICT_DOUBT || (keeps == 1 && outcome->verdict == VERDICT_OUTAGE));
	}
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	assert_stock("4");
	assert_call(do_it(saga, TAKE), VERDICT_OK);
	assert_stock("4");
}

/* The do is still running over a connection that this daemon has given up: the undo waits for it, and undoes it. */
static void an_undo_waits_for_a_do_that_still_runs(void **state)
{
	struct uuid saga = live_saga();
	struct live_call calls[2];

	(void)state;
	live_call_init(&calls[0], &loop, CALL_DO, saga, "step",
		       "{\"statements\":[{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = 'a'\"},"
		       "{\"sql\":\"SELECT pg_sleep(1)\"}]}");
	target->ops->submit(target, &calls[0].call);
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE " STEP_BACKENDS " AND wait_event = 'PgSleep'", "1");
	live_call_init(&calls[1], &loop, CALL_UNDO, saga, "step", GIVE);
	live_calls_run(target, &calls[1], 1);
	while (!calls[0].is_done)
		(void)uv_run(&loop, UV_RUN_ONCE);
	assert_call(live_outcome_of(&calls[0]), VERDICT_OK);
	assert_call(live_outcome_of(&calls[1]), VERDICT_OK);
	assert_stock("5");
	assert_sql("SELECT state FROM sagad_barriers", "undone");
}

static void a_deadlock_is_transient(void **state)
{
	static const char *const bodies[] = {"{\"statements\":[{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = "
					     "'a'\"},{\"sql\":\"SELECT pg_sleep(0.3)\"},"
					     "{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = 'b'\"}]}",
					     "{\"statements\":[{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = "
					     "'b'\"},{\"sql\":\"SELECT pg_sleep(0.3)\"},"
					     "{\"sql\":\"UPDATE stock SET n = n - 1 WHERE sku = 'a'\"}]}"};
	struct live_call calls[2];
	enum verdict verdicts[2];

	(void)state;
	/* Both connections are there. */
	wait_for("SELECT count(*) FROM pg_stat_activity WHERE " STEP_BACKENDS, "2");
	for (int i = 0; i < 20; i++) {
		(void)uv_run(&loop, UV_RUN_NOWAIT);
		(void)usleep(2000);
	}
	for (int i = 0; i < 2; i++)
		live_call_init(&calls[i], &loop, CALL_DO, live_saga(), "step", bodies[i]);
	live_calls_run(target, calls, 2);
	for (int i = 0; i < 2; i++)
		verdicts[i] = live_outcome_of(&calls[i])->verdict;
	assert_true((verdicts[0] == VERDICT_OK && verdicts[1] == VERDICT_TRANSIENT) ||
		    (verdicts[1] == VERDICT_OK && verdicts[0] == VERDICT_TRANSIENT));
	assert_sql("SELECT sum(n) FROM stock", "8");
}

/* Two daemons with one journal would be a mistake, and still each step happens once. */
static void two_daemons_do_it_once(void **state)
{
	struct target *other = make_target(&loop, 2);
	struct live_call calls[8];
	struct uuid saga = live_saga();

	(void)state;
	for (int round = 0; round < 10; round++) {
		uint32_t n_repeated = 0;

		saga = live_saga();
		for (uint32_t i = 0; i < 8; i++) {
			struct target *to = i % 2 == 0 ? target : other;

			live_call_init(&calls[i], &loop, CALL_DO, saga, "step",
				       "{\"sql\":\"UPDATE stock SET n = n + 1 WHERE sku = 'a'\"}");
			to->ops->submit(to, &calls[i].call);
		}
		for (uint32_t i = 0; i < 8; i++) {
			while (!calls[i].is_done)
				(void)uv_run(&loop, UV_RUN_ONCE);
			n_repeated += calls[i].call.is_repeated ? 1 : 0;
			assert_call(live_outcome_of(&calls[i]), VERDICT_OK);
		}
		assert_int_equal(n_repeated, 7);
	}
	assert_stock("15");
	live_target_close(other, &loop);
}

/* Calls of one flight: each fails alone. */
static void neighbours_in_a_flight_are_not_disturbed(void **state)
{
	static struct live_call calls[30];

	(void)state;
	run_sql("UPDATE stock SET n = 100 WHERE sku = 'a'");
	for (uint32_t i = 0; i < 30; i++) {
		live_call_init(&calls[i], &loop, CALL_DO, live_saga(), "step",
			       i % 3 == 1   ? "{\"sql\":\"SELECT 1/0\"}"
			       : i % 7 == 2 ? "{\"sql\":\"DO $$ BEGIN RAISE EXCEPTION 'no'; END $$\"}"
					    : TAKE);
		calls[i].call.keeps_result = i % 5 == 0;
	}
	live_calls_run(target, calls, 30);
	for (uint32_t i = 0; i < 30; i++) {
		bool is_bad = i % 3 == 1 || i % 7 == 2;

		assert_call(live_outcome_of(&calls[i]), is_bad ? VERDICT_PERMANENT : VERDICT_OK);
	}
	assert_sql("SELECT 100 - n = (SELECT count(*) FROM sagad_barriers) FROM stock WHERE sku = 'a'", "t");
}

/* ---- values ---- */

static void values_keep_their_types(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	outcome = do_it(
		live_saga(),
		"{\"sql\":\"SELECT $1::int AS i, $2::bigint AS l, $3::numeric AS d, $4::bool AS b, $5::text AS t, "
		"$6::jsonb AS j, $7::text AS z, $8::float8 AS f, 'NaN'::float8 AS nan, now() > '2020-01-01' AS w\","
		"\"params\":[-7,9007199254740993,12345678901234567890.12,true,\"\xc3\xbc\\\"\\n\",{\"a\":[1,null,1e2]},"
		"null,0.5]}");
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result,
			    "{\"rows\":[{\"i\":-7,\"l\":9007199254740993,\"d\":12345678901234567890.12,\"b\":true,"
			    "\"t\":\"\xc3\xbc\\\"\\n\",\"j\":{\"a\":[1,null,100]},\"z\":null,\"f\":0.5,\"nan\":\"NaN\","
			    "\"w\":true}],\"count\":1}");
}

static void a_long_result_becomes_null(void **state)
{
	struct live_outcome *outcome;
	struct uuid saga = live_saga();

	(void)state;
	outcome = do_it(live_saga(), "{\"sql\":\"SELECT repeat('x', 1000) FROM generate_series(1, 1000)\"}");
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result, "");
	outcome = live_run(target, &loop, CALL_DO, saga, "{\"sql\":\"SELECT repeat('x', 300000)\"}", true);
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result, "");
}

/* One that would fill the daemon's memory ends the connection; with the effect undecided the barrier tells. */
static void a_flood_is_cut_off(void **state)
{
	struct uuid saga = live_saga();

	(void)state;
	assert_call(do_it(saga, "{\"sql\":\"SELECT repeat('x', 100000000)\"}"), VERDICT_DOUBT);
	assert_call(live_run(target, &loop, CALL_DO, live_saga(), "{\"sql\":\"SELECT repeat('x', 100000000)\"}", true),
		    VERDICT_OUTAGE);
	assert_call(do_it(live_saga(), TAKE), VERDICT_OK);
}

#define STEP_TEST(test) cmocka_unit_test_setup_teardown(test, test_open, test_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STEP_TEST(a_repeated_do_happens_once),
		STEP_TEST(a_kept_result_comes_again),
		STEP_TEST(a_repeated_do_is_well_though_it_would_fail_by_now),
		STEP_TEST(an_undo_without_a_do_blocks_it),
		STEP_TEST(a_repeated_undo_happens_once),
		STEP_TEST(a_failed_do_leaves_nothing),
		STEP_TEST(an_undo_that_fails_is_tried_again),
		STEP_TEST(several_statements_are_one_transaction),
		STEP_TEST(a_transaction_is_not_the_clients_to_end),
		STEP_TEST(nothing_is_left_in_a_session),
		STEP_TEST(a_block_is_one_transaction_too),
		STEP_TEST(a_constraint_at_the_commit_counts),
		STEP_TEST(errors_have_their_class),
		STEP_TEST(a_slow_statement_is_ended_in_time),
		STEP_TEST(a_missing_table_says_what_to_do),
		STEP_TEST(a_user_without_rights_is_told_which),
		STEP_TEST(a_server_that_is_not_there_is_an_outage),
		STEP_TEST(a_killed_connection_leaves_doubt_that_the_barrier_settles),
		STEP_TEST(an_undo_waits_for_a_do_that_still_runs),
		STEP_TEST(a_deadlock_is_transient),
		STEP_TEST(two_daemons_do_it_once),
		STEP_TEST(neighbours_in_a_flight_are_not_disturbed),
		STEP_TEST(values_keep_their_types),
		STEP_TEST(a_long_result_becomes_null),
		STEP_TEST(a_flood_is_cut_off),
	};

	if (!pg_fixture_has_server())
		return 77;
	return cmocka_run_group_tests(tests, group_open, group_close);
}
