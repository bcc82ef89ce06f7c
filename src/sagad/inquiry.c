/* store.list and store.init: questions to the stores themselves, outside of the engine. */
#include "dispatch_internal.h"

#include "sagad/settings.h"
#include "sagad/survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INQUIRIES_MAX   4    /* at once; PostgreSQL's adapter has 16 places for all of its side work */
#define LIST_TIMEOUT_MS 2000 /* then the list shows what is known */
#define ROWS_MAX        (SURVEY_MAX + 1)

/* A survey on behalf of a client. It lives until the survey is done and its timer is closed, answered or not. */
struct inquiry {
	struct list node; /* in dispatch->inquiries */
	struct dispatch *dispatch;
	struct caller caller;
	struct survey survey;
	uv_timer_t timer;
	bool is_init;
	bool is_surveyed;
	bool is_timer_closed;
};

/* Rows for an answer, and the texts in them. */
struct rows {
	struct reply_store at[ROWS_MAX];
	struct store_status status[SURVEY_MAX];
	uint32_t n;
};

/* ---- life ---- */

static void inquiry_release(struct inquiry *inquiry)
{
	if (!inquiry->is_surveyed || !inquiry->is_timer_closed)
		return;
	inquiry->dispatch->n_inquiries--;
	if (inquiry->is_init)
		inquiry->dispatch->is_init_out = false;
	list_remove(&inquiry->node);
	free(inquiry);
}

static void inquiry_timer_closed(uv_handle_t *handle)
{
	struct inquiry *inquiry = container_of((uv_timer_t *)handle, struct inquiry, timer);

	inquiry->is_timer_closed = true;
	inquiry_release(inquiry);
}

static void inquiry_close_timer(struct inquiry *inquiry)
{
	if (!uv_is_closing((uv_handle_t *)&inquiry->timer))
		uv_close((uv_handle_t *)&inquiry->timer, inquiry_timer_closed);
}

/* The caller's answer when no survey can be started. */
static void inquiry_refuse(struct peer *peer, struct request *request, enum code code, const char *message)
{
	struct caller caller;

	caller_init(&caller, peer, request);
	caller_answer_error(&caller, code, message);
	request_destroy(request);
}

/* Takes the request unless it returns NULL, when it has answered it. */
static struct inquiry *inquiry_create(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct inquiry *inquiry;

	if (dispatch->n_inquiries == INQUIRIES_MAX) {
		inquiry_refuse(peer, request, CODE_OVERLOADED,
			       "four other questions to the stores are still open: ask again in a moment");
		return NULL;
	}
	inquiry = calloc(1, sizeof(*inquiry));
	if (inquiry == NULL) {
		inquiry_refuse(peer, request, CODE_INTERNAL, "out of memory; nothing was done");
		return NULL;
	}
	inquiry->dispatch = dispatch;
	MUST(uv_timer_init(dispatch->loop, &inquiry->timer) == 0);
	caller_init(&inquiry->caller, peer, request);
	list_append(&dispatch->inquiries, &inquiry->node);
	dispatch->n_inquiries++;
	return inquiry;
}

void inquiry_abandon_all(struct dispatch *dispatch)
{
	struct list *it, *tmp;

	list_each (it, tmp, &dispatch->inquiries) {
		struct inquiry *inquiry = container_of(it, struct inquiry, node);

		caller_answer_error(&inquiry->caller, CODE_SHUTTING_DOWN,
				    "the daemon is stopping; what store.init had begun can be repeated");
		inquiry_close_timer(inquiry);
	}
}

/* ---- rows ---- */

static const char *state_word(const struct survey_item *item, const struct store_status *status)
{
	if (item->is_done)
		return item->req.verdict == VERDICT_OK ? "up" : "down";
	return !status->was_tried ? "unknown" : status->is_up ? "up" : "down";
}

static const char *error_text(const struct survey_item *item, const struct store_status *status)
{
	if (!item->is_done)
		return status->last_error.text[0] != '\0' ? status->last_error.text : "no answer yet";
	return item->req.verdict == VERDICT_OK ? "" : item->req.err.text;
}

static void rows_add(struct rows *rows, const struct survey *survey, uint32_t index)
{
	const struct survey_item *item = &survey->items[index];
	struct store_status *status = &rows->status[index];

	survey_status(survey, index, status);
	rows->at[rows->n++] = (struct reply_store){
		.name = item->name,
		.state = state_word(item, status),
		.endpoint = status->endpoint,
		.version = status->version,
		.latency_ms = status->latency_ns > 0 ? (double)status->latency_ns / NS_PER_MS : -1.0,
		.n_connections = status->n_connections,
		.error = error_text(item, status),
		.report = "",
	};
}

static void rows_add_journal(struct rows *rows, const struct dispatch *dispatch, const struct engine_stats *stats)
{
	rows->at[rows->n++] = (struct reply_store){
		.name = "journal",
		.state = stats->phase == ENGINE_HALTED ? "down" : "up",
		.endpoint = dispatch->config->daemon.journal,
		.version = "",
		.latency_ms = -1.0,
		.n_owed = stats->n_jobs_accepted,
		.error = "",
		.report = "",
	};
}

static void rows_collect(struct rows *rows, const struct dispatch *dispatch, const struct survey *survey)
{
	struct engine_stats stats;

	rows->n = 0;
	engine_stats(dispatch->engine, &stats);
	for (uint32_t i = 0; i < survey->n_items; i++) {
		rows_add(rows, survey, i);
		if (i > 0) {
			rows->at[i].n_waiting = (uint32_t)stats.n_waiting[i - 1];
			rows->at[i].n_owed = stats.n_owed[i - 1];
		}
	}
	rows_add_journal(rows, dispatch, &stats);
}

/* ---- store.list ---- */

static void list_answer(struct inquiry *inquiry)
{
	struct rows rows;
	struct buf answer = {0};

	rows_collect(&rows, inquiry->dispatch, &inquiry->survey);
	reply_stores(&answer, inquiry->caller.id_json, rows.at, rows.n, CODE_NONE);
	caller_answer(&inquiry->caller, &answer);
}

static void list_timed_out(uv_timer_t *timer)
{
	struct inquiry *inquiry = container_of(timer, struct inquiry, timer);

	list_answer(inquiry);
	inquiry_close_timer(inquiry);
}

static void list_surveyed(struct survey *survey)
{
	struct inquiry *inquiry = container_of(survey, struct inquiry, survey);

	if (inquiry->caller.peer != NULL)
		list_answer(inquiry);
	inquiry->is_surveyed = true;
	inquiry_close_timer(inquiry);
	inquiry_release(inquiry);
}

void inquiry_list(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct inquiry *inquiry = inquiry_create(dispatch, peer, request);

	if (inquiry == NULL)
		return;
	request_destroy(request);
	MUST(uv_timer_start(&inquiry->timer, list_timed_out, LIST_TIMEOUT_MS, 0) == 0);
	survey_start(&inquiry->survey, dispatch->ports, SURVEY_PING, NULL, false, list_surveyed);
}

/* ---- store.init ---- */

/* The configuration's schema with what the request says instead. */
static struct store_schema init_schema(const struct config *config, const struct init_options *options)
{
	struct store_schema schema = settings_schema(config);

	if (options->dims != 0)
		schema.dims = options->dims;
	if (options->distance[0] != '\0')
		(void)snprintf(schema.distance, sizeof(schema.distance), "%s", options->distance); /* same size */
	if (options->hnsw_m != 0)
		schema.hnsw_m = options->hnsw_m;
	if (options->hnsw_ef_construct != 0)
		schema.hnsw_ef_construct = options->hnsw_ef_construct;
	if (options->has_on_disk)
		schema.on_disk = options->on_disk;
	if (options->has_quantize_int8)
		schema.quantize_int8 = options->quantize_int8;
	schema.ann_index |= options->ann_index;
	return schema;
}

/* The gravest of the answers decides: what doesn't fit, then what an operator must do, then what may pass. */
static enum code init_code(const struct survey *survey)
{
	enum code code = CODE_NONE;

	for (uint32_t i = 0; i < survey->n_items; i++)
		switch (survey->items[i].req.verdict) {
		case VERDICT_OK:
			break;
		case VERDICT_PERMANENT:
			return CODE_SCHEMA_MISMATCH;
		case VERDICT_MISCONFIGURED:
			code = CODE_STORE_MISCONFIGURED;
			break;
		case VERDICT_TRANSIENT:
		case VERDICT_OUTAGE:
		case VERDICT_DOUBT:
			if (code == CODE_NONE)
				code = CODE_STORE_UNAVAILABLE;
			break;
		}
	return code;
}

/* From now on documents are held against the schema that is there. */
static void init_adopt(struct dispatch *dispatch, const struct store_schema *schema)
{
	uint64_t configured = dispatch->config->schema.dims;

	dispatch->limits.dims = schema->dims;
	dispatch->limits.refuse_zero_vectors = strcmp(schema->distance, "cosine") == 0;
	log_info(&dispatch->sink->log, "the stores are set up for embeddings of %" PRIu32 " components, %s distance",
		 schema->dims, schema->distance);
	if (configured != 0 && configured != schema->dims)
		log_warn(&dispatch->sink->log,
			 "schema.dims = %" PRIu64
			 " in the configuration is not what the stores have: after a restart every "
			 "document of %" PRIu32 " components would be refused; set it to %" PRIu32,
			 configured, schema->dims, schema->dims);
}

static void init_answer(struct inquiry *inquiry)
{
	const struct survey *survey = &inquiry->survey;
	struct rows rows;
	struct buf answer = {0};

	rows_collect(&rows, inquiry->dispatch, survey);
	rows.n = survey->n_items; /* the journal has no schema */
	for (uint32_t i = 0; i < rows.n; i++) {
		bool is_well = survey->items[i].req.verdict == VERDICT_OK;

		rows.at[i].state = is_well ? "ok" : "failed";
		rows.at[i].report = survey->items[i].req.report;
	}
	reply_stores(&answer, inquiry->caller.id_json, rows.at, rows.n, init_code(survey));
	caller_answer(&inquiry->caller, &answer);
}

static void init_surveyed(struct survey *survey)
{
	struct inquiry *inquiry = container_of(survey, struct inquiry, survey);

	if (survey_is_well(survey) && !survey->check_only)
		init_adopt(inquiry->dispatch, &survey->schema);
	engine_nudge(inquiry->dispatch->engine); /* a start that waited for the schema need not wait any longer */
	if (inquiry->caller.peer != NULL)
		init_answer(inquiry);
	inquiry->is_surveyed = true;
	inquiry_close_timer(inquiry);
	inquiry_release(inquiry);
}

static bool init_is_possible(struct dispatch *dispatch, struct peer *peer, struct request *request,
			     const struct store_schema *schema)
{
	if (dispatch->is_init_out)
		inquiry_refuse(peer, request, CODE_OVERLOADED, "another store.init is running: wait for it");
	else if (schema->dims == 0)
		inquiry_refuse(peer, request, CODE_MISSING_FIELD,
			       "the number of components of an embedding is not known: give `dims` (sagactl init "
			       "--dims N), or "
			       "set schema.dims in the configuration");
	else
		return true;
	return false;
}

void inquiry_init(struct dispatch *dispatch, struct peer *peer, struct request *request)
{
	struct store_schema schema = init_schema(dispatch->config, &request->init);
	struct inquiry *inquiry;

	if (!init_is_possible(dispatch, peer, request, &schema))
		return;
	inquiry = inquiry_create(dispatch, peer, request);
	if (inquiry == NULL)
		return;
	inquiry->is_init = true;
	dispatch->is_init_out = true;
	survey_start(&inquiry->survey, dispatch->ports, SURVEY_INIT, &schema, request->init.check_only, init_surveyed);
	request_destroy(request);
}
