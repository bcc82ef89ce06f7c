#include "stores/redis/redis_codec.h"

#include "proto/document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define ID_SHOWN_BYTES     80
#define COMMAND_ROUGHLY    512 /* keys, saga, sha and the protocol's own bytes */
#define CHUNK_ID_SURROUNDS 3   /* quotes and a comma */

void redis_codec_init(struct redis_codec *codec)
{
	for (int op = 0; op < LEG_OPS; op++)
		redis_scripts_sha((enum leg_op)op, codec->sha[op]);
}

/* ---- the value ---- */

static bool add_text(yyjson_mut_doc *json, yyjson_mut_val *object, const char *name, struct str text)
{
	return text.at == NULL || yyjson_mut_obj_add_strn(json, object, name, text.at, text.len);
}

static bool add_chunks(yyjson_mut_doc *json, yyjson_mut_val *object, const struct document *document)
{
	yyjson_mut_val *ids = yyjson_mut_arr(json);
	bool ok = ids != NULL;

	for (uint32_t i = 0; ok && i < document->n_chunks; i++)
		ok = yyjson_mut_arr_add_strn(json, ids, document->chunks[i].id.at, document->chunks[i].id.len);
	return ok && yyjson_mut_obj_add_val(json, object, "chunks", ids);
}

/* The version must come first: the scripts read it at a fixed place. */
static bool add_all(yyjson_mut_doc *json, yyjson_mut_val *object, const struct document *document, const char *version)
{
	bool ok = object != NULL && yyjson_mut_obj_add_str(json, object, "version", version) &&
		  add_text(json, object, "id", document->id) && add_text(json, object, "title", document->title) &&
		  add_text(json, object, "source", document->source);

	if (ok && document->metadata_json.at != NULL) /* checked JSON: the client's own digits */
		ok = yyjson_mut_obj_add_val(
			json, object, "metadata",
			yyjson_mut_rawn(json, document->metadata_json.at, document->metadata_json.len));
	return ok && add_text(json, object, "content", document->content) && add_chunks(json, object, document);
}

char *redis_codec_value(const struct document *document, const struct uuid *saga, size_t *out_len)
{
	yyjson_mut_doc *json = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *object;
	char version[UUID_TEXT_BYTES], *value = NULL;

	if (json == NULL)
		return NULL;
	uuid_format(saga, version);
	object = yyjson_mut_obj(json);
	if (add_all(json, object, document, version)) {
		yyjson_mut_doc_set_root(json, object);
		value = yyjson_mut_write(json, YYJSON_WRITE_NOFLAG, out_len);
	}
	yyjson_mut_doc_free(json);
	return value;
}

size_t redis_codec_bytes(const struct leg_write *write)
{
	const struct document *document = write->document;
	size_t bytes = COMMAND_ROUGHLY + 3 * write->document_id.len;

	if (document == NULL || write->op == LEG_REMOVE)
		return bytes;
	bytes += document->id.len + document->title.len + document->source.len + document->content.len +
		 document->metadata_json.len;
	for (uint32_t i = 0; i < document->n_chunks; i++)
		bytes += document->chunks[i].id.len + CHUNK_ID_SURROUNDS;
	return bytes;
}

/* ---- commands ---- */

static void add_arg(struct redis_command *command, const char *at, size_t len)
{
	MUST(command->argc < REDIS_CODEC_ARGS_MAX);
	command->argv[command->argc] = at;
	command->lens[command->argc++] = len;
}

static void add_text_arg(struct redis_command *command, const char *text)
{
	add_arg(command, text, strlen(text));
}

static size_t append_key(struct buf *keys, const char *prefix, const char *kind, struct str id, const char *saga)
{
	size_t before = keys->len;

	buf_append_format(keys, "%s:%s:{", prefix, kind);
	buf_append_str(keys, id); /* binary safe: an id is any UTF-8 */
	buf_append_text(keys, "}");
	if (saga != NULL)
		buf_append_format(keys, ":%s", saga);
	return keys->len - before;
}

static int add_keys(const struct redis_codec *codec, const struct leg_write *write, struct redis_command *command)
{
	size_t live = append_key(&command->keys, codec->key_prefix, "doc", write->document_id, NULL);
	size_t stage = append_key(&command->keys, codec->key_prefix, "stage", write->document_id, command->saga);
	size_t fence = append_key(&command->keys, codec->key_prefix, "dead", write->document_id, command->saga);

	if (command->keys.failed)
		return -ENOMEM;
	add_arg(command, command->keys.at, live);
	add_arg(command, command->keys.at + live, stage);
	add_arg(command, command->keys.at + live + stage, fence);
	return 0;
}

static int make_value(const struct leg_write *write, struct redis_command *command, size_t *out_len)
{
	command->value = redis_codec_value(write->document, &write->saga, out_len);
	return command->value != NULL ? 0 : -ENOMEM;
}

static void format_ttl(struct redis_command *command, uint32_t ttl_s)
{
	(void)snprintf(command->ttl, sizeof(command->ttl), "%u", ttl_s); /* 10 digits fit */
}

/* What follows the saga; the scripts say in which order. */
static int add_op_args(const struct redis_codec *codec, const struct leg_write *write, struct redis_command *command)
{
	size_t value_len = 0;

	switch (write->op) {
	case LEG_APPLY:
		if (make_value(write, command, &value_len) != 0)
			return -ENOMEM;
		format_ttl(command, codec->staging_ttl_s);
		add_arg(command, command->value, value_len);
		add_text_arg(command, command->ttl);
		return 0;
	case LEG_PUBLISH:
		format_ttl(command, write->cache_ttl_s != 0 ? write->cache_ttl_s : codec->cache_ttl_s);
		add_text_arg(command, command->ttl);
		if (write->document == NULL)
			return 0;
		if (make_value(write, command, &value_len) != 0)
			return -ENOMEM;
		add_arg(command, command->value, value_len);
		return 0;
	case LEG_REMOVE:
		format_ttl(command, codec->fence_ttl_s);
		add_text_arg(command, command->ttl);
		return 0;
	}
	MUST(!"a leg operation that is none");
	return -EINVAL;
}

int redis_codec_command(const struct redis_codec *codec, const struct leg_write *write, bool with_text,
			struct redis_command *out_command)
{
	struct redis_command *command = out_command;
	int rc;

	*command = (struct redis_command){0};
	uuid_format(&write->saga, command->saga);
	add_text_arg(command, with_text ? "EVAL" : "EVALSHA");
	add_text_arg(command, with_text ? redis_scripts_text(write->op) : codec->sha[write->op]);
	add_text_arg(command, "3");
	rc = add_keys(codec, write, command);
	if (rc == 0) {
		add_text_arg(command, command->saga);
		rc = add_op_args(codec, write, command);
	}
	if (rc != 0)
		redis_codec_free(command);
	return rc;
}

void redis_codec_free(struct redis_command *command)
{
	buf_fini(&command->keys);
	free(command->value);
	*command = (struct redis_command){0};
}

/* ---- replies ---- */

struct error_class {
	const char *begins; /* of the error's text */
	enum verdict verdict;
	enum redis_codec_hint hint;
};

/* The table of error classes. Sources: the shared errors in server.c of Redis 7.0 (createSharedObjects()), acl.c,
 * cluster.c and script_lua.c. A longer text stands before a shorter one that it begins with. */
static const struct error_class error_classes[] = {
	{"NOSCRIPT", VERDICT_TRANSIENT, REDIS_HINT_SEND_TEXT},
	/* The server can't take writes now, from anybody: the breaker's business. */
	{"OOM", VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"MISCONF", VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"NOREPLICAS", VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"CLUSTERDOWN", VERDICT_OUTAGE, REDIS_HINT_NONE},
	{"READONLY", VERDICT_OUTAGE, REDIS_HINT_RECONNECT}, /* a failover: the name may lead to the new primary */
	{"MASTERDOWN", VERDICT_OUTAGE, REDIS_HINT_RECONNECT},
	{"ERR max number of clients", VERDICT_OUTAGE, REDIS_HINT_RECONNECT},
	{"LOADING", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	{"BUSY", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	{"TRYAGAIN", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	{"UNBLOCKED", VERDICT_TRANSIENT, REDIS_HINT_NONE},
	/* Somebody must act. */
	{"NOAUTH", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"WRONGPASS", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"NOPERM", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
	{"DENIED", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT}, /* protected mode */
	{"MOVED", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
	{"ASK", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
	{"ERR invalid password", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"ERR Client sent AUTH", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"ERR AUTH", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"ERR DB index", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"ERR SELECT", VERDICT_MISCONFIGURED, REDIS_HINT_RECONNECT},
	{"ERR unknown command", VERDICT_MISCONFIGURED, REDIS_HINT_NONE}, /* EVAL renamed away */
	{"ERR ACL failure in script", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
	{"ERR The user executing the script", VERDICT_MISCONFIGURED, REDIS_HINT_NONE},
};

static bool begins_with(const char *at, const char *end, const char *what)
{
	size_t len = strlen(what);

	return (size_t)(end - at) >= len && memcmp(at, what, len) == 0;
}

static const struct error_class *find_class(const char *at, const char *end)
{
	for (size_t i = 0; i < ARRAY_LEN(error_classes); i++)
		if (begins_with(at, end, error_classes[i].begins))
			return &error_classes[i];
	return NULL;
}

/* Until Redis 6 the error of a command in a script is wrapped: "ERR Error running script (call to f_...):
 * @user_script:5: -OOM command not allowed". */
static const struct error_class *find_wrapped_class(const char *at, const char *end)
{
	if (!begins_with(at, end, "ERR Error running script"))
		return NULL;
	for (; at + 2 < end; at++)
		if (at[0] == ' ' && at[1] == '-') {
			const struct error_class *found = find_class(at + 2, end);
			if (found != NULL)
				return found;
		}
	return NULL;
}

enum verdict redis_codec_error(struct str text, enum redis_codec_hint *out_hint)
{
	const char *at = text.at != NULL ? text.at : "", *end = at + text.len;
	const struct error_class *found = find_class(at, end);

	if (found == NULL)
		found = find_wrapped_class(at, end);
	*out_hint = found != NULL ? found->hint : REDIS_HINT_NONE;
	return found != NULL ? found->verdict : VERDICT_PERMANENT;
}

static const char *advice_of(struct str text, enum verdict verdict)
{
	const char *at = text.at != NULL ? text.at : "", *end = at + text.len;

	if (begins_with(at, end, "OOM"))
		return "; give Redis more memory or less to keep";
	if (begins_with(at, end, "MOVED") || begins_with(at, end, "ASK") || begins_with(at, end, "CROSSSLOT"))
		return "; sagad needs a Redis that isn't a cluster";
	if (begins_with(at, end, "WRONGTYPE"))
		return "; another program uses sagad's keys: set another key_prefix";
	if (verdict == VERDICT_MISCONFIGURED)
		return "; correct user, password, rights or database";
	return "";
}

static void set_failure(struct leg_write *write, enum verdict verdict, const char *what, struct str text)
{
	char saga[UUID_TEXT_BYTES];
	struct str id = write->document_id;

	uuid_format(&write->saga, saga);
	if (id.len > ID_SHOWN_BYTES)
		id.len = ID_SHOWN_BYTES;
	if (text.len > ERR_TEXT_BYTES)
		text.len = ERR_TEXT_BYTES;
	write->verdict = verdict;
	(void)err_set(&write->err, 0, "redis: document \"%.*s\", saga %s: %s%.*s%s", STR_ARG(id), saga, what,
		      STR_ARG(text), advice_of(text, verdict));
}

static void set_ok(struct leg_write *write)
{
	write->verdict = VERDICT_OK;
	err_clear(&write->err);
}

static bool is_one_of(struct str text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (str_is_equal(text, str_of(*words)))
			return true;
	return false;
}

static bool is_success(enum leg_op op, struct str text)
{
	static const char *const apply[] = {"staged", "live", NULL};
	static const char *const publish[] = {"renamed", "set", "live", "newer", "dropped", "none", "dead", NULL};
	static const char *const removed[] = {"removed", "fenced", NULL};

	switch (op) {
	case LEG_APPLY:
		return is_one_of(text, apply);
	case LEG_PUBLISH:
		return is_one_of(text, publish);
	case LEG_REMOVE:
		return is_one_of(text, removed);
	}
	return false;
}

enum redis_codec_hint redis_codec_reply(struct leg_write *write, enum redis_reply_kind kind, struct str text)
{
	enum redis_codec_hint hint = REDIS_HINT_NONE;

	if (kind == REDIS_REPLY_IS_ERROR) {
		enum verdict verdict = redis_codec_error(text, &hint);
		set_failure(write, verdict, "Redis answers: ", text);
	} else if (kind == REDIS_REPLY_IS_TEXT && is_success(write->op, text)) {
		set_ok(write);
	} else if (kind == REDIS_REPLY_IS_TEXT && write->op == LEG_APPLY && str_is_equal(text, str_of("dead"))) {
		set_failure(write, VERDICT_TRANSIENT, "this saga was removed already; nothing was written", STR_NONE);
	} else {
		/* A server that answers something else is not the one we know: whether it did the work is open. */
		set_failure(write, VERDICT_DOUBT, "an answer that no script of sagad gives: ", text);
		hint = REDIS_HINT_RECONNECT;
	}
	return hint;
}

void redis_codec_info(struct str info, const char *field, char *out_text, size_t size_bytes)
{
	const char *at = info.at != NULL ? info.at : "", *end = at + info.len;
	size_t n_field = strlen(field), len = 0;

	out_text[0] = '\0';
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		if (line_end == NULL)
			line_end = end;
		if ((size_t)(line_end - at) > n_field && memcmp(at, field, n_field) == 0 && at[n_field] == ':') {
			at += n_field + 1;
			while (at + len < line_end && at[len] != '\r' && len + 1 < size_bytes)
				len++;
			memcpy(out_text, at, len);
			out_text[len] = '\0';
			return;
		}
		at = line_end + (line_end < end);
	}
}
