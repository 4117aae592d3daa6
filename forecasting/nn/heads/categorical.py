"""Probabilities of classes, as logits: for symbols, whose values are codes."""

from typing import Any

import keras

from forecasting.nn.layers.head import Head
from forecasting.nn.losses import categorical

__all__ = ["CategoricalHead"]


@keras.saving.register_keras_serializable("gatecast")
class CategoricalHead(Head):
    """Features (B, N, W) to logits (B, N, C) of the codes 0 … C - 1; codes are not scaled."""

    def __init__(
        self, classes: int, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.size = classes

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """(B, N, C) to itself."""
        return raw

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked cross-entropy of (B, N) codes, given as numbers, NaN where missing; a scalar."""
        return categorical(y_true, output)

    def get_config(self) -> dict[str, Any]:
        """What the constructor needs."""
        return {**super().get_config(), "classes": self.size}
