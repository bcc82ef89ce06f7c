#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void sim_disk_init(struct sim_disk *disk, struct sim *sim)
{
	memset(disk, 0, sizeof(*disk));
	disk->sim = sim;
	disk->id = uuid_make_v7(1, rng_next(&sim->world.rng), rng_next(&sim->world.rng));
}

void sim_disk_fini(struct sim_disk *disk)
{
	struct disk_intent *intent, *next_intent;
	struct disk_job *job, *next_job;

	HASH_ITER(hh, disk->intents, intent, next_intent)
	{
		HASH_DEL(disk->intents, intent);
		free(intent);
	}
	HASH_ITER(hh, disk->jobs, job, next_job)
	{
		HASH_DEL(disk->jobs, job);
		free(job->json);
		free(job);
	}
	disk_flows_fini(disk);
}

void sim_disk_lose(struct sim_disk *disk)
{
	const struct disk_intent *intent;

	disk->is_lost = true;
	fault_hit_in(&disk->sim->faults, FAULT_JOURNAL_LOST, 0);
	for (intent = disk->intents; intent != NULL; intent = intent->hh.next)
		facts_orphaned(&disk->sim->facts, &intent->saga);
	disk_flows_lose(disk);
	clients_journal_lost(&disk->sim->clients, disk);
}

uint32_t sim_disk_waiting(const struct sim_disk *disk)
{
	const struct disk_job *job;
	uint32_t n = 0;

	for (job = disk->jobs; job != NULL; job = job->hh.next)
		n += job->row.state == JOB_WAITING;
	return n;
}

/* ---- what a record does to the disk ---- */

static void write_intent(struct sim_disk *disk, const struct journal_req *req)
{
	struct disk_intent *intent;
	uint32_t doc = content_doc(req->document_id);

	HASH_FIND(hh, disk->intents, &req->saga, sizeof(req->saga), intent);
	if (intent == NULL) {
		intent = calloc(1, sizeof(*intent));
		MUST(intent != NULL);
		intent->saga = req->saga;
		HASH_ADD(hh, disk->intents, saga, sizeof(intent->saga), intent);
	}
	intent->doc = doc;
	intent->n_chunks = req->n_chunks;
	intent->is_delete = req->is_delete;
	intent->unix_ms = req->unix_ms;
	facts_intent_durable(&disk->sim->facts, &req->saga, doc);
}

static void write_aborted(struct sim_disk *disk, const struct journal_req *req)
{
	struct disk_intent *intent;

	HASH_FIND(hh, disk->intents, &req->saga, sizeof(req->saga), intent);
	if (intent == NULL)
		return;
	intent->is_aborted = true;
	intent->unix_ms = req->unix_ms;
}

static void write_close(struct sim_disk *disk, const struct journal_req *req)
{
	struct disk_intent *intent;

	HASH_FIND(hh, disk->intents, &req->saga, sizeof(req->saga), intent);
	if (intent == NULL)
		return;
	facts_touched(&disk->sim->facts, intent->doc);
	HASH_DEL(disk->intents, intent);
	free(intent);
}

static void write_accept(struct sim_disk *disk, const struct record *record)
{
	struct disk_job *job;

	HASH_FIND(hh, disk->jobs, &record->copy.saga, sizeof(record->copy.saga), job);
	if (job != NULL) {
		facts_violate(&disk->sim->facts, 12, "job %s was accepted twice", trace_id(&record->copy.saga));
		return;
	}
	job = calloc(1, sizeof(*job));
	MUST(job != NULL);
	job->id = record->copy.saga;
	job->doc = content_doc(record->copy.document_id);
	job->is_delete = record->copy.is_delete;
	job->json = strdup(record->json);
	MUST(job->json != NULL);
	job->row.state = JOB_WAITING;
	HASH_ADD(hh, disk->jobs, id, sizeof(job->id), job);
}

/* What an accepted job is refused for must be in it. */
static void check_blame(struct sim_disk *disk, const struct disk_job *job)
{
	bool is_poison = strstr(job->json, "\"title\":\"0 ") == NULL;

	if (!is_poison && disk->sim->facts.cuts[job->doc] < disk->sim->config.max_tries)
		facts_violate(&disk->sim->facts, 11, "accepted job %s of doc-%u was refused for good, and is innocent",
			      trace_id(&job->id), job->doc);
}

static void write_job_end(struct sim_disk *disk, const struct record *record, enum journal_job_state state)
{
	struct disk_job *job;

	HASH_FIND(hh, disk->jobs, &record->copy.saga, sizeof(record->copy.saga), job);
	if (job == NULL || job->row.state != JOB_WAITING) {
		facts_violate(&disk->sim->facts, 2, "job %s ends, but it %s", trace_id(&record->copy.saga),
			      job == NULL ? "was never accepted" : "had ended before");
		return;
	}
	job->row.state = state;
	job->row.made = record->copy.made;
	if (record->code != NULL && strlen(record->code) < sizeof(job->row.code))
		strcpy(job->row.code, record->code);
	(void)err_set(&job->row.reason, 0, "%s", record->reason != NULL ? record->reason : "");
	if (state == JOB_FAILED && strcmp(job->row.code, "store_refused") == 0)
		check_blame(disk, job);
	free(job->json);
	job->json = NULL;
}

static void write_deaths(struct sim_disk *disk, const struct journal_req *req)
{
	struct journal_deaths *deaths;
	struct disk_job *job;
	uint32_t i = 0;

	HASH_FIND(hh, disk->jobs, &req->saga, sizeof(req->saga), job);
	if (job == NULL || job->row.state != JOB_WAITING)
		return;
	while (i < job->n_deaths && strcmp(job->deaths[i].store, req->store) != 0)
		i++;
	MUST(i < JOURNAL_DEATHS_MAX && strlen(req->store) < sizeof(deaths->store));
	deaths = &job->deaths[i];
	job->n_deaths += i == job->n_deaths;
	strcpy(deaths->store, req->store);
	deaths->n = req->n_deaths;
}

static void write_record(struct sim_disk *disk, const struct record *record)
{
	switch (record->copy.op) {
	case JOURNAL_INTENT:
		write_intent(disk, &record->copy);
		break;
	case JOURNAL_ABORTED:
		write_aborted(disk, &record->copy);
		break;
	case JOURNAL_CLOSE:
		write_close(disk, &record->copy);
		break;
	case JOURNAL_ACCEPT:
		write_accept(disk, record);
		break;
	case JOURNAL_JOB_FAILED:
		write_job_end(disk, record, JOB_FAILED);
		break;
	case JOURNAL_JOB_DONE:
		write_job_end(disk, record, JOB_DONE);
		break;
	case JOURNAL_JOB_DEATHS:
		write_deaths(disk, &record->copy);
		break;
	case JOURNAL_RESOLVED: /* for people only: nothing here asks for it */
		break;
	}
}

/* ---- group commit ---- */

static void record_free(struct record *record)
{
	list_remove(&record->node);
	free(record->document_id);
	free(record->json);
	free(record->code);
	free(record->reason);
	free(record);
}

/* The more, while a saga is in a rare state. */
static bool strikes_commit(const struct journal_port *port, enum fault fault)
{
	const uint64_t *n_by_state = port->daemon->stats.n_by_state;
	unsigned n = n_by_state[SAGA_IN_DOUBT] > 0 ? 15 : chaos_is_rare(port->daemon) ? 8 : 1;

	while (n-- > 0)
		if (fault_strikes(&port->daemon->sim->faults, fault))
			return true;
	return false;
}

static enum fault draw_failure(struct journal_port *port)
{
	static const enum fault kinds[] = {FAULT_JOURNAL_FULL, FAULT_JOURNAL_ERROR, FAULT_JOURNAL_FSYNC};
	struct sim *sim = port->daemon->sim;

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!strikes_commit(port, kinds[i]))
			continue;
		if (kinds[i] == FAULT_JOURNAL_FULL)
			port->disk->full_ns = sim->world.now_ns + world_between(&sim->world, 0, 10 * NS_PER_S);
		return kinds[i];
	}
	return sim->world.now_ns < port->disk->full_ns ? FAULT_JOURNAL_FULL : FAULT_KINDS;
}

static bool is_going(const struct journal_port *port)
{
	return !list_is_empty(&port->going) || !list_is_empty(&port->going_flows);
}

bool journal_port_is_busy(const struct journal_port *port)
{
	return is_going(port) || !list_is_empty(&port->gathering) || !list_is_empty(&port->gathering_flows);
}

void journal_port_begin_commit(struct journal_port *port)
{
	struct sim *sim = port->daemon->sim;
	uint64_t delay_ns = world_between(&sim->world, 50 * 1000, 3 * NS_PER_MS);

	if ((list_is_empty(&port->gathering) && list_is_empty(&port->gathering_flows)) || is_going(port) ||
	    port->is_fenced)
		return;
	list_splice(&port->going, &port->gathering);
	list_splice(&port->going_flows, &port->gathering_flows);
	if (fault_strikes(&sim->faults, FAULT_JOURNAL_SLOW)) {
		fault_hit(&sim->faults, FAULT_JOURNAL_SLOW);
		delay_ns = world_between(&sim->world, 50 * NS_PER_MS, 4 * NS_PER_S);
	}
	if (!port->has_failed)
		port->how = draw_failure(port);
	if (strikes_commit(port, FAULT_JOURNAL_TORN)) {
		port->daemon->doom = DOOM_WITH_JOURNAL;
		world_after(&sim->world, &port->daemon->death, world_between(&sim->world, 0, delay_ns));
	}
	world_after(&sim->world, &port->commit, delay_ns);
}

static void record_answer(struct journal_port *port, struct record *record, int rc)
{
	struct journal_req *req = record->req;

	if (req != NULL) {
		if (uuid_compare(&req->saga, &record->copy.saga) != 0 || req->op != record->copy.op)
			facts_violate(&port->daemon->sim->facts, 12, "a record of saga %s changed while it was out",
				      trace_id(&record->copy.saga));
		req->rc = rc;
		port->daemon->is_told_of_failure = port->daemon->is_told_of_failure || rc != 0;
		if (rc != 0)
			(void)err_set(&req->err, rc, "journal: the commit failed: %s", strerror(-rc));
		req->done(req);
	}
	record_free(record);
}

static void answer_going(struct journal_port *port, int rc)
{
	struct list *node;

	while ((node = list_take_first(&port->going)) != NULL)
		record_answer(port, container_of(node, struct record, node), rc);
	journal_flows_answer(port, &port->going_flows, rc);
	daemon_touch(port->daemon);
}

static void write_going(struct journal_port *port)
{
	struct list *it, *tmp;

	list_each (it, tmp, &port->going)
		write_record(port->disk, container_of(it, struct record, node));
	journal_flows_write(port, &port->going_flows);
}

static void on_commit(struct event *event)
{
	struct journal_port *port = container_of(event, struct journal_port, commit);
	struct sim *sim = port->daemon->sim;

	if (port->is_fenced)
		return;
	if (port->how != FAULT_KINDS && !port->has_failed) {
		port->has_failed = true;
		fault_hit(&sim->faults, port->how);
		trace_daemon(&sim->trace, port->daemon->number, "journal", "fails: %s", fault_name(port->how));
		if (port->how == FAULT_JOURNAL_FSYNC && world_chance(&sim->world, 500))
			write_going(port); /* the group is there, whatever fsync said */
	} else if (!port->has_failed) {
		write_going(port);
	}
	answer_going(port, !port->has_failed ? 0 : port->how == FAULT_JOURNAL_FULL ? -ENOSPC : -EIO);
	journal_port_begin_commit(port);
}

static char *copy_text(struct str text)
{
	char *copy = text.at != NULL ? strndup(text.at, text.len) : NULL;

	MUST(text.at == NULL || copy != NULL);
	return copy;
}

static void port_submit(struct journal *journal, struct journal_req *req)
{
	static const char *const names[] = {"intent",     "aborted",  "close",      "accept",
					    "job failed", "job done", "job deaths", "resolved"};
	struct journal_port *port = container_of(journal, struct journal_port, journal);
	struct record *record = calloc(1, sizeof(*record));

	MUST(record != NULL);
	record->req = req->done != NULL ? req : NULL;
	record->action = daemon_act(port->daemon);
	record->copy = *req;
	record->document_id = copy_text(req->document_id);
	record->copy.document_id = str_of(record->document_id);
	record->json = copy_text(req->job_json);
	record->code = copy_text(str_of(req->code));
	record->reason = copy_text(str_of(req->reason));
	list_append(&port->gathering, &record->node);
	trace_daemon(&port->daemon->sim->trace, port->daemon->number, "records", "%s(%s)", names[req->op],
		     trace_id(&req->saga));
	journal_port_begin_commit(port);
}

/* ---- the rest of the port ---- */

static void on_looked_up(struct event *event)
{
	struct journal_port *port = container_of(event, struct journal_port, looked_up);
	struct list *node;

	journal_flows_found(port);
	while ((node = list_take_first(&port->lookups)) != NULL) {
		struct journal_lookup_req *req = container_of(node, struct journal_lookup_req, node);
		struct disk_job *job;

		HASH_FIND(hh, port->disk->jobs, &req->id, sizeof(req->id), job);
		req->rc = port->has_failed ? -EIO : 0;
		memset(&req->row, 0, sizeof(req->row));
		if (job != NULL)
			req->row = job->row;
		req->done(req);
	}
	daemon_touch(port->daemon);
}

static void port_lookup(struct journal *journal, struct journal_lookup_req *req)
{
	struct journal_port *port = container_of(journal, struct journal_port, journal);

	list_append(&port->lookups, &req->node);
	world_after(&port->daemon->sim->world, &port->looked_up, NS_PER_MS);
}

static void port_resolved(struct journal *journal, struct journal_resolved_req *req)
{
	(void)journal;
	(void)req;
	MUST(!"no operator asks in here");
}

static const char *doc_text(uint32_t doc)
{
	static const char *const texts[DOCS_MAX] = {"doc-0",  "doc-1",  "doc-2",  "doc-3", "doc-4",  "doc-5",
						    "doc-6",  "doc-7",  "doc-8",  "doc-9", "doc-10", "doc-11",
						    "doc-12", "doc-13", "doc-14", "doc-15"};
	return texts[doc];
}

static int load_intents(struct sim_disk *disk, int (*found)(void *arg, const struct journal_intent *found), void *arg)
{
	const struct disk_intent *at;
	int rc = 0;

	for (at = disk->intents; at != NULL && rc == 0; at = at->hh.next) {
		struct journal_intent intent = {
			.saga = at->saga,
			.document_id = str_of(doc_text(at->doc)),
			.n_chunks = at->n_chunks,
			.is_delete = at->is_delete,
			.is_aborted = at->is_aborted,
			.unix_ms = at->unix_ms,
		};
		rc = found(arg, &intent);
	}
	return rc;
}

static int port_load(struct journal *journal, int (*intent)(void *arg, const struct journal_intent *found),
		     int (*job)(void *arg, const struct journal_job *found), void *arg, struct err *err)
{
	struct journal_port *port = container_of(journal, struct journal_port, journal);
	const struct disk_job *at;
	int rc = load_intents(port->disk, intent, arg);

	if (rc == 0 && port->is_unreadable)
		return err_set(err, -EIO, "journal: a page can't be read");
	for (at = port->disk->jobs; at != NULL && rc == 0; at = at->hh.next) {
		struct journal_job waiting = {
			.id = at->id,
			.document_id = str_of(doc_text(at->doc)),
			.job_json = str_of(at->json),
			.is_delete = at->is_delete,
			.n_deaths = at->n_deaths,
		};
		memcpy(waiting.deaths, at->deaths, sizeof(waiting.deaths));
		if (at->row.state == JOB_WAITING)
			rc = job(arg, &waiting);
	}
	return rc;
}

static void port_close(struct journal *journal, void (*closed)(void *arg), void *arg)
{
	(void)journal;
	closed(arg);
}

void journal_port_init(struct journal_port *port, struct sim_disk *disk, struct daemon *daemon)
{
	static const struct journal_ops ops = {
		.submit = port_submit,
		.lookup = port_lookup,
		.resolved = port_resolved,
		.load = port_load,
		.flow = journal_flows_submit,
		.flow_find = journal_flows_find,
		.flow_list = journal_flows_list,
		.load_flows = journal_flows_load,
		.close = port_close,
	};

	*port = (struct journal_port){
		.journal = {.ops = &ops, .id = disk->id},
		.disk = disk,
		.daemon = daemon,
		.how = FAULT_KINDS,
		.is_unreadable = fault_strikes(&daemon->sim->faults, FAULT_JOURNAL_UNREADABLE),
		.commit = {.fire = on_commit},
		.looked_up = {.fire = on_looked_up},
	};
	list_init(&port->gathering);
	list_init(&port->going);
	list_init(&port->lookups);
	list_init(&port->gathering_flows);
	list_init(&port->going_flows);
	list_init(&port->finds);
}

/* ---- the end of a daemon ---- */

void journal_port_crash(struct journal_port *port, uint64_t last_action)
{
	struct world *world = &port->daemon->sim->world;
	struct list *it, *tmp;
	bool is_cut = false;

	world_cancel(world, &port->commit);
	world_cancel(world, &port->looked_up);
	list_each (it, tmp, &port->going)
		is_cut = is_cut || container_of(it, struct record, node)->action > last_action;
	list_each (it, tmp, &port->going_flows)
		is_cut = is_cut || container_of(it, struct flow_record, node)->action > last_action;
	if (is_going(port) && !is_cut && !port->has_failed && !port->is_fenced && world_chance(world, 500)) {
		trace_daemon(&port->daemon->sim->trace, port->daemon->number, "journal",
			     "its last group is on the disk all the same");
		write_going(port);
	}
}

void journal_port_bury(struct journal_port *port)
{
	struct list *node;

	answer_going(port, -EIO);
	while ((node = list_take_first(&port->gathering)) != NULL)
		record_answer(port, container_of(node, struct record, node), -EIO);
	journal_flows_answer(port, &port->gathering_flows, -EIO);
	port->has_failed = true;
	journal_flows_found(port);
	while ((node = list_take_first(&port->lookups)) != NULL) {
		struct journal_lookup_req *req = container_of(node, struct journal_lookup_req, node);

		req->rc = -EIO;
		req->done(req);
	}
}
