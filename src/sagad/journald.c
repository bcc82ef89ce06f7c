#include "journald.h"

#include "base/buf.h"
#include "base/logform.h"

#include <errno.h>

#if SAGAD_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION /* the line of this file helps nobody */
#include <systemd/sd-journal.h>
#include <unistd.h>
#endif

#define JOURNALD_FIELDS_MAX 32
#define JOURNALD_SOCKET     "/run/systemd/journal/socket" /* sd_journal_sendv(3) has it built in */

int journald_priority(enum log_level level)
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

#if SAGAD_SYSTEMD

/* sd-messages(3): made once, never changed; operators' filters name them. */
static const char *const message_ids[LOG_KINDS] = {
	[LOG_SAGA_FAILED] = "18c75c6b5e5e48a586fbeadea0964062", [LOG_SAGA_SLOW] = "ae52278537c24595aa73e29162d9df66",
	[LOG_SAGA_DONE] = "87a02300c5184c09bed7729aed2a030d",   [LOG_WORK_PARKED] = "44400e693f7946c8ac2555b36f6cb9b1",
	[LOG_WORK_DONE] = "0fb4df60a7944d778cc0c1604147ec8b",   [LOG_JOB_FAILED] = "f3a3a3784f10493fb95a20eb6add2177",
	[LOG_JOB_REFUSED] = "b90dd30534de435fb9e0e9fa8a2f7baa", [LOG_STORE_FAILED] = "bd5a79cd81b148a18694c344a1f5ded3",
};

/* All fields in one run of bytes; it moves while it grows, so places are kept as offsets. */
struct message {
	struct buf bytes;
	size_t ends[JOURNALD_FIELDS_MAX];
	size_t n;
};

static void message_end_field(struct message *message)
{
	MUST(message->n < JOURNALD_FIELDS_MAX);
	message->ends[message->n++] = message->bytes.len;
}

/* Upper case, and for what operators look for the names that other programs would choose, too. */
static void message_add_key(struct message *message, const char *key)
{
	if (strcmp(key, "saga") == 0 || strcmp(key, "document") == 0) {
		message_add_key(message, strcmp(key, "saga") == 0 ? "saga_id" : "document_id");
		return;
	}
	for (; *key != '\0'; key++)
		buf_append_format(&message->bytes, "%c", *key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key);
	buf_append_text(&message->bytes, "=");
}

static void message_fill(struct message *message, const struct log_event *event)
{
	buf_append_format(&message->bytes, "MESSAGE=%s", event->text);
	logform_fields(&message->bytes, event); /* the text alone says nothing to who reads `journalctl -u sagad` */
	message_end_field(message);
	buf_append_format(&message->bytes, "PRIORITY=%d", journald_priority(event->level));
	message_end_field(message);
	if (message_ids[event->kind] != NULL) {
		buf_append_format(&message->bytes, "MESSAGE_ID=%s", message_ids[event->kind]);
		message_end_field(message);
	}
	for (size_t i = 0; i < event->n_fields; i++) {
		if (event->fields[i].value.at == NULL)
			continue;
		message_add_key(message, event->fields[i].key);
		buf_append_str(&message->bytes, event->fields[i].value);
		message_end_field(message);
	}
}

int journald_send(const struct log_event *event)
{
	struct message message = {.n = 0};
	struct iovec parts[JOURNALD_FIELDS_MAX];
	int rc = -ENOMEM;

	/* sd_journal_sendv() takes a journal that isn't there for success, since no line is then anybody's. */
	if (access(JOURNALD_SOCKET, W_OK) != 0)
		return -errno;
	message_fill(&message, event);
	for (size_t i = 0; i < message.n && !message.bytes.failed; i++) {
		size_t begin = i > 0 ? message.ends[i - 1] : 0;

		parts[i] = (struct iovec){message.bytes.at + begin, message.ends[i] - begin};
	}
	if (!message.bytes.failed)
		rc = sd_journal_sendv(parts, (int)message.n);
	buf_fini(&message.bytes);
	return rc;
}

#else

int journald_send(const struct log_event *event)
{
	(void)event;
	return -ENOSYS;
}

#endif
