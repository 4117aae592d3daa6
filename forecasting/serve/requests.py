"""Forecast requests: a document into columns, every violation at once, and never a word of what came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from forecasting.bundle.fast_path import Readings
from forecasting.bundle.spec import Spec, level_quantiles
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.settings import ServeSettings
from forecasting.series.frequency import EARLIEST, LATEST, is_calendar
from forecasting.serve.bodies import Document, few, lists, rows
from forecasting.serve.errors import SHOWN, ServiceError

__all__ = [
    "Columns",
    "ForecastQuery",
    "ForecastRequest",
    "Numbers",
    "Records",
    "Shape",
    "columns_of_rows",
    "query_of",
    "unknown",
]

Columns = Annotated[dict[str, list[Any]], lists]
Records = Annotated[list[dict[str, Any]], rows]
Shape = Literal["records", "columns"]

_KEYS: Final = (UNIQUE_ID, DS)
_LEVELS, _QUANTILES = 20, 50  # of one request
_STAMP: Final = 40  # characters
_MOST: Final = 1000  # levels or quantiles that are looked at

Numbers = Annotated[list[float], few(_MOST)]


class ForecastRequest(Document):
    """A long table of histories, as records or as columns, or a prompt, and what is wanted of their future."""

    name: str | None = Field(None, description="The model; needed where several are served.")
    records: Records | None = Field(None, description="Rows: unique_id, ds, y and the model's covariates.")
    columns: Columns | None = Field(None, description="The same as columns of one length.")
    future: Records | Columns | None = Field(None, description="Rows without y: what is known ahead.")
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
    history = _table(request.records or request.columns or [], (*_KEYS, Y, *spec.covariates), spec, limits, wrong)
    if history is not None and request.future is not None:
        future = _table(request.future, (*_KEYS, *spec.features.future), spec, limits, wrong)
        history = None if future is None else _joined(history, future)
    readings = None if history is None else _readings(history, spec, limits, wrong)
    steps = _steps(request, spec, wrong)
    quantiles = _quantiles(request, spec, wrong)
    if wrong or readings is None:
        raise ServiceError(422, "invalid_request", "the request cannot be answered", wrong[:SHOWN])
    shape: Shape = request.answer or ("records" if request.columns is None else "columns")
    return ForecastQuery(readings, steps, quantiles, shape)


def columns_of_rows(table: list[dict[str, Any]], wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Those of the wanted columns that any row names; what a row lacks is null."""
    present = [name for name in wanted if any(name in row for row in table)]
    return {name: [row.get(name) for row in table] for name in present}


def unknown(names: Iterable[str], spec: Spec) -> list[str]:
    """The violation where some of these columns are none of the model's; it counts no more than a few."""
    read = [*_KEYS, Y, *spec.covariates]
    known, strangers = set(read), set[str]()
    for name in names:
        if name not in known:
            strangers.add(name)
            if len(strangers) > SHOWN:
                return [f"more than {SHOWN} columns are unknown to this model; it reads {', '.join(read)}"]
    if not strangers:
        return []
    return [f"{len(strangers)} column(s) are unknown to this model; it reads {', '.join(read)}"]


def _table(
    table: list[dict[str, Any]] | dict[str, list[Any]],
    needed: Sequence[str],
    spec: Spec,
    limits: ServeSettings,
    wrong: list[str],
) -> dict[str, list[Any]] | None:
    """A table as columns of one length, with all that are needed and none that the model does not read."""
    length = len(table) if isinstance(table, list) else max(map(len, table.values()), default=0)
    if not table or not length:
        wrong.append("there are no rows")
        return None
    if length > limits.max_rows:  # before anything is built from them
        wrong.append(f"{length} rows, allowed are {limits.max_rows}")
        return None
    if isinstance(table, list):
        faults = unknown((name for row in table for name in row), spec)
        columns = columns_of_rows(table, (*_KEYS, Y, *spec.covariates))
    else:
        faults, columns = unknown(table, spec), table
    faults = [*(f"column {name} is missing" for name in needed if name not in columns), *faults]
    if len({len(values) for values in columns.values()}) > 1:
        faults.append("the columns have different lengths")
    wrong += faults
    return None if faults else dict(columns)


def _joined(history: dict[str, list[Any]], future: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Both tables, one below the other; what one of them lacks is null there."""
    names = dict.fromkeys([*history, *future])
    nothing: list[list[Any]] = [[None] * len(part[DS]) for part in (history, future)]
    return {name: history.get(name, nothing[0]) + future.get(name, nothing[1]) for name in names}


def _readings(columns: dict[str, list[Any]], spec: Spec, limits: ServeSettings, wrong: list[str]) -> Readings | None:
    before = len(wrong)
    if len(columns[DS]) > limits.max_rows:
        wrong.append(f"{len(columns[DS])} rows, allowed are {limits.max_rows}")
        return None
    ids = columns[UNIQUE_ID]
    if not all(type(value) is str and 0 < len(value) <= 256 for value in ids):
        wrong.append("unique_id must hold texts of 1 to 256 characters")
    elif len(set(ids)) > limits.max_series:
        wrong.append(f"{len(set(ids))} series, allowed are {limits.max_series}")
    ds = _stamps(columns[DS], wrong, dates=is_calendar(spec.features.freq))
    values = {
        name: _labels(name, column, wrong) if name in spec.labels else _numbers(name, column, wrong)
        for name, column in columns.items()
        if name not in _KEYS
    }
    read = {name: column for name, column in values.items() if column is not None}
    if len(wrong) > before or ds is None:
        return None
    return Readings(ids, ds, read.pop(Y), read)


def _stamps(values: list[Any], wrong: list[str], *, dates: bool) -> np.ndarray | None:
    """ISO 8601 texts as UTC stamps (rows,) datetime64[us]; an offset is honoured, none means UTC.

    Of `dates`, the steps of a day or longer, an offset moves none: they are known by what is written.
    """
    if not all(
        type(value) is str and value[:4].isdigit() and len(value) <= _STAMP for value in values
    ):  # NumPy also knows "now"
        wrong.append("ds must hold texts in ISO 8601, e.g. 2026-01-31T14:00:00")
        return None
    try:
        if any(value[-1:] in "Zz" or "+" in value or "-" in value[10:] for value in values):  # NumPy knows no offsets
            parsed = pd.to_datetime(values, utc=True, format="ISO8601").tz_localize(None)
            if dates:
                parsed = pd.DatetimeIndex([datetime.fromisoformat(value).replace(tzinfo=None) for value in values])
        else:
            parsed = pd.DatetimeIndex(np.array(values, dtype="datetime64[us]"))
        stamps = np.asarray(parsed.to_numpy(), dtype="datetime64[us]")
    except (ValueError, OverflowError):
        wrong.append("ds holds texts that are no stamps in ISO 8601, e.g. 2026-01-31T14:00:00")
        return None
    if np.isnat(stamps).any() or (stamps < EARLIEST).any() or (stamps > LATEST).any():
        wrong.append("ds holds stamps that are empty or outside the years 1700 to 2250")
        return None
    return stamps


def _numbers(name: str, values: list[Any], wrong: list[str]) -> np.ndarray | None:
    """Numbers and nulls (rows,) as float64 with NaN."""
    kinds = set(map(type, values))
    if not kinds <= {float, int, type(None)}:
        wrong.append(f"{name} must hold numbers or null")
        return None
    try:
        array = np.array(values, dtype=np.float64)  # null becomes NaN
    except OverflowError:
        array = np.array([np.inf])
    if np.isinf(array).any():
        wrong.append(f"{name} holds numbers too large for a 64-bit float")
        return None
    return array


def _labels(name: str, values: list[Any], wrong: list[str]) -> np.ndarray | None:
    if not set(map(type, values)) <= {str, type(None)}:
        wrong.append(f"{name} must hold texts or null")
        return None
    return np.asarray(pd.array(values, dtype="str"))


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
