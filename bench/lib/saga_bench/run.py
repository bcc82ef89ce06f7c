"""bench/run: limit, baseline and sagad in one go, interleaved; the other rows by name."""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import results, rows, special
from .arena import Arena, WrongCount
from .single import single
from .workload import LARGE, SMALL, STANDARD

QUICK_ROWS = ("standard", "latency", "load")
# In this order: the first ones find the rates that later ones load with; other dimensions come last.
ALL_ROWS = ("standard", "latency", "load", "single", "overwrites", "memory", "clients", "slow", "journal", "steady",
            "null", "small", "large")
USUAL_ROWS = tuple(name for name in ALL_ROWS if name not in ("slow", "journal", "steady", "null"))
SCALES = {"full": rows.FULL, "quick": rows.QUICK, "tiny": rows.TINY}


class Run:
    """The rows that were asked for, one after the other; each is kept as soon as it is there."""

    def __init__(self, arena: Arena, scale: rows.Scale, found: results.Results):
        self.arena, self.scale, self.results = arena, scale, found
        self._highest = 0.0

    def highest(self) -> float:
        """Documents a second in a closed loop, of this run."""
        if not self._highest:
            report = self.arena.sagad(STANDARD, *self.scale.closed, f"--seconds={self.scale.seconds}", "--warmup=1")
            self._highest = report["per_second"]
        return self._highest

    def row(self, name: str) -> None:
        self.arena.say(f"{name}:")
        if hasattr(self, name):
            getattr(self, name)()
        else:
            self.results.add(special.MEASURES[name](self.arena, self.scale))
        self.results.save()

    def standard(self) -> None:
        measured = rows.Throughput(self.arena, STANDARD, self.scale, has_baseline=True).run()
        self._highest = sorted(measured.values("sagad"))[len(measured.rounds) // 2]
        self.results.kept["workloads"]["standard"] = measured.detail()
        self.results.add(rows.standard(measured))

    def small(self) -> None:
        measured = rows.Throughput(self.arena, SMALL, self.scale).run()
        self.results.kept["workloads"]["small"] = measured.detail()
        self.results.add({"small": measured.ratio("limit")})

    def large(self) -> None:
        self.arena.fresh(LARGE.dims)
        self.arena.warm_up(LARGE.documents(), LARGE, self.scale.warmup / 4)
        measured = rows.Throughput(self.arena, LARGE, self.scale).run()
        self.results.kept["workloads"]["large"] = measured.detail()
        self.results.add({"large": measured.ratio("limit")})

    def single(self) -> None:
        self.results.add(single(self.arena, self.scale))

    def latency(self) -> None:
        self.results.add(rows.latency(self.arena, self.highest(), self.scale))

    def load(self) -> None:
        self.results.kept["load"] = rows.load_curve(self.arena, self.highest(), self.scale)


def parse() -> argparse.Namespace:
    made = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    made.add_argument("--quick", action="store_true",
                      help=f"{', '.join(QUICK_ROWS)} in less than five minutes, with stores that are up")
    made.add_argument("--all", action="store_true", help="every row; about an hour")
    made.add_argument("--rows", metavar="NAME,...", help=f"only these, of: {', '.join(ALL_ROWS)}")
    made.add_argument("--scale", choices=SCALES, help="how long each takes (full; quick with --quick)")
    made.add_argument("--rounds", type=int, help="instead of the scale's own")
    made.add_argument("--warmup", type=float, metavar="SECONDS", help="load before anything counts (60)")
    made.add_argument("--steady-seconds", type=float, metavar="SECONDS", help="length of the row `steady` (600)")
    made.add_argument("--any-stores", action="store_true",
                      help="take the stores of SAGAD_STORES_DIR also when they weren't started with --bench")
    made.add_argument("--results", type=Path, default=results.FOLDER, metavar="FOLDER", help="(bench/results)")
    made.add_argument("--page", action="store_true", help="only write what is kept into docs/performance.md")
    return made.parse_args()


def chosen(arguments: argparse.Namespace) -> tuple[str, ...]:
    if not arguments.rows:
        return ALL_ROWS if arguments.all else QUICK_ROWS if arguments.quick else USUAL_ROWS
    names = arguments.rows.split(",")
    unknown = sorted(set(names) - set(ALL_ROWS))
    if unknown:
        sys.exit(f"bench/run: no row is called {', '.join(unknown)}; there are {', '.join(ALL_ROWS)}")
    return tuple(name for name in ALL_ROWS if name in names)


def scale_of(arguments: argparse.Namespace) -> rows.Scale:
    given = {"rounds": arguments.rounds, "warmup": arguments.warmup, "steady_seconds": arguments.steady_seconds}
    return replace(SCALES[arguments.scale or ("quick" if arguments.quick else "full")],
                   **{name: value for name, value in given.items() if value is not None})


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> results.Results:
    names, scale, found = chosen(arguments), scale_of(arguments), results.Results(arguments.results)
    with Arena.open(say, arguments.any_stores) as arena:
        found.kept["about"] = results.about(arena)
        arena.fresh(STANDARD.dims)
        arena.warm_up(STANDARD.documents(), STANDARD, scale.warmup)
        run = Run(arena, scale, found)
        for name in names:
            run.row(name)
    return found


def main() -> None:
    arguments, began = parse(), time.monotonic()
    if arguments.page:
        results.Results(arguments.results).write_page()
        return
    try:
        found = measure(arguments, lambda text: print(text, flush=True))
    except WrongCount as error:
        sys.exit(f"bench/run: {error}")
    print(f"\n{found.text()}\n\n{time.monotonic() - began:.0f} s; {found.path}\n{found.last_line()}")


if __name__ == "__main__":
    main()
