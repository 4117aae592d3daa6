"""The inputs of an autoregressive network at each step: the row before, and the features known ahead of the step."""

from typing import Any

import keras
from keras import ops

__all__ = ["Held", "Lagged"]


@keras.saving.register_keras_serializable("gatecast")
class Lagged(keras.layers.Layer):
    """The context (B, T, D) as the T - 1 steps (B, T - 1, D) that lead from each of its rows to the next.

    Channels stand in the order target, known ahead, others: the target and the others are those of the row before, the
    `ahead` channels, which in the context stand before the mask, those of the step itself.
    """

    def __init__(
        self, ahead: int, *, mask: bool = False, name: str | None = None, trainable: bool = True, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.ahead = ahead
        self.mask = mask

    def ranges(self, width: int) -> list[tuple[int, int, int]]:
        """The channels [start, stop) in their new order, each with the row that it begins at."""
        end = width - int(self.mask)
        begin = end - self.ahead
        return [part for part in ((0, 1, 0), (begin, end, 1), (1, begin, 0), (end, width, 0)) if part[0] < part[1]]

    def call(self, past: Any) -> Any:
        """(B, T, D) to (B, T - 1, D)."""
        count = past.shape[1] - 1
        parts = [past[:, row : row + count, start:stop] for start, stop, row in self.ranges(past.shape[2])]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """(B, T - 1, D)."""
        return (input_shape[0], input_shape[1] - 1, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "ahead": self.ahead, "mask": self.mask}


@keras.saving.register_keras_serializable("gatecast")
class Held(keras.layers.Layer):
    """The values of the last context row (B, T, D), repeated over the horizon (B, P); none of them is known ahead.

    Covariates known only up to the cutoff keep their last value; the mask is 1, since a value that is fed back counts
    as read.
    """

    def __init__(
        self, ahead: int, *, mask: bool = False, name: str | None = None, trainable: bool = True, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.ahead = ahead
        self.mask = mask

    def stop(self, width: int) -> int:
        """The end of the channels of past covariates, which begin at 1."""
        return width - int(self.mask) - self.ahead

    def call(self, past: Any) -> Any:
        """(B, T, D) to (B, P)."""
        kept = past[:, -1, 1 : self.stop(past.shape[2])]
        return ops.concatenate([kept, ops.ones_like(past[:, -1, :1])], axis=-1) if self.mask else kept

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """(B, P)."""
        return (input_shape[0], self.stop(input_shape[2]) - 1 + int(self.mask))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "ahead": self.ahead, "mask": self.mask}
