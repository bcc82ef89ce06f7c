/* Counts of values by size, in log-linear buckets: nine for each power of ten, so that a value is known to within its
 * leading digit, in half a kilobyte and without a clock, an allocation or a lock. */
#ifndef SAGAD_BASE_HISTOGRAM_H
#define SAGAD_BASE_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#define HISTOGRAM_DECADES 6
#define HISTOGRAM_BOUNDS  (9 * HISTOGRAM_DECADES + 1)

/* `counts[i]` are the values above bound i - 1 and up to bound i; the last one those above every bound.
 * Bound i is least * (1 + i % 9) * 10^(i / 9). */
struct histogram {
	uint64_t least; /* the first bound, 1 or more; what lies below it is one bucket */
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	uint64_t sum;
	uint64_t n;
};

/* From 100 microseconds to 100 seconds, in nanoseconds. */
#define HISTOGRAM_LEAST_NS 100000u

/* Empties it. */
void histogram_init(struct histogram *histogram, uint64_t least);

void histogram_add(struct histogram *histogram, uint64_t value);

/* The upper bound of bucket i, itself included; i < HISTOGRAM_BOUNDS. */
uint64_t histogram_bound(const struct histogram *histogram, unsigned i);

/* Is it one of the bounds 1, 2 and 5 of its power of ten? Enough for a graph, at a third of the series. */
bool histogram_bound_is_coarse(unsigned i);

/* The value below which a share q (0..1) of the values lies, interpolated within its bucket; the last bound when it
 * lies above all of them, 0 when there is no value. */
uint64_t histogram_quantile(const struct histogram *histogram, double q);

/* out = now - before, two readings of one histogram: what came between them. `out` may be either. */
void histogram_between(const struct histogram *now, const struct histogram *before, struct histogram *out);

/* Adds the counts of `from`, which has the same bounds. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);

#endif
