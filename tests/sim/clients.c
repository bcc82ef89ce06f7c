#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 5

/* ---- what to ask for ---- */

static struct poison_mark draw_poison(struct clients *clients, struct rng *rng)
{
	static const struct {
		enum fault fault;
		enum poison kind;
		bool is_truth;
	} kinds[] = {
		{FAULT_POISON_ALONE, POISON_ALONE, false}, {FAULT_POISON_BATCH, POISON_BATCH, false},
		{FAULT_POISON_KILLS, POISON_KILLS, false}, {FAULT_PIVOT_BATCH, POISON_BATCH, true},
		{FAULT_PIVOT_KILLS, POISON_KILLS, true},
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		uint32_t store = (uint32_t)rng_below(rng, SIM_STORES);

		if (fault_strikes(&clients->sim->faults, kinds[i].fault))
			return (struct poison_mark){kinds[i].kind, kinds[i].is_truth ? SIM_TRUTH : store};
	}
	return (struct poison_mark){POISON_NONE, 0};
}

static void draw_condition(struct clients *clients, struct rng *rng, struct want *want)
{
	const struct uuid *known = &clients->versions[want->doc];
	bool is_absent = rng_chance(rng, 60), is_known = rng_chance(rng, 150);

	if (is_absent)
		want->if_absent = true;
	else if (!uuid_is_nil(known) && is_known) {
		want->has_if_version = true;
		want->if_version = *known;
	}
}

static struct key_fact *key_find(struct clients *clients, const char *key)
{
	struct key_fact *fact;

	HASH_FIND_STR(clients->keys, key, fact);
	return fact;
}

static void key_add(struct clients *clients, struct want *want)
{
	struct key_fact *fact = calloc(1, sizeof(*fact));

	MUST(fact != NULL);
	(void)snprintf(want->key, sizeof(want->key), "key-%u", clients->n_keys++);
	strcpy(fact->key, want->key);
	fact->want = *want;
	HASH_ADD_STR(clients->keys, key, fact);
}

/* A job that was asked for before, or another one under its key. */
static bool draw_repetition(struct clients *clients, struct rng *rng, struct want *want)
{
	struct faults *faults = &clients->sim->faults;
	uint64_t which = rng_next(rng);
	bool is_same = fault_strikes(faults, FAULT_SAME_KEY), is_other = fault_strikes(faults, FAULT_KEY_REUSED);
	char key[KEY_BYTES];
	const struct key_fact *fact;

	if (clients->n_keys == 0 || (!is_same && !is_other))
		return false;
	fault_hit(faults, is_same ? FAULT_SAME_KEY : FAULT_KEY_REUSED);
	(void)snprintf(key, sizeof(key), "key-%u", (unsigned)(which % clients->n_keys));
	fact = key_find(clients, key);
	MUST(fact != NULL);
	*want = fact->want;
	want->has_if_version = false;
	want->if_absent = false;
	if (!is_same)
		want->number++;
	return true;
}

static struct want draw_want(struct clients *clients, struct rng *rng, uint32_t doc)
{
	struct want want = {.doc = doc};

	if (draw_repetition(clients, rng, &want))
		return want;
	want.number = doc * 1000 + (uint32_t)rng_below(rng, 12);
	want.is_delete = rng_chance(rng, 130);
	if (!want.is_delete)
		want.mark = draw_poison(clients, rng);
	want.write_unchanged = rng_chance(rng, 200);
	want.is_accepted = rng_chance(rng, 150);
	if (rng_chance(rng, 250))
		want.deadline_ms = rng_between(rng, 5, 3000);
	draw_condition(clients, rng, &want);
	if (rng_chance(rng, want.mark.kind == POISON_NONE ? 400 : 800)) /* only a refusal with a key is recorded */
		key_add(clients, &want);
	return want;
}

/* ---- answers ---- */

static void say_violation(const struct client_job *job, unsigned number, const char *what, const struct uuid *saga)
{
	facts_violate(&job->clients->sim->facts, number, "doc-%u, key '%s', saga %s: %s", job->want.doc, job->want.key,
		      trace_id(saga), what);
}

static bool is_same_content(const struct want *a, const struct want *b)
{
	return a->doc == b->doc && a->is_delete == b->is_delete &&
	       (a->is_delete ||
		(a->number == b->number && a->mark.kind == b->mark.kind && a->mark.store == b->mark.store));
}

static void check_key(struct client_job *job, const struct outcome *outcome)
{
	struct clients *clients = job->clients;
	struct key_fact *fact = key_find(clients, job->want.key);

	if (clients->sim->facts.is_tainted[job->want.doc])
		return;
	if (fact->is_committed && !is_same_content(&fact->committed, &job->want))
		say_violation(job, 3, "other content committed under this key", &outcome->saga);
	else if (fact->is_committed && uuid_compare(&fact->saga, &outcome->saga) != 0)
		say_violation(job, 3, "this key had committed before, as another saga", &outcome->saga);
	fact->is_committed = true;
	fact->committed = job->want;
	fact->saga = outcome->saga;
}

static void on_committed(struct client_job *job, const struct outcome *outcome)
{
	struct clients *clients = job->clients;

	facts_answered_committed(&clients->sim->facts, &outcome->saga, job->want.doc);
	if (outcome->is_stored && job->want.key[0] == '\0')
		say_violation(job, 3, "a stored outcome, but there was no key", &outcome->saga);
	if (job->want.mark.kind != POISON_NONE)
		say_violation(job, 11, "a poison document was answered as committed", &outcome->saga);
	if (job->want.key[0] != '\0')
		check_key(job, outcome);
	clients->versions[job->want.doc] = outcome->saga;
	clients->n_committed++;
}

static void on_unchanged(struct client_job *job, const struct outcome *outcome)
{
	const struct saga_fact *fact = facts_find(&job->clients->sim->facts, &outcome->version);

	if (!outcome->has_version || fact == NULL || !fact->is_committed || fact->doc != job->want.doc)
		say_violation(job, 2, "unchanged, but the version named was never the document's", &outcome->version);
}

static void on_accepted(struct client_job *job, const struct outcome *outcome)
{
	struct clients *clients = job->clients;
	struct sim_disk *disk = job->daemon->journal.disk;
	struct disk_job *row;

	HASH_FIND(hh, disk->jobs, &outcome->saga, sizeof(outcome->saga), row);
	if (row == NULL)
		say_violation(job, 2, "accepted, but the job is not on the journal's disk", &outcome->saga);
	if (clients->n_accepted == clients->n_accepted_room) {
		clients->n_accepted_room = clients->n_accepted_room == 0 ? 16 : 2 * clients->n_accepted_room;
		clients->accepted = realloc(clients->accepted, clients->n_accepted_room * sizeof(*clients->accepted));
		MUST(clients->accepted != NULL);
	}
	clients->accepted[clients->n_accepted++] =
		(struct accepted_job){outcome->saga, disk, job->want.doc, disk->is_lost};
}

static void retry_later(struct client_job *job, uint64_t after_ms)
{
	struct sim *sim = job->clients->sim;

	if (sim->is_safe || job->n_tries >= TRIES_MAX || !world_chance(&sim->world, 600))
		return;
	world_after(&sim->world, &job->retry, (after_ms + world_between(&sim->world, 1, 2000)) * NS_PER_MS);
}

/* Two daemons that both write may meet at a document; one that is alone holds its lock. */
static bool has_been_zombie(const struct sim *sim)
{
	struct list *it, *tmp;

	list_each (it, tmp, &sim->daemons)
		if (container_of(it, struct daemon, node)->is_zombie)
			return true;
	return false;
}

/* Codes that blame the document must hit those that deserve it. */
static void check_blame(const struct client_job *job, const struct outcome *outcome)
{
	struct sim *sim = job->clients->sim;
	/* A connection that breaks n times with this document alone counts as its fault: no store can tell. */
	bool is_suspect = sim->facts.cuts[job->want.doc] >= sim->config.max_tries;

	if (outcome->code == CODE_STORE_REFUSED && job->want.mark.kind == POISON_NONE && !is_suspect)
		say_violation(job, 11, "refused for good, and the document is innocent", &outcome->saga);
	if (outcome->code == CODE_CONFLICT && !outcome->is_stored && !job->want.has_if_version &&
	    !job->want.if_absent && !sim->facts.is_tainted[job->want.doc] && !has_been_zombie(sim))
		say_violation(job, 11, "a conflict without a condition, and nobody else writes", &outcome->saga);
	if (outcome->code == CODE_INTERNAL)
		say_violation(job, 8, "an internal error", &outcome->saga);
	if (outcome->code == CODE_NONE || outcome->err.text[0] == '\0')
		say_violation(job, 3, "a failure without a code or without a text", &outcome->saga);
}

/* A key that was used for this very content is never said to be another's. */
static void check_refused_key(struct client_job *job, struct key_fact *fact, const struct outcome *outcome)
{
	bool is_own = (fact->is_committed && is_same_content(&fact->committed, &job->want)) ||
		      (fact->is_refused && is_same_content(&fact->refused, &job->want));

	if (outcome->code == CODE_KEY_REUSED && is_own)
		say_violation(job, 3, "the key is said to be another's, but it had this content", &outcome->saga);
	if (outcome->is_stored && code_is_retriable(outcome->code))
		say_violation(job, 3, "the key remembers a failure that may pass", &outcome->saga);
	if (outcome->is_stored && !fact->is_refused) {
		fact->is_refused = true;
		fact->refused = job->want;
	}
}

static void on_failed(struct client_job *job, const struct outcome *outcome)
{
	struct sim *sim = job->clients->sim;
	struct key_fact *fact = job->want.key[0] != '\0' ? key_find(job->clients, job->want.key) : NULL;

	if (outcome->code == CODE_OVERLOADED)
		fault_hit(&sim->faults, FAULT_OVERLOAD);
	check_blame(job, outcome);
	if (outcome->code != CODE_IN_DOUBT && !outcome->is_stored && !uuid_is_nil(&outcome->saga))
		facts_answered_failed(&sim->facts, &outcome->saga, job->want.doc);
	if (fact != NULL && fact->is_committed && !sim->facts.is_tainted[job->want.doc] && job->is_last_question)
		say_violation(job, 3, "this key had committed, and failed when it was asked again", &fact->saga);
	if (fact != NULL && !sim->facts.is_tainted[job->want.doc])
		check_refused_key(job, fact, outcome);
	if (code_is_retriable(outcome->code))
		retry_later(job, outcome->retry_after_ms);
}

static const char *const outcome_names[] = {"committed", "unchanged", "deleted", "absent", "accepted", "failed"};

static void on_done(struct engine_job *base, const struct outcome *outcome)
{
	struct client_job *job = container_of(base, struct client_job, job);
	struct clients *clients = job->clients;
	struct sim *sim = clients->sim;

	if (daemon_is_doomed(job->daemon))
		return; /* nobody hears it any more */
	trace_daemon(&sim->trace, job->daemon->number, "tells", "doc-%u%s%s: %s%s%s, saga %s%s", job->want.doc,
		     job->want.key[0] != '\0' ? " " : "", job->want.key, outcome_names[outcome->kind],
		     outcome->kind == OUTCOME_FAILED ? " " : "",
		     outcome->kind == OUTCOME_FAILED ? code_name(outcome->code) : "", trace_id(&outcome->saga),
		     outcome->is_stored ? ", as stored under the key"
		     : job->is_vanished ? ", and nobody is there"
					: "");
	if (++job->n_answers > 1)
		say_violation(job, 3, "a second answer to one job", &outcome->saga);
	daemon_note_answer(job->daemon);
	clients->n_open--;
	clients->n_answered++;
	if (job->is_vanished)
		fault_hit(&sim->faults, FAULT_CLIENT_VANISHES);
	switch (outcome->kind) {
	case OUTCOME_COMMITTED:
	case OUTCOME_DELETED:
		on_committed(job, outcome);
		break;
	case OUTCOME_UNCHANGED:
		on_unchanged(job, outcome);
		break;
	case OUTCOME_ABSENT:
		break;
	case OUTCOME_ACCEPTED:
		on_accepted(job, outcome);
		break;
	case OUTCOME_FAILED:
		on_failed(job, outcome);
		break;
	}
}

/* ---- asking ---- */

static void parse_job(struct client_job *job, struct sim *sim)
{
	const struct want *want = &job->want;
	struct content_options options = {
		.key = want->key[0] != '\0' ? want->key : NULL,
		.has_if_version = want->has_if_version,
		.if_version = want->if_version,
		.if_absent = want->if_absent,
		.write_unchanged = want->write_unchanged,
		.deadline_ms = want->deadline_ms,
		.is_accepted = want->is_accepted,
	};
	struct request_fault fault;
	int rc;

	content_write(&job->json, want->doc, want->number, want->mark, want->is_delete, &options);
	rc = request_parse_job(buf_str(&job->json), want->is_delete, &sim->config.limits, &job->request, &fault);
	if (rc != 0)
		facts_violate(&sim->facts, 12, "a job of the simulation doesn't parse: %s: %s", fault.path,
			      fault.err.text);
}

static void on_retry(struct event *event);

static struct client_job *job_make(struct clients *clients, const struct want *want)
{
	struct client_job *job = calloc(1, sizeof(*job));

	MUST(job != NULL);
	job->clients = clients;
	job->want = *want;
	job->retry.fire = on_retry;
	buf_init(&job->json);
	list_append(&clients->jobs, &job->node);
	parse_job(job, clients->sim);
	return job;
}

/* Most go to the daemon in charge, some to one that doesn't know that it isn't any more. */
static struct daemon *choose_daemon(struct sim *sim)
{
	struct list *it, *tmp;

	list_each (it, tmp, &sim->daemons) {
		struct daemon *daemon = container_of(it, struct daemon, node);

		if (daemon->is_zombie && !daemon->is_dead && daemon->stats.phase != ENGINE_HALTED &&
		    world_chance(&sim->world, 400))
			return daemon;
	}
	return sim->current;
}

static void job_submit(struct client_job *job)
{
	struct sim *sim = job->clients->sim;
	const struct want *want = &job->want;

	job->daemon = choose_daemon(sim);
	if (job->request == NULL || job->daemon == NULL || job->daemon->is_dead) {
		retry_later(job, 1000);
		return;
	}
	job->n_tries++;
	job->job.is_delete = want->is_delete;
	job->job.document = want->is_delete ? NULL : request_take_document(job->request);
	job->job.document_id = want->is_delete ? job->request->document_id : job->job.document->id;
	job->job.options = job->request->options;
	job->job.params_json = want->is_accepted ? buf_str(&job->json) : STR_NONE;
	job->job.done = on_done;
	job->clients->n_open++;
	trace_daemon(&sim->trace, job->daemon->number, "gets", "job %u: %s doc-%u%s%s, content %u%s%s%s", job->number,
		     want->is_delete ? "delete" : "put", want->doc, want->key[0] != '\0' ? ", " : "", want->key,
		     want->number, want->is_accepted ? ", to accept" : "",
		     want->mark.kind != POISON_NONE ? ", poison" : "",
		     want->has_if_version || want->if_absent ? ", on condition" : "");
	engine_submit(job->daemon->engine, &job->job);
	daemon_touch(job->daemon);
}

/* The same once more: another submit, so that the old one's memory stays what it is. */
static void on_retry(struct event *event)
{
	struct client_job *old = container_of(event, struct client_job, retry);
	struct client_job *job;

	if (old->clients->sim->is_safe)
		return;
	job = job_make(old->clients, &old->want);
	job->n_tries = old->n_tries;
	job->number = old->number;
	job_submit(job);
}

/* The streams run on for a job that is left out, so that the others stay what they are. */
static void ask(struct clients *clients, const struct want *want)
{
	bool vanishes = fault_strikes(&clients->sim->faults, FAULT_CLIENT_VANISHES);
	struct client_job *job;

	if (!case_has_job(clients->sim->run, ++clients->n_asked))
		return;
	case_note_job(clients->sim->run, clients->n_asked);
	job = job_make(clients, want);
	job->number = clients->n_asked;
	job->is_vanished = vanishes;
	job_submit(job);
}

/* One job; or, when puts and deletes are to meet, one of each. */
static void ask_for(struct clients *clients, uint32_t doc)
{
	struct rng rng = {rng_next(&clients->rng)};
	struct want want = draw_want(clients, &rng, doc);
	struct want opposite = {.doc = doc, .number = doc * 1000, .is_delete = !want.is_delete};

	ask(clients, &want);
	if (!fault_strikes(&clients->sim->faults, FAULT_INTERLEAVED))
		return;
	fault_hit(&clients->sim->faults, FAULT_INTERLEAVED);
	ask(clients, &opposite);
	opposite.is_delete = want.is_delete;
	opposite.number++;
	ask(clients, &opposite);
}

static void on_next(struct event *event)
{
	struct clients *clients = container_of(event, struct clients, next);
	struct rng own = {rng_next(&clients->rng)},
		   *rng = &own; /* what one draws more or less, the next doesn't feel */
	uint32_t n = rng_chance(rng, 100) ? (uint32_t)rng_between(rng, 2, 12) : 1;
	uint32_t hot = (uint32_t)rng_below(rng, clients->n_docs);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t any = (uint32_t)rng_below(rng, clients->n_docs);

		ask_for(clients, rng_chance(rng, 600) ? hot : any);
	}
	if (--clients->n_left > 0)
		world_after(&clients->sim->world, &clients->next, rng_between(rng, 0, clients->pause_ns));
}

void clients_begin(struct clients *clients)
{
	world_after(&clients->sim->world, &clients->next, 100 * NS_PER_MS);
}

void clients_end(struct clients *clients)
{
	struct list *it, *tmp;

	world_cancel(&clients->sim->world, &clients->next);
	list_each (it, tmp, &clients->jobs)
		world_cancel(&clients->sim->world, &container_of(it, struct client_job, node)->retry);
}

void clients_daemon_died(struct clients *clients, struct daemon *daemon)
{
	struct list *it, *tmp;

	list_each (it, tmp, &clients->jobs) {
		struct client_job *job = container_of(it, struct client_job, node);

		if (job->daemon != daemon || job->n_answers > 0 || job->job.done == NULL)
			continue;
		clients->n_open--;
		if (job->want.key[0] != '\0')
			retry_later(job, 2000);
	}
}

void clients_ask_again(struct clients *clients)
{
	struct key_fact *fact;

	for (fact = clients->keys; fact != NULL; fact = fact->hh.next) {
		struct client_job *job;

		if (!fact->is_committed || clients->sim->facts.is_tainted[fact->committed.doc])
			continue;
		fact->committed.deadline_ms = 0;
		fact->committed.is_accepted = false;
		job = job_make(clients, &fact->committed);
		job->is_last_question = true;
		job_submit(job);
		if (clients->n_open >= clients->sim->config.max_sagas ||
		    clients->n_open >= clients->sim->config.max_waiting)
			break; /* more at once would rightly be refused */
	}
}

void clients_probe(struct clients *clients)
{
	struct want want = {.doc = 0, .number = 900000 + (uint32_t)clients->n_answered, .write_unchanged = true};

	job_submit(job_make(clients, &want));
}

void clients_journal_lost(struct clients *clients, const struct sim_disk *disk)
{
	for (uint32_t i = 0; i < clients->n_accepted; i++)
		if (clients->accepted[i].disk == disk)
			clients->accepted[i].is_lost = true;
}

static void check_accepted_one(const struct clients *clients, const struct accepted_job *accepted)
{
	struct facts *facts = &clients->sim->facts;
	const struct saga_fact *made;
	struct disk_job *row;

	if (accepted->is_lost)
		return;
	HASH_FIND(hh, accepted->disk->jobs, &accepted->id, sizeof(accepted->id), row);
	if (row == NULL || (row->row.state != JOB_DONE && row->row.state != JOB_FAILED)) {
		facts_violate(facts, 2, "accepted job %s of doc-%u has not ended", trace_id(&accepted->id),
			      accepted->doc);
		return;
	}
	if (row->row.state == JOB_FAILED &&
	    (row->row.code[0] == '\0' || code_is_retriable(code_of_name(row->row.code))))
		facts_violate(facts, 2, "accepted job %s ended with '%s', which is not for good",
			      trace_id(&accepted->id), row->row.code);
	made = facts_find(facts, &row->row.made);
	if (row->row.state == JOB_DONE && !uuid_is_nil(&row->row.made) && (made == NULL || !made->is_committed) &&
	    !facts->is_tainted[accepted->doc])
		facts_violate(facts, 2, "accepted job %s is done by saga %s, which never committed",
			      trace_id(&accepted->id), trace_id(&row->row.made));
}

void clients_check_accepted(const struct clients *clients)
{
	for (uint32_t i = 0; i < clients->n_accepted; i++)
		check_accepted_one(clients, &clients->accepted[i]);
}

/* ---- life ---- */

void clients_init(struct clients *clients, struct sim *sim)
{
	struct world *world = &sim->world;

	memset(clients, 0, sizeof(*clients));
	clients->sim = sim;
	clients->rng.state = rng_next(&world->rng);
	clients->next.fire = on_next;
	list_init(&clients->jobs);
	clients->n_docs = (uint32_t)world_between(world, 1, DOCS_MAX);
	clients->n_left = (uint32_t)world_between(world, 30, 150);
	clients->pause_ns = world_between(world, 20, 1000) * NS_PER_MS;
}

static void job_free(struct client_job *job)
{
	list_remove(&job->node);
	buf_fini(&job->json);
	request_destroy(job->request);
	free(job);
}

void clients_fini(struct clients *clients)
{
	struct list *it, *tmp;
	struct key_fact *fact, *next;

	list_each (it, tmp, &clients->jobs)
		job_free(container_of(it, struct client_job, node));
	HASH_ITER(hh, clients->keys, fact, next)
	{
		HASH_DEL(clients->keys, fact);
		free(fact);
	}
	free(clients->accepted);
}
