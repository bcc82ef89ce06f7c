"""Which request does what. Each handler takes (request, collection or name) and returns the answer's `result`."""

import json
import math
import time

import qdrant_edge as engine

from . import convert, filters, queries
from .collection import engine_errors
from .errors import ApiError, bad_format
from .http import Reply

TITLE = "qdrant-edge-server (stand-in for Qdrant: its engine qdrant-edge behind its REST dialect)"
VERSION = "1.18.3"
OPEN_PATHS = ([], ["healthz"], ["readyz"], ["livez"])
UPDATE_MODES = {None: None, "upsert": engine.UpdateMode.Upsert, "insert_only": engine.UpdateMode.InsertOnly,
                "update_only": engine.UpdateMode.UpdateOnly}


class Api:
    """Answers requests; called by many threads at once."""

    def __init__(self, storage, api_key=None, read_only_key=None):
        self.storage = storage
        self.api_key = api_key
        self.read_only_key = read_only_key
        self.started = time.monotonic()

    def __call__(self, request):
        began = time.perf_counter()
        try:
            denied = self._check_key(request)
            if denied:
                return denied
            reply = self._plain(request)
            return reply if reply else _ok(self._dispatch(request), began)
        except ApiError as error:
            return self.refuse(error, began)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            return self.refuse(bad_format(f"{type(error).__name__}: {error}"), began)
        except Exception as error:  # noqa: BLE001 - the connection must get an answer
            return self.refuse(ApiError(500, f"Service internal error: {error}"), began)

    @staticmethod
    def refuse(error, began=None):
        if error.status == 404 and not error.text:
            return Reply(404)
        elapsed = 0.0 if began is None else time.perf_counter() - began
        body = {"status": {"error": error.text}, "time": elapsed}
        return Reply(error.status, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
                     "application/json")

    def _check_key(self, request):
        """None, or the refusal: plain text, as the real server sends it."""
        if not self.api_key or request.parts in OPEN_PATHS:
            return None
        given = request.headers.get("api-key")
        if given is None and request.headers.get("authorization", "").startswith("Bearer "):
            given = request.headers["authorization"][7:]
        if given == self.api_key:
            return None
        if given is None:
            return Reply(401, b"Must provide an API key or an Authorization bearer token", "text/plain")
        if not self.read_only_key or given != self.read_only_key:
            return Reply(401, b"Invalid API key or JWT", "text/plain")
        if not self._only_reads(request):
            raise ApiError(403, "Forbidden: Write access to this collection is required")
        return None

    @staticmethod
    def _only_reads(request):
        if request.method == "POST" and request.parts[2:3] == ["points"]:
            return request.parts[3:4] in ([], ["scroll"], ["count"], ["query"])
        return request.method == "GET"

    def _plain(self, request):
        """What isn't wrapped in {"result": ...}."""
        if request.method != "GET" or len(request.parts) > 1:
            return None
        match request.parts:
            case []:
                body = {"title": TITLE, "version": VERSION, "stand_in": True,
                        "engine": "qdrant-edge-py 0.9.0"}
                return Reply(200, json.dumps(body).encode(), "application/json")
            case ["healthz" | "livez"]:
                return Reply(200, b"healthz check passed", "text/plain")
            case ["readyz"]:
                return Reply(200, b"all shards are ready", "text/plain")
            case ["metrics"]:
                return Reply(200, self._metrics().encode(), "text/plain; version=0.0.4")
        return None

    def _metrics(self):
        counts = [found.shard.info().points_count for found in list(self.storage.collections.values())]
        return (f'# TYPE app_info gauge\napp_info{{name="qdrant-edge-server",version="{VERSION}"}} 1\n'
                f"# TYPE collections_total gauge\ncollections_total {len(counts)}\n"
                f"# TYPE collections_vector_total gauge\ncollections_vector_total {sum(counts)}\n")

    def _dispatch(self, request):
        match request.parts:
            case ["collections"] if request.method == "GET":
                return {"collections": [{"name": name} for name in self.storage.names()]}
            case ["collections", name]:
                return self._collection(request, name)
            case ["collections", name, "exists"] if request.method == "GET":
                return {"exists": name in self.storage.collections}
            case ["collections", name, *rest]:
                handler = _find(request.method, rest)
                with self.storage.get(name).in_use() as found, engine_errors():
                    return handler(request, found)
        raise ApiError(404, "")

    def _collection(self, request, name):
        match request.method:
            case "GET":
                with self.storage.get(name).in_use() as found:
                    return found.info()
            case "PUT":
                self.storage.create(name, request.json())
                return True
            case "PATCH":
                with self.storage.get(name).in_use() as found:
                    found.patch(request.json())
                return True
            case "DELETE":
                return self.storage.delete(name)
        raise ApiError(404, "")


def _ok(result, began):
    body = {"result": result, "status": "ok", "time": time.perf_counter() - began}
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_without_infinities(body), ensure_ascii=False, separators=(",", ":"))
    return Reply(200, text.encode(), "application/json")


def _without_infinities(value):
    """What isn't finite as null, as the real server prints it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_infinities(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(one) for one in value]
    return value


def _must_wait(request):
    value = request.query.get("wait", "false")
    if value not in ("true", "false"):
        raise ApiError(400, "Deserialize error in query parameters: provided string was not `true` or `false`")
    return value == "true"


def _upsert(request, found):
    return upsert(found, request.json(), _must_wait(request))


def upsert(found, body, must_wait):
    if body.get("update_mode") not in UPDATE_MODES:
        raise bad_format(f"unknown variant `{body['update_mode']}`, expected one of `upsert`, `insert_only`, "
                         "`update_only`")
    condition = filters.parse(body.get("update_filter"))
    return found.upsert(convert.points(body), condition, UPDATE_MODES[body.get("update_mode")], must_wait)


def _retrieve(request, found):
    body = request.json()
    records = found.shard.retrieve(convert.point_ids(body.get("ids")),
                                   convert.with_payload(body.get("with_payload"), False),
                                   convert.with_vector(body.get("with_vector")))
    return [convert.record_json(one) for one in records]


def _get_point(request, found, text):
    identity = convert.point_id(int(text) if text.isascii() and text.isdigit() else text)
    records = found.shard.retrieve([identity], True, True)
    if not records:
        raise ApiError(404, f"Not found: Point with id {text} does not exists!")
    return convert.record_json(records[0])


def _scroll(request, found):
    body = request.json()
    offset = body.get("offset")
    order = queries.order_by(body.get("order_by"))
    records, following = found.shard.scroll(engine.ScrollRequest(
        offset=None if offset is None else convert.point_id(offset), limit=convert.count_field(body, "limit", 10),
        filter=filters.parse(body.get("filter")), with_payload=convert.with_payload(body.get("with_payload"), True),
        with_vector=convert.with_vector(body.get("with_vector")), order_by=order))
    return {"points": [convert.record_json(one) for one in records],
            "next_page_offset": None if following is None else convert.id_json(following)}


def _count(request, found):
    body = request.json()
    exact = body.get("exact", True) is not False
    return {"count": found.shard.count(engine.CountRequest(exact=exact, filter=filters.parse(body.get("filter"))))}


def _query(request, found):
    return queries.run(found, request.json())


def _query_batch(request, found):
    return [queries.run(found, one) for one in request.json()["searches"]]


def _selected(body, by_ids, by_filter):
    """The engine operation for `points` or `filter`, whichever the body has."""
    if body.get("points") is not None:
        return by_ids(convert.point_ids(body["points"]))
    if body.get("filter") is not None:
        return by_filter(filters.parse(body["filter"]))
    raise bad_format("data did not match any variant of untagged enum PointsSelector")


def delete(found, body, must_wait):
    operation = _selected(body, engine.UpdateOperation.delete_points, engine.UpdateOperation.delete_points_by_filter)
    return found.update([operation], must_wait)


def _payload_writer(name):
    """set_payload and overwrite_payload."""
    by_ids = getattr(engine.UpdateOperation, name)
    by_filter = getattr(engine.UpdateOperation, name + "_by_filter")

    def work(found, body, must_wait):
        load = convert.payload(body["payload"])
        key = body.get("key")
        return found.update([_selected(body, lambda ids: by_ids(ids, load, key),
                                       lambda chosen: by_filter(chosen, load, key))], must_wait)
    return work


def delete_payload(found, body, must_wait):
    keys = body["keys"]
    change = engine.UpdateOperation
    return found.update([_selected(body, lambda ids: change.delete_payload(ids, keys),
                                   lambda chosen: change.delete_payload_by_filter(chosen, keys))], must_wait)


def clear_payload(found, body, must_wait):
    change = engine.UpdateOperation
    return found.update([_selected(body, change.clear_payload, change.clear_payload_by_filter)], must_wait)


UPDATES = {"upsert": upsert, "delete": delete, "set_payload": _payload_writer("set_payload"),
           "overwrite_payload": _payload_writer("overwrite_payload"), "delete_payload": delete_payload,
           "clear_payload": clear_payload}


def _writes(name):
    return lambda request, found: UPDATES[name](found, request.json(), _must_wait(request))


def _batch(request, found):
    """One operation after the other, not atomic: those before a bad one stay applied."""
    operations = request.json()["operations"]
    for one in operations:
        if len(one) != 1 or next(iter(one)) not in UPDATES:
            raise bad_format("data did not match any variant of untagged enum UpdateOperation")
    must_wait = _must_wait(request)
    return [UPDATES[kind](found, body, must_wait) for one in operations for kind, body in one.items()]


def _create_index(request, found):
    body = request.json()
    return found.set_index(body["field_name"], body.get("field_schema"), _must_wait(request))


def _delete_index(request, found, field):
    return found.drop_index(field, _must_wait(request))


ROUTES = {
    ("PUT", "points"): _upsert, ("POST", "points"): _retrieve,
    ("POST", "points/scroll"): _scroll, ("POST", "points/count"): _count,
    ("POST", "points/query"): _query, ("POST", "points/query/batch"): _query_batch,
    ("POST", "points/delete"): _writes("delete"), ("POST", "points/batch"): _batch,
    ("POST", "points/payload"): _writes("set_payload"), ("PUT", "points/payload"): _writes("overwrite_payload"),
    ("POST", "points/payload/delete"): _writes("delete_payload"),
    ("POST", "points/payload/clear"): _writes("clear_payload"), ("PUT", "index"): _create_index,
}


def _find(method, rest):
    """The handler of a path below /collections/NAME; an unknown one is an empty 404."""
    handler = ROUTES.get((method, "/".join(rest)))
    if handler:
        return handler
    if method == "GET" and len(rest) == 2 and rest[0] == "points":
        return lambda request, found: _get_point(request, found, rest[1])
    if method == "DELETE" and len(rest) == 2 and rest[0] == "index":
        return lambda request, found: _delete_index(request, found, rest[1])
    raise ApiError(404, "")
