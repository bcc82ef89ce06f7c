/* The status page: one HTML document, made whole on the server, so that it says everything without JavaScript. Its
 * small script asks for the page again and puts in the sections that changed; there is one renderer, and all escaping
 * is in it.
 *
 * From a client or a store come document ids and reasons only; they go through format_html(). */
#include "ops_internal.h"

#include "base/digest.h"
#include "core/saga.h"
#include "page_assets.h"

#include <inttypes.h>
#include <nettle/base64.h>
#include <stdio.h>

#define SPARK_WIDTH     180
#define SPARK_HEIGHT    36
#define DOCUMENTS_SHOWN 5 /* of one trouble */

/* ---- the policy ---- */

static void hash_print(struct buf *out, const char *of)
{
	char base64[BASE64_ENCODE_RAW_LENGTH(DIGEST_BYTES) + 1] = "";
	uint8_t hash[DIGEST_BYTES];
	struct digest digest;

	digest_init(&digest);
	digest_add_raw(&digest, of, strlen(of));
	digest_finish(&digest, hash);
	base64_encode_raw(base64, sizeof(hash), hash);
	buf_append_format(out, "'sha256-%s'", base64);
}

void ops_page_init(struct ops_page *page)
{
	struct buf csp = {0};

	buf_append_text(&csp, "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
			      "form-action 'none'; frame-ancestors 'none'; script-src ");
	hash_print(&csp, page_script);
	buf_append_text(&csp, "; style-src ");
	hash_print(&csp, page_style);
	/* Out of memory or too long: without a policy of its own the page is shown without script and style. */
	(void)snprintf(page->csp, sizeof(page->csp), "%s",
		       csp.failed || csp.len >= sizeof(page->csp) ? "default-src 'none'" : csp.at);
	buf_fini(&csp);
}

/* ---- pieces ---- */

static void put(struct buf *out, const char *html)
{
	buf_append_text(out, html);
}

static void put_text(struct buf *out, const char *text)
{
	format_html(out, str_of(text));
}

static void put_time(struct buf *out, int64_t unix_ms, int64_t now_unix_ms)
{
	char iso[FORMAT_BYTES], human[FORMAT_BYTES], ago[FORMAT_BYTES];
	int64_t past_ms = now_unix_ms - unix_ms;

	format_ns(past_ms < 1000 ? 0 : (uint64_t)(past_ms / 1000) * 1000000000u, ago);
	buf_append_format(out, "<time datetime=\"%s\" title=\"%s\">%s</time>", format_time(unix_ms, true, iso),
			  format_time(unix_ms, false, human), past_ms < 1000 ? "now" : ago);
	if (past_ms >= 1000)
		put(out, " ago");
}

/* A filled line of the last three minutes; its height is the busiest moment of them. */
static void put_spark(struct buf *out, const struct window *window)
{
	double rates[WINDOW_SAMPLES], top = 1;
	uint32_t n = window_rates(window, rates);
	uint32_t gap = WINDOW_SAMPLES - n;

	for (uint32_t i = 0; i < n; i++)
		top = rates[i] > top ? rates[i] : top;
	buf_append_format(out,
			  "<svg class=\"spark\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" role=\"img\" "
			  "aria-label=\"sagas per second over the last three minutes\"><path d=\"M%u,%d",
			  SPARK_WIDTH, SPARK_HEIGHT, gap * SPARK_WIDTH / WINDOW_SAMPLES, SPARK_HEIGHT);
	for (uint32_t i = 0; i < n; i++)
		buf_append_format(out, " L%u,%.1f", (gap + i + 1) * SPARK_WIDTH / WINDOW_SAMPLES,
				  SPARK_HEIGHT - 1 - rates[i] / top * (SPARK_HEIGHT - 3));
	buf_append_format(out, " L%d,%d Z\"/></svg>", SPARK_WIDTH, SPARK_HEIGHT);
}

/* ---- head and headline ---- */

static void page_head(struct buf *out)
{
	put(out,
	    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>sagad</title>"
	    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
	    "<meta name=\"color-scheme\" content=\"light dark\">"
	    "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"
	    "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 "
	    "16'%3E%3Ccircle cx='8' cy='8' r='6' fill='%232a9d63'/%3E%3C/svg%3E\"><style>");
	put(out, page_style);
	put(out, "</style></head>\n<body>\n");
}

static const char *headline(const struct ops_view *view, bool is_ready)
{
	switch (view->stats.phase) {
	case ENGINE_CLAIMING:
		return "Waiting for PostgreSQL";
	case ENGINE_RECOVERING:
		return "Recovering";
	case ENGINE_RUNNING:
		return is_ready ? "Taking documents" : "Not ready";
	case ENGINE_DRAINING:
		return "Stopping";
	case ENGINE_HALTED:
		return "Halted";
	}
	MUST(!"a phase that is none");
	return "";
}

/* The stores say themselves, below, why they are down. */
static void put_reasons(struct buf *out, const struct ops_view *view)
{
	const char *reason = ops_view_phase_reason(view), *between = "";

	if (reason != NULL) {
		put(out, "<p class=\"reasons\">");
		put_text(out, reason);
		put(out, "</p>");
	}
	for (uint32_t i = 0; i < view->n_stores; i++) {
		if (strcmp(ops_store_state(&view->stores[i]), "down") != 0)
			continue;
		put(out, between[0] == '\0' ? "<p class=\"reasons\">Down: " : between);
		put(out, view->stores[i].name);
		between = ", ";
	}
	if (between[0] != '\0')
		put(out, "</p>");
}

static void page_header(struct buf *out, const struct ops_view *view)
{
	char up[FORMAT_BYTES], now[FORMAT_BYTES];
	struct buf reasons = {0};
	bool is_ready = ops_view_is_ready(view, &reasons);
	bool is_parked = view->stats.n_parked > 0;
	const char *mood = !is_ready ? "bad" : is_parked ? "warn" : "good";

	buf_append_format(out, "<header id=\"top\" class=\"%s\"><div class=\"bar\"><h1>sagad</h1><p class=\"meta\">",
			  mood);
	put_text(out, view->config->daemon.instance);
	buf_append_format(out, " · %s · up %s · <span class=\"clock\">%s</span></p></div><p class=\"state\"><i></i>%s",
			  SAGAD_VERSION, format_ns(view->uptime_ms / 1000 * 1000000000u, up),
			  format_time(view->unix_ms, false, now), headline(view, is_ready));
	if (is_ready && is_parked)
		put(out, ", but something waits for you");
	put(out, "</p>");
	put_reasons(out, view);
	put(out, "</header>\n");
	buf_fini(&reasons);
}

/* ---- tiles ---- */

static void tile(struct buf *out, const char *mood, const char *label, const char *big, const char *unit)
{
	buf_append_format(
		out, "<div class=\"tile %s\"><h2>%s</h2><p class=\"big\">%s<small> %s</small></p><p class=\"sub\">",
		mood, label, big, unit);
}

static void tile_end(struct buf *out)
{
	put(out, "</p></div>");
}

static void tile_rate(struct buf *out, const struct window *window)
{
	char rate[FORMAT_BYTES];

	tile(out, "wide", "Throughput", format_rate(window_rate(window), rate), "sagas/s");
	put_spark(out, window);
	tile_end(out);
}

static void tile_latency(struct buf *out, const struct window_reading *minute)
{
	char p50[FORMAT_BYTES], p90[FORMAT_BYTES], p99[FORMAT_BYTES];
	const struct histogram *took = &minute->saga_ns;
	uint64_t ns = histogram_quantile(took, 0.9);

	if (took->n == 0) {
		tile(out, "", "Latency", "–", "");
		put(out, "no saga in the last minute");
	} else {
		tile(out, ns > 2000000000u ? "warn" : "", "Latency", format_ns(ns, p90), "p90");
		buf_append_format(out, "p50 %s · p99 %s", format_ns(histogram_quantile(took, 0.5), p50),
				  format_ns(histogram_quantile(took, 0.99), p99));
	}
	tile_end(out);
}

static void tile_success(struct buf *out, const struct window_reading *minute)
{
	char text[FORMAT_BYTES];
	uint64_t n = 0, n_failed = minute->n_outcomes[METER_FAILED], n_rejected = minute->n_outcomes[METER_REJECTED];
	double share;

	for (unsigned i = 0; i < METER_OUTCOMES; i++)
		n += minute->n_outcomes[i];
	share = n == n_rejected ? 100 : 100.0 * (double)(n - n_rejected - n_failed) / (double)(n - n_rejected);
	/* Rounded down: 100 % means all of them. */
	(void)snprintf(text, sizeof(text), share < 100 ? "%.1f" : "%.0f",
		       share < 100 ? (double)(int)(share * 10) / 10 : share);
	if (n == n_rejected)
		(void)snprintf(text, sizeof(text), "–");
	tile(out, share < 99.5 ? "bad" : "", "Success", text, n == n_rejected ? "" : "%");
	buf_append_format(out, "%" PRIu64 " failed · %" PRIu64 " rejected", n_failed, n_rejected);
	tile_end(out);
}

static void tile_flight(struct buf *out, const struct ops_view *view)
{
	char sagas[FORMAT_BYTES], bytes[FORMAT_BYTES], limit[FORMAT_BYTES];
	bool is_full = view->stats.n_sagas * 10 > view->config->limits.max_sagas * 9 ||
		       view->stats.bytes * 10 > view->config->limits.max_bytes * 9;

	tile(out, is_full ? "warn" : "", "In flight", format_count(view->stats.n_sagas, sagas), "sagas");
	buf_append_format(out, "%s of %s", format_bytes(view->stats.bytes, bytes),
			  format_bytes(view->config->limits.max_bytes, limit));
	tile_end(out);
}

static void tile_waiting(struct buf *out, const struct ops_view *view)
{
	uint64_t n_parked = view->stats.n_parked, n_owed = ops_view_owed(view);
	uint64_t n_doubt = view->stats.n_by_state[SAGA_IN_DOUBT];
	char text[FORMAT_BYTES];

	if (n_parked > 0) {
		tile(out, "bad", "For you", format_count(n_parked, text), "parked");
		put(out, "failed for too long; see below");
	} else {
		tile(out, n_doubt > 0 ? "warn" : "", "Behind the scenes", format_count(n_owed, text), "owed");
		if (n_doubt > 0)
			buf_append_format(out, "%" PRIu64 " commits in doubt", n_doubt);
		else
			put(out, "nothing waits for you");
	}
	tile_end(out);
}

/* ---- stores ---- */

static void cell(struct buf *out, const char *label, const char *text, const char *class)
{
	buf_append_format(out, "<td data-label=\"%s\" class=\"%s\">", label, class);
	put_text(out, text);
	put(out, "</td>");
}

static void cell_count(struct buf *out, const char *label, uint64_t n, const char *mood)
{
	char text[FORMAT_BYTES];

	cell(out, label, format_count(n, text), n == 0 ? "n zero" : mood);
}

static void store_row(struct buf *out, const struct ops_view *view, const struct ops_store *store,
		      const struct histogram *minute)
{
	const char *state = ops_store_state(store);
	char last[FORMAT_BYTES], p90[FORMAT_BYTES];

	buf_append_format(out,
			  "<tr class=\"%s\"><th scope=\"row\"><i></i><b>%s</b> <span class=\"word\">%s</span><small>",
			  state, store->name, state);
	put_text(out, store->status.endpoint);
	if (store->status.version[0] != '\0') {
		put(out, " · ");
		put_text(out, store->status.version);
	}
	put(out, "</small></th>");
	cell(out, "last", store->status.latency_ns > 0 ? format_ns(store->status.latency_ns, last) : "–", "n");
	cell(out, "p90", minute->n > 0 ? format_ns(histogram_quantile(minute, 0.9), p90) : "–", "n");
	cell_count(out, "waiting", store->n_waiting, "n");
	cell_count(out, "owed", store->n_owed, "n");
	cell_count(out, "parked", view->meter.stores[store->meter_index].n_parked, "n bad");
	put(out, "</tr>");
	if (!store->status.is_up && store->status.last_error.text[0] != '\0') {
		put(out, "<tr class=\"why\"><td colspan=\"6\">");
		put_text(out, store->status.last_error.text);
		put(out, "</td></tr>");
	}
}

static void page_stores(struct buf *out, const struct ops_view *view, const struct window_reading *minute)
{
	put(out,
	    "<section id=\"stores\"><h2>Stores</h2><table class=\"stores\"><thead><tr><th>Store</th><th "
	    "class=\"n\">Last "
	    "exchange</th><th class=\"n\">p90, last minute</th><th class=\"n\">Waiting</th><th class=\"n\">Owed</th>"
	    "<th class=\"n\">Parked</th></tr></thead><tbody>");
	for (uint32_t i = 0; i < view->n_stores; i++)
		store_row(out, view, &view->stores[i], &minute->stores_ns[view->stores[i].meter_index]);
	put(out, "</tbody></table></section>\n");
}

/* ---- outcomes and load ---- */

static void pair(struct buf *out, const char *label, const char *value, const char *note)
{
	buf_append_format(out, "<div><dt>%s</dt><dd><small>%s</small>%s</dd></div>", label, note, value);
}

static void page_outcomes(struct buf *out, const struct ops_view *view, const struct window_reading *minute)
{
	char total[FORMAT_BYTES], note[FORMAT_BYTES];

	put(out, "<section id=\"outcomes\"><h2>Outcomes <small>since the start</small></h2><dl>");
	for (unsigned i = 0; i < METER_OUTCOMES; i++) {
		uint64_t n = minute->n_outcomes[i];

		(void)snprintf(note, sizeof(note), "+%" PRIu64 "/min", n); /* fits */
		pair(out, meter_outcome_name((enum meter_outcome)i), format_count(view->meter.n_outcomes[i], total),
		     n > 0 ? note : "");
	}
	pair(out, "taken back", format_count(view->meter.n_compensations, total), "");
	put(out, "</dl></section>\n");
}

static void page_work(struct buf *out, const struct ops_view *view)
{
	char text[FORMAT_BYTES];

	put(out, "<section id=\"work\"><h2>Work <small>now</small></h2><dl>");
	for (enum saga_state state = SAGA_QUEUED; state <= SAGA_OWING; state++) {
		static const char *const words[] = {
			[SAGA_QUEUED] = "waiting for their turn",
			[SAGA_PREPARING] = "preparing",
			[SAGA_PROJECTING] = "writing",
			[SAGA_PIVOT_READY] = "ready to commit",
			[SAGA_PIVOTING] = "committing",
			[SAGA_IN_DOUBT] = "in doubt",
			[SAGA_OWING] = "publishing",
		};

		pair(out, words[state], format_count(view->stats.n_by_state[state], text), "");
	}
	pair(out, "accepted jobs", format_count(view->stats.n_jobs_accepted, text), "");
	pair(out, "background tasks", format_count(view->stats.n_errands, text), "");
	put(out, "</dl></section>\n");
}

static void page_daemon(struct buf *out, const struct ops_view *view)
{
	char text[FORMAT_BYTES];

	put(out, "<section id=\"daemon\"><h2>Daemon</h2><dl>");
	pair(out, "clients", format_count(view->jobs.n_clients, text), "");
	pair(out, "requests", format_count(view->lines.n_requests, text), "");
	pair(out, "refused", format_count(view->stats.n_refused + view->lines.n_faults, text), "");
	pair(out, "retries", format_count(view->stats.n_retries, text), "");
	pair(out, "journal commit, p99", format_ns(histogram_quantile(&view->journal.commit_ns, 0.99), text), "");
	pair(out, "journal", format_bytes(view->journal.n_bytes, text), "");
	pair(out, "memory", format_bytes(view->process.resident_bytes, text), "");
	pair(out, "owner epoch", format_count(view->stats.epoch, text), "");
	put(out, "</dl></section>\n");
}

/* ---- failures ---- */

/* The newest first. */
struct troubles {
	const struct meter_failure *at[METER_FAILURES];
	uint32_t n;
};

/* In an outage many documents fail for one reason; the page says it once. */
static bool is_same_trouble(const struct meter_failure *a, const struct meter_failure *b)
{
	return strcmp(a->code, b->code) == 0 && strcmp(a->store, b->store) == 0 &&
	       strcmp(a->reason.text, b->reason.text) == 0;
}

static bool is_shown_before(const struct troubles *troubles, uint32_t i)
{
	for (uint32_t j = 0; j < i; j++)
		if (is_same_trouble(troubles->at[j], troubles->at[i]))
			return true;
	return false;
}

/* Parked work is shown with its id, which `sagactl sagas show` asks for. */
static void put_document(struct buf *out, const struct meter_failure *failure)
{
	char id[UUID_TEXT_BYTES];

	put(out, "<span>");
	put_text(out, failure->document_id);
	if (!uuid_is_nil(&failure->saga)) {
		uuid_format(&failure->saga, id);
		buf_append_format(out, " <small>%s</small>", id);
	}
	put(out, "</span> ");
}

/* The documents of this trouble. */
static void put_documents(struct buf *out, const struct troubles *troubles, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t i = first; i < troubles->n; i++) {
		if (!is_same_trouble(troubles->at[first], troubles->at[i]))
			continue;
		n++;
		if (n > DOCUMENTS_SHOWN)
			continue;
		put_document(out, troubles->at[i]);
	}
	if (n > DOCUMENTS_SHOWN)
		buf_append_format(out, "<small>and %" PRIu32 " more</small>", n - DOCUMENTS_SHOWN);
}

static void trouble_row(struct buf *out, const struct ops_view *view, const struct troubles *troubles, uint32_t i)
{
	const struct meter_failure *failure = troubles->at[i];

	put(out, "<tr><td class=\"when\">");
	put_time(out, failure->unix_ms, view->unix_ms);
	put(out, "</td><td class=\"id\">");
	put_documents(out, troubles, i);
	put(out, "</td><td class=\"where\">");
	put_text(out, failure->store);
	buf_append_format(out, " <b>%s</b></td><td class=\"reason\">", failure->code);
	put_text(out, failure->reason.text);
	put(out, "</td></tr>");
}

static void trouble_table(struct buf *out, const struct ops_view *view, const struct troubles *troubles)
{
	put(out, "<table class=\"failures\"><thead><tr><th>When</th><th>Document</th><th>Store, "
		 "code</th><th>Reason</th></tr>"
		 "</thead><tbody>");
	for (uint32_t i = 0; i < troubles->n; i++)
		if (!is_shown_before(troubles, i))
			trouble_row(out, view, troubles, i);
	put(out, "</tbody></table>");
}

/* The section is there when it is empty, too: a script can only put in what has a place. */
static void page_parked(struct buf *out, const struct ops_view *view)
{
	struct troubles troubles = {.n = view->meter.n_parked_kept};

	buf_append_format(
		out,
		"<section id=\"parked\"%s><h2>Parked <small>tried rarely until the reason is gone; <code>sagactl "
		"sagas retry --all</code> tries now</small></h2>",
		troubles.n == 0 ? " hidden" : "");
	for (uint32_t i = 0; i < troubles.n; i++)
		troubles.at[i] = &view->meter.parked[i];
	if (troubles.n > 0)
		trouble_table(out, view, &troubles);
	put(out, "</section>\n");
}

static void page_failures(struct buf *out, const struct ops_view *view)
{
	struct troubles troubles = {.n = 0};

	while ((troubles.at[troubles.n] = meter_failure(&view->meter, troubles.n)) != NULL)
		if (++troubles.n == METER_FAILURES)
			break;
	put(out, "<section id=\"failures\"><h2>Last failures</h2>");
	if (troubles.n == 0)
		put(out, "<p class=\"calm\">None since the start.</p>");
	else
		trouble_table(out, view, &troubles);
	put(out, "</section>\n");
}

void ops_page_print(const struct ops_view *view, const struct window *window, struct buf *out)
{
	struct window_reading minute;

	window_last_minute(window, &view->meter, &minute);
	page_head(out);
	page_header(out, view);
	put(out, "<main>\n<section id=\"tiles\" class=\"tiles\">");
	tile_rate(out, window);
	tile_latency(out, &minute);
	tile_success(out, &minute);
	tile_flight(out, view);
	tile_waiting(out, view);
	put(out, "</section>\n");
	page_stores(out, view, &minute);
	page_parked(out, view);
	page_failures(out, view);
	put(out, "<div class=\"columns\">");
	page_outcomes(out, view, &minute);
	page_work(out, view);
	page_daemon(out, view);
	put(out,
	    "</div></main>\n<footer>Latency and success are of the last minute. <a href=\"/metrics\">metrics</a> · "
	    "<a href=\"/status.json\">status.json</a> · <a href=\"/readyz\">readyz</a> · <a "
	    "href=\"/healthz\">healthz</a></footer>\n<script>");
	put(out, page_script);
	put(out, "</script>\n</body></html>\n");
}
