"""Server processes: started as an unprivileged user, known by pid *and* start time, signalled as a whole tree.

A pid alone is no name: the kernel gives it out again. The start time from /proc makes it one.
"""

import contextlib
import os
import signal
import subprocess
import time

from .errors import StoreError
from .paths import server_ids

def _identity_arguments():
    ids = server_ids()
    if ids is None:
        return {}
    return {"user": ids[0], "group": ids[1], "extra_groups": []}


def spawn(argv, log, cwd, environ):
    """Start a server in the background; returns (pid, start time). Its output goes to `log`."""
    with open(log, "ab") as out:
        out.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(map(str, argv))[:400]}\n".encode())
        out.flush()
        child = subprocess.Popen(
            [str(arg) for arg in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            cwd=cwd, env=environ, start_new_session=True, umask=0o077, **_identity_arguments())
    started = start_time(child.pid)
    # The server outlives this object and is reaped by state_letter(): Popen must neither warn nor wait for it.
    child.returncode = 0
    return child.pid, started


def run(argv, cwd, environ, stdin="", timeout_s=120):
    """Run a tool as the servers' user to its end; returns its output, raises with it on failure."""
    try:
        done = subprocess.run(
            [str(arg) for arg in argv], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", cwd=cwd, env=environ, timeout=timeout_s, umask=0o077,
            **_identity_arguments())
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"{argv[0]} took longer than {timeout_s} s") from error
    if done.returncode != 0:
        raise StoreError(f"{argv[0]} failed with status {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def _stat_fields(pid):
    """The fields of /proc/PID/stat after the command's name, or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            text = handle.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(b")") + 2:].split()


def start_time(pid):
    """Clock ticks between boot and the start of `pid`, or None when it doesn't exist."""
    fields = _stat_fields(pid)
    return int(fields[19]) if fields else None


def state_letter(pid, started):
    """R, S, T, ... of exactly this process; None when it is gone. A zombie counts as gone, and is reaped if ours."""
    fields = _stat_fields(pid)
    if fields is None or int(fields[19]) != started:
        return None
    letter = fields[0].decode()
    if letter in "ZX":
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return None
    return letter


def is_alive(pid, started):
    return pid is not None and state_letter(pid, started) is not None


def tree(pid):
    """[(pid, start time)] of `pid` and all that descend from it, the root first."""
    children = {}
    for entry in os.listdir("/proc"):
        fields = _stat_fields(entry) if entry.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append((int(entry), int(fields[19])))
    found, todo = [], [(pid, start_time(pid))]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one[0], [])
    return found


def send(pid, started, number):
    """Signal exactly this process; no error when it has gone."""
    if is_alive(pid, started):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def freeze(pid, started):
    """SIGSTOP the whole tree. The root first, so that it forks no more; then until nothing new appears."""
    seen = set()
    while is_alive(pid, started):
        fresh = [one for one in tree(pid) if one not in seen]
        if not fresh:
            break
        for one in fresh:
            send(*one, signal.SIGSTOP)
        seen.update(fresh)
    return seen


def thaw(pid, started):
    """SIGCONT the whole tree, the root last, so that it finds its children running."""
    if is_alive(pid, started):
        for one in reversed(tree(pid)):
            send(*one, signal.SIGCONT)


def kill_tree(pid, started):
    """SIGKILL the whole tree as one: frozen first, so that no process sees another's death and acts on it."""
    frozen = freeze(pid, started)
    for one in frozen:
        send(*one, signal.SIGKILL)
    wait_gone(frozen, 10)


def wait_gone(processes, timeout_s):
    """Whether all of [(pid, start time)] ended in time."""
    end = time.monotonic() + timeout_s
    while any(is_alive(*one) for one in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
