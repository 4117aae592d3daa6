"""Segments of a sequence and the recurrence over them (Lin et al. 2023, SegRNN, sections III-B and III-C)."""

from typing import Any

import keras
from keras import ops

__all__ = ["Segments", "SharedRecurrence", "Steps"]


@keras.saving.register_keras_serializable("gatecast")
class Segments(keras.layers.Layer):
    """A sequence (B, T, D) cut into n = ⌈T / w⌉ segments (B, n, w * D) of `length` w.

    If w does not divide T, zeros fill the first segment, before the oldest step; with `ahead`, for future steps, they
    fill the last one, after the farthest step.
    """

    def __init__(
        self, length: int, *, ahead: bool = False, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.length = length
        self.ahead = ahead

    def padding(self, steps: int) -> tuple[int, int]:
        """The number of zeros before and after `steps` steps."""
        missing = -steps % self.length
        return (0, missing) if self.ahead else (missing, 0)

    def call(self, sequence: Any) -> Any:
        """(B, T, D) to (B, n, w * D)."""
        _, steps, width = sequence.shape
        if steps % self.length:
            sequence = ops.pad(sequence, ((0, 0), self.padding(steps), (0, 0)))
        return ops.reshape(sequence, (-1, -(-steps // self.length), self.length * width))

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """(B, n, w * D)."""
        batch, steps, width = input_shape
        return (batch, -(-steps // self.length), self.length * width)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "length": self.length, "ahead": self.ahead}


@keras.saving.register_keras_serializable("gatecast")
class SharedRecurrence(keras.layers.Layer):
    """One recurrent layer that reads the n segments of the context and then outputs m segments ahead at once.

    Takes [segments (B, n, W)] or [segments (B, n, W), known (B, m, W)] and returns (B, m, U). After the last segment
    the state is copied m times, and each copy makes one more step of the same `layer`, whose input is the learned
    vector of its position, plus the features known of that segment. No output depends on another. The layer must return
    its state and run forward.
    """

    def __init__(
        self, layer: Any, count: int, *, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.layer = layer
        self.count = count

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """One vector per segment ahead, as wide as a segment of the context."""
        if not self.layer.built:
            self.layer.build(input_shape[0])
        shape = (self.count, input_shape[0][-1])
        spread = keras.initializers.RandomNormal(stddev=1.0)  # as in the authors' code: positions start far apart
        self.positions = self.add_weight(shape=shape, initializer=spread, name="positions")

    def call(self, inputs: Any) -> Any:
        """[(B, n, W)] or [(B, n, W), (B, m, W)] to (B, m, U)."""
        segments, *known = inputs
        _, *states = self.layer(segments)  # each (B, U)
        batch, width = ops.shape(segments)[0], segments.shape[-1]
        queries = known[0] + self.positions if known else ops.broadcast_to(self.positions, (batch, self.count, width))
        copies = [ops.repeat(state, self.count, axis=0) for state in states]  # (B * m, U)
        answer, _ = self.layer.cell(ops.reshape(queries, (-1, width)), copies)
        return ops.reshape(answer, (-1, self.count, answer.shape[-1]))

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """(B, m, U)."""
        return (input_shape[0][0], self.count, self.layer.cell.units)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer, "count": self.count}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SharedRecurrence":
        """The inner layer has a configuration of its own."""
        return cls(**{**config, "layer": keras.saving.deserialize_keras_object(config["layer"])})


@keras.saving.register_keras_serializable("gatecast")
class Steps(keras.layers.Layer):
    """Segments (B, m, w * W) back as the first `count` of their m * w steps (B, H, W)."""

    def __init__(
        self, count: int, width: int, *, name: str | None = None, trainable: bool = True, dtype: Any = None
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.count = count
        self.width = width

    def call(self, segments: Any) -> Any:
        """(B, m, w * W) to (B, H, W)."""
        steps = segments.shape[1] * segments.shape[2] // self.width
        return ops.reshape(segments, (-1, steps, self.width))[:, : self.count]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, H, W)."""
        return (input_shape[0], self.count, self.width)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "count": self.count, "width": self.width}
