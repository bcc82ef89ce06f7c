"""Documents for tests: small, each different from all others, and full of what must not be lost."""

import lzma
import json
import math
import random
from pathlib import Path

DIMS = 4
CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "postgresql-doc.jsonl.xz"


def embedding(seed, dims=DIMS):
    """A unit vector that belongs to `seed`."""
    source = random.Random(str(seed))
    raw = [source.gauss(0, 1) for _ in range(dims)]
    norm = math.sqrt(math.fsum(value * value for value in raw))
    return [round(value / norm, 6) for value in raw]


def chunk(name, n, dims=DIMS):
    return {"id": f"c{n}", "text": f"text {n} of {name}", "metadata": {"page": n, "of": name},
            "embedding": embedding(f"{name} {n}", dims)}


def document(name, n_chunks=3, n_entities=3, mark="", dims=DIMS, shared=()):
    """A document; `mark` makes another content under the same id, `shared` names entities that others have too."""
    label = f"{name}{mark}"
    entities = [{"type": "Thing", "name": f"{label} thing {n}", "properties": {"n": n, "mark": mark}}
                for n in range(n_entities)]
    entities += [{"type": "Shared", "name": other, "properties": {"by": label}} for other in shared]
    ends = [{"type": e["type"], "name": e["name"]} for e in entities]
    relationships = [{"from": a, "type": "NEXT_TO", "to": b, "properties": {"of": label}}
                     for a, b in zip(ends, ends[1:])]
    return {"id": name, "title": f"title of {label}", "source": f"file:///{label}", "content": f"content of {label}",
            "metadata": {"mark": mark, "nested": {"list": [1, 2.5, None, True]}},
            "chunks": [chunk(label, n, dims) for n in range(n_chunks)],
            "entities": entities, "relationships": relationships}


def corpus(number):
    """The first documents of the committed corpus: 384 dimensions."""
    with lzma.open(CORPUS, "rt", encoding="utf-8") as file:
        return [json.loads(next(file)) for _ in range(number)]
