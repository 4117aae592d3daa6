"""Static categorical codes as learned vectors."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

__all__ = ["CodeEmbedding"]


@keras.saving.register_keras_serializable("gatecast")
class CodeEmbedding(keras.layers.Layer):
    """Codes (B, K) to vectors (B, K * width), all categories of all columns in one table.

    `cardinalities` counts the codes of each column. Code 0 means unknown; a code outside its column counts as 0.
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        width: int,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.cardinalities = tuple(cardinalities)
        self.width = width
        self.offsets = tuple(sum(self.cardinalities[:column]) for column in range(len(self.cardinalities)))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """One row per category."""
        shape = (sum(self.cardinalities), self.width)
        self.table = self.add_weight(shape=shape, initializer="uniform", name="table")

    def call(self, codes: Any) -> Any:
        """(B, K) to (B, K * width)."""
        codes = ops.cast(codes, "int32")
        known = ops.logical_and(codes >= 0, codes < ops.convert_to_tensor(self.cardinalities, dtype="int32"))
        rows = ops.where(known, codes, ops.zeros_like(codes)) + ops.convert_to_tensor(self.offsets, dtype="int32")
        vectors = ops.take(self.table, rows, axis=0)  # (B, K, width)
        return ops.reshape(vectors, (-1, len(self.cardinalities) * self.width))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, K * width)."""
        return (input_shape[0], len(self.cardinalities) * self.width)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "cardinalities": self.cardinalities, "width": self.width}
