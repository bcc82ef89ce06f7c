/* Neo4j's replies: whatever comes, every write gets a verdict, and none of them is OK unless the reply is whole JSON
 * without errors and with a row for it. */
#include "feed.h"

#include "proto/document.h"
#include "stores/neo4j/neo4j_codec.h"

#include <yyjson.h>

#define N_WRITES 3

static const uint16_t statuses[] = {200, 201, 202, 301, 400, 401, 403, 404, 405, 415, 429, 500, 503, 0};

static bool is_whole(uint16_t status, struct str reply)
{
	yyjson_doc *doc = yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG);
	yyjson_val *root = yyjson_doc_get_root(doc), *errors = yyjson_obj_get(root, "errors");
	bool is = status < 300 && yyjson_is_arr(errors) && yyjson_arr_size(errors) == 0;

	is = is && yyjson_is_arr(yyjson_obj_get(root, "results"));
	yyjson_doc_free(doc);
	return is;
}

static bool mentions(struct str reply, const struct uuid *saga)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(saga, text);
	return memmem(reply.at, reply.len, text, strlen(text)) != NULL;
}

/* The sagas that the corpus names: 00000000-0000-7000-8000-000000000001 and the next ones. */
static struct uuid saga_of(uint32_t nth)
{
	return (struct uuid){{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, (uint8_t)(nth + 1)}};
}

static void check_writes(uint16_t status, struct str reply, enum leg_op op, uint32_t n_writes)
{
	const struct entity entity = {.type = str_of("Person"), .name = str_of("n"), .key = "k"};
	const struct relationship relationship = {.type = str_of("KNOWS")};
	const struct document document = {.id = str_of("d"),
					  .entities = &entity,
					  .n_entities = 1,
					  .relationships = &relationship,
					  .n_relationships = 1};
	struct leg_write writes[N_WRITES] = {0}, *pointers[N_WRITES];
	struct err err = {0};
	struct neo4j_answer answer;

	for (uint32_t i = 0; i < n_writes; i++) {
		writes[i] = (struct leg_write){.op = op, .saga = saga_of(i), .document_id = str_of("d")};
		writes[i].document = op == LEG_APPLY ? &document : NULL;
		pointers[i] = &writes[i];
	}
	answer = neo4j_write_answer(status, reply, pointers, n_writes, &err);
	MUST((unsigned)answer.verdict <= VERDICT_MISCONFIGURED);
	for (uint32_t i = 0; i < n_writes; i++) {
		MUST((unsigned)writes[i].verdict <= VERDICT_MISCONFIGURED);
		if (writes[i].verdict != VERDICT_OK)
			MUST(strncmp(writes[i].err.text, "neo4j: ", 7) == 0);
		else
			MUST(is_whole(status, reply) && (op != LEG_APPLY || memchr(reply.at, '\\', reply.len) != NULL ||
							 mentions(reply, &writes[i].saga)));
	}
}

static void check_others(uint16_t status, struct str reply)
{
	struct err err = {0};
	struct neo4j_server server;

	if (neo4j_answer(status, reply, &err).verdict == VERDICT_OK)
		MUST(is_whole(status, reply));
	if (neo4j_check_parse(reply, &server) == 0) {
		MUST(strnlen(server.version, sizeof(server.version)) < sizeof(server.version));
		(void)neo4j_dialect_of(server.version);
		if (neo4j_check_constraints(&server, &err) != 0)
			MUST(err.text[0] != '\0');
	}
	(void)neo4j_collect_is_full(reply, 100); /* any answer will do: the collector comes again */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint16_t status = statuses[feed_below(&feed, ARRAY_LEN(statuses))];
	enum leg_op op = (enum leg_op)feed_below(&feed, LEG_OPS);
	uint32_t n_writes = 1 + feed_below(&feed, N_WRITES);
	size_t len;
	char *bytes = feed_rest(&feed, &len);
	struct str reply = {bytes + 1, len};

	check_writes(status, reply, op, n_writes);
	check_others(status, reply);
	free(bytes);
	return 0;
}
