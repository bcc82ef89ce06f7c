"""bench/baseline: what a user writes today, asyncio.gather over the official clients; and the same in sequence."""
from __future__ import annotations

import argparse

from .arena import Arena
from .asyncio_baseline import Baseline
from .workload import BY_NAME


def main() -> None:
    made = argparse.ArgumentParser(prog="bench/baseline", description=__doc__)
    made.add_argument("--workload", choices=BY_NAME, default="standard")
    made.add_argument("--documents", type=int, default=500, help="of one run (500)")
    made.add_argument("--warmup", type=float, default=60, help="seconds of load before anything counts (60)")
    arguments = made.parse_args()
    workload, n = BY_NAME[arguments.workload], arguments.documents
    documents = workload.documents()
    with Arena.open() as arena:
        arena.fresh(workload.dims)
        arena.warm_up(documents, workload, arguments.warmup)
        baseline = Baseline(arena.environ, documents)
        print(f"documents of {workload.name}\n\n{'':<24}{'docs/s':>9}{'p50 ms':>9}")
        rates = {}
        for n_tasks, is_gathered in ((1, False), (1, True), (4, True), (8, True), (16, True), (32, True), (64, True)):
            name = f"gather, {n_tasks} tasks" if is_gathered else "in sequence, one task"
            rates[name], median_s = arena.baseline(baseline, n, n_tasks, is_gathered)
            print(f"{name:<24}{rates[name]:9,.0f}{median_s * 1000:9.1f}", flush=True)
        print(f"best: {max(rates, key=rates.__getitem__)}")


if __name__ == "__main__":
    main()
