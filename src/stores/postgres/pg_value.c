#include "pg_value.h"

#include <string.h>

int64_t pg_value_int(struct str value)
{
	uint64_t bits = 0;

	if (value.len != 2 && value.len != 4 && value.len != 8)
		return 0;
	if (((unsigned char)value.at[0] & 0x80) != 0)
		bits = UINT64_MAX; /* the sign goes up */
	for (size_t i = 0; i < value.len; i++)
		bits = bits << 8 | (unsigned char)value.at[i];
	return (int64_t)bits;
}

bool pg_value_bool(struct str value)
{
	return value.len == 1 && value.at[0] != 0;
}

struct uuid pg_value_uuid(struct str value)
{
	struct uuid uuid = UUID_NIL;

	if (value.len == sizeof(uuid.bytes))
		memcpy(uuid.bytes, value.at, sizeof(uuid.bytes));
	return uuid;
}

void pg_value_bytes(struct str value, void *out_bytes, size_t n_bytes)
{
	size_t n = value.len < n_bytes ? value.len : n_bytes;

	memset(out_bytes, 0, n_bytes);
	if (n > 0)
		memcpy(out_bytes, value.at, n);
}

void pg_value_text(struct str value, char *out_text, size_t n_bytes)
{
	size_t n = value.len;

	if (n >= n_bytes) {
		n = n_bytes - 1;
		/* Bytes 10xxxxxx continue a character: step back to one that begins it. */
		while (n > 0 && ((unsigned char)value.at[n] & 0xc0) == 0x80)
			n--;
	}
	if (n > 0)
		memcpy(out_text, value.at, n);
	out_text[n] = '\0';
}
