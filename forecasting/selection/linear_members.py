"""Members of the ensemble that are linear maps of what they read: ridge, seasonal naive, and theta."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product, takewhile

import numpy as np

from forecasting.bundle.engine import Engine
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Fit, Linear
from forecasting.selection.members import Member, Watched, training_windows, windows_with
from forecasting.selection.theta import SMOOTHINGS, theta
from forecasting.series.calendar import season_of
from forecasting.series.defaults import TIMES
from forecasting.series.folds import Fold
from forecasting.series.prepare import Prepared
from forecasting.series.windows import Windows, at_rows

__all__ = ["contexts_of", "ridge_fit", "ridge_member", "seasonal_naive_member", "theta_member"]

BLOCK = 512


def contexts_of(job: Job, data: Prepared, watched: Watched, fold: Fold) -> list[int]:
    """One, two, and three times the job's context, as far as the job and the validation windows allow.

    Every one of these must be a window with the longer context, too, which a long gap before it prevents. A job that
    names its context and no longer one has the first alone.
    """
    own = job.window.context
    most = max(own, min(job.selection.longest_context, watched.reach))
    longer = sorted({min(times * own, most) for times in range(2, TIMES + 1)} - {own})
    return [own, *takewhile(lambda context: _holds(job, data, fold, context), longer)]


def _holds(job: Job, data: Prepared, fold: Fold, context: int) -> bool:
    """Whether every validation window is one with this context, too."""
    panel = data.valid.panel
    windows = windows_with(context, job, panel, begin=panel.rows_at(fold.at(fold.fit_until)))
    rows, longer = (one.rows(np.arange(len(one))) for one in (data.valid, windows))
    return bool(np.isin(rows, longer).all())


def ridge_fit(job: Job, data: Prepared, fold: Fold, context: int) -> Fit:
    """What a ridge regression that reads so many steps learns from, and the windows that choose its penalty."""
    season, valid = season_of(job.series), data.valid
    if context == job.window.context:
        return Fit(data.train, valid, season)
    rows = valid.rows(np.arange(len(valid)))
    longer = at_rows(valid.panel, rows, context=context, horizon=valid.horizon)
    return Fit(training_windows(job, data, fold, context), longer, season)


def ridge_member(linear: Linear, data: Prepared, watched: Watched, quantiles: tuple[float, ...]) -> Member:
    """A ridge, with the quantiles of its own validation residuals at each step."""
    own = linear.context == data.train.context
    title = "ridge" if own else f"ridge, context {linear.context}"
    return _member("ridge", title, linear, data, watched, quantiles)


def seasonal_naive_member(data: Prepared, watched: Watched, season: int, quantiles: tuple[float, ...]) -> Member:
    """The reading one season before, with the quantiles of its own validation residuals at each step."""
    linear = baselines.seasonal_naive(Fit(data.train, data.valid, season))
    return _member("seasonal_naive", "seasonal naive", linear, data, watched, quantiles)


def theta_member(
    contexts: Sequence[int], data: Prepared, watched: Watched, season: int, quantiles: tuple[float, ...]
) -> Member:
    """The theta method with the least absolute error on the watched windows.

    Its smoothing is chosen, which of the contexts it reads, and whether it takes seasonal indices off.
    """
    horizon, choices = data.train.horizon, list[tuple[float, str, np.ndarray]]()
    for context in contexts:
        windows = watched.reading(context)
        past = windows.observed(np.arange(len(windows)))[..., 0].astype(np.float64)
        seasons = [season, 1] if 1 < season <= context // 2 else [1]
        for of, smoothing in product(seasons, SMOOTHINGS):
            weights = theta(context, horizon, of, smoothing)
            how = f"smoothing {smoothing:g}, context {context}" + (", no season" if of < season else "")
            choices.append((watched.mae(past @ weights), f"theta, {how}", weights))
    _, title, weights = min(choices, key=lambda choice: choice[0])
    return _member("theta", title, baselines.map_of_target(weights), data, watched, quantiles)


def _member(
    family: str, title: str, linear: Linear, data: Prepared, watched: Watched, quantiles: tuple[float, ...]
) -> Member:
    features = data.features
    channels = linear.weights.shape[0] // linear.context
    content = baselines.to_onnx(linear, inputs=channels, ahead=len(features.known_ahead) if linear.ahead.size else 0)
    points = _points(content, watched.reading(linear.context), channels)  # (B, H)
    residuals = watched.windows.targets(watched.indices) - points
    forecast = points[..., None] + _held_out_spread(residuals, quantiles)
    return Member(family, title, content, linear.context, channels, _spread(residuals, quantiles), forecast)


def _points(content: bytes, windows: Windows, channels: int) -> np.ndarray:
    engine, found = Engine(content, threads=1), []
    for indices in windows.batches(BLOCK):
        batch = windows.batch(indices)
        batch["past"] = np.ascontiguousarray(batch["past"][..., :channels])
        found.append(engine.run(batch)["quantiles"][..., 0])
    return np.concatenate(found)


def _spread(residuals: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    """The quantiles (H, Q) of residuals (B, H), NaN where missing; none at the median, which stays where it is."""
    found = np.nanquantile(residuals, quantiles, axis=0).T
    around: np.ndarray = np.nan_to_num(found - np.nanmedian(residuals, axis=0)[:, None])
    return around


def _held_out_spread(residuals: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
    """The spread (B, H, Q) of each window from the other half of the windows: its own residual has no part in it."""
    half = len(residuals) // 2
    if not half:
        return np.broadcast_to(_spread(residuals, quantiles), (*residuals.shape, len(quantiles)))
    early, late = _spread(residuals[:half], quantiles), _spread(residuals[half:], quantiles)
    return np.where(np.arange(len(residuals))[:, None, None] < half, late, early)
