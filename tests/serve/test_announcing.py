"""The event of merged readings: none without a server, not every few seconds, and never lost to a server that fails."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from forecasting.serve.announcing import Announcer


class Server(BaseHTTPRequestHandler):
    """A server that keeps what it is sent, and answers what it is told to."""

    status = 204
    got: list[tuple[str, str | None, list[dict[str, Any]]]] = []  # noqa: RUF012 - the class is the server's state

    def do_POST(self) -> None:
        """Take it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).got.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    """The server of PREFECT_API_URL."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{made.server_address[1]}/api/")
    Server.status, Server.got = 204, []
    yield Server
    made.shutdown()
    made.server_close()


def merged(server: type[Server]) -> list[tuple[str, int]]:
    """Which jobs and how many rows it was told of."""
    return [(each["resource"]["prefect.resource.id"], each["payload"]["merged"]) for _, _, [each] in server.got]


def test_rows_of_a_while_are_one_event(server: type[Server]) -> None:
    """The first at once; what comes within the interval waits, for each job by itself."""
    told = Announcer(3600)
    for rows in (5, 1, 0, 2):
        told.merged("meter", rows)
    told.merged("valve", 7)
    assert merged(server) == [("gatecast.job.meter", 5), ("gatecast.job.valve", 7)]
    assert server.got[0][0] == "/api/events"
    assert server.got[0][2][0]["event"] == "gatecast.observations"
    told.rest()
    told.rest()
    assert merged(server)[2:] == [("gatecast.job.meter", 3)]


def test_rows_wait_for_a_server_that_fails(server: type[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused or gone, it is told of them the next time."""
    told = Announcer(1e-9)
    server.status = 503
    told.merged("meter", 5)
    server.status = 204
    told.merged("meter", 0)
    assert merged(server) == [("gatecast.job.meter", 5)] * 2
    address = "http://127.0.0.1:1/api"
    with monkeypatch.context() as patch:
        patch.setenv("PREFECT_API_URL", address)
        told.merged("meter", 1)
    told.merged("meter", 1)
    assert merged(server)[2:] == [("gatecast.job.meter", 2)]


def test_credentials_come_from_prefects_own_variables(server: type[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """A login, or a key; and without a server nothing is sent."""
    for name, value, expected in (
        ("PREFECT_API_AUTH_STRING", "me:pass", "Basic bWU6cGFzcw=="),
        ("PREFECT_API_KEY", "k", "Bearer k"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            Announcer(1).merged("meter", 1)
        assert server.got[-1][1] == expected
    monkeypatch.delenv("PREFECT_API_URL")
    Announcer(1).merged("meter", 1)
    assert len(server.got) == 2
