"""Where there are readings, counted back from the last one: at which steps a window exists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.config.series import Window
from forecasting.series.frequency import Grid
from forecasting.series.moments import Ends
from forecasting.series.windows import cutoffs_of, scorable

__all__ = ["Presence", "presence_of"]


class Presence(NamedTuple):
    """Which steps of each series have a reading.

    `missing` holds one mask per series, from its first row to its last; `after` how many steps before the last reading
    the latter lies, below zero where rows go on. That is the last reading of all series, or of each where `ends` says
    so: what is counted from there is an *age*.
    """

    last: pd.Timestamp
    ends: Ends | None
    missing: list[np.ndarray]
    after: np.ndarray

    def pause_within(self, age: int) -> bool:
        """Whether there are steps up to this age at which no series has a reading."""
        read = np.zeros(age + 1, dtype=bool)
        for missing, after in zip(self.missing, self.after, strict=True):
            ages = after + len(missing) - 1 - np.flatnonzero(~missing)
            read[ages[ages <= age]] = True
            if read.all():
                return False
        return True

    def scorable(self, window: Window) -> np.ndarray:
        """The ages of all cutoffs at which a series can be judged, lowest first."""
        return self._ages([scorable(missing, window) for missing in self.missing])

    def learnable(self, window: Window, max_gap: int | None) -> np.ndarray:
        """The ages of all cutoffs at which a series has a window to learn from, lowest first."""
        return self._ages([cutoffs_of(missing, window, max_gap=max_gap) for missing in self.missing])

    def _ages(self, places: list[np.ndarray]) -> np.ndarray:
        found = zip(self.missing, self.after, places, strict=True)
        return np.unique(np.concatenate([after + len(missing) - 1 - place for missing, after, place in found]))


def presence_of(table: pd.DataFrame, job: Job) -> Presence:
    """The readings of a clean table."""
    read, stamps = table[Y].notna().to_numpy(), table[DS]
    each = job.backtest.cutoffs == "each"
    code, names = pd.factorize(table[UNIQUE_ID])
    index, _ = Grid.around(stamps, job.series.freq).locate(stamps)
    first = np.flatnonzero(np.diff(code, prepend=-1))
    stop = np.append(first[1:], len(table))
    last_row, last_read = index[stop - 1], np.maximum.reduceat(np.where(read, index, -(2**62)), first)
    missing = [np.ones(index[high - 1] - index[low] + 1, dtype=bool) for low, high in zip(first, stop, strict=True)]
    for mask, low, high in zip(missing, first, stop, strict=True):
        mask[index[low:high][read[low:high]] - index[low]] = False
    ends = pd.Series(stamps.where(read).groupby(code).max().to_numpy(), index=names)
    after = (last_read if each else last_read.max()) - last_row
    return Presence(ends.max(), Ends(ends, job.series.freq) if each else None, missing, after)
