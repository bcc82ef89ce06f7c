"""A configuration that changes under a running daemon, and the daemon's end: drained, hurried, asked over the socket."""

import json
import signal
import subprocess
import time

import pytest

from harness import eventually, program
from harness.daemon import reachable
from harness.documents import DIMS, document

READ_AGAIN = "the configuration was read again"


@pytest.fixture
def daemon(world):
    made = world.running()
    yield made
    if made.is_alive():
        made.kill()


def change(daemon, settings, by=signal.SIGHUP):
    """Write other settings, let the daemon read them, give what the log says from then on."""
    before = len(daemon.log())
    daemon.settings.update(settings)
    daemon.write_config()
    daemon.process.send_signal(by)
    eventually(lambda: READ_AGAIN in daemon.log()[before:] or "stays in force" in daemon.log()[before:], 5)
    return daemon.log()[before:]


def settings(daemon):
    with daemon.admin() as client:
        rows = client.call("sagad.config").result["settings"]
    return {f"{row['section']}.{row['key']}": row for row in rows}


# SIGHUP.

def test_limits_change_for_the_next_line(daemon):
    with daemon.jobs() as client:
        assert client.put(document("before", n_chunks=4)).outcome == "committed"
        said = change(daemon, {"limits.max_chunks": 3, "limits.max_line": "8KiB"})
        assert "limits.max_chunks" in said and "needs a restart" not in said
        assert client.put(document("after", n_chunks=4)).code == "limit_exceeded"
        long = document("long", n_chunks=1)
        long["content"] = "x" * 9000
        client.send("document.put", **long)
        assert client.receive().code == "line_too_long"
        assert client.put(document("short", n_chunks=1)).outcome == "committed"


def test_the_log_level_changes_and_a_reload_undoes_what_was_set_by_hand(daemon):
    change(daemon, {"log.level": "warn"})
    assert settings(daemon)["log.level"]["value"] == "warn"
    with daemon.admin() as client:
        answer = client.call("sagad.log_level", level="debug")
        assert answer.result == {"level": "debug", "previous": "warn"}
        change(daemon, {"log.level": "info"})
        assert client.call("sagad.log_level", level="error").result["previous"] == "info"
        assert client.call("sagad.log_level", level="loud").code == "invalid_field"
        assert client.call("sagad.log_level").code == "missing_field"


def test_what_needs_a_restart_is_named_and_stays(daemon):
    said = change(daemon, {"postgresql.connections": 3, "limits.max_chunks": 77})
    assert "changed: limits.max_chunks; needs a restart: postgresql.connections" in said
    now = settings(daemon)
    assert now["postgresql.connections"]["value"] == "2" and not now["postgresql.connections"]["reloadable"]
    assert now["limits.max_chunks"]["value"] == "77" and now["limits.max_chunks"]["reloadable"]
    assert now["limits.max_chunks"]["origin"].startswith(str(daemon.config))
    # It is named as long as it waits for the restart, and gone after it.
    assert "needs a restart: postgresql.connections" in change(daemon, {})
    daemon.stop()
    daemon.start()
    assert settings(daemon)["postgresql.connections"]["value"] == "3"


@pytest.mark.parametrize("text, words", [
    ("log = { level = \"info\"", "sagad.conf:"),
    ("limits = { max_chunk = 3; };\n", "did you mean `max_chunks`"),
    ("limits = { max_line = \"4 parsecs\"; };\n", "is no size"),
    ("timeouts = { deadline = \"2h\"; };\n", "longer than timeouts.max_deadline"),
])
def test_a_broken_file_keeps_the_old_configuration_and_says_why(daemon, text, words):
    before, log = settings(daemon), len(daemon.log())
    daemon.config.write_text(text)
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: words in daemon.log()[log:], 5)
    assert "the old one stays in force" in daemon.log()[log:]
    assert settings(daemon) == before
    with daemon.jobs() as client:
        assert client.put(document("still")).outcome in ("committed", "unchanged")


def test_a_file_that_is_gone_keeps_the_old_configuration(daemon):
    before = settings(daemon)
    daemon.config.unlink()
    with daemon.admin() as client:
        answer = client.call("sagad.reload")
    assert answer.code == "configuration_invalid" and "cannot be read" in answer.text
    assert settings(daemon) == before


def test_who_may_connect_changes(daemon):
    change(daemon, {"daemon.jobs_uids": [65533]})
    before = daemon.stats()
    command = ["setpriv", "--reuid=65534", "--clear-groups", str(reachable(program("sagactl"))), "--socket",
               str(daemon.jobs_path), "version", "--json"]
    daemon.folder.chmod(0o755)
    daemon.jobs_path.chmod(0o777)
    assert subprocess.run(command, capture_output=True).returncode == 4
    change(daemon, {"daemon.jobs_uids": [65534]})
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert daemon.stats()["committed_total"] == before["committed_total"]


def test_a_reload_under_load_loses_nothing_and_is_quick(daemon, world):
    jobs, times = [document(f"loaded {n}") for n in range(150)], []
    with daemon.jobs() as client, daemon.admin() as admin:
        numbers = [client.send("document.put", **job) for job in jobs]
        for n in range(20):
            daemon.settings["limits.max_chunks"] = 100 + n
            daemon.write_config()
            begun = time.monotonic()
            assert admin.call("sagad.reload").result["changed"] == ["limits.max_chunks"]
            times.append(time.monotonic() - begun)
        assert {client.answer(number).outcome for number in numbers} == {"committed"}
    world.assert_whole(daemon, jobs)
    assert max(times) < 1, times
    print(f"a reload under load: median {sorted(times)[10] * 1e3:.1f} ms, at most {max(times) * 1e3:.1f} ms")


def test_times_of_the_stores_change(daemon, world):
    """PostgreSQL's, also as the server itself was told them; the cache's; how long outcomes are kept."""
    said = change(daemon, {"timeouts.postgresql": "200ms", "timeouts.cache_ttl": "2min", "timeouts.keep_outcomes": "2h",
                           "operations.check_interval": "1s"})
    assert "needs a restart" not in said
    locks = world.readers.postgres

    def put_behind_a_lock(name, for_s):
        """PostgreSQL can't insert for so long; three tries are all that a saga has."""
        with locks.transaction():
            locks.execute("LOCK TABLE documents IN SHARE MODE")
            number = client.send("document.put", **document(name))
            time.sleep(for_s)
        return client.answer(number)

    with daemon.jobs() as client:
        assert client.put(document("cached")).outcome == "committed"
        assert 110 < world.readers.redis.ttl("sagad:doc:{cached}") <= 120
        assert put_behind_a_lock("short", 2.5).store == "postgresql"
        said = change(daemon, {"timeouts.postgresql": "10s", "timeouts.late_write_window": "10s"})
        assert "changed: timeouts.postgresql" in said
        before = daemon.log().count("lock timeout")
        assert put_behind_a_lock("long", 2.5).outcome == "committed"
        assert daemon.log().count("lock timeout") == before
    assert daemon.log().count("made again with other time limits") >= 1


def test_a_new_password_is_used_for_new_connections(world, tmp_path):
    """The server's password changes first, then the file, then SIGHUP."""
    readers, secret = world.readers, tmp_path / "redis"
    secret.write_text("first\n")
    secret.chmod(0o600)
    readers.redis.execute_command("ACL", "SETUSER", "rotated", "on", ">first", "~*", "&*", "+@all")
    url = world.environ["REDIS_URL"].split("@")[-1].removeprefix("redis://").split("/")[0]
    host, port = url.rsplit(":", 1)
    environ = {"REDIS_URL": ""}
    daemon = world.running({"redis.host": host, "redis.port": int(port), "redis.user": "rotated",
                            "redis.password_file": str(secret)}, environ)
    try:
        with daemon.jobs() as client:
            assert client.put(document("old password")).outcome == "committed"
            readers.redis.execute_command("ACL", "SETUSER", "rotated", "<first", ">second")
            readers.redis.execute_command("CLIENT", "KILL", "USER", "rotated")
            assert client.put(document("refused")).outcome == "failed"
            secret.write_text("second\n")
            said = change(daemon, {})
            assert "redis.password" in said and "second" not in daemon.log()
            def is_committed():
                answer = client.put(document("new password"))
                assert answer.outcome in ("committed", "unchanged"), answer
                return True
            eventually(is_committed, 10)
    finally:
        daemon.stop()
        readers.redis.acl_deluser("rotated")


def test_secrets_are_masked(world):
    daemon = world.daemon({"schema.dims": DIMS}, {"QDRANT_API_KEY": "very-secret"}).start()
    row = settings(daemon)["qdrant.api_key"]
    assert (row["value"], row["origin"]) == ("***", "environment QDRANT_API_KEY")
    assert settings(daemon)["redis.password"]["value"] in ("", "***")
    shown = subprocess.run([program("sagactl"), "--admin-socket", daemon.admin_path, "config"], text=True, check=True,
                           capture_output=True).stdout
    assert "very-secret" not in shown + daemon.log() and "***" in shown
    daemon.stop()


# The end.

@pytest.mark.parametrize("how", ["TERM", "INT", "sagad.drain", "sagactl"])
def test_a_stop_finishes_what_runs_and_takes_nothing_new(daemon, world, how):
    jobs = [document(f"drained {n}") for n in range(60)]
    with daemon.jobs() as client:
        numbers = [client.send("document.put", **job) for job in jobs]
        eventually(lambda: daemon.stats()["committed_total"] > 0, 10)
        if how == "sagad.drain":
            with daemon.admin() as admin:
                assert admin.call("sagad.drain").result["drain_timeout_ms"] == 10000
        elif how == "sagactl":
            subprocess.run([program("sagactl"), "--admin-socket", daemon.admin_path, "drain"], check=True,
                           capture_output=True)
        else:
            daemon.process.send_signal(getattr(signal, f"SIG{how}"))
        daemon.wait_log("stopping")
        try:
            late = client.send("document.put", **document("late"))
            outcomes = [client.answer(number) for number in numbers]
            assert client.answer(late).code == "shutting_down"
        except ConnectionError:  # all was done before it came
            outcomes = [client.answer(number) for number in numbers]
    assert daemon.wait_exit() == 0
    kept = [job for job, answer in zip(jobs, outcomes) if answer.outcome == "committed"]
    assert {a.outcome for a in outcomes} <= {"committed", "failed"}
    assert {a.code for a in outcomes if a.outcome == "failed"} <= {"shutting_down"}
    daemon.start()
    world.assert_whole(daemon, kept)


def test_the_drain_is_bounded_and_the_rest_is_put_right_at_the_next_start(world):
    daemon = world.running({"daemon.drain_timeout": "1500ms", "timeouts.store": "30s", "timeouts.deadline": "30s",
                            "timeouts.late_write_window": "30s"})
    world.store("neo4j").pause()
    try:
        with daemon.jobs() as client:
            number = client.send("document.put", **document("stuck"))
            eventually(lambda: daemon.stats()["sagas"] == 1, 5)
            begun = time.monotonic()
            daemon.terminate()
            answer = client.answer(number)
            assert answer.code == "in_doubt" and daemon.wait_exit() == 0
            assert 1.3 < time.monotonic() - begun < 6
    finally:
        world.store("neo4j").resume()
    assert "1 sagas unfinished" in daemon.log()
    daemon.settings["timeouts.late_write_window"] = "2s"
    daemon.settings["timeouts.store"] = "2s"
    daemon.start()
    world.assert_whole(daemon, [], timeout_s=20)


def test_a_second_term_hurries(world):
    daemon = world.running({"daemon.drain_timeout": "60s", "timeouts.store": "30s", "timeouts.deadline": "30s",
                            "timeouts.late_write_window": "30s"})
    world.store("neo4j").pause()
    try:
        with daemon.jobs() as client:
            client.send("document.put", **document("hurried"))
            eventually(lambda: daemon.stats()["sagas"] == 1, 5)
            daemon.terminate()
            daemon.wait_log("stopping")
            time.sleep(0.3)
            assert daemon.is_alive()
            begun = time.monotonic()
            daemon.terminate()
            assert daemon.wait_exit() == 0 and time.monotonic() - begun < 5
    finally:
        world.store("neo4j").resume()


def test_no_reload_while_stopping(world):
    daemon = world.running({"daemon.drain_timeout": "2s", "timeouts.store": "30s", "timeouts.deadline": "30s",
                            "timeouts.late_write_window": "30s"})
    world.store("neo4j").pause()
    try:
        with daemon.jobs() as client:
            client.send("document.put", **document("no reload"))
            eventually(lambda: daemon.stats()["sagas"] == 1, 5)
            daemon.terminate()
            daemon.wait_log("stopping")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_log("isn't read again")
            with daemon.admin() as admin:
                assert admin.call("sagad.reload").code == "shutting_down"
            assert daemon.wait_exit() == 0
    finally:
        world.store("neo4j").resume()


# sagactl.

def test_sagactl_shows_a_reload_and_the_configuration(daemon):
    def run(*arguments):
        return subprocess.run([program("sagactl"), "--admin-socket", daemon.admin_path, *arguments], text=True,
                              capture_output=True)
    assert run("reload").stdout == "nothing has changed\n"
    daemon.settings.update({"limits.max_chunks": 9, "postgresql.connections": 3})
    daemon.write_config()
    assert run("reload").stdout == "in force: limits.max_chunks\nneeds a restart: postgresql.connections\n"
    assert "limits.max_chunks" in run("config").stdout
    assert json.loads(run("config", "--json").stdout)["settings"]
    assert "debug" in run("log-level", "debug").stdout
    loud = run("log-level", "loud")
    assert loud.returncode == 4 and "must be debug" in loud.stderr and loud.stdout == "", loud
    assert run("log-level").returncode == 2 and run("log-level", "a", "b").returncode == 2
    daemon.config.write_text("nonsense")
    bad = run("reload")
    assert bad.returncode == 4 and "stays in force" in bad.stderr and bad.stdout == ""


def test_sagactl_stats_watches(daemon):
    watching = subprocess.Popen([program("sagactl"), "--admin-socket", daemon.admin_path, "stats", "--watch=1"], text=True,
                                stdout=subprocess.PIPE)
    with daemon.jobs() as client:
        time.sleep(0.4)
        client.put(document("watched"))
    time.sleep(1.5)
    watching.terminate()
    shown = watching.communicate()[0]
    assert shown.count("\nphase ") + shown.startswith("phase ") >= 2
    assert "+1" in shown
