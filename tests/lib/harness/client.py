"""A raw client of the job socket: JSON lines, pipelined, answers in any order. Not libsagad, so that both are tested."""

import itertools
import json
import socket
import time


class Answer:
    """One message of the daemon's."""

    def __init__(self, message):
        self.message = message
        self.id = message.get("id")
        self.result = message.get("result") or {}
        self.error = message.get("error") or {}
        self.data = self.error.get("data") or {}

    @property
    def is_ok(self):
        return "result" in self.message

    @property
    def outcome(self):
        """committed, unchanged, ...; failed for an error."""
        return self.result.get("outcome") if self.is_ok else "failed"

    @property
    def code(self):
        return self.data.get("code")

    @property
    def store(self):
        return self.data.get("store")

    @property
    def text(self):
        return self.error.get("message", "")

    @property
    def version(self):
        return self.result.get("version")

    def __repr__(self):
        return f"Answer({json.dumps(self.message)[:600]})"


class Client:
    """A connection; not for several threads at once."""

    def __init__(self, path, timeout_s=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_s)
        self.socket.connect(str(path))
        self.timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._buffer = b""
        self._early = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, method, **params):
        """Send a request, don't wait; returns its id."""
        number = next(self._ids)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.send_bytes(json.dumps(message, ensure_ascii=False).encode() + b"\n")
        return number

    def receive(self, timeout_s=None):
        """The next message, whosever it is. ConnectionError at the end, TimeoutError when none comes."""
        end = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            self.socket.settimeout(left)
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the daemon closed the connection")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return Answer(json.loads(line))

    def answer(self, number, timeout_s=None):
        """The answer to this id; others that come first are kept."""
        end = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while number not in self._early:
            answer = self.receive(max(end - time.monotonic(), 0.001))
            self._early[answer.id] = answer
        return self._early.pop(number)

    def call(self, method, **params):
        return self.answer(self.send(method, **params))

    def put(self, document, **options):
        return self.call("document.put", **document, **options)

    def delete(self, name, **options):
        return self.call("document.delete", id=name, **options)

    def status(self, name):
        return self.call("document.status", id=name).result

    def job(self, job):
        return self.call("document.status", job=job).result

    def put_all(self, documents, **options):
        """All at once on this connection; the answers in the order of the documents."""
        numbers = [self.send("document.put", **document, **options) for document in documents]
        return [self.answer(number) for number in numbers]
