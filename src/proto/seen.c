/* uthash leaves the process on an allocation failure unless it is told not to; this must come before its header. */
#define HASH_NONFATAL_OOM 1
#include "seen.h"

#include <errno.h>

int seen_init(struct seen *seen, struct reader *reader, uint32_t capacity)
{
	*seen = (struct seen){.capacity = capacity};
	seen->items = reader_alloc(reader, capacity, sizeof(*seen->items));
	return seen->items != NULL ? 0 : -ENOMEM;
}

void seen_fini(struct seen *seen)
{
	HASH_CLEAR(hh, seen->head);
}

int seen_add(struct seen *seen, const void *key, size_t key_bytes, uint32_t index, uint32_t *out_earlier)
{
	struct seen_item *item;
	uint32_t earlier = seen_find(seen, key, key_bytes);

	if (earlier == SEEN_NEVER) {
		MUST(seen->n_items < seen->capacity);
		item = &seen->items[seen->n_items];
		item->index = index;
		HASH_ADD_KEYPTR(hh, seen->head, key, key_bytes, item);
		if (item->hh.tbl == NULL)
			return -ENOMEM;
		seen->n_items++;
	}
	*out_earlier = earlier;
	return 0;
}

uint32_t seen_find(const struct seen *seen, const void *key, size_t key_bytes)
{
	struct seen_item *found = NULL;

	HASH_FIND(hh, seen->head, key, key_bytes, found);
	return found != NULL ? found->index : SEEN_NEVER;
}
