"""Whole horizons, or days where they are longer: the units in which a live model is judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import DS
from forecasting.series.frequency import Grid, fixed_step

__all__ = ["Pace", "by_stamp", "pace_of", "whole_units"]

_DAY = np.timedelta64(1, "D")


class Pace(NamedTuple):
    """How fast evidence comes to a job: errors unit by unit, drift day by day (or step by step, if longer)."""

    freq: str
    horizon: int  # steps
    unit: int  # steps: a horizon, in whole days
    day: int  # steps
    days_a_year: float

    @property
    def units_a_year(self) -> float:
        """Whole units in a year."""
        return self.days_a_year * self.day / self.unit

    def words(self, units: int) -> str:
        """So many units in words."""
        days = units * self.unit // self.day
        number, name = (days, "day") if self.unit > self.horizon else (units, "horizon")
        return f"whole {name}" if number == 1 else f"{number} whole {name}s"


def pace_of(freq: str, horizon: int) -> Pace:
    """The pace of forecasts of so many steps."""
    step = fixed_step(freq)
    day = 1 if step is None else max(1, -int(-_DAY // step))
    steps_a_year = len(pd.date_range("2001", "2021", freq=freq)) / 20 if step is None else 365.25 * (_DAY / step)
    return Pace(freq, horizon, -(-horizon // day) * day, day, steps_a_year / day)


def by_stamp(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of the score table as sums (R,) for each stamp, in order."""
    return scores.groupby(DS).sum(numeric_only=True)


def whole_units(stamps: pd.DataFrame, until: pd.Timestamp, pace: Pace) -> pd.DataFrame:
    """Sums (B,) over every unit that has ended by the last reading and has actuals, counted from the first stamp.

    `stamps` is the number of stamps in it that have actuals, `end` the last one of all.
    """
    nothing = stamps.iloc[:0].assign(stamps=0, end=stamps.index[:0])
    if stamps.empty:
        return nothing
    dates = pd.Series(stamps.index.append(pd.DatetimeIndex([until])))
    steps = Grid.around(dates, pace.freq).locate(dates)[0]
    number = (steps - steps[0]) // pace.unit
    some = stamps[number[:-1] < (steps[-1] + 1 - steps[0]) // pace.unit]
    if some.empty:
        return nothing
    begins = np.flatnonzero(np.diff(number[: len(some)], prepend=-1))
    sums = pd.DataFrame(np.add.reduceat(some.to_numpy(), begins), columns=some.columns)
    known = np.add.reduceat((some["count"] > 0).to_numpy(np.int64), begins)
    units = sums.assign(stamps=known, end=some.index[np.append(begins[1:], len(some)) - 1])
    return units[units["count"] > 0]
