"""Quantiles that cannot cross: one anchor and, outwards from it, steps that are never negative."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from forecasting.nn.layers.reversible_norm import denormalise
from forecasting.nn.losses import pinball

__all__ = ["QuantileHead"]


@keras.saving.register_keras_serializable("gatecast")
class QuantileHead(keras.layers.Layer):
    """Features (B, H, W) in a frame (B, H, 2) to quantiles (B, H, Q) in the scaled space, increasing along Q.

    The level nearest to the median is the anchor m: q_m = r_m, q_{j+1} = q_j + softplus(r_{j+1}) above it and
    q_{j-1} = q_j - softplus(r_{j-1}) below it, with r = W features + b. Then scale and location of the frame.
    """

    def __init__(
        self,
        levels: Sequence[float],
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = "float32",  # forecasts in half precision would be rounded to three digits
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.levels = tuple(float(level) for level in levels)
        self.anchor = min(range(len(self.levels)), key=lambda index: abs(self.levels[index] - 0.5))

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """One output unit per quantile, shared by all horizon steps."""
        shape = (input_shape[0][-1], len(self.levels))
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=shape[1:], initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """[(B, H, W), (B, H, 2)] to (B, H, Q)."""
        features, frame = inputs
        raw = ops.matmul(features, self.kernel) + self.bias  # (B, H, Q)
        steps = ops.softplus(raw)
        median = raw[:, :, self.anchor : self.anchor + 1]
        above = median + ops.cumsum(steps[:, :, self.anchor + 1 :], axis=-1)
        below = median - ops.flip(ops.cumsum(ops.flip(steps[:, :, : self.anchor], axis=-1), axis=-1), axis=-1)
        return denormalise(ops.concatenate([below, median, above], axis=-1), frame)

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked pinball loss of (B, H) targets, NaN where missing, under quantiles (B, H, Q); a scalar."""
        return pinball(y_true, output, self.levels)

    def quantiles(self, output: Any) -> Any:
        """The output (B, H, Q) is the quantiles themselves."""
        return output

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """(B, H, Q)."""
        return (*input_shape[0][:2], len(self.levels))

    def get_config(self) -> dict[str, Any]:
        """What the constructor needs."""
        return {**super().get_config(), "levels": self.levels}
