"""The sagas of docs/examples, on real stores and services of their own, whole or failing at a step of choice.

Three ways to fail: the step is REFUSED (by a constraint, a wrong type, a service's 409); what it runs on DIES when the
step reaches it, and comes back when the saga has noticed; or the step has run and its ANSWER IS LOST."""

import contextlib
import copy
import itertools
import json
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

from faultproxy import FaultProxy

from .daemon import CHECKOUT, program
from .things import ThingService
from .waiting import eventually

FOLDER = CHECKOUT / "docs" / "examples"
DIMS = 4
REFUSED, DIES, LOST = "is refused", "dies", "loses the answer"
WAYS = (REFUSED, DIES, LOST)
SERVICES = ("payments", "shipping")
STORES = ("postgresql", "qdrant", "neo4j", "redis")
DOCUMENT = "tea-guide"

# Small, so that a store that is away shows soon.
SETTINGS = {
    "sagas.enabled": True,
    "sagas.stores": "postgresql,redis,neo4j,qdrant,documents",
    "sagas.max_tries": 3,
    "sagas.step_timeout": "3s",
    "sagas.retry_base": "20ms",
    "sagas.retry_cap": "100ms",
    "sagas.undo_base": "20ms",
    "sagas.undo_cap": "200ms",
    "schema.dims": DIMS,
}


class Run:
    """How one went."""

    def __init__(self, status, said, holdings, state):
        self.status, self.said, self.holdings, self.state = status, said, holdings, state


class Example:
    """One file, and what is known of it."""

    def __init__(self, name, title, places):
        self.name, self.title, self.places = name, title, places
        self.path = FOLDER / f"{name}.json"
        self.saga = json.loads(self.path.read_text(encoding="utf-8"))
        self.steps = self.saga["steps"]

    def step(self, name):
        return next(step for step in self.steps if step["name"] == name)

    def is_forward_only(self, name):
        """Is it the pivot, or after it? (Where there is one, the steps stand in order.)"""
        names = [step["name"] for step in self.steps]
        pivot = next((step["name"] for step in self.steps if step.get("pivot")), None)
        return pivot is not None and names.index(name) >= names.index(pivot)

    def failures(self):
        """(step, way, where): each that can happen. After the pivot nothing is refused for good."""
        for step in self.steps:
            places = STORES if step.get("store") == "documents" else (step.get("store") or step["service"],)
            for way in WAYS:
                if way == REFUSED:
                    if not self.is_forward_only(step["name"]) or step.get("pivot"):
                        yield step["name"], way, places[0]
                else:
                    for place in places:
                        yield step["name"], way, place

    def ends(self, step, way):
        """committed or compensated."""
        if way == LOST or (way == DIES and self.is_forward_only(step)):
            return "committed"
        return "compensated"

    def refused(self, name):
        """The saga with a step that is refused in its middle, where the store lets it begin. A service refuses by
        itself."""
        saga = copy.deepcopy(self.saga)
        step = next(step for step in saga["steps"] if step["name"] == name)
        do, place = step["do"], step.get("store")
        if place == "postgresql":
            whole = do.pop("statements", None) or [{key: do.pop(key) for key in ("sql", "params")}]
            step["do"] = {"statements": [*whole, {"sql": "SELECT 1 / 0"}]}
        elif place == "neo4j":
            do["statements"].append({"statement": "RETURN 1 / 0"})
        elif place == "redis":
            do["commands"].append(["INCR", "account:ada"])
        elif place == "qdrant":
            do["body"]["points"][0]["vector"] = [0.5]
        elif place == "documents":
            do["params"]["if_version"] = "01890000-0000-7000-8000-000000000000"
        return saga


EXAMPLES = (
    Example("order", "An order with two HTTP services", ("postgresql", "payments", "shipping")),
    Example("document-and-row", "A document together with a row in a table of the user's own", STORES),
    Example("account", "A user account over all four stores", STORES),
)


class Bench:
    """Stores, services and a proxy before each; `environ` and settings() are for the daemon."""

    def __init__(self, environ, connect):
        """`connect()` gives readers: connections of the official clients."""
        self.connect = connect
        self.services = {name: ThingService(name) for name in SERVICES}
        graph, cache = urlsplit(environ["NEO4J_URL"]), urlsplit(environ["REDIS_URL"])
        targets = {"postgresql": (environ["POSTGRES_HOST"], int(environ["POSTGRES_PORT"])),
                   "qdrant": (environ["QDRANT_HOST"], int(environ["QDRANT_PORT"])),
                   "neo4j": (graph.hostname, graph.port), "redis": (cache.hostname, cache.port),
                   **{name: ("127.0.0.1", urlsplit(each.url).port) for name, each in self.services.items()}}
        self.proxies = {name: FaultProxy(target) for name, target in targets.items()}
        ports = {name: proxy.port for name, proxy in self.proxies.items()}
        self.environ = {**environ, "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(ports["postgresql"]),
                        "QDRANT_HOST": "127.0.0.1", "QDRANT_PORT": str(ports["qdrant"]),
                        "NEO4J_URL": f"http://127.0.0.1:{ports['neo4j']}",
                        "REDIS_URL": f"redis://:{cache.password}@127.0.0.1:{ports['redis']}/0"}
        self.daemon = None
        self._keys = itertools.count(1)

    def settings(self):
        urls = "; ".join(f"{name} url=http://127.0.0.1:{self.proxies[name].port}" for name in SERVICES)
        return {**SETTINGS, "sagas.services": urls}

    def close(self):
        for each in (*self.proxies.values(), *self.services.values()):
            each.close()

    def reset(self):
        """As before any example has run."""
        readers = self.connect()
        for proxy in self.proxies.values():
            proxy.passes()
        for service in self.services.values():
            service.forget()
        readers.postgres.execute((FOLDER / "setup.sql").read_text(encoding="utf-8"))
        readers.redis.delete("account:ada", "accounts")
        with readers.neo4j.session() as session:
            session.run("MATCH (p:Person) DETACH DELETE p").consume()
        if not readers.qdrant.collection_exists("profiles"):
            from qdrant_client import models
            readers.qdrant.create_collection("profiles", models.VectorParams(size=DIMS, distance=models.Distance.COSINE))
        for point in readers.qdrant.scroll("profiles")[0]:
            readers.qdrant.delete("profiles", [point.id])

        def is_gone():
            with self.daemon.jobs() as client:
                return client.delete(DOCUMENT).is_ok
        eventually(is_gone, 20)
        self.daemon.settle()

    def holdings(self, example):
        """What each place holds, in words."""
        readers = self.connect()
        found = {"order": self._order, "document-and-row": self._document, "account": self._account}[example.name](readers)
        return {place: found[place] for place in example.places}

    def _order(self, readers):
        pieces, n, sent = readers.postgres.execute(
            "SELECT (SELECT pieces FROM stock), count(*), count(parcel) FROM orders").fetchone()
        return {"postgresql": f"{pieces} pieces, {n} orders, {sent} sent",
                "payments": f"{len(self.services['payments'].things)} charges",
                "shipping": f"{len(self.services['shipping'].things)} parcels"}

    def _document(self, readers):
        documents, chunks, rows = readers.postgres.execute(
            "SELECT (SELECT count(*) FROM documents WHERE ingestion_status <> 'DELETED'),"
            " (SELECT count(*) FROM chunks), (SELECT count(*) FROM library)").fetchone()
        with readers.neo4j.session() as session:
            nodes = session.run("MATCH (d:Document {id: $id}) RETURN count(d) AS n", id=DOCUMENT).single()["n"]
        keys = len(list(readers.redis.scan_iter(match="sagad:doc:*")))
        return {"postgresql": f"{documents} documents, {chunks} chunks, {rows} rows",
                "qdrant": f"{readers.qdrant.count(readers.collection).count} points",
                "neo4j": f"{nodes} documents", "redis": f"{keys} documents"}

    def _account(self, readers):
        with readers.neo4j.session() as session:
            nodes = session.run("MATCH (p:Person) RETURN count(p) AS n").single()["n"]
        n = readers.postgres.execute("SELECT count(*) FROM accounts").fetchone()[0]
        keys = readers.redis.exists("account:ada") + readers.redis.scard("accounts")
        return {"postgresql": f"{n} accounts", "qdrant": f"{readers.qdrant.count('profiles').count} points",
                "neo4j": f"{nodes} people", "redis": f"{keys} keys and members"}

    # ---- runs ----

    def run(self, example, step=None, way=None, place=None):
        """One run by `sagactl run`; with a step it fails there. The daemon's proxies pass again at the end."""
        path = example.path
        if way == REFUSED:
            path = self.daemon.folder / f"{example.name}-refused.json"
            path.write_text(json.dumps(example.refused(step)), encoding="utf-8")
        with self._fault(example, step, way, place):
            done = subprocess.run([str(program("sagactl")), "run", str(path), "--key", f"run {next(self._keys)}",
                                   "--socket", str(self.daemon.jobs_path)],
                                  capture_output=True, text=True, timeout=60)
        if way in (DIES, LOST):
            assert self._n_struck(place) > 0, f"{example.name}: {step} never reached {place}: {done}"
        self.daemon.settle()
        holdings = self.holdings(example)
        state = "committed" if done.returncode == 0 else "compensated"
        return Run(done.returncode, done.stdout + done.stderr, holdings, state)

    def _n_struck(self, place):
        return self.proxies[place].n_struck

    @contextlib.contextmanager
    def _fault(self, example, name, way, place):
        proxy = self.proxies.get(place)
        if way == REFUSED and place in self.services:
            self.services[place].refused_paths.add(example.step(name)["do"]["path"])
        elif way == DIES:
            proxy.watch(self._mark(example, name), proxy.refuse)
        elif way == LOST:
            proxy.arm("swallow", request=self._mark(example, name))
        ended = threading.Event()
        mender = threading.Thread(target=self._mend, args=(proxy, example, name, ended), daemon=True)
        if way == DIES:
            mender.start()
        try:
            yield
        finally:
            ended.set()
            if way == DIES:
                mender.join(20)

    def _mark(self, example, name):
        """Bytes that only this step's request has in it: its name is a part of the barrier's key."""
        step = example.step(name)
        if step.get("store") == "documents":
            return DOCUMENT.encode()
        return name.encode()

    def _mend(self, proxy, example, name, ended):
        """Back again when the saga has given the step up, or, where it never does, has tried it more than once."""
        def has_noticed():
            return ended.is_set() or self._has_noticed(name, example.is_forward_only(name))
        try:
            eventually(has_noticed, 30)
        finally:
            proxy.passes()

    def _has_noticed(self, name, is_endless):
        with self.daemon.admin() as client:
            for row in client.call("saga.list").result.get("sagas", []):
                if row["kind"] != "steps":
                    continue
                saga = client.call("saga.get", id=row["id"]).result
                tries = next(step["tries"] for step in saga["steps"] if step["name"] == name)
                if saga["state"] == "compensating" or (is_endless and tries >= 2):
                    return True
        return False
