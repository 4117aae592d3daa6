"""Load for an HTTP server at little cost: raw sockets and httptools, in a process of its own.

    python -m benchmarks.serving.load --port 8000 --body request.json --clients 64 --seconds 10

Closed loop: each of `--clients` connections sends its next request when it has the last answer. With `--rate` open
loop: requests are due at fixed times, whether or not earlier ones are answered, and latency counts from when they were
due. Prints one JSON object; with `--answers` each status and the checksum of each body with the second it came at.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httptools
import numpy as np

if TYPE_CHECKING:
    from benchmarks.harness.servers import Server  # the process that loads a server needs none of it

__all__ = ["bodies_of", "load", "start"]


def start(server: Server, body: Path, *, seconds: float, **options: float | str) -> subprocess.Popen[str]:
    """Begin to load a server; the options are those of this module's command line."""
    more = [f"--{name}={value}" if value != "" else f"--{name}" for name, value in options.items()]
    command = [sys.executable, "-m", "benchmarks.serving.load", f"--port={server.port}", f"--body={body}"]
    return subprocess.Popen([*command, f"--seconds={seconds}", *more], stdout=subprocess.PIPE, text=True)


def load(server: Server, body: Path, *, seconds: float, **options: float | str) -> dict[str, Any]:
    """What a load measured."""
    output, _ = start(server, body, seconds=seconds, **options).communicate()
    found: dict[str, Any] = json.loads(output)
    return found


class Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []
        self._parser: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = transport  # type: ignore[assignment]

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; raises ConnectionError where the connection ends before."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._parser, self._body = httptools.HttpResponseParser(self), []
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """A part of the answer."""
        if self._parser is not None:
            self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """All of it."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._body)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Closed by the server."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("closed"))

    @property
    def closed(self) -> bool:
        """Whether the server has ended it."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


class Load:
    """Counts and times what comes back; a status of 0 is a connection that broke."""

    def __init__(self, host: str, port: int, request: Callable[[], bytes]) -> None:
        self._place = (host, port)
        self._request = request  # the next one
        self.begin = time.perf_counter()
        self.latencies: list[float] = []
        self.statuses: collections.Counter[int] = collections.Counter()
        self.answers: list[tuple[float, int, str]] = []

    async def connect(self) -> Connection:
        """A new connection."""
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self._place)
        return connection

    async def once(self, connection: Connection | None, due: float) -> Connection | None:
        """One request, timed from when it was due; the connection to go on with."""
        try:
            if connection is None or connection.closed:  # as every client does: servers close what was idle for long
                connection = await self.connect()
            status, body = await connection.ask(self._request())
        except OSError:
            status, body, connection = 0, b"", None
        now = time.perf_counter()
        self.latencies.append(now - due)
        self.statuses[status] += 1
        self.answers.append((round(now - self.begin, 3), status, hashlib.sha256(body).hexdigest()[:12]))
        return connection

    async def closed(self, clients: int, seconds: float) -> None:
        """As fast as answers come."""

        async def client() -> None:
            connection = None
            while time.perf_counter() < end:
                connection = await self.once(connection, time.perf_counter())
                if connection is None:
                    await asyncio.sleep(0.01)

        end = time.perf_counter() + seconds
        await asyncio.gather(*(client() for _ in range(clients)))

    async def paced(self, rate: float, seconds: float, most: int) -> None:
        """At that rate, over as many connections as it takes, `most` at most; who finds none free waits."""
        free: asyncio.LifoQueue[Connection | None] = asyncio.LifoQueue()
        for _ in range(most):
            free.put_nowait(None)
        pending: set[asyncio.Task[None]] = set()

        async def one(due: float) -> None:
            connection = await free.get()
            free.put_nowait(await self.once(connection, due))

        start = time.perf_counter()
        for number in itertools.count():
            due = start + number / rate
            if due > start + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(one(due))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)

    def told(self, seconds: float) -> dict[str, Any]:
        """What was measured, in milliseconds."""
        found = 1000 * np.asarray(self.latencies)
        times = {f"p{level}_ms": round(float(np.percentile(found, level)), 3) for level in (50, 95, 99)}
        statuses = {str(status): count for status, count in sorted(self.statuses.items())}
        return {"requests": len(found), "per_second": round(len(found) / seconds, 1), **times, "statuses": statuses}


def bodies_of(first: dict[str, Any], rows: int, number: int = 0) -> Iterator[bytes]:
    """Requests like this one, without an end: a reading of every one of so many series, hour after hour."""
    names = [f"s{row:04d}" for row in range(rows)]
    begin = datetime(2026, 1, 1)  # noqa: DTZ001 - stamps have no zone
    for hour in itertools.count(number):
        ds = (begin + timedelta(hours=hour)).isoformat()
        columns = {"unique_id": names, "ds": [ds] * rows, "y": [float(hour)] * rows}
        yield json.dumps({**first, "columns": columns}).encode()


def main() -> None:
    """Put that load on a server and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/v1/forecast")
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--key")
    parser.add_argument("--rows", type=int, help="each request sends that many readings, of one step after the other")
    parser.add_argument("--answers", action="store_true")
    options = parser.parse_args()
    bodies = bodies_of(json.loads(options.body.read_bytes()), options.rows) if options.rows else None
    body = options.body.read_bytes()

    def request() -> bytes:
        content = body if bodies is None else next(bodies)
        lines = (
            f"POST {options.path} HTTP/1.1",
            f"Host: {options.host}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            *((f"X-API-Key: {options.key}",) if options.key else ()),
        )
        return "\r\n".join([*lines, "", ""]).encode() + content

    load = Load(options.host, options.port, request)
    begin = time.perf_counter()
    if options.rate:
        asyncio.run(load.paced(options.rate, options.seconds, options.clients))
    else:
        asyncio.run(load.closed(options.clients, options.seconds))
    told = load.told(time.perf_counter() - begin)
    print(json.dumps({**told, "answers": load.answers} if options.answers else told))


if __name__ == "__main__":
    main()
