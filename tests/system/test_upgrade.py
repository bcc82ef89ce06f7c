"""The next version takes over while the old one drains: no job is lost, and at every moment somebody listens."""

import signal
import socket
import sqlite3
import threading
import time

from harness import Client, eventually
from harness.documents import DIMS, document
from harness.service import Listening, hand_over


class Load:
    """Clients that put documents one after the other and never give one up, as a pipeline does: what has no answer, or
    an answer that says so, is sent again with the same key."""

    def __init__(self, path, n_clients=4):
        self.path, self.stop = path, threading.Event()
        self.committed, self.surprises = [], []
        self.n_resent = self.n_refused_connections = 0
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(n_clients)]
        for each in self.threads:
            each.start()

    def _run(self, number):
        n, client = 0, None
        while not self.stop.is_set():
            job = document(f"load {number} {n}")
            client = self._until_answered(client, job)
            self.committed.append(job)
            n += 1
        if client is not None:
            client.close()

    def _until_answered(self, client, job):
        for _ in range(2000):
            try:
                client = client or Client(self.path)
                answer = client.put(job, idempotency_key=job["id"], deadline_ms=10000)
            except (ConnectionRefusedError, FileNotFoundError):
                self.n_refused_connections += 1
                time.sleep(0.01)
                continue
            except (ConnectionError, TimeoutError):
                client, self.n_resent = None, self.n_resent + 1
                continue
            if answer.outcome == "committed":
                return client
            if not answer.data.get("retriable"):
                self.surprises.append(answer)
                return client
            self.n_resent += 1
            if answer.code in ("shutting_down", "in_doubt"):
                client.close()
                client = None
            time.sleep(0.01)
        self.surprises.append(f"{job['id']} was never answered")
        return client

    def grow(self, more):
        """Until so many more are committed."""
        goal = len(self.committed) + more
        eventually(lambda: len(self.committed) >= goal, 30, what=f"{len(self.committed)} of {goal}")

    def end(self):
        self.stop.set()
        for each in self.threads:
            each.join(60)
        assert not self.surprises, self.surprises[:3]
        return self.committed


def twin(world, daemon):
    """The next version: same configuration, same journal, same sockets."""
    made = world.daemon(daemon.settings, daemon.environ, daemon.journal)
    made.jobs_path, made.admin_path, made.config = daemon.jobs_path, daemon.admin_path, daemon.config
    made.prefix, made.pass_fds = daemon.prefix, daemon.pass_fds
    return made


def finish(world, load, daemon, what):
    jobs = load.end()
    names = [job["id"] for job in jobs]
    assert len(names) == len(set(names))
    world.assert_whole(daemon, jobs, timeout_s=30)
    print(f"{what}: {len(jobs)} jobs answered and in all four stores, {load.n_resent} sent again, "
          f"{load.n_refused_connections} connections refused")


def test_an_upgrade_with_inherited_sockets_under_load(world):
    setup = world.running()
    setup.stop()
    old = world.daemon({"schema.dims": DIMS})
    jobs, admin = Listening(old.jobs_path), Listening(old.admin_path)
    hand_over(old, jobs=jobs, admin=admin)
    old.start()
    load = Load(old.jobs_path)
    load.grow(40)
    for _ in range(3):
        new = twin(world, old).launch()
        new.wait_log("waiting")
        load.grow(10)  # the older one still works
        old.terminate()
        assert old.wait_exit() == 0
        new.wait_ready()
        load.grow(40)
        old = new
    finish(world, load, new, "three upgrades with systemd's sockets")
    assert load.n_refused_connections == 0
    assert new.stop() == 0
    jobs.close()
    admin.close()


def test_replace_under_load(world):
    old = world.running()
    load = Load(old.jobs_path)
    load.grow(40)
    for _ in range(3):
        new = twin(world, old).launch("--replace")
        assert old.wait_exit() == 0
        new.wait_ready()
        load.grow(40)
        old = new
    finish(world, load, new, "three upgrades with --replace")
    assert load.n_refused_connections == 0
    assert new.stop() == 0
    assert not new.jobs_path.exists() and not new.admin_path.exists()


def test_replace_without_an_older_daemon_is_an_ordinary_start(world):
    setup = world.running()
    setup.kill()  # its sockets stay
    new = twin(world, setup).start("--replace")
    with new.jobs() as client:
        assert client.put(document("ordinary")).outcome == "committed"
    assert new.stop() == 0


def test_replace_waits_no_longer_than_the_drain_may_take(world):
    """The older daemon asked to stop hangs: the new one gives up, with its exit code and a line."""
    old = world.running({"daemon.drain_timeout": "1s"})
    new = twin(world, old)
    jobs, admin = Listening(old.folder / "other-jobs"), Listening(old.folder / "other-admin")
    hand_over(new, jobs=jobs, admin=admin)
    new.launch()
    begun = time.monotonic()
    assert new.wait_exit(30) == 3 and 10 < time.monotonic() - begun < 20
    assert "another sagad" in new.log() and str(old.process.pid) in new.log()
    assert old.stop() == 0
    jobs.close()
    admin.close()


def test_replace_leaves_a_daemon_alone_that_does_not_obey(world):
    """Something listens there that answers with an error: nothing is changed."""
    daemon = world.daemon({"schema.dims": DIMS, "operations.listen": ""})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(daemon.admin_path))
    listener.listen()
    inode = daemon.admin_path.stat().st_ino

    def answer():
        client, _ = listener.accept()
        client.recv(4096)
        client.sendall(b'{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"no"}}\n')
        client.recv(4096)
        client.close()
    threading.Thread(target=answer, daemon=True).start()
    daemon.launch("--replace")
    assert daemon.wait_exit() == 3
    assert "doesn't do what it is asked: stop it with SIGTERM" in daemon.log()
    assert daemon.admin_path.stat().st_ino == inode and not daemon.jobs_path.exists()
    listener.close()


def test_a_second_daemon_is_refused_and_leaves_the_first_alone(world):
    first = world.running()
    second = twin(world, first).launch()
    assert second.wait_exit() == 3
    assert f"process {first.process.pid}" in second.log()
    with first.jobs() as client:
        assert client.put(document("first")).outcome == "committed"
    assert first.stop() == 0


def test_accepted_jobs_survive_the_change(world):
    """Accepted by the old one, done by the new one."""
    old = world.running({"daemon.drain_timeout": "0s"})
    jobs = [document(f"accepted {n}") for n in range(80)]
    with old.jobs() as client:
        assert {a.outcome for a in client.put_all(jobs, wait="accepted")} == {"accepted"}
    new = twin(world, old)
    new.launch("--replace")
    assert old.wait_exit() == 0
    new.wait_ready()
    world.assert_whole(new, jobs, timeout_s=30)
    assert new.stop() == 0


def test_the_journal_of_a_newer_version_is_refused(world):
    daemon = world.running()
    assert daemon.stop() == 0
    with sqlite3.connect(daemon.journal) as journal:
        version = journal.execute("PRAGMA user_version").fetchone()[0]
        journal.execute(f"PRAGMA user_version = {version + 1}")
    journal.close()
    daemon.launch()
    assert daemon.wait_exit() == 2
    assert f"its format is version {version + 1}, this sagad knows up to {version}" in daemon.log()


def test_a_killed_daemon_and_a_waiting_one(world):
    """The older one is killed instead of drained: the new one takes back what was cut, and answers those who wait."""
    setup = world.running()
    setup.stop()
    old = world.daemon({"schema.dims": DIMS})
    jobs, admin = Listening(old.jobs_path), Listening(old.admin_path)
    hand_over(old, jobs=jobs, admin=admin)
    old.start()
    load = Load(old.jobs_path)
    load.grow(30)
    new = twin(world, old).launch()
    new.wait_log("waiting")
    old.process.send_signal(signal.SIGKILL)
    old.wait_exit()
    new.wait_ready()
    load.grow(30)
    finish(world, load, new, "a kill with the next one waiting")
    assert load.n_refused_connections == 0
    assert new.stop() == 0
    jobs.close()
    admin.close()
