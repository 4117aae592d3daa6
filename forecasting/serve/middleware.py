"""The middleware around every route: access, limits, request ids, headers, logs; cancels work when a client leaves."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forecasting.config.settings import ServeSettings
from forecasting.serve.access import Access, Room
from forecasting.serve.errors import CLOSE, ServiceError
from forecasting.serve.keys import Keys
from forecasting.serve.logs import where
from forecasting.serve.metrics import Metrics

__all__ = ["Door"]

log = logging.getLogger("gatecast.access")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_SECOND: Final = 1.0  # for cancelled work to end
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline';"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
}


class Door:
    """Reads the body within its limits, gives the request an id, and turns what goes wrong into one error.

    While an answer is made the connection is watched: when the client hangs up, the work for it is cancelled.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, keys: Keys) -> None:
        self.app = app
        self._settings = settings
        self._metrics = metrics
        self._most = int(settings.max_body_mb * 1e6)
        self._access = Access(settings, keys)
        self._room = Room(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, request_id = time.perf_counter(), _request_id(scope)
        if scope["method"] == "HEAD":  # is a GET of which only the head is sent
            scope = {**scope, "method": "GET"}
        answer, body = _Answer(send, request_id, scope["path"]), bytearray()
        headers, peer = Headers(scope=scope), _peer(scope)
        self._metrics.under_way.inc()
        try:
            self._access.check(scope, headers)
            await self._read(headers, receive, body, peer)
            await self._serve(scope, bytes(body), receive, answer)
        except ServiceError as error:
            await answer.error(error)
        except ClientGoneError:
            answer.status = 499
        except Exception as error:  # noqa: BLE001 - the last place where one answer can be made of it
            log.error("request failed", extra={"request_id": request_id, **where(error)})
            text = "something went wrong inside the service; its log says what, under the request id"
            await answer.error(ServiceError(500, "internal", text, [request_id]))
        finally:
            self._room.give(len(body), peer)
            self._metrics.under_way.dec()
            self._note(scope, answer, time.perf_counter() - begin, request_id)

    async def _read(self, headers: Headers, receive: Receive, body: bytearray, peer: str) -> None:
        """Fill `body` within its limits of size and time, and take its size from the room there is."""
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise ServiceError(415, "encoded_body", "send the body as it is, without Content-Encoding")
        length, waits = headers.get("content-length", "0"), "expect" in headers
        large = length.isdigit() and int(length) > self._most
        if large and waits:  # for a word before it sends anything
            raise self._too_large()
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                more = True
                while more:
                    part, more = await _part(receive)
                    large = large or len(body) + len(part) > self._most
                    if not large:  # what is too large is read and dropped: many clients listen only when all is sent
                        self._room.take(len(part), peer)
                        body += part
        except TimeoutError:
            if not large:
                raise ServiceError(408, "slow_body", "the body did not arrive in time", headers=CLOSE) from None
        if large:
            raise self._too_large()

    def _too_large(self) -> ServiceError:
        text = f"the body is larger than {self._settings.max_body_mb:g} MB; ask for fewer series at once"
        return ServiceError(413, "too_large", text, headers=CLOSE)

    async def _serve(self, scope: Scope, body: bytes, receive: Receive, answer: _Answer) -> None:
        """The app's answer to a body that was read, unless the client hangs up or time is up."""
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        replay = _replay(body, gone)
        work: asyncio.Task[None] = asyncio.create_task(self.app(scope, replay, answer))  # type: ignore[arg-type]
        watch = asyncio.create_task(_hang_up(receive))
        try:
            await asyncio.wait(
                {work, watch}, timeout=self._settings.timeout_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if work.done():
                work.result()
            elif watch.done():
                raise ClientGoneError
            else:
                raise ServiceError(504, "timeout", f"no answer within {self._settings.timeout_seconds:g} s")
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.wait({work, watch}, timeout=_SECOND)  # what a thread does meanwhile is not waited for
            gone.cancel()
            if work.done() and not work.cancelled():
                work.exception()  # it is not news: it was raised above, or nobody is there to hear it

    def _note(self, scope: Scope, answer: _Answer, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "other")  # a path that a client made up is no label
        self._metrics.requests.labels(route, str(answer.status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        log.info(
            "request",
            extra={
                "request_id": request_id,
                "method": scope["method"],
                "route": route,
                "status": answer.status,
                "ms": round(1000 * seconds, 2),
                "key": scope["state"].get("key"),
                "address": _peer(scope),
                **_trace(Headers(scope=scope)),
            },
        )


class ClientGoneError(Exception):
    """The client hung up."""


class _Answer:
    """The way out: adds the headers of every answer, and sends nothing twice."""

    def __init__(self, send: Send, request_id: str, path: str) -> None:
        self._send = send
        self._request_id = request_id
        self._path = path
        self._over = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if self._over:  # work that was given up, and goes on
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

    async def error(self, error: ServiceError) -> None:
        """Answer with an error, unless an answer has begun; nothing is sent after that."""
        if not self.status:
            await error.response(self._path)({"type": "http"}, _nothing, self)
        self._over = True


def _peer(scope: Scope) -> str:
    """The address that a request came from; none where the server does not say."""
    address: str = (scope.get("client") or ("",))[0]
    return address


def _request_id(scope: Scope) -> str:
    """The client's own id where it is a plain one, else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    found: str = given if _ID.fullmatch(given) else uuid.uuid4().hex
    scope.setdefault("state", {})["request_id"] = found
    return found


def _trace(headers: Headers) -> dict[str, str]:
    """The trace that a request belongs to, by W3C's traceparent; nothing where it carries none."""
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return {"trace_id": found[1], "parent_id": found[2]} if found else {}


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _part(receive: Receive) -> tuple[bytes, bool]:
    """The next part of a body, and whether more follow; raises ClientGoneError."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message.get("body", b""), message.get("more_body", False)


def _replay(body: bytes, gone: asyncio.Future[None]) -> Receive:
    """A `receive` that gives the body once and then waits."""
    left = [body]

    async def receive() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        await gone
        return {"type": "http.disconnect"}

    return receive


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
