"""The autoregressive highway (Lai et al. 2018, LSTNet eq. 7): a linear path past the recurrent layers."""

from typing import Any

import keras
from keras import ops

from forecasting.nn.layers.reversible_norm import denormalise

__all__ = ["Highway"]


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
