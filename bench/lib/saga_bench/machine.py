"""What processes cost: CPU seconds and resident memory, out of /proc by psutil; and what this machine is."""
from __future__ import annotations

import os
import platform
import resource
import threading
from pathlib import Path

import psutil


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and all its children, those that have ended and were waited for included."""
    total = 0.0
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def children_cpu_s() -> float:
    """Of this program's children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident_bytes(pid: int) -> int:
    return psutil.Process(pid).memory_info().rss


class Memory:
    """The resident bytes of one process, looked at ten times a second while the `with` runs."""

    def __init__(self, pid: int):
        self.process = psutil.Process(pid)
        self.readings: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self._over.wait(0.1):
            self.readings.append(self.process.memory_info().rss)

    def __enter__(self) -> "Memory":
        self.readings.append(self.process.memory_info().rss)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def highest_bytes(self) -> int:
        return max(self.readings)

    def growth(self) -> float:
        """The highest of the last third over the highest of the second: 1 is flat. The first third warms up."""
        third = max(1, len(self.readings) // 3)
        return max(self.readings[-third:]) / max(self.readings[third:2 * third] or self.readings[:1])


def describe() -> dict[str, str]:
    models = {line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")}
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {"processor": f"{os.cpu_count()} cores, {', '.join(sorted(models)) or platform.machine()}",
            "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
            "system": f"{system}, Linux {platform.release()}"}
