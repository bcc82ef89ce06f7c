"""The sagas of docs/examples on the real stores: whole, and refused at each of their steps. `tools/demo --sagas` also
lets each store and service die, and lose an answer, at each of them."""

import re

import pytest
from harness.examples import EXAMPLES, REFUSED, Bench


@pytest.fixture(scope="module")
def bench(world):
    made = Bench(world.environ, lambda: world.readers)
    try:
        made.daemon = world.running(made.settings(), made.environ)
        yield made
    finally:
        for daemon in world.daemons:
            daemon.kill()
        made.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_commits(bench, example):
    bench.reset()
    before = bench.holdings(example)
    run = bench.run(example)
    assert run.status == 0, run.said
    changed = [place for place in example.places if run.holdings[place] != before[place]]
    assert changed == list(example.places), (before, run.holdings)


@pytest.mark.parametrize("example, step", [
    pytest.param(example, step, id=f"{example.name}-{step}")
    for example in EXAMPLES for step, way, _ in example.failures() if way == REFUSED])
def test_it_leaves_nothing_when_a_step_is_refused(bench, example, step):
    bench.reset()
    before = bench.holdings(example)
    place = next(place for name, way, place in example.failures() if (name, way) == (step, REFUSED))
    run = bench.run(example, step, REFUSED, place)
    assert run.status != 0 and re.search(rf"^{step} .* (failed|undone) ", run.said, re.M), run.said
    assert run.holdings == before
