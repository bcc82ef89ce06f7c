"""Jobs from a file, and PostgreSQL held against them."""
import gzip
import json
import lzma
import sys

import numpy as np

from . import model

STORE = "postgres"
OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def _document(params):
    chunks = [
        model.Chunk(c.get("id", str(n)), c["text"], c.get("metadata"),
                    np.array(c["embedding"], dtype=np.float64).astype(np.float32))
        for n, c in enumerate(params.get("chunks", []))]
    entities = [model.Entity(e["type"], e["name"], e.get("properties") or {})
                for e in params.get("entities", [])]
    relationships = [
        model.Relationship((r["from"]["type"], r["from"]["name"]), r["type"],
                           (r["to"]["type"], r["to"]["name"]),
                           r.get("properties") or {})
        for r in params.get("relationships", [])]
    return model.Document(params["id"], None, params.get("title"),
                          params.get("source"), params.get("content"),
                          params.get("metadata"), chunks, entities, relationships)


def parse(lines):
    """Documents by id as they should be once all lines are carried out.

    A line is the `params` of document.put, or a whole request; a later line
    replaces an earlier one, and document.delete leaves None.
    """
    documents = {}
    for line in lines:
        if not line.strip():
            continue
        job = json.loads(line)
        params = job.get("params", job)
        if job.get("method") == "document.delete":
            documents[params["id"]] = None
        else:
            documents[params["id"]] = _document(params)
    return documents


def read_jobs(path):
    """parse() of a file, compressed or not; "-" is standard input."""
    if path == "-":
        return parse(sys.stdin)
    opener = OPENERS.get(path[-3:], open)
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        return parse(file)


def _chunks(report, want, have):
    report.check(STORE, want.id, "chunks: ids", [c.id for c in want.chunks],
                 [c.id for c in have.chunks])
    for a, b in zip(want.chunks, have.chunks):
        at = "chunk %s: " % a.id
        report.check(STORE, want.id, at + "text", a.text, b.text)
        report.check(STORE, want.id, at + "metadata", a.metadata, b.metadata,
                     model.same_object)
        report.check(STORE, want.id, at + "embedding", a.embedding, b.embedding,
                     model.same_vector)


def _graph(report, want, have):
    for kind in ("entities", "relationships"):
        def name(e):
            if kind == "entities":
                return [e.type, e.name]
            return [list(e.start), e.type, list(e.end)]

        ours, theirs = getattr(want, kind), getattr(have, kind)
        report.check(STORE, want.id, kind, [name(e) for e in ours],
                     [name(e) for e in theirs])
        for a, b in zip(ours, theirs):
            report.check(STORE, want.id, "%s %s: properties" % (kind, name(a)),
                         a.properties, b.properties, model.same_object)


def compare(report, documents, jobs, partial):
    """PostgreSQL's documents against the jobs'; `partial`: some may be absent."""
    missing = 0
    for name, want in jobs.items():
        have = documents.get(name)
        if want is None or have is None:
            if want is not None and partial:
                missing += 1
            elif want is None and have is not None:
                report.add(STORE, name, "document", model.NOTHING, have.version)
            elif want is not None:
                report.add(STORE, name, "document", model.THERE, model.NOTHING)
            continue
        for field in ("title", "source", "content"):
            report.check(STORE, name, field, getattr(want, field),
                         getattr(have, field))
        report.check(STORE, name, "metadata", want.metadata, have.metadata,
                     model.same_object)
        _chunks(report, want, have)
        _graph(report, want, have)
    for name in documents.keys() - jobs.keys():
        report.add(STORE, name, "document", model.NOTHING,
                   documents[name].version)
    report.count("jobs compared", len(jobs) - missing)
    if missing:
        report.count("jobs that are in no store", missing)
