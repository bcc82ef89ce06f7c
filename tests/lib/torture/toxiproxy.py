"""Toxiproxy (https://github.com/Shopify/toxiproxy), which tools/setup builds: faults of networks, one proxy a store."""
from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from harness import eventually
from harness.daemon import CHECKOUT

BUILT = CHECKOUT / "build" / "deps" / "toxiproxy" / "toxiproxy-server"


def program() -> str:
    found = str(BUILT) if BUILT.exists() else shutil.which("toxiproxy-server")
    if not found:
        raise SystemExit("toxiproxy isn't here: run tools/setup")
    return found


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


class Proxy:
    """Before one store. Toxics add up until clear()."""

    def __init__(self, server: "Toxiproxy", name: str, upstream: str):
        self.server, self.name, self.port = server, name, _free_port()
        server.call("POST", "/proxies", name=name, listen=f"127.0.0.1:{self.port}", upstream=upstream, enabled=True)

    def toxic(self, kind: str, stream: str = "downstream", **attributes: Any) -> None:
        """stream: upstream for requests, downstream for replies."""
        self.server.call("POST", f"/proxies/{self.name}/toxics", name=f"{kind} {stream}".replace(" ", "-"), type=kind,
                         stream=stream, toxicity=1.0, attributes=attributes)

    def refuse(self) -> None:
        """Open connections end, new ones are refused."""
        self.server.call("POST", f"/proxies/{self.name}", enabled=False)

    def clear(self) -> None:
        for toxic in self.server.call("GET", f"/proxies/{self.name}")["toxics"]:
            self.server.call("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        self.server.call("POST", f"/proxies/{self.name}", enabled=True)


class Toxiproxy:
    """The server's process; ends with the `with`."""

    def __init__(self, log: Path):
        self.port = _free_port()
        with log.open("ab") as out:
            self._process = subprocess.Popen([program(), "-host", "127.0.0.1", "-port", str(self.port)], stdout=out,
                                             stderr=out, stdin=subprocess.DEVNULL,
                                             # Less would be a line for each connection.
                                             env={**os.environ, "LOG_LEVEL": "error"})
        eventually(self._is_up, 10, what=f"toxiproxy doesn't answer; see {log}")

    def __enter__(self) -> "Toxiproxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _is_up(self) -> bool:
        try:
            return bool(self.call("GET", "/version") or True)
        except OSError:
            return False

    def call(self, method: str, path: str, **body: Any) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request, timeout=10) as reply:
            text = reply.read()
        return json.loads(text) if text.startswith((b"{", b"[")) else None
