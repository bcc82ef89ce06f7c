"""What happens in which order, out of a seed. The same seed gives the same plan; the stores' timing is their own."""
from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

from . import faults

STRIKES_TO_A_REST = 4


@dataclasses.dataclass(frozen=True)
class Kills:
    """kill -9 of the daemon under load, one after the other; each after so many seconds."""

    after_s: tuple[float, ...]
    in_recovery_s: tuple[float | None, ...]  # killed again so long after its start


@dataclasses.dataclass(frozen=True)
class Strike:
    """A fault, and kills of the daemon while it lasts."""

    fault: faults.Fault
    kills_s: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Stop:
    """SIGTERM under load: the daemon ends by itself, having answered."""

    after_s: float


@dataclasses.dataclass(frozen=True)
class Freeze:
    """SIGSTOP of the daemon, and SIGCONT."""

    for_s: float


@dataclasses.dataclass(frozen=True)
class Rest:
    """The load pauses, all work ends, and the judge looks at every answer."""


Step = Kills | Strike | Stop | Freeze | Rest


def _kills(dice: random.Random) -> Kills:
    n = dice.randint(2, 5)
    return Kills(tuple(round(dice.uniform(0.05, 0.9), 3) for _ in range(n)),
                 tuple(round(dice.uniform(0, 0.15), 3) if dice.random() < 0.25 else None for _ in range(n)))


def _strike(dice: random.Random, fault: faults.Fault) -> Strike:
    n = dice.choice((0, 0, 1, 1, 2))
    return Strike(fault, tuple(sorted(round(dice.uniform(0.02, max(fault.hold_s, 0.1)), 3) for _ in range(n))))


def steps(seed: int, without: frozenset[str] = frozenset()) -> Iterator[Step]:
    """For ever: every fault of every store once, shuffled, then all again. `without`: names of faults that can't be
    had on this machine; leaving them out changes nothing else."""
    dice = random.Random(f"plan {seed}")
    n_strikes = 0
    while True:
        deck = list(faults.ALL)
        dice.shuffle(deck)
        for fault in deck:
            kills, strike = _kills(dice), _strike(dice, fault)
            other = dice.random()
            yield kills
            if fault.name not in without:
                yield strike
            if other < 0.1:
                yield Stop(round(dice.uniform(0.05, 0.5), 3))
            elif other < 0.2:
                yield Freeze(round(dice.uniform(0.5, 3), 3))
            n_strikes += 1
            if n_strikes % STRIKES_TO_A_REST == 0:
                yield Rest()
