/* What goes to Redis and what its answers mean. Pure: no connection, no clock. */
#ifndef SAGAD_STORES_REDIS_REDIS_CODEC_H
#define SAGAD_STORES_REDIS_REDIS_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/must.h"
#include "base/str.h"
#include "port/store.h"
#include "port/verdict.h"
#include "stores/redis/redis_scripts.h"

#include <stdbool.h>

#define REDIS_CODEC_ARGS_MAX 10

/* What of the configuration commands need. */
struct redis_codec {
	const char *key_prefix;
	uint32_t staging_ttl_s;
	uint32_t fence_ttl_s;
	uint32_t cache_ttl_s;
	char sha[LEG_OPS][REDIS_SCRIPTS_SHA_BYTES];
};

/* Fills in `sha`. */
void redis_codec_init(struct redis_codec *codec);

/* One command's arguments, binary safe. They point into itself, the write, its document, or static texts. */
struct redis_command {
	uint32_t argc;
	const char *argv[REDIS_CODEC_ARGS_MAX];
	size_t lens[REDIS_CODEC_ARGS_MAX];
	struct buf keys;
	char *value;
	char saga[UUID_TEXT_BYTES];
	char ttl[12];
};

/* Makes the command of one write: EVALSHA, or EVAL with the script's text. -ENOMEM. Ended by redis_codec_free(). */
int redis_codec_command(const struct redis_codec *codec, const struct leg_write *write, bool with_text,
			struct redis_command *out_command) WARN_UNUSED;
void redis_codec_free(struct redis_command *command);

/* The value: a JSON object that begins with {"version":"<saga>". From malloc; NULL: no memory. */
char *redis_codec_value(const struct document *document, const struct uuid *saga, size_t *out_len) WARN_UNUSED;

/* Bytes of the write's command, roughly. */
size_t redis_codec_bytes(const struct leg_write *write);

/* A reply in the words of hiredis' types, without its structs. */
enum redis_reply_kind { REDIS_REPLY_IS_TEXT, REDIS_REPLY_IS_ERROR, REDIS_REPLY_IS_OTHER };

/* What an error means for the connection. */
enum redis_codec_hint {
	REDIS_HINT_NONE,
	REDIS_HINT_SEND_TEXT, /* NOSCRIPT: the server doesn't have the script; send its text */
	REDIS_HINT_RECONNECT  /* this server is not (any more) the one to talk to */
};

/* The class of an error reply; what isn't known is PERMANENT: the document is given up, never repeated for ever. */
enum verdict redis_codec_error(struct str text, enum redis_codec_hint *out_hint);

/* Sets the write's verdict and text from the reply to its command. */
enum redis_codec_hint redis_codec_reply(struct leg_write *write, enum redis_reply_kind kind, struct str text);

/* "redis_version" from what INFO answers, copied without its line's end; "" when it isn't there. */
void redis_codec_info(struct str info, const char *field, char *out_text, size_t size_bytes);

#endif
