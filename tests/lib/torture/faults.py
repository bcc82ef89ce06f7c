"""What can be done to a store. Each fault is a context manager: inside it the store is broken."""
from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from harness.world import STORES

from .arena import TIMEOUT_S, Arena

PROJECTIONS = ("qdrant", "neo4j", "redis")
STRANGER = "torturer"  # a user of Neo4j's that keeps its password


@dataclasses.dataclass(frozen=True)
class Fault:
    """One cell of the table."""

    name: str
    store: str
    hold_s: float
    is_felt: bool  # some answer must show it, or the fault did not take place
    strike: Callable[[Arena, str], AbstractContextManager[None]] = dataclasses.field(repr=False)

    def __str__(self) -> str:
        return f"{self.store}: {self.name}"


ALL: list[Fault] = []


def fault(name: str, *stores: str, hold_s: float = 1.0, is_felt: bool = True):
    """Adds a fault for each of the stores."""
    def add(function):
        for store in stores:
            ALL.append(Fault(name, store, hold_s, is_felt, contextlib.contextmanager(function)))
        return function
    return add


# The server.

@fault("killed and started again", *STORES, hold_s=0.5)
def killed(arena: Arena, store: str) -> Iterator[None]:
    arena.world.store(store).kill()
    yield
    arena.world.store(store).start()


@fault("restarted", *STORES, hold_s=0.1, is_felt=False)
def restarted(arena: Arena, store: str) -> Iterator[None]:
    arena.world.store(store).stop()
    arena.world.store(store).start()
    yield


def _frozen(arena: Arena, store: str) -> Iterator[None]:
    arena.world.store(store).pause()
    try:
        yield
    finally:
        arena.world.store(store).resume()


for _times, _word in ((0.5, "half the timeout"), (2, "twice the timeout"), (10, "ten times the timeout")):
    fault(f"SIGSTOP for {_word}", *STORES, hold_s=_times * TIMEOUT_S, is_felt=_times > 2)(_frozen)


@fault("disk full", *STORES, hold_s=1.5, is_felt=False)
def disk_full(arena: Arena, store: str) -> Iterator[None]:
    """A server that has met it is started again, as its operator would."""
    arena.disk(store).fill()
    try:
        yield
    finally:
        arena.disk(store).empty()
        if store != "redis":
            arena.world.store(store).kill()
            arena.world.store(store).start()


@fault("out of memory (maxmemory)", "redis")
def out_of_memory(arena: Arena, store: str) -> Iterator[None]:
    cache = arena.world.readers.redis
    cache.config_set("maxmemory", "1")
    yield
    cache.config_set("maxmemory", "256mb")


# What its operator does.

def _sql(arena: Arena, text: str) -> None:
    arena.stores["postgres"].sql("sagad", text)


def _system(arena: Arena, text: str, **parameters: object) -> None:
    arena.world.readers.neo4j.execute_query(text, parameters, database_="system")


def _as_stranger(arena: Arena, password: str) -> None:
    """Set neo4j's password through a user whose own doesn't change."""
    import neo4j
    with neo4j.GraphDatabase.driver(arena.world.environ["NEO4J_BOLT_URL"], auth=(STRANGER, STRANGER)) as driver:
        driver.execute_query("ALTER USER neo4j SET PASSWORD $p CHANGE NOT REQUIRED", p=password, database_="system")


@fault("password changed", "postgresql")
def password_of_postgresql(arena: Arena, store: str) -> Iterator[None]:
    password = arena.stores["postgres"].password
    _sql(arena, "ALTER ROLE sagad PASSWORD 'another'; "
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sagad';")
    yield
    _sql(arena, f"ALTER ROLE sagad PASSWORD '{password}';")


@fault("password changed", "qdrant")
def password_of_qdrant(arena: Arena, store: str) -> Iterator[None]:
    server = arena.world.store(store)
    password = server.password
    for secret in ("another", password):
        server.stop()
        server.change_password(secret)
        server.start()
        if secret != password:
            yield


@fault("password changed", "neo4j", hold_s=0.7)
def password_of_neo4j(arena: Arena, store: str) -> Iterator[None]:
    """After three wrong passwords its door is locked for five seconds, also for the right one."""
    _system(arena, f"CREATE USER {STRANGER} IF NOT EXISTS SET PASSWORD $p CHANGE NOT REQUIRED", p=STRANGER)
    _as_stranger(arena, "another one")
    yield
    _as_stranger(arena, arena.world.store(store).password)


@fault("password changed", "redis")
def password_of_redis(arena: Arena, store: str) -> Iterator[None]:
    cache = arena.world.readers.redis
    with cache.client() as kept:
        kept.config_set("requirepass", "another")
        kept.client_kill_filter(_type="normal", skipme=True)
        yield
        kept.config_set("requirepass", arena.world.store(store).password)


@fault("a table is missing", "postgresql")
def table_missing(arena: Arena, store: str) -> Iterator[None]:
    _sql(arena, "ALTER TABLE chunks RENAME TO chunks_away;")
    yield
    _sql(arena, "ALTER TABLE chunks_away RENAME TO chunks;")


@fault("the collection is missing", "qdrant")
def collection_missing(arena: Arena, store: str) -> Iterator[None]:
    """It goes with all its points, and whole documents were lost with it: so they are deleted first."""
    with arena.emptied():
        arena.world.readers.qdrant.delete_collection(arena.world.readers.collection)
    yield
    arena.world.init(arena.daemon)


@fault("a constraint is missing when it comes back", "neo4j", hold_s=1.5)
def constraint_missing(arena: Arena, store: str) -> Iterator[None]:
    """Looked for when a connection is new: later the daemon relies on it."""
    arena.proxies[store].refuse()
    arena.world.cypher("DROP CONSTRAINT sagad_version")
    arena.proxies[store].clear()
    yield
    arena.proxies[store].refuse()
    arena.world.cypher("CREATE CONSTRAINT sagad_version IF NOT EXISTS FOR (v:Version) REQUIRE v.saga_id IS UNIQUE")
    arena.proxies[store].clear()


@fault("read only", "postgresql")
def read_only(arena: Arena, store: str) -> Iterator[None]:
    _sql(arena, "ALTER DATABASE sagad SET default_transaction_read_only = on; "
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sagad';")
    yield
    _sql(arena, "SET default_transaction_read_only = off; ALTER DATABASE sagad RESET default_transaction_read_only; "
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sagad';")


@fault("its backends are ended", "postgresql", hold_s=0.1, is_felt=False)
def backends_ended(arena: Arena, store: str) -> Iterator[None]:
    _sql(arena, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sagad';")
    yield


@fault("made a replica (read only)", "redis")
def replica(arena: Arena, store: str) -> Iterator[None]:
    cache = arena.world.readers.redis
    cache.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    cache.execute_command("REPLICAOF", "NO", "ONE")


@fault("scripts forgotten", "redis", hold_s=0.3, is_felt=False)
def scripts_forgotten(arena: Arena, store: str) -> Iterator[None]:
    arena.world.readers.redis.script_flush()
    yield


# The network.

@fault("connections refused", *STORES)
def refused(arena: Arena, store: str) -> Iterator[None]:
    arena.proxies[store].refuse()
    yield
    arena.proxies[store].clear()


def _toxic(name: str, kind: str, *streams: str, hold_s: float = 1.5, is_felt: bool = True, **attributes: int) -> None:
    def strike(arena: Arena, store: str) -> Iterator[None]:
        for stream in streams:
            arena.proxies[store].toxic(kind, stream, **attributes)
        yield
        arena.proxies[store].clear()
    fault(name, *STORES, hold_s=hold_s, is_felt=is_felt)(strike)


_toxic("connections reset", "reset_peer", "upstream", "downstream", timeout=0)
_toxic("latency of half the timeout", "latency", "downstream", latency=int(TIMEOUT_S * 500), is_felt=False)
_toxic("latency of twice the timeout", "latency", "downstream", latency=int(TIMEOUT_S * 2000), hold_s=3.0)
_toxic("one byte a second", "slicer", "downstream", average_size=1, size_variation=0, delay=1000000, hold_s=3.0)
_toxic("black hole", "timeout", "upstream", "downstream", timeout=0, hold_s=3.0)
_toxic("half open: replies are lost", "timeout", "downstream", timeout=0, hold_s=3.0)
_toxic("half open: requests are lost", "timeout", "upstream", timeout=0, hold_s=3.0)
_toxic("closed in the middle of a reply", "limit_data", "downstream", bytes=2000, is_felt=False)
_toxic("every reply cut off after 9 bytes", "limit_data", "downstream", bytes=9)


@fault("every reply to COMMIT lost", "postgresql", hold_s=2.0)
def commits_lost(arena: Arena, store: str) -> Iterator[None]:
    arena.commits.arm("swallow", request=b"COMMIT", until=b"COMMIT\0", times=1000)
    yield
    arena.commits.passes()


@fault("one reply in a few to COMMIT lost", "postgresql", hold_s=1.5, is_felt=False)
def commit_lost_now_and_then(arena: Arena, store: str) -> Iterator[None]:
    arena.commits.arm("swallow", request=b"COMMIT", until=b"COMMIT\0", times=3)
    yield
    arena.commits.passes()
