#include "redis_steps_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TARGET     "redis"
#define N_OWN_ARGS 10 /* before the first command: EVALSHA sha 1 key kind ttl dead_ttl keeps max n */

/* Commands on data, and with how many words they come: exactly so many, or at least so many when it is negative.
 * Source: COMMAND INFO of Redis 7.0. Nothing that blocks, subscribes, runs code, or reaches beyond the database. */
static const struct redis_steps_rule {
	const char *name;
	int arity;
} rules[] = {
	{"APPEND", 3},
	{"BITCOUNT", -2},
	{"BITFIELD", -2},
	{"BITOP", -4},
	{"BITPOS", -3},
	{"COPY", -3},
	{"DECR", 2},
	{"DECRBY", 3},
	{"DEL", -2},
	{"ECHO", 2},
	{"EXISTS", -2},
	{"EXPIRE", -3},
	{"EXPIREAT", -3},
	{"EXPIRETIME", 2},
	{"GEOADD", -5},
	{"GEODIST", -4},
	{"GEOHASH", -2},
	{"GEOPOS", -2},
	{"GEOSEARCH", -7},
	{"GEOSEARCHSTORE", -8},
	{"GET", 2},
	{"GETBIT", 3},
	{"GETDEL", 2},
	{"GETEX", -2},
	{"GETRANGE", 4},
	{"GETSET", 3},
	{"HDEL", -3},
	{"HEXISTS", 3},
	{"HGET", 3},
	{"HGETALL", 2},
	{"HINCRBY", 4},
	{"HINCRBYFLOAT", 4},
	{"HKEYS", 2},
	{"HLEN", 2},
	{"HMGET", -3},
	{"HMSET", -4},
	{"HSET", -4},
	{"HSETNX", 4},
	{"HSTRLEN", 3},
	{"HVALS", 2},
	{"INCR", 2},
	{"INCRBY", 3},
	{"INCRBYFLOAT", 3},
	{"LINDEX", 3},
	{"LINSERT", 5},
	{"LLEN", 2},
	{"LMOVE", 5},
	{"LMPOP", -4},
	{"LPOP", -2},
	{"LPOS", -3},
	{"LPUSH", -3},
	{"LPUSHX", -3},
	{"LRANGE", 4},
	{"LREM", 4},
	{"LSET", 4},
	{"LTRIM", 4},
	{"MGET", -2},
	{"MSET", -3},
	{"MSETNX", -3},
	{"PERSIST", 2},
	{"PEXPIRE", -3},
	{"PEXPIREAT", -3},
	{"PEXPIRETIME", 2},
	{"PFADD", -2},
	{"PFCOUNT", -2},
	{"PFMERGE", -2},
	{"PING", -1},
	{"PSETEX", 4},
	{"PTTL", 2},
	{"PUBLISH", 3},
	{"RENAME", 3},
	{"RENAMENX", 3},
	{"RPOP", -2},
	{"RPOPLPUSH", 3},
	{"RPUSH", -3},
	{"RPUSHX", -3},
	{"SADD", -3},
	{"SCARD", 2},
	{"SDIFF", -2},
	{"SDIFFSTORE", -3},
	{"SET", -3},
	{"SETBIT", 4},
	{"SETEX", 4},
	{"SETNX", 3},
	{"SETRANGE", 4},
	{"SINTER", -2},
	{"SINTERCARD", -3},
	{"SINTERSTORE", -3},
	{"SISMEMBER", 3},
	{"SMEMBERS", 2},
	{"SMISMEMBER", -3},
	{"SMOVE", 4},
	{"SPOP", -2},
	{"SRANDMEMBER", -2},
	{"SREM", -3},
	{"STRLEN", 2},
	{"SUNION", -2},
	{"SUNIONSTORE", -3},
	{"TIME", 1},
	{"TOUCH", -2},
	{"TTL", 2},
	{"TYPE", 2},
	{"UNLINK", -2},
	{"XADD", -5},
	{"XDEL", -3},
	{"XLEN", 2},
	{"XRANGE", -4},
	{"XREVRANGE", -4},
	{"XTRIM", -4},
	{"ZADD", -4},
	{"ZCARD", 2},
	{"ZCOUNT", 4},
	{"ZDIFF", -3},
	{"ZDIFFSTORE", -4},
	{"ZINCRBY", 4},
	{"ZINTER", -3},
	{"ZINTERCARD", -3},
	{"ZINTERSTORE", -4},
	{"ZLEXCOUNT", 4},
	{"ZMPOP", -4},
	{"ZMSCORE", -3},
	{"ZPOPMAX", -2},
	{"ZPOPMIN", -2},
	{"ZRANDMEMBER", -2},
	{"ZRANGE", -4},
	{"ZRANGEBYLEX", -4},
	{"ZRANGEBYSCORE", -4},
	{"ZRANGESTORE", -5},
	{"ZRANK", 3},
	{"ZREM", -3},
	{"ZREMRANGEBYLEX", 4},
	{"ZREMRANGEBYRANK", 4},
	{"ZREMRANGEBYSCORE", 4},
	{"ZREVRANGE", -4},
	{"ZREVRANK", 3},
	{"ZSCORE", 3},
	{"ZUNION", -3},
	{"ZUNIONSTORE", -4},
};

void redis_steps_codec_init(struct redis_steps_codec *codec)
{
	redis_scripts_sha_of(redis_scripts_step_text(), codec->sha);
}

/* ---- commands ---- */

static bool redis_steps_is_name(struct str word, const char *name)
{
	if (word.len != strlen(name))
		return false;
	for (size_t i = 0; i < word.len; i++)
		if ((word.at[i] >= 'a' && word.at[i] <= 'z' ? word.at[i] - 32 : word.at[i]) != name[i])
			return false;
	return true;
}

static const struct redis_steps_rule *redis_steps_find(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (redis_steps_is_name(word, rules[i].name))
			return &rules[i];
	return NULL;
}

static bool redis_steps_check(struct call *call, size_t nth, yyjson_val *command)
{
	yyjson_val *first = yyjson_arr_get_first(command);
	struct str name = {yyjson_get_str(first), yyjson_get_len(first)};
	const struct redis_steps_rule *rule = name.at != NULL ? redis_steps_find(name) : NULL;
	size_t n = yyjson_arr_size(command);

	if (name.at == NULL)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "command %zu must be an array that begins with a name",
				nth + 1);
	else if (rule == NULL)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "command %zu: %.40s is not allowed in a step", nth + 1,
				name.at);
	else if (rule->arity > 0 ? n != (size_t)rule->arity : n < (size_t)-rule->arity)
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "command %zu: wrong number of arguments for %s",
				nth + 1, rule->name);
	else
		return true;
	return false;
}

static void redis_steps_add(struct redis_steps_command *command, const char *at, size_t len)
{
	command->argv[command->argc] = at;
	command->lens[command->argc++] = len;
}

/* Of the command's own memory; NULL: there is none. */
static const char *redis_steps_keep(struct redis_steps_command *command, char *text)
{
	if (text != NULL)
		command->texts[command->n_texts++] = text;
	return text;
}

static bool redis_steps_add_number(struct redis_steps_command *command, uint64_t number)
{
	char text[24];
	const char *kept;

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number); /* 20 digits */
	kept = redis_steps_keep(command, strdup(text));
	if (kept != NULL)
		redis_steps_add(command, kept, strlen(kept));
	return kept != NULL;
}

/* A string, or a number as it was written. A key of sagad's own would let a client forge a barrier or a document. */
static bool redis_steps_add_word(const struct redis_steps_codec *codec, struct call *call,
				 struct redis_steps_command *command, yyjson_val *val)
{
	size_t prefix_len = strlen(codec->key_prefix), len = yyjson_get_len(val);
	const char *at = yyjson_get_str(val);

	if (yyjson_is_raw(val))
		at = yyjson_get_raw(val);
	if (at == NULL) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "an argument must be a string or a number");
		return false;
	}
	if (len > prefix_len && memcmp(at, codec->key_prefix, prefix_len) == 0 && at[prefix_len] == ':') {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "\"%.60s\" begins as sagad's own keys do (%s:)", at,
				codec->key_prefix);
		return false;
	}
	redis_steps_add(command, at, len);
	return true;
}

static bool redis_steps_add_commands(const struct redis_steps_codec *codec, struct call *call,
				     struct redis_steps_command *command, yyjson_val *commands)
{
	yyjson_val *one, *word;
	size_t i, n, k, n_words;

	yyjson_arr_foreach(commands, i, n, one)
	{
		if (!redis_steps_check(call, i, one))
			return false;
		if (!redis_steps_add_number(command, yyjson_arr_size(one)))
			return false;
		yyjson_arr_foreach(one, k, n_words, word)
		{
			if (!redis_steps_add_word(codec, call, command, word))
				return false;
		}
	}
	return true;
}

/* How many words all commands have; 0: refused. */
static size_t redis_steps_count(struct call *call, yyjson_val *commands)
{
	yyjson_val *one;
	size_t i, n, n_words = 0;

	yyjson_arr_foreach(commands, i, n, one) n_words += yyjson_arr_size(one);
	if (yyjson_arr_size(commands) == 0 || yyjson_arr_size(commands) > REDIS_STEPS_COMMANDS_MAX ||
	    n_words > REDIS_STEPS_WORDS_MAX) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT,
				"commands must be an array of 1 to %d, of %d words together", REDIS_STEPS_COMMANDS_MAX,
				REDIS_STEPS_WORDS_MAX);
		return 0;
	}
	return n_words + yyjson_arr_size(commands) + 1;
}

static void redis_steps_write_key(const struct redis_steps_codec *codec, const struct call *call, struct buf *out)
{
	char key[STEP_CODEC_KEY_BYTES];

	step_codec_key(call, key);
	buf_append_format(out, "%s:step:{%s}", codec->key_prefix, key);
}

static bool redis_steps_add_own(const struct redis_steps_codec *codec, struct call *call,
				struct redis_steps_command *command, size_t n_commands)
{
	redis_steps_write_key(codec, call, &command->key);
	if (command->key.failed)
		return false;
	command->argc = 2; /* EVALSHA and the name: redis_steps_codec_name() */
	redis_steps_add(command, "1", 1);
	redis_steps_add(command, command->key.at, command->key.len);
	redis_steps_add(command, call->kind == CALL_UNDO ? "undo" : "do", call->kind == CALL_UNDO ? 4 : 2);
	if (!redis_steps_add_number(command, codec->barrier_ttl_s) ||
	    !redis_steps_add_number(command, codec->dead_ttl_s))
		return false;
	redis_steps_add(command, call->keeps_result ? "1" : "0", 1);
	return redis_steps_add_number(command, codec->max_result_bytes) && redis_steps_add_number(command, n_commands);
}

bool redis_steps_codec_read(const struct redis_steps_codec *codec, struct call *call,
			    struct redis_steps_command *out_command)
{
	yyjson_val *commands;
	size_t n;
	bool is_good;

	*out_command = (struct redis_steps_command){.argc = 0};
	if (call->kind == CALL_CHECK) {
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "only services have a check");
		return false;
	}
	out_command->doc = step_codec_parse(call, TARGET, YYJSON_READ_NUMBER_AS_RAW);
	if (out_command->doc == NULL)
		return false;
	commands = yyjson_obj_get(yyjson_doc_get_root(out_command->doc), "commands");
	n = redis_steps_count(call, commands);
	if (n == 0)
		return false;
	step_codec_fail(call, TARGET, VERDICT_TRANSIENT, "no memory for the request"); /* unless it is something else */
	out_command->argv = calloc(n + N_OWN_ARGS, sizeof(*out_command->argv));
	out_command->lens = calloc(n + N_OWN_ARGS, sizeof(*out_command->lens));
	out_command->texts = calloc(yyjson_arr_size(commands) + N_OWN_ARGS, sizeof(*out_command->texts));
	is_good = out_command->argv != NULL && out_command->lens != NULL && out_command->texts != NULL &&
		  redis_steps_add_own(codec, call, out_command, yyjson_arr_size(commands)) &&
		  redis_steps_add_commands(codec, call, out_command, commands);
	if (is_good)
		step_codec_begin(call);
	return is_good;
}

void redis_steps_codec_name(const struct redis_steps_codec *codec, struct redis_steps_command *command, bool with_text)
{
	command->argv[0] = with_text ? "EVAL" : "EVALSHA";
	command->argv[1] = with_text ? redis_scripts_step_text() : codec->sha;
	command->lens[0] = strlen(command->argv[0]);
	command->lens[1] = strlen(command->argv[1]);
}

void redis_steps_codec_fini(struct redis_steps_command *command)
{
	for (size_t i = 0; i < command->n_texts; i++)
		free(command->texts[i]);
	free(command->texts);
	free((void *)command->argv);
	free(command->lens);
	buf_fini(&command->key);
	yyjson_doc_free(command->doc);
	*command = (struct redis_steps_command){.argc = 0};
}

/* ---- answers ---- */

/* Nothing has run. What an operator would have to mend in sagad's own commands is the client's fault in its own. */
static void redis_steps_fail_none(struct call *call, struct str text)
{
	enum redis_codec_hint hint;
	enum verdict verdict = redis_codec_error(text, &hint);

	(void)hint; /* the connection works: the script has answered */
	step_codec_fail(call, TARGET, verdict == VERDICT_MISCONFIGURED ? VERDICT_PERMANENT : verdict,
			"%.*s; nothing was changed", (int)(text.len < 250 ? text.len : 250), text.at);
}

/* An error for the whole script: of the server, before it began, or one that nobody expects. */
static enum redis_codec_hint redis_steps_fail_script(struct call *call, struct str text)
{
	enum redis_codec_hint hint;
	enum verdict verdict = redis_codec_error(text, &hint);

	step_codec_fail(call, TARGET, verdict == VERDICT_PERMANENT ? VERDICT_DOUBT : verdict, "%.*s%s",
			(int)(text.len < 250 ? text.len : 250), text.at != NULL ? text.at : "",
			verdict == VERDICT_MISCONFIGURED ? "; correct user, password, rights or database" : "");
	return hint;
}

static void redis_steps_done(const struct redis_steps_codec *codec, struct call *call, struct str replies)
{
	struct buf json = {0};

	if (replies.len > 0 && !str_is_equal(replies, str_of("null"))) {
		buf_append_text(&json, "{\"replies\":");
		buf_append_str(&json, replies);
		buf_append_text(&json, "}");
	}
	if (json.at != NULL && !json.failed)
		step_codec_scrub(json.at, json.len);
	step_codec_done_text(call, json.failed ? STR_NONE : buf_str(&json), codec->max_result_bytes + 16);
	buf_fini(&json);
}

enum redis_codec_hint redis_steps_codec_answer(const struct redis_steps_codec *codec, struct call *call,
					       enum redis_reply_kind kind, struct str text)
{
	const char *end = text.at != NULL ? memchr(text.at, '\n', text.len) : NULL;
	struct str word = {text.at, end != NULL ? (size_t)(end - text.at) : 0};
	struct str rest = {end != NULL ? end + 1 : NULL, end != NULL ? text.len - word.len - 1 : 0};

	if (kind == REDIS_REPLY_IS_ERROR)
		return redis_steps_fail_script(call, text);
	call->is_repeated = kind == REDIS_REPLY_IS_TEXT && str_is_equal(word, str_of("known"));
	if (call->is_repeated || (kind == REDIS_REPLY_IS_TEXT && str_is_equal(word, str_of("ok"))))
		redis_steps_done(codec, call, rest);
	else if (kind == REDIS_REPLY_IS_TEXT && str_is_equal(word, str_of("blocked")))
		step_codec_fail(call, TARGET, VERDICT_PERMANENT, "its undo came before it");
	else if (kind == REDIS_REPLY_IS_TEXT && str_is_equal(word, str_of("none")))
		redis_steps_fail_none(call, rest);
	else if (kind == REDIS_REPLY_IS_TEXT && str_is_equal(word, str_of("part")))
		step_codec_fail(call, TARGET, VERDICT_DOUBT, "%.*s; the commands before it have run",
				(int)(rest.len < 220 ? rest.len : 220), rest.at);
	else
		step_codec_fail(call, TARGET, VERDICT_DOUBT, "an answer that the script doesn't give");
	return REDIS_HINT_NONE;
}
