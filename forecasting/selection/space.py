"""The space that `auto` learns in: readings as they are, or their logarithms where these are easier to forecast."""

from __future__ import annotations

from typing import Final, NamedTuple

import pandas as pd

from forecasting.columns import Y
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Fit
from forecasting.selection.greedy import loss
from forecasting.selection.members import Watched, linear_member, watch
from forecasting.series.calendar import season_of
from forecasting.series.folds import Fold, past
from forecasting.series.prepare import Prepared, prepare

__all__ = ["Space", "choose_space"]

GAIN: Final = 0.02  # by which a ridge regression must be better with logarithms


class Space(NamedTuple):
    """A job with its transform, and its windows in that space."""

    job: Job
    data: Prepared
    watched: Watched


def choose_space(table: pd.DataFrame, job: Job, fold: Fold) -> Space:
    """The job as it is, or with `transform: log` where a ridge regression does better so on the validation windows.

    Series whose spread grows with their level gain most. Only readings above zero have logarithms, and a transform that
    the job names stays. `table` must be clean; nothing after `fold.seen_until` is looked at.
    """
    plain = _space(table, job, fold)
    known = past(table, fold.at(fold.seen_until))[Y]
    if "transform" in job.series.model_fields_set or not (known.dropna() > 0).all():
        return plain
    logged = _space(table, job.model_copy(update={"series": job.series.model_copy(update={"transform": "log"})}), fold)
    return logged if _ridge_loss(logged) < (1 - GAIN) * _ridge_loss(plain) else plain


def _space(table: pd.DataFrame, job: Job, fold: Fold) -> Space:
    data = prepare(table, job, fold)
    return Space(job, data, watch(data))


def _ridge_loss(space: Space) -> float:
    """The weighted quantile loss of a ridge regression on the watched windows, in units of the target."""
    job, data, watched = space
    linear = baselines.ridge(Fit(data.train, data.valid, season_of(job.series)))
    member = linear_member("ridge", "ridge", linear, data, watched, job.head.quantiles)
    return loss(watched.y, watched.units(member.forecast), job.head.quantiles)
