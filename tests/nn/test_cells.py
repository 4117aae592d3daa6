"""Every cell against a plain NumPy loop of its equations, with distinct random weights and states."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from forecasting.nn.cells import CELLS

Array = npt.NDArray[np.float64]
UNITS, STEPS, FEATURES, WINDOWS = 3, 5, 2, 4
STATES = {"simple": 1, "lstm": 2, "gru": 1}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
}
sigmoid = ACTIVATIONS["sigmoid"]


def simple(x: Array, states: list[Array], weights: list[Array], activation: str) -> Array:
    """h_t = f(W_x x_t + W_h h_{t-1} + b)."""
    (h,), (w, u, b) = states, weights
    output = []
    for step in range(x.shape[1]):
        h = ACTIVATIONS[activation](x[:, step] @ w + h @ u + b)
        output.append(h)
    return np.stack(output, axis=1)


def lstm(x: Array, states: list[Array], weights: list[Array], activation: str) -> Array:
    """f, i, o = σ(…); c_t = f c_{t-1} + i tanh(…); h_t = o tanh(c_t). Keras keeps the gates as i, f, c, o."""
    (h, c), (w, u, b) = states, weights
    output = []
    for step in range(x.shape[1]):
        i, f, candidate, o = np.split(x[:, step] @ w + h @ u + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        output.append(h)
    return np.stack(output, axis=1)


def gru(x: Array, states: list[Array], weights: list[Array], activation: str) -> Array:
    """z, r = σ(…); candidate = tanh(W x_t + b + r (U h_{t-1} + b')); h_t = z h_{t-1} + (1 - z) candidate."""
    (h,), (w, u, b) = states, weights
    output = []
    for step in range(x.shape[1]):
        from_input, from_state = x[:, step] @ w + b[0], h @ u + b[1]
        z = sigmoid(from_input[:, :UNITS] + from_state[:, :UNITS])
        r = sigmoid(from_input[:, UNITS : 2 * UNITS] + from_state[:, UNITS : 2 * UNITS])
        candidate = np.tanh(from_input[:, 2 * UNITS :] + r * from_state[:, 2 * UNITS :])
        h = z * h + (1.0 - z) * candidate
        output.append(h)
    return np.stack(output, axis=1)


EQUATIONS = {"simple": simple, "lstm": lstm, "gru": gru}
CASES = [("simple", name) for name in ACTIVATIONS] + [("lstm", "tanh"), ("gru", "tanh")]


def built(cell: str, activation: str = "tanh", *, sequences: bool = True) -> Any:
    """A layer of this cell whose weights exist."""
    layer = CELLS[cell](UNITS, activation=activation, sequences=sequences, name=cell)
    layer.build((None, STEPS, FEATURES))
    return layer


def test_every_cell_has_its_equations_here() -> None:
    """A new cell needs a NumPy loop in this file."""
    assert set(EQUATIONS) == set(CELLS) == set(STATES)


@pytest.mark.parametrize(("cell", "activation"), CASES)
def test_cell_computes_its_equations(cell: str, activation: str, randomise: Any, rng: np.random.Generator) -> None:
    """All hidden states agree with the loop, from random initial states."""
    layer = randomise(built(cell, activation))
    x = rng.normal(size=(WINDOWS, STEPS, FEATURES))
    states = [rng.normal(size=(WINDOWS, UNITS)) for _ in range(STATES[cell])]
    given = [ops.convert_to_tensor(state.astype("float32")) for state in states]
    output = layer(ops.convert_to_tensor(x.astype("float32")), initial_state=given)
    weights = [np.asarray(weight, "float64") for weight in layer.get_weights()]
    np.testing.assert_allclose(ops.convert_to_numpy(output), EQUATIONS[cell](x, states, weights, activation), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_bidirectional_pass_is_two_loops(cell: str, randomise: Any, rng: np.random.Generator) -> None:
    """The second half of the output is the loop over the reversed input, turned back."""
    layer = keras.layers.Bidirectional(built(cell))
    layer.build((None, STEPS, FEATURES))
    randomise(layer)
    x = rng.normal(size=(WINDOWS, STEPS, FEATURES))
    zeros = [np.zeros((WINDOWS, UNITS))] * STATES[cell]
    weights = [np.asarray(weight, "float64") for weight in layer.get_weights()]
    half = len(weights) // 2
    forward = EQUATIONS[cell](x, zeros, weights[:half], "tanh")
    backward = EQUATIONS[cell](x[:, ::-1], zeros, weights[half:], "tanh")[:, ::-1]
    output = ops.convert_to_numpy(layer(ops.convert_to_tensor(x.astype("float32"))))
    np.testing.assert_allclose(output, np.concatenate([forward, backward], axis=-1), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_no_step_sees_a_later_one(cell: str, randomise: Any, rng: np.random.Generator) -> None:
    """Changing step 3 leaves all outputs before it as they were and changes those from it on."""
    layer = randomise(built(cell))
    x = rng.normal(size=(WINDOWS, STEPS, FEATURES)).astype("float32")
    changed = x.copy()
    changed[:, 3] += 10.0
    before, after = (ops.convert_to_numpy(layer(ops.convert_to_tensor(array))) for array in (x, changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.all(np.abs(before[:, 3:] - after[:, 3:]).max(axis=(0, 2)) > 1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_last_state_is_the_end_of_the_sequence(cell: str, randomise: Any, rng: np.random.Generator) -> None:
    """Without `sequences` the layer gives the last hidden state."""
    whole, last = randomise(built(cell)), built(cell, sequences=False)
    last.set_weights(whole.get_weights())
    x = ops.convert_to_tensor(rng.normal(size=(WINDOWS, STEPS, FEATURES)).astype("float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(last(x)), ops.convert_to_numpy(whole(x))[:, -1], atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gated_cells_meet_the_conditions_of_the_fused_kernel(cell: str) -> None:
    """cuDNN asks for tanh, sigmoid, a bias, no recurrent dropout, no unrolling, and a reset after the product."""
    layer = built(cell)
    assert type(layer) in (keras.layers.LSTM, keras.layers.GRU)
    assert (layer.activation.__name__, layer.recurrent_activation.__name__) == ("tanh", "sigmoid")
    assert layer.use_bias
    assert not layer.unroll
    assert layer.recurrent_dropout == 0
    assert getattr(layer, "reset_after", True)
