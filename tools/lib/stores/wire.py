"""Just enough of each protocol to see that a server is ready, on the standard library."""

import base64
import http.client
import json
import socket
import struct

TIMEOUT_S = 2


def http_json(port, method, path, body=None, headers=None):
    """(status, decoded body or None) of one request; OSError when nobody answers properly."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text[:1] in (b"{", b"[") else None
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def basic_auth(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def redis_command(port, password, *words):
    """The first line of the reply to one command, after AUTH."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as link:
        lines = link.makefile("rb")
        for command in (("AUTH", password), words):
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in command)
            link.sendall(b"*%d\r\n" % len(command) + parts)
            line = lines.readline().strip()
    return line


def postgres_accepts(port, user, database):
    """Whether the server asks for a password: while it starts or recovers it sends an error instead."""
    words = b"user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as link:
        # Protocol 3.0 start-up message: length, version, then names and values (PostgreSQL manual, 54.7).
        link.sendall(struct.pack("!II", len(words) + 8, 3 << 16) + words)
        return link.recv(1) == b"R"
