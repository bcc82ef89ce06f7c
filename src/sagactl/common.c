#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

#define RETRY_FIRST_MS 200u
#define RETRY_CAP_MS   10000u

void ctl_error(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut on purpose */
	va_end(args);
	fputs("sagactl: ", stderr);
	ctl_print_clean(stderr, text);
	fputc('\n', stderr);
}

void ctl_print_clean(FILE *stream, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		fputc(c < 0x20 || c == 0x7f ? '?' : c, stream);
	}
}

/* ---- colours ---- */

static const char *ctl_escape(const char *sequence)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!isatty(STDOUT_FILENO) || (no_color != NULL && no_color[0] != '\0') || term == NULL ||
	    strcmp(term, "dumb") == 0)
		return "";
	return sequence;
}

const char *ctl_green(void)
{
	return ctl_escape("\033[32m");
}

const char *ctl_red(void)
{
	return ctl_escape("\033[31m");
}

const char *ctl_dim(void)
{
	return ctl_escape("\033[2m");
}

const char *ctl_plain(void)
{
	return ctl_escape("\033[0m");
}

/* ---- talking to the daemon ---- */

struct sagad_client *ctl_connect(const struct ctl *ctl, bool is_admin)
{
	struct sagad_client *client = NULL;
	char error[SAGAD_ERROR_BYTES];

	if (sagad_connect(is_admin ? ctl->admin_path : ctl->socket_path, 5000, &client, error, sizeof(error)) == 0)
		return client;
	ctl_error("%s (%s)", error,
		  is_admin ? "--admin-socket or SAGAD_ADMIN_SOCKET names another"
			   : "--socket or SAGAD_SOCKET names another");
	return NULL;
}

unsigned ctl_retry_ms(const struct sagad_reply *reply, unsigned tries)
{
	uint64_t advised = sagad_reply_retry_after_ms(reply);
	unsigned wait = tries < 6 ? RETRY_FIRST_MS << tries : RETRY_CAP_MS;

	if (advised > wait)
		wait = advised < RETRY_CAP_MS ? (unsigned)advised : RETRY_CAP_MS;
	return wait < RETRY_CAP_MS ? wait : RETRY_CAP_MS;
}

static void ctl_sleep_ms(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
}

struct sagad_reply *ctl_call(const struct ctl *ctl, bool is_admin, const char *method, const struct buf *params,
			     unsigned retries, enum ctl_exit *out_exit)
{
	struct sagad_client *client = ctl_connect(ctl, is_admin);
	struct sagad_reply *reply = NULL;

	*out_exit = CTL_UNREACHABLE;
	for (unsigned tries = 0; client != NULL; tries++) {
		int rc = sagad_call(client, method, params != NULL ? params->at : NULL,
				    params != NULL ? params->len : 0, ctl->timeout_ms, &reply);

		if (rc != 0) {
			/* A daemon that turns a client away says why before it closes. */
			if (sagad_wait_any(client, 0, &reply) == 0)
				break;
			ctl_error("%s", sagad_client_error(client));
			reply = NULL;
			break;
		}
		if (!sagad_reply_is_retriable(reply) || tries >= retries)
			break;
		ctl_sleep_ms(ctl_retry_ms(reply, tries));
		sagad_reply_free(reply);
		reply = NULL;
	}
	sagad_close(client);
	return reply;
}

const char *ctl_advice(const char *code)
{
	static const struct {
		const char *code, *advice;
	} table[] = {
		{"overloaded", "send fewer documents at once, or later"},
		{"shutting_down", "wait until the daemon is back"},
		{"not_ready", "see `sagactl stores`; a first start needs `sagactl init`"},
		{"forbidden", "use the administration socket, as its owner or root"},
		{"conflict", "read the document's state (`sagactl status ID`) and decide which version should win"},
		{"key_reused", "use a new idempotency key for new content"},
		{"deadline_exceeded", "nothing was kept: send it again, or raise deadline_ms"},
		{"store_unavailable", "nothing was kept: see `sagactl stores`, then send it again"},
		{"store_refused", "nothing was kept: correct the document"},
		{"store_misconfigured",
		 "see `sagactl stores`; `sagactl init` makes tables, collection and constraints"},
		{"in_doubt", "ask `sagactl status ID` when PostgreSQL is back, or send it again"},
		{"time_went_back", "PostgreSQL lost commits: see docs/operations.md before anything else"},
		{"journal_failed", "look at the daemon's log and its disk"},
		{"schema_mismatch", "drop what is there, or configure what it was made for"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].code, code) == 0)
			return table[i].advice;
	return "";
}

enum ctl_exit ctl_refused(const struct ctl *ctl, const struct sagad_reply *reply)
{
	const char *code = sagad_reply_code(reply), *id = sagad_reply_text(reply, "document_id");
	const char *store = sagad_reply_text(reply, "store"), *advice = ctl_advice(code);

	if (ctl->is_json) {
		puts(sagad_reply_line(reply));
		return CTL_REFUSED;
	}
	fprintf(stderr, "sagactl: %s", code[0] != '\0' ? code : "error");
	if (id != NULL) {
		fputs(": document '", stderr);
		ctl_print_clean(stderr, id);
		fputc('\'', stderr);
	}
	if (store != NULL)
		fprintf(stderr, ", store %s", store);
	fputs(": ", stderr);
	ctl_print_clean(stderr, sagad_reply_message(reply));
	fputc('\n', stderr);
	if (advice[0] != '\0')
		fprintf(stderr, "         what to do: %s\n", advice);
	return CTL_REFUSED;
}

/* ---- files and JSON ---- */

int ctl_read_file(const char *path, struct buf *out)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	size_t n;
	int rc = 0;

	if (file == NULL) {
		ctl_error("cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	do {
		if (buf_reserve(out, 65536) != 0)
			break;
		n = fread(out->at + out->len, 1, 65536, file);
		out->len += n;
	} while (n > 0);
	if (ferror(file) || out->failed) {
		ctl_error("cannot read %s: %s", path, out->failed ? "out of memory" : strerror(errno));
		rc = -1;
	}
	if (!is_stdin)
		(void)fclose(file); /* it was only read */
	return rc;
}

void ctl_add_raw(struct buf *json, const char *name, const char *value)
{
	buf_append_format(json, "%s\"%s\":%s", json->len > 1 ? "," : "", name, value);
}

void ctl_add_text(struct buf *json, const char *name, const char *text)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *val = yyjson_mut_str(doc, text);
	char *quoted = yyjson_mut_val_write(val, YYJSON_WRITE_NOFLAG, NULL);

	/* A text from the command line may be no UTF-8; then the daemon gets none and names the missing field. */
	if (quoted == NULL)
		ctl_error("%s is not valid UTF-8", name);
	ctl_add_raw(json, name, quoted != NULL ? quoted : "null");
	free(quoted);
	yyjson_mut_doc_free(doc);
}

void ctl_add_number(struct buf *json, const char *name, unsigned long long number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", number); /* 20 digits at most */
	ctl_add_raw(json, name, text);
}

unsigned long long ctl_parse_number(const struct argp_state *state, const char *option, const char *text,
				    unsigned long long min, unsigned long long max)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < min || number > max)
		argp_error(state, "--%s wants a whole number from %llu to %llu, not '%s'", option, min, max, text);
	return number;
}
