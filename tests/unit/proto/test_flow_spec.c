/* The parameters of saga.run: what is taken, what is refused and where, and what is sent in the end. */
#include "flow_parse.h"

static void a_saga_is_read_whole(void **state)
{
	struct flow_spec *spec = good(
		"{\"idempotency_key\":\"k\",\"deadline_ms\":3000,\"wait\":\"accepted\",\"steps\":["
		"{\"name\":\"a\",\"store\":\"postgresql\",\"timeout_ms\":100,\"retry\":{\"max\":3,\"base_ms\":5,\"cap_"
		"ms\":9},"
		"\"do\":{\"sql\":\"x\",\"params\":[1,null,{\"k\":[true]}]},\"undo\":{\"statements\":[{\"sql\":\"y\"},{"
		"\"sql\":\"z\"}]}},"
		"{\"name\":\"b\",\"store\":\"redis\",\"after\":[],\"optional\":true,\"do\":{\"commands\":[[\"SET\","
		"\"k\",1]]},\"undo\":null},"
		"{\"name\":\"c\",\"service\":\"payments\",\"after\":[\"b\",\"a\"],\"idempotent\":true,\"do\":{"
		"\"method\":\"POST\","
		"\"path\":\"/charges?x=1\",\"headers\":{\"X-A\":\"b\"},\"body\":{\"n\":{\"$from\":\"a\",\"pointer\":\"/"
		"rows/0/n\"}}},"
		"\"undo\":{\"method\":\"DELETE\",\"path\":[\"charges\",{\"$from\":\"c\",\"pointer\":\"/body/id\"}]},"
		"\"check\":{\"method\":\"GET\",\"path\":\"/c\"}},"
		"{\"name\":\"d\",\"store\":\"documents\",\"do\":{\"method\":\"document.delete\",\"params\":{\"id\":"
		"\"d\"}},\"undo\":null}]}");

	(void)state;
	assert_int_equal(spec->n_steps, 4);
	assert_string_equal(spec->key.at, "k");
	assert_int_equal(spec->deadline_ms, 3000);
	assert_int_equal(spec->wait, FLOW_WAIT_ACCEPTED);
	assert_int_equal(spec->steps[0].after, 0);
	assert_int_equal(spec->steps[0].timeout_ms, 100);
	assert_true(spec->steps[0].has_retry && spec->steps[0].has_undo && spec->steps[0].is_referenced);
	assert_int_equal(spec->steps[0].max_tries, 3);
	assert_int_equal(spec->steps[0].base_ms, 5);
	assert_int_equal(spec->steps[0].cap_ms, 9);
	assert_int_equal(spec->steps[1].after, 0);
	assert_true(spec->steps[1].is_optional && !spec->steps[1].has_undo && !spec->steps[1].is_referenced);
	assert_int_equal(spec->steps[2].after, 3);
	assert_int_equal(spec->steps[2].place, FLOW_AT_SERVICE);
	assert_string_equal(spec->steps[2].target.at, "payments");
	assert_true(spec->steps[2].has_check && spec->steps[2].is_idempotent && spec->steps[2].is_referenced);
	assert_int_equal(spec->steps[3].after, 4);
	assert_int_equal(spec->steps[3].place, FLOW_AT_DOCUMENTS);
	free(spec);
}

static void what_the_journal_keeps_is_read_again(void **state)
{
	struct flow_spec *spec =
		good("{ \"steps\" : [ " PG("a") " , " PG("b") " ] , \"idempotency_key\" : \"\\u0061\" } ");
	struct flow_spec *again;

	(void)state;
	assert_string_equal(spec->key.at, "a");
	again = good(spec->json.at);
	assert_memory_equal(spec->hash, again->hash, sizeof(spec->hash));
	assert_true(str_is_equal(spec->json, again->json));
	free(again);
	again = good("{\"steps\":[" PG("a") "," PG("b") "],\"deadline_ms\":7,\"wait\":\"accepted\"}");
	assert_memory_equal(spec->hash, again->hash, sizeof(spec->hash));
	free(again);
	again = good(STEPS(PG("a") "," PG("c")));
	assert_memory_not_equal(spec->hash, again->hash, sizeof(spec->hash));
	free(again);
	free(spec);
}

static void the_whole_is_checked(void **state)
{
	(void)state;
	bad("[]", CODE_INVALID_FIELD, "", "must be an object", "");
	bad("{\"steps\":[}", CODE_PARSE_ERROR, "", "not valid JSON", "");
	bad("{}", CODE_MISSING_FIELD, "steps", "must be given", "");
	bad("{\"steps\":[]}", CODE_INVALID_FIELD, "steps", "a step or more", "");
	bad("{\"steps\":{}}", CODE_INVALID_FIELD, "steps", "array", "");
	bad("{\"stepz\":[]}", CODE_UNKNOWN_FIELD, "", "did you mean 'steps'", "");
	bad("{\"steps\":[],\"steps\":[]}", CODE_INVALID_FIELD, "steps", "twice", "");
	bad("{\"wait\":\"never\",\"steps\":[]}", CODE_INVALID_FIELD, "wait", "accepted", "");
	bad("{\"idempotency_key\":\"\",\"steps\":[]}", CODE_INVALID_FIELD, "idempotency_key", "empty", "");
	bad("{\"deadline_ms\":60001,\"steps\":[]}", CODE_INVALID_FIELD, "deadline_ms", "60000", "");
	bad("{\"deadline_ms\":0,\"steps\":[]}", CODE_INVALID_FIELD, "deadline_ms", "from 1", "");
	bad(STEPS(PG("a") "," PG("b") "," PG("c") "," PG("d") "," PG("e") "," PG("f")), CODE_LIMIT_EXCEEDED, "steps",
	    "sagas.max_steps is 5", "");
	bad(STEPS(PG("a") "," PG("b") "," PG("c") "," PG("d") "," PG("e")), CODE_LIMIT_EXCEEDED, "steps",
	    "sagas.max_depth is 4", "");
}

static void too_many_bytes_are_refused(void **state)
{
	struct flow_limits limits = limits_of();
	struct request_fault fault;
	struct flow_spec *spec = NULL;
	const char *json = STEPS(PG("a"));

	(void)state;
	limits.max_bytes = strlen(json);
	assert_int_equal(flow_spec_parse(str_of(json), &limits, &spec, &fault), 0);
	free(spec);
	limits.max_bytes--;
	assert_int_equal(flow_spec_parse(str_of(json), &limits, &spec, &fault), -EINVAL);
	assert_int_equal(fault.code, CODE_LIMIT_EXCEEDED);
	assert_non_null(strstr(fault.err.text, "sagas.max_bytes"));
}

static void names_and_targets_are_checked(void **state)
{
	(void)state;
	bad(STEPS("7"), CODE_INVALID_FIELD, "steps[0]", "must be an object", "");
	bad(STEPS("{\"store\":\"redis\"}"), CODE_MISSING_FIELD, "steps[0].name", "must be given", "");
	bad(STEPS("{\"name\":\"\"}"), CODE_INVALID_FIELD, "steps[0].name", "empty", "");
	bad(STEPS("{\"name\":\"a/b\"}"), CODE_INVALID_FIELD, "steps[0].name", "letters", "");
	bad(STEPS("{\"name\":\"0123456789012345678901234567890123456789012345678901234567890123\"}"),
	    CODE_LIMIT_EXCEEDED, "steps[0].name", "63", "");
	bad(STEPS(PG("a") "," PG("a")), CODE_INVALID_FIELD, "steps[1].name", "steps[0]", "");
	bad(STEPS("{\"name\":\"a\",\"do\":" SQL "}"), CODE_MISSING_FIELD, "steps[0].store", "service", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"postgres\"}"), CODE_INVALID_FIELD, "steps[0].store",
	    "did you mean 'postgresql'", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"service\":\"http://x/\"}"), CODE_INVALID_FIELD, "steps[0].service", "URL",
	    "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"service\":\"payments\",\"store\":\"redis\"}"), CODE_INVALID_FIELD,
	    "steps[0].service", "not both", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"undoo\":1}"), CODE_UNKNOWN_FIELD, "steps[0]",
	    "did you mean 'undo'", "");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"undo\":null}"), CODE_MISSING_FIELD, "steps[0].do", "",
	    "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"retry\":{\"max\":11}}"), CODE_INVALID_FIELD,
	    "steps[0].retry.max", "1 to 10", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"retry\":{\"base_ms\":9,\"cap_ms\":8}}"), CODE_INVALID_FIELD,
	    "steps[0].retry.cap_ms", "base_ms", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"timeout_ms\":5001}"), CODE_INVALID_FIELD,
	    "steps[0].timeout_ms", "5000", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"pivot\":true,\"optional\":true}"), CODE_INVALID_FIELD,
	    "steps[0].optional", "pivot", "step 'a'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"do\":{},\"check\":{}}"), CODE_INVALID_FIELD, "steps[0].check",
	    "services", "step 'a'");
}

#define AFTER(name, list)                                                                                              \
	"{\"name\":\"" name "\",\"store\":\"postgresql\",\"do\":" SQL ",\"undo\":null,\"after\":[" list "]}"

static void the_graph_is_checked(void **state)
{
	(void)state;
	bad(STEPS(AFTER("a", "\"x\"")), CODE_INVALID_FIELD, "steps[0].after[0]", "no step 'x'", "step 'a'");
	bad(STEPS(AFTER("a", "3")), CODE_INVALID_FIELD, "steps[0].after[0]", "a number", "step 'a'");
	bad(STEPS(AFTER("a", "\"a\"")), CODE_INVALID_FIELD, "steps[0].after", "cycle", "step 'a'");
	bad(STEPS(AFTER("r", "") "," AFTER("a", "\"c\"") "," AFTER("b", "\"a\"") "," AFTER("c", "\"b\",\"r\"")),
	    CODE_INVALID_FIELD, "steps[3].after", "cycle: 'c' comes after 'b'", "step 'c'");
	bad(STEPS("{\"name\":\"a\",\"store\":\"redis\",\"do\":{},\"undo\":null,\"after\":\"b\"}"), CODE_INVALID_FIELD,
	    "steps[0].after", "array", "step 'a'");
	free(good(STEPS(AFTER("a", "") "," AFTER("b", "") "," AFTER("c", "") "," AFTER("d", "") "," AFTER("e", ""))));
}

#define PIVOT(name, list)                                                                                              \
	"{\"name\":\"" name "\",\"store\":\"postgresql\",\"pivot\":true,\"do\":" SQL ",\"after\":[" list "]}"
#define PLAIN(name, list, more)                                                                                        \
	"{\"name\":\"" name "\",\"store\":\"qdrant\",\"do\":{\"method\":\"GET\",\"path\":\"/collections/a\"},"         \
	"\"after\":[" list "]" more "}"

static void undos_and_pivots_are_checked(void **state)
{
	(void)state;
	bad(STEPS(PLAIN("a", "", "")), CODE_MISSING_FIELD, "steps[0].undo", "\"undo\": null", "step 'a'");
	bad(STEPS(PIVOT("p", "") "," PLAIN("a", "\"p\"", ",\"idempotent\":true,\"undo\":{}")), CODE_INVALID_FIELD,
	    "steps[1].undo", "after the pivot", "step 'a'");
	bad(STEPS(PIVOT("p", "") "," PLAIN("a", "\"p\"", "")), CODE_MISSING_FIELD, "steps[1].idempotent", "qdrant",
	    "step 'a'");
	bad(STEPS(PLAIN("a", "", ",\"pivot\":true")), CODE_MISSING_FIELD, "steps[0].idempotent", "check", "step 'a'");
	bad(STEPS(PIVOT("p", "") "," PIVOT("q", "\"p\"")), CODE_INVALID_FIELD, "steps[1].pivot", "'p'", "step 'q'");
	bad(STEPS(PIVOT("p", "") "," AFTER("a", "")), CODE_INVALID_FIELD, "steps[1].after", "neither", "step 'a'");
	free(good(STEPS(AFTER("a", "") "," PIVOT("p", "\"a\"") "," PLAIN("b", "\"p\"", ",\"idempotent\":true"))));
	free(good(STEPS(PIVOT("p", "") "," AFTER("a", "\"p\"")))); /* "undo": null says nothing wrong */
}

#define FROM(name, body)                                                                                               \
	"{\"name\":\"" name "\",\"store\":\"postgresql\",\"undo\":null,\"do\":{\"sql\":\"x\",\"params\":[" body "]}}"

static void references_are_checked(void **state)
{
	(void)state;
	bad(STEPS(FROM("a", "{\"$from\":\"b\"}") "," PG("b")), CODE_INVALID_FIELD, "steps[0].do.params[0].$from",
	    "does not come before", "step 'a'");
	bad(STEPS(PG("a") "," FROM("b", "{\"$from\":\"x\"}")), CODE_INVALID_FIELD, "steps[1].do.params[0].$from",
	    "no step 'x'", "step 'b'");
	bad(STEPS(FROM("a", "{\"$from\":\"a\"}")), CODE_INVALID_FIELD, "steps[0].do.params[0].$from", "only its undo",
	    "step 'a'");
	bad(STEPS(PG("a") "," FROM("b", "[{\"k\":{\"$from\":\"a\",\"pointer\":\"x\"}}]")), CODE_INVALID_FIELD,
	    "steps[1].do.params[0][0].k.pointer", "RFC 6901", "step 'b'");
	bad(STEPS(PG("a") "," FROM("b", "{\"$from\":\"a\",\"pointer\":\"/~2\"}")), CODE_INVALID_FIELD,
	    "steps[1].do.params[0].pointer", "RFC 6901", "step 'b'");
	bad(STEPS(PG("a") "," FROM("b", "{\"$from\":\"a\",\"path\":\"/x\"}")), CODE_UNKNOWN_FIELD,
	    "steps[1].do.params[0]", "no field 'path'", "step 'b'");
	bad(STEPS(PG("a") "," FROM("b", "{\"$from\":\"a\",\"default\":{\"$from\":\"a\"}}")), CODE_INVALID_FIELD,
	    "steps[1].do.params[0].default", "of its own", "step 'b'");
	bad(STEPS(PG("a") "," FROM("b", "NaN")), CODE_INVALID_FIELD, "steps[1].do.params[0]", "no number", "step 'b'");
}

static void deep_nesting_is_refused(void **state)
{
	struct request_fault fault;
	struct flow_spec *spec;
	char open[64] = {0}, shut[64] = {0}, json[400];

	(void)state;
	memset(open, '[', 62); /* inside the do and its params, which are two levels */
	memset(shut, ']', 62);
	snprintf(json, sizeof(json), STEPS(FROM("a", "%s%s")), open, shut);
	free(good(json));
	snprintf(json, sizeof(json), STEPS(FROM("a", "[%s%s]")), open, shut);
	assert_int_equal(parse(json, &spec, &fault), -EINVAL);
	assert_int_equal(fault.code, CODE_LIMIT_EXCEEDED);
	assert_non_null(strstr(fault.err.text, "step 'a': steps[0].do.params[0][0]"));
	assert_non_null(strstr(fault.err.text, "deeper than 64 levels"));
}

static void store_bodies_are_checked(void **state)
{
	static const struct {
		const char *store, *body, *path, *part;
		enum code code;
	} cases[] = {
		{"postgresql", "7", "", "must be an object", CODE_INVALID_FIELD},
		{"postgresql", "{}", ".sql", "must be given", CODE_MISSING_FIELD},
		{"postgresql", "{\"sql\":\"\"}", ".sql", "empty", CODE_INVALID_FIELD},
		{"postgresql", "{\"sql\":\"x\",\"params\":{}}", ".params", "$1", CODE_INVALID_FIELD},
		{"postgresql", "{\"sql\":\"x\",\"statements\":[]}", "", "not both", CODE_INVALID_FIELD},
		{"postgresql", "{\"statements\":[]}", ".statements", "or more", CODE_INVALID_FIELD},
		{"postgresql", "{\"statements\":[{\"sql\":\"x\"},{}]}", ".statements[1].sql", "given",
		 CODE_MISSING_FIELD},
		{"postgresql", "{\"sqll\":\"x\"}", "", "'sql'", CODE_UNKNOWN_FIELD},
		{"redis", "{}", ".commands", "given", CODE_MISSING_FIELD},
		{"redis", "{\"commands\":[]}", ".commands", "or more", CODE_INVALID_FIELD},
		{"redis", "{\"commands\":[[]]}", ".commands[0]", "SET", CODE_INVALID_FIELD},
		{"redis", "{\"commands\":[[1]]}", ".commands[0][0]", "name", CODE_INVALID_FIELD},
		{"redis", "{\"commands\":[[\"SET\",null]]}", ".commands[0][1]", "null", CODE_INVALID_FIELD},
		{"neo4j", "{}", ".statements", "given", CODE_MISSING_FIELD},
		{"neo4j", "{\"statements\":[{\"statement\":\"x\",\"parameters\":[]}]}", ".statements[0].parameters",
		 "$name", CODE_INVALID_FIELD},
		{"qdrant", "{\"method\":\"PUT\",\"path\":\"/cluster\"}", ".path", "/collections/", CODE_INVALID_FIELD},
		{"qdrant", "{\"method\":\"PUT\",\"path\":\"/collections/../x\"}", ".path", "'..'", CODE_INVALID_FIELD},
		{"qdrant", "{\"method\":\"PUT\",\"path\":[\"x\",\"y\"]}", ".path", "collections", CODE_INVALID_FIELD},
		{"qdrant", "{\"method\":\"PUT\",\"path\":\"/collections/x\",\"headers\":{}}", "", "headers",
		 CODE_UNKNOWN_FIELD},
		{"documents", "{\"method\":\"saga.run\",\"params\":{}}", ".method", "document.put", CODE_INVALID_FIELD},
		{"documents", "{\"method\":\"document.put\"}", ".params", "given", CODE_MISSING_FIELD},
		{"documents", "{\"method\":\"document.put\",\"params\":{\"id\":\"a\",\"wait\":\"accepted\"}}",
		 ".params.wait", "the saga says it", CODE_INVALID_FIELD},
		{"documents", "{\"method\":\"document.put\",\"params\":{\"id\":\"a\",\"chunks\":[{\"text\":7}]}}",
		 ".params.chunks[0].text", "string", CODE_INVALID_FIELD},
	};
	char json[400], path[120];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		snprintf(json, sizeof(json), STEPS("{\"name\":\"a\",\"store\":\"%s\",\"do\":%s,\"undo\":null}"),
			 cases[i].store, cases[i].body);
		snprintf(path, sizeof(path), "steps[0].do%s", cases[i].path);
		bad(json, cases[i].code, path, cases[i].part, "step 'a'");
		snprintf(json, sizeof(json), STEPS("{\"name\":\"a\",\"store\":\"%s\",\"do\":%s,\"undo\":%s}"),
			 cases[i].store,
			 strcmp(cases[i].store, "redis") == 0    ? "{\"commands\":[[\"PING\"]]}"
			 : strcmp(cases[i].store, "neo4j") == 0  ? "{\"statements\":[{\"statement\":\"x\"}]}"
			 : strcmp(cases[i].store, "qdrant") == 0 ? "{\"method\":\"GET\",\"path\":\"/collections/x\"}"
			 : strcmp(cases[i].store, "documents") == 0
				 ? "{\"method\":\"document.put\",\"params\":{\"id\":\"a\"}}"
				 : SQL,
			 cases[i].body);
		snprintf(path, sizeof(path), "steps[0].undo%s", cases[i].path);
		bad(json, cases[i].code, path, cases[i].part, "step 'a'");
	}
}

static void requests_to_services_are_checked(void **state)
{
	static const struct {
		const char *body, *path, *part;
		enum code code;
	} cases[] = {
		{"{\"path\":\"/x\"}", ".method", "given", CODE_MISSING_FIELD},
		{"{\"method\":\"CONNECT\",\"path\":\"/x\"}", ".method", "PATCH", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\"}", ".path", "given", CODE_MISSING_FIELD},
		{"{\"method\":\"GET\",\"path\":7}", ".path", "a number", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"http://evil/x\"}", ".path", "is a URL", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"//evil/x\"}", ".path", "URL without its scheme", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"x\"}", ".path", "begin", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a/../b\"}", ".path", "'..'", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a/%2E%2e\"}", ".path", "'..'", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a%2Fb\"}", ".path", "escaped slash", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a b\"}", ".path", "space", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\\r\\nX: y\"}", ".path", "control", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a#b\"}", ".path", "#", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":[]}", ".path", "1 to 32", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":[\"a\",\"..\"]}", ".path[1]", "'..'", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":[\"a/b\"]}", ".path[0]", "without '/'", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":[7]}", ".path[0]", "reference", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"headers\":[]}", ".headers", "object", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"headers\":{\"X\":1}}", ".headers.X", "string",
		 CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"headers\":{\"X\":\"a\\r\\nY: b\"}}", ".headers.X", "line break",
		 CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"headers\":{\"X y\":\"a\"}}", ".headers.X y", "no name",
		 CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"headers\":{\"hOST\":\"a\"}}", ".headers.hOST", "itself",
		 CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"headers\":{\"Idempotency-Key\":\"a\"}}",
		 ".headers.Idempotency-Key", "itself", CODE_INVALID_FIELD},
		{"{\"method\":\"GET\",\"path\":\"/a\",\"bodi\":1}", "", "'body'", CODE_UNKNOWN_FIELD},
	};
	static const char *const where[] = {"do", "undo", "check"};
	char json[500], path[120];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t k = 0; k < ARRAY_LEN(where); k++) {
			const char *fine = "{\"method\":\"GET\",\"path\":\"/\"}";

			snprintf(
				json, sizeof(json),
				STEPS("{\"name\":\"pay\",\"service\":\"payments\",\"do\":%s,\"undo\":%s,\"check\":%s}"),
				k == 0 ? cases[i].body : fine, k == 1 ? cases[i].body : fine,
				k == 2 ? cases[i].body : fine);
			snprintf(path, sizeof(path), "steps[0].%s%s", where[k], cases[i].path);
			bad(json, cases[i].code, path, cases[i].part, "step 'pay'");
		}
}

/* ---- what is sent ---- */

static const char *results[4];

static struct str result_of(const void *arg, uint32_t step)
{
	(void)arg;
	return str_of(results[step]);
}

static void renders(const struct flow_spec *spec, uint32_t step, enum flow_body body, const char *want)
{
	struct buf out = {0};
	struct err err = {0};

	if (flow_spec_render(spec, step, body, result_of, NULL, &out, &err) != 0)
		fail_msg("not rendered: %s", err.text);
	assert_string_equal(out.at, want);
	buf_fini(&out);
}

static void renders_not(const struct flow_spec *spec, uint32_t step, enum flow_body body, const char *part)
{
	struct buf out = {0};
	struct err err = {0};

	assert_int_equal(flow_spec_render(spec, step, body, result_of, NULL, &out, &err), -EINVAL);
	if (strstr(err.text, part) == NULL)
		fail_msg("'%s' lacks '%s'", err.text, part);
	buf_fini(&out);
}

static void results_are_filled_in(void **state)
{
	struct flow_spec *spec = good(STEPS(PG("a") "," PAY(
		"\"do\":{\"method\":\"PUT\",\"path\":[\"x\",{\"$from\":\"a\",\"pointer\":\"/id\"}],"
		"\"body\":[1.50,18446744073709551616,{\"$from\":\"a\",\"pointer\":\"/n\"},{\"k\":{\"$from\":\"a\"}},"
		"{\"$from\":\"a\",\"pointer\":\"/no\",\"default\":[0]}]},"
		"\"check\":{\"method\":\"GET\",\"path\":\"/plain\" }")));

	(void)state;
	results[0] = "{\"id\":\"a b%\\u00e9\",\"n\":123456789012345678901234567890}";
	renders(spec, 0, FLOW_BODY_DO, SQL);
	renders(spec, 1, FLOW_BODY_CHECK, "{\"method\":\"GET\",\"path\":\"/plain\" }");
	renders(spec, 1, FLOW_BODY_DO,
		"{\"method\":\"PUT\",\"path\":\"/x/a%20b%25%C3%A9\",\"body\":[1.5,18446744073709551616,"
		"123456789012345678901234567890,{\"k\":{\"id\":\"a "
		"b%\xc3\xa9\",\"n\":123456789012345678901234567890}},[0]]}");
	results[0] = "{\"id\":-7,\"n\":{\"$from\":\"a\"}}"; /* what a result holds is never a reference */
	renders(spec, 1, FLOW_BODY_DO,
		"{\"method\":\"PUT\",\"path\":\"/x/-7\",\"body\":[1.5,18446744073709551616,{\"$from\":\"a\"},"
		"{\"k\":{\"id\":-7,\"n\":{\"$from\":\"a\"}}},[0]]}");
	results[0] = NULL;
	renders_not(spec, 1, FLOW_BODY_DO, "step 'pay' wants a result of step 'a'");
	results[0] = "{\"id\":1}";
	renders_not(spec, 1, FLOW_BODY_DO, "'/n' leads nowhere");
	results[0] = "{\"id\":\"..\",\"n\":1}";
	renders_not(spec, 1, FLOW_BODY_DO, "part of its path");
	results[0] = "{\"id\":\"a/b\",\"n\":1}";
	renders_not(spec, 1, FLOW_BODY_DO, "part of its path");
	results[0] = "{\"id\":null,\"n\":1}";
	renders_not(spec, 1, FLOW_BODY_DO, "part of its path");
	free(spec);
}

/* Parts of a path are escaped whole: whatever a store has answered stays one part. */
static void a_part_of_a_path_stays_one_part(void **state)
{
	static const char *const refused[] = {"\"\"", "\".\"", "\"a\\u0000b\"", "1.5", "true", "[1]", "{\"a\":1}"};
	struct flow_spec *spec = good(STEPS(
		PG("a") ",{\"name\":\"q\",\"store\":\"qdrant\",\"do\":{\"method\":\"GET\",\"path\":[\"collections\","
			"\"%2f?#\",{\"$from\":\"a\",\"default\":\"none\"}]},\"undo\":null}"));
	char *json = malloc(3000);

	(void)state;
	assert_non_null(json);
	results[0] = "18446744073709551615";
	renders(spec, 1, FLOW_BODY_DO,
		"{\"method\":\"GET\",\"path\":\"/collections/%252f%3F%23/18446744073709551615\"}");
	results[0] = "\"azAZ09-_.~@[`{:\"";
	renders(spec, 1, FLOW_BODY_DO,
		"{\"method\":\"GET\",\"path\":\"/collections/%252f%3F%23/azAZ09-_.~%40%5B%60%7B%3A\"}");
	results[0] = ""; /* a step that has answered nothing has no result */
	renders(spec, 1, FLOW_BODY_DO, "{\"method\":\"GET\",\"path\":\"/collections/%252f%3F%23/none\"}");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		results[0] = refused[i];
		renders_not(spec, 1, FLOW_BODY_DO, "step 'q': a result can't be a part of its path");
	}
	(void)snprintf(json, 3000, "\"%02049d\"", 0);
	results[0] = json;
	renders_not(spec, 1, FLOW_BODY_DO, "a result can't be a part of its path");
	free(json);
	free(spec);
}

static void a_missing_result_is_named_wherever_it_stands(void **state)
{
	struct flow_spec *spec = good(STEPS(PG("a") "," PAY(
		"\"do\":{\"method\":\"PUT\",\"path\":\"/x\",\"body\":{\"k\":[{\"n\":{\"$from\":\"a\"}}]}}")));

	(void)state;
	results[0] = NULL;
	renders_not(spec, 1, FLOW_BODY_DO, "step 'pay' wants a result of step 'a', which has none");
	results[0] = "";
	renders_not(spec, 1, FLOW_BODY_DO, "the pointer '' leads nowhere in the result of step 'a'");
	results[0] = "7";
	renders(spec, 1, FLOW_BODY_DO, "{\"method\":\"PUT\",\"path\":\"/x\",\"body\":{\"k\":[{\"n\":7}]}}");
	free(spec);
}

/* Sixty-four references to one large result would make a request that no store takes. */
static void what_is_sent_is_bounded(void **state)
{
	struct flow_spec *spec =
		good(STEPS(PG("a") ",{\"name\":\"b\",\"store\":\"postgresql\",\"undo\":null,\"do\":{\"sql\":\"x\","
				   "\"params\":[{\"$from\":\"a\"},{\"$from\":\"a\"}]}}"));
	const size_t half = 8u << 20;
	char *json = malloc(half + 3);

	(void)state;
	assert_non_null(json);
	memset(json, 'x', half + 3);
	json[0] = json[half + 1] = '"';
	json[half + 2] = '\0';
	results[0] = json;
	renders_not(spec, 1, FLOW_BODY_DO, "over 16777216");
	free(json);
	free(spec);
}

static void braces_in_texts_do_not_end_a_body(void **state)
{
	struct flow_spec *spec = good(STEPS("{\"name\":\"a\",\"store\":\"postgresql\",\"do\":{\"sql\":\"x}\\\"]\\\\\","
					    "\"params\":[\"{\"]} ,\"undo\" : {\"sql\":\"y\"}}"));

	(void)state;
	renders(spec, 0, FLOW_BODY_DO, "{\"sql\":\"x}\\\"]\\\\\",\"params\":[\"{\"]}");
	renders(spec, 0, FLOW_BODY_UNDO, "{\"sql\":\"y\"}");
	free(spec);
}

static void more_references_than_the_bound_are_refused(void **state)
{
	char json[4000];
	int used;

	(void)state;
	used = snprintf(json, sizeof(json),
			"{\"steps\":[" PG("a") ",{\"name\":\"b\",\"store\":\"postgresql\",\"undo\":null,"
					       "\"do\":{\"sql\":\"x\",\"params\":[{\"$from\":\"a\"}");
	for (int i = 1; i < 65; i++)
		used += snprintf(json + used, sizeof(json) - (size_t)used, ",{\"$from\":\"a\"}");
	snprintf(json + used, sizeof(json) - (size_t)used, "]}}]}");
	bad(json, CODE_LIMIT_EXCEEDED, "steps[1].do.params[64]", "64", "step 'b'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_saga_is_read_whole),
		cmocka_unit_test(what_the_journal_keeps_is_read_again),
		cmocka_unit_test(the_whole_is_checked),
		cmocka_unit_test(too_many_bytes_are_refused),
		cmocka_unit_test(names_and_targets_are_checked),
		cmocka_unit_test(the_graph_is_checked),
		cmocka_unit_test(undos_and_pivots_are_checked),
		cmocka_unit_test(references_are_checked),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(store_bodies_are_checked),
		cmocka_unit_test(requests_to_services_are_checked),
		cmocka_unit_test(results_are_filled_in),
		cmocka_unit_test(a_part_of_a_path_stays_one_part),
		cmocka_unit_test(a_missing_result_is_named_wherever_it_stands),
		cmocka_unit_test(what_is_sent_is_bounded),
		cmocka_unit_test(braces_in_texts_do_not_end_a_body),
		cmocka_unit_test(more_references_than_the_bound_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
