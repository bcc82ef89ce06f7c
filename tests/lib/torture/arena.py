"""Where it happens: four real stores on small disks of their own, two proxies, one daemon."""
from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from faultproxy import FaultProxy
from harness import World
from harness.waiting import eventually
from stores import Stores

from .toxiproxy import Proxy, Toxiproxy

# Everything that a fault must outlast is short, so that many faults fit into a minute.
TIMEOUT_S = 0.7
SETTINGS = {"timeouts.store": "700ms", "timeouts.postgresql": "700ms", "timeouts.late_write_window": "1500ms",
            "timeouts.deadline": "5s", "retry.max_tries": 3, "log.level": "info"}
FILL_TRIES = 20
SLACK_BYTES = 64 * 1024  # a try more than the one before leaves it this much
# In MiB: room for what a store writes at rest, little enough for any machine's memory.
DISKS = {"postgres": 800, "qdrant": 400, "neo4j": 400, "redis": 64}


class Disk:
    """A tmpfs below one store; fill() takes its free space away without using memory."""

    def __init__(self, path: Path, size_mib: int):
        self.path, self.size_mib = path, size_mib
        self._mount(f"size={size_mib}m", "mode=711")

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(self.path)], check=True,
                       capture_output=True, text=True)

    def fill(self) -> None:
        for tries in range(FILL_TRIES):
            found = os.statvfs(self.path)
            used = max(found.f_blocks - found.f_bfree, 1) * found.f_frsize  # a size of 0 is none
            try:
                self._mount("remount", f"size={used + tries * SLACK_BYTES}")
                return
            except subprocess.CalledProcessError:  # the store has written since: no smaller than what is used
                if tries == FILL_TRIES - 1:
                    raise

    def empty(self) -> None:
        self._mount("remount", f"size={self.size_mib}m")

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)


class Arena(contextlib.ExitStack):
    """Used with `with`; all that it started is gone afterwards, the daemon's folder is moved to `folder`."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self.disks: dict[str, Disk] = {}
        self.proxies: dict[str, Proxy] = {}
        # Within it there are no documents and no load; who drives the load sets it.
        self.emptied: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext

    def open(self) -> "Arena":
        # The stores' folders go last: until then they may be mount points.
        self.stores = Stores.scratch()
        self.callback(self._remove_stores)
        self._mount_disks()
        self.callback(self.stores.down, hard=True)
        self.stores.up()
        self.world = World(self.stores)
        self.world.warm_up()
        self.callback(self._close_world)
        toxiproxy = self.enter_context(Toxiproxy(self.folder / "toxiproxy.log"))
        self.daemon = self.world.running(SETTINGS, self._environ(toxiproxy))
        return self

    def _remove_stores(self) -> None:
        for disk in self.disks.values():
            disk.close()
        self.stores.__exit__()

    def _mount_disks(self) -> None:
        """Only root may; elsewhere the disk-full faults are left out."""
        with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError, PermissionError):
            for name, size_mib in DISKS.items():
                self.disks[name] = Disk(self.stores[name].root, size_mib)

    def _environ(self, toxiproxy: Toxiproxy) -> dict[str, str]:
        environ = self.world.environ
        graph, cache = urlsplit(environ["NEO4J_URL"]), urlsplit(environ["REDIS_URL"])
        upstreams = {"postgresql": f"{environ['POSTGRES_HOST']}:{environ['POSTGRES_PORT']}",
                     "qdrant": f"{environ['QDRANT_HOST']}:{environ['QDRANT_PORT']}",
                     "neo4j": f"{graph.hostname}:{graph.port}", "redis": f"{cache.hostname}:{cache.port}"}
        for name, upstream in upstreams.items():
            self.proxies[name] = Proxy(toxiproxy, name, upstream)
        # One more before PostgreSQL: it knows what a COMMIT looks like.
        self.commits = FaultProxy(("127.0.0.1", self.proxies["postgresql"].port))
        self.callback(self.commits.close)
        return {"POSTGRES_PORT": str(self.commits.port), "QDRANT_PORT": str(self.proxies["qdrant"].port),
                "NEO4J_URL": f"http://127.0.0.1:{self.proxies['neo4j'].port}",
                "REDIS_URL": f"redis://:{cache.password}@127.0.0.1:{self.proxies['redis'].port}/0"}

    def _close_world(self) -> None:
        self.daemon.kill()
        log = self.daemon.log_path
        (self.folder / "sagad.log").write_bytes(log.read_bytes() if log.exists() else b"")
        for one in (self.daemon.journal, Path(f"{self.daemon.journal}-wal")):
            if one.exists():
                (self.folder / one.name).write_bytes(one.read_bytes())
        self.world.close()

    def disk(self, store: str) -> Disk:
        return self.disks["postgres" if store == "postgresql" else store]

    def mend(self) -> None:
        """Every store runs and every proxy passes, whatever was done to them."""
        for disk in self.disks.values():
            disk.empty()
        for proxy in self.proxies.values():
            proxy.clear()
        self.commits.passes()
        self.world.mend()

    def relaunch(self) -> None:
        """kill -9 and the next start, which isn't waited for."""
        self.daemon.kill()
        self.daemon.launch()

    def wait_ready(self, timeout_s: float = 40) -> None:
        self.daemon.wait_ready(timeout_s)

    def wait_answers(self, store: str, timeout_s: float = 30) -> None:
        eventually(self.world.store(store).answers, timeout_s, what=f"{store} doesn't answer")
