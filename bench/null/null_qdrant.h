/* Qdrant's REST interface with one collection, `documents`, that has both indexes and takes vectors of any length. */
#ifndef SAGAD_BENCH_NULL_NULL_QDRANT_H
#define SAGAD_BENCH_NULL_NULL_QDRANT_H

#include "null_web.h"

bool null_qdrant_answer(struct null_web *web, const char *method, const char *path, yyjson_val *body, struct buf *out);

#endif
