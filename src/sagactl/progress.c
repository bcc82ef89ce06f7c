#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_EVERY_MS 100
#define PLAIN_EVERY_MS    5000
#define BAR_MAX           40

int64_t progress_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* can't fail with this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_init(struct progress *progress, uint64_t bytes_total, bool is_silent)
{
	*progress = (struct progress){.bytes_total = bytes_total, .is_silent = is_silent};
	progress->is_terminal = isatty(STDERR_FILENO) == 1;
	progress->begun_ms = progress_now_ms();
	progress->drawn_ms = progress->begun_ms;
}

double progress_seconds(const struct progress *progress)
{
	return (double)(progress_now_ms() - progress->begun_ms) / 1000.0;
}

static unsigned progress_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* "1:05 left", by the bytes that are done: documents differ in size. */
static void progress_left(const struct progress *progress, char *out, size_t out_bytes)
{
	double seconds = progress_seconds(progress);
	unsigned long left;

	out[0] = '\0';
	if (progress->bytes_total == 0 || progress->bytes_done == 0 || progress->bytes_done > progress->bytes_total)
		return;
	left = (unsigned long)(seconds * (double)(progress->bytes_total - progress->bytes_done) /
			       (double)progress->bytes_done);
	(void)snprintf(out, out_bytes, ", %lu:%02lu left", left / 60, left % 60); /* fits */
}

static void progress_bar(const struct progress *progress, unsigned width, char *out)
{
	unsigned full = (unsigned)((double)width * (double)progress->bytes_done / (double)progress->bytes_total);

	full = full < width ? full : width;
	out[0] = '[';
	memset(out + 1, '#', full);
	memset(out + 1 + full, '.', width - full);
	memcpy(out + 1 + width, "] ", 3);
}

static void progress_text(const struct progress *progress, char *out, size_t out_bytes)
{
	double seconds = progress_seconds(progress);
	char left[48];

	progress_left(progress, left, sizeof(left));
	(void)snprintf(out, out_bytes, "%llu documents, %.0f/s, %llu failed%s", (unsigned long long)progress->n_done,
		       seconds > 0 ? (double)progress->n_done / seconds : 0.0, (unsigned long long)progress->n_failed,
		       left); /* fits */
}

static void progress_draw(struct progress *progress)
{
	char text[160], bar[BAR_MAX + 4] = "";
	unsigned columns = progress_columns();

	progress_text(progress, text, sizeof(text));
	if (progress->bytes_total > 0 && strlen(text) + 15 < columns) {
		unsigned width = columns - (unsigned)strlen(text) - 5;

		progress_bar(progress, width < BAR_MAX ? width : BAR_MAX, bar);
	}
	fprintf(stderr, "\r\033[K%s%.*s", bar, (int)(columns - 1), text);
	fflush(stderr);
	progress->is_drawn = true;
}

void progress_show(struct progress *progress)
{
	int64_t now = progress_now_ms();
	char text[160];

	if (progress->is_silent ||
	    now - progress->drawn_ms < (progress->is_terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS))
		return;
	progress->drawn_ms = now;
	if (progress->is_terminal) {
		progress_draw(progress);
		return;
	}
	progress_text(progress, text, sizeof(text));
	fprintf(stderr, "%s\n", text);
}

void progress_clear(struct progress *progress)
{
	if (progress->is_drawn)
		fputs("\r\033[K", stderr);
	progress->is_drawn = false;
}
