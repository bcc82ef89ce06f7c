/* Steps in Redis and Neo4j: the barrier's cases, one table for both, and what each has of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "live_store.h"
#include "live_target.h"
#include "stores/neo4j/neo4j_steps.h"
#include "stores/redis/redis_steps.h"

static struct target *redis, *neo4j;

/* A store with a barrier: a counter that a do raises by 1 and an undo lowers by 1. */
struct kind {
	struct target **target;
	const char *raise, *lower, *look, *reset;
	const char *raised;     /* the result of the first raise */
	const char *counter_is; /* format of what `look` brings */
	const char *wrong;      /* fails for ever */
};

static const struct kind kinds[] = {
	{&redis, "{\"commands\":[[\"INCR\",\"live-steps-n\"]]}", "{\"commands\":[[\"DECR\",\"live-steps-n\"]]}",
	 "{\"commands\":[[\"GET\",\"live-steps-n\"]]}", "{\"commands\":[[\"SET\",\"live-steps-n\",0]]}",
	 "{\"replies\":[1]}", "{\"replies\":[\"%d\"]}", "{\"commands\":[[\"LPUSH\",\"live-steps-n\",\"x\"]]}"},
	{&neo4j,
	 "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) SET c.n = c.n + $by RETURN c.n AS n\","
	 "\"parameters\":{\"by\":1}}]}",
	 "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) SET c.n = c.n - 1\"}]}",
	 "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) RETURN c.n AS n\"}]}",
	 "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) DELETE c\"},{\"statement\":\"CREATE (:LiveSteps {n: "
	 "0})\"}]}",
	 "{\"rows\":[{\"n\":1}]}", "{\"rows\":[{\"n\":%d}]}",
	 "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) SET c.n = c.n + 1 RETURN 1 / 0\"}]}"},
};
static const struct kind *kind;

static struct live_outcome *run(enum call_kind what, struct uuid saga, const char *body, bool keeps)
{
	return live_run(*kind->target, &live_loop, what, saga, body, keeps);
}

static void assert_counter(int n)
{
	char expected[64];

	/* The format is one of the table above. */
	(void)snprintf(expected, sizeof(expected), "%.*s%d%s", (int)(strchr(kind->counter_is, '%') - kind->counter_is),
		       kind->counter_is, n, strchr(kind->counter_is, '%') + 2);
	assert_string_equal(run(CALL_DO, live_saga(), kind->look, false)->result, expected);
}

static void reset(void)
{
	assert_call(run(CALL_DO, live_saga(), kind->reset, false), VERDICT_OK);
}

#define EACH_KIND(k) for (size_t k = 0; k < ARRAY_LEN(kinds) && (kind = &kinds[k], reset(), true); k++)

static void a_repeated_do_happens_once(void **state)
{
	(void)state;
	EACH_KIND(k)
	{
		for (int keeps = 0; keeps < 2; keeps++) {
			struct uuid saga = live_saga();
			struct live_outcome *outcome;

			reset();
			outcome = run(CALL_DO, saga, kind->raise, keeps == 1);
			assert_call(outcome, VERDICT_OK);
			assert_false(outcome->is_repeated);
			assert_string_equal(outcome->result, kind->raised);
			for (int i = 0; i < 2; i++) {
				outcome = run(CALL_DO, saga, kind->raise, keeps == 1);
				assert_call(outcome, VERDICT_OK);
				assert_true(outcome->is_repeated);
				assert_string_equal(outcome->result, keeps == 1 ? kind->raised : "");
			}
			assert_counter(1);
			/* The barrier comes before the statements. */
			assert_call(run(CALL_DO, saga, kind->wrong, false), VERDICT_OK);
			assert_counter(1);
		}
	}
}

static void an_undo_without_a_do_blocks_it(void **state)
{
	(void)state;
	EACH_KIND(k)
	{
		struct uuid saga = live_saga();

		assert_call(run(CALL_UNDO, saga, kind->lower, false), VERDICT_OK);
		assert_call(run(CALL_DO, saga, kind->raise, false), VERDICT_PERMANENT);
		assert_call(run(CALL_DO, saga, kind->raise, true), VERDICT_PERMANENT);
		assert_call(run(CALL_UNDO, saga, kind->lower, false), VERDICT_OK);
		assert_counter(0);
	}
}

static void a_repeated_undo_happens_once(void **state)
{
	(void)state;
	EACH_KIND(k)
	{
		struct uuid saga = live_saga();
		struct live_outcome *outcome;

		assert_call(run(CALL_DO, saga, kind->raise, true), VERDICT_OK);
		assert_counter(1);
		assert_call(run(CALL_UNDO, saga, kind->lower, false), VERDICT_OK);
		assert_counter(0);
		outcome = run(CALL_UNDO, saga, kind->lower, false);
		assert_call(outcome, VERDICT_OK);
		assert_true(outcome->is_repeated);
		assert_call(run(CALL_DO, saga, kind->raise, false), VERDICT_PERMANENT); /* a late do */
		assert_counter(0);
	}
}

static void what_fails_leaves_nothing_and_may_come_again(void **state)
{
	(void)state;
	EACH_KIND(k)
	{
		struct uuid saga = live_saga();

		assert_call(run(CALL_DO, saga, kind->wrong, false), VERDICT_PERMANENT);
		assert_call(run(CALL_DO, saga, kind->wrong, true), VERDICT_PERMANENT);
		assert_counter(0);
		assert_call(run(CALL_DO, saga, kind->raise, false), VERDICT_OK);
		assert_call(run(CALL_UNDO, saga, kind->wrong, false), VERDICT_PERMANENT);
		assert_counter(1);
		assert_call(run(CALL_UNDO, saga, kind->lower, false), VERDICT_OK);
		assert_counter(0);
	}
}

static void many_at_once_do_it_once(void **state)
{
	static struct live_call calls[24];

	(void)state;
	EACH_KIND(k)
	{
		struct uuid saga = live_saga();
		uint32_t n = (*kind->target)->max_calls < 24 ? (*kind->target)->max_calls : 24, n_repeated = 0;

		for (uint32_t i = 0; i < n; i++)
			live_call_init(&calls[i], &live_loop, CALL_DO, saga, "step", kind->raise);
		live_calls_run(*kind->target, calls, n);
		for (uint32_t i = 0; i < n; i++) {
			n_repeated += calls[i].call.is_repeated ? 1 : 0;
			assert_call(live_outcome_of(&calls[i]), VERDICT_OK);
		}
		assert_int_equal(n_repeated, n - 1);
		assert_counter(1);
	}
}

/* ---- Redis ---- */

static void redis_goes_on_where_it_was_broken_off(void **state)
{
	static const char body[] = "{\"commands\":[[\"INCR\",\"live-steps-n\"],[\"RPUSH\",\"live-steps-l\",\"x\"],"
				   "[\"INCR\",\"live-steps-n\"]]}";
	struct uuid saga = live_saga();
	struct live_outcome *outcome;

	(void)state;
	kind = &kinds[0];
	reset();
	assert_call(run(CALL_DO, live_saga(), "{\"commands\":[[\"SET\",\"live-steps-l\",\"text\"]]}", false),
		    VERDICT_OK);
	for (int i = 0; i < 2; i++) {
		outcome = run(CALL_DO, saga, body, true);
		assert_call(outcome, VERDICT_DOUBT); /* so that the undo runs */
		assert_non_null(strstr(outcome->err.text, "command 2 of 3 (RPUSH)"));
		assert_counter(1);
	}
	assert_call(run(CALL_DO, live_saga(), "{\"commands\":[[\"DEL\",\"live-steps-l\"]]}", false), VERDICT_OK);
	outcome = run(CALL_DO, saga, body, true);
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result, "{\"replies\":[1,1,2]}");
	assert_counter(2);
	assert_call(run(CALL_UNDO, saga, "{\"commands\":[[\"DECRBY\",\"live-steps-n\",2],[\"DEL\",\"live-steps-l\"]]}",
			false),
		    VERDICT_OK);
	assert_counter(0);
}

static void redis_undoes_what_was_broken_off(void **state)
{
	struct uuid saga = live_saga();

	(void)state;
	kind = &kinds[0];
	reset();
	assert_call(run(CALL_DO, saga, "{\"commands\":[[\"INCR\",\"live-steps-n\"],[\"LPUSH\",\"live-steps-n\",1]]}",
			false),
		    VERDICT_DOUBT);
	assert_counter(1);
	assert_call(run(CALL_UNDO, saga, kind->lower, false), VERDICT_OK);
	assert_call(run(CALL_UNDO, saga, kind->lower, false), VERDICT_OK);
	assert_counter(0);
}

static void redis_takes_commands_on_data_only(void **state)
{
	static const char *const refused[] = {"[\"FLUSHALL\"]",
					      "[\"CONFIG\",\"GET\",\"*\"]",
					      "[\"EVAL\",\"return 1\",0]",
					      "[\"MULTI\"]",
					      "[\"SHUTDOWN\"]",
					      "[\"BLPOP\",\"k\",0]",
					      "[\"SUBSCRIBE\",\"c\"]",
					      "[\"SCRIPT\",\"FLUSH\"]",
					      "[\"GET\"]",
					      "[\"SET\",\"k\"]",
					      "[\"KEYS\",\"*\"]",
					      "[\"SELECT\",1]",
					      "[]",
					      "[7]",
					      "{}",
					      "[\"SET\",\"k\",{}]",
					      "[\"SET\",\"k\",null]",
					      "[\"DEL\",\"sagad:step:{x}\"]"};

	(void)state;
	kind = &kinds[0];
	reset();
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		char body[200];

		(void)snprintf(body, sizeof(body), "{\"commands\":[[\"INCR\",\"live-steps-n\"],%s]}", refused[i]);
		assert_call(run(CALL_DO, live_saga(), body, false), VERDICT_PERMANENT);
	}
	assert_call(run(CALL_DO, live_saga(), "{\"commands\":[]}", false), VERDICT_PERMANENT);
	assert_call(run(CALL_DO, live_saga(), "{}", false), VERDICT_PERMANENT);
	assert_counter(0);
}

static void redis_replies_keep_their_types(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	kind = &kinds[0];
	(void)run(CALL_DO, live_saga(), "{\"commands\":[[\"DEL\",\"live-steps-h\"]]}", false);
	outcome = run(CALL_DO, live_saga(),
		      "{\"commands\":[[\"DEL\",\"live-steps-none\"],[\"HSET\",\"live-steps-h\",\"a\",\"\xc3\xbc\\\"\","
		      "\"b\",1.50],"
		      "[\"HMGET\",\"live-steps-h\",\"a\",\"none\",\"b\"],[\"GET\",\"live-steps-none\"],"
		      "[\"SET\",\"live-steps-n\",9007199254740991],[\"INCRBY\",\"live-steps-n\",0]]}",
		      true);
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result,
			    "{\"replies\":[0,2,[\"\xc3\xbc\\\"\",null,\"1.50\"],null,\"OK\",9007199254740991]}");
}

/* ---- Neo4j ---- */

static void neo4j_statements_are_one_transaction(void **state)
{
	struct live_outcome *outcome;

	(void)state;
	kind = &kinds[1];
	reset();
	assert_call(run(CALL_DO, live_saga(),
			"{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) SET c.n = "
			"7\"},{\"statement\":\"NONSENSE\"}]}",
			false),
		    VERDICT_PERMANENT);
	assert_counter(0);
	outcome = run(CALL_DO, live_saga(),
		      "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) SET c.n = 7\"},"
		      "{\"statement\":\"RETURN $a AS a, [1, 2.5, true, null] AS "
		      "l\",\"parameters\":{\"a\":{\"b\":[\"\xc3\xbc\"]}}}]}",
		      true);
	assert_call(outcome, VERDICT_OK);
	assert_string_equal(outcome->result,
			    "{\"rows\":[{\"a\":{\"b\":[\"\xc3\xbc\"]},\"l\":[1,2.5,true,null]}],\"results\":["
			    "{\"rows\":[]},{\"rows\":[{\"a\":{\"b\":[\"\xc3\xbc\"]},\"l\":[1,2.5,true,null]}]}]}");
	assert_counter(7);
}

static void neo4j_keeps_to_its_database(void **state)
{
	(void)state;
	kind = &kinds[1];
	assert_call(run(CALL_DO, live_saga(),
			"{\"statements\":[{\"statement\":\"LOAD /* x */ CSV FROM 'file:///x' AS r RETURN r\"}]}",
			false),
		    VERDICT_PERMANENT);
	assert_call(run(CALL_DO, live_saga(), "{\"statements\":[{\"statement\":\"USE system SHOW USERS\"}]}", false),
		    VERDICT_PERMANENT);
	assert_call(run(CALL_DO, live_saga(),
			"{\"statements\":[{\"statement\":\"\\\\u004cOAD CSV FROM 'x' AS r RETURN r\"}]}", false),
		    VERDICT_PERMANENT);
	assert_call(run(CALL_DO, live_saga(), "{\"statements\":[]}", false), VERDICT_PERMANENT);
	assert_call(run(CALL_DO, live_saga(), "{\"statements\":[{}]}", false), VERDICT_PERMANENT);
}

/* ---- the group ---- */

static int open_group(void **state)
{
	struct redis_steps_config redis_config = {.server = {.url = live_env("REDIS_URL")}};
	struct neo4j_steps_config neo4j_config = {.server = {.url = live_env("NEO4J_URL"),
							     .user = live_env("NEO4J_USER"),
							     .password = live_env("NEO4J_PASSWORD")}};
	struct store_schema schema = {.dims = 4, .distance = "cosine"};
	struct store *store = NULL;
	struct store_init_req made;
	struct err err;

	(void)state;
	MUST(uv_loop_init(&live_loop) == 0);
	MUST(redis_steps_create(&live_loop, &redis_config, NULL, &redis, &err) == 0);
	MUST(neo4j_steps_create(&live_loop, &neo4j_config, NULL, &neo4j, &err) == 0);
	MUST(neo4j_create(&live_loop, &neo4j_config.server, NULL, &store, &err) == 0);
	if (live_run_init(store, store->ops->init, &schema, false, &made) != VERDICT_OK)
		fail_msg("%s", made.err.text);
	live_close(store);
	return 0;
}

static int close_group(void **state)
{
	(void)state;
	kind = &kinds[0];
	(void)run(CALL_DO, live_saga(), "{\"commands\":[[\"DEL\",\"live-steps-n\",\"live-steps-h\",\"live-steps-l\"]]}",
		  false);
	kind = &kinds[1];
	(void)run(CALL_DO, live_saga(), "{\"statements\":[{\"statement\":\"MATCH (c:LiveSteps) DELETE c\"}]}", false);
	live_target_close(redis, &live_loop);
	live_target_close(neo4j, &live_loop);
	return uv_loop_close(&live_loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_repeated_do_happens_once),
		cmocka_unit_test(an_undo_without_a_do_blocks_it),
		cmocka_unit_test(a_repeated_undo_happens_once),
		cmocka_unit_test(what_fails_leaves_nothing_and_may_come_again),
		cmocka_unit_test(many_at_once_do_it_once),
		cmocka_unit_test(redis_goes_on_where_it_was_broken_off),
		cmocka_unit_test(redis_undoes_what_was_broken_off),
		cmocka_unit_test(redis_takes_commands_on_data_only),
		cmocka_unit_test(redis_replies_keep_their_types),
		cmocka_unit_test(neo4j_statements_are_one_transaction),
		cmocka_unit_test(neo4j_keeps_to_its_database),
	};

	(void)live_env("REDIS_URL");
	(void)live_env("NEO4J_URL");
	return cmocka_run_group_tests(tests, open_group, close_group);
}
