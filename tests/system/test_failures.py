"""The failure table: each store fails in each way; what the client is told, what every store holds afterwards.

After each failure: the daemon lives; the comparison finds the same documents in all stores and nothing else, once the
window for late writes is over; and the same document can be put. The rows go into a file (SAGAD_TABLE, default:
build/failure-table.md).
"""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest

from harness import eventually
from harness.daemon import CHECKOUT
from harness.documents import document
from harness.world import STORES

PROJECTIONS = ("qdrant", "neo4j", "redis")
TIMEOUT_S = 1.5
SETTINGS = {"timeouts.store": "1500ms", "timeouts.postgresql": "1500ms", "timeouts.late_write_window": "1500ms",
            "timeouts.deadline": "8s", "retry.max_tries": 2}
# A request of each store's that makes a change, as it looks on the wire, and what its reply must contain to be whole.
WRITES = {"postgresql": (b"COMMIT", b"COMMIT\0"), "qdrant": (b"PUT /collections/documents/points", b"\r\n\r\n"),
          "neo4j": (b"documents", b"errors"), "redis": (b"EVALSHA", b"\r\n")}


class Table:
    """Rows for people, written once at the end."""

    def __init__(self):
        self.rows = []

    def add(self, store, kind, told, held):
        words = ", ".join(f"{name} {count}" for name, count in held.items() if count) or "nothing"
        self.rows.append((store, kind, told, words))

    def write(self):
        path = Path(os.environ.get("SAGAD_TABLE") or CHECKOUT / "build" / "failure-table.md")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["| store | failure | what clients were told | what the stores held of it afterwards |",
                 "|---|---|---|---|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def table():
    made = Table()
    yield made
    made.write()


@pytest.fixture(scope="module")
def ways(world):
    """One proxy before each store; sagad sees the stores through them, the readers don't."""
    with world.proxies() as made:
        yield made


@pytest.fixture(scope="module")
def proxies(ways):
    return ways[0]


@pytest.fixture(scope="module")
def daemon(world, ways):
    return world.running(SETTINGS, ways[1])


@pytest.fixture
def client(daemon):
    with daemon.jobs() as made:
        yield made


@pytest.fixture(autouse=True)
def mended(world, daemon, proxies):
    """Whatever a test did is undone, and the daemon has lived through it."""
    yield
    for proxy in proxies.values():
        proxy.passes()
    world.mend()
    assert daemon.is_alive(), daemon.log()[-3000:]


@pytest.fixture
def name(request):
    return request.node.name.removeprefix("test_")


def told(answer):
    """An answer as the table has it."""
    if answer.is_ok:
        return answer.outcome
    return f"`{answer.code}`" + (f" of {answer.store}" if answer.store else "")


def assert_taken_back(world, daemon, table, row, answer, name):
    """Nothing of the document is left, the table has its row, and the same document can be put."""
    world.assert_whole(daemon, timeout_s=20)
    table.add(*row, told(answer), world.holdings(name))
    world.assert_absent(name)
    assert_works(world, daemon, name)


def assert_works(world, daemon, name):
    def is_committed():
        with daemon.jobs() as client:
            answer = client.put(document(name, mark=" afterwards"))
        assert answer.outcome in ("committed", "unchanged"), answer
        return answer
    eventually(is_committed, 15, pause_s=0.2)
    world.assert_whole(daemon, timeout_s=20)
    assert world.row(name)[1] == f"title of {name} afterwards"


# Refused: the store is stopped.

@pytest.mark.parametrize("store", STORES)
def test_stopped(world, daemon, client, table, store):
    name = f"stopped {store}"
    world.store(store).stop()
    try:
        began = time.monotonic()
        answer = client.put(document(name))
        assert time.monotonic() - began < 10
    finally:
        world.start(store)
    assert answer.code == "store_unavailable" and answer.store == store, answer
    assert answer.data["retriable"] is True and answer.data["retry_after_ms"] > 0
    assert_taken_back(world, daemon, table, (store, "stopped: connections refused"), answer, name)


@pytest.mark.parametrize("store", STORES)
def test_connections_reset(world, daemon, client, table, proxies, store):
    name = f"reset {store}"
    proxies[store].reset()
    answer = client.put(document(name))
    proxies[store].passes()
    assert answer.code == "store_unavailable" and answer.store == store, answer
    assert_taken_back(world, daemon, table, (store, "connections accepted and reset"), answer, name)


# Error replies.

@contextlib.contextmanager
def postgresql_without_a_table(world):
    world.readers.postgres.execute("ALTER TABLE chunks RENAME TO chunks_away")
    try:
        yield
    finally:
        world.readers.postgres.execute("ALTER TABLE chunks_away RENAME TO chunks")


@contextlib.contextmanager
def redis_out_of_memory(world):
    world.readers.redis.config_set("maxmemory", "1")
    try:
        yield
    finally:
        world.readers.redis.config_set("maxmemory", "256mb")


@contextlib.contextmanager
def redis_as_readonly_replica(world):
    world.readers.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        world.readers.redis.execute_command("REPLICAOF", "NO", "ONE")


@contextlib.contextmanager
def neo4j_without_a_constraint(world):
    world.cypher("DROP CONSTRAINT sagad_version")
    try:
        yield
    finally:
        world.cypher("CREATE CONSTRAINT sagad_version IF NOT EXISTS FOR (v:Version) REQUIRE v.saga_id IS UNIQUE")


REPLIES = [("postgresql", "a table is missing", postgresql_without_a_table, {"store_misconfigured", "store_refused"}),
           ("redis", "out of memory (maxmemory)", redis_out_of_memory, {"store_unavailable"}),
           ("redis", "read-only replica", redis_as_readonly_replica, {"store_unavailable", "store_misconfigured"})]


@pytest.mark.parametrize("store, kind, broken, codes", REPLIES, ids=[f"{r[0]} {r[1]}" for r in REPLIES])
def test_error_reply(world, daemon, client, table, store, kind, broken, codes):
    name = f"{store} {kind}"
    with broken(world):
        answer = client.put(document(name))
    assert answer.code in codes and answer.store == store, answer
    assert_taken_back(world, daemon, table, (store, "error reply: " + kind), answer, name)


def test_error_reply_of_qdrant_without_its_collection(world, daemon, client, table):
    """The collection goes with all its points, so the other documents go first."""
    empty(world, daemon, client)
    name = "qdrant without collection"
    world.readers.qdrant.delete_collection("documents")
    answer = client.put(document(name))
    daemon.init(dims=4)
    assert answer.code == "store_misconfigured" and answer.store == "qdrant", answer
    assert "init" in answer.text
    assert_taken_back(world, daemon, table, ("qdrant", "error reply: the collection is missing"), answer, name)


def test_error_reply_of_neo4j_without_its_constraint(world, daemon, client, table, proxies):
    """Found out when Neo4j comes back: without the constraint MERGE would make duplicates."""
    name = "neo4j without constraint"
    with neo4j_without_a_constraint(world):
        proxies["neo4j"].reset()
        assert client.put(document(name)).code == "store_unavailable"
        proxies["neo4j"].passes()
        answer = eventually(lambda: (found := client.put(document(name))).code != "store_unavailable" and found, 10)
        assert answer.code == "store_misconfigured" and answer.store == "neo4j", answer
        assert "init" in answer.text
    assert_taken_back(world, daemon, table, ("neo4j", "a constraint is missing when it comes back"), answer, name)


def empty(world, daemon, client):
    names = [row[0] for row in world.readers.postgres.execute(
        "SELECT id FROM documents WHERE ingestion_status <> 'DELETED'").fetchall()]
    for name in names:
        assert client.delete(name).outcome == "deleted"
    world.assert_whole(daemon)


BAD_PASSWORDS = {"postgresql": ("POSTGRES_PASSWORD", "wrong"), "qdrant": ("QDRANT_API_KEY", "wrong"),
                 "neo4j": ("NEO4J_PASSWORD", "wrong")}


@pytest.mark.parametrize("store", STORES)
def test_wrong_password_after_a_restart_of_the_daemon(world, daemon, table, proxies, store):
    """The daemon starts, says which store refuses it, and keeps everything that was accepted."""
    name = f"password {store}"
    good = dict(daemon.environ)
    assert daemon.stop() == 0
    redis = f"redis://:wrong@127.0.0.1:{proxies['redis'].port}/0"
    variable, value = BAD_PASSWORDS.get(store, ("REDIS_URL", redis))
    daemon.environ[variable] = value
    try:
        if store == "postgresql":
            daemon.launch()
            answer = eventually(lambda: try_put(daemon, name), 10)
            assert answer.code == "not_ready" and answer.data["retriable"] is True, answer
            eventually(lambda: "password" in error_of(daemon, "postgresql"), 10)
        else:
            daemon.start()
            with daemon.jobs() as client:
                answer = client.put(document(name))
            assert answer.code == "store_misconfigured" and answer.store == store, answer
    finally:
        daemon.stop()
        daemon.environ = good
    if store == "neo4j":
        time.sleep(5.5)  # it locks the door for five seconds after three wrong passwords
    daemon.start()
    assert_taken_back(world, daemon, table, (store, "wrong password"), answer, name)


def error_of(daemon, store):
    """What `sagactl stores` shows to be wrong with a store."""
    with daemon.admin() as client:
        rows = client.call("store.list").result["stores"]
    return next(row["error"] for row in rows if row["name"] == store)


# Killed in the middle of a load; frozen beyond the timeout.

class Load(threading.Thread):
    """A pipelined client: eight documents at a time, until told to stop. Answers by document."""

    def __init__(self, daemon, prefix):
        super().__init__(daemon=True)
        self.server, self.prefix, self.answers, self.is_over = daemon, prefix, {}, False

    def run(self):
        with self.server.jobs() as client:
            names, n_sent = {}, 0
            while names or not self.is_over:
                while len(names) < 8 and not self.is_over:
                    name = f"{self.prefix}.{n_sent}"
                    names[client.send("document.put", **document(name))] = name
                    n_sent += 1
                answer = client.receive(30)
                self.answers[names.pop(answer.id)] = answer
                if not answer.is_ok:
                    time.sleep(0.05)


def under_load(daemon, prefix, harm, for_s=1.0):
    """Three pipelined clients, `harm` in the middle, and some time more of the same; answers by document."""
    loads = [Load(daemon, f"{prefix} {part}") for part in range(3)]
    before = daemon.stats()["committed_total"]
    for one in loads:
        one.start()
    try:
        eventually(lambda: daemon.stats()["committed_total"] >= before + 20, 15, pause_s=0.01)
        harm()
        time.sleep(for_s)
    finally:
        for one in loads:
            one.is_over = True
        for one in loads:
            one.join(40)
    answers = {name: answer for one in loads for name, answer in one.answers.items()}
    assert len(answers) > 20
    return answers


def assert_as_answered(world, answers):
    """Committed is there, failed isn't, in doubt is either."""
    for name, answer in answers.items():
        row = world.row(name)
        is_there = row is not None and row[5] == "COMPLETED"
        if answer.outcome == "committed":
            assert is_there and row[0] == answer.version, name
        elif answer.code != "in_doubt":
            assert not is_there, (name, answer)


def summary(answers):
    counts = {}
    for answer in answers.values():
        counts[told(answer)] = counts.get(told(answer), 0) + 1
    return ", ".join(f"{count} {words}" for words, count in sorted(counts.items()))


def held(world, names):
    """What the stores hold of those that were not committed."""
    total = dict.fromkeys(STORES, 0)
    for name in names:
        for store, count in world.holdings(name).items():
            total[store] += count
    return total


@pytest.mark.parametrize("store", STORES)
def test_killed_in_the_middle_of_a_load(world, daemon, table, store):
    def harm():
        world.store(store).kill()

    answers = under_load(daemon, f"killed {store}", harm)
    world.start(store)
    failed = [name for name, answer in answers.items() if not answer.is_ok]
    assert failed
    world.assert_whole(daemon, timeout_s=30)
    assert_as_answered(world, answers)
    sure = [name for name in failed if answers[name].code != "in_doubt"]
    table.add(store, "killed in the middle of a load", summary(answers), held(world, sure))
    assert_works(world, daemon, failed[0])


@pytest.mark.parametrize("store", STORES)
def test_frozen_beyond_the_timeout(world, daemon, client, table, store):
    """SIGSTOP: connections stay open and nobody answers; SIGCONT: what was on its way arrives late."""
    name = f"frozen {store}"
    assert client.put(document(f"{name} before")).outcome == "committed"
    world.store(store).pause()
    try:
        number = client.send("document.put", **document(name), deadline_ms=4000)
        answer = client.answer(number, 15)
    finally:
        world.store(store).resume()
    assert answer.code in ("store_unavailable", "deadline_exceeded", "in_doubt"), answer
    assert answer.store == store
    assert_taken_back(world, daemon, table, (store, "stopped with SIGSTOP beyond the timeout"), answer, name)


@pytest.mark.parametrize("store", STORES)
def test_frozen_in_the_middle_of_a_load(world, daemon, table, store):
    def harm():
        world.store(store).pause()
        time.sleep(2.5)
        world.store(store).resume()

    answers = under_load(daemon, f"frozen load {store}", harm, 0.2)
    world.assert_whole(daemon, timeout_s=30)
    assert_as_answered(world, answers)
    failed = [name for name, answer in answers.items() if not answer.is_ok]
    table.add(store, "SIGSTOP for 2.5 s in the middle of a load", summary(answers), held(world, failed))
    assert_works(world, daemon, f"frozen load {store} 0.0")


# The reply is lost after the effect, cut off, or late.

@pytest.mark.parametrize("store", STORES)
def test_reply_lost_once_is_found_out(world, daemon, client, table, proxies, store):
    """Written, and the answer lost: sagad asks or writes again by the same name, and the document is committed once."""
    name = f"lost once {store}"
    request, reply = WRITES[store]
    proxies[store].arm("swallow", request=request, until=reply)
    answer = client.put(document(name))
    assert answer.outcome == "committed", answer
    assert proxies[store].n_struck == 1, answer
    world.assert_whole(daemon, timeout_s=20)
    table.add(store, "reply lost once, after the effect", told(answer), world.holdings(name))
    assert world.row(name)[0] == answer.version


@pytest.mark.parametrize("store", PROJECTIONS)
def test_reply_lost_every_time(world, daemon, client, table, proxies, store):
    name = f"lost always {store}"
    request, reply = WRITES[store]
    proxies[store].arm("swallow", request=request, until=reply, times=1000)
    answer = client.put(document(name))
    proxies[store].passes()
    assert proxies[store].n_struck >= 2
    # Always with this document, alone, when the store has just answered another: it looks like one that kills the store.
    assert answer.code in ("store_unavailable", "store_refused") and answer.store == store, answer
    assert_taken_back(world, daemon, table, (store, "every reply lost, after the effect"), answer, name)


def test_reply_to_commit_lost_every_time(world, daemon, client, table, proxies):
    """In doubt until PostgreSQL can be asked: then it is known, and the client isn't told a guess."""
    name = "lost always postgresql"
    request, reply = WRITES["postgresql"]
    proxies["postgresql"].arm("swallow", request=request, until=reply, times=1000)
    answer = client.put(document(name), deadline_ms=3000)
    assert answer.outcome == "committed" or answer.code in ("in_doubt", "deadline_exceeded", "store_unavailable")
    proxies["postgresql"].passes()
    world.assert_whole(daemon, timeout_s=20)
    if answer.code != "in_doubt":
        assert_as_answered(world, {name: answer})
    table.add("postgresql", "every reply to COMMIT lost", told(answer), world.holdings(name))
    assert_works(world, daemon, name)


@pytest.mark.parametrize("store", STORES)
def test_reply_cut_off(world, daemon, client, table, proxies, store):
    name = f"cut {store}"
    proxies[store].arm("cut", request=WRITES[store][0], keep=9)
    answer = client.put(document(name))
    assert answer.outcome == "committed", answer
    assert proxies[store].n_struck == 1, answer
    world.assert_whole(daemon, timeout_s=20)
    table.add(store, "reply cut off after 9 bytes", told(answer), world.holdings(name))


@pytest.mark.parametrize("store", STORES)
def test_a_late_reply_within_the_timeout_is_waited_for(world, daemon, client, proxies, store):
    name = f"late {store}"
    proxies[store].arm("delay", request=WRITES[store][0], seconds=TIMEOUT_S / 2)
    assert client.put(document(name)).outcome == "committed"
    assert proxies[store].n_struck == 1
    world.assert_whole(daemon)


# After the pivot: owed, and paid when the store is back.

@pytest.mark.parametrize("store", PROJECTIONS)
def test_owed_after_the_pivot_is_paid_when_the_store_is_back(world, daemon, client, table, proxies, store):
    """An overwrite whose old version can't be removed: committed, told what is owed, paid later, blocking nobody."""
    name = f"owed {store}"
    assert client.put(document(name)).outcome == "committed"
    refuse_after_the_pivot(proxies, store)
    answer = client.put(document(name, mark="2"))
    assert answer.outcome == "committed", answer
    proxies[store].passes()
    world.assert_whole(daemon, timeout_s=20)
    owed = ", ".join(f"{one['op']} at {one['store']}" for one in answer.result["owed"])
    table.add(store, "gone between the commit and the removal of the old version",
              f"committed, owed: {owed or 'nothing (paid by a second try)'}", world.holdings(name))
    assert {one["store"] for one in answer.result["owed"]} <= {store}


def refuse_after_the_pivot(proxies, store):
    """Hold PostgreSQL's COMMIT back for a moment, in which the store goes away."""
    proxies["postgresql"].arm("delay", request=b"COMMIT", seconds=0.5)

    def strike():
        proxy = proxies["postgresql"]
        end = time.monotonic() + 10
        while proxy.n_struck == 0 and time.monotonic() < end:
            time.sleep(0.005)
        proxies[store].refuse()
    threading.Thread(target=strike, daemon=True).start()


def test_a_debt_that_was_paid_stays_paid_when_postgresql_is_killed(world, daemon, client, table):
    """Nobody would pay it again before the next start of the daemon."""
    name = "paid postgresql"
    assert_works(world, daemon, name)
    answer = client.put(document(name, mark="2"))
    count = "SELECT count(*) FROM sagad_debts"
    eventually(lambda: world.readers.postgres.execute(count).fetchone() == (0,), 10, pause_s=0)
    world.store("postgresql").kill()
    world.start("postgresql")
    world.assert_whole(daemon, timeout_s=20)
    table.add("postgresql", "killed just after a debt was paid", told(answer), world.holdings(name))


@pytest.mark.parametrize("store", PROJECTIONS)
def test_delete_while_a_projection_is_down_is_owed(world, daemon, client, table, proxies, store):
    name = f"delete {store}"
    assert client.put(document(name)).outcome == "committed"
    proxies[store].refuse()
    try:
        answer = client.delete(name)
        assert answer.outcome == "deleted", answer
        assert {one["store"] for one in answer.result["owed"]} == {store}
        assert world.row(name)[5] == "DELETED"
        assert client.status(name)["debts"] >= 1
    finally:
        proxies[store].passes()
    world.assert_whole(daemon, timeout_s=20)
    table.add(store, "unreachable, and a delete comes", f"deleted, owed: remove at {store}", world.holdings(name))
    world.assert_absent(name)


def test_delete_while_postgresql_is_down_is_refused(world, daemon, client, table, proxies):
    name = "delete postgresql"
    version = client.put(document(name)).version
    proxies["postgresql"].refuse()
    try:
        answer = client.delete(name)
    finally:
        proxies["postgresql"].passes()
    assert answer.code == "store_unavailable" and answer.store == "postgresql", answer
    world.assert_whole(daemon, timeout_s=20)
    table.add("postgresql", "unreachable, and a delete comes", told(answer), world.holdings(name))
    assert world.row(name)[0] == version


# Overwrites: a failure leaves the old version whole.

@pytest.mark.parametrize("store", STORES)
def test_a_failed_overwrite_leaves_the_old_version(world, daemon, client, table, proxies, store):
    name = f"overwrite {store}"
    version = client.put(document(name, 5, 4)).version
    proxies[store].refuse()
    try:
        answer = client.put(document(name, 2, 2, mark=" new"))
    finally:
        proxies[store].passes()
    assert answer.code == "store_unavailable" and answer.store == store, answer
    world.assert_whole(daemon, timeout_s=20)
    assert world.row(name)[0] == version and len(world.points(name)) == 5
    table.add(store, "unreachable, and an overwrite comes", told(answer), world.holdings(name))


@pytest.mark.parametrize("store", STORES)
def test_the_daemon_starts_while_a_store_is_down_and_recovers_by_itself(world, daemon, table, proxies, store):
    name = f"start without {store}"
    assert daemon.stop() == 0
    proxies[store].refuse()
    try:
        daemon.launch()
        answer = eventually(lambda: (found := try_put(daemon, name)) and (
            store == "postgresql" or found.code != "not_ready") and found, 10)
        assert answer.code == ("not_ready" if store == "postgresql" else "store_unavailable"), answer
    finally:
        proxies[store].passes()
    daemon.wait_ready()
    assert_taken_back(world, daemon, table, (store, "down when the daemon starts"), answer, name)


def try_put(daemon, name):
    """An answer of a daemon that is starting, once it listens."""
    with contextlib.suppress(OSError), daemon.jobs() as client:
        return client.put(document(name))
