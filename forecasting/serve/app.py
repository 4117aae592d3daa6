"""The forecast service as an ASGI app: nothing is opened before it starts, everything is closed when it ends."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import StorageError
from forecasting.serve.catalog import Catalog, configured
from forecasting.serve.errors import ServiceError
from forecasting.serve.intake import Intakes
from forecasting.serve.job_metrics import JobMetrics
from forecasting.serve.keys import Keys
from forecasting.serve.metrics import Metrics
from forecasting.serve.middleware import Door
from forecasting.serve.routes import forecast, health, mlflow, models, oip, pages, readings, upload, vintages
from forecasting.serve.state import State
from forecasting.storage.store import Store

__all__ = ["create_app"]

log = logging.getLogger("gatecast.serve")


def create_app(settings: Settings, serve: ServeSettings) -> FastAPI:
    """The app for these settings; models are opened when it starts. Raises ConfigError for what cannot be used."""
    metrics, keys = Metrics(), Keys(serve)
    intakes = Intakes(settings, serve, metrics)
    configured(serve.names)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = State(settings, serve, Catalog(settings, serve, metrics), keys, metrics, intakes)
        app.state.gatecast = state
        await intakes.start()
        await state.catalog.start()
        jobs = JobMetrics(Store(settings.home), metrics.registry)
        jobs.start(lambda: [slot.name for slot in state.catalog])
        yield
        state.leaving = True
        jobs.stop()
        await state.catalog.stop()
        await intakes.stop()

    app = FastAPI(
        title="Gatecast",
        summary="Forecasts with recurrent networks",
        version=importlib.metadata.version("gatecast"),
        lifespan=lifespan,
        docs_url=None,  # its pages would come from another host
        redoc_url=None,
    )
    app.state.intakes = intakes
    for routes in (forecast, oip, mlflow, models, vintages, readings, health, pages, upload):
        app.include_router(routes.router)
    app.exception_handler(ServiceError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(StorageError)(_damaged)
    app.exception_handler(HTTPException)(_http)
    if serve.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(serve.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Door, settings=serve, metrics=metrics, keys=keys)
    return app


async def _refused(request: Request, error: ServiceError) -> Response:
    return error.response(request.scope["path"])


async def _damaged(request: Request, error: StorageError) -> Response:
    """A table of the home that cannot be read: the sentence is for the log, its path for nobody else."""
    log.error("table damaged", extra={"reason": str(error)})
    text = "a stored table of this model is damaged; the log of the service says which"
    refusal = ServiceError(503, "damaged_table", text)
    return refusal.response(request.scope["path"])


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    """A parameter of a path or a query that cannot be read."""
    details = [
        f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}" for item in error.errors()
    ]
    return await _told(request, ServiceError(422, "invalid_request", "the request cannot be understood", details))


async def _http(request: Request, error: HTTPException) -> Response:
    codes = {404: ("not_found", "there is nothing under this address"), 405: ("wrong_method", "method not allowed")}
    code, text = codes.get(error.status_code, ("refused", "the request was refused"))
    return await _told(request, ServiceError(error.status_code, code, text, headers=dict(error.headers or {})))


async def _told(request: Request, error: ServiceError) -> Response:
    """The error as a page where a person looks for one, else as JSON."""
    path: str = request.scope["path"]
    if "text/html" in request.headers.get("accept", "") and not path.startswith(("/v1/", "/v2/")):
        return await pages.refused(error)
    return error.response(path)
