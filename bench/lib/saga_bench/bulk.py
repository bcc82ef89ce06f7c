"""Each store's best bulk form for a batch of documents: build() renders a request, write() sends it and waits.

The forms hold the very fields that sagad writes, in its tables, under its constraints and as durable (PostgreSQL and
Neo4j committed, Qdrant with wait=true), but no ledger, no fences and no second statement that checks the first: they
are what a bulk loader would do that nobody asks what happens when it fails.
"""
from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import struct
import uuid
from typing import Any
from urllib.parse import urlsplit

import numpy
import psycopg

STORES = ("postgresql", "qdrant", "neo4j", "redis")
# Microseconds from 2000-01-01 to 2026-01-01: PostgreSQL's binary timestamps count from there.
SOME_TIME = struct.pack(">q", 820_540_800_000_000)
NULL = struct.pack(">i", -1)


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def field(value: bytes | None) -> bytes:
    """A column in PostgreSQL's binary COPY format (manual, COPY, "Binary Format")."""
    return NULL if value is None else struct.pack(">i", len(value)) + value


def text(value: str | None) -> bytes:
    return field(None if value is None else value.encode())


def jsonb(value: Any) -> bytes:
    return field(None if value is None else b"\x01" + compact(value).encode())


def integer(value: int) -> bytes:
    return field(struct.pack(">i", value))


def vector(values: list[float]) -> bytes:
    """pgvector's binary form: dimensions, zero, big-endian float32."""
    return field(struct.pack(">HH", len(values), 0) + numpy.asarray(values, ">f4").tobytes())


class Item:
    """One document of a batch: its id, its version, and the number of its content in the pool."""

    __slots__ = ("id", "saga", "saga_text", "body")

    def __init__(self, name: str, body: int):
        self.id, self.body = name, body
        self.saga = uuid.uuid4()
        self.saga_text = str(self.saga)


class Postgresql:
    """COPY in binary into the four tables, one transaction a batch."""

    TABLES = {"documents": "id, title, source, content, metadata, content_hash, version, chunk_count, ingestion_status,"
                           " created_at, updated_at",
              "chunks": "document_id, chunk_id, ordinal, text, metadata, embedding",
              "entities": "document_id, ordinal, type, name, properties",
              "relationships": "document_id, ordinal, from_type, from_name, type, to_type, to_name, properties"}
    HEAD = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
    TAIL = struct.pack(">h", -1)

    def __init__(self, environ: dict[str, str], documents: list[dict]):
        self.address = {"host": environ["POSTGRES_HOST"], "port": environ["POSTGRES_PORT"],
                        "user": environ["POSTGRES_USER"], "password": environ["POSTGRES_PASSWORD"],
                        "dbname": environ["POSTGRES_DB"]}
        self.bodies = [self._render(document) for document in documents]

    @staticmethod
    def _render(document: dict) -> tuple:
        """By table, the rest of each row behind its first column; documents in two parts around the version."""
        row = {name: struct.pack(">h", columns.count(",") + 1) for name, columns in Postgresql.TABLES.items()}
        return row, (
            text(document.get("title")) + text(document.get("source")) + text(document.get("content"))
            + jsonb(document.get("metadata")) + field(hashlib.sha256(compact(document).encode()).digest()),
            integer(len(document["chunks"])) + text("COMPLETED") + field(SOME_TIME) + field(SOME_TIME)), {
            "chunks": [text(chunk.get("id", str(n))) + integer(n) + text(chunk["text"]) + jsonb(chunk.get("metadata"))
                       + vector(chunk["embedding"]) for n, chunk in enumerate(document["chunks"])],
            "entities": [integer(n) + text(entity["type"]) + text(entity["name"]) + jsonb(entity.get("properties"))
                         for n, entity in enumerate(document.get("entities", []))],
            "relationships": [integer(n) + text(r["from"]["type"]) + text(r["from"]["name"]) + text(r["type"])
                              + text(r["to"]["type"]) + text(r["to"]["name"]) + jsonb(r.get("properties"))
                              for n, r in enumerate(document.get("relationships", []))]}

    def connect(self) -> psycopg.Connection:
        connection = psycopg.connect(**self.address, autocommit=True)
        connection.execute("SET synchronous_commit = on")
        return connection

    def build(self, items: list[Item]) -> dict[str, bytes]:
        out = {name: [self.HEAD] for name in self.TABLES}
        for item in items:
            row, (before, after), parts = self.bodies[item.body]
            name = text(item.id)
            out["documents"] += (row["documents"], name, before, field(item.saga.bytes), after)
            for table, rest in parts.items():
                begin = row[table] + name
                for piece in rest:
                    out[table] += (begin, piece)
        return {name: b"".join([*pieces, self.TAIL]) for name, pieces in out.items() if len(pieces) > 1}

    def write(self, connection: psycopg.Connection, batch: dict[str, bytes]) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            for table, data in batch.items():
                with cursor.copy(f"COPY {table} ({self.TABLES[table]}) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(data)


class _Http:
    """Requests on one kept connection."""

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection.request(method, path, body, self.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Qdrant(_Http):
    """One upsert with wait=true."""

    def __init__(self, environ: dict[str, str], documents: list[dict], collection: str = "documents"):
        self.host, self.port = environ["QDRANT_HOST"], int(environ["QDRANT_PORT"])
        self.headers = {"api-key": environ["QDRANT_API_KEY"], "Content-Type": "application/json"}
        self.path = f"/collections/{collection}/points?wait=true"
        self.bodies = [[self._render(n, chunk) for n, chunk in enumerate(document["chunks"])] for document in documents]

    @staticmethod
    def _render(n: int, chunk: dict) -> bytes:
        return (b'","vector":' + compact(chunk["embedding"]).encode() + b',"payload":' + compact(
            {"chunk_id": chunk.get("id", str(n)), "chunk_index": n, "text": chunk["text"],
             "metadata": chunk.get("metadata")}).encode()[:-1] + b',"document_id":')

    def build(self, items: list[Item]) -> bytes:
        out = []
        for item in items:
            last = compact(item.id).encode() + b',"saga_id":"' + item.saga_text.encode() + b'"}}'
            first = item.saga.int
            for n, piece in enumerate(self.bodies[item.body]):
                # Any UUID will do: this one is made faster than a UUIDv5.
                out += (b',{"id":"', str(uuid.UUID(int=first ^ n + 1)).encode(), piece, last)
        return b'{"points":[' + b"".join(out)[1:] + b"]}"

    def write(self, connection: http.client.HTTPConnection, batch: bytes) -> None:
        status, answer = self.ask(connection, "PUT", self.path, batch)
        if status != 200 or json.loads(answer)["result"]["status"] != "completed":
            raise RuntimeError(f"qdrant answered {status}: {answer[:300]}")


class Neo4j(_Http):
    """One transaction: entities once each and in key order, documents with their mentions, relationships in order."""

    STATEMENTS = (
        "UNWIND $rows AS r MERGE (e:Entity {key: r.k}) ON CREATE SET e.type = r.t, e.name = r.n",
        "UNWIND $rows AS r CREATE (v:Version:Document {saga_id: r.s, id: r.id, title: r.title, source: r.source})"
        " WITH v, r UNWIND r.m AS m MATCH (e:Entity {key: m.k}) CREATE (v)-[:MENTIONS {ordinal: m.o}]->(e)",
        "UNWIND $rows AS r MATCH (a:Entity {key: r.a}) MATCH (b:Entity {key: r.b})"
        " CREATE (a)-[:$(r.t) {saga_id: r.s, document_id: r.d, ordinal: r.o}]->(b)")

    def __init__(self, environ: dict[str, str], documents: list[dict], database: str = "neo4j"):
        url = urlsplit(environ["NEO4J_URL"])
        self.host, self.port = url.hostname, url.port
        secret = f"{environ['NEO4J_USER']}:{environ['NEO4J_PASSWORD']}".encode()
        self.headers = {"Authorization": "Basic " + base64.b64encode(secret).decode(),
                        "Content-Type": "application/json", "Accept": "application/json"}
        self.path = f"/db/{database}/tx/commit"
        self.bodies = [self._render(document) for document in documents]

    @staticmethod
    def _key(entity: dict) -> str:
        return hashlib.sha256(f"{entity['type']}\n{entity['name']}".encode()).hexdigest()

    def _render(self, document: dict) -> tuple:
        entities = [(self._key(e), compact({"k": self._key(e), "t": e["type"], "n": e["name"]}))
                    for e in document.get("entities", [])]
        mentions = compact([{"k": key, "o": n} for n, (key, _) in enumerate(entities)])
        edges = [(self._key(r["from"]), self._key(r["to"]), compact(
            {"a": self._key(r["from"]), "b": self._key(r["to"]), "t": r["type"], "o": n})[:-1])
            for n, r in enumerate(document.get("relationships", []))]
        return entities, compact({"title": document.get("title"), "source": document.get("source")})[:-1] \
            + f',"m":{mentions},"s":"', edges

    def build(self, items: list[Item]) -> bytes:
        entities, documents, edges = {}, [], []
        for item in items:
            own, document, between = self.bodies[item.body]
            entities.update(own)
            name = compact(item.id)
            documents.append(f'{document}{item.saga_text}","id":{name}}}')
            tail = f',"s":"{item.saga_text}","d":{name}}}'
            edges += [(a, b, edge, tail) for a, b, edge in between]
        edges.sort()
        rows = (",".join(entities[key] for key in sorted(entities)), ",".join(documents),
                ",".join(edge + tail for _, _, edge, tail in edges))
        return ('{"statements":[' + ",".join(
            f'{{"statement":{compact(statement)},"parameters":{{"rows":[{part}]}}}}'
            for statement, part in zip(self.STATEMENTS, rows) if part) + "]}").encode()

    def write(self, connection: http.client.HTTPConnection, batch: bytes) -> None:
        """Transient errors (deadlocks, locks that take too long on a busy machine) are Neo4j's way to say: again."""
        while True:
            status, answer = self.ask(connection, "POST", self.path, batch)
            errors = json.loads(answer)["errors"] if status in (200, 201) else [{"code": ""}]
            if not errors:
                return
            if not errors[0]["code"].startswith("Neo.TransientError."):
                raise RuntimeError(f"neo4j answered {status}: {answer[:300]}")


class Redis:
    """One pipeline of SET with a TTL."""

    def __init__(self, environ: dict[str, str], documents: list[dict]):
        url = urlsplit(environ["REDIS_URL"])
        self.host, self.port, self.password = url.hostname, url.port, url.password
        self.bodies = [compact({"title": d.get("title"), "source": d.get("source"), "content": d.get("content"),
                                "metadata": d.get("metadata"),
                                "chunks": [c.get("id", str(n)) for n, c in enumerate(d["chunks"])]})[1:].encode()
                       for d in documents]

    @staticmethod
    def command(*words: bytes) -> bytes:
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def connect(self) -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.write(connection, (self.command(b"AUTH", self.password.encode()), 1))
        return connection

    def build(self, items: list[Item]) -> tuple[bytes, int]:
        return b"".join(self.command(
            b"SET", b"sagad:doc:{%s}" % item.id.encode(),
            b'{"version":"%s","id":%s,' % (item.saga_text.encode(), compact(item.id).encode()) + self.bodies[item.body],
            b"EX", b"3600") for item in items), len(items)

    def write(self, connection: socket.socket, batch: tuple[bytes, int]) -> None:
        data, n = batch
        connection.sendall(data)
        answers = b""
        while answers.count(b"\r\n") < n:
            more = connection.recv(65536)
            if not more:
                raise RuntimeError("redis closed the connection")
            answers += more
        if answers != b"+OK\r\n" * n:
            raise RuntimeError(f"redis answered {answers[:300]!r}")


WRITERS = {"postgresql": Postgresql, "qdrant": Qdrant, "neo4j": Neo4j, "redis": Redis}
