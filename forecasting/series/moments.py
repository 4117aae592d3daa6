"""Moments: one stamp for all series, or one for each where they are counted back from their own last readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID
from forecasting.series.frequency import fixed_step

__all__ = ["Cutoffs", "Ends", "Moment", "past", "shift", "stamps_of", "steps_between"]

Moment: TypeAlias = pd.Timestamp | pd.Series  # a series of stamps has the names of the series as its index
Cutoffs: TypeAlias = pd.DatetimeIndex | Sequence[Moment]


class Ends(NamedTuple):
    """The last reading of every series: a stamp by its name, on the grid of `freq`."""

    last: pd.Series
    freq: str

    def at(self, stamp: pd.Timestamp) -> pd.Series:
        """For every series the stamp as far before its own last reading as `stamp` lies before the latest of all."""
        steps = steps_between(stamp, self.last.max(), self.freq)
        step = fixed_step(self.freq)
        if step is not None:
            return self.last - steps * pd.Timedelta(step)
        moved = {end: shift(end, -steps, self.freq) for end in self.last.unique()}
        return self.last.map(moved)


def shift(stamp: pd.Timestamp, steps: int, freq: str) -> pd.Timestamp:
    """The stamp `steps` grid steps later (earlier, if negative)."""
    if steps >= 0:
        return pd.date_range(start=stamp, periods=steps + 1, freq=freq)[-1]
    return pd.date_range(end=stamp, periods=1 - steps, freq=freq)[0]


def steps_between(first: pd.Timestamp, last: pd.Timestamp, freq: str) -> int:
    """How many grid steps `last` lies after `first`; below zero where it lies before."""
    step = fixed_step(freq)
    if step is not None:
        return int((last - first) // pd.Timedelta(step))
    sign = 1 if first <= last else -1
    return sign * (len(pd.date_range(min(first, last), max(first, last), freq=freq)) - 1)


def stamps_of(moment: Moment, unique_id: np.ndarray) -> np.ndarray:
    """The stamp of each of the series, (N,) datetime64[us]; NaT for one that has none."""
    if isinstance(moment, pd.Series):
        return moment.reindex(unique_id).to_numpy().astype("datetime64[us]")
    return np.full(len(unique_id), np.datetime64(moment, "us"))


def past(table: pd.DataFrame, until: Moment) -> pd.DataFrame:
    """The rows of `table` that are known at `until`: stamped at it or before."""
    if isinstance(until, pd.Series):
        return table[table[DS] <= table[UNIQUE_ID].map(until)]
    return table[table[DS] <= until]
