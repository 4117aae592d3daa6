"""The door of the service, around every route: limits, request ids, headers, logs, and who hangs up is not served."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forecasting.serve.errors import ServiceError
from forecasting.serve.metrics import Metrics
from forecasting.settings import ServeSettings

__all__ = ["Door"]

log = logging.getLogger("gatecast.access")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BODY_SECONDS: Final = 20.0
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

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics) -> None:
        self.app = app
        self._settings = settings
        self._metrics = metrics
        self._most = int(settings.max_body_mb * 1e6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, headers = time.perf_counter(), Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = scope.setdefault("state", {})["request_id"] = given if _ID.fullmatch(given) else uuid.uuid4().hex
        answer = _Answer(send, request_id, scope["path"])
        self._metrics.under_way.inc()
        try:
            body = await self._body(headers, receive)
            await self._serve(scope, body, receive, answer)
        except ServiceError as error:
            await answer.error(error)
        except ClientGoneError:
            answer.status = 499
        except Exception:
            log.exception("request failed", extra={"request_id": request_id})
            text = "something went wrong inside the service; its log says what, under the request id"
            await answer.error(ServiceError(500, "internal", text, [request_id]))
        finally:
            self._metrics.under_way.dec()
            self._note(scope, answer, time.perf_counter() - begin, request_id)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise ServiceError(415, "encoded_body", "send the body as it is, without Content-Encoding")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._most:
            raise self._too_large()
        parts, size = [], 0
        while True:
            try:
                message = await asyncio.wait_for(receive(), _BODY_SECONDS)
            except TimeoutError:
                raise ServiceError(408, "slow_body", "the body did not arrive in time") from None
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> ServiceError:
        text = f"the body is larger than {self._settings.max_body_mb:g} MB; ask for fewer series at once"
        return ServiceError(413, "too_large", text, headers={"Connection": "close"})

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
            await asyncio.gather(work, watch, return_exceptions=True)
            gone.cancel()

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
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

    async def error(self, error: ServiceError) -> None:
        """Answer with an error, unless an answer has begun."""
        if self.status:
            return
        response = error.response(self._path)
        await response({"type": "http"}, _nothing, self)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


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
