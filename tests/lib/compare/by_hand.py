"""Writes documents into the four stores in sagad's layout, without sagad.

For the tests of the comparison itself: its finds must not depend on the
program that it judges. Plain and slow; one version of each document.
"""
import hashlib
import json
import uuid

from qdrant_client import models

from . import in_neo4j, in_qdrant, in_redis

SCHEMA = """
DROP TABLE IF EXISTS documents, chunks, entities, relationships, sagad_ledger, sagad_debts;
CREATE TABLE documents (id text PRIMARY KEY, title text, source text, content text,
    metadata jsonb, content_hash bytea, version uuid NOT NULL, ingestion_status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE chunks (document_id text, chunk_id text, ordinal int NOT NULL, text text,
    metadata jsonb, embedding %s, PRIMARY KEY (document_id, chunk_id));
CREATE TABLE entities (document_id text, ordinal int, type text, name text, properties jsonb,
    PRIMARY KEY (document_id, ordinal));
CREATE TABLE relationships (document_id text, ordinal int, from_type text, from_name text,
    type text, to_type text, to_name text, properties jsonb, PRIMARY KEY (document_id, ordinal));
CREATE TABLE sagad_ledger (saga_id uuid PRIMARY KEY, idempotency_key text UNIQUE,
    document_id text, outcome text);
CREATE TABLE sagad_debts (saga_id uuid, store text, PRIMARY KEY (saga_id, store));
"""


def init(stores, dimensions, pgvector=True):
    """Empties the four stores and makes the schema."""
    postgres = stores.postgres
    if pgvector:
        postgres.execute("CREATE EXTENSION IF NOT EXISTS vector")
    postgres.execute(SCHEMA % ("vector" if pgvector else "real[]"))
    stores.qdrant.delete_collection(stores.collection)
    stores.qdrant.create_collection(
        stores.collection, vectors_config=models.VectorParams(
            size=dimensions, distance=models.Distance.COSINE))
    _cypher(stores, "MATCH (n) DETACH DELETE n")
    for label, key in (("Document", "saga_id"), ("Entity", "key")):
        _cypher(stores, "CREATE CONSTRAINT IF NOT EXISTS FOR (n:%s)"
                " REQUIRE n.%s IS UNIQUE" % (label, key))
    stores.redis.flushdb()


def _json(value):
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _cypher(stores, query, **parameters):
    stores.neo4j.execute_query(query, parameters,
                               database_=stores.neo4j_database)


def _postgres(stores, job, saga):
    name = job["id"]
    chunks = [(name, c.get("id", str(n)), n, c["text"], _json(c.get("metadata")),
               json.dumps(c["embedding"])) for n, c in enumerate(job["chunks"])]
    entities = [(name, n, e["type"], e["name"], _json(e.get("properties")))
                for n, e in enumerate(job.get("entities", []))]
    edges = [(name, n, r["from"]["type"], r["from"]["name"], r["type"],
              r["to"]["type"], r["to"]["name"], _json(r.get("properties")))
             for n, r in enumerate(job.get("relationships", []))]
    is_array = stores.postgres.execute(
        "SELECT data_type = 'ARRAY' FROM information_schema.columns WHERE"
        " table_name = 'chunks' AND column_name = 'embedding'").fetchone()[0]
    if is_array:
        chunks = [c[:5] + ("{%s}" % c[5][1:-1],) for c in chunks]
    with stores.postgres.transaction(), stores.postgres.cursor() as cursor:
        cursor.execute(
            "INSERT INTO documents (id, title, source, content, metadata,"
            " content_hash, version, ingestion_status)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 'COMPLETED')",
            (name, job.get("title"), job.get("source"), job.get("content"),
             _json(job.get("metadata")), hashlib.sha256(name.encode()).digest(), saga))
        for table, rows in (("chunks", chunks), ("entities", entities),
                            ("relationships", edges)):
            if rows:
                cursor.executemany("INSERT INTO %s VALUES (%s)" % (
                    table, ", ".join(["%s"] * len(rows[0]))), rows)
        cursor.execute("INSERT INTO sagad_ledger VALUES (%s, NULL, %s, 'committed')",
                       (saga, name))


def _qdrant(stores, job, saga):
    points = [models.PointStruct(
        id=in_qdrant.point_id(job["id"], saga, n), vector=c["embedding"],
        payload={"document_id": job["id"], "saga_id": saga,
                 "chunk_id": c.get("id", str(n)), "chunk_index": n,
                 "text": c["text"], "metadata": c.get("metadata")})
        for n, c in enumerate(job["chunks"])]
    stores.qdrant.upsert(stores.collection, points=points, wait=True)


def _flat(properties):
    return {k: v if in_neo4j.is_storable(v) else _json(v)
            for k, v in (properties or {}).items() if v is not None}


def _neo4j(stores, job, saga):
    entities = [{"key": in_neo4j.entity_key(e["type"], e["name"]),
                 "type": e["type"], "name": e["name"],
                 "properties": {**_flat(e.get("properties")), "ordinal": n}}
                for n, e in enumerate(job.get("entities", []))]
    edges = [{"a": in_neo4j.entity_key(r["from"]["type"], r["from"]["name"]),
              "b": in_neo4j.entity_key(r["to"]["type"], r["to"]["name"]),
              "t": r["type"],
              "properties": {**_flat(r.get("properties")), "saga_id": saga,
                             "document_id": job["id"], "ordinal": n}}
             for n, r in enumerate(job.get("relationships", []))]
    document = {"saga_id": saga, "id": job["id"], "title": job.get("title"),
                "source": job.get("source")}
    _cypher(stores, "CREATE (d:Document) SET d = $d WITH d UNWIND $entities AS e"
            " MERGE (n:Entity {key: e.key}) SET n.type = e.type, n.name = e.name"
            " CREATE (d)-[m:MENTIONS]->(n) SET m = e.properties",
            d=document, entities=entities)
    # Published: an entity has the properties of the newest version that gave it any.
    _cypher(stores, "MATCH (:Document {saga_id: $saga})-[m:MENTIONS]->(n:Entity)"
            " WHERE size(keys(m)) > 1 AND coalesce(n.updated_by, '') <= $saga"
            " SET n = m{.*, ordinal: null, key: n.key, type: n.type,"
            " name: n.name, updated_by: $saga}", saga=saga)
    _cypher(stores, "UNWIND $edges AS e MATCH (a:Entity {key: e.a}),"
            " (b:Entity {key: e.b}) CREATE (a)-[r:$(e.t)]->(b)"
            " SET r = e.properties", edges=edges)


def _redis(stores, job, saga):
    value = {"version": saga, "id": job["id"], "title": job.get("title"),
             "source": job.get("source"), "content": job.get("content"),
             "metadata": job.get("metadata"),
             "chunks": [c.get("id", str(n)) for n, c in enumerate(job["chunks"])]}
    stores.redis.set(in_redis.live_key(stores, job["id"]), _json(value), ex=3600)


def put(stores, job):
    """Writes one job's document into all four; returns its version."""
    saga = str(uuid.uuid4())
    for write in (_postgres, _qdrant, _neo4j, _redis):
        write(stores, job, saga)
    return saga
