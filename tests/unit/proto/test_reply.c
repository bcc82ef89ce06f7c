/* Answers, read again by the library that others read them with. */
#include "read_back.h"

static const struct uuid saga = {{1, 2, 3}}, older = {{1, 2, 2}};

static void a_commit_is_told(void **state)
{
	struct outcome outcome = {.kind = OUTCOME_COMMITTED,
				  .saga = saga,
				  .has_version = true,
				  .version = saga,
				  .has_previous = true,
				  .previous = older,
				  .n_chunks = 8,
				  .owed = {{"qdrant", "remove"}},
				  .n_owed = 1};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_outcome(&out, "\"q\"", str_of("a\"b"), &outcome);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/id"), "q");
	assert_string_equal(text_at(doc, "/result/outcome"), "committed");
	assert_string_equal(text_at(doc, "/result/document_id"), "a\"b");
	assert_string_equal(text_at(doc, "/result/version"), "01020300-0000-0000-0000-000000000000");
	assert_string_equal(text_at(doc, "/result/previous"), "01020200-0000-0000-0000-000000000000");
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/chunks")), 8);
	assert_string_equal(text_at(doc, "/result/owed/0/store"), "qdrant");
	assert_string_equal(text_at(doc, "/result/owed/0/op"), "remove");
	assert_true(yyjson_is_false(yyjson_doc_ptr_get(doc, "/result/stored")));
	yyjson_doc_free(doc);
}

static void a_failure_is_told(void **state)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED,
				  .saga = saga,
				  .code = CODE_STORE_UNAVAILABLE,
				  .store = "neo4j",
				  .n_tries = 3,
				  .retry_after_ms = 500,
				  .err = {"neo4j: no answer"}};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_outcome(&out, "12", str_of("a"), &outcome);
	doc = read_back(&out);
	assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/error/code")), -32000);
	assert_string_equal(text_at(doc, "/error/message"), "neo4j: no answer");
	assert_string_equal(text_at(doc, "/error/data/code"), "store_unavailable");
	assert_string_equal(text_at(doc, "/error/data/class"), "transient");
	assert_true(yyjson_is_true(yyjson_doc_ptr_get(doc, "/error/data/retriable")));
	assert_string_equal(text_at(doc, "/error/data/store"), "neo4j");
	assert_string_equal(text_at(doc, "/error/data/document_id"), "a");
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/error/data/tries")), 3);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/error/data/retry_after_ms")), 500);
	assert_null(yyjson_doc_ptr_get(doc, "/result"));
	yyjson_doc_free(doc);
}

/* A store may answer with any bytes: the message to the client stays one line of valid UTF-8. */
static void what_a_store_said_cannot_break_an_answer(void **state)
{
	static const struct {
		const char *said, *told;
	} cases[] = {
		{"plain", "plain"},
		{"\"},{\\", "\"},{\\"},
		{"line\nline\t\x01", "line\nline\t\x01"},
		{"\xff\xfe", "??"},
		{"\xc3", "?"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xed\xa0\x80", "???"},
		{"\xc0\xaf\xc1\xbf", "????"},
		{"\xe0\x9f\xbf", "???"},
		{"\xf4\x90\x80\x80\xf0\x8f\xbf\xbf\xf5", "?????????"},
		{"a\xe2\x82", "a??"},
		{"\xe2\x82z\xe2\x82\xc3", "??z???"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = {0};
		yyjson_doc *doc;

		reply_error(&out, "1", CODE_STORE_REFUSED, cases[i].said);
		doc = read_back(&out);
		assert_string_equal(text_at(doc, "/error/message"), cases[i].told);
		yyjson_doc_free(doc);
	}
}

static void every_outcome_and_code_prints(void **state)
{
	(void)state;
	for (int kind = OUTCOME_COMMITTED; kind <= OUTCOME_FAILED; kind++) {
		for (int code = CODE_NONE; code < CODE_COUNT; code++) {
			struct outcome outcome = {.kind = (enum outcome_kind)kind, .code = (enum code)code};
			struct buf out = {0};

			reply_outcome(&out, "null", str_of("a"), &outcome);
			yyjson_doc_free(read_back(&out));
		}
	}
}

static void an_accepted_job_has_its_name(void **state)
{
	struct outcome outcome = {.kind = OUTCOME_ACCEPTED, .saga = saga};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_outcome(&out, "1", str_of("a"), &outcome);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/job"), "01020300-0000-0000-0000-000000000000");
	yyjson_doc_free(doc);
}

static void a_fault_has_its_path(void **state)
{
	struct request_fault fault = {CODE_INVALID_FIELD, "4", false, "chunks[3].embedding[17]", "doc", {"it is NaN"}};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_fault(&out, &fault);
	doc = read_back(&out);
	assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/error/code")), -32602);
	assert_string_equal(text_at(doc, "/error/data/path"), "chunks[3].embedding[17]");
	assert_string_equal(text_at(doc, "/error/data/document_id"), "doc");
	yyjson_doc_free(doc);
}

static void a_status_is_told(void **state)
{
	struct document_status status = {.presence = PRESENCE_PRESENT,
					 .version = saga,
					 .n_chunks = 4,
					 .updated_unix_ms = 1234,
					 .n_debts = 2,
					 .is_in_flight = true,
					 .state = "pivoting",
					 .saga = older,
					 .n_waiting = 1};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_status(&out, "1", str_of("a"), &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/presence"), "present");
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/debts")), 2);
	assert_string_equal(text_at(doc, "/result/in_flight/state"), "pivoting");
	yyjson_doc_free(doc);
	status = (struct document_status){.presence = PRESENCE_ABSENT};
	reply_status(&out, "1", str_of("a"), &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/presence"), "absent");
	assert_null(yyjson_doc_ptr_get(doc, "/result/version"));
	yyjson_doc_free(doc);
}

static void a_job_is_told(void **state)
{
	struct job_status status = {.state = JOB_IS_FAILED, .job = saga, .code = "conflict", .reason = "no"};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_job(&out, "1", &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/state"), "failed");
	assert_string_equal(text_at(doc, "/result/code"), "conflict");
	yyjson_doc_free(doc);
	status = (struct job_status){.state = JOB_IS_WAITING, .job = saga, .n_attempts = 2};
	reply_job(&out, "1", &status);
	doc = read_back(&out);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/attempts")), 2);
	yyjson_doc_free(doc);
}

static void stores_numbers_and_limits_are_told(void **state)
{
	struct reply_store rows[] = {
		{.name = "qdrant", .state = "up", .endpoint = "h:1", .version = "1", .latency_ms = 1.5, .error = ""},
		{.name = "neo4j", .state = "down", .latency_ms = -1, .error = "wrong password", .report = ""},
	};
	struct reply_number numbers[] = {{"sagas", 3}, {"debts", 0}};
	struct document_limits limits = document_limits_default();
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_stores(&out, "1", rows, 2, CODE_NONE);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/stores/1/error"), "wrong password");
	assert_null(yyjson_doc_ptr_get(doc, "/result/stores/1/latency_ms"));
	yyjson_doc_free(doc);
	reply_stores(&out, "1", rows, 2, CODE_STORE_MISCONFIGURED);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/error/data/stores/0/name"), "qdrant");
	assert_string_equal(text_at(doc, "/error/message"), "wrong password");
	yyjson_doc_free(doc);
	reply_numbers(&out, "1", numbers, 2);
	doc = read_back(&out);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/sagas")), 3);
	yyjson_doc_free(doc);
	reply_hello(&out, "1", "0.1.0", &limits, 999);
	doc = read_back(&out);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/protocol")), PROTOCOL_VERSION);
	assert_int_equal(yyjson_get_uint(yyjson_doc_ptr_get(doc, "/result/limits/max_line_bytes")), 999);
	yyjson_doc_free(doc);
}

/* Who was beaten by another writer wants that one's version; who asks twice, that it is the first answer. */
static void a_stored_conflict_has_the_present_version(void **state)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED,
				  .code = CODE_CONFLICT,
				  .has_previous = true,
				  .previous = older,
				  .is_stored = true};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_outcome(&out, "1", str_of("a"), &outcome);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/error/data/code"), "conflict");
	assert_string_equal(text_at(doc, "/error/data/current_version"), "01020200-0000-0000-0000-000000000000");
	assert_true(yyjson_is_true(yyjson_doc_ptr_get(doc, "/error/data/stored")));
	assert_false(is_at(doc, "/error/data/saga_id")); /* none was begun */
	yyjson_doc_free(doc);
}

static void a_fault_without_a_place_has_none(void **state)
{
	struct request_fault fault = {CODE_PARSE_ERROR, "null", false, "", "", {"not JSON"}};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_fault(&out, &fault);
	doc = read_back(&out);
	assert_true(yyjson_is_null(yyjson_doc_ptr_get(doc, "/id")));
	assert_false(is_at(doc, "/error/data/path") || is_at(doc, "/error/data/document_id"));
	yyjson_doc_free(doc);
}

static void a_deleted_document_has_its_last_version(void **state)
{
	struct document_status status = {.presence = PRESENCE_DELETED, .version = saga, .updated_unix_ms = 9};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_status(&out, "1", str_of("a"), &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/presence"), "deleted");
	assert_string_equal(text_at(doc, "/result/version"), "01020300-0000-0000-0000-000000000000");
	assert_int_equal(number_at(doc, "/result/updated_unix_ms"), 9);
	assert_false(is_at(doc, "/result/in_flight"));
	yyjson_doc_free(doc);
}

static void each_state_of_a_job_has_what_is_known(void **state)
{
	struct job_status status = {.state = JOB_IS_UNKNOWN, .job = saga, .saga = older};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_job(&out, "1", &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/state"), "unknown");
	assert_false(is_at(doc, "/result/saga_id") || is_at(doc, "/result/attempts") || is_at(doc, "/result/code"));
	yyjson_doc_free(doc);
	status.state = JOB_IS_DONE;
	reply_job(&out, "1", &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/state"), "done");
	assert_string_equal(text_at(doc, "/result/saga_id"), "01020200-0000-0000-0000-000000000000");
	yyjson_doc_free(doc);
	status = (struct job_status){.state = JOB_IS_WAITING, .job = saga, .last_error = "refused"};
	reply_job(&out, "1", &status);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/state"), "waiting");
	assert_string_equal(text_at(doc, "/result/last_error"), "refused");
	yyjson_doc_free(doc);
}

/* Advice of 0 ms would be read as "at once"; without advice there is none. */
static void a_refusal_may_say_when_to_come_back(void **state)
{
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_refusal(&out, "1", CODE_OVERLOADED, "full", 250);
	doc = read_back(&out);
	assert_int_equal(number_at(doc, "/error/data/retry_after_ms"), 250);
	yyjson_doc_free(doc);
	reply_error(&out, "1", CODE_OVERLOADED, "full");
	doc = read_back(&out);
	assert_false(is_at(doc, "/error/data/retry_after_ms"));
	yyjson_doc_free(doc);
}

static void reports_of_an_init_are_told(void **state)
{
	struct reply_store rows[] = {{.name = "qdrant", .state = "created", .latency_ms = -1, .report = "a collection"},
				     {.name = "redis", .state = "ok", .latency_ms = -1, .error = ""}};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_stores(&out, "1", rows, 2, CODE_SCHEMA_MISMATCH);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/error/message"),
			    "schema_mismatch"); /* no row has an error: the code's name */
	assert_string_equal(text_at(doc, "/error/data/stores/0/report"), "a collection");
	assert_false(is_at(doc, "/error/data/stores/1/report"));
	yyjson_doc_free(doc);
}

static void settings_reloads_and_levels_are_told(void **state)
{
	static const char *const changed[] = {"log.level", "sagas.max_steps"};
	struct reply_setting rows[] = {{"log", "level", str_of("info"), str_of("a \"file\""), true},
				       {"qdrant", "url", str_of("http://\xff"), str_of("default"), false}};
	struct buf out = {0};
	yyjson_doc *doc;

	(void)state;
	reply_settings(&out, "1", rows, 2);
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/settings/0/section"), "log");
	assert_string_equal(text_at(doc, "/result/settings/0/key"), "level");
	assert_string_equal(text_at(doc, "/result/settings/0/origin"), "a \"file\"");
	assert_true(yyjson_is_true(yyjson_doc_ptr_get(doc, "/result/settings/0/reloadable")));
	assert_string_equal(text_at(doc, "/result/settings/1/value"), "http://?");
	assert_true(yyjson_is_false(yyjson_doc_ptr_get(doc, "/result/settings/1/reloadable")));
	yyjson_doc_free(doc);
	reply_reload(&out, "1", (struct reply_keys){changed, 2}, (struct reply_keys){NULL, 0});
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/changed/1"), "sagas.max_steps");
	assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/result/changed")), 2);
	assert_true(yyjson_is_arr(yyjson_doc_ptr_get(doc, "/result/needs_restart")));
	assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(doc, "/result/needs_restart")), 0);
	yyjson_doc_free(doc);
	reply_log_level(&out, "1", "debug", "info");
	doc = read_back(&out);
	assert_string_equal(text_at(doc, "/result/level"), "debug");
	assert_string_equal(text_at(doc, "/result/previous"), "info");
	yyjson_doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_is_told),
		cmocka_unit_test(a_failure_is_told),
		cmocka_unit_test(what_a_store_said_cannot_break_an_answer),
		cmocka_unit_test(every_outcome_and_code_prints),
		cmocka_unit_test(an_accepted_job_has_its_name),
		cmocka_unit_test(a_fault_has_its_path),
		cmocka_unit_test(a_status_is_told),
		cmocka_unit_test(a_job_is_told),
		cmocka_unit_test(stores_numbers_and_limits_are_told),
		cmocka_unit_test(a_stored_conflict_has_the_present_version),
		cmocka_unit_test(a_fault_without_a_place_has_none),
		cmocka_unit_test(a_deleted_document_has_its_last_version),
		cmocka_unit_test(each_state_of_a_job_has_what_is_known),
		cmocka_unit_test(a_refusal_may_say_when_to_come_back),
		cmocka_unit_test(reports_of_an_init_are_told),
		cmocka_unit_test(settings_reloads_and_levels_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
