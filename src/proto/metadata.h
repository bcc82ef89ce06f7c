/* Metadata and properties: objects of the client's own making, checked for all the stores that will hold them and
 * written again without needless bytes. Private to src/proto/. */
#ifndef SAGAD_PROTO_METADATA_H
#define SAGAD_PROTO_METADATA_H

#include "proto/reader.h"

enum metadata_kind {
	METADATA_OF_DOCUMENT, /* PostgreSQL's jsonb, Redis as text */
	METADATA_OF_CHUNK,    /* jsonb, Qdrant's payload */
	PROPERTIES_OF_ENTITY, /* jsonb, Neo4j's properties */
	PROPERTIES_OF_RELATIONSHIP
};

/* Reads the member `name`; missing and null leave *out_json absent. The text is the reader's. */
int metadata_read(struct reader *reader, struct member member, const char *name, enum metadata_kind kind,
		  struct str *out_json) WARN_UNUSED;

#endif
