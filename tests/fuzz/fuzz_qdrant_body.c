/* Round trip of Qdrant's bodies: over all requests of a batch every chunk is sent once, in order, with what the client
 * wrote, under an id of its own; a removal names the same ids. */
#include "made.h"

#include "base/buf.h"
#include "stores/qdrant/qdrant_codec.h"

/* Where the next point must come from. */
struct place {
	uint32_t job;
	uint32_t chunk;
};

static void skip_empty(const struct made_batch *batch, struct place *place)
{
	while (place->job < batch->n && place->chunk >= batch->jobs[place->job].document->n_chunks)
		*place = (struct place){place->job + 1, 0};
}

static yyjson_val *meant_chunk(const struct made_batch *batch, const struct place *place)
{
	yyjson_val *params = yyjson_doc_get_root(batch->jobs[place->job].params);

	return yyjson_arr_get(yyjson_obj_get(params, "chunks"), place->chunk);
}

static void check_id(yyjson_val *id, const struct made_batch *batch, const struct place *place)
{
	const struct made *job = &batch->jobs[place->job];
	char expected[UUID_TEXT_BYTES];

	qdrant_point_id(job->document->id, &job->saga, place->chunk, expected);
	MUST(yyjson_equals_str(id, expected));
}

static void check_payload(yyjson_val *payload, const struct made_batch *batch, const struct place *place)
{
	const struct made *job = &batch->jobs[place->job];
	yyjson_val *chunk = meant_chunk(batch, place), *params = yyjson_doc_get_root(job->params);
	yyjson_val *metadata = made_member(chunk, "metadata"), *id = made_member(chunk, "id");
	char text[UUID_TEXT_BYTES], ordinal[12];

	uuid_format(&job->saga, text);
	(void)snprintf(ordinal, sizeof(ordinal), "%u", place->chunk);
	MUST(made_is_text(yyjson_obj_get(payload, "document_id"), yyjson_obj_get(params, "id")));
	MUST(yyjson_equals_str(yyjson_obj_get(payload, "saga_id"), text));
	MUST(strcmp(yyjson_get_raw(yyjson_obj_get(payload, "chunk_index")), ordinal) == 0);
	MUST(made_is_text(yyjson_obj_get(payload, "text"), yyjson_obj_get(chunk, "text")));
	MUST(id != NULL ? made_is_text(yyjson_obj_get(payload, "chunk_id"), id)
			: yyjson_equals_str(yyjson_obj_get(payload, "chunk_id"), ordinal));
	MUST(metadata != NULL ? made_is_json(yyjson_obj_get(payload, "metadata"), metadata)
			      : yyjson_obj_get(payload, "metadata") == NULL);
	MUST(yyjson_obj_size(payload) == (metadata != NULL ? 6 : 5));
}

static void check_point(yyjson_val *point, const struct made_batch *batch, const struct place *place)
{
	MUST(yyjson_obj_size(point) == 3);
	check_id(yyjson_obj_get(point, "id"), batch, place);
	MUST(made_is_json(yyjson_obj_get(point, "vector"), yyjson_obj_get(meant_chunk(batch, place), "embedding")));
	MUST(made_is_vector(batch->jobs[place->job].document->chunks[place->chunk].embedding,
			    yyjson_obj_get(point, "vector")));
	check_payload(yyjson_obj_get(point, "payload"), batch, place);
}

/* The points of one body; ids alone in a removal. */
static void check_body(const struct qdrant_body *body, const struct made_batch *batch, enum leg_op op,
		       const struct qdrant_limits *limits, struct place *place)
{
	yyjson_doc *doc = yyjson_read(body->at, body->len, YYJSON_READ_NUMBER_AS_RAW);
	yyjson_val *root = yyjson_doc_get_root(doc), *points = yyjson_obj_get(root, "points"), *point;
	size_t i, n;

	MUST(yyjson_obj_size(root) == 1 && yyjson_arr_size(points) > 0);
	MUST(yyjson_arr_size(points) <= (op == LEG_APPLY ? limits->max_points : limits->max_ids));
	MUST(op != LEG_APPLY || body->len <= limits->max_bytes);
	yyjson_arr_foreach(points, i, n, point)
	{
		skip_empty(batch, place);
		MUST(place->job < batch->n);
		if (op == LEG_APPLY)
			check_point(point, batch, place);
		else
			check_id(point, batch, place);
		place->chunk++;
	}
	yyjson_doc_free(doc);
}

static void check_filter(const struct qdrant_body *body, const struct made_batch *batch)
{
	yyjson_doc *doc = yyjson_read(body->at, body->len, YYJSON_READ_NOFLAG);
	yyjson_val *must = yyjson_ptr_get(yyjson_doc_get_root(doc), "/filter/must/0");
	yyjson_val *any = yyjson_ptr_get(must, "/match/any"), *saga;
	size_t i, n;

	MUST(yyjson_equals_str(yyjson_obj_get(must, "key"), "saga_id") && yyjson_arr_size(any) == batch->n);
	yyjson_arr_foreach(any, i, n, saga)
	{
		char text[UUID_TEXT_BYTES];
		uuid_format(&batch->jobs[i].saga, text);
		MUST(yyjson_equals_str(saga, text));
	}
	yyjson_doc_free(doc);
}

static int next_body(const struct made_batch *batch, enum leg_op op, const struct qdrant_limits *limits,
		     struct qdrant_cursor *cursor, struct qdrant_body *out_body)
{
	struct err err = {0};

	if (op == LEG_APPLY)
		return qdrant_upsert_body(batch->pointers, batch->n, limits, cursor, out_body, &err);
	return qdrant_remove_body(batch->pointers, batch->n, limits, cursor, out_body, &err);
}

static void check_all(const struct made_batch *batch, enum leg_op op, const struct qdrant_limits *limits)
{
	struct qdrant_cursor cursor = {0};
	struct place place = {0, 0};
	struct qdrant_body body;
	int rc;

	while ((rc = next_body(batch, op, limits, &cursor, &body)) == 1) {
		if (op == LEG_REMOVE && batch->writes[0].n_chunks == STORE_CHUNKS_UNKNOWN) {
			check_filter(&body, batch);
			place.job = batch->n;
		} else {
			check_body(&body, batch, op, limits, &place);
		}
		qdrant_body_fini(&body);
	}
	skip_empty(batch, &place);
	MUST(rc == 0 ? place.job == batch->n : limits->max_bytes < 4096);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint8_t choice = feed_byte(&feed);
	enum leg_op op = choice & 1 ? LEG_REMOVE : LEG_APPLY;
	struct qdrant_limits limits = {.max_bytes = choice & 2 ? 600 : 100000,
				       .max_points = 1 + feed_below(&feed, 4),
				       .max_ids = 1 + feed_below(&feed, 4)};
	struct made_batch batch;

	made_batch_init(&batch, &feed, op);
	if (batch.n > 0 && op == LEG_REMOVE && (choice & 4) != 0)
		batch.writes[0].n_chunks = STORE_CHUNKS_UNKNOWN;
	if (batch.n > 0)
		check_all(&batch, op, &limits);
	made_batch_fini(&batch);
	return 0;
}
