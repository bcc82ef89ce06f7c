"""Debian's Prometheus, scraping a daemon: queries, rules, and which alerts fire."""

import json
import re
import signal
import subprocess
import urllib.parse
import urllib.request

from .daemon import CHECKOUT
from .operations import free_port, tool
from .waiting import eventually

ALERTS = CHECKOUT / "conf" / "prometheus" / "alerts.yml"


def shortened(rules, window_s, for_s):
    """The kept rules with other times: each window of a range, and how long a condition must hold."""
    text, n_windows = re.subn(r"\[\d+m\]", f"[{window_s}s]", rules.read_text())
    text, n_holds = re.subn(r"\bfor: \d+m\b", f"for: {for_s}s", text)
    assert n_windows > 5 and n_holds > 5, "the rules look different from what is replaced here"
    return text


class Prometheus:
    """Scrapes `target` every second from its start on; gone after close()."""

    def __init__(self, folder, target, rules):
        self.port = free_port()
        config = folder / "prometheus.yml"
        config.write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: sagad
    static_configs: [{{targets: ['{target}']}}]
""")
        self.log = open(folder / "prometheus.log", "wb")
        self.process = subprocess.Popen(
            [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log, cwd=folder)
        eventually(self.is_ready, 30)

    def is_ready(self):
        try:
            return self.get("/-/ready") is not None
        except OSError:
            return False

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read()

    def query(self, expression):
        found = json.loads(self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
        assert found["status"] == "success", found
        return found["data"]["result"]

    def alerts(self):
        """Rules by name, with their health."""
        groups = json.loads(self.get("/api/v1/rules"))["data"]["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def firing(self, name):
        """The alerts of this rule that fire now; [] when it is quiet."""
        return [alert for alert in self.alerts()[name]["alerts"] if alert["state"] == "firing"]

    def wait_firing(self, name, timeout_s=40, **labels):
        def is_firing():
            found = [alert for alert in self.firing(name) if labels.items() <= alert["labels"].items()]
            assert found, f"{name} doesn't fire: {self.alerts()[name]['alerts']}"
            return found[0]
        return eventually(is_firing, timeout_s, pause_s=0.3)

    def wait_quiet(self, name, timeout_s=40):
        def is_quiet():
            assert not self.alerts()[name]["alerts"], self.alerts()[name]["alerts"]
            return True
        eventually(is_quiet, timeout_s, pause_s=0.3)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.log.close()
