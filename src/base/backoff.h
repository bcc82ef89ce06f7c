/* Full-jitter exponential backoff: a random wait in [0, min(cap, base * 2^tries)].
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. The lower end is raised to base/2, so that
 * an unlucky draw is never a hot loop. */
#ifndef SAGAD_BASE_BACKOFF_H
#define SAGAD_BASE_BACKOFF_H

#include "rng.h"

#include <stdint.h>

struct backoff {
	uint64_t base_ns; /* 1 or more */
	uint64_t cap_ns;  /* base_ns or more */
};

/* How long to wait before the next try, after `tries` failed ones (1 or more). */
uint64_t backoff_wait_ns(const struct backoff *backoff, uint32_t tries, struct rng *rng);

#endif
