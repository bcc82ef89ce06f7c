#include "uuid.h"

#include "must.h"

#include <nettle/sha1.h>
#include <nettle/version.h>
#include <string.h>

static void uuid_stamp(struct uuid *uuid, unsigned version)
{
	uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | (version << 4));
	uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
}

struct uuid uuid_make_v7(uint64_t unix_ms, uint64_t random_high, uint64_t random_low)
{
	struct uuid made;

	for (unsigned i = 0; i < 6; i++)
		made.bytes[i] = (uint8_t)(unix_ms >> (8 * (5 - i)));
	for (unsigned i = 0; i < 2; i++)
		made.bytes[6 + i] = (uint8_t)(random_high >> (8 * i));
	for (unsigned i = 0; i < 8; i++)
		made.bytes[8 + i] = (uint8_t)(random_low >> (8 * i));
	uuid_stamp(&made, 7);
	return made;
}

struct uuid uuid_make_v5(const struct uuid *space, const void *name, size_t n_bytes)
{
	struct sha1_ctx sha1;
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct uuid made;

	sha1_init(&sha1);
	sha1_update(&sha1, sizeof(space->bytes), space->bytes);
	sha1_update(&sha1, n_bytes, name);
#if NETTLE_VERSION_MAJOR >= 4
	sha1_digest(&sha1, digest);
#else
	sha1_digest(&sha1, sizeof(digest), digest);
#endif
	memcpy(made.bytes, digest, sizeof(made.bytes));
	uuid_stamp(&made, 5);
	return made;
}

struct uuid uuid_next_v7(const struct uuid *uuid)
{
	struct uuid next = *uuid;

	/* A carry out of the random tail goes on into the 12 bits behind the version, then into the time. */
	for (unsigned i = 16; i-- > 0;) {
		uint8_t mask = i == 6 ? 0x0f : i == 8 ? 0x3f : 0xff;
		uint8_t value = (uint8_t)((next.bytes[i] + 1) & mask);

		next.bytes[i] = (uint8_t)((next.bytes[i] & (uint8_t)~mask) | value);
		if (value != 0)
			break;
	}
	uuid_stamp(&next, 7);
	return next;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool uuid_is_nil(const struct uuid *uuid)
{
	return uuid_compare(uuid, &UUID_NIL) == 0;
}

void uuid_format(const struct uuid *uuid, char out_text[UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	char *at = out_text;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[uuid->bytes[i] >> 4];
		*at++ = digits[uuid->bytes[i] & 15];
	}
	*at = '\0';
}

static int uuid_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool uuid_parse(struct str text, struct uuid *out_uuid)
{
	struct uuid made;
	size_t at = 0;

	if (text.len != UUID_TEXT_BYTES - 1)
		return false;
	for (unsigned i = 0; i < 16; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && text.at[at++] != '-')
			return false;
		high = uuid_digit(text.at[at]);
		low = uuid_digit(text.at[at + 1]);
		if (high < 0 || low < 0)
			return false;
		made.bytes[i] = (uint8_t)(high * 16 + low);
		at += 2;
	}
	*out_uuid = made;
	return true;
}
