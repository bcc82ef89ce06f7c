"""Loopback ports for servers.

They are taken from below the kernel's range for outgoing connections: a port out of that range could be taken by
somebody's connection while the server is down, and a restart would not get it back.
"""

import random
import socket

from .errors import StoreError

HOST = "127.0.0.1"
LOWEST = 15000


def _ephemeral_start():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as handle:
            return int(handle.read().split()[0])
    except (OSError, ValueError):
        return 32768


def is_free(port):
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def pick(count, taken=()):
    """`count` different free ports."""
    highest = max(_ephemeral_start(), LOWEST + 1000) - 1
    rng, found = random.SystemRandom(), []
    for _ in range(2000):
        port = rng.randint(LOWEST, highest)
        if port not in found and port not in taken and is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise StoreError(f"no free port between {LOWEST} and {highest}")
