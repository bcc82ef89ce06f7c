/* Batches that form by themselves: whatever waits when a connection is free goes out together.
 *
 * A batch that fails for a reason which one of its members may have caused is halved until the culprit is alone: each
 * member then carries `cap`, the largest batch it may be in. */
#ifndef SAGAD_ENGINE_BATCH_H
#define SAGAD_ENGINE_BATCH_H

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

#define BATCH_NO_CAP UINT32_MAX

/* Embed it in whatever waits. */
struct batch_item {
	struct list node;
	uint32_t cap;  /* BATCH_NO_CAP, or 1 and more */
	size_t bytes;  /* it adds to a request */
	uint64_t turn; /* of its client: turns.h. 0: of the daemon's own, which goes behind what waits */
};

void batch_item_init(struct batch_item *item);

/* Queues it, in the order of turns. */
void batch_queue(struct list *waiting, struct batch_item *item);

/* Takes from the front of `waiting` as many as may go together: at most max_items, max_bytes (the first goes in any
 * case) and each one's cap. Returns how many stand in out_items; 0 when nothing waits. */
uint32_t batch_take(struct list *waiting, uint32_t max_items, size_t max_bytes, struct batch_item **out_items);

/* Puts n items back at the front, in their order, each allowed in a batch of at most `cap` from now on. */
void batch_put_back(struct list *waiting, struct batch_item **items, uint32_t n, uint32_t cap);

#endif
