"""Stores and a daemon for measuring: sized for it, warmed up, and read back by the official clients."""
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import machine
from .asyncio_baseline import Baseline
from .stores_limit import Limit
from .workload import ROOT, SAGABENCH, Workload

sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/lib")]

import compare  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.operations import Operations  # noqa: E402
from harness.waiting import eventually  # noqa: E402
from stores import Stores  # noqa: E402

STORE_NAMES = {"postgresql": "postgres", "qdrant": "qdrant", "neo4j": "neo4j", "redis": "redis"}
# As it is installed; only what bounds the number of clients and documents is raised, for the rows that have many.
SETTINGS = {"operations.listen": "127.0.0.1:0", "limits.max_clients": 1100, "limits.max_sagas": 20000,
            "limits.max_bytes": "1GiB"}


class WrongCount(Exception):
    """A run says that it wrote what is not there, or it failed."""


class Arena:
    """Used through `with Arena.open() as arena`, and arena.fresh(dims) before anything else."""

    def __init__(self, stores: Stores, folder: Path, readers: Any, say: Callable[[str], None]):
        self.stores, self.folder, self.readers, self.say = stores, folder, readers, say
        self.environ = stores.env()
        self.daemon = Daemon(self.environ, journal=folder / "sagad.sqlite")
        self.daemon.settings = dict(SETTINGS)
        self.n_runs = 0

    @classmethod
    @contextlib.contextmanager
    def open(cls, say: Callable[[str], None] = print, any_stores: bool = False) -> Iterator["Arena"]:
        """Uses the stores of SAGAD_STORES_DIR when they are up and sized for measuring, else a scratch set."""
        # An end by SIGTERM takes the daemon and scratch stores along, as every other end does.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        with contextlib.ExitStack() as stack:
            kept = Stores(say=say) if os.environ.get("SAGAD_STORES_DIR") else None
            is_up = kept is not None and all(store.is_running() and (any_stores or store.state()["is_bench"])
                                             for store in kept.own())
            stores = kept if is_up else stack.enter_context(Stores.scratch(say=say))
            stores.up(is_bench=not is_up)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build"))
            arena = cls(stores, Path(folder), stack.enter_context(compare.connect(stores.env())), say)
            stack.callback(arena.daemon.end)
            yield arena

    # The daemon.

    def fresh(self, dims: int) -> None:
        """Empty stores, an empty journal, a schema for these vectors, and a daemon that takes jobs."""
        self.daemon.kill()
        self._empty()
        for path in self.folder.glob("sagad.sqlite*"):
            path.unlink()
        self.daemon.settings["schema.dims"] = dims
        self.daemon.launch()
        eventually(lambda: self._is_initialised(dims), 20)
        self.daemon.wait_ready()

    def _is_initialised(self, dims: int) -> bool:
        """The socket of an earlier daemon lies there until the new one has its own."""
        self.daemon.check_alive()
        try:
            self.daemon.init(dims=dims)
            return True
        except OSError:
            return False

    def restart(self, meanwhile: Callable[[], None] = lambda: None, environ: dict[str, str] | None = None) -> float:
        """Stop the daemon, do something, start it again; the seconds until it takes jobs."""
        self.daemon.stop()
        meanwhile()
        self.daemon.environ = {**self.environ, **(environ or {})}
        began = time.monotonic()
        self.daemon.start(timeout_s=60)
        return time.monotonic() - began

    @property
    def pid(self) -> int:
        return self.daemon.process.pid

    def _empty(self) -> None:
        readers = self.readers
        names = [row[0] for row in readers.postgres.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE tableowner = current_user").fetchall()]
        if names:
            readers.postgres.execute(f"DROP TABLE {', '.join(names)} CASCADE")
        readers.qdrant.delete_collection(readers.collection)
        # An entity that all documents mention is too much for one transaction: relationships go first. CALL ... IN
        # TRANSACTIONS wants a session.
        with readers.neo4j.session() as session:
            session.run("MATCH ()-[r]->() CALL { WITH r DELETE r } IN TRANSACTIONS OF 10000 ROWS").consume()
            session.run("MATCH (n) CALL { WITH n DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()
        readers.redis.flushdb()

    # Reading back.

    def count(self) -> dict[str, dict[str, int]]:
        """What the stores hold now, by the official clients."""
        readers = self.readers

        def rows(query: str) -> int:
            return readers.postgres.execute(query).fetchone()[0]

        def graph(query: str) -> int:
            return readers.neo4j.execute_query(query).records[0]["n"]
        return {"postgresql": {"documents": rows("SELECT count(*) FROM documents WHERE ingestion_status = 'COMPLETED'"),
                               "chunks": rows("SELECT count(*) FROM chunks"),
                               "mentions": rows("SELECT count(*) FROM entities"),
                               "relationships": rows("SELECT count(*) FROM relationships")},
                "qdrant": {"chunks": readers.qdrant.count(readers.collection, exact=True).count},
                "neo4j": {"documents": graph("MATCH (d:Document) RETURN count(d) AS n"),
                          "mentions": graph("MATCH ()-[m:MENTIONS]->() RETURN count(m) AS n"),
                          "relationships": graph("MATCH ()-[r]->() RETURN count(r) AS n")
                          - graph("MATCH ()-[m:MENTIONS]->() RETURN count(m) AS n")},
                "redis": {"documents": sum(1 for _ in readers.redis.scan_iter("sagad:doc:*", count=5000))}}

    def check(self, what: str, before: dict[str, dict[str, int]], expected: dict[str, int],
              patience_s: float = 0) -> None:
        """Every store has `expected` more than `before` within that time, or the run doesn't count."""
        end = time.monotonic() + patience_s
        while True:
            wrong = [f"{store} has {n - before[store][kind]} more {kind} than before, {expected[kind]} were written"
                     for store, counts in self.count().items() for kind, n in counts.items()
                     if n - before[store][kind] != expected[kind]]
            if not wrong:
                return
            if time.monotonic() > end:
                raise WrongCount(f"{what}: {'; '.join(wrong)}")
            time.sleep(1)

    # The measurements. Every one of them is read back.

    @staticmethod
    def sizes(documents: list[dict], n: int) -> dict[str, int]:
        """What n documents, content after content, add up to."""
        picked = [documents[k % len(documents)] for k in range(n)]
        return {"documents": n, **{name: sum(len(d.get(key, [])) for d in picked) for name, key in (
            ("chunks", "chunks"), ("mentions", "entities"), ("relationships", "relationships"))}}

    def limit(self, limit: Limit, n: int) -> dict[str, Any]:
        """Documents a second, all stores at once; the same and CPU seconds by store."""
        before, cpu_s = self.count(), self.cpu_s()
        rate, by_store = limit.together(n)
        cpu_s = self.cpu_s_since(cpu_s)
        self.check("limit", before, self.sizes(limit.documents, n))
        return {"rate": rate, "by_store": by_store, "cpu_s": cpu_s}

    def alone(self, limit: Limit, store: str, n: int, **tries: tuple[int, ...]) -> float:
        """Tunes one store; returns its best rate."""
        kind = "chunks" if store == "qdrant" else "documents"
        before = self.count()[store][kind]
        rates, n_documents = limit.tune_alone(store, n, **tries)
        more, expected = self.count()[store][kind] - before, self.sizes(limit.documents, n_documents)[kind]
        if more != expected:
            raise WrongCount(f"{store} alone: {more} more {kind} than before, {expected} were written")
        return max(rates.values())

    def baseline(self, baseline: Baseline, n: int, n_tasks: int, is_gathered: bool = True) -> tuple[float, float]:
        """(documents a second, median seconds of one)."""
        self.n_runs += 1
        before = self.count()
        found = baseline.run(f"baseline-{self.n_runs}", n, n_tasks, is_gathered)
        if baseline.failed:
            raise WrongCount(f"baseline: {baseline.failed} documents failed, the first with: {baseline.first_error}")
        self.check("baseline", before, self.sizes(baseline.documents, n))
        return found

    def sagad(self, workload: Workload, *options: str, prefix: str | None = None, may_fail: bool = False) -> dict:
        """One run of sagabench: its report, and beside it what the daemon and the stores spent on it. With a prefix of
        the caller's, it is the caller who reads back, and background work goes on."""
        self.n_runs += 1
        command = [SAGABENCH, "--json", "--quiet", "--socket", self.daemon.jobs_path,
                   "--prefix", prefix or f"sagad-{self.n_runs}", *workload.options(), *options]
        is_counted = prefix is None and not may_fail
        before, metrics = self.count() if is_counted else {}, self.metrics()
        with machine.Memory(self.pid) as memory:
            cpu_s = self.cpu_s()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            cpu_s = self.cpu_s_since(cpu_s)
        report = json.loads(done.stdout) if done.stdout else {}
        if not report or (done.returncode != 0 and not may_fail):
            raise WrongCount(f"sagabench ended with {done.returncode}: {done.stderr.strip()} {done.stdout[:500]}")
        if prefix is None:
            self.daemon.settle(120)
        if is_counted:
            self.check("sagad", before, report["expected"])
        return {**report, "cpu_s": cpu_s, "memory_bytes": memory.highest_bytes, "memory_growth": memory.growth(),
                "stores": self._per_store(metrics, self.metrics())}

    def metrics(self) -> dict[str, float]:
        return Operations(self.daemon).metrics()

    @staticmethod
    def _per_store(before: dict[str, float], after: dict[str, float]) -> dict[str, dict[str, float]]:
        """Of each store: requests, sagas in one, mean milliseconds of one, what was tried again."""
        found = {}

        def more(name: str, store: str) -> float:
            return sum(value - before.get(key, 0) for key, value in after.items()
                       if key.startswith(f"{name}{{") and f'store="{store}"' in key)
        for store in STORE_NAMES:
            n_requests = more("sagad_store_request_duration_seconds_count", store)
            n_batches = more("sagad_store_batch_size_count", store)
            found[store] = {
                "requests": n_requests, "batch": more("sagad_store_batch_size_sum", store) / max(1.0, n_batches),
                "request_ms": 1000 * more("sagad_store_request_duration_seconds_sum", store) / max(1.0, n_requests),
                "retries": more("sagad_store_retries_total", store)}
        return found

    def cpu_s(self) -> dict[str, float]:
        """By store with all its processes, of the daemon, and of the client programs that have ended."""
        return {**{name: machine.cpu_s(self.stores[key].state()["pid"]) for name, key in STORE_NAMES.items()},
                "sagad": machine.cpu_s(self.pid), "client": machine.children_cpu_s()}

    def cpu_s_since(self, before: dict[str, float]) -> dict[str, float]:
        return {name: seconds - before[name] for name, seconds in self.cpu_s().items()}

    def warm_up(self, documents: list[dict], workload: Workload, seconds: float) -> None:
        """Figures before Neo4j's compiler has settled are not the machine's."""
        self.say(f"warming up for {seconds:.0f} s: Neo4j's compiler settles under load only")
        limit, end = Limit(self.environ, documents, "warm"), time.monotonic() + seconds
        while time.monotonic() < end:
            limit.together(1000)
            self.sagad(workload, "--seconds=4", "--clients=8", "--depth=32")
