/* How many requests to one store are out at once: found by trying, between 1 and what the configuration allows.
 *
 * Few requests make large batches, many keep the store's processors busy, and which is better depends on the store, the
 * documents and the machine. So while more waits than can be sent, the writes done in a second are counted for the
 * number of requests in use; its neighbours are tried now and then, and the better one is taken. After failures that a
 * smaller load may cure (deadlocks, time-outs) the number is halved, and all is tried anew. Of numbers that do as well
 * the smallest is taken. Without load the whole number is allowed: a burst finds it free.
 *
 * No clock: times come in. */
#ifndef SAGAD_ENGINE_PACE_H
#define SAGAD_ENGINE_PACE_H

#include "port/verdict.h"

#include <stdbool.h>
#include <stdint.h>

#define PACE_MAX 64 /* requests to a store at once: port/store.h */

struct pace {
	uint32_t now; /* requests that may be out, 1..max */
	uint32_t max;
	/* The window that is being counted: */
	bool has_begun;
	uint64_t began_ns;
	uint32_t n_requests;
	uint32_t n_wanted; /* those at whose end something waited */
	uint64_t n_writes;
	uint32_t n_settling; /* requests still to end that were sent before the last change */
	/* What was learned: */
	uint32_t n_windows;
	double rates[PACE_MAX + 1]; /* writes in a nanosecond with so many requests; 0: not known */
};

/* `max`: 1..PACE_MAX. It begins with two. */
void pace_init(struct pace *pace, uint32_t max);

/* A failure that a smaller load may cure: deadlocks, time-outs, a server that has no more connections. */
static inline bool pace_is_failure(enum verdict verdict)
{
	return verdict == VERDICT_TRANSIENT || verdict == VERDICT_OUTAGE || verdict == VERDICT_DOUBT;
}

/* A request has ended. `is_wanted`: something waits to be sent. `is_failed`: one of its writes failed so. */
void pace_ended(struct pace *pace, uint32_t n_writes, bool is_wanted, bool is_failed, uint64_t now_ns);

#endif
