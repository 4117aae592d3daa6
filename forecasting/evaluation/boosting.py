"""Gradient boosting over all series at once: lags and calendar in, one step out, fed back over the horizon."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.evaluation.backtest import Origins
from forecasting.series.calendar import season_of
from forecasting.series.folds import Fold, past
from forecasting.series.frequency import fixed_step, is_calendar
from forecasting.series.moments import Moment, shift, stamps_of, steps_between
from forecasting.series.windows import evenly

__all__ = ["forecasts"]

_TREES: Final = {"n_estimators": 300, "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 10}
_CALIBRATED: Final = 20  # cutoffs of the validation span that residuals are taken from


def forecasts(grid: pd.DataFrame, job: Job, origins: Origins) -> np.ndarray:
    """Quantiles (B, H, Q): fitted on the training span of each fold, with the residuals of its validation span.

    Whether steps or their differences are learned is chosen there. `grid` has no gaps.
    """
    values = np.empty((*origins.y.shape, len(origins.quantiles)))
    for number, fold in enumerate(origins.folds):
        mine = np.flatnonzero(origins.fold_of == number)
        model, residuals = _chosen(grid, job, fold)
        spread = _spread(grid, fold)
        for moment in fold.moments:
            point = _ahead(model, past(grid, moment), job.window.horizon)
            names = origins.unique_id[mine]
            here = mine[origins.cutoff[mine] == stamps_of(moment, names)]
            scale = spread.reindex(origins.unique_id[here]).to_numpy()
            quantiles = np.nanquantile(residuals, origins.quantiles, axis=0).T  # (H, Q)
            centre = point.loc[origins.unique_id[here]].to_numpy()
            values[here] = centre[..., None] + scale[:, None, None] * quantiles
            values[here, :, origins.quantiles.index(0.5)] = centre
    return np.sort(values, axis=2)


def _chosen(grid: pd.DataFrame, job: Job, fold: Fold) -> tuple[Any, np.ndarray]:
    """The better of two models, and its residuals (B, H) in units of each series' spread."""
    found = []
    for differenced in (False, True):
        model = _fitted(past(grid, fold.at(fold.fit_until)), job, differenced)
        found.append((model, _residuals(model, grid, job, fold)))
    return min(found, key=lambda pair: float(np.nanmean(np.abs(pair[1]))))


def _fitted(known: pd.DataFrame, job: Job, differenced: bool) -> Any:
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.target_transforms import Differences, LocalStandardScaler

    season, longest = season_of(job.series), int(known.groupby(UNIQUE_ID).size().max())
    lags = {1, 2, 3, season - 1, season, season + 1, 2 * season, 7 * season}
    trees = LGBMRegressor(**_TREES, n_jobs=1, random_state=1, deterministic=True, verbosity=-1)
    model = MLForecast(
        models={"trees": trees},
        freq=job.series.freq,
        lags=sorted(lag for lag in lags if 1 <= lag < longest // 2),
        date_features=_date_features(job.series.freq),
        target_transforms=[*([Differences([1])] if differenced else []), LocalStandardScaler()],
    )
    return model.fit(_plain(known), static_features=[], dropna=False)


def _date_features(freq: str) -> list[str]:
    """The calendar that a step of this frequency has."""
    if not is_calendar(freq):
        return ["hour", "dayofweek", "month"]
    return ["dayofweek", "day", "month"] if fixed_step(freq) is not None or freq == "B" else ["month", "quarter"]


def _plain(grid: pd.DataFrame) -> pd.DataFrame:
    """Readings alone, from the first one of each series on."""
    return grid.loc[grid[Y].notna(), [UNIQUE_ID, DS, Y]]


def _ahead(model: Any, known: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """The forecast of every series from the end of `known` on: one row per series, one column per step."""
    made = model.predict(horizon, new_df=_plain(known))
    return pd.DataFrame(made["trees"].to_numpy().reshape(-1, horizon), index=made[UNIQUE_ID].to_numpy()[::horizon])


def _spread(grid: pd.DataFrame, fold: Fold) -> pd.Series:
    """The mean absolute change of each series from step to step in the training span; 1 where there is none."""
    known = past(grid, fold.at(fold.fit_until))
    change = known.groupby(UNIQUE_ID)[Y].diff().abs().groupby(known[UNIQUE_ID]).mean()
    names = grid[UNIQUE_ID].unique()
    return change.where(change > 0).reindex(names).fillna(1.0)


def _residuals(model: Any, grid: pd.DataFrame, job: Job, fold: Fold) -> np.ndarray:
    """Actual minus forecast (B, H) at cutoffs of the validation span, in units of the spread."""
    horizon, freq, spread = job.window.horizon, job.series.freq, _spread(grid, fold)
    span = steps_between(fold.fit_until, fold.seen_until, freq) - horizon
    seen = past(grid, fold.at(fold.seen_until)).set_index([UNIQUE_ID, DS])[Y]
    found = []
    for step in evenly(span + 1, _CALIBRATED):
        moment: Moment = fold.at(shift(fold.fit_until, int(step), freq))
        known = past(grid, moment)
        made = model.predict(horizon, new_df=_plain(known))
        actual = seen.reindex(pd.MultiIndex.from_frame(made[[UNIQUE_ID, DS]])).to_numpy()
        scale = spread.reindex(made[UNIQUE_ID]).to_numpy()
        found.append(((actual - made["trees"].to_numpy()) / scale).reshape(-1, horizon))
    return np.concatenate(found)
