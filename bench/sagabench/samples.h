/* Latencies, every one of them kept: eight bytes each, so that p99.9 is a measured value and not a bucket's border. */
#ifndef SAGAD_BENCH_SAMPLES_H
#define SAGAD_BENCH_SAMPLES_H

#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct samples {
	uint64_t *ns; /* owned */
	size_t n;
	size_t size;
	bool is_sorted;
};

void samples_fini(struct samples *samples);

/* 0 or -ENOMEM. */
int samples_add(struct samples *samples, uint64_t ns) WARN_UNUSED;

/* The value that a share q (0..1) of the samples doesn't exceed (nearest rank); 0 when there is none. Sorts once. */
uint64_t samples_quantile(struct samples *samples, double q);

#endif
