"""What a job leaves to the data: context, season, calendar features, and the rolling origins."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd
from pandas.tseries.offsets import Tick

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.chosen import AUTO
from forecasting.config.job import Job
from forecasting.series.calendar import season_length
from forecasting.series.frequency import offset_of
from forecasting.series.season import find_season

__all__ = ["TIMES", "resolve"]

HORIZONS: Final = 30  # that the rolling origins cover
SHARE: Final = 5  # or a fifth of the longest history
MOST_WINDOWS: Final = 100
LEAST_CONTEXT, MOST_CONTEXT = 32, 512
TIMES: Final = 3  # the context: what a member of an ensemble may read
LONG_CONTEXT: Final = 128  # of a history that is twelve times as long
_DAY: Final = pd.Timedelta(days=1)


def resolve(job: Job, table: pd.DataFrame) -> Job:
    """The job with a number in place of every `auto`; `table` must be clean.

    Nothing but the number of readings is looked at after the first cutoff.
    """
    lengths = table[table[Y].notna()].groupby(UNIQUE_ID).size()
    if not len(lengths) or job.symbolic:
        return _without_choice(job)
    job = _with_origins(job, int(lengths.max()))
    held = (job.backtest.windows - 1) * job.backtest.step + job.window.horizon + job.backtest.gap
    known = table[table.groupby(UNIQUE_ID).cumcount(ascending=False) >= held]
    return _with_windows(job, known if len(known) else table, lengths - held)


def _without_choice(job: Job) -> Job:
    """For symbols, and for tables without a reading: the origins that there were before any could be chosen."""
    windows, step = job.backtest.windows or 50, job.backtest.step or 1
    context = job.window.context or LEAST_CONTEXT
    return _updated(job, backtest={"windows": windows, "step": step}, window={"context": context})


def _with_origins(job: Job, longest: int) -> Job:
    """Cutoffs over thirty horizons or a fifth of the history, evenly spread, where the job does not say."""
    horizon, windows, step = job.window.horizon, job.backtest.windows, job.backtest.step
    span = max(horizon, min(HORIZONS * horizon, longest // SHARE)) - horizon + 1  # of cutoffs
    if step == AUTO:
        step = math.ceil(span / (windows or MOST_WINDOWS))
    if windows == AUTO:
        windows = (span - 1) // step + 1
    return _updated(job, backtest={"windows": windows, "step": step})


def _with_windows(job: Job, known: pd.DataFrame, lengths: pd.Series) -> Job:
    chosen: dict[str, Any] = {}
    series = job.series
    if series.season is None:
        chosen["season"] = find_season(known, series.freq)
    if job.model.name == "auto" and "calendar" not in series.model_fields_set:
        chosen["calendar"] = _calendar(series.freq, known)
    season = chosen.get("season") or series.season or 1
    context, longest = job.window.context, job.selection.longest_context
    if context == AUTO:
        context = _context(job, season, lengths)
        longest = longest or min(TIMES * context, MOST_CONTEXT)
    return _updated(job, series=chosen, window={"context": context}, selection={"longest_context": longest})


def _context(job: Job, season: int, lengths: pd.Series) -> int:
    """Two to three seasons and 1.25 horizons, a week of hours and a horizon, at most a third of the usual history.

    A long history is read further back, since what no season explains may have a memory of its own.
    """
    horizon, week, usual = job.window.horizon, _week(job.series.freq), int(lengths.clip(lower=1).median())
    least = max(LEAST_CONTEXT, min(LONG_CONTEXT, usual // 12))
    wanted = max(least, 3 * season if season <= 48 else round(1.25 * season), round(1.25 * horizon))
    if season * 7 == week and week + horizon <= MOST_CONTEXT:
        wanted = max(wanted, week + horizon)
    return max(1, min(wanted, MOST_CONTEXT, max(usual // 3, min(horizon, usual // 4))))


def _week(freq: str) -> int:
    """Steps in a week; 0 for calendar steps and where a week is no whole number of them."""
    offset = offset_of(freq)
    step = pd.Timedelta(offset) if isinstance(offset, Tick) else None
    return 0 if step is None or (7 * _DAY) % step != pd.Timedelta(0) else int(7 * _DAY / step)


def _calendar(freq: str, known: pd.DataFrame) -> tuple[str, ...]:
    """The features whose cycle is longer than a step and that the history holds twice or more."""
    span = known[DS].max() - known[DS].min()
    natural = season_length(freq)
    offset = offset_of(freq)
    if isinstance(offset, Tick) and pd.Timedelta(offset) < _DAY:
        cycles = {"hour": 4 * _DAY, "day_of_week": 28 * _DAY, "day_of_year": 730 * _DAY}
    elif natural in {5, 7}:
        cycles = {"day_of_week": 28 * _DAY, "day_of_year": 730 * _DAY}
    elif natural == 52:
        cycles = {"week_of_year": 730 * _DAY}
    elif natural == 12:
        cycles = {"month": 730 * _DAY}
    else:
        cycles = {"quarter": 730 * _DAY} if natural == 4 else {}
    return tuple(name for name, least in cycles.items() if span >= least)


def _updated(job: Job, **sections: dict[str, Any]) -> Job:
    return job.model_copy(
        update={name: getattr(job, name).model_copy(update=values) for name, values in sections.items() if values}
    )
