"""Reversible in-window normalisation (Kim et al. 2022): a window is shifted and scaled by its own context.

The pair (location, scale) that is taken off the context and given back to the output is called a *frame*.
"""

from typing import Any, Final

import keras
from keras import ops

from forecasting.errors import ConfigError

__all__ = ["METHODS", "Normalise", "WindowFrame", "denormalise"]

METHODS: Final = ("window", "last", "none")
FLOOR: Final = 1e-4  # smallest variance that is divided by: a constant context must not blow up its window


@keras.saving.register_keras_serializable("gatecast")
class WindowFrame(keras.layers.Layer):
    """The frame (B, 2) of each context (B, T, D): location and scale of channel 0, from its observed steps alone.

    `method` is "window" (mean, standard deviation), "last" (last reading, standard deviation) or "none" (0, 1).
    With `mask` the last channel tells which steps were observed; fewer than two have no spread, so their scale is
    1, and without any the frame is (0, 1): the scaled space itself.
    Raises ConfigError for another method.
    """

    def __init__(
        self,
        method: str = "window",
        *,
        mask: bool = False,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = "float32",  # statistics in half precision would lose the level of the series
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        if method not in METHODS:
            raise ConfigError(f"normalise is {method!r}, expected one of {', '.join(METHODS)}")
        self.method = method
        self.mask = mask

    def call(self, past: Any) -> Any:
        """(B, T, D) to (B, 2)."""
        target = past[:, :, 0]  # (B, T)
        if self.method == "none":
            zero = ops.zeros_like(target[:, :1])
            return ops.concatenate([zero, zero + 1.0], axis=-1)
        observed = past[:, :, -1] if self.mask else ops.ones_like(target)
        count = ops.sum(observed, axis=1, keepdims=True)  # (B, 1)
        mean = ops.sum(target * observed, axis=1, keepdims=True) / ops.maximum(count, 1.0)
        squares = ops.sum(ops.square(target - mean) * observed, axis=1, keepdims=True)
        variance = squares / ops.maximum(count, 1.0)
        # the floor stands inside the root, whose slope at zero is infinite
        scale = ops.where(count > 1.0, ops.sqrt(ops.maximum(variance, FLOOR)), ops.ones_like(count))
        location = mean if self.method == "window" else _last(target, observed)
        return ops.concatenate([location, scale], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, 2)."""
        return (input_shape[0], 2)

    def get_config(self) -> dict[str, Any]:
        """What the constructor needs."""
        return {**super().get_config(), "method": self.method, "mask": self.mask}


@keras.saving.register_keras_serializable("gatecast")
class Normalise(keras.layers.Layer):
    """Channel 0 of the context (B, T, D) inside its frame (B, 2): (y - location) / scale; other channels pass."""

    def __init__(self, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32") -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)

    def call(self, inputs: Any) -> Any:
        """[(B, T, D), (B, 2)] to (B, T, D)."""
        past, frame = inputs
        frame = ops.expand_dims(frame, 1)  # (B, 1, 2)
        target = (past[:, :, :1] - frame[:, :, :1]) / frame[:, :, 1:]
        return target if past.shape[-1] == 1 else ops.concatenate([target, past[:, :, 1:]], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of the context."""
        return tuple(input_shape[0])


def denormalise(values: Any, frame: Any) -> Any:
    """Values (B, H, Q) out of their frame (B, H, 2), back into the scaled space: value * scale + location."""
    return values * frame[:, :, 1:] + frame[:, :, :1]


def _last(target: Any, observed: Any) -> Any:
    """The last observed reading (B, 1) of (B, T), 0 where none was observed."""
    position = ops.arange(1, target.shape[1] + 1, dtype=target.dtype) * observed  # (B, T)
    latest = ops.max(position, axis=1, keepdims=True)
    return ops.sum(target * observed * ops.cast(position == latest, target.dtype), axis=1, keepdims=True)
