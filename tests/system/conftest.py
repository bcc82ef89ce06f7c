"""Stores for all system tests: real ones, shared, emptied between tests instead of restarted.

SAGAD_STORES_DIR set: the stores of that folder (`tools/stores` starts them; those that run already are left running);
otherwise a scratch set that is gone afterwards. SAGAD_BUILD names the build folder of the daemon under test.
"""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "tools" / "lib", ROOT / "tests" / "lib"):
    sys.path.insert(0, str(folder))

from harness import World  # noqa: E402
from stores import NAMES, Stores  # noqa: E402


@pytest.fixture(scope="session")
def real_stores():
    """All four, up. A test that harms one mends it."""
    if not os.environ.get("SAGAD_STORES_DIR"):
        with Stores.scratch() as made:
            made.up()
            yield made
        return
    kept = ("SAGAD_STORES_DIR", "SAGAD_STORES_DIST")
    made = Stores(environ={key: os.environ[key] for key in kept if key in os.environ})
    idle = [name for name in NAMES if not made[name].is_running()]
    made.up()
    yield made
    if idle:
        made.down(*idle)


@pytest.fixture(scope="module")
def world(real_stores):
    made = World(real_stores)
    made.mend()
    yield made
    made.close()
