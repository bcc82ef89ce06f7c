#include "sink.h"

#include "base/logform.h"
#include "sagad/journald.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Does standard error lead to the journal? JOURNAL_STREAM is "device:inode" of the stream (systemd.exec(5)), and it is
 * inherited by children whose standard error is another one. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat info;

	if (stream == NULL || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

static const char *time_now(char text[40])
{
	struct timespec now;
	struct tm parts;
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	if (gmtime_r(&now.tv_sec, &parts) == NULL)
		return NULL;
	n = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + n, 40 - n, ".%03ldZ", now.tv_nsec / 1000000); /* fits */
	return text;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
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

static void event_write(struct sink *sink, const struct log_event *event)
{
	struct buf line = {0};
	char time[40];

	switch (sink->form) {
	case SINK_LOGFMT:
		logform_logfmt(&line, event, time_now(time));
		break;
	case SINK_JSON:
		logform_json(&line, event, time_now(time));
		break;
	case SINK_JOURNALD:
		if (journald_send(event) == 0)
			return;
		buf_append_format(&line, "<%d>%s", journald_priority(event->level), event->text);
		logform_fields(&line, event);
		break;
	}
	line_write(&line);
	buf_fini(&line);
}

static void sink_take(struct log *log, const struct log_event *event)
{
	struct sink *sink = container_of(log, struct sink, log);

	if (repeats_pass(&sink->repeats, event, monotonic_ns()))
		event_write(sink, event);
}

static void sink_tell(struct repeats *repeats, const struct log_event *event)
{
	event_write(container_of(repeats, struct sink, repeats), event);
}

static enum sink_form form_of(const char *format)
{
	if (strcmp(format, "json") == 0)
		return SINK_JSON;
	if (strcmp(format, "journald") == 0 || (strcmp(format, "auto") == 0 && stderr_is_journal()))
		return SINK_JOURNALD;
	return SINK_LOGFMT;
}

void sink_init(struct sink *sink, const struct sink_config *config)
{
	*sink = (struct sink){.log = {.sink = sink_take}, .repeats = {.tell = sink_tell}};
	sink_reconfigure(sink, config);
}

void sink_reconfigure(struct sink *sink, const struct sink_config *config)
{
	sink_flush(sink);
	sink->log.level = sink_level_of(config->level);
	sink->form = form_of(config->format);
	sink->repeats.max_written = config->repeats;
}

void sink_tick(struct sink *sink)
{
	repeats_tick(&sink->repeats, monotonic_ns());
}

void sink_flush(struct sink *sink)
{
	repeats_flush(&sink->repeats);
}

enum log_level sink_level_of(const char *name)
{
	for (enum log_level level = LOG_DEBUG_LEVEL; level < LOG_ERROR_LEVEL; level++)
		if (strcmp(name, log_level_name(level)) == 0)
			return level;
	return LOG_ERROR_LEVEL;
}
