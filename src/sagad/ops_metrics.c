/* /metrics in Prometheus' text format, version 0.0.4. Label values are names of this program's own; nothing that a
 * client sends becomes one, so the number of series is fixed. */
#include "ops_internal.h"

#include "core/saga.h"

#include <inttypes.h>

#define NS 1e-9 /* nanoseconds in the histograms, seconds outside */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_append_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(struct buf *out, const char *name, const char *labels, double number)
{
	buf_append_format(out, "%s%s %.17g\n", name, labels, number);
}

static void single(struct buf *out, const char *name, const char *type, const char *help, double number)
{
	head(out, name, type, help);
	value(out, name, "", number);
}

static void labelled(struct buf *out, const char *name, const char *key, const char *label, uint64_t number)
{
	buf_append_format(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, key, label, number);
}

/* `labels` is "" or `store="redis",` with its comma. */
static void histogram(struct buf *out, const char *name, const char *labels, const struct histogram *of, double scale)
{
	int n_labels = (int)strlen(labels);
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		n += of->counts[i];
		if (histogram_bound_is_coarse(i))
			buf_append_format(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels,
					  (double)histogram_bound(of, i) * scale, n);
	}
	buf_append_format(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, of->n);
	if (n_labels == 0)
		buf_append_format(out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", name, (double)of->sum * scale, name,
				  of->n);
	else
		buf_append_format(out, "%s_sum{%.*s} %.9g\n%s_count{%.*s} %" PRIu64 "\n", name, n_labels - 1, labels,
				  (double)of->sum * scale, name, n_labels - 1, labels, of->n);
}

/* ---- the daemon ---- */

static void daemon_metrics(struct buf *out, const struct ops_view *view)
{
	struct buf reasons = {0};

	head(out, "sagad_build_info", "gauge", "Constant 1; the label is the version.");
	labelled(out, "sagad_build_info", "version", SAGAD_VERSION, 1);
	single(out, "sagad_ready", "gauge", "1 when documents are taken and every store is there, as /readyz says.",
	       ops_view_is_ready(view, &reasons));
	buf_fini(&reasons);
	head(out, "sagad_phase", "gauge", "1 for the phase that the daemon is in.");
	for (unsigned phase = ENGINE_CLAIMING; phase <= ENGINE_HALTED; phase++)
		labelled(out, "sagad_phase", "phase", ops_phase_name((enum engine_phase)phase),
			 view->stats.phase == phase);
	single(out, "sagad_admission_blocked", "gauge",
	       "1 while no document is admitted because PostgreSQL lacks a commit that it had confirmed.",
	       view->stats.phase == ENGINE_RUNNING && view->stats.blocked != NULL);
	single(out, "sagad_owner_epoch", "gauge", "The epoch under which this daemon owns the database; 0 before.",
	       (double)view->stats.epoch);
	single(out, "sagad_drain_elapsed_seconds", "gauge", "How long the drain has lasted; 0 when there is none.",
	       (double)view->drain_ms / 1e3);
	single(out, "sagad_drain_timeout_seconds", "gauge", "daemon.drain_timeout.",
	       (double)view->config->daemon.drain_timeout_ms / 1e3);
}

/* ---- sagas ---- */

static void saga_metrics(struct buf *out, const struct ops_view *view)
{
	const struct meter *meter = &view->meter;

	head(out, "sagad_sagas_total", "counter",
	     "Answered sagas by outcome; rejected: the request's own fault, failed: everything else.");
	for (unsigned i = 0; i < METER_OUTCOMES; i++)
		labelled(out, "sagad_sagas_total", "outcome", meter_outcome_name((enum meter_outcome)i),
			 meter->n_outcomes[i]);
	head(out, "sagad_saga_failures_total", "counter", "Rejected and failed sagas by error code.");
	for (unsigned code = CODE_NONE + 1; code < CODE_COUNT; code++)
		labelled(out, "sagad_saga_failures_total", "code", code_name((enum code)code), meter->n_failures[code]);
	head(out, "sagad_refusals_total", "counter", "Requests that were refused before a saga began, by error code.");
	for (unsigned code = CODE_NONE + 1; code < CODE_COUNT; code++)
		labelled(out, "sagad_refusals_total", "reason", code_name((enum code)code),
			 meter->n_refusals[code] + view->lines.n_faults_by_code[code]);
	single(out, "sagad_compensations_total", "counter",
	       "Sagas that had reached a store and were taken back from it.", (double)meter->n_compensations);
	head(out, "sagad_saga_duration_seconds", "histogram", "From a saga's admission to its answer.");
	histogram(out, "sagad_saga_duration_seconds", "", &meter->saga_ns, NS);
}

static void state_metrics(struct buf *out, const struct ops_view *view)
{
	head(out, "sagad_saga_state_duration_seconds", "histogram",
	     "How long sagas were in a state that they have left.");
	for (enum saga_state state = SAGA_QUEUED; state <= SAGA_CLEANING; state++) {
		struct buf labels = {0};

		buf_append_format(&labels, "state=\"%s\",", saga_state_name(state));
		if (!labels.failed)
			histogram(out, "sagad_saga_state_duration_seconds", labels.at, &view->meter.state_ns[state],
				  NS);
		buf_fini(&labels);
	}
	head(out, "sagad_sagas", "gauge", "Sagas now, by state.");
	for (enum saga_state state = SAGA_QUEUED; state <= SAGA_CLEANING; state++)
		labelled(out, "sagad_sagas", "state", saga_state_name(state), view->stats.n_by_state[state]);
}

static void load_metrics(struct buf *out, const struct ops_view *view)
{
	single(out, "sagad_in_flight_sagas", "gauge", "Sagas admitted and not ended, accepted jobs included.",
	       (double)view->stats.n_sagas);
	single(out, "sagad_in_flight_sagas_limit", "gauge", "limits.max_sagas.",
	       (double)view->config->limits.max_sagas);
	single(out, "sagad_in_flight_bytes", "gauge", "Memory of the documents in flight.", (double)view->stats.bytes);
	single(out, "sagad_in_flight_bytes_limit", "gauge", "limits.max_bytes.",
	       (double)view->config->limits.max_bytes);
	single(out, "sagad_accepted_jobs", "gauge",
	       "Jobs in the journal that were answered as accepted and aren't done.",
	       (double)view->stats.n_jobs_accepted);
	single(out, "sagad_background_tasks", "gauge", "Removals, publications and debts in memory.",
	       (double)view->stats.n_errands);
	single(out, "sagad_background_tasks_limit", "gauge", "limits.max_errands.",
	       (double)view->config->limits.max_errands);
}

/* ---- stores ---- */

static const char *operation_name(const struct ops_store *store, unsigned operation)
{
	static const char *const truth[METER_OPERATIONS] = {
		[METER_READ] = "read", [METER_PIVOT] = "pivot", [METER_SETTLE] = "settle", [METER_PAY] = "pay"};
	static const char *const leg[METER_OPERATIONS] = {
		[LEG_APPLY] = "apply", [LEG_PUBLISH] = "publish", [LEG_REMOVE] = "remove"};

	return store->meter_index == METER_TRUTH_STORE ? truth[operation] : leg[operation];
}

static void store_histograms(struct buf *out, const struct ops_view *view)
{
	struct buf labels = {0};

	head(out, "sagad_store_request_duration_seconds", "histogram",
	     "Requests to a store, from sending to the answer.");
	for (uint32_t i = 0; i < view->n_stores; i++) {
		const struct ops_store *store = &view->stores[i];

		for (unsigned op = 0; op < METER_OPERATIONS && operation_name(store, op) != NULL; op++) {
			buf_clear(&labels);
			buf_append_format(&labels, "store=\"%s\",operation=\"%s\",", store->name,
					  operation_name(store, op));
			if (!labels.failed)
				histogram(out, "sagad_store_request_duration_seconds", labels.at,
					  &view->meter.stores[store->meter_index].latency_ns[op], NS);
		}
	}
	head(out, "sagad_store_batch_size", "histogram", "Sagas that share one request to a store.");
	for (uint32_t i = 0; i < view->n_stores; i++) {
		buf_clear(&labels);
		buf_append_format(&labels, "store=\"%s\",", view->stores[i].name);
		if (!labels.failed)
			histogram(out, "sagad_store_batch_size", labels.at,
				  &view->meter.stores[view->stores[i].meter_index].batch, 1);
	}
	buf_fini(&labels);
}

static void store_errors(struct buf *out, const struct ops_view *view)
{
	static const char *const classes[METER_VERDICTS] = {
		[VERDICT_TRANSIENT] = "transient",
		[VERDICT_OUTAGE] = "outage",
		[VERDICT_DOUBT] = "doubt",
		[VERDICT_PERMANENT] = "permanent",
		[VERDICT_MISCONFIGURED] = "misconfigured",
	};

	head(out, "sagad_store_errors_total", "counter", "Operations of sagas at a store that failed, by class.");
	for (uint32_t i = 0; i < view->n_stores; i++)
		for (unsigned verdict = VERDICT_OK + 1; verdict < METER_VERDICTS; verdict++)
			buf_append_format(out, "sagad_store_errors_total{store=\"%s\",class=\"%s\"} %" PRIu64 "\n",
					  view->stores[i].name, classes[verdict],
					  view->meter.stores[view->stores[i].meter_index].n_verdicts[verdict]);
}

static void store_numbers(struct buf *out, const struct ops_view *view, const char *name, const char *type,
			  const char *help,
			  uint64_t (*number)(const struct ops_view *view, const struct ops_store *store))
{
	head(out, name, type, help);
	for (uint32_t i = 0; i < view->n_stores; i++)
		labelled(out, name, "store", view->stores[i].name, number(view, &view->stores[i]));
}

static uint64_t store_up(const struct ops_view *view, const struct ops_store *store)
{
	(void)view;
	return store->status.is_up;
}

static uint64_t store_connections(const struct ops_view *view, const struct ops_store *store)
{
	(void)view;
	return store->status.n_connections;
}

static uint64_t store_waiting(const struct ops_view *view, const struct ops_store *store)
{
	(void)view;
	return store->n_waiting;
}

static uint64_t store_allowed(const struct ops_view *view, const struct ops_store *store)
{
	return view->meter.stores[store->meter_index].n_allowed;
}

static uint64_t store_owed(const struct ops_view *view, const struct ops_store *store)
{
	(void)view;
	return store->n_owed;
}

static uint64_t store_parked(const struct ops_view *view, const struct ops_store *store)
{
	return view->meter.stores[store->meter_index].n_parked;
}

static uint64_t store_retries(const struct ops_view *view, const struct ops_store *store)
{
	return view->meter.stores[store->meter_index].n_retries;
}

static void store_metrics(struct buf *out, const struct ops_view *view)
{
	store_numbers(out, view, "sagad_store_up", "gauge", "1 when the last exchange with the store succeeded.",
		      store_up);
	head(out, "sagad_store_last_exchange_seconds", "gauge", "How long the last exchange with the store took.");
	for (uint32_t i = 0; i < view->n_stores; i++)
		buf_append_format(out, "sagad_store_last_exchange_seconds{store=\"%s\"} %.9g\n", view->stores[i].name,
				  (double)view->stores[i].status.latency_ns * NS);
	store_numbers(out, view, "sagad_store_connections", "gauge", "Open connections to the store.",
		      store_connections);
	store_numbers(out, view, "sagad_store_waiting", "gauge", "Writes that wait for a request to the store.",
		      store_waiting);
	store_numbers(out, view, "sagad_store_requests_allowed", "gauge",
		      "Requests that may be out at once: found by trying, up to the store's `connections`.",
		      store_allowed);
	store_numbers(out, view, "sagad_store_owed", "gauge", "Background work that the store still owes.", store_owed);
	store_numbers(out, view, "sagad_store_parked", "gauge",
		      "Background work that failed for so long that it waits for an operator.", store_parked);
	store_numbers(out, view, "sagad_store_retries_total", "counter", "Operations that were tried again.",
		      store_retries);
	store_errors(out, view);
	store_histograms(out, view);
}

/* ---- journal, connections, process ---- */

static void journal_metrics(struct buf *out, const struct ops_view *view)
{
	const struct journal_stats *journal = &view->journal;

	head(out, "sagad_journal_commit_duration_seconds", "histogram",
	     "A transaction of the journal, from its begin to the end of its fsync.");
	histogram(out, "sagad_journal_commit_duration_seconds", "", &journal->commit_ns, NS);
	head(out, "sagad_journal_commit_records", "histogram", "Notes that became durable in one transaction.");
	histogram(out, "sagad_journal_commit_records", "", &journal->records, 1);
	single(out, "sagad_journal_waiting", "gauge", "Notes that are not durable yet.", (double)journal->n_waiting);
	single(out, "sagad_journal_size_bytes", "gauge", "The journal's file and its write-ahead log.",
	       (double)journal->n_bytes);
	single(out, "sagad_journal_failed", "gauge", "1 when the journal can't be written any more.",
	       journal->is_failed);
}

static void connection_metrics(struct buf *out, const struct ops_view *view)
{
	head(out, "sagad_connections", "gauge", "Clients now, by socket.");
	labelled(out, "sagad_connections", "socket", "jobs", view->jobs.n_clients);
	labelled(out, "sagad_connections", "socket", "admin", view->admin.n_clients);
	head(out, "sagad_connections_total", "counter", "Clients since the start, by socket.");
	labelled(out, "sagad_connections_total", "socket", "jobs", view->jobs.n_accepted);
	labelled(out, "sagad_connections_total", "socket", "admin", view->admin.n_accepted);
	head(out, "sagad_connections_ended_total", "counter",
	     "Clients that the daemon turned away or cut off, by reason.");
	labelled(out, "sagad_connections_ended_total", "reason", "forbidden",
		 view->jobs.n_forbidden + view->admin.n_forbidden);
	labelled(out, "sagad_connections_ended_total", "reason", "full",
		 view->jobs.n_turned_away + view->admin.n_turned_away);
	labelled(out, "sagad_connections_ended_total", "reason", "stalled",
		 view->jobs.n_dropped + view->admin.n_dropped);
	single(out, "sagad_requests_total", "counter", "Lines that were requests.", (double)view->lines.n_requests);
	single(out, "sagad_client_buffered_bytes", "gauge", "Unfinished lines of all clients.",
	       (double)(view->jobs.buffered_bytes + view->admin.buffered_bytes));
	single(out, "sagad_client_unsent_bytes", "gauge", "Answers that clients have not read yet.",
	       (double)(view->jobs.unsent_bytes + view->admin.unsent_bytes));
}

/* ---- sagas that clients wrote ---- */

static void step_call_metrics(struct buf *out, const struct flow_stats *flows)
{
	static const char *const kinds[] = {[CALL_DO] = "do", [CALL_UNDO] = "undo", [CALL_CHECK] = "check"};

	head(out, "sagad_step_calls_total", "counter", "Calls of steps, by store or service and kind.");
	for (uint32_t i = 0; i < flows->n_targets; i++)
		for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++)
			buf_append_format(out, "sagad_step_calls_total{target=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
					  flows->targets[i], kinds[kind], flows->n_calls[i][kind]);
	head(out, "sagad_step_failures_total", "counter", "Calls of steps that were not done, by store or service.");
	for (uint32_t i = 0; i < flows->n_targets; i++)
		labelled(out, "sagad_step_failures_total", "target", flows->targets[i], flows->n_failures[i]);
	head(out, "sagad_step_calls_waiting", "gauge", "Calls of steps that wait for a place.");
	for (uint32_t i = 0; i < flows->n_targets; i++)
		labelled(out, "sagad_step_calls_waiting", "target", flows->targets[i], flows->n_waiting[i]);
	head(out, "sagad_step_calls_out", "gauge", "Calls of steps that are out.");
	for (uint32_t i = 0; i < flows->n_targets; i++)
		labelled(out, "sagad_step_calls_out", "target", flows->targets[i], flows->n_out[i]);
}

static void step_metrics(struct buf *out, const struct flow_stats *flows)
{
	single(out, "sagad_step_sagas_open", "gauge", "Sagas that clients wrote and that have not ended.",
	       (double)flows->n_open);
	single(out, "sagad_step_sagas_compensating", "gauge", "Those of them that are being compensated.",
	       (double)flows->n_compensating);
	single(out, "sagad_step_sagas_parked", "gauge",
	       "Those of them with a step that has failed for so long that it is tried rarely.",
	       (double)flows->n_parked);
	single(out, "sagad_step_sagas_bytes", "gauge", "Memory of their texts and results.", (double)flows->bytes);
	head(out, "sagad_step_sagas_total", "counter", "Sagas that clients wrote, by outcome.");
	labelled(out, "sagad_step_sagas_total", "outcome", "committed", flows->n_committed);
	labelled(out, "sagad_step_sagas_total", "outcome", "compensated", flows->n_compensated);
	labelled(out, "sagad_step_sagas_total", "outcome", "refused", flows->n_refused);
	single(out, "sagad_steps_resolved_total", "counter", "Steps that an operator has declared settled.",
	       (double)flows->n_resolved);
	step_call_metrics(out, flows);
}

static void process_metrics(struct buf *out, const struct ops_process *process)
{
	single(out, "process_cpu_seconds_total", "counter", "User and system time.", process->cpu_s);
	single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)process->resident_bytes);
	single(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", (double)process->virtual_bytes);
	single(out, "process_open_fds", "gauge", "Open file descriptors.", (double)process->n_fds);
	single(out, "process_max_fds", "gauge", "The limit of open file descriptors.", (double)process->max_fds);
	single(out, "process_start_time_seconds", "gauge", "When the process started, Unix time.",
	       process->started_unix_s);
}

void ops_metrics_print(const struct ops_view *view, struct buf *out)
{
	daemon_metrics(out, view);
	saga_metrics(out, view);
	state_metrics(out, view);
	load_metrics(out, view);
	store_metrics(out, view);
	step_metrics(out, &view->flows);
	journal_metrics(out, view);
	connection_metrics(out, view);
	process_metrics(out, &view->process);
}
