"""All collections of a storage folder. One process at a time owns it."""

import fcntl
import os
import shutil
import threading
import time
import urllib.parse
import uuid

from . import schema
from .collection import Collection, missing, sync_folder
from .errors import ApiError

FLUSH_INTERVAL_S = 10


class Storage:
    def __init__(self, folder):
        self.folder = folder
        self.collections = {}
        self._lock = threading.Lock()
        os.makedirs(folder, exist_ok=True)
        self._owner = open(os.path.join(folder, ".owner"), "w", encoding="ascii")  # noqa: SIM115
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"{folder} is in use by another process") from None
        for name in sorted(os.listdir(folder)):
            self._load(os.path.join(folder, name))

    def _load(self, folder):
        if not os.path.isdir(folder):
            return
        if not os.path.exists(os.path.join(folder, "collection.json")):
            shutil.rmtree(folder)
            return
        found = Collection.load(folder)
        self.collections[found.name] = found

    def start_flushing(self):
        threading.Thread(target=self._flush_for_ever, daemon=True).start()

    def _flush_for_ever(self):
        while True:
            time.sleep(FLUSH_INTERVAL_S)
            self.flush()

    def flush(self):
        for found in list(self.collections.values()):
            try:
                with found.in_use():
                    found.flush_if_dirty()
            except ApiError:
                pass

    def names(self):
        return sorted(self.collections)

    def get(self, name):
        found = self.collections.get(name)
        if found is None:
            raise missing(name)
        return found

    def create(self, name, body):
        schema.check_name(name)
        config = schema.check_create(body)
        with self._lock:
            if name in self.collections:
                raise ApiError(409, f"Wrong input: Collection `{name}` already exists!")
            folder = os.path.join(self.folder, urllib.parse.quote(name, safe=" ").replace(".", "%2E"))
            self.collections[name] = Collection.create(name, folder, config)
            sync_folder(self.folder)

    def delete(self, name):
        """Whether there was one. The folder is renamed away first, so that a crash leaves all of it or nothing."""
        with self._lock:
            found = self.collections.pop(name, None)
            if found is None:
                return False
            found.close()
            os.unlink(os.path.join(found.folder, "collection.json"))
            doomed = os.path.join(self.folder, f"deleted-{uuid.uuid4()}")
            os.rename(found.folder, doomed)
            sync_folder(self.folder)
        shutil.rmtree(doomed, ignore_errors=True)
        return True
