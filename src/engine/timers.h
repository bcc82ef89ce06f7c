/* Timers in virtual or real time: a binary heap of embedded nodes, fired by the engine's turn. */
#ifndef SAGAD_ENGINE_TIMERS_H
#define SAGAD_ENGINE_TIMERS_H

#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

/* Embed it; all zeroes is a timer that isn't set. */
struct timer {
	uint64_t at_ns;
	uint32_t place; /* in the heap, from 1; 0: not set */
	void (*fire)(struct timer *timer);
};

struct timers {
	struct timer **heap;
	uint32_t n;
	uint32_t size;
	uint32_t reserved;
};

void timers_fini(struct timers *timers);

/* Makes sure that `more` further timers can be set without asking for memory: setting one must never fail in the middle
 * of a saga. 0 or -ENOMEM. timers_release() gives the places back. */
int timers_reserve(struct timers *timers, uint32_t more) WARN_UNUSED;
void timers_release(struct timers *timers, uint32_t fewer);

/* Sets or moves a timer. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t at_ns);

/* Does nothing when it isn't set. */
void timers_cancel(struct timers *timers, struct timer *timer);

/* Fires all that are due; those that are set meanwhile, too. True when any was. */
bool timers_fire(struct timers *timers, uint64_t now_ns);

/* When the first is due; UINT64_MAX: none is set. */
uint64_t timers_next_ns(const struct timers *timers);

#endif
