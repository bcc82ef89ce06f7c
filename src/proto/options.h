/* The options of document.put, document.delete and store.init. Private to src/proto/. */
#ifndef SAGAD_PROTO_OPTIONS_H
#define SAGAD_PROTO_OPTIONS_H

#include "proto/reader.h"

enum option_member {
	OPTION_KEY,
	OPTION_IF_VERSION,
	OPTION_DEADLINE,
	OPTION_WAIT,
	OPTION_ON_UNCHANGED, /* this one and the next: of a put only */
	OPTION_CACHE_TTL,
	OPTION_MEMBERS
};

/* Absent members leave the defaults. Texts are the reader's. */
int options_read_put(struct reader *reader, const struct member members[OPTION_MEMBERS],
		     struct put_options *out_options) WARN_UNUSED;

/* From store.init's params, which may be NULL. */
int options_read_init(struct reader *reader, yyjson_val *params, struct init_options *out_options) WARN_UNUSED;

/* From sagad.log_level's params. */
int options_read_log_level(struct reader *reader, yyjson_val *params, enum log_level *out_level) WARN_UNUSED;

#endif
