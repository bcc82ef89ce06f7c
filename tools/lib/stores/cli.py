"""The command line of tools/stores."""

import argparse
import json
import os
import shlex
import sys
import time

from . import NAMES, StoreError, Stores

HELP = """\
Starts real stores on this machine for tests, demo and measurements: PostgreSQL 18 with pgvector, Neo4j 5.26, the
machine's Redis, and Qdrant (`qdrant` on PATH, else a stand-in with Qdrant's own engine, tools/qdrant-edge-server).
Each runs as an unprivileged user on a loopback port of its own, with a random password.

  up [--bench]   fetch what is missing, start, wait until ready      stop, start, kill   one or more stores
  down           stop                                                pause, resume       SIGSTOP and SIGCONT of all
  status         table, or --json                                                        processes of a store
  reset          stop, wipe all data, start                          logs                the end of each log
  env            shell variables: eval "$(tools/stores env)"
"""

EPILOG = """\
A store is left alone, and shown as external, when the environment names one: POSTGRES_HOST, QDRANT_HOST, NEO4J_URL,
REDIS_URL. SAGAD_STORES_DIR is the folder for data, ports, passwords and pids (default: build/stores of the checkout,
or a folder in /var/tmp where user nobody can't reach the checkout); several can be used side by side.
SAGAD_STORES_DIST is the folder for what is downloaded (default: build/stores-dist, likewise); all share it.
"""


def parser():
    made = argparse.ArgumentParser(prog="tools/stores", description=HELP, epilog=EPILOG,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("command", choices=sorted(COMMANDS))
    made.add_argument("store", nargs="*", help=f"{', '.join(NAMES)}; none: all")
    made.add_argument("--bench", action="store_true", help="up, start: sized for measuring (512 MB to 1 GB each)")
    made.add_argument("--json", action="store_true", help="status: for programs")
    made.add_argument("-n", type=int, default=20, metavar="LINES", help="logs: how many lines (default %(default)s)")
    return made


def _up(stores, arguments):
    began = time.monotonic()
    for store in stores.chosen(arguments.store):
        if store not in stores.own():
            print(f"{store.name}: taken from the environment, left alone")
        elif store.is_running() and (store.state()["is_bench"] or not arguments.bench):
            print(f"{store.name} runs already on {store.address}")
    stores.up(*arguments.store, is_bench=arguments.bench)
    print(f"stores ready in {time.monotonic() - began:.1f} s; state in {stores.folder}")


def _down(stores, arguments):
    stores.down(*arguments.store)


def _reset(stores, arguments):
    stores.reset(*arguments.store)


def _kill(stores, arguments):
    stores.each(lambda store: store.kill(), arguments.store)


def _pause(stores, arguments):
    stores.each(lambda store: store.pause(), arguments.store)


def _resume(stores, arguments):
    stores.each(lambda store: store.resume(), arguments.store)


def _status(stores, arguments):
    rows = [store.describe() for store in stores.chosen(arguments.store)]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    line = "{:<9} {:<9} {:>7}  {:<21} {:<34} {}"
    print(line.format("store", "state", "pid", "address", "version", "data"))
    for row in rows:
        cells = [row[key] for key in ("name", "state", "pid", "address", "version", "data")]
        print(line.format(*("-" if cell is None else cell for cell in cells)).rstrip())


def _logs(stores, arguments):
    for store in stores.own(arguments.store):
        print(f"==> {store.log} <==\n{store.tail(arguments.n)}")


def _env(stores, arguments):
    for key, value in stores.env(*arguments.store).items():
        print(f"export {key}={shlex.quote(value)}")


COMMANDS = {"up": _up, "start": _up, "down": _down, "stop": _down, "reset": _reset, "kill": _kill, "pause": _pause,
            "resume": _resume, "status": _status, "logs": _logs, "env": _env}


def main(argv):
    arguments = parser().parse_intermixed_args(argv)
    try:
        stores = Stores(environ=os.environ, say=lambda text: print(text, flush=True))
        COMMANDS[arguments.command](stores, arguments)
    except StoreError as error:
        print(f"tools/stores: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tools/stores: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141
    return 0
