#include "sink.h"

#include "base/buf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Values longer than this are cut: an id has up to 512 bytes, an error's text 384. */
#define SINK_VALUE_BYTES 512

/* Does standard error lead to the journal? JOURNAL_STREAM is "device:inode" of the stream, and it is inherited by
 * children whose standard error is another one. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat info;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

/* syslog(3)'s numbers. */
static int level_priority(enum log_level level)
{
	switch (level) {
	case LOG_DEBUG_LEVEL:
		return 7;
	case LOG_INFO_LEVEL:
		return 6;
	case LOG_WARN_LEVEL:
		return 4;
	case LOG_ERROR_LEVEL:
		return 3;
	}
	MUST(!"a log level that is none");
	return 3;
}

static void append_time(struct buf *out)
{
	struct timespec now;
	struct tm parts;
	char text[32];

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	if (gmtime_r(&now.tv_sec, &parts) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
		return;
	buf_append_format(out, "time=%s.%03ldZ ", text, now.tv_nsec / 1000000);
}

static bool value_is_plain(struct str value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
			return false;
	}
	return value.len > 0;
}

/* Clients name documents: nothing they send may begin a line of its own or reach a terminal as a command. */
static void append_value(struct buf *out, struct str value)
{
	size_t len = value.len < SINK_VALUE_BYTES ? value.len : SINK_VALUE_BYTES;

	if (value_is_plain(value) && len == value.len) {
		buf_append_str(out, value);
		return;
	}
	buf_append_text(out, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if (c == '"' || c == '\\')
			buf_append_format(out, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			buf_append_format(out, "\\x%02x", c);
		else
			buf_append(out, &value.at[i], 1);
	}
	buf_append_text(out, len < value.len ? "...\"" : "\"");
}

/* A line that can't be written is lost: there is nowhere to say so. A blocked pipe blocks the daemon, as it does every
 * program that writes to standard error. */
static void line_write(struct buf *line)
{
	/* no crash point: a line of the log */
	buf_append_text(line, "\n");
	for (size_t done = 0; !line->failed && done < line->len;) {
		ssize_t n = write(STDERR_FILENO, line->at + done, line->len - done);

		if (n < 0 && errno != EINTR)
			return;
		done += n > 0 ? (size_t)n : 0;
	}
}

void sink_event(struct sink *sink, enum log_level level, const char *msg, const struct sink_field *fields,
		size_t n_fields)
{
	struct buf line = {0};

	if (level < sink->log.level)
		return;
	if (sink->is_journal) {
		buf_append_format(&line, "<%d>%s", level_priority(level), msg);
	} else {
		append_time(&line);
		buf_append_format(&line, "level=%s msg=", log_level_name(level));
		append_value(&line, str_of(msg));
	}
	for (size_t i = 0; i < n_fields; i++) {
		if (fields[i].value.at == NULL)
			continue;
		buf_append_format(&line, " %s=", fields[i].key);
		append_value(&line, fields[i].value);
	}
	line_write(&line);
	buf_fini(&line);
}

static void sink_line(struct log *log, enum log_level level, const char *line)
{
	sink_event(container_of(log, struct sink, log), level, line, NULL, 0);
}

void sink_init(struct sink *sink, enum log_level level)
{
	*sink = (struct sink){.log = {.level = level, .sink = sink_line}, .is_journal = stderr_is_journal()};
}

enum log_level sink_level_of(const char *name)
{
	for (enum log_level level = LOG_DEBUG_LEVEL; level < LOG_ERROR_LEVEL; level++)
		if (strcmp(name, log_level_name(level)) == 0)
			return level;
	return LOG_ERROR_LEVEL;
}
