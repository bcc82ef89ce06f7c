"""Qdrant: the real server when `qdrant` is on PATH, else tools/qdrant-edge-server, a stand-in that puts Qdrant's
REST dialect in front of Qdrant's own engine. Both read the same environment variables."""

import shutil
import subprocess
import sys

from . import fetch, wire
from .base import Store, plain_environment
from .errors import StoreError
from .paths import CHECKOUT, can_reach


class Qdrant(Store):
    name = "qdrant"
    n_ports = 2  # HTTP, and gRPC of the real server

    def real_program(self):
        found = shutil.which("qdrant")
        if found and not can_reach(found):
            raise StoreError(f"the servers' user (nobody) can't reach {found}")
        return found

    def version(self):
        found = self.real_program()
        if found:
            return subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        return "stand-in (qdrant-edge-py 0.9.0)"

    def fetch(self):
        return None if self.real_program() else self.fetch_stand_in()

    def fetch_stand_in(self):
        """The folder with the engine's Python module."""
        return fetch.wheel(self.dist, "qdrant-edge-py", lambda path: path.startswith("qdrant_edge"), self.say)

    def command(self, state):
        environ = plain_environment(
            QDRANT__SERVICE__HOST=self.host, QDRANT__SERVICE__HTTP_PORT=str(state["ports"][0]),
            QDRANT__SERVICE__GRPC_PORT=str(state["ports"][1]), QDRANT__SERVICE__API_KEY=state["password"],
            QDRANT__STORAGE__STORAGE_PATH=str(self.data / "storage"),
            QDRANT__STORAGE__SNAPSHOTS_PATH=str(self.data / "snapshots"), QDRANT__TELEMETRY_DISABLED="true")
        found = self.real_program()
        if found:
            return [found], environ
        environ.update(PYTHONPATH=str(self.fetch_stand_in()), PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
        return [self._python(), self._stand_in()], environ

    def _python(self):
        """A Python 3.10 or newer that the servers' user can run: the caller's may be in somebody's home."""
        for python in ("/usr/bin/python3", "/usr/local/bin/python3", sys.executable):
            if shutil.which(python) and can_reach(python) and self._is_new_enough(python):
                return python
        raise StoreError("no Python that user nobody can run; run: apt-get install -y python3")

    @staticmethod
    def _is_new_enough(python):
        check = "import sys; sys.exit(sys.version_info < (3, 10))"
        return subprocess.run([python, "-c", check], check=False).returncode == 0

    def _stand_in(self):
        """The stand-in's path; a copy of it when the servers' user can't reach the checkout."""
        tools = CHECKOUT / "tools"
        modules = sorted((tools / "lib/qdrant_stand_in").glob("*.py"))
        if all(map(can_reach, [tools / "qdrant-edge-server", *modules])):
            return tools / "qdrant-edge-server"
        copy = self.root / "stand-in"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(tools / "lib/qdrant_stand_in", copy / "lib/qdrant_stand_in")
        shutil.copy(tools / "qdrant-edge-server", copy)
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755)
        return copy / "qdrant-edge-server"

    def is_ready(self, state):
        return wire.http_json(state["ports"][0], "GET", "/readyz")[0] == 200

    def variables(self, state):
        return {"QDRANT_HOST": self.host, "QDRANT_PORT": str(state["ports"][0]), "QDRANT_API_KEY": state["password"]}
