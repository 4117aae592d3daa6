"""The model that is watched: a ridge on the last days, with intervals of its residuals and a backtest that promises."""

from __future__ import annotations

from math import ceil
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.evaluation.uncertainty import mean_of
from forecasting.monitor.rules import Promise

__all__ = ["Model", "errors", "renewed", "train"]

Floats = npt.NDArray[np.float64]

_FITTED: Final = 24 * 120  # hours that a fit reads
_PENALTY: Final = 1e-3
_WINDOWS: Final = 100  # of a backtest
_SIDES: Final = (0.1, 0.9)


class Model(NamedTuple):
    """A version: weights and intervals, the last reading of its fit, the last one it knew, and its backtest."""

    number: int
    weights: Floats  # (1 + T, H)
    bounds: Floats  # (2, H) of residuals
    fit_until: int
    known_until: int
    promise: Promise

    @property
    def horizon(self) -> int:
        """Steps."""
        return self.weights.shape[1]

    def forecast(self, y: Floats, cutoffs: npt.NDArray[np.intp]) -> Floats:
        """Medians (B, H) from the readings up to and with each cutoff."""
        made: Floats = _inputs(y, cutoffs, len(self.weights) - 1) @ self.weights
        return made


def train(number: int, y: Floats, until: int, horizon: int, held: int) -> Model:
    """Fit on the readings up to `until` but for the last `held`, which calibrate it and judge it."""
    context, end = max(48, min(horizon, 168)), until - held
    cutoffs = np.arange(max(context - 1, end - _FITTED), end - horizon + 1)
    inputs = _inputs(y, cutoffs, context)
    square = inputs.T @ inputs + _PENALTY * len(inputs) * np.eye(context + 1)
    weights = np.linalg.solve(square, inputs.T @ _ahead(y, cutoffs, horizon))
    model = Model(number, weights, np.zeros((2, horizon)), end, until, Promise(0, 0, 0, 0, 0, 0.8))
    earlier, every = (errors(model, y, np.arange(stop - held, stop - horizon + 1)) for stop in (end, until))
    step = max(1, ceil((held - horizon) / _WINDOWS))
    return model._replace(bounds=_bounds(every), promise=_promise(every[::step], _bounds(earlier), step))


def renewed(model: Model, number: int, y: Floats, until: int, window: int) -> Model:
    """The same weights with intervals of the latest residuals."""
    latest = errors(model, y, np.arange(until - window - model.horizon, until - model.horizon + 1))
    return model._replace(number=number, bounds=_bounds(latest), known_until=until)


def errors(model: Model, y: Floats, cutoffs: npt.NDArray[np.intp]) -> Floats:
    """Readings minus medians (B, H)."""
    return _ahead(y, cutoffs, model.horizon) - model.forecast(y, cutoffs)


def _bounds(residuals: Floats) -> Floats:
    bounds: Floats = np.quantile(residuals, _SIDES, axis=0)
    return bounds


def _promise(judged: Floats, bounds: Floats, step: int) -> Promise:
    horizon = judged.shape[1]
    inside = (judged >= bounds[0]) & (judged <= bounds[1])
    mae, coverage = (
        mean_of(values.mean(axis=1), ceil(horizon / step)) for values in (np.abs(judged), inside.astype(np.float64))
    )
    return Promise(
        mae=mae.value,
        mae_error=mae.error,
        coverage=coverage.value,
        coverage_error=coverage.error,
        stamps=len(judged) * min(step, horizon),
        nominal=_SIDES[1] - _SIDES[0],
    )


def _inputs(y: Floats, cutoffs: npt.NDArray[np.intp], context: int) -> Floats:
    windows = y[cutoffs[:, None] - np.arange(context)]
    return np.concatenate([np.ones((len(cutoffs), 1)), windows], axis=1)


def _ahead(y: Floats, cutoffs: npt.NDArray[np.intp], horizon: int) -> Floats:
    return y[cutoffs[:, None] + np.arange(1, horizon + 1)]
