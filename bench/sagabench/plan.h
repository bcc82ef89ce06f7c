/* What a load asks for next, and what the stores must hold when it has ended.
 *
 * Documents are numbers; number k has the id "<prefix>/<k>". The plan follows the answers: the version with the
 * greatest id that committed is the one that stays (saga ids grow with each version), so the sums at the end are exact
 * also when several requests for one document overlap. */
#ifndef SAGAD_BENCH_PLAN_H
#define SAGAD_BENCH_PLAN_H

#include "shape.h"
#include "zipf.h"

#include <stdbool.h>

#define PLAN_VERSION_BYTES 37

enum op_kind { OP_INSERT, OP_OVERWRITE, OP_DUPLICATE, OP_DELETE, OP_SAGA, OP_KINDS };

struct plan_config {
	const char *prefix; /* borrowed; goes into ids and idempotency keys as it is: letters, digits, - and / */
	uint64_t seed;
	double overwrites, duplicates, deletes; /* shares, together at most 1; the rest are inserts */
	double shrinks;                         /* the share of overwrites whose document has half the chunks */
	double zipf;                            /* which known documents they meet; 0: all as likely */
	uint32_t n_known;                       /* documents 0..n_known - 1 were put by an earlier run */
	bool has_keys;                          /* every request carries an idempotency key */
	const char *saga;                       /* borrowed: one line of JSON, run again and again; NULL: documents */
};

struct plan_doc {
	char version[PLAN_VERSION_BYTES]; /* "": of an earlier run */
	uint32_t n_puts;                  /* asked for so far, duplicates not counted */
	uint32_t body;                    /* of that version */
	uint32_t asked_body;              /* of the last put that was asked for */
	bool is_small;
	bool is_asked_small;
	bool is_live;
};

struct op {
	enum op_kind kind;
	uint32_t doc;
	uint32_t body;
	bool is_small;   /* body is one of the small pool */
	uint64_t number; /* makes its idempotency key: a duplicate has that of the put it repeats */
};

struct plan_sums {
	uint64_t documents, chunks, mentions, relationships;
};

struct plan {
	const struct plan_config *config; /* borrowed, as are the pools */
	const struct pool *full, *small;  /* small: NULL when nothing shrinks */
	struct rng rng;
	struct zipf zipf;
	struct plan_doc *docs; /* owned, by number */
	uint32_t n_docs;
	uint32_t docs_size;
	uint64_t n_ops;
};

/* Errors: -ENOMEM. */
int plan_init(struct plan *plan, const struct plan_config *config, const struct pool *full,
	      const struct pool *small) WARN_UNUSED;
void plan_fini(struct plan *plan);

/* Draws the next request. -ENOMEM. */
int plan_next(struct plan *plan, struct op *out_op) WARN_UNUSED;

/* Appends the request's params. */
void plan_write(const struct plan *plan, const struct op *op, struct buf *params);

/* "document.put", "document.delete" or "saga.run". */
const char *plan_method(const struct op *op);

/* The request committed as `version` (a saga id). */
void plan_committed(struct plan *plan, const struct op *op, const char *version);

/* What readers must find now. */
struct plan_sums plan_sums(const struct plan *plan);

const char *op_kind_name(enum op_kind kind);

#endif
