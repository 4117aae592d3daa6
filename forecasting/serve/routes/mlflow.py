"""MLflow's scoring protocol: what clients of `mlflow models serve` speak."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.settings import ServeSettings
from forecasting.serve.answers import Answer
from forecasting.serve.bodies import Document, content_type, few, lists, parse_as, parse_json
from forecasting.serve.csv_table import numbers_of, read_csv
from forecasting.serve.errors import ServiceError
from forecasting.serve.long_tables import Columns, Records, columns_of_rows
from forecasting.serve.openapi import answer, body, refusals
from forecasting.serve.requests import ForecastQuery, ForecastRequest, Numbers, query_of
from forecasting.serve.responses import columns_of, records_of
from forecasting.serve.state import State

__all__ = ["router"]

router = APIRouter(tags=["MLflow"])

_STAMPS: Final = ["2026-01-01T00:00:00", "2026-01-01T01:00:00"]
_NAMES: Final = ["unique_id", "ds", "y"]
_ROWS: Final = [["a", _STAMPS[0], 1.0], ["a", _STAMPS[1], 2.0]]
_ANSWER: Final = {
    "predictions": [
        {"unique_id": "a", "ds": "2026-01-01T02:00:00", "cutoff": _STAMPS[1], "step": 1, "q0.1": 0.9, "q0.5": 1.6}
    ]
}


class Split(Document):
    """A table as pandas writes it with `orient="split"`."""

    columns: Annotated[list[str], few(10_000)]
    data: Annotated[list[list[Any]], lists]
    index: list[Any] | None = None


class Params(Document):
    """The parameters of the model's signature."""

    levels: Numbers = Field(default_factory=list, description="Percent of central intervals.")


class Invocation(Document):
    """A table in one of MLflow's formats."""

    dataframe_split: Split | None = None
    dataframe_records: Records | None = None
    inputs: Columns | Records | None = None
    instances: Records | None = None
    params: Params | None = None


_INVOKE: Final[dict[str, Any]] = {
    "response_class": Response,
    "openapi_extra": body(
        Invocation,
        split={"dataframe_split": {"columns": _NAMES, "data": _ROWS}, "params": {"levels": [80]}},
        records={"dataframe_records": [dict(zip(_NAMES, row, strict=True)) for row in _ROWS]},
    ),
    "responses": {200: answer(_ANSWER), **refusals(400, 404, 408, 413, 415, 422, 429, 503, 504)},
}
_HEALTH: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": {200: answer("\n"), 503: answer("\n", description="Not ready")},
}


@router.get("/ping", summary="All models are open", **_HEALTH)
@router.get("/health", summary="All models are open, too", **_HEALTH)
async def ping(request: Request) -> Response:
    """200 when requests may be sent here, 503 before and while the service ends."""
    return Response("\n", 200 if State.of(request).ready else 503, media_type="application/json")


@router.get("/version", summary="MLflow's release", response_class=Response, responses={200: answer("3.17.0")})
async def mlflow_version() -> Response:
    """The release of MLflow whose protocol is spoken."""
    return Response(version("mlflow-skinny"), media_type="application/json")


@router.post("/invocations", summary="Forecast with the only model", **_INVOKE)
async def invoke(request: Request) -> Response:
    """What `mlflow models serve` answers for this model; where several are served, see `/invocations/{name}`."""
    return await _invoke(request, None)


@router.post("/invocations/{name}", summary="Forecast with a model", **_INVOKE)
async def invoke_one(request: Request, name: str) -> Response:
    """The same for one of several models."""
    return await _invoke(request, name)


async def _invoke(request: Request, name: str | None) -> Response:
    state = State.of(request)
    state.allow(request, "forecast")
    model = state.model(request, name)
    state.admit(model)
    kind, content, spec = content_type(request), await request.body(), model.forecaster.spec
    query = await state.work(lambda: _query(kind, content, spec, state.serve), body=content)
    answered = await model.answering.forecast(query)
    return Response(await state.write(lambda: _written(answered), answered.found), media_type="application/json")


def _query(kind: str, content: bytes, spec: Spec, limits: ServeSettings) -> ForecastQuery:
    columns, levels = _read(kind, content, spec, limits.max_rows)
    return query_of(ForecastRequest(columns=columns, level=levels or None), spec, limits)


def _written(answered: Answer) -> bytes:
    predictions = records_of(columns_of(answered.found))
    predictions.sort(key=lambda row: row[UNIQUE_ID])  # as the model itself answers; steps stay in order
    warnings = [one.plain() for one in answered.cautions]
    return orjson.dumps({"predictions": predictions, **({"warnings": warnings} if warnings else {})})


def _read(kind: str, content: bytes, spec: Spec, most: int) -> tuple[Columns, list[float]]:
    """The columns that the signature names, MLflow leaves out the rest; and the levels asked for."""
    wanted = (UNIQUE_ID, DS, Y, *spec.covariates)
    if kind == "text/csv":
        return _csv(content, wanted, spec.labels, most), []
    if kind != "application/json":
        raise ServiceError(415, "wrong_content_type", "send application/json or text/csv")
    request = parse_as(Invocation, parse_json(content, nan=True))  # MLflow's client writes NaN for a missing reading
    tables = [request.dataframe_split, request.dataframe_records, request.inputs, request.instances]
    given = [table for table in tables if table is not None]
    if len(given) != 1:
        text = "give the table as dataframe_split, dataframe_records, inputs or instances, one of them"
        raise ServiceError(422, "invalid_request", text)
    return _columns(given[0], wanted, most), request.params.levels if request.params else []


def _columns(table: Split | Records | dict[str, list[Any]], wanted: Sequence[str], most: int) -> dict[str, list[Any]]:
    if isinstance(table, dict):
        return {name: table[name] for name in wanted if name in table}
    _check_rows(len(table.data if isinstance(table, Split) else table), most)
    if isinstance(table, list):
        return columns_of_rows(table, wanted)
    if any(len(row) != len(table.columns) for row in table.data) or len(set(table.columns)) < len(table.columns):
        raise ServiceError(422, "invalid_request", "dataframe_split has one name per column and one value per name")
    places = {name: place for place, name in enumerate(table.columns) if name in wanted}
    return {name: [row[place] for row in table.data] for name, place in places.items()}


def _csv(content: bytes, wanted: Sequence[str], labels: frozenset[str], most: int) -> dict[str, list[Any]]:
    """A table with a header; empty is missing, and everything but labels is a number."""
    try:
        table = read_csv(content, frozenset(wanted), most=most)
        _check_rows(table.rows, most)
        return {name: _values(name, texts, labels) for name, texts in table.columns.items()}
    except (ValueError, csv.Error):
        text = "the body is no CSV with a header: unique_id and ds as texts, everything else as numbers"
        raise ServiceError(400, "invalid_csv", text) from None


def _values(name: str, texts: list[str], labels: frozenset[str]) -> list[Any]:
    """Raises ValueError for a text where a number belongs."""
    if name in (UNIQUE_ID, DS):
        return texts
    if name in labels:
        return [text or None for text in texts]
    numbers, bad = numbers_of(texts)
    if len(bad):
        raise ValueError("texts where numbers belong")
    return numbers


def _check_rows(count: int, most: int) -> None:
    if count > most:
        text = "the request cannot be answered"
        raise ServiceError(422, "invalid_request", text, [f"{count} rows, allowed are {most}"])
