"""The journal's disk fails under load: admission stops loudly, nothing is acknowledged on hope, and the next start
recovers from what the file holds. Every answer is judged against the stores afterwards.

The disk fails below SQLite, by a VFS that is preloaded into the daemon as it ships (tests/lib/fault_vfs.h); and for
real, where a small file system can be mounted.
"""

import os
import random
import subprocess
import time

import pytest

from harness import eventually
from harness.daemon import program
from harness.documents import DIMS, document
from record import Record, judge
from torture.load import Load

EXIT_FAILED, EXIT_HALTED = 1, 4
SETTINGS = {"timeouts.late_write_window": "2s", "schema.dims": DIMS}


class Disk:
    """The failing VFS's plan, which it reads before each call."""

    def __init__(self, folder):
        self.plan = folder / "plan"
        self.set("none")
        module = program("sagad").parents[2] / "tests" / "lib" / "fault_vfs_preload.so"
        assert module.exists(), f"{module} is missing: build with the tests"
        options = [os.environ.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"]  # preloaded before its runtime
        self.environ = {"LD_PRELOAD": str(module), "SAGAD_FAULT_VFS": str(self.plan),
                        "ASAN_OPTIONS": ":".join(filter(None, options))}

    def set(self, text):
        """In one step: half a plan would be another one."""
        scratch = self.plan.with_suffix(".new")
        scratch.write_text(text)
        scratch.rename(self.plan)


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


@pytest.fixture
def record(tmp_path):
    made = Record(tmp_path / "record.jsonl")
    yield made
    made.close()


@pytest.fixture
def load_on(record):
    """Starts a load; it ends with the test."""
    loads = []

    def start(daemon, share_accepted=0.12):
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"load's seed: {seed}")
        loads.append(Load(daemon.jobs_path, record, seed, n_writers=3, share_accepted=share_accepted))
        loads[-1].start()
        return loads[-1]
    yield start
    for load in loads:
        load.end()


def assert_all_true(record, load, world, daemon):
    """The load ends, and each of its answers was true."""
    load.end()
    findings = judge(record, world, daemon, 90)  # an accepted job waits for stores that have just been slow
    assert not findings, "\n".join(map(str, findings[:10]))


FAULTS = [("enospc", "the disk is full; free some space and start sagad again"), ("eio", "check the disk"),
          ("short", "the disk is full"), ("sync", "check the disk"), ("sync-lost", "check the disk")]


@pytest.mark.parametrize("share_accepted", [0.12, 1], ids=["mixed", "accepted"])
@pytest.mark.parametrize("fault, advice", FAULTS, ids=[fault for fault, _ in FAULTS])
@pytest.mark.timeout(240)
def test_a_journal_that_cannot_be_written_stops_the_daemon(world, disk, record, load_on, fault, advice, share_accepted):
    daemon = world.running(SETTINGS, disk.environ)
    load = load_on(daemon, share_accepted)
    eventually(lambda: sum(load.all_outcomes.values()) > 60, 40)
    disk.set(fault)
    assert daemon.wait_exit(20) == EXIT_HALTED
    log = daemon.log()
    assert f"journal {daemon.journal}" in log and advice in log and "halted" in log
    # Still broken: it doesn't start, says why, and takes nothing back.
    daemon.launch()
    if fault in ("sync", "sync-lost"):
        time.sleep(0.5)  # a start syncs only when it has something to write
        daemon.kill()
    else:
        assert daemon.wait_exit(20) in (EXIT_FAILED, EXIT_HALTED)
    disk.set("none")
    load.take_outcomes()
    daemon.start()
    eventually(lambda: load.n_taken_effect > 0, 20)
    assert_all_true(record, load, world, daemon)
    told = load.all_outcomes
    assert told["journal_failed"] + told["in_doubt"] + told["connection lost"] > 0, told
    assert share_accepted < 1 or told["journal_failed"] == 0, "whether it was accepted nobody knows"
    assert daemon.stop() == 0


@pytest.mark.timeout(240)
def test_a_failed_sync_is_never_tried_again(world, disk, record, load_on):
    """After a sync that failed the kernel may have dropped what was written, and the next one would succeed."""
    daemon = world.running(SETTINGS, disk.environ)
    load = load_on(daemon)
    eventually(lambda: load.n_committed > 20, 40)
    disk.set("sync-lost")
    eventually(lambda: "halted" in daemon.log() or not daemon.is_alive(), 20)
    disk.set("none")  # from here on every sync would succeed
    assert daemon.wait_exit(20) == EXIT_HALTED
    daemon.start()
    assert_all_true(record, load, world, daemon)


@pytest.mark.timeout(240)
def test_a_slow_disk_slows_jobs_and_nothing_else(world, disk, record, load_on):
    daemon = world.running(SETTINGS, disk.environ)
    load = load_on(daemon)
    eventually(lambda: load.n_committed > 20, 40)
    disk.set("slow 300")
    load.take_outcomes()
    slowest_s = 0.0
    for _ in range(30):
        began = time.monotonic()
        with daemon.jobs() as client:
            assert client.call("sagad.hello").is_ok
        slowest_s = max(slowest_s, time.monotonic() - began)
        time.sleep(0.1)
    told = load.take_outcomes()
    assert slowest_s < 0.25, "the loop waited for the disk"
    assert told["committed"] > 5 and set(told) <= {"committed", "deleted", "accepted", "conflict", "absent"}, told
    disk.set("none")
    assert_all_true(record, load, world, daemon)
    assert daemon.stop() == 0


# Real file systems.

@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own for the journal."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", folder], capture_output=True,
                          text=True)
    if made.returncode != 0:
        pytest.skip(f"no right to mount: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def running_on(world, folder):
    """As World.running(), with its journal in this folder."""
    for earlier in world.daemons:
        earlier.kill()
    world.reset()
    daemon = world.daemon(SETTINGS, journal=folder / "journal.sqlite").launch()
    world.init(daemon)
    daemon.wait_ready()
    return daemon


@pytest.mark.timeout(240)
def test_a_disk_that_is_really_full(world, small_disk, record, load_on):
    daemon = running_on(world, small_disk)
    load = load_on(daemon)
    eventually(lambda: load.n_committed > 20, 40)
    filler = small_disk / "filler"
    with pytest.raises(OSError), filler.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))
    assert daemon.wait_exit(30) == EXIT_HALTED
    assert "the disk is full; free some space" in daemon.log()
    filler.unlink()
    daemon.start()
    assert_all_true(record, load, world, daemon)
    assert daemon.stop() == 0


def test_a_read_only_file_system_is_named(world, small_disk):
    daemon = running_on(world, small_disk)
    with daemon.jobs() as client:
        assert client.put(document("before")).outcome == "committed"
        daemon.kill()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    daemon.launch()
    assert daemon.wait_exit(20) != 0
    assert f"journal {daemon.journal}" in daemon.log() and "Read-only file system" in daemon.log()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    daemon.start()
    world.assert_whole(daemon, [document("before")])
