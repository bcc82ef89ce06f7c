/* Qdrant's REST dialect (1.10 to 1.18): request bodies and what replies mean. No I/O, no clock.
 *
 * A point's id is the UUIDv5 of document, saga and ordinal, so that versions never overwrite each other and each
 * request can be repeated. */
#ifndef SAGAD_STORES_QDRANT_QDRANT_CODEC_H
#define SAGAD_STORES_QDRANT_QDRANT_CODEC_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"
#include "base/uuid.h"
#include "port/store.h"
#include "port/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much fits into one HTTP request. */
struct qdrant_limits {
	size_t max_bytes;    /* of a body; below the server's 32 MiB */
	uint32_t max_points; /* of an upsert */
	uint32_t max_ids;    /* of a removal by ids */
};

/* Where the next body begins. All zeroes: the start. */
struct qdrant_cursor {
	uint32_t write; /* index into the writes */
	uint32_t chunk; /* ordinal in that write's version */
};

struct qdrant_body {
	char *at; /* JSON, owned: qdrant_body_fini() */
	size_t len;
};

void qdrant_body_fini(struct qdrant_body *body);

/* The id of one chunk's point. */
void qdrant_point_id(struct str document_id, const struct uuid *saga, uint32_t ordinal, char out_id[UUID_TEXT_BYTES]);

/* The next body of "PUT .../points" for the chunks from the cursor on, and the cursor behind them. 1: made; 0: nothing
 * is left; -E2BIG: the chunk at the cursor is over max_bytes alone, err names it; -ENOMEM. */
int qdrant_upsert_body(struct leg_write *const *writes, uint32_t n_writes, const struct qdrant_limits *limits,
		       struct qdrant_cursor *cursor, struct qdrant_body *out_body, struct err *err) WARN_UNUSED;

/* The next body of "POST .../points/delete": by ids when every write knows its number of chunks, else one filter on
 * all saga ids. 1, 0 and -ENOMEM as above. */
int qdrant_remove_body(struct leg_write *const *writes, uint32_t n_writes, const struct qdrant_limits *limits,
		       struct qdrant_cursor *cursor, struct qdrant_body *out_body, struct err *err) WARN_UNUSED;

/* Bytes of this write in a request, roughly. */
size_t qdrant_write_bytes(const struct leg_write *write);

/* Bodies of "PUT /collections/C", "PUT .../index" and "PATCH /collections/C". 0 or -ENOMEM. */
int qdrant_create_body(const struct store_schema *schema, struct qdrant_body *out_body) WARN_UNUSED;
int qdrant_index_body(const char *field, struct qdrant_body *out_body) WARN_UNUSED;
int qdrant_mark_body(struct qdrant_body *out_body) WARN_UNUSED;

/* What a reply means. */
struct qdrant_answer {
	enum verdict verdict;
	bool is_shared; /* not OK: one write's data may be the cause, so that smaller batches make sense */
};

/* The reply to an upsert or a removal: OK only when `status` is `completed`. err says what the server said, and what
 * to do. */
struct qdrant_answer qdrant_write_answer(uint16_t status, struct str reply, const char *collection, struct err *err);

/* The reply to anything else: OK for 2xx. */
struct qdrant_answer qdrant_answer(uint16_t status, struct str reply, const char *collection, struct err *err);

/* What "GET /collections/C" says. */
struct qdrant_collection {
	bool is_unnamed; /* it has the one unnamed vector that sagad writes */
	uint64_t dims;
	char distance[16]; /* in the server's spelling: "Cosine" */
	uint64_t hnsw_m;
	uint64_t hnsw_ef_construct;
	bool on_disk;
	bool is_int8;
	bool has_document_index; /* keyword index on document_id; so is the next */
	bool has_saga_index;
	uint64_t n_points;
};

/* 0, or -EPROTO: not such a reply. */
int qdrant_collection_parse(struct str reply, struct qdrant_collection *out_found) WARN_UNUSED;

/* Does it fit what is asked for? 0, or -EINVAL with both in err. */
int qdrant_collection_check(const struct qdrant_collection *found, const struct store_schema *schema,
			    const char *collection, struct err *err) WARN_UNUSED;

/* The version in the reply to "GET /"; "" when there is none. */
void qdrant_version_parse(struct str reply, char *out_version, size_t size_bytes);

#endif
