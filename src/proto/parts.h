/* The parts of a document, each in a file of its own: they check, and fill a draft whose texts are the reader's.
 * document_pack() then copies the draft into the one allocation that a document is. Private to src/proto/. */
#ifndef SAGAD_PROTO_PARTS_H
#define SAGAD_PROTO_PARTS_H

#include "proto/reader.h"

/* chunks.c: fills chunks, n_chunks and dims. */
int chunks_read(struct reader *reader, struct member member, struct document *draft) WARN_UNUSED;

/* graph.c: fills entities and relationships, and graph_bytes (to which title and source already belong). */
int graph_read(struct reader *reader, struct member entities, struct member relationships,
	       struct document *draft) WARN_UNUSED;

/* document_read.c: from the members of document.put's params. A field that document.put has beside these is the
 * caller's. */
enum document_member {
	DOCUMENT_ID,
	DOCUMENT_TITLE,
	DOCUMENT_SOURCE,
	DOCUMENT_CONTENT,
	DOCUMENT_METADATA,
	DOCUMENT_CHUNKS,
	DOCUMENT_ENTITIES,
	DOCUMENT_RELATIONSHIPS,
	DOCUMENT_MEMBERS
};
int document_read(struct reader *reader, const struct member members[DOCUMENT_MEMBERS], struct str job_json,
		  struct document **out_document) WARN_UNUSED;

/* document.c: the draft, copied into one allocation; NULL: no memory. */
struct document *document_pack(const struct document *draft);

/* document.c: over all that the draft holds, apart from the job's own bytes. */
void document_hash(struct document *draft);

#endif
