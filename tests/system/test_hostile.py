"""Clients that mean harm: those who may not connect, floods of connections up to the limit of descriptors, half lines,
and numbers without end. Whoever behaves is served meanwhile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from harness import World, eventually
from harness.client import Answer, Client
from harness.daemon import Daemon, program
from harness.documents import document

NOBODY = 65534
DESCRIPTORS = 300  # RLIMIT_NOFILE of the daemon under a flood
GOOD_JOBS = 25
ANSWER_SECONDS_MAX = 8.0  # of a good client's job in the middle of a flood; the daemon's deadline is 10 s

# A client of another user: sends what it is told, prints what comes until the end.
STRANGER = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
try:
    client.sendall(sys.stdin.buffer.read())
except OSError:
    pass
answer = b""
while True:
    try:
        data = client.recv(65536)
    except ConnectionResetError:
        break
    if not data:
        break
    answer += data
sys.stdout.buffer.write(answer)
"""


@pytest.fixture
def daemon(world: World) -> Iterator[Daemon]:
    made = world.running({"limits.max_line": "1MiB", "limits.max_clients": 1000})
    made.folder.chmod(0o755)
    yield made
    assert made.stop() == 0


def as_stranger(path: str, data: bytes, uid: int = NOBODY, gid: int = NOBODY) -> subprocess.CompletedProcess[bytes]:
    who = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    return subprocess.run(
        [*who, "/usr/bin/python3", "-c", STRANGER, path], input=data, capture_output=True, timeout=30, check=False
    )


# Who may connect.


def a_job(name: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "document.put", "params": document(name)}).encode() + b"\n"


@pytest.mark.skipif(os.getuid() != 0, reason="other users' clients need root")
@pytest.mark.parametrize(
    "socket_name, keys",
    [("jobs", {"daemon.jobs_uids": [65533]}), ("jobs", {"daemon.jobs_gids": [65533]}), ("admin", {})],
    ids=["uid", "gid", "administration"],
)
def test_a_stranger_is_closed_before_a_byte_is_parsed(world: World, socket_name: str, keys: dict[str, object]) -> None:
    daemon = world.running({**keys, "operations.listen": "127.0.0.1:0"})
    path = daemon.jobs_path if socket_name == "jobs" else daemon.admin_path
    daemon.folder.chmod(0o755)
    path.chmod(0o777)  # the file's mode lets everybody in: what counts is what the kernel says of the peer
    told = as_stranger(str(path), b"{ no JSON\n" + a_job("a stranger's"))
    lines = told.stdout.splitlines()
    assert len(lines) == 1, told
    answer = Answer(json.loads(lines[0]))
    assert answer.code == "forbidden" and answer.id is None
    assert "uid 65534" in daemon.log() and "a stranger's" not in daemon.log()
    with daemon.jobs() as client:
        assert client.status("a stranger's")["presence"] == "absent"
    assert daemon.stop() == 0


@pytest.mark.skipif(os.getuid() != 0, reason="other users' clients need root")
def test_the_administration_socket_is_the_owners(daemon: Daemon) -> None:
    assert daemon.admin_path.stat().st_mode & 0o777 == 0o600 and daemon.admin_path.stat().st_uid == os.getuid()
    told = as_stranger(str(daemon.admin_path), b"")
    assert told.returncode != 0 and b"PermissionError" in told.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="other users' clients need root")
def test_a_group_that_is_allowed_is_served(world: World) -> None:
    daemon = world.running({"daemon.jobs_gids": [65533]})
    daemon.folder.chmod(0o755)
    daemon.jobs_path.chmod(0o777)
    told = as_stranger(str(daemon.jobs_path), b'{"jsonrpc":"2.0","id":1,"method":"sagad.nothing"}\n', gid=65533)
    assert told.stdout == b"", "it must wait for more, not be closed"
    assert daemon.stop() == 0


# Floods.


class Flood(threading.Thread):
    """Runs `attack` again and again until the end of the with block."""

    def __init__(self, attack: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.attack, self.is_over, self.n_attacks = attack, threading.Event(), 0
        self.surprises: list[BaseException] = []

    def run(self) -> None:
        while not self.is_over.is_set():
            try:
                self.attack()
            except OSError:
                time.sleep(0.005)
            except AssertionError as surprise:
                self.surprises.append(surprise)
            self.n_attacks += 1

    def __enter__(self) -> Flood:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.join(30)
        assert self.n_attacks > 0 and not self.surprises, self.surprises[:3]


def connect(path: object) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(5)
    made.connect(str(path))
    return made


def serve_meanwhile(client: Client, mark: str) -> list[float]:
    """A good client's jobs, one after the other: each is committed, and how long it took."""
    took = []
    for n in range(GOOD_JOBS):
        began = time.monotonic()
        answer = client.put(document(f"good {n}", mark=mark))
        took.append(time.monotonic() - began)
        assert answer.outcome == "committed", answer
    return sorted(took)


def assert_served(client: Client, mark: str) -> None:
    took = serve_meanwhile(client, mark)
    print(f"{mark}: median {took[len(took) // 2] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms")
    assert took[-1] < ANSWER_SECONDS_MAX, took


def test_a_flood_of_connections_leaves_others_served(world: World) -> None:
    world.reset()
    daemon = world.daemon({"limits.max_clients": 100000, "schema.dims": 4})
    daemon.prefix = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    daemon.launch()
    world.init(daemon)
    daemon.wait_ready()
    held: list[socket.socket] = []

    def attack() -> None:
        if len(held) >= 2 * DESCRIPTORS:
            held.pop(0).close()
        held.append(connect(daemon.jobs_path))

    with daemon.jobs() as client:
        serve_meanwhile(client, "before")  # Neo4j translates its statements
        with Flood(attack) as flood:
            eventually(lambda: flood.n_attacks > 2 * DESCRIPTORS, 20)
            assert_served(client, "connections")
            assert len(os.listdir(f"/proc/{daemon.process.pid}/fd")) <= DESCRIPTORS
        for other in held:
            other.close()
        assert_served(client, "after")
    with daemon.jobs() as newcomer:
        assert eventually(lambda: newcomer.call("sagad.hello").is_ok, 10)
    assert daemon.stop() == 0


def test_a_flood_of_half_lines_leaves_others_served(daemon: Daemon) -> None:
    """Together far more than limits.max_buffered would hold, if every one of them were kept."""
    half = b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"' + b"x" * 900_000
    before = daemon.memory_bytes()
    held: list[socket.socket] = []

    def attack() -> None:
        if len(held) >= 200:
            held.pop(0).close()
        held.append(connect(daemon.jobs_path))
        held[-1].sendall(half)

    with daemon.jobs() as client, Flood(attack) as flood:
        eventually(lambda: flood.n_attacks > 250, 30)
        assert_served(client, "half lines")
    for other in held:
        other.close()
    # A sanitizer keeps up to as much again of what was freed (its quarantine_size_mb).
    is_sanitized = b"__asan_init" in program("sagad").read_bytes()
    assert daemon.memory_bytes() < before + (256 << 20) * (2 if is_sanitized else 1)


NUMBERS = [
    b"9" * 100_000,
    b"1e" + b"9" * 100_000,
    b"-1e999999999",
    b"0." + b"0" * 200_000 + b"1",
    b"1" + b"0" * 400 + b".5",
    b"18446744073709551616",
]


@pytest.mark.parametrize("where", ["deadline_ms", "chunks", "metadata", "id"])
def test_huge_numbers_are_refused_and_leave_others_served(daemon: Daemon, where: str) -> None:
    fields = {
        "deadline_ms": b'"id":"n","deadline_ms":%s',
        "chunks": b'"id":"n","chunks":[{"text":"t","embedding":[%s,0,0,0]}]',
        "metadata": b'"id":"n","entities":[{"type":"T","name":"n","properties":{"p":%s}}]',
        "id": b'"id":"n","chunks":[{"text":"t","embedding":[0,%s]}]',
    }
    line = b'{"jsonrpc":"2.0","id":%s,"method":"document.put","params":{%s}}\n'
    lines = [line % (number if where == "id" else b"1", fields[where] % number) for number in NUMBERS]
    seen: list[str | None] = []

    def attack() -> None:
        with closing(Client(daemon.jobs_path)) as other:
            for each in lines:
                other.send_bytes(each)
                seen.append(other.receive().code)

    with daemon.jobs() as client, Flood(attack):
        assert_served(client, f"huge numbers in {where}")
    permanent = {"invalid_field", "invalid_request", "parse_error", "limit_exceeded", "line_too_long"}
    tiny = {"chunks", "metadata"}  # 0.000…1 is a number like others there
    assert set(seen) - permanent <= ({None, "invalid_vector"} if where in tiny else set()), set(seen)


def test_deep_nesting_is_refused_and_leaves_others_served(daemon: Daemon) -> None:
    deep = b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"n","metadata":' + b'{"a":' * 100_000 + b"1"
    deep += b"}" * 100_000 + b"}}\n"

    def attack() -> None:
        with closing(Client(daemon.jobs_path)) as other:
            other.send_bytes(deep)
            assert other.receive().code == "limit_exceeded"

    with daemon.jobs() as client, Flood(attack):
        assert_served(client, "deep nesting")


