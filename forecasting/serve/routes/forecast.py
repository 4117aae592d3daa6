"""Forecasts in Nixtla's long format."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from forecasting.columns import SCENARIO
from forecasting.serve.alternatives import answers_of, queries_of, scenario_columns
from forecasting.serve.bodies import json_body, parse_as, parse_json
from forecasting.serve.openapi import answer, body, refusals
from forecasting.serve.requests import ForecastRequest, Shape, query_of
from forecasting.serve.responses import columns_of, origin_of, records_of
from forecasting.serve.slot import Loaded
from forecasting.serve.state import State

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["forecast"])

_STAMPS: Final = ["2026-01-01T00:00:00", "2026-01-01T01:00:00", "2026-01-01T02:00:00"]
_COLUMNS: Final = {"columns": {"unique_id": ["a"] * 3, "ds": _STAMPS, "y": [1.0, 2.0, 1.5]}, "h": 2, "level": [80]}
_RECORDS: Final = {
    "records": [{"unique_id": "a", "ds": ds, "y": y} for ds, y in zip(_STAMPS, (1.0, None, 1.5), strict=True)],
    "quantiles": [0.1, 0.9],
}
_ANSWER: Final = {
    "model": {"name": "glucose", "version": 3, "kind": "stacked", "baseline": False, "coverage": {"80": 0.81}},
    "columns": {
        "unique_id": ["a", "a"],
        "ds": ["2026-01-01T03:00:00", "2026-01-01T04:00:00"],
        "cutoff": ["2026-01-01T02:00:00"] * 2,
        "step": [1, 2],
        "q0.1": [0.9, 0.8],
        "q0.5": [1.6, 1.7],
        "q0.9": [2.1, 2.4],
    },
}
_AHEAD: Final = {"unique_id": ["a"] * 2, "ds": ["2026-01-01T03:00:00", "2026-01-01T04:00:00"]}
_SCENARIOS: Final = {
    "name": "sales",
    "columns": {"unique_id": ["a"] * 3, "ds": _STAMPS, "y": [1.0, 2.0, 1.5], "price": [3.0, 2.0, 3.0]},
    "scenarios": {"base": {**_AHEAD, "price": [3.0, 3.0]}, "sale": {**_AHEAD, "price": [2.0, 2.0]}},
    "h": 2,
}
_PROMPT: Final = {"name": "characters", "prompt": "ROMEO:", "length": 100, "temperature": 0.7, "seed": 2}
_BODY: Final = body(ForecastRequest, columns=_COLUMNS, records=_RECORDS, scenarios=_SCENARIOS, prompt=_PROMPT)


@router.post(
    "/forecast",
    summary="Forecast every series of a table",
    openapi_extra=_BODY,
    response_class=Response,
    responses={200: answer(_ANSWER), **refusals(400, 404, 413, 415, 422, 429, 503, 504)},
)
async def post_forecast(request: Request) -> Response:
    """Histories in, quantiles out: from each series' last reading on, with the version that answered.

    With `scenarios` every series is forecast once for each of these alternatives of what is known ahead, and the column
    `scenario` names them. A model of symbols reads labels as `y` and answers the symbols that follow with their
    probabilities, or goes on from a `prompt`: then the answer holds a `continuation` with `text`, `symbols`,
    `probability` and `unknown`.
    """
    state = State.of(request)
    state.allow(request, "forecast")
    sent = await json_body(request)
    content = await state.work(lambda: parse_as(ForecastRequest, parse_json(sent)), body=sent)
    model = state.model(request, content.name)
    if content.prompt is not None:
        continuation = await model.answering.prompt(content)
        text = orjson.dumps({"model": origin_of(model), "continuation": continuation})
        return Response(text, media_type="application/json")
    state.admit(model)
    if content.scenarios is not None:
        return await _alternatives(state, model, content, sent)
    query = await state.work(lambda: query_of(content, model.forecaster.spec, state.serve), body=sent)
    answered = await model.answering.forecast(query)
    warnings = [one.plain() for one in answered.cautions]
    write = partial(_written, model, query.shape, answered.skipped, warnings)
    text = await state.write(lambda: write(columns_of(answered.found)), answered.found)
    return Response(text, media_type="application/json")


async def _alternatives(state: State, model: Loaded, content: ForecastRequest, sent: bytes) -> Response:
    """Forecasts under every alternative as one table."""
    queries = await state.work(lambda: queries_of(content, model.forecaster.spec, state.serve), body=sent)
    answers = await answers_of(model.answering, queries)
    shape = next(iter(queries.values())).shape
    skipped = list(dict.fromkeys(name for one in answers.values() for name in one.skipped))
    warnings = [{SCENARIO: name, **said.plain()} for name, one in answers.items() for said in one.cautions]
    write = partial(_written, model, shape, skipped, warnings)
    text = await state.write(lambda: write(scenario_columns(answers)), *(one.found for one in answers.values()))
    return Response(text, media_type="application/json")


def _written(
    model: Loaded, shape: Shape, skipped: list[str], warnings: list[dict[str, Any]], columns: dict[str, list[Any]]
) -> bytes:
    beside = {"skipped": skipped, "warnings": warnings}
    table = columns if shape == "columns" else records_of(columns)
    return orjson.dumps({"model": origin_of(model), shape: table, **{key: of for key, of in beside.items() if of}})
