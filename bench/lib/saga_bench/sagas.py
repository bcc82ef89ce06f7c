"""bench/sagas: sagas that clients write, in steps that do nothing: how many a second, and what one costs.

Four steps in order: on the real PostgreSQL and Redis by turns, or on an HTTP service that answers at once. sagabench
runs one and the same saga in a closed loop; the daemon's processor time, its writes to the disk and its journal's
transactions are read before and after. Then many sagas are left open, on a service that never answers and on one that
asks to be left alone for an hour, and the daemon's memory is looked at.
"""
from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import machine
from .workload import ROOT, SAGABENCH

sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/lib"), str(ROOT / "bench/lib")]

from harness.daemon import Daemon  # noqa: E402
from harness.operations import Operations  # noqa: E402
from harness.waiting import eventually  # noqa: E402
from null_run import NullStores  # noqa: E402
from stores import Stores  # noqa: E402

STORES = ("postgres", "redis")
LOADS = {16: (4, 4), 256: (8, 32)}  # sagas at once: connections, and requests under way on each
GOALS = {"services": 4000, "stores": 2000}  # sagas a second
GOAL_MB = 200
# DTM with its stores, on a machine like the one of docs/performance.md, with the same sagas of four HTTP services.
DTM = {"boltdb": "350", "PostgreSQL": "350-380", "Redis": "1,170-1,240", "p50 at 16 at once": "13 ms"}
# As it is installed, but for the sockets, the log and what sagas are allowed.
SETTINGS = {"log.level": "info", "operations.listen": "127.0.0.1:0", "sagas.enabled": True,
            "timeouts.deadline": "30s", "timeouts.store": "10s", "timeouts.postgresql": "10s",
            "timeouts.late_write_window": "60s",
            "limits.max_client_jobs": 10000}
# What is left open stays so for an hour.
HOURS = {"sagas.deadline": "1h", "sagas.step_timeout": "1h", "sagas.max_step_timeout": "1h"}


class Failed(Exception):
    """Sagas failed, or a server was asked for what it doesn't know: there is nothing to report."""


class NullService:
    """The instant service; it ends with its standard input."""

    def __init__(self) -> None:
        program = ROOT / "build/release/bench/null/nullservice"
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["service"]

    def end(self) -> dict[str, int]:
        """What it was asked for."""
        return json.loads(self.process.communicate(timeout=20)[0])["service"]


# What is run.

def service_step(number: int, path: str = "/now") -> dict[str, Any]:
    """The shortest that it can be: no body, for memory and journal hold the text of a saga."""
    return {"name": f"step{number}", "service": "instant", "do": {"method": "POST", "path": f"{path}/do"},
            "undo": {"method": "POST", "path": f"{path}/undo"}}


def store_step(number: int) -> dict[str, Any]:
    nothing = {"sql": "SELECT 1"} if number % 2 == 0 else {"commands": [["PING"]]}
    return {"name": f"step{number}", "store": ("postgresql", "redis")[number % 2], "do": nothing, "undo": nothing}


SAGAS = {"services": [service_step(number) for number in range(4)], "stores": [store_step(number) for number in range(4)]}


def open_saga(path: str) -> dict[str, Any]:
    return {"wait": "accepted", "steps": [service_step(number, path) for number in range(4)]}


# Where.

@contextlib.contextmanager
def real_stores() -> Iterator[dict[str, str]]:
    """The variables that lead to a PostgreSQL and a Redis that nobody else has: their schema is this program's."""
    with Stores.scratch() as stores:
        stores.up(*STORES, is_bench=True)
        yield stores.env(*STORES)


@contextlib.contextmanager
def null_servers() -> Iterator[tuple[NullStores, NullService]]:
    stores, service = NullStores(), NullService()
    try:
        yield stores, service
        n_refused = service.end()["refused"]
        if n_refused > 0:
            raise Failed(f"the instant service was asked {n_refused} times for what it doesn't know")
    finally:
        for each in (stores, service):
            each.process.kill()
            each.process.wait()


def has_schema(daemon: Daemon) -> bool:
    """Made now: PostgreSQL's, with the table that steps need. The instant servers make none, which is an error of theirs
    that doesn't matter here. False: the daemon has no socket yet, or PostgreSQL isn't reached."""
    daemon.check_alive()
    try:
        with daemon.admin() as client:
            answer = client.call("store.init", dims=384)
    except OSError:
        return False
    return (answer.result or answer.data)["stores"][0]["state"] == "ok"


@contextlib.contextmanager
def daemon_for(kind: str, settings: dict[str, Any], environ: dict[str, str]) -> Iterator[Daemon]:
    """A fresh daemon whose journal lies where a real one would, and not in a /tmp that may be memory."""
    with contextlib.ExitStack() as stack:
        stores, service = stack.enter_context(null_servers())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "build")))
        real = ("postgresql.", "redis.") if kind == "stores" else ()
        null = {key: value for key, value in stores.settings().items() if not key.startswith(real)}
        daemon = Daemon(environ if real else {}, {**SETTINGS, **null, **settings}, journal=folder / "sagad.sqlite")
        daemon.settings["sagas.services"] = f"instant url=http://127.0.0.1:{service.port}"
        daemon.settings["sagas.stores"] = "postgresql,redis"
        stack.callback(daemon.end)
        daemon.launch()
        if real:
            eventually(lambda: has_schema(daemon), 20)
        daemon.wait_ready()
        yield daemon
        daemon.kill()  # open sagas would hold up a drain


def run(daemon: Daemon, saga: dict[str, Any], *options: str) -> dict[str, Any]:
    done = subprocess.run([SAGABENCH, "--json", "--quiet", f"--socket={daemon.jobs_path}", "--saga=-", *options],
                          input=json.dumps(saga), capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise Failed(f"sagabench ended with {done.returncode}: {done.stderr.strip()} {done.stdout[:500]}\n{daemon.log()[-2000:]}")
    return json.loads(done.stdout)


# How many a second.

@dataclass(frozen=True)
class Cost:
    """What the daemon has used so far."""

    cpu_s: float
    written_bytes: int  # to the disk: the journal is all it writes
    journal_commits: float  # each with one fsync of the write-ahead log
    journal_records: float
    journal_bytes: float  # the file and its log

    @classmethod
    def of(cls, daemon: Daemon) -> "Cost":
        pid, metrics = daemon.process.pid, Operations(daemon).metrics()
        written = next(line for line in Path(f"/proc/{pid}/io").read_text().splitlines() if line.startswith("write_bytes"))
        return cls(machine.cpu_s(pid), int(written.split()[1]), metrics["sagad_journal_commit_duration_seconds_count"],
                   metrics["sagad_journal_commit_records_sum"], metrics["sagad_journal_size_bytes"])

    def since(self, before: "Cost", n: int) -> dict[str, float]:
        """For each of n sagas."""
        now, then = asdict(self), asdict(before)
        return {key: (now[key] - then[key]) / n for key in now}


def measure(daemon: Daemon, kind: str, at_once: int, seconds: float) -> dict[str, Any]:
    clients, depth = LOADS[at_once]
    load = ("--clients", str(clients), "--depth", str(depth))
    run(daemon, {"steps": SAGAS[kind]}, *load, "--seconds=1")
    before = Cost.of(daemon)
    report = run(daemon, {"steps": SAGAS[kind]}, *load, f"--seconds={seconds}")
    each = Cost.of(daemon).since(before, report["answered"])
    return {"kind": kind, "at_once": at_once, "per_second": report["per_second"], "sagas": report["answered"],
            "p50_ms": report["latency_ms"]["p50"], "p99_ms": report["latency_ms"]["p99"],
            "cpu_us": each["cpu_s"] * 1e6, "cores": each["cpu_s"] * report["per_second"],
            "journal_written_bytes": each["written_bytes"], "journal_kept_bytes": each["journal_bytes"],
            "syncs": each["journal_commits"], "records": each["journal_records"]}


def rates(kind: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with contextlib.ExitStack() as stack:
        environ = stack.enter_context(real_stores()) if kind == "stores" else {}
        daemon = stack.enter_context(daemon_for(kind, options.set, environ))
        for _ in range(options.rounds):
            rows += [measure(daemon, kind, at_once, options.seconds) for at_once in LOADS]
    return [median([row for row in rows if row["at_once"] == at_once]) for at_once in LOADS]


def median(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several rounds of one load; the rates of all of them beside it."""
    middle = {key: statistics.median(row[key] for row in rows) if isinstance(value, float) else value
              for key, value in rows[0].items()}
    return {**middle, "rounds": [row["per_second"] for row in rows]}


# How much memory.

def left_open(path: str, options: argparse.Namespace) -> dict[str, Any]:
    """The daemon's memory when that many sagas wait."""
    with daemon_for("services", {**HOURS, **options.set}, {}) as daemon:
        idle = daemon.memory_bytes()
        run(daemon, open_saga(path), "--clients=8", "--depth=32", f"--count={options.open}")
        operations = Operations(daemon)
        calls = 'sagad_step_calls_total{target="instant",kind="do"}'

        def wait_for(name: str, n: int) -> None:
            eventually(lambda: operations.metrics()[name] >= n, 60, what=f"{name} stays below {n}")
        if path == "/later":
            wait_for(calls, options.open)
        metrics, now = operations.metrics(), daemon.memory_bytes()
        if metrics["sagad_step_sagas_open"] != options.open:
            raise Failed(f"{metrics['sagad_step_sagas_open']:.0f} sagas are open, not {options.open}")
        return {"service": path, "open": options.open, "memory_mb": now / 1e6, "idle_mb": idle / 1e6,
                "bytes_each": (now - idle) / options.open, "text_bytes": len(json.dumps(open_saga(path), separators=(",", ":"))),
                "asked": metrics[calls]}


# The report.

def rate_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| four steps in order on | at once | sagas/s | rounds | goal | p50 ms | p99 ms | daemon CPU us | journal bytes | kept | syncs |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        name = {"services": "an instant HTTP service", "stores": "PostgreSQL and Redis"}[row["kind"]]
        spread = f"{min(row['rounds']):,.0f} .. {max(row['rounds']):,.0f}"
        yield (f"| {name} | {row['at_once']} | {row['per_second']:,.0f} | {spread} | >= {GOALS[row['kind']]:,} | "
               f"{row['p50_ms']:.1f} | {row['p99_ms']:.1f} | {row['cpu_us']:.0f} | {row['journal_written_bytes']:,.0f} | "
               f"{row['journal_kept_bytes']:,.0f} | {row['syncs']:.2f} |")


def open_table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| open sagas of four steps | on a service that | memory MB | goal | bytes each |"
    yield "|---|---|---|---|---|"
    for row in rows:
        what = {"/never": "never answers", "/later": "was asked by each, and is to be asked again in an hour"}[row["service"]]
        yield f"| {row['open']:,} | {what} | {row['memory_mb']:.0f} | <= {GOAL_MB} | {row['bytes_each']:,.0f} |"


def show(found: dict[str, Any]) -> None:
    if found["rates"]:
        print("\n".join(rate_table(found["rates"])))
        print(f"\nDTM: {', '.join(f'{key} {value}' for key, value in found['dtm'].items())}\n")
    if found["open"]:
        print("\n".join(open_table(found["open"])))


def setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or "." not in key:
        raise argparse.ArgumentTypeError(f"SECTION.KEY=VALUE, not '{text}'")
    return key, value


def parse() -> argparse.Namespace:
    made = argparse.ArgumentParser(prog="bench/sagas", description=__doc__.split("\n\n")[0])
    made.add_argument("--only", choices=("services", "stores", "open"), action="append", help="only this part (all)")
    made.add_argument("--seconds", type=float, default=5, help="of each load, after one second that doesn't count (5)")
    made.add_argument("--rounds", type=int, default=3, help="of each load; the table has the medians (3)")
    made.add_argument("--open", type=int, default=100_000, metavar="N", help="sagas that are left open (100000)")
    made.add_argument("--set", metavar="SECTION.KEY=VALUE", type=setting, action="append", default=[],
                      help="the daemon's configuration")
    made.add_argument("--json", action="store_true", help="for programs")
    options = made.parse_args()
    options.set = dict(options.set)
    return options


def main() -> None:
    options = parse()
    parts = options.only or ["services", "stores", "open"]
    try:
        found = {"machine": machine.describe(), "dtm": DTM,
                 "rates": [row for kind in GOALS if kind in parts for row in rates(kind, options)],
                 "open": [left_open(path, options) for path in ("/never", "/later")] if "open" in parts else []}
    except Failed as error:
        sys.exit(f"bench/sagas: {error}")
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
