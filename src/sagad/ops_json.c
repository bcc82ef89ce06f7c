/* /status.json: what the page says, for programs. Fields are only ever added. */
#include "ops_internal.h"

#include "core/saga.h"

#include <errno.h>
#include <stdlib.h>
#include <yyjson.h>

struct json {
	yyjson_mut_doc *doc;
};

static double ms_of(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* Out of memory: the value is missing here, and the printing fails in the end. */
static yyjson_mut_val *object(struct json *json, yyjson_mut_val *in, const char *key)
{
	yyjson_mut_val *made = yyjson_mut_obj(json->doc);

	(void)yyjson_mut_obj_add_val(json->doc, in, key, made);
	return made;
}

static yyjson_mut_val *array(struct json *json, yyjson_mut_val *in, const char *key)
{
	yyjson_mut_val *made = yyjson_mut_arr(json->doc);

	(void)yyjson_mut_obj_add_val(json->doc, in, key, made);
	return made;
}

static void number(struct json *json, yyjson_mut_val *in, const char *key, uint64_t value)
{
	(void)yyjson_mut_obj_add_uint(json->doc, in, key, value);
}

static void text(struct json *json, yyjson_mut_val *in, const char *key, const char *value)
{
	(void)yyjson_mut_obj_add_strcpy(json->doc, in, key, value);
}

static void quantiles(struct json *json, yyjson_mut_val *in, const struct histogram *of)
{
	yyjson_mut_val *made = object(json, in, "last_minute_ms");

	number(json, made, "n", of->n);
	(void)yyjson_mut_obj_add_real(json->doc, made, "p50", ms_of(histogram_quantile(of, 0.5)));
	(void)yyjson_mut_obj_add_real(json->doc, made, "p90", ms_of(histogram_quantile(of, 0.9)));
	(void)yyjson_mut_obj_add_real(json->doc, made, "p99", ms_of(histogram_quantile(of, 0.99)));
}

static void add_daemon(struct json *json, yyjson_mut_val *root, const struct ops_view *view)
{
	struct buf reasons = {0};
	bool is_ready = ops_view_is_ready(view, &reasons);
	yyjson_mut_val *list;

	text(json, root, "version", SAGAD_VERSION);
	text(json, root, "instance", view->config->daemon.instance);
	(void)yyjson_mut_obj_add_sint(json->doc, root, "unix_ms", view->unix_ms);
	number(json, root, "uptime_ms", view->uptime_ms);
	text(json, root, "phase", ops_phase_name(view->stats.phase));
	(void)yyjson_mut_obj_add_bool(json->doc, root, "is_ready", is_ready);
	list = array(json, root, "reasons");
	for (char *at = reasons.at; at != NULL && *at != '\0';) {
		size_t n = strcspn(at, "\n");

		(void)yyjson_mut_arr_add_strncpy(json->doc, list, at, n);
		at += n + (at[n] == '\n');
	}
	buf_fini(&reasons);
}

static void add_sagas(struct json *json, yyjson_mut_val *root, const struct ops_view *view, const struct window *window,
		      const struct window_reading *minute)
{
	yyjson_mut_val *sagas = object(json, root, "sagas");
	yyjson_mut_val *total = object(json, sagas, "total"), *last = object(json, sagas, "last_minute");
	yyjson_mut_val *states = object(json, sagas, "by_state");

	(void)yyjson_mut_obj_add_real(json->doc, sagas, "per_second", window_rate(window));
	for (unsigned i = 0; i < METER_OUTCOMES; i++) {
		const char *name = meter_outcome_name((enum meter_outcome)i);

		number(json, total, name, view->meter.n_outcomes[i]);
		number(json, last, name, minute->n_outcomes[i]);
	}
	for (enum saga_state state = SAGA_QUEUED; state <= SAGA_CLEANING; state++)
		number(json, states, saga_state_name(state), view->stats.n_by_state[state]);
	quantiles(json, sagas, &minute->saga_ns);
	number(json, sagas, "in_flight", view->stats.n_sagas);
	number(json, sagas, "in_flight_bytes", view->stats.bytes);
	number(json, sagas, "accepted_jobs", view->stats.n_jobs_accepted);
	number(json, sagas, "background_tasks", view->stats.n_errands);
	number(json, sagas, "owed", ops_view_owed(view));
	number(json, sagas, "parked", view->stats.n_parked);
	number(json, sagas, "compensations", view->meter.n_compensations);
}

static void add_stores(struct json *json, yyjson_mut_val *root, const struct ops_view *view,
		       const struct window_reading *minute)
{
	yyjson_mut_val *list = array(json, root, "stores");

	for (uint32_t i = 0; i < view->n_stores; i++) {
		const struct ops_store *store = &view->stores[i];
		yyjson_mut_val *made = yyjson_mut_arr_add_obj(json->doc, list);

		text(json, made, "name", store->name);
		text(json, made, "state", ops_store_state(store));
		text(json, made, "version", store->status.version);
		text(json, made, "endpoint", store->status.endpoint);
		(void)yyjson_mut_obj_add_real(json->doc, made, "last_exchange_ms", ms_of(store->status.latency_ns));
		quantiles(json, made, &minute->stores_ns[store->meter_index]);
		number(json, made, "connections", store->status.n_connections);
		number(json, made, "waiting", store->n_waiting);
		number(json, made, "owed", store->n_owed);
		number(json, made, "parked", view->meter.stores[store->meter_index].n_parked);
		number(json, made, "retries", view->meter.stores[store->meter_index].n_retries);
		text(json, made, "last_error", store->status.last_error.text);
	}
}

static void add_failure(struct json *json, yyjson_mut_val *list, const struct meter_failure *failure)
{
	yyjson_mut_val *made = yyjson_mut_arr_add_obj(json->doc, list);

	(void)yyjson_mut_obj_add_sint(json->doc, made, "unix_ms", failure->unix_ms);
	text(json, made, "document_id", failure->document_id);
	text(json, made, "store", failure->store);
	text(json, made, "code", failure->code);
	text(json, made, "reason", failure->reason.text);
}

static void add_failures(struct json *json, yyjson_mut_val *root, const struct ops_view *view)
{
	yyjson_mut_val *parked = array(json, root, "parked"), *failures = array(json, root, "failures");
	const struct meter_failure *failure;

	for (uint32_t i = 0; i < view->meter.n_parked_kept; i++)
		add_failure(json, parked, &view->meter.parked[i]);
	for (uint32_t i = 0; (failure = meter_failure(&view->meter, i)) != NULL; i++)
		add_failure(json, failures, failure);
}

int ops_json_print(const struct ops_view *view, const struct window *window, struct buf *out)
{
	struct json json = {.doc = yyjson_mut_doc_new(NULL)};
	struct window_reading minute;
	yyjson_mut_val *root;
	size_t len;
	char *printed;

	if (json.doc == NULL)
		return -ENOMEM;
	root = yyjson_mut_obj(json.doc);
	yyjson_mut_doc_set_root(json.doc, root);
	window_last_minute(window, &view->meter, &minute);
	add_daemon(&json, root, view);
	add_sagas(&json, root, view, window, &minute);
	add_stores(&json, root, view, &minute);
	add_failures(&json, root, view);
	/* A store's error may hold bytes that are no UTF-8. */
	printed = yyjson_mut_write(json.doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
	yyjson_mut_doc_free(json.doc);
	if (printed == NULL)
		return -ENOMEM;
	buf_append(out, printed, len);
	buf_append_text(out, "\n");
	free(printed);
	return out->failed ? -ENOMEM : 0;
}
