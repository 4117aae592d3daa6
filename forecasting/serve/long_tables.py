"""Long tables as clients send them: records or columns into readings, every violation at once, no echo of what came."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.fast_path import Readings
from forecasting.bundle.spec import Spec
from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.config.settings import ServeSettings
from forecasting.series.frequency import EARLIEST, LATEST, is_calendar
from forecasting.serve.bodies import lists, rows
from forecasting.serve.errors import SHOWN

__all__ = ["Columns", "Known", "Records", "columns_of_rows", "readings_of", "table_of", "unknown"]

Columns = Annotated[dict[str, list[Any]], lists]
Records = Annotated[list[dict[str, Any]], rows]

_KEYS: Final = (UNIQUE_ID, DS)
_STAMP: Final = 40  # characters
_LOCAL: Final = re.compile(r"\d{4,6}(?:-\d\d(?:-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.\d{1,6})?)?)?)?)?)?", re.ASCII)


class Known(NamedTuple):
    """What a long table may hold beside unique_id, ds, and y, which columns are labels, and the step of its stamps."""

    covariates: tuple[str, ...]
    labels: frozenset[str]
    freq: str

    @classmethod
    def to_model(cls, spec: Spec) -> Known:
        """What a model reads."""
        return cls(spec.covariates, spec.labels, spec.features.freq)

    @classmethod
    def to_job(cls, series: Series) -> Known:
        """What a job reads."""
        return cls((*series.past, *series.future, *series.static), frozenset(series.categorical), series.freq)


def columns_of_rows(table: list[dict[str, Any]], wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Those of the wanted columns that any row names; what a row lacks is null."""
    present = [name for name in wanted if any(name in row for row in table)]
    return {name: [row.get(name) for row in table] for name in present}


def unknown(names: Iterable[str], covariates: Sequence[str]) -> list[str]:
    """The violation where some of these columns are none of the model's; it counts no more than a few."""
    read = [*_KEYS, Y, *covariates]
    known, strangers = set(read), set[str]()
    for name in names:
        if name not in known:
            strangers.add(name)
            if len(strangers) > SHOWN:
                return [f"more than {SHOWN} columns are unknown to this model; it reads {', '.join(read)}"]
    if not strangers:
        return []
    return [f"{len(strangers)} column(s) are unknown to this model; it reads {', '.join(read)}"]


def table_of(
    table: list[dict[str, Any]] | dict[str, list[Any]],
    needed: Sequence[str],
    wanted: Known,
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
        faults = unknown((name for row in table for name in row), wanted.covariates)
        columns = columns_of_rows(table, (*_KEYS, Y, *wanted.covariates))
    else:
        faults, columns = unknown(table, wanted.covariates), table
    faults = [*(f"column {name} is missing" for name in needed if name not in columns), *faults]
    if len({len(values) for values in columns.values()}) > 1:
        faults.append("the columns have different lengths")
    wrong += faults
    return None if faults else dict(columns)


def readings_of(
    columns: dict[str, list[Any]], wanted: Known, limits: ServeSettings, wrong: list[str]
) -> Readings | None:
    """Columns of one length as readings; none where something is wrong, which joins the list."""
    before = len(wrong)
    if len(columns[DS]) > limits.max_rows:
        wrong.append(f"{len(columns[DS])} rows, allowed are {limits.max_rows}")
        return None
    ids = columns[UNIQUE_ID]
    if not all(type(value) is str and 0 < len(value) <= 256 for value in ids):
        wrong.append("unique_id must hold texts of 1 to 256 characters")
    elif len(set(ids)) > limits.max_series:
        wrong.append(f"{len(set(ids))} series, allowed are {limits.max_series}")
    ds = _stamps(columns[DS], wrong, dates=is_calendar(wanted.freq))
    values = {
        name: _labels(name, column, wrong) if name in wanted.labels else _numbers(name, column, wrong)
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
        if not all(_LOCAL.fullmatch(value) for value in values):  # NumPy knows no offsets, and takes blanks for nothing
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
