"""What tools/demo shows, act by act."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tools/lib"), str(ROOT / "tests/lib"), str(Path(__file__).resolve().parent)]

from harness.daemon import Daemon  # noqa: E402
from stores import StoreError, Stores  # noqa: E402

import acts  # noqa: E402
import sagas  # noqa: E402
from stage import Failed, Stage  # noqa: E402

SETTINGS = {
    # A demonstration doesn't wait a minute for the second removal after an abort, nor half one for an answer.
    "timeouts.deadline": "20s",
    "timeouts.store": "3s",
    "timeouts.postgresql": "3s",
    "timeouts.late_write_window": "3s",
    "retry.max_tries": 4,
    "retry.base": "50ms",
    "retry.cap": "300ms",
    "retry.background_base": "100ms",
    "retry.background_cap": "1s",
    "neo4j.collect_interval": "500ms",
    "schema.dims": 384,
}


def play(stage, stores):
    stage.act("Four real stores")
    stores.up()
    environ = stores.env()
    daemon = Daemon(environ, SETTINGS)
    with tempfile.TemporaryDirectory(prefix="sagad-demo-") as folder:
        show = acts.Show(stage, stores, daemon, environ, Path(folder))
        try:
            show.start()
            show.load()
            show.look()
            show.prove()
            show.store_fails()
            show.daemon_is_killed()
            show.compare_everything()
        finally:
            daemon.kill()
            show.close()
            daemon.end()


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    parser.add_argument("--sagas", action="store_true",
                        help="the sagas of docs/examples instead: each whole, and failing at each of its steps in turn")
    parser.add_argument("--verbose", action="store_true", help="show the stores' own messages, too")
    options = parser.parse_args()
    stage = Stage()
    try:
        with Stores.scratch(say=stage.detail if options.verbose else stage.hush) as stores:
            if options.sagas:
                return sagas.play(stage, stores)
            play(stage, stores)
    except (Failed, StoreError, AssertionError) as problem:
        print(f"\ndemo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; everything that it started has been stopped", file=sys.stderr)
        return 130
    stage.act("That was it")
    stage.say(f"All of it took {time.monotonic() - stage.started:.0f} s; stores and daemon are stopped again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
