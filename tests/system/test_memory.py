"""A daemon whose n-th allocation on the way of a job fails, for every third n until a job is through without: in its
own code, in libuv, libpq, hiredis, libcurl, SQLite or yyjson, on the loop or on the journal's thread. Every time there
is an answer, or the connection ends, or the daemon stops cleanly as docs/operations.md says; it never crashes, and what it
acknowledged is whole."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import World
from harness.daemon import CHECKOUT, Daemon
from harness.documents import document

# The sanitizers' own allocator can't be replaced, so this is the build that ships, whatever the other tests run.
BUILD = CHECKOUT / "build/release"
# 1: every allocation, which takes minutes, since the daemon starts again after each of libcurl's. 0: as the tests are.
STRIDE = int(os.environ.get("SAGAD_SCARCE_STRIDE", "0"))
# Nothing at all, or the client's own fault, which it isn't.
WRONG = ("silence", "invalid_field", "invalid_request", "parse_error", "store_refused")
CLEAN_STOPS = (1, 4)  # docs/operations.md, "Exit codes"
SETTINGS = {"retry.base": "1ms", "retry.cap": "5ms", "retry.max_tries": 5, "log.level": "warn"}


class Scarce:
    """The file that the preloaded library looks at: allocations left, allocations failed."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(16))
        self.path = path
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 16)

    def begin(self, nth: int) -> None:
        self.memory[:] = struct.pack("=qQ", nth, 0)

    def end(self) -> bool:
        """Has one failed?"""
        _, n_failed = struct.unpack("=qQ", self.memory[:])
        self.memory[:8] = bytes(8)
        return bool(n_failed)


@pytest.fixture
def scarce(tmp_path: Path) -> Scarce:
    return Scarce(tmp_path / "scarce")


@pytest.fixture
def daemon(world: World, scarce: Scarce) -> Iterator[Daemon]:
    world.reset()
    preload = BUILD / "tests/lib/scarce_preload.so"
    assert preload.exists(), f"{preload} is missing: run tools/build"
    made = world.daemon({**SETTINGS, "schema.dims": 4}, {"LD_PRELOAD": str(preload), "SAGAD_SCARCE": str(scarce.path)})
    made.build = BUILD
    made.launch()
    world.init(made)
    made.wait_ready()
    yield made
    made.kill()


def ask(daemon: Daemon, job: dict[str, object], wait: str) -> str:
    """What became of a job that a new client sent."""
    try:
        with daemon.jobs() as client:
            client.send("document.put", **job, wait=wait)
            answer = client.receive()  # its id is null when there was no memory to read it
    except TimeoutError:
        return "silence"
    except OSError:  # it ended the connection, or is no more
        return "no answer"
    return str(answer.outcome if answer.is_ok else answer.code)


def check_alive(daemon: Daemon, nth: int) -> bool:
    """Alive; else stopped cleanly, and started again. Anything else fails the test."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.process.wait(0.5)
    code = daemon.process.poll()
    if code is None:
        return True
    assert code in CLEAN_STOPS, f"allocation {nth} failed: the daemon ended with {code}:\n{daemon.log()[-2000:]}"
    daemon.launch()
    daemon.wait_ready()
    return False


@pytest.mark.parametrize("wait, stride", [("committed", 3), ("accepted", 7)])
def test_any_allocation_of_a_job_may_fail(
    world: World, daemon: Daemon, scarce: Scarce, wait: str, stride: int
) -> None:
    outcomes: Counter[str] = Counter()
    committed, unknown, nth, n_missed = [], [], 1, 0
    assert ask(daemon, document("first"), wait) in ("committed", "accepted")
    while n_missed < 3:  # a job may do with fewer than the one before
        job = document(f"scarce {nth}", n_chunks=1, n_entities=2)
        scarce.begin(nth)
        outcome = ask(daemon, job, wait)
        has_failed = scarce.end()
        n_missed = 0 if has_failed else n_missed + 1
        if outcome == "no answer" and not check_alive(daemon, nth):
            outcome = "stopped"
        outcomes[outcome] += 1
        if outcome in ("committed", "accepted"):
            committed.append(job)
        elif outcome in ("no answer", "stopped", "in_doubt", "internal"):
            unknown.append(job)
        assert outcome not in WRONG, f"allocation {nth} failed: {outcome}"
        nth += STRIDE or stride
    print(f"{wait}: {nth} allocations, {dict(outcomes)}")
    check_alive(daemon, nth)
    assert daemon.is_alive() and committed
    with daemon.jobs() as asker:  # whatever became of them, now they are there
        for job in unknown:
            assert asker.put(job).outcome in ("committed", "unchanged")
    committed += unknown
    world.assert_whole(daemon, [document("first"), *committed], partial=True, timeout_s=30)
