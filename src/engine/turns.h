/* Whose job comes first when many wait: fair queueing over clients.
 *
 * Every job gets a turn when it comes: one after the last of its client's, but none before the turn that was answered
 * last. So one who has a thousand jobs waiting has turns far ahead, and the job of another is between the first of
 * them. Queues keep the order of turns; retries keep their turn. */
#ifndef SAGAD_ENGINE_TURNS_H
#define SAGAD_ENGINE_TURNS_H

#include <stdint.h>

struct turns {
	uint64_t now; /* the highest that was answered */
};

/* The turn of a client's next job, 1 or more. `last` is the client's own place for it, zero at first; NULL: a job of
 * nobody, which stands behind none. */
static inline uint64_t turns_take(const struct turns *turns, uint64_t *last)
{
	uint64_t turn = (last != NULL && *last > turns->now ? *last : turns->now) + 1;

	if (last != NULL)
		*last = turn;
	return turn;
}

static inline void turns_answered(struct turns *turns, uint64_t turn)
{
	if (turn > turns->now)
		turns->now = turn;
}

#endif
