"""A cycle that is learned (Lin et al. 2024, CycleNet): taken off the context, put back on the horizon.

CycleNet looks a step of the cycle up by its phase. Here a small network reads it from what is known ahead, above all
the calendar: the same weights serve the day, the week, and the year, and holidays besides.
"""

from typing import Any

import keras
from keras import ops

__all__ = ["CycleShift", "KnownPast"]


@keras.saving.register_keras_serializable("gatecast")
class KnownPast(keras.layers.Layer):
    """The F channels of the context (B, T, D) that are known ahead as well: the last ones, before the mask if any."""

    def __init__(
        self, known: int, *, mask: bool, name: str | None = None, trainable: bool = True, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.known, self.mask = known, mask

    def call(self, past: Any) -> Any:
        """(B, T, D) to (B, T, F)."""
        stop = past.shape[-1] - self.mask
        return past[..., stop - self.known : stop]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, T, F)."""
        return (*input_shape[:-1], self.known)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "known": self.known, "mask": self.mask}


@keras.saving.register_keras_serializable("gatecast")
class CycleShift(keras.layers.Layer):
    """Values whose channel 0 has a cycle more or, with a `sign` of -1, a cycle less.

    That channel is the target of a context, or the location of the pairs (location, scale) of the steps ahead.
    """

    def __init__(self, sign: int, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32") -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.sign = sign

    def call(self, inputs: Any) -> Any:
        """[(B, steps, channels), (B, steps, 1)] to (B, steps, channels)."""
        values, cycle = inputs
        return ops.concatenate([values[..., :1] + self.sign * cycle, values[..., 1:]], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of the values."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "sign": self.sign}
