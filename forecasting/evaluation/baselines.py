"""The forecasts that every network must beat, each a linear map of its context, so each a bundle like any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Origin
from forecasting.bundle.assemble import Earlier, assemble, spec_for
from forecasting.bundle.engine import Graphs
from forecasting.config.job import Job
from forecasting.evaluation.earlier_spans import EarlierSpan, count_of, earlier_spans, errors_before, with_earlier
from forecasting.nn.exporters.graph import Graph
from forecasting.series.calendar import season_of
from forecasting.series.features import Features
from forecasting.series.folds import Fold
from forecasting.series.panel import build
from forecasting.series.prepare import Prepared, prepare
from forecasting.series.windows import Windows, at_rows, evenly

__all__ = [
    "BASELINES",
    "Fit",
    "Linear",
    "drift",
    "fit",
    "fit_all",
    "map_of_target",
    "naive",
    "relay",
    "ridge",
    "seasonal_naive",
    "solve",
    "to_onnx",
]

ALPHAS = (1.0, 10.0, 100.0, 1000.0, 10_000.0)  # of the ridge penalty, chosen on the validation windows
MOST_WINDOWS = 50_000  # the ridge is fitted on, evenly spread
MOST_VALUES = 50_000_000  # in all their contexts together: 400 MB
BLOCK = 512  # windows that are forecast at once


class Fit(NamedTuple):
    """The data of a baseline's fit: training and validation windows, and the season in steps."""

    train: Windows
    valid: Windows
    season: int


class Linear(NamedTuple):
    """forecast (B, H) = past (B, T·D) @ weights (T·D, H) + future (B, H·F) @ ahead (H·F, H) + bias (H,).

    All in the scaled space; `ahead` is empty if no known-ahead feature is used, and `penalty` is 0 where nothing was
    fitted.
    """

    context: int
    weights: np.ndarray
    ahead: np.ndarray
    bias: np.ndarray
    penalty: float = 0.0

    def forecast(self, windows: Windows) -> np.ndarray:
        """The forecasts (B, H) of all windows."""
        found = [np.empty((0, len(self.bias)))]
        for indices in windows.batches(BLOCK):
            batch = windows.batch(indices)
            forecast = batch["past"].reshape(len(indices), -1) @ self.weights + self.bias
            ahead = batch["future"].reshape(len(indices), -1) @ self.ahead if self.ahead.size else 0.0
            found.append(forecast + ahead)
        return np.concatenate(found)


def naive(fit: Fit) -> Linear:
    """The last reading, repeated."""
    return map_of_target(_pick(fit.train.context, np.full(fit.train.horizon, fit.train.context - 1)))


def seasonal_naive(fit: Fit) -> Linear:
    """The reading one season before (Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 5.2)."""
    context = max(fit.train.context, fit.season)
    lags = fit.season - np.arange(fit.train.horizon) % fit.season
    return map_of_target(_pick(context, context - lags))


def drift(fit: Fit) -> Linear:
    """The line through the first and the last reading of the context, continued (same source, 5.2)."""
    context, horizon = fit.train.context, fit.train.horizon
    weights = _pick(context, np.full(horizon, context - 1))
    slope = np.arange(1, horizon + 1) / max(context - 1, 1)
    weights[-1] += slope
    weights[0] -= slope
    return map_of_target(weights)


def ridge(fit: Fit) -> Linear:
    """Pooled ridge regression on the whole context, with the last reading subtracted from target and lags.

    It sees the same past and known-ahead inputs as the network. Windows with a missing target are left out. Its penalty
    is the one with the least absolute error on the validation windows.
    """
    held_out, actual = _design(fit.valid)
    solutions = _solutions(fit.train, ALPHAS)
    if not solutions:
        return naive(fit)
    # scikit-learn gives a single step as (B,), which must not be taken for a row
    predicted = [solution.predict(held_out).reshape(actual.shape) if len(actual) else actual for solution in solutions]
    errors = [np.abs(made - actual).mean() if len(actual) else 0.0 for made in predicted]
    return _linear(fit.train, solutions[int(np.argmin(errors))])


def solve(windows: Windows, penalty: float) -> Linear:
    """The ridge regression on these windows; the last reading, repeated, where none of them is complete."""
    solutions = _solutions(windows, (penalty,))
    return _linear(windows, solutions[0]) if solutions else naive(Fit(windows, windows, 1))


def _solutions(windows: Windows, penalties: Sequence[float]) -> list[Any]:
    """A ridge regression for each penalty; none where no window is complete."""
    from sklearn.linear_model import Ridge  # half of what a flow without a fit would load

    inputs, y = _design(windows)
    return [Ridge(alpha=penalty, solver="cholesky").fit(inputs, y) for penalty in penalties] if len(y) else []


def _linear(windows: Windows, solution: Any) -> Linear:
    coefficients = np.asarray(solution.coef_).reshape(windows.horizon, -1).T
    lags = windows.context * len(windows.panel.features.inputs)
    weights = _undo_centring(windows, coefficients[:lags])
    return Linear(windows.context, weights, coefficients[lags:], np.atleast_1d(solution.intercept_), solution.alpha)


BASELINES: dict[str, Callable[[Fit], Linear]] = {
    "naive": naive,
    "seasonal_naive": seasonal_naive,
    "drift": drift,
    "ridge": ridge,
}


def fit(
    name: str, data: Prepared, job: Job, directory: Path, *, spans: Sequence[EarlierSpan] = (), origin: Origin
) -> Path:
    """Fit the baseline `name` on one fold and write its bundle.

    It is calibrated on the validation windows, and on those of the earlier `spans` if errors there are larger: a map of
    fixed weights by its own errors, a ridge by those of ridges that had not seen them.
    """
    season = season_of(job.series)
    linear = BASELINES[name](Fit(data.train, data.valid, season))
    errors = (
        errors_before(spans, lambda before: solve(before, linear.penalty).forecast)
        if linear.penalty and spans
        else None
    )
    held_out = with_earlier(spans, data.valid)
    of_target = linear.weights.shape[0] == linear.context
    features = _features_of_target(data.features, job.forecast.calibrate.by) if of_target else data.features
    if of_target:
        held_out = relay(data, features, linear.context, held_out)
    spec = spec_for(job, name, features, data.scaler, context=linear.context, quantiles=(0.5,))
    model = to_onnx(linear, inputs=len(features.inputs), ahead=len(features.known_ahead))
    return assemble(directory, spec, Graphs(model), held_out, earlier=Earlier(count_of(spans), errors), origin=origin)


def fit_all(
    names: Sequence[str], table: pd.DataFrame, job: Job, fold: Fold, paths: Mapping[str, Path], origin: Origin
) -> None:
    """Fit some baselines on one fold of a clean table; their data is prepared once."""
    data = prepare(table, job, fold)
    auto = job.model.name == "auto"  # a network of the job's choice has the residuals of the validation span alone
    spans = earlier_spans(data.valid, job.window, job.series.max_gap, fold.at(fold.fit_until)) if auto else []
    for name in names:
        fit(name, data, job, paths[name], spans=spans, origin=origin)


def _features_of_target(features: Features, group: str) -> Features:
    """The features of a model of the target alone: none, but the label that its residuals are grouped by."""
    vocabulary = {group: features.vocabulary[group]} if group in features.static_labels else {}
    return Features(freq=features.freq, time_zone=features.time_zone, static=tuple(vocabulary), vocabulary=vocabulary)


def relay(data: Prepared, features: Features, context: int, windows: Windows) -> Windows:
    """The same windows over a panel of other features and a longer context, padded where it starts too early."""
    panel = build(data.seen, features, data.scaler, context=context, every_row=True)
    rows = windows.rows(np.arange(len(windows)))
    padding = (context - 1) * (windows.panel.series_of(rows) + 1)
    return at_rows(panel, rows + padding, context=context, horizon=windows.horizon)


def to_onnx(linear: Linear, *, inputs: int, ahead: int) -> bytes:
    """The map as an ONNX model: "past" (B, T, D) and, if used, "future" (B, H, F) to "quantiles" (B, H, 1)."""
    graph, horizon = Graph(), len(linear.bias)
    past = graph.input("past", (None, linear.context, inputs), "float32")
    forecast = graph.add("Add", _weighted(graph, past, linear.weights), graph.constant(linear.bias))
    if linear.ahead.size:
        future = graph.input("future", (None, horizon, ahead), "float32")
        forecast = graph.add("Add", forecast, _weighted(graph, future, linear.ahead))
    quantiles = graph.add("Reshape", forecast, graph.constant([0, horizon, 1]))
    graph.output("quantiles", quantiles, (None, horizon, 1))
    return bytes(graph.model().SerializeToString())


def _weighted(graph: Graph, value: str, weights: np.ndarray) -> str:
    """(B, T, D) to (B, H), by weights (T·D, H)."""
    return graph.add("MatMul", graph.add("Flatten", value), graph.constant(weights))


def _pick(context: int, positions: np.ndarray) -> np.ndarray:
    """Weights (T, H) that copy the context step `positions[h]` to horizon step h."""
    weights = np.zeros((context, len(positions)))
    weights[positions, np.arange(len(positions))] = 1.0
    return weights


def map_of_target(weights: np.ndarray) -> Linear:
    """The map of the target alone with these weights (T, H)."""
    return Linear(len(weights), weights, np.empty((0, weights.shape[1])), np.zeros(weights.shape[1]))


def _design(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (B, T·D + H·F), their centered target, and centered targets (B, H) of the complete windows; float64."""
    most = min(MOST_WINDOWS, MOST_VALUES // (windows.context * len(windows.panel.features.inputs)))
    chosen = evenly(len(windows), most)
    chosen = chosen[~np.isnan(windows.targets(chosen)).any(axis=1)]
    y, batch = windows.targets(chosen).astype(np.float64), windows.batch(chosen)
    past = batch["past"].astype(np.float64)
    last = past[:, -1:, 0].copy()
    past[:, :, 0] -= last
    parts = [past, batch["future"]] if "future" in batch else [past]
    flat = [part.reshape(len(y), math.prod(part.shape[1:])) for part in parts]
    return np.hstack(flat), y - last


def _undo_centring(windows: Windows, weights: np.ndarray) -> np.ndarray:
    """Weights for the raw context: the weight of each lag is subtracted from the last reading, which is added back."""
    shaped = weights.reshape(windows.context, -1, windows.horizon).copy()  # (T, D, H)
    shaped[-1, 0] += 1.0 - shaped[:, 0].sum(axis=0)
    return shaped.reshape(weights.shape)
