#include "made.h"

#include "base/buf.h"
#include "proto/request.h"

#include <errno.h>
#include <stdio.h>

#define TEXT_MAX  24
#define DEPTH_MAX 3

/* What bytes over 127 stand for: characters that somebody between us and a store might take apart. */
static const char *const characters[] = {"\xc3\xa9",
					 "\xe2\x82\xac",
					 "\xf0\x9f\x98\x80",
					 "\xe2\x80\xa8",
					 "\xef\xbb\xbf",
					 "\xc2\x85",
					 "\xed\x9f\xbf",
					 "\xf4\x8f\xbf\xbf",
					 "`",
					 "\\",
					 "\"",
					 "}",
					 "$1",
					 "\r\n",
					 "\\u0000",
					 "'"};

static const char *const numbers[] = {"0",
				      "-0",
				      "1",
				      "-1",
				      "9007199254740993",
				      "9223372036854775807",
				      "0.1",
				      "-0.0",
				      "1e5",
				      "2E-3",
				      "1.0000000000000000000001",
				      "1.7976931348623157e308",
				      "5e-324",
				      "-9223372036854775808",
				      "123456789012345678901234567890",
				      "3.4028234e38"};

static yyjson_mut_val *make_text(yyjson_mut_doc *doc, struct feed *feed, const char *prefix)
{
	struct str bytes = feed_bytes(feed, feed_below(feed, TEXT_MAX));
	struct buf text = {0};
	yyjson_mut_val *made;

	buf_append_text(&text, prefix);
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.at[i];
		if (c >= 0x80)
			buf_append_text(&text, characters[c % ARRAY_LEN(characters)]);
		else if (c != 0)
			buf_append(&text, &bytes.at[i], 1);
	}
	MUST(!text.failed);
	made = yyjson_mut_strncpy(doc, text.at != NULL ? text.at : "", text.len);
	buf_fini(&text);
	return made;
}

/* A plain name: of a type. Few of them, so that relationships share some. */
static yyjson_mut_val *make_type(yyjson_mut_doc *doc, struct feed *feed)
{
	static const char *const types[] = {"Person", "_", "A1", "MENTIONS", "CREATE", "select", "knows_of", "Entity"};

	return yyjson_mut_str(doc, types[feed_below(feed, ARRAY_LEN(types))]);
}

static yyjson_mut_val *make_object(yyjson_mut_doc *doc, struct feed *feed, uint32_t depth);

static yyjson_mut_val *make_value(yyjson_mut_doc *doc, struct feed *feed, uint32_t depth)
{
	yyjson_mut_val *list;

	switch (feed_below(feed, depth < DEPTH_MAX ? 8 : 5)) {
	case 0:
		return yyjson_mut_null(doc);
	case 1:
		return yyjson_mut_bool(doc, feed_below(feed, 2) == 1);
	case 2:
		return yyjson_mut_raw(doc, numbers[feed_below(feed, ARRAY_LEN(numbers))]);
	case 3:
	case 4:
		return make_text(doc, feed, "");
	case 5:
		return make_object(doc, feed, depth + 1);
	default:
		list = yyjson_mut_arr(doc);
		for (uint32_t n = feed_below(feed, 4); n > 0; n--)
			(void)yyjson_mut_arr_append(list, make_value(doc, feed, depth + 1));
		return list;
	}
}

static yyjson_mut_val *make_object(yyjson_mut_doc *doc, struct feed *feed, uint32_t depth)
{
	yyjson_mut_val *object = yyjson_mut_obj(doc);

	for (uint32_t n = feed_below(feed, 4); n > 0; n--) {
		const char prefix[] = {(char)('a' + n), '\0'}; /* no name twice */
		yyjson_mut_val *key = make_text(doc, feed, prefix);
		(void)yyjson_mut_obj_add(object, key, make_value(doc, feed, depth));
	}
	return object;
}

static void add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, yyjson_mut_val *val)
{
	MUST(yyjson_mut_obj_add_val(doc, object, name, val));
}

/* Adds an object under the name, or null, or nothing. */
static void add_object(yyjson_mut_doc *doc, struct feed *feed, yyjson_mut_val *object, const char *name)
{
	uint32_t choice = feed_below(feed, 4);

	if (choice == 1)
		add(doc, object, name, yyjson_mut_null(doc));
	else if (choice > 1)
		add(doc, object, name, make_object(doc, feed, 0));
}

static void add_maybe_text(yyjson_mut_doc *doc, struct feed *feed, yyjson_mut_val *object, const char *name)
{
	uint32_t choice = feed_below(feed, 4);

	if (choice == 1)
		add(doc, object, name, yyjson_mut_null(doc));
	else if (choice > 1)
		add(doc, object, name, make_text(doc, feed, ""));
}

static yyjson_mut_val *make_chunk(yyjson_mut_doc *doc, struct feed *feed, uint32_t nth, uint32_t dims)
{
	yyjson_mut_val *chunk = yyjson_mut_obj(doc), *list = yyjson_mut_arr(doc);
	const char prefix[] = {'x', (char)('0' + nth), '\0'};

	if (feed_below(feed, 2) == 1)
		add(doc, chunk, "id", make_text(doc, feed, prefix));
	add(doc, chunk, "text", make_text(doc, feed, ""));
	add_object(doc, feed, chunk, "metadata");
	for (uint32_t i = 0; i < dims; i++) {
		char digits[48];
		uint32_t bits = feed_u32(feed);
		(void)snprintf(digits, sizeof(digits), bits & 1 ? "%.*e" : "%.*f", (int)(bits >> 1 & 7),
			       (double)(int32_t)bits / 65536.0);
		(void)yyjson_mut_arr_append(list, yyjson_mut_rawcpy(doc, digits));
	}
	add(doc, chunk, "embedding", list);
	return chunk;
}

static yyjson_mut_val *make_entity(yyjson_mut_doc *doc, struct feed *feed, uint32_t nth)
{
	yyjson_mut_val *entity = yyjson_mut_obj(doc);
	const char prefix[] = {(char)('A' + nth), '\0'};

	add(doc, entity, "type", make_type(doc, feed));
	add(doc, entity, "name", make_text(doc, feed, prefix));
	add_object(doc, feed, entity, "properties");
	return entity;
}

static yyjson_mut_val *copy_end(yyjson_mut_doc *doc, yyjson_mut_val *entities, uint32_t nth)
{
	yyjson_mut_val *entity = yyjson_mut_arr_get(entities, nth), *end = yyjson_mut_obj(doc);

	add(doc, end, "type", yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_get(entity, "type")));
	add(doc, end, "name", yyjson_mut_val_mut_copy(doc, yyjson_mut_obj_get(entity, "name")));
	return end;
}

static void add_graph(yyjson_mut_doc *doc, struct feed *feed, yyjson_mut_val *params)
{
	uint32_t n = feed_below(feed, 5);
	yyjson_mut_val *entities = yyjson_mut_arr(doc), *relationships = yyjson_mut_arr(doc);

	for (uint32_t i = 0; i < n; i++)
		(void)yyjson_mut_arr_append(entities, make_entity(doc, feed, i));
	add(doc, params, "entities", entities);
	for (uint32_t i = n > 0 ? feed_below(feed, 5) : 0; i > 0; i--) {
		yyjson_mut_val *made = yyjson_mut_arr_add_obj(doc, relationships);
		add(doc, made, "from", copy_end(doc, entities, feed_below(feed, n)));
		add(doc, made, "to", copy_end(doc, entities, feed_below(feed, n)));
		add(doc, made, "type", make_type(doc, feed));
		add_object(doc, feed, made, "properties");
	}
	add(doc, params, "relationships", relationships);
}

/* The params of a put as the client would write them. The caller frees them. */
static char *make_params(struct feed *feed, uint32_t nth, size_t *out_len)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *params = yyjson_mut_obj(doc), *chunks = yyjson_mut_arr(doc);
	const char prefix[] = {(char)('a' + nth), '\0'};
	uint32_t dims = 1 + feed_below(feed, 4);
	uint32_t flags = feed_below(feed, 2) == 1 ? YYJSON_WRITE_ESCAPE_UNICODE | YYJSON_WRITE_ESCAPE_SLASHES : 0;
	char *text;

	yyjson_mut_doc_set_root(doc, params);
	add(doc, params, "id", make_text(doc, feed, prefix));
	add_maybe_text(doc, feed, params, "title");
	add_maybe_text(doc, feed, params, "source");
	add_maybe_text(doc, feed, params, "content");
	add_object(doc, feed, params, "metadata");
	for (uint32_t i = 0, n = feed_below(feed, 4); i < n; i++)
		(void)yyjson_mut_arr_append(chunks, make_chunk(doc, feed, i, dims));
	add(doc, params, "chunks", chunks);
	add_graph(doc, feed, params);
	text = yyjson_mut_write(doc, flags, out_len);
	MUST(text != NULL);
	yyjson_mut_doc_free(doc);
	return text;
}

static bool made_init(struct made *made, struct feed *feed, uint32_t nth)
{
	struct document_limits limits = document_limits_default();
	struct request_fault fault;
	struct request *request;
	struct buf line = {0};
	size_t len;
	char *params = make_params(feed, nth, &len);
	int rc;

	limits.dims = 0;
	buf_append_text(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"document.put\",\"params\":");
	buf_append(&line, params, len);
	buf_append_text(&line, "}");
	MUST(!line.failed);
	rc = request_parse(line.at, line.len, &limits, &request, &fault);
	MUST(rc == 0 || rc == -EINVAL);
	if (rc == 0) {
		made->document = request_take_document(request);
		made->params = yyjson_read(params, len, YYJSON_READ_NUMBER_AS_RAW);
		made->saga = uuid_make_v7(1700000000000u + feed_byte(feed), 0, nth);
		request_destroy(request);
	}
	buf_fini(&line);
	free(params);
	return rc == 0;
}

void made_batch_init(struct made_batch *batch, struct feed *feed, enum leg_op op)
{
	uint32_t n = 1 + feed_below(feed, MADE_MAX);

	*batch = (struct made_batch){0};
	for (uint32_t i = 0; i < n; i++) {
		struct made *made = &batch->jobs[batch->n];
		struct leg_write *write = &batch->writes[batch->n];

		if (!made_init(made, feed, i))
			continue;
		*write = (struct leg_write){.op = op, .saga = made->saga, .document_id = made->document->id};
		write->document = op == LEG_REMOVE ? NULL : made->document;
		write->n_chunks = made->document->n_chunks;
		write->cache_ttl_s = feed_byte(feed);
		batch->pointers[batch->n++] = write;
	}
}

void made_batch_fini(struct made_batch *batch)
{
	for (uint32_t i = 0; i < batch->n; i++) {
		document_destroy(batch->jobs[i].document);
		yyjson_doc_free(batch->jobs[i].params);
	}
}

/* ---- comparing ---- */

yyjson_val *made_member(const yyjson_val *object, const char *name)
{
	yyjson_val *val = yyjson_obj_get((yyjson_val *)(uintptr_t)object, name);

	return yyjson_is_null(val) ? NULL : val;
}

bool made_is_text(yyjson_val *found, yyjson_val *meant)
{
	if (meant == NULL)
		return found == NULL || yyjson_is_null(found);
	return yyjson_is_str(found) && yyjson_equals_strn(found, yyjson_get_str(meant), yyjson_get_len(meant));
}

bool made_is_str(struct str found, yyjson_val *meant)
{
	if (meant == NULL)
		return found.at == NULL;
	return found.at != NULL && yyjson_equals_strn(meant, found.at, found.len);
}

/* The same number: of integers every digit, of others the nearest double, which may be written in many ways. */
static bool is_number(const char *found, const char *meant)
{
	bool is_exact = strpbrk(meant, ".eE") == NULL && strcmp(meant, "-0") != 0;

	return is_exact ? strcmp(found, meant) == 0 : strtod(found, NULL) == strtod(meant, NULL);
}

bool made_is_json(yyjson_val *found, yyjson_val *meant)
{
	yyjson_val *key, *val;
	size_t i, n;

	if (yyjson_get_type(found) != yyjson_get_type(meant))
		return false;
	if (yyjson_is_raw(found))
		return is_number(yyjson_get_raw(found), yyjson_get_raw(meant));
	if (yyjson_is_str(found))
		return yyjson_equals_strn(meant, yyjson_get_str(found), yyjson_get_len(found));
	if (yyjson_is_bool(found))
		return yyjson_get_bool(found) == yyjson_get_bool(meant);
	if (yyjson_is_null(found))
		return true;
	if (yyjson_get_len(found) != yyjson_get_len(meant))
		return false;
	yyjson_arr_foreach(found, i, n, val)
	{
		if (!made_is_json(val, yyjson_arr_get(meant, i)))
			return false;
	}
	yyjson_obj_foreach(found, i, n, key, val)
	{
		if (!made_is_json(val, yyjson_obj_getn(meant, yyjson_get_str(key), yyjson_get_len(key))))
			return false;
	}
	return true;
}

bool made_is_json_text(struct str text, yyjson_val *meant)
{
	yyjson_doc *doc;
	bool is;

	if (meant == NULL || text.at == NULL)
		return meant == NULL && text.at == NULL;
	doc = yyjson_read(text.at, text.len, YYJSON_READ_NUMBER_AS_RAW);
	is = doc != NULL && made_is_json(yyjson_doc_get_root(doc), meant);
	yyjson_doc_free(doc);
	return is;
}

bool made_is_vector(const float *components, yyjson_val *meant)
{
	yyjson_val *number;
	size_t i, n;

	yyjson_arr_foreach(meant, i, n, number)
	{
		if (components[i] != strtof(yyjson_get_raw(number), NULL))
			return false;
	}
	return true;
}
