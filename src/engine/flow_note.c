#include "flow_run.h"

#include <stdlib.h>

#define BIT(i) ((uint64_t)1 << (i))

/* A record on its way. Results, reasons and the spec are the run's, which outlives it and changes none of them; errors
 * may be replaced meanwhile, so they are copied into `texts`. */
struct flow_record {
	struct journal_flow_req req;
	struct flow_run *run;
	struct journal_step steps[];
};

static void flow_note_on_done(struct journal_flow_req *req)
{
	struct flow_record *record = container_of(req, struct flow_record, req);

	list_append(&record->run->engine->flows.journaled, &req->node);
}

static uint32_t flow_note_count(const struct flow_run *run)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		n += (run->flow.saving & BIT(i)) != 0;
	return n;
}

static size_t flow_note_text_bytes(const struct flow_run *run)
{
	size_t n = run->reason != NULL ? strlen(run->reason) : 0;

	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if ((run->flow.saving & BIT(i)) != 0 && run->parts[i].error != NULL)
			n += strlen(run->parts[i].error);
	return n;
}

static struct str flow_note_copy(char **at, const char *text)
{
	struct str copy = {*at, text != NULL ? strlen(text) : 0};

	if (text == NULL)
		return STR_NONE;
	memcpy(*at, text, copy.len);
	*at += copy.len;
	return copy;
}

static struct journal_step flow_note_step(const struct flow_run *run, uint32_t step, char **texts)
{
	const struct flow_part *part = &run->parts[step];

	return (struct journal_step){
		.step = step,
		.state = flow_step_state_name(run->flow.steps[step].state),
		.n_tries = run->flow.steps[step].tries,
		.result_json = {part->result, part->result_bytes},
		.error = flow_note_copy(texts, part->error),
		.reason = str_of(part->reason),
		.unix_ms = part->unix_ms,
	};
}

static void flow_note_fill_begin(struct journal_flow_req *req, const struct flow_run *run)
{
	req->is_begin = true;
	req->uid = run->uid;
	req->key = run->spec->key;
	memcpy(req->hash, run->spec->hash, sizeof(req->hash));
	req->spec_json = run->spec->json;
	req->began_unix_ms = run->began_unix_ms;
	req->deadline_unix_ms = run->deadline_unix_ms;
}

static void flow_note_fill(struct flow_record *record, struct flow_run *run, uint32_t n_steps)
{
	char *texts = (char *)&record->steps[n_steps];
	struct journal_flow_req *req = &record->req;
	uint32_t n = 0;

	record->run = run;
	list_init(&req->node);
	req->flow = run->id;
	req->done = flow_note_on_done;
	req->unix_ms = run->engine->now.unix_ms;
	req->steps = record->steps;
	req->n_steps = n_steps;
	if (run->flow.is_state_saving)
		req->state = flow_state_name(run->flow.state);
	if (run->flow.state != FLOW_RUNNING && run->flow.failure.code != CODE_NONE) {
		req->code = code_name(run->flow.failure.code);
		req->reason = flow_note_copy(&texts, run->reason);
	}
	if (!run->is_known)
		flow_note_fill_begin(req, run);
	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if (run->flow.saving & BIT(i))
			record->steps[n++] = flow_note_step(run, i, &texts);
}

static void flow_note_stamp(struct flow_run *run)
{
	for (uint32_t i = 0; i < run->flow.n_steps; i++)
		if (run->flow.saving & BIT(i))
			run->parts[i].unix_ms = run->engine->now.unix_ms;
}

void flow_note_write(struct flow_run *run)
{
	struct engine *engine = run->engine;
	uint32_t n = flow_note_count(run);
	struct flow_record *record =
		calloc(1, sizeof(*record) + n * sizeof(struct journal_step) + flow_note_text_bytes(run));

	MUST(run->record == NULL && run->flow.is_saving);
	if (record == NULL) {
		run->record_due_ns = engine_after_ms(engine, FLOW_SHORTAGE_MS);
		flow_run_set_timer(run);
		return;
	}
	flow_note_stamp(run);
	flow_note_fill(record, run, n);
	run->record = record;
	engine->journal->ops->flow(engine->journal, &record->req);
}

void flow_note_free(struct flow_record *record)
{
	free(record);
}

static bool flow_note_has_failed(struct engine *engine, const struct journal_flow_req *req)
{
	struct err err;

	if (req->rc == 0)
		return false;
	(void)err_set(&err, req->rc, "the journal failed: %s", req->err.text);
	engine_halt(engine, CODE_JOURNAL_FAILED, &err);
	return true;
}

void flow_note_on_journaled(struct engine *engine, struct journal_flow_req *req)
{
	struct flow_record *record = container_of(req, struct flow_record, req);
	struct flow_event saved = {.kind = FLOW_EV_SAVED};
	struct flow_run *run = record->run;
	bool is_known = req->is_begin && req->is_known, is_same = req->is_same;
	bool is_over = flow_note_has_failed(engine, req) || engine->phase == ENGINE_HALTED;
	struct uuid known = req->known;

	run->record = NULL;
	free(record);
	if (is_over)
		return;
	if (is_known) {
		flow_admit_on_known(run, &known, is_same);
		return;
	}
	if (!run->is_known) {
		run->is_known = true;
		flow_admit_answer_accepted(run);
	}
	flow_run_feed(run, &saved, NULL);
	flow_care_on_saved(run);
}
