"""sagad against the instant stores of bench/null: what it asks for is counted, so that a document never costs more
requests than it does today, and what is asked is all known there."""

import signal
import sys

import pytest

from harness import Daemon, eventually
from harness.daemon import CHECKOUT

sys.path.append(str(CHECKOUT / "bench/lib"))

from null_run import SETTINGS, NullStores  # noqa: E402

N_FLOOD = 600


def small(name):
    return {"id": name, "chunks": [{"text": "a text", "embedding": [1, 0, 0.5]}],
            "entities": [{"type": "Thing", "name": "one"}]}


@pytest.fixture
def stores():
    made = NullStores()
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def start(stores):
    daemons = []

    def started(**settings):
        daemon = Daemon({}, {**SETTINGS, **stores.settings(), "timeouts.deadline": "60s", "timeouts.store": "30s",
                             "timeouts.postgresql": "30s", **settings})
        daemons.append(daemon)
        return daemon.start()
    yield started
    for daemon in daemons:
        daemon.end()


def test_a_document_alone_costs_one_request_for_each_thing(stores, start):
    """PostgreSQL: one read, one transaction. Qdrant and Neo4j: one. Redis: staged, and made the live one."""
    daemon = start()
    with daemon.jobs() as client:
        for n in range(40):
            assert client.put(small(f"alone/{n}")).outcome == "committed"
    assert daemon.stop() == 0
    asked = stores.end()
    assert {store: counts["items"] for store, counts in asked.items()} == dict.fromkeys(asked, 40)
    assert {store: counts["refused"] for store, counts in asked.items()} == dict.fromkeys(asked, 0)
    # The rest is the start's: connections, the claim, one look at each store.
    of_documents = {"postgres": 80, "qdrant": 40, "neo4j": 40, "redis": 80}
    starting = {store: asked[store]["requests"] - n for store, n in of_documents.items()}
    assert all(0 < n <= 20 for n in starting.values()), starting


def test_documents_together_share_requests(stores, start):
    """What waits goes together: while the stores stand still everything gathers."""
    daemon = start()
    stores.process.send_signal(signal.SIGSTOP)
    with daemon.jobs(60) as client:
        numbers = [client.send("document.put", **small(f"together/{n}")) for n in range(N_FLOOD)]
        eventually(lambda: daemon.stats()["sagas"] == N_FLOOD, 20)
        stores.process.send_signal(signal.SIGCONT)
        assert {client.answer(number).outcome for number in numbers} == {"committed"}
    assert daemon.stop() == 0
    asked = stores.end()
    assert {store: counts["items"] for store, counts in asked.items()} == dict.fromkeys(asked, N_FLOOD)
    for store in ("postgres", "qdrant", "neo4j"):
        assert asked[store]["requests"] < N_FLOOD / 4, asked


def test_a_client_that_floods_does_not_starve_another(stores, start):
    """600 jobs of one client wait for stores that stand still; then one job of another comes. It isn't the 601st."""
    small_batches = {f"{store}.{key}": value for store in ("postgresql", "qdrant", "neo4j", "redis")
                     for key, value in (("max_batch", 4), ("connections", 1))}
    daemon = start(**small_batches)
    stores.process.send_signal(signal.SIGSTOP)
    with daemon.jobs(60) as flooding, daemon.jobs(60) as patient:
        numbers = [flooding.send("document.put", **small(f"flood/{n}")) for n in range(N_FLOOD)]
        eventually(lambda: daemon.stats()["sagas"] == N_FLOOD, 20)
        number = patient.send("document.put", **small("patient"))
        eventually(lambda: daemon.stats()["sagas"] == N_FLOOD + 1, 20)
        stores.process.send_signal(signal.SIGCONT)
        assert patient.answer(number).outcome == "committed"
        stores.process.send_signal(signal.SIGSTOP)
        n_before = daemon.stats()["committed_total"]
        stores.process.send_signal(signal.SIGCONT)
        assert {flooding.answer(each).outcome for each in numbers} == {"committed"}
        assert n_before < N_FLOOD / 2, n_before
    assert daemon.stop() == 0
    assert stores.end()["postgres"]["items"] == N_FLOOD + 1
