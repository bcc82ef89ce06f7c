"""One store: its folder, its state file and its process. What differs between stores is in the subclasses.

Folder of a store, below the state folder:
    state.json   ports, password, pid and start time; ours alone (0600)
    data/        the server's own, mode 0700
    log          what the server printed
"""

import json
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

from . import ports, process
from .errors import StoreError
from .paths import locked, make_folder, server_ids


class Store:
    """A store that runs on this machine. All methods may be called from any thread or process."""

    name = ""
    n_ports = 1
    ready_timeout_s = 30
    stop_timeout_s = 15
    stop_signal = signal.SIGTERM

    def __init__(self, state_root, dist, environ, say=None):
        self.root = make_folder(Path(state_root) / self.name, 0o711)
        self.dist = dist
        self.environ = environ
        self.say = say or (lambda text: None)
        self.data = self.root / "data"
        self.log = self.root / "log"

    # What a subclass says about its server.

    def version(self):
        """The version that would be, or is, started."""
        raise NotImplementedError

    def fetch(self):
        """Bring what the server needs onto this machine, once."""

    def initialise(self, state):
        """Fill the empty data folder before the first start."""

    def command(self, state):
        """(argv, environment) of the server's own process."""
        raise NotImplementedError

    def is_ready(self, state):
        """Whether the server answers a request that needs its data; any OSError counts as no."""
        raise NotImplementedError

    def after_first_start(self, state):
        """What can only be set up through the running server."""

    def variables(self, state):
        """The environment variables that lead a client to this server."""
        raise NotImplementedError

    # State file.

    def state(self):
        """The state file's content; made with fresh ports and a fresh password when missing."""
        path = self.root / "state.json"
        if not path.exists():
            with locked(self.root, "state"):
                if not path.exists():
                    self._save({"ports": ports.pick(self.n_ports), "password": secrets.token_hex(16),
                                "pid": None, "start_time": None, "is_bench": False,
                                "is_initialised": False, "is_set_up": False})
        return json.loads(path.read_text(encoding="utf-8"))

    def _save(self, state):
        path = self.root / "state.json"
        scratch = self.root / f".state.json.{os.getpid()}"
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            json.dump(state, out, indent=1)
        os.replace(scratch, path)

    # What people and tests ask for.

    @property
    def port(self):
        return self.state()["ports"][0]

    @property
    def host(self):
        return ports.HOST

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def password(self):
        return self.state()["password"]

    @property
    def pid(self):
        """The server's pid, or None when it isn't running."""
        state = self.state()
        return state["pid"] if process.is_alive(state["pid"], state["start_time"]) else None

    def is_running(self):
        return self.pid is not None

    def is_paused(self):
        state = self.state()
        return state["pid"] is not None and process.state_letter(state["pid"], state["start_time"]) == "T"

    def answers(self):
        """Whether the server is ready for requests now."""
        try:
            return self.is_running() and self.is_ready(self.state())
        except OSError:
            return False

    def start(self, is_bench=False, must_wait=True):
        """Start the server and wait until it is ready; one that runs already is only resumed, unless --bench asks
        for other sizes."""
        with locked(self.root, "run"):
            if self.is_running() and (self.state()["is_bench"] or not is_bench):
                self.resume()
                if must_wait:
                    self._wait_ready()
                return
            self.fetch()
            self._stop()
            began = time.monotonic()
            self._launch(is_bench)
            if must_wait:
                self._wait_ready()
                self.say(f"{self.name} {self.version()} up on {self.address} in {time.monotonic() - began:.1f} s")

    def stop(self):
        """Stop the server in its own orderly way, by force when that takes too long."""
        with locked(self.root, "run"):
            self._stop()

    def kill(self):
        """SIGKILL every process of the server; returns when all are gone."""
        with locked(self.root, "run"):
            state = self.state()
            if process.is_alive(state["pid"], state["start_time"]):
                process.kill_tree(state["pid"], state["start_time"])
                self.say(f"{self.name} killed (pid {state['pid']})")

    def pause(self):
        """SIGSTOP every process of the server: connections stay open and nobody answers."""
        state = self.state()
        process.freeze(state["pid"], state["start_time"])

    def resume(self):
        """SIGCONT every process of the server."""
        state = self.state()
        process.thaw(state["pid"], state["start_time"])

    def restart(self):
        self.stop()
        self.start(is_bench=self.state()["is_bench"])

    def wipe(self):
        """Stop, and forget all data; ports and password stay."""
        with locked(self.root, "run"):
            self._stop()
            self._wipe()

    def change_password(self, secret):
        """Another secret from the next start on, for a server that takes it from its environment."""
        self._save({**self.state(), "password": secret})

    def env(self):
        """The environment variables that lead a client to this server, up or not."""
        return self.variables(self.state())

    def tail(self, n_lines=20):
        """The last lines of the server's log."""
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as handle:
            handle.seek(max(0, self.log.stat().st_size - 200 * n_lines))
            return "\n".join(handle.read().decode(errors="replace").splitlines()[-n_lines:])

    def describe(self):
        """What `status` shows of it."""
        pid = self.pid
        word = "down" if pid is None else "paused" if self.is_paused() else "up" if self.answers() else "starting"
        return {"name": self.name, "state": word, "address": self.address, "pid": pid, "version": self.version(),
                "is_bench": self.state()["is_bench"], "data": str(self.data)}

    # How it is done.

    def _wipe(self):
        shutil.rmtree(self.data, ignore_errors=True)
        self._save({**self.state(), "is_initialised": False, "is_set_up": False})

    def _launch(self, is_bench):
        state = self.state()
        for port in state["ports"]:
            if not ports.is_free(port):
                raise StoreError(f"{self.name}: port {port} is taken by another process; "
                                 f"remove {self.root} to have another one chosen")
        if not state["is_initialised"]:
            self._wipe()
            self._make_data_folder()
            self.initialise(state)
            state = {**self.state(), "is_initialised": True}
        state["is_bench"] = is_bench
        self._rotate_log()
        argv, environ = self.command(state)
        state["pid"], state["start_time"] = process.spawn(argv, self.log, self.data, environ)
        self._save(state)

    def _make_data_folder(self):
        self.data.mkdir(mode=0o700)
        self.data.chmod(0o700)
        ids = server_ids()
        if ids:
            os.chown(self.data, *ids)

    def write_for_server(self, path, text):
        """A file that only the servers' user (and root) can read."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        ids = server_ids()
        if ids:
            os.chown(path, *ids)
        return path

    def _rotate_log(self):
        if self.log.exists() and self.log.stat().st_size > 4 << 20:
            os.replace(self.log, self.log.with_name("log.old"))

    def _wait_ready(self):
        state, end, pause_s = self.state(), time.monotonic() + self.ready_timeout_s, 0.02
        while True:
            if not process.is_alive(state["pid"], state["start_time"]):
                raise StoreError(f"{self.name} ended while starting; the end of {self.log}:\n{self.tail()}")
            try:
                if self.is_ready(state):
                    return self._set_up()
            except OSError:
                pass
            if time.monotonic() > end:
                raise StoreError(f"{self.name} isn't ready after {self.ready_timeout_s} s; see {self.log}")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.3, 0.2)

    def _set_up(self):
        if not self.state()["is_set_up"]:
            self.after_first_start(self.state())
            self._save({**self.state(), "is_set_up": True})

    def _stop(self):
        state = self.state()
        pid, started = state["pid"], state["start_time"]
        if process.is_alive(pid, started):
            began, members = time.monotonic(), process.tree(pid)
            process.thaw(pid, started)
            process.send(pid, started, self.stop_signal)
            is_orderly = process.wait_gone(members, self.stop_timeout_s)
            if not is_orderly:
                process.kill_tree(pid, started)
            how = "down" if is_orderly else f"killed, since it took more than {self.stop_timeout_s} s,"
            self.say(f"{self.name} {how} in {time.monotonic() - began:.1f} s")
        self._save({**self.state(), "pid": None, "start_time": None})


def plain_environment(**more):
    """A small environment for a server: nothing of the caller's leaks into it."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **more}
