"""First weights that forecast like a ridge regression: a network that starts there is never worse than linear."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import keras
import numpy as np

from forecasting.nn.layers.highway import wide_highway_of
from forecasting.series.windows import evenly
from forecasting.training.batches import Examples

__all__ = ["start_as_ridge"]

PENALTIES: Final = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)
MOST_WINDOWS: Final = 30_000  # of each span, evenly spread
MOST_VALUES: Final = 30_000_000  # in the inputs of all of them: 240 MB
BLOCK: Final = 2048  # windows that are normalized at once


class _Design(NamedTuple):
    """Windows in the network's normalized space: inputs (B, features), targets (B, H), and the scale (B, 1) of each."""

    inputs: np.ndarray
    targets: np.ndarray
    scale: np.ndarray


class _Linear(NamedTuple):
    kernel: np.ndarray  # (features, H)
    bias: np.ndarray  # (H,)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        forecast: np.ndarray = inputs @ self.kernel + self.bias
        return forecast


def start_as_ridge(
    network: keras.Model, train: Examples, valid: Examples, *, everything: Examples | None = None
) -> None:
    """Give a network with a wide highway the closed-form ridge as its first weights; leave any other as it is.

    The ridge is fitted to the normalized training windows, each weighted by the square of its scale, so that errors
    count in the units of the series; its penalty is chosen on the validation windows. Their residuals become the
    spread of each step and the bias of the head, whose kernel starts at zero. Windows that lack a target are left out.
    With `everything` the ridge is then fitted to those windows, with the same penalty and spread.
    """
    highway, head = wide_highway_of(network), network.get_layer("head")
    if highway is None:
        return
    fitted, held_out = (_design(network, highway, examples) for examples in (train, valid))
    if not len(fitted.targets):
        return
    judged = held_out if len(held_out.targets) else fitted
    penalty, best = _ridge(fitted, judged)
    residuals = judged.targets - best(judged.inputs)  # (B, H)
    spread = np.maximum(np.sqrt(np.mean(np.square(residuals), axis=0)), 1e-6)  # (H,)
    if everything is not None:
        (best,) = _solutions(_design(network, highway, everything), (penalty,))
    lags = highway.kernel.shape[0]
    ahead = [best.kernel[lags:]] if len(best.kernel) > lags else []
    highway.set_weights([best.kernel[:lags], best.bias, np.log(spread), *ahead])
    head.set_weights([np.zeros(head.kernel.shape), head.bias_for(residuals / spread)])


def _design(network: keras.Model, highway: Any, examples: Examples) -> _Design:
    reader = keras.Model(network.inputs, highway.input)
    width = highway.kernel.shape[0] + (highway.ahead_kernel.shape[0] if len(highway.input) > 2 else 0)
    chosen = evenly(len(examples), min(MOST_WINDOWS, max(1, MOST_VALUES // width)))
    y = examples.targets(chosen)
    complete = ~np.isnan(y).any(axis=1)
    chosen, y = chosen[complete], y[complete].astype(np.float64)
    if not len(chosen):  # which no backend takes for a batch
        return _Design(np.empty((0, width)), y, np.empty((0, 1)))
    parts = [_inputs(reader, highway, examples, block) for block in np.array_split(chosen, -(-len(chosen) // BLOCK))]
    inputs, loc_scale = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    location, scale = loc_scale[:, :1, 0], loc_scale[:, :1, 1]
    return _Design(inputs, (y - location) / scale, scale)


def _inputs(
    reader: keras.Model, highway: Any, examples: Examples, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the highway reads of some windows, flattened (B, features), and their location and scale (B, H, 2)."""
    batch = examples.batch(indices)
    read = reader({tensor.name: batch[tensor.name] for tensor in reader.inputs}, training=False)
    past, loc_scale, *ahead = (np.asarray(keras.ops.convert_to_numpy(part), np.float64) for part in read)
    flat = [part.reshape(len(indices), math.prod(part.shape[1:])) for part in (past[:, -highway.steps :], *ahead)]
    return np.hstack(flat), loc_scale


def _ridge(fitted: _Design, held_out: _Design) -> tuple[float, _Linear]:
    """The penalty whose ridge has the least absolute error on the held-out windows, in units of the series; and it."""
    solutions = _solutions(fitted, PENALTIES)
    errors = [np.mean(np.abs(held_out.targets - one(held_out.inputs)) * held_out.scale) for one in solutions]
    best = int(np.argmin(errors))
    return PENALTIES[best], solutions[best]


def _solutions(fitted: _Design, penalties: tuple[float, ...]) -> list[_Linear]:
    """Weighted ridge regressions with an intercept, from one eigendecomposition for all penalties."""
    weights = np.square(fitted.scale) / np.mean(np.square(fitted.scale))  # (B, 1)
    center, level = (np.average(values, axis=0, weights=weights[:, 0]) for values in (fitted.inputs, fitted.targets))
    inputs, targets = (fitted.inputs - center) * np.sqrt(weights), (fitted.targets - level) * np.sqrt(weights)
    values, vectors = np.linalg.eigh(inputs.T @ inputs)
    moments = vectors.T @ (inputs.T @ targets)
    kernels = [vectors @ (moments / (np.maximum(values, 0.0) + penalty)[:, None]) for penalty in penalties]
    return [_Linear(kernel, level - center @ kernel) for kernel in kernels]
