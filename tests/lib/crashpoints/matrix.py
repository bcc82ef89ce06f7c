"""Which crashes there are, their rotating share, and the workers that try them."""
from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
from typing import Any, Callable, Iterable, Iterator

from harness import World
from stores import Stores

from . import trial
from .points import BUILD, Hits, Place
from .scenarios import ALL, RECOVERIES
from .trial import Broken, Unreached

HITS = 3
# Trials that one worker does between two sets of empty stores.
CHUNK = trial.TRIALS_BETWEEN_RESETS
# A point that depends on time may be missed once.
TRIES = 2
PROOF_TRIES = 3
# Chunks that the order moves on from one day to the next: no divisor of their number for long.
STEP_A_DAY = 7
DONE = 0  # a worker's word for the end of a task


@dataclasses.dataclass(frozen=True)
class Crash:
    """A scenario and where its daemon ends; with two places the second is in the recovery from the first."""

    scenario: str
    places: tuple[Place, ...]

    def __str__(self) -> str:
        return f"{self.scenario}, " + " + ".join(map(str, self.places))

    @classmethod
    def parse(cls, text: str) -> "Crash":
        scenario, _, places = text.rpartition(", ")
        if scenario not in ALL:
            raise ValueError(f"{text!r}: write SCENARIO, POINT:HIT [+ POINT:HIT]; scenarios: {'; '.join(ALL)}")
        return cls(scenario, tuple(Place.parse(place.strip()) for place in places.split("+")))

    @property
    def group(self) -> str:
        """Its column in the table."""
        return self.scenario if len(self.places) == 1 else f"recovery of {self.scenario}"


@dataclasses.dataclass
class Counted:
    """What a life reaches: a scenario's, or that of the recovery from a crash."""

    scenario: str
    first: Place | None
    hits: Hits = dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass
class Proof:
    """A seeded bug, and a crash after which it breaks a promise: the judge must say so."""

    mutant: str
    crash: Crash

    @property
    def scenario(self) -> str:
        return self.crash.scenario


@dataclasses.dataclass
class Outcome:
    crash: Crash
    what: str        # passed, failed, missed (not reached), left (no time)
    text: str = ""
    took_s: float = 0.0
    mutant: str | None = None
    is_finding: bool = False  # failed: a promise was broken, and not the test

    def __str__(self) -> str:
        return f"{self.crash}" + (f", with {self.mutant}" if self.mutant else "")


@dataclasses.dataclass
class Chunk:
    """Crashes of one scenario; those that come after `until` of the monotonic clock are left."""

    crashes: list[Crash]
    until: float = math.inf

    @property
    def scenario(self) -> str:
        return self.crashes[0].scenario


Task = Counted | Proof | Chunk

SEEDED = {"leftover_unasked": "put, postgres.pivot.after:1", "accepted_forgotten": "accepted, postgres.pivot.before:1",
          "debts_unread": "overwrite, postgres.pivot.after:1", "removal_by_document": "refusal, answer.write.after:2"}


def proofs() -> list[Task]:
    return [Proof(mutant, Crash.parse(text)) for mutant, text in SEEDED.items()]


def lives(scenarios: list[str] | None = None) -> list[Counted]:
    """What must be counted before crashes of these scenarios (None: of all) can be chosen."""
    found = [Counted(name, None) for name in ALL] + [Counted(name, first) for name, first in RECOVERIES]
    return [life for life in found if scenarios is None or life.scenario in (*scenarios, "start")]


def choose(counted: Iterable[Counted]) -> list[Crash]:
    """The first to third hit of each point, from the scenario's own beginning on."""
    found = list(counted)
    starts = next(life.hits for life in found if life.scenario == "start" and life.first is None)
    crashes = []
    for life in found:
        is_later = life.first is not None and life.scenario != RECOVERIES[0][0]
        for point, n_hits in sorted(life.hits.items()):
            if is_later and n_hits == starts[point] or not point.startswith(ALL[life.scenario].only):
                continue  # an ordinary start's, and tried in the recovery before; or tried elsewhere
            skipped = 0 if life.first is not None or ALL[life.scenario].begins_at_start else starts[point]
            for hit in range(skipped + 1, min(n_hits, skipped + HITS) + 1):
                places = (Place(point, hit),) if life.first is None else (life.first, Place(point, hit))
                crashes.append(Crash(life.scenario, places))
    return crashes


# The workers: processes with stores of their own.

def _try(bench: trial.Bench, crash: Crash) -> Outcome:
    began = time.monotonic()
    try:
        for _ in range(TRIES):
            try:
                trial.run(bench, ALL[crash.scenario], list(crash.places))
                return Outcome(crash, "passed", "", time.monotonic() - began)
            except Unreached:
                bench.discard()
        return Outcome(crash, "missed", "", time.monotonic() - began)
    except Broken as error:
        is_finding, text = True, f"{error}\nthe log's end:\n{bench.log_tail()}"
    except Exception:  # a fault of the test's own must not take the other trials with it
        is_finding, text = False, traceback.format_exc()
    bench.discard()
    return Outcome(crash, "failed", text, time.monotonic() - began, is_finding=is_finding)


def _prove(bench: trial.Bench, proof: Proof) -> Outcome:
    """Noticed once is enough: a store that is slow for once takes the bug's occasion away."""
    bench.mutant, bench.patience_s = proof.mutant, 5.0
    for _ in range(PROOF_TRIES):
        outcome = _try(bench, proof.crash)
        outcome.mutant = proof.mutant
        if outcome.what == "failed" and outcome.is_finding:
            outcome.what = "passed"
            return outcome
    outcome.what, outcome.text = "failed", f"the seeded bug wasn't noticed: {outcome.what} {outcome.text}"
    return outcome


def _carry_out(world: World, task: Task, tell: Callable[[Any], None]) -> None:
    scenario = ALL[task.scenario]
    with scenario.bench(world) as bench:
        if isinstance(task, Counted):
            task.hits = trial.count(bench, scenario, task.first)
            tell(task)
        elif isinstance(task, Proof):
            tell(_prove(bench, task))
        else:
            for crash in task.crashes:
                tell(_try(bench, crash) if time.monotonic() < task.until else Outcome(crash, "left"))


def _work(environ: dict[str, str] | None, tasks: Any, told: Any) -> None:
    """What a process does: tasks, until None comes. Its stores end with it unless they were given."""
    os.environ["SAGAD_BUILD"] = BUILD
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that its stores end with it
    try:
        with contextlib.ExitStack() as stack:
            stores = Stores(environ=environ) if environ else stack.enter_context(Stores.scratch())
            stores.up()
            world = World(stores)
            stack.callback(world.close)
            world.warm_up()
            for task in iter(tasks.get, None):
                _carry_out(world, task, told.put)
                told.put(DONE)
    except BaseException:
        told.put(traceback.format_exc())


class Workers:
    """`with Workers(2) as workers: for found in workers.carry_out(tasks): ...`"""

    def __init__(self, n: int):
        context = multiprocessing.get_context("spawn")
        self.tasks, self.told = context.Queue(), context.Queue()
        given = {key: os.environ[key] for key in ("SAGAD_STORES_DIR", "SAGAD_STORES_DIST") if key in os.environ}
        environs = [given if number == 0 and "SAGAD_STORES_DIR" in given else None for number in range(n)]
        self.processes = [context.Process(target=_work, args=(environ, self.tasks, self.told)) for environ in environs]

    def __enter__(self) -> "Workers":
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _ in self.processes:
            self.tasks.put(None)
        for process in self.processes:
            process.join(60)
            if process.is_alive():
                process.terminate()

    def give_up(self) -> None:
        """Whatever the workers do, they end."""
        for process in self.processes:
            process.terminate()

    def carry_out(self, tasks: list[Task]) -> Iterator[Any]:
        """The results of all tasks as they come."""
        for task in tasks:
            self.tasks.put(task)
        n_open = len(tasks)
        while n_open > 0:
            found = self.told.get()
            if isinstance(found, str):
                raise RuntimeError(f"a worker ended:\n{found}")
            if found == DONE:
                n_open -= 1
            else:
                yield found


def chunks(crashes: list[Crash], until: float, day: int) -> list[Task]:
    """In an order that begins elsewhere each day, so that what is left one day is tried on another."""
    found: list[Task] = []
    for name in ALL:
        own = [crash for crash in crashes if crash.scenario == name]
        found += [Chunk(own[at:at + CHUNK], until) for at in range(0, len(own), CHUNK)]
    begin = day * STEP_A_DAY % max(len(found), 1)
    return found[begin:] + found[:begin]
