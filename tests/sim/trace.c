#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void trace_init(struct trace *trace, enum trace_mode mode, const struct world *world)
{
	memset(trace, 0, sizeof(*trace));
	trace->mode = mode;
	trace->world = world;
	if (mode == TRACE_KEEP) {
		trace->lines = calloc(TRACE_LINES, sizeof(*trace->lines));
		MUST(trace->lines != NULL);
	}
}

void trace_fini(struct trace *trace)
{
	free(trace->lines);
	trace->lines = NULL;
}

void trace_line(struct trace *trace, const char *fmt, ...)
{
	char line[TRACE_LINE_BYTES];
	int used;
	va_list args;

	if (trace->mode == TRACE_OFF)
		return;
	used = snprintf(line, sizeof(line), "%14.6f ", (double)trace->world->now_ns / 1e9);
	MUST(used > 0 && (size_t)used < sizeof(line));
	va_start(args, fmt);
	(void)vsnprintf(line + used, sizeof(line) - (size_t)used, fmt, args); /* cut on purpose */
	va_end(args);
	if (trace->mode == TRACE_PRINT)
		puts(line);
	else
		memcpy(trace->lines[trace->n_lines % TRACE_LINES], line, sizeof(line));
	trace->n_lines++;
}

void trace_dump(const struct trace *trace)
{
	uint64_t first = trace->n_lines > TRACE_LINES ? trace->n_lines - TRACE_LINES : 0;

	if (trace->mode != TRACE_KEEP)
		return;
	for (uint64_t i = first; i < trace->n_lines; i++)
		puts(trace->lines[i % TRACE_LINES]);
}

const char *trace_id(const struct uuid *id)
{
	static char texts[4][UUID_TEXT_BYTES];
	static unsigned turn;
	char *text = texts[turn++ % 4];

	uuid_format(id, text);
	return text + UUID_TEXT_BYTES - 1 - 8;
}
