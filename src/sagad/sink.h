/* Where log lines go, and in which form.
 *
 * logfmt: "time=2025-01-31T12:00:00.000Z level=info msg=\"...\" key=value" on standard error, one write(2) a line.
 * json: the same as one object a line. journald: fields of their own in systemd's journal (SAGA_ID, DOCUMENT_ID, STORE,
 * CODE, ...), through its socket; where that can't be reached, "<4>text key=value" on standard error, which a service
 * manager understands as well. auto: journald when standard error leads to the journal, else logfmt. */
#ifndef SAGAD_SAGAD_SINK_H
#define SAGAD_SAGAD_SINK_H

#include "base/log.h"
#include "base/repeats.h"

#include <stdbool.h>

enum sink_form { SINK_LOGFMT, SINK_JSON, SINK_JOURNALD };

struct sink {
	struct log log; /* what everybody else gets */
	enum sink_form form;
	struct repeats repeats;
};

/* The section `log` of the configuration. */
struct sink_config {
	const char *level;  /* one of log_level_name() */
	const char *format; /* auto, logfmt, json or journald */
	uint32_t repeats;   /* lines of one sort within ten seconds, before they are counted only; 0: no bound */
};

/* Starts to write. */
void sink_init(struct sink *sink, const struct sink_config *config);

/* Goes on in another way. */
void sink_reconfigure(struct sink *sink, const struct sink_config *config);

/* About once a second: tells of repeats that were counted. */
void sink_tick(struct sink *sink);

/* Before the end: tells of those that were counted until now. */
void sink_flush(struct sink *sink);

/* The level of a name that the configuration allows. */
enum log_level sink_level_of(const char *name);

#endif
