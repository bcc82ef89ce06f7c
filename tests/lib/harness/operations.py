"""The operations endpoint of a daemon, and the programs of Debian's Prometheus package."""

import json
import re
import shutil
import socket
import urllib.error
import urllib.request

from .daemon import CHECKOUT
from .waiting import eventually

# On: a port of the kernel's choice, and stores that are looked at often.
OPERATIONS = {"operations.listen": "127.0.0.1:0", "operations.check_interval": "200ms"}


def tool(name):
    """prometheus or promtool: from PATH, or where tools/setup has unpacked it."""
    found = shutil.which(name) or CHECKOUT / "build" / "deps" / "prometheus" / "usr" / "bin" / name
    assert shutil.which(str(found)), f"{name} is missing: run tools/setup"
    return str(found)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Operations:
    """What a daemon with OPERATIONS shows."""

    def __init__(self, daemon):
        places = re.findall(r"status page on (http://[\d.:]+)/", daemon.log())
        assert places, "the daemon's log names no status page"
        self.url = places[-1]
        self.place = self.url.removeprefix("http://")

    def get(self, path, headers=None):
        """Status, headers, text; errors of HTTP are answers, too."""
        request = urllib.request.Request(self.url + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def text(self, path):
        status, _, text = self.get(path)
        assert status == 200, f"{path}: {status}: {text}"
        return text

    def status(self):
        return json.loads(self.text("/status.json"))

    def metrics(self):
        """{'name{label="value"}': number}"""
        found = {}
        for line in self.text("/metrics").splitlines():
            if not line.startswith("#"):
                series, number = line.rsplit(" ", 1)
                found[series] = float(number)
        return found

    def wait_ready(self, timeout_s=20):
        eventually(lambda: self.get("/readyz")[0] == 200, timeout_s, what="/readyz stays unready")
