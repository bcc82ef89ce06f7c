"""The proxy that the failure tests rely on does what it says."""

import socket
import socketserver
import threading
import time

import pytest

from faultproxy import FaultProxy


class Echo(socketserver.StreamRequestHandler):
    """Answers each line with "did LINE", and remembers it."""

    def handle(self):
        for line in self.rfile:
            self.server.seen.append(line)
            self.wfile.write(b"did " + line)


@pytest.fixture
def server():
    made = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    made.daemon_threads, made.seen = True, []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def proxy(server):
    made = FaultProxy(server.server_address)
    yield made
    made.close()


def connect(proxy):
    link = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    return link, link.makefile("rb")


def ask(link, lines, text=b"one\n"):
    link.sendall(text)
    return lines.readline()


def test_passes_both_ways(proxy):
    link, lines = connect(proxy)
    assert ask(link, lines) == b"did one\n"
    link.shutdown(socket.SHUT_WR)
    assert lines.read() == b""


def test_refused_and_back(proxy):
    link, lines = connect(proxy)
    assert ask(link, lines) == b"did one\n"
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        ask(link, lines)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.passes()
    assert ask(*connect(proxy)) == b"did one\n"


def test_reset(proxy):
    proxy.reset()
    with pytest.raises(ConnectionError):
        assert not ask(*connect(proxy))
        raise ConnectionResetError
    proxy.passes()
    assert ask(*connect(proxy)) == b"did one\n"


def test_held_until_released(proxy, server):
    link, lines = connect(proxy)
    assert ask(link, lines) == b"did one\n"
    proxy.hold()
    link.sendall(b"two\n")
    time.sleep(0.2)
    assert server.seen == [b"one\n"]
    proxy.passes()
    assert lines.readline() == b"did two\n"


def test_swallowed_after_the_effect(proxy, server):
    proxy.arm("swallow", request=b"two", until=b"did two")
    link, lines = connect(proxy)
    assert ask(link, lines) == b"did one\n"
    with pytest.raises(ConnectionResetError):
        ask(link, lines, b"two\n")
    assert server.seen == [b"one\n", b"two\n"] and proxy.n_struck == 1
    assert ask(*connect(proxy), b"two\n") == b"did two\n"


def test_cut_and_delayed(proxy):
    proxy.arm("cut", request=b"one", keep=3)
    assert ask(*connect(proxy)) == b"did"
    proxy.arm("delay", seconds=0.3)
    began = time.monotonic()
    assert ask(*connect(proxy)) == b"did one\n"
    assert time.monotonic() - began >= 0.3 and proxy.n_struck == 1
