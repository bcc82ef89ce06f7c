"""Holds a Qdrant collection against PostgreSQL's documents."""
import uuid

import numpy as np
from qdrant_client import models

from . import model

STORE = "qdrant"
NAMESPACE = uuid.UUID("6f0c8f6e-2a5d-5e0b-9a55-7a6f0d1f5a61")
FIELDS = ("document_id", "saga_id", "chunk_id", "chunk_index", "text", "metadata")


def point_id(document, saga, ordinal):
    return str(uuid.uuid5(NAMESPACE, "%s\n%s\n%d" % (document, saga, ordinal)))


def _barrier(stores):
    """A restarted server may still be replaying writes: wait behind them."""
    stores.qdrant.delete(stores.collection, wait=True,
                         points_selector=[str(uuid.uuid4())])


def _points(stores):
    offset = None
    while True:
        page, offset = stores.qdrant.scroll(
            stores.collection, limit=256, offset=offset,
            with_payload=True, with_vectors=True)
        yield from page
        if offset is None:
            return


def _expected(documents):
    """(document, ordinal) by the id of its point."""
    return {point_id(d.id, d.version, n): (d, n)
            for d in documents.values() for n in range(len(d.chunks))}


def _compare(report, document, ordinal, point, equal):
    chunk = document.chunks[ordinal]
    want = {"document_id": document.id, "saga_id": document.version,
            "chunk_id": chunk.id, "chunk_index": ordinal, "text": chunk.text}
    payload, at = point.payload or {}, "point of chunk %s: " % chunk.id
    for field, value in want.items():
        report.check(STORE, document.id, at + field, value, payload.get(field))
    report.check(STORE, document.id, at + "metadata", chunk.metadata,
                 payload.get("metadata"), model.same_object)
    for field in payload.keys() - set(FIELDS):
        report.add(STORE, document.id, at + field, model.NOTHING, payload[field])
    if not isinstance(point.vector, list):
        report.add(STORE, document.id, at + "vector", chunk.embedding, point.vector)
        return
    # Written as float32, printed in its shortest form.
    vector = np.array(point.vector, dtype=np.float64).astype(np.float32)
    report.check(STORE, document.id, at + "vector", chunk.embedding, vector, equal)


def compare(stores, report, documents):
    _barrier(stores)
    info = stores.qdrant.get_collection(stores.collection)
    distance = info.config.params.vectors.distance
    equal = (model.same_direction if distance == models.Distance.COSINE
             else model.same_vector)
    expected = _expected(documents)
    number = 0
    for point in _points(stores):
        number += 1
        owner = expected.pop(str(point.id), None)
        if owner is None:
            payload = point.payload or {}
            report.add(STORE, str(payload.get("document_id") or ""),
                       "point %s" % point.id, model.NOTHING,
                       "saga %s" % payload.get("saga_id"))
        else:
            _compare(report, *owner, point, equal)
    for name, (document, ordinal) in expected.items():
        report.add(STORE, document.id,
                   "point of chunk %s" % document.chunks[ordinal].id,
                   name, model.NOTHING)
    report.count("points in qdrant", number)
