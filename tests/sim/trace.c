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

bool trace_is_on(const struct trace *trace)
{
	return trace->mode != TRACE_OFF;
}

static void trace_va(struct trace *trace, const char *who, const char *what, const char *fmt, va_list args)
{
	char line[TRACE_LINE_BYTES];
	int used = snprintf(line, sizeof(line), "%13.6f  %-10s  %-8s  ", (double)trace->world->now_ns / 1e9, who, what);

	MUST(used > 0 && (size_t)used < sizeof(line));
	(void)vsnprintf(line + used, sizeof(line) - (size_t)used, fmt, args); /* cut on purpose */
	if (trace->mode == TRACE_PRINT)
		puts(line);
	else
		memcpy(trace->lines[trace->n_lines % TRACE_LINES], line, sizeof(line));
	trace->n_lines++;
}

void trace_line(struct trace *trace, const char *who, const char *what, const char *fmt, ...)
{
	va_list args;

	if (!trace_is_on(trace))
		return;
	va_start(args, fmt);
	trace_va(trace, who, what, fmt, args);
	va_end(args);
}

void trace_daemon(struct trace *trace, unsigned daemon, const char *what, const char *fmt, ...)
{
	char who[16];
	va_list args;

	if (!trace_is_on(trace))
		return;
	(void)snprintf(who, sizeof(who), "d%u", daemon);
	va_start(args, fmt);
	trace_va(trace, who, what, fmt, args);
	va_end(args);
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
