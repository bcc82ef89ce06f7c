"""/metrics, /healthz and /readyz: by promtool, against what happened, and through a real Prometheus that scrapes a daemon
under load and must have data for every series that the alerts and the dashboard use."""

import json
import re
import socket
import subprocess
import threading
import time

import pytest
from harness import Operations, eventually
from harness.daemon import CHECKOUT
from harness.documents import document
from harness.operations import OPERATIONS, free_port, tool
from harness.prometheus import ALERTS, Prometheus

DASHBOARD = CHECKOUT / "conf" / "grafana" / "sagad.json"
# A series of the program's own names: sagad_store_up{store="redis"} with what stands in the braces.
SELECTOR = re.compile(r"\b((?:sagad|process)_[a-z_]+|up)(\{[^}]*\})?")


@pytest.fixture(scope="module")
def kept():
    """The daemon that tests share. A database has one owner, so it is stopped for those that want one of their own."""
    return {"daemon": None}


def stop_kept(kept):
    if kept["daemon"] is not None:
        kept["daemon"].stop()
    kept["daemon"] = None


@pytest.fixture
def daemon(world, kept):
    if kept["daemon"] is None:
        kept["daemon"] = world.running(OPERATIONS)
    return kept["daemon"]


@pytest.fixture
def operations(daemon):
    made = Operations(daemon)
    made.wait_ready()
    return made


@pytest.fixture
def alone(kept):
    stop_kept(kept)


def increase(operations, act):
    """What the metrics grew by while `act` ran."""
    before = operations.metrics()
    act()
    after = operations.metrics()
    return {name: after[name] - before[name] for name in after if after[name] != before.get(name)}


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_restart_is_the_only_change_of_the_start_time(operations):
    """An alert counts its changes."""
    seen = {operations.metrics()["process_start_time_seconds"] for _ in range(5)}
    assert len(seen) == 1 and abs(seen.pop() - time.time()) < 600


# ---- promtool ----

def test_promtool_accepts_the_metrics(operations):
    checked = run(tool("promtool"), "check", "metrics", input=operations.text("/metrics"))
    assert checked.returncode == 0 and not checked.stdout and not checked.stderr, checked


def test_promtool_proves_every_alert():
    assert run(tool("promtool"), "check", "rules", str(ALERTS)).returncode == 0
    tested = run(tool("promtool"), "test", "rules", str(ALERTS.with_name("alerts_test.yml")))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    proofs = ALERTS.with_name("alerts_test.yml").read_text()
    manual = (CHECKOUT / "docs" / "operations.md").read_text()
    for name in re.findall(r"- alert: (\w+)", ALERTS.read_text()):
        fires = rf"alertname: {name}\n\s+exp_alerts: \[\{{"
        assert re.search(fires, proofs), f"no test lets {name} fire"
        assert f"\n### {name}\n" in manual, f"docs/operations.md doesn't say what to do about {name}"


# ---- against what happened ----

def test_counts_what_happened(daemon, operations):
    def act():
        with daemon.jobs() as client:
            assert client.put(document("counted"), idempotency_key="counted").outcome == "committed"
            assert client.put(document("counted"), idempotency_key="counted").outcome == "committed"
            assert client.put(document("counted")).outcome == "unchanged"
            assert client.put(document("counted", mark="2")).outcome == "committed"
            assert client.put(document("counted"), if_version="absent").code in ("conflict", "invalid_field")
            assert client.put({"id": "counted", "colour": "red"}).code == "unknown_field"
            assert client.delete("counted").outcome == "deleted"
            assert client.delete("never-there").outcome == "absent"
    grown = increase(operations, act)
    outcomes = {name: grown.get(f'sagad_sagas_total{{outcome="{name}"}}', 0)
                for name in ("committed", "replayed", "unchanged", "deleted", "absent", "failed")}
    assert outcomes == {"committed": 2, "replayed": 1, "unchanged": 1, "deleted": 1, "absent": 1, "failed": 0}
    assert grown['sagad_refusals_total{reason="unknown_field"}'] == 1
    assert grown["sagad_saga_duration_seconds_count"] >= 6
    assert grown['sagad_store_request_duration_seconds_count{store="qdrant",operation="apply"}'] == 2
    assert grown['sagad_store_request_duration_seconds_count{store="postgresql",operation="pivot"}'] == 3
    assert grown["sagad_journal_commit_duration_seconds_count"] >= 3
    assert 0 < grown["sagad_saga_duration_seconds_sum"] < 30


def test_no_label_and_no_name_comes_from_a_client(daemon, operations):
    before = {series.split(" ")[0] for series in operations.metrics()}
    with daemon.jobs() as client:
        client.put(document('x"} 1\nsagad_ready 0\n#'))
        client.call("no.such\nmethod")
        client.put(document("fine"), idempotency_key='key"} 1')
    after = {series.split(" ")[0] for series in operations.metrics()}
    assert after == before
    assert len(after) < 1500


def test_histograms_are_whole(operations):
    metrics = operations.metrics()
    for series, count in metrics.items():
        name, _, labels = series.partition("{")
        if not name.endswith("_count"):
            continue
        labels = labels.rstrip("}")
        base = name.removesuffix("_count")
        found = [(key, number) for key, number in metrics.items()
                 if key.startswith(f"{base}_bucket{{{labels}{',' if labels else ''}le=")]
        numbers = [number for _, number in found]
        assert len(found) == 20 and numbers == sorted(numbers) and numbers[-1] == count, series


# ---- health ----

def test_ready_says_what_is_missing(world, operations):
    assert operations.get("/readyz")[::2] == (200, "ready\n")
    world.store("redis").kill()
    try:
        eventually(lambda: operations.get("/readyz")[0] == 503, 5)
        assert operations.get("/readyz")[2].startswith("redis")
        assert operations.get("/healthz")[0] == 200
        assert operations.metrics()['sagad_store_up{store="redis"}'] == 0
        assert operations.metrics()["sagad_ready"] == 0
    finally:
        world.mend()
    operations.wait_ready()
    assert operations.metrics()['sagad_store_up{store="redis"}'] == 1


def test_not_ready_before_there_is_a_schema(world, alone):
    world.reset()
    daemon = world.daemon(OPERATIONS).launch()
    daemon.wait_log("started")
    operations = Operations(daemon)
    status, _, reasons = operations.get("/readyz")
    assert status == 503 and reasons.strip()
    assert operations.get("/healthz")[0] == 200
    daemon.init(dims=4)
    operations.wait_ready()
    assert daemon.stop() == 0


def test_a_drain_is_seen(world, alone):
    daemon = world.running({**OPERATIONS, "daemon.drain_timeout": "4s", "timeouts.deadline": "3s", "retry.max_tries": 100})
    operations = Operations(daemon)
    world.store("qdrant").kill()
    try:
        with daemon.jobs() as client:
            number = client.send("document.put", **document("slow"))
            eventually(lambda: operations.metrics()['sagad_sagas{state="projecting"}'] == 1, 5)
            daemon.terminate()
            eventually(lambda: operations.metrics()["sagad_drain_elapsed_seconds"] > 0.5, 5)
            metrics = operations.metrics()
            assert metrics['sagad_phase{phase="draining"}'] == 1 and metrics["sagad_ready"] == 0
            assert metrics["sagad_drain_timeout_seconds"] == 4
            assert "stops" in operations.get("/readyz")[2]
            assert not client.answer(number).is_ok
        assert daemon.wait_exit() == 0
    finally:
        world.mend()


def test_a_taken_port_is_said_in_one_line(world, operations):
    other = world.daemon({"operations.listen": operations.place}).launch()
    assert other.wait_exit() == 3
    assert f"operations.listen: another program listens on {operations.place}" in other.log()


def test_the_next_daemon_takes_the_port_over(world, alone):
    old = world.running({**OPERATIONS, "operations.listen": f"127.0.0.1:{free_port()}"})
    operations, first = Operations(old), old.process
    next_one = world.daemon(old.settings, journal=old.journal)
    for place in ("jobs_path", "admin_path", "config", "log_path"):
        setattr(next_one, place, getattr(old, place))
    next_one.launch("--replace")
    assert first.wait(20) == 0
    next_one.wait_ready()
    assert operations.metrics()["sagad_owner_epoch"] == 2
    assert next_one.stop() == 0


def test_can_be_off_and_checks_its_address(world, alone):
    daemon = world.daemon({"operations.listen": "example.org:80"})
    daemon.write_config()
    checked = run(*daemon.command("--check-config"), env=daemon.environment())
    assert checked.returncode == 2 and "operations.listen" in checked.stderr and "127.0.0.1:7242" in checked.stderr
    off = world.daemon({"operations.listen": ""}).launch()
    off.wait_log("started")
    assert "status page" not in off.log()
    off.kill()


# ---- a real Prometheus ----

def dashboard_queries():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "15s").replace("$instance", ".*")


def alert_expressions():
    text = ALERTS.read_text()
    for block in text.split("- alert: ")[1:]:
        expression = re.search(r"expr: (\|\n(?:\s{10,}.*\n)+|.*\n)", block)[1]
        yield block.split("\n")[0], expression.lstrip("|")


def load(daemon, is_over, counts):
    """Puts, overwrites and deletes until told to stop."""
    with daemon.jobs() as client:
        n = 0
        while not is_over.is_set():
            numbers = [client.send("document.put", **document(f"load-{(n + i) % 120}", mark=str(n // 120)))
                       for i in range(12)]
            numbers.append(client.send("document.delete", id=f"load-{n % 120}"))
            for number in numbers:
                try:
                    counts.append(client.answer(number, 30).outcome)
                except (TimeoutError, socket.timeout, ConnectionError):
                    return
            n += 12


@pytest.fixture(scope="module")
def prometheus(world, kept, tmp_path_factory):
    """After some seconds of load, an outage among them; the load goes on."""
    stop_kept(kept)
    daemon = world.running(OPERATIONS)
    operations = Operations(daemon)
    operations.wait_ready()
    made = Prometheus(tmp_path_factory.mktemp("prometheus"), operations.place, ALERTS)
    is_over, counts = threading.Event(), []
    worker = threading.Thread(target=load, args=(daemon, is_over, counts))
    try:
        worker.start()
        time.sleep(6)
        world.store("neo4j").kill()
        time.sleep(4)
        world.mend()
        time.sleep(8)
        made.counts = counts
        yield made
    finally:
        is_over.set()
        worker.join(60)
        made.close()
        world.mend()
        daemon.stop()


@pytest.mark.parametrize("name", ["alerts", "dashboard"])
def test_every_series_that_is_used_has_data(prometheus, name):
    expressions = list(alert_expressions() if name == "alerts" else dashboard_queries())
    assert len(expressions) >= 13
    missing, selectors = [], set()
    for where, expression in expressions:
        found = SELECTOR.findall(re.sub(r'"[^"]*"', lambda text: text[0].replace("sagad_", "sagad."), expression))
        assert found, where
        for metric, matchers in found:
            # Labels in `by (...)` are no metrics: only what Prometheus knows by that name counts.
            selectors.add(metric + matchers.replace("sagad.", "sagad_"))
    for selector in sorted(selectors):
        if not prometheus.query(f"count({selector})"):
            missing.append(selector)
    assert not missing
    assert len(selectors) > 10


def test_every_query_of_the_dashboard_gives_numbers(prometheus):
    empty = []
    for title, expression in dashboard_queries():
        result = prometheus.query(expression)
        if not result and "> 0" not in expression:
            empty.append((title, expression))
        assert all(row["value"][1] not in ("NaN", "+Inf") for row in result) or "/" in expression, (title, result)
    assert not empty


def test_every_alert_is_evaluated_without_a_fault(prometheus):
    rules = prometheus.alerts()
    assert set(rules) == {name for name, _ in alert_expressions()}
    assert all(rule["health"] == "ok" for rule in rules.values()), rules


def test_prometheus_counts_what_the_clients_were_told(prometheus):
    assert "committed" in prometheus.counts and "failed" in prometheus.counts
    told = len(prometheus.counts)
    eventually(lambda: float(prometheus.query("sum(sagad_sagas_total)")[0]["value"][1]) >= told, 10)
    assert float(prometheus.query('max_over_time(sagad_compensations_total[1m])')[0]["value"][1]) > 0
    assert prometheus.query('min_over_time(sagad_store_up{store="neo4j"}[1m]) == 0')
