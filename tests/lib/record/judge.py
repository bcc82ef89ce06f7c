"""Holds the answers against the stores.

Sagas' ids are UUIDv7 in text: later versions of a document compare greater. Each check looks at one promise and gives
findings; none means that every answer since the last settle() was true.
"""
from __future__ import annotations

import collections
import dataclasses
from typing import Any, Iterator

from .attempt import ANY_VERSION, NO_SAGA, Attempt, Job
from .record import Record


@dataclasses.dataclass(frozen=True)
class Finding:
    """One broken promise."""

    what: str
    about: str

    def __str__(self) -> str:
        return f"{self.what}: {self.about}"


@dataclasses.dataclass(frozen=True)
class Commit:
    """A row of the ledger that is new since the last settle()."""

    saga: str
    name: str
    is_delete: bool
    key: str | None  # the client's, or of an accepted job without one: JOB_KEY and the job's id


JOB_KEY = "sagad-job:"


@dataclasses.dataclass
class Facts:
    """The attempts, and what PostgreSQL and the journal say of them."""

    record: Record
    ledger: dict[str, tuple[str, str]]            # saga -> document, outcome
    commits: list[Commit]
    rows: dict[str, tuple[str, str, str | None]]  # document -> version, status, title
    jobs: dict[str, dict[str, Any]]               # accepted job -> document.status

    @property
    def attempts(self) -> list[Attempt]:
        return self.record.attempts

    def by_document(self) -> dict[str, list[Attempt]]:
        found = collections.defaultdict(list)
        for attempt in self.attempts:
            found[attempt.job.name].append(attempt)
        return found

    def is_committed(self, saga: str | None, name: str) -> bool:
        return saga is not None and self.ledger.get(saga) == (name, "committed")


def judge(record: Record, world: Any, daemon: Any, timeout_s: float = 30) -> list[Finding]:
    """When everything is at rest. Without findings the record is settled: the next judgement begins here."""
    try:
        daemon.settle(timeout_s)
    except AssertionError as error:
        return [Finding("not at rest", str(error))]
    facts = _read(record, world, daemon)
    findings = [finding for check in CHECKS for finding in check(facts)]
    states, unexplained = _states(facts)
    findings += unexplained
    contents = [job.content for _, job in states.values() if job is not None and job.content is not None]
    if not unexplained:
        try:
            world.assert_whole(daemon, contents, timeout_s=timeout_s)
        except AssertionError as error:
            findings.append(Finding("the stores differ", str(error)))
    if not findings:
        record.settle(states, {commit.saga for commit in facts.commits})
    return findings


def _read(record: Record, world: Any, daemon: Any) -> Facts:
    accepted = {attempt.answer.result["job"]: attempt for attempt in record.attempts if attempt.outcome == "accepted"}
    jobs = {}
    if accepted:
        with daemon.admin() as client:
            jobs = {job: client.job(job) for job in accepted}
    for job, attempt in accepted.items():
        if jobs[job]["state"] == "done":
            attempt.made = jobs[job]["saga_id"]
    postgres = world.readers.postgres
    ledger = postgres.execute("SELECT saga_id::text, document_id, outcome, is_delete, idempotency_key"
                              " FROM sagad_ledger").fetchall()
    commits = [Commit(saga, name, is_delete, key) for saga, name, outcome, is_delete, key in ledger
               if outcome == "committed" and saga not in record.commits]
    names = list({attempt.job.name for attempt in record.attempts} | record.base.keys())
    rows = postgres.execute("SELECT id, version::text, ingestion_status, title FROM documents WHERE id = ANY(%s)",
                            (names,)).fetchall()
    return Facts(record, {row[0]: row[1:3] for row in ledger}, commits, {row[0]: row[1:] for row in rows}, jobs)


# The checks.

def _answered(facts: Facts) -> Iterator[Finding]:
    for attempt in facts.attempts:
        if attempt.answer is None and not attempt.is_lost:
            yield Finding("a job without an answer", str(attempt))


def _acknowledged(facts: Facts) -> Iterator[Finding]:
    """What was acknowledged is in the ledger, and under its own name."""
    for attempt in facts.attempts:
        if attempt.outcome in ("committed", "deleted") and not facts.is_committed(attempt.saga, attempt.job.name):
            yield Finding("an acknowledgement was lost", str(attempt))
        if attempt.outcome == "unchanged" and not facts.is_committed(attempt.answer.version, attempt.job.name):
            yield Finding("unchanged, but that version is not there", str(attempt))


def _refused(facts: Facts) -> Iterator[Finding]:
    """What was refused has not happened."""
    for attempt in facts.attempts:
        if attempt.outcome == "failed" and facts.is_committed(attempt.answer.data.get("saga_id"), attempt.job.name):
            yield Finding("refused, yet committed", str(attempt))


def _explained(facts: Facts) -> Iterator[Finding]:
    """Each commit belongs to a job that was acknowledged, or of which its client doesn't know. One that it doesn't know
    of explains one commit."""
    told = {attempt.saga for attempt in facts.attempts}
    jobs = {JOB_KEY + job for job in facts.jobs}
    keys = {attempt.job.key for attempt in facts.attempts if attempt.outcome not in ("failed", "absent")}
    unknown = collections.Counter((one.job.name, one.job.content is None, one.job.wait)
                                  for one in facts.attempts if one.outcome == "unknown" and one.job.key is None)
    for commit in facts.commits:
        is_job = (commit.key or "").startswith(JOB_KEY)
        if commit.saga in told or commit.key in jobs or (commit.key is not None and commit.key in keys):
            continue
        kind = (commit.name, commit.is_delete, "accepted" if is_job else "committed")
        if (commit.key is None or is_job) and unknown[kind] > 0:
            unknown[kind] -= 1
            continue
        asked = [str(one) for one in facts.attempts if one.job.name == commit.name and one.outcome == "failed"]
        yield Finding("committed, and every client was told otherwise", f"{commit}; refused: {'; '.join(asked)}"[:2000])


def _accepted(facts: Facts) -> Iterator[Finding]:
    """An accepted job is carried out. Only if_version may refuse it for good."""
    for attempt in facts.attempts:
        if attempt.outcome != "accepted":
            continue
        status = facts.jobs[attempt.answer.result["job"]]
        if status["state"] == "done":
            is_good = attempt.made == NO_SAGA and attempt.job.content is None \
                or facts.is_committed(attempt.made, attempt.job.name)
        else:
            is_good = status["state"] == "failed" and status["code"] == "conflict" \
                and attempt.job.if_version != ANY_VERSION
        if not is_good:
            yield Finding("an accepted job was lost", f"{attempt}; now {status}")


def _one_answer_per_key(facts: Facts) -> Iterator[Finding]:
    sagas, refused = collections.defaultdict(set), {}
    for attempt in facts.attempts:
        key = attempt.job.key
        if key is None:
            continue
        if attempt.saga is not None:
            sagas[key].add(attempt.saga)
        if attempt.is_stored and attempt.outcome == "failed":
            refused[key] = attempt
    for key, found in sagas.items():
        found = found | ({facts.record.keys[key]} if key in facts.record.keys else set())
        if len(found) > 1:
            yield Finding("two outcomes of one key", f"{key}: {sorted(found)}")
        if key in refused or key in facts.record.refused_keys:
            yield Finding("a key was refused for good and committed", f"{key}: {refused.get(key)}")


def _fresh(attempts: list[Attempt]) -> list[Attempt]:
    """Those whose answer tells of a commit of their own."""
    return [attempt for attempt in attempts if attempt.outcome in ("committed", "deleted") and not attempt.is_stored]


def _in_order_of_time(facts: Facts) -> Iterator[Finding]:
    """Sent after another's acknowledgement: a later version."""
    for name, attempts in facts.by_document().items():
        fresh = _fresh(attempts)
        by_answer = collections.deque(sorted(fresh, key=lambda one: one.answered_at))
        newest = facts.record.base_versions.get(name, "")
        for attempt in sorted(fresh, key=lambda one: one.sent_at):
            while by_answer[0].answered_at < attempt.sent_at:
                newest = max(newest, by_answer.popleft().saga)
            if attempt.saga <= newest:
                yield Finding("older than a version acknowledged before it", f"{newest}: {attempt}")


def _in_order_of_sending(facts: Facts) -> Iterator[Finding]:
    """One connection's jobs for one document take effect in their order; a repeated one may have done so before."""
    newest: dict[tuple[str, str, str], str] = {}
    for attempt in facts.attempts:
        if attempt.saga is None or attempt.is_stored or attempt.is_repeat:
            continue
        line = (attempt.by, attempt.job.name, attempt.job.wait)
        if attempt.saga <= newest.get(line, ""):
            yield Finding("overtaken by a job sent later", f"{newest[line]}: {attempt}")
        newest[line] = max(newest.get(line, ""), attempt.saga)


def _no_lost_update(facts: Facts) -> Iterator[Finding]:
    """Each version is replaced once, by a later one, and if_version is kept."""
    for name, attempts in facts.by_document().items():
        replaced: dict[str, Attempt] = {}
        for attempt in _fresh(attempts):
            if attempt.previous is not None:
                other = replaced.setdefault(attempt.previous, attempt)
                if other.saga != attempt.saga:
                    yield Finding("one version replaced by two", f"{attempt} and {other}")
                if attempt.previous >= attempt.saga:
                    yield Finding("replaced by an older version", str(attempt))
            if attempt.job.if_version not in (ANY_VERSION, attempt.previous):
                yield Finding("if_version was not kept", str(attempt))


CHECKS = (_answered, _acknowledged, _refused, _explained, _accepted, _one_answer_per_key, _in_order_of_time,
          _in_order_of_sending, _no_lost_update)


# Which job's content each document must have now.

def _states(facts: Facts) -> tuple[dict[str, tuple[str, Job | None]], list[Finding]]:
    """document -> (version, the job that made it), and what can't be explained."""
    states, findings = {}, []
    attempts = facts.by_document()
    for name in attempts.keys() | facts.record.base.keys():
        found = _state(facts, name, attempts.get(name, []))
        if isinstance(found, Finding):
            findings.append(found)
        elif found is not None:
            states[name] = found
    return states, findings


def _state(facts: Facts, name: str, attempts: list[Attempt]) -> tuple[str, Job | None] | Finding | None:
    record, row = facts.record, facts.rows.get(name)
    told = {attempt.saga: attempt.job for attempt in attempts if attempt.saga is not None}
    if name in record.base_versions:
        told[record.base_versions[name]] = record.base[name]
    newest = max(told, default=None)
    if row is None:
        return None if newest is None else Finding("an acknowledged document is gone", f"{name!r}, version {newest}")
    version, status, title = row
    if newest is not None and version < newest:
        return Finding("an acknowledged version is gone", f"{name!r} has {version}, not {newest} of {told[newest]}")
    if version in told:
        return version, told[version]
    for attempt in attempts:
        if attempt.outcome == "unknown" and _fits(attempt.job, status, title):
            return version, attempt.job
    fitting = "; ".join(str(one) for one in attempts if _fits(one.job, status, title))
    return Finding("a document that nobody may have written",
                   f"{name!r} has version {version}, {status}, title {title!r}; {fitting}"[:2000])


def _fits(job: Job, status: str, title: str | None) -> bool:
    if job.content is None:
        return status == "DELETED"
    return status == "COMPLETED" and job.content.get("title") == title
