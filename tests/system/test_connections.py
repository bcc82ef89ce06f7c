"""How the daemon reaches its stores: Unix sockets, TLS with certificates of either side, secrets out of files."""

import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import psycopg
import pytest
import redis

from harness import eventually
from harness.documents import DIMS, document
from harness.tls import Authority, Front

NOBODY = 65534
DEBIAN = Path("/usr/lib/postgresql/15/bin")


def put(daemon, world, name):
    """One document, once everything is set up."""
    world.init(daemon)
    daemon.wait_ready()
    with daemon.jobs() as client:
        eventually(lambda: client.put(document(name)).outcome in ("committed", "unchanged"), 20)


# Redis.

@pytest.fixture
def redis_socket(tmp_path):
    path = tmp_path / "redis.sock"
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no",
                               "--requirepass", "pass word", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    eventually(path.exists, 10)
    yield path
    server.terminate()
    server.wait(10)


@pytest.mark.parametrize("how", ["file", "url"])
def test_redis_over_a_unix_socket(world, redis_socket, how, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("pass word\n")
    secret.chmod(0o600)
    settings = {"redis.path": str(redis_socket), "redis.password_file": str(secret)} if how == "file" else {}
    url = "" if how == "file" else f"unix://:{urllib.parse.quote('pass word')}@{redis_socket}"
    world.reset()
    daemon = world.daemon({"schema.dims": DIMS, **settings}, {"REDIS_URL": url}).launch()
    put(daemon, world, "over a socket")
    with redis.Redis(unix_socket_path=str(redis_socket), password="pass word") as reader:
        assert reader.get("sagad:doc:{over a socket}")
    with daemon.admin() as client:
        rows = {row["name"]: row for row in client.call("store.list").result["stores"]}
    assert rows["redis"]["endpoint"] == str(redis_socket) and rows["redis"]["state"] == "up"
    assert daemon.stop() == 0


# PostgreSQL: a server of the test's own, with a Unix socket and, where it can, TLS.

class Server:
    """Debian's PostgreSQL has TLS and no pgvector, so documents go into real[] columns."""

    def __init__(self, folder):
        self.folder, self.authority = folder, Authority(folder)
        self.port = 15999
        cert, key = self.authority.sign("server", "db.test", "DNS:localhost,IP:127.0.0.1")
        self.authority.sign("sagad", "sagad")
        data = folder / "data"
        data.mkdir()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        key.chmod(0o600)
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions")
        (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 cert clientcert=verify-full\n")
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": folder, "ssl": "on",
                   "ssl_cert_file": cert, "ssl_key_file": key, "ssl_ca_file": self.authority.ca, "fsync": "off"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(self._command("postgres", "-D", data, *arguments), stdout=subprocess.DEVNULL,
                                        stderr=open(folder / "log", "w"))
        eventually(self._is_up, 20)

    def _command(self, name, *arguments):
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", str(DEBIAN / name),
                *map(str, arguments)]

    def _run(self, name, *arguments):
        subprocess.run(self._command(name, *arguments), check=True, capture_output=True, cwd=self.folder)

    def connect(self, database="postgres"):
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True)

    def _is_up(self):
        try:
            with self.connect() as made:
                made.execute("CREATE ROLE sagad LOGIN")
                made.execute("CREATE DATABASE sagad OWNER sagad")
                return True
        except psycopg.OperationalError:
            return False

    def close(self):
        self.process.send_signal(2)
        self.process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not (DEBIAN / "postgres").exists():
        pytest.skip("Debian's postgresql-15 isn't installed")
    folder = Path("/var/tmp") / tmp_path_factory.mktemp("pg").name  # readable for the server's user
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    made = Server(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def daemon_at(world, server, settings, host):
    world.reset()
    with server.connect("sagad") as made:
        made.execute("DROP OWNED BY sagad CASCADE; GRANT ALL ON SCHEMA public TO sagad")
    environ = {"POSTGRES_HOST": host, "POSTGRES_PORT": str(server.port), "POSTGRES_USER": "sagad", "POSTGRES_PASSWORD": "",
               "POSTGRES_DB": "sagad"}
    return world.daemon({"schema.dims": DIMS, **settings}, environ).launch()


def encrypted(server):
    with server.connect() as made:
        return {row[0] for row in made.execute(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'sagad'")}


def test_postgresql_over_a_unix_socket(world, server):
    daemon = daemon_at(world, server, {}, str(server.folder))
    put(daemon, world, "over a socket")
    with server.connect("sagad") as made:
        assert made.execute("SELECT ingestion_status FROM documents").fetchall() == [("COMPLETED",)]
    assert encrypted(server) == {False}
    assert daemon.stop() == 0


def test_postgresql_with_certificates_of_both_sides(world, server):
    folder = server.folder
    daemon = daemon_at(world, server, {
        "postgresql.sslmode": "verify-full", "postgresql.sslrootcert": str(folder / "ca.crt"),
        "postgresql.sslcert": str(folder / "sagad.crt"), "postgresql.sslkey": str(folder / "sagad.key")}, "localhost")
    (folder / "sagad.key").chmod(0o600)
    os.chown(folder / "sagad.key", os.geteuid(), os.getegid())  # libpq insists on the owner
    put(daemon, world, "encrypted")
    assert encrypted(server) == {True}
    assert daemon.stop() == 0


def test_postgresql_with_a_ca_that_did_not_sign(world, server, tmp_path):
    other = Authority(tmp_path)
    daemon = daemon_at(world, server, {"postgresql.sslmode": "verify-ca", "postgresql.sslrootcert": str(other.ca)},
                       "localhost")
    daemon.wait_log("certificate verify failed")
    with daemon.admin() as client:
        rows = {row["name"]: row for row in client.call("store.list").result["stores"]}
    assert rows["postgresql"]["state"] == "down"
    daemon.kill()


# Qdrant and Neo4j over HTTPS.

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def fronts(world, authority, name, alt, client_ca=None):
    cert, key = authority.sign(name, "store", alt)
    qdrant = Front((world.environ["QDRANT_HOST"], int(world.environ["QDRANT_PORT"])), cert, key, client_ca)
    neo4j = urllib.parse.urlsplit(world.environ["NEO4J_URL"])
    return qdrant, Front((neo4j.hostname, neo4j.port), cert, key, client_ca)


def over_https(world, made, settings):
    world.reset()
    qdrant, neo4j = made
    both = {f"{store}.{key}": value for store in ("qdrant", "neo4j") for key, value in settings.items()}
    return world.daemon({"schema.dims": DIMS, "qdrant.tls": True, **both},
                        {"QDRANT_HOST": "127.0.0.1", "QDRANT_PORT": str(qdrant.port),
                         "NEO4J_URL": f"https://127.0.0.1:{neo4j.port}"}).launch()


def test_https_with_certificates_of_both_sides(world, authority):
    made = fronts(world, authority, "both", "IP:127.0.0.1", authority.ca)
    cert, key = authority.sign("client", "sagad")
    daemon = over_https(world, made, {"ca_file": str(authority.ca), "cert_file": str(cert), "key_file": str(key)})
    put(daemon, world, "over https")
    world.assert_whole(daemon, [document("over https")])
    assert all(front.n_taken > 0 for front in made)
    assert daemon.stop() == 0
    for front in made:
        front.close()


def is_down(daemon, words):
    eventually(daemon.admin_path.exists, 10)

    def found():
        with daemon.admin() as client:
            rows = {row["name"]: row for row in client.call("store.list").result["stores"]}
        assert all(rows[name]["state"] == "down" for name in ("qdrant", "neo4j")), rows
        assert all(any(word in rows[name]["error"] for word in words) for name in ("qdrant", "neo4j")), rows
        return True
    eventually(found, 15)


@pytest.mark.parametrize("alt, settings, words", [
    ("IP:127.0.0.1", {}, ("certificate",)),  # the system's CAs
    ("DNS:elsewhere.test", {"ca_file": "CA"}, ("certificate", "subject name")),
])
def test_https_with_a_certificate_that_is_not_to_be_trusted(world, authority, alt, settings, words):
    made = fronts(world, authority, "wrong", alt)
    settings = {key: str(authority.ca) for key in settings}
    daemon = over_https(world, made, settings)
    is_down(daemon, words)
    daemon.kill()
    for front in made:
        front.close()


@pytest.mark.parametrize("verify, settings", [("ca", {"ca_file": "CA"}), ("none", {})])
def test_https_checks_as_much_as_it_is_told(world, authority, verify, settings):
    made = fronts(world, authority, "lax", "DNS:elsewhere.test")
    daemon = over_https(world, made, {**{key: str(authority.ca) for key in settings}, "tls_verify": verify})
    put(daemon, world, f"verify {verify}")
    assert daemon.stop() == 0
    for front in made:
        front.close()


# Secrets.

def test_secrets_come_from_credentials(world, tmp_path):
    """As systemd hands them over: a folder, and names without a path."""
    (tmp_path / "sagad_postgresql").write_text(world.environ["POSTGRES_PASSWORD"] + "\n")
    (tmp_path / "sagad_qdrant").write_text(world.environ["QDRANT_API_KEY"])
    (tmp_path / "sagad_neo4j").write_text(world.environ["NEO4J_PASSWORD"])
    for path in tmp_path.iterdir():
        path.chmod(0o400)
    world.reset()
    daemon = world.daemon({"schema.dims": DIMS, "postgresql.password_file": "sagad_postgresql",
                           "qdrant.api_key_file": "sagad_qdrant", "neo4j.password_file": "sagad_neo4j"},
                          {"POSTGRES_PASSWORD": "", "QDRANT_API_KEY": "", "NEO4J_PASSWORD": "",
                           "CREDENTIALS_DIRECTORY": str(tmp_path)}).launch()
    put(daemon, world, "credentials")
    assert daemon.stop() == 0
