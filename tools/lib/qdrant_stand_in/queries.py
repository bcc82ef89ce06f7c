"""POST points/query: nearest by vector or by id, ordered by a payload field, a random sample, or just some points."""

import qdrant_edge as engine

from . import convert, filters
from .errors import bad_format, not_found, not_served, wrong_input

UNSERVED = ("recommend", "discover", "context", "fusion", "formula", "rrf", "relevance_feedback")


def run(found, body):
    """The `result` of one query."""
    if body.get("prefetch"):
        raise not_served("prefetch")
    chosen = filters.parse(body.get("filter"))
    using = body.get("using") or ""
    query, chosen = _query(found, body.get("query"), using, chosen)
    points = found.shard.query(engine.QueryRequest(
        limit=convert.count_field(body, "limit", 10), offset=convert.count_field(body, "offset", 0, least=0),
        query=query, filter=chosen, score_threshold=body.get("score_threshold"), params=_params(body.get("params")),
        with_payload=convert.with_payload(body.get("with_payload"), False),
        with_vector=convert.with_vector(body.get("with_vector"))))
    return {"points": [convert.scored_json(one) for one in points]}


def _query(found, value, using, chosen):
    """(the engine's query, the filter): a query by id leaves that point out of the answer."""
    if value is None:
        return None, chosen
    if isinstance(value, dict):
        for name in UNSERVED:
            if name in value:
                raise not_served(f"{name} queries")
        if "order_by" in value:
            return order_by(value["order_by"]), chosen
        if "sample" in value:
            return engine.Sample.Random, chosen
        if "nearest" not in value or value.get("mmr"):
            raise not_served("this kind of query")
        value = value["nearest"]
    if isinstance(value, list):
        return _nearest(found, convert.dense(value, "query"), using), chosen
    return _nearest(found, _vector_of(found, value, using), using), filters.excluding(chosen, value)


def _nearest(found, values, using):
    if using not in found.sizes:
        raise wrong_input(f"Not existing vector name error: {using}")
    convert.check_dimensions({using: values}, found.sizes)
    return engine.Query.Nearest(values, using or None)


def _vector_of(found, identity, using):
    records = found.shard.retrieve([convert.point_id(identity)], False, True)
    if not records:
        raise not_found(f"No point with id {identity} found")
    vector = records[0].vector
    return vector[using] if isinstance(vector, dict) else vector


def _params(value):
    """Only `exact` and `indexed_only` mean something without an index."""
    if value is None:
        return None
    return engine.SearchParams(hnsw_ef=value.get("hnsw_ef"), exact=bool(value.get("exact")),
                               indexed_only=bool(value.get("indexed_only")))


def order_by(value):
    """"key" or {"key": ..., "direction": "asc" | "desc", "start_from": ...}."""
    if value is None:
        return None
    if isinstance(value, str):
        return engine.OrderBy(value)
    if value.get("direction") not in (None, "asc", "desc"):
        raise bad_format("unknown variant, expected `asc` or `desc`")
    direction = {None: None, "asc": engine.Direction.Asc, "desc": engine.Direction.Desc}[value.get("direction")]
    return engine.OrderBy(value["key"], direction, value.get("start_from"))
