"""The unit under a real systemd, as it is installed: sockets, credentials, hardening, reload, watchdog, restarts, and
what an upgrade does to the jobs of that moment."""

import json
import os
import threading
import time

import pytest
from harness import Client, eventually
from harness.daemon import SETTINGS, config_text
from harness.documents import DIMS, document
from harness.machine import SYSTEMD, Machine

pytestmark = [
    pytest.mark.skipif(not SYSTEMD.exists(), reason="systemd isn't installed"),
    pytest.mark.skipif(os.getuid() != 0, reason="a systemd of the test's own needs root"),
]
SECRETS = {"postgresql": "POSTGRES_PASSWORD", "qdrant": "QDRANT_API_KEY", "neo4j": "NEO4J_PASSWORD"}


def settings(world):
    """Everything in the file; passwords by their credentials."""
    environ, url = world.environ, world.environ["REDIS_URL"]
    host, port = url.split("@")[1].split("/")[0].split(":")
    return {**SETTINGS, "timeouts.store": "10s", "timeouts.postgresql": "10s", "timeouts.late_write_window": "10s",
            "timeouts.deadline": "30s", "log.level": "info", "schema.dims": DIMS,
            "postgresql.host": environ["POSTGRES_HOST"],
            "postgresql.port": int(environ["POSTGRES_PORT"]), "postgresql.user": environ["POSTGRES_USER"],
            "postgresql.database": environ["POSTGRES_DB"], "postgresql.password_file": "sagad_postgresql",
            "qdrant.host": environ["QDRANT_HOST"], "qdrant.port": int(environ["QDRANT_PORT"]),
            "qdrant.api_key_file": "sagad_qdrant", "neo4j.url": environ["NEO4J_URL"],
            "neo4j.user": environ["NEO4J_USER"], "neo4j.password_file": "sagad_neo4j", "redis.host": host,
            "redis.port": int(port), "redis.password_file": "sagad_redis"}


@pytest.fixture(scope="module")
def machine(world, tmp_path_factory):
    setup = world.running()
    assert setup.stop() == 0
    secrets = {name: world.environ[variable] for name, variable in SECRETS.items()}
    secrets["redis"] = world.environ["REDIS_URL"].split(":")[2].split("@")[0]
    made = Machine(tmp_path_factory.mktemp("machine"), config_text(settings(world)), secrets)
    try:
        try:
            made.start()
        except AssertionError as error:
            pytest.skip(f"no systemd can be run here: {error}")
        yield made
    finally:
        made.close()


@pytest.fixture
def unit(machine):
    """The service, started by its sockets' and its own names."""
    machine.run("systemctl", "reset-failed")
    started = machine.run("systemctl", "start", "sagad.socket", "sagad-admin.socket", "sagad.service")
    assert started.returncode == 0, started.stderr + machine.run("journalctl", "-u", "sagad", "-n", 20).stdout
    eventually(lambda: "running" in machine.show("sagad", "StatusText")["StatusText"], 20)
    return machine


def jobs(unit):
    return Client(unit.path("/run/sagad/jobs.sock"))


def test_it_runs_hardened_and_takes_documents(unit, world):
    shown = unit.show("sagad", "ActiveState", "StatusText", "MainPID", "NRestarts", "Result", "NoNewPrivileges",
                      "ProtectSystem", "WatchdogUSec")
    assert shown["ActiveState"] == "active" and shown["WatchdogUSec"] == "30s" and shown["ProtectSystem"] == "strict"
    with jobs(unit) as client:
        eventually(lambda: client.put(document("by the unit")).is_ok, 60)
    assert world.row("by the unit") is not None
    status = unit.path(f"/proc/{shown['MainPID']}/status").read_text()
    assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status
    owner = unit.run("stat", "-c", "%U %G %a", "/run/sagad/jobs.sock", "/run/sagad/admin.sock",
                     "/var/lib/sagad/journal.sqlite").stdout.split("\n")
    assert owner[:2] == ["sagad sagad 660", "sagad sagad 600"] and owner[2].startswith("sagad sagad 6"), owner
    eventually(lambda: "1 committed" in unit.show("sagad", "StatusText")["StatusText"], 5)


def test_its_journal_has_the_fields(unit, world):
    world.store("redis").kill()
    try:
        with jobs(unit) as client:
            refused = client.put(document("lost"))
    finally:
        world.start("redis")

    def found():
        said = unit.run("journalctl", "-o", "json", f"SAGA_ID={refused.data['saga_id']}").stdout
        return [json.loads(line) for line in said.splitlines()]
    entry = eventually(found, 10)[0]
    assert entry["_SYSTEMD_UNIT"] == "sagad.service" and entry["STORE"] == "redis" and entry["PRIORITY"] == "4"
    assert entry["DOCUMENT_ID"] == "lost" and entry["_TRANSPORT"] == "journal", entry


def test_a_reload_by_systemctl(unit, world):
    unit.config.write_text(config_text({**settings(world), "limits.max_chunks": 1}))
    assert unit.run("systemctl", "reload", "sagad").returncode == 0
    with jobs(unit) as client:
        eventually(lambda: client.put(document("two", n_chunks=2)).code == "limit_exceeded", 10)
    unit.config.write_text(config_text(settings(world)))
    assert unit.run("systemctl", "reload", "sagad").returncode == 0


def test_killed_it_comes_back(unit):
    before = unit.show("sagad", "NRestarts", "MainPID")
    unit.run("systemctl", "kill", "-s", "KILL", "sagad")
    eventually(lambda: unit.show("sagad", "MainPID", "ActiveState")["MainPID"] not in ("0", before["MainPID"]), 20)
    with jobs(unit) as client:
        eventually(lambda: client.put(document("after the kill")).is_ok, 20)
    assert int(unit.show("sagad", "NRestarts")["NRestarts"]) == int(before["NRestarts"]) + 1


def test_hanging_it_is_ended_by_the_watchdog(unit):
    (unit.path("/run/systemd/system/sagad.service.d")).mkdir(parents=True, exist_ok=True)
    drop = unit.path("/run/systemd/system/sagad.service.d/watchdog.conf")
    drop.write_text("[Service]\nWatchdogSec=1s\n")
    try:
        unit.run("systemctl", "daemon-reload", check=True)
        unit.run("systemctl", "restart", "sagad", check=True)
        eventually(lambda: "running" in unit.show("sagad", "StatusText")["StatusText"], 20)
        time.sleep(2)  # a loop that turns is left alone
        before = unit.show("sagad", "MainPID", "NRestarts")
        unit.run("systemctl", "kill", "-s", "STOP", "sagad")
        eventually(lambda: unit.show("sagad", "NRestarts")["NRestarts"] != before["NRestarts"], 30)
        assert "Watchdog timeout" in unit.run("journalctl", "--no-pager", "-u", "sagad").stdout
    finally:
        drop.unlink()
        unit.run("systemctl", "daemon-reload")
    with jobs(unit) as client:
        eventually(lambda: client.put(document("after the watchdog")).is_ok, 20)


def test_a_wrong_configuration_is_tried_once(unit, world):
    unit.config.write_text("limits = { max_chunk = 3; };\n")
    unit.run("systemctl", "restart", "sagad")
    shown = eventually(lambda: (found := unit.show("sagad", "ActiveState", "ExecMainStatus"))["ActiveState"] == "failed"
                       and found, 10)
    assert shown["ExecMainStatus"] == "2"
    time.sleep(1)
    assert unit.show("sagad", "ActiveState")["ActiveState"] == "failed"
    assert "did you mean `max_chunks`" in unit.run("journalctl", "-u", "sagad", "-n", "20", "--no-pager").stdout
    unit.config.write_text(config_text(settings(world)))


def test_a_restart_under_load_loses_no_job(unit, world):
    """The upgrade of docs/operations.md: the sockets are systemd's, clients wait in them."""
    answered, is_over, n_sent = {}, threading.Event(), 0

    def send(worker):
        nonlocal n_sent
        n = 0
        while not is_over.is_set():
            name = f"upgrade-{worker}-{n}"
            n += 1
            n_sent += 1
            while name not in answered:
                try:
                    with jobs(unit) as client:
                        answer = client.put(document(name, n_chunks=1, n_entities=1), idempotency_key=name)
                    if answer.is_ok:
                        answered[name] = answer.outcome
                    else:
                        assert answer.data["retriable"], answer
                        time.sleep(0.05)
                except (OSError, ConnectionError):
                    time.sleep(0.02)
    workers = [threading.Thread(target=send, args=(n,), daemon=True) for n in range(4)]
    for worker in workers:
        worker.start()
    eventually(lambda: len(answered) > 20, 20)
    before = unit.show("sagad", "MainPID")["MainPID"]
    began = time.monotonic()
    for _ in range(3):
        assert unit.run("systemctl", "restart", "sagad").returncode == 0
    took_s, n_then = time.monotonic() - began, len(answered)
    eventually(lambda: len(answered) > n_then + 20, 30)
    is_over.set()
    for worker in workers:
        worker.join(30)
    assert unit.show("sagad", "MainPID")["MainPID"] != before
    assert len(answered) == n_sent and all(world.row(name) is not None for name in answered)
    print(f"\n3 restarts in {took_s:.1f} s under load: {n_sent} documents sent, {len(answered)} committed")


def test_a_stop_is_clean_and_the_sockets_start_it_again(unit):
    unit.run("systemctl", "stop", "sagad.service", check=True)
    shown = unit.show("sagad", "ActiveState", "Result", "ExecMainStatus", "ExecMainCode")
    assert (shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]) == ("inactive", "success", "0")
    with jobs(unit) as client:  # the socket is systemd's: who connects wakes the service up
        assert eventually(lambda: client.put(document("woken")).is_ok, 20)
    assert unit.show("sagad", "ActiveState")["ActiveState"] == "active"
