"""Reads one HTML page of the PostgreSQL documentation (DocBook XHTML).

Gives its blocks of text with the sections they stand in, the links to other
pages, and the names that the markup calls commands, functions, types and so
on. Knows nothing of chunks, jobs or vectors.
"""
import collections
import dataclasses
import os
import re

from bs4 import BeautifulSoup

SECTIONS = {"refnamediv", "refsynopsisdiv", "refsect1", "refsect2", "refsect3",
            "sect1", "sect2", "sect3", "sect4", "sect5"}
PAGE_KINDS = ("refentry", "sect1", "chapter", "appendix")
SKIPPED = {"toc", "titlepage", "navheader", "navfooter", "footnotes"}
ADMONITIONS = {"note", "tip", "warning", "caution", "important"}
HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]


@dataclasses.dataclass
class Block:
    section: str   # heading of the innermost section
    anchor: str    # that section's id in the page
    text: str


@dataclasses.dataclass
class Mention:
    kind: str      # the markup's class: command, function, type, ...
    name: str
    section: str   # heading of the innermost section it stands in


@dataclasses.dataclass
class Page:
    name: str      # file name, "sql-vacuum.html"
    title: str
    kind: str      # one of PAGE_KINDS
    purpose: str   # a reference page's one-line description, else ""
    up: str        # file name of the page above, or ""
    blocks: list
    links: collections.Counter       # file name -> number of links
    see_also: list                   # file names under the heading "See Also"
    mentions: list
    names_people: bool


def plain(element):
    return " ".join(element.get_text().split())


def classes(element):
    return set((element.get("class") or "").split())


class _Reader:
    """Walks a page's main element and gathers its blocks."""

    def __init__(self, title):
        self.blocks = []
        self.where = (title, "")

    def add(self, text):
        if text.strip():
            self.blocks.append(Block(self.where[0], self.where[1], text))

    def section(self, div):
        outer = self.where
        heading = div.find(HEADINGS)
        if heading is not None:
            name = re.sub(r"^[\dA-Z]+(\.\d+)*\.\s+", "", plain(heading))
            self.where = (name, div.get("id") or outer[1])
        for child in div.find_all(True, recursive=False):
            if child is not heading:
                self.element(child)
        self.where = outer

    def element(self, child):
        kinds = classes(child)
        if kinds & SKIPPED or child.name in HEADINGS:
            return
        if kinds & SECTIONS:
            self.section(child)
        elif child.name == "pre":
            self.add(child.get_text().strip("\n"))
        elif child.name == "p":
            self.add(plain(child))
        elif child.name == "table":
            self.table(child)
        elif child.name in ("ul", "ol"):
            for item in child.find_all("li", recursive=False):
                self.add("- " + plain(item))
        elif child.name == "dl":
            self.definitions(child)
        elif kinds & ADMONITIONS:
            name = sorted(kinds & ADMONITIONS)[0].capitalize()
            body = [plain(p) for p in child.find_all(["p", "pre"])]
            self.add(name + ": " + " ".join(body))
        else:
            for inner in child.find_all(True, recursive=False):
                self.element(inner)

    def table(self, table):
        rows = []
        for row in table.find_all("tr"):
            cells = [plain(cell) for cell in row.find_all(["td", "th"])]
            rows.append(" | ".join(cells))
        self.add("\n".join(rows))

    def definitions(self, dl):
        term = ""
        for child in dl.find_all(["dt", "dd"], recursive=False):
            if child.name == "dt":
                term = plain(child)
            else:
                self.add(term + ": " + plain(child))


def _links(main, name):
    links, see_also = collections.Counter(), []
    for a in main.find_all("a", href=True):
        target = a["href"].split("#")[0]
        if not re.fullmatch(r"[a-z0-9-]+\.html", target) or target == name:
            continue
        links[target] += 1
        part = a.find_parent("div", class_="refsect1")
        if part is not None and plain(part.find(HEADINGS)) == "See Also":
            see_also.append(target)
    return links, see_also


def _mentions(main):
    found = []
    for element in main.find_all(["code", "span"]):
        kind = element.get("class") or ""
        if kind not in ("command", "function", "type", "varname",
                        "structname", "application"):
            continue
        part = element.find_parent(
            lambda e: e.name == "div" and bool(classes(e) & SECTIONS))
        heading = part.find(HEADINGS) if part is not None else None
        section = plain(heading) if heading is not None else ""
        section = re.sub(r"^[\dA-Z]+(\.\d+)*\.\s+", "", section)
        found.append(Mention(kind, plain(element), section))
    return found


def read(folder, name):
    """The page `name` of `folder`, or None when it isn't one of PAGE_KINDS."""
    with open(os.path.join(folder, name), "rb") as file:
        soup = BeautifulSoup(file.read(), "lxml-xml")
    main = soup.body.find("div", class_=list(PAGE_KINDS), recursive=False)
    if main is None:
        return None
    kind = (classes(main) & set(PAGE_KINDS)).pop()
    for toc in main.find_all("div", class_="toc"):
        toc.decompose()
    title = " ".join(soup.title.get_text().split())
    title = re.sub(r"^(Chapter |Appendix )?[\dA-Z]+(\.\d+)*\.\s+", "", title)
    up = soup.body.find("a", accesskey="u")
    purpose = ""
    if kind == "refentry":
        line = main.find("div", class_="refnamediv").find("p")
        purpose = plain(line).split(" — ", 1)[-1]
    reader = _Reader(title)
    reader.section(main) if kind != "refentry" else reader.element(main)
    links, see_also = _links(main, name)
    return Page(name, title, kind, purpose, up["href"] if up else "",
                reader.blocks, links, see_also, _mentions(main),
                main.find(["span", "a"], class_=["surname", "email"]) is not None)


def read_all(folder):
    """Every readable page of the folder, by file name."""
    pages = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".html"):
            page = read(folder, name)
            if page is not None and page.blocks:
                pages[name] = page
    return pages


def read_legal_notice(folder):
    """The text of the documentation's licence, a paragraph a line group."""
    with open(os.path.join(folder, "legalnotice.html"), "rb") as file:
        soup = BeautifulSoup(file.read(), "lxml-xml")
    paragraphs = soup.body.find("div", class_="legalnotice").find_all("p")
    return "\n\n".join(
        "\n".join(line.strip() for line in p.get_text().strip().splitlines())
        for p in paragraphs)
