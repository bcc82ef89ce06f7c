"""The goals, one line of the table each, and what a run has found for them."""
from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Goal:
    """`option` is the name that `bench/run --rows` knows the measurement by; one measurement may serve several."""

    key: str
    option: str
    what: str
    sign: str  # ">=" or "<="
    bound: float
    unit: str

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.sign == ">=" else value <= self.bound

    def text(self) -> str:
        return f"{self.sign} {self.bound:,g} {self.unit}"


@dataclass
class Found:
    """`spread` are the rounds' own values, of which `value` is the median unless the row says otherwise."""

    value: float
    spread: list[float] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, values: list[float], **detail: Any) -> "Found":
        return cls(statistics.median(values), values, detail)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


GOALS = tuple(Goal(*line) for line in (
    ("limit", "standard", "throughput, 8 chunks x 384, 5 entities, 6 relationships", ">=", 0.85, "x limit"),
    ("baseline", "standard", "the same against asyncio.gather at its best concurrency", ">=", 7, "x baseline"),
    ("small", "small", "throughput, 1 chunk x 384, 1 entity", ">=", 0.80, "x limit"),
    ("large", "large", "throughput, 32 chunks x 1,536, 5 entities, 6 relationships", ">=", 0.85, "x limit"),
    ("overwrites", "overwrites", "overwrites, half of them with fewer chunks", ">=", 0.6, "x inserts"),
    ("single", "single", "latency of a single put, unloaded", "<=", 1.25, "x its parts"),
    ("p99_over_p50", "latency", "p99 at 70 % of the maximum rate", "<=", 4, "x p50"),
    ("cpu_us", "standard", "daemon CPU for a document of the first row", "<=", 150, "us"),
    ("cpu_share", "standard", "the same, of the CPU that the four stores spend on it", "<=", 8, "%"),
    ("null_documents", "null", "instant servers: small documents for a second of daemon CPU", ">=", 20000, "docs"),
    ("null_bytes", "null", "instant servers: job bytes for a second of daemon CPU", ">=", 400, "MB"),
    ("idle", "memory", "memory, idle", "<=", 40, "MB"),
    ("memory_bound", "memory", "memory over 40 MB at 4,000 documents in flight", "<=", 2, "x bytes in flight"),
    ("memory_100", "memory", "memory, 100 concurrent documents of the first row", "<=", 100, "MB"),
    ("steady_failed", "steady", "10,000 documents a minute: failures", "<=", 0, "failed"),
    ("steady_p90", "steady", "10,000 documents a minute: p90", "<=", 1000, "ms"),
    ("steady_growth", "steady", "10,000 documents a minute: memory of the last third", "<=", 1.1, "x the second third"),
    ("clients", "clients", "1,000 connections, 10,000 documents in flight", ">=", 0.95, "x 8 connections"),
    ("clients_memory", "clients", "1,000 connections: memory over 40 MB", "<=", 2, "x bytes in flight"),
    ("journal", "journal", "journal with 1 million remembered outcomes: throughput", ">=", 0.95, "x an empty one"),
    ("journal_start", "journal", "journal with 1 million remembered outcomes: start", "<=", 2, "s"),
    ("slow_failed", "slow", "Neo4j 10 times slower: failures", "<=", 0, "failed"),
    ("slow_batches", "slow", "Neo4j 10 times slower: smallest growth of another store's batches", ">=", 1, "x"),
    ("slow_memory", "slow", "Neo4j 10 times slower: memory over 40 MB", "<=", 2, "x bytes in flight"),
))
BY_KEY = {goal.key: goal for goal in GOALS}
