"""Holds the cache against PostgreSQL's documents.

At rest a live key has the document's version, whole, or has run out; nothing
else stays below sagad's prefix but marks of dead sagas, for a time.
"""
import json

from . import model

STORE = "redis"


def live_key(stores, document):
    return "%sdoc:{%s}" % (stores.redis_prefix, document)


def stage_key(stores, document, saga):
    return "%sstage:{%s}:%s" % (stores.redis_prefix, document, saga)


def fence_key(stores, document, saga):
    return "%sdead:{%s}:%s" % (stores.redis_prefix, document, saga)


def _is_fence(stores, key):
    """The mark of a removed saga, which stays for a time."""
    return key.startswith(stores.redis_prefix + "dead:{")


def _want(document):
    return {"version": document.version, "id": document.id,
            "title": document.title, "source": document.source,
            "content": document.content,
            "chunks": [c.id for c in document.chunks]}


def _compare(stores, report, document, key):
    text = stores.redis.get(key)
    if text is None:
        return False      # it ran out between SCAN and GET
    if stores.redis.ttl(key) == -1:
        report.add(STORE, document.id, "time to live",
                   model.Words("some seconds"), model.Words("for ever"))
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        report.add(STORE, document.id, "value", model.Words("a JSON object"), text)
        return True
    for field, want in _want(document).items():
        report.check(STORE, document.id, field, want, value.pop(field, None))
    report.check(STORE, document.id, "metadata", document.metadata,
                 value.pop("metadata", None), model.same_object)
    for field in value:
        report.add(STORE, document.id, field, model.NOTHING, value[field])
    return True


def compare(stores, report, documents):
    live = {live_key(stores, name): d for name, d in documents.items()}
    stage = {stage_key(stores, d.id, d.version) for d in documents.values()}
    fenced = {fence_key(stores, d.id, d.version) for d in documents.values()}
    number = 0
    # SCAN may give a key twice.
    for key in sorted(set(stores.redis.scan_iter(
            match=stores.redis_prefix + "*", count=1000))):
        kind = stores.redis.type(key)
        if kind == "none":
            continue
        if key in live and kind == "string":
            number += _compare(stores, report, live[key], key)
        elif key in stage or (_is_fence(stores, key) and key not in fenced):
            report.collect(STORE, key)
        else:
            report.add(STORE, "", "key " + key, model.NOTHING, kind)
    report.count("live keys in redis", number)
