/* What clients' own steps may ask of each store and service, and what answers mean: without any connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stores/neo4j/neo4j_steps_codec.h"
#include "stores/postgres/pg_steps_codec.h"
#include "stores/redis/redis_steps_codec.h"
#include "stores/service/service_codec.h"
#include "stores/step/step_http_codec.h"

static struct call call_of(const char *body)
{
	struct call call = {.kind = CALL_DO, .step = {"charge", 6}, .body_json = str_of(body)};

	step_codec_begin(&call);
	return call;
}

static const char *result_of(struct call *call)
{
	static char text[512];

	(void)snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_str(&call->result_json)));
	buf_fini(&call->result_json);
	return text;
}

/* ---- texts from outside ---- */

static void what_is_no_utf8_is_scrubbed(void **state)
{
	char text[] = "a\xc3\xbc\xff\xc0\x80\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82";

	(void)state;
	step_codec_scrub(text, sizeof(text) - 1);
	assert_string_equal(text, "a\xc3\xbc??????\xf0\x9f\x98\x80??");
}

/* ---- HTTP ---- */

static void paths_stay_where_they_belong(void **state)
{
	static const char *const good[] = {"/",       "/a",       "/a/b?c=/../d", "/a%20b",
					   "/a%2Fb",  "/...",     "/a..b/c",      "/.hidden",
					   "/%C3%BC", "/a;b=c/d", "/charges/%7B", "/100%25"};
	static const char *const bad[] = {"",        "a",           "//evil/x",      "http://evil/", "/a/../b",
					  "/..",     "/.",          "/a/./b",        "/a/%2e%2e/b",  "/a/%2E./b",
					  "/..%2fb", "/a%2f..%2fb", "/%252e%252e/b", "/a\\..\\b",    "/a%5c..%5cb",
					  "/a b",    "/a\r\nX: y",  "/a%0d%0aX",     "/a%00",        "/a%",
					  "/a%4",    "/a%zz",       "/..;x/b",       "/a#b",         "/\xc3\xbc",
					  "/a\"b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (step_http_codec_path_fault(str_of(good[i])) != NULL)
			fail_msg("%s: %s", good[i], step_http_codec_path_fault(str_of(good[i])));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (step_http_codec_path_fault(str_of(bad[i])) == NULL)
			fail_msg("%s was taken", bad[i]);
}

static void headers_inject_nothing(void **state)
{
	static const char *const bad[] = {
		"Host", "content-length", "Transfer-Encoding", "CONNECTION", "Idempotency-Key", "Expect", "", "a b",
		"a:b",  "a\r\nb",         "X-Secret",          "\xc3\xbc"};

	(void)state;
	assert_null(step_http_codec_header_fault(str_of("X-Trace"), str_of("a b; c=\"d\""), "x-secret"));
	assert_null(step_http_codec_header_fault(str_of("X-Trace"), str_of(""), NULL));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (step_http_codec_header_fault(str_of(bad[i]), str_of("v"), "x-secret") == NULL)
			fail_msg("%s was taken", bad[i]);
	assert_non_null(step_http_codec_header_fault(str_of("X-A"), str_of("v\r\nX-B: w"), NULL));
	assert_non_null(step_http_codec_header_fault(str_of("X-A"), str_of("v\nX-B: w"), NULL));
	assert_non_null(step_http_codec_header_fault(str_of("X-A"), (struct str){"a\0b", 3}, NULL));
	assert_non_null(step_http_codec_header_fault(str_of("X-A"), STR_NONE, NULL));
}

static void a_services_url_is_checked(void **state)
{
	static const char *const bad[] = {"ftp://x", "http://",      "http://x:0",    "http://x:70000", "http://u:p@x",
					  "x",       "http://x/a?b", "http://x/../a", "http://x/a#b",   "https://[::1"};
	struct service_codec_url url;
	struct err err;

	(void)state;
	assert_int_equal(service_codec_url("pay", "https://pay.example/base/", &url, &err), 0);
	assert_string_equal(url.host, "pay.example");
	assert_string_equal(url.base, "/base");
	assert_true(url.is_tls && url.port == 443);
	assert_int_equal(service_codec_url("pay", "http://[::1]:8080", &url, &err), 0);
	assert_string_equal(url.host, "::1");
	assert_string_equal(url.base, "");
	assert_true(!url.is_tls && url.port == 8080);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (service_codec_url("pay", bad[i], &url, &err) == 0)
			fail_msg("%s was taken", bad[i]);
}

static enum verdict service_says(enum call_kind kind, uint16_t status)
{
	struct call call = call_of("{}");

	call.kind = kind;
	service_codec_judge(&call, "pay", status, 3, str_of("{\"a\":1.50}"), 1000);
	if (call.verdict == VERDICT_OK)
		assert_string_equal(result_of(&call), status == 200 ? "{\"status\":200,\"body\":{\"a\":1.50}}"
								    : "{\"status\":204,\"body\":{\"a\":1.50}}");
	assert_int_equal(call.retry_after_ms, call.verdict == VERDICT_TRANSIENT ? 3000 : 0);
	return call.verdict;
}

static void a_services_status_is_judged(void **state)
{
	(void)state;
	assert_int_equal(service_says(CALL_DO, 200), VERDICT_OK);
	assert_int_equal(service_says(CALL_DO, 204), VERDICT_OK);
	assert_int_equal(service_says(CALL_DO, 303), VERDICT_DOUBT);
	assert_int_equal(service_says(CALL_DO, 400), VERDICT_PERMANENT);
	assert_int_equal(service_says(CALL_DO, 404), VERDICT_PERMANENT);
	assert_int_equal(service_says(CALL_DO, 425), VERDICT_TRANSIENT);
	assert_int_equal(service_says(CALL_UNDO, 429), VERDICT_TRANSIENT);
	assert_int_equal(service_says(CALL_DO, 500), VERDICT_DOUBT);
	assert_int_equal(service_says(CALL_DO, 503), VERDICT_DOUBT);
	assert_int_equal(service_says(CALL_CHECK, 200), VERDICT_OK);
	assert_int_equal(service_says(CALL_CHECK, 404), VERDICT_PERMANENT);
	assert_int_equal(service_says(CALL_CHECK, 400), VERDICT_DOUBT);
	assert_int_equal(service_says(CALL_CHECK, 500), VERDICT_DOUBT);
}

static void a_body_that_is_no_json_is_a_string(void **state)
{
	struct call call = call_of("{}");

	(void)state;
	step_http_codec_result(&call, 200, str_of("hi \xff\n"), 1000);
	assert_string_equal(result_of(&call), "{\"status\":200,\"body\":\"hi ?\\n\"}");
	step_http_codec_result(&call, 200, str_of("[1, 2]"), 5);
	assert_int_equal(call.verdict, VERDICT_OK);
	assert_string_equal(result_of(&call), ""); /* too long: null */
}

/* ---- PostgreSQL ---- */

static void the_first_word_is_found(void **state)
{
	static const char *const words[][2] = {{"select 1", "SELECT"},
					       {" \n\t;( COMMIT", "COMMIT"},
					       {"/* a /* b */ c */--d\nBegin", "BEGIN"},
					       {"/* never ends", ""},
					       {"", ""},
					       {"--", ""},
					       {"\"x\"", ""}};
	char word[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		pg_steps_codec_word(words[i][0], word, sizeof(word));
		assert_string_equal(word, words[i][1]);
	}
}

static void statements_are_read(void **state)
{
	struct call call =
		call_of("{\"statements\":[{\"sql\":\"SELECT $1, $2\",\"params\":[1.50,null]},"
			"{\"sql\":\"INSERT INTO a VALUES ($1, $2, $3)\",\"params\":[\"x\",true,{\"a\":[1]}]}]}");
	struct pg_steps_body body;

	(void)state;
	assert_true(pg_steps_codec_read(&call, &body));
	assert_int_equal(body.n, 2);
	assert_true(body.is_plain && !body.is_dirty);
	assert_string_equal(body.statements[0].values[0], "1.50");
	assert_null(body.statements[0].values[1]);
	assert_string_equal(body.statements[1].values[0], "x");
	assert_string_equal(body.statements[1].values[1], "true");
	assert_string_equal(body.statements[1].values[2], "{\"a\":[1]}");
	pg_steps_codec_fini(&body);
}

static void what_leaves_traces_is_known(void **state)
{
	static const char *const dirty[] = {"SELECT set_config('a','b',false)",
					    "SELECT Pg_Advisory_Lock(1)",
					    "SELECT 1 INTO TEMP t",
					    "DO $$ $$",
					    "CALL x()",
					    "CREATE TABLE a (b int)",
					    "SELECT U&\\\"set\\\\005fconfig\\\"('a','b',false)"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dirty); i++) {
		struct pg_steps_body body;
		struct call call;
		char text[200];

		(void)snprintf(text, sizeof(text), "{\"sql\":\"%s\"}", dirty[i]);
		call = call_of(text);
		assert_true(pg_steps_codec_read(&call, &body));
		assert_true(body.is_dirty);
		pg_steps_codec_fini(&body);
	}
}

static void errors_of_a_clients_statement_are_its_own(void **state)
{
	(void)state;
	assert_int_equal(pg_steps_codec_verdict("42P01"), VERDICT_PERMANENT);
	assert_int_equal(pg_steps_codec_verdict("23514"), VERDICT_PERMANENT);
	assert_int_equal(pg_steps_codec_verdict("25001"), VERDICT_PERMANENT);
	assert_int_equal(pg_steps_codec_verdict("25006"), VERDICT_OUTAGE);
	assert_int_equal(pg_steps_codec_verdict("40P01"), VERDICT_TRANSIENT);
	assert_int_equal(pg_steps_codec_verdict("57014"), VERDICT_TRANSIENT);
	assert_int_equal(pg_steps_codec_verdict("28000"), VERDICT_MISCONFIGURED);
	assert_int_equal(pg_steps_codec_verdict(NULL), VERDICT_TRANSIENT);
}

/* ---- Redis ---- */

static const struct redis_steps_codec redis_codec = {
	.key_prefix = "sagad", .barrier_ttl_s = 60, .dead_ttl_s = 30, .max_result_bytes = 1000};

static void a_script_gets_its_arguments(void **state)
{
	struct call call = call_of("{\"commands\":[[\"set\",\"k\",1.50],[\"DEL\",\"a\",\"b\"]]}");
	struct redis_steps_command command;
	static const char *const expected[] = {
		"EVALSHA", "",     "1",  "sagad:step:{00000000-0000-0000-0000-000000000000/charge}",
		"do",      "60",   "30", "0",
		"1000",    "2",    "3",  "set",
		"k",       "1.50", "3",  "DEL",
		"a",       "b"};

	(void)state;
	assert_true(redis_steps_codec_read(&redis_codec, &call, &command));
	redis_steps_codec_name(&redis_codec, &command, false);
	assert_int_equal(command.argc, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_true(i == 1 ||
			    str_is_equal((struct str){command.argv[i], command.lens[i]}, str_of(expected[i])));
	redis_steps_codec_fini(&command);
}

static enum verdict script_says(enum redis_reply_kind kind, const char *text, bool *out_is_repeated)
{
	struct call call = call_of("{}");

	(void)redis_steps_codec_answer(&redis_codec, &call, kind, str_of(text)); /* the hint is another test's */
	*out_is_repeated = call.is_repeated;
	buf_fini(&call.result_json);
	return call.verdict;
}

static void a_scripts_answer_is_judged(void **state)
{
	bool is_repeated;

	(void)state;
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "ok\n[1]", &is_repeated), VERDICT_OK);
	assert_false(is_repeated);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "known\n", &is_repeated), VERDICT_OK);
	assert_true(is_repeated);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "blocked\n", &is_repeated), VERDICT_PERMANENT);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "none\nWRONGTYPE x", &is_repeated), VERDICT_PERMANENT);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "none\nNOPERM x", &is_repeated), VERDICT_PERMANENT);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "none\nOOM x", &is_repeated), VERDICT_OUTAGE);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "part\nx", &is_repeated), VERDICT_DOUBT);
	assert_int_equal(script_says(REDIS_REPLY_IS_TEXT, "", &is_repeated), VERDICT_DOUBT);
	assert_int_equal(script_says(REDIS_REPLY_IS_OTHER, NULL, &is_repeated), VERDICT_DOUBT);
	assert_int_equal(script_says(REDIS_REPLY_IS_ERROR, "NOSCRIPT x", &is_repeated), VERDICT_TRANSIENT);
	assert_int_equal(script_says(REDIS_REPLY_IS_ERROR, "ERR what", &is_repeated), VERDICT_DOUBT);
	assert_int_equal(script_says(REDIS_REPLY_IS_ERROR, "NOPERM x", &is_repeated), VERDICT_MISCONFIGURED);
}

/* ---- Neo4j ---- */

static struct neo4j_steps_answer neo4j_says(enum neo4j_steps_kind kind, uint16_t status, const char *reply)
{
	struct neo4j_steps_answer answer;
	struct buf result = {0};

	neo4j_steps_codec_answer(kind, status, str_of(reply), 1000, &answer, &result);
	buf_fini(&result);
	return answer;
}

static void neo4js_answers_are_read(void **state)
{
	struct neo4j_steps_answer answer;

	(void)state;
	answer = neo4j_says(NEO4J_STEPS_DO, 201,
			    "{\"commit\":\"http://h:1/db/neo4j/tx/7/commit\",\"results\":[{},{}],\"errors\":[]}");
	assert_true(answer.is_ok);
	assert_string_equal(answer.commit, "/db/neo4j/tx/7/commit");
	answer = neo4j_says(NEO4J_STEPS_DO, 201,
			    "{\"commit\":\"http://h/db/x/tx/../commit\",\"results\":[],\"errors\":[]}");
	assert_string_equal(answer.commit, "");
	answer = neo4j_says(
		NEO4J_STEPS_DO, 200,
		"{\"results\":[],\"errors\":[{\"code\":\"Neo.ClientError.Schema.ConstraintValidationFailed\"}]}");
	assert_true(!answer.is_ok && answer.is_duplicate);
	assert_int_equal(answer.verdict, VERDICT_PERMANENT);
	answer = neo4j_says(
		NEO4J_STEPS_DO, 200,
		"{\"results\":[],\"errors\":[{\"code\":\"Neo.TransientError.Transaction.DeadlockDetected\"}]}");
	assert_int_equal(answer.verdict, VERDICT_TRANSIENT);
	assert_int_equal(neo4j_says(NEO4J_STEPS_DO, 200, "{\"results\":[").verdict, VERDICT_DOUBT);
	assert_int_equal(neo4j_says(NEO4J_STEPS_DO, 500, "").verdict, VERDICT_DOUBT);
	assert_int_equal(neo4j_says(NEO4J_STEPS_DO, 401, "").verdict, VERDICT_MISCONFIGURED);
	answer = neo4j_says(NEO4J_STEPS_BLOCK, 200,
			    "{\"results\":[{\"data\":[{\"row\":[\"blocked\",null,true]}]}],\"errors\":[]}");
	assert_true(answer.is_ok && answer.is_made);
	assert_string_equal(answer.state, "blocked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_utf8_is_scrubbed),
		cmocka_unit_test(paths_stay_where_they_belong),
		cmocka_unit_test(headers_inject_nothing),
		cmocka_unit_test(a_services_url_is_checked),
		cmocka_unit_test(a_services_status_is_judged),
		cmocka_unit_test(a_body_that_is_no_json_is_a_string),
		cmocka_unit_test(the_first_word_is_found),
		cmocka_unit_test(statements_are_read),
		cmocka_unit_test(what_leaves_traces_is_known),
		cmocka_unit_test(errors_of_a_clients_statement_are_its_own),
		cmocka_unit_test(a_script_gets_its_arguments),
		cmocka_unit_test(a_scripts_answer_is_judged),
		cmocka_unit_test(neo4js_answers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
