#include "batch.h"

void batch_item_init(struct batch_item *item)
{
	list_init(&item->node);
	item->cap = BATCH_NO_CAP;
	item->bytes = 0;
	item->turn = 0;
}

static uint64_t batch_turn(struct list *node)
{
	return container_of(node, struct batch_item, node)->turn;
}

/* From the end: mostly it belongs there. */
void batch_queue(struct list *waiting, struct batch_item *item)
{
	struct list *before = waiting->prev;

	if (item->turn == 0 && before != waiting)
		item->turn = batch_turn(before);
	while (before != waiting && batch_turn(before) > item->turn)
		before = before->prev;
	list_prepend(before, &item->node);
}

uint32_t batch_take(struct list *waiting, uint32_t max_items, size_t max_bytes, struct batch_item **out_items)
{
	uint32_t n = 0, cap = max_items;
	size_t bytes = 0;

	while (!list_is_empty(waiting)) {
		struct batch_item *item = container_of(waiting->next, struct batch_item, node);
		uint32_t lower = item->cap < cap ? item->cap : cap;

		if (n > 0 && (n >= lower || bytes + item->bytes > max_bytes))
			break;
		cap = lower;
		bytes += item->bytes;
		list_remove(&item->node);
		out_items[n++] = item;
	}
	return n;
}

void batch_put_back(struct list *waiting, struct batch_item **items, uint32_t n, uint32_t cap)
{
	for (uint32_t i = n; i-- > 0;) {
		items[i]->cap = cap;
		list_prepend(waiting, &items[i]->node);
	}
}
