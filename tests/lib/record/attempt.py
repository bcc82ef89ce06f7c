"""A job, and each time that it was sent."""
from __future__ import annotations

import dataclasses
from typing import Any

from harness.client import Answer, Client

ANY_VERSION = "any version"  # as if_version: not asked for
NO_SAGA = "00000000-0000-0000-0000-000000000000"


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What a client wants; sent once or several times. Its content is like no other job's of the document."""

    number: int
    name: str                     # of the document
    content: dict[str, Any] | None  # None: a delete
    key: str | None = None
    if_version: str | None = ANY_VERSION
    wait: str = "committed"
    made_from: dict[str, Any] | None = None  # stands for the content in the record's file

    @property
    def method(self) -> str:
        return "document.delete" if self.content is None else "document.put"

    @property
    def params(self) -> dict[str, Any]:
        options: dict[str, Any] = {"wait": self.wait}
        if self.key is not None:
            options["idempotency_key"] = self.key
        if self.if_version != ANY_VERSION:
            options["if_version"] = self.if_version
        return {**(self.content or {"id": self.name}), **options}

    def send(self, client: Client) -> int:
        return client.send(self.method, **self.params)

    def __str__(self) -> str:
        key = f" key {self.key}" if self.key else ""
        return f"job {self.number} ({self.method} {self.name!r}{key})"


@dataclasses.dataclass(eq=False)
class Attempt:
    """One sending of a job, and what came of it."""

    number: int
    job: Job
    by: str                       # the connection: jobs of one connection for one document keep their order
    sent_at: int                  # the record's own clock, which counts events
    is_repeat: bool               # its job was sent before
    answered_at: int | None = None
    answer: Answer | None = None  # None: open, or lost
    is_lost: bool = False         # the connection ended first
    made: str | None = None       # the saga that carried out an accepted job, once the judge has asked

    @property
    def outcome(self) -> str:
        """committed, deleted, accepted, ...; failed; unknown: whether it took effect only the stores can tell."""
        if self.answer is None or self.answer.code == "in_doubt":
            return "unknown"
        return str(self.answer.outcome)

    @property
    def is_stored(self) -> bool:
        """The answer was that of an earlier attempt with the same key."""
        return self.answer is not None and bool(self.answer.result.get("stored") or self.answer.data.get("stored"))

    @property
    def saga(self) -> str | None:
        """The committed saga that the client was told of."""
        if self.answer is not None and self.outcome in ("committed", "deleted"):
            return self.answer.result["saga_id"]
        return None if self.made == NO_SAGA else self.made  # a delete that found nothing is nobody's

    @property
    def previous(self) -> str | None:
        return None if self.answer is None else self.answer.result.get("previous")

    def __str__(self) -> str:
        told = "never answered" if self.answer is None else f"answered {self.answer.message}"
        return f"{self.job}, attempt {self.number} by {self.by}, {told}"
