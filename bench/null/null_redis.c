#include "null_redis.h"

#include <hiredis/hiredis.h>
#include <nettle/sha1.h>
#include <stdlib.h>
#include <string.h>

#define INFO "redis_version:7.0.0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n"

struct redis_state {
	struct null_redis *redis;
	redisReader *reader;
};

static void put_text(struct buf *out, const char *text)
{
	buf_append_format(out, "$%zu\r\n%s\r\n", strlen(text), text);
}

/* ---- scripts ---- */

static void sha_of(const char *text, size_t len, char out_sha[NULL_REDIS_SHA_BYTES])
{
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;

	sha1_init(&sha1);
	sha1_update(&sha1, len, (const uint8_t *)text);
	sha1_digest(&sha1, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		out_sha[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		out_sha[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	out_sha[NULL_REDIS_SHA_BYTES - 1] = '\0';
}

static const char *answer_of_sha(const struct null_redis *redis, const char *sha)
{
	for (uint32_t i = 0; i < redis->n_scripts; i++)
		if (strcmp(redis->scripts[i].sha, sha) == 0)
			return redis->scripts[i].answer;
	return NULL;
}

/* Each of sagad's three scripts has a word among its answers that no other has. NULL: not one of sagad's. */
static const char *learn(struct null_redis *redis, const char *text, size_t len)
{
	static const char *const words[][2] = {
		{"'staged'", "staged"}, {"'renamed'", "renamed"}, {"'fenced'", "fenced"}};
	char sha[NULL_REDIS_SHA_BYTES];

	sha_of(text, len, sha);
	if (answer_of_sha(redis, sha) != NULL)
		return answer_of_sha(redis, sha);
	for (size_t i = 0; i < 3 && redis->n_scripts < 3; i++) {
		if (strstr(text, words[i][0]) == NULL)
			continue;
		memcpy(redis->scripts[redis->n_scripts].sha, sha, sizeof(sha));
		redis->scripts[redis->n_scripts++].answer = words[i][1];
		return words[i][1];
	}
	return NULL;
}

static void on_script(struct null_redis *redis, const redisReply *command, bool has_text, struct buf *out)
{
	const redisReply *script = command->element[1];
	const char *answer =
		has_text ? learn(redis, script->str, (size_t)script->len) : answer_of_sha(redis, script->str);

	if (answer == NULL && !has_text) {
		buf_append_text(out, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
		return;
	}
	if (answer == NULL || command->elements < 7 || strcmp(command->element[2]->str, "3") != 0) {
		redis->counts.n_refused++;
		buf_append_text(out, "-ERR not a script of sagad's\r\n");
		return;
	}
	redis->counts.n_items += strcmp(answer, "staged") == 0;
	put_text(out, answer);
}

/* ---- commands ---- */

static bool is_command(const redisReply *command)
{
	if (command->type != REDIS_REPLY_ARRAY || command->elements == 0)
		return false;
	for (size_t i = 0; i < command->elements; i++)
		if (command->element[i]->type != REDIS_REPLY_STRING)
			return false;
	return true;
}

static void on_command(struct null_redis *redis, const redisReply *command, struct buf *out)
{
	const char *name = command->element[0]->str;

	if (strcmp(name, "EVALSHA") == 0 && command->elements > 2) {
		on_script(redis, command, false, out);
	} else if (strcmp(name, "EVAL") == 0 && command->elements > 2) {
		on_script(redis, command, true, out);
	} else if (strcmp(name, "PING") == 0) {
		buf_append_text(out, "+PONG\r\n");
	} else if (strcmp(name, "AUTH") == 0 || strcmp(name, "SELECT") == 0) {
		buf_append_text(out, "+OK\r\n");
	} else if (strcmp(name, "INFO") == 0) {
		put_text(out, INFO);
	} else {
		redis->counts.n_refused++;
		buf_append_format(out, "-ERR unknown command '%.40s'\r\n", name);
	}
}

/* ---- bytes ---- */

static ssize_t redis_take(struct null_conn *conn, const char *bytes, size_t n_bytes)
{
	struct redis_state *state = conn->state;
	void *reply = NULL;

	state->redis->counts.n_bytes += n_bytes;
	if (redisReaderFeed(state->reader, bytes, n_bytes) != REDIS_OK)
		return -1;
	while (redisReaderGetReply(state->reader, &reply) == REDIS_OK && reply != NULL) {
		bool is_well = is_command(reply);

		if (is_well)
			on_command(state->redis, reply, &conn->out);
		state->redis->counts.n_requests++;
		freeReplyObject(reply);
		if (!is_well)
			return -1;
	}
	return state->reader->err == 0 ? (ssize_t)n_bytes : -1;
}

static void *redis_open(void *owner)
{
	struct redis_state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	state->redis = owner;
	state->reader = redisReaderCreate();
	if (state->reader == NULL) {
		free(state);
		return NULL;
	}
	return state;
}

static void redis_close(void *arg)
{
	struct redis_state *state = arg;

	redisReaderFree(state->reader);
	free(state);
}

const struct null_tcp_ops null_redis_ops = {.open = redis_open, .take = redis_take, .close = redis_close};
