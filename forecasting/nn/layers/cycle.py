"""A cycle that is learned (Lin et al. 2024, CycleNet): taken off the context, put back on the horizon.

CycleNet looks a step of the cycle up by its phase. Here a small network reads it from what is known ahead, above all
the calendar: the same weights serve the day, the week, and the year, and holidays besides.
"""

from typing import Any

import keras
from keras import ops

__all__ = ["KnownPast", "WithCycle", "WithoutCycle"]


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
class WithoutCycle(keras.layers.Layer):
    """The context whose target, channel 0, has lost the cycle."""

    def __init__(self, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32") -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)

    def call(self, inputs: Any) -> Any:
        """[(B, T, D), (B, T, 1)] to (B, T, D)."""
        past, cycle = inputs
        return ops.concatenate([past[..., :1] - cycle, past[..., 1:]], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of the context."""
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable("gatecast")
class WithCycle(keras.layers.Layer):
    """The pairs (location, scale) of the steps ahead whose locations have the cycle again."""

    def __init__(self, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32") -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)

    def call(self, inputs: Any) -> Any:
        """[(B, H, 2), (B, H, 1)] to (B, H, 2)."""
        loc_scale, cycle = inputs
        return ops.concatenate([loc_scale[..., :1] + cycle, loc_scale[..., 1:]], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of `loc_scale`."""
        return tuple(input_shape[0])
