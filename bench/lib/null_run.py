"""sagad against instant stores: what the daemon costs by itself.

A nullstores of its own takes the place of the four stores (real sockets, real wire formats, every request parsed
completely), sagabench loads the daemon, and the daemon's own processor time is read from the kernel. The stores and
the load generator share the machine with it, so beside the rate that was seen stands the rate for each second that
the daemon itself has computed: what it would reach on a core of its own.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/lib")]

from harness import Daemon, program  # noqa: E402

WORKLOADS = {
    "small": ["--chunks=1", "--entities=1", "--relationships=0"],
    "row-1": [],
    "wide": ["--chunks=32", "--dims=1536"],
}
COLUMNS = [("docs_per_second", "docs/s", 1), ("docs_per_cpu_second", "docs/cpu s", 1),
           ("mb_per_second", "MB/s", 1), ("mb_per_cpu_second", "MB/cpu s", 1), ("cpu_us_per_doc", "cpu us/doc", 1),
           ("rss_mb", "rss MB", 1)]
# Above what the tests choose: this is for load. The journal lies where a real one would.
SETTINGS = {"log.level": "warn", "timeouts.deadline": "30s", "timeouts.store": "10s", "timeouts.postgresql": "10s",
            "postgresql.connections": 4, "qdrant.connections": 4, "limits.max_client_jobs": 10000,
            "timeouts.late_write_window": "60s"}


class NullStores:
    """The instant servers; they end with their standard input."""

    def __init__(self):
        self.process = subprocess.Popen([program("sagabench", under="bench").parents[1] / "null/nullstores"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())

    def settings(self):
        return {"postgresql.host": "127.0.0.1", "postgresql.port": self.ports["postgres"],
                "postgresql.sslmode": "disable", "qdrant.host": "127.0.0.1", "qdrant.port": self.ports["qdrant"],
                "neo4j.url": f"http://127.0.0.1:{self.ports['neo4j']}",
                "redis.host": "127.0.0.1", "redis.port": self.ports["redis"]}

    def end(self):
        """What they were asked for."""
        return json.loads(self.process.communicate(timeout=20)[0])


def cpu_seconds(pid):
    """User and system time of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def highest_rss_mb(pid):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def load(daemon, name, arguments, options):
    command = [program("sagabench", under="bench"), "--json", "--quiet", f"--socket={daemon.jobs_path}",
               f"--clients={options.clients}", f"--depth={options.depth}", f"--prefix={name}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds + 90, check=False)
    if done.returncode != 0:
        raise SystemExit(f"sagabench failed ({done.returncode}): {done.stdout}{done.stderr}\n{daemon.log()[-2000:]}")
    return json.loads(done.stdout)


def measure(name, options):
    """One workload on a fresh daemon, so that its memory is its own."""
    stores = NullStores()
    settings = {**SETTINGS, **dict(pair.split("=", 1) for pair in options.set)}
    daemon = Daemon({}, {**settings, **stores.settings()}, journal=options.folder / f"journal-{os.getpid()}")
    try:
        daemon.start()
        idle_mb = daemon.memory_bytes() / 2**20
        shape = WORKLOADS[name]
        load(daemon, f"warm-{name}", [*shape, "--seconds=1"], options)
        before = cpu_seconds(daemon.process.pid)
        report = load(daemon, name, [*shape, f"--seconds={options.seconds}"], options)
        used = cpu_seconds(daemon.process.pid) - before
        n, seconds = report["answered"], report["seconds"]
        n_bytes = report["request_bytes_per_second"] * seconds
        return {"workload": name, "documents": n, "failed": report["failed"], "idle_mb": idle_mb,
                "docs_per_second": n / seconds, "docs_per_cpu_second": n / used, "cpu_us_per_doc": used / n * 1e6,
                "cores": used / seconds, "mb_per_second": n_bytes / seconds / 1e6, "mb_per_cpu_second": n_bytes / used / 1e6,
                "rss_mb": highest_rss_mb(daemon.process.pid), "p50_ms": report["latency_ms"]["p50"],
                "p99_ms": report["latency_ms"]["p99"]}
    finally:
        daemon.stop()
        daemon.end()
        for path in options.folder.glob(f"journal-{os.getpid()}*"):
            path.unlink()
        with contextlib.suppress(subprocess.TimeoutExpired):
            counts = stores.end()
            print_refused(counts)


def print_refused(counts):
    for store, asked in counts.items():
        if asked["refused"] > 0:
            raise SystemExit(f"the instant {store} was asked {asked['refused']} times for what it doesn't know")


def show(rows):
    print(f"{'':8}" + "".join(f"{title:>12}" for _, title, _ in COLUMNS))
    for row in rows:
        print(f"{row['workload']:8}" + "".join(f"{row[key]:12.{digits}f}" for key, _, digits in COLUMNS))
    print(f"idle: {rows[0]['idle_mb']:.1f} MB")


def main():
    parser = argparse.ArgumentParser(prog="bench/null/run", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=5, help="of each workload, after one second that doesn't count (5)")
    parser.add_argument("--clients", type=int, default=8, help="connections (8)")
    parser.add_argument("--depth", type=int, default=32, help="requests under way on each (32)")
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="only this one (all)")
    parser.add_argument("--set", metavar="SECTION.KEY=VALUE", action="append", default=[], help="the daemon's configuration")
    parser.add_argument("--folder", type=lambda text: Path(text).resolve(), default=ROOT / "build", help="where the journal is made (build/)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    rows = [measure(name, options) for name in options.workload or WORKLOADS]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        show(rows)


if __name__ == "__main__":
    main()
