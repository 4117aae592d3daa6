"""Probabilities of classes, as logits: for symbols, whose values are codes."""

from typing import Any

import keras

from forecasting.nn.layers.head import Head
from forecasting.nn.losses import categorical

__all__ = ["CategoricalHead"]


@keras.saving.register_keras_serializable("gatecast")
class CategoricalHead(Head):
    """Features (B, M, W) to logits (B, M, V) of the codes 0 … V - 1; codes are not scaled."""

    def __init__(
        self, classes: int, *, name: str | None = None, trainable: bool = True, dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.size = classes

    def parameters(self, raw: Any, loc_scale: Any) -> Any:
        """(B, M, V) to itself."""
        return raw

    def loss(self, y_true: Any, output: Any) -> Any:
        """The masked cross-entropy of (B, M) codes, given as numbers, NaN where missing; a scalar."""
        return categorical(y_true, output)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "classes": self.size}
