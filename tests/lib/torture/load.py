"""Clients under whose hands everything breaks: they send, note what they are told, and send again what nobody knows."""
from __future__ import annotations

import collections
import random
import threading
import time
from pathlib import Path
from typing import Callable

from harness.client import Answer, Client
from harness.documents import document
from record import ANY_VERSION, Attempt, Job, Record

WINDOW = 6            # jobs under way on one connection
N_OWN, N_COMMON = 10, 8
# Longer than any job may take: deadline, and what may come after it until the answer.
ANSWER_S = 40.0
PAUSE_AFTER_FAILURE_S = 0.02


def told(answer: Answer) -> str:
    """An answer as tables have it."""
    if answer.is_ok:
        return str(answer.outcome)
    return f"{answer.code} of {answer.store}" if answer.store else str(answer.code)


class Writer(threading.Thread):
    """One client: connects again and again, keeps WINDOW jobs under way."""

    def __init__(self, load: "Load", name: str):
        super().__init__(daemon=True, name=name)
        self.load, self.record = load, load.record
        self.random = random.Random(f"{load.seed} {name}")
        self.names = [f"{name} doc {n}" for n in range(N_OWN)] + [f"common doc {n}" for n in range(N_COMMON)]
        self.again: collections.deque[Job] = collections.deque(maxlen=200)  # lost, with a key
        self.done: collections.deque[Job] = collections.deque(maxlen=50)    # answered, with a key
        self.versions: dict[str, str | None] = {}
        self.open: dict[int, Attempt] = {}
        self.is_idle = threading.Event()
        self.error: str | None = None
        self.n_connections = 0

    def run(self) -> None:
        while not self.load.is_over.is_set():
            if not self.load.may_send.is_set():
                self.is_idle.set()
                self.load.may_send.wait(0.2)
                continue
            self.is_idle.clear()
            try:
                self.n_connections += 1
                with Client(self.load.path, ANSWER_S) as client:
                    self._talk(client)
            except TimeoutError as error:
                self.error = f"no answer within {ANSWER_S} s: {[str(one) for one in self.open.values()][:3]}"
                self._lose(str(error))
            except (OSError, ValueError) as error:
                self._lose(f"{type(error).__name__}: {error}")
                time.sleep(0.01)
        self.is_idle.set()

    def _talk(self, client: Client) -> None:
        while self.open or (self.load.may_send.is_set() and not self.load.is_over.is_set()):
            while len(self.open) < WINDOW and self.load.may_send.is_set():
                self._send(client)
            self._take(client.receive())

    def _send(self, client: Client) -> None:
        job = self._choose()
        attempt = self.record.sent(job, f"{self.name}.{self.n_connections}")
        try:
            self.open[job.send(client)] = attempt
        except OSError as error:
            self.record.lost(attempt, str(error))
            self._keep(job)
            raise

    def _take(self, answer: Answer) -> None:
        attempt = self.open.pop(answer.id, None)
        if attempt is None:
            self.error = f"an answer to nothing that is open: {answer}"
            return
        self.record.answered(attempt, answer)
        self.load.on_answer(attempt)
        if attempt.job.key is not None:
            (self.again if attempt.outcome in ("unknown", "failed") else self.done).append(attempt.job)
        if attempt.outcome == "committed":
            self.versions[attempt.job.name] = answer.version
        elif attempt.outcome in ("deleted", "absent"):
            self.versions[attempt.job.name] = None
        elif answer.code == "conflict":
            self.versions[attempt.job.name] = answer.data.get("current_version")
        elif attempt.outcome == "failed":
            time.sleep(PAUSE_AFTER_FAILURE_S)

    def _lose(self, why: str) -> None:
        for attempt in self.open.values():
            self.record.lost(attempt, why)
            self.load.on_lost(attempt)
            self._keep(attempt.job)
        self.open.clear()

    def _keep(self, job: Job) -> None:
        if job.key is not None:
            self.again.append(job)

    def _choose(self) -> Job:
        dice = self.random.random()
        if self.again and dice < 0.3:
            return self.again.popleft()
        if self.done and dice > 0.93:
            return self.random.choice(self.done)
        return self._new_job(self.random.choice(self.names))

    def _new_job(self, name: str) -> Job:
        number, dice = self.load.next_number(), self.random.random()
        key = f"key {number}" if self.random.random() < 0.5 else None
        wait = "accepted" if self.random.random() < self.load.share_accepted else "committed"
        if_version: str | None = ANY_VERSION
        if name in self.versions and self.random.random() < 0.15:
            if_version = self.versions[name]
        content, made_from = None, None
        if dice > 0.15:
            shared = self.random.sample(self.load.shared, self.random.randrange(3))
            made_from = {"n_chunks": self.random.randrange(5), "n_entities": self.random.randrange(4),
                         "mark": f" #{number}", "shared": shared}
            content = document(name, **made_from)
        return self.record.job(name, content, key=key, wait=wait, if_version=if_version, made_from=made_from)


class Load:
    """All writers together. `outcomes` counts answers since take_outcomes()."""

    shared = [f"shared {n}" for n in range(5)]

    def __init__(self, path: Path, record: Record, seed: object, n_writers: int = 4, share_accepted: float = 0.12):
        self.path, self.record, self.seed, self.share_accepted = path, record, seed, share_accepted
        self.may_send, self.is_over = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._n_jobs = 0
        self.n_committed = 0       # in all
        self.n_taken_effect = 0    # committed, deleted or accepted since take_outcomes()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.all_outcomes: collections.Counter[str] = collections.Counter()
        self.listeners: list[Callable[[Attempt], None]] = []
        self.writers = [Writer(self, f"writer {n}") for n in range(n_writers)]

    def start(self) -> None:
        self.may_send.set()
        for writer in self.writers:
            writer.start()

    def next_number(self) -> int:
        with self._lock:
            self._n_jobs += 1
            return self._n_jobs

    def on_answer(self, attempt: Attempt) -> None:
        self._count("in_doubt" if attempt.answer.code == "in_doubt" else told(attempt.answer))

    def on_lost(self, attempt: Attempt) -> None:
        self._count("connection lost")

    def _count(self, word: str) -> None:
        with self._lock:
            self.outcomes[word] += 1
            self.all_outcomes[word] += 1
            self.n_committed += word == "committed"
            self.n_taken_effect += word in ("committed", "deleted", "accepted")

    def take_outcomes(self) -> collections.Counter[str]:
        with self._lock:
            taken, self.outcomes, self.n_taken_effect = self.outcomes, collections.Counter(), 0
            return taken

    def pause(self) -> list[str]:
        """No new jobs; returns when each is answered or lost, with what went wrong on the clients' side."""
        self.may_send.clear()
        late = [writer.name for writer in self.writers if not writer.is_idle.wait(ANSWER_S + 20)]
        errors = [writer.error for writer in self.writers if writer.error]
        for writer in self.writers:
            writer.error = None
        return errors + [f"{name} still waits for answers" for name in late]

    def resume(self) -> None:
        self.may_send.set()

    def end(self) -> None:
        self.is_over.set()
        self.may_send.clear()
        for writer in self.writers:
            writer.join(ANSWER_S + 20)
