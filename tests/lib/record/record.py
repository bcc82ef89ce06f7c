"""The record: jobs and attempts in memory, and every event in a file, in the order in which it came."""
from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from harness.client import Answer

from .attempt import Attempt, Job


class Record:
    """May be used by many threads. A line is in the file before the call returns."""

    def __init__(self, path: Path):
        self.path = path
        self.attempts: list[Attempt] = []         # since the last settle()
        self.base: dict[str, Job | None] = {}     # document -> whose content it had at the last settle()
        self.base_versions: dict[str, str] = {}   # document -> its version then, a delete's too
        self.commits: set[str] = set()            # sagas in the ledger then
        self.keys: dict[str, str] = {}            # key -> the committed saga, of all that was settled
        self.refused_keys: dict[str, str] = {}    # key -> the code of a refusal for good
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._n_events = self._n_jobs = self._n_attempts = 0
        self._jobs_sent: set[int] = set()

    def close(self) -> None:
        self._file.close()

    def job(self, name: str, content: dict[str, Any] | None, **options: Any) -> Job:
        with self._lock:
            self._n_jobs += 1
            made = Job(self._n_jobs, name, content, **options)
            self._write(job=made.number, method=made.method, name=name, key=made.key, if_version=made.if_version,
                        wait=made.wait, content=made.made_from or content)
            return made

    def sent(self, job: Job, by: str) -> Attempt:
        """Note it before it goes out: what isn't noted can't be judged."""
        with self._lock:
            self._n_attempts += 1
            sent_at = self._write(sent=self._n_attempts, job=job.number, by=by)
            attempt = Attempt(self._n_attempts, job, by, sent_at, is_repeat=job.number in self._jobs_sent)
            self._jobs_sent.add(job.number)
            self.attempts.append(attempt)
            return attempt

    def answered(self, attempt: Attempt, answer: Answer) -> None:
        with self._lock:
            attempt.answered_at = self._write(answered=attempt.number, message=answer.message)
            attempt.answer = answer

    def lost(self, attempt: Attempt, why: str) -> None:
        with self._lock:
            self._write(lost=attempt.number, why=why)
            attempt.is_lost = True

    def event(self, what: str, **more: Any) -> None:
        """Anything else that a reader of the file needs: faults, kills, rests."""
        with self._lock:
            self._write(event=what, **more)

    def settle(self, states: dict[str, tuple[str, Job | None]], commits: set[str]) -> None:
        """All attempts so far were judged: only what they left is kept. `states`: document -> version and job."""
        with self._lock:
            self.commits |= commits
            for name, (version, job) in states.items():
                self.base_versions[name], self.base[name] = version, job
            for attempt in self.attempts:
                if attempt.job.key is not None and attempt.saga is not None:
                    self.keys[attempt.job.key] = attempt.saga
                if attempt.job.key is not None and attempt.is_stored and attempt.outcome == "failed":
                    self.refused_keys[attempt.job.key] = str(attempt.answer.code)
            self.attempts = []
            self._write(event="settled", documents=len(self.base))

    def _write(self, **line: Any) -> int:
        self._n_events += 1
        at_s = round(time.monotonic() - self._began, 4)
        self._file.write(json.dumps({"at_s": at_s, **line}, ensure_ascii=False) + "\n")
        self._file.flush()
        return self._n_events
