"""Redis over TLS: who is trusted, who is not, and what is said about it. A real redis-server of the test's own speaks
it.

SAGAD_BUILD has to name a build with hiredis 1 (tools/test makes one, build/tls); others must refuse with a reason.
"""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis
from harness import eventually, program
from harness.daemon import SETTINGS, config_text
from harness.documents import DIMS, document
from harness.operations import free_port
from harness.tls import Authority

HAS_TLS = "Redis over TLS:          yes" in subprocess.run([program("sagad"), "--version"], text=True, check=True,
                                                           capture_output=True).stdout
needs_tls = pytest.mark.skipif(not HAS_TLS, reason="this build has no TLS to Redis; build/tls of tools/test has")
PASSWORD = "over tls"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


class Server:
    """A redis-server that speaks TLS only."""

    def __init__(self, authority, alt, client_ca=None):
        self.authority, self.port = authority, free_port()
        cert, key = authority.sign(f"redis-{self.port}", "redis", alt)
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--tls-port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", client_ca or authority.ca,
             "--tls-auth-clients", "yes" if client_ca else "no", "--requirepass", PASSWORD],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.is_up, 10)

    def is_up(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def client(self, **more):
        return redis.Redis(port=self.port, password=PASSWORD, ssl=True, ssl_ca_certs=str(self.authority.ca),
                           ssl_check_hostname=False, **more)

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def serve(authority):
    made = []

    def start(alt="IP:127.0.0.1", **more):
        made.append(Server(authority, alt, **more))
        return made[-1]
    yield start
    for server in made:
        server.close()


@pytest.fixture
def start(world, tmp_path):
    """A daemon on a Redis at this port, with these settings of the section."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)

    def begin(port, environ=None, **settings):
        world.reset()
        section = {"host": "127.0.0.1", "port": port, "password_file": str(secret), "tls": True, **settings}
        return world.daemon({"schema.dims": DIMS, **{f"redis.{key}": value for key, value in section.items()}},
                            {"REDIS_URL": "", **(environ or {})}).launch()
    yield begin
    for daemon in world.daemons:
        daemon.kill()


def is_well(world, daemon, server, name, **more):
    world.init(daemon)
    daemon.wait_ready()
    with daemon.jobs() as client:
        eventually(lambda: client.put(document(name)).is_ok, 10)
    with server.client(**more) as reader:
        assert b"title of" in reader.get("sagad:doc:{%s}" % name)
    assert daemon.stop() == 0


def is_down(daemon, *words):
    eventually(daemon.admin_path.exists, 10)

    def found():
        daemon.check_alive()
        with daemon.admin() as client:
            row = {row["name"]: row for row in client.call("store.list").result["stores"]}["redis"]
        assert row["state"] == "down" and all(word in row["error"] for word in words), row
        return True
    eventually(found, 15)


@needs_tls
def test_a_server_that_is_trusted(world, start, serve, authority):
    server = serve()
    is_well(world, start(server.port, ca_file=str(authority.ca)), server, "trusted")


@needs_tls
def test_the_url_asks_for_it(world, start, serve, authority):
    server = serve()
    url = f"rediss://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{server.port}"
    is_well(world, start(server.port, {"REDIS_URL": url}, tls=False, ca_file=str(authority.ca)), server, "by url")


@needs_tls
def test_a_name_is_looked_up_and_checked(world, start, serve, authority):
    server = serve("DNS:localhost")
    is_well(world, start(server.port, host="localhost", ca_file=str(authority.ca)), server, "by name")


@needs_tls
def test_a_large_document_in_both_directions(world, start, serve, authority):
    """More than a TLS record, more than a socket's buffer."""
    server = serve()
    daemon = start(server.port, ca_file=str(authority.ca))
    world.init(daemon)
    daemon.wait_ready()
    large = document("large")
    large["content"] = "0123456789" * 400_000
    with daemon.jobs() as client:
        eventually(lambda: client.put(large).is_ok, 15)
        # Neo4j is given little to do: it is Redis that is to be kept busy.
        many = client.put_all([document(f"many-{n}", n_entities=0) for n in range(100)], deadline_ms=60_000)
        assert all(answer.is_ok for answer in many), [answer for answer in many if not answer.is_ok][:2]
    with server.client() as reader:
        assert len(reader.get("sagad:doc:{large}")) > 4_000_000
        assert len(list(reader.scan_iter("sagad:doc:*"))) == 101


@needs_tls
@pytest.mark.parametrize("alt, settings, word", [
    ("IP:127.0.0.1", {}, "certificate"),  # by the system's authorities
    ("IP:127.0.0.1", {"ca_file": "other"}, "certificate"),
    ("DNS:elsewhere.test", {"ca_file": "own"}, "mismatch"),
    ("IP:127.0.0.2", {"ca_file": "own"}, "mismatch"),
])
def test_a_server_that_is_not_to_be_trusted(start, serve, authority, tmp_path, alt, settings, word):
    server = serve(alt)
    other = Authority(tmp_path)
    files = {"own": str(authority.ca), "other": str(other.ca)}
    daemon = start(server.port, **{key: files[value] for key, value in settings.items()})
    is_down(daemon, "its certificate isn't accepted", word, f"127.0.0.1:{server.port}")


@needs_tls
@pytest.mark.parametrize("verify, has_ca", [("ca", True), ("none", False)])
def test_as_much_is_checked_as_is_asked_for(world, start, serve, authority, verify, has_ca):
    server = serve("DNS:elsewhere.test")
    more = {"ca_file": str(authority.ca)} if has_ca else {}
    is_well(world, start(server.port, tls_verify=verify, **more), server, f"verify {verify}")


@needs_tls
def test_a_server_that_wants_a_certificate(world, start, serve, authority):
    server = serve(client_ca=authority.ca)
    daemon = start(server.port, ca_file=str(authority.ca))
    is_down(daemon, "certificate required")
    daemon.kill()
    cert, key = authority.sign("client", "sagad")
    daemon = start(server.port, ca_file=str(authority.ca), cert_file=str(cert), key_file=str(key))
    is_well(world, daemon, server, "both sides", ssl_certfile=str(cert), ssl_keyfile=str(key))


@needs_tls
def test_a_server_that_speaks_no_tls(world, start):
    url = world.environ["REDIS_URL"]
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    is_down(start(port, tls_verify="none", connect_timeout="500ms"), "does it speak TLS on this port?")


@needs_tls
def test_a_handshake_that_stalls_ends_by_its_time_and_costs_nothing(start):
    """Connected, and then silence: the daemon waits without spinning."""
    def busy_s(daemon):
        """Time on a processor and time waited for one: proc(5), schedstat."""
        return sum(int(ns) for ns in Path(f"/proc/{daemon.process.pid}/schedstat").read_text().split()[:2]) / 1e9

    with socket.create_server(("127.0.0.1", 0)) as mute:
        daemon = start(mute.getsockname()[1], tls_verify="none", connect_timeout="4s")
        eventually(lambda: "started: pid" in daemon.log(), 10)
        with daemon.admin() as client:
            number = client.send("store.list")  # asks each store, and waits for this one
            taken, _ = mute.accept()
            time.sleep(0.5)
            before = busy_s(daemon)
            time.sleep(2)
            spent_s = busy_s(daemon) - before
            assert spent_s < 1, spent_s
            client.answer(number)
        is_down(daemon, "no connection in time")
        taken.close()


@needs_tls
@pytest.mark.parametrize("broken", ["ca_file", "cert_file", "key_file"])
def test_a_file_that_is_no_certificate_is_named(world, authority, tmp_path, broken):
    cert, key = authority.sign("whole", "sagad")
    files = {"ca_file": authority.ca, "cert_file": cert, "key_file": key}
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    bad.chmod(0o600)
    files[broken] = bad
    daemon = world.daemon({f"redis.{name}": str(path) for name, path in files.items()} | {"redis.tls": True},
                          {"REDIS_URL": ""}).launch()
    assert daemon.wait_exit(10) == 2
    assert f"redis: {broken} {bad} can't be used" in daemon.log()


# What every build does.

def checked(tmp_path, environ=None, **settings):
    config = tmp_path / "sagad.conf"
    config.write_text(config_text({**SETTINGS, **{f"redis.{key}": value for key, value in settings.items()}}))
    config.chmod(0o600)
    return subprocess.run([program("sagad"), "--config", config, "--check-config"], text=True, capture_output=True,
                          env={**os.environ, **(environ or {})})


@pytest.mark.skipif(HAS_TLS, reason="this build has TLS to Redis")
def test_without_it_the_key_is_refused_with_the_reason(tmp_path):
    for said in (checked(tmp_path, tls=True), checked(tmp_path, {"REDIS_URL": "rediss://localhost"})):
        assert said.returncode == 2
        assert "redis.tls" in said.stderr and "hiredis 1.0" in said.stderr and "tunnel" in said.stderr, said.stderr
    assert "environment REDIS_URL" in said.stderr
    assert "Redis over TLS:          no" in subprocess.run([program("sagad"), "--version"], text=True,
                                                           capture_output=True).stdout


def test_keys_that_do_not_fit_together(tmp_path, authority):
    _, key = authority.sign("lonely", "sagad")
    assert "needs redis.cert_file" in checked(tmp_path, key_file=str(key)).stderr
    assert "a Unix socket" in checked(tmp_path, tls=True, path="/run/redis.sock").stderr
    missing = checked(tmp_path, ca_file=str(tmp_path / "nowhere"))
    assert missing.returncode == 2 and "redis.ca_file" in missing.stderr and "No such file" in missing.stderr
