/* Bodies of points: upserts and removals. qdrant_reply.c has the replies, qdrant_schema.c the collection. */
#include "qdrant_codec.h"

#include "base/buf.h"
#include "proto/document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

/* What a point's names, quotes and ids take beside its texts; a margin is in it. */
#define POINT_FIXED_BYTES 256
#define BODY_FIXED_BYTES  64

/* 6f0c8f6e-2a5d-5e0b-9a55-7a6f0d1f5a61: made for sagad's points; it never changes, the ids in stores rest on it. */
static const struct uuid qdrant_space = {
	{0x6f, 0x0c, 0x8f, 0x6e, 0x2a, 0x5d, 0x5e, 0x0b, 0x9a, 0x55, 0x7a, 0x6f, 0x0d, 0x1f, 0x5a, 0x61}};

void qdrant_body_fini(struct qdrant_body *body)
{
	free(body->at);
	*body = (struct qdrant_body){0};
}

/* ---- ids ---- */

/* "document\nsaga\n": what all names of a version's points begin with. */
static void qdrant_name_begin(struct buf *name, struct str document_id, const struct uuid *saga)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(saga, text);
	buf_clear(name);
	buf_append_str(name, document_id);
	buf_append_format(name, "\n%s\n", text);
}

static void qdrant_name_id(struct buf *name, uint32_t ordinal, char out_id[UUID_TEXT_BYTES])
{
	size_t prefix = name->len;
	struct uuid id;

	buf_append_format(name, "%" PRIu32, ordinal);
	if (name->failed)
		return; /* the caller looks at it once, at the end */
	id = uuid_make_v5(&qdrant_space, name->at, name->len);
	uuid_format(&id, out_id);
	name->len = prefix;
}

void qdrant_point_id(struct str document_id, const struct uuid *saga, uint32_t ordinal, char out_id[UUID_TEXT_BYTES])
{
	struct buf name = {0};

	out_id[0] = '\0';
	qdrant_name_begin(&name, document_id, saga);
	qdrant_name_id(&name, ordinal, out_id);
	buf_fini(&name);
}

/* ---- sizes ---- */

/* Bytes of a text as a JSON string: `"`, `\` and control characters grow. */
static size_t qdrant_text_bytes(struct str text)
{
	size_t n = text.len + 2;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if (c < 0x20)
			n += 5;
		else if (c == '"' || c == '\\')
			n += 1;
	}
	return n;
}

static size_t qdrant_point_bytes(const struct document *document, const struct chunk *chunk)
{
	return POINT_FIXED_BYTES + qdrant_text_bytes(document->id) + qdrant_text_bytes(chunk->id) +
	       qdrant_text_bytes(chunk->text) + chunk->embedding_json.len + chunk->metadata_json.len;
}

size_t qdrant_write_bytes(const struct leg_write *write)
{
	const struct document *document = write->document;
	size_t n = BODY_FIXED_BYTES;

	if (write->op != LEG_APPLY)
		return n + (write->n_chunks == STORE_CHUNKS_UNKNOWN ? 40 : 40 * (size_t)write->n_chunks);
	for (uint32_t i = 0; i < document->n_chunks; i++) {
		const struct chunk *chunk = &document->chunks[i];
		n += POINT_FIXED_BYTES + document->id.len + chunk->id.len + chunk->text.len +
		     chunk->embedding_json.len + chunk->metadata_json.len;
	}
	return n;
}

/* ---- a document being made ---- */

struct qdrant_points {
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
	struct buf name;
	size_t bytes; /* of the body, roughly */
	bool failed;
};

static int qdrant_points_init(struct qdrant_points *points)
{
	*points = (struct qdrant_points){.doc = yyjson_mut_doc_new(NULL)};
	if (points->doc == NULL)
		return -ENOMEM;
	points->list = yyjson_mut_arr(points->doc);
	return points->list != NULL ? 0 : -ENOMEM;
}

static void qdrant_points_fini(struct qdrant_points *points)
{
	buf_fini(&points->name);
	yyjson_mut_doc_free(points->doc);
}

/* A body's memory, taken once: yyjson would begin small, and copy megabytes while it grows. */
struct qdrant_room {
	size_t size_bytes;
};

static void *qdrant_room_malloc(void *arg, size_t n_bytes)
{
	struct qdrant_room *room = arg;

	if (room->size_bytes < n_bytes)
		room->size_bytes = n_bytes;
	return malloc(room->size_bytes);
}

static void *qdrant_room_realloc(void *arg, void *at, size_t old_bytes, size_t n_bytes)
{
	struct qdrant_room *room = arg;

	(void)old_bytes;
	if (n_bytes <= room->size_bytes)
		return at;
	room->size_bytes = n_bytes;
	return realloc(at, n_bytes);
}

static void qdrant_room_free(void *arg, void *at)
{
	(void)arg;
	free(at);
}

/* `expected_bytes`: how long it will be, roughly. */
static int qdrant_body_write(yyjson_mut_doc *doc, size_t expected_bytes, struct qdrant_body *out_body)
{
	struct qdrant_room room = {expected_bytes};
	const yyjson_alc allocator = {qdrant_room_malloc, qdrant_room_realloc, qdrant_room_free, &room};
	struct qdrant_body body = {0};

	body.at = yyjson_mut_write_opts(doc, YYJSON_WRITE_NOFLAG, &allocator, &body.len, NULL);
	if (body.at == NULL)
		return -ENOMEM;
	*out_body = body;
	return 0;
}

static int qdrant_points_write(struct qdrant_points *points, struct qdrant_body *out_body)
{
	yyjson_mut_val *root = yyjson_mut_obj(points->doc);

	if (root == NULL || points->failed || points->name.failed ||
	    !yyjson_mut_obj_add_val(points->doc, root, "points", points->list))
		return -ENOMEM;
	yyjson_mut_doc_set_root(points->doc, root);
	return qdrant_body_write(points->doc, points->bytes, out_body);
}

/* ---- upsert ---- */

static yyjson_mut_val *qdrant_payload(yyjson_mut_doc *doc, const struct leg_write *write, uint32_t ordinal)
{
	const struct chunk *chunk = &write->document->chunks[ordinal];
	yyjson_mut_val *payload = yyjson_mut_obj(doc);
	char saga[UUID_TEXT_BYTES];
	bool is_ok = payload != NULL;

	uuid_format(&write->saga, saga);
	is_ok = is_ok &&
		yyjson_mut_obj_add_strn(doc, payload, "document_id", write->document->id.at, write->document->id.len);
	is_ok = is_ok && yyjson_mut_obj_add_strcpy(doc, payload, "saga_id", saga);
	is_ok = is_ok && yyjson_mut_obj_add_strn(doc, payload, "chunk_id", chunk->id.at, chunk->id.len);
	is_ok = is_ok && yyjson_mut_obj_add_uint(doc, payload, "chunk_index", ordinal);
	is_ok = is_ok && yyjson_mut_obj_add_strn(doc, payload, "text", chunk->text.at, chunk->text.len);
	if (chunk->metadata_json.at != NULL)
		is_ok = is_ok &&
			yyjson_mut_obj_add_val(doc, payload, "metadata",
					       yyjson_mut_rawn(doc, chunk->metadata_json.at, chunk->metadata_json.len));
	return is_ok ? payload : NULL;
}

/* The vector's digits are the client's own: they are never turned into floats and back. */
static void qdrant_points_add(struct qdrant_points *points, const struct leg_write *write, uint32_t ordinal)
{
	const struct chunk *chunk = &write->document->chunks[ordinal];
	yyjson_mut_val *payload = qdrant_payload(points->doc, write, ordinal);
	yyjson_mut_val *point = yyjson_mut_obj(points->doc);
	yyjson_mut_val *vector = yyjson_mut_rawn(points->doc, chunk->embedding_json.at, chunk->embedding_json.len);
	char id[UUID_TEXT_BYTES] = "";

	qdrant_name_id(&points->name, ordinal, id);
	if (payload == NULL || point == NULL || !yyjson_mut_obj_add_strcpy(points->doc, point, "id", id) ||
	    !yyjson_mut_obj_add_val(points->doc, point, "vector", vector) ||
	    !yyjson_mut_obj_add_val(points->doc, point, "payload", payload) ||
	    !yyjson_mut_arr_append(points->list, point))
		points->failed = true;
}

/* The cursor on a chunk that exists, over documents that have none left; false at the end. */
static bool qdrant_cursor_settle(struct qdrant_cursor *cursor, struct leg_write *const *writes, uint32_t n_writes)
{
	while (cursor->write < n_writes) {
		const struct leg_write *write = writes[cursor->write];
		uint32_t n = write->op == LEG_APPLY ? write->document->n_chunks : write->n_chunks;

		if (cursor->chunk < n)
			return true;
		cursor->write++;
		cursor->chunk = 0;
	}
	return false;
}

static int qdrant_refuse_size(const struct leg_write *write, uint32_t ordinal, size_t n_bytes, size_t max_bytes,
			      struct err *err)
{
	const struct document *document = write->document;

	return err_set(err, -E2BIG,
		       "qdrant: document \"%.*s\": chunk %" PRIu32 " needs %zu bytes of a request, more than the %zu "
		       "that fit: split its text",
		       (int)(document->id.len < 100 ? document->id.len : 100), document->id.at, ordinal, n_bytes,
		       max_bytes);
}

/* Adds points until a bound is met. 1, 0 or -E2BIG as qdrant_upsert_body(). */
static int qdrant_points_fill(struct qdrant_points *points, struct leg_write *const *writes, uint32_t n_writes,
			      const struct qdrant_limits *limits, struct qdrant_cursor *cursor, struct err *err)
{
	size_t used = BODY_FIXED_BYTES;
	uint32_t n_points = 0, named = UINT32_MAX;

	while (n_points < limits->max_points && qdrant_cursor_settle(cursor, writes, n_writes)) {
		const struct leg_write *write = writes[cursor->write];
		size_t more = qdrant_point_bytes(write->document, &write->document->chunks[cursor->chunk]);

		if (used + more > limits->max_bytes && n_points > 0)
			break;
		if (used + more > limits->max_bytes)
			return qdrant_refuse_size(write, cursor->chunk, more, limits->max_bytes, err);
		if (named != cursor->write)
			qdrant_name_begin(&points->name, write->document->id, &write->saga);
		named = cursor->write;
		qdrant_points_add(points, write, cursor->chunk);
		used += more;
		points->bytes = used;
		n_points++;
		cursor->chunk++;
	}
	return n_points > 0;
}

int qdrant_upsert_body(struct leg_write *const *writes, uint32_t n_writes, const struct qdrant_limits *limits,
		       struct qdrant_cursor *cursor, struct qdrant_body *out_body, struct err *err)
{
	struct qdrant_points points;
	struct qdrant_cursor at = *cursor;
	int rc = qdrant_points_init(&points);

	if (rc == 0)
		rc = qdrant_points_fill(&points, writes, n_writes, limits, &at, err);
	if (rc == 1 && qdrant_points_write(&points, out_body) != 0)
		rc = -ENOMEM;
	qdrant_points_fini(&points);
	if (rc == 1)
		*cursor = at;
	return rc != -ENOMEM ? rc : err_set(err, -ENOMEM, "qdrant: no memory for the request");
}

/* ---- removal ---- */

static bool qdrant_counts_are_known(struct leg_write *const *writes, uint32_t n_writes)
{
	for (uint32_t i = 0; i < n_writes; i++)
		if (writes[i]->n_chunks == STORE_CHUNKS_UNKNOWN)
			return false;
	return true;
}

static int qdrant_ids_body(struct leg_write *const *writes, uint32_t n_writes, const struct qdrant_limits *limits,
			   struct qdrant_cursor *cursor, struct qdrant_body *out_body)
{
	struct qdrant_points points;
	uint32_t n_ids = 0, named = UINT32_MAX;
	int rc = qdrant_points_init(&points);

	while (rc == 0 && n_ids < limits->max_ids && qdrant_cursor_settle(cursor, writes, n_writes)) {
		const struct leg_write *write = writes[cursor->write];
		char id[UUID_TEXT_BYTES] = "";

		if (named != cursor->write)
			qdrant_name_begin(&points.name, write->document_id, &write->saga);
		named = cursor->write;
		qdrant_name_id(&points.name, cursor->chunk, id);
		if (!yyjson_mut_arr_add_strcpy(points.doc, points.list, id))
			points.failed = true;
		cursor->chunk++;
		n_ids++;
	}
	if (rc == 0 && n_ids > 0)
		rc = qdrant_points_write(&points, out_body) == 0 ? 1 : -ENOMEM;
	qdrant_points_fini(&points);
	return rc;
}

/* On the saga's id and never on the document's: a delete by filter has taken points that were upserted after it
 * (qdrant issue 6556), and a saga's points are all older than its removal. */
static int qdrant_filter_body(struct leg_write *const *writes, uint32_t n_writes, struct qdrant_body *out_body)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *filter = yyjson_mut_obj_add_obj(doc, root, "filter");
	yyjson_mut_val *must = yyjson_mut_obj_add_arr(doc, filter, "must");
	yyjson_mut_val *condition = yyjson_mut_arr_add_obj(doc, must);
	bool is_ok = yyjson_mut_obj_add_str(doc, condition, "key", "saga_id");
	yyjson_mut_val *match = yyjson_mut_obj_add_obj(doc, condition, "match");
	yyjson_mut_val *any = yyjson_mut_obj_add_arr(doc, match, "any");
	int rc = -ENOMEM;

	for (uint32_t i = 0; i < n_writes; i++) {
		char saga[UUID_TEXT_BYTES];
		uuid_format(&writes[i]->saga, saga);
		is_ok = is_ok && yyjson_mut_arr_add_strcpy(doc, any, saga);
	}
	yyjson_mut_doc_set_root(doc, root);
	if (is_ok && any != NULL)
		rc = qdrant_body_write(doc, 0, out_body) == 0 ? 1 : -ENOMEM;
	yyjson_mut_doc_free(doc);
	return rc;
}

int qdrant_remove_body(struct leg_write *const *writes, uint32_t n_writes, const struct qdrant_limits *limits,
		       struct qdrant_cursor *cursor, struct qdrant_body *out_body, struct err *err)
{
	int rc;

	if (cursor->write >= n_writes)
		return 0;
	if (qdrant_counts_are_known(writes, n_writes)) {
		rc = qdrant_ids_body(writes, n_writes, limits, cursor, out_body);
	} else {
		rc = qdrant_filter_body(writes, n_writes, out_body);
		cursor->write = n_writes; /* one body says it all */
	}
	return rc != -ENOMEM ? rc : err_set(err, -ENOMEM, "qdrant: no memory for the request");
}
