"""What the stores can take of the same documents: each alone, and all four at once.

Every store is tried alone with some sizes of batches and numbers of connections; then all four at once with the best
of these and with fewer connections, since two cores carry all of it. At once, each store writes all documents at its
own pace, and the time runs until the last one has finished: no transaction spans two stores, nothing is undone,
nothing waits for another. That joint rate is the limit.

The client costs next to nothing: requests are rendered and connections made before the clock starts, and each store
is fed by a process of its own, whose threads do no more than send and read an answer.
"""
from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .bulk import STORES, WRITERS, Item

BATCHES = (50, 100, 200, 400)
CONNECTIONS = (1, 2, 4)
# Neo4j holds a request outside its bounded memory, and Qdrant refuses one of 32 MiB.
MOST_BYTES = {"qdrant": 24 << 20, "neo4j": 2 << 20}
_run_numbers = itertools.count()
_processes = multiprocessing.get_context("fork")  # the rendered requests are there without being copied


@dataclass(frozen=True)
class Setting:
    """How a store is written to."""

    batch: int
    connections: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.connections}"


class TooLarge(Exception):
    """A batch of this size makes requests that the store shouldn't get."""


def _send_all(writer: Any, connection: Any, requests: Iterator[Any], lock: threading.Lock) -> None:
    while True:
        with lock:
            request = next(requests, None)
        if request is None:
            return
        writer.write(connection, request)


def _feed(writer: Any, requests: list[Any], n_connections: int, start: Any, out: Any) -> None:
    """The process of one store: connects, waits for the start, writes, tells when it had written everything."""
    errors: list[str] = []
    lock, rest = threading.Lock(), iter(requests)

    def work(connection: Any) -> None:
        try:
            _send_all(writer, connection, rest, lock)
        except Exception as error:  # whatever it was, the run doesn't count, and its text says why
            errors.append(str(error))
    try:
        threads = [threading.Thread(target=work, args=(writer.connect(),)) for _ in range(n_connections)]
        start.wait()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except Exception as error:
        start.abort()
        errors.append(str(error))
    out.send((time.monotonic(), errors))


def _write(work: dict[str, tuple[Any, list[Any], int]]) -> dict[str, float]:
    """{store: (writer, rendered requests, connections)} written at once; the seconds until each store had them all."""
    start = _processes.Barrier(len(work) + 1)
    pipes, processes = {}, []
    gc.freeze()
    for store, (writer, requests, n_connections) in work.items():
        pipes[store], end = _processes.Pipe(duplex=False)
        processes.append(_processes.Process(target=_feed, args=(writer, requests, n_connections, start, end),
                                            daemon=True))
        processes[-1].start()
    try:
        start.wait(60)
    except threading.BrokenBarrierError:
        pass  # the process that broke it says why
    began = time.monotonic()
    ends = {store: pipe.recv() for store, pipe in pipes.items()}
    for process in processes:
        process.join()
    gc.unfreeze()
    errors = [f"{store}: {text}" for store, (_, texts) in ends.items() for text in texts if text]
    if errors:
        raise RuntimeError("; ".join(errors[:3]))
    return {store: end - began for store, (end, _) in ends.items()}


class Limit:
    """Writers for the four stores over one pool of documents."""

    def __init__(self, environ: dict[str, str], documents: list[dict], prefix: str = "limit"):
        self.writers = {name: WRITERS[name](environ, documents) for name in STORES}
        self.documents = documents
        self.prefix = prefix
        self.settings = {name: Setting(100, 2) for name in STORES}
        self.alone_rates: dict[str, dict[Setting, float]] = {}
        self.joint_rates: dict[str, float] = {}

    def _run(self, n: int, settings: dict[str, Setting]) -> dict[str, float]:
        run = f"{self.prefix}-{next(_run_numbers)}"
        items = [Item(f"{run}/{k}", k % len(self.documents)) for k in range(n)]
        work = {}
        for store, setting in settings.items():
            writer = self.writers[store]
            requests = [writer.build(items[at:at + setting.batch]) for at in range(0, n, setting.batch)]
            if store in MOST_BYTES and max(map(len, requests)) > MOST_BYTES[store]:
                raise TooLarge(f"{store} with {setting}")
            work[store] = writer, requests, setting.connections
        return _write(work)

    def tune_alone(self, store: str, n: int, batches: tuple[int, ...] = BATCHES,
                   connections: tuple[int, ...] = CONNECTIONS) -> tuple[dict[Setting, float], int]:
        """(documents a second by setting, how many were written), about n for each; keeps the best."""
        rates, n_written = {}, 0
        for setting in itertools.starmap(Setting, itertools.product(batches, connections)):
            enough = max(n, 2 * setting.batch * setting.connections)
            with contextlib.suppress(TooLarge):
                rates[setting] = enough / self._run(enough, {store: setting})[store]
                n_written += enough
        if not rates:  # documents so large that a few make a request
            return self.tune_alone(store, n, (2, 8, 16), connections)
        self.settings[store] = max(rates, key=rates.__getitem__)
        self.alone_rates[store] = rates
        return rates, n_written

    def tune_together(self, n: int, run: Callable[[int], float]) -> None:
        """Keeps the better of: every store as it is best alone; the same batches on fewer connections."""
        best = dict(self.settings)
        tries = {"best alone": best}
        for most in (2, 1):
            tries[f"at most {most}"] = {store: Setting(s.batch, min(s.connections, most)) for store, s in best.items()}
        for name, settings in tries.items():
            if settings in [tries[earlier] for earlier in self.joint_rates]:
                continue
            self.settings = settings
            self.joint_rates[name] = run(n)
        self.settings = tries[max(self.joint_rates, key=self.joint_rates.__getitem__)]

    def together(self, n: int) -> tuple[float, dict[str, float]]:
        """(joint documents a second, {store: documents a second while the others ran})."""
        seconds = self._run(n, self.settings)
        return n / max(seconds.values()), {store: n / s for store, s in seconds.items()}
