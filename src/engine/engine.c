/* The engine's front: admission, the turn, halting, figures. */
#include "engine.h"

#include "base/mutant.h"
#include "engine/accepted.h"
#include "engine/errand.h"
#include "engine/flow_run.h"
#include "engine/query.h"
#include "engine/recover.h"
#include "engine/resolution.h"
#include "engine/run.h"
#include "engine/state.h"

#include <errno.h>
#include <stdlib.h>

#define ENGINE_PRUNE_EVERY_MS 60000
#define ENGINE_RETRY_AFTER_MS 500

struct engine_config engine_config_default(void)
{
	return (struct engine_config){
		.max_sagas = 10000,
		.max_bytes = (size_t)256 << 20,
		.max_waiting = 100,
		.max_errands = 100000,
		.deadline_ms = 30000,
		.max_deadline_ms = 3600000,
		.store_timeout_ms = 10000,
		.truth_timeout_ms = 10000,
		.max_tries = 6,
		.retry = {.base_ns = 100 * (uint64_t)NS_PER_MS, .cap_ns = 2000 * (uint64_t)NS_PER_MS},
		.background = {.base_ns = 200 * (uint64_t)NS_PER_MS, .cap_ns = 30000 * (uint64_t)NS_PER_MS},
		.late_write_window_ms = 60000,
		.park_after_ms = 900000,
		.parked_retry_ms = 600000,
		.keep_outcomes_ms = 86400000,
		.cache_ttl_s = 3600,
		.slow_saga_ms = 2000,
		.limits = document_limits_default(),
	};
}

uint64_t engine_after_ms(const struct engine *engine, uint64_t ms)
{
	return engine->now.mono_ns + ms * NS_PER_MS;
}

uint64_t engine_ms_of(const struct uuid *id)
{
	uint64_t ms = 0;

	for (unsigned i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms;
}

/* Behind a clock that went back the time part counts on, but the rest is drawn anew for each id: "the next one" would
 * be an id that an earlier run of this daemon may have used, with removals of it still on their way. */
struct uuid engine_new_id_above(struct engine *engine, const struct uuid *floor)
{
	const struct uuid *above = uuid_compare(floor, &engine->last_id) > 0 ? floor : &engine->last_id;
	uint64_t ms = (uint64_t)engine->now.unix_ms, high = rng_next(&engine->rng), low = rng_next(&engine->rng);
	struct uuid made = uuid_make_v7(ms, high, low);

	if (uuid_compare(&made, above) <= 0)
		made = uuid_make_v7(engine_ms_of(above) + 1, high, low);
	engine->last_id = made;
	return made;
}

struct uuid engine_new_id(struct engine *engine)
{
	return engine_new_id_above(engine, &engine->last_id);
}

void engine_journal_note(struct engine *engine, enum journal_op op, const struct uuid *saga)
{
	struct journal_req req = {.op = op, .saga = *saga, .unix_ms = engine->now.unix_ms};

	list_init(&req.node);
	engine->journal->ops->submit(engine->journal, &req);
}

bool engine_journal_failed(struct engine *engine, const struct journal_req *req)
{
	struct err err;

	if (req->rc == 0 || (MUTANT(journal_failure_ignored) && req->op == JOURNAL_INTENT))
		return false;
	(void)err_set(&err, req->rc, "the journal failed: %s", req->err.text);
	engine_halt(engine, CODE_JOURNAL_FAILED, &err);
	return true;
}

/* ---- create and destroy ---- */

static void engine_on_prune(struct truth_pay_req *req)
{
	container_of(req, struct engine, prune)->has_prune_ended = true;
}

static void engine_on_prune_timer(struct timer *timer)
{
	(void)timer; /* the turn that follows does it */
}

static void engine_init_lists(struct engine *engine)
{
	list_init(&engine->submitted);
	list_init(&engine->asked);
	list_init(&engine->asks);
	list_init(&engine->resolving);
	list_init(&engine->resolved);
	list_init(&engine->journaled);
	list_init(&engine->looked_up);
	list_init(&engine->runs);
	list_init(&engine->errands);
	list_init(&engine->accepted);
	list_init(&engine->answered);
	list_init(&engine->prune.node);
	engine->prune.done = engine_on_prune;
	engine->prune_timer.fire = engine_on_prune_timer;
}

static struct desk_config engine_desk_config(const struct engine_config *config)
{
	return (struct desk_config){
		.timeout_ns = config->truth_timeout_ms * NS_PER_MS,
		.keep_ms = config->keep_outcomes_ms,
		.background = config->background,
	};
}

static int engine_init_parts(struct engine *engine, struct store *const *stores, uint32_t n_stores)
{
	const struct engine_config *config = &engine->config;
	struct desk_config desk = engine_desk_config(config);
	int rc;

	for (uint32_t i = 0; i < n_stores; i++) {
		rc = sender_init(&engine->senders[i], stores[i], config->store_timeout_ms * NS_PER_MS);
		engine->n_stores = i + 1;
		if (rc != 0)
			return rc;
		engine->senders[i].now = &engine->now;
		engine->senders[i].meter = &engine->meter.stores[i];
	}
	rc = desk_init(&engine->desk, engine->truth, &desk, &engine->timers, &engine->rng, &engine->now);
	if (rc != 0)
		return rc;
	engine->desk.meter = &engine->meter.stores[METER_TRUTH_STORE];
	return timers_reserve(&engine->timers, 1);
}

void engine_reconfigure(struct engine *engine, const struct engine_config *config)
{
	struct desk_config desk = engine_desk_config(config);

	engine->config = *config;
	desk_reconfigure(&engine->desk, &desk);
	for (uint32_t i = 0; i < engine->n_stores; i++)
		engine->senders[i].timeout_ns = config->store_timeout_ms * NS_PER_MS;
}

int engine_create(const struct engine_config *config, struct truth *truth, struct journal *journal,
		  struct store *const *stores, uint32_t n_stores, struct log *log, uint64_t seed,
		  struct engine **out_engine)
{
	struct engine *engine;
	int rc;

	MUST(n_stores > 0 && n_stores <= STORES_MAX);
	engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return -ENOMEM;
	engine->config = *config;
	engine->truth = truth;
	engine->journal = journal;
	engine->log = log;
	engine->rng.state = seed;
	engine->phase = ENGINE_CLAIMING;
	engine_init_lists(engine);
	flows_init(engine);
	meter_init(&engine->meter);
	rc = engine_init_parts(engine, stores, n_stores);
	if (rc != 0) {
		engine_destroy(engine);
		return rc;
	}
	*out_engine = engine;
	return 0;
}

int engine_start(struct engine *engine, bool take_over, const struct moment *now, struct err *err)
{
	engine->now = *now;
	engine->take_over = take_over;
	return recover_init(engine, err);
}

static void engine_free_work(struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->submitted) /* taken, and never looked at */
		document_destroy(container_of(it, struct engine_job, node)->document);
	list_each (it, tmp, &engine->answered)
		run_free(container_of(it, struct run, node));
	list_each (it, tmp, &engine->runs)
		run_free(container_of(it, struct run, node));
	list_each (it, tmp, &engine->errands)
		errand_free(container_of(it, struct errand, node));
	list_each (it, tmp, &engine->accepted)
		accepted_free(container_of(it, struct accepted, node));
}

void engine_destroy(struct engine *engine)
{
	if (engine == NULL)
		return;
	engine->phase = ENGINE_HALTED;
	engine_free_work(engine);
	query_free_all(engine);
	resolution_free_all(engine);
	recover_fini(engine);
	flows_fini(engine);
	desk_fini(&engine->desk);
	for (uint32_t i = 0; i < engine->n_stores; i++)
		sender_fini(&engine->senders[i]);
	timers_fini(&engine->timers);
	free(engine);
}

/* ---- admission ---- */

void engine_submit(struct engine *engine, struct engine_job *job)
{
	job->turn = turns_take(&engine->turns, job->client_turn);
	job->client_turn = NULL; /* the client may go */
	list_append(&engine->submitted, &job->node);
}

void engine_ask(struct engine *engine, struct engine_query *query)
{
	list_append(&engine->asked, &query->node);
}

void engine_resolve(struct engine *engine, struct engine_resolution *resolution)
{
	list_append(&engine->resolving, &resolution->node);
}

void engine_nudge(struct engine *engine)
{
	recover_nudge(engine);
}

enum code engine_phase_refusal(const struct engine *engine, const char **out_text)
{
	switch (engine->phase) {
	case ENGINE_CLAIMING:
	case ENGINE_RECOVERING:
		*out_text =
			"sagad is starting: it waits for PostgreSQL, or recovers; see `sagactl stores`, and try again";
		return CODE_NOT_READY;
	case ENGINE_DRAINING:
		*out_text = "sagad is shutting down; send the job again to its successor";
		return CODE_SHUTTING_DOWN;
	case ENGINE_HALTED:
		*out_text = engine->halt.text;
		return CODE_SHUTTING_DOWN;
	case ENGINE_RUNNING:
		break;
	}
	return CODE_NONE;
}

/* Why this job can't be taken now; CODE_NONE: it can. */
static enum code engine_refusal(const struct engine *engine, const struct engine_job *job, const char **out_text)
{
	size_t bytes = job->document != NULL ? job->document->memory_bytes : 0;
	enum code code = engine_phase_refusal(engine, out_text);

	if (code != CODE_NONE && !(job->is_step && engine->phase == ENGINE_DRAINING))
		return code;
	if (engine->desk.has_gone_back) {
		*out_text = "PostgreSQL lacks a commit that it had confirmed; nothing is written before an operator "
			    "has looked";
		return CODE_TIME_WENT_BACK;
	}
	*out_text = "too much is in flight (limits.max_sagas, limits.max_bytes, limits.max_errands); try again later";
	if (engine->n_sagas >= engine->config.max_sagas || engine->bytes + bytes > engine->config.max_bytes ||
	    engine->n_errands >= engine->config.max_errands)
		return CODE_OVERLOADED;
	return CODE_NONE;
}

static void engine_refuse(struct engine *engine, struct engine_job *job, enum code code, const char *text)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = code};

	if (code == CODE_NOT_READY && engine->recovery != NULL && recover_reason(engine) != NULL)
		(void)err_set(&outcome.err, 0, "sagad is not ready: %s", recover_reason(engine));
	else
		(void)err_set(&outcome.err, 0, "%s", text);
	if (code_is_retriable(code))
		outcome.retry_after_ms = ENGINE_RETRY_AFTER_MS;
	document_destroy(job->document);
	job->document = NULL;
	engine->n_refused++;
	engine->meter.n_refusals[code]++;
	job->done(job, &outcome);
}

static void engine_admit(struct engine *engine, struct engine_job *job)
{
	const char *text = "";
	enum code code = engine_refusal(engine, job, &text);
	int rc;

	if (code == CODE_NONE) {
		rc = job->options.wait == WAIT_ACCEPTED ? accepted_submit(engine, job) : run_start(engine, job, NULL);
		if (rc == 0)
			return;
		code = rc == -EBUSY ? CODE_OVERLOADED : CODE_INTERNAL;
		text = rc == -EBUSY ? "too many jobs of this document are waiting (limits.max_waiting); try again later"
				    : "out of memory; try again later";
	}
	engine_refuse(engine, job, code, text);
}

/* ---- halting ---- */

/* Their records are on the way to the file. Also after a failed sync they may stand there whole, and the next start
 * then carries the jobs out: so nobody knows yet, whatever the halt's own reason is. */
static void engine_answer_accepting(struct engine *engine, const struct err *err)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->accepted) {
		struct accepted *accepted = container_of(it, struct accepted, node);
		struct engine_job *caller = accepted->caller;
		struct outcome outcome = {
			.kind = OUTCOME_FAILED, .saga = accepted->id, .code = CODE_IN_DOUBT, .err = *err};

		accepted->caller = NULL;
		if (caller != NULL)
			caller->done(caller, &outcome);
	}
}

void engine_halt(struct engine *engine, enum code code, const struct err *err)
{
	struct list *it, *tmp;

	if (engine->phase == ENGINE_HALTED)
		return;
	engine->phase = ENGINE_HALTED;
	engine->halt = *err;
	log_error(engine->log, "halted: %s", err->text);
	list_each (it, tmp, &engine->runs)
		run_answer_halted(container_of(it, struct run, node), code, err);
	engine_answer_accepting(engine, err);
	flows_halt(engine, err);
}

static void engine_look_epoch(struct engine *engine)
{
	struct err err;

	if (!engine->desk.is_epoch_lost || engine->phase == ENGINE_HALTED)
		return;
	(void)err_set(&err, 0,
		      "another sagad owns the database now (its epoch is newer than %llu); stopping without removing "
		      "anything",
		      (unsigned long long)engine->epoch);
	engine_halt(engine, CODE_SHUTTING_DOWN, &err);
}

const struct err *engine_halt_reason(const struct engine *engine)
{
	return &engine->halt;
}

/* ---- the turn ---- */

/* An intent's end is a run's, an acceptance's is a job's. */
static void engine_deliver_journaled(struct engine *engine, struct journal_req *req)
{
	if (req->op == JOURNAL_RESOLVED) {
		resolution_on_journaled(engine, req);
	} else if (req->op == JOURNAL_ACCEPT) {
		struct accepted *accepted = container_of(req, struct accepted, accept);

		accepted_on_journaled(accepted, req);
	} else {
		struct run *run = container_of(req, struct run, intent);

		run_on_journaled(run, req);
	}
}

static bool engine_take_inboxes(struct engine *engine)
{
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&engine->journaled)) != NULL) {
		engine_deliver_journaled(engine, container_of(node, struct journal_req, node));
		any = true;
	}
	while ((node = list_take_first(&engine->looked_up)) != NULL) {
		query_on_lookup(engine, container_of(node, struct journal_lookup_req, node));
		any = true;
	}
	while (!recover_is_smooth(engine) && (node = list_take_first(&engine->submitted)) != NULL) {
		engine_admit(engine, container_of(node, struct engine_job, node));
		any = true;
	}
	while ((node = list_take_first(&engine->resolving)) != NULL) {
		resolution_start(engine, container_of(node, struct engine_resolution, node));
		any = true;
	}
	while ((node = list_take_first(&engine->asked)) != NULL) {
		query_start(engine, container_of(node, struct engine_query, node));
		any = true;
	}
	return flows_take_inboxes(engine) || any;
}

static bool engine_collect(struct engine *engine)
{
	bool any = desk_collect(&engine->desk);

	for (uint32_t i = 0; i < engine->n_stores; i++)
		any = sender_collect(&engine->senders[i]) || any;
	return flow_send_collect(engine) || any;
}

static void engine_prune(struct engine *engine)
{
	if (engine->has_prune_ended) {
		engine->has_prune_ended = false;
		engine->is_prune_out = false;
		engine->desk.n_side_out--;
		desk_note_verdict(&engine->desk, engine->prune.verdict); /* on a quiet day the first to see an outage */
		timers_set(&engine->timers, &engine->prune_timer, engine_after_ms(engine, ENGINE_PRUNE_EVERY_MS));
	}
	if (engine->phase != ENGINE_RUNNING || engine->is_prune_out || engine->prune_timer.place != 0 ||
	    engine->desk.is_suspect || !desk_has_side_place(&engine->desk))
		return;
	engine->is_prune_out = true;
	engine->desk.n_side_out++;
	engine->prune.timeout_ns = engine->config.truth_timeout_ms * NS_PER_MS;
	engine->truth->ops->prune(engine->truth, engine->config.keep_outcomes_ms, &engine->prune);
}

static void engine_pump(struct engine *engine)
{
	if (engine->phase == ENGINE_HALTED)
		return;
	engine_prune(engine);
	desk_pump(&engine->desk);
	for (uint32_t i = 0; i < engine->n_stores; i++)
		sender_pump(&engine->senders[i]);
	flow_send_pump(engine);
}

static bool engine_reap(struct engine *engine)
{
	struct list *node;
	bool any = false;

	while ((node = list_take_first(&engine->answered)) != NULL) {
		run_reap(container_of(node, struct run, node));
		any = true;
	}
	return flows_reap(engine) || any;
}

void engine_turn(struct engine *engine, const struct moment *now)
{
	bool any;

	engine->now = *now;
	do {
		any = engine_take_inboxes(engine);
		any = engine_collect(engine) || any;
		engine_look_epoch(engine);
		if (engine->phase != ENGINE_HALTED) {
			any = timers_fire(&engine->timers, now->mono_ns) || any;
			any = recover_turn(engine) || any;
		}
		any = engine_reap(engine) || any;
		engine_pump(engine);
	} while (any);
}

uint64_t engine_next_ns(const struct engine *engine)
{
	if (engine->phase == ENGINE_HALTED)
		return NEVER_NS;
	return timers_next_ns(&engine->timers);
}

/* ---- draining and figures ---- */

void engine_drain(struct engine *engine)
{
	if (engine->phase != ENGINE_HALTED)
		engine->phase = ENGINE_DRAINING;
}

bool engine_is_drained(const struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->accepted)
		if (container_of(it, struct accepted, node)->caller != NULL)
			return false;
	return list_is_empty(&engine->submitted) && list_is_empty(&engine->runs) && list_is_empty(&engine->answered) &&
	       flows_are_drained(engine);
}

const struct meter *engine_meter(const struct engine *engine)
{
	return &engine->meter;
}

void engine_stats(const struct engine *engine, struct engine_stats *out_stats)
{
	*out_stats = (struct engine_stats){
		.phase = engine->phase,
		.epoch = engine->epoch,
		.dims = engine->dims,
		.n_sagas = engine->n_sagas,
		.bytes = engine->bytes,
		.n_errands = engine->n_errands,
		.n_parked = engine->n_parked,
		.n_jobs_accepted = engine->n_accepted,
		.n_committed = engine->n_committed,
		.n_unchanged = engine->n_unchanged,
		.n_failed = engine->n_failed,
		.n_refused = engine->n_refused,
		.n_stored = engine->n_stored,
		.n_retries = engine->n_retries,
		.n_pivots = engine->desk.n_pivots_sent,
		.n_pivot_requests = engine->desk.n_pivot_requests,
		.blocked = engine->desk.has_gone_back ? "PostgreSQL lacks a commit that it had confirmed" : NULL,
	};
	if (engine->phase == ENGINE_CLAIMING && engine->recovery != NULL)
		out_stats->blocked = recover_reason(engine);
	memcpy(out_stats->n_by_state, engine->n_by_state, sizeof(out_stats->n_by_state));
	for (uint32_t i = 0; i < engine->n_stores; i++) {
		out_stats->n_waiting[i] = engine->senders[i].n_waiting;
		out_stats->n_owed[i] = engine->n_owed[i];
		out_stats->n_requests[i] = engine->senders[i].n_requests;
		out_stats->n_writes[i] = engine->senders[i].n_writes;
	}
}

const char *engine_store_name(const struct engine *engine, uint32_t store)
{
	if (store == SAGA_TRUTH)
		return "postgresql";
	return store < engine->n_stores ? engine->senders[store].store->name : NULL;
}
