"""The latency of one put on an idle machine against its parts, each measured alone: the journal's sync, the slowest
projection, PostgreSQL's commit.

The parts are as lean as they can be made: requests rendered before the clock starts, kept connections, one round trip
for PostgreSQL (a pipeline of prepared statements with binary parameters). Puts and parts are taken in turns.
"""
from __future__ import annotations

import contextlib
import sqlite3
import statistics
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq

from .arena import Arena
from .bulk import SOME_TIME, WRITERS, Item, Postgresql, compact, field
from .goals import Found
from .rows import Scale
from .workload import STANDARD

PROJECTIONS = ("qdrant", "neo4j", "redis")


def _array(oid: int, values: list[bytes | None]) -> bytes:
    """A one-dimensional array in PostgreSQL's binary form (src/backend/utils/adt/arrayfuncs.c, array_send)."""
    return struct.pack(">iiiii", 1, int(None in values), oid, len(values), 1) + b"".join(map(field, values))


def _jsonb(value: Any) -> bytes | None:
    return None if value is None else b"\x01" + compact(value).encode()


class OnePipeline:
    """One document in one round trip: BEGIN, four statements, COMMIT."""

    STATEMENTS = {
        "documents": "INSERT INTO documents (id, title, source, content, metadata, version, chunk_count,"
                     " ingestion_status, created_at, updated_at)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, 'COMPLETED', $8, $8)",
        "chunks": "INSERT INTO chunks (document_id, chunk_id, ordinal, text, metadata, embedding) SELECT $1, * FROM"
                  " unnest($2::text[], $3::int[], $4::text[], $5::jsonb[], $6::vector[])",
        "entities": "INSERT INTO entities (document_id, ordinal, type, name, properties) SELECT $1, * FROM"
                    " unnest($2::int[], $3::text[], $4::text[], $5::jsonb[])",
        "relationships": "INSERT INTO relationships (document_id, ordinal, from_type, from_name, type, to_type,"
                         " to_name, properties) SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[],"
                         " $5::text[], $6::text[], $7::text[], $8::jsonb[])"}

    def __init__(self, connection: psycopg.Connection):
        names = ("int4", "text", "jsonb", "vector")
        self.oid = {name: connection.execute("SELECT %s::regtype::oid", [name]).fetchone()[0] for name in names}
        self.connection = connection.pgconn
        for name, statement in {"begin": "BEGIN", "commit": "COMMIT", **self.STATEMENTS}.items():
            self.connection.prepare(name.encode(), statement.encode())
        self.connection.enter_pipeline_mode()

    def _texts(self, values: list[str]) -> bytes:
        return _array(self.oid["text"], [value.encode() for value in values])

    def _numbers(self, n: int) -> bytes:
        return _array(self.oid["int4"], [struct.pack(">i", k) for k in range(n)])

    def _objects(self, rows: list[dict], key: str) -> bytes:
        return _array(self.oid["jsonb"], [_jsonb(row.get(key)) for row in rows])

    def build(self, name: str, document: dict) -> list[tuple[str, list[bytes | None]]]:
        key, chunks = name.encode(), document["chunks"]
        entities, edges = document["entities"], document["relationships"]
        vectors = [struct.pack(f">HH{len(c['embedding'])}f", len(c["embedding"]), 0, *c["embedding"]) for c in chunks]
        texts = [document.get(field_name) for field_name in ("title", "source", "content")]
        return [
            ("begin", []),
            ("documents", [key, *[None if t is None else t.encode() for t in texts], _jsonb(document.get("metadata")),
                           uuid.uuid4().bytes, struct.pack(">i", len(chunks)), SOME_TIME]),
            ("chunks", [key, self._texts([str(n) for n in range(len(chunks))]), self._numbers(len(chunks)),
                        self._texts([c["text"] for c in chunks]), self._objects(chunks, "metadata"),
                        _array(self.oid["vector"], vectors)]),
            ("entities", [key, self._numbers(len(entities)), self._texts([e["type"] for e in entities]),
                          self._texts([e["name"] for e in entities]), self._objects(entities, "properties")]),
            ("relationships", [key, self._numbers(len(edges)), *[
                self._texts([edge[end][part] if part else edge[end] for edge in edges]) for end, part in (
                    ("from", "type"), ("from", "name"), ("type", None), ("to", "type"), ("to", "name"))],
                self._objects(edges, "properties")]),
            ("commit", [])]

    def write(self, statements: list[tuple[str, list[bytes | None]]]) -> None:
        for name, values in statements:
            self.connection.send_query_prepared(name.encode(), values, [1] * len(values))
        self.connection.pipeline_sync()
        for name, _ in statements:
            result = self.connection.get_result()
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise RuntimeError(f"postgresql, {name}: {result.error_message.decode()}")
            self.connection.get_result()  # the end of this statement's results
        self.connection.get_result()  # the sync


class Parts:
    """What a put is made of, one at a time."""

    def __init__(self, arena: Arena, documents: list[dict], postgres: psycopg.Connection, folder: Path):
        self.documents, self.n = documents, 0
        self.writers = {name: WRITERS[name](arena.environ, documents) for name in PROJECTIONS}
        self.connections = {name: writer.connect() for name, writer in self.writers.items()}
        self.postgres = OnePipeline(postgres)
        self.journal = sqlite3.connect(folder / "journal-alone", isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                          "CREATE TABLE intents (saga TEXT PRIMARY KEY, document_id TEXT NOT NULL) WITHOUT ROWID"):
            self.journal.execute(statement)

    def close(self) -> None:
        self.journal.close()
        for connection in self.connections.values():
            connection.close()

    def times_ms(self) -> dict[str, float]:
        """Each part once, for one document of its own."""
        self.n += 1
        item = Item(f"parts/{self.n}", self.n % len(self.documents))
        found = {"journal": _time_ms(lambda: self.journal.execute("INSERT INTO intents VALUES (?, ?)",
                                                                  (item.saga_text, item.id)))}
        for name, writer in self.writers.items():
            request = writer.build([item])
            found[name] = _time_ms(lambda: writer.write(self.connections[name], request))
        statements = self.postgres.build(item.id, self.documents[item.body])
        return {**found, "postgresql": _time_ms(lambda: self.postgres.write(statements))}


def _time_ms(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


@contextlib.contextmanager
def _parts(arena: Arena) -> Iterator[Parts]:
    with Postgresql(arena.environ, []).connect() as postgres, \
            contextlib.closing(Parts(arena, STANDARD.documents(), postgres, arena.folder)) as parts:
        yield parts


def single(arena: Arena, scale: Scale) -> dict[str, Found]:
    rounds = []
    with _parts(arena) as parts:
        for n in range(scale.rounds + 1):
            report = arena.sagad(STANDARD, "--clients=1", "--depth=1", f"--count={scale.singles}")
            taken = [parts.times_ms() for _ in range(scale.singles)]
            medians = {name: statistics.median(times[name] for times in taken) for name in taken[0]}
            if n > 0:  # the first round is for connections and prepared statements
                rounds.append({"put": report["latency_ms"]["p50"], **medians, "requests_per_document": {
                    store: more["requests"] / scale.singles for store, more in report["stores"].items()}})
    sums = [r["journal"] + max(r[name] for name in PROJECTIONS) + r["postgresql"] for r in rounds]
    found = Found.of([r["put"] / total for r, total in zip(rounds, sums)], rounds=rounds)
    middle = {name: statistics.median(r[name] for r in rounds) for name in rounds[0] if name != "requests_per_document"}
    found.detail["median_ms"] = {**middle, "parts": statistics.median(sums)}
    arena.say("  " + ", ".join(f"{name} {ms:.2f} ms" for name, ms in found.detail["median_ms"].items()))
    return {"single": found}
