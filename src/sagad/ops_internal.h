/* Between the files of the operations endpoint only. */
#ifndef SAGAD_SAGAD_OPS_INTERNAL_H
#define SAGAD_SAGAD_OPS_INTERNAL_H

#include "base/buf.h"
#include "sagad/ops_view.h"

#include <stdbool.h>
#include <stdint.h>

/* Prometheus' text format. */
void ops_metrics_print(const struct ops_view *view, struct buf *out);

/* The same for programs that want what the page says. 0 or -ENOMEM. */
int ops_json_print(const struct ops_view *view, const struct window *window, struct buf *out) WARN_UNUSED;

/* ---- ops_page.c ---- */

/* The page's fixed parts, with the policy that lets just its own script and style run. */
struct ops_page {
	char csp[384];
};

void ops_page_init(struct ops_page *page);
void ops_page_print(const struct ops_view *view, const struct window *window, struct buf *out);

/* ---- ops_format.c: for people ---- */

#define FORMAT_BYTES 32

/* "340 µs", "12 ms", "1.4 s", "3 min 20 s", "2 d 4 h", with no-break spaces before the units; returns `text`. */
const char *format_ns(uint64_t ns, char text[FORMAT_BYTES]);

/* "512 B", "3.4 MiB". */
const char *format_bytes(uint64_t bytes, char text[FORMAT_BYTES]);

/* "1 234 567", with thin spaces between. */
const char *format_count(uint64_t count, char text[FORMAT_BYTES]);

/* "0.4", "12", "1 200". */
const char *format_rate(double rate, char text[FORMAT_BYTES]);

/* "2026-11-21 17:10:06 UTC", and for a machine "2026-11-21T17:10:06Z". */
const char *format_time(int64_t unix_ms, bool is_iso, char text[FORMAT_BYTES]);

/* Appends text with &, <, >, " and ' escaped and control characters replaced: fit between tags and in quoted
 * attributes. */
void format_html(struct buf *out, struct str text);

#endif
