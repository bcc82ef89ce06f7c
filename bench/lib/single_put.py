"""Latency of a single put, unloaded, against each store's own time for the same document; memory idle and loaded.

All of it in one run and in turns, so that a busy machine slows both sides. Each store's own time is taken with the
bulk form that sagad uses for one document: one request, waited for.
"""
import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/lib")]

import compare  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.waiting import eventually  # noqa: E402
from qdrant_client import models  # noqa: E402
from stores import Stores  # noqa: E402

DIMS, CHUNKS, ENTITIES, RELATIONSHIPS = 384, 8, 5, 6


def document(number, draw):
    entities = [{"type": "Thing", "name": f"thing-{(number * 3 + i) % 1000}"} for i in range(ENTITIES)]
    pairs = [(i, j) for i in range(ENTITIES) for j in range(ENTITIES) if i < j][:RELATIONSHIPS]
    return {
        "id": f"bench/{number}", "title": f"Document {number}", "content": "text " * 200, "metadata": {"number": number},
        "chunks": [{"text": f"chunk {i} " + "word " * 40,
                    "embedding": [round(draw.uniform(-1, 1), 6) for _ in range(DIMS)]} for i in range(CHUNKS)],
        "entities": entities,
        "relationships": [{"from": entities[i], "type": "NEAR", "to": entities[j]} for i, j in pairs],
    }


class Timer:
    """Milliseconds by name."""

    def __init__(self):
        self.times = {}

    def take(self, name, work):
        started = time.perf_counter()
        work()
        self.times.setdefault(name, []).append((time.perf_counter() - started) * 1000)

    def p50(self, name):
        return statistics.median(self.times[name])

    def p99(self, name):
        return statistics.quantiles(self.times[name], n=100)[98]


class OwnTimes:
    """Each store by itself, with the official client, as if there were no sagad."""

    def __init__(self, stores, folder):
        self.stores = stores
        self.journal = sqlite3.connect(folder / "journal", isolation_level=None)
        self.journal.execute("PRAGMA journal_mode=WAL")
        self.journal.execute("PRAGMA synchronous=FULL")
        self.journal.execute("CREATE TABLE note (id TEXT PRIMARY KEY)")
        stores.postgres.execute("CREATE TABLE IF NOT EXISTS bench_documents (id text PRIMARY KEY, content text)")
        stores.postgres.execute("CREATE TABLE IF NOT EXISTS bench_chunks (id text, n int, text text, "
                                f"embedding vector({DIMS}), PRIMARY KEY (id, n))")

    def journal_sync(self):
        self.journal.execute("INSERT INTO note VALUES (?)", [str(uuid.uuid4())])

    def postgres(self, job):
        with self.stores.postgres.transaction(), self.stores.postgres.cursor() as cursor:
            key = str(uuid.uuid4())
            cursor.execute("INSERT INTO bench_documents VALUES (%s, %s)", [key, job["content"]])
            cursor.execute(
                "INSERT INTO bench_chunks SELECT %s, * FROM unnest(%s::int[], %s::text[], %s::vector[])",
                [key, list(range(CHUNKS)), [c["text"] for c in job["chunks"]],
                 [json.dumps(c["embedding"]) for c in job["chunks"]]])

    def qdrant(self, job):
        self.stores.qdrant.upsert("bench", wait=True, points=[
            models.PointStruct(id=str(uuid.uuid4()), vector=c["embedding"], payload={"text": c["text"]})
            for c in job["chunks"]])

    def neo4j(self, job):
        with self.stores.neo4j.session() as session:
            session.run(
                "CREATE (d:Bench {id: $id}) WITH d UNWIND $entities AS e MERGE (n:BenchEntity {key: e.name}) "
                "CREATE (d)-[:MENTIONS]->(n)", id=str(uuid.uuid4()),
                entities=sorted(job["entities"], key=lambda e: e["name"])).consume()
            session.run(
                "UNWIND $rows AS r MATCH (a:BenchEntity {key: r.from.name}), (b:BenchEntity {key: r.to.name}) "
                "CREATE (a)-[:NEAR]->(b)", rows=job["relationships"]).consume()

    def redis(self, job):
        self.stores.redis.set("bench:" + job["id"], json.dumps(job), ex=60)


def measure(client, own, rounds, draw):
    timer = Timer()
    for number in range(-rounds // 4, rounds):  # the first quarter warms
        job = document(number, draw)
        into = timer if number >= 0 else Timer()
        into.take("put", lambda: client.call("document.put", **job))
        into.take("journal sync", own.journal_sync)
        for name in ("qdrant", "neo4j", "redis", "postgres"):
            into.take(name, lambda: getattr(own, name)(job))
    return timer


def load_memory(daemon, draw):
    """Resident memory while 100 documents are always under way; the highest of some readings."""
    jobs = [json.dumps({"jsonrpc": "2.0", "id": n, "method": "document.put",
                        "params": document(100000 + n, draw)}).encode() + b"\n" for n in range(1500)]
    highest = 0
    with daemon.jobs(120) as client:
        started, done, sent = time.perf_counter(), 0, 0
        while done < len(jobs):
            while sent < len(jobs) and sent - done < 100:
                client.send_bytes(jobs[sent])
                sent += 1
            assert client.receive().is_ok
            done += 1
            if done % 50 == 0:
                highest = max(highest, daemon.memory_bytes())
        return highest, len(jobs) / (time.perf_counter() - started)


def show(timer, idle, loaded, rate):
    print(f"{'':34}{'p50 ms':>9}{'p99 ms':>9}")
    for name in ("journal sync", "qdrant", "neo4j", "redis", "postgres", "put"):
        print(f"{'put through sagad' if name == 'put' else name + ' alone':34}{timer.p50(name):9.2f}{timer.p99(name):9.2f}")
    base = timer.p50("journal sync") + max(timer.p50(n) for n in ("qdrant", "neo4j", "redis")) + timer.p50("postgres")
    print(f"{'sync + slowest projection + commit':34}{base:9.2f}")
    print(f"memory: {idle / 2**20:.1f} MiB idle, {loaded / 2**20:.1f} MiB with 100 documents under way ({rate:.0f} docs/s)")
    print(f"put_over_parts={timer.p50('put') / base:.2f} idle_mib={idle / 2**20:.1f} loaded_mib={loaded / 2**20:.1f}")


def main():
    parser = argparse.ArgumentParser(prog="bench/single-put", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="puts that count (300)")
    rounds, draw = parser.parse_args().rounds, random.Random(7)
    with Stores.scratch(say=print) as stores, tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        stores.up(is_bench=True)
        daemon = Daemon(stores.env(), {"schema.dims": DIMS, "log.level": "info"},
                        journal=Path(folder) / "sagad.sqlite")
        try:
            daemon.launch()
            eventually(lambda: os.path.exists(daemon.admin_path), 10)
            daemon.init(dims=DIMS)
            daemon.wait_ready()
            idle = daemon.memory_bytes()
            with compare.connect(stores.env()) as readers, daemon.jobs() as client:
                readers.qdrant.create_collection(
                    "bench", vectors_config=models.VectorParams(size=DIMS, distance=models.Distance.COSINE))
                readers.neo4j.execute_query(
                    "CREATE CONSTRAINT bench IF NOT EXISTS FOR (e:BenchEntity) REQUIRE e.key IS UNIQUE")
                timer = measure(client, OwnTimes(readers, Path(folder)), rounds, draw)
                loaded, rate = load_memory(daemon, draw)
            show(timer, idle, loaded, rate)
        finally:
            daemon.end()


if __name__ == "__main__":
    main()
