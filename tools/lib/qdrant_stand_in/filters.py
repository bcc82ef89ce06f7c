"""Qdrant's filters: JSON to the engine's conditions."""

import qdrant_edge as engine

from .convert import point_id, point_ids
from .errors import bad_format

CLAUSES = ("must", "should", "must_not", "min_should")


def parse(value):
    """A filter, or None for null. An empty object matches everything, as in Qdrant."""
    if value is None:
        return None
    if not isinstance(value, dict) or not set(value) <= set(CLAUSES):
        raise bad_format("unknown field in filter, expected one of `should`, `min_should`, `must`, `must_not`")
    lists = {name: _conditions(value[name]) for name in CLAUSES[:3] if value.get(name) is not None}
    if value.get("min_should") is not None:
        some = value["min_should"]
        lists["min_should"] = engine.MinShould(_conditions(some["conditions"]), some["min_count"])
    return engine.Filter(**lists)


def _conditions(value):
    """A condition or a list of them."""
    return [_condition(one) for one in (value if isinstance(value, list) else [value])]


def _condition(value):
    if not isinstance(value, dict):
        raise _no_variant()
    if "key" in value:
        return _field(value)
    for name, make in _KINDS.items():
        if name in value:
            return make(value[name])
    if any(name in value for name in CLAUSES):
        return parse(value)
    raise _no_variant()


def _no_variant():
    return bad_format("data did not match any variant of untagged enum Condition")


def _nested(value):
    return engine.NestedCondition(value["key"], parse(value["filter"]))


_KINDS = {
    "has_id": lambda value: engine.HasIdCondition(set(point_ids(value))),
    "has_vector": engine.HasVectorCondition,
    "is_empty": lambda value: engine.IsEmptyCondition(value["key"]),
    "is_null": lambda value: engine.IsNullCondition(value["key"]),
    "nested": _nested,
}


def _field(value):
    made = {}
    for name, make in _FIELD_KINDS.items():
        if value.get(name) is not None:
            made[name] = make(value[name])
    if not made:
        raise _no_variant()
    return engine.FieldCondition(value["key"], **made)


_MATCHES = {"value": "MatchValue", "text": "MatchText", "text_any": "MatchTextAny", "phrase": "MatchPhrase",
            "any": "MatchAny", "except": "MatchExcept", "prefix": "MatchPrefix"}


def _match(value):
    for name, kind in _MATCHES.items():
        if name in value:
            return getattr(engine, kind)(value[name])
    raise bad_format("data did not match any variant of untagged enum Match")


def _range(value):
    bounds = {name: bound for name, bound in value.items() if bound is not None}
    if not set(bounds) <= {"lt", "gt", "lte", "gte"}:
        raise bad_format("unknown bound of a range, expected one of `lt`, `gt`, `gte`, `lte`")
    is_time = any(isinstance(bound, str) for bound in bounds.values())
    return (engine.RangeDateTime if is_time else engine.RangeFloat)(**bounds)


def _geo(value):
    return engine.GeoPoint(value["lon"], value["lat"])


_FIELD_KINDS = {
    "match": _match,
    "range": _range,
    "values_count": lambda value: engine.ValuesCount(**value),
    "geo_radius": lambda value: engine.GeoRadius(_geo(value["center"]), value["radius"]),
    "geo_bounding_box": lambda value: engine.GeoBoundingBox(_geo(value["top_left"]), _geo(value["bottom_right"])),
    "is_empty": bool,
    "is_null": bool,
}


def excluding(found, identity):
    """The filter with one point left out: what a query by a point's id means."""
    return engine.Filter(must=[found] if found else None, must_not=[engine.HasIdCondition({point_id(identity)})])
