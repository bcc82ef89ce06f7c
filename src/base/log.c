#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE_BYTES 2048

bool log_is_on(const struct log *log, enum log_level level)
{
	return log != NULL && log->sink != NULL && level >= log->level;
}

/* `event` is whole but for its text. */
static void log_line(struct log *log, struct log_event *event, va_list args)
{
	char line[LOG_LINE_BYTES];

	(void)vsnprintf(line, sizeof(line), event->format, args); /* cut on purpose */
	for (char *at = line; *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?'; /* ids come from clients: no forged lines, no terminal sequences */
	event->text = line;
	log->sink(log, event);
}

#define LOG_FUNCTION(name, of_level)                                                                                   \
	void name(struct log *log, const char *fmt, ...)                                                               \
	{                                                                                                              \
		struct log_event event = {.level = of_level, .format = fmt};                                           \
		va_list args;                                                                                          \
                                                                                                                       \
		if (!log_is_on(log, of_level))                                                                         \
			return;                                                                                        \
		va_start(args, fmt);                                                                                   \
		log_line(log, &event, args);                                                                           \
		va_end(args);                                                                                          \
	}

LOG_FUNCTION(log_debug, LOG_DEBUG_LEVEL)
LOG_FUNCTION(log_info, LOG_INFO_LEVEL)
LOG_FUNCTION(log_warn, LOG_WARN_LEVEL)
LOG_FUNCTION(log_error, LOG_ERROR_LEVEL)

void log_with(struct log *log, enum log_level level, enum log_kind kind, const struct log_field *fields,
	      size_t n_fields, const char *fmt, ...)
{
	struct log_event event = {level, kind, .format = fmt, .fields = fields, .n_fields = n_fields};
	va_list args;

	if (!log_is_on(log, level))
		return;
	va_start(args, fmt);
	log_line(log, &event, args);
	va_end(args);
}

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

struct str log_field_of(const struct log_event *event, const char *key)
{
	for (size_t i = 0; i < event->n_fields; i++)
		if (strcmp(event->fields[i].key, key) == 0)
			return event->fields[i].value;
	return STR_NONE;
}
