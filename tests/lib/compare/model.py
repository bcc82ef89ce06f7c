"""What is compared: documents, differences, and what counts as equal."""
import collections
import dataclasses
import json

import numpy as np

COSINE_TOLERANCE = 1e-5


@dataclasses.dataclass
class Chunk:
    id: str
    text: str
    metadata: object       # dict, or None
    embedding: np.ndarray  # float32


@dataclasses.dataclass
class Entity:
    type: str
    name: str
    properties: dict


@dataclasses.dataclass
class Relationship:
    start: tuple           # (type, name)
    type: str
    end: tuple
    properties: dict


@dataclasses.dataclass
class Document:
    id: str
    version: str           # saga uuid as text; None when made from a job
    title: object
    source: object
    content: object
    metadata: object
    chunks: list
    entities: list
    relationships: list


@dataclasses.dataclass(frozen=True)
class Difference:
    store: str
    document: str          # "" when it belongs to no document
    field: str
    expected: str
    found: str

    def __str__(self):
        return "%s: %s: %s: expected %s, found %s" % (
            self.store, self.document or "(no document)", self.field,
            self.expected, self.found)


class Words(str):
    """What a report says in words, as opposed to a value that it quotes."""


NOTHING = Words("nothing")
THERE = Words("it to be there")


def shown(value):
    """A value as a report shows it: one short line."""
    if isinstance(value, np.ndarray):
        text = "%d numbers" % len(value)
    elif isinstance(value, Words):
        return str(value)
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else text[:97] + "..."


class Report:
    """Differences, and counts of what was looked at."""

    def __init__(self):
        self.differences = []
        self.counts = collections.OrderedDict()
        # What may be there for a time without being wrong: store -> list.
        self.collectable = collections.OrderedDict()
        self.owed = 0

    def add(self, store, document, field, expected, found):
        self.differences.append(
            Difference(store, document, field, shown(expected), shown(found)))

    def check(self, store, document, field, expected, found, equal=None):
        if not (equal or same)(expected, found):
            expected, found = where_parted(expected, found)
            self.add(store, document, field, expected, found)

    def collect(self, store, what):
        self.collectable.setdefault(store, []).append(what)

    def count(self, what, number):
        self.counts[what] = self.counts.get(what, 0) + number

    def text(self, most=20):
        lines = [str(d) for d in self.differences[:most]]
        if len(self.differences) > most:
            lines.append("and %d more" % (len(self.differences) - most))
        return "\n".join(lines)


def where_parted(expected, found):
    """Long texts from just before the place where they differ, and of two
    vectors the component that differs most."""
    if isinstance(expected, np.ndarray) and isinstance(found, np.ndarray) \
            and expected.shape == found.shape:
        at = int(np.argmax(np.abs(expected - found)))
        return tuple(Words("%.9g at %d" % (v[at], at)) for v in (expected, found))
    if not (isinstance(expected, str) and isinstance(found, str)) \
            or max(len(expected), len(found)) <= 90:
        return expected, found
    at = next((n for n, (a, b) in enumerate(zip(expected, found)) if a != b),
              min(len(expected), len(found)))
    start = max(0, at - 20)
    prefix = "...@%d " % start if start else ""
    return prefix + expected[start:start + 60], prefix + found[start:start + 60]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same(a, b):
    """Equality of JSON values: true isn't 1, but 1.0 is."""
    if is_number(a) and is_number(b):
        if isinstance(a, int) and isinstance(b, int):
            return a == b
        return float(a) == float(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def same_object(a, b):
    """As same(), where no object and an empty one mean the same."""
    return same(a or {}, b or {})


def same_vector(a, b):
    """As float32, bit for bit, but for a last digit from double rounding."""
    return a.shape == b.shape and bool(np.all(
        np.abs(a - b) <= np.spacing(np.maximum(np.abs(a), np.abs(b)))))


def same_direction(a, b):
    """For a store that normalises what it is given."""
    if a.shape != b.shape:
        return False
    norms = [np.linalg.norm(v.astype(np.float64)) for v in (a, b)]
    if 0 in norms:
        return norms[0] == norms[1]
    return bool(np.max(np.abs(a / norms[0] - b / norms[1])) <= COSINE_TOLERANCE)
