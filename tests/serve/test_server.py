"""The service as a process: what it loads, how it ends, and connections that hold on to nothing."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import ConfigError
from forecasting.serve import server
from forecasting.serve.access import check_address
from forecasting.serve.keys import new_key
from forecasting.serve.server import _Patient

ROOT = Path(__file__).parents[2]
CLIENTS = 64


def test_the_service_loads_nothing_heavy() -> None:
    """Neither what trains nor what orchestrates, and MLflow's client only when the registry is asked."""
    code = "import forecasting.serve.server, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "jax", "torch", "prefect", "mlflow", "sqlalchemy"}
    heavy |= {"sklearn", "onnx", "plotly", "scipy"}
    assert not heavy & set(done.stdout.split())


def test_sigterm_answers_all_that_is_under_way(
    serving: Any, gatecast: list[str], copied: Path, tmp_path: Path, columns: Callable[..., Any], history: Any
) -> None:
    """64 requests wait in the queue when the signal comes: not ready any more, all answered, then the end, with 0."""
    body = json.dumps({"name": "buoy", "columns": columns(history("a"))}).encode()
    settings = {"GATECAST_SERVE_BATCH_WAIT_MS": "1000", "GATECAST_SERVE_NOTICE_SECONDS": "3"}
    with serving(gatecast, copied, tmp_path / "log", **settings) as served:
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(_post(served.url, body))) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        _until(lambda: _under_way(served.url) > CLIENTS // 4)
        served.process.send_signal(signal.SIGTERM)
        _until(lambda: _status(f"{served.url}/readyz") != 200)
        seen = _status(f"{served.url}/readyz")
        for thread in threads:
            thread.join()
        assert served.process.wait(60) == 0
    assert answers == [200] * CLIENTS
    assert seen == 503
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert not [line for line in lines if line["level"] == "error"]


def _post(url: str, body: bytes) -> int:
    asked = urllib.request.Request(f"{url}/v1/forecast", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def _under_way(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("gatecast_requests_under_way ")))


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


async def _ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with the service's connections, less patient than usual, in a thread of its own."""
    monkeypatch.setattr(server, "_SILENCE", 0.5)
    with listening(_ok) as found:
        yield found


@contextlib.contextmanager
def listening(app: Any) -> Iterator[int]:
    """A server with the service's connections in front of an app, in a thread of its own."""
    config = uvicorn.Config(app, http=_Patient, ws="none", lifespan="off", log_config=None, timeout_keep_alive=30)
    running = uvicorn.Server(config)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(100)
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([bound])))
        thread.start()
        try:
            yield bound.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(30)


def closed_after(port: int, *parts: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        received = b""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
            while found := connection.recv(65536):
                received += found
        return received


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("said", [b"", b"GE", HEAD, HEAD + b"X-Slow: "])
def test_connections_that_do_not_speak_up_are_closed(port: int, said: bytes) -> None:
    """Nothing, or half of a head: there is a time for it."""
    assert closed_after(port, said) == b""


def test_a_second_request_has_to_be_on_time_too(port: int) -> None:
    """The first is answered, then half of another is not waited for any longer."""
    assert closed_after(port, HEAD + b"\r\n", HEAD).startswith(b"HTTP/1.1 200 OK")


def test_heads_have_an_end(port: int) -> None:
    """One that goes on and on is refused; a long body in one piece with its head is none."""
    line = b"X-More: " + b"x" * 1000 + b"\r\n"
    assert b"200 OK" not in closed_after(port, HEAD, *([line] * 400), b"\r\n")  # 431, where the client still reads
    post = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000)
    assert closed_after(port, post).startswith(b"HTTP/1.1 200 OK")


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"
LAST = b"0\r\n"


@pytest.mark.parametrize(
    "piece", [b"X-More: " + b"x" * 1000 + b"\r\n", b"X" * 1000, b"a: b\r\n" * 100], ids=["lines", "one", "many"]
)
def test_trailers_of_a_chunked_body_have_an_end(port: int, piece: bytes) -> None:
    """However they are written, the connection is closed long before the client has sent them all."""
    assert sent_before_close(port, CHUNKED + LAST, piece * 20) < 4_000_000


def test_lines_of_chunks_have_an_end(port: int) -> None:
    """An extension that goes on and on is no body, and no limit of bodies would see it."""
    assert sent_before_close(port, CHUNKED + b"4;", b"x" * 20_000) < 4_000_000


def test_small_chunks_and_their_trailers_are_a_body() -> None:
    """A body in pieces of one byte is answered, whatever a few trailers say."""
    body = b"1\r\nx\r\n" * 100_000 + LAST + b"X-Checksum: 1\r\n\r\n"
    head = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close")
    with listening(_echo) as port:
        assert b"body" + b"x" * 100_000 in closed_after(port, head, body)


def sent_before_close(port: int, begin: bytes, piece: bytes, most: int = 40_000_000) -> int:
    """How many bytes of an endless request the server takes."""
    sent = 0
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # what waits in the kernel was not taken
        connection.sendall(begin)
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def test_trailers_are_no_headers() -> None:
    """What comes behind a body does not become a line of the head, not even for the app that reads it."""
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.append(list(scope["headers"]))
        await _ok(scope, receive, send)

    with listening(app) as port:
        head = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close")
        assert closed_after(port, head, LAST + b"X-API-Key: late\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    assert [name for name, _ in seen[0]] == [b"host", b"connection", b"transfer-encoding"]


def test_one_connection_too_many_is_closed_at_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors are left for files; those who came before are answered."""
    monkeypatch.setattr(_Patient, "most", 2)
    with contextlib.ExitStack() as stack:
        first, second, third = (
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(3)
        )
        with contextlib.suppress(ConnectionError):
            assert third.recv(100) == b""
        for connection in (first, second):
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_mlflow_is_imported_before_anybody_connects(copied: Path) -> None:
    """Even where the service starts from its cache: its first import would fail for good without descriptors."""
    code = """
import asyncio, sys
from forecasting.config.settings import ServeSettings, Settings
from forecasting.serve.app import create_app
async def run():
    app = create_app(Settings(home=sys.argv[1], tracking_uri="http://127.0.0.1:9"), ServeSettings())
    async with app.router.lifespan_context(app):
        print(app.state.gatecast.ready, "mlflow.pyfunc" in sys.modules)
asyncio.run(run())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(copied)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]


def test_a_busy_port_is_one_sentence(gatecast: list[str], tmp_path: Path) -> None:
    """It names address and port and says what to do; the code is that of wrong settings, and nothing was opened."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*gatecast, "serve", "--port", str(port)],
            env={**os.environ, "GATECAST_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
    said = f"error: cannot listen on 127.0.0.1, port {port}: Address already in use; choose another with --port\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "service.example"])
def test_without_keys_nobody_else_is_let_in(host: str) -> None:
    """One sentence, before anything is opened; keys or a word of the operator let it start."""
    key = new_key("a", ["read"]).entry.model_dump(mode="json")
    for settings in (ServeSettings(open=True), ServeSettings(keys=json.dumps([key]))):
        check_address(host, settings)
    with pytest.raises(ConfigError, match=r"make a key .* or let everybody in with --open"):
        check_address(host, ServeSettings())
    with pytest.raises(ConfigError, match="make a key"):
        server.run(Settings(), ServeSettings(), host=host, port=0)
    for loopback in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        check_address(loopback, ServeSettings())


def test_head_is_a_get_without_its_body(client: Any) -> None:
    """The same head."""
    got, head = client.get("/healthz"), client.runner.run(client.web.head("/healthz"))
    assert head.headers["content-length"] == got.headers["content-length"]
