"""Group commit of a shard's write-ahead log.

The engine appends each operation to its log (segment files in shard/wal) and doesn't sync it; its own flush() syncs
every file of the shard, which takes a hundred times as long. So, as the real server does for wait=true, only the log
is synced: by one caller, for all whose operation was in the log when it began.
"""

import os
import sys
import threading


class LogSync:
    """Makes what has been applied durable."""

    def __init__(self, folder):
        self.folder = folder
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._applied = 0
        self._synced = 0

    def applied(self):
        """Note that an operation is in the log; returns the ticket to wait with."""
        with self._lock:
            self._applied += 1
            return self._applied

    def wait(self, ticket):
        """Return when the ticket's operation is on disk."""
        with self._one_at_a_time:
            if self._synced >= ticket:
                return
            with self._lock:
                reached = self._applied
            self._sync_files()
            self._synced = reached

    def _sync_files(self):
        """fdatasync of all segments. A full one is renamed meanwhile: then look again."""
        while True:
            names = [name for name in os.listdir(self.folder) if not name.startswith("tmp-")]
            try:
                for name in names:
                    self._sync_file(os.path.join(self.folder, name))
                return
            except FileNotFoundError:
                continue

    @staticmethod
    def _sync_file(path):
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fdatasync(handle)
        except OSError as error:
            # What the kernel failed to write it may have dropped: only a restart knows what is on disk.
            print(f"fdatasync {path}: {error}; stopping", file=sys.stderr, flush=True)
            os._exit(1)
        finally:
            os.close(handle)
