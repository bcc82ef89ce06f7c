#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <yyjson.h>

/* ---- failures ---- */

/* A document that was not put goes, as it came, where it can be loaded from again. */
static void load_keep(struct load *load, const char *line, size_t len)
{
	if (load->failed == NULL && !load->is_failed_broken)
		load->failed = fopen(load->failed_path, "we");
	if (load->failed != NULL && fwrite(line, 1, len, load->failed) == len && fputc('\n', load->failed) != EOF)
		return;
	if (!load->is_failed_broken)
		ctl_error("cannot write %s: %s; failed documents are only counted from here on", load->failed_path,
			  strerror(errno));
	load->is_failed_broken = true;
}

static void load_free(struct load *load, struct load_slot *slot)
{
	load->progress.n_done++;
	load->progress.bytes_done += slot->len + 1;
	load->n_busy--;
	free(slot->line);
	*slot = (struct load_slot){0};
}

static void load_fail(struct load *load, struct load_slot *slot)
{
	load->progress.n_failed++;
	load_keep(load, slot->line, slot->len);
	load_free(load, slot);
}

static void load_report(struct load *load, const struct load_slot *slot, const struct sagad_reply *reply)
{
	const char *id = sagad_reply_text(reply, "document_id");

	if (load->args->ctl->is_json) {
		printf("{\"line\":%llu,\"answer\":%s}\n", (unsigned long long)slot->line_no, sagad_reply_line(reply));
		return;
	}
	progress_clear(&load->progress);
	fprintf(stderr, "line %llu", (unsigned long long)slot->line_no);
	if (id != NULL) {
		fputs(", document '", stderr);
		ctl_print_clean(stderr, id);
		fputc('\'', stderr);
	}
	fprintf(stderr, ": %s: ", sagad_reply_code(reply));
	ctl_print_clean(stderr, sagad_reply_message(reply));
	fputc('\n', stderr);
}

/* ---- the connection ---- */

/* A put that is sent twice does no harm: it replaces the whole document, or finds it unchanged. */
static void load_lost(struct load *load)
{
	for (unsigned i = 0; i < load->args->window; i++)
		load->slots[i].id = 0;
	sagad_close(load->client);
	load->client = NULL;
}

static int load_reconnect(struct load *load)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	int64_t until = progress_now_ms() + (int64_t)load->args->reconnect_s * 1000;
	char error[SAGAD_ERROR_BYTES];
	int rc;

	load_lost(load);
	do {
		rc = sagad_connect(load->args->ctl->socket_path, 1000, &load->client, error, sizeof(error));
		if (rc == 0)
			return 0;
		(void)nanosleep(&pause, NULL); /* a shorter pause does no harm */
		progress_show(&load->progress);
	} while (progress_now_ms() < until);
	progress_clear(&load->progress);
	ctl_error("%s", error);
	return rc;
}

static int load_connection_failed(struct load *load)
{
	struct sagad_reply *reply;

	progress_clear(&load->progress);
	/* A daemon that turns a client away says why before it closes. */
	if (sagad_wait_any(load->client, 0, &reply) == 0) {
		ctl_error("%s: %s", sagad_reply_code(reply), sagad_reply_message(reply));
		sagad_reply_free(reply);
	} else {
		ctl_error("%s", sagad_client_error(load->client));
	}
	return load_reconnect(load);
}

static void load_fail_unsent(struct load *load, struct load_slot *slot, const char *why, size_t pos)
{
	progress_clear(&load->progress);
	ctl_error("line %llu: not valid JSON at byte %zu: %s", (unsigned long long)slot->line_no, pos, why);
	load_fail(load, slot);
}

/* A line that is no JSON would spoil the request around it, and the daemon could not say whose answer its refusal is.
 * NaN and numbers of any size pass: the daemon names their place in the document. */
static int load_send(struct load *load, struct load_slot *slot)
{
	const yyjson_read_flag flags = YYJSON_READ_ALLOW_INF_AND_NAN | YYJSON_READ_BIGNUM_AS_RAW;
	yyjson_read_err error;
	yyjson_doc *doc = yyjson_read_opts(slot->line, slot->len, flags, NULL, &error);

	if (doc == NULL && error.code != YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
		load_fail_unsent(load, slot, error.msg, error.pos);
		return 0;
	}
	yyjson_doc_free(doc);
	return sagad_submit(load->client, "document.put", slot->line, slot->len, &slot->id);
}

/* ---- in ---- */

/* The next line that isn't blank; 0: there is none. */
static size_t load_read(struct load *load)
{
	ssize_t n;

	while (!load->is_at_end) {
		n = getline(&load->read_line, &load->read_size, load->in);
		if (n < 0) {
			load->is_at_end = true;
			load->is_read_failed = ferror(load->in) != 0;
			if (load->is_read_failed)
				ctl_error("cannot read %s after line %llu: %s", load->args->path,
					  (unsigned long long)load->line_no, strerror(errno));
			return 0;
		}
		load->line_no++;
		while (n > 0 && strchr("\r\n \t", load->read_line[n - 1]) != NULL && load->read_line[n - 1] != '\0')
			n--;
		if (n > 0)
			return (size_t)n;
	}
	return 0;
}

static int load_fill_slot(struct load *load, struct load_slot *slot)
{
	size_t len = load_read(load);
	char *line;

	if (len == 0)
		return 0;
	line = malloc(len);
	if (line == NULL) {
		ctl_error("out of memory for line %llu", (unsigned long long)load->line_no);
		load->is_at_end = true;
		load->is_read_failed = true;
		return -ENOMEM;
	}
	memcpy(line, load->read_line, len);
	*slot = (struct load_slot){.line = line, .len = len, .line_no = load->line_no};
	load->n_busy++;
	return 0;
}

/* Fills free slots and sends all that may be sent. 0, or the connection's error. */
static int load_send_due(struct load *load)
{
	int64_t now = progress_now_ms();
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < load->args->window; i++) {
		struct load_slot *slot = &load->slots[i];

		if (slot->line == NULL && !load->is_at_end)
			(void)load_fill_slot(load, slot); /* without memory the input ends here */
		if (slot->line != NULL && slot->id == 0 && slot->retry_at_ms <= now)
			rc = load_send(load, slot);
	}
	return rc;
}

/* ---- out ---- */

static struct load_slot *load_find(struct load *load, uint64_t id)
{
	for (unsigned i = 0; i < load->args->window; i++)
		if (load->slots[i].line != NULL && load->slots[i].id == id)
			return &load->slots[i];
	return NULL;
}

static void load_answer(struct load *load, const struct sagad_reply *reply)
{
	struct load_slot *slot = load_find(load, sagad_reply_id(reply));

	if (slot == NULL)
		return;
	if (!sagad_reply_is_error(reply)) {
		load_free(load, slot);
	} else if (sagad_reply_is_retriable(reply) && slot->tries < load->args->retries) {
		slot->retry_at_ms = progress_now_ms() + ctl_retry_ms(reply, slot->tries);
		slot->tries++;
		slot->id = 0;
		load->n_retries++;
	} else {
		load_report(load, slot, reply);
		load_fail(load, slot);
	}
}

/* An answer to no request of ours: a line that was too long for the daemon is the largest one that is out. */
static void load_answer_to_none(struct load *load, const struct sagad_reply *reply)
{
	struct load_slot *largest = NULL;

	for (unsigned i = 0; i < load->args->window; i++)
		if (load->slots[i].id != 0 && (largest == NULL || load->slots[i].len > largest->len))
			largest = &load->slots[i];
	if (strcmp(sagad_reply_code(reply), "line_too_long") == 0 && largest != NULL) {
		load_report(load, largest, reply);
		load_fail(load, largest);
		return;
	}
	progress_clear(&load->progress);
	ctl_error("%s: %s", sagad_reply_code(reply), sagad_reply_message(reply));
}

/* Until when an answer may be waited for: the bar must go on, and retries become due. */
static int load_wait_ms(const struct load *load)
{
	int64_t now = progress_now_ms(), wait = 200;

	for (unsigned i = 0; i < load->args->window; i++) {
		const struct load_slot *slot = &load->slots[i];

		if (slot->line != NULL && slot->id == 0 && slot->retry_at_ms - now < wait)
			wait = slot->retry_at_ms - now;
	}
	return wait > 0 ? (int)wait : 0;
}

/* Takes the answers that are there, after waiting for the first. 0, or the connection's error. */
static int load_receive(struct load *load)
{
	int wait_ms = load_wait_ms(load), rc;
	struct sagad_reply *reply;

	while ((rc = sagad_wait_any(load->client, wait_ms, &reply)) == 0) {
		if (sagad_reply_id(reply) != 0)
			load_answer(load, reply);
		else
			load_answer_to_none(load, reply);
		sagad_reply_free(reply);
		wait_ms = 0;
	}
	if (rc == -ENOENT && wait_ms > 0) {
		const struct timespec pause = {.tv_nsec = (long)wait_ms * 1000000};

		(void)nanosleep(&pause, NULL); /* only retries are left; a shorter pause does no harm */
	}
	return rc == -ETIMEDOUT || rc == -ENOENT ? 0 : rc;
}

/* ---- the whole ---- */

/* The daemon is gone for good: what was not answered and what was not read yet can be loaded again. */
static void load_give_up(struct load *load)
{
	size_t len;

	for (unsigned i = 0; i < load->args->window; i++)
		if (load->slots[i].line != NULL)
			load_fail(load, &load->slots[i]);
	while ((len = load_read(load)) > 0) {
		load->progress.n_done++;
		load->progress.n_failed++;
		load_keep(load, load->read_line, len);
	}
}

static enum ctl_exit load_loop(struct load *load)
{
	int rc;

	do {
		rc = load_send_due(load);
		if (rc == 0 && load->n_busy > 0)
			rc = load_receive(load);
		if (rc != 0)
			rc = load_connection_failed(load);
		progress_show(&load->progress);
	} while (rc == 0 && (load->n_busy > 0 || !load->is_at_end));
	if (rc == 0)
		return load->progress.n_failed > 0 ? CTL_SOME_FAILED : CTL_OK;
	load_give_up(load);
	return CTL_UNREACHABLE;
}

static void load_print_summary(struct load *load)
{
	const struct progress *progress = &load->progress;
	unsigned long long n_good = progress->n_done - progress->n_failed, n_failed = progress->n_failed;
	double seconds = progress_seconds(progress);
	double rate = seconds > 0 ? (double)n_good / seconds : 0;

	progress_clear(&load->progress);
	if (load->args->ctl->is_json) {
		struct buf path = {0};

		buf_append_text(&path, "{");
		ctl_add_text(&path, "failed_file", n_failed > 0 ? load->failed_path : "");
		printf("%.*s,\"documents\":%llu,\"failed\":%llu,\"retries\":%llu,\"seconds\":%.3f,\"per_second\":%.1f}"
		       "\n",
		       (int)path.len, path.at != NULL ? path.at : "", n_good, n_failed,
		       (unsigned long long)load->n_retries, seconds, rate);
		buf_fini(&path);
		return;
	}
	printf("%s%llu documents%s in all stores, %.1f s, %.0f/s", ctl_green(), n_good, ctl_plain(), seconds, rate);
	if (load->n_retries > 0)
		printf(", %llu retries", (unsigned long long)load->n_retries);
	putchar('\n');
	if (n_failed > 0)
		printf("%s%llu failed%s and left nothing behind, or their outcome is not known; to try them again:\n"
		       "  sagactl load %s\n",
		       ctl_red(), n_failed, ctl_plain(), load->failed_path);
}

static int load_open(struct load *load)
{
	bool is_stdin = strcmp(load->args->path, "-") == 0;
	struct stat found;
	uint64_t total = 0;

	load->in = is_stdin ? stdin : fopen(load->args->path, "re");
	if (load->in == NULL) {
		ctl_error("cannot open %s: %s", load->args->path, strerror(errno));
		return -1;
	}
	if (fstat(fileno(load->in), &found) == 0 && S_ISREG(found.st_mode))
		total = (uint64_t)found.st_size;
	if (load->args->failed_path != NULL)
		(void)snprintf(load->failed_path, sizeof(load->failed_path), "%s", load->args->failed_path);
	else
		(void)snprintf(load->failed_path, sizeof(load->failed_path), "%s.failed.jsonl",
			       is_stdin ? "stdin" : load->args->path); /* PATH_MAX cuts such names anyway */
	progress_init(&load->progress, total, load->args->ctl->is_json);
	return 0;
}

static enum ctl_exit load_fini(struct load *load, enum ctl_exit how)
{
	if (load->failed != NULL && fclose(load->failed) != 0)
		load->is_failed_broken = true;
	if (load->in != NULL && load->in != stdin)
		(void)fclose(load->in); /* it was only read */
	sagad_close(load->client);
	free(load->read_line);
	free(load->slots);
	return how != CTL_UNREACHABLE && (load->is_failed_broken || load->is_read_failed) ? CTL_USAGE : how;
}

enum ctl_exit load_run(const struct load_args *args)
{
	struct load load = {.args = args};
	enum ctl_exit how = CTL_USAGE;

	load.slots = calloc(args->window, sizeof(*load.slots));
	if (load.slots == NULL || load_open(&load) != 0)
		return load_fini(&load, CTL_USAGE);
	load.client = ctl_connect(args->ctl, false);
	if (load.client == NULL)
		return load_fini(&load, CTL_UNREACHABLE);
	how = load_loop(&load);
	load_print_summary(&load);
	return load_fini(&load, how);
}
