"""Every cell against a plain NumPy loop of its equations, with distinct random weights and states."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from forecasting.config.cells import CONVOLUTIONAL
from forecasting.config.network import Stacked
from forecasting.nn import cells
from forecasting.nn.cells import CELLS

Array = npt.NDArray[np.float64]
UNITS, STEPS, FEATURES, WINDOWS = 3, 5, 2, 4
STATES = {
    "simple": 1,
    "lstm": 2,
    "gru": 1,
    "peephole_lstm": 2,
    "coupled_lstm": 2,
    "conv_lstm": 2,
    "conv_lstm_peephole": 2,
}
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


def peephole_lstm(
    x: Array, states: list[Array], weights: list[Array], activation: str, *, squash: str = "tanh"
) -> Array:
    """The LSTM with w_c c_{t-1} in the gates f and i, w_c c_t in o, and σ_h tanh or the identity."""
    (h, c), (w, u, p, b) = states, weights
    output = []
    for step in range(x.shape[1]):
        i, f, candidate, o = np.split(x[:, step] @ w + h @ u + b, 4, axis=1)
        i, f = sigmoid(i + p[0] * c), sigmoid(f + p[1] * c)
        c = f * c + i * np.tanh(candidate)
        h = sigmoid(o + p[2] * c) * (np.tanh(c) if squash == "tanh" else c)
        output.append(h)
    return np.stack(output, axis=1)


def coupled_lstm(x: Array, states: list[Array], weights: list[Array], activation: str) -> Array:
    """The LSTM whose input gate is 1 - f."""
    (h, c), (w, u, b) = states, weights
    output = []
    for step in range(x.shape[1]):
        f, candidate, o = np.split(x[:, step] @ w + h @ u + b, 3, axis=1)
        c = sigmoid(f) * c + (1.0 - sigmoid(f)) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        output.append(h)
    return np.stack(output, axis=1)


def convolve(x: Array, kernel: Array) -> Array:
    """Every place (B, *grid, D) sees a window of its neighbors through (*window, D, U), zeros beyond the border."""
    window, grid = kernel.shape[:-2], x.shape[1:-1]
    padded = np.pad(x, [(0, 0), *(((size - 1) // 2, size // 2) for size in window), (0, 0)])
    result = np.zeros((*x.shape[:-1], kernel.shape[-1]))
    for offset in np.ndindex(*window):
        moved = tuple(slice(start, start + size) for start, size in zip(offset, grid, strict=True))
        result += padded[(slice(None), *moved)] @ kernel[offset]
    return result


def conv_lstm(x: Array, states: list[Array], weights: list[Array], activation: str, *, kernel: int = 3) -> Array:
    """The LSTM with convolutions in place of matrix products."""
    return conv_lstm_peephole(x, states, [*weights[:2], np.zeros((3, 1)), weights[2]], activation, kernel=kernel)


def conv_lstm_peephole(
    x: Array, states: list[Array], weights: list[Array], activation: str, *, kernel: int = 3, output_gate: str = "new"
) -> Array:
    """The same with W_c C_{t-1} in f and i, and W_c C_t (new) or W_c C_{t-1} (old) in o."""
    (h, c), (w, u, p, b) = states, weights
    assert set(w.shape[:-2]) == {kernel}
    output = []
    for step in range(x.shape[1]):
        i, f, candidate, o = np.split(convolve(x[:, step], w) + convolve(h, u) + b, 4, axis=-1)
        before, c = c, sigmoid(f + p[1] * c) * c + sigmoid(i + p[0] * c) * np.tanh(candidate)
        h = sigmoid(o + p[2] * (c if output_gate == "new" else before)) * np.tanh(c)
        output.append(h)
    return np.stack(output, axis=1)


EQUATIONS: dict[str, Callable[..., Array]] = {
    "simple": simple,
    "lstm": lstm,
    "gru": gru,
    "peephole_lstm": peephole_lstm,
    "coupled_lstm": coupled_lstm,
    "conv_lstm": conv_lstm,
    "conv_lstm_peephole": conv_lstm_peephole,
}

# cell, activation, options, grid: every cell with its defaults, and whatever can be set
PLAIN: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
    (cell, "tanh", {}, (4, 3) if cell in CONVOLUTIONAL else ()) for cell in CELLS
]
CASES = [
    *PLAIN,
    ("simple", "relu", {}, ()),
    ("simple", "sigmoid", {}, ()),
    ("peephole_lstm", "tanh", {"squash": "identity"}, ()),
    ("conv_lstm", "tanh", {"kernel": 2}, (6,)),
    ("conv_lstm_peephole", "tanh", {"kernel": 2, "output_gate": "old"}, (6,)),
    ("conv_lstm_peephole", "tanh", {"kernel": 1, "output_gate": "old"}, (3, 2)),
]


def made(
    case: tuple[str, str, dict[str, Any], tuple[int, ...]], *, sequences: bool = True, states: bool = False
) -> Any:
    """A layer of this cell."""
    cell, activation, options, grid = case
    choice = Stacked(cell=cell, activation=activation, cell_options=options or None)
    return cells.layer(choice, UNITS, sequences=sequences, states=states, name=cell, rank=len(grid))


def built(
    case: tuple[str, str, dict[str, Any], tuple[int, ...]], *, sequences: bool = True, states: bool = False
) -> Any:
    """The same with weights."""
    layer = made(case, sequences=sequences, states=states)
    layer.build((None, STEPS, *case[-1], FEATURES))
    return layer


def drawn(rng: np.random.Generator, grid: tuple[int, ...], steps: int = STEPS) -> Array:
    """A random batch (B, T, *grid, D)."""
    return rng.normal(size=(WINDOWS, steps, *grid, FEATURES))


def tensor(array: Array) -> Any:
    """For Keras."""
    return ops.convert_to_tensor(array.astype("float32"))


def parameters(layer: Any) -> list[Array]:
    """Its weights, for NumPy."""
    return [np.asarray(weight, "float64") for weight in layer.get_weights()]


def test_every_cell_has_its_equations_here() -> None:
    """A new cell needs a NumPy loop in this file."""
    assert set(EQUATIONS) == set(CELLS) == set(STATES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cell_computes_its_equations(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """All hidden states and the last states agree with the loop, from random initial states."""
    cell, activation, options, grid = case
    layer = randomize(built(case, states=True))
    x = drawn(rng, grid)
    states = [rng.normal(size=(WINDOWS, *grid, UNITS)) for _ in range(STATES[cell])]
    output, last, *_ = layer(tensor(x), initial_state=[tensor(state) for state in states])
    expected = EQUATIONS[cell](x, states, parameters(layer), activation, **options)
    np.testing.assert_allclose(ops.convert_to_numpy(output), expected, atol=2e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(last), expected[:, -1], atol=2e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_states_carry_a_sequence_on(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """Two halves, the second from the states after the first, give what the whole gives."""
    layer, x = randomize(built(case, states=True)), drawn(rng, case[-1])
    whole, *expected = layer(tensor(x))
    first, *states = layer(tensor(x[:, :2]))
    second, *last = layer(tensor(x[:, 2:]), initial_state=states)
    halves = ops.convert_to_numpy(ops.concatenate([first, second], axis=1))
    np.testing.assert_allclose(halves, ops.convert_to_numpy(whole), atol=1e-6)
    for state, end in zip(last, expected, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(state), ops.convert_to_numpy(end), atol=1e-6)


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_bidirectional_pass_is_two_loops(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """The second half of the output is the loop over the reversed input, turned back."""
    cell, activation, _, grid = case
    layer = keras.layers.Bidirectional(made(case))
    layer.build((None, STEPS, *grid, FEATURES))
    randomize(layer)
    x = drawn(rng, grid)
    zeros = [np.zeros((WINDOWS, *grid, UNITS))] * STATES[cell]
    weights = parameters(layer)
    half = len(weights) // 2
    forward = EQUATIONS[cell](x, zeros, weights[:half], activation)
    backward = EQUATIONS[cell](x[:, ::-1], zeros, weights[half:], activation)[:, ::-1]
    output = ops.convert_to_numpy(layer(tensor(x)))
    np.testing.assert_allclose(output, np.concatenate([forward, backward], axis=-1), atol=2e-6)


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_no_step_sees_a_later_one(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """Changing step 3 leaves all outputs before it as they were and changes those from it on."""
    layer, x = randomize(built(case)), drawn(rng, case[-1])
    changed = x.copy()
    changed[:, 3] += 10.0
    before, after = (ops.convert_to_numpy(layer(tensor(array))) for array in (x, changed))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    moved = np.abs(before[:, 3:] - after[:, 3:])
    assert np.all(moved.max(axis=(0, *range(2, moved.ndim))) > 1e-4)


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_last_state_is_the_end_of_the_sequence(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """Without `sequences` the layer gives the last hidden state."""
    whole, last = randomize(built(case)), built(case, sequences=False)
    last.set_weights(whole.get_weights())
    x = tensor(drawn(rng, case[-1]))
    np.testing.assert_allclose(ops.convert_to_numpy(last(x)), ops.convert_to_numpy(whole(x))[:, -1], atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_masked_steps_behind_a_sequence_are_not_there(
    case: Any, bidirectional: bool, randomize: Any, rng: np.random.Generator
) -> None:
    """Sequences of unequal length, filled up on the right and masked, end in the states that they have alone."""
    if keras.config.backend() == "jax" and case[0] in CONVOLUTIONAL:
        pytest.skip("Keras on JAX does not spread a mask over a grid; feed the mask as a channel")
    grid, layer = case[-1], made(case, sequences=False)
    layer = keras.layers.Bidirectional(layer) if bidirectional else layer
    layer.build((None, STEPS, *grid, FEATURES))
    randomize(layer)
    x, lengths = drawn(rng, grid), np.array([5, 3, 1, 4])
    mask = np.arange(STEPS) < lengths[:, None]
    together = ops.convert_to_numpy(layer(tensor(x), mask=ops.convert_to_tensor(mask)))
    for window, length in enumerate(lengths):
        alone = ops.convert_to_numpy(layer(tensor(x[window : window + 1, :length])))
        np.testing.assert_allclose(together[window : window + 1], alone, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_file_gives_the_same_cell_back(case: Any, tmp_path: Path, randomize: Any, rng: np.random.Generator) -> None:
    """Saved and loaded in safe mode, forwards and both ways, it computes the same with the same options."""
    source = keras.Input((STEPS, *case[-1], FEATURES))
    both = keras.layers.Bidirectional(made(case))(source)
    model = randomize(keras.Model(source, [made(case)(source), both]))
    model.save(tmp_path / "cell.keras")
    again = keras.saving.load_model(tmp_path / "cell.keras", safe_mode=True)
    x = tensor(drawn(rng, case[-1]))
    for loaded, original in zip(again(x), model(x), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(loaded), ops.convert_to_numpy(original))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_mixed_precision_is_finite_and_close(case: Any, policy: str, randomize: Any, rng: np.random.Generator) -> None:
    """Half precision gives what single precision gives, to the digits of the format."""
    exact = randomize(built(case))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = built(case)
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(exact.get_weights())
    x = tensor(drawn(rng, case[-1]))
    output = half(x)
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    digits = 1e-3 if policy == "mixed_float16" else 1e-2  # of the format, about
    rounded = ops.convert_to_numpy(ops.cast(output, "float32"))
    np.testing.assert_allclose(rounded, ops.convert_to_numpy(exact(x)), atol=5 * digits)


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_every_weight_of_a_cell_learns(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """One step of gradient descent moves each weight."""
    source = keras.Input((STEPS, *case[-1], FEATURES))
    model = randomize(keras.Model(source, made(case)(source)))
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    before = model.get_weights()
    x = drawn(rng, case[-1]).astype("float32")
    model.train_on_batch(x, np.zeros((*x.shape[:-1], UNITS), "float32"))
    moved = [np.abs(new - old).max() for old, new in zip(before, model.get_weights(), strict=True)]
    assert min(moved) > 1e-6


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gated_cells_meet_the_conditions_of_the_fused_kernel(cell: str) -> None:
    """cuDNN asks for tanh, sigmoid, a bias, no recurrent dropout, no unrolling, and a reset after the product."""
    layer = built((cell, "tanh", {}, ()))
    assert type(layer) in (keras.layers.LSTM, keras.layers.GRU)
    assert (layer.activation.__name__, layer.recurrent_activation.__name__) == ("tanh", "sigmoid")
    assert layer.use_bias
    assert not layer.unroll
    assert layer.recurrent_dropout == 0
    assert getattr(layer, "reset_after", True)


@pytest.mark.parametrize("cell", ["peephole_lstm", "coupled_lstm", "conv_lstm_peephole"])
def test_forget_gate_starts_open(cell: str) -> None:
    """As in Keras's LSTM, the forget gate's bias starts at one and all other biases at zero."""
    _, _, *_, bias = parameters(built((cell, "tanh", {}, (2,) if cell in CONVOLUTIONAL else ())))
    gates = bias.reshape(-1, UNITS)
    assert [list(gate) for gate in gates if gate.any()] == [[1.0] * UNITS]
    assert gates[0 if cell == "coupled_lstm" else 1].all()
