"""A sagad of a test's own: folder, configuration, sockets, journal, log."""

import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .client import Client
from .waiting import eventually

CHECKOUT = Path(__file__).resolve().parents[3]

# Small, so that failures show soon; the stores answer within milliseconds.
SETTINGS = {
    "log.level": "debug",
    "log.repeats": 0,
    "daemon.drain_timeout": "10s",
    "operations.listen": "",
    "timeouts.deadline": "10s",
    "timeouts.store": "2s",
    "timeouts.postgresql": "2s",
    "timeouts.late_write_window": "2s",
    "timeouts.client_write": "2s",
    "retry.max_tries": 3,
    "retry.base": "10ms",
    "retry.cap": "100ms",
    "retry.background_base": "50ms",
    "retry.background_cap": "500ms",
    "postgresql.connect_timeout": "1s",
    "postgresql.connections": 2,
    "qdrant.connect_timeout": "1s",
    "neo4j.connect_timeout": "1s",
    "neo4j.collect_interval": "300ms",
    "redis.connect_timeout": "1s",
}


NOBODY = 65534
_copies = {}


def program(name, build=None, under="src"):
    """A binary out of the build folder that `build` or SAGAD_BUILD names (default: build/release)."""
    folder = Path(build or os.environ.get("SAGAD_BUILD") or "release")
    if not folder.is_absolute():
        folder = CHECKOUT / folder if (CHECKOUT / folder / "build.ninja").exists() else CHECKOUT / "build" / folder
    found = folder / under / name / name
    assert found.exists(), f"{found} is missing: run tools/build {folder.name}"
    return found


def reachable(path):
    """The file itself, or a copy where every user can run it when the checkout is below a folder of one user only."""
    if all(above.stat().st_mode & 0o001 for above in path.parents):
        return path
    if not _copies:
        folder = Path(tempfile.mkdtemp(prefix="sagad-programs-", dir="/var/tmp"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for library in (CHECKOUT / "build" / "deps").rglob("libyyjson.so.0"):
            shutil.copy(library, folder)
        os.environ["LD_LIBRARY_PATH"] = str(folder)  # the program's own path to it leads through the checkout
        _copies[None] = folder
    if path not in _copies:
        _copies[path] = Path(shutil.copy(path, _copies[None] / f"{path.name}-{len(_copies)}"))
    return _copies[path]


def config_text(settings):
    """Settings by "section.key" in the form of the configuration file."""
    sections = {}
    for key, value in settings.items():
        section, name = key.split(".")
        sections.setdefault(section, []).append(f"  {name} = {json.dumps(value, ensure_ascii=False)};")
    return "".join("%s = {\n%s\n};\n" % (name, "\n".join(lines)) for name, lines in sections.items())


@functools.cache
def allowed_calls(unit_text):
    """The system calls that a unit's SystemCallFilter= lines leave, by systemd's own lists."""
    groups, name = {}, None
    listing = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, text=True, capture_output=True).stdout
    for line in listing.splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = []
        elif name and line.startswith("    ") and not line.strip().startswith("#"):
            groups[name].append(line.strip())

    def expand(word):
        return {call for each in groups[word] for call in expand(each)} if word.startswith("@") else {word}

    allowed = expand("@default")  # systemd always adds it
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit_text, re.M):
        calls = {call for word in line.lstrip("~").split() for call in expand(word)}
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


class Daemon:
    """Started by start(); `environ` leads it to its stores."""

    def __init__(self, environ, settings=None, journal=None):
        self.folder = Path(tempfile.mkdtemp(prefix="sagad-test-"))
        self.environ = dict(environ)
        self.jobs_path = self.folder / "jobs.sock"
        self.admin_path = self.folder / "admin.sock"
        self.journal = journal or self.folder / "journal.sqlite"
        self.config = self.folder / "sagad.conf"
        self.log_path = self.folder / "log"
        self.settings = {**SETTINGS, **(settings or {})}
        self.process = None
        self.n_starts = 0
        self.prefix = []  # of its command line: a launcher
        self.pass_fds = ()
        self.build = None  # another build folder than that under test
        self.owner = None  # the uid that a launcher makes it run as
        if os.environ.get("SAGAD_FILTER"):
            self.confine(os.environ["SAGAD_FILTER"])

    def confine(self, action):
        """It will run as a user without rights, under the system calls that conf/sagad.service allows. What else it
        asks for fails ("errno", as in the unit) or ends it ("kill"). SQLite calls fchown() when it is root, and only
        then: so never as root."""
        allowed = self.folder / "allowed"
        allowed.write_text("\n".join(sorted(allowed_calls((CHECKOUT / "conf" / "sagad.service.in").read_text()))))
        self.owner = NOBODY
        launcher = reachable(program("sagad", self.build).parents[2] / "tests/lib/seccomp_launcher")
        self.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(launcher), action,
                       str(allowed)]

    def write_config(self):
        own = {"daemon.jobs_socket": str(self.jobs_path), "daemon.admin_socket": str(self.admin_path),
               "daemon.journal": str(self.journal)}
        self.config.write_text(config_text({**self.settings, **own}), encoding="utf-8")
        self.config.chmod(0o600)
        if self.owner is not None:
            for path in (self.folder, self.config):
                os.chown(path, self.owner, self.owner)

    def command(self, *options):
        found = program("sagad", self.build)
        return [*self.prefix, str(reachable(found) if self.prefix else found), "--config", str(self.config), *options]

    def environment(self):
        keep = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS") if key in os.environ}
        return {**keep, **self.environ}

    def launch(self, *options):
        """Start the process and don't wait for anything."""
        self.write_config()
        self.n_starts += 1
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(*options), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment(), cwd=self.folder, pass_fds=self.pass_fds)
        return self

    def start(self, *options, timeout_s=20):
        """Start, and wait until it takes jobs."""
        self.launch(*options)
        self.wait_ready(timeout_s)
        return self

    def wait_ready(self, timeout_s=20):
        """Recovered: it answers hello, and the engine runs."""
        def is_ready():
            self.check_alive()
            try:
                return self.stats()["phase"] == 2
            except OSError:
                return False
        eventually(is_ready, timeout_s, what=f"not ready; see {self.log_path}")

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def check_alive(self):
        """A dead daemon won't come up by waiting: this ends every wait."""
        if not self.is_alive():
            raise RuntimeError(f"the daemon ended with {self.process.returncode}:\n{self.log()[-3000:]}")

    def kill(self):
        """SIGKILL; returns when it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, timeout_s=20):
        """The exit code."""
        return self.process.wait(timeout_s)

    def stop(self):
        """SIGTERM and the exit code."""
        if not self.is_alive():
            return self.process.returncode if self.process else None
        self.terminate()
        return self.wait_exit()

    def end(self):
        """At a fixture's end: gone, and its folder too. A sanitizer's report fails the test here."""
        self.kill()
        log = self.log()
        shutil.rmtree(self.folder, ignore_errors=True)
        for word in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "sagad: bug at"):
            assert word not in log, log[log.index(word) - 200:][:4000]

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def jobs(self, timeout_s=30):
        return Client(self.jobs_path, timeout_s)

    def admin(self, timeout_s=30):
        return Client(self.admin_path, timeout_s)

    def stats(self):
        with self.admin(5) as client:
            return client.call("sagad.stats").result

    def init(self, **options):
        with self.admin() as client:
            answer = client.call("store.init", **options)
            assert answer.is_ok, answer
            return answer

    def settle(self, timeout_s=15):
        """Wait until nothing runs, nothing is owed, and the second removals after an abort are done."""
        def is_settled():
            stats = self.stats()
            busy = {name: stats[name] for name in ("sagas", "errands", "jobs_accepted") if stats[name]}
            assert not busy, f"still busy: {busy}"
            return True
        eventually(is_settled, timeout_s)

    def wait_log(self, text, timeout_s=10):
        eventually(lambda: text in self.log(), timeout_s, what=f"{text!r} isn't in the log")

    def memory_bytes(self):
        """Resident set of the running process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

