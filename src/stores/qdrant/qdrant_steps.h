/* Qdrant as what steps of clients' own sagas run on: implements port/target.h, without a barrier.
 *
 * A do or undo object is {"method", "path", "body"}; the path is below /collections/: a collection itself, its points
 * or its indexes. Writes get wait=true and count only when Qdrant says `completed`. The documents' own collection may
 * be read only. The result is {"status": 200, "body": ...}.
 *
 * `Idempotency-Key: SAGA/STEP/do` (or /undo) goes along, for a proxy that knows it; Qdrant itself has no transactions,
 * so the client's dos and undos must be repeatable (an upsert is, creating a collection isn't: the second time it is
 * refused). curl itself sends none of them twice. An alias of the documents' collection is not recognized as it. */
#ifndef SAGAD_STORES_QDRANT_QDRANT_STEPS_H
#define SAGAD_STORES_QDRANT_QDRANT_STEPS_H

#include "qdrant.h"

#include "port/target.h"

/* Zeroes stand for the defaults, given at each field. */
struct qdrant_steps_config {
	struct qdrant_config server; /* where, key, TLS, the documents' collection; the rest is unused */
	uint32_t connections;        /* 4: calls out at once, 1..64 */
	size_t max_result_bytes;     /* 256 KiB: of one call; a longer result becomes null */
};

/* Makes the target; connects to nothing. Loop's thread. Texts are copied, `log` is kept until close(). -EINVAL: a
 * value that can't be; err names it. */
int qdrant_steps_create(uv_loop_t *loop, const struct qdrant_steps_config *config, struct log *log,
			struct target **out_target, struct err *err) WARN_UNUSED;

#endif
