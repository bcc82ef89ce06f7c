/* What a load gave, for people and for programs. */
#ifndef SAGAD_BENCH_REPORT_H
#define SAGAD_BENCH_REPORT_H

#include "load.h"

/* Both print to standard output. 0, or a negative errno when that can't be written. */
int report_print(struct load_result *result, const struct plan_sums *sums) WARN_UNUSED;
int report_print_json(struct load_result *result, const struct plan_sums *sums) WARN_UNUSED;

#endif
