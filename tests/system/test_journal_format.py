"""A journal that an older sagad wrote: what was open and what was accepted in it comes through the upgrade."""

import sqlite3
from pathlib import Path

import pytest
from harness import eventually
from harness.documents import DIMS, document

FIXTURE = Path(__file__).parent / "data" / "journal-format-1.sql"
OPEN = [f"open {n}" for n in range(4)]
ACCEPTED = [f"accepted {n}" for n in range(5)]


@pytest.fixture
def old_journal(tmp_path):
    """The file as the daemon of format 1 left it when it was killed."""
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(FIXTURE.read_text(encoding="utf-8"))
    path.chmod(0o600)
    return path


def ask(path, sql):
    with sqlite3.connect(path) as db:
        return db.execute(sql).fetchall()


def test_what_was_open_and_what_was_accepted_survives_the_upgrade(world, old_journal):
    assert world.running().stop() == 0
    sagas = dict(ask(old_journal, "SELECT document_id, saga FROM intents"))
    assert set(sagas) == {*OPEN, *ACCEPTED}
    # What an open saga had written before the old daemon was killed.
    world.cypher("CREATE (:Version:Document {id: 'open 0', saga_id: $saga})", saga=sagas["open 0"])
    daemon = world.daemon({"schema.dims": DIMS}, journal=old_journal).start()
    eventually(lambda: ask(old_journal, "SELECT count(*) FROM jobs WHERE state = 'done'") == [(5,)], 20)
    daemon.settle()
    world.assert_whole(daemon, [document(name) for name in ACCEPTED])
    for name in OPEN:
        world.assert_absent(name)
    assert ask(old_journal, "PRAGMA user_version") == [(3,)]
    assert ask(old_journal, "SELECT count(*) FROM intents") == [(0,)]


def test_an_older_sagad_is_told_that_the_journal_is_newer(world, old_journal):
    """What this one says of a format after its own is what the older one says of this one's."""
    with sqlite3.connect(old_journal) as db:
        db.execute("PRAGMA user_version = 4")
    daemon = world.daemon({"schema.dims": DIMS}, journal=old_journal).launch()
    assert daemon.wait_exit() == 2
    assert "its format is version 4, this sagad knows up to 3; run the sagad that wrote it, or a newer one" in daemon.log()
    assert ask(old_journal, "SELECT count(*) FROM jobs WHERE state = 'waiting'") == [(5,)]
