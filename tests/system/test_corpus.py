"""The committed corpus is what the demo and the tests take it for."""
import json
import lzma
import math
import os
import re

import pytest

CORPUS = os.path.join(os.path.dirname(__file__), os.pardir, "corpus")
TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
DIMENSIONS = 384
FIELDS = {"id", "title", "source", "content", "metadata", "chunks",
          "entities", "relationships"}


def no_constants(name):
    raise ValueError("%s isn't JSON" % name)


@pytest.fixture(scope="module")
def documents():
    path = os.path.join(CORPUS, "postgresql-doc.jsonl.xz")
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [json.loads(line, parse_constant=no_constants) for line in file]


@pytest.fixture(scope="module")
def questions():
    with open(os.path.join(CORPUS, "questions.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_vector(values):
    return (len(values) == DIMENSIONS
            and all(type(v) in (int, float) and math.isfinite(v) for v in values)
            and abs(math.fsum(v * v for v in values) - 1) < 1e-4)


def key(entity):
    return entity["type"], entity["name"]


def test_size_and_licence():
    sizes = {name: os.path.getsize(os.path.join(CORPUS, name))
             for name in os.listdir(CORPUS)}
    assert sum(sizes.values()) <= 3_000_000
    with open(os.path.join(CORPUS, "LICENSE"), encoding="utf-8") as file:
        assert "Permission to use, copy, modify, and distribute" in file.read()


def test_documents(documents):
    assert len(documents) == 100
    assert len({d["id"] for d in documents}) == 100
    for d in documents:
        assert set(d) == FIELDS, d["id"]
        for field in ("id", "title", "source", "content"):
            assert isinstance(d[field], str) and d[field], (d["id"], field)
        assert len(d["id"].encode()) <= 512
        assert isinstance(d["metadata"], dict)
        assert "\0" not in json.dumps(d, ensure_ascii=False)


def test_chunks(documents):
    for d in documents:
        assert 2 <= len(d["chunks"]) <= 12, d["id"]
        ids = [c.get("id", str(n)) for n, c in enumerate(d["chunks"])]
        assert len(set(ids)) == len(ids), d["id"]
        for c in d["chunks"]:
            assert c["text"] in d["content"]
            assert isinstance(c["metadata"], dict)
            assert is_vector(c["embedding"]), (d["id"], c.get("id"))
    assert {"id" in d["chunks"][0] for d in documents} == {True, False}


def test_graph(documents):
    for d in documents:
        names = [key(e) for e in d["entities"]]
        assert len(set(names)) == len(names), d["id"]
        edges = [(key(r["from"]), r["type"], key(r["to"]))
                 for r in d["relationships"]]
        assert len(set(edges)) == len(edges), d["id"]
        for start, kind, end in edges:
            assert start in names and end in names, (d["id"], start, end)
            assert TYPE.fullmatch(kind)
        assert all(TYPE.fullmatch(kind) and name for kind, name in names)


def test_every_document_is_reachable_through_shared_entities(documents):
    holders = {}
    for n, d in enumerate(documents):
        for e in d["entities"]:
            holders.setdefault(key(e), set()).add(n)
    seen, todo = {0}, [0]
    while todo:
        for e in documents[todo.pop()]["entities"]:
            for other in holders[key(e)] - seen:
                seen.add(other)
                todo.append(other)
    assert len(seen) == len(documents)


def test_questions_find_their_document(documents, questions):
    assert 8 <= len(questions) <= 12
    chunks = [(d["id"], n, c["embedding"])
              for d in documents for n, c in enumerate(d["chunks"])]
    for q in questions:
        assert is_vector(q["embedding"])
        found = max(chunks, key=lambda c: sum(
            map(float.__mul__, map(float, c[2]), map(float, q["embedding"]))))
        assert found[:2] == (q["document"], q["ordinal"]), q["text"]
