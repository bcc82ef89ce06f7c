/* PostgreSQL's protocol, version 3, as far as libpq's pipeline mode uses it: start-up without a password, then Parse,
 * Bind, Describe, Execute, Sync. Every message is parsed whole, array parameters item by item. */
#ifndef SAGAD_BENCH_NULL_NULL_PG_H
#define SAGAD_BENCH_NULL_NULL_PG_H

#include "null_counts.h"
#include "null_tcp.h"

/* For null_tcp_listen(), with a struct null_counts as the owner. */
extern const struct null_tcp_ops null_pg_ops;

#endif
