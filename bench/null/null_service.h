/* An application's HTTP service that does nothing at once: what steps of sagas are measured on. HTTP/1.1, kept
 * connections, answers in the order of the requests; bodies have a Content-Length.
 *
 * The first part of the path says what it does: /now answers 200; /later answers 429 and asks to be left alone for an
 * hour; /never takes the request and is silent. */
#ifndef SAGAD_BENCH_NULL_NULL_SERVICE_H
#define SAGAD_BENCH_NULL_NULL_SERVICE_H

#include "null_counts.h"
#include "null_tcp.h"

/* The listening socket's owner is a struct null_counts; its items are the requests that were answered with 200. */
extern const struct null_tcp_ops null_service_ops;

#endif
