/* The job parser: any bytes are a request or a refusal; what it takes keeps the promises of proto/document.h, and its
 * answers are one line of JSON whatever the request was. */
#include "feed.h"

#include "proto/reply.h"
#include "proto/request.h"

#include <errno.h>
#include <math.h>
#include <yyjson.h>

/* Small ones, so that an input reaches the bounds; else the defaults, without bounds on what a client may nest. */
static struct document_limits choose_limits(uint8_t choice)
{
	struct document_limits limits = document_limits_default();

	if (choice & 1) {
		limits.max_content_bytes = 16;
		limits.max_chunks = 2;
		limits.max_entities = 3;
		limits.max_relationships = 2;
		limits.max_name_bytes = 12;
		limits.max_graph_bytes = 64;
		limits.max_vector_json_bytes = 700;
		limits.max_metadata_depth = 2;
		limits.max_metadata_bytes = 24;
	}
	limits.dims = choice & 2 ? 3 : 0;
	limits.refuse_zero_vectors = (choice & 4) != 0;
	return limits;
}

static void check_text(struct str text)
{
	if (text.at == NULL)
		return;
	MUST(text.at[text.len] == '\0' && strlen(text.at) == text.len);
}

static void check_json(struct str json, bool (*is_kind)(yyjson_val *val))
{
	yyjson_doc *doc;

	if (json.at == NULL)
		return;
	doc = yyjson_read(json.at, json.len, YYJSON_READ_NUMBER_AS_RAW);
	MUST(doc != NULL && is_kind(yyjson_doc_get_root(doc)));
	yyjson_doc_free(doc);
}

static void check_chunks(const struct document *document)
{
	for (uint32_t i = 0; i < document->n_chunks; i++) {
		const struct chunk *chunk = &document->chunks[i];

		check_text(chunk->id);
		check_text(chunk->text);
		check_json(chunk->metadata_json, yyjson_is_obj);
		check_json(chunk->embedding_json, yyjson_is_arr);
		for (uint32_t k = 0; k < document->dims; k++)
			MUST(isfinite(chunk->embedding[k]));
	}
}

static void check_document(const struct document *document)
{
	check_text(document->id);
	check_text(document->title);
	check_text(document->source);
	check_text(document->content);
	check_json(document->metadata_json, yyjson_is_obj);
	check_json(document->job_json, yyjson_is_obj);
	check_chunks(document);
	for (uint32_t i = 0; i < document->n_entities; i++) {
		check_text(document->entities[i].type);
		check_text(document->entities[i].name);
		check_json(document->entities[i].properties_json, yyjson_is_obj);
	}
	for (uint32_t i = 0; i < document->n_relationships; i++) {
		const struct relationship *relationship = &document->relationships[i];
		MUST(relationship->from < document->n_entities && relationship->to < document->n_entities);
		check_json(relationship->properties_json, yyjson_is_obj);
	}
}

/* The journal keeps a job's bytes and parses them again after a crash: it must be the same job. */
static void check_again(const struct request *request, const struct document_limits *limits)
{
	bool is_delete = request->method == METHOD_DOCUMENT_DELETE;
	struct request_fault fault;
	struct request *again;

	if (request->params_json.at == NULL)
		return;
	MUST(request_parse_job(request->params_json, is_delete, limits, &again, &fault) == 0);
	MUST(again->method == request->method && again->options.wait == WAIT_ACCEPTED);
	MUST(str_is_equal(again->options.idempotency_key, request->options.idempotency_key));
	if (!is_delete)
		MUST(memcmp(again->document->content_hash, request->document->content_hash, DIGEST_BYTES) == 0);
	request_destroy(again);
}

static void check_answer(struct buf *answer)
{
	yyjson_doc *doc;

	MUST(!answer->failed && answer->len > 0 && answer->at[answer->len - 1] == '\n');
	MUST(memchr(answer->at, '\n', answer->len) == answer->at + answer->len - 1);
	doc = yyjson_read(answer->at, answer->len, YYJSON_READ_NOFLAG);
	MUST(doc != NULL && yyjson_obj_get(yyjson_doc_get_root(doc), "id") != NULL);
	yyjson_doc_free(doc);
	buf_fini(answer);
}

static void check_taken(struct request *request, const struct document_limits *limits)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = CODE_CONFLICT, .store = "qdrant", .n_tries = 2};
	struct buf answer = {0};

	if (request->document != NULL)
		check_document(request->document);
	check_again(request, limits);
	(void)err_set(&outcome.err, 0, "document \"%.*s\"", STR_ARG(request->options.idempotency_key));
	reply_outcome(&answer, request->id_json, request->document != NULL ? request->document->id : STR_NONE,
		      &outcome);
	check_answer(&answer);
	request_destroy(request);
}

static void check_refused(int rc, const struct request_fault *fault)
{
	struct buf answer = {0};

	MUST(rc == -EINVAL && fault->err.text[0] != '\0');
	reply_fault(&answer, fault);
	if (!fault->is_notification)
		check_answer(&answer);
	buf_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	struct document_limits limits = choose_limits(feed_byte(&feed));
	struct request_fault fault;
	struct request *request;
	size_t len;
	char *line = feed_rest(&feed, &len);
	int rc = request_parse(line + 1, len, &limits, &request, &fault);

	if (rc == 0)
		check_taken(request, &limits);
	else
		check_refused(rc, &fault);
	free(line);
	return 0;
}
