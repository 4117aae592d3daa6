"""A file from a person, forecast and forgotten: its columns, its forecast, and alternatives side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import anyio.to_thread
import pandas as pd
from fastapi import APIRouter, Query, Request, Response

from forecasting.bundle.spec import Spec
from forecasting.columns import DS, SCENARIO, UNIQUE_ID, Y
from forecasting.config.settings import ServeSettings
from forecasting.serve.alternatives import answers_of, queries_of
from forecasting.serve.answers import Answer
from forecasting.serve.bodies import content_type, parse_as, parse_json
from forecasting.serve.errors import ServiceError
from forecasting.serve.pages.charts import forecast_chart
from forecasting.serve.pages.render import html
from forecasting.serve.pages.upload import (
    UploadedTables,
    header_of_csv,
    tables_of_csv,
    tables_of_upload,
    wanted_columns,
)
from forecasting.serve.pages.views import side_by_side, table_of
from forecasting.serve.requests import ForecastQuery, ForecastRequest, query_of
from forecasting.serve.slot import Loaded
from forecasting.serve.state import State

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_DRAWN: Final = 6  # series of an uploaded file
_LISTED: Final = 240  # rows of its forecast
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Name = Annotated[str | None, Query(max_length=256)]
# of each wanted column, in their order, its place in the file; nothing between commas where the file lacks it
Columns = Annotated[str | None, Query(max_length=20_000, pattern=r"^\d{0,5}(,\d{0,5})*$")]


@router.post("/upload/columns")
async def map_columns(request: Request, model: Name = None) -> Response:
    """Which column of a CSV file, whose header is the body, stands for which of the model's: a part of the form."""
    loaded = _sender(request, model, "text/csv")
    spec, body = loaded.forecaster.spec, await request.body()
    header, places = await State.of(request).work(lambda: header_of_csv(body, spec), body=body)
    rows = list(zip(wanted_columns(spec), places, strict=True))
    return await html("columns.html", {"header": header, "rows": rows})


@router.post("/upload")
async def forecast_file(
    request: Request, model: Name = None, h: int | None = None, level: float = 80.0, columns: Columns = None
) -> Response:
    """The forecast of a CSV file that is the body: a part of a page, with charts, a table and the numbers as CSV.

    As JSON the body also holds alternatives of what is known ahead, each a name and a CSV text.
    """
    state, loaded = State.of(request), _sender(request, model, "text/csv", "application/json")
    state.admit(loaded)
    spec, body, kind = loaded.forecaster.spec, await request.body(), content_type(request)
    places = None if columns is None else [int(place) if place else None for place in columns.split(",")]

    def read() -> dict[str, ForecastQuery]:
        most = state.serve.max_rows
        if kind == "text/csv":
            content = tables_of_csv(body, spec, most=most, places=places)
        else:
            content = tables_of_upload(parse_as(UploadedTables, parse_json(body)), spec, most=most, places=places)
        return _queries({**content, "h": h, "level": [level]}, spec, state.serve)

    queries = await state.work(read, body=body)
    answers = await answers_of(loaded.answering, queries)
    content = await anyio.to_thread.run_sync(_answer, queries, answers)
    return await html("answer.html", {**content, "loaded": loaded})


def _queries(content: dict[str, Any], spec: Spec, limits: ServeSettings) -> dict[str, ForecastQuery]:
    """The queries of all alternatives by their names; of a file without any, one without a name."""
    request = parse_as(ForecastRequest, content)
    return queries_of(request, spec, limits) if request.scenarios else {"": query_of(request, spec, limits)}


def _sender(request: Request, model: str | None, *kinds: str) -> Loaded:
    """The model that somebody sends a CSV file to, who may; raises ServiceError."""
    state = State.of(request)
    state.allow(request, "forecast")
    if content_type(request) not in kinds:
        raise ServiceError(415, "wrong_content_type", "send a CSV file as text/csv")
    return state.model(request, model)


def _answer(queries: Mapping[str, ForecastQuery], answers: Mapping[str, Answer]) -> dict[str, Any]:
    made = {name: answer.found.table() for name, answer in answers.items()}
    table, readings = next(iter(made.values())), next(iter(queries.values())).readings.table()
    names = list(dict.fromkeys(table[UNIQUE_ID]))
    whole = pd.concat([one.assign(**({SCENARIO: name} if name else {})) for name, one in made.items()])
    columns, rows = (
        side_by_side({name: one.head(_LISTED) for name, one in made.items()}) if "" not in made else _alone(table)
    )
    return {
        "charts": [(name, _chart(readings, made, name)) for name in names[:_DRAWN]],
        "series": len(names),
        "scenarios": [name for name in made if name],
        "columns": columns,
        "rows": rows,
        "total": len(table),
        "csv": _spreadsheet(whole).to_csv(index=False),
        "skipped": list(dict.fromkeys(name for one in answers.values() for name in one.skipped)),
        "warnings": [
            f"{name}: {said.message}" if name else said.message
            for name, one in answers.items()
            for said in one.cautions
        ],
    }


def _alone(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    columns, rows = table_of(table.head(_LISTED))
    return ["Series", *columns], [[name, *row] for name, row in zip(table[UNIQUE_ID].head(_LISTED), rows, strict=True)]


def _chart(readings: pd.DataFrame, made: Mapping[str, pd.DataFrame], series: str) -> dict[str, Any]:
    """One series: the first forecast with its intervals, and the medians of all others."""
    first, *others = {name: table[table[UNIQUE_ID] == series] for name, table in made.items()}.items()
    known = readings[readings[UNIQUE_ID] == series].dropna(subset=[Y]).sort_values(DS)
    return forecast_chart(known, first[1], name=first[0], others=dict(others))


def _spreadsheet(table: pd.DataFrame) -> pd.DataFrame:
    """The same for a program that runs cells which begin like a formula: those get an apostrophe, and stay texts."""
    texts = {name: table[name].astype("str") for name in (UNIQUE_ID, SCENARIO) if name in table}
    return table.assign(**{name: one.where(~one.str.startswith(_FORMULA), "'" + one) for name, one in texts.items()})
