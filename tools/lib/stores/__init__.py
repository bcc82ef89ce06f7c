"""Real PostgreSQL, Qdrant, Neo4j and Redis on this machine, for tests, demo and measurements.

    from stores import Stores
    with Stores.scratch() as stores:          # own ports, own data; gone at the end
        stores.up()                           # or stores.up("postgres", "redis")
        environ = stores.env()                # {"POSTGRES_HOST": ..., "NEO4J_BOLT_URL": ...}
        stores["neo4j"].kill()                # start stop kill pause resume restart wipe

One process or many, and any number of threads, may use one state folder: each operation takes the store's lock.
"""

import concurrent.futures
import os
import secrets
import shutil
import threading

from . import external, paths
from .errors import StoreError
from .neo4j import Neo4j
from .postgres import Postgres
from .qdrant import Qdrant
from .redis import Redis

NAMES = ("postgres", "qdrant", "neo4j", "redis")
CLASSES = {"postgres": Postgres, "qdrant": Qdrant, "neo4j": Neo4j, "redis": Redis}

__all__ = ["NAMES", "StoreError", "Stores"]


class Stores:
    """The four stores of one state folder."""

    def __init__(self, folder=None, environ=None, say=None):
        """`environ` decides about folders and external stores (None: the process's own); `say` takes progress."""
        self.environ = dict(os.environ if environ is None else environ)
        self.folder = paths.make_folder(folder, 0o711) if folder else paths.state_folder(self.environ)
        self.dist = paths.dist_folder(self.environ)
        self.say = say or (lambda text: None)
        self._is_scratch = False
        self._print_lock = threading.Lock()
        self.all = {name: self._make(name) for name in NAMES}

    def _make(self, name):
        if external.is_external(name, self.environ):
            return external.External(name, self.environ)
        return CLASSES[name](self.folder, self.dist, self.environ, self._say)

    @classmethod
    def scratch(cls, say=None):
        """Stores of their own in a fresh folder, whatever the environment names; used with `with`."""
        environ = {key: value for key, value in os.environ.items() if key in ("SAGAD_STORES_DIR", "SAGAD_STORES_DIST")}
        above = paths.state_folder(environ)
        made = cls(above / f"scratch-{secrets.token_hex(4)}", environ, say)
        made._is_scratch = True
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down(hard=self._is_scratch)
        if self._is_scratch:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __getitem__(self, name):
        return self.all[name]

    def _say(self, text):
        with self._print_lock:
            self.say(text)

    def own(self, names=()):
        """The chosen stores (none: all) that run here, in the fixed order."""
        return [store for store in self.chosen(names) if isinstance(store, tuple(CLASSES.values()))]

    def chosen(self, names=()):
        for name in names:
            if name not in NAMES:
                raise StoreError(f"no store is called {name}; there are {', '.join(NAMES)}")
        return [self.all[name] for name in NAMES if not names or name in names]

    def each(self, work, names=()):
        """work(store) for the chosen stores at once; raises one error with all that went wrong."""
        stores = self.own(names)
        if not stores:
            return
        with concurrent.futures.ThreadPoolExecutor(len(stores)) as pool:
            futures = [pool.submit(work, store) for store in stores]
        problems = [future.exception() for future in futures if future.exception()]
        for problem in problems:
            if not isinstance(problem, (StoreError, OSError)):
                raise problem
        if problems:
            raise StoreError("\n".join(str(problem) for problem in problems))

    def up(self, *names, is_bench=False):
        """Start the chosen stores at once and wait until each is ready."""
        self.each(lambda store: store.start(is_bench=is_bench), names)

    def down(self, *names, hard=False):
        """Stop the chosen stores; `hard` kills them: for data that is thrown away anyway."""
        self.each(lambda store: store.kill() if hard else store.stop(), names)

    def reset(self, *names):
        """Stop, wipe, start again; ports and passwords stay."""
        def work(store):
            is_bench = store.state()["is_bench"]
            store.wipe()
            store.start(is_bench=is_bench)
        self.each(work, names)

    def env(self, *names):
        """The environment variables for clients of the chosen stores."""
        found, ours = {}, []
        for store in self.chosen(names):
            found.update(store.env())
            if store in self.own():
                ours.append(external.fingerprint(store.name, store.env()))
        return {**found, external.OURS: " ".join(ours)}
