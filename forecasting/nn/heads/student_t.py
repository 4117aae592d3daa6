"""Student's t distribution: like the normal, with tails as heavy as the data call for."""

from typing import Any

import keras
import numpy as np
from keras import ops

from forecasting.nn.layers.head import Head, inverse_softplus
from forecasting.nn.losses import student_t

__all__ = ["StudentTHead"]

FLOOR = 1e-4  # least scale, as a share of the window's
LEAST_DF = 2.0  # above it the variance exists


@keras.saving.register_keras_serializable("gatecast")
class StudentTHead(Head):
    """Features (B, M, W) and loc_scale (B, M, 2) to freedom, location and scale (B, M, 3) in the scaled space.

    With location μ and scale s of `loc_scale`: df = 2 + softplus(r_1) + 1e-4, location = μ + s r_2,
    scale = s (softplus(r_3) + 1e-4).
    """

    size = 3

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """(B, M, 3) and (B, M, 2) to (B, M, 3)."""
        degrees = LEAST_DF + (ops.softplus(raw[..., :1]) + FLOOR)
        location = raw[..., 1:2] * loc_scale[..., 1:] + loc_scale[..., :1]
        return ops.concatenate([degrees, location, (ops.softplus(raw[..., 2:]) + FLOOR) * loc_scale[..., 1:]], axis=-1)

    def bias_for(self, residuals: np.ndarray) -> np.ndarray:
        """Five degrees of freedom, with mean and standard deviation of the residuals."""
        scale = residuals.std() * np.sqrt(3 / 5)  # a variance is scale² df / (df - 2)
        freedom, raw = inverse_softplus(np.array([3.0, scale - FLOOR]))
        return np.array([freedom, residuals.mean(), raw])

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked negative log likelihood of (B, M) targets, NaN where missing; a scalar."""
        return student_t(y_true, output)
