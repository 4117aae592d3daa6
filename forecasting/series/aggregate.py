"""Readings of an irregular sensor, gathered into the steps of a frequency: each step ends at its stamp."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.series.frequency import fixed_step, is_calendar, offset_of

__all__ = ["gather", "is_gathered", "open_readings", "step_ends"]

_KEY = [UNIQUE_ID, DS]
_NONE = np.empty(0, dtype="datetime64[us]")
_ANCHOR = pd.Timestamp("1700-01-01")  # from where steps of several weeks or months are counted, whatever the table


def step_ends(ds: pd.Series, freq: str) -> np.ndarray:
    """The stamp of the step that each reading belongs to, (rows,) datetime64[us].

    A step holds what came after the stamp before it, up to its own stamp. Where a step is a day or longer, stamps are
    dates, and a date is its whole day.
    """
    stamps = ds.to_numpy().astype("datetime64[us]")
    if is_calendar(freq):
        stamps = stamps.astype("datetime64[D]").astype("datetime64[us]")
    step = fixed_step(freq)
    if step is not None:
        size = step.astype(np.int64)
        ends: np.ndarray = (-(-stamps.astype(np.int64) // size) * size).astype("datetime64[us]")
        return ends
    dates = _dates(stamps, freq)
    return dates[dates.searchsorted(stamps)]


def _dates(stamps: np.ndarray, freq: str) -> np.ndarray:
    """Every date of a calendar frequency around the stamps."""
    offset = offset_of(freq)
    if not len(stamps):
        return _NONE
    first = pd.Timestamp(stamps.min()) - 2 * offset.base if offset.n == 1 else _ANCHOR
    return pd.date_range(first, pd.Timestamp(stamps.max()) + 2 * offset, freq=offset, unit="us").to_numpy()


def is_gathered(table: pd.DataFrame, series: Series) -> bool:
    """Whether every row stands at the end of a step, at most one of each series."""
    on_grid = bool((step_ends(table[DS], series.freq) == table[DS].to_numpy().astype("datetime64[us]")).all())
    return on_grid and not table.duplicated(_KEY).any()


def open_readings(table: pd.DataFrame, series: Series) -> pd.Series:
    """The readings of steps that may still go on: no reading has come since they ended, (rows,) bool."""
    read = table[Y].notna()
    ends = pd.Series(step_ends(table[DS], series.freq), index=table.index)
    if is_calendar(series.freq) and (table[DS] != table[DS].dt.normalize()).any():
        ends += pd.Timedelta(days=1)  # a day of hours ends when the next one begins
    unfinished: pd.Series = read & (ends > table.loc[read, DS].max())
    return unfinished


def gather(table: pd.DataFrame, series: Series, *, raw: bool = False) -> pd.DataFrame:
    """One row for each series and step that has any: `y` by `series.aggregate`, in order of (unique_id, ds).

    Covariates become their mean, labels and static ones the last and first that are known. `count` gives 0 for steps
    without a reading between the first and the last one of a series; all other kinds leave them out. A table that looks
    gathered stays as it is, unless its rows are known to be `raw` readings.
    """
    if series.aggregate is None or (not raw and is_gathered(table, series)):
        return table
    groups = table.assign(**{DS: step_ends(table[DS], series.freq)}).groupby(_KEY, sort=True)
    result = groups[list(table.columns.drop(_KEY))].agg({Y: _how(Y, series)} | _covariates(table, series))
    if series.aggregate == "sum":
        result[Y] = groups[Y].sum(min_count=1)  # the sum of nothing is not known
    result = result.reset_index()
    return (_with_zeros(result, series) if series.aggregate == "count" else result)[list(table.columns)]


def _covariates(table: pd.DataFrame, series: Series) -> dict[str, str]:
    return {name: _how(name, series) for name in table.columns.drop([*_KEY, Y])}


def _how(name: str, series: Series) -> str:
    if name == Y:
        return str(series.aggregate)
    if name in series.static:
        return "first"
    return "mean" if name in (*series.past, *series.future) and name not in series.categorical else "last"


def _with_zeros(steps: pd.DataFrame, series: Series) -> pd.DataFrame:
    """Counts with a row for every step between the first and the last reading of a series; none outside."""
    ends = steps[steps[Y] > 0].groupby(UNIQUE_ID, sort=True)[DS].agg(["min", "max"])
    first, last = (steps[UNIQUE_ID].map(ends[end]) for end in ends)
    counted = steps.assign(**{Y: steps[Y].astype(float).where(steps[DS].between(first, last))})
    grids = [pd.date_range(first, last, freq=series.freq, unit="us") for first, last in ends.itertuples(index=False)]
    every = pd.DataFrame({UNIQUE_ID: ends.index.repeat([*map(len, grids)]), DS: np.concatenate([_NONE, *grids])})
    full = every.merge(counted, on=_KEY, how="outer", sort=True, indicator="found")
    return full.assign(**{Y: full[Y].mask(full["found"] == "left_only", 0.0)})
