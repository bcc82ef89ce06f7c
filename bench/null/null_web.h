/* An HTTP server on the loopback interface, on libmicrohttpd and a thread of its own; bodies are JSON, parsed whole. */
#ifndef SAGAD_BENCH_NULL_NULL_WEB_H
#define SAGAD_BENCH_NULL_NULL_WEB_H

#include "null_counts.h"

#include "base/buf.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <yyjson.h>

struct null_web;

/* Appends the answer's JSON to `out`; `body` is NULL when the request had none. False: a request that no sagad sends.
 */
typedef bool null_web_answer(struct null_web *web, const char *method, const char *path, yyjson_val *body,
			     struct buf *out);

/* Zeroes, then null_web_start(). */
struct null_web {
	struct MHD_Daemon *mhd;
	null_web_answer *answer;
	struct null_counts counts; /* of the server's thread, until null_web_stop() */
	uint16_t port;
};

/* False: it can't listen. */
bool null_web_start(struct null_web *web, null_web_answer *answer) __attribute__((warn_unused_result));

void null_web_stop(struct null_web *web);

#endif
