/* SHA-256 over a sequence of fields, each led by its length, so that no two different sequences feed the same bytes. */
#ifndef SAGAD_BASE_DIGEST_H
#define SAGAD_BASE_DIGEST_H

#include "str.h"

#include <nettle/sha2.h>
#include <stdint.h>

#define DIGEST_BYTES     32
#define DIGEST_HEX_BYTES 65 /* 64 characters and a NUL */

struct digest {
	struct sha256_ctx sha256;
};

void digest_init(struct digest *digest);

/* A field: its length as 8 bytes, then its bytes. An absent text differs from an empty one. */
void digest_add(struct digest *digest, struct str field);
void digest_add_number(struct digest *digest, uint64_t number);

/* Bytes alone, without a length before them. */
void digest_add_raw(struct digest *digest, const void *bytes, size_t n_bytes);

void digest_finish(struct digest *digest, uint8_t out_digest[DIGEST_BYTES]);
void digest_finish_hex(struct digest *digest, char out_text[DIGEST_HEX_BYTES]);

#endif
