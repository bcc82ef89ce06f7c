"""One collection: an engine's shard, its configuration file, and the log's group commit.

On disk: NAME/collection.json (written last, so a folder without it is a creation that didn't finish) and NAME/shard.
"""

import contextlib
import json
import os
import shutil
import threading

import qdrant_edge as engine

from . import convert, schema
from .errors import from_engine, not_found, wrong_input
from .sync import LogSync


class Collection:
    """Thread-safe: the engine locks itself, the rest is behind `_lock`."""

    def __init__(self, name, folder, config, shard):
        self.name = name
        self.folder = folder
        self.config = config
        self.sizes = schema.sizes(config["config"])
        self.shard = shard
        self.sync = LogSync(os.path.join(folder, "shard", "wal"))
        self._lock = threading.Condition()
        self._operations = 0
        self._busy = 0
        self._is_closing = False
        self._is_dirty = False

    @classmethod
    def create(cls, name, folder, config):
        shard_folder = os.path.join(folder, "shard")
        shutil.rmtree(folder, ignore_errors=True)  # what a failed creation left
        os.makedirs(shard_folder)
        with engine_errors():
            shard = engine.EdgeShard.create(shard_folder, schema.engine_config(config))
            shard.flush()
        made = cls(name, folder, {"name": name, "config": config, "payload_schema": {}}, shard)
        made._save()
        return made

    @classmethod
    def load(cls, folder):
        with open(os.path.join(folder, "collection.json"), encoding="utf-8") as handle:
            config = json.load(handle)
        return cls(config["name"], folder, config, engine.EdgeShard.load(os.path.join(folder, "shard")))

    def _save(self):
        scratch = os.path.join(self.folder, ".collection.json")
        with open(scratch, "w", encoding="utf-8") as handle:
            json.dump(self.config, handle)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(scratch, os.path.join(self.folder, "collection.json"))
        sync_folder(self.folder)

    @contextlib.contextmanager
    def in_use(self):
        """While somebody is inside, close() waits; after it, nobody gets in."""
        with self._lock:
            if self._is_closing:
                raise missing(self.name)
            self._busy += 1
        try:
            yield self
        finally:
            with self._lock:
                self._busy -= 1
                self._lock.notify_all()

    def close(self):
        with self._lock:
            self._is_closing = True
            while self._busy:
                self._lock.wait()
        self.shard.close()

    def flush_if_dirty(self):
        """Write the engine's files, so that the log stays short and the next start is quick."""
        if self._is_dirty:
            self._is_dirty = False
            self.shard.flush()

    def update(self, operations, must_wait, error=None):
        """Apply engine operations; with `must_wait` return when they are durable. The answer's `result`."""
        try:
            for operation in operations:
                with engine_errors():
                    self.shard.update(operation)
        finally:
            self._is_dirty = True
            ticket = self.sync.applied()
        if error is not None:
            raise error
        if must_wait:
            self.sync.wait(ticket)
        with self._lock:
            self._operations += 1
            return {"operation_id": self._operations, "status": "completed" if must_wait else "acknowledged"}

    def upsert(self, rows, condition, mode, must_wait):
        """All dimensions are checked before any point is applied; points with an unknown vector name are left out,
        which the caller hears about only when it waits: as in the real server."""
        for _, found, _ in rows:
            convert.check_dimensions(found, self.sizes)
        good = [row for row in rows if all(name in self.sizes for name in row[1])]
        error = None
        if len(good) < len(rows):
            unknown = next(name for _, found, _ in rows for name in found if name not in self.sizes)
            error = wrong_input(f"Not existing vector name error: {unknown}")
        with engine_errors():
            made = [engine.Point(one, convert.engine_vectors(found), load) for one, found, load in good]
            operation = engine.UpdateOperation.upsert_points(made, condition, mode)
        return self.update([operation] if made else [], must_wait, error if must_wait else None)

    def set_index(self, field, given, must_wait):
        operation = engine.UpdateOperation.create_field_index(field, schema.field_schema(given))
        result = self.update([operation], must_wait)
        with self._lock:
            self.config["payload_schema"][field] = given
            self._save()
        return result

    def drop_index(self, field, must_wait):
        result = self.update([engine.UpdateOperation.delete_field_index(field)], must_wait)
        with self._lock:
            self.config["payload_schema"].pop(field, None)
            self._save()
        return result

    def patch(self, body):
        with self._lock:
            self.config["config"] = schema.check_patch(self.config["config"], body)
            self._save()

    def info(self):
        """The `result` of GET /collections/NAME."""
        with engine_errors():
            found = self.shard.info()
        return {"status": "green", "optimizer_status": "ok", "indexed_vectors_count": found.indexed_vectors_count,
                "points_count": found.points_count, "segments_count": found.segments_count,
                "config": schema.shown(self.config["config"]), "payload_schema": self._payload_schema(found)}

    def _payload_schema(self, found):
        made = {}
        for field, one in found.payload_schema.items():
            given = self.config["payload_schema"].get(field)
            kind = given.get("type") if isinstance(given, dict) else given
            made[field] = {"data_type": kind, "points": one.points}
            if isinstance(given, dict):
                made[field]["params"] = given
        return made


@contextlib.contextmanager
def engine_errors():
    """Turn the engine's exceptions into answers."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, UnicodeError) as error:
        raise from_engine(error) from None
    except Exception as error:
        raise (error if hasattr(error, "status") else from_engine(error)) from None


def missing(name):
    return not_found(f"Collection `{name}` doesn't exist!")


def sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
