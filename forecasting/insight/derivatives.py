"""Derivatives of a model's forecasts by central differences in its own scaled inputs: any graph will do."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from forecasting.bundle.predictor import Predictor
from forecasting.series.features import Features
from forecasting.series.windows import Batch

__all__ = ["InputChannel", "by_lag", "by_step_ahead", "inputs_of"]

_STEP: Final = 0.03  # of a difference, in standard deviations of the channel within its window
_LEAST: Final = 1e-3  # of that step, scaled: below it, float32 rounds more than the model changes

Array = np.ndarray


class InputChannel(NamedTuple):
    """A channel of readings: its place in `past` (B, T, D), and in `future` (B, H, F) if it is known ahead."""

    name: str
    past: int
    future: int | None = None


def inputs_of(features: Features) -> list[InputChannel]:
    """The target and all covariates that change over time.

    What a stamp gives by itself, and the mask of gaps, are no readings: nobody has to remember them.
    """
    given = features.known_ahead[: len(features.known_ahead) - len(features.of_stamps)]
    before = len(features.observed)
    observed = [InputChannel(name, place) for place, name in enumerate(features.observed)]
    return [*observed, *(InputChannel(name, before + place, place) for place, name in enumerate(given))]


def by_lag(predictor: Predictor, window: Batch, channel: int) -> Array:
    """∂ forecast / ∂ channel of `past` for a batch of one window: (T, places, H), lag 1 first.

    A series has one place; all places of a frame are moved together.
    """
    return _central(predictor, window, "past", channel)[::-1]


def by_step_ahead(predictor: Predictor, window: Batch, channel: int) -> Array:
    """∂ forecast / ∂ channel of `future` for a batch of one window: (H, places, H), the first step ahead first."""
    return _central(predictor, window, "future", channel)


def _central(predictor: Predictor, window: Batch, name: str, channel: int) -> Array:
    """Every step of one channel is moved up and down by itself."""
    values = window[name]
    count = values.shape[1]
    step = max(_STEP * float(values[..., channel].std()), _LEAST)
    moved = np.repeat(values, 2 * count, axis=0)
    each = np.arange(count)
    moved[each, each, ..., channel] += step
    moved[count + each, each, ..., channel] -= step
    same = {other: np.repeat(array, 2 * count, axis=0) for other, array in window.items() if other != name}
    found = predictor.center({**same, name: moved}).astype(np.float64).reshape(2 * count, -1, predictor.spec.horizon)
    difference: Array = (found[:count] - found[count:]) / (2 * step)
    return difference
