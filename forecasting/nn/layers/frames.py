"""Frames cut into patches and reassembled, the last frame, and inputs that are the same at every place."""

from typing import Any

import keras
from keras import ops

__all__ = ["EveryPlace", "EveryStep", "LastFrame", "Patches", "Places"]


@keras.saving.register_keras_serializable("gatecast")
class Patches(keras.layers.Layer):
    """Frames (B, T, *grid, D) as frames of patches (B, T, *cut, p^k * D), the k axes cut into ⌈size / p⌉ patches.

    Shi et al. 2015, section 4.1. If p does not divide an axis, zeros fill its end.
    """

    def __init__(self, size: int, *, name: str | None = None, trainable: bool = True, dtype: Any = None) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.size = size

    def call(self, frames: Any) -> Any:
        """(B, T, *grid, D) to (B, T, *cut, p^k * D)."""
        lacking, split, order, joined = self.plan(frames.shape)
        padded = ops.pad(frames, [(0, 0), (0, 0), *((0, count) for count in lacking), (0, 0)])
        return ops.reshape(ops.transpose(ops.reshape(padded, (-1, *split)), order), (-1, *joined))

    def plan(self, shape: tuple[Any, ...]) -> tuple[list[int], list[int], list[int], list[int]]:
        """Zeros behind each axis of the grid; the axes after the batch when split, their order, and when joined."""
        _, steps, *grid, channels = shape
        cut, rank = [-(-size // self.size) for size in grid], len(grid)
        order = [0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2), 2 + 2 * rank]
        split = [steps, *(size for count in cut for size in (count, self.size)), channels]
        return [-size % self.size for size in grid], split, order, [steps, *cut, self.size**rank * channels]

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """(B, T, *cut, p^k * D)."""
        return (input_shape[0], *self.plan(input_shape)[3])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("gatecast")
class Places(keras.layers.Layer):
    """Patches (B, H, *cut, p^k * W) as the M = H * places of their frames (B, M, W), all places of a step together."""

    def __init__(
        self,
        grid: tuple[int, ...],
        size: int,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.grid = tuple(grid)
        self.size = size

    def call(self, patches: Any) -> Any:
        """(B, H, *cut, p^k * W) to (B, M, W)."""
        split, order, whole, width = self.plan(patches.shape)
        frames = ops.reshape(ops.transpose(ops.reshape(patches, (-1, *split)), order), (-1, *whole))
        if tuple(whole[1:-1]) != self.grid:
            frames = frames[(slice(None), slice(None), *(slice(0, size) for size in self.grid))]
        return ops.reshape(frames, (-1, self.count(patches.shape), width))

    def plan(self, shape: tuple[Any, ...]) -> tuple[list[int], list[int], list[int], int]:
        """The axes after the batch when split, their order, those of the padded frames, and W."""
        _, steps, *cut, channels = shape
        rank = len(cut)
        width = channels // self.size**rank
        order = [0, 1, *(axis for pair in range(rank) for axis in (2 + pair, 2 + rank + pair)), 2 + 2 * rank]
        split = [steps, *cut, *[self.size] * rank, width]
        return split, order, [steps, *(count * self.size for count in cut), width], width

    def count(self, shape: tuple[Any, ...]) -> int:
        """M."""
        count = shape[1]
        for size in self.grid:
            count *= size
        return int(count)

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """(B, M, W)."""
        return (input_shape[0], self.count(input_shape), self.plan(input_shape)[3])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "grid": self.grid, "size": self.size}


@keras.saving.register_keras_serializable("gatecast")
class EveryStep(keras.layers.Layer):
    """A frame (B, *grid, D), the same at each of `count` steps (B, count, *grid, D)."""

    def __init__(self, count: int, *, name: str | None = None, trainable: bool = True, dtype: Any = None) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.count = count

    def call(self, frame: Any) -> Any:
        """(B, *grid, D) to (B, count, *grid, D)."""
        return ops.repeat(ops.expand_dims(frame, 1), self.count, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, count, *grid, D)."""
        return (input_shape[0], self.count, *input_shape[1:])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "count": self.count}


@keras.saving.register_keras_serializable("gatecast")
class LastFrame(keras.layers.Layer):
    """The newest of frames (B, T, *grid, D): (B, *grid, D)."""

    def call(self, frames: Any) -> Any:
        """(B, T, *grid, D) to (B, *grid, D)."""
        return frames[:, -1]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, *grid, D)."""
        return (input_shape[0], *input_shape[2:])


@keras.saving.register_keras_serializable("gatecast")
class EveryPlace(keras.layers.Layer):
    """The inputs of each step (B, H, F), the same at each place of a grid (B, H, *grid, F)."""

    def __init__(
        self, grid: tuple[int, ...], *, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.grid = tuple(grid)

    def call(self, steps: Any) -> Any:
        """(B, H, F) to (B, H, *grid, F)."""
        for axis, size in enumerate(self.grid, start=2):
            steps = ops.repeat(ops.expand_dims(steps, axis), size, axis=axis)
        return steps

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, H, *grid, F)."""
        return (*input_shape[:2], *self.grid, input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "grid": self.grid}
