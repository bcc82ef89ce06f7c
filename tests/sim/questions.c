#include "sim.h"

#include <stdio.h>

struct question {
	struct engine_query query;
	bool is_answered;
};

static void on_answer(struct engine_query *query)
{
	container_of(query, struct question, query)->is_answered = true;
}

/* True: there is an answer in question->query. */
static bool ask(struct sim *sim, struct question *question)
{
	uint64_t end_ns = sim->world.now_ns + 30 * NS_PER_S;

	question->query.done = on_answer;
	engine_ask(sim->current->engine, &question->query);
	daemon_touch(sim->current);
	while (!question->is_answered && !sim->facts.is_violated && world_next_ns(&sim->world) <= end_ns)
		(void)sim_step(sim);
	if (!question->is_answered)
		facts_violate(&sim->facts, 8, "document.status gets no answer, and nothing is going on");
	else if (question->query.code != CODE_NONE)
		facts_violate(&sim->facts, 8, "document.status fails at rest: %s", question->query.err.text);
	return !sim->facts.is_violated;
}

static void ask_document(struct sim *sim, uint32_t doc)
{
	const struct doc_row *row = &sim->truth.docs[doc];
	enum presence presence = !row->is_found    ? PRESENCE_ABSENT
				 : row->is_deleted ? PRESENCE_DELETED
						   : PRESENCE_PRESENT;
	struct question question = {.is_answered = false};
	char id[16];

	(void)snprintf(id, sizeof(id), "doc-%u", doc);
	question.query.document_id = str_of(id);
	if (!ask(sim, &question))
		return;
	if (question.query.status.presence != presence ||
	    (row->is_found && uuid_compare(&question.query.status.version, &row->version) != 0))
		facts_violate(&sim->facts, 3, "document.status of doc-%u says another version than PostgreSQL has",
			      doc);
}

static void ask_job(struct sim *sim, const struct accepted_job *accepted)
{
	struct question question = {.query = {.has_job = true, .job = accepted->id}};
	enum job_state said;

	if (accepted->disk != sim->current->journal.disk || !ask(sim, &question))
		return; /* another journal's job is not known here */
	said = question.query.job_status.state;
	if (said != JOB_IS_DONE && said != JOB_IS_FAILED)
		facts_violate(&sim->facts, 2, "document.status of accepted job %s says neither done nor failed",
			      trace_id(&accepted->id));
}

void questions_ask_all(struct sim *sim)
{
	for (uint32_t doc = 0; doc < sim->clients.n_docs && !sim->facts.is_violated; doc++)
		ask_document(sim, doc);
	for (uint32_t i = 0; i < sim->clients.n_accepted && !sim->facts.is_violated; i++)
		ask_job(sim, &sim->clients.accepted[i]);
}
