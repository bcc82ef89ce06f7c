"""bench/limit: what the stores can take of the same documents, each alone and all four at once."""
from __future__ import annotations

import argparse

from .arena import Arena
from .bulk import STORES
from .stores_limit import Limit
from .workload import BY_NAME


def main() -> None:
    made = argparse.ArgumentParser(prog="bench/limit", description=__doc__)
    made.add_argument("--workload", choices=BY_NAME, default="standard")
    made.add_argument("--documents", type=int, default=5000, help="of one joint run (5000)")
    made.add_argument("--warmup", type=float, default=60, help="seconds of load before anything counts (60)")
    made.add_argument("--rounds", type=int, default=3, help="joint runs (3)")
    arguments = made.parse_args()
    workload, n = BY_NAME[arguments.workload], arguments.documents
    documents = workload.documents()
    with Arena.open() as arena:
        arena.fresh(workload.dims)
        arena.warm_up(documents, workload, arguments.warmup)
        limit = Limit(arena.environ, documents)
        print(f"documents of {workload.name}\n\n{'alone':<12}{'docs/s':>9}   batch x connections")
        for store in STORES:
            arena.alone(limit, store, n // 8)
            for setting, rate in sorted(limit.alone_rates[store].items(), key=lambda item: -item[1])[:3]:
                print(f"{store:<12}{rate:9,.0f}   {setting}", flush=True)
        limit.tune_together(n // 2, lambda some: arena.limit(limit, some)["rate"])
        for name, rate in limit.joint_rates.items():
            print(f"{'all at once':<12}{rate:9,.0f}   connections: {name}")
        for _ in range(arguments.rounds):
            found = arena.limit(limit, n)
            each = ", ".join(f"{store} {its:,.0f}" for store, its in found["by_store"].items())
            print(f"{'all at once':<12}{found['rate']:9,.0f}   {each}", flush=True)


if __name__ == "__main__":
    main()
