"""The four stores, readers by the official clients, and the comparison that every test ends with."""

import contextlib
import json
import time
from urllib.parse import urlsplit

import compare
import psycopg
from faultproxy import FaultProxy
from stores.errors import StoreError

from .daemon import Daemon
from .documents import DIMS
from .waiting import eventually

STORES = ("postgresql", "qdrant", "neo4j", "redis")
# Marks of dead sagas, which stay for a time so that a late write finds them.
FENCES = ("tombstone ", "sagad:dead:")


class World:
    """One for a test module. Daemons made by it end with it."""

    def __init__(self, stores):
        self.stores = stores
        self.environ = stores.env()
        self.daemons = []
        self._readers = None

    def close(self):
        if self._readers is not None:
            self._readers.close()
        for daemon in self.daemons:
            daemon.kill()
        self.mend()
        for daemon in self.daemons:
            daemon.end()

    def store(self, name):
        """The launcher's object of a store under sagad's name for it."""
        return self.stores["postgres" if name == "postgresql" else name]

    @contextlib.contextmanager
    def proxies(self):
        """({store: FaultProxy}, the environment that leads through them); the readers go around."""
        environ = self.environ
        graph, cache = urlsplit(environ["NEO4J_URL"]), urlsplit(environ["REDIS_URL"])
        made = {"postgresql": FaultProxy((environ["POSTGRES_HOST"], int(environ["POSTGRES_PORT"]))),
                "qdrant": FaultProxy((environ["QDRANT_HOST"], int(environ["QDRANT_PORT"]))),
                "neo4j": FaultProxy((graph.hostname, graph.port)), "redis": FaultProxy((cache.hostname, cache.port))}
        try:
            yield made, {"POSTGRES_PORT": str(made["postgresql"].port), "QDRANT_PORT": str(made["qdrant"].port),
                         "NEO4J_URL": f"http://127.0.0.1:{made['neo4j'].port}",
                         "REDIS_URL": f"redis://:{cache.password}@127.0.0.1:{made['redis'].port}/0"}
        finally:
            for proxy in made.values():
                proxy.close()

    def mend(self):
        """Every store runs again, whatever a test did to it."""
        for name in STORES:
            if not self.store(name).answers():
                self.start(name)

    def start(self, name):
        """Start a store again, and wait until it is as fast as before. Its port is free when the last connection of the
        dead one is."""
        end = time.monotonic() + 10
        while True:
            try:
                self.store(name).start()
                break
            except StoreError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        if name == "neo4j":
            self.warm_up()

    def warm_up(self):
        """A JVM that has just started takes seconds for what takes it milliseconds later; under the tests' small
        timeouts that would look like a failure."""
        end = time.monotonic() + 15
        took_s = 9.0
        while took_s > 0.1 and time.monotonic() < end:
            began = time.monotonic()
            self.cypher("UNWIND range(1, 300) AS n MERGE (a:Entity {key: 'warm ' + n}) ON CREATE SET a.name = n"
                        " WITH a, n MERGE (v:Version {saga_id: 'warm ' + n}) CREATE (v)-[m:MENTIONS]->(a)"
                        " SET m = {ordinal: n} CREATE (a)-[e:$('WARM')]->(a) SET e = {saga_id: n} RETURN count(e)")
            self.cypher("MATCH (v:Version)-[m:MENTIONS]->(a:Entity)-[e:WARM]->(a) DETACH DELETE v, a")
            took_s = time.monotonic() - began

    def daemon(self, settings=None, environ=None, journal=None):
        """A daemon that isn't started yet."""
        made = Daemon({**self.environ, **(environ or {})}, settings, journal)
        self.daemons.append(made)
        return made

    def running(self, settings=None, environ=None, dims=DIMS):
        """A started daemon on empty stores with a schema; the world's earlier ones end, for there can be one only."""
        for earlier in self.daemons:
            earlier.kill()
        self.reset()
        daemon = self.daemon({"schema.dims": dims, **(settings or {})}, environ).launch()
        self.init(daemon, dims)
        daemon.wait_ready()
        return daemon

    def init(self, daemon, dims=DIMS):
        def is_initialised():
            daemon.check_alive()
            try:
                daemon.init(dims=dims)
                return True
            except OSError:
                return False
        eventually(is_initialised, 20)

    @property
    def readers(self):
        """Connections of the official clients. All but PostgreSQL's come back by themselves."""
        if self._readers is not None:
            try:
                self._readers.postgres.execute("SELECT 1")
                return self._readers
            except compare.CLIENT_ERRORS:
                self._readers.close()
                self._readers = None
        self._readers = compare.connect(self.environ)
        return self._readers

    def reset(self):
        """Empty stores without a schema: seconds faster than new ones."""
        readers = self.readers
        rows = readers.postgres.execute("SELECT tablename FROM pg_tables WHERE tableowner = current_user").fetchall()
        if rows:
            names = psycopg.sql.SQL(", ").join(psycopg.sql.Identifier(name) for (name,) in rows)
            readers.postgres.execute(psycopg.sql.SQL("DROP TABLE {} CASCADE").format(names))
        readers.qdrant.delete_collection(readers.collection)
        self.cypher("MATCH (n) DETACH DELETE n")
        readers.redis.flushdb()

    def cypher(self, query, **parameters):
        return self.readers.neo4j.execute_query(query, parameters, database_=self.readers.neo4j_database).records

    def compare(self, jobs=None, partial=False):
        """One comparison now; `jobs` as documents or requests."""
        parsed = None if jobs is None else compare.jobs.parse(json.dumps(job) for job in jobs)
        return compare.run(self.readers, parsed, partial)

    def assert_whole(self, daemon, jobs=None, partial=False, timeout_s=10):
        """At rest: nothing owed, and the four stores hold the same, field by field, and nothing else."""
        daemon.settle(timeout_s)

        def is_whole():
            report = self.compare(jobs, partial)
            assert not report.differences, report.text()
            assert report.owed == 0, f"{report.owed} debts of PostgreSQL's are left, and the daemon has nothing to do"
            left = [what for found in report.collectable.values() for what in found if not what.startswith(FENCES)]
            assert not left, f"not collected: {left[:5]}"
            return report
        return eventually(is_whole, timeout_s, pause_s=0.2)

    # What each store holds of one document, by the official clients.

    def row(self, name):
        return self.readers.postgres.execute(
            "SELECT version::text, title, source, content, metadata, ingestion_status, chunk_count, content_hash,"
            " created_at, updated_at FROM documents WHERE id = %s", (name,)).fetchone()

    def points(self, name):
        from qdrant_client import models
        readers, found, offset = self.readers, [], None
        only = models.Filter(must=[models.FieldCondition(key="document_id", match=models.MatchValue(value=name))])
        while True:
            page, offset = readers.qdrant.scroll(readers.collection, only, limit=256, offset=offset,
                                                 with_payload=True, with_vectors=True)
            found += page
            if offset is None:
                return sorted(found, key=lambda point: point.payload["chunk_index"])

    def nodes(self, name):
        return [dict(record["d"]) for record in self.cypher("MATCH (d:Document {id: $name}) RETURN d", name=name)]

    def edges(self, name):
        """Typed relationships that a document made."""
        return self.cypher("MATCH (a:Entity)-[r {document_id: $name}]->(b:Entity) RETURN a.name AS a, type(r) AS type,"
                           " properties(r) AS properties, b.name AS b", name=name)

    def live(self, name):
        text = self.readers.redis.get("sagad:doc:{%s}" % name)
        return None if text is None else json.loads(text)

    def holdings(self, name):
        """How much each store holds of a document that a reader could see, for tables and assertions."""
        row = self.row(name)
        return {"postgresql": 0 if row is None or row[5] == "DELETED" else 1, "qdrant": len(self.points(name)),
                "neo4j": len(self.nodes(name)) + len(self.edges(name)),
                "redis": len(list(self.readers.redis.scan_iter(match=glob("sagad:doc:{%s}" % name))))
                + len(list(self.readers.redis.scan_iter(match=glob("sagad:stage:{%s}:" % name) + "*")))}

    def assert_absent(self, name):
        assert self.holdings(name) == dict.fromkeys(STORES, 0)


def glob(text):
    """A Redis pattern that matches this text only."""
    return "".join("\\" + c if c in "*?[]\\^-" else c for c in text)
