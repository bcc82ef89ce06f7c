#include "ops_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define US     UINT64_C(1000)
#define MS     (1000 * US)
#define S      (1000 * MS)
#define MINUTE (60 * S)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* Two units: the second is dropped when it is zero. */
static void pair(char text[FORMAT_BYTES], uint64_t ns, uint64_t big, const char *big_name, uint64_t small,
		 const char *small_name)
{
	uint64_t rest = ns % big / small;

	if (rest == 0)
		(void)snprintf(text, FORMAT_BYTES, "%" PRIu64 "\u00a0%s", ns / big, big_name); /* all of these fit */
	else
		(void)snprintf(text, FORMAT_BYTES, "%" PRIu64 "\u00a0%s %" PRIu64 "\u00a0%s", ns / big, big_name, rest,
			       small_name);
}

const char *format_ns(uint64_t ns, char text[FORMAT_BYTES])
{
	double value = (double)ns;

	if (ns < MS)
		(void)snprintf(text, FORMAT_BYTES, "%.0f\u00a0µs", value / US);
	else if (ns < 10 * MS)
		(void)snprintf(text, FORMAT_BYTES, "%.1f\u00a0ms", value / MS);
	else if (ns < S)
		(void)snprintf(text, FORMAT_BYTES, "%.0f\u00a0ms", value / MS);
	else if (ns < 10 * S)
		(void)snprintf(text, FORMAT_BYTES, "%.1f\u00a0s", value / S);
	else if (ns < MINUTE)
		(void)snprintf(text, FORMAT_BYTES, "%.0f\u00a0s", value / S);
	else if (ns < HOUR)
		pair(text, ns, MINUTE, "min", S, "s");
	else if (ns < DAY)
		pair(text, ns, HOUR, "h", MINUTE, "min");
	else
		pair(text, ns, DAY, "d", HOUR, "h");
	return text;
}

const char *format_bytes(uint64_t bytes, char text[FORMAT_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(text, FORMAT_BYTES, unit > 0 && value < 10 ? "%.1f\u00a0%s" : "%.0f\u00a0%s", value,
		       units[unit]);
	return text;
}

const char *format_count(uint64_t count, char text[FORMAT_BYTES])
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	struct buf grouped = {0};

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			buf_append_text(&grouped, "\u202f"); /* narrow no-break space: 3 bytes, at most 6 of them */
		buf_append(&grouped, &digits[i], 1);
	}
	(void)snprintf(text, FORMAT_BYTES, "%s", grouped.failed || grouped.len >= FORMAT_BYTES ? digits : grouped.at);
	buf_fini(&grouped);
	return text;
}

const char *format_rate(double rate, char text[FORMAT_BYTES])
{
	if (rate >= 100)
		return format_count((uint64_t)(rate + 0.5), text);
	if (rate == 0)
		(void)snprintf(text, FORMAT_BYTES, "0");
	else
		(void)snprintf(text, FORMAT_BYTES, rate >= 10 ? "%.0f" : "%.1f", rate);
	return text;
}

const char *format_time(int64_t unix_ms, bool is_iso, char text[FORMAT_BYTES])
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL ||
	    strftime(text, FORMAT_BYTES, is_iso ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d %H:%M:%S UTC", &utc) == 0)
		(void)snprintf(text, FORMAT_BYTES, "?");
	return text;
}

void format_html(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		switch (c) {
		case '&':
			buf_append_text(out, "&amp;");
			break;
		case '<':
			buf_append_text(out, "&lt;");
			break;
		case '>':
			buf_append_text(out, "&gt;");
			break;
		case '"':
			buf_append_text(out, "&quot;");
			break;
		case '\'':
			buf_append_text(out, "&#39;");
			break;
		default:
			buf_append(out, c < 0x20 || c == 0x7f ? "?" : (const char *)&text.at[i], 1);
		}
	}
}
