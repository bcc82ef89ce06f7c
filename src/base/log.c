#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_BYTES 2048

static void log_line(struct log *log, enum log_level level, const char *fmt, va_list args)
{
	char line[LOG_LINE_BYTES];

	if (log == NULL || log->sink == NULL || level < log->level)
		return;
	(void)vsnprintf(line, sizeof(line), fmt, args); /* cut on purpose */
	for (char *at = line; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?'; /* ids come from clients: no forged lines, no terminal sequences */
	log->sink(log, level, line);
}

#define LOG_FUNCTION(name, level)                                                                                      \
	void name(struct log *log, const char *fmt, ...)                                                               \
	{                                                                                                              \
		va_list args;                                                                                          \
                                                                                                                       \
		va_start(args, fmt);                                                                                   \
		log_line(log, level, fmt, args);                                                                       \
		va_end(args);                                                                                          \
	}

LOG_FUNCTION(log_debug, LOG_DEBUG_LEVEL)
LOG_FUNCTION(log_info, LOG_INFO_LEVEL)
LOG_FUNCTION(log_warn, LOG_WARN_LEVEL)
LOG_FUNCTION(log_error, LOG_ERROR_LEVEL)

const char *log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_DEBUG_LEVEL:
		return "debug";
	case LOG_INFO_LEVEL:
		return "info";
	case LOG_WARN_LEVEL:
		return "warn";
	case LOG_ERROR_LEVEL:
		return "error";
	}
	MUST(!"a log level that is none");
	return "";
}
