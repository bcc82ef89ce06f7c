/* Round trip of a pivot: the statements are constants, and their binary parameters, taken apart as array_recv() does,
 * say of every chunk, entity and relationship what the client wrote. */
#include "made.h"

#include "stores/postgres/pg_pivot_codec.h"

#include <arpa/inet.h>

#define ITEMS_MAX 64

/* An array parameter, taken apart. */
struct array {
	uint32_t element;
	uint32_t n;
	struct str items[ITEMS_MAX]; /* at NULL: an SQL NULL */
};

static uint32_t read_be32(struct str *rest)
{
	uint32_t value;

	MUST(rest->len >= sizeof(value));
	memcpy(&value, rest->at, sizeof(value));
	*rest = (struct str){rest->at + sizeof(value), rest->len - sizeof(value)};
	return ntohl(value);
}

static struct array read_array(const struct pg_params *params, uint32_t nth)
{
	struct str rest = pg_params_value(params, nth);
	struct array array = {0};
	uint32_t n_dims = read_be32(&rest), has_nulls = read_be32(&rest), n_nulls = 0;

	array.element = read_be32(&rest);
	if (n_dims == 0) {
		MUST(rest.len == 0);
		return array;
	}
	array.n = read_be32(&rest);
	MUST(n_dims == 1 && read_be32(&rest) == 1 && array.n <= ITEMS_MAX);
	for (uint32_t i = 0; i < array.n; i++) {
		uint32_t len = read_be32(&rest);
		n_nulls += len == UINT32_MAX;
		if (len == UINT32_MAX)
			continue;
		MUST(len <= rest.len);
		array.items[i] = (struct str){rest.at, len};
		rest = (struct str){rest.at + len, rest.len - len};
	}
	MUST(rest.len == 0 && has_nulls <= 1 && (n_nulls == 0 || has_nulls == 1));
	return array;
}

static uint32_t as_int4(struct str item)
{
	uint32_t value = read_be32(&item);

	MUST(item.len == 0);
	return value;
}

/* jsonb_recv(): a version byte, 1, and the text. */
static struct str as_json(struct str item)
{
	if (item.at == NULL)
		return item;
	MUST(item.len > 1 && item.at[0] == 1);
	return (struct str){item.at + 1, item.len - 1};
}

static bool as_floats(struct str item, float *out, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bits = read_be32(&item);
		memcpy(&out[i], &bits, sizeof(bits));
	}
	return item.len == 0;
}

/* ---- what each statement must say ---- */

static const struct pg_statement *find(const struct pg_script *script, const char *begin)
{
	for (uint32_t i = 0; i < script->n; i++)
		if (strncmp(script->statements[i].sql, begin, strlen(begin)) == 0)
			return &script->statements[i];
	return NULL;
}

/* The job that row `row` of a statement belongs to: $1 has the sagas, $3 each row's place among them. */
static const struct made *job_of(const struct made_batch *batch, const struct pg_params *params, uint32_t row)
{
	struct array sagas = read_array(params, 0), ids = read_array(params, 1), nths = read_array(params, 2);
	uint32_t nth = as_int4(nths.items[row]) - 1;

	MUST(sagas.n == batch->n && nth < sagas.n && sagas.items[nth].len == sizeof(struct uuid));
	for (uint32_t i = 0; i < batch->n; i++)
		if (memcmp(&batch->jobs[i].saga, sagas.items[nth].at, sizeof(struct uuid)) == 0) {
			MUST(str_is_equal(ids.items[nth], batch->jobs[i].document->id));
			return &batch->jobs[i];
		}
	return NULL;
}

static yyjson_val *meant_member(const struct made *job, const char *list, uint32_t ordinal)
{
	yyjson_val *val = yyjson_arr_get(yyjson_obj_get(yyjson_doc_get_root(job->params), list), ordinal);

	MUST(val != NULL);
	return val;
}

static void check_vector(struct str item, const struct made *job, yyjson_val *meant)
{
	uint32_t dims = job->document->dims;
	float components[16];
	struct str numbers = {item.at + 4, item.len - 4};

	MUST(item.len == 4 + 4 * (size_t)dims && item.at[0] == 0 && (uint8_t)item.at[1] == dims);
	MUST(item.at[2] == 0 && item.at[3] == 0 && as_floats(numbers, components, dims));
	MUST(made_is_vector(components, yyjson_obj_get(meant, "embedding")));
}

/* real[]: $8 has all numbers, $9 and $10 the first and the last place of each row's own. */
static void check_slice(const struct pg_params *params, uint32_t row, const struct made *job, yyjson_val *meant)
{
	struct array all = read_array(params, 7), firsts = read_array(params, 8), lasts = read_array(params, 9);
	uint32_t first = as_int4(firsts.items[row]), last = as_int4(lasts.items[row]);
	float components[16];

	MUST(first >= 1 && last <= all.n && last - first + 1 == job->document->dims);
	for (uint32_t i = first; i <= last; i++)
		MUST(as_floats(all.items[i - 1], &components[i - first], 1));
	MUST(made_is_vector(components, yyjson_obj_get(meant, "embedding")));
}

static void check_chunks(const struct pg_params *params, const struct made_batch *batch, bool is_vector)
{
	struct array ids = read_array(params, 3), ordinals = read_array(params, 4), texts = read_array(params, 5);
	struct array metadata = read_array(params, 6), vectors = read_array(params, 7);

	for (uint32_t row = 0; row < ids.n; row++) {
		const struct made *job = job_of(batch, params, row);
		uint32_t ordinal = as_int4(ordinals.items[row]);
		yyjson_val *meant = meant_member(job, "chunks", ordinal), *id = made_member(meant, "id");

		MUST(id == NULL || made_is_str(ids.items[row], id));
		MUST(str_is_equal(ids.items[row], job->document->chunks[ordinal].id));
		MUST(made_is_str(texts.items[row], made_member(meant, "text")));
		MUST(made_is_json_text(as_json(metadata.items[row]), made_member(meant, "metadata")));
		if (is_vector)
			check_vector(vectors.items[row], job, meant);
		else
			check_slice(params, row, job, meant);
	}
}

static void check_entities(const struct pg_params *params, const struct made_batch *batch)
{
	struct array ordinals = read_array(params, 3), types = read_array(params, 4), names = read_array(params, 5);
	struct array properties = read_array(params, 6);

	for (uint32_t row = 0; row < ordinals.n; row++) {
		const struct made *job = job_of(batch, params, row);
		yyjson_val *meant = meant_member(job, "entities", as_int4(ordinals.items[row]));

		MUST(made_is_str(types.items[row], made_member(meant, "type")));
		MUST(made_is_str(names.items[row], made_member(meant, "name")));
		MUST(made_is_json_text(as_json(properties.items[row]), made_member(meant, "properties")));
	}
}

static void check_relationships(const struct pg_params *params, const struct made_batch *batch)
{
	struct array ordinals = read_array(params, 3), types = read_array(params, 6);
	struct array from_types = read_array(params, 4), from_names = read_array(params, 5);
	struct array to_types = read_array(params, 7), to_names = read_array(params, 8);
	struct array properties = read_array(params, 9);

	for (uint32_t row = 0; row < ordinals.n; row++) {
		const struct made *job = job_of(batch, params, row);
		yyjson_val *meant = meant_member(job, "relationships", as_int4(ordinals.items[row]));
		yyjson_val *from = made_member(meant, "from"), *to = made_member(meant, "to");

		MUST(made_is_str(types.items[row], made_member(meant, "type")));
		MUST(made_is_str(from_types.items[row], made_member(from, "type")));
		MUST(made_is_str(from_names.items[row], made_member(from, "name")));
		MUST(made_is_str(to_types.items[row], made_member(to, "type")));
		MUST(made_is_str(to_names.items[row], made_member(to, "name")));
		MUST(made_is_json_text(as_json(properties.items[row]), made_member(meant, "properties")));
	}
}

/* INSERT INTO documents and UPDATE documents have the same ten parameters. */
static uint32_t check_documents(const struct pg_statement *statement, const struct made_batch *batch)
{
	const struct pg_params *params = statement != NULL ? &statement->params : NULL;
	struct array sagas;

	if (params == NULL)
		return 0;
	sagas = read_array(params, 0);
	for (uint32_t row = 0; row < sagas.n; row++) {
		struct array ids = read_array(params, 1), metadata = read_array(params, 6);
		yyjson_val *meant = NULL;

		for (uint32_t i = 0; i < batch->n; i++)
			if (str_is_equal(batch->jobs[i].document->id, ids.items[row]))
				meant = yyjson_doc_get_root(batch->jobs[i].params);
		MUST(meant != NULL);
		MUST(made_is_str(read_array(params, 3).items[row], made_member(meant, "title")));
		MUST(made_is_str(read_array(params, 4).items[row], made_member(meant, "source")));
		MUST(made_is_str(read_array(params, 5).items[row], made_member(meant, "content")));
		MUST(made_is_json_text(as_json(metadata.items[row]), made_member(meant, "metadata")));
	}
	return sagas.n;
}

static uint32_t n_members(const struct made_batch *batch, size_t offset)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < batch->n; i++)
		sum += *(const uint32_t *)(const void *)((const char *)batch->jobs[i].document + offset);
	return sum;
}

/* A statement about members is there when there are any, with a row for each of them. */
static const struct pg_params *members(const struct pg_script *script, const char *begin,
				       const struct made_batch *batch, size_t offset)
{
	const struct pg_statement *statement = find(script, begin);
	uint32_t n = n_members(batch, offset);

	MUST((statement != NULL) == (n > 0));
	if (statement == NULL)
		return NULL;
	MUST(read_array(&statement->params, 2).n == n && read_array(&statement->params, 3).n == n);
	return &statement->params;
}

static void check_script(const struct pg_script *script, const struct made_batch *batch, bool is_vector)
{
	const struct pg_params *params;

	MUST(check_documents(find(script, "UPDATE documents"), batch) +
		     check_documents(find(script, "INSERT INTO documents"), batch) ==
	     batch->n);
	params = members(script, "INSERT INTO chunks", batch, offsetof(struct document, n_chunks));
	if (params != NULL)
		check_chunks(params, batch, is_vector);
	params = members(script, "INSERT INTO entities", batch, offsetof(struct document, n_entities));
	if (params != NULL)
		check_entities(params, batch);
	params = members(script, "INSERT INTO relationships", batch, offsetof(struct document, n_relationships));
	if (params != NULL)
		check_relationships(params, batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	uint8_t choice = feed_byte(&feed);
	const struct pg_embedding embedding = {
		.is_known = true, .is_vector = (choice & 1) != 0, .types = {16400, 16405}};
	struct truth_pivot pivots[MADE_MAX] = {0}, *pointers[MADE_MAX];
	struct made_batch batch;
	struct pg_pivot_plan plan;
	struct pg_script script;

	made_batch_init(&batch, &feed, LEG_APPLY);
	for (uint32_t i = 0; i < batch.n; i++) {
		pivots[i] = (struct truth_pivot){.saga = batch.jobs[i].saga, .document = batch.jobs[i].document};
		pivots[i].document_id = batch.jobs[i].document->id;
		pivots[i].is_expected = (choice >> (i + 1) & 1) != 0;
		pointers[i] = &pivots[i];
	}
	if (batch.n > 0) {
		pg_script_init(&script);
		MUST(pg_pivot_build(&script, pointers, batch.n, 7, &embedding, &plan) == 0);
		check_script(&script, &batch, embedding.is_vector);
		pg_script_fini(&script);
	}
	made_batch_fini(&batch);
	return 0;
}
