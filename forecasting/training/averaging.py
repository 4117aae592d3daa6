"""Averaged weights: what a fit checks and keeps is the moving average of its weights, not where its last step led."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from forecasting.training.gradients import optimizer_of

__all__ = ["averaged", "averaging", "exchange"]


def averaging(length: int) -> dict[str, Any]:
    """The arguments of an optimizer that averages over about as many steps as lie between two checks.

    An exponential moving average, ā ← m ā + (1 - m) w with m = 1 - 1 / length (Polyak & Juditsky 1992; Kingma & Ba
    2015, section 7.2), which begins with the weights after the first step.
    """
    return {"use_ema": True, "ema_momentum": 1 - 1 / max(length, 2)}


@contextmanager
def averaged(learner: keras.Model) -> Iterator[None]:
    """Within it the network has its averaged weights, if its optimizer keeps them; then those it learns with."""
    exchange(learner)
    yield
    exchange(learner)


def exchange(learner: keras.Model) -> None:
    """Let weights and averages change places, if the optimizer keeps averages."""
    optimizer = optimizer_of(learner)
    if not optimizer.use_ema:
        return
    averages = optimizer._model_variables_moving_average
    for weight, average in zip(learner.trainable_variables, averages, strict=True):
        kept = keras.ops.copy(weight.value)
        weight.assign(average.value)
        average.assign(kept)
