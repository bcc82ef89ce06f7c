/* Neo4j's HTTP transactions on an empty graph that has sagad's constraints: each statement of sagad's is answered with
 * the counts that a server would give. */
#ifndef SAGAD_BENCH_NULL_NULL_NEO4J_H
#define SAGAD_BENCH_NULL_NULL_NEO4J_H

#include "null_web.h"

bool null_neo4j_answer(struct null_web *web, const char *method, const char *path, yyjson_val *body, struct buf *out);

#endif
