"""seq2seq: attention against a loop, what reaches what, its reader and step against the network that learned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.config.head import NumberHead
from forecasting.config.network import Seq2Seq
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.layers.attention import Attention
from forecasting.nn.models import Shapes

FULL = Shapes(context=8, horizon=4, past=4, future=2, static=2, codes=(3, 2), mask=True)
BARE = Shapes(context=8, horizon=4, past=1)
HEADS = ("quantile", "normal", "student_t", "negative_binomial")
TOLERANCE = 1e-5


@pytest.fixture
def seq2seq(randomize: Callable[[Any], Any]) -> Callable[..., Any]:
    """A small network with random weights."""

    def make(shapes: Shapes, head: str = "normal", **params: Any) -> Any:
        chosen = {"units": [5], "embedding": 2, **params}
        return randomize(models.build(Seq2Seq(**chosen), shapes, heads.build(NumberHead(name=head))))

    return make


@pytest.fixture
def told(batch: Callable[..., Any], rng: np.random.Generator) -> Callable[..., Any]:
    """A batch with the value before each step of the horizon."""

    def make(shapes: Shapes, size: int = 5) -> Any:
        return {**batch(shapes, size), "previous": rng.normal(size=(size, shapes.horizon)).astype("float32")}

    return make


def outputs(model: Any, arrays: Any) -> Any:
    """What a network gives, as NumPy."""
    given = {tensor.name: arrays[tensor.name] for tensor in model.inputs}
    return keras.tree.map_structure(ops.convert_to_numpy, model(given, training=False))


def test_attention_computes_the_equations_of_luong(randomize: Any, rng: np.random.Generator) -> None:
    """Query by query: scores, softmax, context vector, tanh of the mix."""
    states, encoded = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 6, 5))
    layer = Attention()
    layer.build([states.shape, encoded.shape])
    randomize(layer)
    score, kernel, bias = (np.asarray(weight, "float64") for weight in layer.get_weights())
    found = ops.convert_to_numpy(layer([states.astype("float32"), encoded.astype("float32")]))
    for b in range(2):
        for n in range(3):
            weights = np.exp([states[b, n] @ score @ encoded[b, s] for s in range(6)])
            seen = (weights[:, None] * encoded[b]).sum(axis=0) / weights.sum()
            expected = np.tanh(np.concatenate([seen, states[b, n]]) @ kernel + bias)
            np.testing.assert_allclose(found[b, n], expected, atol=1e-5)


def by_steps(network: Any, arrays: Any) -> Any:
    """The output (B, H, P) of reader and step, told the value before each step."""
    parts = models.parts("seq2seq", network)
    carried, found = outputs(parts["model"], arrays), []
    for number in range(arrays["previous"].shape[1]):
        step = {**carried, "previous": arrays["previous"][:, number : number + 1]}
        if "future" in arrays:
            step["future"] = arrays["future"][:, number : number + 1]
        made = outputs(parts["step"], step)
        found.append(made.pop("quantiles" if "quantiles" in made else "parameters"))
        carried |= made
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("shapes", "params"),
    [
        (FULL, {"cell": "lstm", "units": [4, 3], "bidirectional": True, "dropout": 0.2}),
        (BARE, {"cell": "gru", "attention": False}),
    ],
)
def test_reader_and_step_give_what_the_network_learned(
    shapes: Shapes, params: Any, head: str, seq2seq: Any, told: Any
) -> None:
    """Step by step with the true values before each step: the same as all at once."""
    network, arrays = seq2seq(shapes, head, **params), told(shapes)
    np.testing.assert_allclose(by_steps(network, arrays), outputs(network, arrays), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru", "peephole_lstm", "coupled_lstm"])
def test_both_graphs_compute_what_their_networks_do(cell: str, seq2seq: Any, told: Any) -> None:
    """Reader and step in ONNX, for every cell whose state is a vector."""
    network, arrays = seq2seq(FULL, cell=cell, units=[4, 3], bidirectional=True), told(FULL)
    parts = models.parts("seq2seq", network)
    context = {tensor.name: arrays[tensor.name] for tensor in parts["model"].inputs}
    assert parity(parts["model"], to_onnx(parts["model"]), context) <= TOLERANCE
    first = {"previous": arrays["previous"][:, :1], "future": arrays["future"][:, :1]}
    step = {**outputs(parts["model"], arrays), **first}
    assert parity(parts["step"], to_onnx(parts["step"]), step) <= TOLERANCE


def test_later_steps_reach_no_earlier_one(seq2seq: Any, told: Any) -> None:
    """What is told and known of step 2 moves the steps from 2 on."""
    network, arrays = seq2seq(FULL), told(FULL)
    for name in ("previous", "future"):
        changed = {**arrays, name: arrays[name].copy()}
        changed[name][:, 2] += 1.0
        moved = np.abs(outputs(network, changed) - outputs(network, arrays)).max(axis=(0, 2))
        np.testing.assert_array_equal(moved[:2], 0.0)
        assert (moved[2:] > 1e-4).all()


@pytest.mark.parametrize("name", ["past", "future", "static", "codes", "previous"])
def test_every_input_matters(name: str, seq2seq: Any, told: Any) -> None:
    """Replacing one input by another window's changes the forecast."""
    network, arrays = seq2seq(FULL), told(FULL)
    arrays["codes"] = np.array([[0, 0], [1, 1], [2, 0], [0, 1], [1, 0]], "int32")
    rolled = {**arrays, name: np.roll(arrays[name], 1, axis=0)}
    assert np.abs(outputs(network, rolled) - outputs(network, arrays)).max() > 1e-3


@pytest.mark.parametrize("normalise", ["window", "last"])
def test_forecast_moves_with_level_and_scale_of_the_context(normalise: str, seq2seq: Any, told: Any) -> None:
    """Shifting and stretching the context and what is told shifts and stretches the forecast."""
    network, arrays = seq2seq(BARE, "quantile", normalise=normalise), told(BARE)
    moved = {name: 3.0 * values + 5.0 for name, values in arrays.items()}
    np.testing.assert_allclose(outputs(network, moved), 3.0 * outputs(network, arrays) + 5.0, atol=1e-4)


def test_file_gives_the_same_parts_back(tmp_path: Path, seq2seq: Any, told: Any) -> None:
    """Saved after its parts were made, and loaded in safe mode, it steps as before."""
    network, arrays = seq2seq(FULL, units=[4, 3], bidirectional=True), told(FULL)
    expected = by_steps(network, arrays)
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(by_steps(again, arrays), expected)


def test_grids_are_refused() -> None:
    """It reads single series."""
    with pytest.raises(ConfigError, match="seq2seq reads single series, not a line or a grid"):
        models.build(Seq2Seq(), Shapes(6, 3, 1, grid=(4, 5)), heads.build(NumberHead(name="normal")))
