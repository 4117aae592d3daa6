"""The base of every head: one linear map of the features to the parameters of a distribution."""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

__all__ = ["Head", "inverse_softplus"]


def inverse_softplus(values: np.ndarray) -> np.ndarray:
    """The x of softplus(x) = value, for values of 1e-6 at least."""
    found: np.ndarray = np.log(np.expm1(np.maximum(values, 1e-6)))
    return found


class Head(keras.layers.Layer):
    """Features (B, M, W) and loc_scale (B, M, 2) to the parameters (B, M, P) of M distributions in the scaled space.

    M counts what is forecast at once: horizon steps, time steps, or all cells of all steps. A head adds
    `parameters(raw, loc_scale)`, with raw = features · kernel + bias (B, M, size), and `loss(y_true, output)`, a scalar
    over targets (B, M) that leaves out NaN.
    """

    output_name: ClassVar[str] = "parameters"  # of the exported graph
    size: int  # raw values per forecast

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = "float32",  # forecasts in half precision would be rounded to three digits
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """One output unit per parameter, shared by all M."""
        shape = (input_shape[0][-1], self.size)
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=shape[1:], initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """[(B, M, W), (B, M, 2)] to (B, M, P)."""
        features, loc_scale = inputs
        return self.parameters(ops.matmul(features, self.kernel) + self.bias, loc_scale)

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """Raw values (B, M, size) and loc_scale (B, M, 2) as parameters (B, M, P)."""
        raise NotImplementedError

    def bias_for(self, residuals: np.ndarray) -> np.ndarray:
        """The bias (size,) with which the head, its kernel at zero, gives the distribution of `residuals`.

        They are in units of the scale; raises NotImplementedError for a head that has no such bias.
        """
        raise NotImplementedError

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """(B, M, P)."""
        return (*input_shape[0][:2], self.size)
