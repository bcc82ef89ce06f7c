"""Entities and relationships of a page: itself, what it links to, what it names.

A name counts as an entity only when the documentation itself knows it: a
command with a reference page, a program with one, a system catalog, a setting
written like one. That keeps markup accidents out of the graph.
"""
import collections
import dataclasses
import re

MOST_LINKS = 16
MOST_NAMES = 8     # of each kind


@dataclasses.dataclass
class Index:
    """What the whole documentation defines, made once over all pages."""
    titles: dict      # page file name -> title
    commands: dict    # "VACUUM" -> "sql-vacuum.html"
    programs: dict    # "vacuumdb" -> "app-vacuumdb.html"


def index(pages):
    commands, programs = {}, {}
    for name, page in pages.items():
        if page.kind != "refentry":
            continue
        if name.startswith("sql-"):
            commands[page.title] = name
        elif name.startswith("app-"):
            programs[page.title] = name
    titles = {name: page.title for name, page in pages.items()}
    return Index(titles, commands, programs)


def subject(page, known):
    """The entity that a reference page documents, else the page itself."""
    if known.commands.get(page.title) == page.name:
        return ("Command", page.title)
    if known.programs.get(page.title) == page.name:
        return ("Program", page.title)
    return ("Page", page.name)


def _classify(mention, known):
    """(entity type, name) of a mention, or None."""
    name = mention.name
    if mention.kind == "command" and name in known.commands:
        return ("Command", name)
    if mention.kind in ("command", "application") and name in known.programs:
        return ("Program", name)
    if mention.kind == "function":
        match = re.match(r"[a-z_][a-z0-9_]{2,62}(?=$|\()", name)
        return ("Function", match.group()) if match else None
    if mention.kind == "type" and re.fullmatch(r"[a-z][a-z0-9_ ]{1,40}", name):
        return ("Type", name)
    if mention.kind == "varname" and re.fullmatch(r"[a-z]+(_[a-z]+)+", name):
        return ("Setting", name)
    if mention.kind == "structname" and re.fullmatch(r"pg_[a-z_]+", name):
        return ("Catalog", name)
    return None


def _named(page, known, itself):
    """The entities a page names: (type, name) -> (times, sections)."""
    found = collections.OrderedDict()
    for mention in page.mentions:
        entity = _classify(mention, known)
        if entity is None or entity == itself:
            continue
        times, sections = found.setdefault(entity, [0, []])
        found[entity][0] = times + 1
        if mention.section and mention.section not in sections:
            sections.append(mention.section)
    kept = collections.OrderedDict()
    by_kind = collections.Counter()
    for entity, use in sorted(found.items(), key=lambda e: -e[1][0]):
        by_kind[entity[0]] += 1
        if by_kind[entity[0]] <= MOST_NAMES:
            kept[entity] = use
    return kept


class _Graph:
    def __init__(self):
        self.entities = collections.OrderedDict()
        self.relationships = collections.OrderedDict()

    def entity(self, key, properties):
        self.entities.setdefault(key, {}).update(properties)

    def relate(self, start, kind, end, properties=None):
        if start != end:
            self.relationships.setdefault((start, kind, end), properties or {})


def _pages(graph, page, known, me):
    """The page, the one above it, and those it links to."""
    graph.entity(me, {"title": page.title, "kind": page.kind, "itself": True})
    if page.up in known.titles:
        graph.entity(("Page", page.up), {"title": known.titles[page.up]})
        graph.relate(me, "PART_OF", ("Page", page.up))
    links = [(n, t) for n, t in page.links.items() if n in known.titles]
    for name, times in sorted(links, key=lambda l: -l[1])[:MOST_LINKS]:
        other = ("Page", name)
        graph.entity(other, {"title": known.titles[name]})
        graph.relate(me, "LINKS_TO", other, {"times": times})


def _see_also(graph, page, known, itself):
    ends = {n: ("Command", t) for t, n in known.commands.items()}
    ends.update({n: ("Program", t) for t, n in known.programs.items()})
    for name in page.see_also:
        if name in ends:
            graph.entity(ends[name], {})
            graph.relate(itself, "SEE_ALSO", ends[name])


def of(page, known):
    """(entities, relationships) as a job has them."""
    graph, me, itself = _Graph(), ("Page", page.name), subject(page, known)
    _pages(graph, page, known, me)
    if itself != me:
        graph.entity(itself, {"purpose": page.purpose, "documented": True})
        graph.relate(me, "DOCUMENTS", itself)
    for entity, (times, sections) in _named(page, known, itself).items():
        graph.entity(entity, {"times": times, "sections": sections})
        graph.relate(itself, "NAMES_" + entity[0].upper(), entity,
                     {"times": times})
    _see_also(graph, page, known, itself)
    return _as_job(graph)


def _as_job(graph):
    def end(key):
        return {"type": key[0], "name": key[1]}

    entities, relationships = [], []
    for key, properties in graph.entities.items():
        entity = end(key)
        if properties:
            entity["properties"] = properties
        entities.append(entity)
    for (start, kind, stop), properties in graph.relationships.items():
        relationship = {"from": end(start), "type": kind, "to": end(stop)}
        if properties:
            relationship["properties"] = properties
        relationships.append(relationship)
    return entities, relationships
