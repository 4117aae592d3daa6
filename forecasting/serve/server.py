"""The service as a process: uvicorn, signals, and connections that never say anything."""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from forecasting.serve.app import create_app
from forecasting.serve.logs import configure
from forecasting.serve.state import State
from forecasting.settings import ServeSettings, Settings

__all__ = ["run"]

_SILENCE: Final = 20.0  # seconds that a new connection may take to send the head of a request


def run(settings: Settings, serve: ServeSettings, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT: not ready any more, nothing new accepted, what is under way is answered."""
    configure()
    app = create_app(settings, serve)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_Patient,
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(serve.drain_seconds),
    )
    _Server(config, app).run()


class _Server(uvicorn.Server):
    """Tells the app that it is leaving before anything closes."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends the service in peace, a second one at once."""
        state: State | None = getattr(self._app.state, "gatecast", None)
        if state is not None:
            state.leaving = True
        super().handle_exit(sig, frame)


class _Patient(HttpToolsProtocol):
    """Closes connections on which no head of a request arrives in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start to wait."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(_SILENCE, transport.close)

    def on_headers_complete(self) -> None:
        """It has spoken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
