#include "backoff.h"

uint64_t backoff_wait_ns(const struct backoff *backoff, uint32_t tries, struct rng *rng)
{
	uint64_t ceiling = backoff->base_ns, floor = backoff->base_ns / 2;

	for (uint32_t i = 1; i < tries && ceiling < backoff->cap_ns; i++)
		ceiling *= 2;
	if (ceiling > backoff->cap_ns)
		ceiling = backoff->cap_ns;
	return ceiling <= floor ? ceiling : floor + rng_below(rng, ceiling - floor + 1);
}
