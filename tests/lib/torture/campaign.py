"""Carries a plan out, and counts."""
from __future__ import annotations

import collections
import contextlib
import dataclasses
import signal
import time
from collections.abc import Callable, Iterator

from harness.waiting import eventually
from record import Record, judge

from . import plan
from .arena import Arena
from .load import Load

# After a fault the daemon must commit again by itself within this time. Neo4j locks its door for 5 s after wrong
# passwords, and its JVM is slow for a time after a start.
RECOVERS_S = 60
REST_S = 90
EXIT_DRAINED = 0


@dataclasses.dataclass
class Cell:
    """All strikes of one fault at one store."""

    n_strikes: int = 0
    n_kills: int = 0
    slowest_s: float = 0
    answers: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


class Campaign:
    """run() until the time is over or something is wrong."""

    def __init__(self, arena: Arena, record: Record, load: Load, say: Callable[[str], None]):
        self.arena, self.record, self.load, self.say = arena, record, load, say
        self.began = time.monotonic()
        self.n_kills = self.n_stops = self.n_rests = self.n_passed = 0
        self.failures: list[str] = []
        self.cells: dict[tuple[str, str], Cell] = {}
        arena.emptied = self._emptied

    def run(self, steps: Iterator[plan.Step], seconds: float, least_kills: int) -> None:
        self.load.start()
        for step in steps:
            if self.failures or (self._elapsed() > seconds and self.n_kills >= least_kills):
                break
            self._do(step)
        if not self.failures:
            self._do(plan.Rest())

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _tell(self, text: str) -> None:
        self.record.event(text)
        self.say(f"{self._elapsed():7.1f} s  {text}")

    def _passed(self) -> None:
        self.n_passed += 1

    def _failed(self, text: str) -> None:
        self.failures.append(text)
        self._tell(f"FAILED: {text}")

    def _do(self, step: plan.Step) -> None:
        before = len(self.failures)
        try:
            {plan.Kills: self._kills, plan.Strike: self._strike, plan.Stop: self._stop, plan.Freeze: self._freeze,
             plan.Rest: self._rest}[type(step)](step)
        except (AssertionError, RuntimeError, OSError) as error:
            self._failed(f"{step}: {type(error).__name__}: {error}")
        if len(self.failures) == before:
            self._passed()

    def _kill(self) -> None:
        self.arena.daemon.check_alive()
        self.n_kills += 1
        self.record.event("kill -9 of the daemon")

    def _kills(self, step: plan.Kills) -> None:
        self.load.take_outcomes()
        for after_s, again_s in zip(step.after_s, step.in_recovery_s):
            time.sleep(after_s)
            self._kill()
            self.arena.relaunch()
            if again_s is not None:
                time.sleep(again_s)
                self._kill()
                self.arena.relaunch()
            self.arena.wait_ready()
        n_again = sum(one is not None for one in step.in_recovery_s)
        self._tell(f"kill -9 x {len(step.after_s)}, {n_again} more while it recovered:"
                   f" {summary(self.load.take_outcomes())}")

    def _strike(self, step: plan.Strike) -> None:
        cell = self.cells.setdefault((step.fault.name, step.fault.store), Cell())
        self.load.take_outcomes()
        self.record.event(f"strike: {step.fault}")
        n_retries = self._retries()
        with step.fault.strike(self.arena, step.fault.store):
            began = time.monotonic()
            for at_s in (*step.kills_s, None):
                time.sleep(max(0.0, began + (step.fault.hold_s if at_s is None else at_s) - time.monotonic()))
                if at_s is not None:
                    self._kill()
                    self.arena.relaunch()
            self.arena.daemon.check_alive()
        took_s = self._recovers()
        answers = self.load.take_outcomes()
        cell.n_strikes += 1
        cell.n_kills += len(step.kills_s)
        cell.slowest_s = max(cell.slowest_s, took_s)
        cell.answers += answers
        self._tell(f"{step.fault} for {step.fault.hold_s:.2g} s, {len(step.kills_s)} kills: {summary(answers)};"
                   f" commits again after {took_s:.1f} s")
        is_felt = troubles(answers) or self._retries() > n_retries
        if step.fault.is_felt and not step.kills_s and not is_felt:  # a daemon that was killed begins to count anew
            self._failed(f"{step.fault}: nobody felt it, so it didn't take place")

    @contextlib.contextmanager
    def _emptied(self) -> Iterator[None]:
        """The load waits, every document is deleted, and nothing is left to do."""
        for error in self.load.pause():
            self._failed(error)
        self.arena.wait_ready()
        self.arena.daemon.settle(REST_S)  # accepted jobs still make documents
        rows = self.arena.world.readers.postgres.execute(
            "SELECT id FROM documents WHERE ingestion_status = 'COMPLETED'").fetchall()
        with self.arena.daemon.jobs() as client:
            for (name,) in rows:
                attempt = self.record.sent(self.record.job(name, None), "operator")
                self.record.answered(attempt, client.answer(attempt.job.send(client)))
                if attempt.outcome != "deleted":
                    raise AssertionError(f"could not be deleted: {attempt}")
        self.arena.daemon.settle(REST_S)
        yield
        self.load.resume()

    def _retries(self) -> int:
        return int(self.arena.daemon.stats()["retries_total"])

    def _recovers(self) -> float:
        """Everything is mended; seconds until the next commit."""
        self.record.event("mended")
        self.arena.mend()
        began, before = time.monotonic(), self.load.n_committed
        self.arena.wait_ready(RECOVERS_S)
        eventually(lambda: self.arena.daemon.check_alive() or self.load.n_committed > before, RECOVERS_S,
                   what="no commit after everything was mended")
        return time.monotonic() - began

    def _stop(self, step: plan.Stop) -> None:
        time.sleep(step.after_s)
        self.load.take_outcomes()
        self.record.event("SIGTERM")
        self.arena.daemon.terminate()
        code = self.arena.daemon.wait_exit(20)
        self.n_stops += 1
        self.arena.daemon.launch()
        self.arena.wait_ready()
        self._tell(f"SIGTERM, exit code {code}: {summary(self.load.take_outcomes())}")
        if code != EXIT_DRAINED:
            self._failed(f"exit code {code} after SIGTERM")

    def _freeze(self, step: plan.Freeze) -> None:
        self.load.take_outcomes()
        process = self.arena.daemon.process
        self.record.event("SIGSTOP of the daemon")
        process.send_signal(signal.SIGSTOP)
        time.sleep(step.for_s)
        process.send_signal(signal.SIGCONT)
        took_s = self._recovers()
        self._tell(f"SIGSTOP of the daemon for {step.for_s:.2g} s: {summary(self.load.take_outcomes())};"
                   f" commits again after {took_s:.1f} s")

    def _rest(self, step: plan.Rest) -> None:
        n_attempts = len(self.record.attempts)
        for error in self.load.pause():
            self._failed(error)
        began = time.monotonic()
        for finding in judge(self.record, self.arena.world, self.arena.daemon, REST_S):
            self._failed(str(finding))
        self.n_rests += 1
        n_there = sum(job is not None and job.content is not None for job in self.record.base.values())
        if not self.failures:
            self._tell(f"at rest: {n_attempts} answers are true, {n_there} documents are whole in all stores, "
                       f"nothing else is left ({time.monotonic() - began:.1f} s)")
        self.load.resume()

    def summary(self) -> str:
        return (f"{self.n_kills} kills of the daemon, {self.n_stops} stops, "
                f"{sum(cell.n_strikes for cell in self.cells.values())} faults of {len(self.cells)} kinds, "
                f"{self.n_rests} rests, {sum(self.load.all_outcomes.values())} answers in {self._elapsed():.0f} s: "
                f"{summary(self.load.all_outcomes)}")

    def table(self) -> str:
        lines = ["| fault | store | strikes | kills of sagad | answers until it committed again | which took at most |",
                 "|---|---|---|---|---|---|"]
        lines += [f"| {name} | {store} | {cell.n_strikes} | {cell.n_kills} | {summary(cell.answers)} |"
                  f" {cell.slowest_s:.1f} s |" for (name, store), cell in sorted(self.cells.items())]
        return "\n".join(lines) + "\n"


OK = ("committed", "deleted", "accepted", "unchanged", "absent", "conflict")


def troubles(answers: collections.Counter[str]) -> int:
    return sum(count for word, count in answers.items() if word not in OK)


def summary(answers: collections.Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in answers.most_common()) or "no answer"
