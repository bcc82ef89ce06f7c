"""sagabench: it asks for what its options say, and what it expects to be found is there, in all four stores."""

import json
import lzma
import os
import subprocess
from pathlib import Path

import pytest

from harness import program
from harness.documents import CORPUS, DIMS

OK, FAILED, USAGE, UNREACHABLE = range(4)


@pytest.fixture(scope="module")
def shared(world):
    return world.running()


@pytest.fixture
def bench(shared):
    return bench_of(shared)


def bench_of(daemon):
    """Runs it on this daemon's socket; gives exit code, the JSON report or None, standard error."""
    def run(*arguments, stdin=""):
        done = subprocess.run([program("sagabench", under="bench"), "--json", "--dims", str(DIMS), *map(str, arguments)],
                              input=stdin, capture_output=True, text=True, timeout=60, check=False,
                              env={"PATH": os.environ["PATH"], "SAGAD_SOCKET": str(daemon.jobs_path)})
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr
    return run


def found(world):
    """What the stores hold, counted by the official clients."""
    readers = world.readers
    documents, chunks = readers.postgres.execute(
        "SELECT (SELECT count(*) FROM documents WHERE ingestion_status = 'COMPLETED'), (SELECT count(*) FROM chunks)").fetchone()
    mentions = world.cypher("MATCH (:Document)-[m:MENTIONS]->() RETURN count(m) AS n")[0]["n"]
    typed = world.cypher("MATCH (:Entity)-[r]->(:Entity) RETURN count(r) AS n")[0]["n"]
    assert readers.qdrant.count(readers.collection, exact=True).count == chunks
    return {"documents": documents, "chunks": chunks, "mentions": mentions, "relationships": typed}


def test_a_mixed_load_is_found_as_it_was_counted(world, shared, bench):
    code, report, err = bench("--count", 400, "--clients", 4, "--depth", 4, "--overwrites", 0.3, "--shrinks", 0.5,
                              "--duplicates", 0.1, "--deletes", 0.1, "--zipf", 1, "--keys", "--names", 40)
    assert (code, err) == (OK, "")
    assert report["answered"] == 400 == sum(report[kind] for kind in ("inserts", "overwrites", "duplicates", "deletes"))
    assert 80 < report["overwrites"] < 160 and 15 < report["duplicates"] < 70 and 15 < report["deletes"] < 70
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"]
    world.assert_whole(shared)
    assert found(world) == report["expected"]


def test_duplicates_are_recognised(bench):
    shape = ("--prefix", "twice", "--count", 50, "--clients", 1, "--depth", 1)
    assert bench(*shape, "--keys")[0] == OK
    code, report, _ = bench(*shape, "--known", 50, "--duplicates", 1)
    assert code == OK and report["duplicates"] == report["unchanged"] == 50


def test_an_open_loop_keeps_its_rate_and_counts_from_the_intended_start(bench):
    code, report, _ = bench("--prefix", "open", "--rate", 50, "--seconds", 2, "--chunks", 1, "--depth", 100)
    assert code == OK and report["answered"] == 100 and report["late_starts"] == 0
    # One request under way at a time, far more asked for than that can carry: the waiting is part of the latency.
    code, report, _ = bench("--prefix", "late", "--rate", 2000, "--seconds", 0.1, "--clients", 1, "--depth", 1, "--chunks", 1)
    assert code == OK and report["answered"] == 200 and report["late_starts"] > 100
    assert report["latency_ms"]["max"] > 3 * report["latency_ms"]["p50"] / 2 > 100


def test_errors_are_counted_by_code(bench):
    code, report, _ = bench("--prefix", "wrong", "--dims", DIMS + 1, "--count", 20)
    assert code == FAILED and report["failed"] == 20 and report["answered"] == 0
    assert sum(report["codes"].values()) == 20 and report["expected"]["documents"] == 0


@pytest.mark.parametrize("arguments, message", [
    (["--relationships", 3, "--entities", 2], "2 entities have room for 2 relationships, not 3: --relationships"),
    (["--entities", 9, "--names", 8], "--names"), (["--overwrites", 0.9, "--deletes", 0.2], "more than 1"),
    (["--clients", "many"], "--clients takes a number from 1 to 60000, not 'many'"),
    (["--prefix", 'a"b'], "--prefix takes"), (["--file", "/nowhere"], "cannot open /nowhere: No such file or directory"),
    (["--file", "-"], "-:1: not valid JSON at byte"), (["--saga", "-"], "-: not valid JSON at byte"),
    (["--saga", "-", "--known", 3], "--saga is without documents")])
def test_bad_options_are_named(bench, arguments, message):
    code, report, err = bench(*arguments, stdin="{]\n")
    assert code == USAGE and report is None and message in err


def test_a_daemon_that_is_not_there(bench):
    code, report, err = bench("--socket", "/nowhere/jobs.sock")
    assert code == UNREACHABLE and report is None and "is sagad running" in err


# Each on empty stores, with a daemon of its own.


def test_overwriting_what_an_earlier_run_has_put(world):
    daemon = world.running()
    bench = bench_of(daemon)
    shape = ("--prefix", "again", "--chunks", 4, "--entities", 2, "--relationships", 1)
    assert bench(*shape, "--count", 60)[0] == OK
    code, report, _ = bench(*shape, "--count", 100, "--known", 60, "--overwrites", 1, "--shrinks", 0.5, "--seed", 2)
    assert code == OK and report["overwrites"] == 100 and report["unchanged"] == 0
    assert report["expected"]["documents"] == 60 and 2 * 60 < report["expected"]["chunks"] < 4 * 60
    world.assert_whole(daemon)
    assert found(world) == report["expected"]


def test_a_saga_out_of_a_file(world, tmp_path):
    daemon = world.running({"sagas.enabled": True, "sagas.stores": "postgresql"})
    world.readers.postgres.execute("CREATE TABLE ran (id bigserial)")
    (tmp_path / "saga.json").write_text(json.dumps({"steps": [
        {"name": name, "store": "postgresql", "do": {"sql": "INSERT INTO ran DEFAULT VALUES"}, "undo": None}
        for name in ("one", "two")]}, indent=2), encoding="utf-8")

    def n_rows():
        return world.readers.postgres.execute("SELECT count(*) FROM ran").fetchone()[0]
    for _ in range(2):  # the second time every key is known: nothing runs again
        code, report, err = bench_of(daemon)("--saga", tmp_path / "saga.json", "--count", 30, "--keys")
        assert (code, err) == (OK, "") and report["sagas"] == 30 and n_rows() == 60
    code, report, _ = bench_of(daemon)("--saga", tmp_path / "saga.json", "--count", 30)
    assert code == OK and n_rows() == 120


def test_documents_out_of_a_file(world, tmp_path):
    daemon = world.running(dims=384)
    with lzma.open(CORPUS, "rt", encoding="utf-8") as corpus:
        jobs = [json.loads(next(corpus)) for _ in range(5)]
    Path(tmp_path / "jobs.jsonl").write_text("\n\n".join(map(json.dumps, jobs)) + "\n", encoding="utf-8")
    code, report, err = bench_of(daemon)("--file", tmp_path / "jobs.jsonl", "--prefix", "file", "--count", 10)
    assert (code, err) == (OK, "")
    assert report["expected"]["chunks"] == 2 * sum(len(job["chunks"]) for job in jobs)
    world.assert_whole(daemon)
    assert found(world) == report["expected"]


def test_the_contents_can_be_had_without_a_daemon(world, tmp_path):
    """What bench/ gives to those that sagad is held against."""
    command = [program("sagabench", under="bench"), "--dims", str(DIMS), "--chunks", "2", "--entities", "3",
               "--relationships", "1", "--pool", "7", "--socket", "/nowhere/jobs.sock", "--dump"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    documents = [json.loads(line) for line in text.splitlines()]
    assert len(documents) == 7 and len({json.dumps(document) for document in documents}) == 7
    for document in documents:
        assert "id" not in document and len(document["entities"]) == 3 and len(document["relationships"]) == 1
        assert [len(chunk["embedding"]) for chunk in document["chunks"]] == [DIMS, DIMS]
    # They are what a load writes.
    (tmp_path / "jobs.jsonl").write_text(text, encoding="utf-8")
    daemon = world.running()
    code, report, err = bench_of(daemon)("--file", tmp_path / "jobs.jsonl", "--count", 7)
    assert (code, err) == (OK, "") and report["expected"]["chunks"] == 14
    world.assert_whole(daemon)
