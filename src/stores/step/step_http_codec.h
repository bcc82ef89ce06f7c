/* A step's call over HTTP: {"method", "path", "headers", "body"}, checked, and what comes back. Pure.
 *
 * An earlier step's result may have been filled in anywhere, so everything is looked at here, whatever was checked when
 * the saga was taken. */
#ifndef SAGAD_STORES_STEP_STEP_HTTP_CODEC_H
#define SAGAD_STORES_STEP_STEP_HTTP_CODEC_H

#include "step_codec.h"

#define STEP_HTTP_PATH_MAX    4096
#define STEP_HTTP_HEADERS_MAX 16
#define STEP_HTTP_HEADER_MAX  4096 /* bytes of a value */

struct step_http {
	const char *method;  /* static: "GET", "POST", "PUT", "PATCH", "DELETE" */
	struct str path;     /* in the document; so are the next two */
	yyjson_val *headers; /* an object, or NULL */
	yyjson_val *body;    /* NULL: none */
	bool is_read;        /* GET */
};

/* Reads the parsed object; false: the call has failed. Headers are not looked at. */
bool step_http_codec_read(struct call *call, const char *target, yyjson_doc *doc,
			  struct step_http *out_http) WARN_UNUSED;

/* A path that begins with '/', has visible ASCII only, and whose segments, decoded once or twice, can't climb. NULL:
 * good; else what is wrong with it. */
const char *step_http_codec_path_fault(struct str path);

/* The same for a header that a client gives: a token that neither frames the message nor is sagad's own. `own` is one
 * more forbidden name, or NULL. */
const char *step_http_codec_header_fault(struct str name, struct str value, const char *own);

/* The body as it is sent, compact; a write without one sends an empty one, so that its length is said. `out_body` stays
 * absent for a GET without a body. False: the call has failed. */
bool step_http_codec_body(struct call *call, const char *target, const struct step_http *http, struct buf *out_text,
			  struct str *out_body) WARN_UNUSED;

/* OK with {"status": n, "body": ...}: a body that is no JSON is a string. */
void step_http_codec_result(struct call *call, uint16_t status, struct str reply, size_t max_bytes);

/* A short piece of a reply for a message, on one line. */
void step_http_codec_excerpt(struct str reply, char *out_text, size_t size_bytes);

#endif
