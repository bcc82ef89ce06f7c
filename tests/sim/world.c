#include "world.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

#define WORLD_START_UNIX_MS 1700000000000 /* any day will do */

void world_init(struct world *world, uint64_t seed)
{
	memset(world, 0, sizeof(*world));
	world->rng.state = seed;
	(void)rng_next(&world->rng); /* seeds are small numbers: mix them first */
	world->now_ns = NS_PER_S;
}

void world_fini(struct world *world)
{
	free(world->heap);
	memset(world, 0, sizeof(*world));
}

static bool event_is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->tie < b->tie;
}

static void heap_place(struct world *world, struct event *event, uint32_t slot)
{
	world->heap[slot] = event;
	event->slot = slot;
}

static void heap_up(struct world *world, struct event *event)
{
	uint32_t slot = event->slot;

	while (slot > 1 && event_is_before(event, world->heap[slot / 2])) {
		heap_place(world, world->heap[slot / 2], slot);
		slot /= 2;
	}
	heap_place(world, event, slot);
}

static void heap_down(struct world *world, struct event *event)
{
	uint32_t slot = event->slot;

	for (;;) {
		uint32_t child = 2 * slot;
		if (child > world->n_events)
			break;
		if (child < world->n_events && event_is_before(world->heap[child + 1], world->heap[child]))
			child++;
		if (!event_is_before(world->heap[child], event))
			break;
		heap_place(world, world->heap[child], slot);
		slot = child;
	}
	heap_place(world, event, slot);
}

void world_cancel(struct world *world, struct event *event)
{
	struct event *last;

	if (event->slot == 0)
		return;
	last = world->heap[world->n_events--];
	if (last != event) {
		heap_place(world, last, event->slot);
		heap_up(world, last);
		heap_down(world, last);
	}
	event->slot = 0;
}

void world_at(struct world *world, struct event *event, uint64_t at_ns)
{
	MUST(event->fire != NULL);
	world_cancel(world, event);
	if (world->n_events + 2 > world->n_room) {
		world->n_room = world->n_room == 0 ? 256 : 2 * world->n_room;
		world->heap = realloc(world->heap, world->n_room * sizeof(struct event *));
		MUST(world->heap != NULL);
	}
	event->at_ns = at_ns > world->now_ns ? at_ns : world->now_ns;
	event->tie = rng_next(&world->rng);
	heap_place(world, event, ++world->n_events);
	heap_up(world, event);
}

void world_after(struct world *world, struct event *event, uint64_t delay_ns)
{
	world_at(world, event, world->now_ns + delay_ns);
}

uint64_t world_next_ns(const struct world *world)
{
	return world->n_events == 0 ? NEVER_NS : world->heap[1]->at_ns;
}

bool world_step(struct world *world)
{
	struct event *event;

	if (world->n_events == 0)
		return false;
	event = world->heap[1];
	world_cancel(world, event);
	world->now_ns = event->at_ns;
	event->fire(event);
	return true;
}

struct moment world_moment(const struct world *world)
{
	return (struct moment){
		.mono_ns = world->now_ns,
		.unix_ms = WORLD_START_UNIX_MS + (int64_t)(world->now_ns / NS_PER_MS) + world->step_ms,
	};
}

uint64_t world_between(struct world *world, uint64_t low, uint64_t high)
{
	return rng_between(&world->rng, low, high);
}

bool world_chance(struct world *world, uint32_t per_mille)
{
	return rng_chance(&world->rng, per_mille);
}
