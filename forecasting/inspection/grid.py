"""The frequency, and what has to be done for readings to lie on its grid."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from forecasting.errors import DataError
from forecasting.inspection.findings import Found
from forecasting.series.calendar import season_length
from forecasting.series.frequency import fitting

__all__ = ["describe_grid", "describe_horizon"]

_SERIES: Final = 30  # that are looked at
_STEPS: Final = (
    "1s",
    "5s",
    "10s",
    "15s",
    "30s",
    "1min",
    "2min",
    "5min",
    "10min",
    "15min",
    "20min",
    "30min",
    "1h",
    "2h",
    "3h",
    "4h",
    "6h",
    "12h",
    "1D",
    "7D",
)
_USUAL: Final = 48  # steps ahead, at most, where nothing else is said
_SHARE: Final = 12  # of the history that a horizon may take: one part
_AHEAD: Final = {"D": 14, "B": 10, "W": 13, "M": 12, "Q": 8, "Y": 4}


def describe_grid(stamps: pd.Series, ids: pd.Series, findings: Found) -> str:
    """Find `series.freq`, and `series.aggregate` or `series.duplicates` where readings are no grid of their own.

    Raises DataError for fewer than three stamps.
    """
    keyed = pd.DataFrame({"id": ids, "ds": stamps}).dropna().drop_duplicates()
    sizes = keyed.groupby("id").size().nlargest(_SERIES)
    if not len(sizes) or sizes.iloc[0] < 3:
        raise DataError("no series has three stamps, so there is no telling how far apart they are")
    series = [keyed.loc[keyed["id"] == name, "ds"].sort_values() for name in sizes.index]
    if "source.start" in findings.found or findings.value("source.date_format") == "step":
        return str(findings.guess("series.freq", "D", "there are no dates that would say"))
    fits = pd.Series([fitting(each) for each in series])
    usual = fits.dropna().mode()
    if len(usual) and (fits == usual.iloc[0]).mean() > 0.5:
        found = str(usual.iloc[0])
        findings.add("series.freq", found, _grid_why(series[0], found))
        return found
    return _gathered(series, findings)


def _grid_why(stamps: pd.Series, freq: str) -> str:
    missing = _missing(stamps, freq)
    return "all stamps lie on its grid" + (f"; {missing:,} steps have no row in the longest series" if missing else "")


def _missing(stamps: pd.Series, freq: str) -> int:
    grid = pd.date_range(stamps.iloc[0], stamps.iloc[-1], freq=freq)
    return max(0, len(grid) - len(stamps))


def _gathered(series: list[pd.Series], findings: Found) -> str:
    """Irregular stamps: the usual step, rounded to one that people know."""
    apart = pd.concat([each.diff().dropna() for each in series])
    median = apart.median()
    step = min(_STEPS, key=lambda each: abs(np.log(pd.Timedelta(each) / median)))
    alias = str(to_offset(pd.Timedelta(step)).freqstr) if step != "7D" else "W-MON"
    near = float(((apart - median).abs() <= median / 10).mean())
    why = f"stamps are irregular, {_words(median)} apart as a rule ({near:.0%} of them within a tenth)"
    freq = str(findings.guess("series.freq", alias, why))
    findings.guess("series.aggregate", "mean", f"the readings of a step of {freq} become one", ("mean", "sum", "last"))
    return freq


def _words(span: pd.Timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def describe_horizon(freq: str, length: int, horizon: int | None, ahead: int, findings: Found) -> None:
    """Find `window.horizon`: as given, as far as values are known ahead, else a season that the history can bear."""
    if horizon is not None:
        findings.add("window.horizon", horizon, "as given")
        return
    if ahead:
        findings.add("window.horizon", ahead, "as far as values are known ahead")
        return
    letter = freq.lstrip("0123456789")[:1]
    usual = _AHEAD.get(letter) if letter.isupper() else min(season_length(freq), _USUAL)
    steps = max(1, min(usual if usual and usual > 1 else 12, length // _SHARE))
    findings.guess("window.horizon", steps, f"steps of {freq}, a usual choice; --horizon names another")
