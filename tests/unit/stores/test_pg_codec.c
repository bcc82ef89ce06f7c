/* The pure parts of the PostgreSQL adapter: binary parameters and values, error classes, the statements of a pivot and
 * of the schema. */
#include "stores/postgres/pg_pivot_codec.h"
#include "stores/postgres/pg_schema.h"
#include "stores/postgres/pg_sqlstate.h"
#include "stores/postgres/pg_value.h"

#include "base/must.h"
#include "proto/document.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define assert_value(params, nth, bytes)                                                                               \
	do {                                                                                                           \
		struct str value = pg_params_value(params, nth);                                                       \
		assert_int_equal(value.len, sizeof(bytes) - 1);                                                        \
		assert_memory_equal(value.at, bytes, sizeof(bytes) - 1);                                               \
	} while (0)

static void scalars_are_in_network_order(void **state)
{
	struct pg_params params;
	struct uuid uuid = {{1, 2, 3}};

	(void)state;
	pg_params_init(&params);
	pg_params_add_text(&params, str_of(""));
	pg_params_add_int8(&params, -2);
	pg_params_add_bool(&params, true);
	pg_params_add_uuid(&params, &uuid);
	pg_params_add_text(&params, str_of("ab"));
	assert_int_equal(pg_params_check(&params), 0);
	assert_int_equal(params.n, 5);
	assert_value(&params, 0, "");
	assert_non_null(pg_params_value(&params, 0).at); /* NULL would be SQL's NULL */
	assert_value(&params, 1, "\xff\xff\xff\xff\xff\xff\xff\xfe");
	assert_value(&params, 2, "\1");
	assert_value(&params, 3, "\1\2\3\0\0\0\0\0\0\0\0\0\0\0\0\0");
	assert_value(&params, 4, "ab");
	assert_int_equal(params.oids[1], PG_INT8);
	pg_params_fini(&params);
	pg_params_fini(NULL);
}

static void arrays_have_head_lengths_and_nulls(void **state)
{
	struct pg_params params;

	(void)state;
	pg_params_init(&params);
	pg_params_open(&params, pg_params_texts);
	pg_params_item_str(&params, str_of("x"));
	pg_params_item_str(&params, STR_NONE);
	pg_params_item_str(&params, str_of(""));
	pg_params_close(&params);
	pg_params_open(&params, pg_params_int4s);
	pg_params_close(&params);
	pg_params_open(&params, pg_params_jsonbs);
	pg_params_item_json(&params, str_of("{}"));
	pg_params_close(&params);
	assert_value(&params, 0,
		     "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\3\0\0\0\1"
		     "\0\0\0\1x\xff\xff\xff\xff\0\0\0\0");
	assert_value(&params, 1, "\0\0\0\0\0\0\0\0\0\0\0\x17");
	assert_value(&params, 2, "\0\0\0\1\0\0\0\0\0\0\x0e\xda\0\0\0\1\0\0\0\1\0\0\0\3\1{}");
	assert_int_equal(params.oids[0], 1009);
	assert_int_equal(params.oids[1], 1007);
	pg_params_fini(&params);
}

static void vectors_are_pgvectors_binary_form(void **state)
{
	static const float components[] = {1.0f, -2.5f};
	static const struct pg_array_type vectors = {16385, 16391};
	struct pg_params params;

	(void)state;
	pg_params_init(&params);
	pg_params_open(&params, vectors);
	pg_params_item_vector(&params, components, 2);
	pg_params_close(&params);
	assert_int_equal(params.oids[0], 16391);
	assert_value(&params, 0,
		     "\0\0\0\1\0\0\0\0\0\0\x40\x01\0\0\0\1\0\0\0\1"
		     "\0\0\0\x0c\0\2\0\0\x3f\x80\0\0\xc0\x20\0\0");
	pg_params_fini(&params);
}

static void values_are_read_and_bad_lengths_are_zero(void **state)
{
	char text[6];
	uint8_t bytes[4];
	struct uuid uuid = pg_value_uuid((struct str){"\1", 1});

	(void)state;
	assert_int_equal(pg_value_int((struct str){"\xff\xfe", 2}), -2);
	assert_int_equal(pg_value_int((struct str){"\0\0\1\0", 4}), 256);
	assert_int_equal(pg_value_int((struct str){"\0\0\0\1\0\0\0\0", 8}), 4294967296);
	assert_int_equal(pg_value_int((struct str){"123", 3}), 0);
	assert_int_equal(pg_value_int(STR_NONE), 0);
	assert_true(pg_value_bool((struct str){"\1", 1}));
	assert_false(pg_value_bool(STR_NONE));
	assert_true(uuid_is_nil(&uuid));
	pg_value_bytes((struct str){"ab", 2}, bytes, sizeof(bytes));
	assert_memory_equal(bytes, "ab\0\0", 4);
	pg_value_text(str_of("abcd\xc3\xa4"), text, sizeof(text)); /* the last character doesn't fit */
	assert_string_equal(text, "abcd");
	pg_value_text(STR_NONE, text, sizeof(text));
	assert_string_equal(text, "");
}

static void error_codes_have_their_class(void **state)
{
	static const struct {
		const char *sqlstate;
		enum verdict verdict;
	} cases[] = {
		{"22P02", VERDICT_PERMANENT},     {"22000", VERDICT_PERMANENT},     {"22P05", VERDICT_PERMANENT},
		{"23505", VERDICT_PERMANENT},     {"54000", VERDICT_PERMANENT},     {"P0001", VERDICT_PERMANENT},
		{"40001", VERDICT_TRANSIENT},     {"40P01", VERDICT_TRANSIENT},     {"55P03", VERDICT_TRANSIENT},
		{"57014", VERDICT_TRANSIENT},     {"53200", VERDICT_TRANSIENT},     {"25P02", VERDICT_TRANSIENT},
		{"57P01", VERDICT_OUTAGE},        {"57P02", VERDICT_OUTAGE},        {"57P03", VERDICT_OUTAGE},
		{"08006", VERDICT_OUTAGE},        {"53300", VERDICT_OUTAGE},        {"53100", VERDICT_OUTAGE},
		{"25006", VERDICT_OUTAGE},        {"58030", VERDICT_OUTAGE},        {"28P01", VERDICT_MISCONFIGURED},
		{"3D000", VERDICT_MISCONFIGURED}, {"42P01", VERDICT_MISCONFIGURED}, {"42501", VERDICT_MISCONFIGURED},
		{"57P04", VERDICT_MISCONFIGURED}, {"XX001", VERDICT_MISCONFIGURED}, {"XX000", VERDICT_TRANSIENT},
		{"ZZZZZ", VERDICT_TRANSIENT},     {"", VERDICT_TRANSIENT},          {NULL, VERDICT_TRANSIENT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (pg_sqlstate_verdict(cases[i].sqlstate) != cases[i].verdict)
			fail_msg("%s has the wrong class", cases[i].sqlstate);
}

static void a_code_is_found_in_a_verbose_message(void **state)
{
	char code[PG_SQLSTATE_BYTES];

	(void)state;
	assert_true(
		pg_sqlstate_find("connection to server at \"h\" (1.2.3.4), port 5432 failed: FATAL:  28P01: password "
				 "authentication failed\nLOCATION:  auth_failed, auth.c:3",
				 code));
	assert_string_equal(code, "28P01");
	assert_false(pg_sqlstate_find("connection refused:  no code here", code));
	assert_string_equal(code, "");
	assert_false(pg_sqlstate_find(":  12", code));
}

/* ---- pivots ---- */

static const float embedding[3] = {1, 2, 3};

static const struct pg_embedding as_vector = {true, true, {16385, 16391}}, as_real = {true, false, {700, 1021}};

/* A document with two chunks. */
struct sample {
	struct chunk chunks[2];
	struct document document;
};

static struct truth_pivot sample_pivot(struct sample *s, const char *id, bool is_expected)
{
	struct truth_pivot pivot = {.is_expected = is_expected, .document_id = str_of(id), .document = &s->document};

	s->chunks[0] = (struct chunk){.id = str_of("a"), .text = str_of("first"), .embedding = embedding};
	s->chunks[1] = (struct chunk){.id = str_of("b"), .text = str_of("second"), .embedding = embedding};
	s->document = (struct document){.id = str_of(id), .chunks = s->chunks, .n_chunks = 2, .dims = 3};
	pivot.saga.bytes[0] = (uint8_t)id[0];
	return pivot;
}

static const struct pg_statement *find_statement(const struct pg_script *script, const char *start)
{
	for (uint32_t i = 0; i < script->n; i++)
		if (strncmp(script->statements[i].sql, start, strlen(start)) == 0)
			return &script->statements[i];
	return NULL;
}

static const struct pg_params *params_of(const struct pg_script *script, const char *start)
{
	const struct pg_statement *statement = find_statement(script, start);

	MUST(statement != NULL);
	return &statement->params;
}

static void a_fresh_document_needs_no_lock_and_no_clearing(void **state)
{
	struct pg_script script;
	struct pg_pivot_plan plan;
	struct sample s;
	struct truth_pivot pivot = sample_pivot(&s, "x", false), *list[] = {&pivot};

	(void)state;
	pg_script_init(&script);
	assert_int_equal(pg_pivot_build(&script, list, 1, 7, &as_vector, &plan), 0);
	assert_string_equal(script.statements[0].sql, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
	assert_string_equal(script.statements[plan.commit].sql, "COMMIT");
	assert_int_equal(plan.commit, script.n - 1);
	assert_value(&script.statements[plan.owner].params, 0, "\0\0\0\0\0\0\0\7");
	assert_null(find_statement(&script, "SELECT 1 FROM documents"));
	assert_null(find_statement(&script, "UPDATE documents"));
	assert_null(find_statement(&script, "WITH mine"));
	assert_null(find_statement(&script, "INSERT INTO entities"));
	assert_null(find_statement(&script, "INSERT INTO sagad_debts"));
	assert_non_null(find_statement(&script, "INSERT INTO chunks"));
	assert_non_null(find_statement(&script, "INSERT INTO documents"));
	pg_script_fini(&script);
}

static void a_batch_goes_in_the_order_of_its_ids(void **state)
{
	static const char locked[] = "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\2\0\0\0\1\0\0\0\1b\0\0\0\2bb";
	struct pg_script script;
	struct pg_pivot_plan plan;
	struct sample s[3];
	struct truth_pivot pivots[3] = {sample_pivot(&s[0], "bb", true), sample_pivot(&s[1], "a", false),
					sample_pivot(&s[2], "b", true)};
	struct truth_pivot *list[] = {&pivots[0], &pivots[1], &pivots[2]};

	(void)state;
	pg_script_init(&script);
	assert_int_equal(pg_pivot_build(&script, list, 3, 7, &as_vector, &plan), 0);
	assert_ptr_equal(list[0], &pivots[0]); /* the caller's own order stays */
	assert_value(params_of(&script, "SELECT 1 FROM documents"), 0, locked);
	assert_non_null(find_statement(&script, "UPDATE documents"));
	assert_non_null(find_statement(&script, "INSERT INTO documents"));
	pg_script_fini(&script);
}

static void reals_go_as_one_array_with_places(void **state)
{
	struct pg_script script;
	struct pg_pivot_plan plan;
	struct sample s;
	struct truth_pivot pivot = sample_pivot(&s, "x", false), *list[] = {&pivot};
	const struct pg_params *params;

	(void)state;
	pg_script_init(&script);
	assert_int_equal(pg_pivot_build(&script, list, 1, 7, &as_real, &plan), 0);
	params = params_of(&script, "INSERT INTO chunks");
	assert_int_equal(params->n, 10);
	assert_int_equal(params->oids[7], 1021);
	assert_int_equal(pg_params_value(params, 7).len, 20 + 6 * 8);
	assert_value(params, 8, "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\1\0\0\0\4\0\0\0\4");
	assert_value(params, 9, "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1\0\0\0\4\0\0\0\3\0\0\0\4\0\0\0\6");
	pg_script_fini(&script);
}

static void a_delete_writes_a_tombstone_and_no_members(void **state)
{
	struct pg_script script;
	struct pg_pivot_plan plan;
	struct truth_pivot pivot = {.is_delete = true, .is_expected = true, .document_id = str_of("d")},
			   *list[] = {&pivot};

	(void)state;
	pg_script_init(&script);
	assert_int_equal(pg_pivot_build(&script, list, 1, 7, &as_vector, &plan), 0);
	assert_non_null(find_statement(&script, "UPDATE documents"));
	assert_non_null(find_statement(&script, "WITH mine"));
	assert_null(find_statement(&script, "INSERT INTO chunks"));
	/* The hash is NULL, and so is the content. */
	assert_value(params_of(&script, "UPDATE documents"), 7,
		     "\0\0\0\1\0\0\0\1\0\0\0\x11\0\0\0\1\0\0\0\1\xff\xff\xff\xff");
	pg_script_fini(&script);
	assert_true(pg_pivot_bytes(&pivot) > 0);
}

static void the_estimate_covers_what_is_sent(void **state)
{
	struct pg_script script;
	struct pg_pivot_plan plan;
	struct sample s;
	struct truth_pivot pivot = sample_pivot(&s, "x", true), *list[] = {&pivot};
	size_t sent = 0;

	(void)state;
	pg_script_init(&script);
	assert_int_equal(pg_pivot_build(&script, list, 1, 7, &as_vector, &plan), 0);
	for (uint32_t i = 0; i < script.n; i++)
		sent += script.statements[i].params.bytes.len;
	/* Beside the heads of the arrays, which a batch has once. */
	assert_true(pg_pivot_bytes(&pivot) + (size_t)script.n * PG_PARAMS_MAX * 20 > sent);
	pg_script_fini(&script);
}

static void the_names_of_debts_go_both_ways(void **state)
{
	enum leg_op op = LEG_APPLY;

	(void)state;
	for (unsigned i = 0; i < LEG_OPS; i++) {
		assert_true(pg_pivot_op_parse(pg_pivot_op_name((enum leg_op)i), &op));
		assert_int_equal(op, i);
	}
	assert_false(pg_pivot_op_parse("explode", &op));
}

/* ---- the schema ---- */

static void the_index_follows_pgvectors_limits(void **state)
{
	struct store_schema schema = {.dims = 384, .distance = "cosine", .hnsw_m = 8, .hnsw_ef_construct = 32};
	struct err err;
	struct buf sql;

	(void)state;
	buf_init(&sql);
	assert_int_equal(pg_schema_write_index(&sql, &schema, &err), 0);
	assert_string_equal(sql.at,
			    "CREATE INDEX CONCURRENTLY IF NOT EXISTS chunks_embedding_hnsw ON chunks USING hnsw "
			    "(embedding vector_cosine_ops) WITH (m = 8,ef_construction = 32)");
	buf_clear(&sql);
	schema = (struct store_schema){.dims = 3072, .distance = "dot", .hnsw_ef_construct = 32};
	assert_int_equal(pg_schema_write_index(&sql, &schema, &err), 0);
	assert_non_null(strstr(sql.at, "((embedding::halfvec(3072)) halfvec_ip_ops) WITH (ef_construction = 32)"));
	schema.dims = 4001;
	assert_int_equal(pg_schema_write_index(&sql, &schema, &err), -EINVAL);
	assert_non_null(strstr(err.text, "4000"));
	schema = (struct store_schema){.dims = 4, .distance = "odd"};
	assert_int_equal(pg_schema_write_index(&sql, &schema, &err), -EINVAL);
	buf_fini(&sql);
}

static void another_dimension_is_refused_by_name(void **state)
{
	struct pg_schema_found found = {.has_embedding = true, .is_vector = true, .dims = 768};
	struct store_schema schema = {.dims = 384, .distance = "cosine"};
	struct err err;

	(void)state;
	assert_int_equal(pg_schema_compare(&found, &schema, &err), -EEXIST);
	assert_non_null(strstr(err.text, "768"));
	assert_non_null(strstr(err.text, "384"));
	found.dims = 384;
	assert_int_equal(pg_schema_compare(&found, &schema, &err), 0);
	found.dims = -1; /* a column without a bound takes any */
	assert_int_equal(pg_schema_compare(&found, &schema, &err), 0);
	found.is_vector = false;
	schema.ann_index = true;
	assert_int_equal(pg_schema_compare(&found, &schema, &err), -EEXIST);
	(void)snprintf(found.missing_columns, sizeof(found.missing_columns), "documents.version");
	assert_int_equal(pg_schema_compare(&found, &schema, &err), -EEXIST);
	assert_non_null(strstr(err.text, "documents.version"));
	found = (struct pg_schema_found){.can_have_extension = true};
	schema = (struct store_schema){.dims = 20000};
	assert_int_equal(pg_schema_compare(&found, &schema, &err), -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_are_in_network_order),
		cmocka_unit_test(arrays_have_head_lengths_and_nulls),
		cmocka_unit_test(vectors_are_pgvectors_binary_form),
		cmocka_unit_test(values_are_read_and_bad_lengths_are_zero),
		cmocka_unit_test(error_codes_have_their_class),
		cmocka_unit_test(a_code_is_found_in_a_verbose_message),
		cmocka_unit_test(a_fresh_document_needs_no_lock_and_no_clearing),
		cmocka_unit_test(a_batch_goes_in_the_order_of_its_ids),
		cmocka_unit_test(reals_go_as_one_array_with_places),
		cmocka_unit_test(a_delete_writes_a_tombstone_and_no_members),
		cmocka_unit_test(the_estimate_covers_what_is_sent),
		cmocka_unit_test(the_names_of_debts_go_both_ways),
		cmocka_unit_test(the_index_follows_pgvectors_limits),
		cmocka_unit_test(another_dimension_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
