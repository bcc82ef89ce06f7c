#include "lib/documents.h"
#include "stores/neo4j/neo4j_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <yyjson.h>

#include <cmocka.h>

static const struct neo4j_dialect modern = {.has_dynamic_types = true};
static const struct neo4j_dialect old = {.has_dynamic_types = false};

#define GRAPH(id)                                                                                                      \
	"{\"id\":\"" id "\",\"title\":\"T\",\"entities\":[{\"type\":\"Person\",\"name\":\"Zoë\"},"                    \
	"{\"type\":\"Person\",\"name\":\"Adam\",\"properties\":{\"born\":1970}},{\"type\":\"City\",\"name\":\"Rome\"}" \
	"],"                                                                                                           \
	"\"relationships\":[{\"from\":{\"type\":\"Person\",\"name\":\"Zoë\"},\"type\":\"KNOWS\","                     \
	"\"to\":{\"type\":\"Person\",\"name\":\"Adam\"},\"properties\":{\"since\":2}},"                                \
	"{\"from\":{\"type\":\"Person\",\"name\":\"Adam\"},\"type\":\"LIVES_IN\","                                     \
	"\"to\":{\"type\":\"City\",\"name\":\"Rome\"}}]}"

static struct leg_write write_of(enum leg_op op, const struct document *document, uint64_t saga)
{
	return (struct leg_write){
		.op = op, .saga = documents_saga(saga), .document_id = document->id, .document = document};
}

static yyjson_doc *body_of(struct leg_write **writes, uint32_t n_writes, const struct neo4j_dialect *dialect)
{
	struct neo4j_body body;
	struct err err;
	yyjson_doc *doc;

	assert_int_equal(neo4j_write_body(writes, n_writes, dialect, &body, &err), 0);
	doc = yyjson_read(body.at, body.len, 0);
	assert_non_null(doc);
	neo4j_body_fini(&body);
	return doc;
}

static yyjson_val *at(yyjson_doc *doc, const char *pointer)
{
	return yyjson_ptr_get(yyjson_doc_get_root(doc), pointer);
}

static const char *text_at(yyjson_doc *doc, const char *pointer)
{
	const char *text = yyjson_get_str(at(doc, pointer));
	assert_non_null(text);
	return text;
}

/* ---- bodies ---- */

static void an_apply_has_the_barrier_first_and_the_count_last(void **state)
{
	struct document *document = documents_make(GRAPH("d"));
	struct leg_write write = write_of(LEG_APPLY, document, 1), *writes[] = {&write};
	yyjson_doc *doc = body_of(writes, 1, &modern);

	(void)state;
	assert_int_equal(yyjson_arr_size(at(doc, "/statements")), 4);
	assert_non_null(strstr(text_at(doc, "/statements/0/statement"), "MERGE (v:Version {saga_id: d.s})"));
	assert_non_null(strstr(text_at(doc, "/statements/3/statement"), "SET v:Document"));
	assert_string_equal(text_at(doc, "/statements/0/parameters/documents/0/id"), "d");
	assert_string_equal(text_at(doc, "/statements/0/parameters/documents/0/title"), "T");
	assert_true(yyjson_is_null(at(doc, "/statements/0/parameters/documents/0/source")));
	assert_int_equal(yyjson_get_int(at(doc, "/statements/3/parameters/documents/0/m")), 3);
	yyjson_doc_free(doc);
	document_destroy(document);
}

static void rows_are_sorted_over_the_whole_batch(void **state)
{
	struct document *one = documents_make(GRAPH("one")), *two = documents_make(GRAPH("two"));
	struct leg_write late = write_of(LEG_APPLY, one, 2), early = write_of(LEG_APPLY, two, 1);
	struct leg_write *writes[] = {&late, &early};
	yyjson_doc *doc = body_of(writes, 2, &modern);
	yyjson_val *row;
	const char *last = "";
	char pair[2 * DIGEST_HEX_BYTES], last_pair[2 * DIGEST_HEX_BYTES] = "";
	size_t i, n;

	(void)state;
	assert_string_equal(text_at(doc, "/statements/0/parameters/documents/0/id"), "two");
	yyjson_arr_foreach(at(doc, "/statements/1/parameters/mentions"), i, n, row)
	{
		const char *key = yyjson_get_str(yyjson_obj_get(row, "k"));
		assert_true(strcmp(last, key) <= 0);
		last = key;
	}
	assert_int_equal(n, 6);
	yyjson_arr_foreach(at(doc, "/statements/2/parameters/relationships"), i, n, row)
	{
		(void)snprintf(pair, sizeof(pair), "%s%s", yyjson_get_str(yyjson_obj_get(row, "a")),
			       yyjson_get_str(yyjson_obj_get(row, "b")));
		assert_true(strcmp(last_pair, pair) <= 0);
		memcpy(last_pair, pair, sizeof(pair));
	}
	assert_int_equal(n, 4);
	yyjson_doc_free(doc);
	document_destroy(one);
	document_destroy(two);
}

static void an_old_server_gets_one_statement_for_each_type(void **state)
{
	struct document *document = documents_make(GRAPH("d"));
	struct leg_write write = write_of(LEG_APPLY, document, 1), *writes[] = {&write};
	yyjson_doc *doc = body_of(writes, 1, &old);

	(void)state;
	assert_int_equal(yyjson_arr_size(at(doc, "/statements")), 5);
	assert_non_null(strstr(text_at(doc, "/statements/2/statement"), "[e:`KNOWS`]"));
	assert_non_null(strstr(text_at(doc, "/statements/3/statement"), "[e:`LIVES_IN`]"));
	assert_int_equal(yyjson_arr_size(at(doc, "/statements/2/parameters/relationships")), 1);
	yyjson_doc_free(doc);
	document_destroy(document);
}

static void an_empty_graph_needs_two_statements(void **state)
{
	struct document *document = documents_make("{\"id\":\"d\"}");
	struct leg_write write = write_of(LEG_APPLY, document, 1), *writes[] = {&write};
	yyjson_doc *doc = body_of(writes, 1, &modern);

	(void)state;
	assert_int_equal(yyjson_arr_size(at(doc, "/statements")), 2);
	yyjson_doc_free(doc);
	document_destroy(document);
}

static void publish_and_remove_name_sagas_only(void **state)
{
	struct leg_write publish = {.op = LEG_PUBLISH, .saga = documents_saga(1), .document_id = str_of("d")};
	struct leg_write remove = {.op = LEG_REMOVE, .saga = documents_saga(1), .document_id = str_of("d")};
	struct leg_write *one[] = {&publish}, *two[] = {&remove};
	char saga[UUID_TEXT_BYTES];
	yyjson_doc *doc = body_of(one, 1, &modern);

	(void)state;
	uuid_format(&publish.saga, saga);
	assert_int_equal(yyjson_arr_size(at(doc, "/statements")), 1);
	assert_string_equal(text_at(doc, "/statements/0/parameters/sagas/0"), saga);
	yyjson_doc_free(doc);
	doc = body_of(two, 1, &modern);
	assert_int_equal(yyjson_arr_size(at(doc, "/statements")), 4);
	assert_string_equal(text_at(doc, "/statements/3/parameters/sagas/0"), saga);
	yyjson_doc_free(doc);
}

/* ---- properties ---- */

static void properties_keep_what_neo4j_holds(void **state)
{
	struct document *document = documents_make(
		"{\"id\":\"d\",\"entities\":[{\"type\":\"T\",\"name\":\"n\",\"properties\":{\"text\":\"q\\\"`\","
		"\"whole\":9223372036854775807,\"real\":0.10,\"yes\":true,\"none\":null,\"list\":[1,2],\"words\":"
		"[\"a\",\"b\"],\"mixed\":[1,\"a\"],\"with_null\":[1,null],\"nested\":[[1]],\"object\":{\"a\":[1]},"
		"\"empty\":[],\"document_id\":\"mine\"}}]}");
	struct leg_write write = write_of(LEG_APPLY, document, 1), *writes[] = {&write};
	yyjson_doc *doc = body_of(writes, 1, &modern);

	(void)state;
#define P "/statements/1/parameters/mentions/0/p/"
	assert_string_equal(text_at(doc, P "text"), "q\"`");
	assert_true(yyjson_get_sint(at(doc, P "whole")) == INT64_MAX);
	assert_true(yyjson_get_real(at(doc, P "real")) == 0.10);
	assert_true(yyjson_get_bool(at(doc, P "yes")));
	assert_null(at(doc, P "none"));
	assert_int_equal(yyjson_get_int(at(doc, P "list/1")), 2);
	assert_string_equal(text_at(doc, P "words/1"), "b");
	assert_string_equal(text_at(doc, P "mixed"), "[1,\"a\"]");
	assert_string_equal(text_at(doc, P "with_null"), "[1,null]");
	assert_string_equal(text_at(doc, P "nested"), "[[1]]");
	assert_string_equal(text_at(doc, P "object"), "{\"a\":[1]}");
	assert_int_equal(yyjson_arr_size(at(doc, P "empty")), 0);
	assert_string_equal(text_at(doc, P "document_id"), "mine");
	assert_int_equal(yyjson_get_int(at(doc, P "ordinal")), 0);
	yyjson_doc_free(doc);
	document_destroy(document);
}

/* The protocol refuses these; should they come all the same, they neither break a request nor the graph's own names. */
static void properties_that_neo4j_lacks_become_text_or_go(void **state)
{
	static const char json[] = "{\"big\":123456789012345678901234567890,\"huge\":1e400,\"key\":\"x\",\"ordinal\":9,"
				   "\"\":1,\"lists\":[1,1e400]}";
	struct entity entity = {.type = str_of("T"), .name = str_of("n"), .properties_json = str_of(json), .key = "k"};
	struct document document = {.id = str_of("d"), .entities = &entity, .n_entities = 1};
	struct leg_write write = write_of(LEG_APPLY, &document, 1), *writes[] = {&write};
	yyjson_doc *doc = body_of(writes, 1, &modern);

	(void)state;
	assert_string_equal(text_at(doc, P "big"), "123456789012345678901234567890");
	assert_string_equal(text_at(doc, P "huge"), "1e400");
	assert_string_equal(text_at(doc, P "lists"), "[1,1e400]");
	assert_int_equal(yyjson_get_int(at(doc, P "ordinal")), 0);
	assert_int_equal(yyjson_obj_size(at(doc, "/statements/1/parameters/mentions/0/p")), 4);
	yyjson_doc_free(doc);
#undef P
}

/* ---- replies ---- */

static void errors_are_judged_by_the_table(void **state)
{
	static const struct {
		const char *code;
		enum verdict verdict;
		bool is_shared;
	} cases[] = {
		{"Neo.TransientError.Transaction.DeadlockDetected", VERDICT_TRANSIENT, false},
		{"Neo.TransientError.Transaction.LockAcquisitionTimeout", VERDICT_TRANSIENT, false},
		{"Neo.TransientError.General.MemoryPoolOutOfMemoryError", VERDICT_TRANSIENT, true},
		{"Neo.TransientError.General.DatabaseUnavailable", VERDICT_OUTAGE, false},
		{"Neo.ClientError.Security.Unauthorized", VERDICT_MISCONFIGURED, false},
		{"Neo.ClientError.Security.AuthenticationRateLimit", VERDICT_TRANSIENT, false},
		{"Neo.ClientError.Database.DatabaseNotFound", VERDICT_MISCONFIGURED, false},
		{"Neo.ClientError.Statement.EntityNotFound", VERDICT_TRANSIENT, false},
		{"Neo.ClientError.Statement.ArithmeticError", VERDICT_TRANSIENT, false},
		{"Neo.ClientError.Statement.TypeError", VERDICT_PERMANENT, true},
		{"Neo.ClientError.Request.InvalidFormat", VERDICT_PERMANENT, true},
		{"Neo.DatabaseError.Statement.ExecutionFailed", VERDICT_PERMANENT, true},
		{"Neo.DatabaseError.Transaction.TransactionCommitFailed", VERDICT_TRANSIENT, true},
		{"Something.New", VERDICT_TRANSIENT, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char reply[300];
		struct err err;
		struct neo4j_answer answer;

		(void)snprintf(reply, sizeof(reply),
			       "{\"results\":[],\"errors\":[{\"code\":\"%s\",\"message\":\"what it says\"}]}",
			       cases[i].code);
		answer = neo4j_answer(200, str_of(reply), &err);
		assert_int_equal(answer.verdict, cases[i].verdict);
		assert_int_equal(answer.is_shared, cases[i].is_shared);
		assert_non_null(strstr(err.text, cases[i].code));
		assert_non_null(strstr(err.text, "what it says"));
	}
}

static void half_a_reply_is_doubt(void **state)
{
	static const char whole[] = "{\"results\":[{\"columns\":[],\"data\":[]}],\"errors\":[]}";
	struct err err;

	(void)state;
	assert_int_equal(neo4j_answer(200, str_of(whole), &err).verdict, VERDICT_OK);
	for (size_t n = 0; n + 1 < sizeof(whole); n++)
		assert_int_equal(neo4j_answer(200, (struct str){whole, n}, &err).verdict, VERDICT_DOUBT);
	assert_int_equal(neo4j_answer(500, str_of("oops"), &err).verdict, VERDICT_DOUBT);
	assert_int_equal(neo4j_answer(404, str_of(""), &err).verdict, VERDICT_MISCONFIGURED);
	assert_int_equal(neo4j_answer(200, str_of("{\"errors\":[]}"), &err).verdict, VERDICT_DOUBT);
}

static void judge_apply(struct leg_write **writes, uint32_t n_writes, const char *fmt, const char *saga)
{
	struct err err = {{0}};
	struct buf reply = {0};

	buf_append_format(&reply,
			  "{\"results\":[{\"columns\":[\"saga\",\"made\"],\"data\":[{\"row\":[\"%s\",2]}]},"
			  "{\"columns\":[\"saga\",\"dead\",\"old\",\"mentions\"],\"data\":[",
			  saga);
	buf_append_format(&reply, "{\"row\":[\"%s\",%s]}", saga, fmt);
	buf_append_text(&reply, "]}],\"errors\":[]}");
	assert_int_equal(neo4j_write_answer(200, buf_str(&reply), writes, n_writes, &err).verdict, VERDICT_OK);
	buf_fini(&reply);
}

static void an_apply_counts_what_was_written(void **state)
{
	struct document *document = documents_make(GRAPH("d"));
	struct leg_write write = write_of(LEG_APPLY, document, 1), other = write_of(LEG_APPLY, document, 2);
	struct leg_write *writes[] = {&write, &other};
	char saga[UUID_TEXT_BYTES];

	(void)state;
	uuid_format(&write.saga, saga);
	judge_apply(writes, 1, "false,false,3", saga);
	assert_int_equal(write.verdict, VERDICT_OK);
	judge_apply(writes, 1, "false,true,3", saga);
	assert_int_equal(write.verdict, VERDICT_OK);
	judge_apply(writes, 1, "false,false,2", saga);
	assert_int_equal(write.verdict, VERDICT_TRANSIENT);
	judge_apply(writes, 1, "true,false,0", saga);
	assert_int_equal(write.verdict, VERDICT_TRANSIENT);
	assert_non_null(strstr(write.err.text, "removed"));
	judge_apply(writes, 2, "false,false,3", saga);
	assert_int_equal(write.verdict, VERDICT_OK);
	assert_int_equal(other.verdict, VERDICT_TRANSIENT); /* the reply says nothing of it */
	document_destroy(document);
}

/* ---- check ---- */

#define CONSTRAINTS(rows)                                                                                              \
	"{\"results\":[{\"columns\":[\"type\"],\"data\":[" rows "]},{\"columns\":[\"name\"],\"data\":[{\"row\":"       \
	"[\"Neo4j Kernel\",\"5.26.30\"]},{\"row\":[\"Cypher\",\"5\"]}]}],\"errors\":[]}"
#define VERSION_UNIQUE "{\"row\":[\"UNIQUENESS\",[\"Version\"],[\"saga_id\"]]}"
#define ENTITY_UNIQUE  "{\"row\":[\"NODE_PROPERTY_UNIQUENESS\",[\"Entity\"],[\"key\"]]}"

static void missing_constraints_are_named(void **state)
{
	struct neo4j_server server;
	struct err err;

	(void)state;
	assert_int_equal(neo4j_check_parse(str_of(CONSTRAINTS(VERSION_UNIQUE "," ENTITY_UNIQUE)), &server), 0);
	assert_int_equal(neo4j_check_constraints(&server, &err), 0);
	assert_string_equal(server.version, "5.26.30");
	assert_int_equal(neo4j_check_parse(str_of(CONSTRAINTS(VERSION_UNIQUE)), &server), 0);
	assert_int_equal(neo4j_check_constraints(&server, &err), -EINVAL);
	assert_non_null(strstr(err.text, "Entity.key"));
	assert_non_null(strstr(err.text, "sagactl init"));
	assert_int_equal(neo4j_check_parse(str_of(CONSTRAINTS("")), &server), 0);
	assert_int_equal(neo4j_check_constraints(&server, &err), -EINVAL);
	assert_int_equal(neo4j_check_parse(str_of("{\"results\":[],\"errors\":[]}"), &server), -EPROTO);
}

static void the_dialect_follows_the_version(void **state)
{
	(void)state;
	assert_true(neo4j_dialect_of("5.26.30").has_dynamic_types);
	assert_true(neo4j_dialect_of("2026.08.1").has_dynamic_types);
	assert_false(neo4j_dialect_of("5.25.1").has_dynamic_types);
	assert_false(neo4j_dialect_of("").has_dynamic_types);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_apply_has_the_barrier_first_and_the_count_last),
		cmocka_unit_test(rows_are_sorted_over_the_whole_batch),
		cmocka_unit_test(an_old_server_gets_one_statement_for_each_type),
		cmocka_unit_test(an_empty_graph_needs_two_statements),
		cmocka_unit_test(publish_and_remove_name_sagas_only),
		cmocka_unit_test(properties_keep_what_neo4j_holds),
		cmocka_unit_test(properties_that_neo4j_lacks_become_text_or_go),
		cmocka_unit_test(errors_are_judged_by_the_table),
		cmocka_unit_test(half_a_reply_is_doubt),
		cmocka_unit_test(an_apply_counts_what_was_written),
		cmocka_unit_test(missing_constraints_are_named),
		cmocka_unit_test(the_dialect_follows_the_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
