#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int plan_init(struct plan *plan, const struct plan_config *config, const struct pool *full, const struct pool *small)
{
	*plan = (struct plan){.config = config, .full = full, .small = small, .rng = {config->seed}};
	zipf_init(&plan->zipf, config->zipf);
	plan->docs_size = config->n_known > 1024 ? config->n_known : 1024;
	plan->docs = calloc(plan->docs_size, sizeof(*plan->docs));
	if (plan->docs == NULL || zipf_grow(&plan->zipf, config->n_known) != 0) {
		plan_fini(plan);
		return -ENOMEM;
	}
	for (; plan->n_docs < config->n_known; plan->n_docs++)
		plan->docs[plan->n_docs] = (struct plan_doc){.body = plan->n_docs % full->n,
							     .asked_body = plan->n_docs % full->n,
							     .n_puts = 1,
							     .is_live = true};
	return 0;
}

void plan_fini(struct plan *plan)
{
	zipf_fini(&plan->zipf);
	free(plan->docs);
	*plan = (struct plan){0};
}

/* ---- drawing ---- */

static double plan_point(struct plan *plan)
{
	return (double)(rng_next(&plan->rng) >> 11) * 0x1p-53;
}

static enum op_kind plan_draw_kind(struct plan *plan)
{
	const struct plan_config *config = plan->config;
	double point = plan_point(plan);

	if (config->saga != NULL)
		return OP_SAGA;
	if (plan->n_docs == 0)
		return OP_INSERT;
	if (point < config->overwrites)
		return OP_OVERWRITE;
	if (point < config->overwrites + config->duplicates)
		return OP_DUPLICATE;
	if (point < config->overwrites + config->duplicates + config->deletes)
		return OP_DELETE;
	return OP_INSERT;
}

static int plan_add_doc(struct plan *plan)
{
	if (plan->n_docs == plan->docs_size) {
		struct plan_doc *docs = reallocarray(plan->docs, 2 * (size_t)plan->docs_size, sizeof(*docs));

		if (docs == NULL)
			return -ENOMEM;
		plan->docs = docs;
		plan->docs_size *= 2;
	}
	if (zipf_grow(&plan->zipf, plan->n_docs + 1) != 0)
		return -ENOMEM;
	plan->docs[plan->n_docs++] = (struct plan_doc){0};
	return 0;
}

/* Two writes of one document that follow each other differ, or the second would be skipped as unchanged. */
static void plan_draw_body(struct plan *plan, struct op *op)
{
	struct plan_doc *doc = &plan->docs[op->doc];
	bool is_small = op->kind == OP_OVERWRITE && plan->small != NULL && plan_point(plan) < plan->config->shrinks;

	doc->asked_body = (op->doc + doc->n_puts) % (is_small ? plan->small->n : plan->full->n);
	doc->is_asked_small = is_small;
	doc->n_puts++;
}

int plan_next(struct plan *plan, struct op *out_op)
{
	struct op op = {.kind = plan_draw_kind(plan), .number = plan->n_ops};

	if (op.kind == OP_SAGA) {
		plan->n_ops++;
		*out_op = op;
		return 0;
	}
	if (op.kind == OP_INSERT) {
		if (plan_add_doc(plan) != 0)
			return -ENOMEM;
		op.doc = plan->n_docs - 1;
	} else {
		op.doc = zipf_draw(&plan->zipf, plan->n_docs, &plan->rng);
	}
	if (op.kind == OP_INSERT || op.kind == OP_OVERWRITE)
		plan_draw_body(plan, &op);
	op.body = plan->docs[op.doc].asked_body;
	op.is_small = plan->docs[op.doc].is_asked_small;
	if (op.kind != OP_DELETE)
		op.number = plan->docs[op.doc].n_puts;
	plan->n_ops++;
	*out_op = op;
	return 0;
}

/* ---- asking ---- */

static const struct body *plan_body(const struct plan *plan, uint32_t body, bool is_small)
{
	return &(is_small ? plan->small : plan->full)->bodies[body];
}

const char *plan_method(const struct op *op)
{
	if (op->kind == OP_SAGA)
		return "saga.run";
	return op->kind == OP_DELETE ? "document.delete" : "document.put";
}

static void plan_write_saga(const struct plan *plan, const struct op *op, struct buf *params)
{
	if (!plan->config->has_keys) {
		buf_append_text(params, plan->config->saga);
		return;
	}
	buf_append_format(params, "{\"idempotency_key\":\"%s/%llu/saga-%llu\",", plan->config->prefix,
			  (unsigned long long)plan->config->seed, (unsigned long long)op->number);
	buf_append_text(params, plan->config->saga + 1); /* without its opening brace */
}

static void plan_write_document(const struct plan *plan, const struct op *op, struct buf *params)
{
	const struct body *body = plan_body(plan, op->body, op->is_small);

	buf_append_format(params, "{\"id\":\"%s/%u\"", plan->config->prefix, (unsigned)op->doc);
	if (plan->config->has_keys)
		buf_append_format(params, ",\"idempotency_key\":\"%s/%llu/%u/%s%llu\"", plan->config->prefix,
				  (unsigned long long)plan->config->seed, (unsigned)op->doc,
				  op->kind == OP_DELETE ? "delete-" : "put-", (unsigned long long)op->number);
	if (op->kind == OP_DELETE || body->len == 0) {
		buf_append_text(params, "}");
		return;
	}
	buf_append_text(params, ",");
	buf_append(params, body->json, body->len);
}

void plan_write(const struct plan *plan, const struct op *op, struct buf *params)
{
	if (op->kind == OP_SAGA)
		plan_write_saga(plan, op, params);
	else
		plan_write_document(plan, op, params);
}

/* ---- counting ---- */

void plan_committed(struct plan *plan, const struct op *op, const char *version)
{
	struct plan_doc *doc = &plan->docs[op->doc];

	if (strcmp(version, doc->version) <= 0)
		return;
	(void)strncpy(doc->version, version,
		      sizeof(doc->version) - 1); /* a longer one is no UUID, and compares as well */
	doc->body = op->body;
	doc->is_small = op->is_small;
	doc->is_live = op->kind != OP_DELETE;
}

struct plan_sums plan_sums(const struct plan *plan)
{
	struct plan_sums sums = {0};

	for (uint32_t i = 0; i < plan->n_docs; i++) {
		const struct plan_doc *doc = &plan->docs[i];
		const struct body *body = plan_body(plan, doc->body, doc->is_small);

		if (!doc->is_live)
			continue;
		sums.documents++;
		sums.chunks += body->n_chunks;
		sums.mentions += body->n_entities;
		sums.relationships += body->n_relationships;
	}
	return sums;
}

const char *op_kind_name(enum op_kind kind)
{
	static const char *const names[OP_KINDS] = {"inserts", "overwrites", "duplicates", "deletes", "sagas"};

	return names[kind];
}
