"""JSON to the engine's types and back: ids, vectors, points, filters, selectors."""

import re
import uuid

import qdrant_edge as engine

from . import numbers
from .errors import ApiError, bad_format, invalid, not_served, wrong_input

UUID_TEXT = re.compile(r"(urn:uuid:)?(\{)?[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\3[0-9a-fA-F]{4}\3[0-9a-fA-F]{4}\3"
                       r"[0-9a-fA-F]{12}\}?")
# serde_json gives up below 128 levels; three of them are around a payload in an upsert.
PAYLOAD_DEPTH = 125


def point_id(value):
    """An unsigned 64-bit integer or a UUID, which is normalised."""
    if type(value) is int and 0 <= value < 1 << 64:
        return value
    if isinstance(value, str) and UUID_TEXT.fullmatch(value):
        return uuid.UUID(value)
    raise bad_format(f"value {value} is not a valid point ID, valid values are either an unsigned integer or a UUID")


def point_ids(values):
    if not isinstance(values, list):
        raise bad_format("invalid type, expected a sequence of point ids")
    return [point_id(value) for value in values]


def id_json(value):
    return str(value) if isinstance(value, uuid.UUID) else value


def dense(values, where):
    """A dense vector's numbers, checked for what JSON may not hold."""
    if not numbers.is_number_list(values):
        if isinstance(values, dict) or values and isinstance(values, list) and isinstance(values[0], list):
            raise not_served("sparse vectors, multivectors and inference objects")
        raise bad_format(f"{where} is not a list of numbers")
    if not values:
        raise invalid(where, "vector must not be empty")
    if numbers.has_overflow(values):
        raise bad_format("number out of range")
    return values


def vectors(value, where="vector"):
    """{name: numbers} of a point's `vector`; the unnamed vector has the name ''."""
    if isinstance(value, dict):
        return {name: dense(one, f"{where}.{name}") for name, one in value.items()}
    return {"": dense(value, where)}


def check_dimensions(found, sizes):
    """Refuse vectors of a wrong size; names that don't exist are another matter."""
    for name, values in found.items():
        if name in sizes and len(values) != sizes[name]:
            raise wrong_input(f"Vector dimension error: expected dim: {sizes[name]}, got {len(values)}")


def payload(value):
    if value is None:
        return None
    if not isinstance(value, dict):
        raise bad_format("invalid type, expected a map as payload")
    if _is_deeper(value, PAYLOAD_DEPTH):
        raise bad_format("recursion limit exceeded")
    return value


def _is_deeper(value, levels):
    if not isinstance(value, (dict, list)):
        return False
    if levels == 0:
        return True
    return any(_is_deeper(one, levels - 1) for one in (value.values() if isinstance(value, dict) else value))


def points(body):
    """[(id, {name: numbers}, payload)] of an upsert in either of its two forms."""
    if "batch" in body:
        rows = _batch_rows(body["batch"])
    else:
        rows = body.get("points")
        if not isinstance(rows, list):
            raise bad_format("data did not match any variant of untagged enum PointInsertOperations")
    made = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or "id" not in row or "vector" not in row:
            raise bad_format(f"points[{number}]: missing field `id` or `vector`")
        made.append((point_id(row["id"]), vectors(row["vector"], f"points[{number}].vector"),
                     payload(row.get("payload"))))
    if not made:
        raise ApiError(400, "Bad request: Empty update request")
    return made


def _batch_rows(batch):
    ids, found, loads = batch.get("ids"), batch.get("vectors"), batch.get("payloads")
    if not isinstance(ids, list) or not isinstance(found, (list, dict)):
        raise bad_format("data did not match any variant of untagged enum PointInsertOperations")
    if isinstance(found, dict):
        found = [{name: column[row] for name, column in found.items()} for row in range(len(ids))]
    if len(found) != len(ids) or loads is not None and len(loads) != len(ids):
        raise invalid("batch", "number of ids, vectors and payloads must be equal")
    return [{"id": one, "vector": found[row], "payload": loads[row] if loads else None}
            for row, one in enumerate(ids)]


def engine_vectors(found):
    """What the engine takes for {name: numbers}."""
    return found[""] if list(found) == [""] else found


def vector_json(value):
    """A vector of the engine as JSON."""
    if isinstance(value, dict):
        return {name: numbers.shortest(one) for name, one in value.items()}
    return numbers.shortest(value)


def record_json(record):
    """A point as scroll and retrieve return it."""
    made = {"id": id_json(record.id)}
    if record.payload is not None:
        made["payload"] = record.payload
    if record.vector is not None:
        made["vector"] = vector_json(record.vector)
    if record.order_value is not None:
        made["order_value"] = record.order_value
    return made


def scored_json(scored):
    made = record_json(scored)
    return {"id": made.pop("id"), "version": scored.version, "score": numbers.shortest([scored.score])[0], **made}


def with_payload(value, default):
    """true, false, a list of keys, or {include: [...]} / {exclude: [...]}."""
    if value is None:
        return default
    if isinstance(value, bool) or _is_string_list(value):
        return value
    if isinstance(value, dict) and len(value) == 1:
        (kind, keys), = value.items()
        if kind in ("include", "exclude") and _is_string_list(keys):
            return getattr(engine.PayloadSelector, kind.capitalize())(keys)
    raise bad_format("data did not match any variant of untagged enum WithPayloadInterface")


def with_vector(value):
    if value is None:
        return False
    if isinstance(value, bool) or _is_string_list(value):
        return value
    raise bad_format("data did not match any variant of untagged enum WithVector")


def _is_string_list(value):
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def count_field(body, name, default, least=1):
    """A whole number of the body, at least `least`."""
    value = body.get(name)
    if value is None:
        return default
    if type(value) is not int or value < 0:
        raise bad_format(f"{name}: invalid value, expected usize")
    if value < least:
        raise invalid(name, f"value {value} invalid, must be {least} or larger")
    return value
