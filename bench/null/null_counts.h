/* What an instant server was asked for: the run divides it by the documents. */
#ifndef SAGAD_BENCH_NULL_NULL_COUNTS_H
#define SAGAD_BENCH_NULL_NULL_COUNTS_H

#include <stdint.h>

struct null_counts {
	uint64_t n_requests; /* round trips: a pipeline up to its Sync, an HTTP request, a Redis command */
	uint64_t n_items;    /* documents committed, points upserted, versions applied, values staged */
	uint64_t n_bytes;    /* of the requests */
	uint64_t n_refused;  /* requests that don't parse, or that no sagad sends: always a fault */
};

#endif
