"""The rows that need a load of their own: overwrites, memory, many clients, a steady rate, a full journal, a slow
store, instant servers."""
from __future__ import annotations

import json
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from . import machine
from .arena import Arena
from .goals import Found
from .rows import OPEN, Scale
from .workload import ROOT, STANDARD

from torture.toxiproxy import Proxy, Toxiproxy  # noqa: I001  (arena has made it importable)

BASE_BYTES = 40_000_000  # what the daemon may have before any document
OUTCOMES = 1_000_000


def _closed(arena: Arena, scale: Scale, *options: str, may_fail: bool = False) -> dict[str, Any]:
    return arena.sagad(STANDARD, *(options or scale.closed), *scale.timed, may_fail=may_fail)


def _all_of(arena: Arena, n: int, n_clients: int, depth: int) -> dict[str, Any]:
    """A number of documents and not a time: with thousands in flight an answer takes longer than a loop would run."""
    report = arena.sagad(STANDARD, f"--clients={n_clients}", f"--depth={depth}", f"--count={n}", may_fail=True)
    return {**report, "in_flight": min(n, n_clients * depth)}


def _over_bytes_in_flight(report: dict[str, Any], n_in_flight: int) -> Found:
    """How many times the bytes in flight the daemon had beyond its base. In a closed loop as many requests are under
    way as clients and depth allow."""
    in_flight = n_in_flight * report["request_bytes_per_second"] / max(report["per_second"], 1e-9)
    return Found(max(0.0, report["memory_bytes"] - BASE_BYTES) / in_flight,
                 detail={"memory_bytes": report["memory_bytes"], "bytes_in_flight": in_flight})


def overwrites(arena: Arena, scale: Scale) -> dict[str, Found]:
    """Inserts, then overwrites of the same documents, half of them with half the chunks."""
    n, ratios, last = scale.limit_documents // 2, [], {}
    for number in range(scale.rounds):
        prefix, before = f"over-{number}", arena.count()
        inserts = arena.sagad(STANDARD, *scale.closed, f"--count={n}", prefix=prefix)
        again = arena.sagad(STANDARD, *scale.closed, f"--count={n}", f"--known={n}", "--overwrites=1", "--shrinks=0.5",
                            "--seed=2", prefix=prefix)
        # Not settle(): old versions are removed once more a minute later, and a steady load has that beside it, too.
        arena.check("overwrites", before, again["expected"], patience_s=60)
        ratios.append(again["per_second"] / inserts["per_second"])
        last = {"inserts": inserts["per_second"], "overwrites": again["per_second"], "stores": again["stores"]}
        arena.say(f"  inserts {last['inserts']:.0f}, overwrites {last['overwrites']:.0f} docs/s; tried again: "
                  + ", ".join(f"{store} {more['retries']:.0f}" for store, more in last["stores"].items()))
    arena.daemon.settle(120)
    return {"overwrites": Found.of(ratios, last=last)}


def memory(arena: Arena, scale: Scale) -> dict[str, Found]:
    """From a fresh start each: what malloc keeps of an earlier load would hide what this one needs."""
    arena.restart()
    time.sleep(2)
    idle = machine.resident_bytes(arena.pid)
    hundred = _closed(arena, scale, "--clients=10", "--depth=10")
    after = machine.resident_bytes(arena.pid)
    arena.restart()
    many = _all_of(arena, scale.limit_documents, 8, 500)
    return {"idle": Found(idle / 1e6, detail={"idle_again_after_100": after / 1e6}),
            "memory_100": Found(hundred["memory_bytes"] / 1e6),
            "memory_bound": _over_bytes_in_flight(many, many["in_flight"])}


def clients(arena: Arena, scale: Scale) -> dict[str, Found]:
    ratios, memories, failed = [], [], 0
    for _ in range(scale.rounds):
        few = _all_of(arena, scale.limit_documents, 8, scale.depth)
        many = _all_of(arena, 5 * scale.limit_documents // 2, 1000, 10)
        failed += few["failed"] + many["failed"]
        ratios.append(many["per_second"] / few["per_second"])
        memories.append(_over_bytes_in_flight(many, many["in_flight"]))
        arena.say(f"  8 connections {few['per_second']:.0f}, 1,000 {many['per_second']:.0f} docs/s, "
                  f"{many['memory_bytes'] / 1e6:.0f} MB; {failed} failed")
    return {"clients": Found.of(ratios, failed=failed),
            "clients_memory": max(memories, key=lambda found: found.value)}


def steady(arena: Arena, scale: Scale) -> dict[str, Found]:
    arena.restart()
    report = arena.sagad(STANDARD, *OPEN, f"--rate={10_000 / 60:.4f}", f"--seconds={scale.steady_seconds}",
                         may_fail=True)
    about = {"seconds": scale.steady_seconds, "answered": report["answered"], "latency_ms": report["latency_ms"],
             "memory_bytes": report["memory_bytes"]}
    return {"steady_failed": Found(report["failed"] + report["unknown"], detail=about),
            "steady_p90": Found(report["latency_ms"]["p90"]), "steady_growth": Found(report["memory_growth"])}


def _forget(arena: Arena) -> None:
    with sqlite3.connect(arena.daemon.journal) as journal:
        journal.execute("DELETE FROM jobs")
    journal.close()


def _fill(arena: Arena) -> None:
    """As many accepted jobs that have ended as OUTCOMES says, in the stopped daemon's journal."""
    _forget(arena)
    now = time.time_ns() // 1_000_000
    rows = ((str(uuid.UUID(int=n)), f"old/{n}", str(uuid.UUID(int=n + OUTCOMES)), now, now) for n in range(OUTCOMES))
    with sqlite3.connect(arena.daemon.journal) as journal:
        journal.executemany("INSERT INTO jobs (id, document_id, is_delete, state, made, accepted_ms, ended_ms)"
                            " VALUES (?, ?, 0, 'done', ?, ?, ?)", rows)
    journal.close()


def _remembered(arena: Arena) -> int:
    with sqlite3.connect(f"file:{arena.daemon.journal}?mode=ro", uri=True) as journal:
        n = journal.execute("SELECT count(*) FROM jobs WHERE ended_ms IS NOT NULL").fetchone()[0]
    journal.close()
    return n


def journal(arena: Arena, scale: Scale) -> dict[str, Found]:
    """The same journal empty and full, in turns; the stores grow meanwhile, so neither is always the second."""
    ratios, starts, kept = [], [], OUTCOMES
    for number in range(scale.rounds):
        rates = {}
        for is_full in (False, True) if number % 2 == 0 else (True, False):
            took_s = arena.restart(lambda: _fill(arena) if is_full else _forget(arena))
            rates[is_full] = _closed(arena, scale)["per_second"]
            if is_full:
                starts.append(took_s)
                kept = min(kept, _remembered(arena))
        ratios.append(rates[True] / rates[False])
        arena.say(f"  empty {rates[False]:.0f}, full {rates[True]:.0f} docs/s, start {starts[-1]:.2f} s")
    arena.restart(lambda: _forget(arena))
    return {"journal": Found.of(ratios, remembered_at_the_end=kept), "journal_start": Found.of(starts)}


def slow(arena: Arena, scale: Scale) -> dict[str, Found]:
    """Neo4j behind a proxy: first as fast as it is, then each answer late by nine times what a request took."""
    url = urlsplit(arena.environ["NEO4J_URL"])
    with Toxiproxy(arena.folder / "toxiproxy.log") as server:
        proxy = Proxy(server, "neo4j", f"{url.hostname}:{url.port}")
        arena.restart(environ={"NEO4J_URL": f"http://127.0.0.1:{proxy.port}"})
        before = _closed(arena, scale)
        arena.restart(environ={"NEO4J_URL": f"http://127.0.0.1:{proxy.port}"})
        latency_ms = round(9 * before["stores"]["neo4j"]["request_ms"])
        proxy.toxic("latency", latency=latency_ms)
        report = _closed(arena, scale, may_fail=True)
        proxy.clear()
        arena.restart()
    batches = {store: (was["batch"], report["stores"][store]["batch"]) for store, was in before["stores"].items()}
    arena.say(f"  + {latency_ms} ms: {before['per_second']:.0f} -> {report['per_second']:.0f} docs/s, batches "
              + ", ".join(f"{store} {was:.0f} -> {now:.0f}" for store, (was, now) in batches.items()))
    about = {"added_ms": latency_ms, "per_second": [before["per_second"], report["per_second"]], "batches": batches,
             "codes": report["codes"]}
    return {"slow_failed": Found(report["failed"] + report["unknown"], detail=about),
            "slow_batches": Found(min(now / was for store, (was, now) in batches.items() if store != "neo4j")),
            "slow_memory": _over_bytes_in_flight(report, 8 * scale.depth)}


def null(arena: Arena, scale: Scale) -> dict[str, Found]:
    """bench/null/run has stores and a daemon of its own, which say what a second of the daemon's CPU is good for."""
    arena.daemon.stop()
    rounds = []
    for _ in range(min(scale.rounds, 3)):
        done = subprocess.run([ROOT / "bench/null/run", "--json", "--seconds", f"{scale.seconds:g}"], check=True,
                              stdout=subprocess.PIPE, text=True)
        rounds.append({found["workload"]: found for found in json.loads(done.stdout)})
    arena.daemon.start()
    return {"null_documents": Found.of([found["small"]["docs_per_cpu_second"] for found in rounds], rounds=rounds),
            "null_bytes": Found.of([max(one["mb_per_cpu_second"] for one in found.values()) for found in rounds])}


MEASURES: dict[str, Callable[[Arena, Scale], dict[str, Found]]] = {
    "overwrites": overwrites, "memory": memory, "clients": clients, "steady": steady, "journal": journal, "slow": slow,
    "null": null}
