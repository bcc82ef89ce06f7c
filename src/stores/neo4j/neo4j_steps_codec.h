/* Steps in Neo4j, without a connection: request bodies out of a call, what an answer means. Pure.
 *
 * One request is one transaction, unless the result must be kept: then it stays open until the barrier has it. */
#ifndef SAGAD_STORES_NEO4J_NEO4J_STEPS_CODEC_H
#define SAGAD_STORES_NEO4J_NEO4J_STEPS_CODEC_H

#include "stores/step/step_codec.h"

#include <stdbool.h>
#include <stdint.h>

/* What a request is for. */
enum neo4j_steps_kind {
	NEO4J_STEPS_CHECK, /* is the barrier's constraint there? */
	NEO4J_STEPS_DO,    /* the barrier's node, then the client's statements */
	NEO4J_STEPS_UNDO,  /* the node from done to undone, then the client's statements */
	NEO4J_STEPS_LOOK,  /* what the barrier's node says */
	NEO4J_STEPS_BLOCK, /* a node that keeps the do out, or what the node says */
	NEO4J_STEPS_KEEP   /* the result into the node */
};

/* Writes the request. `kept` is KEEP's: the result as JSON. False: the call has failed. */
bool neo4j_steps_codec_body(struct call *call, enum neo4j_steps_kind kind, struct str kept,
			    struct buf *out_body) WARN_UNUSED;

/* A whole answer, in the classes on which the target decides. */
struct neo4j_steps_answer {
	bool is_ok;        /* no error, and all of it came */
	bool is_duplicate; /* a constraint: the barrier's, or one of the client's */
	bool is_division;  /* the undo's barrier, or the client's own */
	enum verdict verdict;
	struct err err;
	char state[16];      /* LOOK, BLOCK: "done", "undone", "blocked"; "": no node */
	bool is_made;        /* BLOCK: the node is new */
	bool has_constraint; /* CHECK */
	char version[32];    /* CHECK */
	char commit[96];     /* of a transaction that stays open: its path, "/db/neo4j/tx/7/commit"; "": none */
};

/* Reads the answer; `out_result` gets a LOOK's kept result, or the client's own rows, as JSON; empty: none, or longer
 * than max_bytes. */
void neo4j_steps_codec_answer(enum neo4j_steps_kind kind, uint16_t status, struct str reply, size_t max_bytes,
			      struct neo4j_steps_answer *out_answer, struct buf *out_result);

#endif
