"""What is open, told, tried again or declared settled: saga.* on the administration socket, and `sagactl sagas`."""

import json
import os
import subprocess
import urllib.request

import pytest
from harness import eventually
from harness.daemon import program
from harness.documents import document
from harness.operations import free_port

STUBBORN = {"timeouts.park_after": "1s", "timeouts.parked_retry": "10min", "timeouts.late_write_window": "2s"}


def put(client, job):
    """The final answer: a busy machine may be too slow for the small time-outs of the tests."""
    def final():
        answer = client.put(job)
        return answer if answer.is_ok or not answer.data["retriable"] else None
    return eventually(final, 60)


@pytest.fixture
def broken(world):
    """(daemon, proxies): documents deleted while Qdrant is away; the removals of their versions get parked."""
    with world.proxies() as (proxies, environ):
        port = free_port()
        daemon = world.running({**STUBBORN, "operations.listen": f"127.0.0.1:{port}"}, environ)
        daemon.page = f"http://127.0.0.1:{port}"
        with daemon.jobs() as client:
            for n in range(3):
                assert put(client, document(f"old {n}")).outcome == "committed"
            proxies["qdrant"].refuse()
            for n in range(3):  # a delete asks nothing of Qdrant before its commit
                answer = client.call("document.delete", id=f"old {n}")
                assert answer.outcome == "deleted" and {"store": "qdrant", "op": "remove"} in answer.result["owed"]
        eventually(lambda: daemon.stats()["parked"] == 3, 30)
        yield daemon, proxies
        daemon.kill()


def ask(daemon, method, **params):
    with daemon.admin() as client:
        return client.call(method, **params)


def sagactl(daemon, *arguments):
    done = subprocess.run([program("sagactl"), "--admin-socket", daemon.admin_path, "sagas", *arguments],
                          capture_output=True, text=True, timeout=30, env={**os.environ, "NO_COLOR": "1"})
    return done


def listed(daemon, **params):
    return ask(daemon, "saga.list", **params).result["sagas"]


def test_parked_is_listed_retried_and_paid(world, broken):
    daemon, proxies = broken
    rows = listed(daemon, state="parked")
    assert [row["document_id"] for row in rows] == ["old 0", "old 1", "old 2"], "oldest first"
    for row in rows:
        assert (row["kind"], row["op"], row["store"], row["state"]) == ("background", "remove", "qdrant", "parked")
        assert row["tries"] > 1 and row["error"] and row["next_try_ms"] > 0 and row["age_ms"] >= 1000
    assert listed(daemon, store="neo4j") == []
    assert listed(daemon, older_than_ms=3600_000) == []
    # Page by page.
    seen, page = [], {}
    while True:
        answer = ask(daemon, "saga.list", state="parked", limit=2, **page).result
        seen += [row["id"] for row in answer["sagas"]]
        assert answer["counts"]["parked"] == 3
        if "next" not in answer:
            break
        page = {"page": answer["next"]}
    assert seen == [row["id"] for row in rows]
    story = ask(daemon, "saga.get", id=rows[0]["id"]).result
    assert [row["id"] for row in story["open"]] == [rows[0]["id"]] and story["ledger"]["outcome"] == "committed"
    table = sagactl(daemon, "list", "--state=parked")
    assert table.returncode == 0 and "3 parked" in table.stdout and "old 2" in table.stdout, table
    assert json.loads(sagactl(daemon, "list", "--json").stdout)["counts"]["parked"] == 3

    proxies["qdrant"].passes()
    assert ask(daemon, "saga.retry", id=rows[0]["id"]).result == {"retried": 1}
    eventually(lambda: daemon.stats()["parked"] == 2)
    assert "2 tried now" in sagactl(daemon, "retry", "--store=qdrant").stdout
    eventually(lambda: daemon.stats()["parked"] == 0)
    world.assert_whole(daemon, [], timeout_s=20)
    assert all(not world.points(f"old {n}") for n in range(3))
    assert listed(daemon) == [] and sagactl(daemon, "list").stdout == "nothing\n"


def test_resolved_is_gone_and_its_reason_kept(world, broken):
    daemon, _ = broken
    rows = listed(daemon, state="parked")
    refused = ask(daemon, "saga.resolve", id=rows[0]["id"], store="redis", reason="not there")
    assert refused.code == "conflict", refused
    assert ask(daemon, "saga.resolve", id=rows[0]["id"], reason="collection dropped by hand").result["resolved"] == 1
    done = sagactl(daemon, "resolve", rows[1]["id"], "--reason=the ticket says so")
    assert (done.returncode, done.stdout) == (0, "1 resolved\n"), done
    again = ask(daemon, "saga.resolve", id=rows[0]["id"], reason="twice")
    assert again.code == "not_found", again
    assert daemon.stats()["parked"] == 1
    assert [row["id"] for row in listed(daemon, state="parked")] == [rows[2]["id"]]
    owed = "SELECT document_id FROM sagad_debts ORDER BY 1"
    eventually(lambda: world.readers.postgres.execute(owed).fetchall() == [("old 2",)])
    with urllib.request.urlopen(f"{daemon.page}/metrics", timeout=5) as reply:
        assert '\nsagad_store_parked{store="qdrant"} 1\n' in reply.read().decode()
    with urllib.request.urlopen(daemon.page, timeout=5) as reply:
        page = reply.read().decode()
    assert "old 2" in page and "old 0" not in page and "old 1" not in page
    resolved = listed(daemon, state="resolved")
    assert [(row["id"], row["reason"], row["uid"]) for row in resolved] == [
        (rows[1]["id"], "the ticket says so", os.getuid()), (rows[0]["id"], "collection dropped by hand", os.getuid())]
    assert resolved[0]["store"] == "qdrant" and resolved[0]["error"]
    assert "resolved by uid" in daemon.log() and "the ticket says so" in daemon.log()
    # A restart knows the reasons, and not the debts.
    daemon.kill()
    daemon.start()
    assert [row["id"] for row in listed(daemon, state="resolved")] == [rows[1]["id"], rows[0]["id"]]
    assert "the ticket says so" in sagactl(daemon, "list", "--resolved").stdout
    assert {row["document_id"] for row in listed(daemon) if row["kind"] == "background"} <= {"old 2"}


def test_an_accepted_job_is_listed_tried_and_given_up(world):
    with world.proxies() as (proxies, environ):
        daemon = world.running({"retry.background_base": "20s", "retry.background_cap": "60s"}, environ)
        proxies["neo4j"].refuse()
        with daemon.jobs() as client:
            jobs = [client.call("document.put", **document(f"job {n}"), wait="accepted").result["job"] for n in range(2)]

        def are_backing_off():
            rows = listed(daemon, state="waiting")
            return len(rows) == 2 and all(row["step"] == "backing_off" for row in rows) and rows
        rows = eventually(are_backing_off, 20)
        assert [row["id"] for row in rows] == jobs and all("neo4j" in row["error"] for row in rows)
        assert ask(daemon, "saga.resolve", id=jobs[0], reason="not wanted any more").result == {"resolved": 1, "pending": 0}
        with daemon.jobs() as client:
            status = client.call("document.status", job=jobs[0]).result
        assert (status["state"], status["code"]) == ("failed", "resolved") and "not wanted any more" in status["reason"]
        assert ask(daemon, "saga.get", id=jobs[0]).result["job"]["code"] == "resolved"
        proxies["neo4j"].passes()
        assert ask(daemon, "saga.retry", all=True).result["retried"] >= 1

        def is_done():
            ask(daemon, "saga.retry", all=True)  # Neo4j may be slow after its rest
            with daemon.jobs() as client:
                return client.call("document.status", job=jobs[1]).result["state"] == "done"
        eventually(is_done, 60, pause_s=1)
        ask(daemon, "saga.retry", all=True)
        eventually(lambda: not [row for row in listed(daemon) if row["kind"] != "background"])
        assert world.row("job 0") is None and world.row("job 1") is not None


def test_a_saga_under_way_is_listed_with_the_store_it_waits_for(world):
    with world.proxies() as (proxies, environ):
        daemon = world.running({"timeouts.deadline": "8s"}, environ)
        proxies["neo4j"].hold()
        with daemon.jobs() as client:
            client.send("document.put", **document("slow"))
            row = eventually(lambda: next(iter(listed(daemon, store="neo4j")), None))
            assert (row["kind"], row["state"], row["step"]) == ("document", "running", "projecting"), row
            assert (row["document_id"], row["op"]) == ("slow", "put"), row
            proxies["neo4j"].passes()
            assert client.receive(20).outcome in ("committed", "failed")


@pytest.mark.parametrize("method, params, code", [
    ("saga.list", {"state": "gone"}, "invalid_field"), ("saga.list", {"page": "x"}, "invalid_field"),
    ("saga.list", {"limit": 1001}, "invalid_field"), ("saga.list", {"stores": "x"}, "unknown_field"),
    ("saga.get", {}, "missing_field"), ("saga.get", {"id": "x"}, "invalid_field"),
    ("saga.get", {"id": "00000000-0000-7000-8000-000000000000"}, "not_found"),
    ("saga.retry", {}, "missing_field"), ("saga.retry", {"all": True, "store": "redis"}, "invalid_field"),
    ("saga.resolve", {"id": "00000000-0000-7000-8000-000000000000"}, "missing_field"),
    ("saga.resolve", {"id": "00000000-0000-7000-8000-000000000000", "reason": "r"}, "not_found"),
])
def test_what_is_wrong_with_a_question_is_said(world, method, params, code):
    daemon = next((each for each in world.daemons if each.is_alive()), None) or world.running()
    answer = ask(daemon, method, **params)
    assert answer.code == code, answer
    with daemon.jobs() as client:
        assert client.call(method, **params).code in ("forbidden", code)


def test_wrong_usage_of_the_command(world):
    daemon = next((each for each in world.daemons if each.is_alive()), None) or world.running()
    for arguments in ([], ["lists"], ["show"], ["retry"], ["resolve", "x"], ["list", "--older-than=5"], ["list", "x"],
                      ["show", "x", "--all"], ["retry", "--all", "--state=parked"]):
        assert sagactl(daemon, *arguments).returncode == 2, arguments
