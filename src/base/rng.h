/* A seeded generator (splitmix64) for jitter and for the random bits of saga ids. The daemon seeds it from the
 * kernel, the simulator from its seed, so that a run can be repeated. Not for secrets. */
#ifndef SAGAD_BASE_RNG_H
#define SAGAD_BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A number in [0, below); below is 1 or more. The bias is under 2^-32 for the ranges used here. */
static inline uint64_t rng_below(struct rng *rng, uint64_t below)
{
	return rng_next(rng) % below;
}

#endif
