"""Candidates for the ensemble: each a graph with its forecasts of the validation windows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from forecasting.bundle.engine import Engine
from forecasting.bundle.spec import MemberFit
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Fit, Linear
from forecasting.selection.greedy import loss
from forecasting.selection.theta import SMOOTHINGS, theta
from forecasting.series.prepare import Prepared
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows, at_rows, evenly

__all__ = ["Member", "Watched", "linear_members", "ridge_member", "watch"]

MOST_WATCHED = 2_000  # validation windows that the choice is made on, evenly spread
BLOCK = 512


class Watched(NamedTuple):
    """The validation windows that the choice is made on."""

    windows: Windows
    indices: np.ndarray  # (B,)
    y: np.ndarray  # (B, H) in units of the target, NaN where missing
    location: np.ndarray  # (B, 1, 1)
    scale: np.ndarray  # (B, 1, 1)
    scaler: Scaler

    def units(self, scaled: np.ndarray) -> np.ndarray:
        """Forecasts (B, H, Q) of the scaled space in units of the target."""
        return self.scaler.invert(scaled.astype(np.float64), self.location, self.scale)

    def wql(self, scaled: np.ndarray, quantiles: tuple[float, ...]) -> float:
        """The weighted quantile loss of forecasts (B, H, Q) of the scaled space, in units of the target."""
        return loss(self.y, self.units(scaled), quantiles)

    @property
    def cutoffs(self) -> np.ndarray:
        """When each of them was forecast (B,), as whole numbers."""
        stamps: np.ndarray = self.windows.panel.stamps[self.windows.rows(self.indices)]
        return stamps.astype(np.int64)

    def reading(self, context: int) -> Windows:
        """The same windows with a shorter context."""
        rows = self.windows.rows(self.indices)
        return at_rows(self.windows.panel, rows, context=context, horizon=self.windows.horizon)


class Member(NamedTuple):
    """A model that the ensemble may take, and how it did on the watched windows."""

    family: str  # stacked, segrnn, or the name of a baseline
    title: str
    content: bytes  # its graph
    context: int
    channels: int
    spread: np.ndarray | None  # (H, Q) around a point forecast
    forecast: np.ndarray  # (B, H, Q) of the watched windows, scaled
    fit: MemberFit | None = None  # of a network
    seconds: float = 0.0
    weights: Path | None = None  # the Keras file of a network
    gradient_norm: float = np.nan  # of a network, at the last check of its training
    clipped: float = np.nan  # the share of its gradients that were clipped


def watch(data: Prepared) -> Watched:
    """The validation windows that the choice is made on, with their readings in units of the target."""
    valid = data.valid
    indices = evenly(len(valid), MOST_WATCHED)
    series = valid.panel.series_of(valid.rows(indices))
    location, scale = (values[series][:, None, None] for values in (valid.panel.location, valid.panel.scale))
    watched = Watched(valid, indices, np.empty(0), location, scale, data.scaler)
    return watched._replace(y=watched.units(valid.targets(indices)[..., None])[..., 0])


def ridge_member(linear: Linear, data: Prepared, watched: Watched, quantiles: tuple[float, ...]) -> Member:
    """The ridge, with the quantiles of its own validation residuals at each step."""
    return _member("ridge", "ridge", linear, data, watched, quantiles)


def linear_members(
    ridge: Member, data: Prepared, watched: Watched, season: int, quantiles: tuple[float, ...]
) -> list[Member]:
    """The ridge, then seasonal naive and theta, each with the quantiles of its own validation residuals."""
    fit = Fit(data.train, data.valid, season)
    context, horizon = data.train.context, data.train.horizon
    found = [ridge]
    if season <= context:
        found.append(
            _member("seasonal_naive", "seasonal naive", baselines.seasonal_naive(fit), data, watched, quantiles)
        )
    maps = [(smoothing, theta(context, horizon, season, smoothing)) for smoothing in SMOOTHINGS]
    thetas = [
        _member("theta", f"theta, smoothing {smoothing:g}", baselines.map_of_target(weights), data, watched, quantiles)
        for smoothing, weights in maps
    ]
    return [*found, min(thetas, key=lambda one: watched.wql(one.forecast, quantiles))]


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
