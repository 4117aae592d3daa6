"""Forecasts in Nixtla's long format."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson
from fastapi import APIRouter, Request, Response

from forecasting.bundle.forecaster import Forecasts
from forecasting.columns import CUTOFF, DS, STEP, UNIQUE_ID, quantile_column
from forecasting.serve.errors import ServiceError
from forecasting.serve.online import forecast
from forecasting.serve.requests import ForecastRequest, asked, parse_json, request_of
from forecasting.serve.slot import Loaded
from forecasting.serve.state import State

__all__ = ["columns_of", "json_body", "origin_of", "router"]

router = APIRouter(prefix="/v1", tags=["forecast"])

_EXAMPLE: Final = {
    "columns": {
        "unique_id": ["a", "a", "a"],
        "ds": ["2026-01-01T00:00:00", "2026-01-01T01:00:00", "2026-01-01T02:00:00"],
        "y": [1.0, 2.0, None],
    },
    "h": 2,
    "level": [80],
}
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": ForecastRequest.model_json_schema(),
                "examples": {"columns": {"value": _EXAMPLE}},
            }
        },
    }
}


@router.post("/forecast", summary="Forecast every series of a table", openapi_extra=_BODY, response_class=Response)
async def post_forecast(request: Request) -> Response:
    """Histories in, quantiles out: from each series' last reading on, with the version that answered."""
    state = State.of(request)
    state.allow(request, "forecast")
    content = request_of(await json_body(request))
    model = state.model(content.name)
    wanted = asked(content, model.forecaster.spec, state.serve)
    columns = columns_of(await forecast(model, wanted))
    answer = {"model": origin_of(model), wanted.shape: columns if wanted.shape == "columns" else _records(columns)}
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


async def json_body(request: Request) -> Any:
    """The JSON of a request; raises ServiceError 415 for another type of content, 400 for broken JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ServiceError(415, "wrong_content_type", "send application/json")
    return parse_json(await request.body())


def origin_of(model: Loaded) -> dict[str, Any]:
    """Who made a forecast; `baseline` is true where no network was better than that."""
    spec = model.forecaster.spec
    return {"name": model.name, "version": model.version, "kind": spec.model, "baseline": spec.baseline}


def columns_of(found: Forecasts) -> dict[str, Any]:
    """One entry per series and step: unique_id, ds, cutoff, step and one column per quantile; stamps are UTC."""
    windows, steps = found.ds.shape
    values = {
        quantile_column(quantile): found.values[:, :, index].ravel().tolist()
        for index, quantile in enumerate(found.quantiles)
    }
    return {
        UNIQUE_ID: np.repeat(found.unique_id, steps).tolist(),
        DS: np.datetime_as_string(found.ds.ravel(), unit="s").tolist(),
        CUTOFF: np.repeat(np.datetime_as_string(found.cutoff, unit="s"), steps).tolist(),
        STEP: list(range(1, steps + 1)) * windows,
        **values,
    }


def _records(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
