/* The saga that a load runs again and again. */
#ifndef SAGAD_BENCH_SAGA_H
#define SAGAD_BENCH_SAGA_H

#include "base/err.h"
#include "base/must.h"

/* Reads the params of a saga.run from a file ("-": standard input) into one line, the caller's to free().
 * Errors: of reading; -EINVAL: no JSON object with steps, or one with a key of its own, under which all requests after
 * the first would be told the first one's outcome; -ENOMEM. */
int saga_read(const char *path, char **out_json, struct err *err) WARN_UNUSED;

#endif
