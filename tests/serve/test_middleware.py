"""The door around every route: limits, slow and vanished clients, headers, request ids, and what the logs hold."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from forecasting.config.settings import ServeSettings
from forecasting.serve.keys import Keys, new_key
from forecasting.serve.logs import configure
from forecasting.serve.metrics import Metrics
from forecasting.serve.middleware import Door

SECRET = "s3cr3t-what-came"
Sent = list[dict[str, Any]]
Parts = AsyncIterator[tuple[bytes, bool]]


async def parts_of(*parts: bytes) -> Parts:
    """A body that arrives at once."""
    for index, part in enumerate(parts):
        yield part, index < len(parts) - 1


async def knock(
    app: Callable[..., Awaitable[None]], parts: Parts, headers: dict[str, str] | None = None, **settings: Any
) -> Sent:
    """What the door around an app sends to a client that sends these parts, and then hangs up or waits."""
    sent: Sent = []
    left = parts

    async def receive() -> dict[str, Any]:
        async for body, more in left:
            return {"type": "http.request", "body": body, "more_body": more}
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    lines = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": lines}
    serve = ServeSettings(**settings)
    await Door(app, serve, Metrics(), Keys(serve))(scope, receive, send)  # type: ignore[arg-type]
    return sent


async def patient(*parts: bytes) -> Parts:
    """A body, and a client that then waits for its answer."""
    async for part in parts_of(*parts):
        yield part
    await asyncio.sleep(60)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(body)})


def outcome(sent: Sent) -> tuple[int, str]:
    """Status, and the code of the error or the body."""
    body = b"".join(message.get("body", b"") for message in sent)
    try:
        return sent[0]["status"], json.loads(body)["error"]["code"]
    except (ValueError, TypeError):
        return sent[0]["status"], body.decode()


def test_a_body_arrives_whole() -> None:
    """In whatever parts it was sent."""
    assert outcome(asyncio.run(knock(echo, patient(b"ab", b"", b"cde")))) == (200, "5")


@pytest.mark.parametrize("declared", [True, False])
def test_a_large_body_is_read_and_dropped(declared: bool) -> None:
    """Declared or streamed: 413, after all of it came, and nothing of it was kept."""
    taken = []

    async def parts() -> Parts:
        for index in range(100):
            taken.append(index)
            yield bytes(100_000), index < 99

    headers = {"content-length": "10000000"} if declared else {}
    sent = asyncio.run(knock(echo, parts(), headers, max_body_mb=1))
    assert outcome(sent) == (413, "too_large")
    assert len(taken) == 100
    assert (b"connection", b"close") in sent[0]["headers"]


def test_who_asks_before_sending_is_told_at_once() -> None:
    """With `Expect: 100-continue` a body that is too large is never read."""

    async def parts() -> Parts:
        pytest.fail("it was asked for")
        yield b"", False

    headers = {"content-length": "10000000", "expect": "100-continue"}
    assert outcome(asyncio.run(knock(echo, parts(), headers, max_body_mb=1))) == (413, "too_large")


@pytest.mark.parametrize(("size", "status"), [(10, 408), (2_000_000, 413)])
def test_a_body_that_drips_is_cut_off(size: int, status: int) -> None:
    """However often a little more of it comes: the time is that of the whole body."""

    async def parts() -> Parts:
        yield bytes(size), True
        while True:
            await asyncio.sleep(0.05)
            yield b".", True

    assert outcome(asyncio.run(knock(echo, parts(), max_body_mb=1, body_seconds=0.5)))[0] == status


def test_bodies_share_the_room_there_is() -> None:
    """A request beyond it is told to come again; the room comes back with every answer."""

    async def run() -> None:
        asked, go = asyncio.Event(), asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            asked.set()
            await go.wait()
            await echo(scope, receive, send)

        serve = ServeSettings(max_bodies_mb=1)
        door = Door(slow, serve, Metrics(), Keys(serve))
        first = asyncio.create_task(_through(door, bytes(600_000)))
        await asked.wait()
        assert outcome(await _through(door, bytes(600_000))) == (503, "overloaded")
        go.set()
        assert outcome(await first) == (200, "600000")
        assert outcome(await _through(door, bytes(1_000_000))) == (200, "1000000")

    asyncio.run(run())


def test_a_body_without_a_key_is_not_read() -> None:
    """Where keys are configured: whoever has none takes up no room, however many of them there are."""
    made = new_key("a", ["read"])

    async def parts() -> Parts:
        pytest.fail("it was read")
        yield b"", False

    keys = json.dumps([made.entry.model_dump(mode="json")])
    for headers in ({}, {"x-api-key": "gc_wrong"}, {"authorization": "Basic abc"}):
        sent = asyncio.run(knock(echo, parts(), headers, keys=keys))
        assert outcome(sent) == (401, "unauthenticated")
        assert (b"connection", b"close") in sent[0]["headers"]
    for headers in ({"x-api-key": made.secret}, {"authorization": f"Bearer {made.secret}"}):
        assert outcome(asyncio.run(knock(echo, patient(b"abc"), headers, keys=keys))) == (200, "3")


def test_one_peer_does_not_take_all_the_room() -> None:
    """Its own share may be used up by bodies that never end; others are answered."""

    async def run() -> None:
        serve = ServeSettings(max_bodies_mb=1, max_peer_mb=0.5)
        door = Door(echo, serve, Metrics(), Keys(serve))
        held = [asyncio.create_task(_through(door, bytes(240_000), more=True)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert outcome(await _through(door, bytes(240_000))) == (503, "overloaded")
        assert outcome(await _through(door, bytes(240_000), peer="192.0.2.2")) == (200, "240000")
        for task in held:
            task.cancel()
        await asyncio.wait(held)
        assert outcome(await _through(door, bytes(240_000))) == (200, "240000")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
    ],
)
def test_without_keys_only_names_of_this_machine_are_answered(client: Any, host: str, status: int) -> None:
    """A page that has pointed its own name at 127.0.0.1 gets nothing, from whatever route."""
    for path in ("/v1/models", "/healthz", "/"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == status
        if status == 421:
            assert answer.json()["error"]["code"] == "unknown_host"


def test_other_names_are_answered_where_that_is_wanted(service: Any, copied: Path, make_keys: Any) -> None:
    """With keys, which such a page does not know; where names are listed, only those, keys or not."""
    keys, _ = make_keys("read")
    for settings, status in (
        ({"keys": keys}, 200),
        ({"open": True}, 200),
        ({"hosts": ("*",)}, 200),
        ({"hosts": ("api.example",)}, 200),
        ({"hosts": ("other.example",)}, 421),
        ({"keys": keys, "hosts": ("other.example",)}, 421),
    ):
        with service(copied, **settings) as client:
            assert client.get("/healthz", headers={"host": "api.example:443"}).status_code == status, settings


async def _through(door: Door, body: bytes, *, more: bool = False, peer: str = "192.0.2.1") -> Sent:
    sent: Sent = []
    left = [{"type": "http.request", "body": body, "more_body": more}]

    async def receive() -> dict[str, Any]:
        return left.pop() if left else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [], "client": (peer, 1)}
    await door(scope, receive, send)  # type: ignore[arg-type]
    return sent


def test_who_hangs_up_is_not_served() -> None:
    """While the body comes or the answer is made: the work is cancelled and nothing is sent."""
    cancelled = []

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def broken() -> Parts:
        yield b"half", True

    assert asyncio.run(knock(endless, broken())) == []
    assert cancelled == []
    assert asyncio.run(knock(endless, parts_of(b"whole"))) == []
    assert cancelled == [True]


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    """504; what the work still sends afterwards reaches nobody."""

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await echo(scope, receive, send)

    sent = asyncio.run(knock(stubborn, patient(b"x"), timeout_seconds=0.2))
    assert [message["type"] for message in sent].count("http.response.start") == 1

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.shield(asyncio.sleep(60))

    assert outcome(asyncio.run(knock(deaf, patient(b"x"), timeout_seconds=0.2))) == (504, "timeout")


def test_a_fault_is_opaque_and_its_log_holds_no_input(caplog: pytest.LogCaptureFixture) -> None:
    """500 with the request's id; the log says where it happened, not what was in it."""

    async def faulty(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError(SECRET)

    sent = asyncio.run(knock(faulty, patient(b"x"), {"x-request-id": "my-id"}))
    assert outcome(sent) == (500, "internal")
    assert SECRET not in str(sent)
    assert "my-id" in str(sent)
    told = "\n".join(str(vars(record)) for record in caplog.records)
    assert "RuntimeError" in told
    assert "test_middleware.py" in told
    assert SECRET not in told


def test_compressed_bodies_are_refused(client: Any) -> None:
    """Before anything is unpacked."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = client.post("/v1/forecast", gzip.compress(bytes(10_000_000)), headers=headers)
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "encoded_body"


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/", "/nowhere", "/v1/models/none/versions"])
def test_every_answer_is_guarded(client: Any, path: str) -> None:
    """Headers that a browser obeys, on answers and refusals; no page of another host may read them."""
    response = client.get(path, headers={"Origin": "https://elsewhere.example"})
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert "no-store" in headers["cache-control"]
    assert not [name for name in headers if name.startswith("access-control")]
    assert "server" not in headers


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("ä", False)])
def test_a_request_has_an_id(client: Any, given: str, kept: bool) -> None:
    """The client's own where it is harmless, else a new one."""
    found = client.get("/healthz", headers={"X-Request-ID": given.encode()}).headers["x-request-id"]
    assert (found == given) == kept
    assert len(found) in (len("abc-1.2_3"), 32)


def test_other_methods_are_answered_sanely(client: Any) -> None:
    """HEAD is a GET; OPTIONS and the wrong ones are told which are right."""
    head = client.runner.run(client.web.head("/healthz"))
    assert head.status_code == 200
    for method in ("OPTIONS", "PUT", "DELETE"):
        refused = client.runner.run(client.web.request(method, "/v1/forecast"))
        assert refused.status_code == 405
        assert refused.headers["allow"] == "POST"
        assert refused.json()["error"]["code"] == "wrong_method"


def test_named_origins_may_call(service: Any, copied: Path) -> None:
    """Only those, with a key if they have one."""
    with service(copied, origins=("https://app.example",)) as client:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        for origin, allowed in (("https://app.example", True), ("https://evil.example", False)):
            preflight = client.runner.run(client.web.options("/v1/forecast", headers={"Origin": origin, **asked}))
            assert (preflight.headers.get("access-control-allow-origin") == origin) == allowed
            assert (preflight.status_code == 200) == allowed


def test_logs_are_lines_of_json_without_input(
    client: Any, capfd: pytest.CaptureFixture[str], columns: Callable[..., Any], history: Callable[..., Any]
) -> None:
    """One a request: route, status, time and id; nothing that a client sent, made up or asked for."""
    loggers = [logging.getLogger(name) for name in (None, "gatecast", "uvicorn")]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    try:
        configure()
        client.post("/v1/forecast", {"name": "buoy", "columns": columns(history(SECRET))})
        client.get(f"/{SECRET}?key={SECRET}", headers={"Authorization": f"Bearer {SECRET}", "Cookie": SECRET})
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        client.get("/healthz", headers={"traceparent": trace})
        client.get("/healthz", headers={"traceparent": f"{trace}-{SECRET}"})
        logging.getLogger("elsewhere").warning("heard")
    finally:
        for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
    lines = capfd.readouterr().err.splitlines()
    told = [json.loads(line) for line in lines]
    requests = [line for line in told if line["logger"] == "gatecast.access"]
    seen = [(line["route"], line["status"]) for line in requests]
    assert seen == [("/v1/forecast", 200), ("other", 404), ("/healthz", 200), ("/healthz", 200)]
    assert [line.get("trace_id") for line in requests] == [None, None, "0af7651916cd43dd8448eb211c80319c", None]
    assert requests[2]["parent_id"] == "b7ad6b7169203331"
    assert {line["address"] for line in requests} == {"127.0.0.1"}
    assert all(line["ms"] > 0 and len(line["request_id"]) == 32 for line in requests)
    assert [line["message"] for line in told if line["logger"] == "elsewhere"] == ["heard"]
    assert SECRET not in "\n".join(lines)
