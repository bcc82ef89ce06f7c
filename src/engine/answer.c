/* From the end of a saga to the outcome that its client reads. */
#include "run.h"

#include "engine/story.h"

/* A client that was refused for load or an outage comes back no sooner than this. */
#define ANSWER_RETRY_AFTER_MS 1000

static void answer_owed(const struct run *run, uint32_t due, const char *op, struct outcome *outcome)
{
	for (uint32_t i = 0; i < run->engine->n_stores && outcome->n_owed < OUTCOME_OWED_MAX; i++)
		if (due & ((uint32_t)1 << i))
			outcome->owed[outcome->n_owed++] =
				(struct outcome_owed){run->engine->senders[i].store->name, op};
}

static void answer_committed(const struct run *run, struct outcome *outcome)
{
	const struct saga *saga = &run->saga;

	outcome->kind = saga->plan.is_delete ? OUTCOME_DELETED : OUTCOME_COMMITTED;
	outcome->has_version = !saga->plan.is_delete;
	outcome->version = saga->id;
	outcome->has_previous = saga->is_found && !saga->is_deleted;
	outcome->previous = saga->replaced;
	outcome->n_chunks = run->document != NULL ? run->document->n_chunks : 0;
	answer_owed(run, saga->publish_due, "publish", outcome);
	answer_owed(run, saga->remove_due, "remove", outcome);
	run->engine->n_committed++;
}

static void answer_failed(const struct run *run, struct outcome *outcome)
{
	const struct saga_failure *failure = &run->saga.failure;

	outcome->kind = OUTCOME_FAILED;
	outcome->code = failure->code;
	outcome->store = engine_store_name(run->engine, failure->store);
	outcome->n_tries = failure->tries;
	outcome->err = failure->err;
	outcome->is_stored = run->saga.is_stored && failure->code != CODE_KEY_REUSED;
	if (code_class(failure->code) == CODE_CLASS_TRANSIENT)
		outcome->retry_after_ms = ANSWER_RETRY_AFTER_MS;
	if (failure->code == CODE_CONFLICT && run->saga.is_found && !run->saga.is_deleted && !run->saga.is_overtaken) {
		outcome->has_previous = true;
		outcome->previous = run->saga.replaced;
	}
	run->engine->n_failed++;
}

static void answer_fill(const struct run *run, struct outcome *outcome)
{
	const struct saga *saga = &run->saga;

	switch (saga->result) {
	case SAGA_RESULT_COMMITTED:
	case SAGA_RESULT_DELETED:
		answer_committed(run, outcome);
		break;
	case SAGA_RESULT_UNCHANGED:
		outcome->kind = OUTCOME_UNCHANGED;
		outcome->has_version = true;
		outcome->version = saga->replaced;
		outcome->n_chunks = saga->replaced_chunks;
		run->engine->n_unchanged++;
		break;
	case SAGA_RESULT_ABSENT:
		outcome->kind = OUTCOME_ABSENT;
		run->engine->n_unchanged++;
		break;
	case SAGA_RESULT_STORED:
		outcome->kind = saga->plan.is_delete ? OUTCOME_DELETED : OUTCOME_COMMITTED;
		outcome->saga = saga->stored;
		outcome->has_version = !saga->plan.is_delete;
		outcome->version = saga->stored;
		outcome->is_stored = true;
		outcome->n_chunks = run->document != NULL ? run->document->n_chunks : 0;
		run->engine->n_stored++;
		break;
	case SAGA_RESULT_FAILED:
		answer_failed(run, outcome);
		break;
	case SAGA_RESULT_NONE:
		MUST(!"an answer without a result");
	}
}

void run_answer(struct run *run)
{
	struct engine_job *job = run->job;
	struct outcome outcome = {.saga = run->saga.id};

	MUST(job != NULL);
	answer_fill(run, &outcome);
	turns_answered(&run->engine->turns, run->turn);
	meter_answer(&run->engine->meter, &outcome, run->document_id, run->engine->now.mono_ns - run->started_ns,
		     run->engine->now.unix_ms);
	story_tell(run, &outcome);
	run->job = NULL;
	job->done(job, &outcome);
}

void run_answer_halted(struct run *run, enum code code, const struct err *err)
{
	struct engine_job *job = run->job;
	enum saga_state state = run->saga.state;
	struct outcome outcome = {.kind = OUTCOME_FAILED, .saga = run->saga.id, .code = code, .err = *err};

	if (job == NULL)
		return;
	/* Past the hand-over of the pivot nobody can say how it ended; with its key the client can ask again. */
	if (state == SAGA_PIVOTING || state == SAGA_IN_DOUBT)
		outcome.code = CODE_IN_DOUBT;
	if (state == SAGA_OWING) {
		outcome = (struct outcome){.saga = run->saga.id};
		answer_committed(run, &outcome);
	}
	run->job = NULL;
	job->done(job, &outcome);
}
