"""Reversible in-window normalization (Kim et al. 2022): a window is shifted and scaled by its own context.

`loc_scale` is the pair (location, scale) that normalizes the context and is restored to the output.
"""

from typing import Any, Final

import keras
from keras import ops

from forecasting.errors import ConfigError

__all__ = ["METHODS", "LocationScale", "Normalise", "denormalise"]

METHODS: Final = ("window", "last", "none", "scale")
FLOOR: Final = 1e-4  # least variance of a divisor: a constant context must not blow up its window


@keras.saving.register_keras_serializable("gatecast")
class LocationScale(keras.layers.Layer):
    """Location and scale of channel 0 of each context, from its observed steps alone.

    A context (B, T, D) has a pair (B, 2); on a grid (B, T, *grid, D) every place has its own, (B, *grid, 2). `method`
    is "window" (mean, standard deviation), "last" (last reading, standard deviation), "scale" (0, mean absolute value;
    Salinas et al. 2020) or "none" (0, 1). With `mask` the last channel marks the observed steps; fewer than two have no
    spread, so their scale is 1, and without any the pair is (0, 1): the scaled space itself. Raises ConfigError for
    another method.
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
        """(B, T, *grid, D) to (B, *grid, 2)."""
        target = past[..., 0]  # (B, T, *grid)
        if self.method == "none":
            zero = ops.zeros_like(target[:, 0])
            return ops.stack([zero, zero + 1.0], axis=-1)
        observed = past[..., -1] if self.mask else ops.ones_like(target)
        count = ops.sum(observed, axis=1)  # (B, *grid)
        if self.method == "scale":
            size = ops.maximum(ops.sum(ops.abs(target) * observed, axis=1) / ops.maximum(count, 1.0), FLOOR**0.5)
            return ops.stack([ops.zeros_like(count), ops.where(count > 0.0, size, ops.ones_like(count))], axis=-1)
        mean = ops.sum(target * observed, axis=1) / ops.maximum(count, 1.0)
        squares = ops.sum(ops.square(target - ops.expand_dims(mean, 1)) * observed, axis=1)
        variance = squares / ops.maximum(count, 1.0)
        # the floor is inside the root, whose slope at zero is infinite
        scale = ops.where(count > 1.0, ops.sqrt(ops.maximum(variance, FLOOR)), ops.ones_like(count))
        location = mean if self.method == "window" else _last(target, observed)
        return ops.stack([location, scale], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, *grid, 2)."""
        return (input_shape[0], *input_shape[2:-1], 2)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "method": self.method, "mask": self.mask}


@keras.saving.register_keras_serializable("gatecast")
class Normalise(keras.layers.Layer):
    """Channel 0 of (B, T, *grid, D) as (y - location) / scale with loc_scale (B, *grid, 2); other channels pass."""

    def __init__(self, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32") -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)

    def call(self, inputs: Any) -> Any:
        """[(B, T, *grid, D), (B, *grid, 2)] to (B, T, *grid, D)."""
        past, loc_scale = inputs
        loc_scale = ops.expand_dims(loc_scale, 1)  # (B, 1, *grid, 2)
        target = (past[..., :1] - loc_scale[..., :1]) / loc_scale[..., 1:]
        return target if past.shape[-1] == 1 else ops.concatenate([target, past[..., 1:]], axis=-1)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """The shape of the context."""
        return tuple(input_shape[0])


def denormalise(values: Any, loc_scale: Any) -> Any:
    """Values (B, H, Q) normalized by loc_scale (B, H, 2), back in the scaled space: value * scale + location."""
    return values * loc_scale[:, :, 1:] + loc_scale[:, :, :1]


def _last(target: Any, observed: Any) -> Any:
    """The last observed reading (B, *grid) of (B, T, *grid), 0 if none was observed."""
    steps = (target.shape[1], *(1 for _ in target.shape[2:]))
    position = ops.reshape(ops.arange(1, steps[0] + 1, dtype=target.dtype), steps) * observed  # (B, T, *grid)
    latest = ops.max(position, axis=1, keepdims=True)
    return ops.sum(target * observed * ops.cast(position == latest, target.dtype), axis=1)
