"""Column names of the long table and the axis letters of every array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from forecasting.errors import GatecastError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AXES",
    "BASE",
    "CREATED",
    "CUTOFF",
    "DS",
    "HINDCAST",
    "MODEL",
    "PROBABILITY",
    "SCENARIO",
    "STEP",
    "SYMBOL",
    "UNIQUE_ID",
    "UNKNOWN_READ",
    "VERSION",
    "Y",
    "check_axes",
    "column_quantile",
    "interval_columns",
    "median_column",
    "quantile_column",
    "quantile_columns",
    "records",
]

UNIQUE_ID: Final = "unique_id"
DS: Final = "ds"
Y: Final = "y"

CUTOFF: Final = "cutoff"  # the last timestamp a forecast was allowed to see
STEP: Final = "step"  # 1 is the first timestamp after the cutoff
MODEL: Final = "model"
VERSION: Final = "version"  # of the model in the registry
CREATED: Final = "created"  # when the forecast was made, UTC
HINDCAST: Final = "hindcast"  # whether later readings of the series were known when the forecast was made
SCENARIO: Final = "scenario"  # the name of an alternative of what is known ahead
BASE: Final = "base"  # the name of the forecast from the stored values, beside alternatives
SYMBOL: Final = "symbol"  # the forecast symbol, in a job of symbols
PROBABILITY: Final = "probability"  # of that symbol, given all before it
UNKNOWN_READ: Final = "unknown"  # symbols of the context that are not in the vocabulary

# What each axis of a shape such as (B, T, D) counts; a shape names any other axis by a word.
AXES: Final = {
    "A": "quantiles requested",
    "B": "windows or examples of a batch",
    "D": "input features",
    "E": "units of an encoder",
    "F": "features known ahead",
    "G": "paths or continuations drawn",
    "H": "horizon steps",
    "J": "residuals kept for each step",
    "K": "columns of codes",
    "M": "values that a network gives at once: steps times places",
    "N": "series of a panel",
    "P": "parameters of a distribution",
    "Q": "quantiles of a model",
    "R": "rows of a panel, or stamps",
    "S": "static features",
    "T": "context or sequence steps",
    "U": "units of a layer",
    "V": "symbols of the vocabulary",
    "W": "features that a head reads",
    "X": "columns of a grid, or places of a line",
    "Y": "rows of a grid",
}

_QUANTILE: Final = re.compile(r"q\d*\.?\d+(e-\d+)?")


def quantile_column(quantile: float) -> str:
    """The name of the forecast column that holds `quantile`: 0.1 gives `q0.1`."""
    return f"q{quantile:g}"


def quantile_columns(names: Iterable[object]) -> list[str]:
    """The quantile columns among `names`, lowest first."""
    found = (name for name in map(str, names) if _QUANTILE.fullmatch(name))
    return sorted(found, key=column_quantile)


def column_quantile(column: str) -> float:
    """The quantile that a forecast column holds: `q0.1` gives 0.1."""
    return float(column[1:])


def median_column(columns: Sequence[str]) -> str:
    """The quantile column that is drawn as the forecast: 0.5, or the nearest to it."""
    return min(columns, key=lambda column: abs(column_quantile(column) - 0.5))


def interval_columns(columns: Sequence[str]) -> list[tuple[str, str, float]]:
    """The quantile columns, lowest first, in pairs that bound an interval, with its level; widest first."""
    pairs = [(columns[depth], columns[-1 - depth]) for depth in range(len(columns) // 2)]
    return [(low, high, round(100 * (column_quantile(high) - column_quantile(low)), 7)) for low, high in pairs]


def check_axes(array: Any, axes: str, sizes: dict[str, int] | None = None, *, name: str = "array") -> None:
    """Raise GatecastError unless `array` has one dimension per letter of `axes` (see AXES), of the given `sizes`.

    Example: `check_axes(past, "BTD", {"T": 72})`.
    """
    shape: Sequence[int] = array.shape
    known = sizes or {}
    if len(shape) != len(axes) or any(known.get(axis, size) != size for axis, size in zip(axes, shape, strict=True)):
        expected = [str(known.get(axis, axis)) for axis in axes]
        raise GatecastError(f"{name} has shape {tuple(shape)}, expected ({', '.join(expected)})")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON objects: stamps in ISO 8601, values that are not finite as null.

    Numbers have ten significant digits, however small they are.
    """
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", date_format="iso"))
    for name in table.select_dtypes("float"):
        for row, value in zip(rows, table[name].tolist(), strict=True):
            row[str(name)] = float(f"{value:.10g}") if isfinite(value) else None
    return rows
