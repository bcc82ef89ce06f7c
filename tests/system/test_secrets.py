"""Secrets stay where they belong: while all that can fail fails, passwords and keys are looked for in whatever the
daemon says or keeps: log, journal, answers, status page, metrics, configuration as shown, and a core dump."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest
from harness import World, eventually
from harness.daemon import CHECKOUT, Daemon, program
from harness.documents import document
from harness.operations import OPERATIONS, Operations

# What nobody could mistake for anything else; of each kind one that needs escapes.
WRONG = {
    "postgresql": "Hidden-pg-%20\"'\\-7Q",
    "qdrant": "Hidden-qdrant-key-8R",
    "neo4j": "Hidden-neo4j:@/-9S",
    "redis": "Hidden-redis-@:-4T",
}
FAST = {"retry.max_tries": 2, "timeouts.deadline": "3s", "log.level": "debug"}


def spellings(secret: str) -> set[str]:
    """The ways in which a secret could be written down."""
    quoted = json.dumps(secret)[1:-1]
    return {secret, quoted, json.dumps(quoted)[1:-1], urllib.parse.quote(secret), urllib.parse.quote(secret, safe="")}


def assert_unseen(secrets: list[str], places: dict[str, str | bytes]) -> None:
    for secret in secrets:
        for spelling in spellings(secret):
            for place, text in places.items():
                content = text if isinstance(text, bytes) else text.encode()
                assert spelling.encode() not in content, f"{place} shows a secret"


def said(daemon: Daemon) -> dict[str, str | bytes]:
    """All that a running daemon says about itself, and what it keeps."""
    operations = Operations(daemon)
    places: dict[str, str | bytes] = {"the log": daemon.log()}
    for path in ("/", "/metrics", "/healthz", "/readyz"):
        places[f"operations {path}"] = "".join(map(str, operations.get(path)))
    with daemon.admin() as client:
        for method in ("sagad.config", "store.list", "sagad.stats", "sagad.reload"):
            places[method] = json.dumps(client.call(method).message)
    command = [str(program("sagactl")), "--admin-socket", str(daemon.admin_path), "config"]
    places["sagactl config"] = subprocess.run(command, capture_output=True, check=True).stdout
    check = subprocess.run(daemon.command("--check-config"), env=daemon.environment(), capture_output=True, check=True)
    places["--check-config"] = check.stdout + check.stderr
    for path in daemon.journal.parent.glob(f"{daemon.journal.name}*"):
        places[path.name] = path.read_bytes()
    return places


def wrong_environment(world: World) -> dict[str, str]:
    redis = urllib.parse.urlsplit(world.environ["REDIS_URL"])
    return {
        "POSTGRES_PASSWORD": WRONG["postgresql"],
        "QDRANT_API_KEY": WRONG["qdrant"],
        "NEO4J_PASSWORD": WRONG["neo4j"],
        "REDIS_URL": f"redis://:{urllib.parse.quote(WRONG['redis'], safe='')}@{redis.hostname}:{redis.port}/0",
    }


def real_secrets(world: World) -> list[str]:
    environ = world.environ
    redis = urllib.parse.urlsplit(environ["REDIS_URL"]).password
    found = [environ["POSTGRES_PASSWORD"], environ["QDRANT_API_KEY"], environ["NEO4J_PASSWORD"], redis]
    assert all(secret and len(secret) > 7 for secret in found)
    return [str(secret) for secret in found]


# What is refused.


def test_secrets_that_every_store_refuses(world: World) -> None:
    world.reset()
    daemon = world.daemon({**OPERATIONS, **FAST, "schema.dims": 4}, wrong_environment(world)).launch()
    eventually(daemon.admin_path.exists, 10)

    def is_down() -> bool:
        with daemon.admin() as client:
            rows = [row for row in client.call("store.list").result["stores"] if row["name"] in WRONG]
        assert len(rows) == len(WRONG) and all(row["error"] for row in rows), rows
        return True

    eventually(is_down, 20)
    with daemon.jobs() as client:
        answer = json.dumps(client.put(document("refused")).message)
    with daemon.admin() as client:
        answer += json.dumps(client.call("store.init", dims=4).message)
    assert_unseen(list(WRONG.values()), {**said(daemon), "answers": answer})
    daemon.kill()
    time.sleep(5)  # Neo4j takes no password at all for 5 s after three wrong ones


def test_secrets_while_connections_break(world: World) -> None:
    answers = ""
    with world.proxies() as (proxies, environ):
        daemon = world.running({**OPERATIONS, **FAST}, environ)
        for name, proxy in proxies.items():
            for fault in (proxy.reset, proxy.refuse, proxy.hold):
                fault()
                with daemon.jobs() as client:
                    answers += json.dumps(client.put(document(f"without {name}")).message)
            proxy.passes()
        assert_unseen(real_secrets(world), {**said(daemon), "answers": answers})
        daemon.kill()


def check_config(path: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = [str(program("sagad")), "-c", str(path), "--check-config"]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environ}, check=False)


def test_secrets_in_a_broken_configuration(world: World, tmp_path: Path) -> None:
    texts = [
        'redis: { password = "Hidden-1" pasword = "Hidden-2"; };',
        'redis: { pasword = "Hidden-1"; }; neo4j: { password = [ "Hidden-2" ]; };',
        'redis: { url = "redis://:Hidden-1@host:0/x"; }; qdrant: { api_key = 17; };',
        'neo4j: { url = "http://neo4j:Hidden-1@host"; password = "Hidden-2"; password_file = "x"; };',
    ]
    for text in texts:
        path = tmp_path / "sagad.conf"
        path.write_text(text)
        path.chmod(0o600)
        told = check_config(path, {})
        assert told.returncode == 2, text
        assert_unseen(["Hidden-1", "Hidden-2"], {"what is wrong": told.stdout + told.stderr})
    path.write_text("")
    told = check_config(path, {"REDIS_URL": "redis://:Hidden-1@host:port", "NEO4J_URL": "ftp://u:Hidden-2@host"})
    assert told.returncode == 2
    assert_unseen(["Hidden-1", "Hidden-2"], {"what is wrong": told.stdout + told.stderr})


def test_secrets_of_a_daemon_that_works(world: World) -> None:
    daemon = world.running({**OPERATIONS, **FAST})
    with daemon.jobs() as client:
        ways = ("committed", "accepted") * 3
        answers = [client.put(document(f"good {n}"), wait=wait).message for n, wait in enumerate(ways)]
    assert_unseen(real_secrets(world), {**said(daemon), "answers": json.dumps(answers)})
    assert daemon.stop() == 0


# A core dump.


def crash(world: World, settings: dict[str, object]) -> tuple[bool, list[Path]]:
    """Ends a daemon by SIGABRT where a core dump may be as large as it likes: did the kernel write one, and where?"""
    for earlier in world.daemons:
        earlier.kill()
    world.reset()
    daemon = world.daemon({"schema.dims": 4, **settings})
    daemon.build = CHECKOUT / "build/release"  # a sanitizer's dump would have all of its shadow memory in it
    daemon.launch()
    world.init(daemon)
    daemon.wait_ready()
    limit = resource.RLIM_INFINITY
    resource.prlimit(daemon.process.pid, resource.RLIMIT_CORE, (limit, limit))
    os.kill(daemon.process.pid, signal.SIGABRT)
    _, status = os.waitpid(daemon.process.pid, 0)
    daemon.process.returncode = -signal.SIGABRT  # waitpid() has taken it
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status), list(daemon.folder.glob("core*"))


@pytest.mark.skipif(os.getuid() != 0, reason="raising RLIMIT_CORE needs root")
def test_a_crash_leaves_no_core_dump(world: World) -> None:
    assert crash(world, {}) == (False, [])


@pytest.mark.skipif(os.getuid() != 0, reason="raising RLIMIT_CORE needs root")
def test_a_core_dump_can_be_asked_for(world: World) -> None:
    """Also the proof that the test before could have failed."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    has_dumped, files = crash(world, {"daemon.core_dumps": True})
    if pattern.startswith("|") and not has_dumped:
        pytest.skip(f"core_pattern hands dumps to a program that isn't here: {pattern.strip()}")
    assert has_dumped
    if pattern.strip() == "core":
        secret = real_secrets(world)[0].encode()
        assert files and any(secret in path.read_bytes() for path in files), "what a dump holds"
