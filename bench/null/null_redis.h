/* RESP2, read by hiredis' own reader: PING, AUTH, SELECT, INFO, and the scripts of sagad, which it learns from EVAL. */
#ifndef SAGAD_BENCH_NULL_NULL_REDIS_H
#define SAGAD_BENCH_NULL_NULL_REDIS_H

#include "null_counts.h"
#include "null_tcp.h"

#define NULL_REDIS_SHA_BYTES 41

struct null_redis {
	struct null_counts counts;
	/* A script and what it answers when nothing is there before it. */
	struct {
		char sha[NULL_REDIS_SHA_BYTES];
		const char *answer;
	} scripts[3];
	uint32_t n_scripts;
};

/* For null_tcp_listen(), with a struct null_redis as the owner. */
extern const struct null_tcp_ops null_redis_ops;

#endif
