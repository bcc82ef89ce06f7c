#include "stores/redis/redis_scripts.h"

#include "redis_scripts_lua.h"

#include <nettle/sha1.h>
#include <string.h>

const char *redis_scripts_text(enum leg_op op)
{
	switch (op) {
	case LEG_APPLY:
		return VERSION_LUA APPLY_LUA;
	case LEG_PUBLISH:
		return VERSION_LUA PUBLISH_LUA;
	case LEG_REMOVE:
		return VERSION_LUA REMOVE_LUA;
	}
	MUST(!"a leg operation that is none");
	return "";
}

/* Redis names scripts by it; it protects nothing. */
void redis_scripts_sha_of(const char *text, char out_sha[REDIS_SCRIPTS_SHA_BYTES])
{
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha1;

	sha1_init(&sha1);
	sha1_update(&sha1, strlen(text), (const uint8_t *)text);
	sha1_digest(&sha1, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		out_sha[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		out_sha[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	out_sha[REDIS_SCRIPTS_SHA_BYTES - 1] = '\0';
}

void redis_scripts_sha(enum leg_op op, char out_sha[REDIS_SCRIPTS_SHA_BYTES])
{
	redis_scripts_sha_of(redis_scripts_text(op), out_sha);
}

const char *redis_scripts_step_text(void)
{
	return STEP_LUA;
}
