"""Holds the graph against PostgreSQL's documents.

The whole database is read: every node and every relationship must be one that
a document accounts for, a tombstone, or an entity waiting for its collector.
"""
import collections
import hashlib
import json

from . import model

STORE = "neo4j"
INT64 = range(-2 ** 63, 2 ** 63)


def entity_key(kind, name):
    return hashlib.sha256((kind + "\n" + name).encode()).hexdigest()


def _is_scalar(value):
    return isinstance(value, (str, bool, float)) or (
        isinstance(value, int) and value in INT64)


def is_storable(value):
    """Can Neo4j hold it as it is: a scalar, or a list of one kind of scalar?"""
    if isinstance(value, list):
        return (all(map(_is_scalar, value))
                and len({type(v) for v in value}) <= 1)
    return _is_scalar(value)


def _is_json_of(value, found):
    try:
        return isinstance(found, str) and model.same(value, json.loads(found))
    except ValueError:
        return False


def same_property(value, found):
    if value is None:
        return found is None     # null means absent
    if is_storable(value):
        return model.same(value, found)
    # A list of integers and floats may be taken for one of floats.
    if isinstance(value, list) and all(map(model.is_number, value)):
        return model.same(value, found) or _is_json_of(value, found)
    return _is_json_of(value, found)


def _properties(report, document, at, want, have):
    for name in sorted(want.keys() | have.keys()):
        expected, found = want.get(name), have.get(name)
        if not same_property(expected, found):
            report.add(STORE, document, "%s: %s" % (at, name),
                       *model.where_parted(expected, found))


class _Graph:
    """All that is in the database, sorted by what it is."""

    def __init__(self, session, report):
        self.report = report
        self.documents = {}      # element id -> properties
        self.entities = {}
        self.tombstones = {}
        self.mentions = collections.defaultdict(list)   # document -> [(props, entity)]
        self.typed = []          # (properties, type, start entity, end entity)
        self.touched = set()     # entities with a relationship
        self._nodes(session)
        self._relationships(session)

    def _nodes(self, session):
        kinds = {"Document": self.documents, "Entity": self.entities,
                 "Tombstone": self.tombstones}
        rows = session.run("MATCH (n) RETURN elementId(n), labels(n), properties(n)")
        for node, labels, properties in rows:
            # Documents and tombstones share this label for its constraint.
            labels = [label for label in labels if label != "Version"]
            if len(labels) == 1 and labels[0] in kinds:
                kinds[labels[0]][node] = properties
            else:
                self.report.add(STORE, "", "node %s" % labels, model.NOTHING,
                                properties)

    def _relationships(self, session):
        rows = session.run("MATCH (a)-[r]->(b) RETURN elementId(a), type(r),"
                           " properties(r), elementId(b)")
        for start, kind, properties, end in rows:
            self.touched |= {start, end}
            if start in self.documents and kind == "MENTIONS" and end in self.entities:
                self.mentions[start].append((properties, end))
            elif start in self.entities and end in self.entities:
                self.typed.append((properties, kind, start, end))
            else:
                self.report.add(STORE, "", "relationship %s" % kind,
                                model.NOTHING, properties)

    def name(self, entity):
        properties = self.entities[entity]
        return [properties.get("type"), properties.get("name")]


def _newest_givers(documents):
    """Of each entity: the version and the properties of the newest document that gives it any."""
    givers = {}
    for document in documents.values():
        for entity in document.entities:
            given = {n: v for n, v in entity.properties.items() if v is not None}
            name = (entity.type, entity.name)
            if given and document.version > givers.get(name, ("", {}))[0]:
                givers[name] = (document.version, given)
    return givers


def _check_published(report, at, giver, have):
    """Properties reach the entity by publishing, newest version last; those of
    versions that are gone may still be there, and no others."""
    by = have.get("updated_by", "")
    if by < giver[0]:
        report.add(STORE, "", "%s: published by" % at, giver[0], by)
    for name, value in giver[1].items() if by == giver[0] else ():
        if not same_property(value, have.get(name)):
            report.add(STORE, "", "%s: %s" % (at, name), value, have.get(name))
    if not by and have.keys() - {"key", "type", "name"}:
        report.add(STORE, "", at, model.Words("no properties of its own"), have)


def _check_entities(report, graph, documents):
    givers = _newest_givers(documents)
    for node, have in graph.entities.items():
        at = "entity %s" % graph.name(node)
        kind, name = have.get("type"), have.get("name")
        report.check(STORE, "", "%s: key" % at, entity_key(str(kind), str(name)),
                     have.get("key"))
        _check_published(report, at, givers.get((kind, name), ("", {})), have)
        if node not in graph.touched:
            report.collect(STORE, at)


def _check_tombstones(report, graph, versions):
    for node, have in graph.tombstones.items():
        saga = have.get("saga_id")
        if saga in versions:
            report.add(STORE, versions[saga].id, "tombstone", model.NOTHING, saga)
        else:
            report.collect(STORE, "tombstone %s" % saga)


def _check_mentions(report, graph, document, node):
    found = {}
    for properties, entity in graph.mentions[node]:
        name = tuple(graph.name(entity))
        if name in found:
            report.add(STORE, document.id, "MENTIONS %s" % list(name),
                       model.Words("one"), model.Words("more than one"))
        found[name] = properties
    for ordinal, entity in enumerate(document.entities):
        at = "MENTIONS %s" % [entity.type, entity.name]
        have = found.pop((entity.type, entity.name), None)
        if have is None:
            report.add(STORE, document.id, at, model.THERE, model.NOTHING)
            continue
        _properties(report, document.id, at,
                    {**entity.properties, "ordinal": ordinal}, have)
    for name, properties in found.items():
        report.add(STORE, document.id, "MENTIONS %s" % list(name),
                   model.NOTHING, properties)


def _check_documents(report, graph, documents, versions):
    nodes = {}
    for node, have in graph.documents.items():
        document = versions.get(have.get("saga_id"))
        if document is None or have["saga_id"] in nodes:
            report.add(STORE, str(have.get("id") or ""), "Document node",
                       model.NOTHING, "saga %s" % have.get("saga_id"))
            continue
        nodes[have["saga_id"]] = node
        want = {"saga_id": document.version, "id": document.id,
                "title": document.title, "source": document.source}
        _properties(report, document.id, "Document node", want, have)
        _check_mentions(report, graph, document, node)
    for document in documents.values():
        if document.version not in nodes:
            report.add(STORE, document.id, "Document node",
                       "saga %s" % document.version, model.NOTHING)


def _edge(start, kind, end):
    return "(%s)-[%s]->(%s)" % (" ".join(map(str, start)), kind,
                                " ".join(map(str, end)))


def _check_typed(report, graph, documents, versions):
    found = {}
    for properties, kind, start, end in graph.typed:
        start, end = tuple(graph.name(start)), tuple(graph.name(end))
        document = versions.get(properties.get("saga_id"))
        key = (properties.get("saga_id"), start, kind, end)
        if document is None or key in found:
            report.add(STORE, str(properties.get("document_id") or ""),
                       _edge(start, kind, end), model.NOTHING,
                       "saga %s" % properties.get("saga_id"))
        else:
            found[key] = properties
    for d in documents.values():
        for ordinal, r in enumerate(d.relationships):
            at = _edge(r.start, r.type, r.end)
            have = found.pop((d.version, r.start, r.type, r.end), None)
            if have is None:
                report.add(STORE, d.id, at, model.THERE, model.NOTHING)
                continue
            _properties(report, d.id, at, {
                **r.properties, "saga_id": d.version, "document_id": d.id,
                "ordinal": ordinal}, have)
    for (saga, start, kind, end), _ in found.items():
        report.add(STORE, versions[saga].id, _edge(start, kind, end),
                   model.NOTHING, "saga %s" % saga)


def compare(stores, report, documents):
    versions = {d.version: d for d in documents.values()}
    with stores.neo4j.session(database=stores.neo4j_database) as session:
        graph = _Graph(session, report)
    _check_entities(report, graph, documents)
    _check_tombstones(report, graph, versions)
    _check_documents(report, graph, documents, versions)
    _check_typed(report, graph, documents, versions)
    report.count("Document nodes in neo4j", len(graph.documents))
    report.count("Entity nodes in neo4j", len(graph.entities))
    report.count("relationships in neo4j", len(graph.typed)
                 + sum(map(len, graph.mentions.values())))
