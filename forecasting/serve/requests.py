"""Forecast requests: a document into columns, every violation at once, and never a word of what came."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field

from forecasting.bundle.fast_path import Readings
from forecasting.bundle.spec import Spec, level_quantiles
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.settings import ServeSettings
from forecasting.serve.bodies import Document, few
from forecasting.serve.errors import SHOWN, ServiceError
from forecasting.serve.long_tables import Columns, Known, Records, readings_of, table_of

__all__ = ["SCENARIOS", "ForecastQuery", "ForecastRequest", "Numbers", "Shape", "query_of"]

Shape = Literal["records", "columns"]

SCENARIOS: Final = 20  # alternatives of one request
_KEYS: Final = (UNIQUE_ID, DS)
_LEVELS, _QUANTILES = 20, 50  # of one request
_MOST: Final = 1000  # levels or quantiles that are looked at

Numbers = Annotated[list[float], few(_MOST)]
Scenarios = Annotated[dict[str, Records | Columns], few(SCENARIOS)]


class ForecastRequest(Document):
    """A long table of histories, as records or as columns, or a prompt, and what is wanted of their future."""

    name: str | None = Field(None, description="The model; needed where several are served.")
    records: Records | None = Field(None, description="Rows: unique_id, ds, y and the model's covariates.")
    columns: Columns | None = Field(None, description="The same as columns of one length.")
    future: Records | Columns | None = Field(None, description="Rows without y: what is known ahead.")
    scenarios: Scenarios | None = Field(None, description="In place of future: named alternatives, each a table.")
    h: int | None = Field(None, ge=1, description="Steps, at most the trained horizon; default: all of it.")
    freq: str | None = Field(None, description="Must be the model's own where it is given.")
    level: Numbers | None = Field(None, description="Percent of central intervals, e.g. [80, 95].")
    quantiles: Numbers | None = Field(None, description="Quantiles between 0 and 1, in place of level.")
    answer: Shape | None = Field(None, description="Shape of the answer; default: as asked.")
    prompt: str | None = Field(None, description="Models of symbols: a text to go on from, in place of a history.")
    length: int | None = Field(None, ge=1, description="Symbols that follow the prompt; default: the trained horizon.")
    temperature: float | None = Field(None, ge=0, description="Of the prompt; 0: always the most probable symbol.")
    seed: int | None = Field(None, ge=0, description="Of what is drawn after the prompt.")


class ForecastQuery(NamedTuple):
    """A request that was understood: readings, and rows without y that say what is known ahead."""

    readings: Readings
    steps: int
    quantiles: tuple[float, ...]
    shape: Shape


def query_of(request: ForecastRequest, spec: Spec, limits: ServeSettings) -> ForecastQuery:
    """What a request asks of a model; raises ServiceError 422 that lists every violation."""
    wrong: list[str] = []
    if {"prompt", "length", "temperature", "seed"} & request.model_fields_set:
        wrong.append("length, temperature and seed belong to a prompt, which takes the place of a history")
    if (request.records is None) == (request.columns is None):
        text = "give the history as records or as columns, one of them"
        raise ServiceError(422, "invalid_request", text, wrong)
    known = Known.to_model(spec)
    history = table_of(request.records or request.columns or [], (*_KEYS, Y, *spec.covariates), known, limits, wrong)
    if history is not None and request.future is not None:
        future = table_of(request.future, (*_KEYS, *spec.features.future), known, limits, wrong)
        history = None if future is None else _joined(history, future)
    readings = None if history is None else readings_of(history, known, limits, wrong)
    steps = _steps(request, spec, wrong)
    quantiles = _quantiles(request, spec, wrong)
    if wrong or readings is None:
        raise ServiceError(422, "invalid_request", "the request cannot be answered", wrong[:SHOWN])
    shape: Shape = request.answer or ("records" if request.columns is None else "columns")
    return ForecastQuery(readings, steps, quantiles, shape)


def _joined(history: dict[str, list[Any]], future: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Both tables, one below the other; what one of them lacks is null there."""
    names = dict.fromkeys([*history, *future])
    nothing: list[list[Any]] = [[None] * len(part[DS]) for part in (history, future)]
    return {name: history.get(name, nothing[0]) + future.get(name, nothing[1]) for name in names}


def _steps(request: ForecastRequest, spec: Spec, wrong: list[str]) -> int:
    if request.freq is not None and request.freq != spec.features.freq:
        wrong.append(f"this model forecasts at freq {spec.features.freq}; resample the history")
    if request.h is not None and spec.most_steps is not None and request.h > spec.most_steps:
        wrong.append(f"h is {request.h}, this model forecasts at most {spec.most_steps} steps")
    return request.h or spec.horizon


def _quantiles(request: ForecastRequest, spec: Spec, wrong: list[str]) -> tuple[float, ...]:
    """The quantiles asked for, always with the median; a column is named by six digits, so no more count."""
    if not spec.wanted and (request.level is not None or request.quantiles is not None):
        wrong.append("this model gives symbols with their probabilities: leave out level and quantiles")
    elif request.level is not None and request.quantiles is not None:
        wrong.append("give level or quantiles, not both")
    elif request.level is not None:
        if len(request.level) > _LEVELS or not all(0 < level <= 99.9999 for level in request.level):
            wrong.append("level holds at most 20 numbers above 0, up to 99.9999")
        else:
            bounds = (bound for level in request.level for bound in level_quantiles((level,)))
            return tuple(sorted({0.5, *(round(bound, 6) for bound in bounds)}))
    elif request.quantiles is not None:
        if len(request.quantiles) > _QUANTILES or not all(1e-6 <= level <= 1 - 1e-6 for level in request.quantiles):
            wrong.append("quantiles holds at most 50 numbers between 0.000001 and 0.999999")
        else:
            return tuple(sorted({0.5, *(round(level, 6) for level in request.quantiles)}))
    return spec.wanted
