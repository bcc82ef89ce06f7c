"""What keeps the daemon from starting: one line that says what and what to do, and the documented exit code."""

import os
import socket
import subprocess

import pytest

from harness import Client, program
from harness.documents import DIMS, document

NOBODY = 65534


@pytest.fixture
def daemon(world):
    """Not started; it needs no store to find out."""
    made = world.daemon({"schema.dims": DIMS, "operations.listen": ""})
    yield made
    made.kill()


def refuse(daemon, code, *words):
    """It ends with this code, and says these words in one line of its log."""
    daemon.launch()
    assert daemon.wait_exit(15) == code, daemon.log()
    lines = [line for line in daemon.log().splitlines() if all(word in line for word in words)]
    assert len(lines) == 1, (words, daemon.log())
    return lines[0]


# The configuration: 2.

@pytest.mark.parametrize("key, value, words", [
    ("timeouts.deadline", "30 parsecs", ("sagad.conf:", "timeouts.deadline", "is no duration", "ms, s, min, h or d")),
    ("limits.max_line", "64MiBs", ("sagad.conf:", "limits.max_line", "is no size", "B, KiB, MiB")),
    ("limits.max_lines", 5, ("sagad.conf:", "unknown key", "did you mean `max_line`?")),
    ("limits.max_chunks", 0, ("sagad.conf:", "limits.max_chunks", "out of range", "from 1 to")),
    ("daemon.jobs_group", ["no-such-group"], ("sagad.conf:", "there is no group 'no-such-group'", "create it")),
    ("neo4j.url", "bolt://localhost:7687", ("neo4j.url", "not Bolt")),
    ("postgresql.password_file", "/no/such/file", ("postgresql.password_file", "/no/such/file cannot be read")),
    ("postgresql.password_file", "relative", ("systemd credential", "LoadCredential=relative")),
    ("postgresql.sslrootcert", "/no/such/ca.crt", ("postgresql.sslrootcert", "cannot be read: No such file")),
    ("qdrant.ca_file", "/", ("qdrant.ca_file", "is no regular file")),
    ("qdrant.key_file", "/etc/hostname", ("qdrant.key_file", "needs qdrant.cert_file")),
])
def test_a_fault_of_the_configuration(daemon, key, value, words):
    daemon.environ.update(POSTGRES_PASSWORD="", NEO4J_URL="")
    daemon.settings[key] = value
    line = refuse(daemon, 2, *words)
    assert len(line) < 400


def test_a_configuration_that_is_missing(daemon):
    got = subprocess.run([program("sagad"), "--config", daemon.folder / "none.conf"], text=True, capture_output=True)
    assert got.returncode == 2 and "none.conf: cannot be read: No such file or directory" in got.stderr


def test_faults_are_told_together(daemon):
    daemon.settings.update({"limits.max_chunks": "many", "timeouts.store": "soon", "retry.bases": 1})
    refuse(daemon, 2, "limits.max_chunks")
    assert all(word in daemon.log() for word in ("timeouts.store", "did you mean `base`"))


@pytest.mark.parametrize("mode, is_refused", [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_file_with_a_secret_that_others_can_read(daemon, mode, is_refused):
    secret = daemon.folder / "secret"
    secret.write_text("x\n")
    secret.chmod(mode)
    daemon.environ["POSTGRES_PASSWORD"] = ""
    daemon.settings["postgresql.password_file"] = str(secret)
    if is_refused:
        refuse(daemon, 2, "everybody on this machine can read", f"chmod o-rwx {secret}")
    else:
        daemon.write_config()
        assert subprocess.run(daemon.command("--check-config"), env=daemon.environment(), capture_output=True).returncode == 0


def test_a_configuration_with_a_secret_that_others_can_read(daemon):
    daemon.environ["POSTGRES_PASSWORD"] = ""
    daemon.settings["postgresql.password"] = "not for all"
    daemon.write_config()
    daemon.config.chmod(0o644)
    got = subprocess.run(daemon.command(), text=True, capture_output=True, env=daemon.environment())
    assert got.returncode == 2 and "chmod o-rwx" in got.stderr and "not for all" not in got.stderr


@pytest.mark.parametrize("content, words", [(None, "is no regular file"), ("", "is empty"), ("x" * 5000, "is longer than a")])
def test_a_secret_that_is_none(daemon, content, words):
    secret = daemon.folder / "secret"
    if content is None:
        secret.mkdir()
    else:
        secret.write_text(content)
        secret.chmod(0o600)
    daemon.environ["POSTGRES_PASSWORD"] = ""
    daemon.settings["postgresql.password_file"] = str(secret)
    refuse(daemon, 2, "postgresql.password_file", words)


# Files and folders: 1.

def test_the_journals_folder_is_missing(daemon):
    daemon.journal = daemon.folder / "none" / "journal.sqlite"
    refuse(daemon, 1, "can't start", str(daemon.journal), "create it, writable for sagad")


def test_the_journals_folder_is_not_writable(daemon):
    place = daemon.folder / "closed"
    place.mkdir(mode=0o755)
    daemon.owner, daemon.journal = NOBODY, place / "journal.sqlite"
    daemon.prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    refuse(daemon, 1, "can't start", "Permission denied", "a directory that it may write to")


def test_the_journal_is_something_else(daemon):
    daemon.journal.write_text("this is no journal, and it is longer than a database's header would be" * 20)
    refuse(daemon, 2, "can't start", str(daemon.journal), "is not a database", "move it away")
    assert daemon.journal.read_text().startswith("this is no journal")


def test_the_sockets_folder_is_missing(daemon):
    daemon.jobs_path = daemon.folder / "none" / "jobs.sock"
    refuse(daemon, 1, "can't start", str(daemon.jobs_path), "does its directory exist")


def test_a_file_in_the_sockets_place_is_left_alone(daemon):
    daemon.jobs_path.write_text("precious")
    refuse(daemon, 1, "can't start", "exists and is no socket: move it away")
    assert daemon.jobs_path.read_text() == "precious"


# Others: 3.

def test_a_socket_of_another_daemon_is_left_alone(daemon):
    other = socket.socket(socket.AF_UNIX)
    other.bind(str(daemon.jobs_path))
    other.listen()
    refuse(daemon, 3, "can't start", "another process listens on", str(daemon.jobs_path))
    with Client(daemon.jobs_path):
        other.accept()[0].close()
    other.close()


def test_a_port_that_is_taken(daemon):
    with socket.create_server(("127.0.0.1", 0)) as other:
        daemon.settings["operations.listen"] = f"127.0.0.1:{other.getsockname()[1]}"
        refuse(daemon, 3, "can't start", str(other.getsockname()[1]))


def test_a_second_daemon_on_the_journal(world):
    first = world.running()
    second = world.daemon({"schema.dims": DIMS, "operations.listen": ""}, journal=first.journal)
    refuse(second, 3, "another sagad", str(first.process.pid), "a journal of its own")
    with first.jobs() as client:
        assert client.put(document("first")).outcome == "committed"
    assert first.stop() == 0


def test_a_second_daemon_on_the_database(world):
    first = world.running()
    second = world.daemon({"schema.dims": DIMS, "operations.listen": ""}).launch()
    assert second.wait_exit(30) == 3
    assert "--take-over" in second.log()
    with first.jobs() as client:
        assert client.put(document("owner")).outcome in ("committed", "unchanged")
    assert first.stop() == 0


# What is no reason not to start.

def test_a_socket_that_a_dead_daemon_left_is_replaced(world, daemon):
    for path in (daemon.jobs_path, daemon.admin_path):
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(path))
        dead.close()
    world.reset()
    daemon.launch()
    world.init(daemon)
    daemon.wait_ready()
    with daemon.jobs() as client:
        assert client.put(document("replaced")).outcome == "committed"
    assert daemon.stop() == 0 and not daemon.jobs_path.exists()


@pytest.mark.parametrize("command", [["--config"], ["--no-such-option"], ["-o", "limits"], ["-o", "limits.max_chunk=3"],
                                     ["-o", "postgresql.password=x"], ["argument"]])
def test_a_wrong_command_line(command):
    got = subprocess.run([program("sagad"), *command], text=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    assert got.returncode == 2 and got.stderr
