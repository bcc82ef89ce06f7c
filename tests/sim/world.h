/* Virtual time: a queue of events, ordered by time and, at the same time, by a seeded draw.
 *
 * Nothing here knows what an event does. All randomness of a run comes from its seed: the world's generator, and
 * those that are seeded from it (the jobs', one of each kind of fault). */
#ifndef SAGAD_SIM_WORLD_H
#define SAGAD_SIM_WORLD_H

#include "base/rng.h"
#include "port/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S 1000000000ull

/* Embed it; container_of() leads back. All zeroes is an event that is not queued. */
struct event {
	uint64_t at_ns;
	uint64_t tie;  /* drawn when it is queued: events of one moment come in any order */
	uint32_t slot; /* place in the heap, from 1; 0: not queued */
	void (*fire)(struct event *event);
};

struct world {
	uint64_t now_ns; /* the monotonic clock */
	int64_t step_ms; /* what clock steps have added to the wall's clock */
	struct rng rng;
	struct event **heap; /* from 1 */
	uint32_t n_events;
	uint32_t n_room;
};

void world_init(struct world *world, uint64_t seed);

/* Forgets the events, which stay their owners'. */
void world_fini(struct world *world);

/* Queues the event, or moves it when it is queued. */
void world_at(struct world *world, struct event *event, uint64_t at_ns);
void world_after(struct world *world, struct event *event, uint64_t delay_ns);

/* Takes it out; nothing when it is not queued. */
void world_cancel(struct world *world, struct event *event);

/* Time of the earliest event; NEVER_NS: none. */
uint64_t world_next_ns(const struct world *world);

/* Takes the earliest event, moves the time to it and fires it. false: there is none. */
bool world_step(struct world *world);

struct moment world_moment(const struct world *world);

/* A number in [low, high]; true this often in a thousand. From any stream. */
static inline uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

static inline bool rng_chance(struct rng *rng, uint32_t per_mille)
{
	return rng_below(rng, 1000) < per_mille;
}

/* The same from the world's own. */
uint64_t world_between(struct world *world, uint64_t low, uint64_t high);
bool world_chance(struct world *world, uint32_t per_mille);

#endif
