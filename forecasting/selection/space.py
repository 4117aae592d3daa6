"""The space that `auto` learns in: readings as they are, or their logarithms where these are easier to forecast."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle
from forecasting.columns import Y
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Linear
from forecasting.selection.greedy import loss
from forecasting.selection.linear_members import (
    contexts_of,
    ridge_fit,
    ridge_member,
    seasonal_naive_member,
    theta_member,
)
from forecasting.selection.members import Member, Watched, training_windows, watch
from forecasting.series.calendar import season_of
from forecasting.series.folds import Fold, past
from forecasting.series.prepare import Learned, Prepared, prepare
from forecasting.training.fit import learned_by

__all__ = ["Space", "choose_space", "is_lasting", "space_of"]

GAIN: Final = 0.02  # by which a ridge regression must be better with logarithms
QUARTERS: Final = 4  # of the validation span, in none of which it may be worse


class Space(NamedTuple):
    """A job with its transform, its windows in that space, and the ridge that was fitted there."""

    job: Job
    data: Prepared
    watched: Watched
    ridge: Member
    fitted: Linear  # that ridge
    fold: Fold
    contexts: list[int]  # the job's, and the longer ones that members may have

    @property
    def forecast(self) -> np.ndarray:
        """What the ridge forecasts of the watched windows (B, H, Q), in units of the target."""
        return self.watched.units(self.ridge.forecast)

    @property
    def longer(self) -> int | None:
        """A context of twice the job's, if members may read so much and half of the training windows have it."""
        job, data = self.job, self.data
        for context in self.contexts[1:2]:
            if 2 * len(training_windows(job, data, self.fold, context)) >= len(data.train):
                return context
        return None

    def linear(self) -> list[Member]:
        """The ridge, one with the longer context, seasonal naive, and theta."""
        job, data, watched, quantiles = self.job, self.data, self.watched, self.job.head.quantiles
        season, contexts, longer = season_of(job.series), self.contexts, self.longer
        found = [self.ridge]
        if longer is not None:
            further = baselines.ridge(ridge_fit(job, data, self.fold, longer))
            found.append(ridge_member(further, data, watched, quantiles))
        if season <= contexts[-1]:
            found.append(seasonal_naive_member(data, watched, season, quantiles))
        return [*found, theta_member(contexts, data, watched, season, quantiles)]


def choose_space(table: pd.DataFrame, job: Job, fold: Fold) -> Space:
    """The job as it is, or with `transform: log` where a ridge regression does better so on the validation windows.

    It must be better by 2 % in all, and worse in no quarter of their time: what holds now and then does not last.
    Series whose spread grows with their level gain most. Only readings above zero have logarithms, and a transform that
    the job names stays. `table` must be clean; nothing after `fold.seen_until` is looked at.
    """
    plain = _space(table, job, fold)
    known = past(table, fold.at(fold.seen_until))[Y]
    if "transform" in job.series.model_fields_set or not (known.dropna() > 0).all():
        return plain
    logged = _space(table, job.model_copy(update={"series": job.series.model_copy(update={"transform": "log"})}), fold)
    return logged if is_lasting(plain.watched, plain.forecast, logged.forecast, job.head.quantiles) else plain


def space_of(table: pd.DataFrame, job: Job, fold: Fold, older: Bundle) -> Space:
    """The space of an older ensemble: its transform, features, and scaler."""
    series = job.series.model_copy(update={"transform": older.spec.table.transform})
    return _space(table, job.model_copy(update={"series": series}), fold, learned_by(older))


def is_lasting(watched: Watched, plain: np.ndarray, logged: np.ndarray, quantiles: tuple[float, ...]) -> bool:
    """Whether the second of two forecasts (B, H, Q) of the watched windows is better in all and in every quarter."""
    order = np.argsort(watched.cutoffs, kind="stable")
    losses = [
        [loss(watched.y[part], forecast[part], quantiles) for forecast in (plain, logged)]
        for part in (order, *np.array_split(order, QUARTERS))
    ]
    return losses[0][1] < (1 - GAIN) * losses[0][0] and all(new <= old for old, new in losses)


def _space(table: pd.DataFrame, job: Job, fold: Fold, learned: Learned | None = None) -> Space:
    data = prepare(table, job, fold, learned=learned)
    watched = watch(data)
    linear = baselines.ridge(ridge_fit(job, data, fold, job.window.context))
    ridge = ridge_member(linear, data, watched, job.head.quantiles)
    return Space(job, data, watched, ridge, linear, fold, contexts_of(job, data, watched, fold))
