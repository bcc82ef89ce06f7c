"""The pages in docs/ against the code: snippets run, states are the state machine's, links and names lead somewhere."""

import re

import pytest
from qdrant_client import models

from harness import documents
from harness.daemon import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md"))]
PAGES = [page for page in PAGES if page.exists()]
DEAD = "00000000-0000-7000-8000-000000000000"


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


# docs/guarantees.md: how a reader checks a hit.

@pytest.fixture(scope="module")
def check():
    """The functions of the page."""
    blocks = re.findall(r"^```python run\n(.*?)^```$", text_of("guarantees.md"), re.S | re.M)
    assert len(blocks) == 4
    found = {}
    exec("\n".join(blocks), found)  # the page is ours
    return found


@pytest.fixture(scope="module")
def readers(world):
    """Two documents, and of the first also what a dead saga may have left for a moment."""
    daemon = world.running({"retry.max_tries": 20})
    job = documents.document("alive", shared=["both"])
    with daemon.jobs() as client:
        for document in (job, documents.document("other", shared=["both"])):
            assert client.put(document).outcome == "committed"
    point = world.points("alive")[0]
    world.readers.qdrant.upsert("documents", wait=True, points=[
        models.PointStruct(id=DEAD, vector=point.vector, payload={**point.payload, "saga_id": DEAD, "text": "dead"})])
    world.cypher("MATCH (e:Entity {type: 'Shared'}), (t:Entity {type: 'Thing', name: 'other thing 0'})"
                 " CREATE (:Version:Document {saga_id: $dead, id: 'alive'})-[:MENTIONS {ordinal: 0}]->(e)"
                 " CREATE (e)-[:DEAD {saga_id: $dead, document_id: 'alive'}]->(t)", dead=DEAD)
    return world.readers


def test_postgresql_finds_the_nearest_chunks(check, readers):
    vector = documents.chunk("alive", 1)["embedding"]
    assert check["search_postgres"](readers.postgres, vector, 1) == [("alive", "c1", "text 1 of alive")]


def test_a_dead_point_is_no_hit(check, readers):
    vector = documents.chunk("alive", 0)["embedding"]
    unchecked = readers.qdrant.query_points("documents", query=vector, limit=2).points
    assert {point.payload["text"] for point in unchecked} == {"text 0 of alive", "dead"}
    found = check["search_qdrant"](readers.qdrant, readers.postgres, vector, 3)
    assert found[0].payload["text"] == "text 0 of alive" and len(found) == 3
    assert all(point.payload["text"] != "dead" for point in found)


def test_a_dead_version_in_the_graph_is_no_hit(check, readers):
    found = check["documents_about"](readers.neo4j, readers.postgres, "Shared", "both")
    assert sorted(found) == ["alive", "other"]
    found = check["neighbours"](readers.neo4j, readers.postgres, "Shared", "both")
    assert found and all(how == "NEXT_TO" for how, _, _ in found)


def test_another_version_in_the_cache_is_no_hit(check, readers):
    job, key = documents.document("alive", shared=["both"]), "sagad:doc:{alive}"
    value = check["cached"](readers.redis, readers.postgres, "alive")
    assert value["content"] == job["content"] and value["chunks"] == [chunk["id"] for chunk in job["chunks"]]
    text = readers.redis.get(key)
    readers.redis.set(key, text.replace(value["version"], DEAD))
    assert check["cached"](readers.redis, readers.postgres, "alive") is None
    assert check["cached"](readers.redis, readers.postgres, "nothing") is None


# docs/guarantees.md: promises, stories and their tests. That what a row names exists is checked below, for all pages.

def rows_of_guarantees(heading):
    """The cells of a table's rows by their number."""
    table = re.search(rf"^\| {heading} \|.*?(?=^$|\Z)", text_of("guarantees.md"), re.S | re.M).group()
    return {int(row.split("|")[1]): row for row in table.splitlines()[2:]}


def test_every_promise_has_its_tests():
    rows = rows_of_guarantees("promise")
    assert sorted(rows) == list(range(1, 12))
    for number, row in rows.items():
        named = re.findall(r"`(?:tests|tools)/[^`]+`", row.rsplit("|", 2)[1])
        assert any("::" in name for name in named), f"promise {number} names no test"


def test_every_story_has_its_test():
    rows = rows_of_guarantees("story")
    source = (CHECKOUT / "tests" / "system" / "test_stories.py").read_text(encoding="utf-8")
    written = re.findall(r"^def (test_story_(\d\d)_\w+)", source, re.M)
    assert sorted(rows) == list(range(1, 26)) == sorted({int(number) for _, number in written})
    for number, row in rows.items():
        assert re.findall(r"`(test_\w+)`", row) == [name for name, own in written if int(own) == number]


# docs/architecture.md: drawn from the code.

def moves_of_the_code():
    source = (CHECKOUT / "src" / "core" / "saga.c").read_text(encoding="utf-8")
    body = re.search(r"saga_may\[SAGA_STATES\] = \{(.*?)\};", source, re.S).group(1)
    rows = re.findall(r"\[SAGA_(\w+)\] =\s*(.*?)(?=,\s*\[|,\s*$)", body, re.S)
    return {(state, to) for state, targets in rows for to in re.findall(r"TO\(SAGA_(\w+)\)", targets)}


def test_the_diagram_shows_the_moves_that_the_code_allows():
    drawn = set(re.findall(r"^    (\w+) --> (\w+)", text_of("architecture.md"), re.M))
    assert drawn == moves_of_the_code() and len(drawn) >= 20


def test_every_state_has_its_rows():
    rows = re.findall(r"^\| ([A-Z_, ]+) \|", text_of("architecture.md"), re.M)
    named = {state for row in rows for state in row.split(", ")}
    assert {state for state, _ in moves_of_the_code()} <= named


def test_the_layers_are_those_that_are_checked():
    source = (CHECKOUT / "tools" / "check-layers").read_text(encoding="utf-8")
    names = {"ADAPTER": {"port", "proto", "loop", "base"}}
    exec(re.search(r"^MAY = \{.*?^\}", source, re.S | re.M).group(), names)
    may = names["MAY"]
    for folder, cell in re.findall(r"^\| `src/(\w+)` \| .* \| ([^|]+) \|$", text_of("architecture.md"), re.M):
        if folder in ("sagad",):
            continue
        written = set() if cell == "nothing of ours" else set(cell.split(", ")) - {"libuv"}
        assert written == may[folder], f"src/{folder}"


def test_journal_and_tables_have_their_columns():
    page = text_of("architecture.md")
    journal = (CHECKOUT / "src" / "journal" / "journal_db.c").read_text(encoding="utf-8")
    for table in ("about", "intents", "jobs"):
        body = re.search(rf'"CREATE TABLE {table} \((.*?);"', journal, re.S).group(1)
        row = re.search(rf"^\| `{table}` \| ([^|]+) \|", page, re.M).group(1)
        assert set(re.findall(r"`(\w+)`", row)) == set(re.findall(r"\b([a-z_]+) (?:TEXT|INTEGER|BLOB)\b", body))
    schema = (CHECKOUT / "src" / "stores" / "postgres" / "pg_schema.c").read_text(encoding="utf-8")
    for table, body in re.findall(r'CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\)"[,;]', schema, re.S):
        row = re.search(rf"^\| `{table}` \|.*$", page, re.M).group()
        body = re.sub(r'"\s*"', "", body)
        columns = re.findall(r"(?:^|, )\(?([a-z_]+) (?:text|jsonb|bytea|uuid|int|bool|bigint|timestamptz|real|vector)\b",
                             body)
        assert columns, table
        for column in columns:
            assert f"`{column}`" in row or column == "is_single", f"{table}.{column}"


# Links and names, on every page.

def prose(page):
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def anchors(path):
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", prose(path), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", prose(page)):
        path = page.parent / target if target else page
        assert path.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_files_and_tests_exist(page):
    for name, test in re.findall(r"`((?:src|tests|tools|conf|docs|include|bench)/[\w./-]*)(?:::(\w+))?`", prose(page)):
        assert (CHECKOUT / name).exists(), f"{page.name} names {name}"
        if test:
            assert re.search(rf"\b{test}\(", (CHECKOUT / name).read_text(encoding="utf-8")), f"{name}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_configuration_keys_exist(page):
    source = (CHECKOUT / "src" / "sagad" / "config_keys.c").read_text(encoding="utf-8")
    keys = set(re.findall(r'^\t\{"(\w+)", "(\w+)"', source, re.M))
    sections = {section for section, _ in keys}
    for section, name in re.findall(r"`([a-z]+[0-9]?[a-z]*)\.([a-z_0-9]+)`", prose(page)):
        assert section not in sections or (section, name) in keys, f"{page.name} names the key {section}.{name}"
