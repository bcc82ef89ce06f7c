"""Options, banner, start and stop of the stand-in."""

import argparse
import os
import signal
import sys
import time

from . import http
from .routes import TITLE, VERSION, Api
from .storage import Storage


def parser(description):
    environ = os.environ.get
    made = argparse.ArgumentParser(prog="qdrant-edge-server", description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter,
                                   epilog="Defaults come from the real server's environment variables, in brackets.")
    made.add_argument("--host", default=environ("QDRANT__SERVICE__HOST", "127.0.0.1"),
                      help="[QDRANT__SERVICE__HOST] address to listen on (%(default)s)")
    made.add_argument("--port", type=int, default=int(environ("QDRANT__SERVICE__HTTP_PORT", "6333")),
                      help="[QDRANT__SERVICE__HTTP_PORT] (%(default)s)")
    made.add_argument("--storage", default=environ("QDRANT__STORAGE__STORAGE_PATH", "./storage"),
                      help="[QDRANT__STORAGE__STORAGE_PATH] folder for the data (%(default)s)")
    made.add_argument("--api-key", default=environ("QDRANT__SERVICE__API_KEY"),
                      help="[QDRANT__SERVICE__API_KEY] asked for when set")
    made.add_argument("--read-only-api-key", default=environ("QDRANT__SERVICE__READ_ONLY_API_KEY"),
                      help="[QDRANT__SERVICE__READ_ONLY_API_KEY] a second key that may only read")
    return made


def main(argv, description):
    arguments = parser(description).parse_args(argv)
    began = time.monotonic()
    storage = Storage(arguments.storage)
    api = Api(storage, arguments.api_key, arguments.read_only_api_key)
    server = http.listen(arguments.host, arguments.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    storage.start_flushing()
    print(f"{TITLE}\nREST dialect of {VERSION} on {arguments.host}:{arguments.port}, "
          f"{len(storage.collections)} collections loaded in {time.monotonic() - began:.2f} s", flush=True)
    try:
        http.serve_forever(server, api)
    except SystemExit:
        storage.flush()
    return 0


def _stop(*_):
    sys.exit(0)
