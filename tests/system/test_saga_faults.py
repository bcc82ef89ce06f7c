"""Sagas that clients write, in trouble: neighbours of an undo that fails for ever, answers that come twice or too late,
kills while they wait, cancellations in each state, and keys that are sent at the same time."""

import threading
import time

import pytest
from harness import eventually
from harness.things import ThingService

SETTINGS = {"sagas.enabled": True, "sagas.stores": "postgresql", "sagas.step_timeout": "2s", "sagas.retry_base": "10ms",
            "sagas.retry_cap": "50ms", "sagas.undo_base": "5ms", "sagas.undo_cap": "50ms"}


@pytest.fixture(scope="module")
def shop():
    made = ThingService("shop")
    yield made
    made.close()


@pytest.fixture(scope="module")
def other():
    made = ThingService("other")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quiet(shop, other):
    for each in (shop, other):
        each.answer = each.behave
        each.forget()


def start(world, shop, other, **more):
    return world.running({**SETTINGS, "sagas.services": f"shop url={shop.url}; other url={other.url}", **more})


@pytest.fixture
def daemon(world, shop, other):
    """One for all tests that want nothing special, made again when another has ended it."""
    alive = [each for each in world.daemons if each.is_alive() and getattr(each, "is_plain", False)]
    if not alive:
        alive = [start(world, shop, other)]
        alive[0].is_plain = True
    return alive[0]


def step(name, service="shop", **more):
    return {"name": name, "service": service, "do": {"method": "PUT", "path": f"/{name}"},
            "undo": {"method": "DELETE", "path": f"/{name}"}, **more}


def run(daemon, *steps, **options):
    with daemon.jobs(60) as client:
        return client.call("saga.run", steps=list(steps), **options)


def accept(daemon, *steps, **options):
    answer = run(daemon, *steps, wait="accepted", **options)
    assert answer.outcome == "accepted", answer
    return answer.result["saga_id"]


def ask(daemon, method, **params):
    with daemon.admin() as client:
        return client.call(method, **params)


def get(daemon, saga):
    return ask(daemon, "saga.get", id=saga).result


def step_of(daemon, saga, name):
    return next(each for each in get(daemon, saga)["steps"] if each["name"] == name)


def ends(daemon, saga, state, timeout_s=30):
    return eventually(lambda: (found := get(daemon, saga))["state"] == state and found, timeout_s,
                      what=f"{saga} doesn't become {state}")


def failing(service, *ends_of_keys):
    """503 for these calls, the usual for all others; clear the set to mend it."""
    bad = set(ends_of_keys)
    service.answer = lambda seen: (503, {}) if any(seen.key.endswith(end) for end in bad) else service.behave(seen)
    return bad


# ---- neighbours ----

def test_an_undo_that_fails_for_ever_disturbs_no_neighbour(world, shop, other):
    """With the default backoffs, in which one service that seems to be away is left alone for seconds."""
    daemon = world.running({"sagas.enabled": True, "sagas.services": f"shop url={shop.url}; other url={other.url}"})
    bad = failing(shop, "/bad/undo")
    other.refused_paths.add("/refused")
    saga = accept(daemon, step("bad"), step("refused", "other"))
    eventually(lambda: step_of(daemon, saga, "bad")["tries"] >= 6, 60)
    slowest_s = 0.0
    for n in range(20):
        began = time.monotonic()
        answer = run(daemon, step(f"n{n}"), step(f"m{n}", "other"))
        slowest_s = max(slowest_s, time.monotonic() - began)
        assert answer.outcome == "committed", answer
    assert slowest_s < 2, f"a neighbour took {slowest_s:.2f} s"
    assert shop.keys().count("bad/undo") < 40, "its backoff grows"
    bad.clear()
    ask(daemon, "saga.retry", id=saga)
    ends(daemon, saga, "compensated")
    assert sorted(shop.things) == sorted(f"/n{n}" for n in range(20))


# ---- answers ----

def test_a_second_answer_is_nobodys(daemon, shop):
    whole = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"told": 1}'
    shop.answer = lambda seen: whole * 2 if seen.key.endswith("/a/do") else shop.behave(seen)
    answer = run(daemon, step("a"), step("b"), step("c"))
    assert answer.outcome == "committed", answer
    results = answer.result["results"]
    assert results["a"]["body"] == {"told": 1}
    assert [results[name]["body"]["receipt"] for name in "bc"] == ["shop-1", "shop-2"]


def test_a_do_that_comes_after_its_undo_is_refused_by_a_good_service(daemon, shop):
    gate = threading.Event()

    def answer(seen):
        if seen.key.endswith("/b/do"):
            gate.wait(10)
        return shop.behave(seen)
    shop.answer = answer
    answer = run(daemon, step("a"), step("b", timeout_ms=200), step("c"))
    assert {each["name"]: each["state"] for each in answer.data["steps"]} == {
        "a": "undone", "b": "undone", "c": "pending"}, answer
    gate.set()
    eventually(lambda: shop.has_answered("/b/do"), 10, what="the late do doesn't come")
    assert shop.things == {}


def test_each_effect_once_although_each_first_answer_is_lost(daemon, shop):
    lost = set()

    def answer(seen):
        said = shop.behave(seen)
        if seen.key in lost:
            return said
        lost.add(seen.key)
        return None
    shop.answer = answer
    names = [f"s{n}" for n in range(10)]
    answer = run(daemon, *(step(name, idempotent=True, retry={"max": 5}) for name in names))
    assert answer.outcome == "committed", answer
    assert [key.split("/")[1] for key in shop.done] == names, "each once, in order"
    assert shop.keys() == [f"{name}/do" for name in names for _ in range(2)]


# ---- kills while it waits ----

def waiting_to_retry(daemon, shop):
    failing(shop, "/b/do")
    saga = accept(daemon, step("a"), step("b", idempotent=True, retry={"max": 1000, "base_ms": 50, "cap_ms": 100}))
    eventually(lambda: step_of(daemon, saga, "b")["tries"] >= 2, 10)
    return saga, "committed"


def waiting_to_undo(daemon, shop):
    failing(shop, "/a/undo")
    shop.refused_paths.add("/b")
    saga = accept(daemon, step("a"), step("b"))
    eventually(lambda: step_of(daemon, saga, "a")["state"] == "undo_waiting", 10)
    return saga, "compensated"


def waiting_after_the_pivot(daemon, shop):
    failing(shop, "/b/do")
    saga = accept(daemon, step("a", pivot=True), {**step("b", idempotent=True), "undo": None})
    eventually(lambda: step_of(daemon, saga, "b")["tries"] >= 2, 10)
    return saga, "committed"


@pytest.mark.parametrize("wait", [waiting_to_retry, waiting_to_undo, waiting_after_the_pivot])
def test_a_kill_while_it_waits(daemon, shop, wait):
    saga, state = wait(daemon, shop)
    daemon.kill()
    shop.answer = shop.behave
    daemon.start()
    ends(daemon, saga, state)
    assert sorted(shop.things) == (["/a", "/b"] if state == "committed" else [])
    assert len(set(shop.done)) == len(shop.done), "nothing twice"


def test_an_ended_one_is_not_touched_by_a_kill(daemon, shop):
    committed = run(daemon, step("a"), idempotency_key="kept").result
    shop.refused_paths.add("/b")
    failed = run(daemon, step("c"), step("b"), idempotency_key="kept failure")
    done = list(shop.done)
    daemon.kill()
    daemon.start()
    assert run(daemon, step("a"), idempotency_key="kept").result == {**committed, "stored": True}
    again = run(daemon, step("c"), step("b"), idempotency_key="kept failure")
    assert (again.code, again.data["saga_id"], again.data["stored"]) == (failed.code, failed.data["saga_id"], True)
    assert get(daemon, committed["saga_id"])["state"] == "committed" and shop.done == done


def test_a_parked_one_outlives_kills_and_keeps_its_reason(world, shop, other):
    daemon = start(world, shop, other, **{"sagas.park_after": "300ms", "sagas.parked_retry": "1h"})
    shop.refused_paths.add("/b")
    failing(shop, "/a/undo")
    saga = accept(daemon, step("a"), step("b"))

    def is_parked():
        return [row["id"] for row in ask(daemon, "saga.list", state="parked").result["sagas"]] == [saga]
    eventually(is_parked, 20)
    daemon.kill()
    daemon.start()
    eventually(is_parked, 20)
    resolved = ask(daemon, "saga.resolve", id=saga, step="a", reason="taken back by hand")
    assert resolved.result["resolved"] == 1, resolved
    ends(daemon, saga, "compensated")
    daemon.kill()
    daemon.start()
    assert get(daemon, saga)["state"] == "compensated"
    found = step_of(daemon, saga, "a")
    assert (found["state"], found["reason"]) == ("resolved", "taken back by hand")
    assert ask(daemon, "saga.list", state="parked").result["sagas"] == []


# ---- cancellations ----

def test_it_is_cancelled_while_it_waits_to_retry(daemon, shop):
    saga, _ = waiting_to_retry(daemon, shop)
    with daemon.jobs() as client:
        assert client.call("saga.cancel", id=saga).is_ok
    found = ends(daemon, saga, "compensated")
    assert found["code"] == "cancelled" and shop.things == {}


@pytest.mark.parametrize("wait", [waiting_to_undo, waiting_after_the_pivot])
def test_it_is_too_late_to_cancel(daemon, shop, wait):
    saga, state = wait(daemon, shop)
    with daemon.jobs() as client:
        assert client.call("saga.cancel", id=saga).code == "conflict"
    shop.answer = shop.behave
    ends(daemon, saga, state)
    with daemon.jobs() as client:
        assert client.call("saga.cancel", id=saga).code == "conflict"
        assert client.call("saga.cancel", id="01890000-0000-7000-8000-000000000000").code == "not_found"


# ---- keys ----

def test_a_key_sent_twice_at_the_same_time_is_one_saga(daemon, shop):
    gate = threading.Event()

    def answer(seen):
        gate.wait(10)
        return shop.behave(seen)
    shop.answer = answer
    with daemon.jobs() as one, daemon.jobs() as two:
        first, second = (each.send("saga.run", steps=[step("a")], idempotency_key="together") for each in (one, two))
        eventually(lambda: shop.keys() == ["a/do"], 10)
        gate.set()
        answers = [one.answer(first), two.answer(second)]
    assert [answer.outcome for answer in answers] == ["committed"] * 2, answers
    assert len({answer.result["saga_id"] for answer in answers}) == 1
    assert sorted(answer.result["stored"] for answer in answers) == [False, True]
    assert shop.keys() == ["a/do"]
