#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct journal_port *port_of(struct journal *journal)
{
	return container_of(journal, struct journal_port, journal);
}

static char *copy_text(struct str text)
{
	char *copy = text.at != NULL ? strndup(text.at, text.len) : NULL;

	MUST(text.at == NULL || copy != NULL);
	return copy;
}

/* What is absent stays as it was. */
static void set_text(char **kept, struct str text)
{
	if (text.at == NULL)
		return;
	free(*kept);
	*kept = copy_text(text);
}

static void flow_free(struct disk_flow *flow)
{
	free(flow->code);
	free(flow->reason);
	free(flow->key);
	free(flow->spec);
	for (uint32_t i = 0; i < FLOW_STEPS_MAX; i++) {
		free(flow->steps[i].result);
		free(flow->steps[i].error);
		free(flow->steps[i].reason);
	}
	free(flow);
}

void disk_flows_fini(struct sim_disk *disk)
{
	struct disk_flow *flow, *next;

	HASH_ITER(hh, disk->flows, flow, next)
	{
		HASH_DEL(disk->flows, flow);
		flow_free(flow);
	}
}

void disk_flows_lose(struct sim_disk *disk)
{
	const struct disk_flow *flow;

	for (flow = disk->flows; flow != NULL; flow = flow->hh.next) {
		struct flow_fact *fact = flow_facts_find(&disk->sim->flow_facts, &flow->id);

		if (fact != NULL)
			fact->is_orphaned = true;
	}
}

bool disk_flows_are_open(const struct sim_disk *disk)
{
	const struct disk_flow *flow;

	for (flow = disk->flows; flow != NULL; flow = flow->hh.next)
		if (!flow->has_ended)
			return true;
	return false;
}

/* ---- what a record does ---- */

static struct disk_flow *find_key(struct sim_disk *disk, const struct journal_flow_req *req)
{
	struct disk_flow *flow;

	for (flow = disk->flows; flow != NULL && req->key.at != NULL; flow = flow->hh.next)
		if (flow->key != NULL && flow->uid == req->uid && str_is_equal(req->key, str_of(flow->key)))
			return flow;
	return NULL;
}

static struct disk_flow *begin_flow(struct sim_disk *disk, struct journal_flow_req *req)
{
	struct disk_flow *flow = find_key(disk, req);

	if (flow != NULL) {
		req->is_known = true;
		req->known = flow->id;
		req->is_same = memcmp(flow->hash, req->hash, sizeof(req->hash)) == 0;
		return NULL;
	}
	flow = calloc(1, sizeof(*flow));
	MUST(flow != NULL);
	flow->id = req->flow;
	flow->uid = req->uid;
	flow->key = copy_text(req->key);
	flow->spec = copy_text(req->spec_json);
	flow->began_unix_ms = req->began_unix_ms;
	flow->deadline_unix_ms = req->deadline_unix_ms;
	memcpy(flow->hash, req->hash, sizeof(flow->hash));
	HASH_ADD(hh, disk->flows, id, sizeof(flow->id), flow);
	return flow;
}

static void write_step(struct disk_flow *flow, const struct journal_step *from)
{
	struct disk_step *step = &flow->steps[from->step];
	enum flow_step_state state;

	MUST(from->step < FLOW_STEPS_MAX);
	if (!flow_step_state_of(from->state, &state))
		return; /* told by flow_facts.c */
	step->state = flow_step_state_name(state);
	step->n_tries = from->n_tries;
	step->unix_ms = from->unix_ms;
	set_text(&step->result, from->result_json);
	set_text(&step->error, from->error);
	set_text(&step->reason, from->reason);
}

static void write_flow(struct journal_port *port, struct journal_flow_req *req)
{
	struct sim_disk *disk = port->disk;
	struct disk_flow *flow;
	enum flow_state state;

	HASH_FIND(hh, disk->flows, &req->flow, sizeof(req->flow), flow);
	if (req->is_begin)
		flow = begin_flow(disk, req);
	if (flow == NULL)
		return;
	if (req->state != NULL && flow_state_of(req->state, &state)) {
		flow->state = flow_state_name(state);
		flow->has_ended = state == FLOW_COMMITTED || state == FLOW_COMPENSATED;
		flow->ended_unix_ms = flow->has_ended ? req->unix_ms : 0;
	}
	set_text(&flow->code, str_of(req->code));
	set_text(&flow->reason, req->reason);
	for (uint32_t i = 0; i < req->n_steps; i++)
		write_step(flow, &req->steps[i]);
	flow_facts_written(&disk->sim->flow_facts, port->daemon, req);
}

void journal_flows_write(struct journal_port *port, struct list *records)
{
	struct list *it, *tmp;

	list_each (it, tmp, records)
		write_flow(port, container_of(it, struct flow_record, node)->req);
}

void journal_flows_answer(struct journal_port *port, struct list *records, int rc)
{
	struct list *node;

	while ((node = list_take_first(records)) != NULL) {
		struct flow_record *record = container_of(node, struct flow_record, node);
		struct journal_flow_req *req = record->req;

		if (uuid_compare(&req->flow, &record->flow) != 0)
			facts_violate(&port->daemon->sim->facts, 12, "a record of saga %s changed while it was out",
				      trace_id(&record->flow));
		req->rc = rc;
		port->daemon->is_told_of_failure = port->daemon->is_told_of_failure || rc != 0;
		if (rc != 0)
			(void)err_set(&req->err, rc, "journal: the commit failed: %s", strerror(-rc));
		free(record);
		req->done(req);
	}
}

/* ---- the port ---- */

void journal_flows_submit(struct journal *journal, struct journal_flow_req *req)
{
	struct journal_port *port = port_of(journal);
	struct flow_record *record = calloc(1, sizeof(*record));

	MUST(record != NULL && req->done != NULL);
	record->req = req;
	record->flow = req->flow;
	record->action = daemon_act(port->daemon);
	req->is_known = req->is_same = false;
	if (req->is_begin)
		flow_facts_began(&port->daemon->sim->flow_facts, port->daemon, req);
	list_append(&port->gathering_flows, &record->node);
	trace_daemon(&port->daemon->sim->trace, port->daemon->number, "records", "%s %s%s of saga %s, %u steps",
		     req->is_begin ? "begin" : "change", req->state != NULL ? "to " : "",
		     req->state != NULL ? req->state : "", trace_id(&req->flow), req->n_steps);
	journal_port_begin_commit(port);
}

/* Its texts are the disk's. */
static uint32_t lend(const struct disk_flow *from, struct journal_flow *flow, struct journal_step *steps)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < FLOW_STEPS_MAX; i++) {
		const struct disk_step *step = &from->steps[i];

		if (step->state == NULL)
			continue;
		steps[n++] = (struct journal_step){
			.step = i,
			.state = step->state,
			.n_tries = step->n_tries,
			.result_json = str_of(step->result),
			.error = str_of(step->error),
			.reason = str_of(step->reason),
			.unix_ms = step->unix_ms,
		};
	}
	*flow = (struct journal_flow){
		.id = from->id,
		.state = from->state,
		.code = from->code != NULL ? from->code : "",
		.reason = str_of(from->reason),
		.uid = from->uid,
		.key = str_of(from->key),
		.spec_json = str_of(from->spec),
		.began_unix_ms = from->began_unix_ms,
		.deadline_unix_ms = from->deadline_unix_ms,
		.ended_unix_ms = from->ended_unix_ms,
		.steps = steps,
		.n_steps = n,
	};
	return n;
}

/* Flows stay on their disk to the end of the run: only the two structs are the caller's. */
static struct journal_flow *find_on(struct sim_disk *disk, const struct uuid *id)
{
	struct journal_flow *found;
	struct disk_flow *flow;

	HASH_FIND(hh, disk->flows, id, sizeof(*id), flow);
	if (flow == NULL)
		return NULL;
	found = malloc(sizeof(*found) + FLOW_STEPS_MAX * sizeof(struct journal_step));
	MUST(found != NULL);
	(void)lend(flow, found, (struct journal_step *)(found + 1));
	return found;
}

void journal_flows_found(struct journal_port *port)
{
	struct list *node;

	while ((node = list_take_first(&port->finds)) != NULL) {
		struct journal_flow_find_req *req = container_of(node, struct journal_flow_find_req, node);

		req->rc = port->has_failed ? -EIO : 0;
		req->found = req->rc == 0 ? find_on(port->disk, &req->flow) : NULL;
		req->done(req);
	}
}

void journal_flows_find(struct journal *journal, struct journal_flow_find_req *req)
{
	struct journal_port *port = port_of(journal);

	list_append(&port->finds, &req->node);
	world_after(&port->daemon->sim->world, &port->looked_up, NS_PER_MS);
}

void journal_flows_list(struct journal *journal, struct journal_flow_list_req *req)
{
	(void)journal;
	(void)req;
	MUST(!"no operator asks in here");
}

int journal_flows_load(struct journal *journal, int (*flow)(void *arg, const struct journal_flow *found), void *arg,
		       struct err *err)
{
	struct journal_port *port = port_of(journal);
	const struct disk_flow *at;
	int rc = 0;

	(void)err;
	for (at = port->disk->flows; at != NULL && rc == 0; at = at->hh.next) {
		struct journal_step steps[FLOW_STEPS_MAX];
		struct journal_flow lent;

		if (at->has_ended)
			continue;
		(void)lend(at, &lent, steps);
		rc = flow(arg, &lent);
	}
	return rc;
}
