"""tools/demo --sagas: the sagas of docs/examples on real stores and two services, each also failing at each step."""

import compare
from harness.daemon import Daemon
from harness.examples import EXAMPLES, Bench
from harness.waiting import eventually

SETTINGS = {
    "neo4j.collect_interval": "200ms",
}


class Readers:
    """Connections of the official clients, made again when PostgreSQL's has ended."""

    def __init__(self, environ):
        self.environ = environ
        self.made = None

    def __call__(self):
        if self.made is None:
            self.made = compare.connect(self.environ)
        return self.made

    def close(self):
        if self.made is not None:
            self.made.close()


class Tally:
    def __init__(self, stage):
        self.stage = stage
        self.n_passed = self.n_failed = 0

    def judge(self, is_right, title, run):
        if is_right:
            self.n_passed += 1
            return "✓"
        self.n_failed += 1
        self.stage.say(f"✗ {title}:\n{run.said if run is not None else ''}")
        return "✗"


def whole(bench, example, tally):
    """(what the places hold before, what they hold after it has committed)."""
    bench.reset()
    before = bench.holdings(example)
    run = bench.run(example)
    is_right = run.state == "committed" and all(run.holdings[place] != before[place] for place in example.places)
    mark = tally.judge(is_right, "all goes well", run)
    head = ["", "what happens", "at step", "outcome", *example.places]
    rows = [head, ["", "before", "", "", *before.values()],
            [mark, "nothing fails", "", run.state, *run.holdings.values()]]
    return before, run.holdings, rows


def failing(bench, example, before, after, tally):
    """A row of the table for each way in which it can fail."""
    for step, way, place in example.failures():
        bench.reset()
        title = f"{place} {way}"
        try:
            run = bench.run(example, step, way, place)
        except AssertionError as problem:
            tally.judge(False, f"{title} at {step}: {problem}", None)
            yield ["✗", title, step, "?", *[""] * len(before)]
            continue
        expected = example.ends(step, way)
        is_right = run.state == expected and run.holdings == (after if expected == "committed" else before)
        if not is_right:
            run.said += f"\nexpected: {expected}; log:\n{bench.daemon.log()[-3000:]}"
        mark = tally.judge(is_right, f"{title} at {step}", run)
        yield [mark, title, step, run.state, *run.holdings.values()]


def show(stage, bench, tally):
    for example in EXAMPLES:
        stage.act(example.title)
        stage.say(f"docs/examples/{example.name}.json: "
                  + ", ".join(f"{step['name']} ({step.get('store') or step['service']})" for step in example.steps))
        before, after, rows = whole(bench, example, tally)
        rows += failing(bench, example, before, after, tally)
        stage.table(rows)


def play(stage, stores):
    """The status to end with; the last line is "N passed, N failed"."""
    stage.act("Four real stores and two HTTP services")
    stores.up()
    readers = Readers(stores.env())
    bench = Bench(stores.env(), readers)
    daemon = bench.daemon = Daemon(bench.environ, {**bench.settings(), **SETTINGS})
    tally = Tally(stage)
    try:
        daemon.launch()
        eventually(lambda: initialised(daemon), 20, what=daemon.log)
        daemon.wait_ready()
        show(stage, bench, tally)
    finally:
        daemon.kill()
        readers.close()
        bench.close()
        daemon.end()
    stage.say(f"\n{tally.n_passed} passed, {tally.n_failed} failed")
    return 0 if tally.n_failed == 0 else 1


def initialised(daemon):
    daemon.check_alive()
    try:
        daemon.init()
        return True
    except OSError:
        return False
