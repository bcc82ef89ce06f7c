/* The Cypher, in one place. Only constants: what a client sends goes in as a parameter. The one exception is a
 * relationship's type on servers before 5.26, which neo4j_cypher_relate() builds from a checked name. */
#ifndef SAGAD_STORES_NEO4J_NEO4J_CYPHER_H
#define SAGAD_STORES_NEO4J_NEO4J_CYPHER_H

/* ---- apply: one transaction, in this order ----
 *
 * The barrier comes first: it creates or finds each saga's Version and locks it (a write to the node takes the lock,
 * and the labels are looked at after that). What follows touches only Versions that are neither complete nor dead, so a
 * repeated apply changes nothing, and one that comes after its removal neither.
 * Rows come sorted (documents by saga, mentions by entity, relationships by both ends): two batches lock in the same
 * order, and don't deadlock. */
#define CYPHER_APPLY_BEGIN                                                                                             \
	"UNWIND $documents AS d "                                                                                      \
	"MERGE (v:Version {saga_id: d.s}) ON MATCH SET v.saga_id = d.s "                                               \
	"WITH d, v WHERE NOT v:Document AND NOT v:Tombstone "                                                          \
	"SET v.id = d.id, v.title = d.title, v.source = d.source"

#define CYPHER_APPLY_MENTIONS                                                                                          \
	"UNWIND $mentions AS m "                                                                                       \
	"MATCH (v:Version {saga_id: m.s}) WHERE NOT v:Document AND NOT v:Tombstone "                                   \
	"MERGE (e:Entity {key: m.k}) ON CREATE SET e.type = m.t, e.name = m.n "                                        \
	"CREATE (v)-[r:MENTIONS]->(e) SET r = m.p"

/* OPTIONAL: an end that isn't there is an error of the whole transaction and not a row that silently goes. */
#define CYPHER_APPLY_RELATE_BEGIN                                                                                      \
	"UNWIND $relationships AS r "                                                                                  \
	"MATCH (v:Version {saga_id: r.s}) WHERE NOT v:Document AND NOT v:Tombstone "                                   \
	"OPTIONAL MATCH (a:Entity {key: r.a}) OPTIONAL MATCH (b:Entity {key: r.b}) "                                   \
	"CREATE (a)-[e:"
#define CYPHER_APPLY_RELATE_END                                                                                        \
	"]->(b) SET e = r.p, e.saga_id = v.saga_id, e.document_id = v.id "                                             \
	"RETURN v.saga_id AS saga, count(e) AS made"
#define CYPHER_DYNAMIC_TYPE "$(r.t)"

/* Measured on 5.26: an entity that is deleted between MERGE and the relationship's creation can lead to success with
 * no relationship. So the mentions are counted before the commit, and a difference divides by zero: an error that
 * nothing else here raises, and that takes the whole transaction back. */
#define CYPHER_APPLY_END                                                                                               \
	"UNWIND $documents AS d MATCH (v:Version {saga_id: d.s}) "                                                     \
	"WITH d, v, v:Tombstone AS dead, v:Document AS old, COUNT {(v)-[:MENTIONS]->()} AS m "                         \
	"WITH d, v, dead, old, m, CASE WHEN NOT dead AND m <> d.m THEN 1 / (m - m) ELSE 0 END AS wrong "               \
	"FOREACH (x IN CASE WHEN dead OR old THEN [] ELSE [1] END | SET v:Document) "                                  \
	"RETURN d.s AS saga, dead, old, m + wrong AS mentions"

/* ---- publish ----
 *
 * The properties of an entity are those of the newest published version that gave it any: all of them are replaced,
 * so that the result doesn't depend on the order in which versions are published. Saga ids are UUIDv7: their text's
 * order is that of time. e.name is set to itself for the entity's lock; updated_by is looked at after that. */
#define CYPHER_PUBLISH                                                                                                 \
	"UNWIND $sagas AS s "                                                                                          \
	"MATCH (:Version:Document {saga_id: s})-[m:MENTIONS]->(e:Entity) WHERE size(keys(m)) > 1 "                     \
	"WITH s, m, e ORDER BY e.key, s SET e.name = e.name "                                                          \
	"WITH s, m, e WHERE coalesce(e.updated_by, '') <= s "                                                          \
	"SET e = m{.*, ordinal: null, key: e.key, type: e.type, name: e.name, updated_by: s}"

/* ---- remove: one transaction, in this order ---- */

/* MERGE: a tombstone is left also where there was nothing, against an apply that is still on its way. */
#define CYPHER_REMOVE_BEGIN "UNWIND $sagas AS s MERGE (v:Version {saga_id: s}) SET v:Tombstone REMOVE v:Document"

/* Locks the entities in key order before anything is deleted at them in any order. */
#define CYPHER_REMOVE_LOCK                                                                                             \
	"UNWIND $sagas AS s MATCH (:Version {saga_id: s})-[:MENTIONS]->(e:Entity) "                                    \
	"WITH DISTINCT e ORDER BY e.key SET e.name = e.name"

/* A saga's relationships begin at entities that it mentions. */
#define CYPHER_REMOVE_RELATIONSHIPS                                                                                    \
	"UNWIND $sagas AS s MATCH (:Version {saga_id: s})-[:MENTIONS]->(:Entity)-[r]->(:Entity) "                      \
	"WHERE r.saga_id = s WITH DISTINCT r DELETE r"

/* removed_ms is the time of the last removal, by the server's clock, as is the collector's. */
#define CYPHER_REMOVE_END                                                                                              \
	"UNWIND $sagas AS s MATCH (v:Version {saga_id: s}) OPTIONAL MATCH (v)-[m:MENTIONS]->(e:Entity) "               \
	"WITH s, v, collect(m) AS ms, coalesce(v.keys, []) + collect(e.key) AS keys "                                  \
	"FOREACH (m IN ms | DELETE m) "                                                                                \
	"SET v = {saga_id: s, removed_ms: timestamp(), keys: CASE WHEN size(keys) > 0 THEN keys END, "                 \
	"is_uncollected: CASE WHEN size(keys) > 0 THEN true END} "                                                     \
	"RETURN s AS saga"

/* ---- collect: one transaction, in this order ----
 *
 * An entity is locked, looked at again, and deleted without DETACH: when a relationship was committed meanwhile, the
 * entity stays or the transaction fails, and no relationship is ever lost. The label Collecting lives inside the
 * transaction only: it carries the choice of tombstones from one statement to the next. */
#define CYPHER_COLLECT_TAKE                                                                                            \
	"MATCH (t:Tombstone {is_uncollected: true}) WITH t LIMIT $limit "                                              \
	"SET t:Collecting REMOVE t.is_uncollected RETURN count(t) AS taken"
#define CYPHER_COLLECT_ENTITIES                                                                                        \
	"MATCH (t:Collecting) UNWIND t.keys AS k WITH DISTINCT k ORDER BY k "                                          \
	"MATCH (e:Entity {key: k}) SET e.name = e.name "                                                               \
	"WITH e WHERE NOT EXISTS {(e)--()} DELETE e RETURN count(e) AS deleted"
#define CYPHER_COLLECT_DONE "MATCH (t:Collecting) REMOVE t:Collecting, t.keys RETURN count(t) AS done"
#define CYPHER_COLLECT_EXPIRE                                                                                          \
	"MATCH (t:Tombstone) WHERE t.removed_ms < timestamp() - $keep_ms AND t.is_uncollected IS NULL "                \
	"WITH t LIMIT $limit DELETE t RETURN count(t) AS expired"

/* ---- check and schema ---- */

#define CYPHER_CHECK_CONSTRAINTS "SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties"
#define CYPHER_CHECK_VERSION     "CALL dbms.components() YIELD name, versions RETURN name, versions[0] AS version"

#define CYPHER_SCHEMA_VERSION                                                                                          \
	"CREATE CONSTRAINT sagad_version IF NOT EXISTS FOR (v:Version) REQUIRE v.saga_id IS UNIQUE"
#define CYPHER_SCHEMA_ENTITY      "CREATE CONSTRAINT sagad_entity IF NOT EXISTS FOR (e:Entity) REQUIRE e.key IS UNIQUE"
#define CYPHER_SCHEMA_DOCUMENT    "CREATE INDEX sagad_document IF NOT EXISTS FOR (d:Document) ON (d.id)"
#define CYPHER_SCHEMA_TOMBSTONE   "CREATE INDEX sagad_tombstone IF NOT EXISTS FOR (t:Tombstone) ON (t.removed_ms)"
#define CYPHER_SCHEMA_UNCOLLECTED "CREATE INDEX sagad_uncollected IF NOT EXISTS FOR (t:Tombstone) ON (t.is_uncollected)"
#define CYPHER_SCHEMA_STEP        "CREATE CONSTRAINT sagad_step IF NOT EXISTS FOR (b:SagadStep) REQUIRE b.key IS UNIQUE"
#define CYPHER_SCHEMA_AWAIT       "CALL db.awaitIndexes(60)"

#endif
