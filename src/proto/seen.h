/* A set of keys that were seen, to find the second of a pair and where the first one was. Private to src/proto/. */
#ifndef SAGAD_PROTO_SEEN_H
#define SAGAD_PROTO_SEEN_H

#include "proto/reader.h"

#include <uthash.h>

struct seen_item {
	uint32_t index;
	UT_hash_handle hh;
};

struct seen {
	struct seen_item *head;  /* uthash's */
	struct seen_item *items; /* the reader's memory */
	uint32_t n_items;
	uint32_t capacity;
};

#define SEEN_NEVER UINT32_MAX

/* Room for `capacity` keys. 0 or -ENOMEM (the reader's fault is set). */
int seen_init(struct seen *seen, struct reader *reader, uint32_t capacity) WARN_UNUSED;
void seen_fini(struct seen *seen);

/* Adds a key, which is kept until seen_fini(). *out_earlier: the index that came with the same key before, then nothing
 * is added; or SEEN_NEVER. 0 or -ENOMEM. */
int seen_add(struct seen *seen, const void *key, size_t key_bytes, uint32_t index, uint32_t *out_earlier) WARN_UNUSED;

/* The index of a key, or SEEN_NEVER. */
uint32_t seen_find(const struct seen *seen, const void *key, size_t key_bytes);

#endif
