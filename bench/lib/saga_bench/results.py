"""What was found, kept in a folder: results.json, table.md, the pictures. A later run replaces what it measured anew
and leaves the rest, so that the long rows need not be taken together with the short ones."""
from __future__ import annotations

import datetime
import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from . import machine, pictures
from .arena import Arena
from .goals import BY_KEY, GOALS, Found
from .workload import ROOT

FOLDER = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: written by bench/run -->", "<!-- end of what bench/run writes -->"


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or "unknown"


def about(arena: Arena) -> dict[str, str]:
    sagad = subprocess.run([ROOT / "build/release/src/sagad/sagad", "--version"], capture_output=True, text=True,
                           check=True)
    stores = {name: arena.stores[key].version() for name, key in (
        ("postgresql", "postgres"), ("qdrant", "qdrant"), ("neo4j", "neo4j"))}
    return {**machine.describe(), "sagad": sagad.stdout.splitlines()[0], **stores,
            "redis": arena.readers.redis.info("server")["redis_version"]}


class Results:
    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "results.json"
        self.kept: dict[str, Any] = {"about": {}, "rows": {}, "workloads": {}, "load": []}
        if self.path.exists():
            self.kept.update(json.loads(self.path.read_text(encoding="utf-8")))
        self.new: dict[str, Found] = {}

    def add(self, found: dict[str, Found]) -> None:
        stamp = {"date": datetime.date.today().isoformat(), "commit": commit()}
        for key, row in found.items():
            self.new[key] = row
            self.kept["rows"][key] = {**row.as_dict(), **stamp}

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.kept, indent=1) + "\n", encoding="utf-8")
        (self.folder / "table.md").write_text(self.markdown(), encoding="utf-8")
        if self.kept["workloads"]:
            pictures.throughput(list(self.kept["workloads"].values()), self.folder)
        if self.kept["load"]:
            pictures.latency(self.kept["load"], self.folder)
            pictures.memory(self.kept["load"], self.folder)

    # For people.

    def text(self) -> str:
        """The table of this run. What it hasn't measured names the option that does."""
        lines = [f"{name:<12}{value}" for name, value in self.kept["about"].items()]
        lines += ["", f"{'':<68}{'measured':>10}  {'goal':<26}{'rounds':<20}"]
        for goal in GOALS:
            row = self.new.get(goal.key)
            if row is None:
                lines.append(f"{goal.what:<68}{'-':>10}  {goal.text():<26}bench/run --rows {goal.option}")
                continue
            verdict = "met" if goal.is_met(row.value) else "NOT MET"
            lines.append(f"{goal.what:<68}{row.value:>10,.2f}  {goal.text():<26}{_spread(row.spread):<20}{verdict}")
        return "\n".join(lines)

    def markdown(self) -> str:
        kept, lines = self.kept, ["| what | goal | measured | rounds | | commit |", "|---|---|---|---|---|---|"]
        for goal in GOALS:
            row = kept["rows"].get(goal.key)
            if row is None:
                lines.append(f"| {goal.what} | {goal.text()} | not measured | | `bench/run --rows {goal.option}` | |")
                continue
            verdict = "met" if goal.is_met(row["value"]) else "**not reached**"
            lines.append(f"| {goal.what} | {goal.text()} | {row['value']:,.2f} | {_spread(row['spread'])} | {verdict} "
                         f"| {row['commit']} |")
        return "\n".join([*lines, "", *_rates(kept), *_cpu(kept), *_requests(kept), *_machine(kept["about"])]) + "\n"

    def write_page(self, page: Path = PAGE) -> None:
        """Put what is kept between the marks of docs/performance.md."""
        before, rest = page.read_text(encoding="utf-8").split(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{self.markdown()}{END}{rest.split(END)[1]}", encoding="utf-8")

    def last_line(self) -> str:
        def value(key: str, digits: int) -> str:
            return f"{self.kept['rows'][key]['value']:.{digits}f}" if key in self.kept["rows"] else "-"
        rounds = self.kept["workloads"].get("standard", {}).get("rounds", [])
        rss = f"{statistics.median(found['memory_bytes'] for found in rounds) / 1e6:.0f}" if rounds else "-"
        return (f"limit_ratio={value('limit', 2)} baseline_ratio={value('baseline', 2)}"
                f" cpu_us_per_doc={value('cpu_us', 0)} p99_over_p50={value('p99_over_p50', 2)} rss_mb={rss}")


def _spread(values: list[float]) -> str:
    return f"{min(values):,.2f} .. {max(values):,.2f}" if len(values) > 1 else ""


def _rates(kept: dict[str, Any]) -> list[str]:
    """Documents a second behind the ratios."""
    if not kept["workloads"]:
        return []
    lines = ["| documents a second | PostgreSQL alone | Qdrant alone | Neo4j alone | Redis alone "
             "| all at once: the limit | sagad | asyncio.gather |", "|---|---|---|---|---|---|---|---|"]
    for found in kept["workloads"].values():
        alone = [f"{max(found['alone'][store].values()):,.0f} ({found['settings'][store]})"
                 for store in ("postgresql", "qdrant", "neo4j", "redis")]
        rates = [_median(found["rounds"], key) for key in ("limit", "sagad", "baseline")]
        lines.append(f"| {found['workload']} | {' | '.join(alone)} | {' | '.join(rates)} |")
    return [*lines, ""]


def _median(rounds: list[dict[str, Any]], key: str) -> str:
    values = [found[key] for found in rounds if key in found]
    return f"{statistics.median(values):,.0f}" if values else ""


def _requests(kept: dict[str, Any]) -> list[str]:
    """Requests for each document, by store: alone on an idle machine, and at the highest rate."""
    low = kept["rows"].get("single", {}).get("detail", {}).get("rounds", [])
    high = kept["workloads"].get("standard", {}).get("rounds", [])
    if not low or not high:
        return []
    lines = ["| requests for one document | PostgreSQL | Qdrant | Neo4j | Redis |", "|---|---|---|---|---|"]
    for name, rounds in (("one at a time", low), ("at the highest rate", high)):
        lines.append(f"| {name} | " + " | ".join(
            f"{statistics.median(found['requests_per_document'][store] for found in rounds):.2f}"
            for store in ("postgresql", "qdrant", "neo4j", "redis")) + " |")
    return [*lines, ""]


def _cpu(kept: dict[str, Any]) -> list[str]:
    """Where the processors' time goes: what the limit's stores need, and what sagad and its stores do."""
    rounds = [found for found in kept["workloads"].get("standard", {}).get("rounds", []) if "limit_cpu_us" in found]
    if not rounds:
        return []
    names = ("postgresql", "qdrant", "neo4j", "redis", "sagad", "client")
    lines = ["| CPU us for one document of the first row | PostgreSQL | Qdrant | Neo4j | Redis | sagad | load |",
             "|---|---|---|---|---|---|---|"]
    for name, key in (("limit", "limit_cpu_us"), ("sagad", "sagad_cpu_us")):
        lines.append(f"| {name} | " + " | ".join(
            f"{statistics.median(found[key][each] for found in rounds):,.0f}" for each in names) + " |")
    return [*lines, ""]


def _machine(known: dict[str, str]) -> list[str]:
    return ["Measured on: " + "; ".join(f"{name} {value}" for name, value in known.items()) + "."]
