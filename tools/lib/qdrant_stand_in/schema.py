"""A collection's configuration: checked as the server checks it, kept as given, shown with its defaults."""

import qdrant_edge as engine

from .errors import bad_format, invalid, not_served

DISTANCES = ("Cosine", "Euclid", "Dot", "Manhattan")
LARGEST_SIZE = 65536
NAME_LIMIT = 255

HNSW_DEFAULTS = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0,
                 "on_disk": False}
HNSW_LEAST = {"m": 0, "ef_construct": 4, "full_scan_threshold": 0, "max_indexing_threads": 0, "payload_m": 0}
OPTIMIZER_DEFAULTS = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
                      "max_segment_size": None, "memmap_threshold": None, "indexing_threshold": 10000,
                      "flush_interval_sec": 5, "max_optimization_threads": None}
WAL_DEFAULTS = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}
PARAM_DEFAULTS = {"shard_number": 1, "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": True}
SCHEMA_TYPES = ("keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid")


def check_name(name):
    """Collection names become folder names; the server refuses what file systems do."""
    if not 1 <= len(name.encode()) <= NAME_LIMIT:
        raise invalid("collection_name", f"must be 1 to {NAME_LIMIT} characters long", "path parameters")
    bad = [one for one in name if one in '<>:"/\\|?*\0\x1f']
    if bad:
        raise invalid("collection_name", f"collection name cannot contain \"{bad[0]}\" char", "path parameters")


def check_create(body):
    """The configuration of a new collection, defaults filled in."""
    if body.get("sparse_vectors"):
        raise not_served("sparse vectors")
    params = {"vectors": _check_vectors(body.get("vectors") or {})}
    for name, default in PARAM_DEFAULTS.items():
        params[name] = default if body.get(name) is None else body[name]
    return {"params": params,
            "hnsw_config": {**HNSW_DEFAULTS, **_check_hnsw(body.get("hnsw_config"))},
            "optimizer_config": {**OPTIMIZER_DEFAULTS, **_check_map(body, "optimizers_config")},
            "wal_config": {**WAL_DEFAULTS, **_check_map(body, "wal_config")},
            "quantization_config": _check_quantization(body.get("quantization_config")),
            "metadata": _check_map(body, "metadata")}


def _check_map(body, name):
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_format(f"{name}: invalid type, expected a map")
    return {key: one for key, one in value.items() if one is not None or name == "metadata"}


def _check_vectors(value):
    if not isinstance(value, dict):
        raise bad_format("data did not match any variant of untagged enum VectorsConfig")
    if "size" in value or "distance" in value:
        return _check_vector(value, "vectors")
    return {name: _check_vector(one, f"vectors.{name}") for name, one in value.items()}


def _check_vector(value, where):
    if not isinstance(value, dict):
        raise bad_format("data did not match any variant of untagged enum VectorsConfig")
    size = value.get("size")
    if type(size) is not int or size < 0:
        raise bad_format("data did not match any variant of untagged enum VectorsConfig")
    if not 1 <= size <= LARGEST_SIZE:
        raise invalid(f"{where}.size", f"value {size} invalid, must be from 1 to {LARGEST_SIZE}")
    if value.get("distance") not in DISTANCES:
        raise bad_format("data did not match any variant of untagged enum VectorsConfig")
    if value.get("multivector_config") is not None:
        raise not_served("multivectors")
    if value.get("datatype") not in (None, "float32"):
        raise not_served("vector datatypes other than float32")
    _check_hnsw(value.get("hnsw_config"))
    _check_quantization(value.get("quantization_config"))
    return {key: one for key, one in value.items() if one is not None}


def _check_hnsw(value):
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_format("hnsw_config: invalid type, expected a map")
    for name, least in HNSW_LEAST.items():
        number = value.get(name)
        if number is None:
            continue
        if type(number) is not int or number < 0:
            raise bad_format(f"hnsw_config.{name}: invalid value, expected usize")
        if number < least:
            raise invalid(f"hnsw_config.{name}", f"value {number} invalid, must be {least} or larger")
    if not isinstance(value.get("on_disk"), (bool, type(None))):
        raise bad_format("hnsw_config.on_disk: invalid type, expected a boolean")
    return {key: one for key, one in value.items() if one is not None}


def _check_quantization(value):
    """One of {scalar: ...}, {product: ...}, {binary: ...}; the engine is not told, see the list in the help."""
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ("scalar", "product", "binary"):
        raise bad_format("data did not match any variant of untagged enum QuantizationConfig")
    (kind, inner), = value.items()
    if not isinstance(inner, dict):
        raise bad_format("data did not match any variant of untagged enum QuantizationConfig")
    if kind == "scalar":
        _check_scalar(inner)
    if kind == "product" and inner.get("compression") not in ("x4", "x8", "x16", "x32", "x64"):
        raise bad_format("data did not match any variant of untagged enum QuantizationConfig")
    return value


def _check_scalar(inner):
    if inner.get("type") != "int8":
        raise bad_format("data did not match any variant of untagged enum QuantizationConfig")
    quantile = inner.get("quantile")
    if quantile is not None and not (isinstance(quantile, (int, float)) and 0.5 <= quantile <= 1.0):
        raise invalid("quantization_config.scalar.quantile", f"value {quantile} invalid, must be from 0.5 to 1.0")


def check_patch(config, body):
    """The configuration after PATCH: what is given is changed, `metadata` is merged key by key."""
    made = dict(config)
    made["hnsw_config"] = {**config["hnsw_config"], **_check_hnsw(body.get("hnsw_config"))}
    made["optimizer_config"] = {**config["optimizer_config"], **_check_map(body, "optimizers_config")}
    made["params"] = {**config["params"], **_check_map(body, "params")}
    if body.get("quantization_config") is not None:
        is_off = body["quantization_config"] == "Disabled"
        made["quantization_config"] = None if is_off else _check_quantization(body["quantization_config"])
    merged = {**config["metadata"], **_check_map(body, "metadata")}
    made["metadata"] = {key: one for key, one in merged.items() if one is not None}
    return made


def sizes(config):
    """{vector name: dimensions}; the unnamed vector has the name ''."""
    found = config["params"]["vectors"]
    if "size" in found:
        return {"": found["size"]}
    return {name: one["size"] for name, one in found.items()}


def engine_config(config):
    found = config["params"]["vectors"]
    named = {"": found} if "size" in found else found
    return engine.EdgeConfig(vectors={
        name: engine.EdgeVectorParams(one["size"], getattr(engine.Distance, one["distance"]))
        for name, one in named.items()})


def shown(config):
    """`config` as GET /collections/NAME returns it."""
    made = {key: value for key, value in config.items() if key != "metadata"}
    return {**made, **({"metadata": config["metadata"]} if config["metadata"] else {})}


def field_schema(value):
    """The engine's type for a payload index, from "keyword" or {"type": "keyword", ...}."""
    kind = value.get("type") if isinstance(value, dict) else value
    if kind not in SCHEMA_TYPES:
        raise bad_format("data did not match any variant of untagged enum PayloadFieldSchema")
    return getattr(engine.PayloadSchemaType, kind.capitalize())
