/* Neo4j's HTTP transaction endpoint (5.x): the Cypher, its parameters, and what replies mean. No I/O, no clock.
 *
 * One body is one transaction. The shape in the graph:
 *
 *     (:Version:Document {saga_id, id, title, source})-[:MENTIONS {ordinal, ...}]->(:Entity {key, type, name, ...})
 *     (:Entity)-[:<TYPE> {saga_id, document_id, ordinal, ...}]->(:Entity)
 *     (:Version:Tombstone {saga_id, removed_ms, keys})     what is left of a removed saga, for a time
 *
 * A Version without Document is being written, and is seen by nobody: apply sets that label last. While its `keys` name
 * entities that the collector has to look at, a tombstone also has `is_uncollected`, which is indexed.
 *
 * Properties: null is left out; strings, booleans, numbers and lists of one of these kinds go as they are; anything
 * else (objects, mixed lists, integers over 64 bits, numbers that are infinite as a double) goes as its JSON text.
 * Names that sagad uses itself (entities: key, type, name, saga_id, ordinal, updated_by; relationships: saga_id,
 * document_id, ordinal) are refused by the protocol, and left out here. */
#ifndef SAGAD_STORES_NEO4J_NEO4J_CODEC_H
#define SAGAD_STORES_NEO4J_NEO4J_CODEC_H

#include "base/err.h"
#include "base/must.h"
#include "base/str.h"
#include "port/store.h"
#include "port/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct neo4j_body {
	char *at; /* JSON, owned: neo4j_body_fini() */
	size_t len;
};

void neo4j_body_fini(struct neo4j_body *body);

/* What differs between servers. */
struct neo4j_dialect {
	bool has_dynamic_types; /* relationship types as values: `[e:$(r.t)]`, from 5.26 */
};

/* One transaction with the writes of many sagas, all of the same op. 0 or -ENOMEM. */
int neo4j_write_body(struct leg_write *const *writes, uint32_t n_writes, const struct neo4j_dialect *dialect,
		     struct neo4j_body *out_body, struct err *err) WARN_UNUSED;

/* Bytes of this write in a request, roughly. */
size_t neo4j_write_bytes(const struct leg_write *write);

/* A step of the collector: entities that removed sagas mentioned and that nothing is connected to any more go, and
 * tombstones older than tombstone_ms. At most `limit` tombstones of each kind. */
int neo4j_collect_body(uint32_t limit, uint64_t tombstone_ms, struct neo4j_body *out_body) WARN_UNUSED;

/* Asks for the constraints and the server's version. */
int neo4j_check_body(struct neo4j_body *out_body) WARN_UNUSED;

/* Makes constraints and indexes where they are missing; then waits until all are online. Two transactions: the
 * schema can't be changed and used in one. */
int neo4j_schema_body(struct neo4j_body *out_body) WARN_UNUSED;
int neo4j_await_body(struct neo4j_body *out_body) WARN_UNUSED;

/* What a reply means. */
struct neo4j_answer {
	enum verdict verdict;
	bool is_shared; /* not OK: one write's data may be the cause, so that smaller batches make sense */
};

/* The reply to neo4j_write_body(): sets each write's verdict and err. Returned is the answer for the request as a
 * whole: OK also when a single write was refused by its own verdict (an apply of a saga that was removed). */
struct neo4j_answer neo4j_write_answer(uint16_t status, struct str reply, struct leg_write **writes, uint32_t n_writes,
				       struct err *err);

/* The reply to anything else: OK when the transaction was committed. */
struct neo4j_answer neo4j_answer(uint16_t status, struct str reply, struct err *err);

/* What the check found. */
struct neo4j_server {
	bool has_version_constraint; /* Version.saga_id is unique */
	bool has_entity_constraint;  /* Entity.key is unique */
	char version[32];            /* "5.26.30"; "": unknown */
};

/* 0, or -EPROTO: not such a reply. */
int neo4j_check_parse(struct str reply, struct neo4j_server *out_server) WARN_UNUSED;

/* 0, or -EINVAL and err names what is missing. */
int neo4j_check_constraints(const struct neo4j_server *server, struct err *err) WARN_UNUSED;

/* By the version: 5.26 and later know relationship types as values. */
struct neo4j_dialect neo4j_dialect_of(const char *version);

/* Did a step of the collector stop at its limit, so that another should follow at once? */
bool neo4j_collect_is_full(struct str reply, uint32_t limit);

#endif
