/* Where log lines go: standard error, one write(2) a line.
 *
 * By hand: logfmt, "time=2025-01-31T12:00:00.000Z level=info msg=\"...\" key=value". Under systemd (JOURNAL_STREAM
 * names standard error, sd-daemon(3)): "<6>msg key=value", since the journal keeps time and level itself. */
#ifndef SAGAD_SAGAD_SINK_H
#define SAGAD_SAGAD_SINK_H

#include "base/log.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct sink {
	struct log log; /* what everybody else gets */
	bool is_journal;
};

/* A pair after the message. An absent value leaves the pair out. */
struct sink_field {
	const char *key; /* static, of [a-z_] */
	struct str value;
};

/* Starts to write lines of this level and above. */
void sink_init(struct sink *sink, enum log_level level);

/* The level of a name that the configuration allows. */
enum log_level sink_level_of(const char *name);

/* Writes a message with fields; values are quoted where needed, and never break the line. */
void sink_event(struct sink *sink, enum log_level level, const char *msg, const struct sink_field *fields,
		size_t n_fields);

#endif
