"""Kill -9 at any moment: what was acknowledged is there, what was refused isn't, what is unknown is whole or not there;
and two daemons never write to one database."""

import os
import random
import signal
import sys
import threading
import time

import pytest

from harness import eventually
from harness.documents import document

N_KILLS = 20
SETTINGS = {"timeouts.late_write_window": "2s", "retry.max_tries": 3}
EXIT_ANOTHER, EXIT_HALTED = 3, 4


@pytest.fixture
def random_source(request):
    seed = int(os.environ.get("SAGAD_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SAGAD_SEED={seed}", file=sys.stderr)
    return random.Random(f"{seed} {request.node.name}")


class Writer(threading.Thread):
    """Sends jobs over one connection until the daemon is gone, and writes down what was answered.

    Each document has one writer, so its last acknowledged job is the least that must be there."""

    def __init__(self, daemon, names, source, wait="committed", most=10 ** 6):
        super().__init__(daemon=True)
        self.most = most     # requests; accepted ones come faster than they are carried out
        self.server, self.names, self.source, self.wait_for = daemon, names, source, wait
        self.sent = {}       # id of a request -> (document id, content or None)
        self.answers = []    # in the order in which they came
        self.is_stopped = False

    def run(self):
        try:
            with self.server.jobs() as client:
                n_open = 0
                while not self.is_stopped or n_open:
                    self.is_stopped = self.is_stopped or len(self.sent) >= self.most
                    while n_open < 8 and not self.is_stopped:
                        self.send_one(client)
                        n_open += 1
                    self.answers.append(client.receive(20))
                    n_open -= 1
                    self.is_stopped = self.is_stopped or self.answers[-1].code == "shutting_down"
        except (OSError, ValueError):
            pass

    def send_one(self, client):
        name = self.source.choice(self.names)
        if self.source.random() < 0.2:
            number = client.send("document.delete", id=name, wait=self.wait_for)
            self.sent[number] = (name, None)
            return
        wanted = document(name, self.source.randrange(5), self.source.randrange(4), mark=f" {self.source.random()}")
        number = client.send("document.put", **wanted, wait=self.wait_for)
        self.sent[number] = (name, wanted)


class Expectation:
    """What a document may be, from the answers of its only writer.

    Jobs of one connection for one document are carried out in their order, so those that were sent before the last
    acknowledged one are history; those after it without an answer may have happened or not."""

    def __init__(self):
        self.may_be = {}     # document id -> list of contents (None: not there)
        self.n_acknowledged = self.n_unknown = 0

    def learn(self, writer):
        answered = {answer.id: answer for answer in writer.answers}
        for number, (name, wanted) in writer.sent.items():
            options = self.may_be.setdefault(name, [None])
            answer = answered.get(number)
            if answer is None or answer.code == "in_doubt":
                options.append(wanted)
                self.n_unknown += 1
            elif answer.outcome in ("committed", "unchanged", "deleted", "absent", "accepted"):
                options[:] = [wanted]
                self.n_acknowledged += 1
            else:
                assert answer.data["retriable"], answer

    def check(self, world):
        """PostgreSQL has one of the options of each document, and the comparison the same everywhere."""
        found = []
        for name, options in self.may_be.items():
            row = world.row(name)
            title = None if row is None or row[5] == "DELETED" else row[1]
            fitting = [wanted for wanted in options if (wanted and wanted["title"]) == title]
            assert fitting, f"{name}: {title!r} is none of {[wanted and wanted['title'] for wanted in options]}"
            options[:] = fitting[:1]
            found += [wanted for wanted in fitting[:1] if wanted]
        return found


def writers(daemon, source, prefix, wait="committed", most=10 ** 6):
    made = [Writer(daemon, [f"{prefix} {n}.{m}" for m in range(6)], random.Random(source.random()), wait, most)
            for n in range(3)]
    for writer in made:
        writer.start()
    return made


def finish(expectation, threads):
    for writer in threads:
        writer.is_stopped = True
    for writer in threads:
        writer.join(30)
        assert not writer.is_alive()
        expectation.learn(writer)


@pytest.mark.timeout(240)
def test_killed_at_random_moments_under_load(world, random_source):
    daemon, expectation = world.running(SETTINGS), Expectation()
    for _ in range(N_KILLS):
        threads = writers(daemon, random_source, "doc")
        time.sleep(random_source.uniform(0.05, 0.6))
        daemon.kill()
        finish(expectation, threads)
        daemon.start()
        expectation.check(world)
    world.assert_whole(daemon, expectation.check(world), timeout_s=30)
    assert len(expectation.may_be) == 18
    assert expectation.n_acknowledged >= 5 * N_KILLS and expectation.n_unknown >= N_KILLS
    assert daemon.stop() == 0


@pytest.mark.timeout(120)
def test_killed_again_and_again_during_recovery(world, random_source):
    daemon, expectation = world.running(SETTINGS), Expectation()
    threads = writers(daemon, random_source, "doc")
    time.sleep(0.7)
    daemon.kill()
    finish(expectation, threads)
    for _ in range(15):
        daemon.launch()
        time.sleep(random_source.uniform(0.01, 0.4))
        daemon.kill()
    daemon.start()
    world.assert_whole(daemon, expectation.check(world), timeout_s=30)


@pytest.mark.timeout(120)
def test_accepted_jobs_survive_kill_9(world, random_source):
    """Everything that was answered `accepted` is carried out, in the order of each document, over several kills."""
    daemon, expectation = world.running(SETTINGS), Expectation()
    for _ in range(4):
        threads = writers(daemon, random_source, "job", wait="accepted", most=80)
        time.sleep(random_source.uniform(0.05, 0.3))
        daemon.kill()
        finish(expectation, threads)
        daemon.start()
        daemon.settle(40)
        expectation.check(world)
    world.assert_whole(daemon, expectation.check(world), timeout_s=30)


def test_an_accepted_job_waits_for_a_store_that_is_down_and_for_a_daemon_that_is_killed(world):
    daemon = world.running(SETTINGS)
    world.store("redis").stop()
    with daemon.jobs() as client:
        answer = client.put(document("patient"), wait="accepted")
        assert answer.outcome == "accepted"
        eventually(lambda: client.job(answer.result["job"]).get("attempts", 0) >= 1, 10)
    daemon.kill()
    world.start("redis")
    daemon.start()
    with daemon.jobs() as client:
        eventually(lambda: client.job(answer.result["job"])["state"] == "done", 15)
    world.assert_whole(daemon, [document("patient")])


def test_sigterm_under_load_loses_nothing(world, random_source):
    daemon, expectation = world.running(SETTINGS), Expectation()
    threads = writers(daemon, random_source, "doc")
    time.sleep(0.5)
    daemon.terminate()
    assert daemon.wait_exit(15) == 0
    finish(expectation, threads)
    unanswered = [number for writer in threads for number in writer.sent
                  if number not in {answer.id for answer in writer.answers}]
    codes = {answer.code for writer in threads for answer in writer.answers if not answer.is_ok}
    assert codes <= {"shutting_down"}, codes
    assert len(unanswered) <= 3 * 8
    daemon.start()
    world.assert_whole(daemon, expectation.check(world), timeout_s=20)


def test_signals_in_the_last_moments_change_nothing(world):
    """Supervisors and people send SIGTERM again when it takes too long for them; the end stays a clean one."""
    daemon = world.running(SETTINGS)
    for _ in range(10):
        while daemon.is_alive():
            daemon.terminate()
            time.sleep(0.0003)
        assert daemon.process.returncode == 0
        daemon.start()
    assert daemon.stop() == 0


def test_sigterm_while_a_store_hangs_ends_in_time_and_the_next_start_cleans_up(world):
    daemon = world.running({**SETTINGS, "daemon.drain_timeout": "1s"})
    world.store("qdrant").pause()
    try:
        with daemon.jobs() as client:
            number = client.send("document.put", **document("hanging"), deadline_ms=60000)
            eventually(lambda: daemon.stats()["sagas_projecting"] == 1, 5)
            daemon.terminate()
            assert daemon.wait_exit(10) == 0
            assert client.answer(number, 5).code == "in_doubt"
    finally:
        world.store("qdrant").resume()
    daemon.start()
    world.assert_whole(daemon, [], timeout_s=20)


def test_a_second_daemon_on_the_same_journal_is_refused(world):
    daemon = world.running(SETTINGS)
    second = world.daemon(SETTINGS, journal=daemon.journal)
    assert second.launch().wait_exit(10) == EXIT_ANOTHER
    assert str(daemon.journal) in second.log()
    third = world.daemon(SETTINGS)
    third.jobs_path, third.admin_path = daemon.jobs_path, daemon.admin_path
    assert third.launch().wait_exit(10) == EXIT_ANOTHER
    with daemon.jobs() as client:
        assert client.put(document("still mine")).outcome == "committed"
    world.assert_whole(daemon)


def test_a_second_daemon_on_the_same_database_is_refused(world):
    daemon = world.running(SETTINGS)
    second = world.daemon(SETTINGS)
    assert second.launch().wait_exit(15) == EXIT_ANOTHER
    assert "--take-over" in second.log() and "stop it first" in second.log()
    with daemon.jobs() as client:
        assert client.put(document("still mine")).outcome == "committed"
    world.assert_whole(daemon)


def test_a_daemon_that_was_taken_over_stops_without_removing_anything(world, random_source):
    daemon, expectation = world.running(SETTINGS), Expectation()
    with daemon.jobs() as client:
        assert client.put(document("kept")).outcome == "committed"
    threads = writers(daemon, random_source, "doc")
    time.sleep(0.3)
    second = world.daemon({**SETTINGS, "schema.dims": 4})
    second.start("--take-over")
    assert daemon.wait_exit(15) == EXIT_HALTED
    finish(expectation, threads)
    assert "owner" in daemon.log()
    with second.jobs() as client:
        assert client.put(document("of the second")).outcome == "committed"
    assert world.row("kept")[5] == "COMPLETED" and len(world.points("kept")) == 3
    expectation.check(world)
    assert_whole_for_readers(world, second)


def assert_whole_for_readers(world, daemon):
    """What the first daemon had under way is known to its journal only: it may be left in the projections, and a
    reader who checks the version doesn't accept it; and what it had committed but not yet published may be missing on
    the entities themselves. Everything else that a reader accepts is whole."""
    daemon.settle()
    versions = {row[0] for row in world.readers.postgres.execute(
        "SELECT version::text FROM documents WHERE ingestion_status = 'COMPLETED'").fetchall()}
    strangers = ("point ", "Document node", "relationship", "MENTIONS", "key sagad:stage:")
    for difference in world.compare().differences:
        if difference.field.startswith("entity ") and difference.field.endswith(": published by"):
            continue
        assert difference.expected == "nothing" and not any(version in difference.found for version in versions)
        assert difference.field.startswith(strangers) or ")-[" in difference.field, difference


def test_the_first_daemon_can_come_back_by_take_over_and_cleans_up_after_itself(world, random_source):
    daemon, expectation = world.running(SETTINGS), Expectation()
    threads = writers(daemon, random_source, "doc")
    time.sleep(0.4)
    second = world.daemon({**SETTINGS, "schema.dims": 4}).start("--take-over")
    assert daemon.wait_exit(15) == EXIT_HALTED
    finish(expectation, threads)
    assert second.stop() == 0
    daemon.start("--take-over")
    world.assert_whole(daemon, expectation.check(world), timeout_s=20)


def test_sigkill_between_commit_and_publish_is_put_right(world):
    """Redis is frozen, so the commit is there and the cache isn't; the next start publishes."""
    daemon = world.running(SETTINGS)
    with daemon.jobs() as client:
        assert client.put(document("cached")).outcome == "committed"
        number = client.send("document.put", **document("cached", mark=" new"))
        eventually(lambda: world.row("cached")[1].endswith(" new"), 10, pause_s=0)
        daemon.process.send_signal(signal.SIGKILL)
        daemon.wait_exit()
        assert number not in client._early
    daemon.start()
    world.assert_whole(daemon, [document("cached", mark=" new")])
    assert world.live("cached")["version"] == world.row("cached")[0]
