"""A bridge from InfluxDB's line protocol to a service: what Telegraf writes becomes readings of a job.

Start a service that takes readings, then the bridge, and let Telegraf write to it:

    gatecast serve --ingest configs/plant.yaml
    python -m examples.line_protocol --service http://127.0.0.1:8000 --job plant

    [[outputs.influxdb_v2]]
      urls = ["http://127.0.0.1:8086"]

A line `pump,site=north,unit=2 load=4.5,speed=3i 1767225600000000000` gives a reading of each field that holds a number:
the series `pump/north/2/load` and `pump/north/2/speed`. Lines that cannot be read are refused with the whole request,
and Telegraf logs why; what a service cannot take right now is answered 503, and Telegraf sends it again.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from forecasting.serve.client import Client, RefusedError, UnavailableError

__all__ = ["Reading", "bridge", "readings"]

_UNITS: Final = {"ns": 1000, "us": 1, "ms": 1e-3, "s": 1e-6}  # how many of them are a microsecond
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[iu]?")
_COMMA, _BLANK, _EQUALS = (re.compile(rf"(?<!\\){sign}") for sign in ", =")


class Reading(NamedTuple):
    """A number of a series at a moment."""

    unique_id: str
    ds: datetime
    y: float


def readings(text: str, precision: str = "ns") -> Iterator[Reading]:
    """The readings in lines of the protocol; fields that hold no number are left out. Raises ValueError for others."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys, fields, stamp = _BLANK.split(line.strip())
            tags = sorted(_EQUALS.split(tag) for tag in _COMMA.split(keys)[1:])
            ds = _EPOCH + timedelta(microseconds=int(stamp) / _UNITS[precision])
            values = [_EQUALS.split(field) for field in _COMMA.split(fields)]
            series = "/".join(_plain(part) for part in (_COMMA.split(keys)[0], *(value for _, value in tags)))
            for name, value in values:
                if _NUMBER.fullmatch(value):
                    yield Reading(f"{series}/{_plain(name)}", ds, float(value.rstrip("iu")))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"line {number} is not: measurement,tag=… field=… timestamp") from error


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


class _Bridge(BaseHTTPRequestHandler):
    """POST /write and /api/v2/write, as InfluxDB answers them."""

    client: Client
    job: str

    def do_POST(self) -> None:
        """Send the readings of a request on, all of them or none."""
        address = urlsplit(self.path)
        precision = parse_qs(address.query).get("precision", ["ns"])[0]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if address.path not in ("/write", "/api/v2/write") or precision not in _UNITS:
            self._answer(404, "write lines to /write or /api/v2/write, with precision ns, us, ms, or s")
            return
        try:
            found = list(readings(body, precision))
            if found:
                self.client.send(pd.DataFrame(found), name=self.job)
            self._answer(204)
        except UnavailableError as error:
            self._answer(503, str(error))
        except (ValueError, RefusedError) as error:
            self._answer(400, str(error))

    def do_GET(self) -> None:
        """A client asks whether somebody is there."""
        self._answer(204)

    def _answer(self, status: int, message: str = "") -> None:
        body = message.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """The service logs every request that reaches it."""


def bridge(client: Client, job: str, port: int) -> ThreadingHTTPServer:
    """A server on a loopback port that sends on what it is written; `serve_forever` runs it."""
    return ThreadingHTTPServer(("127.0.0.1", port), type("Bridge", (_Bridge,), {"client": client, "job": job}))


def main() -> None:
    """Run the bridge."""
    parser = argparse.ArgumentParser(description="InfluxDB's line protocol to readings of a job.")
    parser.add_argument("--service", default="http://127.0.0.1:8000")
    parser.add_argument("--job", required=True)
    parser.add_argument("--port", type=int, default=8086)
    options = parser.parse_args()
    with Client(options.service, os.environ.get("GATECAST_KEY")) as client:
        bridge(client, options.job, options.port).serve_forever()


if __name__ == "__main__":
    main()
