/* saga.list, saga.get, saga.retry, saga.resolve: what is taken, what is refused, how rows are printed. */
#include "parse.h"

#define CALL(method, params) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"saga." method "\",\"params\":{" params "}}"
#define ID                   "018bcfe5-6800-7000-8000-0000000000aa"

static struct uuid the_id(void)
{
	struct uuid id;

	assert_true(uuid_parse(str_of(ID), &id));
	return id;
}

static void a_list_without_fields_asks_for_what_is_open(void **state)
{
	struct request *request = parse_good("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"saga.list\"}");

	(void)state;
	assert_int_equal(request->work.states, 0);
	assert_int_equal(request->work.limit, WORK_LIMIT_DEFAULT);
	assert_null(request->work.store.at);
	assert_false(method_is_administrative(request->method)); /* a client sees its own */
	request_destroy(request);
}

static void a_list_takes_each_field(void **state)
{
	struct uuid id = the_id();
	struct request *request = parse_good(CALL("list", "\"state\":\"parked\",\"store\":\"neo4j\",\"older_than_ms\":"
							  "5,\"limit\":7,\"page\":\"" ID ".513\""));

	(void)state;
	assert_int_equal(request->work.states, 1u << WORK_PARKED);
	assert_true(str_is_equal(request->work.store, str_of("neo4j")));
	assert_int_equal(request->work.older_than_ms, 5);
	assert_int_equal(request->work.limit, 7);
	assert_int_equal(uuid_compare(&request->work.after.id, &id), 0);
	assert_int_equal(request->work.after.part, 513);
	request_destroy(request);
	refuse(CALL("list", "\"state\":\"dead\""), CODE_INVALID_FIELD, "state", "parked");
	refuse(CALL("list", "\"limit\":0"), CODE_INVALID_FIELD, "limit", "1000");
	refuse(CALL("list", "\"page\":\"" ID "\""), CODE_INVALID_FIELD, "page", "next");
	refuse(CALL("list", "\"page\":\"" ID ".x\""), CODE_INVALID_FIELD, "page", "next");
	refuse(CALL("list", "\"page\":\"" ID ".99999999999\""), CODE_INVALID_FIELD, "page", "next");
	refuse(CALL("list", "\"stat\":\"parked\""), CODE_UNKNOWN_FIELD, "", "state");
}

static void every_state_has_a_name_that_is_taken(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORK_STATES; i++) {
		char line[200];
		struct request *request;

		(void)snprintf(line, sizeof(line), CALL("list", "\"state\":\"%s\""),
			       work_state_name((enum work_state)i));
		request = parse_good(line);
		assert_int_equal(request->work.states, 1u << i);
		request_destroy(request);
	}
}

static void a_retry_says_what(void **state)
{
	struct uuid id = the_id();
	struct request *request = parse_good(CALL("retry", "\"id\":\"" ID "\",\"store\":\"redis\""));

	(void)state;
	assert_true(request->order.has_id && uuid_compare(&request->order.id, &id) == 0);
	assert_true(str_is_equal(request->order.store, str_of("redis")));
	request_destroy(request);
	request = parse_good(CALL("retry", "\"all\":true"));
	assert_true(request->order.is_all);
	request_destroy(request);
	refuse(CALL("retry", ""), CODE_MISSING_FIELD, "", "saga.retry wants");
	refuse(CALL("retry", "\"all\":false"), CODE_MISSING_FIELD, "", "saga.retry wants");
	refuse(CALL("retry", "\"all\":true,\"id\":\"" ID "\""), CODE_INVALID_FIELD, "", "not both");
	refuse(CALL("retry", "\"id\":\"x\""), CODE_INVALID_FIELD, "id", "UUID");
}

static void a_resolution_needs_an_id_and_a_reason(void **state)
{
	struct request *request = parse_good(CALL("resolve", "\"id\":\"" ID "\",\"reason\":\"it is gone\""));

	(void)state;
	assert_true(request->order.has_id);
	assert_true(str_is_equal(request->order.reason, str_of("it is gone")));
	request_destroy(request);
	refuse(CALL("resolve", "\"id\":\"" ID "\""), CODE_MISSING_FIELD, "reason", "");
	refuse(CALL("resolve", "\"id\":\"" ID "\",\"reason\":\"\""), CODE_INVALID_FIELD, "reason", "");
	refuse(CALL("resolve", "\"reason\":\"x\""), CODE_MISSING_FIELD, "id", "must be given");
	refuse(CALL("get", ""), CODE_MISSING_FIELD, "id", "must be given");
}

static void a_page_has_a_name_that_is_taken_back(void **state)
{
	struct work_place place = {.id = the_id(), .part = UINT32_MAX};
	char name[WORK_PAGE_BYTES], line[200];
	struct request *request;

	(void)state;
	work_page_name(&place, name);
	(void)snprintf(line, sizeof(line), CALL("list", "\"page\":\"%s\""), name);
	request = parse_good(line);
	assert_int_equal(request->work.after.part, UINT32_MAX);
	assert_int_equal(uuid_compare(&request->work.after.id, &place.id), 0);
	request_destroy(request);
}

static void rows_are_printed_with_what_is_known(void **state)
{
	struct work_row row = {
		.id = the_id(),
		.kind = WORK_BACKGROUND,
		.state = WORK_PARKED,
		.op = "remove",
		.step = "backing_off",
		.document_id = str_of("a \"document\"\xff"),
		.store = "qdrant",
		.since_unix_ms = 1000,
		.n_tries = 3,
		.next_try_ms = 5,
		.error = "refused",
		.reason = "",
	};
	struct reply_work work;
	struct buf out = {0};

	(void)state;
	reply_work_begin(&work, "1", "sagas");
	reply_work_row(&work, &row, 1500);
	row.store = NULL;
	row.next_try_ms = -1;
	row.error = "";
	reply_work_row(&work, &row, 500); /* the clock went back */
	reply_work_number(&work, "counts", "parked", 2);
	reply_work_text(&work, NULL, "next", "x");
	reply_work_end(&work, &out);
	assert_false(out.failed);
	buf_append(&out, "", 1);
	assert_string_equal(
		out.at,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"sagas\":["
		"{\"id\":\"" ID
		"\",\"kind\":\"background\",\"state\":\"parked\",\"op\":\"remove\",\"step\":\"backing_off\","
		"\"document_id\":\"a \\\"document\\\"?\",\"store\":\"qdrant\",\"since_unix_ms\":1000,\"age_ms\":500,"
		"\"tries\":3,\"next_try_ms\":5,\"error\":\"refused\"},"
		"{\"id\":\"" ID
		"\",\"kind\":\"background\",\"state\":\"parked\",\"op\":\"remove\",\"step\":\"backing_off\","
		"\"document_id\":\"a \\\"document\\\"?\",\"since_unix_ms\":1000,\"age_ms\":0,\"tries\":3}],"
		"\"counts\":{\"parked\":2},\"next\":\"x\"}}\n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_without_fields_asks_for_what_is_open),
		cmocka_unit_test(a_list_takes_each_field),
		cmocka_unit_test(every_state_has_a_name_that_is_taken),
		cmocka_unit_test(a_retry_says_what),
		cmocka_unit_test(a_resolution_needs_an_id_and_a_reason),
		cmocka_unit_test(a_page_has_a_name_that_is_taken_back),
		cmocka_unit_test(rows_are_printed_with_what_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
