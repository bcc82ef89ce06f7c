"""A TCP proxy between sagad and one store that does to a connection what networks and dying servers do.

    proxy = FaultProxy(("127.0.0.1", 7474))     # listens on proxy.port at once
    proxy.refuse()                              # nobody listens any more
    proxy.reset()                               # connections are accepted and reset
    proxy.hold()                                # connected, and not a byte passes either way
    proxy.arm("swallow", request=b"COMMIT", until=b"COMMIT\\0")   # the reply is lost after the effect
    proxy.arm("cut", keep=10)                   # ten bytes of the reply, then the connection ends
    proxy.arm("delay", seconds=0.5)
    proxy.watch(b"poison", store.kill)          # each request with it is not passed on: the function is called
    proxy.passes()                              # all is well again
    proxy.close()

An armed fault waits for a request that contains `request` and meets the replies after it on the same connection. It
strikes `times` times; `proxy.n_struck` counts, so that a test knows that its fault took place at all.
"""

import asyncio
import contextlib
import socket
import struct
import threading

READ_BYTES = 65536
# After the awaited part of a reply has come, the rest of it is given this long: it is lost as well.
LOST_TAIL_S = 0.05


class Fault:
    """What is to happen to the reply of the next fitting request."""

    def __init__(self, kind, request=b"", until=b"", keep=0, seconds=0.0, times=1):
        assert kind in ("swallow", "cut", "delay"), kind
        self.kind, self.request, self.until = kind, request, until
        self.keep, self.seconds, self.times = keep, seconds, times


class Link:
    """One connection of sagad's and the one to the store that belongs to it."""

    def __init__(self, down, up):
        self.down, self.up = down, up
        self.fault = None
        self.tail = b""
        self.lost = b""

    def abort(self):
        for writer in (self.down, self.up):
            abort(writer)


def abort(writer):
    """Close with a reset instead of an orderly end."""
    handle = writer.get_extra_info("socket")
    if handle is not None and handle.fileno() >= 0:
        with contextlib.suppress(OSError):
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class FaultProxy:
    """All methods may be called from any thread; each returns when it has taken effect."""

    def __init__(self, target):
        self.target = target
        self.n_struck = 0
        self.n_connections = 0
        self._mode, self._fault, self._links = "pass", None, set()
        self._watched = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._do(self._listen(0))

    def passes(self):
        """No fault from now on. What was held goes on."""
        self._do(self._set("pass"))

    def refuse(self):
        """Connections are refused, those that are open are reset."""
        self._do(self._set("refuse"))

    def reset(self):
        """Connections are accepted and reset at once; those that are open are reset."""
        self._do(self._set("reset"))

    def hold(self):
        """Bytes are taken and not passed on until passes(): a network that swallows, a server that hangs."""
        self._do(self._set("hold"))

    def arm(self, kind, **how):
        """A fault for the next fitting request; see Fault."""
        self.n_struck = 0
        self._do(self._arm(Fault(kind, **how)))

    def watch(self, request, strike):
        """Until passes(): whenever a request contains `request`, `strike` is called in a thread instead of passing the
        rest of it on, and the connection ends. n_struck counts."""
        self.n_struck = 0
        self._do(self._watch((request, strike)))

    def close(self):
        """Reset all connections, stop listening, end the thread."""
        self._do(self._set("refuse"))
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, port):
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", port)
        self._opened = asyncio.Event()
        self._opened.set()
        return self._server.sockets[0].getsockname()[1]

    async def _set(self, mode):
        was, self._mode, self._fault, self._watched = self._mode, mode, None, None
        if mode in ("refuse", "reset"):
            for link in list(self._links):
                link.abort()
        if mode == "refuse" and was != "refuse":
            self._server.close()
        elif was == "refuse" and mode != "refuse":
            await self._listen(self.port)
        self._opened.clear() if mode == "hold" else self._opened.set()

    async def _end(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _arm(self, fault):
        self._fault = fault

    async def _watch(self, watched):
        self._watched = watched

    async def _on_client(self, reader, writer):
        self.n_connections += 1
        if self._mode in ("refuse", "reset"):
            return abort(writer)
        await self._opened.wait()
        try:
            up_reader, up_writer = await asyncio.open_connection(*self.target)
        except OSError:
            return abort(writer)
        if self._mode in ("refuse", "reset"):  # since then
            abort(up_writer)
            return abort(writer)
        link = Link(writer, up_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._requests(link, reader), self._replies(link, up_reader))
        except (OSError, asyncio.CancelledError):
            link.abort()
        finally:
            self._links.discard(link)
            for end in (writer, up_writer):
                end.close()

    async def _requests(self, link, reader):
        while data := await reader.read(READ_BYTES):
            await self._opened.wait()
            if self._watched is not None and self._watched[0] in link.tail + data:
                self.n_struck += 1
                await self._loop.run_in_executor(None, self._watched[1])
                return link.abort()
            self._meet(link, data)
            link.up.write(data)
            await link.up.drain()
        with contextlib.suppress(OSError):
            link.up.write_eof()

    def _meet(self, link, data):
        """Take the armed fault when this request is the one it waits for, also across two reads; an earlier request's
        end is no match."""
        fault, before = self._fault, link.tail
        link.tail = (before + data)[-64:]
        if fault is None:
            return
        overlap = len(fault.request) - 1
        if fault.request not in (before[-overlap:] if overlap > 0 else b"") + data:
            return
        fault.times -= 1
        if fault.times <= 0:
            self._fault = None
        link.fault, link.lost, link.tail = fault, b"", b""

    async def _replies(self, link, reader):
        while data := await reader.read(READ_BYTES):
            await self._opened.wait()
            if link.fault is not None:
                data = await self._strike(link, data)
            if data is None:
                return
            link.down.write(data)
            await link.down.drain()
        link.down.close()

    async def _strike(self, link, data):
        """The bytes to pass on, or None when the connection is at its end."""
        fault = link.fault
        if fault.kind == "delay":
            link.fault = None
            self.n_struck += 1
            await asyncio.sleep(fault.seconds)
            return data
        link.lost += data
        if fault.kind == "swallow" and fault.until not in link.lost:
            return b""
        self.n_struck += 1
        if fault.kind == "cut":
            link.down.write(link.lost[:fault.keep])
            await link.down.drain()
        await asyncio.sleep(LOST_TAIL_S)
        if fault.kind == "cut":
            link.down.close()
            link.up.close()
        else:
            link.abort()
        return None
