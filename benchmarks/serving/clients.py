"""Clients in trouble: many at once, slow ones, half-open ones, and those that hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

__all__ = ["at_once", "bursts", "slow"]

_PATIENCE = 60.0  # seconds to wait for the server to close a connection

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _head(length: int) -> bytes:
    lines = ("POST /v1/forecast HTTP/1.1", "Host: gatecast", "Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


async def at_once(port: int, body: bytes, clients: int) -> list[int]:
    """The statuses that so many clients get who all ask at the same moment; 0 for none."""

    async def one() -> int:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_head(len(body)) + body)
            line = await reader.readline()
            writer.close()
            return int(line.split()[1])
        except (OSError, IndexError):
            return 0

    return list(await asyncio.gather(*(one() for _ in range(clients))))


async def slow(port: int, body: bytes, clients: int) -> int:
    """Slow and half-open clients; how many of them the server has closed."""
    kinds: list[Callable[[Streams, bytes], Awaitable[bool]]] = [_silent, _half_head, _dripping, _half_body]
    return sum(await asyncio.gather(*(_with(port, kinds[number % len(kinds)], body) for number in range(clients))))


async def bursts(port: int, body: bytes, clients: int, *, gone: bool) -> None:
    """Clients that ask once, 50 at the same moment every second, and hang up before or after they are answered."""
    behave = _hang_up if gone else _take
    waiting: list[asyncio.Task[bool]] = []
    for _ in range(0, clients, 50):
        waiting += [asyncio.create_task(_with(port, behave, body)) for _ in range(50)]
        await asyncio.sleep(1)
    await asyncio.gather(*waiting)


async def _with(port: int, behave: Callable[[Streams, bytes], Awaitable[bool]], body: bytes) -> bool:
    try:
        streams = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    try:
        return await behave(streams, body)
    except OSError:
        return True
    finally:
        streams[1].transport.abort()


async def _closed(streams: Streams) -> bool:
    try:
        while await asyncio.wait_for(streams[0].read(65536), _PATIENCE):
            pass
    except TimeoutError:
        return False
    return True


async def _silent(streams: Streams, _: bytes) -> bool:
    return await _closed(streams)


async def _half_head(streams: Streams, body: bytes) -> bool:
    streams[1].write(_head(len(body))[:40])
    return await _closed(streams)


async def _half_body(streams: Streams, body: bytes) -> bool:
    streams[1].write(_head(len(body)) + body[: len(body) // 2])
    return await _closed(streams)


async def _dripping(streams: Streams, body: bytes) -> bool:
    streams[1].write(_head(len(body)))
    for place in range(int(_PATIENCE)):
        streams[1].write(body[place : place + 1])
        with suppress(TimeoutError):
            if not await asyncio.wait_for(streams[0].read(65536), 1):
                return True
    return False


async def _take(streams: Streams, body: bytes) -> bool:
    streams[1].write(_head(len(body)) + body)
    return bool(await streams[0].readline())


async def _hang_up(streams: Streams, body: bytes) -> bool:
    streams[1].write(_head(len(body)) + body)
    await streams[1].drain()
    return True
