"""Errors planted on purpose: a comparison that finds none of them is no proof.

Each plant changes one thing in one store, and puts it back exactly. Don't run
it beside writers.
"""
import contextlib
import dataclasses
import json
import uuid

from psycopg import pq
from qdrant_client import models

from . import in_neo4j, in_postgres, in_qdrant, in_redis, model
from .comparison import run

STRANGER = "00000000-0000-7000-8000-000000000000"   # a saga that never was


class NothingToPlant(Exception):
    """The stores hold no document that an error could be planted in."""


@dataclasses.dataclass
class Planted:
    what: str            # for people
    store: str           # where the difference must be reported,
    document: str        # for which document,
    field: str           # and what its field must contain


def _pick(documents):
    """A document that has something of everything."""
    for document in documents.values():
        if document.chunks and document.entities and document.relationships:
            return document
    raise NothingToPlant("no document has chunks, entities and relationships")


@contextlib.contextmanager
def postgres_text(stores, document):
    """A chunk's text is changed: each projection then differs from it."""
    chunk = document.chunks[-1]
    update = "UPDATE chunks SET text = %s WHERE document_id = %s AND chunk_id = %s"
    stores.postgres.execute(update, (chunk.text + "!", document.id, chunk.id))
    try:
        yield Planted("text of chunk %s changed" % chunk.id, "qdrant",
                      document.id, "point of chunk %s: text" % chunk.id)
    finally:
        stores.postgres.execute(update, (chunk.text, document.id, chunk.id))


@contextlib.contextmanager
def postgres_missing_row(stores, document):
    """A chunk's row is gone."""
    chunk = document.chunks[-1]
    where = " WHERE document_id = %s AND chunk_id = %s"
    key = (document.id, chunk.id)
    cursor = stores.postgres.execute("SELECT * FROM chunks" + where, key)
    columns = ", ".join('"%s"' % c.name for c in cursor.description)
    texts = ", ".join('"%s"::text' % c.name for c in cursor.description)
    row = stores.postgres.execute("SELECT " + texts + " FROM chunks" + where,
                                  key).fetchone()
    stores.postgres.execute("DELETE FROM chunks" + where, key)
    try:
        yield Planted("row of chunk %s deleted" % chunk.id, "qdrant",
                      document.id, "point ")
    finally:
        # As untyped literals, which each column's own type reads back.
        stores.postgres.execute("INSERT INTO chunks (%s) VALUES (%s)" % (
            columns, _literals(stores.postgres, row)))


def _literals(connection, row):
    """The texts of a row as SQL literals without a type."""
    escape = pq.Escaping(connection.pgconn).escape_literal
    return ", ".join("NULL" if text is None
                     else bytes(escape(text.encode())).decode() for text in row)


def _upsert(stores, point, payload):
    stores.qdrant.upsert(stores.collection, wait=True, points=[
        models.PointStruct(id=point.id, vector=point.vector, payload=payload)])


def _point(stores, document, ordinal):
    name = in_qdrant.point_id(document.id, document.version, ordinal)
    return stores.qdrant.retrieve(stores.collection, [name], with_payload=True,
                                  with_vectors=True)[0]


@contextlib.contextmanager
def qdrant_missing_point(stores, document):
    """A point is gone."""
    point = _point(stores, document, 0)
    stores.qdrant.delete(stores.collection, points_selector=[point.id], wait=True)
    try:
        yield Planted("point %s deleted" % point.id, "qdrant", document.id,
                      "point of chunk %s" % document.chunks[0].id)
    finally:
        _upsert(stores, point, point.payload)


@contextlib.contextmanager
def qdrant_vector(stores, document):
    """Two components of a vector are exchanged."""
    point = _point(stores, document, 0)
    turned = list(point.vector)
    high = max(range(len(turned)), key=turned.__getitem__)
    low = min(range(len(turned)), key=turned.__getitem__)
    turned[high], turned[low] = turned[low], turned[high]
    changed = models.PointStruct(id=point.id, vector=turned, payload=point.payload)
    stores.qdrant.upsert(stores.collection, points=[changed], wait=True)
    try:
        yield Planted("vector of point %s changed" % point.id, "qdrant",
                      document.id, "vector")
    finally:
        _upsert(stores, point, point.payload)


@contextlib.contextmanager
def qdrant_orphan_point(stores, document):
    """A point of a saga that no document has as its version."""
    point = _point(stores, document, 0)
    name = str(uuid.uuid4())
    orphan = models.PointStruct(id=name, vector=point.vector,
                                payload={**point.payload, "saga_id": STRANGER})
    stores.qdrant.upsert(stores.collection, points=[orphan], wait=True)
    try:
        yield Planted("orphan point %s added" % name, "qdrant", document.id,
                      "point " + name)
    finally:
        stores.qdrant.delete(stores.collection, points_selector=[name], wait=True)


def _cypher(stores, query, **parameters):
    return stores.neo4j.execute_query(
        query, parameters, database_=stores.neo4j_database).records


@contextlib.contextmanager
def neo4j_missing_relationship(stores, document):
    """A typed relationship is gone."""
    edge = document.relationships[0]
    keys = {"a": in_neo4j.entity_key(*edge.start),
            "b": in_neo4j.entity_key(*edge.end)}
    # The type is one that matches sagad's own pattern; quoted all the same.
    pattern = "(a:Entity {key: $a})-[r:`%s` {saga_id: $saga}]->(b:Entity {key: $b})" \
        % edge.type.replace("`", "``")
    held = _cypher(stores, "MATCH " + pattern + " WITH r, properties(r) AS p"
                   " DELETE r RETURN p", saga=document.version, **keys)
    try:
        yield Planted("relationship %s deleted" % edge.type, "neo4j", document.id,
                      "[%s]" % edge.type)
    finally:
        for record in held:
            _cypher(stores, "MATCH (a:Entity {key: $a}), (b:Entity {key: $b})"
                    " CREATE (a)-[r:`%s`]->(b) SET r = $p"
                    % edge.type.replace("`", "``"), p=record["p"], **keys)


@contextlib.contextmanager
def neo4j_property(stores, document):
    """A Document node has another title."""
    match = "MATCH (d:Document {saga_id: $saga}) "
    title = _cypher(stores, match + "RETURN d.title AS t",
                    saga=document.version)[0]["t"]
    change = match + "SET d.title = $title"
    _cypher(stores, change, saga=document.version, title="something else")
    try:
        yield Planted("title of the Document node changed", "neo4j",
                      document.id, "title")
    finally:
        _cypher(stores, change, saga=document.version, title=title)


@contextlib.contextmanager
def neo4j_orphan_node(stores, document):
    """A Document node of a saga that no document has as its version."""
    _cypher(stores, "CREATE (:Document {saga_id: $saga, id: $id})",
            saga=STRANGER, id=document.id)
    try:
        yield Planted("orphan Document node added", "neo4j", document.id,
                      "Document node")
    finally:
        _cypher(stores, "MATCH (d:Document {saga_id: $saga}) DELETE d", saga=STRANGER)


@contextlib.contextmanager
def redis_value(stores, document):
    """A cached title is changed; a value that ran out is one with a wrong version."""
    key = in_redis.live_key(stores, document.id)
    text = stores.redis.get(key)
    if text is None:
        stores.redis.set(key, json.dumps({"version": STRANGER}), ex=60)
    else:
        value = json.loads(text)
        value["title"] = "something else"
        stores.redis.set(key, json.dumps(value), keepttl=True)
    try:
        yield Planted("cached value changed", "redis", document.id,
                      "title" if text is not None else "version")
    finally:
        if text is None:
            stores.redis.delete(key)
        else:
            # xx: one that ran out meanwhile stays away.
            stores.redis.set(key, text, keepttl=True, xx=True)


@contextlib.contextmanager
def redis_staging_key(stores, document):
    """A staging key of a dead saga is left."""
    key = in_redis.stage_key(stores, document.id, STRANGER)
    stores.redis.set(key, "{}", ex=60)
    try:
        yield Planted("staging key of a dead saga added", "redis", "", "stage:")
    finally:
        stores.redis.delete(key)


PLANTS = {
    "postgres": [postgres_text, postgres_missing_row],
    "qdrant": [qdrant_missing_point, qdrant_vector, qdrant_orphan_point],
    "neo4j": [neo4j_missing_relationship, neo4j_property, neo4j_orphan_node],
    "redis": [redis_value, redis_staging_key],
}


@dataclasses.dataclass
class Proof:
    store: str           # where the error was planted
    planted: Planted
    found: list          # the differences that name it


def _names(planted, difference):
    return (difference.store == planted.store
            and difference.document == planted.document
            and planted.field in difference.field)


def prove(stores, jobs=None, partial=False, one_each=False):
    """Plants each error in turn; returns (proofs, differences left at the end).

    one_each: only the first error of each store. A proof whose `found` is empty is an error that the comparison missed. What
    differed before counts neither as found nor as left.
    """
    before = set(run(stores, jobs, partial).differences)
    document = _pick(in_postgres.read(stores.postgres, model.Report()))
    proofs = []
    for store, plants in PLANTS.items():
        for plant in plants[:1] if one_each else plants:
            with plant(stores, document) as planted:
                new = set(run(stores, jobs, partial).differences) - before
                proofs.append(Proof(store, planted, sorted(
                    (d for d in new if _names(planted, d)), key=str)))
    left = set(run(stores, jobs, partial).differences) - before
    return proofs, sorted(left, key=str)
