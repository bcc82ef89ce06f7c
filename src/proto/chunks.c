#include "parts.h"

#include "metadata.h"
#include "seen.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_ID_BYTES       512
#define ORDINAL_TEXT_BYTES   11
#define FLOAT32_TOO_LARGE    0x1.ffffffp127 /* the least double that rounds to infinity as float32 */
#define POINT_ENVELOPE_BYTES 320            /* ids and names around a point's own texts in a Qdrant request */

enum { CHUNK_ID, CHUNK_TEXT, CHUNK_METADATA, CHUNK_EMBEDDING, CHUNK_MEMBERS };

static const char *const chunk_names[CHUNK_MEMBERS] = {
	[CHUNK_ID] = "id",
	[CHUNK_TEXT] = "text",
	[CHUNK_METADATA] = "metadata",
	[CHUNK_EMBEDDING] = "embedding",
};

/* What is common to the chunks of one document. */
struct chunks_reader {
	struct reader *reader;
	struct str document_id;
	struct seen ids;
	uint32_t n;    /* chunks */
	float *floats; /* all embeddings, one after the other; NULL until the first is seen, as `dims` is 0 */
	size_t floats_left;
	uint32_t dims;
	size_t vector_json_bytes;
};

static size_t chunks_json_bytes(struct str text)
{
	size_t n_bytes = text.len;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c == '"' || c == '\\')
			n_bytes += 1;
		else if (c < 0x20)
			n_bytes += 5;
	}
	return n_bytes;
}

static int chunks_read_component(struct chunks_reader *chunks, yyjson_val *val, size_t i, float *out_component)
{
	double value;

	if (yyjson_is_raw(val))
		value = strtod(yyjson_get_raw(val), NULL);
	else if (yyjson_is_num(val))
		value = yyjson_get_num(val);
	else
		return reader_fault_at(chunks->reader, i, CODE_INVALID_FIELD,
				       "is %s; every component of an embedding must be a number", reader_kind(val));
	if (!(fabs(value) < FLOAT32_TOO_LARGE))
		return reader_fault_at(chunks->reader, i, CODE_INVALID_FIELD,
				       "is %s; every component must be finite as float32 (at most 3.4e38)",
				       isnan(value)   ? "NaN"
				       : isinf(value) ? "infinite"
						      : "too large");
	*out_component = (float)value;
	return 0;
}

/* The first embedding sets the dimension of the document, unless the configuration has. */
static int chunks_check_dims(struct chunks_reader *chunks, size_t n)
{
	const struct document_limits *limits = chunks->reader->limits;

	if (n == 0)
		return reader_fault(chunks->reader, CODE_INVALID_FIELD, "is empty; an embedding has 1 to %u components",
				    limits->max_dims);
	if (limits->dims != 0 && n != limits->dims)
		return reader_fault(chunks->reader, CODE_INVALID_FIELD,
				    "has %zu dimensions; schema.dims, what the stores were set up for, is %u", n,
				    limits->dims);
	if (n > limits->max_dims)
		return reader_fault(chunks->reader, CODE_LIMIT_EXCEEDED, "has %zu dimensions; limits.max_dims is %u", n,
				    limits->max_dims);
	if (chunks->dims != 0 && n != chunks->dims)
		return reader_fault(chunks->reader, CODE_INVALID_FIELD,
				    "has %zu dimensions; the document's first chunk has %u, and all must have the same",
				    n, chunks->dims);
	chunks->dims = (uint32_t)n;
	return 0;
}

static int chunks_read_components(struct chunks_reader *chunks, yyjson_val *array, float *out_components)
{
	yyjson_arr_iter iter;
	yyjson_val *val;
	float norm = 0;
	int rc;

	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		rc = chunks_read_component(chunks, val, i, &out_components[i]);
		if (rc != 0)
			return rc;
		norm += out_components[i] * out_components[i];
	}
	if (chunks->reader->limits->refuse_zero_vectors && norm == 0)
		return reader_fault(chunks->reader, CODE_INVALID_FIELD,
				    "has length zero as float32, so cosine distance has no direction for it; leave the "
				    "chunk out or embed it again");
	return 0;
}

/* The client's own digits: after the key, from the next '[' to the next ']', since only numbers are in between. */
static struct str chunks_embedding_json(const struct reader *reader, yyjson_val *key)
{
	size_t begin = reader_find_after_key(reader, key, '[');
	const char *end = memchr(reader->line.at + begin, ']', reader->line.len - begin);

	MUST(end != NULL);
	return (struct str){reader->line.at + begin, (size_t)(end + 1 - (reader->line.at + begin))};
}

/* Places for all embeddings, which are as long as the first one, or the document is refused. Each component takes two
 * bytes of the line: no more places than that, whatever a document promises with its first chunk. */
static int chunks_make_places(struct chunks_reader *chunks)
{
	size_t most = chunks->reader->line.len / 2, wanted = (size_t)chunks->n * chunks->dims;

	if (chunks->floats != NULL)
		return 0;
	chunks->floats_left = wanted < most ? wanted : most;
	chunks->floats = reader_alloc_raw(chunks->reader, chunks->floats_left, sizeof(float));
	return chunks->floats != NULL ? 0 : -ENOMEM;
}

static int chunks_read_embedding(struct chunks_reader *chunks, struct member member, struct chunk *chunk)
{
	struct reader *reader = chunks->reader;
	size_t n = yyjson_arr_size(member.val);
	int rc;

	reader_enter(reader, str_of(chunk_names[CHUNK_EMBEDDING]));
	if (member.val == NULL || yyjson_is_null(member.val))
		return reader_fault(reader, CODE_MISSING_FIELD, "must be given, an array of numbers");
	if (!yyjson_is_arr(member.val))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array of numbers, not %s",
				    reader_kind(member.val));
	rc = chunks_check_dims(chunks, n);
	if (rc == 0)
		rc = chunks_make_places(chunks);
	if (rc != 0)
		return rc;
	MUST(n <= chunks->floats_left);
	rc = chunks_read_components(chunks, member.val, chunks->floats);
	if (rc != 0)
		return rc;
	chunk->embedding = chunks->floats;
	chunk->embedding_json = chunks_embedding_json(reader, member.key);
	chunks->floats += n;
	chunks->floats_left -= n;
	reader_leave(reader);
	return 0;
}

/* A chunk without an id is known by its ordinal. */
static int chunks_read_id(struct chunks_reader *chunks, struct member member, uint32_t ordinal, struct chunk *chunk)
{
	struct reader *reader = chunks->reader;
	uint32_t earlier = SEEN_NEVER;
	char *made;
	int rc = reader_text(reader, member, "id", CHUNK_ID_BYTES, "the limit of a chunk's id", &chunk->id);

	if (rc != 0)
		return rc;
	if (chunk->id.at == NULL) {
		made = reader_alloc(reader, ORDINAL_TEXT_BYTES, 1);
		if (made == NULL)
			return -ENOMEM;
		(void)snprintf(made, ORDINAL_TEXT_BYTES, "%u", ordinal); /* a uint32_t fits */
		chunk->id = str_of(made);
	}
	if (chunk->id.len == 0)
		return reader_fault_in(reader, "id", CODE_INVALID_FIELD,
				       "must not be empty; leave it out to number chunks");
	if (seen_add(&chunks->ids, chunk->id.at, chunk->id.len, ordinal, &earlier) != 0)
		return reader_no_memory(reader);
	if (earlier != SEEN_NEVER)
		return reader_fault_in(reader, "id", CODE_INVALID_FIELD,
				       "'%.80s' is the id of chunks[%u] already; chunk ids are unique in a document "
				       "(a chunk without one has its position as id)",
				       chunk->id.at, earlier);
	return 0;
}

static int chunks_read_text(struct chunks_reader *chunks, struct member member, struct chunk *chunk)
{
	struct reader *reader = chunks->reader;
	int rc = reader_text(reader, member, "text", reader->limits->max_content_bytes, "limits.max_content",
			     &chunk->text);

	if (rc == 0 && chunk->text.at == NULL)
		return reader_fault_in(reader, "text", CODE_MISSING_FIELD, "must be given, a string (it may be empty)");
	return rc;
}

static int chunks_read_one(struct chunks_reader *chunks, yyjson_val *val, uint32_t ordinal, struct chunk *chunk)
{
	struct reader *reader = chunks->reader;
	struct member members[CHUNK_MEMBERS];
	int rc = reader_members(reader, val, "a chunk", chunk_names, CHUNK_MEMBERS, members);

	if (rc == 0)
		rc = chunks_read_id(chunks, members[CHUNK_ID], ordinal, chunk);
	if (rc == 0)
		rc = chunks_read_text(chunks, members[CHUNK_TEXT], chunk);
	if (rc == 0)
		rc = metadata_read(reader, members[CHUNK_METADATA], "metadata", METADATA_OF_CHUNK,
				   &chunk->metadata_json);
	if (rc == 0)
		rc = chunks_read_embedding(chunks, members[CHUNK_EMBEDDING], chunk);
	chunks->vector_json_bytes += POINT_ENVELOPE_BYTES + chunks_json_bytes(chunks->document_id) +
				     chunks_json_bytes(chunk->id) + chunks_json_bytes(chunk->text) +
				     chunk->metadata_json.len + chunk->embedding_json.len;
	return rc;
}

static int chunks_check_size(const struct chunks_reader *chunks)
{
	size_t max = chunks->reader->limits->max_vector_json_bytes;

	if (chunks->vector_json_bytes <= max)
		return 0;
	return reader_fault(chunks->reader, CODE_LIMIT_EXCEEDED,
			    "need %zu bytes in a request to Qdrant; limits.max_vector_json is %zu: split the "
			    "document, or write embeddings with fewer digits",
			    chunks->vector_json_bytes, max);
}

static int chunks_read_all(struct chunks_reader *chunks, yyjson_val *array, struct chunk *out_chunks)
{
	yyjson_arr_iter iter;
	yyjson_val *val;
	int rc;

	yyjson_arr_iter_init(array, &iter);
	for (uint32_t i = 0; (val = yyjson_arr_iter_next(&iter)) != NULL; i++) {
		reader_enter_index(chunks->reader, i);
		rc = chunks_read_one(chunks, val, i, &out_chunks[i]);
		if (rc != 0)
			return rc;
		reader_leave(chunks->reader);
	}
	return chunks_check_size(chunks);
}

int chunks_read(struct reader *reader, struct member member, struct document *draft)
{
	struct chunks_reader chunks = {.reader = reader, .document_id = draft->id};
	size_t n = yyjson_arr_size(member.val);
	struct chunk *made;
	int rc;

	if (member.val == NULL || yyjson_is_null(member.val))
		return 0;
	reader_enter(reader, str_of("chunks"));
	if (!yyjson_is_arr(member.val))
		return reader_fault(reader, CODE_INVALID_FIELD, "must be an array, not %s", reader_kind(member.val));
	if (n > reader->limits->max_chunks)
		return reader_fault(reader, CODE_LIMIT_EXCEEDED, "has %zu chunks; limits.max_chunks is %u", n,
				    reader->limits->max_chunks);
	made = reader_alloc(reader, n, sizeof(*made));
	if (made == NULL)
		return -ENOMEM;
	chunks.n = (uint32_t)n;
	rc = seen_init(&chunks.ids, reader, (uint32_t)n);
	if (rc == 0)
		rc = chunks_read_all(&chunks, member.val, made);
	seen_fini(&chunks.ids);
	if (rc != 0)
		return rc;
	draft->chunks = made;
	draft->n_chunks = (uint32_t)n;
	draft->dims = chunks.dims;
	reader_leave(reader);
	return 0;
}
