"""The judge of answers finds each sort of lie: a changed answer, and a store that was changed behind the daemon's
back."""

import dataclasses

import pytest

from harness import Client
from harness.client import Answer
from harness.documents import document
from record import Record, judge

SETTINGS = {"timeouts.late_write_window": "2s"}
NOBODY = "019a0000-0000-7000-8000-000000000000"


@pytest.fixture
def daemon(world):
    return world.running(SETTINGS)


class Talk:
    """One client whose every word is recorded."""

    def __init__(self, record, daemon):
        self.record, self.daemon = record, daemon
        self.jobs = {}
        self.attempts = {}

    def put(self, name, mark="", **options):
        return self.send(self.record.job(name, document(name, mark=mark), **options))

    def delete(self, name, **options):
        return self.send(self.record.job(name, None, **options))

    def send(self, job):
        attempt = self.record.sent(job, "client")
        with Client(self.daemon.jobs_path) as client:
            self.record.answered(attempt, client.answer(job.send(client)))
        return attempt


@pytest.fixture
def talk(tmp_path, world, daemon):
    """Documents of each sort, whose answers are all true."""
    record = Record(tmp_path / "record.jsonl")
    made = Talk(record, daemon)
    made.first = made.put("one", key="key of one")
    made.second = made.put("one", " again")
    made.again = made.send(made.first.job)
    made.deleted = made.put("two") and made.delete("two")
    made.accepted = made.put("three", wait="accepted")
    made.conflict = made.put("one", " never", if_version=NOBODY)
    assert [one.outcome for one in record.attempts] == ["committed", "committed", "committed", "committed", "deleted",
                                                        "accepted", "failed"]
    assert made.again.is_stored and made.again.saga == made.first.saga
    yield made
    record.close()


def lie(attempt, **result):
    """The answer with other members in its result."""
    attempt.answer = Answer({**attempt.answer.message, "result": {**attempt.answer.result, **result}})


def refuse(attempt):
    attempt.answer = Answer({"id": 1, "error": {"code": -32000, "message": "no", "data": {
        "code": "store_unavailable", "saga_id": attempt.answer.result["saga_id"]}}})


def forget(talk, world):
    """The client got no answer, and its connection is still there."""
    talk.second.answer = None


def replace_twice(talk, world):
    """A second answer tells of the same version as the one before it."""
    third = talk.put("one", " once more")
    lie(third, previous=talk.first.saga)


def lose_ledger_row(talk, world):
    world.readers.postgres.execute("DELETE FROM sagad_ledger WHERE saga_id = %s", (talk.deleted.saga,))


def lose_row(talk, world):
    world.readers.postgres.execute("DELETE FROM documents WHERE id = 'three'")


def lose_version(talk, world):
    world.readers.postgres.execute("UPDATE documents SET version = %s WHERE id = 'one'", (talk.first.saga,))


def lose_point(talk, world):
    world.readers.qdrant.delete("documents", points_selector=[world.points("one")[0].id], wait=True)


def change_title(talk, world):
    talk.second.job = dataclasses.replace(talk.second.job, content=document("one", mark=" other"))


def forget_who_wrote(talk, world):
    """Nobody was told of the version that is there, and nobody asked for what it holds."""
    change_title(talk, world)
    talk.second.answer, talk.second.is_lost = None, True


LIES = [
    ("a job without an answer", forget),
    ("an acknowledgement was lost", lose_ledger_row),
    ("refused, yet committed", lambda talk, world: refuse(talk.second)),
    ("committed, and every client was told otherwise", lambda talk, world: refuse(talk.accepted)),
    ("two outcomes of one key", lambda talk, world: lie(talk.again, saga_id=talk.second.saga)),
    ("older than a version acknowledged before it", lambda talk, world: lie(talk.again, stored=False)),
    ("overtaken by a job sent later", lambda talk, world: lie(talk.second, saga_id=NOBODY)),
    ("replaced by an older version", lambda talk, world: lie(talk.deleted, previous=talk.deleted.saga)),
    ("one version replaced by two", replace_twice),
    ("if_version was not kept", lambda talk, world: lie(talk.conflict, outcome="committed", saga_id=talk.second.saga)),
    ("an acknowledged document is gone", lose_row),
    ("an acknowledged version is gone", lose_version),
    ("a document that nobody may have written", forget_who_wrote),
    ("the stores differ", lose_point),
    ("the stores differ", change_title),
]


def test_true_answers_are_found_true(talk, world, daemon):
    assert judge(talk.record, world, daemon) == []
    assert talk.record.attempts == [] and set(talk.record.base) == {"one", "two", "three"}
    talk.put("one", " once more")
    assert judge(talk.record, world, daemon) == []


@pytest.mark.parametrize("what, tell", LIES, ids=[f"{n} {what}" for n, (what, _) in enumerate(LIES)])
def test_a_lie_is_found(talk, world, daemon, what, tell):
    daemon.settle()
    tell(talk, world)
    found = judge(talk.record, world, daemon, 3)
    assert what in {finding.what for finding in found}, found
