"""Sagas that a client writes: on the real stores and on services that answer late, twice, never, or with rubbish."""

import json
import socket
import subprocess
import threading

import pytest
from harness import eventually
from harness.web import WebService

QUICK = {"sagas.enabled": True, "sagas.stores": "postgresql,documents", "sagas.retry_base": "1ms",
         "sagas.retry_cap": "5ms", "sagas.undo_base": "1ms", "sagas.undo_cap": "5ms", "sagas.step_timeout": "2s",
         "sagas.deadline": "60s"}


@pytest.fixture(scope="module")
def web():
    made = WebService()
    yield made
    made.close()


@pytest.fixture(scope="module")
def daemon(world, web):
    made = world.running({**QUICK, "sagas.services": f"web url={web.url} connections=8",
                          "sagas.park_after": "500ms", "sagas.parked_retry": "1h"})
    world.readers.postgres.execute("CREATE TABLE mine (id text PRIMARY KEY, n int NOT NULL)")
    return made


@pytest.fixture(autouse=True)
def quiet(web):
    web.answer = lambda seen: (200, {"path": seen.path})
    web.clear()


def call(name, **more):
    """A step on the service whose requests its log tells apart."""
    return {"name": name, "service": "web", "do": {"method": "POST", "path": f"/{name}"},
            "undo": {"method": "DELETE", "path": f"/{name}"}, **more}


def row(name, key, **more):
    return {"name": name, "store": "postgresql",
            "do": {"sql": "INSERT INTO mine VALUES ($1, 1) RETURNING id, n", "params": [key]},
            "undo": {"sql": "DELETE FROM mine WHERE id = $1", "params": [key]}, **more}


def run(daemon, *steps, **options):
    with daemon.jobs(60) as client:
        return client.call("saga.run", steps=list(steps), **options)


def ask(daemon, method, **params):
    with daemon.admin() as client:
        return client.call(method, **params)


def states(answer):
    steps = (answer.result or answer.data)["steps"]
    return {step["name"]: step["state"] for step in steps}


def rows(world):
    return dict(world.readers.postgres.execute("SELECT id, n FROM mine").fetchall())


def failing(*names, status=422):
    return lambda seen: (status, {}) if seen.key.split("/")[1] in names and seen.key.endswith("/do") else (200, {"at": 1})


# ---- what it does ----

def test_results_go_to_later_steps(world, daemon, web):
    answer = run(daemon, row("a", "results"), call("b", do={
        "method": "POST", "path": ["b", {"$from": "a", "pointer": "/rows/0/id"}],
        "body": {"n": {"$from": "a", "pointer": "/rows/0/n"}}}))
    assert answer.outcome == "committed" and answer.result["results"]["a"] == {"rows": [{"id": "results", "n": 1}],
                                                                               "count": 1}
    assert [(seen.path, seen.body) for seen in web.seen] == [("/b/results", {"n": 1})]
    assert web.seen[0].key == f"{answer.result['saga_id']}/b/do"
    assert rows(world)["results"] == 1


def test_a_failure_undoes_what_ran_in_reverse(world, daemon, web):
    web.answer = failing("c")
    answer = run(daemon, row("r", "reverse"), call("a"), call("b"), call("c"), call("d"))
    assert answer.code == "store_refused" and answer.data["step"] == "c" and answer.data["service"] == "web"
    assert states(answer) == {"r": "undone", "a": "undone", "b": "undone", "c": "failed", "d": "pending"}
    assert web.keys() == ["a/do", "b/do", "c/do", "b/undo", "a/undo"]
    assert "reverse" not in rows(world)


def diamonds():
    """50 steps: a root, 16 diamonds one after the other, and an end."""
    steps, last = [call("root", after=[])], "root"
    for i in range(16):
        left, right, join = f"l{i}", f"r{i}", f"j{i}"
        steps += [call(left, after=[last]), call(right, after=[last]), call(join, after=[left, right])]
        last = join
    return [*steps, call("end", after=[last])]


def test_50_steps_with_diamonds_fail_at_each_step_in_turn(daemon, web):
    steps = diamonds()
    after = {step["name"]: set(step["after"]) for step in steps}
    assert len(steps) == 50
    for step in steps:
        web.clear()
        web.answer = failing(step["name"])
        answer = run(daemon, *steps)
        assert answer.data["step"] == step["name"], answer
        done = {key.split("/")[0] for key in web.keys("do")} - {step["name"]}
        undone = [key.split("/")[0] for key in web.keys("undo")]
        assert sorted(undone) == sorted(done)  # each that ran, once
        for name in done:  # after all that depend on it
            assert all(undone.index(later) < undone.index(name) for later in done if name in after[later])


def test_documents_are_steps(world, daemon, web):
    put = {"name": "doc", "store": "documents",
           "do": {"method": "document.put", "params": {"id": "saga-doc", "content": "x"}},
           "undo": {"method": "document.delete", "params": {"id": "saga-doc"}}}
    assert run(daemon, put, row("r", "with a document")).outcome == "committed"
    with daemon.jobs() as client:
        assert client.status("saga-doc")["presence"] == "present"
        web.answer = failing("b")
        put["do"]["params"] = {"id": "saga-doc-2", "content": "x"}
        put["undo"]["params"] = {"id": "saga-doc-2"}
        assert run(daemon, put, call("b")).code == "store_refused"
        assert client.status("saga-doc-2")["presence"] == "deleted"


def test_after_the_pivot_it_only_goes_forward(world, daemon, web):
    tries = []
    web.answer = lambda seen: (503, {}) if len(tries) < 3 and not tries.append(1) else (200, {})
    pivot = row("p", "pivot", pivot=True)
    answer = run(daemon, pivot, {**call("last", idempotent=True), "undo": None})
    assert answer.outcome == "committed" and web.keys() == ["last/do"] * 4


def test_an_optional_step_may_fail(daemon, web):
    web.answer = failing("b")
    answer = run(daemon, call("a"), call("b", optional=True), call("c", after=["b"]), call("d", after=["a"]))
    assert answer.outcome == "committed"
    assert states(answer) == {"a": "done", "b": "failed", "c": "skipped", "d": "done"}


# ---- keys, waiting, cancelling ----

def test_a_key_gives_the_same_outcome(daemon, web):
    first = run(daemon, call("a"), idempotency_key="once")
    again = run(daemon, call("a"), idempotency_key="once")
    assert again.result == {**first.result, "stored": True} and web.keys() == ["a/do"]
    other = run(daemon, call("b"), idempotency_key="once")
    assert other.code == "key_reused"


def test_accepted_is_answered_before_the_end_and_can_be_cancelled(daemon, web):
    gate = threading.Event()
    web.answer = lambda seen: (200, {}) if seen.key.endswith("undo") or gate.wait(10) else None
    answer = run(daemon, call("a"), call("b"), wait="accepted")
    saga = answer.result["saga_id"]
    assert answer.outcome == "accepted"
    eventually(lambda: web.keys() == ["a/do"], 10)
    assert ask(daemon, "saga.get", id=saga).result["state"] == "running"
    with daemon.jobs() as client:
        assert saga in [row["id"] for row in client.call("saga.list").result["sagas"]]
        assert client.call("saga.cancel", id=saga).is_ok
    gate.set()
    ended = eventually(lambda: (got := ask(daemon, "saga.get", id=saga).result)["state"] == "compensated" and got, 10)
    assert ended["code"] == "cancelled" and web.keys() == ["a/do", "a/undo"]
    assert ask(daemon, "saga.cancel", id=saga).code == "conflict"
    assert saga in [row["id"] for row in ask(daemon, "saga.list", state="ended").result["sagas"]]


def test_a_deadline_ends_in_compensation(daemon, web):
    web.answer = lambda seen: (429, {}, {"Retry-After": "1"}) if seen.path == "/b" else (200, {})
    answer = run(daemon, call("a"), call("b", retry={"max": 1000}), deadline_ms=700)
    assert answer.code == "deadline_exceeded" and states(answer) == {"a": "undone", "b": "failed"}


# ---- services that misbehave ----

@pytest.mark.parametrize("rubbish", [None, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"\x00\xff" * 50])
def test_rubbish_is_in_doubt_and_undone(daemon, web, rubbish):
    web.answer = lambda seen: rubbish if seen.key.endswith("b/do") else (200, {})
    answer = run(daemon, call("a"), call("b"))
    assert answer.code, answer
    assert web.keys() == ["a/do", "b/do", "b/undo", "a/undo"]  # a do in doubt is sent once, and undone


def test_idempotent_is_sent_again(daemon, web):
    tries = []
    web.answer = lambda seen: None if len(tries) < 2 and not tries.append(1) else (200, {})
    assert run(daemon, call("a", idempotent=True)).outcome == "committed"
    assert web.keys() == ["a/do"] * 3


@pytest.mark.parametrize("told, outcome, seen", [(200, "committed", ["a/do", "GET"]),
                                                 (404, "committed", ["a/do", "GET", "a/do"])])
def test_a_check_tells(daemon, web, told, outcome, seen):
    tries = []

    def answer(request):
        if request.method == "GET":
            return told, {}
        return None if not tries and not tries.append(1) else (200, {})
    web.answer = answer
    step = call("a", check={"method": "GET", "path": "/a"})
    assert run(daemon, step).outcome == outcome
    assert [one.method if one.method == "GET" else "a/do" for one in web.seen] == seen


def test_silence_ends_at_the_timeout(daemon, web):
    gate = threading.Event()
    web.answer = lambda seen: gate.wait(5) and None if seen.key.endswith("b/do") else (200, {})
    answer = run(daemon, call("a"), call("b", timeout_ms=200))
    gate.set()
    assert not answer.is_ok and states(answer) == {"a": "undone", "b": "undone"}


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_an_undo_that_fails_n_times_holds_up_nobody(world, web, daemon, n):
    tries = []

    def answer(seen):
        if seen.key.endswith("bad/undo") and len(tries) < n:
            tries.append(1)
            return 503, {}
        return failing("c")(seen)
    web.answer = answer
    settings = {**daemon.settings, "sagas.park_after": "10min"}
    other = world.daemon(settings, journal=daemon.journal)
    daemon.stop()
    other.launch().wait_ready()
    try:
        answered = run(other, call("bad"), call("c"), wait="accepted")
        began = run(other, call("neighbour"))
        assert began.outcome == "committed"
        eventually(lambda: ask(other, "saga.get", id=answered.result["saga_id"]).result["state"] == "compensated", 60)
        assert web.keys("undo") == ["bad/undo"] * (n + 1)
    finally:
        other.stop()
        daemon.launch().wait_ready()


# ---- operators ----

@pytest.mark.parametrize("way", ["retry", "resolve"])
def test_a_parked_undo_waits_for_an_operator(daemon, web, way):
    is_well = threading.Event()
    web.answer = lambda seen: (503, {}) if seen.key.endswith("a/undo") and not is_well.is_set() else failing("b")(seen)
    saga = run(daemon, call("a"), call("b"), wait="accepted").result["saga_id"]

    def parked():
        return saga in [row["id"] for row in ask(daemon, "saga.list", state="parked").result["sagas"]]
    eventually(parked, 20)
    step = ask(daemon, "saga.get", id=saga).result["steps"][0]
    assert step["state"] == "undo_waiting" and step["parked"] and "503" in step["error"]
    if way == "retry":
        is_well.set()
        assert ask(daemon, "saga.retry", id=saga).result["retried"] >= 1
    else:
        assert ask(daemon, "saga.resolve", id=saga, step="a", reason="refunded by hand").result["resolved"] == 1
    ended = eventually(lambda: (got := ask(daemon, "saga.get", id=saga).result)["state"] == "compensated" and got, 20)
    assert ended["steps"][0]["state"] == ("undone" if way == "retry" else "resolved")
    assert way == "retry" or ended["steps"][0]["reason"] == "refunded by hand"


# ---- crashes ----

@pytest.mark.parametrize("at", ["a/do", "b/do", "c/do", "b/undo", "a/undo"])
def test_a_kill_at_each_call_changes_nothing(world, daemon, web, at):
    """The daemon is killed while this call is out; its successor ends the saga."""
    gate, is_held = threading.Event(), threading.Event()

    def answer(seen):
        if seen.key.endswith(f"/{at}") and not is_held.is_set():
            is_held.set()
            gate.wait(20)
        return failing("c")(seen)
    web.answer = answer
    saga = run(daemon, row("r", f"killed {at}"), call("a"), call("b"), call("c"), wait="accepted").result["saga_id"]
    assert is_held.wait(10)
    daemon.kill()
    gate.set()
    daemon.launch().wait_ready()
    ended = eventually(lambda: (got := ask(daemon, "saga.get", id=saga).result)["state"] == "compensated" and got, 30)
    assert f"killed {at}" not in rows(world), ended
    done = {key.split("/")[0] for key in web.keys("do")} - {"c"}
    assert {key.split("/")[0] for key in web.keys("undo")} - {"c"} == done
    for name in ("a", "b"):
        assert web.keys().count(f"{name}/do") <= 1  # it isn't idempotent


# ---- who may ----

def test_it_is_off_by_default(world, web):
    daemon = world.running({})
    answer = run(daemon, call("a"))
    assert answer.code == "forbidden" and "sagas.enabled" in answer.text
    with daemon.jobs() as client:
        assert client.call("saga.list").result["sagas"] == []


def test_stores_and_users_are_allowed_one_by_one(world, web):
    daemon = world.running({**QUICK, "sagas.stores": "documents", "daemon.jobs_mode": "0666",
                            "sagas.services": f"web url={web.url}; other url={web.url} uids=12345", "sagas.uids": "54321"})
    answer = run(daemon, call("a"), row("r", "x"))
    assert answer.code == "forbidden" and "step 'r'" in answer.text and "sagas.stores" in answer.text
    assert web.seen == []
    daemon.folder.chmod(0o711)
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "saga.run", "params": {"steps": [call("a")]}}) + "\n"
    code = ("import socket,sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "s.sendall(sys.argv[2].encode()); print(s.makefile().readline())")

    def as_user(uid, text):
        done = subprocess.run(["/usr/bin/python3", "-c", code, str(daemon.jobs_path), text], capture_output=True, text=True,
                              user=uid, timeout=30, cwd="/")
        return json.loads(done.stdout)
    refused = as_user(65534, line)
    assert refused["error"]["data"]["code"] == "forbidden" and "65534" in refused["error"]["message"]
    taken = as_user(54321, line)
    assert taken["result"]["outcome"] == "committed"
    refused = as_user(54321, line.replace('"service": "web"', '"service": "other"'))
    assert refused["error"]["data"]["code"] == "forbidden" and "'other'" in refused["error"]["message"]
    get = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "saga.get", "params": {"id": taken["result"]["saga_id"]}})
    assert as_user(54321, get + "\n")["result"]["state"] == "committed"
    assert as_user(65534, get + "\n")["error"]["data"]["code"] == "not_found"


def test_limits_and_hostile_input_are_refused_before_anything_runs(world, web):
    daemon = world.running({**QUICK, "sagas.services": f"web url={web.url}", "sagas.max_steps": 3, "sagas.max_depth": 2,
                            "sagas.max_bytes": 1000})
    web.clear()
    for steps, code, part in (
            ([call(f"s{i}", after=[]) for i in range(4)], "limit_exceeded", "max_steps"),
            ([call("a"), call("b"), call("c")], "limit_exceeded", "max_depth"),
            ([call("a", do={"method": "POST", "path": "/a", "body": "x" * 1000})], "limit_exceeded", "max_bytes"),
            ([call("a", do={"method": "POST", "path": "http://x/"})], "invalid_field", "steps[0].do.path"),
            ([call("a", do={"method": "POST", "path": "/a\r\nHost: x"})], "invalid_field", "steps[0].do.path"),
            ([call("a", do={"method": "POST", "path": "/", "headers": {"X": "a\r\nHost: x"}})], "invalid_field",
             "steps[0].do.headers.X"),
            ([call("a", after=["b"]), call("b")], "invalid_field", "cycle"),
            ([call("a"), call("a")], "invalid_field", "steps[1].name")):
        answer = run(daemon, *steps)
        assert answer.code == code and part in answer.text, answer
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(10)
    raw.connect(str(daemon.jobs_path))
    raw.sendall(b'{"jsonrpc":"2.0","id":1,"method":"saga.run","params":{"steps":' + b"[" * 400 + b"]" * 400 + b"}}\n")
    assert b'"error"' in raw.recv(65536)
    raw.close()
    assert web.seen == [] and daemon.is_alive()
