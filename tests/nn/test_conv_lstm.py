"""The encoder–forecaster against a plain NumPy loop, what reaches what, its export and its file."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import ops

from forecasting.config.head import NumberHead
from forecasting.config.network import ConvLSTM
from forecasting.nn import heads, models
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.layers.frames import Patches, Places
from forecasting.nn.models import Shapes

Array = npt.NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)
EXPORTS = [
    *itertools.product(["conv_lstm"], [False, True], [(), (5,), (3, 4)]),
    *itertools.product(["conv_lstm_peephole"], [False, True], [(3, 4)]),
]


def shapes_of(grid: tuple[int, ...]) -> Shapes:
    """Every input that a grid, a line or a single series can have."""
    codes = () if grid else (3,)
    return Shapes(context=5, horizon=3, past=3, future=2, static=2, codes=codes, mask=True, grid=grid)


@pytest.fixture
def conv_lstm(randomize: Callable[[Any], Any]) -> Callable[..., Any]:
    """A small network of two layers with random weights."""

    def make(shapes: Shapes, **params: Any) -> Any:
        chosen = {"filters": [3, 2], "width": 4, "normalise": "none", "embedding": 2, **params}
        return randomize(models.build(ConvLSTM(**chosen), shapes, heads.build(NumberHead(quantiles=LEVELS))))

    return make


def forecast(model: Any, arrays: Any) -> Any:
    """The output as NumPy."""
    return ops.convert_to_numpy(model(arrays, training=False))


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def convolve(frame: Array, kernel: Array) -> Array:
    """Cell by cell (R, C, D): the sum over its 3 × 3 neighbors, zeros beyond the border."""
    rows, columns, _ = frame.shape
    result = np.zeros((rows, columns, kernel.shape[-1]))
    for row, column, down, right in np.ndindex(rows, columns, 3, 3):
        r, c = row + down - 1, column + right - 1
        if 0 <= r < rows and 0 <= c < columns:
            result[row, column] += frame[r, c] @ kernel[down, right]
    return result


def run(frames: list[Array], states: list[Array], weights: list[Array]) -> tuple[list[Array], list[Array]]:
    """A ConvLSTM over frames: its hidden states, and the last h and c."""
    (h, c), (w, u, b) = states, weights
    hidden = []
    for frame in frames:
        i, f, candidate, o = np.split(convolve(frame, w) + convolve(h, u) + b, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        hidden.append(h)
    return hidden, [h, c]


def test_network_equals_a_loop_of_its_equations(conv_lstm: Callable[..., Any], batch: Any) -> None:
    """Patches, two layers of encoder and forecaster, features and head, written out for each window."""
    shapes = Shapes(context=4, horizon=2, past=2, future=1, static=1, mask=True, grid=(2, 4))
    model = conv_lstm(shapes, patch=2)
    arrays = batch(shapes, 3)
    weights = {layer.name: [np.asarray(w, dtype=float) for w in layer.get_weights()] for layer in model.layers}
    for window, given in enumerate(forecast(model, arrays)):
        past, static = arrays["past"][window], arrays["static"][window]
        read = [np.concatenate([frame, static], axis=-1) for frame in past]
        cut = [np.stack([f[0:2, 2 * c : 2 * c + 2].reshape(-1) for c in range(2)])[None] for f in read]  # (1, 2, 4 * 3)
        asked = [np.concatenate([cut[-1], np.full((1, 2, 1), ahead)], -1) for ahead in arrays["future"][window]]
        every = []
        for layer, filters in ((1, 3), (2, 2)):
            cut, last = run(cut, [np.zeros((1, 2, filters))] * 2, weights[f"encoder_{layer}"])
            asked, _ = run(asked, last, weights[f"forecaster_{layer}"])
            every.append(asked)
        kernel, bias = weights["features"]
        for step in range(2):
            features = np.maximum(np.concatenate([layer[step] for layer in every], axis=-1) @ kernel + bias, 0.0)
            for row, column in np.ndindex(2, 4):
                cell = features[0, column // 2].reshape(2, 2, 4)[row, column % 2]
                raw = cell @ weights["head"][0] + weights["head"][1]
                steps = np.log1p(np.exp(raw))
                expected = [raw[1] - steps[0], raw[1], raw[1] + steps[2]]
                np.testing.assert_allclose(given[step * 8 + row * 4 + column], expected, atol=1e-5)


@pytest.mark.parametrize(("cell", "bidirectional", "grid"), EXPORTS)
def test_export_and_file_agree_with_keras(
    cell: str, bidirectional: bool, grid: tuple[int, ...], conv_lstm: Callable[..., Any], batch: Any, tmp_path: Path
) -> None:
    """Grids, lines and single series with every input, in patches that do not divide them, to 1e-5."""
    shapes, arrays = shapes_of(grid), batch(shapes_of(grid))
    model = conv_lstm(shapes, cell=cell, bidirectional=bidirectional, patch=2, normalise="last", dropout=0.1)
    assert model.output.shape == (None, 3 * shapes.places, 3)
    assert parity(model, to_onnx(model), arrays) <= 1e-5
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(forecast(again, arrays), forecast(model, arrays))


@pytest.mark.parametrize("grid", [(5,), (3, 4)])
def test_patches_and_places_undo_each_other(grid: tuple[int, ...], rng: np.random.Generator) -> None:
    """Every cell comes back to its place, whatever p and the grid have in common."""
    frames = rng.normal(size=(2, 3, *grid, 4)).astype("float32")
    for size in (1, 2, 3):
        again = Places(grid, size)(Patches(size)(ops.convert_to_tensor(frames)))
        np.testing.assert_array_equal(ops.convert_to_numpy(again), frames.reshape(2, -1, 4))


def test_what_is_known_ahead_reaches_its_step_and_later_ones(conv_lstm: Callable[..., Any], batch: Any) -> None:
    """A covariate of the second step leaves the first alone, at every cell."""
    shapes, arrays = shapes_of((3, 4)), batch(shapes_of((3, 4)), 2)
    model = conv_lstm(shapes)
    before = forecast(model, arrays).reshape(2, 3, 12, 3)
    arrays["future"][:, 1] += 1.0
    moved = np.abs(forecast(model, arrays).reshape(2, 3, 12, 3) - before).max(axis=(0, 3))
    np.testing.assert_allclose(moved[0], 0.0, atol=1e-6)
    assert (moved[1:] > 1e-6).all()


def test_a_cell_moves_its_neighbours_first(conv_lstm: Callable[..., Any], batch: Any) -> None:
    """Two layers with kernels of 3, told the last reading of a corner: it spreads by so many cells in so many steps."""
    shapes = Shapes(context=5, horizon=1, past=1, grid=(16,))
    model, arrays = conv_lstm(shapes), batch(shapes, 2)
    before = forecast(model, arrays)
    arrays["past"][:, -1, 0] += 3.0
    moved = np.abs(forecast(model, arrays) - before).max(axis=(0, 2))
    reach = np.flatnonzero(moved > 1e-7).max()
    assert reach == 3  # one in each layer of the encoder, of which the forecaster's second layer reads the neighbors


def test_cells_keep_their_own_level(conv_lstm: Callable[..., Any], batch: Any) -> None:
    """With `normalise: last`, shifting one cell's context shifts its forecast as much, and no other cell's."""
    shapes = Shapes(context=5, horizon=2, past=1, grid=(3, 2))
    model, arrays = conv_lstm(shapes, normalise="last"), batch(shapes, 2)
    before = forecast(model, arrays).reshape(2, 2, 6, 3)
    arrays["past"][:, :, 1, 1] += 7.0
    shift = forecast(model, arrays).reshape(2, 2, 6, 3) - before
    expected = np.zeros(6)
    expected[3] = 7.0
    np.testing.assert_allclose(shift, np.broadcast_to(expected[:, None], shift.shape), atol=1e-4)
