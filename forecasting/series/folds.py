"""Cutoffs and folds: the only judge of what is past and what is future."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from forecasting.columns import CUTOFF, DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.spacing import explain

__all__ = ["Fold", "folds", "past", "shift"]


class Fold(NamedTuple):
    """One fit and the cutoffs that it is judged on.

    Training targets end at `fit_until`; validation targets lie after it, up to `seen_until`; every cutoff is
    at `seen_until` or later (`gap` steps later, if the job asks for a gap).
    """

    fit_until: pd.Timestamp
    seen_until: pd.Timestamp
    cutoffs: pd.DatetimeIndex


def shift(stamp: pd.Timestamp, steps: int, freq: str) -> pd.Timestamp:
    """The stamp `steps` grid steps later (earlier, if negative)."""
    if steps >= 0:
        return pd.date_range(start=stamp, periods=steps + 1, freq=freq)[-1]
    return pd.date_range(end=stamp, periods=1 - steps, freq=freq)[0]


def past(table: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """The rows of `table` that are known at `until`: stamped at it or before."""
    return table[table[DS] <= until]


def last_reading(table: pd.DataFrame) -> pd.Timestamp:
    """The stamp of the last reading of any series; rows after it only say what is known ahead."""
    stamp: pd.Timestamp = table.loc[table[Y].notna(), DS].max()
    return stamp


def folds(table: pd.DataFrame, job: Job) -> tuple[Fold, ...]:
    """The job's rolling origins, counted back from the last reading, cut into one fold per fit.

    Raises DataError when the history before the first cutoff is too short to train on.
    """
    freq = job.series.freq
    rows = (job.backtest.windows - 1) * job.backtest.step + job.window.horizon + 1
    grid = pd.date_range(end=last_reading(table), periods=rows, freq=freq)
    cutoffs = grid[: len(grid) - job.window.horizon : job.backtest.step].rename(CUTOFF)
    per_fit = job.backtest.refit or len(cutoffs)
    return tuple(_fold(table, job, cutoffs[first : first + per_fit]) for first in range(0, len(cutoffs), per_fit))


def _fold(table: pd.DataFrame, job: Job, cutoffs: pd.DatetimeIndex) -> Fold:
    freq, window = job.series.freq, job.window
    seen_until = shift(cutoffs[0], -job.backtest.gap, freq)
    steps = _longest_history(past(table, seen_until))
    held = job.train.validation
    validation = max(window.horizon, round(held * steps) if isinstance(held, float) else held)
    needed = window.context + window.horizon + validation
    if steps < needed:
        raise DataError(
            f"the history is too short: {steps} rows of the longest series lie before the first cutoff"
            f" {cutoffs[0]}, but context {window.context} + horizon {window.horizon} + validation {validation}"
            f" need {needed}; shorten window.context, train.validation or backtest.windows, or bring more data"
            f"{explain(table, job.series)}"
        )
    return Fold(shift(seen_until, -validation, freq), seen_until, cutoffs)


def _longest_history(table: pd.DataFrame) -> int:
    counts = table.loc[table[Y].notna()].groupby(UNIQUE_ID).size()
    return int(counts.max()) if len(counts) else 0
