#include "zipf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void zipf_init(struct zipf *zipf, double exponent)
{
	*zipf = (struct zipf){.exponent = exponent};
}

void zipf_fini(struct zipf *zipf)
{
	free(zipf->sums);
	*zipf = (struct zipf){0};
}

int zipf_grow(struct zipf *zipf, uint32_t n)
{
	if (zipf->exponent <= 0 || n <= zipf->n)
		return 0;
	if (n > zipf->size) {
		uint32_t size = n < 1024 ? 1024 : n + n / 2;
		double *sums = realloc(zipf->sums, size * sizeof(*sums));

		if (sums == NULL)
			return -ENOMEM;
		zipf->sums = sums;
		zipf->size = size;
	}
	for (; zipf->n < n; zipf->n++)
		zipf->sums[zipf->n] =
			(zipf->n > 0 ? zipf->sums[zipf->n - 1] : 0) + pow((double)zipf->n + 1, -zipf->exponent);
	return 0;
}

uint32_t zipf_draw(const struct zipf *zipf, uint32_t n, struct rng *rng)
{
	double point = (double)(rng_next(rng) >> 11) * 0x1p-53;
	uint32_t low = 0, high = n - 1;

	if (zipf->exponent <= 0)
		return (uint32_t)rng_below(rng, n);
	MUST(n <= zipf->n);
	point *= zipf->sums[n - 1];
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (zipf->sums[middle] > point)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
