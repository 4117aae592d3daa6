"""Attention over the steps of the context (Luong et al. 2015, global attention with the score "general")."""

from typing import Any

import keras
from keras import ops

__all__ = ["Attention"]


@keras.saving.register_keras_serializable("gatecast")
class Attention(keras.layers.Layer):
    """States h (B, M, U) of a decoder attend to the outputs e (B, T, E) of an encoder and become (B, M, U).

    Luong et al. 2015: the score of step s is h' W_a e_s (eq. 8), its weight a the softmax over the T steps (eq. 7), the
    context vector c = sum a_s e_s, and the output tanh(W_c [c; h] + b) (eq. 5). No step sees another's query.
    """

    def build(self, input_shape: list[tuple[int, ...]]) -> None:
        """W_a (U, E), W_c (E + U, U) and b (U,)."""
        (*_, units), (*_, width) = input_shape
        self.score = self.add_weight(shape=(units, width), initializer="glorot_uniform", name="score")
        self.kernel = self.add_weight(shape=(width + units, units), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(units,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """[(B, M, U), (B, T, E)] to (B, M, U)."""
        states, encoded = inputs
        scores = ops.matmul(ops.matmul(states, self.score), ops.swapaxes(encoded, 1, 2))  # (B, M, T)
        seen = ops.matmul(ops.softmax(scores, axis=-1), encoded)  # (B, M, E)
        return ops.tanh(ops.matmul(ops.concatenate([seen, states], axis=-1), self.kernel) + self.bias)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """(B, M, U)."""
        return tuple(input_shape[0])
