"""The documents that limit, baseline and sagad all write: made by sagabench, so that everybody writes the same."""
from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SAGABENCH = ROOT / "build" / "release" / "bench" / "sagabench" / "sagabench"


@dataclass(frozen=True)
class Workload:
    """A document's shape, and how sagabench is asked for it."""

    name: str
    chunks: int = 8
    dims: int = 384
    entities: int = 5
    relationships: int = 6
    text_bytes: int = 400
    names: int = 1000
    pool: int = 128  # different contents

    def options(self) -> list[str]:
        return [f"--{name}={value}" for name, value in (
            ("chunks", self.chunks), ("dims", self.dims), ("entities", self.entities),
            ("relationships", self.relationships), ("text", self.text_bytes), ("names", self.names),
            ("pool", self.pool))]

    def documents(self) -> list[dict]:
        """The contents, without ids."""
        done = subprocess.run([SAGABENCH, *self.options(), "--dump"], check=True, capture_output=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


STANDARD = Workload("8 chunks x 384, 5 entities, 6 relationships")
SMALL = Workload("1 chunk x 384, 1 entity", chunks=1, entities=1, relationships=0, pool=512)
LARGE = Workload("32 chunks x 1536, 5 entities, 6 relationships", chunks=32, dims=1536, pool=24)
BY_NAME = {"standard": STANDARD, "small": SMALL, "large": LARGE}
