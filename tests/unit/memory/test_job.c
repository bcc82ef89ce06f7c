/* The way of a job with memory running out at each allocation in turn: parsed, encoded for all four stores, answered.
 * It ends with -ENOMEM or with the whole result, never with half of one, with another error, or with a crash. */
#include "scarce.h"

#include "lib/documents.h"
#include "proto/reply.h"
#include "stores/neo4j/neo4j_codec.h"
#include "stores/postgres/pg_pivot_codec.h"
#include "stores/qdrant/qdrant_codec.h"
#include "stores/redis/redis_codec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PARAMS                                                                                                         \
	"{\"id\":\"d\",\"idempotency_key\":\"k\",\"wait\":\"accepted\",\"title\":\"t\\u00e9\",\"content\":\"c\","      \
	"\"metadata\":{\"a\":[1,{\"b\":\"x\"}],\"c\":null,\"d\":true,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1," \
	"\"k\":1,\"l\":1,\"m\":1,\"n\":1},"                                                                            \
	"\"chunks\":[{\"text\":\"one\",\"embedding\":[1,0.5,2]},"                                                      \
	"{\"id\":\"q\",\"text\":\"two\",\"metadata\":{\"z\":1},\"embedding\":[1,2,3]}],"                               \
	"\"entities\":[{\"type\":\"A\",\"name\":\"n\",\"properties\":{\"p\":[1,\"x\"],\"q\":2}},"                      \
	"{\"type\":\"B\",\"name\":\"m\"}],"                                                                            \
	"\"relationships\":[{\"from\":{\"type\":\"A\",\"name\":\"n\"},\"type\":\"K\",\"to\":{\"type\":\"B\","          \
	"\"name\":\"m\"},\"properties\":{\"w\":{\"o\":1}}}]}"

static const char put_line[] = "{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"method\":\"document.put\",\"params\":" PARAMS "}";

static struct document *document;
static struct leg_write write;
static struct leg_write *writes[] = {&write};

/* Runs `attempt` with the 1st, 2nd, ... allocation failing until none has failed any more: then it must have succeeded,
 * and before that every time have said -ENOMEM. */
static void run_out(int (*attempt)(void))
{
	size_t nth = 1;
	int rc;

	for (bool has_failed = true; has_failed; nth++) {
		scarce_begin(nth);
		rc = attempt();
		has_failed = scarce_end();
		/* A library may do without: a smaller buffer, a second try. */
		if (rc != 0 && (rc != -ENOMEM || !has_failed))
			fail_msg("allocation %zu failed: %d", nth, rc);
	}
	assert_int_equal(rc, 0);
#ifndef SCARCE_WRAP /* else some ways have no allocation of our own */
	assert_true(nth > 2);
#endif
}

static int attempt_parse(void)
{
	struct document_limits limits = document_limits_default();
	struct request_fault fault;
	struct request *request;
	int rc = request_parse(put_line, sizeof(put_line) - 1, &limits, &request, &fault);

	if (rc == 0)
		request_destroy(request);
	else if (fault.code != CODE_INTERNAL) /* not the client's fault */
		rc = -EINVAL;
	return rc;
}

static void parsing(void **state)
{
	(void)state;
	run_out(attempt_parse);
}

static int attempt_parse_job(void)
{
	struct document_limits limits = document_limits_default();
	struct request_fault fault;
	struct request *request;
	int rc = request_parse_job(str_of(PARAMS), false, &limits, &request, &fault);

	if (rc == 0)
		request_destroy(request);
	return rc;
}

static void parsing_a_journalled_job(void **state)
{
	(void)state;
	run_out(attempt_parse_job);
}

/* ---- what is sent ---- */

static int attempt_qdrant(void)
{
	const struct qdrant_limits limits = {.max_bytes = 100000, .max_points = 1, .max_ids = 1};
	struct qdrant_cursor cursor = {0};
	struct qdrant_body body;
	struct err err;
	int rc;

	do {
		rc = write.op == LEG_APPLY ? qdrant_upsert_body(writes, 1, &limits, &cursor, &body, &err)
					   : qdrant_remove_body(writes, 1, &limits, &cursor, &body, &err);
		if (rc == 1)
			qdrant_body_fini(&body);
	} while (rc == 1);
	return rc;
}

static int attempt_qdrant_schema(void)
{
	static const struct store_schema schema = {.dims = 3, .distance = "cosine", .quantize_int8 = true};
	struct qdrant_body body;
	int rc = qdrant_create_body(&schema, &body);

	if (rc == 0) {
		qdrant_body_fini(&body);
		rc = qdrant_index_body("document_id", &body);
	}
	if (rc == 0) {
		qdrant_body_fini(&body);
		rc = qdrant_mark_body(&body);
	}
	if (rc == 0)
		qdrant_body_fini(&body);
	return rc;
}

static void bodies_for_qdrant(void **state)
{
	(void)state;
	write.op = LEG_APPLY;
	run_out(attempt_qdrant);
	write.op = LEG_REMOVE;
	run_out(attempt_qdrant);
	write.n_chunks = STORE_CHUNKS_UNKNOWN;
	run_out(attempt_qdrant);
	write.n_chunks = document->n_chunks;
	run_out(attempt_qdrant_schema);
}

static bool has_dynamic_types;

static int attempt_neo4j(void)
{
	const struct neo4j_dialect dialect = {has_dynamic_types};
	struct neo4j_body body;
	struct err err;
	int rc = neo4j_write_body(writes, 1, &dialect, &body, &err);

	if (rc == 0)
		neo4j_body_fini(&body);
	return rc;
}

static int attempt_neo4j_upkeep(void)
{
	int (*const makes[])(struct neo4j_body * body) = {neo4j_check_body, neo4j_schema_body, neo4j_await_body};
	struct neo4j_body body;
	int rc = neo4j_collect_body(10, 1000, &body);

	if (rc == 0)
		neo4j_body_fini(&body);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(makes); i++) {
		rc = makes[i](&body);
		if (rc == 0)
			neo4j_body_fini(&body);
	}
	return rc;
}

static void bodies_for_neo4j(void **state)
{
	(void)state;
	for (int op = 0; op < LEG_OPS; op++) {
		write.op = (enum leg_op)op;
		has_dynamic_types = !has_dynamic_types;
		run_out(attempt_neo4j);
	}
	write.op = LEG_APPLY;
	has_dynamic_types = !has_dynamic_types;
	run_out(attempt_neo4j);
	run_out(attempt_neo4j_upkeep);
}

static int attempt_redis(void)
{
	struct redis_codec codec = {.key_prefix = "sagad", .cache_ttl_s = 1};
	struct redis_command command;
	int rc = redis_codec_command(&codec, &write, false, &command);

	if (rc == 0)
		redis_codec_free(&command);
	return rc;
}

static void commands_for_redis(void **state)
{
	(void)state;
	for (int op = 0; op < LEG_OPS; op++) {
		write.op = (enum leg_op)op;
		run_out(attempt_redis);
	}
}

static int attempt_postgres(void)
{
	const struct pg_embedding embedding = {.is_known = true, .is_vector = true, .types = {1, 2}};
	const struct debt debt = {.store = "qdrant", .op = LEG_REMOVE};
	struct truth_pivot pivot = {.saga = write.saga, .document = document, .document_id = document->id};
	struct truth_pivot *pivots[] = {&pivot};
	struct pg_pivot_plan plan;
	struct pg_script script;
	int rc;

	pivot.debts = &debt;
	pivot.n_debts = 1;
	pg_script_init(&script);
	rc = pg_pivot_build(&script, pivots, 1, 1, &embedding, &plan);
	pg_script_fini(&script);
	return rc;
}

static void the_transaction_for_postgresql(void **state)
{
	(void)state;
	run_out(attempt_postgres);
}

/* ---- what comes back ---- */

/* A reply that can't be read for lack of memory may mean anything: no store was right or wrong because of it. */
static int verdict_rc(enum verdict verdict)
{
	if (verdict == VERDICT_OK)
		return 0;
	return verdict == VERDICT_DOUBT || verdict == VERDICT_TRANSIENT ? -ENOMEM : -EINVAL;
}

static int attempt_qdrant_reply(void)
{
	struct err err;

	return verdict_rc(
		qdrant_write_answer(200, str_of("{\"result\":{\"status\":\"completed\"}}"), "c", &err).verdict);
}

static int attempt_neo4j_reply(void)
{
	char saga[UUID_TEXT_BYTES];
	struct err err;
	struct str reply;
	static char text[512];
	enum verdict verdict;

	uuid_format(&write.saga, saga);
	reply.len = (size_t)snprintf(text, sizeof(text),
				     "{\"results\":[{\"columns\":[\"saga\",\"made\"],\"data\":[{\"row\":[\"%s\",1]}]},"
				     "{\"columns\":[\"saga\",\"dead\",\"old\",\"mentions\"],"
				     "\"data\":[{\"row\":[\"%s\",false,false,2]}]}],\"errors\":[]}",
				     saga, saga);
	reply.at = text;
	verdict = neo4j_write_answer(200, reply, writes, 1, &err).verdict;
	return verdict_rc(verdict != VERDICT_OK ? verdict : write.verdict);
}

static void replies(void **state)
{
	(void)state;
	write.op = LEG_APPLY;
	run_out(attempt_qdrant_reply);
	run_out(attempt_neo4j_reply);
}

static int attempt_answer(void)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = CODE_CONFLICT, .store = "qdrant"};
	struct request_fault fault = {.code = CODE_INVALID_FIELD, .id_json = "1", .path = "chunks", .document_id = "d"};
	struct document_status status = {.presence = PRESENCE_PRESENT};
	struct document_limits limits = document_limits_default();
	struct buf out = {0};
	bool has_failed;

	(void)err_set(&outcome.err, 0, "bad \xff byte");
	reply_outcome(&out, "1", document->id, &outcome);
	outcome.kind = OUTCOME_COMMITTED;
	reply_outcome(&out, "1", document->id, &outcome);
	reply_fault(&out, &fault);
	reply_status(&out, "1", document->id, &status);
	reply_hello(&out, "1", "0.1.0", &limits, 1000);
	has_failed = out.failed;
	buf_fini(&out);
	return has_failed ? -ENOMEM : 0;
}

static void answers(void **state)
{
	(void)state;
	run_out(attempt_answer);
}

static int make_document(void **state)
{
	(void)state;
	document = documents_make(PARAMS);
	write = (struct leg_write){.saga = documents_saga(1), .document_id = document->id, .document = document};
	write.n_chunks = document->n_chunks;
	return 0;
}

static int free_document(void **state)
{
	(void)state;
	document_destroy(document);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parsing),
		cmocka_unit_test(parsing_a_journalled_job),
		cmocka_unit_test(bodies_for_qdrant),
		cmocka_unit_test(bodies_for_neo4j),
		cmocka_unit_test(commands_for_redis),
		cmocka_unit_test(the_transaction_for_postgresql),
		cmocka_unit_test(replies),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, make_document, free_document);
}
