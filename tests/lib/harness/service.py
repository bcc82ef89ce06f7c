"""systemd's part in a test: sockets that are handed over, and the socket that READY and the watchdog go to."""

import fcntl
import os
import re
import socket
import subprocess
import time

from .daemon import program

# LISTEN_PID has to be the daemon's own, and the descriptors have to begin at 3.
HAND_OVER = 'i=3; for fd in $HANDED; do eval "exec $i<&$fd $fd<&-"; i=$((i + 1)); done; export LISTEN_PID=$$; exec "$@"'


class Listening:
    """A socket that a unit would have made."""

    def __init__(self, path, backlog=1024):
        self.path = path
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(path))
        made.listen(backlog)
        self.fd = fcntl.fcntl(made.fileno(), fcntl.F_DUPFD, 20)
        os.set_inheritable(self.fd, True)
        made.close()

    def close(self):
        os.close(self.fd)


def hand_over(daemon, **sockets):
    """Let the daemon's next start inherit these Listening sockets under their names."""
    daemon.prefix = ["/bin/bash", "-c", HAND_OVER, "hand-over"]
    daemon.pass_fds = tuple(each.fd for each in sockets.values())
    daemon.environ.update(HANDED=" ".join(str(fd) for fd in daemon.pass_fds), LISTEN_FDS=str(len(sockets)),
                          LISTEN_FDNAMES=":".join(sockets))


class Manager:
    """Receives what the daemon tells systemd."""

    def __init__(self, folder):
        self.path = folder / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.messages = []

    def close(self):
        self.socket.close()

    def _receive(self, timeout_s):
        self.socket.settimeout(max(timeout_s, 0.001))
        try:
            text = self.socket.recv(4096).decode()
        except TimeoutError:
            return None
        message = dict(line.split("=", 1) for line in text.splitlines())
        self.messages.append((time.monotonic(), message))
        return message

    def wait(self, key, pattern=".*", timeout_s=10):
        """The next message in which `key` has a value that fits."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            message = self._receive(end - time.monotonic())
            if message and key in message and re.fullmatch(pattern, message[key], re.S):
                return message
        raise AssertionError(f"no {key}={pattern} within {timeout_s} s; last: {self.messages[-5:]}")

    def count(self, key, for_s):
        """How often `key` comes in this time."""
        end, found = time.monotonic() + for_s, 0
        while time.monotonic() < end:
            message = self._receive(end - time.monotonic())
            found += bool(message and key in message)
        return found


def install(root, build=None):
    """What `meson install` of the build under test, or of another, puts there, under another root."""
    build = program("sagad", build).parents[2]
    subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--quiet", "--destdir", str(root)], check=True)
    return root
