#include "samples.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void samples_fini(struct samples *samples)
{
	free(samples->ns);
	*samples = (struct samples){0};
}

int samples_add(struct samples *samples, uint64_t ns)
{
	if (samples->n == samples->size) {
		size_t size = samples->size > 0 ? 2 * samples->size : 4096;
		uint64_t *grown = realloc(samples->ns, size * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		samples->ns = grown;
		samples->size = size;
	}
	samples->ns[samples->n++] = ns;
	samples->is_sorted = false;
	return 0;
}

static int samples_compare(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

	return (a > b) - (a < b);
}

uint64_t samples_quantile(struct samples *samples, double q)
{
	double rank = ceil(q * (double)samples->n);

	if (samples->n == 0)
		return 0;
	if (!samples->is_sorted)
		qsort(samples->ns, samples->n, sizeof(*samples->ns), samples_compare);
	samples->is_sorted = true;
	return samples->ns[rank >= 1 ? (size_t)rank - 1 : 0];
}
