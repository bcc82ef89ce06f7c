/* What happened, a line each: printed as it comes, or the last lines kept for a report, or nothing at all: most seeds
 * pass, and formatting would be most of their time.
 *
 * A line is: virtual time in seconds, who, what, the rest.
 *
 *     7.010940  d1          gets      put doc-5, content 5009
 *     7.010940  d1          state     1e8259f1 of doc-5: queued -> preparing
 *     7.010940  d1          records   intent(1e8259f1)                            to the journal
 *     7.013299  d1          sends     apply(1e8259f1) of doc-5 to qdrant          its turn has decided so
 *     7.019096  qdrant      fault     reply_lost_after                            strikes
 *     9.013299  d1          hears     qdrant on apply(1e8259f1): doubt: no answer in time
 *     9.250789  postgresql  commits   put(1e8259f1) of doc-5
 *     9.295047  d1          tells     doc-5: committed, saga 1e8259f1             its client
 *
 * d1, d2, ... are daemons in the order of their starts; a saga is shown by the end of its id. */
#ifndef SAGAD_SIM_TRACE_H
#define SAGAD_SIM_TRACE_H

#include "base/must.h"
#include "base/uuid.h"
#include "world.h"

#define TRACE_LINES      200
#define TRACE_LINE_BYTES 600

enum trace_mode { TRACE_OFF, TRACE_KEEP, TRACE_PRINT };

struct trace {
	enum trace_mode mode;
	const struct world *world; /* borrowed: its time */
	uint64_t n_lines;
	char (*lines)[TRACE_LINE_BYTES]; /* KEEP: the last TRACE_LINES */
};

void trace_init(struct trace *trace, enum trace_mode mode, const struct world *world);
void trace_fini(struct trace *trace);

/* Notes that `who` did `what`; trace_daemon(): that daemon number so and so did. */
void trace_line(struct trace *trace, const char *who, const char *what, const char *fmt, ...) PRINTF_LIKE(4, 5);
void trace_daemon(struct trace *trace, unsigned daemon, const char *what, const char *fmt, ...) PRINTF_LIKE(4, 5);

bool trace_is_on(const struct trace *trace);

/* Prints what was kept to standard output, oldest first. */
void trace_dump(const struct trace *trace);

/* The end of a saga's id, enough to tell one from another. Static storage for four at a time. */
const char *trace_id(const struct uuid *id);

#endif
