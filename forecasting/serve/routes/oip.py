"""The Open Inference Protocol, version 2, over HTTP: what clients of KServe and Triton speak."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from forecasting import __version__
from forecasting.config.settings import ServeSettings
from forecasting.serve.bodies import content_type
from forecasting.serve.errors import ServiceError
from forecasting.serve.keys import Scope
from forecasting.serve.openapi import answer as documented
from forecasting.serve.openapi import body, refusals
from forecasting.serve.requests import ForecastQuery, query_of
from forecasting.serve.responses import columns_of, origin_of
from forecasting.serve.slot import Loaded
from forecasting.serve.state import State
from forecasting.serve.tensors import InferRequest, answer, inputs_of, outputs_of, read, request_of

__all__ = ["router"]

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

_HEADER: Final = "Inference-Header-Content-Length"
_STAMPS: Final = ["2026-01-01T00:00:00", "2026-01-01T01:00:00"]
_REQUEST: Final = {
    "id": "42",
    "inputs": [
        {"name": "unique_id", "datatype": "BYTES", "shape": [2], "data": ["a", "a"]},
        {"name": "ds", "datatype": "BYTES", "shape": [2], "data": _STAMPS},
        {"name": "y", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]},
        {"name": "h", "datatype": "INT64", "shape": [1], "data": [1]},
    ],
    "outputs": [{"name": "ds"}, {"name": "q0.5"}],
}
_ANSWER: Final = {
    "model_name": "glucose",
    "model_version": "3",
    "parameters": {"kind": "stacked", "baseline": False},
    "id": "42",
    "outputs": [
        {"name": "ds", "datatype": "BYTES", "shape": [1], "data": ["2026-01-01T02:00:00"]},
        {"name": "q0.5", "datatype": "FP64", "shape": [1], "data": [1.6]},
    ],
}
_METADATA: Final = {
    "name": "glucose",
    "versions": ["3"],
    "platform": "gatecast_onnx",
    "inputs": [{"name": "unique_id", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "q0.5", "datatype": "FP64", "shape": [-1]}],
}
_READY: Final = {"name": "glucose", "ready": True}
_NONE_READY: Final = documented({"error": "not ready"}, description="Not ready")
_REFUSALS: Final = refusals(404, 503, plain=True)
_INFER: Final[dict[str, Any]] = {
    "summary": "Forecast",
    "response_class": Response,
    "openapi_extra": body(InferRequest, plain=_REQUEST),
    "responses": {200: documented(_ANSWER), **refusals(400, 404, 408, 413, 415, 422, 429, 503, 504, plain=True)},
}


@router.get("", summary="The server", responses={200: documented({"name": "gatecast", "version": "1.0"})})
async def server() -> dict[str, Any]:
    """Name, version and the extensions of the protocol that are spoken."""
    return {"name": "gatecast", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", summary="The process lives", responses={200: documented({"live": True})})
async def live() -> dict[str, bool]:
    """200 as long as the process answers."""
    return {"live": True}


@router.get(
    "/health/ready", summary="All models are open", responses={200: documented({"ready": True}), 503: _NONE_READY}
)
async def ready(request: Request) -> dict[str, bool]:
    """200 when requests may be sent here."""
    if not State.of(request).ready:
        raise ServiceError(503, "not_ready", "not every model is open yet, or the service is about to end")
    return {"ready": True}


@router.get("/models/{name}", summary="A model", responses={200: documented(_METADATA), **_REFUSALS})
async def metadata(request: Request, name: str) -> dict[str, Any]:
    """What it reads and gives."""
    return _metadata(_model(request, "read", name))


@router.get(
    "/models/{name}/versions/{version}", summary="A version", responses={200: documented(_METADATA), **_REFUSALS}
)
async def metadata_of_version(request: Request, name: str, version: str) -> dict[str, Any]:
    """The same, where that version is the one that is served."""
    return _metadata(_model(request, "read", name, version))


@router.get("/models/{name}/ready", summary="A model is open", responses={200: documented(_READY), **_REFUSALS})
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """200 when it answers."""
    return {"name": _model(request, "read", name).name, "ready": True}


@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="A version is open",
    responses={200: documented(_READY), **_REFUSALS},
)
async def version_ready(request: Request, name: str, version: str) -> dict[str, Any]:
    """200 when that version is the one that is served."""
    return {"name": _model(request, "read", name, version).name, "ready": True}


@router.post("/models/{name}/infer", **_INFER)
async def infer(request: Request, name: str) -> Response:
    """The columns of a long table as tensors in, the columns of its forecasts out; as JSON or as bytes behind it."""
    return await _infer(request, _model(request, "forecast", name))


@router.post("/models/{name}/versions/{version}/infer", **_INFER)
async def infer_with_version(request: Request, name: str, version: str) -> Response:
    """The same, where that version is the one that is served."""
    return await _infer(request, _model(request, "forecast", name, version))


def _model(request: Request, scope: Scope, name: str, version: str | None = None) -> Loaded:
    state = State.of(request)
    state.allow(request, scope)
    model = state.model(request, name)
    if version not in (None, str(model.version)):
        text = f"that version is not served; served is version {model.version}"
        raise ServiceError(404, "unknown_version", text)
    return model


def _metadata(model: Loaded) -> dict[str, Any]:
    spec = model.forecaster.spec
    tensors = {"inputs": inputs_of(spec), "outputs": outputs_of(spec)}
    return {"name": model.name, "versions": [str(model.version)], "platform": "gatecast_onnx", **tensors}


async def _infer(request: Request, model: Loaded) -> Response:
    if content_type(request) not in ("", "application/json", "application/octet-stream"):
        raise ServiceError(415, "wrong_content_type", "send application/json, or application/octet-stream with bytes")
    state = State.of(request)
    state.admit(model)
    whole, size = await request.body(), request.headers.get(_HEADER)
    content, query = await state.work(lambda: _query(whole, size, model, state.serve), body=whole)
    found, _, cautions = await model.answering.forecast(query)
    origin = origin_of(model)
    said = {"warnings": "; ".join(one.message for one in cautions)} if cautions else {}
    head = {
        "model_name": model.name,
        "model_version": str(model.version),
        "parameters": {"kind": origin["kind"], "baseline": origin["baseline"], **said},
    }
    text, length = await state.write(lambda: answer(content, columns_of(found), head), found)
    if length is None:
        return Response(text, media_type="application/json")
    return Response(text, media_type="application/octet-stream", headers={_HEADER: str(length)})


def _query(whole: bytes, size: str | None, model: Loaded, limits: ServeSettings) -> tuple[InferRequest, ForecastQuery]:
    content, values = read(whole, size, most=limits.max_rows)
    return content, query_of(request_of(content, values, model.name), model.forecaster.spec, limits)
