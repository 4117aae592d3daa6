"""The normal distribution: location and scale."""

from typing import Any

import keras
import numpy as np
from keras import ops

from forecasting.nn.layers.head import Head, inverse_softplus
from forecasting.nn.losses import normal

__all__ = ["NormalHead"]

FLOOR = 1e-4  # least scale, as a share of the window's: a confident network must not divide by zero


@keras.saving.register_keras_serializable("gatecast")
class NormalHead(Head):
    """Features (B, M, W) and loc_scale (B, M, 2) to location and scale (B, M, 2) in the scaled space.

    With location μ and scale s of `loc_scale`: location = μ + s r_1, scale = s (softplus(r_2) + 1e-4).
    """

    size = 2

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """(B, M, 2) and (B, M, 2) to (B, M, 2)."""
        location = raw[..., :1] * loc_scale[..., 1:] + loc_scale[..., :1]
        return ops.concatenate([location, (ops.softplus(raw[..., 1:]) + FLOOR) * loc_scale[..., 1:]], axis=-1)

    def bias_for(self, residuals: np.ndarray) -> np.ndarray:
        """Mean and standard deviation of the residuals."""
        return np.array([residuals.mean(), *inverse_softplus(np.array([residuals.std() - FLOOR]))])

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked negative log likelihood of (B, M) targets, NaN where missing; a scalar."""
        return normal(y_true, output)
