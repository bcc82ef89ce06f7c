/* Steps in Qdrant, without a connection: which requests a client may send, and what the replies mean. Pure.
 *
 * Allowed are a collection itself, its points and its indexes; not aliases, snapshots, shards and the cluster: they
 * reach beyond the collection that the path names, and an alias could name the documents' own. */
#ifndef SAGAD_STORES_QDRANT_QDRANT_STEPS_CODEC_H
#define SAGAD_STORES_QDRANT_QDRANT_STEPS_CODEC_H

#include "stores/step/step_http_codec.h"

#include <stdint.h>

enum qdrant_steps_kind {
	QDRANT_STEPS_READ,
	QDRANT_STEPS_WRITE, /* of points, payloads, indexes: all of it or nothing */
	QDRANT_STEPS_BATCH, /* several writes: a refusal may come after some of them (qdrant issue 9364) */
	QDRANT_STEPS_CHANGE /* of the collection itself; it knows no `wait` */
};

/* Checks what a call asks for and appends the path as it is sent, with wait=true for writes. `documents` is the
 * collection that may only be read. False: the call has failed. */
bool qdrant_steps_codec_ask(struct call *call, const struct step_http *http, const char *documents,
			    struct buf *out_path, enum qdrant_steps_kind *out_kind) WARN_UNUSED;

/* Sets the call's verdict and result, or error, from a whole answer. A read that failed has changed nothing, so it is
 * never in doubt. */
void qdrant_steps_codec_judge(struct call *call, enum qdrant_steps_kind kind, uint16_t status, uint32_t retry_after_s,
			      struct str reply, size_t max_result_bytes);

#endif
