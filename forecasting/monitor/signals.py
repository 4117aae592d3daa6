"""The signals that are tested for drift: readings and covariates of a job, and residuals of its live model."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.bundle.forecaster import Forecaster
from forecasting.columns import CUTOFF, DS, UNIQUE_ID, Y, quantile_column
from forecasting.config.job import Job
from forecasting.monitor.drift import SHORTEST, Change, Drift, find_drift
from forecasting.series.clean import regular_grid
from forecasting.series.folds import last_reading, shift

__all__ = ["LEAST", "REFERENCE", "Answered", "Columns", "Sensed", "inputs", "residuals", "sense"]

_SERIES: Final = 32  # tested, evenly spread over the names: drift of many shows in some
_WINDOWS: Final = 6000  # forecast again at most: a few seconds
_MEDIAN: Final = quantile_column(0.5)
_KINDS: Final = {"first": "residual of the first step", "all": "mean residual of all steps"}
REFERENCE: Final = 2000  # steps before the model went live, at most
_RESIDUALS: Final = 1000  # the same of residuals, which cost a forecast each
LEAST: Final = 5 * SHORTEST  # rows that a reference must have


class Columns(NamedTuple):
    """Values (R, D) on one regular grid, NaN where unknown."""

    names: tuple[str, ...]
    stamps: pd.DatetimeIndex
    values: npt.NDArray[np.float64]

    def rows(self, first: int, stop: int) -> Columns:
        """Some of the rows."""
        return Columns(self.names, self.stamps[first:stop], self.values[first:stop])

    def known(self, reference: int, recent: int) -> Columns:
        """The columns that have enough readings in so many rows of the reference and of the recent ones."""
        there = ~np.isnan(self.values)
        enough = there[: max(reference, 0)].sum(axis=0) >= LEAST
        enough &= there[max(len(there) - recent, 0) :].sum(axis=0) >= SHORTEST
        return Columns(tuple(np.array(self.names)[enough]), self.stamps, self.values[:, enough])


class Answered(NamedTuple):
    """A drift that a later training, promoted or refused, knew: the readings since are the new reference."""

    onset: pd.Timestamp
    until: pd.Timestamp  # the last reading that the training knew


class Sensed(NamedTuple):
    """The drift of columns after a stamp, and the number of rows compared; none where there are too few."""

    columns: Columns
    reference: int  # rows
    recent: int
    day: int  # rows
    drift: Drift | None
    answered: pd.Timestamp | None = None  # drifts that began until then are no news

    def is_answered(self, found: Change) -> bool:
        """Whether a training knew of it."""
        return self.answered is not None and self.columns.stamps[found.onset] <= self.answered

    def is_new(self, found: Change, alpha: float) -> bool:
        """Whether it is significant and no training knew of it."""
        return found.chance <= alpha and not self.is_answered(found)

    def onset(self, alpha: float) -> pd.Timestamp | None:
        """The start of the earliest new drift; none without one."""
        rows = [found.onset for found in self.drift or () if self.is_new(found, alpha)]
        return self.columns.stamps[min(rows)] if rows else None


def sense(
    columns: Columns,
    known_until: pd.Timestamp,
    *,
    answered: Answered | None,
    window: int,
    season: int,
    day: int,
    alpha: float,
) -> Sensed:
    """Test the last `window` rows after `known_until` against those before, once a day of `day` rows, at `alpha`.

    The looks of one day test the same rows, so that they alarm together or not at all.
    """
    since = int(columns.stamps.searchsorted(known_until, side="right"))
    stop = since + (len(columns.stamps) - since) // day * day
    begin, until = (0, None) if answered is None else (int(columns.stamps.searchsorted(answered.onset)), answered.until)
    first, split = _reference(begin, since, stop, window)
    columns = columns.rows(first, stop).known(split - first, min(stop - split, window))
    reference, recent = split - first, min(stop - split, window)
    until = until if first < begin else None
    if reference < LEAST or recent < SHORTEST or not columns.names:
        return Sensed(columns, reference, max(recent, 0), day, None, until)
    drift = find_drift(columns.values, reference, season=season, latest=window, draws=ceil(1 / alpha))
    return Sensed(columns, reference, recent, day, drift, until)


def _reference(begin: int, since: int, stop: int, window: int) -> tuple[int, int]:
    """The first row of the reference, and the one behind it.

    It is what was known since the last answered drift, which began at `begin`. Where that is too little it grows to a
    window with the readings that come, half of them; as long as there are not enough, after a refused training, the
    reference before the drift stays.
    """
    if since - begin >= LEAST:
        return begin, since
    if stop - begin < LEAST + SHORTEST:
        return (0, since) if begin >= since else (begin, since)
    return begin, begin + max(LEAST, min(window, (stop - begin) // 2))


def inputs(table: pd.DataFrame, job: Job) -> Columns:
    """Readings and numeric covariates of some series of a clean table, and the mean of all those series' readings."""
    moving = [name for name in (*job.series.past, *job.series.future) if name not in job.series.categorical]
    table = _some(table, _SERIES)
    observed = last_reading(table)
    grid = regular_grid(table[table[DS] <= observed], job.series.model_copy(update={"gaps": "mask"}))
    wide = grid.pivot(index=DS, columns=UNIQUE_ID, values=[Y, *moving]).astype(np.float64)
    names = tuple(f"{series}: {name}" for name, series in _labels(wide))
    values = wide.to_numpy()
    if grid[UNIQUE_ID].nunique() > 1:
        readings = wide[Y].to_numpy()
        values, names = np.column_stack([values, _together(readings)]), (*names, "all series: y")
    return Columns(names, pd.DatetimeIndex(wide.index), values)


def residuals(
    forecaster: Forecaster, table: pd.DataFrame, since: pd.Timestamp, known_until: pd.Timestamp, *, before: Forecaster
) -> Columns:
    """Scaled residuals of the model's median at every step that it was not fitted on: of the first step ahead, and the
    mean over the whole horizon.

    The model repeats its live forecasts. The readings between its fit and its promotion, from `since` on, are forecast
    by `before`: the same model, or its judged twin if the model has seen them. `table` must be clean.
    """
    spec = forecaster.spec
    observed = last_reading(table)
    first = max(since, shift(known_until, -_RESIDUALS, spec.series.freq))
    stamps = pd.date_range(first, observed, freq=spec.series.freq)
    known = table if spec.layout else _some(table, max(1, min(_SERIES, _WINDOWS // max(len(stamps), 1))))
    live = int(stamps.searchsorted(known_until))  # the first cutoff that this model may forecast
    parts = ((before, stamps[:live]), (forecaster, stamps[live:-1]))
    made = pd.concat([model.at(known, cutoffs, (0.5,)).table() for model, cutoffs in parts if len(cutoffs)])
    both = made.merge(known[[UNIQUE_ID, DS, Y]], on=[UNIQUE_ID, DS], how="left")
    location, scale = spec.scaler.of(both[UNIQUE_ID])
    y, point = (spec.scaler.apply(both[name].to_numpy(dtype=np.float64), location, scale) for name in (Y, _MEDIAN))
    ahead = (y - point).reshape(-1, spec.horizon)  # (B, H)
    keys = both.loc[:: spec.horizon, [CUTOFF, UNIQUE_ID]]
    long = keys.assign(first=ahead[:, 0], all=ahead.mean(axis=1))
    wide = long.pivot(index=CUTOFF, columns=UNIQUE_ID, values=["first", "all"]).reindex(stamps[:-1])
    names = tuple(f"{series}: {_KINDS[kind]}" for kind, series in _labels(wide))
    return Columns(names, stamps[1:], wide.to_numpy(dtype=np.float64))


def _labels(wide: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return zip(wide.columns.get_level_values(0), wide.columns.get_level_values(1), strict=True)


def _some(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The rows of at most so many series, evenly spread over the names."""
    names = np.sort(table[UNIQUE_ID].unique().astype(str))
    if len(names) <= most:
        return table
    return table[table[UNIQUE_ID].isin(names[np.linspace(0, len(names) - 1, most).astype(np.int64)])]


def _together(readings: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean (R,) of the series' readings (R, N), each in units of its own spread."""
    known = ~np.isnan(readings)
    count = np.maximum(known.sum(axis=0), 1)
    centered = np.where(known, readings - np.where(known, readings, 0.0).sum(axis=0) / count, 0.0)
    spread = np.sqrt(np.square(centered).sum(axis=0) / count)
    together = centered / np.where(spread > 0, spread, 1.0)
    some = known.any(axis=1)
    return np.where(some, together.sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan)
