"""The oracle is right: silent where all is well, and it sees what isn't."""
import json
import lzma
import os
import subprocess
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOLS = os.path.join(os.path.dirname(TESTS), "tools")
sys.path.insert(0, os.path.join(TESTS, "lib"))

import compare                         # noqa: E402
from compare import by_hand, in_redis, model  # noqa: E402

AWKWARD = {
    "id": "awkward/{é}\n😀:*?[x]", "title": None, "source": "quote ' \" \\",
    "content": "", "metadata": {"a": [1, 2.5, None, {"b": []}], "t": True},
    "chunks": [{"text": "ä\u2028", "embedding": [3.0, 4.0] + [0] * 382},
               {"text": "", "metadata": {"n": 1e-7},
                "embedding": [1e-30] + [1e-3] * 383}],
    "entities": [{"type": "A", "name": "same name", "properties": {
                      "n": None, "mixed": [1, "x"], "words": ["a", "b"],
                      "object": {"k": [1]}, "none": [], "big": 2 ** 60}},
                 {"type": "B", "name": "same name"}],
    "relationships": [
        {"from": {"type": "A", "name": "same name"}, "type": "MENTIONS",
         "to": {"type": "B", "name": "same name"}, "properties": {"x": 0.1}},
        {"from": {"type": "A", "name": "same name"}, "type": "SELF",
         "to": {"type": "A", "name": "same name"}}],
}


def corpus(number):
    path = os.path.join(TESTS, "corpus", "postgresql-doc.jsonl.xz")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(next(file)) for _ in range(number)] + [AWKWARD]


def tool(environment, *arguments):
    return subprocess.run([sys.executable, os.path.join(TOOLS, arguments[0]),
                           *arguments[1:]], env=environment, text=True,
                          capture_output=True, check=False)


@pytest.fixture(scope="module")
def environment(world):
    """Addresses of the shared stores, which these tests fill by hand."""
    world.reset()
    yield {**{k: v for k, v in os.environ.items() if not k.startswith(
        ("POSTGRES_", "QDRANT_", "NEO4J_", "REDIS_"))}, **world.environ}
    world.reset()


@pytest.fixture(scope="module", params=["vector", "real[]"])
def stores(environment, request):
    with compare.connect(environment) as found:
        by_hand.init(found, 384, pgvector=request.param == "vector")
        for job in corpus(10):
            by_hand.put(found, job)
        yield found


@pytest.fixture(scope="module")
def jobs():
    return compare.jobs.parse(json.dumps(job) for job in corpus(10))


def fields(report):
    return {(d.store, d.field) for d in report.differences}


def test_silent_where_all_is_well(stores, jobs):
    report = compare.run(stores, jobs)
    assert not report.differences, report.text()
    assert report.counts["documents"] == 11
    assert report.counts["live keys in redis"] == 11
    assert not report.collectable and not report.owed


def everything(stores):
    """All that the stores hold, to the last bit."""
    def as_text(value):
        return json.dumps(value, sort_keys=True)

    run = stores.neo4j.execute_query
    return {
        "chunks": stores.postgres.execute(
            "SELECT c::text FROM chunks c ORDER BY 1").fetchall(),
        "points": [(p.id, p.vector, p.payload) for p in stores.qdrant.scroll(
            stores.collection, limit=10_000, with_vectors=True)[0]],
        "nodes": sorted(as_text(r.data()) for r in run(
            "MATCH (n) RETURN labels(n) AS l, properties(n) AS p").records),
        "relationships": sorted(as_text(r.data()) for r in run(
            "MATCH (a)-[r]->(b) RETURN properties(a) AS a, type(r) AS t,"
            " properties(r) AS r, properties(b) AS b").records),
        "cache": {key: stores.redis.get(key) for key in stores.redis.keys()},
    }


def test_planted_errors_are_found_and_put_back(stores, jobs):
    before = everything(stores)
    proofs, left = compare.prove(stores, jobs)
    assert {p.store for p in proofs} == {"postgres", "qdrant", "neo4j", "redis"}
    assert [p.planted.what for p in proofs if not p.found] == []
    assert left == []
    assert everything(stores) == before
    assert all(stores.redis.ttl(key) > 3000 for key in before["cache"])


def test_jobs_are_the_measure_for_postgresql(stores, jobs):
    other = dict(corpus(1)[0], title="other", chunks=corpus(1)[0]["chunks"][:-1])
    other["entities"] = list(reversed(other["entities"]))
    changed = {**jobs, **compare.jobs.parse([json.dumps(other)])}
    found = fields(compare.run(stores, changed))
    assert {("postgres", "title"), ("postgres", "chunks: ids"),
            ("postgres", "entities")} <= found


def test_absent_and_additional_documents(stores, jobs):
    less = dict(list(jobs.items())[1:])
    assert fields(compare.run(stores, less)) == {("postgres", "document")}
    more = {**jobs, "not there": list(jobs.values())[0]}
    assert fields(compare.run(stores, more)) == {("postgres", "document")}
    report = compare.run(stores, more, partial=True)
    assert not report.differences, report.text()
    assert report.counts["jobs that are in no store"] == 1
    deleted = {**jobs, "not there": None}
    assert not compare.run(stores, deleted, partial=False).differences


def test_what_may_be_there_for_a_time(stores):
    run = stores.neo4j.execute_query
    run("CREATE (:Tombstone {saga_id: 'dead'}), (:Entity {key: $k, type: 'T',"
        " name: 'n'})", k=compare.in_neo4j.entity_key("T", "n"))
    key = in_redis.live_key(stores, AWKWARD["id"])
    text = stores.redis.getdel(key)
    try:
        report = compare.run(stores)
        assert not report.differences, report.text()
        assert len(report.collectable["neo4j"]) == 2
        assert report.counts["live keys in redis"] == 10
    finally:
        stores.redis.set(key, text, ex=3600)
        run("MATCH (n) WHERE n:Tombstone OR (n:Entity AND NOT (n)--()) DELETE n")


@pytest.mark.parametrize("wrong, right, field", [
    ("MATCH (:Document)-[m:MENTIONS]->(:Entity {type: 'A'}) SET m.words = ['a']",
     "MATCH (:Document)-[m:MENTIONS]->(:Entity {type: 'A'}) SET m.words = ['a', 'b']",
     "words"),
    ("MATCH (:Entity)-[r:SELF]->() SET r.saga_id = 'dead'",
     "MATCH (:Entity)-[r:SELF]->() SET r.saga_id = $saga", "[SELF]"),
    ("MATCH (:Document)-[m:MENTIONS]->(:Entity {type: 'B'}) SET m.x = 1",
     "MATCH (:Document)-[m:MENTIONS]->(:Entity {type: 'B'}) REMOVE m.x", "x"),
    ("CREATE (:Stranger)", "MATCH (n:Stranger) DELETE n", "Stranger"),
    ("MATCH (d:Document {saga_id: $saga}) CREATE (:Tombstone {saga_id: d.saga_id})",
     "MATCH (t:Tombstone) DELETE t", "tombstone"),
])
def test_errors_in_the_graph(stores, wrong, right, field):
    saga = str(stores.postgres.execute(
        "SELECT version FROM documents WHERE id = %s", (AWKWARD["id"],)).fetchone()[0])
    stores.neo4j.execute_query(wrong, saga=saga)
    try:
        assert any(field in d.field for d in compare.run(stores).differences)
    finally:
        stores.neo4j.execute_query(right, saga=saga)
    assert not compare.run(stores).differences


def test_errors_in_postgresql(stores, jobs):
    name = AWKWARD["id"]
    changes = [
        ("UPDATE documents SET metadata = jsonb_set(metadata, '{t}', '1') WHERE id = %s",
         "metadata"),
        ("UPDATE documents SET ingestion_status = 'PENDING' WHERE id = %s",
         "ingestion_status"),
        ("UPDATE documents SET version = gen_random_uuid() WHERE id = %s",
         "Document node"),
        ("UPDATE documents SET ingestion_status = 'DELETED' WHERE id = %s",
         "deleted, but chunks"),
        ("DELETE FROM documents WHERE id = %s", "chunks without a document"),
        ("UPDATE sagad_ledger SET outcome = 'aborted' WHERE document_id = %s",
         "outcome in the ledger"),
        ("UPDATE entities SET name = 'x' WHERE ordinal = 1 AND document_id = %s",
         "entities"),
    ]
    for change, field in changes:
        with stores.postgres.transaction(force_rollback=True):
            stores.postgres.execute(change, (name,))
            found = compare.run(stores, jobs).differences
            assert field in {d.field for d in found}, change
    assert not compare.run(stores, jobs).differences


def test_equality():
    assert model.same(1, 1.0) and not model.same(1, True)
    assert not model.same(2 ** 60, 2 ** 60 + 1)
    assert not model.same({"a": None}, {}) and model.same([1, {}], [1, {}])


def test_command(environment, stores, tmp_path):
    path = tmp_path / "jobs.jsonl"
    path.write_text("".join(json.dumps(job) + "\n" for job in corpus(10)))
    done = tool(environment, "compare", "--jobs", str(path), "--plant")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no difference" in done.stdout
    assert "10 of 10 planted errors found; all put back" in done.stdout
    path.write_text("")
    done = tool(environment, "compare", "--jobs", str(path))
    assert done.returncode == 1 and "11 differences" in done.stdout
    assert tool(environment, "compare", "--partial").returncode == 2
    nowhere = dict(environment, REDIS_URL="redis://127.0.0.1:1/0")
    assert tool(nowhere, "compare").returncode == 3
