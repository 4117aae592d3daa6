"""Cutoffs and folds: the only judge of what is past and what is future."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.columns import CUTOFF, DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.moments import Cutoffs, Ends, Moment, past, shift, steps_between
from forecasting.series.presence import Presence, presence_of
from forecasting.series.spacing import explain

__all__ = ["Fold", "folds", "last_reading", "past", "shift"]


class Fold(NamedTuple):
    """One fit and the cutoffs that it is judged on.

    Training targets end at `fit_until`; validation targets lie after it, up to `seen_until`; every cutoff is
    at `seen_until` or later (`gap` steps later, if the job asks for a gap). Where every series has cutoffs of its own
    (`ends`), these are the stamps of the series that ends last: `at` gives those of all.
    """

    fit_until: pd.Timestamp
    seen_until: pd.Timestamp
    cutoffs: pd.DatetimeIndex
    ends: Ends | None = None

    def at(self, stamp: pd.Timestamp) -> Moment:
        """What a stamp of this fold is for every series."""
        return stamp if self.ends is None else self.ends.at(stamp)

    @property
    def moments(self) -> Cutoffs:
        """The cutoffs, for every series."""
        return self.cutoffs if self.ends is None else [self.ends.at(cutoff) for cutoff in self.cutoffs]


def last_reading(table: pd.DataFrame) -> pd.Timestamp:
    """The stamp of the last reading of any series; rows after it only say what is known ahead."""
    stamp: pd.Timestamp = table.loc[table[Y].notna(), DS].max()
    return stamp


def folds(table: pd.DataFrame, job: Job) -> tuple[Fold, ...]:
    """The job's rolling origins, counted back from the last reading, cut into one fold per fit.

    Cutoffs, and steps of the validation span, at which gaps leave no series a window are not counted. Raises DataError
    when the history before the first cutoff is too short to train on.
    """
    presence = presence_of(table, job)
    ages = _ages(presence, job)
    grid = pd.date_range(end=presence.last, periods=ages[-1] + 1, freq=job.series.freq)
    cutoffs = grid[len(grid) - 1 - ages[::-1]].rename(CUTOFF)
    per_fit = job.backtest.refit or len(cutoffs)
    blocks = [cutoffs[first : first + per_fit] for first in range(0, len(cutoffs), per_fit)]
    return tuple(_fold(table, job, block, presence) for block in blocks)


def _ages(presence: Presence, job: Job) -> np.ndarray:
    """How many steps before the last reading the cutoffs lie, latest first."""
    plan, horizon = job.backtest, job.window.horizon
    nominal = horizon + np.arange(plan.windows) * plan.step
    if not presence.pause_within(nominal[-1] + job.window.context):
        return nominal
    able = presence.scorable(job.window)
    able = able[(able >= horizon) & ((able - horizon) % plan.step == 0)][: plan.windows]
    begin = able[-1] + plan.step if len(able) else horizon
    lacking = plan.windows - len(able)  # too few: the history is too short, see `_fold`
    return np.concatenate([able, begin + np.arange(lacking) * plan.step])


def _fold(table: pd.DataFrame, job: Job, cutoffs: pd.DatetimeIndex, presence: Presence) -> Fold:
    freq, window = job.series.freq, job.window
    seen_until = shift(cutoffs[0], -job.backtest.gap, freq)
    fold = Fold(seen_until, seen_until, cutoffs, presence.ends)
    steps = _longest_history(past(table, fold.at(seen_until)))
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
    seen = steps_between(seen_until, presence.last, freq)
    return fold._replace(fit_until=shift(seen_until, -_validation(presence, job, seen, validation), freq))


def _validation(presence: Presence, job: Job, seen: int, steps: int) -> int:
    """How many steps the validation span is long that has windows at as many as `steps` without a gap would have."""
    horizon = job.window.horizon
    if not presence.pause_within(seen + steps + job.window.context):
        return steps
    able = presence.learnable(job.window, job.series.max_gap)
    able = able[able >= seen + horizon]
    wanted = steps - horizon
    return int(able[wanted]) - seen if len(able) > wanted else steps


def _longest_history(table: pd.DataFrame) -> int:
    counts = table.loc[table[Y].notna()].groupby(UNIQUE_ID).size()
    return int(counts.max()) if len(counts) else 0
