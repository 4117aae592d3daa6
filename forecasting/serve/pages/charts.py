"""What charts show, as plain data: the colours are the browser's, who knows whether it is dark."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from forecasting.columns import CUTOFF, DS, Y, quantile_columns

__all__ = ["forecast_chart", "intervals", "line_chart", "median", "quantile_names"]

_TAIL: Final = 6  # horizons of history shown before the cutoff
_FEWEST, _MOST = 60, 1500  # readings shown before the cutoff
_GAP: Final = 4  # a pause of more steps than this breaks the line


def quantile_names(forecast: pd.DataFrame) -> list[str]:
    """The columns `q…` that hold a forecast, lowest first; another version may have had other ones."""
    return [name for name in quantile_columns(forecast.columns) if forecast[name].notna().all()]


def median(names: list[str]) -> str:
    """The column that is drawn as the forecast: 0.5, or what is nearest to it."""
    return min(names, key=lambda name: abs(float(name[1:]) - 0.5))


def intervals(names: list[str]) -> list[tuple[str, str, str]]:
    """Pairs of columns that bound an interval, widest first, and what it is called."""
    pairs = [(names[depth], names[-1 - depth]) for depth in range(len(names) // 2)]
    return [(low, high, f"{100 * (float(high[1:]) - float(low[1:])):.4g}% interval") for low, high in pairs]


def forecast_chart(readings: pd.DataFrame, forecast: pd.DataFrame) -> dict[str, Any]:
    """One series: the readings before the cutoff, those that came after it, median and intervals."""
    if forecast.empty:
        known = _broken_at_gaps(readings.tail(_MOST))
        return {"kind": "forecast", "history": _line(known, Y), "came": None, "bands": [], "median": None}
    cutoff, names = forecast[CUTOFF].iloc[0], quantile_names(forecast)
    before = readings[readings[DS] <= cutoff].tail(min(max(_TAIL * len(forecast), _FEWEST), _MOST))
    came = readings[(readings[DS] >= cutoff) & (readings[DS] <= forecast[DS].max())]
    bands = [
        {"name": label, "x": _texts(forecast[DS]), "low": _numbers(forecast[low]), "high": _numbers(forecast[high])}
        for low, high, label in intervals(names)
    ]
    return {
        "kind": "forecast",
        "history": _line(_broken_at_gaps(before), Y),
        "came": _line(came, Y) if len(came) > 1 else None,
        "bands": bands,
        "median": _line(forecast, median(names)),
        "cutoff": _texts([cutoff])[0],
    }


def line_chart(
    x: pd.Series, values: pd.Series, name: str, *, share: bool = False, promised: float | None = None, title: str = ""
) -> dict[str, Any]:
    """One line over days or steps; `share` is drawn in per cent, `promised` as a line across."""
    across = _texts(x) if pd.api.types.is_datetime64_any_dtype(x) else _numbers(x)
    return {
        "kind": "line",
        "x": across,
        "y": _numbers(values),
        "name": name,
        "share": share,
        "promised": promised,
        "title": title,
    }


def _broken_at_gaps(readings: pd.DataFrame) -> pd.DataFrame:
    """With an empty row in every long pause, so that no line pretends to know what happened there."""
    pauses = readings[DS].diff()
    after = readings[pauses > _GAP * pauses.median()]
    holes = pd.DataFrame({DS: after[DS] - pauses.median(), Y: float("nan")})
    return pd.concat([readings[[DS, Y]], holes]).sort_values(DS, kind="stable")


def _line(table: pd.DataFrame, column: str) -> dict[str, Any]:
    return {"x": _texts(table[DS]), "y": _numbers(table[column])}


def _texts(stamps: Iterable[Any]) -> list[str]:
    return [pd.Timestamp(stamp).isoformat() for stamp in stamps]


def _numbers(values: pd.Series) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]
