/* The log's front: levels and a sink that the program sets. This folder does no I/O; where lines go is the sink's. */
#ifndef SAGAD_BASE_LOG_H
#define SAGAD_BASE_LOG_H

#include "must.h"

enum log_level { LOG_DEBUG_LEVEL, LOG_INFO_LEVEL, LOG_WARN_LEVEL, LOG_ERROR_LEVEL };

struct log {
	enum log_level level; /* lines below it are dropped before they are formatted */
	/* Takes one line without its newline, borrowed for the call. Called from the loop's thread only. */
	void (*sink)(struct log *log, enum log_level level, const char *line);
};

/* Formats and hands a line to the sink. `log` may be NULL: the line is dropped. Never log document text, embeddings or
 * secrets; ids and counts are fine. */
void log_debug(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_info(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_warn(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_error(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *log_level_name(enum log_level level);

#endif
