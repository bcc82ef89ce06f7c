/* The edges of what saga.run takes: each bound at its last good value and one beyond, each member left out or null,
 * each character that a name, a header, a path or a pointer may have. */
#include "flow_parse.h"

/* A step on that store, or on payments, with that do. */
static const char *step_with(const char *target, const char *body)
{
	static char json[200000];
	const char *kind = strcmp(target, "payments") == 0 ? "service" : "store";

	(void)snprintf(json, sizeof(json), STEPS(PG("z") ",{\"name\":\"a\",\"%s\":\"%s\",\"do\":%s,\"undo\":null}"),
		       kind, target, body);
	return json;
}

static void takes(const char *target, const char *body)
{
	free(good(step_with(target, body)));
}

static void refuses(const char *target, const char *body, enum code code, const char *path, const char *part)
{
	char whole[200];

	(void)snprintf(whole, sizeof(whole), "steps[1].do%s", path);
	bad(step_with(target, body), code, whole, part, "step 'a'");
}

/* `head`, n times `item` with commas between, `tail`. */
static const char *list_of(const char *head, const char *item, int n, const char *tail)
{
	static char json[190000];
	size_t used = (size_t)snprintf(json, sizeof(json), "%s", head);

	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(json + used, sizeof(json) - used, "%s%s", i > 0 ? "," : "", item);
	assert_true(used + strlen(tail) < sizeof(json));
	memcpy(json + used, tail, strlen(tail) + 1);
	return json;
}

/* `n` times the character between `head` and `tail`. */
static const char *long_text(const char *head, char c, size_t n, const char *tail)
{
	static char json[20000];
	size_t used = strlen(head);

	assert_true(used + n + strlen(tail) < sizeof(json));
	memcpy(json, head, used);
	memset(json + used, c, n);
	memcpy(json + used + n, tail, strlen(tail) + 1);
	return json;
}

static void a_list_may_have_so_many_and_no_more(void **state)
{
	(void)state;
	takes("postgresql", list_of("{\"statements\":[", SQL, 100, "]}"));
	refuses("postgresql", list_of("{\"statements\":[", SQL, 101, "]}"), CODE_LIMIT_EXCEEDED, ".statements", "100");
	takes("redis", list_of("{\"commands\":[", "[\"PING\"]", 1000, "]}"));
	refuses("redis", list_of("{\"commands\":[", "[\"PING\"]", 1001, "]}"), CODE_LIMIT_EXCEEDED, ".commands",
		"1000");
	takes("redis", list_of("{\"commands\":[[\"DEL\",", "1", 9999, "]]}"));
	refuses("redis", list_of("{\"commands\":[[\"DEL\",", "1", 10000, "]]}"), CODE_LIMIT_EXCEEDED, ".commands[0]",
		"10000");
	takes("payments", list_of("{\"method\":\"GET\",\"path\":[", "\"x\"", 32, "]}"));
	refuses("payments", list_of("{\"method\":\"GET\",\"path\":[", "\"x\"", 33, "]}"), CODE_INVALID_FIELD, ".path",
		"1 to 32");
}

/* The bound of PostgreSQL's protocol lies above what these tests' sagas may have in bytes. */
static void a_statement_may_have_65535_values(void **state)
{
	struct flow_limits limits = limits_of();
	struct request_fault fault;
	struct flow_spec *spec = NULL;

	(void)state;
	limits.max_bytes = 1000000;
	for (int n = 65535; n <= 65536; n++) {
		const char *json = step_with("postgresql", list_of("{\"sql\":\"x\",\"params\":[", "1", n, "]}"));
		int rc = flow_spec_parse(str_of(json), &limits, &spec, &fault);

		assert_int_equal(rc, n == 65535 ? 0 : -EINVAL);
	}
	assert_string_equal(fault.path, "steps[1].do.params");
	assert_non_null(strstr(fault.err.text, "65535"));
	free(spec);
}

static void a_text_may_be_so_long_and_no_longer(void **state)
{
	static const char header[] = "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"";
	char name[150] = {0}, place[180];

	(void)state;
	takes("payments", long_text("{\"method\":\"GET\",\"path\":\"/", 'x', 2047, "\"}"));
	refuses("payments", long_text("{\"method\":\"GET\",\"path\":\"/", 'x', 2048, "\"}"), CODE_LIMIT_EXCEEDED,
		".path", "2048");
	takes("payments", long_text("{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"X\":\"", 'y', 8192, "\"}}"));
	refuses("payments", long_text("{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"X\":\"", 'y', 8193, "\"}}"),
		CODE_LIMIT_EXCEEDED, ".headers.X", "8192");
	takes("payments", long_text(header, 'n', 128, "\":\"\"}}"));
	memset(name, 'n', 129);
	(void)snprintf(place, sizeof(place), ".headers.%s", name);
	refuses("payments", long_text(header, 'n', 129, "\":\"\"}}"), CODE_INVALID_FIELD, place, "no name");
	takes("postgresql",
	      long_text("{\"sql\":\"x\",\"params\":[{\"$from\":\"z\",\"pointer\":\"/", 'p', 511, "\"}]}"));
	refuses("postgresql",
		long_text("{\"sql\":\"x\",\"params\":[{\"$from\":\"z\",\"pointer\":\"/", 'p', 512, "\"}]}"),
		CODE_LIMIT_EXCEEDED, ".params[0].pointer", "512");
}

static void a_request_may_have_32_headers(void **state)
{
	char json[1000];

	(void)state;
	for (int n = 32; n <= 33; n++) {
		int used = snprintf(json, sizeof(json), "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{");

		for (int i = 0; i < n; i++)
			used += snprintf(json + used, sizeof(json) - (size_t)used, "%s\"X%d\":\"\"", i > 0 ? "," : "",
					 i);
		(void)snprintf(json + used, sizeof(json) - (size_t)used, "}}");
		if (n == 32)
			takes("payments", json);
		else
			refuses("payments", json, CODE_LIMIT_EXCEEDED, ".headers", "32");
	}
}

/* Bit 63 of `after` is a step's like any other. */
static void a_saga_may_have_64_steps(void **state)
{
	struct flow_limits limits = limits_of();
	struct flow_spec *spec = NULL;
	struct request_fault fault;
	char json[8000] = "{\"steps\":[";

	(void)state;
	for (int i = 0; i < 64; i++) {
		size_t used = strlen(json);

		(void)snprintf(json + used, sizeof(json) - used,
			       "%s{\"name\":\"s%d\",\"store\":\"postgresql\",\"do\":" SQL ",\"undo\":null}",
			       i > 0 ? "," : "", i);
	}
	(void)strcat(json, "]}");
	limits.max_steps = 64;
	limits.max_depth = 64;
	assert_int_equal(flow_spec_parse(str_of(json), &limits, &spec, &fault), 0);
	assert_int_equal(spec->n_steps, 64);
	assert_true(spec->steps[63].after == (uint64_t)1 << 62);
	free(spec);
	limits.max_depth = 63;
	assert_int_equal(flow_spec_parse(str_of(json), &limits, &spec, &fault), -EINVAL);
	assert_non_null(strstr(fault.err.text, "64 steps one after the other"));
}

/* Nothing but these: a name stands in logs, in keys of an answer and in a store's ledger. */
static void names_may_have_these_characters(void **state)
{
	static const char beside[] = "@[`{/:,^";
	char json[200];

	(void)state;
	free(good(STEPS(PG("azAZ09_-."))));
	for (const char *c = beside; *c != '\0'; c++) {
		(void)snprintf(json, sizeof(json), "{\"steps\":[{\"name\":\"x%c\",\"store\":\"redis\"}]}", *c);
		bad(json, CODE_INVALID_FIELD, "steps[0].name", "letters", "");
	}
}

static void members_may_be_null_or_missing(void **state)
{
	struct flow_spec *spec = good("{\"wait\":null,\"deadline_ms\":null,\"idempotency_key\":null,\"steps\":[{"
				      "\"name\":\"a\",\"service\":\"payments\",\"retry\":null,\"timeout_ms\":null,"
				      "\"after\":null,\"optional\":null,\"pivot\":null,\"idempotent\":null,"
				      "\"do\":{\"method\":\"GET\",\"path\":\"/\",\"headers\":null,\"body\":null},"
				      "\"undo\":null,\"check\":null},{\"name\":\"b\",\"store\":\"redis\",\"retry\":{},"
				      "\"do\":{\"commands\":[[\"PING\"]]},\"undo\":null,\"after\":null}]}");

	(void)state;
	assert_int_equal(spec->wait, FLOW_WAIT_ENDED);
	assert_int_equal(spec->deadline_ms, 0);
	assert_null(spec->key.at);
	assert_false(spec->steps[0].has_retry || spec->steps[0].has_undo || spec->steps[0].has_check);
	assert_false(spec->steps[0].is_optional || spec->steps[0].is_pivot || spec->steps[0].is_idempotent);
	assert_int_equal(spec->steps[0].bodies[FLOW_BODY_UNDO].n_bytes, 0);
	assert_int_equal(spec->steps[1].after, 1);
	assert_true(spec->steps[1].has_retry && spec->steps[1].max_tries == 0);
	free(spec);
	spec = good("{\"wait\":\"ended\",\"steps\":[" PG("a") "]}");
	assert_int_equal(spec->wait, FLOW_WAIT_ENDED);
	free(spec);
	bad("{\"wait\":7,\"steps\":[" PG("a") "]}", CODE_INVALID_FIELD, "wait", "accepted", "");
	bad("{\"idempotency_key\":7,\"steps\":[" PG("a") "]}", CODE_INVALID_FIELD, "idempotency_key", "string", "");
}

#define RETRY(x) STEPS("{\"name\":\"a\",\"store\":\"redis\",\"retry\":" x "}")
#define FLAG(x)  STEPS("{\"name\":\"a\",\"store\":\"redis\"," x "}")

static void retries_flags_and_targets_are_checked(void **state)
{
	(void)state;
	bad(RETRY("3"), CODE_INVALID_FIELD, "steps[0].retry", "object", "step 'a'");
	bad(RETRY("{\"base_ms\":0}"), CODE_INVALID_FIELD, "steps[0].retry.base_ms", "from 1", "step 'a'");
	bad(RETRY("{\"cap_ms\":86400001}"), CODE_INVALID_FIELD, "steps[0].retry.cap_ms", "86400000", "step 'a'");
	bad(FLAG("\"optional\":1"), CODE_INVALID_FIELD, "steps[0].optional", "true or false", "step 'a'");
	bad(FLAG("\"pivot\":\"yes\""), CODE_INVALID_FIELD, "steps[0].pivot", "a string", "step 'a'");
	bad(FLAG("\"idempotent\":[]"), CODE_INVALID_FIELD, "steps[0].idempotent", "an array", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":7}"), CODE_INVALID_FIELD, "steps[0].store", "string", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"mongodb-of-another\"}"), CODE_INVALID_FIELD, "steps[0].store",
	    "there is no store 'mongodb-of-another'; postgresql", "step 'a'"); /* too far from any to guess */
	bad(STEPS("{\"name\":\"a\",\"service\":\"\"}"), CODE_INVALID_FIELD, "steps[0].service", "empty", "step 'a'");
	free(good(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"retry\":{\"base_ms\":9},\"undo\":null,"
			"\"do\":{\"commands\":[[\"PING\"]]}}"))); /* its cap is the daemon's */
}

/* A daemon whose configuration names no services says so, rather than calling what isn't there. */
static void without_services_none_is_known(void **state)
{
	struct flow_limits limits = limits_of();
	struct request_fault fault;
	struct flow_spec *spec = NULL;
	const char *json = STEPS(PAY("\"do\":{\"method\":\"GET\",\"path\":\"/\"}"));

	(void)state;
	limits.has_service = NULL;
	assert_int_equal(flow_spec_parse(str_of(json), &limits, &spec, &fault), -EINVAL);
	assert_string_equal(fault.path, "steps[0].service");
	assert_non_null(strstr(fault.err.text, "no service 'payments'"));
}

/* Without an undo it is sent until it succeeds: what can't tell a repeated do must not be such a step. */
static void what_may_follow_a_pivot(void **state)
{
	static const struct {
		const char *step;
		bool is_fine;
	} cases[] = {
		{"\"store\":\"postgresql\",\"do\":" SQL, true},
		{"\"store\":\"redis\",\"do\":{\"commands\":[[\"PING\"]]}", true},
		{"\"store\":\"neo4j\",\"do\":{\"statements\":[{\"statement\":\"x\"}]}", true},
		{"\"store\":\"documents\",\"do\":{\"method\":\"document.put\",\"params\":{\"id\":\"a\"}}", true},
		{"\"store\":\"qdrant\",\"do\":{\"method\":\"GET\",\"path\":\"/collections/x\"}", false},
		{"\"service\":\"payments\",\"do\":{\"method\":\"GET\",\"path\":\"/\"}", false},
		{"\"service\":\"payments\",\"idempotent\":true,\"do\":{\"method\":\"GET\",\"path\":\"/\"}", true},
		{"\"service\":\"payments\",\"do\":{\"method\":\"GET\",\"path\":\"/\"},\"check\":{\"method\":\"GET\","
		 "\"path\":\"/\"}",
		 true},
	};
	char json[500];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)snprintf(json, sizeof(json),
			       STEPS("{\"name\":\"p\",\"store\":\"postgresql\",\"pivot\":true,\"do\":" SQL
				     "},{\"name\":\"a\",%s}"),
			       cases[i].step);
		if (cases[i].is_fine)
			free(good(json));
		else
			bad(json, CODE_MISSING_FIELD, "steps[1].idempotent", "check", "step 'a'");
	}
}

static void headers_may_have_what_http_allows(void **state)
{
	static const char *const names[] = {"X y", "X:", "(", "\\u00e9", "X\\u0000", "\\\"", "[", "{", "@", "/"};
	char json[200];

	(void)state;
	takes("payments", "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"azAZ09-._~!#$%&'*+^`|\":"
			  "\"tab\\tand \\u00e9\"}}");
	takes("payments", "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"X-Host\":\"a\",\"cost\":\"b\"}}");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct request_fault fault;
		struct flow_spec *spec;

		(void)snprintf(json, sizeof(json), "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"%s\":\"\"}}",
			       names[i]);
		assert_int_equal(parse(step_with("payments", json), &spec, &fault), -EINVAL);
		assert_non_null(strstr(fault.err.text, "is no name of a header"));
	}
	refuses("payments", "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"\":\"x\"}}", CODE_INVALID_FIELD,
		".headers.", "no name");
	refuses("payments", "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"X\":\"\\u007f\"}}", CODE_INVALID_FIELD,
		".headers.X", "control");
	refuses("payments", "{\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"X\":\"\\u0000\"}}", CODE_INVALID_FIELD,
		".headers.X", "control");
}

/* Servers and what stands before them disagree on such paths, so none is sent. */
static void paths_lead_nowhere_else(void **state)
{
	static const char *const refused[] = {"/a%5cb",   "/a%00b",  "/%2e%2E/b", "/./a",   "/a/..?x=1", "/a\\u007f",
					      "/\\u00e9", "/a\\\"b", "/a<b",      "/a{b}c", "/a|b"};
	static const char *const taken[] = {"/",   "/a/.../b",  "/a..b",     "/a%2",    "/a%2e", "/a//b",
					    "/a/", "/?x=../..", "/a?b/../c", "/%41%zz", "/.a",   "/a?"};
	static const char *const parts[] = {"\"\"", "\".\"", "\"%2e.\"", "\"a\\u0000b\"", "\"a/b\"", "null", "{}"};
	char json[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		(void)snprintf(json, sizeof(json), "{\"method\":\"GET\",\"path\":\"%s\"}", taken[i]);
		takes("payments", json);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		(void)snprintf(json, sizeof(json), "{\"method\":\"GET\",\"path\":\"%s\"}", refused[i]);
		refuses("payments", json, CODE_INVALID_FIELD, ".path", "begin with '/'");
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		(void)snprintf(json, sizeof(json), "{\"method\":\"GET\",\"path\":[%s]}", parts[i]);
		refuses("payments", json, CODE_INVALID_FIELD, ".path[0]", "must be");
	}
	refuses("qdrant", "{\"method\":\"GET\",\"path\":[\"collections\"]}", CODE_INVALID_FIELD, ".path",
		"a part more");
	refuses("qdrant", "{\"method\":\"GET\"}", CODE_MISSING_FIELD, ".path", "/collections/NAME");
	refuses("qdrant", "{\"method\":\"GET\",\"path\":\"/collections\"}", CODE_INVALID_FIELD, ".path", "begin");
	refuses("qdrant", "{\"method\":\"GET\",\"path\":\"http://x/collections/\"}", CODE_INVALID_FIELD, ".path",
		"is a URL");
	takes("qdrant", "{\"method\":\"GET\",\"path\":[\"collections\",\"x\",{\"$from\":\"z\"}]}");
	refuses("qdrant", "{\"method\":\"GET\",\"path\":[\"collections\",{\"$from\":\"x\"}]}", CODE_INVALID_FIELD,
		".path[1].$from", "no step 'x'");
}

#define POINTER(x) "{\"sql\":\"x\",\"params\":[{\"$from\":\"z\",\"pointer\":" x "}]}"

static void pointers_are_those_of_rfc_6901(void **state)
{
	static const char *const taken[] = {"\"\"", "\"/\"", "\"/a/~0~1/0\"", "null", "\"//\""};
	static const char *const refused[] = {"\"a\"", "\"/~\"", "\"/~2\"", "\"/a~/b\"", "\"~0\""};
	char json[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
		(void)snprintf(json, sizeof(json), POINTER("%s"), taken[i]);
		takes("postgresql", json);
	}
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		(void)snprintf(json, sizeof(json), POINTER("%s"), refused[i]);
		refuses("postgresql", json, CODE_INVALID_FIELD, ".params[0].pointer", "RFC 6901");
	}
	refuses("postgresql", POINTER("7"), CODE_INVALID_FIELD, ".params[0].pointer", "string");
	refuses("postgresql", "{\"sql\":\"x\",\"params\":[{\"$from\":7}]}", CODE_INVALID_FIELD, ".params[0].$from",
		"string");
	refuses("postgresql", "{\"sql\":\"x\",\"params\":[{\"$from\":\"z\",\"default\":1e999}]}", CODE_INVALID_FIELD,
		".params[0].default", "no number");
	takes("postgresql",
	      "{\"sql\":\"x\",\"params\":[{\"$from\":\"z\",\"default\":[1e308,-0.0,18446744073709551616]}]}");
}

/* What a store's body may hold beside the first of each kind. */
static void bodies_of_stores_are_checked_further(void **state)
{
	(void)state;
	refuses("postgresql", "{\"params\":[],\"statements\":[" SQL "]}", CODE_INVALID_FIELD, "", "not both");
	refuses("postgresql", "{\"statements\":{}}", CODE_INVALID_FIELD, ".statements", "array");
	refuses("postgresql", "{\"statements\":[7]}", CODE_INVALID_FIELD, ".statements[0]", "object");
	takes("redis", "{\"commands\":[[\"SET\",\"k\",{\"$from\":\"z\"},1.5,18446744073709551616]]}");
	refuses("redis", "{\"commands\":[[\"\"]]}", CODE_INVALID_FIELD, ".commands[0][0]", "name");
	refuses("redis", "{\"commands\":[[\"SET\",true]]}", CODE_INVALID_FIELD, ".commands[0][1]", "a boolean");
	refuses("redis", "{\"commands\":[[\"SET\",Infinity]]}", CODE_INVALID_FIELD, ".commands[0][1]", "no number");
	refuses("redis", "{\"commands\":[\"SET\"]}", CODE_INVALID_FIELD, ".commands[0]", "array");
	refuses("redis", "{\"commands\":\"SET\"}", CODE_INVALID_FIELD, ".commands", "array");
	refuses("redis", "{\"command\":[]}", CODE_UNKNOWN_FIELD, "", "'commands'");
	takes("neo4j", "{\"statements\":[{\"statement\":\"x\",\"parameters\":{\"n\":{\"$from\":\"z\"}}}]}");
	refuses("neo4j", "{\"statements\":[{\"parameters\":{}}]}", CODE_MISSING_FIELD, ".statements[0].statement", "");
	refuses("neo4j", "{\"statements\":[{\"statement\":\"x\",\"parameters\":{\"$from\":\"z\"}}]}",
		CODE_INVALID_FIELD, ".statements[0].parameters", "$name");
	refuses("neo4j", "{\"statements\":[{\"statement\":\"x\",\"parameters\":{\"n\":NaN}}]}", CODE_INVALID_FIELD,
		".statements[0].parameters.n", "no number");
	refuses("neo4j", "{\"statement\":\"x\"}", CODE_UNKNOWN_FIELD, "", "'statements'");
	refuses("payments", "{\"method\":\"POST\",\"path\":\"/\",\"body\":{\"n\":[NaN]}}", CODE_INVALID_FIELD,
		".body.n[0]", "no number");
	refuses("payments", "{\"method\":7,\"path\":\"/\"}", CODE_INVALID_FIELD, ".method", "PATCH");
}

static void documents_are_checked_as_their_own_methods_do(void **state)
{
	(void)state;
	takes("documents", "{\"method\":\"document.put\",\"params\":{\"id\":\"a\",\"content\":\"}{\"}}");
	takes("documents",
	      "{\"params\":{\"id\":{\"$from\":\"z\",\"pointer\":\"/id\"}},\"method\":\"document.delete\"}");
	refuses("documents", "{\"method\":\"document.delete\",\"params\":{\"id\":\"a\",\"title\":\"t\"}}",
		CODE_UNKNOWN_FIELD, ".params", "title");
	refuses("documents", "{\"method\":\"document.delete\",\"params\":{}}", CODE_MISSING_FIELD, ".params.id",
		"must be given");
	refuses("documents", "{\"method\":\"document.delete\",\"params\":[]}", CODE_INVALID_FIELD, ".params",
		"the fields of document.delete");
	refuses("documents", "{\"method\":\"document.put\",\"params\":{\"$from\":\"z\"}}", CODE_INVALID_FIELD,
		".params", "the fields of document.put");
	refuses("documents", "{\"params\":{}}", CODE_MISSING_FIELD, ".method", "document.put");
	refuses("documents", "{\"methods\":1}", CODE_UNKNOWN_FIELD, "", "'method'");
	refuses("documents", "{\"method\":\"document.put\",\"params\":{\"id\":\"a\",\"idempotency_key\":\"k\"}}",
		CODE_INVALID_FIELD, ".params.idempotency_key", "the saga says it");
	refuses("documents", "{\"method\":\"document.put\",\"params\":{\"id\":{\"$from\":\"z\",\"pointer\":7}}}",
		CODE_INVALID_FIELD, ".params.id.pointer", "string");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_may_have_so_many_and_no_more),
		cmocka_unit_test(a_statement_may_have_65535_values),
		cmocka_unit_test(a_text_may_be_so_long_and_no_longer),
		cmocka_unit_test(a_request_may_have_32_headers),
		cmocka_unit_test(a_saga_may_have_64_steps),
		cmocka_unit_test(names_may_have_these_characters),
		cmocka_unit_test(members_may_be_null_or_missing),
		cmocka_unit_test(retries_flags_and_targets_are_checked),
		cmocka_unit_test(without_services_none_is_known),
		cmocka_unit_test(what_may_follow_a_pivot),
		cmocka_unit_test(headers_may_have_what_http_allows),
		cmocka_unit_test(paths_lead_nowhere_else),
		cmocka_unit_test(pointers_are_those_of_rfc_6901),
		cmocka_unit_test(bodies_of_stores_are_checked_further),
		cmocka_unit_test(documents_are_checked_as_their_own_methods_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
