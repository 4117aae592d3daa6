"""The network that answers at every step: its equations, its states, what it must not see, its graph."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

from forecasting.config.head import NumberHead, SymbolHead
from forecasting.config.network import InStep
from forecasting.config.training import Train
from forecasting.errors import ConfigError
from forecasting.nn import export, heads, models
from forecasting.nn.models import Shapes, many_to_many
from forecasting.training.devices import set_up

CLASSES = 7


def network(**params: Any) -> Any:
    """A small network of symbols."""
    set_up(Train(seed=3))
    shapes = Shapes(context=5, horizon=5, past=0, symbols=CLASSES)
    head = heads.build(SymbolHead(), classes=CLASSES)
    return models.build(InStep(units=[6, 5], width=4, **params), shapes, head)


def codes(batch: int = 3, steps: int = 9) -> np.ndarray:
    """Codes (B, T)."""
    return np.random.default_rng(1).integers(0, CLASSES, (batch, steps)).astype(np.int32)


def test_simple_cell_follows_its_equations() -> None:
    """h_t = tanh(x_t W + h_{t-1} U + b) layer over layer, then one linear map, in a plain loop."""
    model, read = network(cell="simple", inputs="one_hot"), codes()
    kernel, bias = model.get_layer("head").get_weights()
    expected = []
    for sequence in read:
        states = [np.zeros(6), np.zeros(5)]
        for code in sequence:
            values = np.eye(CLASSES)[code]
            for index in range(2):
                w, u, b = model.get_layer(f"recurrent_{index + 1}").get_weights()
                values = states[index] = np.tanh(values @ w + states[index] @ u + b)
            expected.append(values @ kernel + bias)
    given = np.asarray(model({"symbols": read}))
    np.testing.assert_allclose(given.reshape(-1, CLASSES), expected, atol=1e-5)


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru", "peephole_lstm", "coupled_lstm"])
def test_chunks_with_carried_states_give_what_the_whole_gives(cell: str) -> None:
    """The exported graph read in chunks of 4, 1 and 4 steps ends where Keras ends on all nine at once."""
    model, read = network(cell=cell), codes()
    chunk = models.parts("in_step", model)["model"]
    session = onnxruntime.InferenceSession(export.to_onnx(chunk, "parameters"))
    states = {t.name: np.zeros((3, t.shape[1]), np.float32) for t in chunk.inputs if t.name != "symbols"}
    given = []
    for part in np.split(read, [4, 5], axis=1):
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, {"symbols": part, **states}), strict=True))
        given.append(outputs["parameters"])
        states = {name: outputs[f"next_{name}"] for name in states}
    np.testing.assert_allclose(np.concatenate(given, axis=1), np.asarray(model({"symbols": read})), atol=1e-5)


def test_no_output_depends_on_a_later_symbol() -> None:
    """Changing the symbols from step 5 on leaves the first five outputs as they are, and moves the sixth."""
    model, read = network(), codes()
    other = read.copy()
    other[:, 5:] = (other[:, 5:] + 1) % CLASSES
    one, two = (np.asarray(model({"symbols": values})) for values in (read, other))
    np.testing.assert_array_equal(one[:, :5], two[:, :5])
    assert (np.abs(one[:, 5] - two[:, 5]).max(axis=-1) > 1e-6).all()


def test_lanes_go_on_from_the_batch_before_unless_fresh() -> None:
    """Two calls of the learner give what one call on the whole gives; where fresh, a lane begins at zero."""
    model, read = network(), codes(batch=2, steps=8)
    learner = many_to_many.carrying(model, lanes=2)
    fresh = np.zeros((2, 1), np.float32)
    parts = [np.asarray(learner({"symbols": part, "fresh": fresh})) for part in np.split(read, 2, axis=1)]
    whole = np.asarray(model({"symbols": read}))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    again = np.asarray(learner({"symbols": read, "fresh": np.array([[1.0], [0.0]], np.float32)}))
    np.testing.assert_allclose(again[0], whole[0], atol=1e-5)
    assert np.abs(again[1] - whole[1]).max() > 1e-3


def test_numbers_are_read_alike() -> None:
    """With a head of numbers the network maps `past` (B, T, D) to quantiles (B, T, Q), in Keras as in the graph."""
    set_up(Train(seed=1))
    model = models.build(InStep(units=[4]), Shapes(6, 6, 2), heads.build(NumberHead()))
    past = np.random.default_rng(2).normal(size=(3, 8, 2)).astype(np.float32)
    assert np.asarray(model({"past": past})).shape == (3, 8, 3)
    chunk = models.parts("in_step", model)["model"]
    batch = {"past": past, **{f"state_{i}": np.ones((3, 4), np.float32) for i in range(2)}}
    assert export.parity(chunk, export.to_onnx(chunk), batch) < 1e-5


def test_what_it_cannot_read_is_refused() -> None:
    """Known-ahead covariates have no place in a network without a horizon."""
    with pytest.raises(ConfigError, match="got covariates known ahead"):
        models.build(InStep(), Shapes(5, 5, 1, future=2), heads.build(NumberHead(quantiles=(0.5,))))
