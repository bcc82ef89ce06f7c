/* The envelope and the options. */
#include "parse.h"

static void ids_come_back_as_they_were(void **state)
{
	static const char *const ids[] = {"1",   "\"a\\\"b\"", "null", "-5", "1.5", "123456789012345678901234567890",
					  "\"\""};
	char line[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct request *request;

		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"sagad.hello\"}", ids[i]);
		request = parse_good(line);
		assert_string_equal(request->id_json, ids[i]);
		assert_false(request->is_notification);
		request_destroy(request);
	}
}

static void a_message_without_id_is_a_notification(void **state)
{
	struct request *request = parse_good("{\"jsonrpc\":\"2.0\",\"method\":\"sagad.hello\"}");
	struct document_limits limits = document_limits_default();
	struct request_fault fault;
	struct buf out = {0};

	(void)state;
	assert_true(request->is_notification);
	request_destroy(request);
	assert_int_equal(parse_bytes("{\"method\":1}", 12, &limits, &request, &fault), -EINVAL);
	assert_true(fault.is_notification);
	reply_fault(&out, &fault);
	assert_int_equal(out.len, 0);
}

static void envelopes_are_checked(void **state)
{
	char long_id[300];

	(void)state;
	refuse("", CODE_PARSE_ERROR, "", "empty");
	refuse("{\"jsonrpc\":\"2.0\",", CODE_PARSE_ERROR, "", "byte 17 of 17");
	refuse("{\"a\":1}x", CODE_PARSE_ERROR, "", "byte 7");
	refuse("[]", CODE_INVALID_REQUEST, "", "batches");
	refuse("3", CODE_INVALID_REQUEST, "", "a number");
	refuse("{\"id\":1,\"method\":\"sagad.hello\"}", CODE_INVALID_REQUEST, "jsonrpc", "2.0");
	refuse("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"sagad.hello\"}", CODE_INVALID_REQUEST, "jsonrpc", "2.0");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"sagad.hello\"}", CODE_INVALID_REQUEST, "id", "string");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":NaN,\"method\":\"sagad.hello\"}", CODE_INVALID_REQUEST, "id", "string");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1}", CODE_INVALID_REQUEST, "method", "must be given");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", CODE_INVALID_REQUEST, "method", "string");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.putt\"}", CODE_UNKNOWN_METHOD, "",
	       "did you mean 'document.put'");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"fly.away.now\"}", CODE_UNKNOWN_METHOD, "", "fly.away.now");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"methud\":\"sagad.hello\"}", CODE_UNKNOWN_FIELD, "", "'method'");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"sagad.hello\"}", CODE_INVALID_FIELD, "id", "twice");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.put\"}", CODE_MISSING_FIELD, "params",
	       "document.put");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.put\",\"params\":[]}", CODE_INVALID_FIELD, "params",
	       "object");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sagad.hello\",\"params\":{\"x\":1}}", CODE_UNKNOWN_FIELD, "",
	       "no fields");
	snprintf(long_id, sizeof(long_id), "{\"jsonrpc\":\"2.0\",\"method\":\"sagad.hello\",\"id\":\"%0150d\"}", 0);
	refuse(long_id, CODE_INVALID_REQUEST, "id", "128");
}

static void text_that_is_no_utf8_is_refused(void **state)
{
	struct document_limits limits = document_limits_default();
	static const char nul[] = PUT("\"id\":\"a\0b\"");

	(void)state;
	refuse(PUT("\"id\":\"\xff\""), CODE_PARSE_ERROR, "", "byte");
	refuse(PUT("\"id\":\"\xc0\xaf\""), CODE_PARSE_ERROR, "", "byte");
	refuse(PUT("\"id\":\"\xed\xa0\x80\""), CODE_PARSE_ERROR, "", "byte");
	refuse(PUT("\"id\":\"\\ud800\""), CODE_PARSE_ERROR, "", "surrogate");
	refuse(PUT("\"id\":\"\\udc00\\ud800\""), CODE_PARSE_ERROR, "", "surrogate");
	refuse_bytes(nul, sizeof(nul) - 1, &limits, CODE_PARSE_ERROR, "", "byte");
}

static void a_refusal_names_the_document(void **state)
{
	static const char line[] = PUT("\"titel\":1,\"id\":\"doc-1\"");
	struct document_limits limits = document_limits_default();
	struct request *request;
	struct request_fault fault;

	(void)state;
	assert_int_equal(parse_bytes(line, strlen(line), &limits, &request, &fault), -EINVAL);
	assert_string_equal(fault.document_id, "doc-1");
	assert_string_equal(fault.id_json, "7");
}

static void options_are_read(void **state)
{
	struct request *request = parse_good(
		PUT("\"id\":\"a\",\"idempotency_key\":\"k\",\"if_version\":\"0192f0c4-7d1b-7a52-8f4e-3f6f0c3f1a11\","
		    "\"on_unchanged\":\"write\",\"deadline_ms\":1500,\"wait\":\"accepted\",\"cache_ttl_s\":60"));

	(void)state;
	assert_int_equal(request->method, METHOD_DOCUMENT_PUT);
	assert_string_equal(request->options.idempotency_key.at, "k");
	assert_true(request->options.has_if_version);
	assert_false(request->options.if_absent);
	assert_int_equal(request->options.if_version.bytes[0], 1);
	assert_true(request->options.write_unchanged);
	assert_int_equal(request->options.deadline_ms, 1500);
	assert_int_equal(request->options.wait, WAIT_ACCEPTED);
	assert_true(request->options.has_cache_ttl);
	assert_int_equal(request->options.cache_ttl_s, 60);
	assert_true(str_is_equal(request->params_json, request->document->job_json));
	request_destroy(request);
}

static void options_have_defaults(void **state)
{
	struct request *request = parse_good(PUT("\"id\":\"a\",\"if_version\":null,\"deadline_ms\":null"));

	(void)state;
	assert_null(request->options.idempotency_key.at);
	assert_true(request->options.if_absent);
	assert_false(request->options.has_if_version);
	assert_false(request->options.write_unchanged);
	assert_int_equal(request->options.deadline_ms, 0);
	assert_int_equal(request->options.wait, WAIT_COMMITTED);
	assert_false(request->options.has_cache_ttl);
	assert_null(request->params_json.at);
	request_destroy(request);
}

static void options_are_checked(void **state)
{
	(void)state;
	refuse(PUT("\"id\":\"a\",\"idempotency_key\":\"\""), CODE_INVALID_FIELD, "idempotency_key", "empty");
	refuse(PUT("\"id\":\"a\",\"idempotency_key\":\"k\\u0000\""), CODE_INVALID_FIELD, "idempotency_key", "NUL");
	refuse(PUT("\"id\":\"a\",\"if_version\":\"7\""), CODE_INVALID_FIELD, "if_version", "UUID");
	refuse(PUT("\"id\":\"a\",\"if_version\":7"), CODE_INVALID_FIELD, "if_version", "UUID");
	refuse(PUT("\"id\":\"a\",\"deadline_ms\":0"), CODE_INVALID_FIELD, "deadline_ms", "1 to 86400000");
	refuse(PUT("\"id\":\"a\",\"deadline_ms\":-1"), CODE_INVALID_FIELD, "deadline_ms", "whole number");
	refuse(PUT("\"id\":\"a\",\"deadline_ms\":1.5"), CODE_INVALID_FIELD, "deadline_ms", "whole number");
	refuse(PUT("\"id\":\"a\",\"deadline_ms\":NaN"), CODE_INVALID_FIELD, "deadline_ms", "whole number");
	refuse(PUT("\"id\":\"a\",\"deadline_ms\":\"1\""), CODE_INVALID_FIELD, "deadline_ms", "a string");
	refuse(PUT("\"id\":\"a\",\"wait\":\"soon\""), CODE_INVALID_FIELD, "wait", "\"accepted\"");
	refuse(PUT("\"id\":\"a\",\"on_unchanged\":true"), CODE_INVALID_FIELD, "on_unchanged", "\"skip\"");
	refuse(PUT("\"id\":\"a\",\"cache_ttl_s\":31536001"), CODE_INVALID_FIELD, "cache_ttl_s", "31536000");
}

static void deletes_are_read(void **state)
{
	struct request *request = parse_good("{\"method\":\"document.delete\", \"params\" : {\"id\":\"a\\nb\", "
					     "\"wait\":\"accepted\"} , \"jsonrpc\":\"2.0\",\"id\":1}");

	(void)state;
	assert_int_equal(request->method, METHOD_DOCUMENT_DELETE);
	assert_string_equal(request->document_id.at, "a\nb");
	assert_string_equal(request->params_json.at, "{\"id\":\"a\\nb\", \"wait\":\"accepted\"}");
	request_destroy(request);
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.delete\",\"params\":{\"id\":\"a\",\"cache_ttl_s\":"
	       "1}}",
	       CODE_UNKNOWN_FIELD, "", "cache_ttl_s");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.delete\",\"params\":{}}", CODE_MISSING_FIELD, "id",
	       "must be given");
}

static void status_takes_a_document_or_a_job(void **state)
{
	struct request *request = parse_good("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.status\",\"params\":"
					     "{\"job\":\"0192f0c4-7d1b-7a52-8f4e-3f6f0c3f1a11\"}}");

	(void)state;
	assert_true(request->has_job);
	assert_null(request->document_id.at);
	request_destroy(request);
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.status\",\"params\":{\"job\":\"x\"}}",
	       CODE_INVALID_FIELD, "job", "UUID");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.status\",\"params\":{\"job\":\"x\",\"id\":\"y\"}}",
	       CODE_INVALID_FIELD, "", "not both");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.status\",\"params\":{}}", CODE_MISSING_FIELD, "id",
	       "");
}

static void init_is_read(void **state)
{
	struct request *request = parse_good(
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"store.init\",\"params\":{\"dims\":384,\"distance\":\"dot\","
		"\"hnsw_m\":16,\"hnsw_ef_construct\":100,\"on_disk\":false,\"quantize_int8\":true,\"ann_index\":true,"
		"\"check_only\":true}}");

	(void)state;
	assert_int_equal(request->init.dims, 384);
	assert_string_equal(request->init.distance, "dot");
	assert_int_equal(request->init.hnsw_m, 16);
	assert_int_equal(request->init.hnsw_ef_construct, 100);
	assert_true(request->init.has_on_disk && !request->init.on_disk);
	assert_true(request->init.has_quantize_int8 && request->init.quantize_int8);
	assert_true(request->init.ann_index && request->init.check_only);
	request_destroy(request);
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"store.init\",\"params\":{\"distance\":\"far\"}}",
	       CODE_INVALID_FIELD, "distance", "cosine");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"store.init\",\"params\":{\"on_disk\":1}}",
	       CODE_INVALID_FIELD, "on_disk", "true or false");
}

static void a_journalled_job_is_parsed_again(void **state)
{
	struct request *first =
		parse_good("{\"jsonrpc\":\"2.0\",\"params\":{\"id\":\"a\",\"chunks\":[{\"text\":\"}\",\"embedding\":"
			   "[ 1.50,2 ]}],\"wait\":\"accepted\"},\"id\":1,\"method\":\"document.put\"}");
	struct document_limits limits = document_limits_default();
	struct request *again;
	struct request_fault fault;

	(void)state;
	assert_int_equal(request_parse_job(first->params_json, false, &limits, &again, &fault), 0);
	assert_memory_equal(first->document->content_hash, again->document->content_hash, DIGEST_BYTES);
	assert_string_equal(again->document->job_json.at, first->document->job_json.at);
	assert_memory_equal(again->document->chunks[0].embedding_json.at, "[ 1.50,2 ]", 10);
	assert_true(again->is_notification);
	request_destroy(again);
	request_destroy(first);
	assert_int_equal(request_parse_job(str_of("{\"id\":\"x\"}"), true, &limits, &again, &fault), 0);
	assert_string_equal(again->document_id.at, "x");
	request_destroy(again);
	assert_int_equal(request_parse_job(str_of("7"), false, &limits, &again, &fault), -EINVAL);
}

static void methods_say_who_may_call_them(void **state)
{
	(void)state;
	assert_string_equal(method_name(METHOD_DOCUMENT_PUT), "document.put");
	assert_true(method_is_administrative(METHOD_STORE_INIT));
	assert_false(method_is_administrative(METHOD_DOCUMENT_STATUS));
}

#define RUN(x) "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"saga.run\",\"params\":" x "}"

/* Its steps are read by flow_spec_parse(), once it is known that the client may run sagas at all. */
static void a_saga_to_run_is_kept_as_it_came(void **state)
{
	struct request *request = parse_good(RUN(" {\"steps\" : [\"}\"] ,\"no\\u0070e\":1}\t\r"));

	(void)state;
	assert_int_equal(request->method, METHOD_SAGA_RUN);
	assert_string_equal(request->params_json.at, "{\"steps\" : [\"}\"] ,\"no\\u0070e\":1}");
	assert_false(method_is_administrative(METHOD_SAGA_RUN));
	request_destroy(request);
	request = parse_good("{\"params\":{} \t\r,\"id\":1,\"method\":\"saga.run\",\"jsonrpc\":\"2.0\"}");
	assert_string_equal(request->params_json.at, "{}");
	request_destroy(request);
	refuse(RUN("[]"), CODE_INVALID_FIELD, "params", "saga.run");
	refuse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"saga.run\"}", CODE_MISSING_FIELD, "params", "saga.run");
}

/* One method's name and no params: refused where there is something that must be said, taken elsewhere. */
static void methods_that_need_params_say_so(void **state)
{
	static const bool needs[METHOD_COUNT] = {
		[METHOD_DOCUMENT_PUT] = true, [METHOD_DOCUMENT_DELETE] = true, [METHOD_DOCUMENT_STATUS] = true,
		[METHOD_SAGA_RUN] = true,     [METHOD_SAGA_CANCEL] = true,     [METHOD_SAGA_GET] = true,
		[METHOD_SAGA_RETRY] = true,   [METHOD_SAGA_RESOLVE] = true,    [METHOD_LOG_LEVEL] = true,
	};
	char line[100];

	(void)state;
	for (unsigned i = 0; i < METHOD_COUNT; i++) {
		const char *name = method_name((enum method)i);

		(void)snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}", name);
		if (needs[i]) {
			refuse(line, CODE_MISSING_FIELD, "params", name);
		} else {
			struct request *request = parse_good(line);

			assert_int_equal(request->method, i);
			request_destroy(request);
		}
	}
}

static void methods_without_fields_take_an_empty_object(void **state)
{
	static const enum method bare[] = {METHOD_HELLO,  METHOD_STORE_LIST, METHOD_STATS,
					   METHOD_CONFIG, METHOD_RELOAD,     METHOD_DRAIN};
	char line[120], part[60];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bare); i++) {
		const char *name = method_name(bare[i]);

		(void)snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{}}",
			       name);
		request_destroy(parse_good(line));
		(void)snprintf(line, sizeof(line),
			       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"x\":1}}", name);
		(void)snprintf(part, sizeof(part), "%s has no fields", name);
		refuse(line, CODE_UNKNOWN_FIELD, "", part);
	}
}

#define LEVEL(x) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sagad.log_level\",\"params\":{" x "}}"

static void a_log_level_is_read(void **state)
{
	char line[120];

	(void)state;
	for (enum log_level level = LOG_DEBUG_LEVEL; level <= LOG_ERROR_LEVEL; level++) {
		struct request *request;

		(void)snprintf(line, sizeof(line), LEVEL("\"level\":\"%s\""), log_level_name(level));
		request = parse_good(line);
		assert_int_equal(request->log_level, level);
		request_destroy(request);
	}
	refuse(LEVEL("\"level\":\"loud\""), CODE_INVALID_FIELD, "level", "debug, info, warn or error");
	refuse(LEVEL("\"level\":1"), CODE_INVALID_FIELD, "level", "debug");
	refuse(LEVEL(""), CODE_MISSING_FIELD, "level", "must be given");
	refuse(LEVEL("\"levl\":\"info\""), CODE_UNKNOWN_FIELD, "", "'level'");
}

#define INIT(x) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"store.init\",\"params\":{" x "}}"

static void inits_are_checked(void **state)
{
	static const char *const distances[] = {"cosine", "dot", "euclid", "manhattan"};
	struct request *request = parse_good("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"store.init\"}");
	char line[120];

	(void)state;
	assert_int_equal(request->init.dims, 0);
	assert_false(request->init.has_on_disk || request->init.has_quantize_int8);
	request_destroy(request);
	for (size_t i = 0; i < ARRAY_LEN(distances); i++) {
		(void)snprintf(line, sizeof(line), INIT("\"distance\":\"%s\""), distances[i]);
		request = parse_good(line);
		assert_string_equal(request->init.distance, distances[i]);
		request_destroy(request);
	}
	request = parse_good(INIT("\"distance\":null,\"on_disk\":null,\"dims\":null"));
	assert_string_equal(request->init.distance, "");
	assert_false(request->init.has_on_disk);
	request_destroy(request);
	refuse(INIT("\"dim\":3"), CODE_UNKNOWN_FIELD, "", "'dims'");
	refuse(INIT("\"dims\":0"), CODE_INVALID_FIELD, "dims", "from 1");
	refuse(INIT("\"hnsw_m\":1"), CODE_INVALID_FIELD, "hnsw_m", "2 to 100");
	refuse(INIT("\"hnsw_ef_construct\":1001"), CODE_INVALID_FIELD, "hnsw_ef_construct", "4 to 1000");
	refuse(INIT("\"quantize_int8\":0"), CODE_INVALID_FIELD, "quantize_int8", "true or false");
}

static void options_of_a_put_may_be_null(void **state)
{
	struct request *request =
		parse_good(PUT("\"id\":\"a\",\"wait\":null,\"on_unchanged\":null,\"cache_ttl_s\":null"));

	(void)state;
	assert_int_equal(request->options.wait, WAIT_COMMITTED);
	assert_false(request->options.write_unchanged || request->options.has_cache_ttl);
	request_destroy(request);
	request = parse_good(PUT("\"id\":\"a\",\"wait\":\"committed\",\"on_unchanged\":\"skip\""));
	assert_int_equal(request->options.wait, WAIT_COMMITTED);
	assert_false(request->options.write_unchanged);
	request_destroy(request);
	refuse(PUT("\"id\":\"a\",\"wait\":true"), CODE_INVALID_FIELD, "wait", "\"accepted\"");
	refuse(PUT("\"id\":\"a\",\"idempotency_key\":true"), CODE_INVALID_FIELD, "idempotency_key", "a boolean");
}

/* A name so long is no slip of the hand: nothing is guessed. Its document's id is cut between two characters. */
static void long_names_are_told_cut(void **state)
{
	struct document_limits limits = document_limits_default();
	char line[400], id[200] = {0};
	struct request *request;
	struct request_fault fault;
	int len;

	(void)state;
	refuse(PUT("\"id\":\"a\",\"a_field_with_a_name_of_more_than_forty_bytes\":1"), CODE_UNKNOWN_FIELD, "",
	       "docs/protocol.md lists");
	for (int i = 0; i < 65; i++)
		memcpy(id + 2 * i, "\xc3\xa9", 2);
	len = snprintf(line, sizeof(line), PUT("\"id\":\"%s\",\"titel\":1"), id);
	assert_int_equal(parse_bytes(line, (size_t)len, &limits, &request, &fault), -EINVAL);
	assert_int_equal(strlen(fault.document_id), 126); /* of the 127 bytes, half a character is left out */
}

/* Every line that a fuzzer would begin with, cut at each byte and with each byte changed: never a crash, and either a
 * request or a refusal with a text. */
static void damaged_lines_are_survived(void **state)
{
	static const char line[] = PUT(
		"\"id\":\"d\\u00e9\",\"title\":\"t\",\"metadata\":{\"a\":[1,{\"b\":null}]},\"chunks\":[{\"id\":\"c\","
		"\"text\":\"x\",\"\\u0065mbedding\":[1e0,-2.5,123456789012345678901]},{\"text\":\"y\",\"embedding\":[3,"
		"4,5]}],"
		"\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":{\"q\":1}},{\"type\":\"P\",\"name\":\"m\"}"
		"],"
		"\"relationships\":[{\"from\":{\"type\":\"P\",\"name\":\"n\"},\"type\":\"R\",\"to\":{\"type\":\"P\","
		"\"name\":\"m\"}}],\"wait\":\"accepted\"");
	static const char bytes[] = "\"\\{}[],:0N\x80\x01 ";
	struct document_limits limits = document_limits_default();
	struct request *request;
	struct request_fault fault;
	char copy[sizeof(line)];

	(void)state;
	for (size_t len = 0; len < sizeof(line); len++) {
		if (parse_bytes(line, len, &limits, &request, &fault) == 0)
			request_destroy(request);
		else
			assert_true(fault.err.text[0] != '\0');
	}
	for (size_t at = 0; at + 1 < sizeof(line); at++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			memcpy(copy, line, sizeof(line));
			copy[at] = bytes[i];
			if (parse_bytes(copy, sizeof(line) - 1, &limits, &request, &fault) == 0)
				request_destroy(request);
			else
				assert_true(fault.err.text[0] != '\0');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_come_back_as_they_were),
		cmocka_unit_test(a_message_without_id_is_a_notification),
		cmocka_unit_test(envelopes_are_checked),
		cmocka_unit_test(text_that_is_no_utf8_is_refused),
		cmocka_unit_test(a_refusal_names_the_document),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(options_have_defaults),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(deletes_are_read),
		cmocka_unit_test(status_takes_a_document_or_a_job),
		cmocka_unit_test(init_is_read),
		cmocka_unit_test(a_journalled_job_is_parsed_again),
		cmocka_unit_test(methods_say_who_may_call_them),
		cmocka_unit_test(a_saga_to_run_is_kept_as_it_came),
		cmocka_unit_test(methods_that_need_params_say_so),
		cmocka_unit_test(methods_without_fields_take_an_empty_object),
		cmocka_unit_test(a_log_level_is_read),
		cmocka_unit_test(inits_are_checked),
		cmocka_unit_test(options_of_a_put_may_be_null),
		cmocka_unit_test(long_names_are_told_cut),
		cmocka_unit_test(damaged_lines_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
