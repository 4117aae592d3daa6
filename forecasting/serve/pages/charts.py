"""What charts show, as plain data; the browser chooses the colors, for light or dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.columns import CUTOFF, DS, Y, interval_columns, median_column, quantile_columns
from forecasting.series.excerpt import around, broken_at_gaps, latest

__all__ = ["forecast_chart", "intervals", "line_chart", "quantile_names"]


def quantile_names(forecast: pd.DataFrame) -> list[str]:
    """The columns `q…` that hold a forecast, lowest first; another version may have had other ones."""
    return [name for name in quantile_columns(forecast.columns) if forecast[name].notna().all()]


def intervals(names: list[str]) -> list[tuple[str, str, str]]:
    """Pairs of columns that bound an interval, widest first, and what it is called."""
    return [(low, high, f"{level:.4g}% interval") for low, high, level in interval_columns(names)]


def forecast_chart(
    readings: pd.DataFrame,
    forecast: pd.DataFrame,
    *,
    events: pd.DataFrame | None = None,
    name: str = "",
    others: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, Any]:
    """One series: the readings before the cutoff, those that came after it, median and intervals.

    The readings of unusual `events` are marked. `others` are alternatives by their names, of which the medians are
    drawn beside the forecast, which is `name`.
    """
    if forecast.empty:
        known = latest(readings)
        empty: dict[str, Any] = {"came": None, "bands": [], "median": None, "others": []}
        drawn = {"history": _line(broken_at_gaps(known), Y), "unusual": _unusual(known, events)}
        return {"kind": "forecast", "name": name, **drawn, **empty}
    cutoff, names, shown = forecast[CUTOFF].iloc[0], quantile_names(forecast), around(readings, forecast)
    before, came = shown[shown[DS] <= cutoff], shown[shown[DS] >= cutoff]
    bands = [
        {"name": label, "x": _texts(forecast[DS]), "low": _numbers(forecast[low]), "high": _numbers(forecast[high])}
        for low, high, label in intervals(names)
    ]
    return {
        "kind": "forecast",
        "history": _line(broken_at_gaps(before), Y),
        "came": _line(came, Y) if len(came) > 1 else None,
        "unusual": _unusual(shown, events),
        "bands": bands,
        "median": _line(forecast, median_column(names)),
        "cutoff": _texts([cutoff])[0],
        "name": name,
        "others": [
            {"name": other, **_line(table, median_column(quantile_names(table)))}
            for other, table in (others or {}).items()
            if len(table)
        ],
    }


def line_chart(
    x: pd.Series,
    values: pd.Series,
    name: str,
    *,
    share: bool = False,
    promised: float | None = None,
    title: str = "",
    marks: Sequence[str] = (),
) -> dict[str, Any]:
    """One line over days or steps; `share` is drawn in percent, `promised` as a line across.

    `marks` are words at each point, or empty where it is not marked.
    """
    across = _texts(x) if pd.api.types.is_datetime64_any_dtype(x) else _numbers(x)
    return {
        "kind": "line",
        "x": across,
        "y": _numbers(values),
        "name": name,
        "share": share,
        "promised": promised,
        "title": title,
        "marks": list(marks),
    }


def _unusual(readings: pd.DataFrame, events: pd.DataFrame | None) -> dict[str, Any] | None:
    """The readings within unusual events; None where there are none."""
    if events is None:
        return None
    within = np.zeros(len(readings), dtype=bool)
    for start, end in events[["start", "end"]].itertuples(index=False):
        within |= readings[DS].between(start, end).to_numpy()
    marked = readings[within & readings[Y].notna().to_numpy()]
    return _line(marked, Y) if len(marked) else None


def _line(table: pd.DataFrame, column: str) -> dict[str, Any]:
    return {"x": _texts(table[DS]), "y": _numbers(table[column])}


def _texts(stamps: Iterable[Any]) -> list[str]:
    return [pd.Timestamp(stamp).isoformat() for stamp in stamps]


def _numbers(values: pd.Series) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]
