/* What happened, a line each, with the virtual time: printed as it comes, or the last lines kept for a report, or
 * nothing at all: most seeds pass, and formatting would be most of their time. */
#ifndef SAGAD_SIM_TRACE_H
#define SAGAD_SIM_TRACE_H

#include "base/must.h"
#include "base/uuid.h"
#include "world.h"

#define TRACE_LINES      120
#define TRACE_LINE_BYTES 400

enum trace_mode { TRACE_OFF, TRACE_KEEP, TRACE_PRINT };

struct trace {
	enum trace_mode mode;
	const struct world *world; /* borrowed: its time */
	uint64_t n_lines;
	char (*lines)[TRACE_LINE_BYTES]; /* KEEP: the last TRACE_LINES */
};

void trace_init(struct trace *trace, enum trace_mode mode, const struct world *world);
void trace_fini(struct trace *trace);

void trace_line(struct trace *trace, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Prints what was kept to standard output, oldest first. */
void trace_dump(const struct trace *trace);

/* The end of a saga's id, enough to tell one from another. Static storage for four at a time. */
const char *trace_id(const struct uuid *id);

#endif
