"""What sagad wrote, read by the official clients: every field in each store, for every way a document can change."""

import json
import threading
import time
import uuid

import numpy as np
import pytest

from harness import documents, eventually
from harness.documents import document

NAMESPACE = uuid.UUID("6f0c8f6e-2a5d-5e0b-9a55-7a6f0d1f5a61")
EVIL = ["'; DROP TABLE documents; --", "\" OR 1=1 //", "}) DETACH DELETE n //", "\r\nFLUSHALL\r\n", "`name`", "$1 \\x00 %s",
        "💣 ünïcödé \u2028\u202e", "a\tb\nc", "{{id}}*?[x]", "../../etc/passwd", "\\", "\u0001\u001f\u007f"]


@pytest.fixture(scope="module")
def daemon(world):
    return world.running()


@pytest.fixture
def client(daemon):
    with daemon.jobs() as made:
        yield made


@pytest.fixture
def name(request):
    """A document id of this test's own."""
    return f"{request.node.name}-{uuid.uuid4().hex[:6]}"


def committed(answer):
    assert answer.outcome == "committed" and answer.result["owed"] == [], answer
    return answer


# Every field.

def test_insert_postgresql_has_every_field(world, client, name):
    wanted = document(name)
    version = committed(client.put(wanted)).version
    found = world.row(name)
    assert found[:7] == (version, wanted["title"], wanted["source"], wanted["content"], wanted["metadata"],
                         "COMPLETED", 3)
    assert len(found[7]) == 32 and found[8] == found[9]
    rows = world.readers.postgres.execute(
        "SELECT ordinal, chunk_id, text, metadata, embedding::text FROM chunks WHERE document_id = %s ORDER BY 1",
        (name,)).fetchall()
    for row, chunk in zip(rows, wanted["chunks"], strict=True):
        assert (row[1], row[2], row[3]) == (chunk["id"], chunk["text"], chunk["metadata"])
        assert np.allclose(json.loads(row[4]), np.float32(chunk["embedding"]), atol=1e-6)
    rows = world.readers.postgres.execute(
        "SELECT type, name, properties FROM entities WHERE document_id = %s ORDER BY ordinal", (name,)).fetchall()
    assert rows == [(e["type"], e["name"], e["properties"]) for e in wanted["entities"]]
    rows = world.readers.postgres.execute(
        "SELECT from_type, from_name, type, to_type, to_name, properties FROM relationships WHERE document_id = %s"
        " ORDER BY ordinal", (name,)).fetchall()
    assert rows == [(r["from"]["type"], r["from"]["name"], r["type"], r["to"]["type"], r["to"]["name"],
                     r["properties"]) for r in wanted["relationships"]]


def test_insert_writes_one_ledger_row_and_no_debt(world, client, name):
    answer = committed(client.put(document(name), idempotency_key=name))
    rows = world.readers.postgres.execute(
        "SELECT saga_id::text, idempotency_key, outcome, is_delete FROM sagad_ledger WHERE document_id = %s",
        (name,)).fetchall()
    assert rows == [(answer.result["saga_id"], name, "committed", False)]
    assert world.readers.postgres.execute("SELECT count(*) FROM sagad_debts").fetchone() == (0,)


def test_insert_qdrant_has_every_field(world, client, name):
    wanted = document(name)
    version = committed(client.put(wanted)).version
    for n, (point, chunk) in enumerate(zip(world.points(name), wanted["chunks"], strict=True)):
        assert point.id == str(uuid.uuid5(NAMESPACE, f"{name}\n{version}\n{n}"))
        assert point.payload == {"document_id": name, "saga_id": version, "chunk_id": chunk["id"], "chunk_index": n,
                                 "text": chunk["text"], "metadata": chunk["metadata"]}
        assert np.allclose(point.vector, chunk["embedding"], atol=1e-5)


def test_insert_neo4j_has_every_field(world, client, name):
    wanted = document(name)
    version = committed(client.put(wanted)).version
    assert world.nodes(name) == [{"saga_id": version, "id": name, "title": wanted["title"],
                                  "source": wanted["source"]}]
    mentions = world.cypher("MATCH (:Document {id: $name})-[m:MENTIONS]->(e:Entity) RETURN properties(m) AS m, e.type"
                            " AS type, e.name AS name ORDER BY m.ordinal", name=name)
    assert [(m["type"], m["name"], m["m"]) for m in mentions] == [
        (e["type"], e["name"], {**e["properties"], "ordinal": n}) for n, e in enumerate(wanted["entities"])]
    edges = sorted(world.edges(name), key=lambda edge: edge["properties"]["ordinal"])
    assert [(e["a"], e["type"], e["b"], e["properties"]) for e in edges] == [
        (r["from"]["name"], r["type"], r["to"]["name"],
         {**r["properties"], "saga_id": version, "document_id": name, "ordinal": n})
        for n, r in enumerate(wanted["relationships"])]


def test_insert_redis_has_every_field_and_the_default_ttl(world, client, name):
    wanted = document(name)
    version = committed(client.put(wanted)).version
    assert world.live(name) == {"version": version, "id": name, "title": wanted["title"], "source": wanted["source"],
                                "metadata": wanted["metadata"], "content": wanted["content"],
                                "chunks": ["c0", "c1", "c2"]}
    assert 3500 < world.readers.redis.ttl("sagad:doc:{%s}" % name) <= 3600


# Changes.

def test_overwrite_replaces_every_field_in_every_store(world, daemon, client, name):
    first = committed(client.put(document(name)))
    second = committed(client.put(document(name, mark=" new")))
    assert second.result["previous"] == first.version < second.version
    assert world.row(name)[1] == f"title of {name} new"
    assert [p.payload["text"] for p in world.points(name)] == [f"text {n} of {name} new" for n in range(3)]
    assert [node["title"] for node in world.nodes(name)] == [f"title of {name} new"]
    assert world.live(name)["version"] == second.version
    world.assert_whole(daemon)


@pytest.mark.parametrize("before, after", [((9, 5), (2, 1)), ((2, 1), (9, 5)), ((3, 3), (0, 0)), ((0, 0), (3, 3))])
def test_overwrite_with_other_numbers_of_chunks_and_entities(world, daemon, client, name, before, after):
    committed(client.put(document(name, *before)))
    committed(client.put(document(name, *after, mark="2")))
    assert len(world.points(name)) == after[0]
    assert len(world.edges(name)) == max(after[1] - 1, 0)
    world.assert_whole(daemon)


def test_overwrite_with_other_chunk_ids_entities_and_relationships(world, daemon, client, name):
    committed(client.put(document(name)))
    wanted = document(name, mark="x")
    for n, chunk in enumerate(reversed(wanted["chunks"])):
        chunk["id"] = f"other {n}"
    wanted["relationships"] = [{**r, "type": "FAR_FROM"} for r in wanted["relationships"]]
    committed(client.put(wanted))
    assert [p.payload["chunk_id"] for p in world.points(name)] == ["other 2", "other 1", "other 0"]
    assert {edge["type"] for edge in world.edges(name)} == {"FAR_FROM"}
    world.assert_whole(daemon)


def test_delete_leaves_a_tombstone_row_and_nothing_else(world, daemon, client, name):
    version = committed(client.put(document(name))).version
    answer = client.delete(name)
    assert answer.outcome == "deleted" and answer.result["previous"] == version
    found = world.row(name)
    assert found[1:7] == (None, None, None, None, "DELETED", 0)
    world.assert_absent(name)
    assert client.status(name)["presence"] == "deleted"
    world.assert_whole(daemon)


def test_delete_of_what_is_not_there(client, world, name):
    assert client.delete(name).outcome == "absent"
    assert world.row(name) is None
    committed(client.put(document(name)))
    assert client.delete(name).outcome == "deleted"
    assert client.delete(name).outcome == "absent"


def test_insert_after_delete_is_a_new_document(world, daemon, client, name):
    committed(client.put(document(name)))
    gone = client.delete(name)
    again = committed(client.put(document(name)))
    assert again.version > gone.result["saga_id"]
    assert world.live(name)["version"] == again.version
    world.assert_whole(daemon)


# Texts and sizes.

@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_hostile_text_in_every_place_is_stored_as_it_is(world, daemon, client, evil):
    wanted = {"id": evil, "title": evil, "source": evil, "content": evil, "metadata": {evil: [evil]},
              "chunks": [{"id": evil, "text": evil, "metadata": {evil: evil}, "embedding": documents.embedding(evil)}],
              "entities": [{"type": "T", "name": evil, "properties": {evil: evil}}, {"type": "T", "name": "x" + evil}],
              "relationships": [{"from": {"type": "T", "name": evil}, "type": "R",
                                 "to": {"type": "T", "name": "x" + evil}, "properties": {evil: evil}}]}
    committed(client.put(wanted))
    assert world.row(evil)[1:5] == (evil, evil, evil, {evil: [evil]})
    assert world.points(evil)[0].payload["text"] == evil
    assert world.nodes(evil)[0]["title"] == evil
    assert world.edges(evil)[0]["properties"][evil] == evil
    assert world.live(evil)["content"] == evil
    world.assert_whole(daemon)
    assert client.delete(evil).outcome == "deleted"
    world.assert_absent(evil)


@pytest.mark.parametrize("long", ["x" * 512, "é" * 256, "😀" * 128], ids=["ascii", "two", "four"])
def test_ids_of_512_bytes(world, daemon, client, long):
    committed(client.put(document(long)))
    assert world.live(long)["id"] == long
    world.assert_whole(daemon)
    assert client.delete(long).outcome == "deleted"


def test_an_id_of_513_bytes_is_refused(client):
    answer = client.put(document("x" * 513))
    assert answer.code == "limit_exceeded" and answer.data["path"] == "id" and "512" in answer.text


def test_a_document_with_an_id_only(world, daemon, client, name):
    committed(client.put({"id": name}))
    assert world.row(name)[1:5] == (None, None, None, None)
    assert world.nodes(name)[0].get("title") is None
    live = world.live(name)
    assert live["chunks"] == [] and live.get("title") is None
    world.assert_whole(daemon)


def test_null_means_not_given(world, daemon, client, name):
    wanted = {"id": name, "title": None, "source": None, "content": None, "metadata": None, "chunks": None,
              "entities": None, "relationships": None}
    options = dict.fromkeys(["idempotency_key", "deadline_ms", "wait", "on_unchanged", "cache_ttl_s"])
    committed(client.put(wanted, **options))
    assert client.put({"id": name}).outcome == "unchanged"
    world.assert_whole(daemon)


def test_chunks_without_ids_are_numbered(world, daemon, client, name):
    wanted = document(name)
    for chunk in wanted["chunks"]:
        del chunk["id"], chunk["metadata"]
    committed(client.put(wanted))
    assert [p.payload["chunk_id"] for p in world.points(name)] == ["0", "1", "2"]
    assert all("metadata" not in p.payload for p in world.points(name))
    world.assert_whole(daemon)


def test_properties_that_neo4j_cannot_hold_are_kept_as_json(world, daemon, client, name):
    properties = {"object": {"k": [1, None]}, "mixed": [1, "x"], "none": None, "words": ["a", "b"], "empty": [],
                  "big": 2 ** 62, "real": 0.1, "flag": False, "floats": [0.5, 1.5]}
    wanted = {"id": name, "entities": [{"type": "A", "name": name, "properties": properties}]}
    committed(client.put(wanted))
    found = world.cypher("MATCH (:Document {id: $name})-[m:MENTIONS]->() RETURN properties(m) AS m", name=name)[0]["m"]
    assert json.loads(found["object"]) == {"k": [1, None]} and json.loads(found["mixed"]) == [1, "x"]
    assert "none" not in found and found["words"] == ["a", "b"] and found["big"] == 2 ** 62
    world.assert_whole(daemon)


def test_many_chunks_go_out_whole(world, daemon, client, name):
    committed(client.put(document(name, n_chunks=3000, n_entities=200)))
    assert len(world.points(name)) == 3000
    committed(client.put(document(name, n_chunks=10, n_entities=2, mark="2")))
    world.assert_whole(daemon)


# Options.

def test_cache_ttl_is_taken_from_the_job(world, client, name):
    committed(client.put(document(name), cache_ttl_s=77))
    assert 70 <= world.readers.redis.ttl("sagad:doc:{%s}" % name) <= 77


def test_cache_runs_out_and_the_document_stays(world, daemon, client, name):
    committed(client.put(document(name), cache_ttl_s=1))
    eventually(lambda: world.live(name) is None, 3)
    assert client.status(name)["presence"] == "present"
    world.assert_whole(daemon)


def test_accepted_is_answered_before_and_done_afterwards(world, daemon, client, name):
    answer = client.put(document(name), wait="accepted")
    assert answer.outcome == "accepted"
    job = answer.result["job"]
    done = eventually(lambda: (found := client.job(job))["state"] == "done" and found, 10)
    assert world.row(name)[0] == done["saga_id"]
    assert client.delete(name, wait="accepted").outcome == "accepted"
    eventually(lambda: client.status(name)["presence"] == "deleted", 10)
    world.assert_whole(daemon)


def test_accepted_jobs_of_one_document_run_in_their_order(world, daemon, client, name):
    answers = client.put_all([document(name, mark=f" {n}") for n in range(20)], wait="accepted")
    assert {answer.outcome for answer in answers} == {"accepted"}
    eventually(lambda: client.job(answers[-1].result["job"])["state"] == "done", 15)
    assert world.row(name)[1] == f"title of {name} 19"
    world.assert_whole(daemon)


def test_an_accepted_job_that_is_refused_tells_why(client, name):
    answer = client.put(document(name), wait="accepted", if_version=str(uuid.uuid4()))
    failed = eventually(lambda: (found := client.job(answer.result["job"]))["state"] == "failed" and found, 10)
    assert failed["code"] == "conflict"


def test_an_unknown_job(client):
    assert client.job(str(uuid.uuid4()))["state"] == "unknown"


def test_status(client, name):
    assert client.status(name) == {"document_id": name, "presence": "absent", "debts": 0}
    before_ms = time.time() * 1000
    version = committed(client.put(document(name))).version
    found = client.status(name)
    assert (found["presence"], found["version"], found["chunks"], found["debts"]) == ("present", version, 3, 0)
    assert before_ms - 2000 <= found["updated_unix_ms"] <= time.time() * 1000 + 2000


def test_unchanged_is_skipped_and_keeps_the_version(world, client, name):
    version = committed(client.put(document(name))).version
    answer = client.put(document(name))
    assert answer.outcome == "unchanged" and answer.version == version
    assert world.row(name)[0] == version


def test_unchanged_is_written_when_asked(world, daemon, client, name):
    version = committed(client.put(document(name))).version
    again = committed(client.put(document(name), on_unchanged="write"))
    assert again.version > version and world.live(name)["version"] == again.version
    world.assert_whole(daemon)


@pytest.mark.parametrize("change", ["title", "embedding", "metadata", "property", "order"])
def test_the_least_change_is_a_change(world, client, name, change):
    committed(client.put(document(name)))
    other = document(name)
    if change == "title":
        other["title"] += " "
    elif change == "embedding":
        other["chunks"][2]["embedding"][3] += 1e-4
    elif change == "metadata":
        other["metadata"]["nested"]["list"][1] = 2.25
    elif change == "property":
        other["entities"][1]["properties"]["n"] = 7
    else:
        other["chunks"].reverse()
    committed(client.put(other))


def test_if_version(world, client, name):
    assert client.put(document(name), if_version=str(uuid.uuid4())).code == "conflict"
    first = committed(client.put(document(name), if_version=None))
    refused = client.put(document(name, mark="2"), if_version=None)
    assert refused.code == "conflict" and refused.data["current_version"] == first.version
    second = committed(client.put(document(name, mark="2"), if_version=first.version))
    stale = client.put(document(name, mark="3"), if_version=first.version)
    assert stale.code == "conflict" and stale.data["class"] == "caller" and stale.data["retriable"] is False
    assert stale.data["current_version"] == second.version
    assert client.delete(name, if_version=first.version).code == "conflict"
    assert client.delete(name, if_version=second.version).outcome == "deleted"
    committed(client.put(document(name), if_version=None))


def test_idempotency_key_gives_the_stored_outcome(world, client, name):
    first = committed(client.put(document(name), idempotency_key=f"k {name}"))
    committed(client.put(document(name, mark="2")))
    again = client.put(document(name), idempotency_key=f"k {name}")
    assert again.result["stored"] is True and again.result["saga_id"] == first.result["saga_id"]
    assert world.row(name)[1] == f"title of {name}2"
    deleted = client.delete(name, idempotency_key=f"d {name}")
    assert deleted.outcome == "deleted"
    assert client.delete(name, idempotency_key=f"d {name}").result["stored"] is True


def test_idempotency_key_with_other_content_is_an_error(world, client, name):
    committed(client.put(document(name), idempotency_key=name))
    answer = client.put(document(name, mark="2"), idempotency_key=name)
    assert answer.code == "key_reused" and answer.data["retriable"] is False
    assert client.put(document(name + "b"), idempotency_key=name).code == "key_reused"
    assert world.row(name)[1] == f"title of {name}" and world.row(name + "b") is None


def test_idempotency_key_remembers_a_permanent_refusal(client, name):
    stale = str(uuid.uuid4())
    assert client.put(document(name), idempotency_key=name, if_version=stale).code == "conflict"
    again = client.put(document(name), idempotency_key=name, if_version=stale)
    assert again.code == "conflict" and again.data.get("stored") is True


def test_the_same_key_many_times_at_once_runs_once(world, daemon, client, name):
    answers = client.put_all([document(name)] * 30, idempotency_key=name, on_unchanged="write")
    assert {answer.outcome for answer in answers} == {"committed"}
    assert len({answer.result["saga_id"] for answer in answers}) == 1
    world.assert_whole(daemon)


def test_a_deadline_that_has_passed_leaves_nothing(world, daemon, client, name):
    """Behind a queue of other jobs for the same document, one millisecond isn't enough."""
    numbers = [client.send("document.put", **document(name, mark=f"{n}")) for n in range(20)]
    late = client.send("document.put", **document(name, mark="late"), deadline_ms=1)
    answer = client.answer(late)
    assert answer.code == "deadline_exceeded" and answer.data["retriable"] is True
    assert all(client.answer(number).outcome == "committed" for number in numbers)
    assert world.row(name)[1] == f"title of {name}19"
    world.assert_whole(daemon)


# Many at once.

def test_last_writer_wins_whole(world, daemon, name):
    def write(n):
        with daemon.jobs() as client:
            outcomes.extend(client.put_all(document(name, 1 + (n + m) % 5, n, mark=f" {n}.{m}") for m in range(5)))

    outcomes = []
    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.outcome for answer in outcomes] == ["committed"] * 40
    winner = max(outcomes, key=lambda answer: answer.version)
    assert world.row(name)[0] == winner.version
    report = world.assert_whole(daemon)
    assert report.owed == 0
    title = world.row(name)[1]
    assert {point.payload["text"].split(" of ")[1] for point in world.points(name)} == {title[len("title of "):]}


def test_a_reader_never_sees_a_mixture(world, daemon, client, name):
    """While a document is replaced again and again, what each store holds of one version is whole, and the version of
    record is always among what a reader of Qdrant finds."""
    committed(client.put(document(name, 5, mark=" 0")))
    numbers = [client.send("document.put", **document(name, 5, mark=f" {n}")) for n in range(1, 30)]
    n_seen = 0
    while len(client._early) < len(numbers):
        version = world.row(name)[0]
        points = world.points(name)
        if world.row(name)[0] == version:
            mine = [p for p in points if p.payload["saga_id"] == version]
            assert len(mine) == 5 and len({p.payload["text"].split(" of ")[1] for p in mine}) == 1
            n_seen += 1
        try:
            answer = client.receive(0.001)
            client._early[answer.id] = answer
        except TimeoutError:
            pass
    assert n_seen > 0
    world.assert_whole(daemon)


def test_hundreds_of_documents_pipelined_on_one_connection(world, daemon, client, name):
    jobs = [document(f"{name} {n}", n % 4, n % 3) for n in range(300)]
    assert {answer.outcome for answer in client.put_all(jobs)} == {"committed"}
    world.assert_whole(daemon)
    stats = daemon.stats()
    assert stats["pivot_requests_total"] < stats["pivots_total"], "nothing was gathered into batches"
    numbers = [client.send("document.delete", id=job["id"]) for job in jobs]
    assert {client.answer(number).outcome for number in numbers} == {"deleted"}
    world.assert_whole(daemon)


def test_a_conflict_between_two_writers_with_if_version(world, daemon, client, name):
    version = committed(client.put(document(name))).version
    answers = client.put_all([document(name, mark=str(n)) for n in range(10)], if_version=version)
    assert sorted(answer.outcome for answer in answers) == ["committed"] + ["failed"] * 9
    assert {answer.code for answer in answers if not answer.is_ok} == {"conflict"}
    world.assert_whole(daemon)


def test_entities_are_shared_and_outlive_one_of_their_documents(world, daemon, client, name):
    both = [f"{name} shared {n}" for n in range(3)]
    committed(client.put(document(f"{name} a", shared=both)))
    committed(client.put(document(f"{name} b", shared=both)))
    found = world.cypher("MATCH (e:Entity {type: 'Shared'}) WHERE e.name IN $names RETURN e.name AS n", names=both)
    assert len(found) == 3
    assert client.delete(f"{name} a").outcome == "deleted"
    world.assert_whole(daemon)
    left = world.cypher("MATCH (:Document {id: $name})-[:MENTIONS]->(e {type: 'Shared'}) RETURN e.name AS n",
                        name=f"{name} b")
    assert sorted(row["n"] for row in left) == both
    assert client.delete(f"{name} b").outcome == "deleted"
    world.assert_whole(daemon)
    assert not world.cypher("MATCH (e:Entity) WHERE e.name IN $names RETURN e", names=both)


def test_many_writers_share_entities_without_duplicates(world, daemon, client, name):
    shared = [f"{name} s{n}" for n in range(10)]
    jobs = [document(f"{name} {n}", shared=shared[n % 3:] + shared[:n % 3]) for n in range(60)]
    assert {answer.outcome for answer in client.put_all(jobs)} == {"committed"}
    rows = world.cypher("MATCH (e:Entity {type: 'Shared'}) WHERE e.name IN $names RETURN e.key AS k", names=shared)
    assert len(rows) == len(shared)
    world.assert_whole(daemon)
