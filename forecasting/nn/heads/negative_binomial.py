"""The negative binomial distribution of counts: zeros are values like any other."""

from typing import Any

import keras
from keras import ops

from forecasting.nn.layers.head import Head
from forecasting.nn.losses import negative_binomial

__all__ = ["NegativeBinomialHead"]

FLOOR = 1e-6  # least mean and dispersion


@keras.saving.register_keras_serializable("gatecast")
class NegativeBinomialHead(Head):
    """Features (B, M, W) and loc_scale (B, M, 2) to mean m and dispersion a (B, M, 2); the variance is m + a m².

    Location μ and scale s of `loc_scale` are in counts. With the width w = s + 1:
    m = w softplus(r_1 + μ / w) + 1e-6, which is nearly μ + w r_1 at large counts and exponential in r_1 near zero;
    a = softplus(r_2) (w / (w + m))² + 1e-6, so that large counts deviate by about w, whatever their level.
    A count is whole, so w is never below one: a context of zeros alone has the width one.
    """

    size = 2

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """(B, M, 2) and (B, M, 2) to (B, M, 2)."""
        width = loc_scale[..., 1:] + 1.0
        mean = width * ops.softplus(raw[..., :1] + loc_scale[..., :1] / width) + FLOOR
        dispersion = ops.softplus(raw[..., 1:]) * ops.square(width / (width + mean)) + FLOOR
        return ops.concatenate([mean, dispersion], axis=-1)

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked negative log likelihood of (B, M) counts, NaN where missing; a scalar."""
        return negative_binomial(y_true, output)
