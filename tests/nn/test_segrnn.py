"""SegRNN against a plain NumPy loop, what reaches what, its export and its file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from keras import ops

from forecasting.config.head import NumberHead
from forecasting.config.network import SegRNN
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.layers.segments import Segments, SharedRecurrence, Steps
from forecasting.nn.models import Shapes

Array = npt.NDArray[np.float64]
FULL = Shapes(context=8, horizon=7, past=3, future=2, static=2, codes=(3, 2), mask=True)
EVEN = Shapes(context=9, horizon=6, past=1)
LEVELS = (0.1, 0.25, 0.5, 0.9)
CELLS = ("simple", "lstm", "gru")  # with their equations here; test_cells.py has those of the others
NATIVE = {"simple": "RNN", "lstm": "LSTM", "gru": "GRU", "peephole_lstm": "LSTM", "coupled_lstm": "LSTM"}


@pytest.fixture
def segrnn(randomize: Callable[[Any], Any]) -> Callable[..., Any]:
    """A small network with random weights, three steps to a segment."""

    def make(shapes: Shapes, **params: Any) -> Any:
        chosen = {"segment": 3, "units": 5, "embedding": 2, **params}
        return randomize(models.build(SegRNN(**chosen), shapes, heads.build(NumberHead(quantiles=LEVELS))))

    return make


def forecast(model: Any, arrays: Any) -> Any:
    """The output as NumPy."""
    return ops.convert_to_numpy(model(arrays, training=False))


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def step(cell: str, x: Array, states: list[Array], weights: list[Array]) -> list[Array]:
    """One step of a cell: the new states, the hidden one first."""
    (h, *rest), (w, u, b) = states, weights
    if cell == "simple":
        return [np.tanh(x @ w + h @ u + b)]
    if cell == "lstm":
        i, f, candidate, o = np.split(x @ w + h @ u + b, 4, axis=-1)
        c = sigmoid(f) * rest[0] + sigmoid(i) * np.tanh(candidate)
        return [sigmoid(o) * np.tanh(c), c]
    read, kept = np.split(x @ w + b[0], 3, axis=-1), np.split(h @ u + b[1], 3, axis=-1)
    z, r = sigmoid(read[0] + kept[0]), sigmoid(read[1] + kept[1])
    return [z * h + (1.0 - z) * np.tanh(read[2] + r * kept[2])]


def weights_of(model: Any, name: str) -> list[Array]:
    """The weights of a layer in double precision."""
    return [np.asarray(weight, "float64") for weight in model.get_layer(name).get_weights()]


def one_window(model: Any, cell: str, past: Array, future: Array, static: Array, codes: Any) -> Array:
    """The forecast (H, Q) of one window of FULL, written out segment by segment as in the paper."""
    observed = past[past[:, 2] == 1, 0]
    location, scale = observed[-1], observed.std()
    inside = past.copy()
    inside[:, 0] = (inside[:, 0] - location) / scale
    inside = np.concatenate(
        [np.zeros((1, 3)), inside]
    )  # 8 steps are a segment of 2, filled up at its front, and two of 3
    kernel, bias = weights_of(model, "projection")
    positions, *cell_weights = weights_of(model, "recurrence")
    states = [np.zeros(5)] * (2 if cell == "lstm" else 1)
    for start in (0, 3, 6):
        segment = np.concatenate([inside[start], inside[start + 1], inside[start + 2]])
        states = step(cell, np.maximum(segment @ kernel + bias, 0.0), states, cell_weights)
    (table,), (known_kernel,) = weights_of(model, "embedding"), weights_of(model, "known_projection")
    of_series = [static, table[codes[0]], table[3 + codes[1]]]
    ahead = np.concatenate([future, np.zeros((2, 2))])  # 7 steps are three segments, the last filled up at its end
    kernel, bias = weights_of(model, "steps")
    features = []
    for number in range(3):
        known = np.concatenate([*of_series, *ahead[3 * number : 3 * number + 3]]) @ known_kernel
        answer = step(cell, positions[number] + known, states, cell_weights)[0]
        features.append((answer @ kernel + bias).reshape(3, 8))
    kernel, bias = weights_of(model, "head")
    raw = np.concatenate(features)[:7] @ kernel + bias  # (H, Q), anchored at the median, the third level
    up = np.logaddexp(0.0, raw)
    rows = [raw[:, 2] - up[:, 1] - up[:, 0], raw[:, 2] - up[:, 1], raw[:, 2], raw[:, 2] + up[:, 3]]
    return np.stack(rows, axis=1) * scale + location


@pytest.mark.parametrize("cell", CELLS)
def test_network_computes_its_equations(cell: str, segrnn: Any, batch: Any) -> None:
    """Window by window it agrees with the loop, with all inputs, gaps, and segments that do not fit."""
    model, arrays = segrnn(FULL, cell=cell), batch(FULL)
    arrays["codes"] = np.array([[0, 0], [1, 1], [2, 0], [0, 1], [1, 0]], "int32")
    arrays["past"][:, :2, 2] = 1.0
    expected = [one_window(model, cell, *parts) for parts in zip(*(arrays[k] for k in arrays), strict=True)]
    assert list(arrays) == ["past", "future", "static", "codes"]
    np.testing.assert_allclose(forecast(model, arrays), expected, atol=2e-5)


def test_segments_fill_up_at_the_far_end() -> None:
    """Zeros stand before the oldest step of the past, and after the farthest of what is ahead."""
    steps = ops.reshape(ops.arange(1.0, 6.0), (1, 5, 1))
    past = ops.convert_to_numpy(Segments(3)(steps))
    ahead = ops.convert_to_numpy(Segments(3, ahead=True)(steps))
    np.testing.assert_array_equal(past, [[[0, 1, 2], [3, 4, 5]]])
    np.testing.assert_array_equal(ahead, [[[1, 2, 3], [4, 5, 0]]])


def test_steps_undo_segments(rng: np.random.Generator) -> None:
    """Cut up and put together again, a sequence is what it was."""
    sequence = rng.normal(size=(2, 7, 2)).astype("float32")
    again = Steps(7, 2)(Segments(3, ahead=True)(ops.convert_to_tensor(sequence)))
    np.testing.assert_array_equal(ops.convert_to_numpy(again), sequence)


@pytest.mark.parametrize("normalise", ["last", "window"])
def test_forecast_moves_with_level_and_scale_of_the_context(normalise: str, segrnn: Any, batch: Any) -> None:
    """Shifting and stretching the context shifts and stretches the forecast."""
    model, arrays = segrnn(EVEN, normalise=normalise), batch(EVEN)
    moved = {"past": 3.0 * arrays["past"] + 5.0}
    np.testing.assert_allclose(forecast(model, moved), 3.0 * forecast(model, arrays) + 5.0, atol=1e-4)


def test_known_ahead_covariate_reaches_its_own_segment_alone(segrnn: Any, batch: Any) -> None:
    """Changing the future at step 4 changes steps 3 to 5 and no other: no answer depends on another."""
    model, arrays = segrnn(FULL), batch(FULL)
    changed = {**arrays, "future": arrays["future"].copy()}
    changed["future"][:, 4] += 1.0
    moved = np.abs(forecast(model, changed) - forecast(model, arrays)).max(axis=(0, 2))
    assert np.all(moved[3:6] > 1e-3)
    np.testing.assert_array_equal(moved[[0, 1, 2, 6]], 0.0)


def test_no_segment_is_read_with_a_later_one(segrnn: Any, batch: Any) -> None:
    """The states after each segment do not depend on the segments after it."""
    model, arrays = segrnn(EVEN, normalise="none"), batch(EVEN)
    inner, read = model.get_layer("recurrence").layer, keras.Model(model.inputs, model.get_layer("projection").output)
    changed = {"past": arrays["past"].copy()}
    changed["past"][:, 6:] += 1.0
    before, after = (ops.convert_to_numpy(read([given["past"]])) for given in (arrays, changed))
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    state = [ops.convert_to_numpy(inner(ops.convert_to_tensor(x[:, :2]))[1]) for x in (before, after)]
    np.testing.assert_array_equal(*state)
    assert np.abs(forecast(model, changed) - forecast(model, arrays)).max() > 1e-3


@pytest.mark.parametrize("name", ["past", "future", "static", "codes"])
def test_every_input_matters(name: str, segrnn: Any, batch: Any) -> None:
    """Replacing one input by another window's changes the forecast."""
    model, arrays = segrnn(FULL), batch(FULL)
    arrays["codes"] = np.array([[0, 0], [1, 1], [2, 0], [0, 1], [1, 0]], "int32")
    rolled = {**arrays, name: np.roll(arrays[name], 1, axis=0)}
    assert np.abs(forecast(model, rolled) - forecast(model, arrays)).max() > 1e-3


def test_windows_of_a_batch_do_not_touch_each_other(segrnn: Any, batch: Any) -> None:
    """Copies of the states stay with their window: alone it gets the same forecast as among others."""
    model, arrays = segrnn(FULL, cell="lstm"), batch(FULL)
    alone = forecast(model, {name: array[2:3] for name, array in arrays.items()})
    np.testing.assert_allclose(alone[0], forecast(model, arrays)[2], atol=1e-5)


@pytest.mark.parametrize("cell", NATIVE)
@pytest.mark.parametrize("shapes", [FULL, EVEN], ids=["full", "bare"])
def test_export_agrees_with_keras(cell: str, shapes: Shapes, segrnn: Any, batch: Any) -> None:
    """Every cell, with all inputs and uneven segments, and with the past alone, to 1e-5; no loop is written out."""
    model = segrnn(shapes, cell=cell, dropout=0.1)
    content = to_onnx(model)
    operators = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert parity(model, content, batch(shapes)) <= 1e-5
    assert operators.count(NATIVE[cell]) == 2
    assert not {"Loop", "Scan", "If"} & set(operators)


@pytest.mark.parametrize("name", [name for name in heads.HEADS if name != "categorical"])
def test_every_head_of_numbers_works(name: str, randomize: Any, batch: Any) -> None:
    """Each distribution has a finite loss, missing targets left out, and exports to 1e-5."""
    head = heads.build(NumberHead(name=name, quantiles=LEVELS))
    model = randomize(models.build(SegRNN(segment=3, units=5, normalise="window"), FULL, head))
    arrays = batch(FULL)
    targets = np.tile(np.array([0.0, 3.0, np.nan, 1.0, 0.0, 2.0, 5.0], "float32"), (5, 1))
    assert np.isfinite(float(head.loss(ops.convert_to_tensor(targets), model(arrays, training=False))))
    assert parity(model, to_onnx(model, head.output), arrays) <= 1e-5


def test_file_gives_the_same_network_back(tmp_path: Path, segrnn: Any, batch: Any) -> None:
    """Saved and loaded in safe mode, it forecasts the same and exports the same file."""
    model, arrays = segrnn(FULL), batch(FULL)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(forecast(again, arrays), forecast(model, arrays))
    assert to_onnx(again) == to_onnx(model)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_close_and_exports_in_fp32(policy: str, segrnn: Any, batch: Any) -> None:
    """Half precision stays inside: float32 out, near the float32 network; the layer inside follows in parity."""
    exact, arrays = segrnn(FULL), batch(FULL)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = segrnn(FULL)
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(exact.get_weights())
    output = half(arrays, training=False)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    digits = 1e-3 if policy == "mixed_float16" else 1e-2
    np.testing.assert_allclose(ops.convert_to_numpy(output), forecast(exact, arrays), rtol=5 * digits, atol=10 * digits)
    assert parity(half, to_onnx(half), arrays) <= 1e-5


def test_degenerate_windows_train_without_a_nan(batch: Any) -> None:
    """Constant contexts, contexts without a reading and missing targets leave loss and weights finite."""
    head = heads.build(NumberHead())
    model = models.build(SegRNN(segment=3, units=4), FULL, head)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=head.loss)
    arrays = batch(FULL, 4)
    arrays["past"][0, :, 0], arrays["past"][0, :, -1] = 2.0, 1.0
    arrays["past"][1, :, 0], arrays["past"][1, :, -1] = 0.0, 0.0
    targets = np.ones((4, 7), "float32")
    targets[2], targets[3, 1] = np.nan, np.nan
    before = [weight.copy() for weight in model.get_weights()]
    assert np.isfinite(float(model.train_on_batch(arrays, targets)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert any(np.abs(old - new).max() > 0 for old, new in zip(before, model.get_weights(), strict=True))


def test_network_learns_a_sine(rng: np.random.Generator) -> None:
    """After a few passes its median beats repeating the last value ten times over."""
    wave = np.sin(np.arange(24) * 0.5 + rng.uniform(0, 6.3, (256, 1))).astype("float32")
    head = heads.build(NumberHead())
    keras.utils.set_random_seed(1)
    model = models.build(SegRNN(segment=4, units=16), Shapes(16, 8, 1), head)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=head.loss)
    model.fit({"past": wave[:, :16, None]}, wave[:, 16:], batch_size=64, epochs=30, verbose=0)
    error = np.abs(forecast(model, {"past": wave[:, :16, None]})[:, :, 1] - wave[:, 16:]).mean()
    assert error < np.abs(wave[:, 15:16] - wave[:, 16:]).mean() / 10


def test_options_reach_the_cell(segrnn: Any, batch: Any) -> None:
    """A peephole LSTM that does not squash its output is exported as such."""
    model = segrnn(EVEN, cell="peephole_lstm", cell_options={"squash": "identity"})
    assert model.get_layer("recurrence").layer.cell.squash == "identity"
    assert parity(model, to_onnx(model), batch(EVEN)) <= 1e-5


def test_grid_is_refused() -> None:
    """A frame is no segment."""
    with pytest.raises(ConfigError, match="segrnn reads single series, not a line or a grid"):
        models.build(SegRNN(), Shapes(6, 3, 1, grid=(2, 3)), heads.build(NumberHead(quantiles=LEVELS)))


def test_layers_survive_serialisation() -> None:
    """The configuration rebuilds equal layers, the recurrent one inside included."""
    inner = keras.layers.GRU(4, return_state=True, name="gru")
    for layer in (Segments(3, ahead=True), SharedRecurrence(inner, 2), Steps(5, 8)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is type(layer)
        assert again.get_config() == layer.get_config()
