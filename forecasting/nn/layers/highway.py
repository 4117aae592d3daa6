"""The autoregressive highway (Lai et al. 2018, LSTNet eq. 7): a linear path past the recurrent layers."""

from typing import Any

import keras
from keras import ops

from forecasting.nn.layers.reversible_norm import denormalise

__all__ = ["Highway", "WideHighway", "wide_highway_of"]


@keras.saving.register_keras_serializable("gatecast")
class Highway(keras.layers.Layer):
    """Moves the location of each horizon step by a linear function of the last `steps` target values.

    Takes the normalized context (B, T, D) and its pair `loc_scale` (B, H, 2), returns a pair (B, H, 2) whose location
    is location + scale * (W y + b). It starts at zero, so an untrained highway forecasts the plain location.
    """

    def __init__(self, steps: int, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32") -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.steps = steps

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """One weight per (lag, horizon step)."""
        horizon = input_shape[1][1]
        self.kernel = self.add_weight(shape=(self.steps, horizon), initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(horizon,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """[(B, T, D), (B, H, 2)] to (B, H, 2)."""
        past, loc_scale = inputs
        shift = ops.matmul(past[:, -self.steps :, 0], self.kernel) + self.bias  # (B, H)
        location = denormalise(ops.expand_dims(shift, -1), loc_scale)
        return ops.concatenate([location, loc_scale[:, :, 1:]], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of `loc_scale`."""
        return tuple(input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable("gatecast")
class WideHighway(Highway):
    """A highway over all channels of the last `steps` context steps, and over all that is known ahead.

    Location + scale * (W x + A f + b), with x (B, steps · D) and f (B, H · F) flattened, and scale * exp(g), with a
    g of its own for each horizon step. Its weights can be those of a ridge regression: a network around it then
    forecasts before it has learned anything.
    """

    def build(self, input_shape: list[Any]) -> None:
        """One weight per (input, horizon step)."""
        past, loc_scale, *ahead = input_shape
        horizon, width = loc_scale[1], self.steps * past[-1]
        self.kernel = self.add_weight(shape=(width, horizon), initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(horizon,), initializer="zeros", name="bias")
        self.log_spread = self.add_weight(shape=(horizon,), initializer="zeros", name="log_spread")
        for future in ahead:
            shape = (future[1] * future[2], horizon)
            self.ahead_kernel = self.add_weight(shape=shape, initializer="zeros", name="ahead_kernel")

    def call(self, inputs: Any) -> Any:
        """[(B, T, D), (B, H, 2)] and, where something is known ahead, (B, H, F) to (B, H, 2)."""
        past, loc_scale, *ahead = inputs
        shift = ops.matmul(_flat(past[:, -self.steps :]), self.kernel) + self.bias  # (B, H)
        for future in ahead:
            shift = shift + ops.matmul(_flat(future), self.ahead_kernel)
        location = denormalise(ops.expand_dims(shift, -1), loc_scale)
        scale = loc_scale[:, :, 1:] * ops.expand_dims(ops.exp(self.log_spread), -1)
        return ops.concatenate([location, scale], axis=-1)


def wide_highway_of(network: keras.Model) -> WideHighway | None:
    """The wide highway of a network; None without one."""
    return next((layer for layer in network.layers if isinstance(layer, WideHighway)), None)


def _flat(values: Any) -> Any:
    """(B, …) to (B, all others)."""
    return ops.reshape(values, (-1, values.shape[1] * values.shape[2]))
