"""Gates: those of an independent loop over the weights of Keras, and each step beside the reading that it has read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pandas as pd
import pytest

from forecasting.bundle.quantile_forecaster import QuantileForecaster
from forecasting.bundle.spec import MemberSpec
from forecasting.bundle.symbol_forecaster import SymbolForecaster
from forecasting.config.cells import CONVOLUTIONAL
from forecasting.config.job import Job
from forecasting.config.network import ConvLSTM, DeepAR, InStep, SegRNN, Seq2Seq, Stacked
from forecasting.errors import DataError, GatecastError
from forecasting.evaluation.baselines import map_of_target, to_onnx
from forecasting.insight.equations import CellTrace
from forecasting.insight.gates import gates
from forecasting.insight.probe import Probe
from forecasting.nn import cells, models
from forecasting.nn.cells import CELLS
from forecasting.nn.export import to_onnx as export
from forecasting.nn.exporters.ensemble import MemberGraph, combine
from forecasting.report.gates import picture, save
from tests.insight.conftest import LinearModel, random_model, symbol_model
from tests.nn.test_cells import CASES, convolve

Jobs = Callable[..., Job]
Tables = Callable[..., pd.DataFrame]
Array = np.ndarray
UNITS, STEPS, FEATURES, WINDOWS = 3, 5, 2, 4


def sigmoid(values: Array) -> Array:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + np.exp(-values))


def loop(cell: str, x: Array, states: list[Array], weights: list[Array], options: dict[str, Any]) -> dict[str, Array]:
    """Gates and states of a cell at every step, from the weights in the order of Keras."""
    h, found = states[0], []
    w, u, b = weights[0], weights[1], weights[-1]
    product = convolve if cell in CONVOLUTIONAL else np.matmul
    p = weights[2] if "peephole" in cell else np.zeros(3)
    for step in range(x.shape[1]):
        if cell == "gru":
            inputs, recurrent = x[:, step] @ w + b[0], h @ u + b[1]
            z = sigmoid(inputs[:, :UNITS] + recurrent[:, :UNITS])
            r = sigmoid(inputs[:, UNITS:-UNITS] + recurrent[:, UNITS:-UNITS])
            h = z * h + (1 - z) * np.tanh(inputs[:, -UNITS:] + r * recurrent[:, -UNITS:])
            found.append({"update": z, "reset": r, "hidden": h})
            continue
        total = product(x[:, step], w) + product(h, u) + b
        c = states[1] if step == 0 else found[-1]["cell"]
        if cell == "coupled_lstm":
            f, new, o = np.split(total, 3, axis=-1)
            f = sigmoid(f)
            i = 1 - f
        else:
            i, f, new, o = np.split(total, 4, axis=-1)
            i, f = sigmoid(i + p[0] * c), sigmoid(f + p[1] * c)
        old, c = c, f * c + i * np.tanh(new)
        o = sigmoid(o + p[2] * (old if options.get("output_gate") == "old" else c))
        h = o * (c if options.get("squash") == "identity" else np.tanh(c))
        found.append({"forget": f, "input": i, "output": o, "cell": c, "hidden": h})
    return {name: np.stack([each[name] for each in found], axis=1) for name in found[0]}


def values_of(trace: CellTrace) -> dict[str, Array]:
    """Gates and states together."""
    return {**trace.gates, **trace.states}


def agrees(trace: CellTrace, expected: dict[str, Array], tolerance: float = 1e-5) -> None:
    """All gates and states are those of the loop; the places of a grid stand side by side."""
    assert set(values_of(trace)) == set(expected)
    for name, values in values_of(trace).items():
        rows = np.moveaxis(expected[name], -1, 2)  # (B, T, *grid, U): the graph keeps the units before the grid
        np.testing.assert_allclose(values, rows.reshape(values.shape), atol=tolerance, err_msg=name)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] != "simple"], ids=str)
def test_gates_are_those_of_the_equations(case: Any, randomize: Any, rng: np.random.Generator) -> None:
    """From given states, every gate and state at every step agrees with a NumPy loop over the weights of Keras."""
    cell, activation, options, grid = case
    params = Stacked(cell=cell, activation=activation, cell_options=options or None)
    layer = cells.layer(params, UNITS, sequences=True, states=True, name=cell, rank=len(grid))
    past = keras.Input((STEPS, *grid, FEATURES), name="past")
    count = 1 if cell == "gru" else 2
    given = [keras.Input((*grid, UNITS), name=f"begin_{index}") for index in range(count)]
    network = randomize(keras.Model([past, *given], layer(past, initial_state=given)[0]))
    x = rng.normal(size=(WINDOWS, STEPS, *grid, FEATURES))
    states = [rng.normal(size=(WINDOWS, *grid, UNITS)) for _ in given]
    arrays = dict(zip((tensor.name for tensor in network.inputs), [x, *states], strict=True))
    _, (found,) = Probe(export(network)).run({name: array.astype("float32") for name, array in arrays.items()})
    weights = [np.asarray(weight, "float64") for weight in layer.get_weights()]
    agrees(found.trace, loop(cell, x, states, weights, options))
    assert (found.number, found.direction, found.continues) == (1, "forward", False)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell != "simple"])
def test_both_directions_have_their_own_gates(cell: str, randomize: Any, rng: np.random.Generator) -> None:
    """The backward ones are those of the reversed sequence, each beside the step that it has read."""
    grid = (4,) if cell in CONVOLUTIONAL else ()
    layer = cells.layer(Stacked(cell=cell), UNITS, sequences=True, name=cell, rank=1)
    past = keras.Input((STEPS, *grid, FEATURES), name="past")
    both = keras.layers.Bidirectional(layer)
    network = randomize(keras.Model(past, both(past)))
    x = rng.normal(size=(WINDOWS, STEPS, *grid, FEATURES))
    _, layers = Probe(export(network)).run({"past": x.astype("float32")})
    assert [(each.number, each.direction) for each in layers] == [(1, "forward"), (1, "backward")]
    zeros = [np.zeros((WINDOWS, *grid, UNITS))] * 2
    for each, direction, turn in zip(layers, (both.forward_layer, both.backward_layer), (1, -1), strict=True):
        weights = [np.asarray(weight, "float64") for weight in direction.get_weights()]
        expected = loop(cell, x[:, ::turn], zeros, weights, {})
        agrees(each.trace, {name: values[:, ::turn] for name, values in expected.items()})


def test_a_probe_computes_what_its_graph_computes(randomize: Any, rng: np.random.Generator) -> None:
    """Its outputs are those of the network, whatever it shows beside them."""
    past = keras.Input((STEPS, FEATURES), name="past")
    inner = cells.layer(Stacked(cell="lstm"), UNITS, sequences=True, name="inner")
    outer = cells.layer(Stacked(cell="gru"), UNITS, sequences=False, name="outer")
    network = randomize(keras.Model(past, outer(inner(past))))
    x = rng.normal(size=(WINDOWS, STEPS, FEATURES)).astype("float32")
    outputs, layers = Probe(export(network)).run({"past": x})
    np.testing.assert_allclose(outputs["quantiles"], keras.ops.convert_to_numpy(network(x)), atol=1e-5)
    assert [each.cell for each in layers] == ["LSTM", "GRU"]
    np.testing.assert_allclose(layers[1].trace.states["hidden"][:, -1], outputs["quantiles"], atol=1e-5)


NETWORKS = {
    "stacked": (Stacked(cell="lstm", units=(4,), normalise="none"), 1),
    "segrnn": (SegRNN(segment=5, units=6, normalise="none"), 5),
    "cycle": (SegRNN(segment=5, units=6, normalise="none", cycle=4), 5),
    "deepar": (DeepAR(units=(4,), normalise="none"), 1),
    "seq2seq": (Seq2Seq(units=(4,), normalise="none"), 1),
    "conv_lstm": (ConvLSTM(normalise="none"), 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_step_stands_beside_the_reading_that_it_has_read(
    name: str, make_table: Tables, make_job: Jobs, tmp_path: Path
) -> None:
    """If a reading changes, gates change from its step on and not before it; what is ahead has the stamps ahead."""
    params, width = NETWORKS[name]
    draw = np.random.default_rng(8)
    table = make_table({"a": draw.normal(size=150), "b": draw.normal(size=150)})
    series = {"calendar": ["hour"]} if name == "cycle" else {}
    job = make_job(series, window={"context": 12, "horizon": 7}, backtest={"windows": 5}, train={"validation": 20})
    model = random_model(table, job, params, tmp_path)
    stamp = table["ds"].max() - pd.Timedelta(3, "h")  # the fourth reading from the end
    changed = table.copy()
    changed.loc[(table["unique_id"] == "a") & (table["ds"] == stamp), "y"] += 3.0

    before, after = (gates(model, each, "a") for each in (table, changed))
    assert before.y == pytest.approx(table.query("unique_id == 'a'")["y"].to_numpy()[-12:], abs=1e-4)
    assert (before.ds == table.query("unique_id == 'a'")["ds"].to_numpy()[-12:]).all()
    reading = [pair for pair in zip(before.cells, after.cells, strict=True) if not pair[0].ahead]
    assert reading
    for old, new in reading:
        moved = np.any([(old.gates[gate] != new.gates[gate]).any(axis=1) for gate in old.gates], axis=0)
        first = old.ds[np.argmax(moved)]
        assert moved[np.argmax(moved) :].all()
        assert np.timedelta64(0) <= first - stamp.to_datetime64() < np.timedelta64(width, "h")
    for cell in before.cells:
        if cell.ahead:
            assert cell.ds[-1] == before.ds[-1] + np.timedelta64(7, "h")
            assert len(cell.ds) == -(-7 // width)
    assert any(cell.ahead for cell in before.cells) == (name != "stacked")


def test_members_of_an_ensemble_are_shown_one_by_one(
    make_table: Tables, make_job: Jobs, linear_model: LinearModel, tmp_path: Path
) -> None:
    """The gates of a member with a shorter context are those of the same network alone; a linear one has none."""
    draw = np.random.default_rng(9)
    table = make_table({"a": draw.normal(size=150)})
    short = make_job(window={"context": 6, "horizon": 3}, backtest={"windows": 5}, train={"validation": 20})
    alone = random_model(table, short, Stacked(cell="gru", units=(4,)), tmp_path / "alone")
    long = make_job(window={"context": 9, "horizon": 3}, backtest={"windows": 5}, train={"validation": 20})
    model = linear_model(table, long, map_of_target(draw.normal(size=(9, 3))))
    levels = len(short.head.quantiles)
    graphs = [
        MemberGraph((alone.bundle.path / "model.onnx").read_bytes(), 0.5, 6, 1),
        MemberGraph(
            to_onnx(map_of_target(draw.normal(size=(9, 3))), inputs=1, ahead=0), 0.5, 9, 1, np.zeros((3, levels))
        ),
    ]
    together = combine(graphs, models.Shapes(9, 3, 1), levels)
    (model.bundle.path / "model.onnx").write_bytes(together)
    members = (
        MemberSpec(model="stacked", title="a network", weight=0.5, context=6),
        MemberSpec(model="ridge", title="ridge", weight=0.5, context=9),
    )
    spec = model.spec.model_copy(update={"members": members, "baseline": False, "model": "auto"})
    found = gates(QuantileForecaster(model.bundle._replace(spec=spec)), table, "a")
    (cell,), (expected,) = found.cells, gates(alone, table, "a").cells
    assert cell.title == "a network, layer 1, GRU of 4 units"
    assert (cell.ds == expected.ds).all()
    for name, values in expected.gates.items():
        np.testing.assert_allclose(cell.gates[name], values, atol=1e-5)
    assert found.notes == ("ridge has no recurrent cells",)


def test_use_of_a_gate_is_counted_over_all_windows(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """Gates that a large bias holds open or closed are open or closed in every step; the others are counted by hand."""
    draw = np.random.default_rng(1)
    table, job = make_table({"a": draw.normal(size=150)}), make_job(backtest={"windows": 5}, train={"validation": 20})
    layer_units = 4

    def hold(network: keras.Model) -> None:
        layer = next(each for each in network.layers if isinstance(each, keras.layers.LSTM))
        kernel, recurrent, bias = layer.get_weights()
        bias[:layer_units], bias[layer_units : 2 * layer_units] = -50, 50  # input and forget gate
        layer.set_weights([kernel, recurrent, bias])

    model = random_model(table, job, Stacked(cell="lstm", units=(layer_units,)), tmp_path, then=hold)
    found = gates(model, table, "a")
    use = found.cells[0].use
    assert use["input"] == pytest.approx((1.0, 0.0, 0.0), abs=1e-9)
    assert use["forget"] == pytest.approx((0.0, 1.0, 1.0), abs=1e-9)
    assert found.windows == 33
    assert 0.0 < use["output"].mean < 1.0


def test_a_simple_cell_has_no_gates(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """A sentence says so; the hidden state is there."""
    table = make_table({"a": np.random.default_rng(1).normal(size=150)})
    job = make_job(backtest={"windows": 5}, train={"validation": 20})
    found = gates(random_model(table, job, Stacked(cell="simple", units=(4,)), tmp_path), table, "a")
    assert found.notes == ("the network: a simple RNN has no gates, only a hidden state",)
    assert found.cells[0].gates == {}
    assert found.cells[0].states["hidden"].shape == (6, 4)


def test_a_linear_map_has_no_cells(make_table: Tables, make_job: Jobs, linear_model: LinearModel) -> None:
    """A sentence says so, and there is nothing to draw but the readings."""
    table = make_table({"a": np.random.default_rng(1).normal(size=150)})
    found = gates(linear_model(table, make_job(), map_of_target(np.zeros((6, 3)))), table, "a")
    assert (found.cells, found.notes) == ((), ("ridge has no recurrent cells",))
    assert [trace.name for trace in picture(found).data] == ["readings"]
    with pytest.raises(DataError, match="bogus has no reading"):
        gates(linear_model(table, make_job(), map_of_target(np.zeros((6, 3)))), table, "bogus")


@pytest.fixture
def characters(tmp_path: Path) -> tuple[pd.DataFrame, SymbolForecaster, keras.Model]:
    """A text, a network of its characters with random weights as a live model, and that network."""
    text = "to be, or not to be: that is the question " * 3
    return symbol_model(text, InStep(cell="lstm", units=(5,)), 10, tmp_path)


def test_gates_stand_beside_symbols(characters: tuple[pd.DataFrame, SymbolForecaster, keras.Model]) -> None:
    """The last symbols of the context, each with the gates of the step that reads it, from a start of the text."""
    table, model, network = characters
    found = gates(model, table, "book")
    assert "".join(found.y) == " question "
    (cell,) = found.cells
    vectors = np.asarray(network.get_layer("vectors").get_weights()[0], "float64")
    codes = np.concatenate([[0], model.symbols.vocabulary.encode(list(" question "))])
    weights = [np.asarray(weight, "float64") for weight in network.get_layer("recurrent_1").get_weights()]
    expected = lstm_over(vectors[codes][None], weights)
    for name, values in {**cell.gates, **cell.states}.items():
        np.testing.assert_allclose(values, expected[name][0, 1:], atol=1e-5)
    assert picture(found).layout.xaxis.ticktext[:2] == ("␣", "q")


def lstm_over(x: Array, weights: list[Array]) -> dict[str, Array]:
    """The LSTM from states of zero, with any number of units."""
    units = weights[1].shape[0]
    return loop("lstm", x, [np.zeros((len(x), units))] * 2, weights, {})


def test_the_picture_is_a_page_that_stands_alone(make_table: Tables, make_job: Jobs, tmp_path: Path) -> None:
    """Readings, one line for each gate with its band, and the cell state of every unit, on one axis of time."""
    table = make_table({"<a>": np.random.default_rng(1).normal(size=150)})
    job = make_job(backtest={"windows": 5}, train={"validation": 20})
    model = random_model(table, job, Stacked(cell="lstm", units=(4,)), tmp_path)
    found = gates(model, table, "<a>")
    drawn = picture(found)
    lines = {trace.name: trace for trace in drawn.data if trace.name and trace.name.endswith("gate")}
    assert set(lines) == {"forget gate", "input gate", "output gate"}
    np.testing.assert_allclose(lines["forget gate"].y, found.cells[0].gates["forget"].mean(axis=1))
    (states,) = [trace for trace in drawn.data if trace.type == "heatmap"]
    np.testing.assert_allclose(states.z, found.cells[0].states["cell"].T)
    save(tmp_path / "gates.html", found, "job")
    page = (tmp_path / "gates.html").read_text(encoding="utf-8")
    assert '"modeBarButtons": [["toImage"]]' in page
    assert "<a>" not in page.split("<script", 1)[0]
    assert "<script src" not in page


def test_a_graph_that_breaks_the_equations_is_refused(randomize: Any, rng: np.random.Generator) -> None:
    """If the operator computed something else than our gates say, nothing would be shown."""
    past = keras.Input((STEPS, FEATURES), name="past")
    layer = cells.layer(Stacked(cell="gru"), UNITS, sequences=True, name="gru")
    network = randomize(keras.Model(past, layer(past)))
    model = onnx.load_from_string(export(network))
    (node,) = [node for node in model.graph.node if node.op_type == "GRU"]
    node.attribute.append(onnx.helper.make_attribute("clip", 0.1))
    with pytest.raises(GatecastError, match="does not follow the equations"):
        Probe(model.SerializeToString()).run({"past": rng.normal(size=(2, STEPS, FEATURES)).astype("float32")})
