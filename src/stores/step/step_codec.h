/* What every target of clients' own steps does alike with a call: its key, its object, how it ends. Pure. */
#ifndef SAGAD_STORES_STEP_STEP_CODEC_H
#define SAGAD_STORES_STEP_STEP_CODEC_H

#include "base/must.h"
#include "port/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <yyjson.h>

#define STEP_CODEC_KEY_BYTES (UUID_TEXT_BYTES + STEP_NAME_BYTES)

/* "SAGA/STEP", with its NUL. */
void step_codec_key(const struct call *call, char out_key[STEP_CODEC_KEY_BYTES]);

/* Clears what a call answers with. */
void step_codec_begin(struct call *call);

/* Sets verdict and text; "TARGET: step \"NAME\": " stands before it. */
void step_codec_fail(struct call *call, const char *target, enum verdict verdict, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/* Parses the call's object. NULL: the call has failed. The caller frees it with yyjson_doc_free(). `flags` are
 * yyjson's. */
yyjson_doc *step_codec_parse(struct call *call, const char *target, yyjson_read_flag flags) WARN_UNUSED;

/* OK with this result (takes nothing); longer than max_bytes, or no memory: OK with null. */
void step_codec_done(struct call *call, const yyjson_mut_doc *result, size_t max_bytes);

/* The same with a JSON text, which is checked and made compact; no JSON: null. */
void step_codec_done_text(struct call *call, struct str json, size_t max_bytes);

/* Replaces each byte that belongs to no UTF-8 character by '?': what a server sends may be anything. */
void step_codec_scrub(char *bytes, size_t n_bytes);

/* A string value of an answer, scrubbed; NULL: no memory. Copied into the document. */
yyjson_mut_val *step_codec_string(yyjson_mut_doc *doc, struct str text);

#endif
