/* The pivot as statements: one transaction that writes many sagas, each one whole or not at all. Pure.
 *
 * All of it goes out at once, without waiting for an answer, so the statements decide by themselves what they write:
 *
 *     owner    the owner's row FOR SHARE: a claim of another daemon waits for this transaction, or this finds no row
 *     lock     the rows of the documents, in the order of their ids
 *     ledger   a row for each saga whose document still has the expected version. The unique index lets one outcome
 *              in, so settle()'s `aborted` and this `committed` can never both be there
 *     ...      every later statement writes for those sagas only whose ledger row this very transaction has made:
 *              its xmin is this transaction's id. A saga that committed before (its answer was lost) has an older row,
 *              one in conflict none, and an aborted one another: for them nothing happens
 *     outcome  what the ledger holds now of each saga
 */
#ifndef SAGAD_STORES_POSTGRES_PG_PIVOT_CODEC_H
#define SAGAD_STORES_POSTGRES_PG_PIVOT_CODEC_H

#include "pg_script.h"

#include "port/truth.h"

#include <stdbool.h>
#include <stdint.h>

/* How chunks.embedding is stored: found in the catalog, since pgvector's OIDs differ from one database to the next. */
struct pg_embedding {
	bool is_known;
	bool is_vector;             /* pgvector's vector; false: real[] */
	struct pg_array_type types; /* is_vector: vector and vector[] */
};

struct pg_pivot_plan {
	uint32_t owner;   /* which statement of the script asks for the owner: no row means that the epoch is lost */
	uint32_t outcome; /* which one tells the outcomes: rows (saga_id, outcome) */
	uint32_t commit;  /* COMMIT, the last one */
};

/* Builds the script of one transaction, in the order of the documents' ids, so that two transactions can't wait for
 * each other. 0, -ENOMEM or -EMSGSIZE (see pg_params_check()). */
int pg_pivot_build(struct pg_script *script, struct truth_pivot *const *pivots, uint32_t n_pivots, uint64_t epoch,
		   const struct pg_embedding *embedding, struct pg_pivot_plan *out_plan) WARN_UNUSED;

/* Bytes that this pivot adds to the script, roughly. */
size_t pg_pivot_bytes(const struct truth_pivot *pivot);

/* The names of debts.op, and back; false for a word that no leg has. */
const char *pg_pivot_op_name(enum leg_op op);
bool pg_pivot_op_parse(const char *name, enum leg_op *out_op);

#endif
