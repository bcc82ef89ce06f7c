/* The documents of a load: a pool of bodies that are made, or read from a file, before the clock starts.
 *
 * A body is a document's JSON without its id and without the opening brace, so that a request costs a copy and not a
 * thousand printed numbers: the load generator shares two cores with what it measures. */
#ifndef SAGAD_BENCH_SHAPE_H
#define SAGAD_BENCH_SHAPE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

struct shape {
	uint32_t n_chunks;
	uint32_t n_dims;
	uint32_t n_entities;      /* of a document; entities are shared by documents */
	uint32_t n_relationships; /* at most n_entities * (n_entities - 1) */
	uint32_t n_names;         /* how many different entities there are in all */
	uint32_t text_bytes;      /* of a chunk's text */
	uint64_t seed;
};

struct body {
	char *json; /* owned: `"title":...}` */
	size_t len;
	uint32_t n_chunks, n_entities, n_relationships;
};

struct pool {
	struct body *bodies; /* owned */
	uint32_t n;
	uint32_t n_dims;
};

/* Makes n >= 1 bodies; the same shape and n give the same bodies.
 * Errors: -ENOMEM; -EINVAL: a shape that has no documents, with the option to change. */
int pool_make(struct pool *pool, const struct shape *shape, uint32_t n, struct err *err) WARN_UNUSED;

/* Reads documents, one JSON object a line, at most n of them; "-" is standard input. Their ids are left out.
 * Errors: -errno of the file; -EINVAL with the line; -ENOMEM. */
int pool_read(struct pool *pool, const char *path, uint32_t n, struct err *err) WARN_UNUSED;

/* Frees the bodies. Takes zeroes. */
void pool_fini(struct pool *pool);

#endif
