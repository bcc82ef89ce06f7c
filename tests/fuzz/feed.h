/* What libFuzzer hands over, taken piece by piece; an end of it reads as zeroes, so that every input is a whole one.
 * Header only. */
#ifndef SAGAD_TESTS_FUZZ_FEED_H
#define SAGAD_TESTS_FUZZ_FEED_H

#include "base/must.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A target: called once for each input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
	const uint8_t *at; /* libFuzzer's, for the call */
	size_t len;        /* left */
};

static inline uint8_t feed_byte(struct feed *feed)
{
	if (feed->len == 0)
		return 0;
	feed->len--;
	return *feed->at++;
}

static inline uint32_t feed_u32(struct feed *feed)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 8 | feed_byte(feed);
	return value;
}

/* 0..n-1; n is 1..256. */
static inline uint32_t feed_below(struct feed *feed, uint32_t n)
{
	return feed_byte(feed) % n;
}

/* The next bytes, at most so many. */
static inline struct str feed_bytes(struct feed *feed, size_t n)
{
	struct str bytes = {(const char *)feed->at, n < feed->len ? n : feed->len};

	feed->at += bytes.len;
	feed->len -= bytes.len;
	return bytes;
}

/* All that is left, at the end of an allocation of its own, so that a sanitizer sees a read beyond it. No NUL follows.
 * The bytes begin at the result + 1; the caller frees the result. */
static inline char *feed_rest(struct feed *feed, size_t *out_len)
{
	struct str rest = feed_bytes(feed, feed->len);
	char *copy = malloc(rest.len + 1);

	MUST(copy != NULL);
	if (rest.len > 0)
		memcpy(copy + 1, rest.at, rest.len);
	*out_len = rest.len;
	return copy;
}

#endif
