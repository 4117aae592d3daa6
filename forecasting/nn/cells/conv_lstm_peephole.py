"""The ConvLSTM whose gates also see the cell state, through weights as large as a frame (Shi et al. 2015, eq. 3)."""

from typing import Any, Final

import keras
from keras import ops

from forecasting.config.cells import ConvLSTMPeepholeOptions
from forecasting.nn.wiring import open_gate

__all__ = ["ConvLSTMPeephole", "ConvLSTMPeepholeCell", "layer"]

DEFAULT: Final = ConvLSTMPeepholeOptions()


def layer(
    units: int,
    *,
    activation: str,
    sequences: bool,
    states: bool = False,
    name: str,
    options: ConvLSTMPeepholeOptions = DEFAULT,
    rank: int = 1,
) -> keras.layers.Layer:
    """Peephole ConvLSTM over lines (B, T, X, D) for `rank` 1 or frames (B, T, Y, X, D) for 2."""
    cell = ConvLSTMPeepholeCell(rank, units, options.kernel, options.output_gate, activation, name="cell")
    return ConvLSTMPeephole(cell, return_sequences=sequences, return_state=states, name=name)


@keras.saving.register_keras_serializable("gatecast")
class ConvLSTMPeepholeCell(keras.layers.Layer):
    """One step (B, *grid, D) with states H, C (B, *grid, U); gates lie side by side as i, f, candidate, o.

    i, f = σ(W ∗ X_t + R ∗ H_{t-1} + P ∘ C_{t-1} + b); C_t = f ∘ C_{t-1} + i ∘ C̃;
    o = σ(W ∗ X_t + R ∗ H_{t-1} + P ∘ C' + b) with C' = C_t or C_{t-1}; H_t = o ∘ tanh(C_t).
    Each peephole P is a frame (*grid, U); they are stacked as i, f, o.
    """

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int,
        output_gate: str = "new",
        activation: str = "tanh",
        *,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.rank = rank
        self.filters = filters
        self.kernel_size = kernel_size
        self.output_gate = output_gate
        self.activation = activation
        self.state_size = [filters, filters]

    def build(self, input_shape: tuple[int, ...]) -> None:
        """The forget gate starts open, as in Keras's ConvLSTM."""
        self.grid = tuple(input_shape[1:-1])
        window, gates = (self.kernel_size,) * self.rank, 4 * self.filters
        self.kernel = self.add_weight(
            shape=(*window, input_shape[-1], gates), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(*window, self.filters, gates), initializer="orthogonal", name="recurrent_kernel"
        )
        self.peephole = self.add_weight(shape=(3, *self.grid, self.filters), initializer="zeros", name="peephole")
        self.bias = self.add_weight(shape=(gates,), initializer=open_gate(1, 4), name="bias")

    def call(self, inputs: Any, states: Any) -> Any:
        """(B, *grid, D) and [H, C] to H (B, *grid, U) and the new [H, C]."""
        h, c = states
        gates = ops.conv(inputs, self.kernel, padding="same") + ops.conv(h, self.recurrent_kernel, padding="same")
        i, f, candidate, o = ops.split(gates + self.bias, 4, axis=-1)
        activation = keras.activations.get(self.activation)
        i = ops.sigmoid(i + self.peephole[0] * c)
        f = ops.sigmoid(f + self.peephole[1] * c)
        old, c = c, f * c + i * activation(candidate)
        o = ops.sigmoid(o + self.peephole[2] * (c if self.output_gate == "new" else old))
        h = o * activation(c)
        return h, [h, c]

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Zeros (B, *grid, U)."""
        shape = (batch_size, *self.grid, self.filters)
        return [ops.zeros(shape, self.compute_dtype), ops.zeros(shape, self.compute_dtype)]

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = ("rank", "filters", "kernel_size", "output_gate", "activation")
        config = super().get_config()
        return {"name": config["name"], "dtype": config["dtype"], **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("gatecast")
class ConvLSTMPeephole(keras.layers.RNN):
    """The cell run over (B, T, *grid, D): to (B, T, *grid, U) or the last frame (B, *grid, U), then H and C."""

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """Keras's own method assumes that a state is a vector."""
        batch, steps, *grid, _ = sequences_shape
        state = (batch, *grid, self.cell.filters)
        output = (batch, steps, *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output
