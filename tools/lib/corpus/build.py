"""The whole way from HTML pages to the files of the corpus."""
import collections
import json
import lzma
import os
import re

import numpy as np

from . import chunks, graph, pages, select, source
from .model import Model

COLLECTION = "postgresql-15"
# Change logs and acknowledgements: lists of names, and little to ask about.
LEFT_OUT = ("release-", "history", "errcodes-", "acronyms", "features-")
QUESTIONS = os.path.join(os.path.dirname(__file__), "questions.tsv")


def vector(values):
    """Six significant digits: more than the model's own precision is worth."""
    return [float("%.6g" % value) for value in values]


def _chunk_ids(page, parts):
    """Reference pages name their chunks; others leave the ids to sagad."""
    if page.kind != "refentry":
        return [None] * len(parts)
    seen, ids = collections.Counter(), []
    for part in parts:
        slug = re.sub(r"[^a-z0-9]+", "-", part.section.lower()).strip("-")
        seen[slug] += 1
        ids.append("%s-%d" % (slug, seen[slug]))
    return ids


def _chunks(page, parts, model):
    done = []
    for part, name in zip(parts, _chunk_ids(page, parts)):
        chunk = {} if name is None else {"id": name}
        chunk["text"] = part.text
        chunk["metadata"] = {"section": part.section, "anchor": part.anchor,
                             "words": chunks.count(part.text)}
        # The title tells the model what a section is about.
        chunk["embedding"] = vector(model.embed(page.title + "\n" + part.text))
        done.append(chunk)
    return done


def document(page, parts, known, model, version):
    """One `params` object of document.put."""
    content = "\n\n".join([page.title] + [part.text for part in parts])
    entities, relationships = graph.of(page, known)
    headings = list(dict.fromkeys(part.section for part in parts))
    return {
        "id": COLLECTION + "/" + page.name,
        "title": page.title,
        "source": source.PACKAGE + "/html/" + page.name,
        "content": content,
        "metadata": {
            "package": {"name": source.PACKAGE, "version": version},
            "kind": page.kind, "purpose": page.purpose or None,
            "up": page.up, "headings": headings,
            "words": chunks.count(content),
        },
        "chunks": _chunks(page, parts, model),
        "entities": entities,
        "relationships": relationships,
    }


def _wanted():
    with open(QUESTIONS, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip()]


def _questions(documents, model, say):
    """The questions whose document is here, each with its nearest chunk, and the
    number of those whose nearest chunk is in another document."""
    places = [(d["id"], n) for d in documents for n in range(len(d["chunks"]))]
    matrix = np.array([c["embedding"] for d in documents for c in d["chunks"]])
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    done, strays = [], 0
    for name, text in _wanted():
        wanted = COLLECTION + "/" + name
        if wanted not in {d["id"] for d in documents}:
            continue
        asked = model.embed(text)
        scores = matrix @ asked
        found, ordinal = places[int(scores.argmax())]
        mark = "ok" if found == wanted else "not the document meant"
        strays += found != wanted
        say("  %.3f %s #%d  %s  (%s)" % (scores.max(), found, ordinal, text, mark))
        done.append({"id": "q%d" % (len(done) + 1), "text": text,
                     "document": wanted, "ordinal": ordinal,
                     "score": round(float(scores.max()), 4),
                     "embedding": vector(asked)})
    return done, strays


def _write(path, data):
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def _lines(objects):
    return "".join(json.dumps(o, ensure_ascii=False, separators=(",", ":")) + "\n"
                   for o in objects).encode("utf-8")


def _licence(folder):
    page = pages.read_legal_notice(folder)
    return ("The documents in this folder are pages of PostgreSQL's "
            "documentation (Debian's package\n%s), cut into chunks. "
            "The vectors were computed with\nthe sentence model "
            "all-MiniLM-L6-v2. The documentation's licence:\n\n%s\n"
            % (source.PACKAGE, page)).encode("utf-8")


def _save(out, documents, questions, licence, say):
    os.makedirs(out, exist_ok=True)
    packed = lzma.compress(_lines(documents), preset=9 | lzma.PRESET_EXTREME)
    files = {"postgresql-doc.jsonl.xz": packed,
             "questions.jsonl": _lines(questions), "LICENSE": licence}
    for name, data in files.items():
        _write(os.path.join(out, name), data)
        say("%9d bytes  %s" % (len(data), os.path.join(out, name)))


def _read(folder, limit, say):
    everything = pages.read_all(folder)
    known = graph.index(everything)
    parts = {}
    for name, page in everything.items():
        if page.names_people or name.startswith(LEFT_OUT):
            continue
        split = chunks.split(page)
        if split is not None:
            parts[name] = split
    usable = {name: everything[name] for name in parts}
    if not usable:
        raise SystemExit("make-corpus: no page in %s can be used" % folder)
    chosen = select.choose(usable, [name for name, _ in _wanted()], limit)
    say("%d pages read, %d of %d to %d chunks, %d chosen in connected parts of %s"
        % (len(everything), len(usable), chunks.FEWEST, chunks.MOST,
           len(chosen), select.components(usable, chosen)))
    return [(usable[name], parts[name]) for name in chosen], known


def run(folder, out, limit, say):
    with source.pages(folder, say) as (place, version):
        chosen, known = _read(place, limit, say)
        licence = _licence(place)
    model = Model()
    documents = []
    for page, parts in chosen:
        documents.append(document(page, parts, known, model, version))
        if len(documents) % 25 == 0:
            say("%d documents embedded" % len(documents))
    say("%d documents, %d chunks, %d entities, %d relationships" % (
        len(documents), sum(len(d["chunks"]) for d in documents),
        sum(len(d["entities"]) for d in documents),
        sum(len(d["relationships"]) for d in documents)))
    questions, strays = _questions(documents, model, say)
    if strays:
        say("make-corpus: the nearest chunk to %d questions is elsewhere than "
            "questions.tsv says; nothing written" % strays)
        return 1
    _save(out, documents, questions, licence, say)
    return 0
