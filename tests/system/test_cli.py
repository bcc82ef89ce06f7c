"""The command lines of sagactl and sagad: what people see, what programs read, exit codes, errors by file and line."""

import json
import os
import subprocess

import pytest
from qdrant_client import models

from harness import documents, eventually, program
from harness.documents import document

OK, SOME_FAILED, USAGE, UNREACHABLE, REFUSED = range(5)


@pytest.fixture(scope="module")
def daemon(world):
    return world.running()


@pytest.fixture
def ctl(daemon, tmp_path):
    """sagactl on this daemon's sockets; gives exit code, standard output, standard error."""
    def run(*arguments, stdin="", **environ):
        environ = {"PATH": os.environ["PATH"], "SAGAD_SOCKET": str(daemon.jobs_path),
                   "SAGAD_ADMIN_SOCKET": str(daemon.admin_path), **environ}
        done = subprocess.run([program("sagactl"), *map(str, arguments)], input=stdin, capture_output=True, text=True,
                              env=environ, cwd=tmp_path, timeout=60, check=False)
        assert "\033" not in done.stdout + done.stderr, "colours without a terminal"
        return done.returncode, done.stdout, done.stderr
    return run


def lines_of(jobs):
    return "".join(json.dumps(job) + "\n" for job in jobs)


def test_put_status_delete_for_people(ctl, tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(document("one"), indent=2))
    code, out, err = ctl("put", "one.json")
    assert (code, err) == (OK, "") and out.startswith("committed one (3 chunks)\n") and "version" in out
    code, out, _ = ctl("put", "one.json")
    assert code == OK and out.startswith("unchanged one")
    code, out, _ = ctl("status", "one")
    assert code == OK and out.startswith("one present") and "chunks     3" in out and "written" in out
    code, out, _ = ctl("delete", "one")
    assert code == OK and out.startswith("deleted one")
    code, out, _ = ctl("status", "one")
    assert code == SOME_FAILED and out.startswith("one deleted")
    assert ctl("status", "never was")[0] == SOME_FAILED
    assert ctl("delete", "one")[1].startswith("absent one")


def test_put_from_standard_input_with_options_as_json(ctl):
    text = json.dumps(document("two"))
    code, out, _ = ctl("put", "-", "--json", "--key", "k2", "--cache-ttl", "60", "--deadline", "9000", stdin=text)
    first = json.loads(out)
    assert code == OK and first["outcome"] == "committed" and first["stored"] is False
    again = json.loads(ctl("put", "-", "--json", "--key", "k2", stdin=text)[1])
    assert again["stored"] is True and again["version"] == first["version"]
    code, out, err = ctl("put", "-", "--if-version", "none", stdin=json.dumps(document("two", mark="x")))
    assert code == REFUSED and "conflict" in err and out == ""
    found = json.loads(ctl("status", "two", "--json")[1])
    assert found["presence"] == "present" and found["version"] == first["version"]
    code, out, _ = ctl("delete", "two", "--json", "--if-version", first["version"])
    assert code == OK and json.loads(out)["outcome"] == "deleted"


def test_put_accepted_and_the_status_of_a_job(ctl):
    out = json.loads(ctl("put", "-", "--accepted", "--json", stdin=json.dumps(document("three")))[1])
    assert out["outcome"] == "accepted"
    code, shown, _ = ctl("status", "--job", out["job"])
    assert code == OK and shown.startswith("job ")
    code, _, _ = ctl("status", "--job", "00000000-0000-7000-8000-000000000000")
    assert code == SOME_FAILED


def test_a_refusal_names_place_and_reason(ctl):
    wanted = document("bad")
    wanted["chunks"][1]["embedding"][2] = "x"
    code, out, err = ctl("put", "-", stdin=json.dumps(wanted))
    assert code == REFUSED and out == ""
    assert "invalid_field" in err and "chunks[1].embedding[2]" in err and "bad" in err
    code, out, err = ctl("put", "-", "--json", stdin=json.dumps(wanted))
    assert code == REFUSED
    assert json.loads(out or err)["data" if "data" in json.loads(out or err) else "error"]


def test_load_counts_and_keeps_what_failed_so_that_it_can_be_loaded_again(ctl, world, daemon, tmp_path):
    jobs = [document(f"load {n}") for n in range(100)]
    for n in (7, 50, 99):
        del jobs[n]["chunks"][0]["embedding"]
    path = tmp_path / "docs.jsonl"
    path.write_text(lines_of(jobs) + "\n{ not json\n")
    code, out, err = ctl("load", path)
    assert code == SOME_FAILED and "97 documents" in out and "4 failed" in out
    for words in ("line 8", "line 51", "line 100", "missing_field", "chunks[0].embedding"):
        assert words in err
    failed = tmp_path / "docs.jsonl.failed.jsonl"
    lines = failed.read_text().splitlines()
    assert len(lines) == 4 and sum("not json" in line for line in lines) == 1
    mended = [document(json.loads(line)["id"]) for line in lines if "not json" not in line]
    failed.write_text(lines_of(mended))
    code, out, _ = ctl("load", failed)
    assert code == OK and "3 documents" in out
    world.assert_whole(daemon)


def test_load_from_standard_input_as_json(ctl, tmp_path):
    code, out, err = ctl("load", "-", "--json", "--failed", tmp_path / "no.jsonl", "--window", "5",
                         stdin=lines_of(document(f"stdin {n}") for n in range(20)))
    assert code == OK, err
    last = json.loads(out.splitlines()[-1])
    assert last["documents"] == 20 and last["failed"] == 0 and last["per_second"] > 0
    assert not (tmp_path / "no.jsonl").exists()


def test_load_of_a_missing_file(ctl):
    code, _, err = ctl("load", "nowhere.jsonl")
    assert code == USAGE and "nowhere.jsonl" in err and "No such file" in err


def test_stores(ctl, world):
    code, out, _ = ctl("stores")
    rows = {line.split()[0]: line for line in out.splitlines()[1:] if line}
    assert code == OK and out.splitlines()[0].startswith("STORE")
    for name in ("postgresql", "qdrant", "neo4j", "redis"):
        assert rows[name].split()[1] == "up", out
    for secret in (world.environ["POSTGRES_PASSWORD"], world.environ["NEO4J_PASSWORD"]):
        assert secret not in out
    found = {row["name"]: row for row in json.loads(ctl("stores", "--json")[1])["stores"]}
    assert found["neo4j"]["version"].startswith("5.26") and found["redis"]["version"].startswith("7.")
    assert found["postgresql"]["latency_ms"] > 0 and found["qdrant"]["owed"] == 0


def test_stores_with_one_down(ctl, world):
    world.store("redis").stop()
    try:
        code, out, _ = ctl("stores")
        row = next(line for line in out.splitlines() if line.startswith("redis "))
        assert code == OK and row.split()[1] == "down"
        assert any(line.startswith("redis: ") for line in out.splitlines())
    finally:
        world.start("redis")


def test_stats(ctl):
    code, out, _ = ctl("stats")
    assert code == OK and any(line.split() == ["sagas", "0"] for line in out.splitlines())
    assert json.loads(ctl("stats", "--json")[1])["parked"] == 0


def test_version(ctl):
    code, out, _ = ctl("version")
    assert code == OK and out.startswith("sagactl ") and "protocol 1" in out


def test_init_again_changes_nothing_and_a_wrong_dimension_is_refused(ctl):
    code, out, _ = ctl("init", "--dims", "4")
    assert code == OK and "created" not in out
    assert [line.split(":")[0] for line in out.splitlines() if ": " in line] == ["postgresql", "qdrant", "neo4j", "redis"]
    code, out, _ = ctl("init", "--dims", "4", "--check")
    assert code == OK
    for check in ([], ["--check"]):
        code, out, err = ctl("init", "--dims", "5", *check)
        assert code == REFUSED and "schema_mismatch" in err
        assert "4" in out + err and "5" in out + err and "qdrant" in out + err
    assert ctl("init", "--dims", "4", "--distance", "dot")[0] == REFUSED


def test_no_daemon(tmp_path):
    for command in (["put", "-"], ["status", "x"], ["load", "-"], ["stores"]):
        done = subprocess.run([program("sagactl"), *command, "--socket", tmp_path / "no.sock", "--admin-socket",
                               tmp_path / "no.sock"], input="{}", capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode == UNREACHABLE and "no.sock" in done.stderr, (command, done)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["put"], ["put", "a", "b"], ["status"], ["load"], ["init", "x"],
                                       ["init", "--dims", "0"], ["init", "--dims", "many"], ["put", "-", "--fly"]],
                         ids=lambda a: " ".join(a) or "nothing")
def test_wrong_usage(ctl, arguments):
    code, out, err = ctl(*arguments)
    assert code == USAGE and err and not out


@pytest.mark.parametrize("command", ["", "put", "load", "status", "delete", "init", "stores", "sagas", "stats", "version"])
def test_help_teaches(ctl, command):
    code, out, err = ctl(*command.split(), "--help")
    assert (code, err) == (OK, "") and "Usage: sagactl" in out
    assert ("Example" if command else "Exit codes") in out
    assert all(len(line) <= 100 for line in out.splitlines())


# With daemons of their own, which end the shared one.

def test_load_the_corpus_and_compare(world, tmp_path):
    daemon = world.running(dims=384)
    jobs = documents.corpus(30)
    (tmp_path / "corpus.jsonl").write_text(lines_of(jobs))
    done = subprocess.run([program("sagactl"), "load", "corpus.jsonl", "--socket", daemon.jobs_path], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == OK, done.stderr
    report = world.assert_whole(daemon, jobs)
    assert report.counts["documents"] == 30
    assert daemon.stop() == 0


def test_init_creates_what_is_asked_for(world):
    """Collection, quantization, HNSW parameters and payload indexes, read by the official client."""
    world.reset()
    for row in world.cypher("SHOW CONSTRAINTS YIELD name"):
        world.cypher(f"DROP CONSTRAINT `{row['name']}`")
    daemon = world.daemon().launch()
    eventually(daemon.admin_path.exists)
    done = subprocess.run([program("sagactl"), "init", "--admin-socket", daemon.admin_path, "--dims", "8", "--distance",
                           "dot", "--hnsw-m", "24", "--hnsw-ef-construct", "80", "--on-disk", "--quantize-int8"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == OK, done.stderr
    found = world.readers.qdrant.get_collection("documents")
    vectors = found.config.params.vectors
    assert (vectors.size, vectors.distance, vectors.on_disk) == (8, models.Distance.DOT, True)
    assert (found.config.hnsw_config.m, found.config.hnsw_config.ef_construct) == (24, 80)
    assert found.config.quantization_config.scalar.type == models.ScalarType.INT8
    assert {"document_id", "saga_id"} <= set(found.payload_schema)
    rows = world.cypher("SHOW CONSTRAINTS YIELD labelsOrTypes AS labels, properties")
    assert sorted((row["labels"], row["properties"]) for row in rows) == [
        (["Entity"], ["key"]), (["SagadStep"], ["key"]), (["Version"], ["saga_id"])]
    assert daemon.stop() == 0


# sagad's own.

def sagad(*arguments, **environ):
    done = subprocess.run([program("sagad"), *map(str, arguments)], capture_output=True, text=True, timeout=20,
                          env={"PATH": os.environ["PATH"], **environ}, check=False)
    return done.returncode, done.stdout, done.stderr


def test_sagad_version_names_libraries_and_what_this_build_cannot_do():
    code, out, _ = sagad("--version")
    assert code == 0 and out.startswith("sagad ")
    for library in ("libuv", "libpq", "hiredis", "libcurl", "yyjson", "SQLite", "libconfig", "nettle"):
        assert library.lower() in out.lower(), library
    assert "Redis over TLS:" in out


def test_sagad_help():
    code, out, _ = sagad("--help")
    assert code == 0 and "Exit codes" in out and "--take-over" in out and "POSTGRES_HOST" in out
    assert sagad("--fly")[0] == USAGE and sagad("argument")[0] == USAGE


def check(tmp_path, text, *options, **environ):
    path = tmp_path / "sagad.conf"
    path.write_text(text)
    path.chmod(0o600)
    return (*sagad("-c", path, "--check-config", *options, **environ), path)


CONFIG_FAULTS = [
    ("daemon = {\n  journl = \"x\";\n};\n", 2, "journl", "journal"),
    ("deamon = {\n};\n", 1, "deamon", "daemon"),
    ("limits = {\n\n  max_line = \"1k\";\n};\n", 3, "max_line", "4"),
    ("limits = {\n  max_chunks = \"many\";\n};\n", 2, "max_chunks", "many"),
    ("timeouts = {\n  store = \"10 parsecs\";\n};\n", 2, "store", "parsecs"),
    ("schema = {\n  distance = \"far\";\n};\n", 2, "distance", "cosine"),
    ("schema = {\n  on_disk = 7;\n};\n", 2, "on_disk", "true"),
    ("daemon = {\n  journal = \"a\";\n  journal = \"b\";\n};\n", 3, "duplicate", ""),
    ("daemon = {\n  journal = ;\n};\n", 2, "syntax", ""),
    ("timeouts = {\n  store = \"2s\";\n  late_write_window = \"1s\";\n};\n", 3, "late_write_window", "shorter"),
    ("neo4j = {\n  url = \"bolt://localhost\";\n};\n", 2, "url", "http://"),
]


@pytest.mark.parametrize("text, line, key, words", CONFIG_FAULTS, ids=[row[2] for row in CONFIG_FAULTS])
def test_check_config_names_file_line_and_key(tmp_path, text, line, key, words):
    code, out, err, path = check(tmp_path, text)
    assert code == USAGE and out == ""
    assert f"{path}" in err and key in err and words in err, err
    assert f"{path}:{line}:" in err, err


def test_check_config_tells_all_faults_at_once(tmp_path):
    code, _, err, _ = check(tmp_path, "daemon = {\n  a = 1;\n  b = 2;\n};\nlimits = {\n  max_chunks = 0;\n};\n")
    assert code == USAGE and all(f":{n}:" in err for n in (2, 3, 6)), err


def test_check_config_shows_values_with_their_origin_and_no_secret(tmp_path):
    text = "postgresql = {\n  host = \"from-file\";\n  password = \"hidden-secret\";\n  port = 1111;\n};\n"
    code, out, err, path = check(tmp_path, text, "-o", "postgresql.port=3333", POSTGRES_PORT="2222",
                                 NEO4J_PASSWORD="other-secret", QDRANT_HOST="from-environment")
    assert code == 0, err
    assert "hidden-secret" not in out + err and "other-secret" not in out + err

    def line_of(text):
        return next(line for line in out.splitlines() if text in line)
    assert f"{path.name}:2" in line_of("from-file")
    assert "QDRANT_HOST" in line_of("from-environment")
    assert "command line" in line_of("3333") and "2222" not in out and "1111" not in out


def test_a_secret_file_that_others_can_read_is_an_error(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open-secret\n")
    secret.chmod(0o644)
    code, out, err, _ = check(tmp_path, "postgresql = {\n  password_file = \"%s\";\n};\n" % secret)
    assert code == USAGE and "chmod" in err and "open-secret" not in out + err
    secret.chmod(0o600)
    assert check(tmp_path, "postgresql = {\n  password_file = \"%s\";\n};\n" % secret)[0] == 0


def test_the_template_is_a_valid_configuration(tmp_path):
    code, out, _ = sagad("--print-config-template")
    assert code == 0
    assert check(tmp_path, out)[0] == 0


def test_a_configuration_with_a_fault_is_never_used(tmp_path):
    path = tmp_path / "sagad.conf"
    path.write_text("daemon = {\n  nonsense = 1;\n};\n")
    code, _, err = sagad("-c", path)
    assert code == USAGE and "nonsense" in err
    assert sagad("-c", tmp_path / "missing.conf")[0] == USAGE
