"""Crash points by name, and counts of hits."""
from __future__ import annotations

import collections
import dataclasses
import subprocess
from pathlib import Path

from harness.daemon import program

BUILD = "crash"
BUILD_OPTIONS = ("-Dcrash_points=true", "-Dmutants=true")
EXIT_CRASHED = 137

Hits = collections.Counter[str]


@dataclasses.dataclass(frozen=True, order=True)
class Place:
    """The n-th time that a point is reached in a daemon's life."""

    point: str
    hit: int

    def __str__(self) -> str:
        return f"{self.point}:{self.hit}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        point, _, hit = text.rpartition(":")
        return cls(point, int(hit))


def names() -> list[str]:
    """All of the build under test, in the order of its table."""
    output = subprocess.run([program("sagad", BUILD), "--crash-points"], check=True, capture_output=True, text=True)
    return output.stdout.split()


def read_hits(path: Path) -> Hits:
    """What a daemon that ended cleanly has written down."""
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return collections.Counter({name: int(hits) for name, hits in lines if hits != "0"})
