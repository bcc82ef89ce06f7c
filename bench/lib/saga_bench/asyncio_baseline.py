"""What a user writes today: the official clients, asyncio.gather, and a rollback when one of the four has failed.

No version, no ledger, no fence: what it leaves when it is killed is what sagad exists for. It writes into the same
tables, collection and labels, under the same constraints.
"""
from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
import warnings

import neo4j
import psycopg
import redis.asyncio
from pgvector import Vector
from pgvector.psycopg import register_vector_async
from qdrant_client import AsyncQdrantClient, models

DOCUMENT = ("INSERT INTO documents (id, title, source, content, metadata, version, chunk_count, ingestion_status,"
            " created_at, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 'COMPLETED', now(), now())")
CHUNK = "INSERT INTO chunks (document_id, chunk_id, ordinal, text, embedding) VALUES (%s, %s, %s, %s, %s)"
ENTITY = "INSERT INTO entities (document_id, ordinal, type, name) VALUES (%s, %s, %s, %s)"
EDGE = ("INSERT INTO relationships (document_id, ordinal, from_type, from_name, type, to_type, to_name)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)")
GRAPH = ("CREATE (d:Version:Document {saga_id: $saga, id: $id, title: $title, source: $source}) WITH d"
         " UNWIND $entities AS e MERGE (n:Entity {key: e.key}) ON CREATE SET n.type = e.type, n.name = e.name"
         " CREATE (d)-[:MENTIONS {ordinal: e.ordinal}]->(n)")
EDGES = ("UNWIND $edges AS r MATCH (a:Entity {key: r.a}), (b:Entity {key: r.b})"
         " CREATE (a)-[:$(r.type) {saga_id: $saga, document_id: $id, ordinal: r.ordinal}]->(b)")


def key_of(entity: dict) -> str:
    return hashlib.sha256(f"{entity['type']}\n{entity['name']}".encode()).hexdigest()


class Baseline:
    """Four clients; one PostgreSQL connection for each task."""

    def __init__(self, environ: dict[str, str], documents: list[dict], collection: str = "documents"):
        self.environ, self.documents, self.collection = environ, documents, collection
        self.entities = [[{"key": key_of(e), "type": e["type"], "name": e["name"], "ordinal": n}
                          for n, e in enumerate(d.get("entities", []))] for d in documents]
        self.edges = [[{"a": key_of(r["from"]), "b": key_of(r["to"]), "type": r["type"], "ordinal": n}
                       for n, r in enumerate(d.get("relationships", []))] for d in documents]
        self.written = 0
        self.failed = 0
        self.first_error: Exception | None = None

    async def _open(self, n_tasks: int) -> None:
        environ = self.environ
        self.graph = neo4j.AsyncGraphDatabase.driver(
            environ["NEO4J_BOLT_URL"], auth=(environ["NEO4J_USER"], environ["NEO4J_PASSWORD"]),
            max_connection_pool_size=n_tasks + 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Api key is used with an insecure")
            self.qdrant = AsyncQdrantClient(host=environ["QDRANT_HOST"], port=int(environ["QDRANT_PORT"]), https=False,
                                            api_key=environ["QDRANT_API_KEY"], timeout=60, check_compatibility=False)
        self.redis = redis.asyncio.from_url(environ["REDIS_URL"])
        self.postgres = []
        for _ in range(n_tasks):
            connection = await psycopg.AsyncConnection.connect(
                host=environ["POSTGRES_HOST"], port=environ["POSTGRES_PORT"], user=environ["POSTGRES_USER"],
                password=environ["POSTGRES_PASSWORD"], dbname=environ["POSTGRES_DB"], autocommit=True)
            await register_vector_async(connection)
            self.postgres.append(connection)

    async def _close(self) -> None:
        for connection in self.postgres:
            await connection.close()
        await self.graph.close()
        await self.qdrant.close()
        await self.redis.aclose()

    async def _to_postgres(self, connection: psycopg.AsyncConnection, name: str, document: dict,
                           saga: uuid.UUID) -> None:
        async with connection.transaction(), connection.cursor() as cursor:
            texts = [document.get(key) for key in ("title", "source", "content")]
            await cursor.execute(DOCUMENT, (name, *texts, json.dumps(document.get("metadata")), saga,
                                            len(document["chunks"])))
            await cursor.executemany(CHUNK, [(name, str(n), n, c["text"], Vector(c["embedding"]))
                                             for n, c in enumerate(document["chunks"])])
            if document.get("entities"):
                await cursor.executemany(ENTITY, [(name, n, e["type"], e["name"])
                                                  for n, e in enumerate(document["entities"])])
            if document.get("relationships"):
                await cursor.executemany(EDGE, [
                    (name, n, r["from"]["type"], r["from"]["name"], r["type"], r["to"]["type"], r["to"]["name"])
                    for n, r in enumerate(document["relationships"])])

    async def _to_qdrant(self, name: str, document: dict, saga: uuid.UUID) -> None:
        await self.qdrant.upsert(self.collection, wait=True, points=[
            models.PointStruct(id=str(uuid.uuid4()), vector=c["embedding"],
                               payload={"document_id": name, "saga_id": str(saga), "chunk_id": str(n), "chunk_index": n,
                                        "text": c["text"]}) for n, c in enumerate(document["chunks"])])

    async def _to_neo4j(self, name: str, body: int, saga: uuid.UUID) -> None:
        document = self.documents[body]

        async def work(transaction: neo4j.AsyncManagedTransaction) -> None:
            await transaction.run(GRAPH, saga=str(saga), id=name, title=document.get("title"),
                                  source=document.get("source"), entities=self.entities[body])
            if self.edges[body]:
                await transaction.run(EDGES, saga=str(saga), id=name, edges=self.edges[body])
        async with self.graph.session() as session:
            await session.execute_write(work)

    async def _to_redis(self, name: str, document: dict, saga: uuid.UUID) -> None:
        value = {key: document.get(key) for key in ("title", "source", "content", "metadata")}
        await self.redis.set("sagad:doc:{%s}" % name, json.dumps({"version": str(saga), "id": name, **value}), ex=3600)

    async def _rollback_all(self, connection: psycopg.AsyncConnection, name: str) -> None:
        its_id = models.FieldCondition(key="document_id", match=models.MatchValue(value=name))
        for table, column in (("documents", "id"), ("chunks", "document_id"), ("entities", "document_id"),
                              ("relationships", "document_id")):
            await connection.execute(f"DELETE FROM {table} WHERE {column} = %s", (name,))
        await self.qdrant.delete(self.collection, models.FilterSelector(filter=models.Filter(must=[its_id])))
        await self.graph.execute_query("MATCH (d:Document {id: $id}) DETACH DELETE d", id=name)
        await self.redis.delete("sagad:doc:{%s}" % name)

    async def _ingest(self, connection: psycopg.AsyncConnection, name: str, body: int, is_gathered: bool) -> None:
        document, saga = self.documents[body], uuid.uuid4()
        writes = (self._to_postgres(connection, name, document, saga), self._to_qdrant(name, document, saga),
                  self._to_neo4j(name, body, saga), self._to_redis(name, document, saga))
        try:
            if is_gathered:
                await asyncio.gather(*writes)
            else:
                for write in writes:
                    await write
            self.written += 1
        except Exception as error:
            self.failed += 1
            self.first_error = self.first_error or error
            await self._rollback_all(connection, name)

    async def _run(self, prefix: str, n: int, n_tasks: int, is_gathered: bool) -> tuple[float, float]:
        await self._open(n_tasks)
        numbers, latencies = iter(range(n)), []

        async def worker(connection: psycopg.AsyncConnection) -> None:
            for k in numbers:
                began = time.perf_counter()
                await self._ingest(connection, f"{prefix}/{k}", k % len(self.documents), is_gathered)
                latencies.append(time.perf_counter() - began)
        try:
            began = time.perf_counter()
            await asyncio.gather(*(worker(connection) for connection in self.postgres))
            return n / (time.perf_counter() - began), sorted(latencies)[len(latencies) // 2]
        finally:
            await self._close()

    def run(self, prefix: str, n: int, n_tasks: int, is_gathered: bool = True) -> tuple[float, float]:
        """(documents a second, median seconds of one) for n documents over n_tasks tasks."""
        return asyncio.run(self._run(prefix, n, n_tasks, is_gathered))
