"""Requests that are made to cost much more than they are long, against a service of its own on loopback."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from benchmarks.harness.served_model import NAME, request
from benchmarks.harness.servers import Server, gatecast

__all__ = ["besiege"]

_SLOW: Final = 2.0  # seconds for an honest request meanwhile
_MORE: Final = 200.0  # MB that the service may take more than before
_JSON: Final = {"content-type": "application/json"}
_CSV: Final = {"content-type": "text/csv"}


class Attack(NamedTuple):
    """One costly request."""

    kind: str
    path: str
    body: bytes
    headers: dict[str, str]


def besiege(home: Path, cases: int) -> dict[str, Any]:
    """Send so many of them while somebody asks honestly; raises AssertionError for a 5xx, a wait, memory, or an end."""
    with gatecast(home) as server:
        return _besieged(server, cases)


def _besieged(server: Server, cases: int) -> dict[str, Any]:
    before, over, waits = server.resident_mb, threading.Event(), list[float]()
    honest = threading.Thread(target=_ask, args=(server, over, waits))
    honest.start()
    statuses: dict[str, int] = {}
    with httpx.Client(base_url=server.url, timeout=60) as web:
        for attack in itertools.islice(itertools.cycle(_attacks()), cases):
            status = web.post(attack.path, content=attack.body, headers=attack.headers).status_code
            statuses[f"{attack.kind}: {status}"] = statuses.get(f"{attack.kind}: {status}", 0) + 1
            if status >= 500 and status != 503:
                raise AssertionError(f"{attack.kind} was answered {status}")
    for piece in (b"X: y\r\n" * 2000, b"X" * 10_000):
        _trail(server, piece)
    over.set()
    honest.join()
    found = {"attacks": cases, "slowest_s": round(max(waits), 3), "more_mb": round(server.resident_mb - before, 1)}
    if found["slowest_s"] > _SLOW or found["more_mb"] > _MORE or server.status("/readyz") != 200:
        raise AssertionError(f"the service did not hold: {found}")
    return {**found, "kinds": statuses}


def _ask(server: Server, over: threading.Event, waits: list[float]) -> None:
    """An honest client, whose waits are noted."""
    content = request()
    with httpx.Client(base_url=server.url, timeout=60) as web:
        while not over.wait(0.05):
            began = time.perf_counter()
            web.post("/v1/forecast", json=content).raise_for_status()
            waits.append(time.perf_counter() - began)


def _trail(server: Server, piece: bytes) -> None:
    """A chunked body with trailers that do not end."""
    head = b"POST /v1/forecast HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        for _ in range(2000):
            connection.sendall(piece)
        raise AssertionError("trailers without an end are read")


def _attacks() -> Iterator[Attack]:
    """One of each kind, as large as it may be where that is what it is about."""
    invoke, upload, forecast = f"/invocations/{NAME}", f"/upload?model={NAME}", "/v1/forecast"
    infer = f"/v2/models/{NAME}/infer"
    for piece in (b'"\\', b'"', b"NaN,", b'\\"'):
        yield Attack("tokens", invoke, b"NaN" + piece * (4_000_000 // len(piece)), _JSON)
    names = [{f"{row}.{name}": 1 for name in range(150)} for row in range(150)]
    yield Attack("names", forecast, json.dumps({"name": NAME, "records": names}).encode(), _JSON)
    yield Attack("names", invoke, json.dumps({"dataframe_records": names}).encode(), _JSON)
    yield Attack("faults", forecast, b'{"records":[' + b"1," * 2_000_000 + b"1]}", _JSON)
    yield Attack("faults", infer, b'{"inputs":[' + b"1," * 2_000_000 + b"1]}", _JSON)
    yield Attack("faults", invoke, b'{"dataframe_split":{"columns":[],"data":[' + b"1," * 2_000_000 + b"1]}}", _JSON)
    keys = b",".join(b'"%d":1' % number for number in range(300_000))
    yield Attack("keys", forecast, b"{" + keys + b"}", _JSON)
    yield Attack("parts", forecast, b'{"records":[' + b"{}," * 5_000_000 + b"{}]}", _JSON)
    yield Attack("depth", forecast, b"[" * 1_000_000, _JSON)
    for path in (upload, invoke):
        yield Attack("header", path, b"," * 20_000, _CSV)
        yield Attack("header", path, b"," * 15_000_000, _CSV)
        yield Attack("lines", path, b"unique_id,ds,y\n" + b"\n" * 15_000_000, _CSV)
        yield Attack("rows", path, b"unique_id,ds,y\n" + b"a,2026-01-01,1\n" * 1_000_000, _CSV)
    many = b",".join(b"column%d" % number for number in range(9_000))
    yield Attack("header", f"/upload/columns?model={NAME}", many, _CSV)
    tensor = {"name": "y", "datatype": "INT8", "shape": [15_000_000], "parameters": {"binary_data_size": 15_000_000}}
    head = json.dumps({"inputs": [tensor]}).encode()
    yield Attack("tensor", infer, head + bytes(15_000_000), {"inference-header-content-length": str(len(head))})
    yield Attack("host", forecast, b"{}", {**_JSON, "host": "evil.example"})
