"""What has happened to people, each story as a test against the real stores. The numbers are the list's own."""

import threading
import time

import pytest
from qdrant_client import models

from harness import documents, eventually
from harness.documents import chunk, document

SETTINGS = {"timeouts.store": "1500ms", "timeouts.postgresql": "1500ms", "timeouts.late_write_window": "1500ms",
            "retry.max_tries": 2}
# For tests that count what fails and what doesn't: nothing may fail only because the machine is busy.
PATIENT = {"timeouts.store": "5s", "timeouts.postgresql": "5s", "timeouts.late_write_window": "5s", "retry.max_tries": 8}


@pytest.fixture(scope="module")
def ways(world):
    with world.proxies() as made:
        yield made


@pytest.fixture(scope="module")
def proxies(ways):
    return ways[0]


@pytest.fixture(scope="module")
def daemon(world, ways):
    return world.running(SETTINGS, ways[1])


@pytest.fixture(autouse=True)
def mended(proxies, world):
    yield
    for proxy in proxies.values():
        proxy.passes()
    world.mend()


@pytest.fixture
def client(daemon):
    with daemon.jobs() as made:
        yield made


def committed(answer):
    assert answer.outcome == "committed", answer
    return answer


def test_story_01_vectors_fail_and_the_undo_is_killed(world, daemon, client, proxies):
    """The document is not listed anywhere, and what the killed undo left is removed by the next start."""
    proxies["qdrant"].refuse()
    answer = client.put(document("story 1"))
    assert answer.code == "store_unavailable" and answer.store == "qdrant"
    daemon.kill()
    assert world.row("story 1") is None
    proxies["qdrant"].passes()
    daemon.start()
    world.assert_whole(daemon, timeout_s=20)
    world.assert_absent("story 1")


def test_story_02_crash_between_the_vectors_and_the_row(world, daemon, client, proxies):
    proxies["postgresql"].arm("delay", request=b"COMMIT", seconds=2)
    proxies["postgresql"].passes()
    client.put(document("story 2 before"))
    hold_when_written(world, proxies, "story 2")
    client.send("document.put", **document("story 2"))
    eventually(lambda: len(world.points("story 2")) == 3, 10, pause_s=0.005)
    daemon.kill()
    proxies["postgresql"].passes()
    daemon.start()
    world.assert_whole(daemon)
    row = world.row("story 2")
    assert len(world.points("story 2")) == (3 if row else 0)


def hold_when_written(world, proxies, name):
    """PostgreSQL hangs from the moment in which Qdrant has the document."""
    def strike():
        end = time.monotonic() + 10
        while not world.points(name) and time.monotonic() < end:
            pass
        proxies["postgresql"].hold()
    threading.Thread(target=strike, daemon=True).start()


def test_story_03_the_graph_is_written_and_its_relationships_do_not_stay(world, daemon, client, proxies):
    """Qdrant hangs while the graph is there already; the clean-up takes relationships and both of their ends."""
    job = document("story 3", n_chunks=1, n_entities=40)
    # Whatever a Neo4j that has just started needs a second for, it has had then.
    eventually(lambda: client.put(document("story 3 before", n_entities=40)).outcome in ("committed", "unchanged"), 20)
    proxies["qdrant"].hold()
    number = client.send("document.put", **job)
    eventually(lambda: len(world.edges("story 3")) == 39, 5, pause_s=0.005)
    assert client.answer(number).code == "store_unavailable"
    proxies["qdrant"].passes()
    world.assert_whole(daemon, timeout_s=20)
    world.assert_absent("story 3")
    assert not world.cypher("MATCH (e:Entity) WHERE e.name STARTS WITH 'story 3 thing' RETURN e")


def test_story_04_deleted_in_the_database_and_the_vectors_stay(world, daemon, client):
    """Qdrant is down while the document is deleted, and the daemon dies before it is back: the debt is in PostgreSQL."""
    committed(client.put(document("story 4")))
    world.store("qdrant").stop()
    try:
        answer = client.delete("story 4")
        assert answer.outcome == "deleted" and answer.result["owed"] == [{"store": "qdrant", "op": "remove"}]
        daemon.kill()
    finally:
        world.start("qdrant")
    assert len(world.points("story 4")) == 3
    daemon.start()
    world.assert_whole(daemon)
    world.assert_absent("story 4")


def test_story_05_nothing_is_left_over_for_another_document(world, daemon, client, proxies):
    """The graph fails; the next document with the same entities has its own properties and relationships only. A connection
    that ends with this document each time may be the store's fault or the document's: either is a fair answer."""
    proxies["neo4j"].arm("swallow", request=b"documents", until=b"errors", times=1000)
    answer = client.put(document("story 5 a", shared=["story 5"]))
    assert answer.code in ("store_unavailable", "store_refused") and answer.store == "neo4j", answer
    proxies["neo4j"].passes()
    assert world.row("story 5 a") is None
    committed(client.put(document("story 5 b", shared=["story 5"])))
    world.assert_whole(daemon)
    world.assert_absent("story 5 a")
    found = world.cypher("MATCH (e:Entity {name: 'story 5'}) RETURN properties(e) AS p")
    assert [row["p"]["by"] for row in found] == ["story 5 b"]


@pytest.mark.parametrize("n_bytes", [1672, 8000])
def test_story_06_a_long_entity_name_that_every_store_can_hold(world, daemon, client, n_bytes):
    wanted = {"id": f"story 6 {n_bytes}", "entities": [{"type": "T", "name": "n" * n_bytes}]}
    committed(client.put(wanted))
    world.assert_whole(daemon)


def test_story_06_one_that_a_store_cannot_hold_is_refused_before_any_is_written_to(world, daemon, client):
    before = daemon.stats()
    answer = client.put({"id": "story 6", "chunks": [chunk("story 6", 0)],
                         "entities": [{"type": "T", "name": "n" * 8001}]})
    assert answer.code == "limit_exceeded" and answer.data["path"] == "entities[0].name"
    after = daemon.stats()
    assert all(before[f"writes_total_{name}"] == after[f"writes_total_{name}"] for name in ("qdrant", "neo4j", "redis"))
    world.assert_absent("story 6")


def test_story_08_a_failed_write_is_not_taken_for_an_unchanged_document(world, daemon, client, proxies):
    proxies["redis"].refuse()
    assert client.put(document("story 8")).code == "store_unavailable"
    proxies["redis"].passes()
    eventually(lambda: client.put(document("story 8")).outcome == "committed", 10)
    world.assert_whole(daemon)


def test_story_09_commit_sent_and_the_reply_lost(world, daemon, client, proxies):
    proxies["postgresql"].arm("swallow", request=b"COMMIT", until=b"COMMIT\0")
    answer = committed(client.put(document("story 9"), idempotency_key="story 9"))
    assert proxies["postgresql"].n_struck == 1
    again = client.put(document("story 9"), idempotency_key="story 9")
    assert again.result["stored"] is True and again.version == answer.version
    rows = world.readers.postgres.execute("SELECT count(*) FROM sagad_ledger WHERE document_id = 'story 9'").fetchone()
    assert rows == (1,)
    world.assert_whole(daemon)


def test_story_10_the_write_lands_after_its_removal(world, daemon, client, proxies):
    """The graph fails, the vectors are taken back, and then their write arrives once more: no reader that checks takes
    it for a hit, and the second removal finds it."""
    proxies["neo4j"].refuse()
    number = client.send("document.put", **document("story 10"))
    written = eventually(lambda: len(found := world.points("story 10")) == 3 and found, 5, pause_s=0.002)
    assert client.answer(number).code == "store_unavailable"
    eventually(lambda: not world.points("story 10"), 5, pause_s=0.002)
    world.readers.qdrant.upsert("documents", wait=True, points=[
        models.PointStruct(id=point.id, vector=point.vector, payload=point.payload) for point in written])
    proxies["neo4j"].passes()
    assert len(world.points("story 10")) == 3 and world.row("story 10") is None
    world.assert_whole(daemon, timeout_s=20)
    world.assert_absent("story 10")


def test_story_11_a_step_that_takes_longer_than_its_timeout_is_not_retried_for_ever(world, daemon, client, proxies):
    proxies["neo4j"].arm("delay", request=b"documents", seconds=4, times=1000)
    began = time.monotonic()
    answer = client.put(document("story 11"))
    assert answer.code == "store_unavailable" and answer.store == "neo4j", answer
    assert answer.data["tries"] == 2 and time.monotonic() - began < 6
    proxies["neo4j"].passes()
    world.assert_whole(daemon, timeout_s=20)
    world.assert_absent("story 11")
    committed(client.put(document("story 11")))


def test_story_12_an_uncertain_insert_does_not_become_a_false_conflict(world, daemon, client, proxies):
    proxies["postgresql"].arm("swallow", request=b"COMMIT", until=b"COMMIT\0")
    committed(client.put(document("story 12"), if_version=None))
    assert proxies["postgresql"].n_struck == 1
    assert client.put(document("story 12", mark="2"), if_version=None).code == "conflict"
    world.assert_whole(daemon)


def test_story_13_a_rollback_touches_no_other_document(world, daemon, client, proxies):
    """Thirty finished documents share their entities with one that is rolled back."""
    names = [f"story 13 {n}" for n in range(30)]
    shared = ["story 13 x", "story 13 y"]
    assert {answer.outcome for answer in client.put_all(document(name, shared=shared) for name in names)} == {
        "committed"}
    proxies["redis"].refuse()
    assert client.put(document("story 13 bad", shared=shared)).code == "store_unavailable"
    proxies["redis"].passes()
    report = world.assert_whole(daemon)
    assert report.counts["documents"] >= 30
    found = world.cypher("MATCH (d:Document)-[:MENTIONS]->(:Entity {name: 'story 13 x'}) RETURN d.id AS id")
    assert {row["id"] for row in found} == set(names)


def test_story_14_two_re_ingests_interleave_and_the_last_one_wins_whole(world, daemon, client):
    committed(client.put(document("story 14")))

    def ingest(label):
        with daemon.jobs() as own:
            answers.extend(own.put_all(document("story 14", 1 + n % 4, n % 4, mark=f" {label} {n}")
                                       for n in range(15)))
    answers = []
    threads = [threading.Thread(target=ingest, args=(label,)) for label in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.outcome for answer in answers} == {"committed"}
    assert world.row("story 14")[0] == max(answer.version for answer in answers)
    world.assert_whole(daemon)


def test_story_15_a_new_version_with_fewer_chunks_leaves_no_tail(world, daemon, client):
    committed(client.put(document("story 15", n_chunks=40)))
    committed(client.put(document("story 15", n_chunks=4, mark="2")))
    assert len(world.points("story 15")) == 4
    world.assert_whole(daemon)


def test_story_16_the_rollback_of_an_overwrite_keeps_the_old_version(world, daemon, client, proxies):
    version = committed(client.put(document("story 16"))).version
    proxies["neo4j"].refuse()
    assert client.put(document("story 16", mark=" new")).code == "store_unavailable"
    proxies["neo4j"].passes()
    world.assert_whole(daemon, timeout_s=20)
    assert world.row("story 16")[0] == version == world.live("story 16")["version"]
    assert {point.payload["saga_id"] for point in world.points("story 16")} == {version}


def test_story_17_a_batch_with_one_bad_document_is_not_refused_whole(world, daemon, client):
    """A rule of the database's owner refuses one of sixteen. The others commit, and all of them sent again change
    nothing: neither twice nor in another order."""
    jobs = [document(f"story 17 {n}", 1, 1) for n in range(16)]
    keys = [f"story 17 {n}" for n in range(16)]
    world.readers.postgres.execute("ALTER TABLE documents ADD CONSTRAINT story_17"
                                   " CHECK (id NOT LIKE 'story 17 %' OR title <> 'title of story 17 5')")
    try:
        answers = put_with_keys(client, jobs, keys)
    finally:
        world.readers.postgres.execute("ALTER TABLE documents DROP CONSTRAINT story_17")
    assert [n for n, answer in enumerate(answers) if answer.outcome != "committed"] == [5]
    assert answers[5].code == "store_refused" and answers[5].store == "postgresql", answers[5]
    again = put_with_keys(client, reversed(jobs), reversed(keys))[::-1]
    assert [answer.version for answer in again] == [answer.version for answer in answers]
    assert [answer.code for answer in again] == [answer.code for answer in answers]
    rows = world.readers.postgres.execute(
        "SELECT count(*), count(DISTINCT document_id) FROM sagad_ledger"
        " WHERE document_id LIKE 'story 17 %' AND outcome = 'committed'").fetchone()
    assert rows == (15, 15)
    world.assert_whole(daemon)


def put_with_keys(client, jobs, keys):
    numbers = [client.send("document.put", **job, idempotency_key=key) for job, key in zip(jobs, keys)]
    return [client.answer(number) for number in numbers]


def test_story_18_concurrent_upserts_make_no_duplicate_nodes(world, daemon, client):
    shared = [f"story 18 {n}" for n in range(5)]

    def ingest(part):
        with daemon.jobs() as own:
            outcomes.extend(answer.outcome for answer in own.put_all(
                document(f"story 18 {part} {n}", 1, 1, shared=shared) for n in range(20)))
    outcomes = []
    threads = [threading.Thread(target=ingest, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["committed"] * 80
    found = world.cypher("MATCH (e:Entity) WHERE e.name STARTS WITH 'story 18' AND e.type = 'Shared'"
                         " RETURN e.name AS name, count(*) AS n")
    assert sorted((row["name"], row["n"]) for row in found) == [(name, 1) for name in shared]
    world.assert_whole(daemon)


@pytest.mark.parametrize("bad, place", [([float("nan")] * 4, "embedding[0]"), ([0, 0, 0, 0], "embedding"),
                                        ([0.5] * 3, "embedding")], ids=["NaN", "zero", "dimensions"])
def test_story_19_one_bad_vector_fails_alone_among_128(world, daemon, client, bad, place):
    jobs = [document(f"story 19 {len(place)}{len(bad)} {n}", 1, 0) for n in range(128)]
    jobs[77]["chunks"][0]["embedding"] = bad
    answers = client.put_all(jobs)
    assert [n for n, answer in enumerate(answers) if answer.outcome != "committed"] == [77]
    assert answers[77].code == "invalid_field" and answers[77].data["path"] == f"chunks[0].{place}"
    assert answers[77].data["retriable"] is False
    world.assert_whole(daemon)


def test_story_20_a_document_beyond_the_body_limit(world):
    """Up to the limit it goes out in as many requests as it takes; beyond it is refused by the limit's name."""
    daemon = world.running({"timeouts.store": "20s", "timeouts.postgresql": "20s", "timeouts.late_write_window": "20s",
                            "qdrant.max_body": "2MiB", "limits.max_vector_json": "8MiB"}, dims=384)
    with daemon.jobs(60) as client:
        wanted = big(1400)
        committed(client.put(wanted, deadline_ms=50000))
        answer = client.put(big(2600), deadline_ms=50000)
        assert answer.code == "limit_exceeded" and "limits.max_vector_json" in answer.text
    world.assert_whole(daemon, [wanted])
    assert daemon.stop() == 0


def big(n_chunks):
    """Some five kilobytes a chunk."""
    vector = documents.embedding("big", 384)
    return {"id": "story 20", "chunks": [{"text": "x" * 1200, "embedding": [n + 1, *vector[1:]]}
                                         for n in range(n_chunks)]}


def test_story_07_an_error_inside_a_reply_that_says_200_is_no_success(world):
    """An index of somebody's can't hold one of 36 titles: Neo4j answers 200 for the batch, the error is in the body."""
    daemon = world.running(PATIENT)
    jobs = [document(f"story 7 {n}", 1, 2) for n in range(36)]
    jobs[20]["title"] = "t" * 20_000
    world.cypher("CREATE INDEX story_7 FOR (v:Version) ON (v.title)")
    world.cypher("CALL db.awaitIndexes(30)")
    try:
        with daemon.jobs(60) as client:
            answers = client.put_all(jobs, deadline_ms=50000)
    finally:
        world.cypher("DROP INDEX story_7")
    assert [n for n, answer in enumerate(answers) if answer.outcome != "committed"] == [20]
    assert answers[20].code == "store_refused" and answers[20].store == "neo4j", answers[20]
    world.assert_whole(daemon)
    world.assert_absent("story 7 20")
    assert len(world.cypher("MATCH (d:Document) WHERE d.id STARTS WITH 'story 7 ' RETURN d")) == 35
    assert daemon.stop() == 0


def test_story_21_a_store_that_hangs_holds_up_no_question(world, ways):
    daemon = world.running(SETTINGS, ways[1])
    world.store("neo4j").pause()
    try:
        with daemon.jobs() as waiting, daemon.jobs() as asking:
            numbers = [waiting.send("document.put", **document(f"story 21 {n}")) for n in range(20)]
            for _ in range(20):
                began = time.monotonic()
                assert asking.call("sagad.hello").is_ok and asking.status("story 21 0")["presence"] == "absent"
                assert time.monotonic() - began < 1
            assert {waiting.answer(number).code for number in numbers} <= {"store_unavailable", "deadline_exceeded"}
    finally:
        world.store("neo4j").resume()
    world.assert_whole(daemon, [], timeout_s=20)
    assert daemon.stop() == 0


def test_story_22_an_undo_is_not_retried_80_times_a_second(world, ways, proxies):
    """Redis refuses while ten documents wait for their removal: tries are few, and it is done when Redis is back."""
    daemon = world.running({**SETTINGS, "retry.cap": "1s", "retry.background_cap": "1s"}, ways[1])
    with daemon.jobs() as client:
        proxies["redis"].arm("swallow", request=b"EVALSHA", until=b"\r\n", times=1000)
        answers = client.put_all(document(f"story 22 {n}") for n in range(10))
        assert {answer.code for answer in answers} == {"store_unavailable"}, answers
    proxies["redis"].reset()
    before = proxies["redis"].n_connections
    time.sleep(3)
    # Ten undos, each with a wait of its own of half a second in the middle, and of one at most.
    assert proxies["redis"].n_connections - before < 10 * 3 * 5
    assert daemon.stats()["errands"] > 0, daemon.log()[-3000:]
    proxies["redis"].passes()
    world.assert_whole(daemon, [], timeout_s=20)
    assert daemon.stop() == 0


def test_story_23_the_cache_never_runs_ahead_of_the_truth(world, ways, proxies):
    """While COMMIT hangs nobody can read the new value; when it fails nobody ever could."""
    daemon = world.running(SETTINGS, ways[1])
    with daemon.jobs() as client:
        committed(client.put(document("story 23")))
        proxies["postgresql"].hold()
        number = client.send("document.put", **document("story 23", mark=" new"), deadline_ms=3000)
        seen = set()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            seen.add(world.live("story 23")["title"])
        assert seen == {"title of story 23"}
        proxies["postgresql"].passes()
        answer = client.answer(number)
    world.assert_whole(daemon, timeout_s=20)
    wanted = " new" if answer.outcome == "committed" or world.row("story 23")[1].endswith("new") else ""
    assert world.live("story 23")["title"] == f"title of story 23{wanted}"
    assert daemon.stop() == 0


def test_story_24_a_shared_entity_outlives_its_first_document(world, ways):
    daemon = world.running(SETTINGS, ways[1])
    with daemon.jobs() as client:
        committed(client.put(document("story 24 a", shared=["story 24"])))
        committed(client.put(document("story 24 b", shared=["story 24"])))
        assert client.delete("story 24 a").outcome == "deleted"
        world.assert_whole(daemon)
        assert world.cypher("MATCH (:Document {id: 'story 24 b'})-[:MENTIONS]->(e {name: 'story 24'}) RETURN e")
        assert client.delete("story 24 b").outcome == "deleted"
        world.assert_whole(daemon)
        assert not world.cypher("MATCH (e:Entity) RETURN e")
    assert daemon.stop() == 0


@pytest.mark.parametrize("store, op", [("elastic", "remove"), ("qdrant", "reindex"), ("qdrant", "apply")])
def test_story_25_a_row_that_nobody_can_read_does_not_stop_the_repair(world, store, op):
    """A debt of a store that isn't configured, or of an operation that this version doesn't know, stands before those of
    a deleted document: they are paid all the same, it stays, and the log names it."""
    daemon = world.running(PATIENT)
    with daemon.jobs() as client:
        committed(client.put(document("story 25")))
        world.store("qdrant").stop()
        try:
            assert client.delete("story 25").result["owed"] == [{"store": "qdrant", "op": "remove"}]
            daemon.kill()
        finally:
            world.start("qdrant")
    world.readers.postgres.execute(
        "INSERT INTO sagad_debts (store, op, saga_id, owner, document_id, chunk_count, created_at)"
        " VALUES (%s, %s, gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'story 25', 1, now())",
        (store, op))
    daemon.start()
    eventually(lambda: not world.points("story 25"), 10)
    left = "SELECT store, op FROM sagad_debts"
    eventually(lambda: world.readers.postgres.execute(left).fetchall() == [(store, op)], 10)
    assert "not configured" in daemon.log() or "doesn't know" in daemon.log()
    with daemon.jobs() as client:
        committed(client.put(document("story 25 next")))
    assert daemon.stop() == 0
