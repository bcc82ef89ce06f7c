"""What the system gives out is limited: descriptors, memory, and a clock that goes forward. The daemon stays within it,
refuses what is too much, and serves the others."""

import collections
import contextlib
import random
import re
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from harness import Client, eventually
from harness.documents import DIMS, document
from record import Record, judge
from torture.load import Load

MIB = 1 << 20
HOUR_S = 3600
FAKETIME = Path("/usr/lib") / "x86_64-linux-gnu" / "faketime" / "libfaketimeMT.so.1"


def running(world, settings, prefix=(), environ=None, build=None):
    """As World.running(), below a launcher or of another build."""
    for earlier in world.daemons:
        earlier.kill()
    world.reset()
    daemon = world.daemon({"schema.dims": DIMS, **settings}, environ)
    daemon.prefix, daemon.build = list(prefix), build
    daemon.launch()
    world.init(daemon)
    daemon.wait_ready()
    return daemon


# Descriptors.

def test_descriptors_that_are_used_up_cost_new_clients_only(world):
    """More connections than RLIMIT_NOFILE leaves room for: the last ones are told so, those that are there are served,
    and the daemon still gets its own: to a store that comes back, and to the journal."""
    daemon = running(world, {"limits.max_clients": 1000}, ["prlimit", "--nofile=120:120"])
    clients = []
    with contextlib.ExitStack() as stack, daemon.jobs() as first:
        for _ in range(150):
            clients.append(stack.enter_context(eventually(lambda: connected(daemon), 10)))
        n_told = sum(map(is_refused, clients))
        assert 30 <= n_told <= 145, n_told
        eventually(lambda: first.put(document("of the first")).outcome in ("committed", "unchanged"), 60)
        world.store("redis").stop()
        world.start("redis")
        eventually(lambda: first.put(document("with a new connection")).outcome in ("committed", "unchanged"), 60)
    assert "Too many open files" not in daemon.log()
    eventually(lambda: works(daemon, "after them"), 60)
    world.assert_whole(daemon)
    assert daemon.stop() == 0


def connected(daemon):
    """A client, unless the queue of those that nobody has accepted yet is full."""
    with contextlib.suppress(BlockingIOError):
        return Client(daemon.jobs_path, 5)
    return None


def is_refused(client):
    """What comes first where there is no room."""
    with contextlib.suppress(OSError):
        client.send("sagad.hello")
    return client.receive(5).code == "overloaded"


def works(daemon, name):
    with daemon.jobs() as client:
        return client.put(document(name)).outcome in ("committed", "unchanged")


def test_too_few_descriptors_to_start_are_told(world):
    daemon = world.daemon({"schema.dims": DIMS})
    daemon.prefix = ["prlimit", "--nofile=40:40"]
    daemon.launch()
    assert daemon.wait_exit(20) != 0
    assert "RLIMIT_NOFILE" in daemon.log(), daemon.log()


# Memory.

def peak_bytes(daemon):
    """The most that was ever resident."""
    for line in Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


@pytest.mark.timeout(180)
def test_memory_stays_within_its_bounds_while_a_store_hangs(world):
    """Ten connections offer 400 MiB at a time when nothing can be done with it."""
    bounds = {"limits.max_bytes": "48MiB", "limits.max_line": "8MiB", "limits.max_buffered": "16MiB",
              "timeouts.deadline": "4s"}
    daemon = running(world, bounds, build="release")  # a sanitizer's own memory is no measure
    eventually(lambda: works(daemon, "warm"), 60)
    idle = peak_bytes(daemon)
    world.store("qdrant").pause()
    codes = collections.Counter()
    threads = [threading.Thread(target=offer, args=(daemon, part, codes)) for part in range(10)]
    try:
        for thread in threads:
            thread.start()
        with daemon.jobs() as client:
            for _ in range(20):
                began = time.monotonic()
                assert client.call("sagad.hello").is_ok
                assert time.monotonic() - began < 1
                time.sleep(0.1)
    finally:
        world.store("qdrant").resume()
        for thread in threads:
            thread.join(60)
    # The bounds, once more for what is being sent, and what the allocator keeps.
    assert peak_bytes(daemon) - idle < 2 * (48 + 16) * MIB, (peak_bytes(daemon) - idle) / MIB
    assert codes["overloaded"] > 0, codes
    world.assert_whole(daemon, timeout_s=60)
    assert daemon.stop() == 0


def offer(daemon, part, codes):
    """40 documents of 1 MiB on one connection, all at once; counts the answers."""
    with daemon.jobs(60) as client:
        numbers = []
        for n in range(40):
            large = {**document(f"large {part}.{n}"), "content": f"{n} " * (MIB // 3)}
            numbers.append(client.send("document.put", **large))
        for number in numbers:
            answer = client.answer(number)
            codes[answer.code or answer.outcome] += 1


# The clock.

@pytest.mark.timeout(240)
def test_the_clock_moves_an_hour_both_ways(world, tmp_path):
    """Under load, and over restarts: every answer stays true, and no document is older than what it replaced."""
    if not FAKETIME.exists():
        pytest.skip("libfaketime isn't installed")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environ = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
               "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    # Not below a sanitizer, which wants to be first.
    daemon = running(world, {"timeouts.late_write_window": "2s"}, environ=environ, build="release")
    record = Record(tmp_path / "record.jsonl")
    load = Load(daemon.jobs_path, record, random.SystemRandom().randrange(1 << 32), n_writers=3)
    clock.write_text(f"+{HOUR_S}")  # before the first commit
    load.start()
    try:
        for offset in (f"+{HOUR_S}", "+0", f"-{HOUR_S}", f"+{HOUR_S}", f"-{HOUR_S}"):
            before = load.n_committed
            clock.write_text(offset)
            eventually(lambda: load.n_committed > before + 10, 40)
            daemon.kill()
            daemon.start()
            eventually(lambda: load.n_committed > before + 20, 40)
    finally:
        load.end()
    # Both really happened; and as ids only grow, none is an hour old once one was an hour ahead.
    assert {-1, 0, 1} <= {hours_from_now(time_s) for time_s in logged_s(daemon)}
    assert {hours_from_now(made_s(one.saga)) for one in record.attempts if one.outcome == "committed"} == {1}
    findings = judge(record, world, daemon, 60)
    record.close()
    assert not findings, "\n".join(map(str, findings[:10]))
    assert daemon.stop() == 0


def hours_from_now(time_s):
    return round((time_s - time.time()) / HOUR_S)


def made_s(version):
    """The time in a UUIDv7."""
    return (uuid.UUID(version).int >> 80) / 1000


def logged_s(daemon):
    """The times of the log's lines."""
    for text in re.findall(r"^time=(\S+)Z", daemon.log(), re.MULTILINE):
        yield datetime.fromisoformat(text + "+00:00").timestamp()
