#include "accepted.h"

#include "base/mutant.h"
#include "engine/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCEPTED_KEY_BYTES 64

static void accepted_try_later(struct accepted *accepted)
{
	struct engine *engine = accepted->engine;
	uint32_t tries = accepted->n_attempts > 0 ? accepted->n_attempts : 1;

	timers_set(&engine->timers, &accepted->timer,
		   engine->now.mono_ns + backoff_wait_ns(&engine->config.background, tries, &engine->rng));
}

static void accepted_attempt(struct accepted *accepted)
{
	struct engine *engine = accepted->engine;

	if (engine->phase != ENGINE_RUNNING)
		return;                                        /* draining: the journal has it */
	if (engine->n_errands >= engine->config.max_errands) { /* each failed attempt leaves a removal of its own */
		accepted_try_later(accepted);
		return;
	}
	accepted->n_attempts++;
	accepted->job.document = accepted->document;
	if (run_start(engine, &accepted->job, accepted) == 0)
		return;
	(void)err_set(&accepted->last_error, -ENOMEM, "out of memory for another attempt");
	accepted_try_later(accepted);
}

static void accepted_look(struct accepted *accepted)
{
	if (accepted->is_durable && accepted->is_locked && !accepted->is_ended && accepted->n_attempts == 0)
		accepted_attempt(accepted);
}

static void accepted_on_lock(struct lock_wait *wait)
{
	struct accepted *accepted = container_of(wait, struct accepted, lock);

	accepted->is_locked = true;
	accepted_look(accepted);
}

static void accepted_on_timer(struct timer *timer)
{
	accepted_attempt(container_of(timer, struct accepted, timer));
}

static void accepted_maybe_free(struct accepted *accepted)
{
	if (accepted->is_ended && accepted->n_runs == 0)
		accepted_free(accepted);
}

void accepted_on_run_reaped(struct accepted *accepted)
{
	accepted->n_runs--;
	accepted_maybe_free(accepted);
}

/* The saga whose version answers the job: not that of an attempt which found nothing to do. */
static struct uuid accepted_made(const struct outcome *outcome)
{
	if (outcome->kind == OUTCOME_UNCHANGED)
		return outcome->version;
	return outcome->kind == OUTCOME_ABSENT ? UUID_NIL : outcome->saga;
}

static void accepted_note_end(struct accepted *accepted, const struct outcome *outcome)
{
	struct journal *journal = accepted->engine->journal;
	struct journal_req req = {
		.op = outcome->kind == OUTCOME_FAILED ? JOURNAL_JOB_FAILED : JOURNAL_JOB_DONE,
		.saga = accepted->id,
		.made = accepted_made(outcome),
		.unix_ms = accepted->engine->now.unix_ms,
		.code = code_name(outcome->code),
		.reason = outcome->err.text,
	};

	journal->ops->submit(journal, &req);
}

static void accepted_log_failure(struct engine *engine, const struct uuid *job, struct str document_id, enum code code,
				 const char *reason)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(job, text);
	log_with(engine->log, LOG_ERROR_LEVEL, LOG_JOB_FAILED,
		 LOG_FIELDS({"document", document_id}, {"job", str_of(text)}, {"code", str_of(code_name(code))},
			    {"reason", str_of(reason)}),
		 "accepted job failed for good");
}

static void accepted_end(struct accepted *accepted, const struct outcome *outcome)
{
	struct engine *engine = accepted->engine;

	accepted_note_end(accepted, outcome);
	if (outcome->kind == OUTCOME_FAILED)
		accepted_log_failure(engine, &accepted->id, accepted->job.document_id, outcome->code,
				     outcome->err.text);
	accepted->is_ended = true;
	lock_release(&engine->documents, &accepted->lock);
}

static void accepted_end_given_up(struct accepted *accepted)
{
	struct outcome outcome = {.kind = OUTCOME_FAILED, .code = CODE_RESOLVED, .err = accepted->given_up};

	timers_cancel(&accepted->engine->timers, &accepted->timer);
	accepted_end(accepted, &outcome);
}

/* An attempt ended. What a later try may mend is tried again, for ever; the acceptance promised no less. */
static void accepted_on_outcome(struct engine_job *job, const struct outcome *outcome)
{
	struct accepted *accepted = container_of(job, struct accepted, job);
	struct engine *engine = accepted->engine;

	if (engine->phase == ENGINE_HALTED)
		return; /* it stays in the journal */
	if (outcome->kind == OUTCOME_FAILED && code_is_retriable(outcome->code)) {
		accepted->last_error = outcome->err;
		if (accepted->is_given_up)
			accepted_end_given_up(accepted); /* the run that calls is not freed yet: it frees the job */
		else
			accepted_try_later(accepted);
		return;
	}
	accepted_end(accepted, outcome);
}

static bool accepted_is_under_way(const struct accepted *accepted)
{
	return accepted->is_locked && accepted->n_attempts > 0 && accepted->timer.place == 0;
}

bool accepted_give_up(struct accepted *accepted, const char *reason)
{
	MUST(!accepted->is_ended);
	accepted->is_given_up = true;
	(void)err_set(&accepted->given_up, 0, "an operator has given it up: %s", reason);
	if (accepted_is_under_way(accepted))
		return false;
	accepted_end_given_up(accepted);
	accepted_maybe_free(accepted);
	return true;
}

const char *accepted_step(const struct accepted *accepted)
{
	if (!accepted->is_locked)
		return "queued";
	return accepted_is_under_way(accepted) ? "attempt" : "backing_off";
}

bool accepted_retry(struct accepted *accepted)
{
	if (accepted->timer.place == 0)
		return false;
	timers_set(&accepted->engine->timers, &accepted->timer, accepted->engine->now.mono_ns);
	return true;
}

/* The journal's bytes have their job's id for a key, unless the client gave one: an attempt that committed just before
 * a crash is then known as such after it, and isn't written over a newer version. */
static void accepted_set_key(struct accepted *accepted, char *at, struct str key)
{
	if (key.at != NULL) {
		memcpy(at, key.at, key.len);
		accepted->job.options.idempotency_key = (struct str){at, key.len};
	} else {
		char text[UUID_TEXT_BYTES];
		int n;

		uuid_format(&accepted->id, text);
		n = snprintf(at, ACCEPTED_KEY_BYTES, "sagad-job:%s", text);
		accepted->job.options.idempotency_key = (struct str){at, (size_t)n};
	}
}

static struct accepted *accepted_create(struct engine *engine, const struct uuid *id, const struct engine_job *job)
{
	struct str document_id = job->document != NULL ? job->document->id : job->document_id;
	struct str key = job->options.idempotency_key;
	struct accepted *accepted = calloc(1, sizeof(*accepted) + document_id.len + key.len + ACCEPTED_KEY_BYTES + 2);

	if (accepted == NULL || timers_reserve(&engine->timers, 1) != 0) {
		free(accepted);
		return NULL;
	}
	memcpy(accepted->texts, document_id.at, document_id.len);
	accepted->engine = engine;
	accepted->id = *id;
	accepted->document = job->document;
	accepted->job.is_delete = job->is_delete;
	accepted->job.options = job->options;
	accepted->job.turn = job->turn;
	accepted->job.document_id = (struct str){accepted->texts, document_id.len};
	accepted->job.done = accepted_on_outcome;
	accepted_set_key(accepted, accepted->texts + document_id.len + 1, key);
	accepted->lock.name = accepted->job.document_id;
	accepted->lock.granted = accepted_on_lock;
	accepted->timer.fire = accepted_on_timer;
	return accepted;
}

static void accepted_count(struct accepted *accepted)
{
	struct engine *engine = accepted->engine;

	list_append(&engine->accepted, &accepted->node);
	engine->n_accepted++;
	engine->n_sagas++;
	engine->bytes += accepted->document != NULL ? accepted->document->memory_bytes : 0;
}

void accepted_free(struct accepted *accepted)
{
	struct engine *engine = accepted->engine;

	timers_cancel(&engine->timers, &accepted->timer);
	timers_release(&engine->timers, 1);
	lock_release(&engine->documents, &accepted->lock);
	list_remove(&accepted->node);
	engine->n_accepted--;
	engine->n_sagas--;
	engine->bytes -= accepted->document != NULL ? accepted->document->memory_bytes : 0;
	document_destroy(accepted->document);
	request_destroy(accepted->request);
	free(accepted);
}

static void accepted_on_journal_done(struct journal_req *req)
{
	struct accepted *accepted = container_of(req, struct accepted, accept);

	list_append(&accepted->engine->journaled, &req->node);
}

static void accepted_to_journal(struct accepted *accepted, const struct engine_job *job)
{
	struct journal *journal = accepted->engine->journal;

	accepted->accept = (struct journal_req){
		.op = JOURNAL_ACCEPT,
		.saga = accepted->id,
		.document_id = accepted->job.document_id,
		.unix_ms = accepted->engine->now.unix_ms,
		.job_json = job->params_json,
		.is_delete = job->is_delete,
		.done = accepted_on_journal_done,
	};
	list_init(&accepted->accept.node);
	journal->ops->submit(journal, &accepted->accept);
}

int accepted_submit(struct engine *engine, struct engine_job *job)
{
	struct uuid id = engine_new_id(engine);
	struct accepted *accepted = accepted_create(engine, &id, job);
	enum lock_answer answer;

	if (accepted == NULL)
		return -ENOMEM;
	answer = lock_take(&engine->documents, &accepted->lock, engine->config.max_waiting);
	if (answer == LOCK_FULL || answer == LOCK_NO_MEMORY) {
		timers_release(&engine->timers, 1);
		free(accepted);
		return answer == LOCK_FULL ? -EBUSY : -ENOMEM;
	}
	accepted->is_locked = answer == LOCK_HELD;
	accepted->caller = job;
	accepted_count(accepted);
	accepted_to_journal(accepted, job);
	return 0;
}

void accepted_on_journaled(struct accepted *accepted, struct journal_req *req)
{
	struct engine_job *caller = accepted->caller;
	struct outcome outcome = {.kind = OUTCOME_ACCEPTED, .saga = accepted->id};

	if (!(MUTANT(accepted_unwritten) && accepted->job.is_delete) && engine_journal_failed(accepted->engine, req))
		return; /* engine_halt() has told the caller */
	accepted->caller = NULL;
	accepted->is_durable = true;
	if (caller != NULL)
		caller->done(caller, &outcome);
	accepted_look(accepted);
}

static void accepted_fail_unreadable(struct engine *engine, const struct journal_job *found,
				     const struct request_fault *fault)
{
	struct journal_req req = {
		.op = JOURNAL_JOB_FAILED,
		.saga = found->id,
		.unix_ms = engine->now.unix_ms,
		.code = code_name(fault->code),
		.reason = fault->err.text,
	};

	accepted_log_failure(engine, &found->id, found->document_id, fault->code, fault->err.text);
	engine->journal->ops->submit(engine->journal, &req);
}

void accepted_note_deaths(struct accepted *accepted, uint32_t store, uint32_t n_deaths)
{
	struct engine *engine = accepted->engine;
	struct journal_req req = {
		.op = JOURNAL_JOB_DEATHS,
		.saga = accepted->id,
		.store = engine_store_name(engine, store),
		.n_deaths = n_deaths,
		.unix_ms = engine->now.unix_ms,
	};

	list_init(&req.node);
	engine->journal->ops->submit(engine->journal, &req);
}

/* What a run before this one knew of it. */
static void accepted_recall_deaths(struct accepted *accepted, const struct journal_job *found)
{
	struct engine *engine = accepted->engine;

	for (uint32_t i = 0; accepted->document != NULL && i < found->n_deaths; i++)
		for (uint32_t store = 0; store <= SAGA_TRUTH; store++) {
			const char *name = engine_store_name(engine, store);

			if (name != NULL && strcmp(name, found->deaths[i].store) == 0)
				suspects_note(&engine->suspects, accepted->document->content_hash, store,
					      found->deaths[i].n);
		}
}

int accepted_recover(struct engine *engine, const struct journal_job *found, struct err *err)
{
	struct request *request;
	struct request_fault fault;
	struct engine_job job = {.is_delete = found->is_delete};
	struct accepted *accepted;
	enum lock_answer answer;

	if (request_parse_job(found->job_json, found->is_delete, &engine->config.limits, &request, &fault) != 0) {
		if (fault.code == CODE_INTERNAL)
			return err_set(err, -ENOMEM, "out of memory for an accepted job");
		accepted_fail_unreadable(engine, found, &fault);
		return 0;
	}
	job.options = request->options;
	job.document = found->is_delete ? NULL : request_take_document(request);
	job.document_id = request->document_id;
	accepted = accepted_create(engine, &found->id, &job);
	if (accepted == NULL) {
		document_destroy(job.document);
		request_destroy(request);
		return err_set(err, -ENOMEM, "out of memory for an accepted job");
	}
	accepted->request = request;
	accepted->is_durable = true;
	accepted_recall_deaths(accepted, found);
	if (uuid_compare(&found->id, &engine->last_id) > 0)
		engine->last_id = found->id;
	accepted_count(accepted);
	answer = lock_take(&engine->documents, &accepted->lock, UINT32_MAX);
	if (answer == LOCK_NO_MEMORY) { /* without its place in the queue it would never run */
		accepted_free(accepted);
		return err_set(err, -ENOMEM, "out of memory for an accepted job");
	}
	accepted->is_locked = answer == LOCK_HELD;
	return 0;
}

void accepted_begin_all(struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->accepted)
		accepted_look(container_of(it, struct accepted, node));
}

struct accepted *accepted_find(struct engine *engine, const struct uuid *id)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->accepted) {
		struct accepted *accepted = container_of(it, struct accepted, node);

		if (uuid_compare(&accepted->id, id) == 0)
			return accepted;
	}
	return NULL;
}
