"""One daemon and its stores: it is armed, crashes, is started again, and is judged."""
from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

import record
from harness import Client, Daemon, World
from record import Attempt, Job, Record

from .points import EXIT_CRASHED, Hits, Place, read_hits

if TYPE_CHECKING:
    from .scenarios import Scenario

# Small, so that everything which comes later comes within a trial; larger than what a store needs on a busy machine.
SETTINGS = {
    "timeouts.deadline": "5s", "timeouts.store": "500ms", "timeouts.postgresql": "500ms",
    "timeouts.late_write_window": "500ms", "retry.max_tries": 6, "retry.base": "10ms", "retry.cap": "50ms",
    "neo4j.collect_interval": "100ms", "schema.dims": 4,
}
ANSWER_S = 15.0
START_S = 20.0
# After the last answer: the second removal, the collector, the payment of debts.
QUIET_S = 1.2
COUNTED_LIVES = 2
# Documents are read by every judgement, so a bench is emptied now and then.
TRIALS_BETWEEN_RESETS = 30


class Unreached(Exception):
    """The armed daemon lived through the scenario."""


class Broken(Exception):
    """A promise was broken; the text says which."""


class Bench:
    """Stores, a journal and a place for one daemon after another."""

    def __init__(self, world: World, settings: dict[str, Any] | None = None, environ: dict[str, str] | None = None):
        self.world = world
        self.settings, self.environ = {**SETTINGS, **(settings or {})}, environ or {}
        self.folder = Path(tempfile.mkdtemp(prefix="sagad-crash-"))
        self.hits_path = self.folder / "hits"
        self.daemon: Daemon = None  # type: ignore[assignment]  # reset() makes it
        self.record: Record = None  # type: ignore[assignment]
        self.n_trials = 0
        self.patience_s = 60.0  # longer than a busy machine makes the stores' answers wait
        self.mutant: str | None = None  # a seeded bug, on in every daemon that is launched from now on

    def reset(self) -> None:
        """Empty stores with a schema, a new journal, a new record; the daemon runs."""
        self.daemon = self.world.running(self.settings, self.environ)
        self.record = Record(self.folder / "record.jsonl")
        # What a store refuses for good, and no check before it can know of.
        self.world.readers.postgres.execute(
            "ALTER TABLE documents ADD CONSTRAINT no_poison CHECK (title NOT LIKE '%poison%')")
        self.n_trials = 0

    def forget_everything(self) -> None:
        """Empty stores without a schema, and a daemon that was never started."""
        self.world.reset()
        self.daemon = self.stranger()
        self.record = Record(self.folder / "record.jsonl")

    def stranger(self) -> Daemon:
        """Another daemon with the same configuration, on other sockets and another journal."""
        made = self.world.daemon(self.settings, self.environ)
        return made

    def twin(self) -> Daemon:
        """Another daemon with the same configuration, journal and sockets."""
        made = self.world.daemon(self.daemon.settings, self.daemon.environ, self.daemon.journal)
        made.jobs_path, made.admin_path, made.config = self.daemon.jobs_path, self.daemon.admin_path, self.daemon.config
        return made

    def discard(self) -> None:
        """The next trial begins with empty stores."""
        if self.daemon is not None:
            self.daemon.kill()
        self.daemon = None  # type: ignore[assignment]

    def begin_trial(self) -> None:
        if self.daemon is None or self.n_trials >= TRIALS_BETWEEN_RESETS:
            self.reset()
        self.n_trials += 1

    # Lives of a daemon.

    @contextlib.contextmanager
    def _environment(self, **more: str) -> Iterator[None]:
        kept = dict(self.daemon.environ)
        self.daemon.environ.update(more)
        try:
            yield
        finally:
            self.daemon.environ = kept

    def launch(self, place: Place | None = None, is_counted: bool = False, options: tuple[str, ...] = ()) -> None:
        more = {"SAGAD_CRASH_AT": str(place)} if place else {}
        if self.mutant:
            more["SAGAD_MUTANT"] = self.mutant
        if is_counted:
            more["SAGAD_CRASH_HITS"] = str(self.hits_path)
        self._log_begin = self.daemon.log_path.stat().st_size if self.daemon.log_path.exists() else 0
        with self._environment(**more):
            self.daemon.launch(*options)

    def await_ready(self) -> bool:
        """Ready, found out from the log so that nobody's questions count as hits; False: it has ended."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.daemon.process.poll() is not None:
                return False
            with self.daemon.log_path.open("rb") as log:
                log.seek(self._log_begin)
                if b"ready: epoch" in log.read():
                    return True
            time.sleep(0.005)
        raise Broken(f"not ready within {START_S} s")

    def await_death(self, timeout_s: float) -> bool:
        try:
            self.daemon.process.wait(timeout_s)
            return True
        except subprocess.TimeoutExpired:
            return False

    def stop(self) -> None:
        if self.daemon.is_alive():
            self.daemon.terminate()
            if not self.await_death(20):
                raise Broken("SIGTERM didn't end it within 20 s")

    def check_crashed(self) -> None:
        """It has ended: at its point, or in a way that it never should."""
        code = self.daemon.process.returncode
        if code == EXIT_CRASHED:
            return
        if code == 0:
            raise Unreached()
        raise Broken(f"exit code {code} instead of a crash")

    def counted_hits(self) -> Hits:
        if self.daemon.process.returncode != 0:
            raise Broken(f"exit code {self.daemon.process.returncode} without a crash point")
        return read_hits(self.hits_path)

    # Clients.

    def job(self, name: str, content: dict[str, Any] | None, **options: Any) -> Job:
        """With a key of its own, so that it can be asked again."""
        number = len(self.record.attempts)
        return self.record.job(name, content, key=f"{name} {number} {time.monotonic_ns()}", **options)

    def talk(self, jobs: list[Job]) -> None:
        """All at once on one connection; each is answered or lost when this returns."""
        attempts = [self.record.sent(job, f"client {time.monotonic_ns()}") for job in jobs]
        waiting: dict[int, Any] = {}
        try:
            with Client(self.daemon.jobs_path, ANSWER_S) as client:
                for attempt in attempts:
                    waiting[attempt.job.send(client)] = attempt
                while waiting:
                    answer = client.receive()
                    self.record.answered(waiting.pop(answer.id), answer)
        except TimeoutError as error:
            raise Broken(f"no answer within {ANSWER_S} s: {[str(one) for one in waiting.values()]}") from error
        except OSError as error:
            for attempt in attempts:
                if attempt.answer is None:
                    self.record.lost(attempt, str(error))

    def settle(self) -> None:
        try:
            self.daemon.settle(self.patience_s)
        except AssertionError as error:
            raise Broken(f"not at rest: {error}") from error

    def log_tail(self) -> str:
        return self.daemon.log()[-1500:]

    def judge(self, when: str) -> None:
        findings = record.judge(self.record, self.world, self.daemon, self.patience_s)
        if findings:
            raise Broken(f"{when}: " + "\n".join(map(str, findings)))


def run(bench: Bench, scenario: Scenario, crashes: list[Place]) -> None:
    """A life that ends at the first place; one that recovers and ends at the second, when there is one; a third that
    must put everything right. Unreached, or Broken, or all is well."""
    jobs = live_and_die(bench, scenario, crashes[0])
    before = {attempt.job: attempt for attempt in bench.record.attempts if attempt.job in jobs}
    for place in crashes[1:]:
        recover_and_die(bench, place)
    scenario.revive(bench)
    bench.judge("after the crash")
    ask_again(bench, scenario, jobs, before)
    bench.judge("after the same keys were asked again")


def live_and_die(bench: Bench, scenario: Scenario, place: Place) -> list[Job]:
    bench.begin_trial()
    jobs = scenario.prepare(bench, f"{scenario.name} {bench.n_trials}")
    scenario.live(bench, jobs, place)
    bench.check_crashed()
    return jobs


def recover_and_die(bench: Bench, place: Place) -> None:
    bench.launch(place)
    if bench.await_ready() and not bench.await_death(QUIET_S):
        bench.stop()
    bench.check_crashed()


def count(bench: Bench, scenario: Scenario, first: Place | None = None) -> Hits:
    """How often a life reaches each point: the scenario's own, or that of the recovery after a crash. A store that is
    slow for once makes a saga fail or try again: of several lives the one with the fewest hits is the ordinary one."""
    lives: list[Hits] = []
    for _ in range(3 * COUNTED_LIVES):
        with contextlib.suppress(Unreached):
            lives.append(_count_once(bench, scenario, first))
        if len(lives) == COUNTED_LIVES:
            break
        bench.discard()
    return min(lives, key=lambda hits: hits.total())


def _count_once(bench: Bench, scenario: Scenario, first: Place | None) -> Hits:
    if first is None:
        bench.begin_trial()
        jobs = scenario.prepare(bench, f"{scenario.name} counted")
        scenario.live(bench, jobs, None)
    else:
        live_and_die(bench, scenario, first)
        bench.launch(is_counted=True)
        if bench.await_ready() and not bench.await_death(QUIET_S):
            bench.stop()
    hits = bench.counted_hits()
    bench.discard()
    return hits


def ask_again(bench: Bench, scenario: Scenario, jobs: list[Job], before: dict[Job, Attempt]) -> None:
    """Every key twice more: what is said now is said for ever, and what was said before the crash is said again."""
    first = len(bench.record.attempts)
    for _ in range(2):
        bench.talk(jobs)
    told = bench.record.attempts[first:]
    for one, other in zip(told[:len(jobs)], told[len(jobs):]):
        scenario.expect(one)
        scenario.expect(other)
        same_answer(one, other)
        if one.job in before and before[one.job].answer is not None:
            same_answer(before[one.job], one)


def same_answer(one: Attempt, other: Attempt) -> None:
    """Commits and refusals for good are the same for ever; other failures aren't remembered."""
    if one.outcome in ("unknown", "accepted") or one.answer.data.get("retriable"):
        return
    if (one.outcome, one.saga, one.answer.code) != (other.outcome, other.saga, other.answer.code):
        raise Broken(f"two answers to one key: {one}; {other}")
