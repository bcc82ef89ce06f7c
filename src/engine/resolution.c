#include "resolution.h"

#include "engine/accepted.h"
#include "engine/errand.h"
#include "engine/flow_run.h"

#include <stdlib.h>

#define BIT(i) ((uint32_t)1 << (i))

/* One piece of work that is declared settled, while the journal writes it down. By then it may be done or gone. */
struct settling {
	struct journal_req req;
	struct engine *engine;
	struct engine_resolution *resolution; /* NULL: nobody waits any more */
	struct str document_id;               /* in `texts`, as the error and the reason */
	enum errand_kind kind;
	enum leg_op op;
	uint32_t store; /* an index, or UINT32_MAX: a job */
	struct list node;
	char texts[];
};

static void resolution_on_written(struct journal_req *req)
{
	struct settling *settling = container_of(req, struct settling, req);

	list_append(&settling->engine->journaled, &req->node);
}

static char *resolution_keep(char **at, const char *text, size_t len)
{
	char *kept = *at;

	memcpy(kept, text, len);
	*at += len + 1; /* zeroed memory: the NUL is there */
	return kept;
}

static struct settling *resolution_make(struct engine *engine, struct engine_resolution *resolution,
					struct str document_id, const char *error)
{
	struct str reason = resolution->order.reason;
	struct settling *made = calloc(1, sizeof(*made) + document_id.len + strlen(error) + reason.len + 3);
	char *at;

	if (made == NULL) {
		resolution->code = CODE_INTERNAL;
		(void)err_set(&resolution->err, 0, "out of memory; what was not resolved is listed still");
		return NULL;
	}
	at = made->texts;
	made->engine = engine;
	made->resolution = resolution;
	made->document_id = (struct str){resolution_keep(&at, document_id.at, document_id.len), document_id.len};
	made->req = (struct journal_req){
		.op = JOURNAL_RESOLVED,
		.saga = resolution->order.id,
		.document_id = made->document_id,
		.error = resolution_keep(&at, error, strlen(error)),
		.reason = resolution_keep(&at, reason.at, reason.len),
		.uid = resolution->uid,
		.unix_ms = engine->now.unix_ms,
		.done = resolution_on_written,
	};
	list_init(&made->req.node);
	return made;
}

static void resolution_write(struct settling *settling)
{
	struct engine *engine = settling->engine;

	settling->resolution->n_out++;
	list_append(&engine->resolved, &settling->node);
	engine->journal->ops->submit(engine->journal, &settling->req);
}

/* ---- what is looked for ---- */

static void resolution_errand(struct engine_resolution *resolution, struct errand *errand)
{
	struct engine *engine = errand->engine;

	for (uint32_t i = 0; i < engine->n_stores; i++) {
		const char *store = engine->senders[i].store->name;
		struct settling *settling;

		if (!(errand->due & BIT(i)) || !errand->chores[i].is_parked ||
		    (resolution->order.store.at != NULL && !str_is_equal(resolution->order.store, str_of(store))))
			continue;
		settling =
			resolution_make(engine, resolution, errand->document_id, errand->chores[i].send.write.err.text);
		if (settling == NULL)
			return;
		settling->kind = errand->kind;
		settling->op = errand->op;
		settling->store = i;
		settling->req.store = store;
		settling->req.work = errand_op_name(errand->op);
		resolution_write(settling);
	}
}

static void resolution_job(struct engine_resolution *resolution, struct accepted *accepted)
{
	struct settling *settling =
		resolution_make(accepted->engine, resolution, accepted->job.document_id, accepted->last_error.text);

	if (settling == NULL)
		return;
	settling->store = UINT32_MAX;
	settling->req.store = "";
	settling->req.work = "job";
	resolution_write(settling);
}

/* Is anything of this id open at all? For the message. */
static bool resolution_is_open(struct engine *engine, const struct uuid *id)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->errands)
		if (uuid_compare(&container_of(it, struct errand, node)->saga, id) == 0)
			return true;
	return false;
}

static void resolution_refuse(struct engine *engine, struct engine_resolution *resolution)
{
	bool is_open = resolution_is_open(engine, &resolution->order.id);

	resolution->code = is_open ? CODE_CONFLICT : CODE_NOT_FOUND;
	(void)err_set(
		&resolution->err, 0, "%s",
		is_open ? "nothing of it is parked: it is still being tried; `sagactl sagas retry` tries it now"
			: "no parked work and no accepted job has this id; `sagactl sagas list` shows what is open");
	resolution->done(resolution);
}

void resolution_start(struct engine *engine, struct engine_resolution *resolution)
{
	struct accepted *accepted = accepted_find(engine, &resolution->order.id);
	struct list *it, *tmp;

	resolution->code = CODE_NONE;
	resolution->n_resolved = resolution->n_out = 0;
	if (engine->phase == ENGINE_HALTED) {
		resolution->code = CODE_SHUTTING_DOWN;
		resolution->err = engine->halt;
		resolution->done(resolution);
		return;
	}
	if (flow_care_resolve(engine, resolution))
		return;
	list_each (it, tmp, &engine->errands) {
		struct errand *errand = container_of(it, struct errand, node);

		if (uuid_compare(&errand->saga, &resolution->order.id) == 0)
			resolution_errand(resolution, errand);
	}
	if (accepted != NULL && accepted->is_durable && !accepted->is_ended)
		resolution_job(resolution, accepted);
	if (resolution->n_out > 0)
		return;
	if (resolution->code != CODE_NONE)
		resolution->done(resolution);
	else
		resolution_refuse(engine, resolution);
}

/* ---- the journal has it ---- */

static bool resolution_settle_errand(struct engine *engine, const struct settling *settling)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->errands) {
		struct errand *errand = container_of(it, struct errand, node);

		if (errand->kind == settling->kind && errand->op == settling->op &&
		    uuid_compare(&errand->saga, &settling->req.saga) == 0 && (errand->due & BIT(settling->store)) &&
		    errand->chores[settling->store].is_parked) {
			errand_settle(errand, settling->store);
			return true;
		}
	}
	return false; /* it was done meanwhile */
}

static bool resolution_settle_job(struct engine *engine, const struct settling *settling, bool *out_is_pending)
{
	struct accepted *accepted = accepted_find(engine, &settling->req.saga);

	if (accepted == NULL || accepted->is_ended)
		return false;
	*out_is_pending = !accepted_give_up(accepted, settling->req.reason);
	return true;
}

static void resolution_tell(const struct settling *settling)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(&settling->req.saga, id);
	log_warn(settling->engine->log, "resolved by uid %u: %s of %s %s of document \"%.*s\"%s%s: %s",
		 settling->req.uid, settling->req.work, settling->store == UINT32_MAX ? "accepted job" : "saga", id,
		 STR_ARG(settling->document_id), settling->req.store[0] != '\0' ? " at " : "", settling->req.store,
		 settling->req.reason);
}

void resolution_on_journaled(struct engine *engine, struct journal_req *req)
{
	struct settling *settling = container_of(req, struct settling, req);
	struct engine_resolution *resolution = settling->resolution;
	bool is_pending = false, is_settled = false;

	if (!engine_journal_failed(engine, req) && engine->phase != ENGINE_HALTED) {
		is_settled = settling->store == UINT32_MAX ? resolution_settle_job(engine, settling, &is_pending)
							   : resolution_settle_errand(engine, settling);
		if (is_settled)
			resolution_tell(settling);
	} else if (resolution->code == CODE_NONE) {
		resolution->code = CODE_SHUTTING_DOWN;
		resolution->err = engine->halt;
	}
	resolution->n_resolved += is_settled;
	resolution->is_pending = resolution->is_pending || is_pending;
	list_remove(&settling->node);
	free(settling);
	if (--resolution->n_out == 0)
		resolution->done(resolution);
}

void resolution_free_all(struct engine *engine)
{
	struct list *it, *tmp;

	list_each (it, tmp, &engine->resolved)
		free(container_of(it, struct settling, node));
	list_init(&engine->resolved);
}
