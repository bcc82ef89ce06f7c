/* Ranks that follow Zipf's law: rank r comes with a probability in proportion to 1 / (r + 1)^exponent. */
#ifndef SAGAD_BENCH_ZIPF_H
#define SAGAD_BENCH_ZIPF_H

#include "base/must.h"
#include "base/rng.h"

#include <stdint.h>

struct zipf {
	double *sums;    /* owned: sums[r] = the weights of ranks 0..r */
	uint32_t n;      /* entries that are filled */
	uint32_t size;   /* entries that there is room for */
	double exponent; /* 0: every rank is as likely */
};

/* Allocates nothing. exponent >= 0. */
void zipf_init(struct zipf *zipf, double exponent);
void zipf_fini(struct zipf *zipf);

/* Makes room for ranks below n. 0 or -ENOMEM. */
int zipf_grow(struct zipf *zipf, uint32_t n) WARN_UNUSED;

/* A rank below n, 1 <= n <= what zipf_grow() was called with. */
uint32_t zipf_draw(const struct zipf *zipf, uint32_t n, struct rng *rng);

#endif
