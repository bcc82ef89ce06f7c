/* A document as a client sent it: checked, in memory, and never changed afterwards.
 *
 * The struct, its arrays and all its texts live in one allocation that the document owns; the job's own bytes are in it
 * too, so that a store which takes JSON gets the very digits that the client wrote. Texts are valid UTF-8 without NUL
 * bytes and end with a NUL that `len` doesn't count. */
#ifndef SAGAD_PROTO_DOCUMENT_H
#define SAGAD_PROTO_DOCUMENT_H

#include "base/digest.h"
#include "base/err.h"
#include "base/str.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stdint.h>

struct chunk {
	struct str id;             /* the client's, or the ordinal in decimal; unique in the document; 1..512 bytes */
	struct str text;           /* may be empty, never absent */
	struct str metadata_json;  /* a JSON object's text; absent when none was given */
	struct str embedding_json; /* the array as the client wrote it, "[0.1, ...]" */
	const float *embedding;    /* the same as float32, all finite; document.dims of them */
};

struct entity {
	struct str type;            /* [A-Za-z_][A-Za-z0-9_]{0,63} */
	struct str name;            /* 1..max_name_bytes */
	struct str properties_json; /* a JSON object's text; absent when none were given */
	char key[DIGEST_HEX_BYTES]; /* SHA-256 of type, a newline, name, in hex: the node's key in Neo4j */
};

struct relationship {
	uint32_t from;              /* index into entities */
	uint32_t to;                /* index into entities */
	struct str type;            /* [A-Za-z_][A-Za-z0-9_]{0,63} */
	struct str properties_json; /* absent when none were given */
};

struct document {
	struct str id;    /* 1..512 bytes */
	struct str title; /* absent when not given; so are the next three */
	struct str source;
	struct str content;
	struct str metadata_json; /* a JSON object's text */
	const struct chunk *chunks;
	uint32_t n_chunks;
	uint32_t dims; /* of every embedding; 0 when there are no chunks */
	const struct entity *entities;
	uint32_t n_entities;
	const struct relationship *relationships; /* unique by (from, type, to) */
	uint32_t n_relationships;
	uint8_t content_hash[DIGEST_BYTES]; /* over all of the above */
	struct str job_json;                /* the params object as it came, for the journal of accepted jobs */
	size_t memory_bytes;                /* of the allocation */
	size_t graph_bytes;                 /* texts of entities and relationships: what Neo4j must hold of a request */
};

/* What a document may be. All are configurable; a refusal names the limit. */
struct document_limits {
	size_t max_content_bytes; /* content; and each chunk's text */
	uint32_t max_chunks;
	uint32_t max_dims; /* 1..16000, pgvector's own bound */
	uint32_t dims;     /* what every embedding must have; 0: any, but the same in one document */
	uint32_t max_entities;
	uint32_t max_relationships;
	size_t max_name_bytes;        /* an entity's name; at most 8000: Neo4j's index takes 8164 bytes in all */
	size_t max_graph_bytes;       /* graph_bytes; a Neo4j request must stay far under its heap */
	size_t max_vector_json_bytes; /* what a Qdrant request of this document alone may need */
	uint32_t max_metadata_depth;  /* nesting of metadata and properties */
	size_t max_metadata_bytes;    /* of each metadata or properties object, as JSON */
	bool refuse_zero_vectors;     /* cosine distance has no direction for them */
};

struct document_limits document_limits_default(void);

/* Frees a document; request_parse() in request.h is what makes one. Takes NULL. */
void document_destroy(struct document *document);

#endif
