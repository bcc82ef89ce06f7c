/* Qdrant's replies: whatever comes, the verdict is one of the six, only a 2xx that says `completed` is OK, and a text
 * tells what was wrong. */
#include "feed.h"

#include "stores/qdrant/qdrant_codec.h"

#include <yyjson.h>

static const uint16_t statuses[] = {200, 201, 202, 204, 301, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 503, 0};

static bool says_completed(struct str reply)
{
	yyjson_doc *doc = yyjson_read(reply.at, reply.len, YYJSON_READ_NOFLAG);
	yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(doc), "result");
	bool is_completed = yyjson_equals_str(yyjson_obj_get(result, "status"), "completed");

	yyjson_doc_free(doc);
	return is_completed;
}

static void check_answer(struct qdrant_answer answer, bool may_be_ok, const struct err *err)
{
	MUST((unsigned)answer.verdict <= VERDICT_MISCONFIGURED);
	MUST((answer.verdict == VERDICT_OK) == may_be_ok);
	if (!may_be_ok)
		MUST(strncmp(err->text, "qdrant: ", 8) == 0);
}

static void check_collection(struct str reply, uint8_t choice)
{
	struct store_schema schema = {.dims = choice & 1 ? 3 : 0, .distance = "cosine", .on_disk = (choice & 2) != 0};
	struct qdrant_collection found;
	struct err err = {0};

	if (qdrant_collection_parse(reply, &found) != 0)
		return;
	MUST(strnlen(found.distance, sizeof(found.distance)) < sizeof(found.distance));
	if (qdrant_collection_check(&found, &schema, "documents", &err) != 0)
		MUST(err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint16_t status = statuses[feed_below(&feed, ARRAY_LEN(statuses))];
	uint8_t choice = feed_byte(&feed);
	bool is_success = status >= 200 && status < 300;
	struct err err = {0};
	char version[64];
	size_t len;
	char *bytes = feed_rest(&feed, &len);
	struct str reply = {bytes + 1, len};

	check_answer(qdrant_write_answer(status, reply, "documents", &err), is_success && says_completed(reply), &err);
	check_answer(qdrant_answer(status, reply, "documents", &err), is_success, &err);
	check_collection(reply, choice);
	qdrant_version_parse(reply, version, sizeof(version));
	MUST(strnlen(version, sizeof(version)) < sizeof(version));
	free(bytes);
	return 0;
}
