"""tools/qdrant-edge-server speaks Qdrant's dialect: the official client for every endpoint it serves, plain HTTP for
status codes, error bodies and limits, and SIGKILL for what wait=true promises."""

import gzip
import http.client
import json
import math
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models

# The key goes over loopback.
pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS / "lib"))

from qdrant_stand_in.sync import LogSync  # noqa: E402
from stores import Stores, ports  # noqa: E402

KEY = "the-key"
READ_KEY = "the-reading-key"
BODY_LIMIT = 32 * 1024 * 1024


class Server:
    """A stand-in of its own, on a folder and a port that survive a restart."""

    def __init__(self, folder, engine):
        self.folder = folder
        self.engine = engine
        self.port = ports.pick(1)[0]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, TOOLS / "qdrant-edge-server", "--port", str(self.port), "--storage", self.folder,
             "--api-key", KEY, "--read-only-api-key", READ_KEY],
            env={**os.environ, "PYTHONPATH": str(self.engine)}, stdout=subprocess.PIPE, text=True)
        self.banner = self.process.stdout.readline()
        assert "stand-in" in self.banner
        self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def client(self):
        return QdrantClient(url=f"http://127.0.0.1:{self.port}", api_key=KEY, timeout=30, check_compatibility=False)

    def call(self, method, path, body=None, headers=None, key=KEY):
        """(status, decoded JSON or the text) of one plain request."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Content-Type": "application/json", **({"api-key": key} if key else {}), **(headers or {})}
        data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        link.request(method, path, data, sent)
        reply = link.getresponse()
        text = reply.read().decode()
        link.close()
        is_json = reply.headers.get("content-type") == "application/json"
        return reply.status, json.loads(text) if is_json else text


@pytest.fixture(scope="module")
def engine():
    stores = Stores(environ={**os.environ, "QDRANT_HOST": ""})
    return stores["qdrant"].fetch_stand_in()


@pytest.fixture(scope="module")
def server(engine, tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("qdrant"), engine)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def client(server):
    made = server.client()
    yield made
    made.close()


@pytest.fixture
def name(server):
    """A fresh collection of four dimensions under Cosine."""
    made = f"c-{uuid.uuid4()}"
    status, _ = server.call("PUT", f"/collections/{made}", {"vectors": {"size": 4, "distance": "Cosine"}})
    assert status == 200
    yield made
    server.call("DELETE", f"/collections/{made}")


def upsert(server, name, points, query="?wait=true", **more):
    return server.call("PUT", f"/collections/{name}/points{query}", {"points": points, **more})


def count(server, name):
    return server.call("POST", f"/collections/{name}/points/count", {"exact": True})[1]["result"]["count"]


def error(answer):
    return answer[1]["status"]["error"]


# The official client.

def test_says_that_it_is_a_stand_in(server, client):
    status, body = server.call("GET", "/", key=None)
    assert status == 200 and body["stand_in"] is True and "stand-in" in body["title"]
    assert body["version"] == "1.18.3"
    assert client.info().version == "1.18.3"


def test_collections(client):
    client.create_collection(
        "everything", vectors_config=models.VectorParams(size=8, distance=models.Distance.COSINE, on_disk=True),
        hnsw_config=models.HnswConfigDiff(m=24, ef_construct=200),
        quantization_config=models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)),
        metadata={"schema": 1})
    assert client.collection_exists("everything")
    assert "everything" in [one.name for one in client.get_collections().collections]
    found = client.get_collection("everything")
    assert found.status == models.CollectionStatus.GREEN and found.points_count == 0
    assert found.config.params.vectors.size == 8 and found.config.params.vectors.on_disk is True
    assert found.config.hnsw_config.m == 24 and found.config.hnsw_config.ef_construct == 200
    assert found.config.quantization_config.scalar.quantile == 0.99
    assert found.config.metadata == {"schema": 1}
    assert client.update_collection("everything", metadata={"more": "x"})
    assert client.get_collection("everything").config.metadata == {"schema": 1, "more": "x"}
    assert client.delete_collection("everything") is True
    assert not client.collection_exists("everything")
    assert client.delete_collection("everything") is False


def test_points_from_upsert_to_delete(client, name):
    one, two = str(uuid.uuid4()), 7
    payload = {"text": "Grüße", "n": 2**63 - 1, "f": 0.1, "none": None, "list": [1, {"a": "b"}], "ok": True}
    result = client.upsert(name, [models.PointStruct(id=one, vector=[1, 2, 3, 4], payload=payload),
                                  models.PointStruct(id=two, vector=[0, 0, 0, 5])], wait=True)
    assert result.status == models.UpdateStatus.COMPLETED
    found = client.retrieve(name, [one, two, 99], with_payload=True, with_vectors=True)
    assert {point.id for point in found} == {one, two}
    by_id = {point.id: point for point in found}
    assert by_id[one].payload == payload and by_id[two].payload == {}
    length = math.sqrt(30)
    assert by_id[one].vector == pytest.approx([1 / length, 2 / length, 3 / length, 4 / length])
    assert client.count(name).count == 2
    client.upsert(name, [models.PointStruct(id=one, vector=[1, 2, 3, 4], payload={"only": 1})], wait=True)
    assert client.retrieve(name, [one])[0].payload == {"only": 1}
    client.delete(name, [one], wait=True)
    assert client.retrieve(name, [one]) == []
    assert client.count(name).count == 1


def load_twenty(client, name):
    client.upsert(name, [models.PointStruct(id=number, vector=[1, number, 0, 0],
                                            payload={"saga_id": f"s{number % 2}", "n": number})
                         for number in range(20)], wait=True)


def where(key, **kind):
    return models.Filter(must=[models.FieldCondition(key=key, **kind)])


def test_scroll_count_and_filters(client, name):
    load_twenty(client, name)
    pages, offset = [], None
    while True:
        points, offset = client.scroll(name, limit=6, offset=offset)
        pages += [point.id for point in points]
        assert all(point.payload and point.vector is None for point in points)
        if offset is None:
            break
    assert pages == list(range(20))
    assert client.count(name, count_filter=where("saga_id", match=models.MatchValue(value="s1"))).count == 10
    assert client.count(name, count_filter=where("n", range=models.Range(gte=5, lt=7))).count == 2
    assert client.count(name, count_filter=where("n", match=models.MatchAny(any=[1, 2, 77]))).count == 2
    some = models.Filter(must=[models.HasIdCondition(has_id=[1, 2, 3])],
                         must_not=[models.FieldCondition(key="n", match=models.MatchValue(value=2))])
    assert [point.id for point in client.scroll(name, scroll_filter=some)[0]] == [1, 3]
    assert client.count(name, count_filter=models.Filter(must=[models.IsEmptyCondition(
        is_empty=models.PayloadField(key="nowhere"))])).count == 20


def test_delete_by_filter(client, name):
    load_twenty(client, name)
    client.delete(name, models.FilterSelector(filter=where("saga_id", match=models.MatchValue(value="s1"))), wait=True)
    assert {point.id for point in client.scroll(name, limit=50)[0]} == set(range(0, 20, 2))


def test_query(client, name):
    load_twenty(client, name)
    found = client.query_points(name, query=[1, 19, 0, 0], limit=3, with_payload=True).points
    assert [point.id for point in found] == [19, 18, 17]
    assert found[0].score == pytest.approx(1.0) and found[0].payload["n"] == 19
    near = client.query_points(name, query=19, limit=2).points
    assert [point.id for point in near] == [18, 17]
    odd = client.query_points(name, query=[1, 19, 0, 0], limit=2, with_vectors=True,
                              query_filter=where("saga_id", match=models.MatchValue(value="s0"))).points
    assert [point.id for point in odd] == [18, 16] and len(odd[0].vector) == 4
    assert client.query_points(name, query=[1, 19, 0, 0], limit=9, score_threshold=0.99999).points[0].id == 19
    assert len(client.query_points(name, limit=4).points) == 4
    batch = client.query_batch_points(name, [models.QueryRequest(query=[1, 0, 0, 0], limit=1)] * 2)
    assert [answer.points[0].id for answer in batch] == [0, 0]


def test_payload_index_and_order(client, name):
    load_twenty(client, name)
    result = client.create_payload_index(name, "n", models.PayloadSchemaType.INTEGER, wait=True)
    assert result.status == models.UpdateStatus.COMPLETED
    client.create_payload_index(name, "saga_id", models.KeywordIndexParams(type="keyword", is_tenant=True), wait=True)
    schema = client.get_collection(name).payload_schema
    assert schema["n"].data_type == models.PayloadSchemaType.INTEGER and schema["n"].points == 20
    assert schema["saga_id"].params.is_tenant is True
    last = client.scroll(name, limit=2, order_by=models.OrderBy(key="n", direction="desc"))[0]
    assert [point.id for point in last] == [19, 18]
    client.delete_payload_index(name, "n", wait=True)
    assert set(client.get_collection(name).payload_schema) == {"saga_id"}


def test_payload_changes(client, name):
    load_twenty(client, name)
    client.set_payload(name, {"x": 1}, points=[3], wait=True)
    assert client.retrieve(name, [3])[0].payload == {"saga_id": "s1", "n": 3, "x": 1}
    client.overwrite_payload(name, {"y": 2}, points=[3], wait=True)
    assert client.retrieve(name, [3])[0].payload == {"y": 2}
    client.delete_payload(name, ["n"], points=[4], wait=True)
    client.clear_payload(name, models.PointIdsList(points=[5]), wait=True)
    assert [point.payload for point in client.retrieve(name, [4, 5])] == [{"saga_id": "s0"}, {}]


def test_batch_of_operations(client, name):
    results = client.batch_update_points(name, [
        models.UpsertOperation(upsert=models.PointsList(points=[models.PointStruct(id=1, vector=[1, 0, 0, 0])])),
        models.SetPayloadOperation(set_payload=models.SetPayload(payload={"a": 1}, points=[1])),
        models.DeleteOperation(delete=models.PointIdsList(points=[2]))], wait=True)
    assert [result.status for result in results] == [models.UpdateStatus.COMPLETED] * 3
    assert client.retrieve(name, [1])[0].payload == {"a": 1}


def test_update_filter_is_a_fence_but_not_for_new_points(client, name):
    def put(identity, generation):
        stale = models.Filter(must_not=[models.FieldCondition(key="gen", range=models.Range(gte=generation))])
        client.upsert(name, [models.PointStruct(id=identity, vector=[1, 0, 0, 0], payload={"gen": generation})],
                      wait=True, update_filter=stale)
    put(1, 5)
    put(1, 4)
    assert client.retrieve(name, [1])[0].payload == {"gen": 5}
    put(1, 6)
    assert client.retrieve(name, [1])[0].payload == {"gen": 6}
    client.delete(name, [1], wait=True)
    put(1, 3)
    assert client.retrieve(name, [1])[0].payload == {"gen": 3}


def test_update_modes(client, name):
    def put(identity, text, mode):
        client.upsert(name, [models.PointStruct(id=identity, vector=[1, 0, 0, 0], payload={"t": text})], wait=True,
                      update_mode=mode)
    put(1, "a", models.UpdateMode.UPDATE_ONLY)
    assert client.count(name).count == 0
    put(1, "b", models.UpdateMode.INSERT_ONLY)
    put(1, "c", models.UpdateMode.INSERT_ONLY)
    assert client.retrieve(name, [1])[0].payload == {"t": "b"}


def test_named_vectors(client):
    client.create_collection("named", {"a": models.VectorParams(size=2, distance=models.Distance.DOT),
                                       "b": models.VectorParams(size=3, distance=models.Distance.EUCLID)})
    client.upsert("named", [models.PointStruct(id=1, vector={"a": [1, 2], "b": [1, 2, 3]}),
                            models.PointStruct(id=2, vector={"a": [3, 4]})], wait=True)
    assert client.retrieve("named", [1], with_vectors=True)[0].vector == {"a": [1, 2], "b": [1, 2, 3]}
    assert client.retrieve("named", [2], with_vectors=["a"])[0].vector == {"a": [3, 4]}
    assert client.query_points("named", query=[1, 1], using="a", limit=1).points[0].id == 2
    client.delete_collection("named")


# Status codes, bodies and limits.

def test_wait_decides_the_status(server, name):
    point = [{"id": 1, "vector": [1, 2, 3, 4]}]
    for query, status in (("", "acknowledged"), ("?wait=false", "acknowledged"), ("?wait=true", "completed")):
        code, body = upsert(server, name, point, query)
        assert code == 200 and body["status"] == "ok" and isinstance(body["time"], float)
        assert body["result"]["status"] == status and isinstance(body["result"]["operation_id"], int)
    assert upsert(server, name, point, "?wait=perhaps")[0] == 400


def test_wrong_dimension_applies_nothing(server, name):
    answer = upsert(server, name, [{"id": 1, "vector": [1, 2, 3, 4]}, {"id": 2, "vector": [1, 2]}])
    assert answer[0] == 400 and error(answer) == "Wrong input: Vector dimension error: expected dim: 4, got 2"
    assert "time" in answer[1] and "result" not in answer[1]
    assert count(server, name) == 0


@pytest.mark.parametrize("identity", ["abc", -1, 1.5, 2**64, True, None, "550e8400-e29b-41d4-a716"])
def test_bad_ids_apply_nothing(server, name, identity):
    answer = upsert(server, name, [{"id": 1, "vector": [1, 2, 3, 4]}, {"id": identity, "vector": [1, 2, 3, 4]}])
    assert answer[0] == 400 and error(answer).startswith("Format error in JSON body: ")
    if identity == "abc":
        assert error(answer).startswith("Format error in JSON body: value abc is not a valid point ID")
    assert count(server, name) == 0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "\"1\"", "true", "null", "[1]"])
def test_components_that_are_no_numbers(server, name, text):
    body = '{"points":[{"id":1,"vector":[1,2,3,%s]}]}' % text
    answer = server.call("PUT", f"/collections/{name}/points?wait=true", body)
    assert answer[0] == 400 and error(answer).startswith("Format error in JSON body: ")
    assert count(server, name) == 0


def test_a_component_beyond_float32_becomes_null(server):
    server.call("PUT", "/collections/huge", {"vectors": {"size": 2, "distance": "Dot"}})
    assert upsert(server, "huge", [{"id": 1, "vector": [1e39, 0.1]}])[0] == 200
    answer = server.call("POST", "/collections/huge/points", {"ids": [1], "with_vector": True})
    assert answer[1]["result"] == [{"id": 1, "vector": [None, 0.1]}]
    server.call("DELETE", "/collections/huge")


def test_what_is_valid_json_but_not_a_valid_value(server, name):
    assert upsert(server, name, [{"id": 1, "vector": []}])[0] == 422
    assert server.call("POST", f"/collections/{name}/points/scroll", {"limit": 0})[0] == 422
    assert server.call("POST", f"/collections/{name}/points/query", {"query": [1, 2, 3, 4], "limit": 0})[0] == 422
    for size in (0, 65537):
        answer = server.call("PUT", "/collections/new", {"vectors": {"size": size, "distance": "Cosine"}})
        assert answer[0] == 422 and error(answer).startswith("Validation error in JSON body: ")
    assert server.call("PUT", "/collections/a%3Ab", {"vectors": {"size": 4, "distance": "Cosine"}})[0] == 422
    assert server.call("PUT", "/collections/new", {"vectors": {"size": 4, "distance": "Cosine"},
                                                   "hnsw_config": {"ef_construct": 2}})[0] == 422


def test_empty_update(server, name):
    answer = upsert(server, name, [])
    assert answer[0] == 400 and error(answer) == "Bad request: Empty update request"


@pytest.mark.parametrize("body", ["", "{", "[]", "nonsense", '{"points": 1}', '{"points": [{"vector": [1,2,3,4]}]}',
                                  '{"points": [{"id": 1}]}', '{"points":[{"id":1,"vector":[1,2,3,4],"payload":7}]}',
                                  '{"points":[{"id":1,"vector":[1,2,3,4],"payload":{"a":"\\ud800"}}]}'])
def test_bodies_of_the_wrong_shape(server, name, body):
    answer = server.call("PUT", f"/collections/{name}/points?wait=true", body)
    assert answer[0] == 400 and error(answer).startswith("Format error in JSON body: ")
    assert count(server, name) == 0


def test_payload_that_is_nested_too_deep(server, name):
    for levels, status in ((120, 200), (128, 400), (3000, 400)):
        body = '{"points":[{"id":1,"vector":[1,2,3,4],"payload":{"a":%s%s}}]}' % ("[" * levels, "]" * levels)
        assert server.call("PUT", f"/collections/{name}/points?wait=true", body)[0] == status


def test_invalid_utf8_and_wrong_content_type(server, name):
    path = f"/collections/{name}/points"
    assert server.call("PUT", path, b'{"points":[{"id":1,"vector":[1,2,3,4],"payload":{"a":"\xff"}}]}')[0] == 400
    body = '{"points":[{"id":1,"vector":[1,2,3,4]}]}'
    assert server.call("PUT", path, body, {"Content-Type": "text/plain"})[0] == 400
    assert count(server, name) == 0


def test_what_is_missing_or_there_already(server, name):
    for method, path, body in (("GET", "/collections/none", None), ("PUT", "/collections/none/points", {}),
                               ("POST", "/collections/none/points/count", {})):
        answer = server.call(method, path, body)
        assert answer[0] == 404 and error(answer) == "Not found: Collection `none` doesn't exist!"
    assert server.call("GET", f"/collections/{name}/points/5")[0] == 404
    for size in (4, 8):
        answer = server.call("PUT", f"/collections/{name}", {"vectors": {"size": size, "distance": "Cosine"}})
        assert answer[0] == 409 and error(answer) == f"Wrong input: Collection `{name}` already exists!"
    status, body = server.call("DELETE", "/collections/none")
    assert status == 200 and body["result"] is False
    for path in ("/nothing", f"/collections/{name}/nothing", "/collections/none/points/9/9"):
        assert server.call("GET", path) == (404, "")


def test_set_payload_with_one_missing_id_changes_the_others(server, name):
    upsert(server, name, [{"id": 1, "vector": [1, 2, 3, 4]}])
    answer = server.call("POST", f"/collections/{name}/points/payload?wait=true", {"payload": {"a": 1},
                                                                                  "points": [1, 77]})
    assert answer[0] == 404 and "77" in error(answer)
    assert server.call("GET", f"/collections/{name}/points/1")[1]["result"]["payload"] == {"a": 1}


def test_unknown_vector_name_drops_the_point_and_tells_only_who_waits(server, name):
    points = [{"id": 1, "vector": [1, 2, 3, 4]}, {"id": 2, "vector": {"other": [1]}}]
    answer = upsert(server, name, points)
    assert answer[0] == 400 and error(answer) == "Wrong input: Not existing vector name error: other"
    assert count(server, name) == 1
    assert upsert(server, name, points, "")[0] == 200
    assert count(server, name) == 1


def test_answers_carry_what_was_asked_for(server, name):
    identity = "550E8400E29B41D4A716446655440000"
    upsert(server, name, [{"id": identity, "vector": [0, 0, 0, 2], "payload": {"a": 1}}])
    plain = "550e8400-e29b-41d4-a716-446655440000"
    assert server.call("POST", f"/collections/{name}/points", {"ids": [identity]})[1]["result"] == [{"id": plain}]
    scrolled = server.call("POST", f"/collections/{name}/points/scroll", {})[1]["result"]
    assert scrolled == {"points": [{"id": plain, "payload": {"a": 1}}], "next_page_offset": None}
    found = server.call("GET", f"/collections/{name}/points/{identity}")[1]["result"]
    assert found == {"id": plain, "payload": {"a": 1}, "vector": [0.0, 0.0, 0.0, 1.0]}
    only = server.call("POST", f"/collections/{name}/points", {"ids": [identity], "with_payload": ["b"]})
    assert only[1]["result"] == [{"id": plain, "payload": {}}]


def test_float32_comes_back_with_the_fewest_digits(server):
    server.call("PUT", "/collections/dot", {"vectors": {"size": 64, "distance": "Dot"}})
    rng = random.Random(5)
    sent = [struct.unpack("f", struct.pack("f", rng.uniform(-1, 1) * 10 ** rng.randint(-9, 9)))[0] for _ in range(61)]
    upsert(server, "dot", [{"id": 1, "vector": [0.1, 1.1754944e-38, 3.4028235e38, *sent]}])
    back = server.call("GET", "/collections/dot/points/1")[1]["result"]["vector"]
    assert back[:3] == [0.1, 1.1754944e-38, 3.4028235e38]
    assert [struct.pack("f", value) for value in back[3:]] == [struct.pack("f", value) for value in sent]
    assert max(len(repr(value)) for value in back) <= 15
    server.call("DELETE", "/collections/dot")


def test_keys(server, name):
    path = f"/collections/{name}/points"
    point = {"points": [{"id": 1, "vector": [1, 2, 3, 4]}]}
    for key in (None, "wrong"):
        status, text = server.call("PUT", path, point, key=key)
        assert status == 401 and isinstance(text, str) and text
    assert server.call("PUT", path, point, {"Authorization": f"Bearer {KEY}"}, key=None)[0] == 200
    assert server.call("PUT", path, point, key=READ_KEY)[0] == 403
    assert server.call("POST", path + "/scroll", {}, key=READ_KEY)[0] == 200
    assert server.call("DELETE", f"/collections/{name}", key=READ_KEY)[0] == 403
    for probe in ("/healthz", "/readyz", "/livez"):
        assert server.call("GET", probe, key=None)[0] == 200
    assert server.call("GET", "/metrics", key=None)[0] == 401
    assert "collections_total" in server.call("GET", "/metrics")[1]


def padded(size):
    """An upsert body of exactly `size` bytes."""
    head, tail = b'{"points":[{"id":1,"vector":[1,2,3,4],"payload":{"a":"', b'"}}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def test_body_limit(server, name):
    path = f"/collections/{name}/points?wait=true"
    assert server.call("PUT", path, padded(BODY_LIMIT))[0] == 200
    link = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    link.sendall(f"PUT {path} HTTP/1.1\r\nhost: x\r\napi-key: {KEY}\r\ncontent-type: application/json\r\n"
                 f"content-length: {BODY_LIMIT + 1}\r\n\r\n".encode())
    reply = link.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 400 ") and b"larger than allowed" in reply
    link.close()


def test_gzip_bodies_and_their_limit(server, name):
    path = f"/collections/{name}/points?wait=true"
    packed = {"Content-Encoding": "gzip"}
    assert server.call("PUT", path, gzip.compress(padded(5000)), packed)[0] == 200
    assert count(server, name) == 1
    assert server.call("PUT", path, gzip.compress(padded(BODY_LIMIT + 1), 1), packed)[0] == 400
    assert server.call("PUT", path, b"no gzip", packed)[0] == 400


def test_chunked_body_and_expect(server, name):
    body = padded(3000)
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    link.request("PUT", f"/collections/{name}/points?wait=true", iter([body[:1000], body[1000:]]),
                 {"Content-Type": "application/json", "api-key": KEY, "Expect": "100-continue"}, encode_chunked=True)
    assert link.getresponse().status == 200
    link.close()


def test_two_requests_in_one_packet(server):
    link = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    link.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2)
    lines = link.makefile("rb")
    for _ in range(2):
        assert lines.readline().startswith(b"HTTP/1.1 200")
        while lines.readline() != b"\r\n":
            pass
        assert lines.read(20) == b"healthz check passed"
    link.close()


def test_idle_connections_and_slow_headers(server):
    """Both take 5 s, so they wait together."""
    idle = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    slow = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    slow.sendall(b"GET /healthz HTT")
    began = time.monotonic()
    assert idle.recv(100) == b""
    assert 4 < time.monotonic() - began < 8
    reply = slow.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 408 ") and reply.endswith(b"\r\n\r\n")
    idle.close()
    slow.close()


# What wait=true promises.

def test_one_sync_serves_all_who_wait(tmp_path):
    class Slow(LogSync):
        n_syncs = 0

        def _sync_files(self):
            self.n_syncs += 1
            time.sleep(0.05)

    sync = Slow(tmp_path)
    tickets = [sync.applied() for _ in range(30)]
    waiters = [threading.Thread(target=sync.wait, args=(ticket,)) for ticket in tickets]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    assert sync.n_syncs == 1
    sync.wait(sync.applied())
    assert sync.n_syncs == 2


class Writer(threading.Thread):
    """Upserts and deletes in batches; remembers what was acknowledged and what may have happened."""

    def __init__(self, server, number):
        super().__init__()
        self.server = server
        self.next_id = number * 1_000_000
        self.there, self.gone, self.unsure = set(), set(), set()

    def run(self):
        rng = random.Random(self.next_id)
        try:
            while True:
                self._write_some(rng)
                self._remove_some(rng)
        except (OSError, http.client.HTTPException, ValueError):
            pass

    def _write_some(self, rng):
        batch = range(self.next_id, self.next_id + rng.choice((1, 8, 64)))
        self.next_id = batch.stop
        self.unsure = set(batch)
        points = [{"id": one, "vector": [rng.random() for _ in range(32)], "payload": {"n": one}} for one in batch]
        status, body = upsert(self.server, "durable", points)
        assert status == 200 and body["result"]["status"] == "completed"
        self.there |= self.unsure

    def _remove_some(self, rng):
        self.unsure = set(rng.sample(sorted(self.there), min(3, len(self.there))))
        status, _ = self.server.call("POST", "/collections/durable/points/delete?wait=true",
                                     {"points": sorted(self.unsure)})
        assert status == 200
        self.there -= self.unsure
        self.gone |= self.unsure


def everything(server, name):
    found, offset = {}, None
    while True:
        result = server.call("POST", f"/collections/{name}/points/scroll",
                             {"limit": 5000, "offset": offset})[1]["result"]
        found.update((point["id"], point["payload"]["n"]) for point in result["points"])
        offset = result["next_page_offset"]
        if offset is None:
            return found


@pytest.mark.parametrize("round_number", range(3))
def test_kill_loses_nothing_that_was_acknowledged(engine, tmp_path, round_number):
    server = Server(tmp_path / "storage", engine)
    server.start()
    server.call("PUT", "/collections/durable", {"vectors": {"size": 32, "distance": "Cosine"}})
    server.call("PUT", "/collections/durable/index?wait=true", {"field_name": "n", "field_schema": "integer"})
    writers = [Writer(server, number) for number in range(1, 4)]
    for writer in writers:
        writer.start()
    time.sleep(1 + round_number * 0.4)
    server.kill()
    for writer in writers:
        writer.join()
    server.start()
    found = everything(server, "durable")
    for writer in writers:
        assert writer.there
        assert writer.there - writer.unsure <= set(found)
        assert not (writer.gone - writer.unsure) & set(found)
    allowed = set().union(*(writer.there | writer.unsure for writer in writers))
    assert set(found) <= allowed and all(key == value for key, value in found.items())
    assert "n" in server.call("GET", "/collections/durable")[1]["result"]["payload_schema"]
    server.kill()


def test_a_second_server_keeps_its_hands_off(server, engine):
    done = subprocess.run([sys.executable, TOOLS / "qdrant-edge-server", "--port", "1", "--storage", server.folder],
                          env={**os.environ, "PYTHONPATH": str(engine)}, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "in use" in done.stderr
