"""The service as a process: uvicorn, signals, and connections that never say anything."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import ConfigError
from forecasting.serve.access import check_address
from forecasting.serve.app import create_app
from forecasting.serve.logs import configure
from forecasting.serve.state import State

__all__ = ["run"]

_SILENCE: Final = 20.0  # seconds that the head of a request may take
_UNREAD: Final = 30_000  # milliseconds that a client may leave unread what it was sent
_HEAD: Final = 65_536  # bytes that a connection may send without a part of a body among them
_SWITCH: Final = 0.001  # seconds that a thread with work for later may hold up those that answer; Python's own are 5 ms
_DESCRIPTORS, _FILES = 16_384, 512  # at most, and of them for anything but connections
_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def run(settings: Settings, serve: ServeSettings, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT: not ready any more, nothing new accepted, what is under way is answered.

    Raises ConfigError where everybody in the network could ask, and nobody said that they may, and for an address that
    is taken or not of this machine; LockedError where another service takes the readings of a job.
    """
    check_address(host, serve)
    _check_free(host, port)
    configure()
    sys.setswitchinterval(_SWITCH)
    _Patient.most = _room_for_connections()
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")  # MLflow's own default is two minutes
    app = create_app(settings, serve)
    app.state.intakes.check_alone()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Patient,
        ws="none",
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, int(serve.drain_seconds - serve.notice_seconds)),
    )
    server = _Server(config, app, serve.notice_seconds)
    asyncio.Runner(loop_factory=config.get_loop_factory()).run(server.serve())
    logging.shutdown()
    # Not `sys.exit`: that would wait for threads, and one may be waiting for a registry that never answers.
    os._exit(0 if server.started else 3)


def _check_free(host: str, port: int) -> None:
    """Before anything is opened: what takes a minute to start should not fail then."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        hint = (
            "choose another with --port" if error.errno == errno.EADDRINUSE else "choose another with --host or --port"
        )
        raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}; {hint}") from error


def _room_for_connections() -> int:
    """How many connections may be open, so that files can be, too; the soft limit of descriptors is raised first."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit - _FILES, limit // 2)


class _Server(uvicorn.Server):
    """Tells the app that it is leaving, and lets load balancers see that, before anything closes."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, notice: float) -> None:
        super().__init__(config)
        self._app = app
        self._notice = notice

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's names
        """The first signal ends the service in peace, a second one at once; either way the process exits with 0."""
        state: State | None = getattr(self._app.state, "gatecast", None)
        if state is not None:
            state.leaving = True
        self.force_exit = self.should_exit
        self.should_exit = True
        if sig == signal.SIGINT:  # somebody sits there and waits
            self._notice = 0

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go on answering for a moment, then close the doors and wait for what is under way."""
        end = time.monotonic() + self._notice
        while time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


class _Patient(HttpToolsProtocol):
    """Closes connections on which no head of a request arrives in time, or one without an end, or nobody reads.

    Whatever is no part of a body counts as head: lines of chunks and trailers, which nobody asked for and uvicorn would
    keep among the headers.
    """

    most = 1000  # connections at once
    _timer: asyncio.TimerHandle | None = None
    _head = 0  # bytes since the last part of a body

    def connection_made(self, transport: Any) -> None:
        """Start to wait; one connection too many is closed at once."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        connection = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT") and connection is not None and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Count what is no body."""
        if self._head > _HEAD:
            self.transport.write(_TOO_LONG)
            self.transport.close()
            return
        self._head += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A further request on the same connection has to be on time too."""
        self._head = 0
        self._wait()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what belongs to the head; trailers come too late to be one of its lines."""
        if self._timer is not None:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of a body: the size of those is limited elsewhere."""
        self._head = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """It has spoken."""
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(_SILENCE, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
