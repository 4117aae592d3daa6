"""The LSTM that forgets exactly as much as it adds (Greff et al. 2017, "coupled input and forget gate")."""

from typing import Any

import keras
from keras import ops

from forecasting.nn.wiring import open_gate

__all__ = ["CoupledLSTMCell", "layer"]


def layer(units: int, *, activation: str, sequences: bool, states: bool = False, name: str) -> keras.layers.Layer:
    """Coupled LSTM over (B, T, D); `activation` is that of candidate and output."""
    cell = CoupledLSTMCell(units, activation, name="cell")
    return keras.layers.RNN(cell, return_sequences=sequences, return_state=states, name=name)


@keras.saving.register_keras_serializable("gatecast")
class CoupledLSTMCell(keras.layers.Layer):
    """One step (B, D) with states h, c (B, U); gates lie side by side as f, candidate, o.

    f, o = σ(W x_t + R h_{t-1} + b); i = 1 - f; c_t = f ⊙ c_{t-1} + i ⊙ c̃; h_t = o ⊙ tanh(c_t).
    """

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.units = units
        self.activation = activation
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """The forget gate starts open, as in Keras's LSTM (Jozefowicz et al. 2015)."""
        units = self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], 3 * units), initializer="glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(units, 3 * units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(3 * units,), initializer=open_gate(0, 3), name="bias")

    def call(self, inputs: Any, states: Any) -> Any:
        """(B, D) and [h, c] to h (B, U) and the new [h, c]."""
        h, c = states
        gates = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        f, candidate, o = ops.split(gates, 3, axis=-1)
        activation = keras.activations.get(self.activation)
        f = ops.sigmoid(f)
        c = f * c + (1.0 - f) * activation(candidate)
        h = ops.sigmoid(o) * activation(c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "units": self.units, "activation": self.activation}
