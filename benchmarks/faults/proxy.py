"""A proxy before an HTTP server that delays, fails, resets and cuts what passes through it, as often as it is told."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import numpy as np

__all__ = ["FAULTS", "Proxy"]

# What may happen to a request; "lost" means that the server has done what it was asked for, and nobody hears of it.
FAULTS: Final = ("delay", "refused", "lost", "reset", "reset after", "cut request", "cut answer")
_WEIGHTS: Final = np.array([1, 4, 4, 4, 4, 4, 4]) / 25  # a delay takes its time
_FILES: Final = 0.2  # a model is seventy small files: they meet that part of the faults
_FAILED: Final = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Listens on a port of its own; every request meets a fault with probability `share`."""

    def __init__(self, port: int, draw: np.random.Generator, delay: float) -> None:
        self.share = 0.0
        self.target = b""  # the first request that has this in its head is done, and its answer is lost
        self.met: Counter[str] = Counter()
        self._port, self._draw, self._delay = port, draw, delay
        self.address = ""

    @contextmanager
    def open(self) -> Iterator[Proxy]:
        """Serve from a thread of its own."""
        loop, ready = asyncio.new_event_loop(), threading.Event()

        end = asyncio.Event()

        async def serve() -> None:
            async with await asyncio.start_server(self._talk, "127.0.0.1", 0) as server:
                self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
                ready.set()
                await end.wait()

        def live() -> None:
            loop.run_until_complete(serve())
            loop.close()

        thread = threading.Thread(target=live, daemon=True)
        thread.start()
        ready.wait()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(end.set)
            thread.join()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head, body = await _request(reader)
            share = self.share * (_FILES if b"/mlflow-artifacts/" in head else 1.0)
            fault = str(self._draw.choice(FAULTS, p=_WEIGHTS)) if self._draw.random() < share else "none"
            if self.target and self.target in head:
                fault, self.target = str(self._draw.choice(["lost", "reset after"])), b""
            self.met[fault] += 1
            answer = await self._answered(fault, head, body)
            if answer is None:
                _reset(writer)
            else:
                writer.write(answer)
                await writer.drain()
                if fault == "cut answer":
                    _reset(writer)
        writer.close()

    async def _answered(self, fault: str, head: bytes, body: bytes) -> bytes | None:
        """What the client gets; none: its connection breaks."""
        if fault == "delay":
            await asyncio.sleep(self._delay)
        if fault in ("refused", "reset"):
            return _FAILED if fault == "refused" else None
        if fault == "cut request":
            await self._forward(head, body[: len(body) // 2], wait=False)
            return None
        answer = await self._forward(head, body)
        if fault in ("lost", "reset after"):
            return _FAILED if fault == "lost" else None
        return answer[: len(answer) * 2 // 3] if fault == "cut answer" else answer

    async def _forward(self, head: bytes, body: bytes, *, wait: bool = True) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(head + body)
        await writer.drain()
        answer = await reader.read() if wait else b""
        writer.close()
        return answer


async def _request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """A whole request, which asks for its connection to be closed afterwards."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *fields = head[:-4].split(b"\r\n")
    named = {key.strip().lower(): value.strip() for key, _, value in (line.partition(b":") for line in fields)}
    if b"chunked" in named.get(b"transfer-encoding", b""):
        body = await reader.readuntil(b"0\r\n\r\n")
    else:
        body = await reader.readexactly(int(named.get(b"content-length", b"0")))
    kept = [line for line in fields if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""]), body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection without a word, as a machine does that disappears."""
    endpoint = writer.get_extra_info("socket")
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
