"""docs/protocol.md against the daemon and the sources: every example is sent, and nothing that exists is missing.

An example is a fenced block `json request` (or `text request` for lines that are no JSON: sent as it stands) followed
by a block `json response`. `admin` after `request` means the administration socket; `eventually`: ask until it fits.
They run in the page's order against one daemon. In a response

  - a UUID stands for one that the daemon makes: the same in the page means the same in the answers, and a request
    that holds it is sent with the daemon's;
  - … in a text is anything, and "…": "…" means that there may be more members;
  - the members of VOLATILE may have any value of their type.
"""

import json
import re
import subprocess

import pytest

from harness import documents, eventually, program
from harness.daemon import CHECKOUT

PAGE = CHECKOUT / "docs" / "protocol.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROTO = CHECKOUT / "src" / "proto"

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VOLATILE = {"updated_unix_ms", "latency_ms", "endpoint", "connections", "server"}
EXAMPLE = re.compile(r"^```(json|text) request([a-z ]*)\n(.*?)^```\n```json response\n(.*?)^```$", re.S | re.M)

# Which heading describes the fields of which array of names in src/proto.
FIELDS = {
    "root_names": "Connections and messages",
    "put_names": "document.put",
    "delete_names": "document.delete",
    "status_names": "document.status",
    "chunk_names": "document.put",
    "entity_names": "document.put",
    "end_names": "document.put",
    "relationship_names": "document.put",
    "init_names": "store.init",
    "level_names": "sagad.log_level",
    "list_names": "saga.list",
    "get_names": "saga.get",
    "retry_names": "saga.retry",
    "resolve_names": "saga.resolve",
    "spec_names": "saga.run",
    "step_names": "saga.run",
    "reference_names": "saga.run",
    "http_names": "saga.run",
}
UNITS = {"": 1, "B": 1, "kB": 1000, "MB": 1000 ** 2, "KiB": 1024, "MiB": 1024 ** 2, "GiB": 1024 ** 3, "TiB": 1024 ** 4}


# The examples.

class Names:
    """UUIDs of the page and the daemon's own, one to one."""

    def __init__(self):
        self.real = {}

    def bind(self, written, found):
        if self.real.setdefault(written, found) != found:
            return False
        return list(self.real.values()).count(found) == 1

    def translate(self, text):
        return re.sub(UUID, lambda match: self.real.get(match.group(), match.group()), text)


def text_fits(names, want, got):
    parts = re.split(f"({UUID}|…)", want)
    pattern = "".join(".*" if part == "…" else f"({UUID})" if re.fullmatch(UUID, part) else re.escape(part)
                      for part in parts)
    found = re.fullmatch(pattern, got, re.S)
    written = [part for part in parts if re.fullmatch(UUID, part)]
    return found is not None and all(names.bind(*pair) for pair in zip(written, found.groups(), strict=True))


def difference(names, want, got, path="answer"):
    """Where an answer differs from what the page shows; None: nowhere."""
    if isinstance(want, dict) and isinstance(got, dict):
        shown = {key: value for key, value in want.items() if key != "…"}
        if shown.keys() - got.keys() or (got.keys() - shown.keys() and "…" not in want):
            return f"{path} has the members {sorted(got)}, the page shows {sorted(want)}"
        # The version of a server is its own affair, that of a document is not.
        free = VOLATILE | ({"version"} if "endpoint" in want else set())
        found = (difference(names, value, got[key], f"{path}.{key}") for key, value in shown.items()
                 if key not in free or type(value) is not type(got[key]))
        return next((text for text in found if text), None)
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        found = (difference(names, *pair, f"{path}[{i}]") for i, pair in enumerate(zip(want, got)))
        return next((text for text in found if text), None)
    if isinstance(want, str) and isinstance(got, str):
        return None if text_fits(names, want, got) else f"{path} is {got!r}, the page shows {want!r}"
    return None if want == got and type(want) is type(got) else f"{path} is {got!r}, the page shows {want!r}"


def example_line(kind, body, names):
    body = names.translate(body)
    return body.strip() if kind == "text" else json.dumps(json.loads(body), ensure_ascii=False)


def run_example(clients, names, example):
    kind, marks, body, response = example
    client = clients["admin" if "admin" in marks.split() else "jobs"]
    line, want = example_line(kind, body, names), json.loads(response)

    def fits():
        client.send_bytes(line.encode() + b"\n")
        found = difference(names, want, client.receive().message)
        assert not found, f"{found}\nin {line}"
        return True

    if "eventually" in marks.split():
        eventually(fits, 20)
    else:
        fits()


@pytest.fixture(scope="module")
def daemon(world):
    made = world.running({"timeouts.deadline": "30s", "retry.max_tries": 20, "sagas.enabled": True,
                          "sagas.stores": "postgresql"})
    with made.jobs() as client:  # every store has been talked to when the first example comes
        eventually(lambda: client.put(documents.document("warm")).outcome in ("committed", "unchanged"), 60)
    return made


def test_examples_run_as_the_page_shows_them(daemon):
    examples, names = EXAMPLE.findall(TEXT), Names()
    assert len(examples) == len(re.findall(r"^```(?:json|text) request", TEXT, re.M)) >= 25
    with daemon.jobs() as jobs, daemon.admin() as admin:
        for example in examples:
            run_example({"jobs": jobs, "admin": admin}, names, example)


def test_every_counter_has_its_entry(daemon):
    stores = "|".join(("qdrant", "neo4j", "redis"))
    for name in daemon.stats():
        general = re.sub(f"_({stores})$", "_<store>", name)
        general = re.sub("^sagas_.*", "sagas_<state>", general)
        assert f"`{general}`" in section("sagad.stats"), f"{PAGE.name} lacks the counter {name}"


def test_what_hello_says_of_the_limits_is_on_the_page(daemon):
    with daemon.jobs() as client:
        limits = client.call("sagad.hello").result["limits"]
    for name in limits.keys() - {"max_line_bytes", "refuse_zero_vectors"}:
        assert f"`{name}`" in section("Limits"), f"{PAGE.name} lacks the limit {name}"


# The page against the sources.

def section(heading):
    """A heading's text, with the sections below it."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", TEXT, re.M)
    assert found, f"{PAGE.name} has no heading {heading!r}"
    end = re.compile(rf"^#{{1,{len(found.group(1))}}} ", re.M).search(TEXT, found.end())
    return TEXT[found.end():end.start() if end else len(TEXT)]


def first_cells(text):
    """What stands in backquotes in the first column of the tables."""
    return {name for row in re.findall(r"^\|([^|]+)\|", text, re.M) for name in re.findall(r"`([^`]+)`", row)}


def source(name):
    return (PROTO / name).read_text(encoding="utf-8")


def test_every_method_has_its_section():
    names = re.findall(r'\[METHOD_\w+\] = \{"([a-z._]+)", (true|false)\}', source("request.c"))
    assert len(names) == len(re.findall(r"^\tMETHOD_(?!COUNT)\w+,", source("request.h"), re.M)) > 0
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| (\w+) \|", section("Methods"), re.M))
    assert rows == {name: "administration" if admin == "true" else "both" for name, admin in names}
    for name, _ in names:
        assert f"\n### {name}\n" in TEXT


def arrays_of_names():
    """The texts of each `static const char *const NAME_names[...]` in src/proto."""
    pattern = re.compile(r"static const char \*const (\w+_names)\[\w*\] = \{(.*?)\};", re.S)
    return {name: re.findall(r'= "([a-z_0-9]+)"', body)
            for path in sorted(PROTO.glob("*.c")) for name, body in pattern.findall(path.read_text(encoding="utf-8"))}


def test_every_array_of_field_names_is_known_here():
    assert arrays_of_names().keys() == FIELDS.keys()


@pytest.mark.parametrize("array", FIELDS)
def test_every_field_has_its_row(array):
    fields, rows = arrays_of_names()[array], first_cells(section(FIELDS[array]))
    text = section(FIELDS[array])
    assert fields
    for field in fields:
        # The ends of a relationship are shown in their place.
        assert field in rows or (array == "end_names" and f'"{field}": …' in text), \
            f"{PAGE.name} lacks the field {field} of {array}"


def test_reserved_property_names_are_listed():
    text = section("Metadata and properties")
    found = re.findall(r"_reserved\[\] = \{([^}]*)\}", source("metadata.c"))
    assert len(found) == 2
    for name in re.findall(r'"(\w+)"', " ".join(found)):
        assert f"`{name}`" in text, f"{PAGE.name} lacks the reserved name {name}"


def test_every_member_of_an_answer_is_described():
    body = source("reply.c")
    members = set(re.findall(r'(?:reply_add\w*|yyjson_mut_obj_add_\w+)\([^;"]*?"(\w+)"', body))
    assert {"outcome", "current_version", "latency_ms"} <= members
    described = set(re.findall(r"`(\w+)`", TEXT)) | set(re.findall(r'"(\w+)"', TEXT))
    assert members - described == set()


def test_every_code_has_its_row():
    text = (CHECKOUT / "src" / "base" / "code.c").read_text(encoding="utf-8")
    codes = re.findall(r'\{"(\w+)", CODE_CLASS_(\w+), (-?\d+)\}', text)
    rows = re.findall(r"^\| `(\w+)` \| (-\d+) \| (\w+) \|", section("Codes"), re.M)
    assert rows == [(name, number, kind.lower()) for name, kind, number in codes if name != "none"]


def amount(text):
    number, unit = re.fullmatch(r"([0-9]+) ?([A-Za-z]*)", text).groups()
    return int(number) * UNITS[unit]


def limits_of_the_program():
    """Default and range by name, out of the commented configuration that the program prints."""
    template = subprocess.run([program("sagad"), "--print-config-template"], check=True, text=True,
                              capture_output=True).stdout
    body = re.search(r"^limits: \{\n(.*?)^\};", template, re.S | re.M).group(1)
    found = re.findall(r'# From (\S+) to (\S+)\n\t#(\w+) = "?([^";]+)"?;', body)
    return {name: tuple(map(amount, (default, low, high))) for low, high, name, default in found}


def test_every_limit_has_its_row_with_default_and_range():
    keys = re.findall(r'^\t\{"limits", "(\w+)"',
                      (CHECKOUT / "src" / "sagad" / "config_keys.c").read_text(encoding="utf-8"), re.M)
    rows = re.findall(r"^\| `limits\.(\w+)` \|(?: `\w+` \|)? ([^|]+) \| ([^|]+) to ([^|]+) \|", section("Limits"), re.M)
    shown = {}
    for name, default, low, high in rows:
        unit = re.search(r"[A-Za-z]*$", high).group()
        low = low if re.search("[A-Za-z]", low) else f"{low} {unit}"
        shown[name] = tuple(map(amount, (default, low, high)))
    assert sorted(shown) == sorted(keys)
    assert shown == limits_of_the_program()


def test_the_configuration_file_is_the_programs_own():
    """conf/sagad.conf is what --print-config-template prints; after a change of a key it is written again."""
    printed = subprocess.run([program("sagad"), "--print-config-template"], check=True, text=True,
                             capture_output=True).stdout
    assert (CHECKOUT / "conf" / "sagad.conf").read_text(encoding="utf-8") == printed
