/* Neo4j as what steps of clients' own sagas run on: implements port/target.h, with a barrier.
 *
 * A do or undo object is {"statements": [{"statement": "...", "parameters": {...}}, ...]}: one transaction. The result
 * is {"rows": [{column: value}]} of the last statement, with several also "results" with each.
 *
 * The barrier is a node (:SagadStep {key: "SAGA/STEP"}), unique by a constraint that `sagactl init` makes, created
 * first and in the same transaction. */
#ifndef SAGAD_STORES_NEO4J_NEO4J_STEPS_H
#define SAGAD_STORES_NEO4J_NEO4J_STEPS_H

#include "neo4j.h"

#include "port/target.h"

/* Zeroes stand for the defaults, given at each field. */
struct neo4j_steps_config {
	struct neo4j_config server; /* where, as whom, TLS, database; connections and batches in it are unused */
	uint32_t connections;       /* 4: calls out at once, 1..64 */
	size_t max_result_bytes;    /* 256 KiB: of one call; a longer result becomes null */
};

/* Makes the target; connects to nothing. Loop's thread. Texts are copied, `log` is kept until close(). -EINVAL: a
 * value that can't be; err names it. */
int neo4j_steps_create(uv_loop_t *loop, const struct neo4j_steps_config *config, struct log *log,
		       struct target **out_target, struct err *err) WARN_UNUSED;

#endif
