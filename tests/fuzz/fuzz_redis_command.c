/* Round trip of Redis' commands: what hiredis puts on the wire reads back as the same arguments, the keys are those of
 * the document alone, and the value is the client's document. */
#include "made.h"

#include "stores/redis/redis_codec.h"

#include <hiredis/hiredis.h>

static void check_value(struct str value, const struct made *job)
{
	yyjson_val *params = yyjson_doc_get_root(job->params), *metadata = made_member(params, "metadata");
	yyjson_doc *doc = yyjson_read(value.at, value.len, YYJSON_READ_NUMBER_AS_RAW);
	yyjson_val *root = yyjson_doc_get_root(doc), *id;
	static const char begin[] = "{\"version\":\"";
	char saga[UUID_TEXT_BYTES];
	size_t i, n;

	uuid_format(&job->saga, saga);
	MUST(value.len > sizeof(begin) + UUID_TEXT_BYTES && memcmp(value.at, begin, sizeof(begin) - 1) == 0);
	MUST(yyjson_equals_str(yyjson_obj_get(root, "version"), saga));
	MUST(made_is_text(yyjson_obj_get(root, "id"), made_member(params, "id")));
	MUST(made_is_text(yyjson_obj_get(root, "title"), made_member(params, "title")));
	MUST(made_is_text(yyjson_obj_get(root, "source"), made_member(params, "source")));
	MUST(made_is_text(yyjson_obj_get(root, "content"), made_member(params, "content")));
	MUST(metadata == NULL || made_is_json(yyjson_obj_get(root, "metadata"), metadata));
	MUST(yyjson_arr_size(yyjson_obj_get(root, "chunks")) == job->document->n_chunks);
	yyjson_arr_foreach(yyjson_obj_get(root, "chunks"), i, n, id)
		MUST(yyjson_equals_strn(id, job->document->chunks[i].id.at, job->document->chunks[i].id.len));
	yyjson_doc_free(doc);
}

static void check_key(struct str key, const char *kind, const struct made *job, bool has_saga)
{
	struct buf expected = {0};
	char saga[UUID_TEXT_BYTES];

	uuid_format(&job->saga, saga);
	buf_append_format(&expected, "sagad:%s:{", kind);
	buf_append_str(&expected, job->document->id);
	buf_append_format(&expected, "}%s%s", has_saga ? ":" : "", has_saga ? saga : "");
	MUST(!expected.failed && str_is_equal(buf_str(&expected), key));
	buf_fini(&expected);
}

static struct str arg(const redisReply *wire, size_t nth)
{
	MUST(nth < wire->elements && wire->element[nth]->type == REDIS_REPLY_STRING);
	return (struct str){wire->element[nth]->str, wire->element[nth]->len};
}

static bool is_number(struct str text, uint32_t number)
{
	char digits[12];

	(void)snprintf(digits, sizeof(digits), "%u", number);
	return str_is_equal(text, str_of(digits));
}

/* EVAL(SHA) script 3 live staged fence saga ... */
static void check_wire(const redisReply *wire, const struct made *job, const struct leg_write *write, bool with_text)
{
	char saga[UUID_TEXT_BYTES];

	uuid_format(&job->saga, saga);
	MUST(str_is_equal(arg(wire, 0), str_of(with_text ? "EVAL" : "EVALSHA")));
	MUST(!with_text || str_is_equal(arg(wire, 1), str_of(redis_scripts_text(write->op))));
	MUST(is_number(arg(wire, 2), 3));
	check_key(arg(wire, 3), "doc", job, false);
	check_key(arg(wire, 4), "stage", job, true);
	check_key(arg(wire, 5), "dead", job, true);
	MUST(str_is_equal(arg(wire, 6), str_of(saga)));
	switch (write->op) {
	case LEG_APPLY:
		check_value(arg(wire, 7), job);
		MUST(is_number(arg(wire, 8), 7200) && wire->elements == 9);
		return;
	case LEG_PUBLISH:
		MUST(is_number(arg(wire, 7), write->cache_ttl_s != 0 ? write->cache_ttl_s : 3600));
		if (write->document != NULL)
			check_value(arg(wire, 8), job);
		MUST(wire->elements == (write->document != NULL ? 9 : 8));
		return;
	case LEG_REMOVE:
		MUST(is_number(arg(wire, 7), 86400) && wire->elements == 8);
		return;
	}
}

static void check_command(const struct redis_codec *codec, const struct made *job, const struct leg_write *write,
			  bool with_text)
{
	struct redis_command command;
	redisReader *reader = redisReaderCreate();
	void *wire = NULL;
	char *bytes = NULL;
	int len;

	MUST(redis_codec_command(codec, write, with_text, &command) == 0);
	len = redisFormatCommandArgv(&bytes, (int)command.argc, command.argv, command.lens);
	MUST(len > 0 && redisReaderFeed(reader, bytes, (size_t)len) == REDIS_OK);
	MUST(redisReaderGetReply(reader, &wire) == REDIS_OK && wire != NULL);
	MUST(((const redisReply *)wire)->type == REDIS_REPLY_ARRAY && reader->pos == reader->len);
	check_wire(wire, job, write, with_text);
	freeReplyObject(wire);
	redisReaderFree(reader);
	redisFreeCommand(bytes);
	redis_codec_free(&command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed feed = {data, size};
	struct redis_codec codec = {
		.key_prefix = "sagad", .staging_ttl_s = 7200, .fence_ttl_s = 86400, .cache_ttl_s = 3600};
	enum leg_op op = (enum leg_op)feed_below(&feed, LEG_OPS);
	bool is_recovery = feed_below(&feed, 2) == 1;
	struct made_batch batch;

	redis_codec_init(&codec);
	made_batch_init(&batch, &feed, op);
	for (uint32_t i = 0; i < batch.n; i++) {
		if (op == LEG_PUBLISH && is_recovery)
			batch.writes[i].document = NULL;
		check_command(&codec, &batch.jobs[i], &batch.writes[i], i % 2 == 0);
	}
	made_batch_fini(&batch);
	return 0;
}
