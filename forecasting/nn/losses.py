"""Losses over windows whose targets may be missing."""

from collections.abc import Sequence
from typing import Any

from keras import ops

__all__ = ["pinball"]


def pinball(y_true: Any, quantiles: Any, levels: Sequence[float]) -> Any:
    """The masked mean of twice the pinball loss (Koenker & Bassett 1978, eq. 1.2): for the median alone, the MAE.

    `y_true` (B, H) or (B, H, 1) holds NaN where the target is missing; such a target adds neither loss nor gradient.
    `quantiles` (B, H, Q), or (B, H) where Q is 1. The result is a scalar, 0 where no target was observed.
    """
    quantiles = _last_axis(quantiles)
    y_true = _last_axis(ops.cast(y_true, quantiles.dtype))  # (B, H, 1)
    observed = ops.logical_not(ops.isnan(y_true))
    # the NaN is replaced before the subtraction: masking the loss afterwards would leave a NaN in the gradient
    error = ops.where(observed, y_true, ops.zeros_like(y_true)) - quantiles  # (B, H, Q)
    level = ops.convert_to_tensor(levels, dtype=quantiles.dtype)
    weight = ops.cast(observed, quantiles.dtype)
    losses = 2.0 * ops.maximum(level * error, (level - 1.0) * error) * weight
    return ops.sum(losses) / (len(levels) * ops.maximum(ops.sum(weight), 1.0))


def _last_axis(values: Any) -> Any:
    """Give back the last axis of size one that Keras squeezes away before it calls a loss."""
    return values if len(values.shape) == 3 else ops.expand_dims(values, -1)
