"""Bad input gets a clear error: the code, the place and the reason by name, before any store is written to."""

import copy
import json
import socket
import time

import pytest

from harness import Client, eventually
from harness.documents import chunk, document

LIMITS = {"limits.max_line": 1 << 20, "limits.max_buffered": 4 << 20, "limits.max_content": 50000,
          "limits.max_chunks": 20, "limits.max_entities": 20, "limits.max_relationships": 20, "limits.max_name": 8000,
          "limits.max_graph": 100000, "limits.max_metadata_depth": 5, "limits.max_metadata": 5000,
          "limits.max_clients": 24, "limits.max_client_bytes": 64 << 10, "limits.max_client_jobs": 64}


@pytest.fixture(scope="module")
def daemon(world):
    return world.running(LIMITS)


@pytest.fixture(autouse=True)
def nothing_is_written(daemon, world):
    """After each refusal: the daemon lives, and every store is as it was."""
    before = daemon.stats()
    yield
    after = daemon.stats()
    assert before["committed_total"] == after["committed_total"]
    assert before["writes_total_qdrant"] == after["writes_total_qdrant"]


@pytest.fixture
def client(daemon):
    with daemon.jobs() as made:
        yield made


def changed(path, value):
    """A good document in which the place at `path` has another value; ... takes it out."""
    made = copy.deepcopy(document("bad"))
    *way, last = path
    place = made
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made


def line(params, method="document.put"):
    """A request as text, NaN and Infinity included, which Python writes and JSON doesn't know."""
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode() + b"\n"


def send(client, data):
    client.send_bytes(data)
    return client.receive()


END = {"type": "Thing", "name": "bad thing 0"}
NOBODY = {"type": "Thing", "name": "nobody"}
DEEP = json.loads("[" * 6 + "]" * 6)
UUID = "01a1ff0b-9ae7-7c47-93a4-1827280400a3"

FIELDS = [
    # path into a good document, the bad value, code, path in the answer, words in its message
    (["id"], ..., "missing_field", "id", "must be given"),
    (["id"], "", "invalid_field", "id", "empty"),
    (["id"], 7, "invalid_field", "id", "a string, not a number"),
    (["id"], "a\0b", "invalid_field", "id", "NUL"),
    (["id"], "x" * 513, "limit_exceeded", "id", "512"),
    (["titel"], "x", "unknown_field", None, "did you mean 'title'"),
    (["title"], ["x"], "invalid_field", "title", "not an array"),
    (["title"], "nul \0", "invalid_field", "title", "PostgreSQL"),
    (["content"], "x" * 50001, "limit_exceeded", "content", "limits.max_content"),
    (["metadata"], [1], "invalid_field", "metadata", "must be an object"),
    (["metadata"], {"a": {"b": "\0"}}, "invalid_field", "metadata.a.b", "NUL"),
    (["metadata"], {"a\0": 1}, "invalid_field", "metadata", "NUL"),
    (["metadata"], {"a": DEEP}, "limit_exceeded", "metadata.a[0][0][0][0]", "limits.max_metadata_depth"),
    (["metadata"], {"a": float("nan")}, "invalid_field", "metadata.a", "NaN"),
    (["metadata"], {"a": "x" * 5001}, "limit_exceeded", "metadata", "limits.max_metadata"),
    (["chunks"], {}, "invalid_field", "chunks", "must be an array"),
    (["chunks"], [chunk("bad", n) for n in range(21)], "limit_exceeded", "chunks", "limits.max_chunks is 20"),
    (["chunks", 1], "x", "invalid_field", "chunks[1]", "must be an object"),
    (["chunks", 1, "id"], "c0", "invalid_field", "chunks[1].id", "chunks[0]"),
    (["chunks", 1, "id"], "", "invalid_field", "chunks[1].id", "empty"),
    (["chunks", 1, "text"], ..., "missing_field", "chunks[1].text", "must be given"),
    (["chunks", 1, "text"], None, "missing_field", "chunks[1].text", "must be given"),
    (["chunks", 1, "text"], "a\0", "invalid_field", "chunks[1].text", "NUL"),
    (["chunks", 1, "embeding"], [1], "unknown_field", "chunks[1]", "did you mean 'embedding'"),
    (["chunks", 2, "embedding"], ..., "missing_field", "chunks[2].embedding", "must be given"),
    (["chunks", 2, "embedding"], None, "missing_field", "chunks[2].embedding", "must be given"),
    (["chunks", 2, "embedding"], [], "invalid_field", "chunks[2].embedding", "empty"),
    (["chunks", 2, "embedding"], [0.1] * 3, "invalid_field", "chunks[2].embedding", "3 dimensions"),
    (["chunks", 2, "embedding"], [0, 0, 0.0, -0.0], "invalid_field", "chunks[2].embedding", "zero"),
    (["chunks", 2, "embedding"], "0.1,0.2", "invalid_field", "chunks[2].embedding", "array of numbers"),
    (["chunks", 2, "embedding", 3], None, "invalid_field", "chunks[2].embedding[3]", "null"),
    (["chunks", 2, "embedding", 3], "1", "invalid_field", "chunks[2].embedding[3]", "a string"),
    (["chunks", 2, "embedding", 3], True, "invalid_field", "chunks[2].embedding[3]", "a boolean"),
    (["chunks", 2, "embedding", 3], float("nan"), "invalid_field", "chunks[2].embedding[3]", "NaN"),
    (["chunks", 2, "embedding", 3], float("inf"), "invalid_field", "chunks[2].embedding[3]", "infinite"),
    (["chunks", 2, "embedding", 3], float("-inf"), "invalid_field", "chunks[2].embedding[3]", "infinite"),
    (["chunks", 2, "embedding", 3], 1e39, "invalid_field", "chunks[2].embedding[3]", "too large"),
    (["chunks", 2, "embedding", 3], 10 ** 400, "invalid_field", "chunks[2].embedding[3]", "infinite"),
    (["entities"], "x", "invalid_field", "entities", "must be an array"),
    (["entities"], [{"type": "T", "name": str(n)} for n in range(21)], "limit_exceeded", "entities",
     "limits.max_entities"),
    (["entities", 0, "name"], ..., "missing_field", "entities[0].name", "must be given"),
    (["entities", 0, "name"], "x" * 8001, "limit_exceeded", "entities[0].name", "limits.max_name"),
    (["entities", 0, "name"], "é" * 4001, "limit_exceeded", "entities[0].name", "8002 bytes"),
    (["entities", 0, "type"], ..., "missing_field", "entities[0].type", "must be given"),
    (["entities", 0, "type"], "A B", "invalid_field", "entities[0].type", "letters, digits"),
    (["entities", 0, "type"], "`) DETACH DELETE n //", "invalid_field", "entities[0].type", "letters, digits"),
    (["entities", 0, "type"], "x" * 65, "limit_exceeded", "entities[0].type", "64"),
    (["entities", 1, "name"], "bad thing 0", "invalid_field", "entities[1]", "entities[0]"),
    (["entities", 0, "properties"], {"key": 1}, "invalid_field", "entities[0].properties", "'key'"),
    (["entities", 0, "properties"], {"n": 2 ** 64}, "invalid_field", "entities[0].properties.n", "64 bits"),
    (["relationships", 0, "to"], NOBODY, "invalid_field", "relationships[0].to", "'nobody'"),
    (["relationships", 0, "from"], ..., "missing_field", "relationships[0].from", "must be given"),
    (["relationships", 0, "type"], "1ST", "invalid_field", "relationships[0].type", "no digit first"),
    (["relationships", 0, "properties"], {"saga_id": 1}, "invalid_field", "relationships[0].properties", "saga_id"),
    (["relationships"], [{"from": END, "type": "R", "to": END}] * 2, "invalid_field", "relationships[1]",
     "relationships[0]"),
    (["relationships"], [{"from": END, "type": f"R{n}", "to": END} for n in range(21)], "limit_exceeded",
     "relationships", "limits.max_relationships"),
    (["entities"], [{"type": "T", "name": f"{n:02d}" * 3500} for n in range(15)], "limit_exceeded", None,
     "limits.max_graph is 100000"),
    (["idempotency_key"], "", "invalid_field", "idempotency_key", "empty"),
    (["idempotency_key"], "k" * 257, "limit_exceeded", "idempotency_key", "256"),
    (["if_version"], "yesterday", "invalid_field", "if_version", "UUID"),
    (["if_version"], 7, "invalid_field", "if_version", "UUID"),
    (["on_unchanged"], "skp", "invalid_field", "on_unchanged", "\"skip\" or \"write\""),
    (["wait"], "forever", "invalid_field", "wait", "\"committed\" or \"accepted\""),
    (["deadline_ms"], 0, "invalid_field", "deadline_ms", "from 1 to"),
    (["deadline_ms"], -5, "invalid_field", "deadline_ms", "from 1 to"),
    (["deadline_ms"], 1.5, "invalid_field", "deadline_ms", "whole number"),
    (["cache_ttl_s"], "1h", "invalid_field", "cache_ttl_s", "not a string"),
]


@pytest.mark.parametrize("path, value, code, place, words", FIELDS,
                         ids=[f"{'.'.join(map(str, row[0]))}-{n}" for n, row in enumerate(FIELDS)])
def test_a_bad_field_is_named(client, path, value, code, place, words):
    params = changed(path, value)
    if path == ["entities"]:
        params["relationships"] = []  # their ends are no longer there
    answer = send(client, line(params))
    assert answer.code == code and words in answer.text, answer
    assert place is None or answer.data["path"] == place
    assert answer.data["class"] == "caller" and answer.data["retriable"] is False
    assert params.get("id") != "bad" or answer.data["document_id"] == "bad"
    assert answer.id == 7


MESSAGES = [
    (b"{", "parse_error", "byte"),
    (b"not json", "parse_error", "byte"),
    (b'{"a":1} x', "parse_error", "byte 8"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"\xff\xfe"}}', "parse_error", "byte"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"\xed\xa0\x80"}}', "parse_error", "byte"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"\\ud800"}}', "parse_error", "byte"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"a\x00b"}}', "parse_error", "byte"),
    (b"\x00\x01\x02", "parse_error", "byte"),
    (b"[]", "invalid_request", "batches"),
    (b'"text"', "invalid_request", "one JSON object"),
    (b'{"id":1,"method":"sagad.hello"}', "invalid_request", "2.0"),
    (b'{"jsonrpc":"1.0","id":1,"method":"sagad.hello"}', "invalid_request", "2.0"),
    (b'{"jsonrpc":"2.0","id":1}', "invalid_request", "method"),
    (b'{"jsonrpc":"2.0","id":{},"method":"sagad.hello"}', "invalid_request", "id"),
    (b'{"jsonrpc":"2.0","id":1,"method":"sagad.helo"}', "unknown_method", "did you mean 'sagad.hello'"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.drop"}', "unknown_method", "document.drop"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put"}', "missing_field", "params"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":[]}', "invalid_field", "params"),
    (b'{"jsonrpc":"2.0","id":1,"method":"sagad.hello","extra":1}', "unknown_field", "extra"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.delete","params":{"id":"a","wiat":1}}', "unknown_field", "wait"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.delete","params":{"id":"a","cache_ttl_s":1}}', "unknown_field",
     "cache_ttl_s"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"a","id":"b"}}', "invalid_field", "twice"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.put","params":{"id":"a","metadata":{"k":1,"k":2}}}',
     "invalid_field", "twice"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.status","params":{"job":"x"}}', "invalid_field", "UUID"),
    (b'{"jsonrpc":"2.0","id":1,"method":"document.status","params":{"id":"a","job":"%s"}}' % UUID.encode(),
     "invalid_field", "not both"),
    (b'{"jsonrpc":"2.0","id":1,"method":"sagad.hello","params":{"x":1}}', "unknown_field", "no fields"),
    (b"[" * 100000, "parse_error", "byte"),
]


@pytest.mark.parametrize("data, code, words", MESSAGES, ids=range(len(MESSAGES)))
def test_a_bad_message_is_answered_and_the_connection_goes_on(client, data, code, words):
    answer = send(client, data + b"\n")
    assert answer.code == code and words in answer.text, answer
    assert client.call("sagad.hello").is_ok


@pytest.mark.parametrize("method", ["store.list", "store.init", "sagad.stats"])
def test_administration_is_refused_on_the_job_socket(client, method):
    answer = client.call(method)
    assert answer.code == "forbidden" and "admin" in answer.text


def test_a_line_that_is_too_long_is_skipped_and_the_connection_survives(client):
    answer = send(client, b'{"id":"' + b"x" * (2 << 20) + b'"}\n')
    assert answer.code == "line_too_long" and answer.id is None
    assert "limits.max_line" in answer.text and str(1 << 20) in answer.text
    assert client.call("sagad.hello").is_ok


def test_a_long_line_between_good_ones_loses_none_of_them(client):
    first = client.send("sagad.hello")
    client.send_bytes(b"y" * (3 << 20) + b"\n")
    second = client.send("document.status", id="x")
    assert client.answer(first).is_ok and client.answer(None).code == "line_too_long"
    assert client.answer(second).is_ok


def test_a_notification_gets_no_answer(client):
    client.send_bytes(b'{"jsonrpc":"2.0","method":"document.put","params":{"id":7}}\n')
    assert client.call("sagad.hello").id == 1
    with pytest.raises(TimeoutError):
        client.receive(0.2)


def test_empty_lines_and_carriage_returns_are_no_messages(client):
    client.send_bytes(b'\n\r\n{"jsonrpc":"2.0","id":9,"method":"sagad.hello"}\r\n')
    assert client.receive().id == 9


def test_the_id_comes_back_as_it_was(client):
    for given in ("7", '"seven"', "-1", "1e3", "null", '"\\u00e9"', "12345678901234567890"):
        client.send_bytes(b'{"jsonrpc":"2.0","id":%s,"method":"sagad.hello"}\n' % given.encode())
        assert client.receive().id == json.loads(given)


def test_a_client_that_vanishes_in_the_middle_of_a_line(daemon, client):
    for _ in range(20):
        with Client(daemon.jobs_path) as other:
            other.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"doc')
    assert client.call("sagad.hello").is_ok


def test_a_client_that_sends_slowly_is_served_and_holds_up_nobody(daemon, client):
    with Client(daemon.jobs_path) as slow:
        for byte in b'{"jsonrpc":"2.0","id":1,"method":"sagad.hello"}\n':
            slow.send_bytes(bytes([byte]))
            assert client.call("sagad.hello").is_ok
        assert slow.receive().is_ok


def test_a_client_that_never_reads_is_dropped_and_holds_up_nobody(daemon, client):
    deaf = socket.socket(socket.AF_UNIX)
    deaf.connect(str(daemon.jobs_path))
    deaf.setblocking(False)
    request = b'{"jsonrpc":"2.0","id":1,"method":"sagad.hello"}\n' * 1000
    end, n_sent, n_stuck = time.monotonic() + 10, 0, 0
    while time.monotonic() < end and n_stuck < 20:
        try:
            n_sent += deaf.send(request)
            n_stuck = 0
        except BlockingIOError:
            n_stuck += 1
            time.sleep(0.02)
        except (BrokenPipeError, ConnectionResetError):
            break
        assert client.call("sagad.hello").is_ok
    assert n_sent < 64 << 20, "the daemon never stopped reading"
    assert daemon.memory_bytes() < 200 << 20

    def is_dropped():
        try:
            deaf.send(b"\n")
            return False
        except BlockingIOError:
            return False
        except OSError:
            return True
    eventually(is_dropped, 10)
    deaf.close()
    assert client.call("sagad.hello").is_ok


def is_served(daemon):
    with Client(daemon.jobs_path, 5) as one:
        try:
            return one.call("sagad.hello").is_ok
        except ConnectionError:
            return False


def test_more_clients_than_allowed_are_told_so(daemon, client):
    crowd = [Client(daemon.jobs_path) for _ in range(40)]
    try:
        crowd[-1].socket.settimeout(5)
        answer = crowd[-1].receive()
        assert answer.code == "overloaded" and answer.data["retriable"] is True
        assert client.call("sagad.hello").is_ok
    finally:
        for one in crowd:
            one.close()
    eventually(lambda: is_served(daemon), 5)


def test_at_the_end_every_store_is_empty(world, daemon):
    report = world.assert_whole(daemon, jobs=[])
    assert report.counts["documents"] == 0 and report.counts["points in qdrant"] == 0
    assert report.counts["Document nodes in neo4j"] == report.counts["Entity nodes in neo4j"] == 0
    # What init tries the scripts with runs out within a second.
    eventually(lambda: not world.readers.redis.keys("*"), 5)
