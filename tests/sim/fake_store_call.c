/* Requests to a store: taken from the engine, and answered. What becomes of them between is in fake_store_fault.c. */
#include "fake_store_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void store_call_destroy(struct sent *base)
{
	struct store_call *call = store_call_of(base);

	free(call->writes);
	free(call);
}

/* ---- the answer ---- */

static void note_refusal(struct store_call *call, const struct write_copy *write)
{
	struct facts *facts = &store_call_sim(call)->facts;
	bool is_batched = call->is_shared && call->n_writes > 1;

	if (write->op != LEG_APPLY || write->verdict == VERDICT_OK)
		return;
	if (write->verdict == VERDICT_PERMANENT && !is_batched)
		facts_refused(facts, call->port->server->number, &write->saga);
	else if (!is_batched || (write->verdict != VERDICT_PERMANENT && write->verdict != VERDICT_DOUBT))
		facts_failed(facts, call->port->server->number, &write->saga, call->is_cut && call->n_writes == 1);
}

static const char *const op_names[] = {"apply", "publish", "remove"};

static void trace_answer(const struct store_call *call, const struct write_copy *write)
{
	bool is_ok = write->verdict == VERDICT_OK;

	trace_daemon(&store_call_sim(call)->trace, call->call.daemon->number, "hears", "%s on %s(%s): %s%s%s%s",
		     call->port->server->name, op_names[write->op], trace_id(&write->saga),
		     verdict_name(write->verdict), is_ok ? "" : ": ", is_ok ? "" : call->text,
		     call->is_shared && call->n_writes > 1 ? ", said of the whole request" : "");
}

/* What the engine lent must be as it was: it was to be kept until done(). */
static void check_lent(struct store_call *call, const struct leg_write *lent, const struct write_copy *copy)
{
	if (uuid_compare(&lent->saga, &copy->saga) != 0 || content_doc(lent->document_id) != copy->doc ||
	    (copy->has_document && memcmp(lent->document->content_hash, copy->hash, DIGEST_BYTES) != 0))
		facts_violate(&store_call_sim(call)->facts, 12, "a write of saga %s changed while its request was out",
			      trace_id(&copy->saga));
}

static void store_call_reply(struct sent *base)
{
	struct store_call *call = store_call_of(base);
	struct store_req *req = call->req;

	call->port->n_out--;
	for (uint32_t i = 0; i < call->n_writes; i++) {
		struct leg_write *write = req->writes[i];

		check_lent(call, write, &call->writes[i]);
		write->verdict = call->writes[i].verdict;
		if (write->verdict != VERDICT_OK)
			(void)err_set(&write->err, 0, "%s: %s", call->port->server->name, call->text);
		note_refusal(call, &call->writes[i]);
	}
	req->is_shared = call->is_shared;
	req->is_cut = call->is_cut;
	if (call->is_cut && call->n_writes == 1 && call->writes[0].op == LEG_APPLY)
		facts_cut(&store_call_sim(call)->facts, call->writes[0].doc);
	for (uint32_t i = 0; i < call->n_writes; i++)
		trace_answer(call, &call->writes[i]);
	call->req = NULL;
	req->done(req);
}

/* ---- submit ---- */

static void copy_write(struct write_copy *copy, const struct leg_write *write)
{
	copy->op = write->op;
	copy->saga = write->saga;
	copy->doc = content_doc(write->document_id);
	copy->n_chunks = write->n_chunks;
	copy->ttl_s = write->cache_ttl_s;
	copy->verdict = VERDICT_DOUBT;
	if (write->document == NULL)
		return;
	copy->has_document = true;
	copy->n_whole = write->document->n_chunks;
	copy->mark = content_mark(write->document);
	content_entities(write->document, &copy->entities, &copy->properties);
	memcpy(copy->hash, write->document->content_hash, sizeof(copy->hash));
}

static void check_write(struct store_call *call, const struct leg_write *write, const struct write_copy *copy)
{
	struct sim *sim = store_call_sim(call);

	if (write->op == LEG_APPLY && write->document == NULL)
		facts_violate(&sim->facts, 12, "an apply of saga %s came without a document", trace_id(&write->saga));
	if (write->op != call->req->writes[0]->op)
		facts_violate(&sim->facts, 12, "a request to %s mixes operations", call->port->server->name);
	trace_daemon(&sim->trace, call->call.daemon->number, "sends", "%s(%s) of doc-%u to %s", op_names[write->op],
		     trace_id(&write->saga), copy->doc, call->port->server->name);
	if (daemon_is_doomed(call->call.daemon))
		return; /* it never leaves */
	facts_sent(&sim->facts, call->port->server->number, write->op, &write->saga, copy->doc,
		   truth_is_current(&sim->truth, copy->doc, &write->saga));
}

static void check_request(struct store_port *port, const struct store_req *req)
{
	struct facts *facts = &port->server->sim->facts;

	if (req->n_writes == 0 || req->n_writes > port->store.max_batch)
		facts_violate(facts, 12, "a request to %s has %u writes, at most are %u", port->store.name,
			      req->n_writes, port->store.max_batch);
	if (++port->n_out > port->store.max_requests)
		facts_violate(facts, 12, "%u requests are out to %s, at most are %u", port->n_out, port->store.name,
			      port->store.max_requests);
}

static void port_submit(struct store *store, struct store_req *req)
{
	struct store_port *port = container_of(store, struct store_port, store);
	struct store_call *call = calloc(1, sizeof(*call));

	MUST(call != NULL);
	call->port = port;
	call->req = req;
	call->n_writes = req->n_writes;
	call->writes = calloc(req->n_writes, sizeof(*call->writes));
	MUST(call->writes != NULL);
	call->call.reply = store_call_reply;
	call->call.destroy = store_call_destroy;
	call->call.states = store_call_states;
	call->call.redraw = store_call_redraw;
	call_begin(&call->call, port->daemon);
	check_request(port, req);
	for (uint32_t i = 0; i < req->n_writes; i++) {
		copy_write(&call->writes[i], req->writes[i]);
		check_write(call, req->writes[i], &call->writes[i]);
	}
	store_call_plan(call, req->timeout_ns);
}

/* ---- the rest of the port ---- */

static bool port_publishes(const struct store *store, const struct document *document)
{
	const struct store_port *port = (const struct store_port *)(const void *)store; /* its first member */

	if (port->server->kind == STORE_NEO4J)
		return document == NULL || content_has_properties(document);
	return port->server->kind == STORE_REDIS;
}

static size_t port_write_bytes(const struct store *store, const struct leg_write *write)
{
	(void)store;
	return write->document != NULL ? 200 + 100 * (size_t)write->document->n_chunks : 100;
}

static void port_status(const struct store *store, struct store_status *out_status)
{
	memset(out_status, 0, sizeof(*out_status));
	(void)snprintf(out_status->endpoint, sizeof(out_status->endpoint), "fake %s", store->name);
}

static void port_close(struct store *store, void (*closed)(void *arg), void *arg)
{
	(void)store;
	closed(arg);
}

void store_port_init(struct store_port *port, struct sim_store *server, struct daemon *daemon)
{
	static const struct store_ops ops = {
		.submit = port_submit,
		.status = port_status,
		.publishes = port_publishes,
		.write_bytes = port_write_bytes,
		.close = port_close,
	};

	*port = (struct store_port){
		.store =
			{
				.ops = &ops,
				.name = server->name,
				.max_requests = server->max_requests,
				.max_batch = server->max_batch,
				.max_batch_bytes = server->max_batch_bytes,
				.has_fences = server->has_fences,
			},
		.server = server,
		.daemon = daemon,
	};
}
