"""The exported model against Keras, its operators, and what cannot be exported."""

import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import SegRNN, Stacked
from forecasting.errors import GatecastError
from forecasting.nn import heads, models
from forecasting.nn.cells import CELLS, CONVOLUTIONAL
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.models import Shapes

FULL = Shapes(context=8, horizon=4, past=3, future=2, static=2, codes=(3, 2), mask=True)
JOBS = {
    "bare": Shapes(8, 4, 1),
    "mask": Shapes(8, 4, 2, mask=True),
    "future": Shapes(8, 4, 2, future=2),
    "static": Shapes(8, 4, 2, static=1),
    "codes": Shapes(8, 4, 1, codes=(4,)),
    "full": FULL,
}
NATIVE = {"simple": "RNN", "lstm": "LSTM", "gru": "GRU", "peephole_lstm": "LSTM", "coupled_lstm": "LSTM"}
TOLERANCE = 1e-5


def operators(content: bytes) -> list[str]:
    """The operator types of the graph."""
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("job", ["bare", "full"])
def test_export_agrees_with_keras(cell: str, bidirectional: bool, job: str, network: Any, batch: Any) -> None:
    """Every cell and direction, two layers deep, with all inputs and with the past alone, to 1e-5."""
    shapes = JOBS[job]
    model = network(shapes, cell=cell, units=[4, 3], bidirectional=bidirectional, highway=3, dropout=0.1)
    assert parity(model, to_onnx(model), batch(shapes)) <= TOLERANCE


@pytest.mark.parametrize("job", ["mask", "future", "static", "codes"])
def test_export_agrees_with_each_input_alone(job: str, network: Any, batch: Any) -> None:
    """Each further input by itself, with one direction forwards and one both ways."""
    shapes = JOBS[job]
    model = network(shapes, cell="gru", units=[4, 3], bidirectional=[True, False], decoder=[5, 4])
    assert parity(model, to_onnx(model), batch(shapes)) <= TOLERANCE


@pytest.mark.parametrize(
    ("normalise", "highway", "mask"), list(itertools.product(["window", "last", "none"], [0, 7], [False, True]))
)
def test_export_agrees_in_every_case(normalise: str, highway: int, mask: bool, network: Any, batch: Any) -> None:
    """Normalization, highway and mask in all combinations, constant and unobserved contexts among the windows."""
    shapes = Shapes(8, 4, 3, mask=mask)
    arrays = batch(shapes)
    arrays["past"][0, :, 0], arrays["past"][1, :, -1] = 1.5, 0.0
    model = network(shapes, units=[3], normalise=normalise, highway=highway)
    assert parity(model, to_onnx(model), arrays) <= TOLERANCE


@pytest.mark.parametrize(
    "params",
    [
        Stacked(units=(3,), highway=5, highway_start="ridge"),
        SegRNN(units=3, segment=4, highway=5, highway_start="ridge"),
    ],
    ids=lambda one: one.name,
)
@pytest.mark.parametrize("future", [0, 2])
def test_export_agrees_on_a_wide_highway(params: Any, future: int, batch: Any, randomize: Any) -> None:
    """With random weights, with and without what is known ahead."""
    shapes = Shapes(8, 4, 3, future=future)
    model = randomize(models.build(params, shapes, heads.build(NumberHead(quantiles=(0.1, 0.5, 0.9)))))
    assert parity(model, to_onnx(model), batch(shapes)) <= TOLERANCE


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_export_keeps_the_activation_of_the_simple_cell(activation: str, network: Any, batch: Any) -> None:
    """Each activation that the simple cell may have."""
    model = network(JOBS["bare"], cell="simple", units=[4], activation=activation)
    assert parity(model, to_onnx(model), batch(JOBS["bare"])) <= TOLERANCE


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in CONVOLUTIONAL])
def test_recurrent_layers_become_native_operators(cell: str, network: Any) -> None:
    """One operator per layer, also for a bidirectional one; no loop is written out."""
    found = operators(to_onnx(network(FULL, cell=cell, units=[4, 3, 2], bidirectional=[True, False, True])))
    assert [name for name in found if name in NATIVE.values()] == [NATIVE[cell]] * 3
    assert not {"Loop", "Scan", "If"} & set(found)


@pytest.mark.parametrize("cell", CONVOLUTIONAL)
def test_convolutional_layers_become_scans(cell: str, network: Any) -> None:
    """One loop for each direction of each layer: two layers run both ways, one does not."""
    found = operators(to_onnx(network(FULL, cell=cell, units=[4, 3, 2], bidirectional=[True, False, True])))
    assert found.count("Scan") == 5


def test_batch_is_dynamic_and_names_are_fixed(network: Any, batch: Any) -> None:
    """One session answers batches of any size, from inputs of the known names and types."""
    session = onnxruntime.InferenceSession(to_onnx(network(FULL, units=[3])))
    kinds = {value.name: value.type for value in session.get_inputs()}
    numbers = dict.fromkeys(("past", "future", "static"), "tensor(float)")
    assert kinds == {**numbers, "codes": "tensor(int32)"}
    assert [value.name for value in session.get_outputs()] == ["quantiles"]
    for size in (1, 6):
        assert session.run(["quantiles"], batch(FULL, size))[0].shape == (size, 4, 4)


def test_export_of_the_same_weights_is_the_same_file(network: Any) -> None:
    """Exporting twice gives the same bytes."""
    model = network(FULL, units=[3])
    assert to_onnx(model) == to_onnx(model)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_export_of_a_mixed_precision_network_is_fp32(policy: str, network: Any, batch: Any) -> None:
    """Weights are written in fp32, and parity is judged in fp32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = network(FULL, units=[4, 3], bidirectional=[True, False], highway=2)
    finally:
        keras.config.set_dtype_policy(before)
    content = to_onnx(model)
    weights = onnx.load_from_string(content).graph.initializer
    assert {weight.data_type for weight in weights} == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert parity(model, content, batch(FULL)) <= TOLERANCE


def test_loaded_network_exports_like_the_saved_one(tmp_path: Path, network: Any) -> None:
    """A .keras file gives the same ONNX file as the network it was saved from."""
    model = network(FULL, cell="gru", units=[4, 3], bidirectional=True, highway=2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    assert to_onnx(again) == to_onnx(model)


def test_parity_sees_a_changed_weight(network: Any, batch: Any) -> None:
    """A network that moved on after its export no longer agrees with it."""
    model = network(FULL, units=[3])
    content = to_onnx(model)
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    assert parity(model, content, batch(FULL)) > 1e-3


def test_parity_of_a_broken_network_is_infinite(network: Any, batch: Any) -> None:
    """A network whose forecast is not finite never passes a tolerance."""
    model = network(FULL, units=[3])
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    assert parity(model, to_onnx(model), batch(FULL)) == float("inf")


def test_keras_embedding_and_dense_activations_export(randomize: Any, rng: np.random.Generator) -> None:
    """Built-in layers that no network of ours uses yet agree too."""
    codes = keras.Input((2,), dtype="int32", name="codes")
    hidden = keras.layers.Embedding(5, 3)(codes)
    for activation in ("tanh", "sigmoid", "softplus", "relu", "linear"):
        hidden = keras.layers.Dense(4, activation=activation)(hidden)
    model = randomize(keras.Model({"codes": codes}, hidden))
    assert parity(model, to_onnx(model), {"codes": rng.integers(0, 5, (6, 2)).astype("int32")}) <= TOLERANCE


def test_unknown_layers_are_all_named() -> None:
    """A layer without an exporter is an error that says which."""
    source = keras.Input((3,), name="past")
    model = keras.Model({"past": source}, keras.layers.GaussianNoise(1.0, name="noise")(source))
    with pytest.raises(GatecastError, match=r"noise \(GaussianNoise\)"):
        to_onnx(model)


def test_layer_that_is_used_twice_is_written_twice(randomize: Any, rng: np.random.Generator) -> None:
    """A shared layer has a place in the graph for each of its calls."""
    source, shared = keras.Input((4, 3), name="past"), keras.layers.Dense(3, name="shared")
    lstm = keras.layers.LSTM(3, return_sequences=True, return_state=True)
    read, *states = lstm(shared(shared(source)))
    last, *_ = lstm(source, initial_state=states)
    model = randomize(keras.Model({"past": source}, keras.layers.Concatenate()([read, last])))
    assert parity(model, to_onnx(model), {"past": rng.normal(size=(5, 4, 3)).astype("float32")}) <= TOLERANCE


def test_network_is_exported_without_the_calls_of_another(randomize: Any, rng: np.random.Generator) -> None:
    """Two networks over the same layers export each its own part, with the outputs that it names."""
    source, given = keras.Input((4, 2), name="past"), keras.Input((3,), name="state_0")
    gru, dense = keras.layers.GRU(3, return_sequences=True, return_state=True), keras.layers.Dense(2)
    sequence, state = gru(source)
    whole = randomize(keras.Model({"past": source}, dense(sequence)))
    again, carried = gru(source, initial_state=[given])
    step = keras.Model({"past": source, "state_0": given}, {"parameters": dense(again), "state_0": carried, "h": state})
    batch = {name: rng.normal(size=size).astype("float32") for name, size in (("past", (5, 4, 2)), ("state_0", (5, 3)))}
    assert parity(whole, to_onnx(whole), {"past": batch["past"]}) <= TOLERANCE
    content = to_onnx(step)
    assert parity(step, content, batch) <= TOLERANCE
    names = [value.name for value in onnxruntime.InferenceSession(content).get_outputs()]
    assert sorted(names) == ["h", "next_state_0", "parameters"]


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (keras.layers.LSTM(2, go_backwards=True, name="back"), "back runs backward"),
        (keras.layers.GRU(2, activation="gelu", name="odd"), "'gelu' cannot be exported"),
        (keras.layers.Bidirectional(keras.layers.LSTM(2), merge_mode="sum", name="sum"), "merge_mode 'sum'"),
    ],
)
def test_unusual_recurrent_layer_is_refused(layer: Any, sentence: str) -> None:
    """What the operators cannot express is refused, not approximated."""
    source = keras.Input((4, 1), name="past")
    with pytest.raises(GatecastError, match=sentence):
        to_onnx(keras.Model({"past": source}, layer(source)))
