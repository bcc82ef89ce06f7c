/* saga.list, saga.get, saga.cancel, saga.retry, saga.resolve: what is taken, what is refused, how rows are printed. */
#include "read_back.h"

#define CALL(method, params) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"saga." method "\",\"params\":{" params "}}"
#define ID                   "018bcfe5-6800-7000-8000-0000000000aa"
#define SIXTY_FOUR           "0123456789012345678901234567890123456789012345678901234567890123"

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

/* A saga that a client wrote waits at its steps: `step` names one of them, and so goes with that saga's id only. */
static void an_order_may_name_a_step(void **state)
{
	struct request *request = parse_good(CALL("retry", "\"id\":\"" ID "\",\"step\":\"charge\""));

	(void)state;
	assert_true(request->order.has_id && request->order.store.at == NULL);
	assert_string_equal(request->order.step.at, "charge");
	request_destroy(request);
	request = parse_good(
		CALL("resolve", "\"id\":\"" ID "\",\"step\":\"charge\",\"store\":\"redis\",\"reason\":\"r\""));
	assert_string_equal(request->order.step.at, "charge");
	assert_string_equal(request->order.store.at, "redis");
	assert_string_equal(request->order.reason.at, "r");
	request_destroy(request);
	request = parse_good(CALL("retry", "\"id\":\"" ID "\",\"step\":null"));
	assert_null(request->order.step.at);
	request_destroy(request);
	refuse(CALL("retry", "\"store\":\"redis\",\"step\":\"charge\""), CODE_INVALID_FIELD, "step",
	       "`id` of its saga");
	refuse(CALL("retry", "\"all\":true,\"step\":\"charge\""), CODE_INVALID_FIELD, "step", "`id` of its saga");
	refuse(CALL("retry", "\"id\":\"" ID "\",\"step\":7"), CODE_INVALID_FIELD, "step", "string");
	refuse(CALL("retry", "\"id\":\"" ID "\",\"step\":\"" SIXTY_FOUR "\""), CODE_LIMIT_EXCEEDED, "step", "63");
	refuse(CALL("resolve", "\"id\":\"" ID "\",\"step\":[],\"reason\":\"r\""), CODE_INVALID_FIELD, "step", "string");
}

static void orders_are_checked(void **state)
{
	(void)state;
	refuse(CALL("retry", "\"al\":true"), CODE_UNKNOWN_FIELD, "", "'all'");
	refuse(CALL("retry", "\"all\":1"), CODE_INVALID_FIELD, "all", "true or false");
	refuse(CALL("retry", "\"store\":7"), CODE_INVALID_FIELD, "store", "string");
	refuse(CALL("retry", "\"all\":true,\"store\":\"redis\""), CODE_INVALID_FIELD, "", "not both");
	refuse(CALL("resolve", "\"why\":\"r\""), CODE_UNKNOWN_FIELD, "", "saga.resolve has no field 'why'");
	refuse(CALL("resolve", "\"id\":7,\"reason\":\"r\""), CODE_INVALID_FIELD, "id", "string");
	refuse(CALL("resolve", "\"id\":\"" ID "\",\"store\":7,\"reason\":\"r\""), CODE_INVALID_FIELD, "store",
	       "string");
	refuse(CALL("list", "\"store\":7"), CODE_INVALID_FIELD, "store", "string");
	refuse(CALL("list", "\"older_than_ms\":-1"), CODE_INVALID_FIELD, "older_than_ms", "whole number");
	refuse(CALL("list", "\"state\":7"), CODE_INVALID_FIELD, "state", "parked");
}

static void one_saga_is_asked_for_or_cancelled_by_its_id(void **state)
{
	static const char *const methods[] = {"get", "cancel"};
	struct uuid id = the_id();
	char line[200], part[60];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct request *request;

		(void)snprintf(line, sizeof(line), CALL("%s", "\"id\":\"" ID "\""), methods[i]);
		request = parse_good(line);
		assert_string_equal(method_name(request->method) + 5, methods[i]);
		assert_false(method_is_administrative(request->method)); /* a client may do it to its own */
		assert_true(request->work.has_id && uuid_compare(&request->work.id, &id) == 0);
		assert_int_equal(request->work.states, UINT32_MAX); /* however it stands */
		request_destroy(request);
		(void)snprintf(line, sizeof(line), CALL("%s", "\"id\":null"), methods[i]);
		refuse(line, CODE_MISSING_FIELD, "id", "must be given");
		(void)snprintf(line, sizeof(line), CALL("%s", "\"id\":\"x\""), methods[i]);
		refuse(line, CODE_INVALID_FIELD, "id", "UUID");
		(void)snprintf(line, sizeof(line), CALL("%s", "\"step\":\"x\""), methods[i]);
		(void)snprintf(part, sizeof(part), "saga.%s has no field 'step'", methods[i]);
		refuse(line, CODE_UNKNOWN_FIELD, "", part);
		(void)snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"saga.%s\"}", methods[i]);
		refuse(line, CODE_MISSING_FIELD, "params", "must be an object");
	}
}

static void a_page_that_no_answer_named_is_refused(void **state)
{
	static const char *const pages[] = {"",
					    ".1",
					    ID "x1",
					    ID ".",
					    ID ".-1",
					    ID ".+1",
					    ID ". 1",
					    ID ".:",
					    ID ".1x",
					    ID ".4294967296",
					    "018bcfe5-6800-7000-8000-0000000000zz.1"};
	char line[250];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		(void)snprintf(line, sizeof(line), CALL("list", "\"page\":\"%s\""), pages[i]);
		refuse(line, CODE_INVALID_FIELD, "page", "`next`");
	}
	refuse(CALL("list", "\"page\":7"), CODE_INVALID_FIELD, "page", "string");
	request_destroy(parse_good(CALL("list", "\"page\":null,\"state\":null")));
}

static void rows_of_each_kind_are_printed(void **state)
{
	static const char *const kinds[] = {"document", "job", "background", "steps"};
	struct work_row row = {.op = "run", .step = "", .next_try_ms = -1, .error = "", .reason = "by hand", .uid = 7};
	struct reply_ended ended = {.state = "committed", .code = "", .error = "", .uid = 8, .began_unix_ms = 5};
	struct reply_work work;
	struct buf out = {0};
	char pointer[60];
	yyjson_doc *doc;

	(void)state;
	reply_work_begin(&work, "1", "sagas");
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		row.kind = (enum work_kind)i;
		row.state = row.kind == WORK_JOB ? WORK_RESOLVED : WORK_RUNNING;
		reply_work_row(&work, &row, 0);
	}
	reply_work_ended(&work, &ended);
	ended = (struct reply_ended){
		.state = "compensated", .code = "cancelled", .error = "by its client", .ended_unix_ms = 9};
	reply_work_ended(&work, &ended);
	reply_work_text(&work, "more", "text", "x");
	reply_work_number(&work, "more", "number", 2);
	reply_work_end(&work, &out);
	doc = read_back(&out);
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		(void)snprintf(pointer, sizeof(pointer), "/result/sagas/%u/kind", i);
		assert_string_equal(text_at(doc, pointer), kinds[i]);
		(void)snprintf(pointer, sizeof(pointer), "/result/sagas/%u/step", i);
		assert_false(is_at(doc, pointer));
		(void)snprintf(pointer, sizeof(pointer), "/result/sagas/%u/document_id", i);
		assert_true(is_at(doc, pointer) == (i != WORK_STEPS)); /* a saga that a client wrote is no document's */
	}
	assert_string_equal(text_at(doc, "/result/sagas/1/reason"), "by hand");
	assert_int_equal(number_at(doc, "/result/sagas/1/uid"), 7);
	assert_false(is_at(doc, "/result/sagas/0/uid"));
	assert_int_equal(number_at(doc, "/result/sagas/3/uid"), 7);
	assert_string_equal(text_at(doc, "/result/sagas/4/kind"), "steps");
	assert_string_equal(text_at(doc, "/result/sagas/4/state"), "committed");
	assert_int_equal(number_at(doc, "/result/sagas/4/uid"), 8);
	assert_int_equal(number_at(doc, "/result/sagas/4/since_unix_ms"), 5);
	assert_false(is_at(doc, "/result/sagas/4/code") || is_at(doc, "/result/sagas/4/error"));
	assert_string_equal(text_at(doc, "/result/sagas/5/code"), "cancelled");
	assert_string_equal(text_at(doc, "/result/sagas/5/error"), "by its client");
	assert_int_equal(number_at(doc, "/result/sagas/5/ended_unix_ms"), 9);
	assert_string_equal(text_at(doc, "/result/more/text"), "x");
	assert_int_equal(number_at(doc, "/result/more/number"), 2);
	yyjson_doc_free(doc);
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
		cmocka_unit_test(an_order_may_name_a_step),
		cmocka_unit_test(orders_are_checked),
		cmocka_unit_test(one_saga_is_asked_for_or_cancelled_by_its_id),
		cmocka_unit_test(a_page_that_no_answer_named_is_refused),
		cmocka_unit_test(rows_of_each_kind_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
