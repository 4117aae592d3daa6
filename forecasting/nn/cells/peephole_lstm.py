"""The LSTM whose gates also see the cell state (Gers & Schmidhuber 2000)."""

from typing import Any, Final

import keras
from keras import ops

from forecasting.config.cells import PeepholeLSTMOptions
from forecasting.nn.wiring import open_gate

__all__ = ["PeepholeLSTMCell", "layer"]

DEFAULT: Final = PeepholeLSTMOptions()


def layer(
    units: int,
    *,
    activation: str,
    sequences: bool,
    states: bool = False,
    name: str,
    options: PeepholeLSTMOptions = DEFAULT,
) -> keras.layers.Layer:
    """Peephole LSTM over (B, T, D); `activation` is that of the candidate."""
    cell = PeepholeLSTMCell(units, activation, options.squash, name="cell")
    return keras.layers.RNN(cell, return_sequences=sequences, return_state=states, name=name)


@keras.saving.register_keras_serializable("gatecast")
class PeepholeLSTMCell(keras.layers.Layer):
    """One step (B, D) with states h, c (B, U); gates lie side by side as i, f, candidate, o, peepholes as i, f, o.

    f, i = σ(W x_t + R h_{t-1} + p ⊙ c_{t-1} + b); c_t = f ⊙ c_{t-1} + i ⊙ c̃; o = σ(W x_t + R h_{t-1} + p ⊙ c_t + b);
    h_t = o ⊙ σ_h(c_t).
    """

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        squash: str = "tanh",
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.units = units
        self.activation = activation
        self.squash = squash
        self.state_size = [units, units]
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """The forget gate starts open, as in Keras's LSTM (Jozefowicz et al. 2015)."""
        units = self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], 4 * units), initializer="glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units), initializer="orthogonal", name="recurrent_kernel"
        )
        self.peephole = self.add_weight(shape=(3, units), initializer="zeros", name="peephole")
        self.bias = self.add_weight(shape=(4 * units,), initializer=open_gate(1, 4), name="bias")

    def call(self, inputs: Any, states: Any) -> Any:
        """(B, D) and [h, c] to h (B, U) and the new [h, c]."""
        h, c = states
        gates = ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        i, f, candidate, o = ops.split(gates, 4, axis=-1)
        i = ops.sigmoid(i + self.peephole[0] * c)
        f = ops.sigmoid(f + self.peephole[1] * c)
        c = f * c + i * keras.activations.get(self.activation)(candidate)
        o = ops.sigmoid(o + self.peephole[2] * c)
        h = o * (ops.tanh(c) if self.squash == "tanh" else c)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {"units": self.units, "activation": self.activation, "squash": self.squash}
        return {**super().get_config(), **own}
