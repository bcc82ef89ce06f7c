"""A document that kills a store's process fails alone and for good, accepted or not; an outage blames nobody."""

import sqlite3
import threading
import time

import pytest
from harness import eventually
from harness.documents import document
from stores.errors import StoreError

MARK = " that kills"  # in the content: a removal, which names the document, must do no harm
POISON = document("poison", mark=MARK)
KILLABLE = ("redis", "qdrant", "postgresql")  # Neo4j takes 5 s to come back: the simulator has it


class Mortal:
    """A store that is killed when strike() is called, and comes back by itself."""

    def __init__(self, store):
        self.store, self.lock = store, threading.Lock()

    def strike(self):
        with self.lock:
            self.store.kill()
        threading.Thread(target=self._revive).start()

    def _revive(self):
        # The port is free when the last of the dead one's connections is.
        with self.lock:
            for _ in range(1000):
                try:
                    return self.store.start()
                except StoreError:
                    time.sleep(0.05)


@pytest.fixture
def deadly(world):
    """(daemon, proxy) of a store: each request with the poison in it kills that store's process, which comes back."""
    with world.proxies() as (proxies, environ):
        def make(name, settings=None):
            daemon = world.running({"retry.max_tries": 3, **(settings or {})}, environ)
            proxies[name].watch(MARK.encode(), Mortal(world.store(name)).strike)
            return daemon, proxies[name]
        yield make
        for daemon in world.daemons:
            daemon.kill()
    world.mend()


def accept(client, job):
    answer = client.call("document.put", **job, wait="accepted")
    assert answer.outcome == "accepted", answer
    return answer.result["job"]


def ended(daemon, job):
    with daemon.jobs() as client:
        status = client.call("document.status", job=job).result
    return status if status.get("state") in ("done", "failed") else None


def put_until_final(client, job, key):
    """As a pipeline does: again while the answer says that it may help. How often it was sent."""
    for n_sent in range(1, 60):
        answer = client.call("document.put", **job, idempotency_key=key)
        if answer.is_ok or not answer.data["retriable"]:
            return answer, n_sent
        time.sleep(answer.data.get("retry_after_ms", 100) / 1000)
    raise AssertionError(f"no final answer: {answer}")


@pytest.mark.parametrize("store", KILLABLE)
def test_an_accepted_poison_fails_alone_and_for_good(world, deadly, store):
    daemon, proxy = deadly(store)
    names = [f"neighbour {n}" for n in range(12)]
    with daemon.jobs() as client:
        before = [accept(client, document(name)) for name in names[:6]]
        poison = accept(client, POISON)
        after = [accept(client, document(name)) for name in names[6:]]
    status = eventually(lambda: ended(daemon, poison), 60)
    assert (status["state"], status["code"]) == ("failed", "store_refused"), status
    assert "has not survived this document" in status["reason"]
    for job in (*before, *after):
        assert eventually(lambda: ended(daemon, job), 30)["state"] == "done"  # noqa: B023
    assert 4 <= proxy.n_struck <= 20, "halved, once alone, then three times under witness"
    proxy.passes()
    world.assert_whole(daemon, [document(name) for name in names], timeout_s=20)
    world.assert_absent("poison")


@pytest.mark.parametrize("store", KILLABLE)
def test_a_poison_that_is_sent_again_and_again_gets_a_final_answer(world, deadly, store):
    daemon, proxy = deadly(store)
    with daemon.jobs() as client:
        answer, _ = put_until_final(client, POISON, "poison")
        assert (answer.code, answer.store) == ("store_refused", store), answer
        n_struck = proxy.n_struck
        again = client.call("document.put", **POISON, idempotency_key="poison")
        assert again.code == "store_refused" and again.data["stored"] is True, again
        assert proxy.n_struck == n_struck, "the key remembers: the store is left in peace"
        neighbour, _ = put_until_final(client, document("neighbour"), "neighbour")
    assert neighbour.outcome == "committed"
    proxy.passes()
    world.assert_whole(daemon, [document("neighbour")], timeout_s=20)
    world.assert_absent("poison")


def deaths(daemon):
    with sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True) as db:
        return dict(db.execute("SELECT store, n FROM deaths").fetchall())


def test_a_restart_of_the_daemon_goes_on_counting(world, deadly):
    daemon, proxy = deadly("redis", {"retry.max_tries": 8})
    with daemon.jobs() as client:
        poison = accept(client, POISON)
    eventually(lambda: deaths(daemon).get("redis", 0) >= 4, 60)
    daemon.kill()
    known, struck = deaths(daemon)["redis"], proxy.n_struck
    daemon.start()
    status = eventually(lambda: ended(daemon, poison), 60)
    assert (status["state"], status["code"]) == ("failed", "store_refused"), status
    assert proxy.n_struck - struck <= 8 - known, "no death more than were missing"
    assert deaths(daemon) == {}
    proxy.passes()
    daemon.settle()
    world.assert_absent("poison")


@pytest.mark.parametrize("store", KILLABLE)
def test_an_outage_refuses_nobody(world, store):
    """The store dies again and again under load, and no document is the cause."""
    daemon = world.running({"retry.max_tries": 3})
    stop, jobs, names = threading.Event(), [], []

    def load():
        with daemon.jobs() as client:
            while not stop.is_set():
                names.append(f"load {len(names)}")
                jobs.append(accept(client, document(names[-1])))
                time.sleep(0.02)
    loader = threading.Thread(target=load)
    loader.start()
    try:
        for _ in range(8):
            time.sleep(0.3)
            world.store(store).kill()
            world.start(store)
    finally:
        stop.set()
        loader.join()
    for job in jobs:
        assert eventually(lambda: ended(daemon, job), 60)["state"] == "done"  # noqa: B023
    world.assert_whole(daemon, [document(name) for name in names], timeout_s=30)
    assert deaths(daemon) == {}
    assert daemon.stop() == 0
