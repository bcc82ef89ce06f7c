"""HTTP/1.1 as Qdrant's server speaks it: a thread per connection, keep-alive, and its limits and silences.

What it promises: headers within 5 s, else an empty 408; an idle connection is closed after 5 s without a word; bodies
up to 32 MiB (also after gunzipping), else 400 and the connection closes at once. It knows nothing of collections.
"""

import contextlib
import json
import socket
import threading
import time
import urllib.parse
import zlib

from .errors import ApiError, bad_format

BODY_LIMIT = 32 * 1024 * 1024
HEADER_LIMIT = 64 * 1024
HEADER_TIMEOUT_S = 5
IDLE_TIMEOUT_S = 5
BODY_TIMEOUT_S = 120
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           408: "Request Timeout", 409: "Conflict", 422: "Unprocessable Entity", 500: "Internal Server Error",
           501: "Not Implemented"}


class Request:
    """One request, its body read and unpacked."""

    def __init__(self, method, target, version, headers):
        path, _, query = target.partition("?")
        self.method = method
        self.parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.headers = headers
        self.body = b""
        wish = headers.get("connection", "").lower()
        self.keeps_alive = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"

    def json(self):
        """The body as a JSON object; the engine's server refuses anything else with 400."""
        if not self.headers.get("content-type", "").lower().startswith("application/json"):
            raise ApiError(400, "JSON payload error: Content type error")
        try:
            value = json.loads(self.body.decode("utf-8"), parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            raise bad_format(f"{error.msg} at line {error.lineno} column {error.colno}") from None
        except (ValueError, RecursionError) as error:
            raise bad_format(str(error) or "recursion limit exceeded") from None
        if not isinstance(value, dict):
            raise bad_format("invalid type, expected a map")
        return value


def _no_constant(name):
    raise ValueError(f"expected value, got {name}")


class Reply:
    """Status, body and type of an answer."""

    def __init__(self, status, body=b"", content_type=None, headers=()):
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers

    def encode(self, keeps_alive):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}",
                 f"content-length: {len(self.body)}", *self.headers]
        if self.content_type:
            lines.append(f"content-type: {self.content_type}")
        if not keeps_alive:
            lines.append("connection: close")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


class _Closed(Exception):
    """The peer has gone, or fell silent between two requests."""


class Connection:
    """One client: reads requests, hands them to `answer`, writes the replies."""

    def __init__(self, link, answer):
        self.link = link
        self.answer = answer
        self.buffer = bytearray()

    def serve(self):
        with self.link, contextlib.suppress(_Closed, OSError):
            self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            keeps_alive = True
            while keeps_alive:
                keeps_alive = self._serve_one()

    def _serve_one(self):
        """One request and its reply; returns whether another may follow."""
        try:
            request = self._read_head()
        except TimeoutError:
            self.link.sendall(Reply(408).encode(False))
            return False
        except ApiError as error:
            self.link.sendall(Reply(error.status).encode(False))
            return False
        try:
            request.body = self._read_body(request)
        except ApiError as error:
            self.link.sendall(self.answer.refuse(error).encode(False))
            return False
        reply = self.answer(request)
        self.link.sendall(reply.encode(request.keeps_alive))
        return request.keeps_alive

    def _read_head(self):
        if not self.buffer:
            self.link.settimeout(IDLE_TIMEOUT_S)
            try:
                self._more()
            except TimeoutError:
                raise _Closed from None
        deadline = time.monotonic() + HEADER_TIMEOUT_S
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > HEADER_LIMIT:
                raise ApiError(400, "")
            self.link.settimeout(max(deadline - time.monotonic(), 0.001))
            self._more()
        head = self.buffer[:end].decode("latin-1")
        del self.buffer[:end + 4]
        return _parse_head(head)

    def _more(self):
        data = self.link.recv(262144)
        if not data:
            raise _Closed
        self.buffer += data

    def _read_body(self, request):
        self.link.settimeout(BODY_TIMEOUT_S)
        headers = request.headers
        if "chunked" in headers.get("transfer-encoding", "").lower():
            self._invite(headers)
            raw = self._read_chunks()
        else:
            length = _length(headers)
            if length > BODY_LIMIT:
                raise _too_large(length)
            if length:
                self._invite(headers)
            raw = self._take(length)
        return _gunzip(raw) if headers.get("content-encoding", "").lower() == "gzip" else raw

    def _invite(self, headers):
        if headers.get("expect", "").lower() == "100-continue":
            self.link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take(self, length):
        while len(self.buffer) < length:
            self._more()
        taken = bytes(self.buffer[:length])
        del self.buffer[:length]
        return taken

    def _read_line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > HEADER_LIMIT:
                raise ApiError(400, "Payload error: bad chunk")
            self._more()
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return line

    def _read_chunks(self):
        body = bytearray()
        while True:
            try:
                size = int(self._read_line().split(b";")[0], 16)
            except ValueError:
                raise ApiError(400, "Payload error: bad chunk") from None
            if len(body) + size > BODY_LIMIT:
                raise _too_large(len(body) + size)
            body += self._take(size)
            if size == 0:
                while self._read_line():
                    pass
                return bytes(body)
            self._read_line()


def _parse_head(head):
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise ApiError(400, "")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ApiError(400, "")
        headers[name.strip().lower()] = value.strip()
    return Request(*words, headers)


def _length(headers):
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise ApiError(400, "Payload error: bad content-length")
    return int(text)


def _too_large(length):
    return ApiError(400, f"JSON payload ({length} bytes) is larger than allowed (limit: {BODY_LIMIT} bytes).")


def _gunzip(raw):
    engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = engine.decompress(raw, BODY_LIMIT + 1)
    except zlib.error:
        raise ApiError(400, "Payload error: bad gzip") from None
    if len(body) > BODY_LIMIT:
        raise _too_large(len(body))
    if not engine.eof:
        raise ApiError(400, "Payload error: gzip body is cut off")
    return body


def listen(host, port):
    return socket.create_server((host, port), backlog=256)


def serve_forever(server, answer):
    """Accept until the socket is closed; a thread for each connection."""
    while True:
        try:
            link, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=Connection(link, answer).serve, daemon=True).start()
