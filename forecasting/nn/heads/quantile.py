"""Quantiles that cannot cross: one anchor and, outward from it, steps that are never negative."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from forecasting.nn.layers.head import Head, inverse_softplus
from forecasting.nn.layers.reversible_norm import denormalise
from forecasting.nn.losses import pinball

__all__ = ["QuantileHead"]


@keras.saving.register_keras_serializable("gatecast")
class QuantileHead(Head):
    """Features (B, M, W) and loc_scale (B, M, 2) to quantiles (B, M, Q) in the scaled space, increasing along Q.

    The level nearest to the median is the anchor m: q_m = r_m, q_{j+1} = q_j + softplus(r_{j+1}) above it and
    q_{j-1} = q_j - softplus(r_{j-1}) below it, with r = W features + b. Then times scale plus location.
    """

    output_name: ClassVar[str] = "quantiles"

    def __init__(
        self, levels: Sequence[float], *, name: str | None = None, trainable: bool = True, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.size = len(levels)
        self.levels = tuple(float(level) for level in levels)
        self.anchor = min(range(len(self.levels)), key=lambda index: abs(self.levels[index] - 0.5))

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """(B, M, Q) and (B, M, 2) to (B, M, Q)."""
        steps = ops.softplus(raw)
        median = raw[:, :, self.anchor : self.anchor + 1]
        above = median + ops.cumsum(steps[:, :, self.anchor + 1 :], axis=-1)
        below = median - ops.flip(ops.cumsum(ops.flip(steps[:, :, : self.anchor], axis=-1), axis=-1), axis=-1)
        return denormalise(ops.concatenate([below, median, above], axis=-1), loc_scale)

    def bias_for(self, residuals: np.ndarray) -> np.ndarray:
        """The quantiles of the residuals: the anchor itself, then the steps outwards."""
        quantiles = np.quantile(residuals, self.levels)
        steps = np.diff(quantiles)
        raw = inverse_softplus(np.concatenate([steps[: self.anchor], [1.0], steps[self.anchor :]]))
        raw[self.anchor] = quantiles[self.anchor]
        return raw

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked pinball loss of (B, M) targets, NaN where missing, under quantiles (B, M, Q); a scalar."""
        return pinball(y_true, output, self.levels)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "levels": self.levels}
