"""tools/torture: options, folders, what is kept of a run that failed."""
from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
from pathlib import Path

from harness.daemon import CHECKOUT
from record import Record

from . import faults, plan
from .arena import Arena
from .campaign import Campaign
from .load import Load

DESCRIPTION = """Torture: a random campaign of real faults on real stores, under load.

Starts stores of its own, a proxy before each and the daemon, sends jobs from several clients, and meanwhile kills the
daemon, kills, freezes and misconfigures stores, and breaks the network. At rests the stores' official clients read
everything, and every answer that a client got is held against it. The last line is `N passed, N failed`: one for each
series of kills, each fault, each stop and each rest.

A failing run leaves its record (each job, answer and fault, in order), the daemon's log and its journal in the folder
that it names, and the seed that gives the same plan again."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5, metavar="M", help="how long (default: 5)")
    parser.add_argument("--kills", type=int, default=0, metavar="K", help="go on until the daemon was killed so often")
    parser.add_argument("--seed", type=int, help="the plan's seed (default: a random one, printed)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only faults whose `store: name` contains this")
    parser.add_argument("--plan", type=int, metavar="N", help="print the plan's first N steps and do nothing")
    return parser.parse_args(argv)


def write_table(campaign: Campaign, seed: int) -> None:
    path = CHECKOUT / "build" / "torture-table.md"
    path.write_text(f"Seed {seed}: {campaign.summary()}.\n\n{campaign.table()}", encoding="utf-8")
    print(campaign.table() + f"(also in {path.relative_to(CHECKOUT)})")


def main(argv: list[str]) -> int:
    args = arguments(argv)
    seed = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    if args.only:
        faults.ALL[:] = [one for one in faults.ALL if args.only in str(one)]
    if args.plan is not None:
        for step, _ in zip(plan.steps(seed), range(args.plan)):
            print(step)
        return 0
    print(f"torture: seed {seed}", flush=True)
    folder = CHECKOUT / "build" / "torture" / f"{time.strftime('%Y%m%d-%H%M%S')}-{seed}"
    folder.mkdir(parents=True)
    record = Record(folder / "record.jsonl")
    with Arena(folder) as arena:
        arena.open()
        without = frozenset() if arena.disks else frozenset({"disk full"})
        if without:
            print("torture: left out, for this needs the right to mount: disk full", flush=True)
        load = Load(arena.daemon.jobs_path, record, seed)
        campaign = Campaign(arena, record, load, lambda text: print(text, flush=True))
        try:
            campaign.run(plan.steps(seed, without), args.minutes * 60, args.kills)
        finally:
            load.end()
    record.close()
    write_table(campaign, seed)
    print(campaign.summary())
    if campaign.failures:
        print(f"torture: seed {seed} failed; record, log and journal are in {folder}", file=sys.stderr)
        for failure in campaign.failures:
            print(f"torture: {failure}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    print(f"{campaign.n_passed} passed, {len(campaign.failures)} failed")
    return 1 if campaign.failures else 0
