"""Every alert of conf/prometheus/alerts.yml for real: its cause is brought about at a running daemon with real stores,
a Prometheus sees it fire, the steps of docs/operations.md are followed, and it ends.

The rules are the kept ones with shorter windows and holds, so that each takes seconds instead of minutes.
"""

import contextlib
import re
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest
from harness import Operations, eventually, program
from harness.daemon import CHECKOUT
from harness.documents import document
from harness.operations import free_port
from harness.prometheus import ALERTS, Prometheus, shortened
from harness.web import WebService

WINDOW_S, FOR_S = 10, 2
MANUAL = (CHECKOUT / "docs" / "operations.md").read_text()


class Load:
    """Puts small documents, so many under way, until the block ends; what the answers said is in `codes`."""

    def __init__(self, daemon, n_at_once=4):
        self.daemon, self.n_at_once = daemon, n_at_once
        self.codes, self.is_over = [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        n = 0
        while not self.is_over.is_set():
            with contextlib.suppress(OSError), self.daemon.jobs(20) as client:
                while not self.is_over.is_set():
                    numbers = [client.send("document.put", **document(f"load-{(n + i) % 50}", mark=str(n)))
                               for i in range(self.n_at_once)]
                    self.codes += [client.answer(number).code for number in numbers]
                    n += self.n_at_once
                    time.sleep(0.1)
            time.sleep(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join(30)


class Ward:
    """Where daemons are watched: one address that Prometheus scrapes, whichever daemon runs there."""

    def __init__(self, world, folder):
        self.world = world
        self.listen = f"127.0.0.1:{free_port()}"
        rules = folder / "alerts.yml"
        rules.write_text(shortened(ALERTS, WINDOW_S, FOR_S))
        self.prometheus = Prometheus(folder, self.listen, rules)
        self.table = []

    def daemon(self, settings=None, environ=None):
        return self.world.running({"operations.listen": self.listen, "operations.check_interval": "200ms",
                                   **(settings or {})}, environ)

    @contextlib.contextmanager
    def expect(self, name, **labels):
        """The block brings the cause about and waits for nothing; then the alert must fire."""
        began = time.monotonic()
        yield
        fired = self.prometheus.wait_firing(name, **labels)
        assert f"### {name}" in MANUAL and fired["annotations"]["runbook"].endswith(f"#{name.lower()}")
        self.table.append([name, time.monotonic() - began])

    def ends(self, name):
        """What the manual says has been done: the alert ends."""
        began = time.monotonic()
        self.prometheus.wait_quiet(name)
        self.table[-1].append(time.monotonic() - began)


def ctl(daemon, *command):
    """What sagactl prints."""
    done = subprocess.run([program("sagactl"), "--socket", daemon.jobs_path, "--admin-socket", daemon.admin_path,
                           *command], text=True, capture_output=True, timeout=30, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def ward(world, tmp_path_factory):
    made = Ward(world, tmp_path_factory.mktemp("alerts"))
    yield made
    made.prometheus.close()
    print(f"\nalerts for real (windows of {WINDOW_S} s, held for {FOR_S} s):")
    for name, fired_s, *ended_s in made.table:
        print(f"  {name:22} fired after {fired_s:5.1f} s, ended after {ended_s[0] if ended_s else 0:5.1f} s")


@pytest.fixture
def through(world):
    """Proxies that can fail, and the environment that leads through them."""
    with world.proxies() as made:
        yield made


@pytest.fixture(autouse=True)
def nobody_left(world):
    yield
    for daemon in world.daemons:
        daemon.kill()
    world.mend()


def section(name):
    return re.search(rf"### {name}\n(.*?)(?=\n### |\Z)", MANUAL, re.S)[1]


def test_each_alert_has_its_entry_and_its_test_here():
    names = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    assert len(names) == 14
    for name in names:
        assert "*Look*:" in section(name) and "*Do*:" in section(name), name
        assert f'expect("{name}"' in (CHECKOUT / "tests" / "system" / "test_alerts.py").read_text(), name


def test_down(ward):
    daemon = ward.daemon()
    with ward.expect("SagadDown"):
        daemon.kill()
    daemon.start()
    ward.ends("SagadDown")


def test_not_ready(ward, world):
    daemon = ward.daemon()
    daemon.stop()
    world.store("postgresql").stop()
    with ward.expect("SagadNotReady"):
        daemon.launch()
        eventually(lambda: "status page on" in daemon.log(), 10)
    code, _, said = Operations(daemon).get("/readyz")
    assert code == 503 and "postgresql" in said.lower(), said
    assert re.search(r"postgresql +down", ctl(daemon, "stores"))
    world.store("postgresql").start()
    ward.ends("SagadNotReady")
    with daemon.jobs() as client:
        assert client.put(document("again")).outcome == "committed"


@pytest.mark.parametrize("store", ["postgresql", "qdrant", "neo4j", "redis"])
def test_store_down(ward, world, store):
    daemon = ward.daemon()
    with ward.expect("SagadStoreDown", store=store):
        world.store(store).kill()
    shown = ctl(daemon, "stores")
    assert re.search(rf"{store} +down", shown) and re.search(rf"^{store}: \S+", shown, re.M), shown
    world.start(store)
    ward.ends("SagadStoreDown")
    with daemon.jobs() as client:
        eventually(lambda: client.put(document("again")).is_ok, 10)


def test_slow(ward, through):
    proxies, environ = through
    daemon = ward.daemon({"timeouts.store": "5s", "timeouts.late_write_window": "6s"}, environ)
    with Load(daemon) as load:
        with ward.expect("SagadSlow"):
            proxies["qdrant"].arm("delay", request=b"PUT /collections", seconds=2.4, times=1000)
        slow = [line for line in daemon.log().splitlines() if 'msg="slow saga' in line]
        stages = [re.search(r'stages="([^"]*)"', line)[1] for line in slow]
        spent = [dict(part.rsplit(" ", 1) for part in each.split(", ")) for each in stages]
        assert spent and all(float(each["projecting"][:-2]) > 2000 for each in spent), slow
        stores = {row["name"]: row for row in Operations(daemon).status()["stores"]}
        assert stores.keys() >= {"qdrant", "neo4j"}
        proxies["qdrant"].passes()
        ward.ends("SagadSlow")
        assert set(load.codes) == {None}


def test_failing(ward, world):
    daemon = ward.daemon()
    with Load(daemon):
        with ward.expect("SagadFailing"):
            world.store("redis").kill()
        failures = Operations(daemon).status()["failures"]
        assert failures and failures[0]["store"] == "redis" and failures[0]["code"] == "store_unavailable", failures
        assert "code=store_unavailable store=redis" in daemon.log()
        world.start("redis")
        ward.ends("SagadFailing")


def test_compensating(ward, world):
    daemon = ward.daemon()
    with Load(daemon):
        with ward.expect("SagadCompensating"):
            world.readers.postgres.execute("ALTER TABLE documents ADD CONSTRAINT short"
                                           " CHECK (length(title) < 3) NOT VALID")
        assert "code=store_refused store=postgresql" in daemon.log()
        assert "short" in next(line for line in daemon.log().splitlines() if "code=store_refused" in line)
        world.readers.postgres.execute("ALTER TABLE documents DROP CONSTRAINT short")
        ward.ends("SagadCompensating")


def test_parked(ward, through):
    proxies, environ = through
    daemon = ward.daemon({"timeouts.park_after": "1s", "timeouts.parked_retry": "10min"}, environ)
    with daemon.jobs() as client:
        assert client.put(document("old")).outcome == "committed"
        with ward.expect("SagadParked", store="qdrant"):
            proxies["qdrant"].refuse()
            assert client.delete("old").outcome == "deleted"
        parked = ctl(daemon, "sagas", "list", "--state=parked")
        assert "old" in parked and "qdrant" in parked, parked
        assert "not reached" in Operations(daemon).text("/")
        proxies["qdrant"].passes()
        ctl(daemon, "sagas", "retry", "--store=qdrant")
        ward.ends("SagadParked")
    assert daemon.stats()["parked"] == 0 and "no longer parked: done" in daemon.log()


def test_saga_parked(ward):
    service = WebService(lambda seen: (503, {}) if seen.method == "DELETE" else (400 if seen.path == "/bad" else 200, {}))
    daemon = ward.daemon({"sagas.enabled": True, "sagas.services": f"shop url={service.url}", "sagas.undo_base": "20ms",
                          "sagas.undo_cap": "100ms", "sagas.park_after": "1s", "sagas.parked_retry": "10min"})
    steps = [{"name": name, "service": "shop", "do": {"method": "PUT", "path": f"/{name}"},
              "undo": {"method": "DELETE", "path": f"/{name}"}} for name in ("good", "bad")]
    with daemon.jobs() as client:
        with ward.expect("SagadSagaParked"):
            saga = client.call("saga.run", steps=steps, wait="accepted").result["saga_id"]
        assert saga in ctl(daemon, "sagas", "list", "--state=parked")
        shown = ctl(daemon, "sagas", "show", saga)
        assert re.search(r"good .*undo_waiting", shown), shown
        service.answer = lambda seen: (200, {})
        ctl(daemon, "sagas", "retry", saga)
        ward.ends("SagadSagaParked")
        eventually(lambda: client.call("saga.get", id=saga).result["state"] == "compensated", 10)
    service.close()


def test_debts_growing(ward, through):
    proxies, environ = through
    daemon = ward.daemon({"retry.max_tries": 2, "timeouts.park_after": "10min"}, environ)
    with daemon.jobs(120) as client:
        made = client.put_all([document(f"d{n}", n_chunks=1, n_entities=0) for n in range(400)])
        assert {answer.outcome for answer in made} == {"committed"}
        with ward.expect("SagadDebtsGrowing", store="qdrant"):
            proxies["qdrant"].refuse()
            for n in range(400):
                assert client.delete(f"d{n}").outcome == "deleted"
                time.sleep(0.02)
                if n > 120 and ward.prometheus.firing("SagadDebtsGrowing"):
                    break
        assert daemon.stats()["owed_qdrant"] > 100
        proxies["qdrant"].passes()
        ward.ends("SagadDebtsGrowing")
        eventually(lambda: daemon.stats()["owed_qdrant"] == 0, 20)


def test_in_doubt(ward, world, through):
    proxies, environ = through
    daemon = ward.daemon({"timeouts.deadline": "6s"}, environ)
    with daemon.jobs() as client:
        with ward.expect("SagadInDoubt"):
            proxies["postgresql"].arm("swallow", request=b"COMMIT", until=b"COMMIT\0", times=1000)
            number = client.send("document.put", **document("doubtful"))
            eventually(lambda: proxies["postgresql"].n_struck > 0, 10)
            proxies["postgresql"].refuse()
        assert client.answer(number).code == "in_doubt"
        proxies["postgresql"].passes()
        ward.ends("SagadInDoubt")
        eventually(lambda: client.status("doubtful").get("presence") in ("present", "absent"), 10)
    world.assert_whole(daemon)


def test_journal_slow(ward):
    """Somebody's sqlite3 shell holds the file's lock again and again: commits take more than a second."""
    daemon = ward.daemon()
    is_over = threading.Event()

    def hold():
        with contextlib.closing(sqlite3.connect(daemon.journal, isolation_level=None, timeout=20)) as shell:
            while not is_over.is_set():
                shell.execute("BEGIN IMMEDIATE")
                time.sleep(1.6)
                shell.execute("ROLLBACK")
                time.sleep(0.05)
    shell = threading.Thread(target=hold)
    with Load(daemon, 1) as load:
        try:
            with ward.expect("SagadJournalFailing"):
                shell.start()
        finally:
            is_over.set()
            shell.join()
        ward.ends("SagadJournalFailing")
        assert set(load.codes) <= {None, "deadline_exceeded"}, set(load.codes)


def test_journal_full(ward, world, tmp_path):
    """The disk is full: the daemon stops itself, and is started again and again. Freed, it goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)], capture_output=True,
                             text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        daemon = ward.daemon()
        daemon.stop()
        daemon.journal = disk / "journal.sqlite"
        daemon.start("--take-over")
        filler = disk / "filler"
        with ward.expect("SagadJournalFailing"):
            for _ in range(4):
                with contextlib.suppress(OSError):
                    filler.write_bytes(bytes(1 << 20))
                with contextlib.suppress(OSError), daemon.jobs() as client:
                    client.put(document("full", mark=str(time.monotonic())), wait="accepted", on_unchanged="write")
                assert daemon.wait_exit(20) == 4, daemon.log()[-2000:]
                assert shutil.disk_usage(disk).free < 65536 and "journal" in daemon.log()
                filler.write_bytes(b"")  # systemd starts it again; it is full once more at the next commit
                daemon.start()
                time.sleep(1.2)
        filler.unlink()
        with daemon.jobs() as client:
            eventually(lambda: client.put(document("after")).is_ok, 20)
        ward.ends("SagadJournalFailing")
    finally:
        daemon.kill()
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


def test_admission_blocked(ward, world):
    """PostgreSQL's files are put back to an earlier moment."""
    daemon = ward.daemon()
    server = world.store("postgresql")
    copy = server.data.with_name("data-before")
    with daemon.jobs() as client:
        eventually(lambda: client.put(document("kept")).is_ok, 10)
        server.stop()
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", server.data, copy], check=True)
        server.start()
        eventually(lambda: client.put(document("lost")).is_ok, 20)
        with ward.expect("SagadAdmissionBlocked"):
            server.stop()
            shutil.rmtree(server.data)
            copy.rename(server.data)
            server.start()
            eventually(lambda: client.put(document("refused")).code == "time_went_back", 20)
        assert "admission has stopped" in daemon.log()
    found = world.compare()
    assert "lost" in found.text(), "the comparison shows what PostgreSQL lacks"
    daemon.stop()
    daemon.start()
    ward.ends("SagadAdmissionBlocked")
    with daemon.jobs() as client:
        assert client.put(document("lost")).outcome == "committed"


def test_overloaded(ward, through):
    proxies, environ = through
    daemon = ward.daemon({"limits.max_sagas": 2}, environ)
    proxies["redis"].arm("delay", seconds=0.05, times=100000)
    with Load(daemon, 40) as load:
        with ward.expect("SagadOverloaded"):
            pass
        assert "overloaded" in load.codes and daemon.stats()["sagas"] <= 2
        daemon.settings["limits.max_sagas"] = 1000
        daemon.write_config()
        assert "in force: limits.max_sagas" in ctl(daemon, "reload")
        ward.ends("SagadOverloaded")


def test_drain_not_ending(ward, world):
    """The journal can't be written while the daemon stops: what runs can't be noted."""
    daemon = ward.daemon({"daemon.drain_timeout": "500ms"})
    shell = sqlite3.connect(daemon.journal, isolation_level=None, timeout=20)
    with contextlib.closing(shell), daemon.jobs() as client:
        shell.execute("BEGIN IMMEDIATE")
        client.send("document.put", **document("waits"))
        eventually(lambda: daemon.stats()["sagas"] == 1, 5)
        with ward.expect("SagadDrainNotEnding"):
            daemon.terminate()
        daemon.terminate()  # once more, as the manual says
        daemon.wait_exit(20)
    daemon.start()
    ward.ends("SagadDrainNotEnding")
    world.assert_whole(daemon)
