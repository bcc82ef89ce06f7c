"""Throughput against limit and baseline, and what it costs: the rows that `bench/run --quick` measures.

Each round takes limit, baseline and sagad one after the other, in another order each time, so that what else the
machine does falls on all of them; the ratio is formed within the round, and the spread is that of the ratios.
"""
from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from .arena import Arena
from .asyncio_baseline import Baseline
from .bulk import STORES
from .goals import Found
from .stores_limit import BATCHES, Limit, Setting
from .workload import STANDARD, Workload

OPEN = ("--clients=8", "--depth=2000")
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Scale:
    """How much of everything: the time that a run has."""

    rounds: int
    seconds: float  # of one closed or open loop
    limit_documents: int  # of one joint run, of the first row's size
    tune_documents: int
    baseline_documents: int
    tasks: tuple[int, ...]  # concurrencies of the baseline
    warmup: float
    singles: int  # puts in a round of the single-put row
    steady_seconds: float
    batches: tuple[int, ...] = BATCHES  # that the limit tries
    depth: int = 48  # requests under way on each of 8 connections, closed loop

    @property
    def closed(self) -> tuple[str, str]:
        return "--clients=8", f"--depth={self.depth}"

    @property
    def timed(self) -> tuple[str, str]:
        return f"--seconds={self.seconds}", f"--warmup={self.seconds / 5}"


QUICK = Scale(rounds=3, seconds=8, limit_documents=5000, tune_documents=400, baseline_documents=300, tasks=(4, 8, 16),
              warmup=60, singles=40, steady_seconds=20)
FULL = Scale(rounds=5, seconds=12, limit_documents=8000, tune_documents=800, baseline_documents=500,
             tasks=(4, 8, 16, 32), warmup=60, singles=60, steady_seconds=600)
# Shows that it all works; its figures mean nothing.
TINY = Scale(rounds=1, seconds=2, limit_documents=60, tune_documents=20, baseline_documents=16, tasks=(2, 4),
             warmup=0.5, singles=5, steady_seconds=1, batches=(10,), depth=2)


def _us_each(cpu_s: dict[str, float], n_documents: int) -> dict[str, float]:
    return {name: 1e6 * seconds / n_documents for name, seconds in cpu_s.items()}


class Throughput:
    """Limit, baseline and sagad on one workload."""

    def __init__(self, arena: Arena, workload: Workload, scale: Scale, has_baseline: bool = False):
        self.arena, self.workload, self.scale = arena, workload, scale
        self.documents = workload.documents()
        self.limit = Limit(arena.environ, self.documents)
        self.baseline = Baseline(arena.environ, self.documents) if has_baseline else None
        self.tasks: dict[str, Any] = {}  # of the baseline, documents a second by number of tasks
        self.rounds: list[dict[str, Any]] = []
        weight = workload.chunks * workload.dims / (STANDARD.chunks * STANDARD.dims)
        self.n_limit = round(scale.limit_documents / max(weight, 0.4))
        self.n_tune = round(scale.tune_documents / max(weight, 0.4))

    def tune(self) -> None:
        """The stores' best batches, alone and together, and the baseline's best number of tasks."""
        arena = self.arena
        for store in STORES:
            rate = arena.alone(self.limit, store, self.n_tune, batches=self.scale.batches)
            arena.say(f"  {store} alone: {rate:,.0f} docs/s with {self.limit.settings[store]}")
        self.limit.tune_together(self.n_limit // 2, lambda n: arena.limit(self.limit, n)["rate"])
        arena.say("  together: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in self.limit.joint_rates.items()))
        if self.baseline:
            n = self.scale.baseline_documents // 2
            rates = {tasks: arena.baseline(self.baseline, n, tasks)[0] for tasks in self.scale.tasks}
            sequence, median_s = arena.baseline(self.baseline, n, 1, is_gathered=False)
            self.n_tasks = max(rates, key=rates.__getitem__)
            self.tasks = {"in sequence": sequence, **{str(tasks): rate for tasks, rate in rates.items()}}
            arena.say(f"  baseline: {sequence:.0f} docs/s in sequence ({1000 * median_s:.1f} ms), gathered "
                      + ", ".join(f"{rate:.0f} with {tasks} tasks" for tasks, rate in rates.items()))

    def _take(self, what: str) -> dict[str, Any]:
        arena, scale = self.arena, self.scale
        if what == "limit":
            found = arena.limit(self.limit, self.n_limit)
            return {"limit": found["rate"], "limit_by_store": found["by_store"],
                    "limit_cpu_us": _us_each(found["cpu_s"], self.n_limit)}
        if what == "baseline":
            return {"baseline": arena.baseline(self.baseline, scale.baseline_documents, self.n_tasks)[0]}
        report = arena.sagad(self.workload, *scale.closed, *scale.timed)
        n = report["expected"]["documents"]
        cpu_us = _us_each(report["cpu_s"], n)
        return {"sagad": report["per_second"], "sagad_cpu_us": cpu_us, "cpu_us": cpu_us["sagad"],
                "cpu_share": 100 * cpu_us["sagad"] / sum(cpu_us[store] for store in STORES),
                "memory_bytes": report["memory_bytes"], "latency_ms": report["latency_ms"],
                "requests_per_document": {store: more["requests"] / n for store, more in report["stores"].items()},
                "batch": {store: more["batch"] for store, more in report["stores"].items()}}

    def run(self) -> "Throughput":
        self.arena.say(f"{self.workload.name}:")
        self.tune()
        order = ["limit", "baseline", "sagad"] if self.baseline else ["limit", "sagad"]
        for _ in range(self.scale.rounds):
            self.rounds.append({key: value for what in order for key, value in self._take(what).items()})
            order.append(order.pop(0))
            self._tell(self.rounds[-1])
        return self

    def _tell(self, found: dict[str, Any]) -> None:
        baseline = f"baseline {found['baseline']:.0f}, " if self.baseline else ""
        self.arena.say(f"  limit {found['limit']:,.0f}, {baseline}sagad {found['sagad']:,.0f} docs/s = "
                       f"{found['sagad'] / found['limit']:.2f} of the limit; daemon {found['cpu_us']:.0f} us a "
                       f"document, {found['memory_bytes'] / 1e6:.0f} MB")

    def values(self, key: str) -> list[float]:
        return [found[key] for found in self.rounds]

    def ratio(self, to: str) -> Found:
        return Found.of([found["sagad"] / found[to] for found in self.rounds],
                        **{key: statistics.median(self.values(key)) for key in ("sagad", to)})

    def detail(self) -> dict[str, Any]:
        def plain(rates: dict[Setting, float]) -> dict[str, float]:
            return {str(setting): rate for setting, rate in rates.items()}
        return {"workload": self.workload.name, "rounds": self.rounds, "baseline_tasks": self.tasks,
                "alone": {store: plain(rates) for store, rates in self.limit.alone_rates.items()},
                "together": self.limit.joint_rates,
                "settings": {store: str(setting) for store, setting in self.limit.settings.items()}}


def standard(measured: Throughput) -> dict[str, Found]:
    return {"limit": measured.ratio("limit"), "baseline": measured.ratio("baseline"),
            "cpu_us": Found.of(measured.values("cpu_us")),
            "cpu_share": Found.of(measured.values("cpu_share"))}


def _at(arena: Arena, rate: float, seconds: float) -> dict[str, Any]:
    """Open loop: latencies count from the moment when a request should have started."""
    return arena.sagad(STANDARD, *OPEN, f"--rate={max(rate, 1):.1f}", f"--seconds={seconds}", f"--warmup={seconds / 5}")


def latency(arena: Arena, highest: float, scale: Scale) -> dict[str, Found]:
    rate, ratios, last = 0.7 * highest, [], {}
    for _ in range(scale.rounds):
        last = _at(arena, rate, scale.seconds)["latency_ms"]
        ratios.append(last["p99"] / last["p50"])
    return {"p99_over_p50": Found.of(ratios, rate=rate, latency_ms=last)}


def load_curve(arena: Arena, highest: float, scale: Scale) -> list[dict[str, Any]]:
    """Latency percentiles and memory at shares of the highest rate: what the pictures show."""
    points = []
    for share in SHARES:
        report = _at(arena, share * highest, scale.seconds / 2)
        points.append({"share": share, "rate": share * highest, "latency_ms": report["latency_ms"],
                       "memory_bytes": report["memory_bytes"],
                       "batch": {store: more["batch"] for store, more in report["stores"].items()}})
        arena.say(f"  {share * highest:.0f} docs/s: p50 {report['latency_ms']['p50']:.1f} ms, "
                  f"p99 {report['latency_ms']['p99']:.1f} ms, {report['memory_bytes'] / 1e6:.0f} MB")
    return points
