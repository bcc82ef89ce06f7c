/* Answers, parsed. Private to src/client/. */
#ifndef SAGAD_CLIENT_REPLY_H
#define SAGAD_CLIENT_REPLY_H

#include "base/list.h"
#include "sagad/client.h"

#include <yyjson.h>

struct sagad_reply {
	struct list node; /* the client's, until it is taken */
	uint64_t id;
	char *line;      /* owned, so are the next two */
	char *json;      /* the result, or an error's data */
	yyjson_doc *doc; /* what the texts point into */
	yyjson_val *top; /* the value that `json` is the text of; NULL: none */
	yyjson_val *error;
};

/* Parses a line. 0 and a reply, -ENOMEM, or -EPROTO: it is no JSON-RPC 2.0 answer. `line` is borrowed. */
int client_reply_parse(const char *line, size_t len, struct sagad_reply **out_reply) SAGAD_WARN_UNUSED;

#endif
