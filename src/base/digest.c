#include "digest.h"

#include <nettle/version.h>

void digest_init(struct digest *digest)
{
	sha256_init(&digest->sha256);
}

void digest_add_raw(struct digest *digest, const void *bytes, size_t n_bytes)
{
	if (n_bytes > 0)
		sha256_update(&digest->sha256, n_bytes, bytes);
}

void digest_add_number(struct digest *digest, uint64_t number)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> (8 * i));
	digest_add_raw(digest, bytes, sizeof(bytes));
}

void digest_add(struct digest *digest, struct str field)
{
	digest_add_number(digest, field.at == NULL ? UINT64_MAX : field.len);
	digest_add_raw(digest, field.at, field.len);
}

void digest_finish(struct digest *digest, uint8_t out_digest[DIGEST_BYTES])
{
#if NETTLE_VERSION_MAJOR >= 4
	sha256_digest(&digest->sha256, out_digest);
#else
	sha256_digest(&digest->sha256, DIGEST_BYTES, out_digest);
#endif
}

void digest_finish_hex(struct digest *digest, char out_text[DIGEST_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[DIGEST_BYTES];

	digest_finish(digest, bytes);
	for (unsigned i = 0; i < DIGEST_BYTES; i++) {
		out_text[2 * i] = digits[bytes[i] >> 4];
		out_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	out_text[2 * DIGEST_BYTES] = '\0';
}
