#include "sim.h"

#include "proto/flow_spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MOST 7
#define TRIES_MAX  5

struct flow_job {
	struct engine_flow flow;
	struct engine_flow_query query; /* its cancellation */
	struct flow_clients *clients;
	struct daemon *daemon;
	struct list node;
	struct event retry, cancel;
	struct buf json;
	uint32_t key; /* its place; FLOW_KEYS_MAX: none */
	bool is_last;
	bool is_sent;
	unsigned n_answers, n_tries;
};

/* ---- what to ask for ---- */

struct draft {
	struct rng *rng;
	struct buf *out;
	uint32_t n_steps, pivot; /* pivot == n_steps: none */
	bool is_graph;
	uint64_t after[STEPS_MOST];
	bool is_faulty;
};

static void draw_graph(struct draft *draft)
{
	struct rng *rng = draft->rng;

	draft->n_steps = (uint32_t)rng_between(rng, 1, STEPS_MOST);
	draft->is_graph = rng_chance(rng, 500);
	draft->pivot = draft->n_steps;
	if (!draft->is_graph && rng_chance(rng, 350))
		draft->pivot = (uint32_t)rng_below(rng, draft->n_steps);
	for (uint32_t i = 0; i < draft->n_steps; i++)
		for (uint32_t k = 0; k < i; k++)
			if (draft->is_graph ? rng_chance(rng, 350) : k + 1 == i)
				draft->after[i] |= (uint64_t)1 << k;
}

static void write_reference(struct draft *draft, uint32_t step, bool may_refer)
{
	for (uint32_t k = 0; k < step && may_refer; k++)
		if ((draft->after[step] >> k & 1) != 0 && rng_chance(draft->rng, 500)) {
			buf_append_format(draft->out, "{\"of\":[%u,{\"$from\":\"s%u\",\"pointer\":\"/count\"}]}", k, k);
			return;
		}
	buf_append_text(draft->out, "{}");
}

static void write_body(struct draft *draft, uint32_t target, uint32_t step, const char *word, bool may_refer)
{
	struct buf *out = draft->out;

	switch (target) {
	case 0:
		buf_append_format(out, "{\"sql\":\"SELECT '%s'\",\"params\":[", word);
		write_reference(draft, step, may_refer);
		buf_append_text(out, "]}");
		break;
	case 1:
		buf_append_format(out, "{\"commands\":[[\"SET\",\"k\",\"%s\"]]}", word);
		break;
	case 2:
		buf_append_format(out, "{\"statements\":[{\"statement\":\"RETURN '%s'\",\"parameters\":", word);
		write_reference(draft, step, may_refer);
		buf_append_text(out, "}]}");
		break;
	default:
		buf_append_format(out, "{\"method\":\"POST\",\"path\":\"/%s\",\"body\":", word);
		write_reference(draft, step, may_refer);
		buf_append_text(out, "}");
	}
}

static void write_after(struct draft *draft, uint32_t step)
{
	bool any = false;

	if (!draft->is_graph)
		return;
	buf_append_text(draft->out, ",\"after\":[");
	for (uint32_t k = 0; k < step; k++)
		if ((draft->after[step] >> k & 1) != 0) {
			buf_append_format(draft->out, "%s\"s%u\"", any ? "," : "", k);
			any = true;
		}
	buf_append_text(draft->out, "]");
}

static void write_undo(struct draft *draft, uint32_t target, uint32_t step)
{
	struct rng *rng = draft->rng;
	bool is_kept = rng_chance(rng, 100);
	bool is_stubborn = draft->is_faulty && rng_chance(rng, 60);

	if (step > draft->pivot || (step == draft->pivot && is_kept))
		return;
	buf_append_text(draft->out, ",\"undo\":");
	if (is_kept)
		buf_append_text(draft->out, "null");
	else
		write_body(draft, target, step, is_stubborn ? "STUBBORN" : "undo", false);
}

static void write_step(struct draft *draft, uint32_t step)
{
	static const char *const names[SIM_TARGETS] = {"postgresql", "redis", "neo4j", "payments", "mail"};
	struct rng *rng = draft->rng;
	uint32_t target = (uint32_t)rng_below(rng, SIM_TARGETS);
	bool must_repeat = step >= draft->pivot, is_service = target >= 3;
	bool is_idempotent = is_service && (rng_chance(rng, 500) || must_repeat);
	bool has_check = is_service && rng_chance(rng, 300);
	bool is_refused = rng_chance(rng, 50) && step < draft->pivot;

	buf_append_format(draft->out, "%s{\"name\":\"s%u\",\"%s\":\"%s\"", step > 0 ? "," : "", step,
			  is_service ? "service" : "store", names[target]);
	write_after(draft, step);
	if (step == draft->pivot)
		buf_append_text(draft->out, ",\"pivot\":true");
	else if (rng_chance(rng, 150))
		buf_append_text(draft->out, ",\"optional\":true");
	if (is_idempotent)
		buf_append_text(draft->out, ",\"idempotent\":true");
	if (has_check)
		buf_append_text(draft->out, ",\"check\":{\"method\":\"GET\",\"path\":\"/check\"}");
	if (rng_chance(rng, 300))
		buf_append_format(draft->out, ",\"retry\":{\"max\":%u,\"base_ms\":10,\"cap_ms\":500}",
				  (unsigned)rng_between(rng, 1, 4));
	buf_append_text(draft->out, ",\"do\":");
	write_body(draft, target, step, is_refused ? "REFUSE" : "do", true);
	write_undo(draft, target, step);
	buf_append_text(draft->out, "}");
}

static void write_flow(struct flow_clients *clients, struct buf *out, uint32_t key)
{
	struct rng own = {rng_next(&clients->rng)};
	struct draft draft = {.rng = &own, .out = out, .is_faulty = clients->sim->run->has_faults};

	draw_graph(&draft);
	buf_append_text(out, "{");
	if (key < FLOW_KEYS_MAX)
		buf_append_format(out, "\"idempotency_key\":\"flow-%u\",", key);
	if (rng_chance(&own, 250))
		buf_append_format(out, "\"deadline_ms\":%" PRIu64 ",", rng_between(&own, 5, 5000));
	if (rng_chance(&own, 200))
		buf_append_text(out, "\"wait\":\"accepted\",");
	buf_append_text(out, "\"steps\":[");
	for (uint32_t i = 0; i < draft.n_steps; i++)
		write_step(&draft, i);
	buf_append_text(out, "]}");
	MUST(!out->failed);
}

/* ---- answers ---- */

static void say(const struct flow_job *job, unsigned number, const struct uuid *id, const char *what)
{
	facts_violate(&job->clients->sim->facts, number, "saga %s, key %u: %s", trace_id(id), job->key, what);
}

static void retry_later(struct flow_job *job)
{
	struct sim *sim = job->clients->sim;

	if (sim->is_safe || job->n_tries >= TRIES_MAX || job->key == FLOW_KEYS_MAX)
		return;
	world_after(&sim->world, &job->retry, rng_between(&job->clients->rng, 1, 3000) * NS_PER_MS);
}

/* Deadline and wait are no part of it; they stand before the steps. */
static bool is_same_content(const char *a, const char *b)
{
	return strcmp(strstr(a, "\"steps\""), strstr(b, "\"steps\"")) == 0;
}

/* With one journal a key stands for one saga, whose end is one. */
static void check_key(struct flow_job *job, const struct flow_report *report, bool is_end)
{
	struct flow_key *key = &job->clients->keys[job->key];

	if (job->clients->sim->n_disks > 1)
		return;
	if (key->taken != NULL && !is_same_content(key->taken, job->json.at))
		say(job, 3, &report->id, "other content was taken under a key that was used");
	if (key->taken == NULL)
		key->taken = strdup(job->json.at);
	MUST(key->taken != NULL);
	if (key->has_id && uuid_compare(&key->id, &report->id) != 0)
		say(job, 3, &report->id, "its key stood for another saga before");
	if (is_end && key->has_ended && key->end != report->state)
		say(job, 3, &report->id, "the end that was told before was another one");
	key->has_id = true;
	key->id = report->id;
	key->has_ended = key->has_ended || is_end;
	if (is_end)
		key->end = report->state;
}

static void on_report(struct flow_job *job, const struct flow_report *report)
{
	const struct flow_fact *fact = flow_facts_find(&job->clients->sim->flow_facts, &report->id);
	bool is_end = report->state == FLOW_COMMITTED || report->state == FLOW_COMPENSATED;

	if (fact == NULL || !fact->is_durable) {
		say(job, 2, &report->id, "was answered, and isn't durable");
		return;
	}
	if (is_end && (!fact->has_ended || fact->durable != report->state))
		say(job, 2, &report->id, "its end was told, and isn't durable");
	if (report->state == FLOW_COMPENSATED && report->code == CODE_NONE)
		say(job, 3, &report->id, "is compensated, and nobody says why");
	if (!is_end && job->flow.wait == FLOW_WAIT_ENDED)
		say(job, 3, &report->id, "was answered before its end");
	if (job->key < FLOW_KEYS_MAX)
		check_key(job, report, is_end);
	job->clients->n_ended += is_end;
}

static void on_refused(struct flow_job *job)
{
	static const struct uuid nil;
	bool is_retriable = code_is_retriable(job->flow.code);
	const struct flow_key *key = job->key < FLOW_KEYS_MAX ? &job->clients->keys[job->key] : NULL;
	bool is_own = key != NULL && key->taken != NULL && is_same_content(key->taken, job->json.at);

	if (job->flow.code == CODE_KEY_REUSED && (key == NULL || is_own) && job->clients->sim->n_disks == 1)
		say(job, 3, &nil, "its key is said to be another's");
	else if (!is_retriable && job->flow.code != CODE_KEY_REUSED && job->flow.code != CODE_JOURNAL_FAILED)
		say(job, 3, &nil, code_name(job->flow.code));
	if (job->is_last && is_own && job->flow.code != CODE_OVERLOADED && job->clients->sim->n_disks == 1)
		say(job, 3, &nil, "asked again at rest, it was refused");
	if (is_retriable || job->flow.code == CODE_JOURNAL_FAILED)
		retry_later(job);
}

static void on_done(struct engine_flow *flow)
{
	struct flow_job *job = container_of(flow, struct flow_job, flow);
	struct sim *sim = job->clients->sim;

	if (daemon_is_doomed(job->daemon))
		return; /* nobody hears it any more */
	trace_daemon(&sim->trace, job->daemon->number, "tells", "saga %s, key %u: %s%s",
		     flow->report != NULL ? trace_id(&flow->report->id) : "-", job->key,
		     flow->code != CODE_NONE ? code_name(flow->code) : flow_state_name(flow->report->state),
		     flow->report != NULL && flow->report->is_stored ? ", as stored" : "");
	if (++job->n_answers > 1)
		facts_violate(&sim->facts, 3, "a second answer to one saga.run, key %u", job->key);
	daemon_note_answer(job->daemon);
	job->clients->n_open--;
	if (flow->code == CODE_NONE)
		on_report(job, flow->report);
	else
		on_refused(job);
}

/* ---- asking ---- */

static void job_submit(struct flow_job *job);

static struct flow_job *job_make(struct flow_clients *clients, uint32_t key);

static void on_retry(struct event *event)
{
	struct flow_job *old = container_of(event, struct flow_job, retry);
	struct flow_job *job;

	if (old->clients->sim->is_safe)
		return;
	job = job_make(old->clients, old->key);
	buf_append_str(&job->json, buf_str(&old->json));
	job->n_tries = old->n_tries;
	job_submit(job);
}

static void on_cancel_answer(struct engine_flow_query *query)
{
	struct flow_job *job = container_of(query, struct flow_job, query);

	trace_daemon(&job->clients->sim->trace, job->daemon->number, "tells", "cancel %s: %s", trace_id(&query->id),
		     code_name(query->code));
}

/* The last of the sagas that are known to have begun; a client would have been told its id. */
static void on_cancel(struct event *event)
{
	struct flow_job *job = container_of(event, struct flow_job, cancel);
	struct sim *sim = job->clients->sim;
	const struct flow_fact *fact = sim->flow_facts.by_id;

	if (sim->is_safe || job->daemon == NULL || job->daemon->is_dead || fact == NULL || job->query.done != NULL)
		return;
	for (uint64_t n = rng_below(&job->clients->rng, HASH_COUNT(sim->flow_facts.by_id)); n > 0; n--)
		fact = fact->hh.next;
	job->query = (struct engine_flow_query){.id = fact->id, .is_cancel = true, .done = on_cancel_answer};
	engine_ask_flow(job->daemon->engine, &job->query);
	daemon_touch(job->daemon);
}

static struct flow_job *job_make(struct flow_clients *clients, uint32_t key)
{
	struct flow_job *job = calloc(1, sizeof(*job));

	MUST(job != NULL);
	job->clients = clients;
	job->key = key;
	job->retry.fire = on_retry;
	job->cancel.fire = on_cancel;
	list_append(&clients->jobs, &job->node);
	return job;
}

static void job_submit(struct flow_job *job)
{
	struct sim *sim = job->clients->sim;
	struct request_fault fault;
	struct flow_spec *spec;

	job->n_tries++;
	job->daemon = sim->current;
	if (job->daemon == NULL || job->daemon->is_dead) {
		retry_later(job);
		return;
	}
	if (flow_spec_parse(buf_str(&job->json), &sim->flow_config.limits, &spec, &fault) != 0) {
		facts_violate(&sim->facts, 12, "a saga of the simulation doesn't parse: %s: %s: %.*s", fault.path,
			      fault.err.text, STR_ARG(buf_str(&job->json)));
		return;
	}
	job->flow = (struct engine_flow){.spec = spec, .uid = 1000, .done = on_done};
	job->is_sent = true;
	job->clients->n_open++;
	trace_daemon(&sim->trace, job->daemon->number, "gets", "a saga, key %u: %.*s", job->key,
		     STR_ARG(buf_str(&job->json)));
	engine_run_flow(job->daemon->engine, &job->flow);
	daemon_touch(job->daemon);
}

/* A new key, one that was used, or none. */
static uint32_t draw_key(struct flow_clients *clients, bool *out_is_old)
{
	bool is_old = clients->n_keys > 0 && rng_chance(&clients->rng, 200);

	*out_is_old = is_old;
	if (is_old)
		return (uint32_t)rng_below(&clients->rng, clients->n_keys);
	if (clients->n_keys == FLOW_KEYS_MAX || rng_chance(&clients->rng, 400))
		return FLOW_KEYS_MAX;
	return clients->n_keys++;
}

/* The streams run on for one that is left out, so that the others stay what they are. */
static void ask(struct flow_clients *clients)
{
	uint32_t number = FLOW_JOB_FIRST + clients->n_asked++;
	bool is_old, is_cancelled, is_other = rng_chance(&clients->rng, 200);
	uint64_t cancel_ns;
	uint32_t key = draw_key(clients, &is_old);
	struct flow_job *job = job_make(clients, key);

	if (is_old && !is_other) {
		buf_append_text(&job->json, clients->keys[key].text);
	} else {
		write_flow(clients, &job->json, key);
	}
	if (key < FLOW_KEYS_MAX && !is_old) {
		clients->keys[key].text = strdup(job->json.at);
		MUST(clients->keys[key].text != NULL);
	}
	is_cancelled = rng_chance(&clients->rng, 150);
	cancel_ns = rng_between(&clients->rng, 0, 3000) * NS_PER_MS;
	if (!case_has_job(clients->sim->run, number))
		return;
	case_note_job(clients->sim->run, number);
	job_submit(job);
	if (is_cancelled)
		world_after(&clients->sim->world, &job->cancel, cancel_ns);
}

static void on_next(struct event *event)
{
	struct flow_clients *clients = container_of(event, struct flow_clients, next);

	ask(clients);
	if (--clients->n_left > 0 && !clients->sim->is_safe)
		world_after(&clients->sim->world, &clients->next, rng_between(&clients->rng, 0, 1000) * NS_PER_MS);
}

void flow_clients_begin(struct flow_clients *clients)
{
	if (clients->is_on)
		world_after(&clients->sim->world, &clients->next, 150 * NS_PER_MS);
}

void flow_clients_end(struct flow_clients *clients)
{
	struct list *it, *tmp;

	world_cancel(&clients->sim->world, &clients->next);
	list_each (it, tmp, &clients->jobs) {
		world_cancel(&clients->sim->world, &container_of(it, struct flow_job, node)->retry);
		world_cancel(&clients->sim->world, &container_of(it, struct flow_job, node)->cancel);
	}
}

void flow_clients_daemon_died(struct flow_clients *clients, struct daemon *daemon)
{
	struct list *it, *tmp;

	list_each (it, tmp, &clients->jobs) {
		struct flow_job *job = container_of(it, struct flow_job, node);

		if (!job->is_sent || job->daemon != daemon || job->n_answers > 0)
			continue;
		job->n_answers++;
		clients->n_open--;
		retry_later(job);
	}
}

void flow_clients_ask_again(struct flow_clients *clients)
{
	for (uint32_t key = 0; key < clients->n_keys; key++) {
		struct flow_job *job;

		if (!clients->keys[key].has_ended || clients->keys[key].taken == NULL)
			continue;
		job = job_make(clients, key);
		buf_append_text(&job->json, clients->keys[key].taken);
		job->is_last = true;
		job_submit(job);
	}
}

/* ---- an operator ---- */

struct flow_settlement {
	struct engine_resolution resolution;
	struct daemon *daemon;
};

static void on_settled(struct engine_resolution *resolution)
{
	free(container_of(resolution, struct flow_settlement, resolution));
}

void flow_clients_resolve(struct flow_clients *clients)
{
	struct daemon *daemon = clients->sim->current;
	const struct flow_fact *fact;

	for (fact = clients->sim->flow_facts.by_id; fact != NULL; fact = fact->hh.next) {
		struct flow_settlement *settlement;

		if (!fact->is_durable || fact->has_ended || fact->is_orphaned)
			continue;
		settlement = calloc(1, sizeof(*settlement));
		MUST(settlement != NULL);
		settlement->resolution.order =
			(struct work_order){.has_id = true, .id = fact->id, .reason = str_of("seen to")};
		settlement->resolution.done = on_settled;
		engine_resolve(daemon->engine, &settlement->resolution);
		daemon_touch(daemon);
	}
}

/* ---- life ---- */

static bool has_service(const void *arg, struct str name)
{
	(void)arg;
	return str_is_equal(name, str_of("payments")) || str_is_equal(name, str_of("mail"));
}

void flow_clients_configure(struct sim *sim)
{
	struct rng *rng = &sim->flow_clients.rng;

	sim->flow_config = (struct flow_config){
		.max_flows = rng_chance(rng, 200) ? 3 : 1000,
		.max_flow_bytes = 10000000,
		.max_result_bytes = 1000,
		.deadline_ms = rng_chance(rng, 300) ? rng_between(rng, 1000, 20000) : 0,
		.step_timeout_ms = rng_between(rng, 500, 4000),
		.max_tries = (uint32_t)rng_between(rng, 1, 6),
		.retry = {20 * NS_PER_MS, rng_between(rng, 200, 2000) * NS_PER_MS},
		.undo = {20 * NS_PER_MS, rng_between(rng, 1, 20) * NS_PER_S},
		.park_after_ms = rng_between(rng, 5, 120) * 1000,
		.parked_retry_ms = rng_between(rng, 30, 300) * 1000,
		.limits =
			{
				.max_steps = FLOW_SPEC_STEPS_MAX,
				.max_depth = FLOW_SPEC_STEPS_MAX,
				.max_bytes = 100000,
				.max_deadline_ms = 86400000,
				.max_timeout_ms = 3600000,
				.max_tries = 100,
				.has_service = has_service,
				.documents = document_limits_default(),
			},
	};
}

void flow_clients_init(struct flow_clients *clients, struct sim *sim)
{
	memset(clients, 0, sizeof(*clients));
	clients->sim = sim;
	clients->is_on = sim->run->seed % 3 == 0;
	clients->rng.state = sim->run->seed * 0x9e3779b97f4a7c15u + 7;
	clients->next.fire = on_next;
	list_init(&clients->jobs);
	clients->n_left = (uint32_t)rng_between(&clients->rng, 4, 30);
}

void flow_clients_fini(struct flow_clients *clients)
{
	struct list *it, *tmp;

	list_each (it, tmp, &clients->jobs) {
		struct flow_job *job = container_of(it, struct flow_job, node);

		list_remove(&job->node);
		buf_fini(&job->json);
		free(job);
	}
	for (uint32_t i = 0; i < clients->n_keys; i++) {
		free(clients->keys[i].text);
		free(clients->keys[i].taken);
	}
}
