/* The document: what is read, and every kind of bad input that a store would stumble over. */
#include "parse.h"

#include <math.h>

#define CHUNK(members)  PUT("\"id\":\"a\",\"chunks\":[{" members "}]")
#define VECTOR(numbers) CHUNK("\"text\":\"x\",\"embedding\":" numbers)
#define ENTITIES        "\"entities\":[{\"type\":\"P\",\"name\":\"n\"},{\"type\":\"P\",\"name\":\"m\"}]"
#define LINK(members)   PUT("\"id\":\"a\"," ENTITIES ",\"relationships\":[{" members "}]")
#define END_N           "{\"type\":\"P\",\"name\":\"n\"}"
#define END_M           "{\"type\":\"P\",\"name\":\"m\"}"

static void a_whole_document_is_read(void **state)
{
	struct request *request = parse_good(
		PUT("\"id\":\"d\\u00e9\",\"title\":\"T\",\"source\":\"S\",\"content\":\"C\\n\",\"metadata\":{ \"a\" : "
		    "1.50 },"
		    "\"chunks\":[{\"id\":\"c\",\"text\":\"\",\"metadata\":{\"p\":2},\"embedding\": [ 0.1, -2e1 ]},"
		    "{\"embedding\":[1,2],\"text\":\"y\"}],"
		    "\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":{\"age\":7}},{\"type\":\"P\",\"name\":"
		    "\"m\"}],"
		    "\"relationships\":[{\"from\":" END_M ",\"type\":\"KNOWS\",\"to\":" END_N
		    ",\"properties\":{\"w\":1}}]"));
	const struct document *document = request->document;

	(void)state;
	assert_string_equal(document->id.at, "d\xc3\xa9");
	assert_string_equal(document->title.at, "T");
	assert_string_equal(document->source.at, "S");
	assert_string_equal(document->content.at, "C\n");
	assert_string_equal(document->metadata_json.at, "{\"a\":1.5}");
	assert_int_equal(document->n_chunks, 2);
	assert_int_equal(document->dims, 2);
	assert_string_equal(document->chunks[0].id.at, "c");
	assert_int_equal(document->chunks[0].text.len, 0);
	assert_non_null(document->chunks[0].text.at);
	assert_string_equal(document->chunks[0].metadata_json.at, "{\"p\":2}");
	assert_true(str_is_equal(document->chunks[0].embedding_json, str_of("[ 0.1, -2e1 ]")));
	assert_true(document->chunks[0].embedding[0] == 0.1f && document->chunks[0].embedding[1] == -20.0f);
	assert_string_equal(document->chunks[1].id.at, "1");
	assert_null(document->chunks[1].metadata_json.at);
	assert_true(document->chunks[1].embedding[1] == 2.0f);
	assert_int_equal(document->n_entities, 2);
	assert_string_equal(document->entities[0].properties_json.at, "{\"age\":7}");
	assert_null(document->entities[1].properties_json.at);
	assert_int_equal(document->n_relationships, 1);
	assert_int_equal(document->relationships[0].from, 1);
	assert_int_equal(document->relationships[0].to, 0);
	assert_string_equal(document->relationships[0].type.at, "KNOWS");
	assert_string_equal(document->relationships[0].properties_json.at, "{\"w\":1}");
	assert_true(document->graph_bytes > 0 && document->memory_bytes > sizeof(*document));
	request_destroy(request);
}

/* SHA-256 of "P\nn", as any other program would compute it. */
static void an_entity_key_is_the_hash_of_type_and_name(void **state)
{
	struct request *request = parse_good(PUT("\"id\":\"a\"," ENTITIES));

	(void)state;
	assert_string_equal(request->document->entities[0].key,
			    "be42c2490df9c5308d77c5d38638b2195e51ab7e5a39bf362ddb98f1582c6958");
	request_destroy(request);
}

static void little_is_enough(void **state)
{
	struct request *request = parse_good(PUT("\"id\":\"a\",\"title\":null,\"chunks\":[],\"entities\":null"));
	struct document *document = request_take_document(request);

	(void)state;
	assert_null(request->document);
	request_destroy(request);
	assert_null(document->title.at);
	assert_int_equal(document->n_chunks + document->n_entities + document->n_relationships + document->dims, 0);
	document_destroy(document);
}

static void the_hash_covers_everything_and_nothing_else(void **state)
{
	static const char *const lines[] = {
		PUT("\"id\":\"a\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"b\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,3]}]"),
		PUT("\"id\":\"a\",\"chunks\":[{\"text\":\"y\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"chunks\":[{\"id\":\"z\",\"text\":\"x\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"title\":\"\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"source\":\"\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"metadata\":{},\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"chunks\":[{\"text\":\"x\",\"metadata\":{},\"embedding\":[1,2]}]"),
		PUT("\"id\":\"a\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]}]," ENTITIES),
	};
	struct request *made[ARRAY_LEN(lines)], *same;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		made[i] = parse_good(lines[i]);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(made[i]->document->content_hash, made[j]->document->content_hash,
						DIGEST_BYTES);
	}
	same = parse_good(PUT("\"chunks\" : [ {\"embedding\":[1.0,2e0], \"text\":\"\\u0078\", \"id\":\"0\"} ],"
			      "\"id\":\"a\",\"deadline_ms\":5"));
	assert_memory_equal(same->document->content_hash, made[0]->document->content_hash, DIGEST_BYTES);
	request_destroy(same);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		request_destroy(made[i]);
}

static void the_jobs_own_bytes_are_kept(void **state)
{
	struct request *request = parse_good(
		"{ \"params\" : {\"id\":\"a}\", \"chunks\":[{\"text\":\"[1]\",\"em\\u0062edding\" :\t[1,\t2.0000]}] } ,"
		" \"jsonrpc\":\"2.0\", \"id\":1, \"method\":\"document.put\" } ");
	struct request *last =
		parse_good("{\"jsonrpc\":\"2.0\",\"method\":\"document.put\",\"params\":{\"id\":\"a\"}\t}\t");

	(void)state;
	assert_string_equal(request->document->job_json.at,
			    "{\"id\":\"a}\", \"chunks\":[{\"text\":\"[1]\",\"em\\u0062edding\" :\t[1,\t2.0000]}] }");
	assert_true(str_is_equal(request->document->chunks[0].embedding_json, str_of("[1,\t2.0000]")));
	assert_string_equal(last->document->job_json.at, "{\"id\":\"a\"}");
	request_destroy(last);
	request_destroy(request);
}

static void ids_are_checked(void **state)
{
	static char line[4096];

	(void)state;
	refuse(PUT("\"title\":\"x\""), CODE_MISSING_FIELD, "id", "must be given");
	refuse(PUT("\"id\":\"\""), CODE_INVALID_FIELD, "id", "empty");
	refuse(PUT("\"id\":5"), CODE_INVALID_FIELD, "id", "a number");
	refuse(PUT("\"id\":\"a\\u0000b\""), CODE_INVALID_FIELD, "id", "NUL");
	snprintf(line, sizeof(line), PUT("\"id\":\"%0512d\""), 0);
	request_destroy(parse_good(line));
	snprintf(line, sizeof(line), PUT("\"id\":\"%0513d\""), 0);
	refuse(line, CODE_LIMIT_EXCEEDED, "id", "513 bytes");
}

static void texts_are_checked(void **state)
{
	struct document_limits limits = document_limits_default();

	(void)state;
	refuse(PUT("\"id\":\"a\",\"title\":7"), CODE_INVALID_FIELD, "title", "must be a string, not a number");
	refuse(PUT("\"id\":\"a\",\"content\":\"\\u0000\""), CODE_INVALID_FIELD, "content", "PostgreSQL");
	refuse(PUT("\"id\":\"a\",\"id\":\"a\""), CODE_INVALID_FIELD, "id", "twice");
	refuse(PUT("\"id\":\"a\",\"chunk\":[]"), CODE_UNKNOWN_FIELD, "", "did you mean 'chunks'");
	limits.max_content_bytes = 3;
	refuse_with(PUT("\"id\":\"a\",\"content\":\"four\""), &limits, CODE_LIMIT_EXCEEDED, "content",
		    "limits.max_content is 3");
	refuse_with(CHUNK("\"text\":\"four\",\"embedding\":[1]"), &limits, CODE_LIMIT_EXCEEDED, "chunks[0].text",
		    "limits.max_content is 3");
}

static void vectors_are_checked(void **state)
{
	struct document_limits limits = document_limits_default();

	(void)state;
	refuse(CHUNK("\"text\":\"x\""), CODE_MISSING_FIELD, "chunks[0].embedding", "must be given");
	refuse(VECTOR("null"), CODE_MISSING_FIELD, "chunks[0].embedding", "must be given");
	refuse(VECTOR("\"1\""), CODE_INVALID_FIELD, "chunks[0].embedding", "a string");
	refuse(VECTOR("[]"), CODE_INVALID_FIELD, "chunks[0].embedding", "empty");
	refuse(VECTOR("[1,null]"), CODE_INVALID_FIELD, "chunks[0].embedding[1]", "null");
	refuse(VECTOR("[1,\"2\"]"), CODE_INVALID_FIELD, "chunks[0].embedding[1]", "a string");
	refuse(VECTOR("[1,[2]]"), CODE_INVALID_FIELD, "chunks[0].embedding[1]", "an array");
	refuse(VECTOR("[NaN]"), CODE_INVALID_FIELD, "chunks[0].embedding[0]", "NaN");
	refuse(VECTOR("[1,-Infinity]"), CODE_INVALID_FIELD, "chunks[0].embedding[1]", "infinite");
	refuse(VECTOR("[1e39]"), CODE_INVALID_FIELD, "chunks[0].embedding[0]", "too large");
	refuse(VECTOR("[3.4028235677973366e38]"), CODE_INVALID_FIELD, "chunks[0].embedding[0]", "too large");
	refuse(VECTOR("[1e999]"), CODE_INVALID_FIELD, "chunks[0].embedding[0]", "infinite");
	refuse(VECTOR("[0,0.0,-0]"), CODE_INVALID_FIELD, "chunks[0].embedding", "length zero");
	refuse(VECTOR("[1e-30]"), CODE_INVALID_FIELD, "chunks[0].embedding", "length zero");
	refuse(PUT("\"id\":\"a\",\"chunks\":[{\"text\":\"x\",\"embedding\":[1,2]},{\"text\":\"x\",\"embedding\":[1]}]"),
	       CODE_INVALID_FIELD, "chunks[1].embedding", "first chunk has 2");
	request_destroy(parse_good(VECTOR("[3.4028234e38,1e-46]")));
	limits.refuse_zero_vectors = false;
	limits.dims = 3;
	refuse_with(VECTOR("[1,2]"), &limits, CODE_INVALID_FIELD, "chunks[0].embedding", "schema.dims");
	limits.dims = 0;
	limits.max_dims = 1;
	refuse_with(VECTOR("[1,2]"), &limits, CODE_LIMIT_EXCEEDED, "chunks[0].embedding", "limits.max_dims is 1");
}

static void zero_vectors_pass_where_they_have_a_meaning(void **state)
{
	struct document_limits limits = document_limits_default();
	struct request *request;
	struct request_fault fault;

	(void)state;
	limits.refuse_zero_vectors = false;
	assert_int_equal(parse_bytes(VECTOR("[0,0]"), strlen(VECTOR("[0,0]")), &limits, &request, &fault), 0);
	request_destroy(request);
}

static void chunks_are_checked(void **state)
{
	struct document_limits limits = document_limits_default();

	(void)state;
	refuse(PUT("\"id\":\"a\",\"chunks\":{}"), CODE_INVALID_FIELD, "chunks", "an array, not an object");
	refuse(PUT("\"id\":\"a\",\"chunks\":[1]"), CODE_INVALID_FIELD, "chunks[0]", "object");
	refuse(CHUNK("\"embedding\":[1]"), CODE_MISSING_FIELD, "chunks[0].text", "must be given");
	refuse(CHUNK("\"embeding\":[1]"), CODE_UNKNOWN_FIELD, "chunks[0]", "'embedding'");
	refuse(CHUNK("\"text\":\"x\",\"text\":\"y\""), CODE_INVALID_FIELD, "chunks[0].text", "twice");
	refuse(CHUNK("\"id\":\"\",\"text\":\"x\",\"embedding\":[1]"), CODE_INVALID_FIELD, "chunks[0].id", "empty");
	refuse(PUT("\"id\":\"a\",\"chunks\":[{\"id\":\"c\",\"text\":\"x\",\"embedding\":[1]},"
		   "{\"id\":\"c\",\"text\":\"x\",\"embedding\":[1]}]"),
	       CODE_INVALID_FIELD, "chunks[1].id", "chunks[0] already");
	refuse(PUT("\"id\":\"a\",\"chunks\":[{\"id\":\"1\",\"text\":\"x\",\"embedding\":[1]},"
		   "{\"text\":\"x\",\"embedding\":[1]}]"),
	       CODE_INVALID_FIELD, "chunks[1].id", "chunks[0] already");
	limits.max_chunks = 0;
	refuse_with(VECTOR("[1]"), &limits, CODE_LIMIT_EXCEEDED, "chunks", "limits.max_chunks is 0");
	limits = document_limits_default();
	limits.max_vector_json_bytes = 100;
	refuse_with(VECTOR("[1]"), &limits, CODE_LIMIT_EXCEEDED, "chunks", "limits.max_vector_json is 100");
}

static void metadata_is_checked(void **state)
{
	struct document_limits limits = document_limits_default();

	(void)state;
	refuse(PUT("\"id\":\"a\",\"metadata\":[]"), CODE_INVALID_FIELD, "metadata", "an object, not an array");
	refuse(PUT("\"id\":\"a\",\"metadata\":{\"a\":{\"b\":[\"x\\u0000\"]}}"), CODE_INVALID_FIELD, "metadata.a.b[0]",
	       "NUL");
	refuse(PUT("\"id\":\"a\",\"metadata\":{\"a\\u0000\":1}"), CODE_INVALID_FIELD, "metadata", "a key holds a NUL");
	refuse(PUT("\"id\":\"a\",\"metadata\":{\"a\":1,\"\\u0061\":2}"), CODE_INVALID_FIELD, "metadata", "'a'");
	refuse(PUT("\"id\":\"a\",\"metadata\":{\"a\":{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,"
		   "\"9\":0,\"10\":0,\"11\":0,\"12\":0,\"13\":0,\"7\":0}}"),
	       CODE_INVALID_FIELD, "metadata.a", "'7'");
	refuse(PUT("\"id\":\"a\",\"metadata\":{\"a\":NaN}"), CODE_INVALID_FIELD, "metadata.a", "NaN");
	refuse(PUT("\"id\":\"a\",\"metadata\":{\"a\":1e400}"), CODE_INVALID_FIELD, "metadata.a", "1.8e308");
	refuse(CHUNK("\"text\":\"x\",\"metadata\":3,\"embedding\":[1]"), CODE_INVALID_FIELD, "chunks[0].metadata",
	       "a number");
	limits.max_metadata_depth = 2;
	refuse_with(PUT("\"id\":\"a\",\"metadata\":{\"a\":{\"b\":[]}}"), &limits, CODE_LIMIT_EXCEEDED, "metadata.a.b",
		    "limits.max_metadata_depth, 2");
	limits.max_metadata_bytes = 10;
	refuse_with(PUT("\"id\":\"a\",\"metadata\":{\"a\":\"123456789\"}"), &limits, CODE_LIMIT_EXCEEDED, "metadata",
		    "limits.max_metadata is 10");
}

static void big_numbers_in_metadata_survive(void **state)
{
	struct request *request = parse_good(
		PUT("\"id\":\"a\",\"metadata\":{\"n\":123456789012345678901234567890,\"u\":18446744073709551615}"));

	(void)state;
	assert_string_equal(request->document->metadata_json.at,
			    "{\"n\":123456789012345678901234567890,\"u\":18446744073709551615}");
	request_destroy(request);
}

/* However deep a client nests, and whatever the configured depth: bounded work, no overflow of the stack. */
static void deep_nesting_is_refused(void **state)
{
	enum { DEPTH = 1000000 };
	struct document_limits limits = document_limits_default();
	char *line = malloc(2 * DEPTH + 200);
	struct request *request;
	struct request_fault fault;
	size_t len;

	(void)state;
	assert_non_null(line);
	limits.max_metadata_depth = UINT32_MAX;
	len = (size_t)sprintf(line,
			      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.put\",\"params\":{\"id\":\"a\","
			      "\"metadata\":{\"a\":");
	memset(line + len, '[', DEPTH);
	memset(line + len + DEPTH, ']', DEPTH);
	strcpy(line + len + 2 * DEPTH, "}}}");
	assert_int_equal(parse_bytes(line, strlen(line), &limits, &request, &fault), -EINVAL);
	assert_int_equal(fault.code, CODE_LIMIT_EXCEEDED);
	assert_non_null(strstr(fault.err.text, "max_metadata_depth, 100"));
	free(line);
}

static void entities_are_checked(void **state)
{
	struct document_limits limits = document_limits_default();

	(void)state;
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"name\":\"n\"}]"), CODE_MISSING_FIELD, "entities[0].type",
	       "must be given");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\"}]"), CODE_MISSING_FIELD, "entities[0].name",
	       "must be given");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P`\",\"name\":\"n\"}]"), CODE_INVALID_FIELD,
	       "entities[0].type", "letters");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"9P\",\"name\":\"n\"}]"), CODE_INVALID_FIELD,
	       "entities[0].type", "letters");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\"},{\"name\":\"n\",\"type\":\"P\"}]"),
	       CODE_INVALID_FIELD, "entities[1]", "entities[0] already");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"kind\":1}]"), CODE_UNKNOWN_FIELD,
	       "entities[0]", "kind");
	limits.max_name_bytes = 4;
	refuse_with(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"12345\"}]"), &limits,
		    CODE_LIMIT_EXCEEDED, "entities[0].name", "limits.max_name is 4");
	limits = document_limits_default();
	limits.max_entities = 1;
	refuse_with(PUT("\"id\":\"a\"," ENTITIES), &limits, CODE_LIMIT_EXCEEDED, "entities",
		    "limits.max_entities is 1");
	limits = document_limits_default();
	limits.max_graph_bytes = 50;
	refuse_with(PUT("\"id\":\"a\"," ENTITIES), &limits, CODE_LIMIT_EXCEEDED, "", "limits.max_graph is 50");
}

static void properties_are_checked(void **state)
{
	static const char *const reserved[] = {"key", "type", "name", "saga_id", "ordinal", "updated_by"};
	char line[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
		snprintf(line, sizeof(line),
			 PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":{\"%s\":1}}]"),
			 reserved[i]);
		refuse(line, CODE_INVALID_FIELD, "entities[0].properties", reserved[i]);
	}
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":{\"\":1}}]"),
	       CODE_INVALID_FIELD, "entities[0].properties", "1 to 255");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":{\"x\":"
		   "9223372036854775808}}]"),
	       CODE_INVALID_FIELD, "entities[0].properties.x", "64 bits");
	refuse(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":{\"x\":"
		   "-99223372036854775808}}]"),
	       CODE_INVALID_FIELD, "entities[0].properties.x", "64 bits");
	refuse(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":" END_M ",\"properties\":{\"document_id\":1}"),
	       CODE_INVALID_FIELD, "relationships[0].properties", "document_id");
	/* Names that are reserved at the top only, and those of the other kind. */
	request_destroy(parse_good(PUT("\"id\":\"a\",\"entities\":[{\"type\":\"P\",\"name\":\"n\",\"properties\":"
				       "{\"document_id\":1,\"x\":{\"key\":1,\"\":2},\"y\":9223372036854775807}}]")));
	request_destroy(
		parse_good(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":" END_M ",\"properties\":{\"name\":1}")));
}

static void relationships_are_checked(void **state)
{
	struct document_limits limits = document_limits_default();

	(void)state;
	refuse(LINK("\"type\":\"R\",\"to\":" END_N), CODE_MISSING_FIELD, "relationships[0].from", "must be given");
	refuse(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":null"), CODE_INVALID_FIELD, "relationships[0].to",
	       "object");
	refuse(LINK("\"from\":" END_N ",\"to\":" END_N), CODE_MISSING_FIELD, "relationships[0].type", "must be given");
	refuse(LINK("\"from\":" END_N ",\"type\":\"a b\",\"to\":" END_N), CODE_INVALID_FIELD, "relationships[0].type",
	       "letters");
	refuse(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":{\"type\":\"P\",\"name\":\"ghost\"}"), CODE_INVALID_FIELD,
	       "relationships[0].to", "'ghost' is not among");
	refuse(LINK("\"from\":{\"type\":\"Q\",\"name\":\"n\"},\"type\":\"R\",\"to\":" END_N), CODE_INVALID_FIELD,
	       "relationships[0].from", "Q 'n' is not among");
	refuse(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":" END_M "},{\"from\":" END_N
		    ",\"type\":\"R\",\"to\":" END_M),
	       CODE_INVALID_FIELD, "relationships[1]", "relationships[0]");
	request_destroy(
		parse_good(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":" END_M "},{\"from\":" END_M
				",\"type\":\"R\",\"to\":" END_N "},{\"from\":" END_N ",\"type\":\"R\",\"to\":" END_N
				"},{\"from\":" END_N ",\"type\":\"S\",\"to\":" END_M)));
	limits.max_relationships = 0;
	refuse_with(LINK("\"from\":" END_N ",\"type\":\"R\",\"to\":" END_M), &limits, CODE_LIMIT_EXCEEDED,
		    "relationships", "limits.max_relationships is 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_document_is_read),
		cmocka_unit_test(an_entity_key_is_the_hash_of_type_and_name),
		cmocka_unit_test(little_is_enough),
		cmocka_unit_test(the_hash_covers_everything_and_nothing_else),
		cmocka_unit_test(the_jobs_own_bytes_are_kept),
		cmocka_unit_test(ids_are_checked),
		cmocka_unit_test(texts_are_checked),
		cmocka_unit_test(vectors_are_checked),
		cmocka_unit_test(zero_vectors_pass_where_they_have_a_meaning),
		cmocka_unit_test(chunks_are_checked),
		cmocka_unit_test(metadata_is_checked),
		cmocka_unit_test(big_numbers_in_metadata_survive),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(entities_are_checked),
		cmocka_unit_test(properties_are_checked),
		cmocka_unit_test(relationships_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
