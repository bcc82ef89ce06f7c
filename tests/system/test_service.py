"""The daemon as a service: what it tells systemd, sockets that it inherits, and the unit's own promises."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import Client, eventually, program
from harness.documents import DIMS, document
from harness.service import Listening, Manager, hand_over, install



@pytest.fixture
def stage(world):
    """A daemon on empty stores with a schema that isn't started, and its manager."""
    setup = world.running()
    assert setup.stop() == 0
    made = world.daemon({"schema.dims": DIMS})
    manager = Manager(made.folder)
    made.environ["NOTIFY_SOCKET"] = str(manager.path)
    yield made, manager
    if made.process is not None and made.is_alive():
        made.process.send_signal(signal.SIGCONT)
        made.kill()
    manager.close()


# What systemd is told.

def test_ready_status_reloading_and_stopping_are_told(stage):
    daemon, manager = stage
    daemon.start()
    manager.wait("READY", "1")
    manager.wait("STATUS", "running; 0 sagas now, 0 committed.*")
    with daemon.jobs() as client:
        assert client.put(document("told")).outcome == "committed"
    manager.wait("STATUS", "running; 0 sagas now, 1 committed, 0 failed.*")
    before_us = time.monotonic_ns() // 1000
    daemon.process.send_signal(signal.SIGHUP)
    told = manager.wait("RELOADING", "1")
    assert before_us <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    manager.wait("READY", "1")
    daemon.terminate()
    manager.wait("STOPPING", "1")
    assert daemon.wait_exit() == 0


def test_the_watchdog_is_fed_by_the_loop_and_only_by_it(stage):
    daemon, manager = stage
    daemon.environ["WATCHDOG_USEC"] = "600000"  # no WATCHDOG_PID: whoever gets it
    daemon.start()
    manager.wait("WATCHDOG", "1")
    assert 5 <= manager.count("WATCHDOG", 2) <= 20
    daemon.process.send_signal(signal.SIGSTOP)
    manager.count("WATCHDOG", 0.3)
    assert manager.count("WATCHDOG", 1) == 0
    daemon.process.send_signal(signal.SIGCONT)
    manager.wait("WATCHDOG", "1")


def test_without_a_watchdog_nothing_is_fed(stage):
    daemon, manager = stage
    daemon.start()
    assert manager.count("WATCHDOG", 1.5) == 0


# Inherited sockets.

def test_both_sockets_are_inherited_and_outlive_the_daemon(stage):
    daemon, _ = stage
    jobs, admin = Listening(daemon.jobs_path), Listening(daemon.admin_path)
    hand_over(daemon, jobs=jobs, admin=admin)
    inode = os.stat(daemon.jobs_path).st_ino
    daemon.start()
    with daemon.jobs() as client:
        assert client.put(document("inherited")).outcome == "committed"
    with pytest.raises(AssertionError):  # the administration socket is another one
        with daemon.jobs() as client:
            answer = client.call("sagad.stats")
            assert answer.is_ok, answer
    assert daemon.stop() == 0
    assert os.stat(daemon.jobs_path).st_ino == inode and os.path.exists(daemon.admin_path)
    # A client that comes between two daemons waits, and is answered by the second.
    with Client(daemon.jobs_path) as early:
        number = early.send("document.put", **document("between"))
        daemon.start()
        assert early.answer(number).outcome == "committed"
    jobs.close()
    admin.close()


def test_one_inherited_socket_and_one_of_its_own(stage):
    daemon, _ = stage
    jobs = Listening(daemon.jobs_path)
    hand_over(daemon, jobs=jobs)
    daemon.start()
    with daemon.jobs() as client:
        assert client.put(document("one")).outcome == "committed"
    assert daemon.stop() == 0
    assert daemon.jobs_path.exists() and not daemon.admin_path.exists()
    jobs.close()


@pytest.mark.parametrize("names", [{"job"}, {"jobs", "other"}])
def test_sockets_of_other_names_are_refused(stage, names):
    daemon, _ = stage
    made = {name: Listening(daemon.folder / f"{name}.test") for name in names}
    hand_over(daemon, **made)
    daemon.launch()
    assert daemon.wait_exit() == 2
    assert "FileDescriptorName=" in daemon.log()
    for each in made.values():
        each.close()


def test_a_socket_of_another_kind_is_refused(stage):
    daemon, _ = stage
    wrong = socket.socket(socket.AF_INET)
    wrong.bind(("127.0.0.1", 0))

    class Wrong:
        fd = os.dup(wrong.fileno())
    os.set_inheritable(Wrong.fd, True)
    hand_over(daemon, jobs=Wrong)
    daemon.launch()
    assert daemon.wait_exit() == 2
    assert "is no Unix stream socket" in daemon.log()
    os.close(Wrong.fd)
    wrong.close()


# The unit.

@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """meson install under another root, with what else the units refer to."""
    root = install(tmp_path_factory.mktemp("root"))
    (root / "bin").mkdir()
    shutil.copy("/bin/kill", root / "bin" / "kill")
    for target in ("sysinit", "basic", "sockets", "network-online", "network", "shutdown", "multi-user"):
        shutil.copy(f"/usr/lib/systemd/system/{target}.target", root / "usr/lib/systemd/system")
    return root


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})


def test_the_units_are_valid(installed):
    units = [f"/usr/lib/systemd/system/{name}" for name in ("sagad.service", "sagad.socket", "sagad-admin.socket")]
    found = analyze("verify", "--man=no", f"--root={installed}", *units)
    about_us = [line for line in found.stdout.splitlines() if "sagad" in line]
    assert found.returncode == 0 and not about_us, found.stdout


def test_the_exposure_is_low(installed):
    found = analyze("security", "--offline=yes", "--no-pager", str(installed / "usr/lib/systemd/system/sagad.service"))
    level = float(re.search(r"exposure level for \S+: ([0-9.]+)", found.stdout).group(1))
    assert level <= 1.5, found.stdout


def test_the_user_is_described_as_sysusers_wants_it(installed, tmp_path):
    (tmp_path / "etc").mkdir()
    found = subprocess.run(["systemd-sysusers", f"--root={tmp_path}", str(installed / "usr/lib/sysusers.d/sagad.conf")],
                           text=True, capture_output=True)
    assert found.returncode == 0, found.stderr
    assert re.search("^sagad:", (tmp_path / "etc" / "passwd").read_text(), re.M)


# The unit's system-call filter.

def plain_build():
    """What ships: a sanitizer needs system calls of its own."""
    for build in (os.environ.get("SAGAD_BUILD"), "release"):
        try:
            found = program("sagad", build)
        except AssertionError:
            continue
        if b"__asan_init" not in found.read_bytes() and (found.parents[2] / "tests/lib/seccomp_launcher").exists():
            return found.parents[2]
    return pytest.skip("no build without sanitizers and with tests/lib/seccomp_launcher (libseccomp-dev)")


@pytest.mark.parametrize("action", ["errno", "kill"])
def test_the_daemon_lives_under_the_units_system_call_filter(world, action):
    """Puts, overwrites, deletes, reloads, is killed in the middle, recovers, stops. `kill`: no call at all is missing."""
    world.reset()
    daemon = world.daemon({"schema.dims": DIMS})
    daemon.build = str(plain_build())
    daemon.confine(action)
    daemon.launch()
    world.init(daemon)
    daemon.wait_ready()
    jobs = [document(f"filtered {n}") for n in range(20)]
    with daemon.jobs() as client:
        assert {answer.outcome for answer in client.put_all(jobs)} == {"committed"}
        jobs[0] = document("filtered 0", n_chunks=1, mark=" again")
        assert client.put(jobs[0]).outcome == "committed"
        assert client.delete("filtered 1").outcome == "deleted"
        for n in range(40):
            client.send("document.put", **document(f"cut {n}"))
    eventually(lambda: daemon.stats()["committed_total"] > 21, 10)
    daemon.kill()
    daemon.start()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_log("the configuration was read again")
    world.assert_whole(daemon, [jobs[0], *jobs[2:]], partial=True)
    assert daemon.stop() == 0
