/* The forms of a log line: logfmt ("level=warn msg=\"saga failed\" store=neo4j") and JSON, one object a line.
 *
 * Whatever clients call their documents and whatever stores answer: one line stays one line, no value reaches a
 * terminal as a command, and JSON is valid UTF-8. */
#ifndef SAGAD_BASE_LOGFORM_H
#define SAGAD_BASE_LOGFORM_H

#include "buf.h"
#include "log.h"

/* Values longer than this are cut. An id has up to 512 bytes, an error's text 384, a saga's story more. */
#define LOGFORM_VALUE_BYTES 2048

/* Appends level, text and fields, without a newline. `time` is what the line begins with, RFC 3339; NULL: nothing. */
void logform_logfmt(struct buf *out, const struct log_event *event, const char *time);
void logform_json(struct buf *out, const struct log_event *event, const char *time);

/* Appends the fields only, each with a space before it, as logfmt has them. */
void logform_fields(struct buf *out, const struct log_event *event);

#endif
