"""DeepAR: against a plain NumPy loop, what reaches what, its reader and step against the network that learned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.config.head import NumberHead
from forecasting.config.network import DeepAR
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.layers.lagged import Held, Lagged
from forecasting.nn.layers.reversible_norm import LocationScale
from forecasting.nn.models import Shapes

# channels of the context: target, two covariates known up to now, two known ahead, the mask
FULL = Shapes(context=8, horizon=4, past=6, future=2, static=2, codes=(3, 2), mask=True)
BARE = Shapes(context=8, horizon=4, past=1)
HEADS = ("quantile", "normal", "student_t", "negative_binomial")
TOLERANCE = 1e-5


@pytest.fixture
def deepar(randomize: Callable[[Any], Any]) -> Callable[..., Any]:
    """A small network with random weights."""

    def make(shapes: Shapes, head: str = "normal", **params: Any) -> Any:
        chosen = {"units": [5], "embedding": 2, **params}
        return randomize(models.build(DeepAR(**chosen), shapes, heads.build(NumberHead(name=head))))

    return make


@pytest.fixture
def told(batch: Callable[..., Any], rng: np.random.Generator) -> Callable[..., Any]:
    """A batch with the value before each step of the horizon; the first one is the last of the context."""

    def make(shapes: Shapes, size: int = 5) -> Any:
        arrays = {**batch(shapes, size), "previous": rng.normal(size=(size, shapes.horizon)).astype("float32")}
        arrays["previous"][:, 0] = arrays["past"][:, -1, 0]
        if shapes.codes:
            arrays["codes"] = np.array([[0, 0], [1, 1], [2, 0], [0, 1], [1, 0]], "int32")[:size]
        return arrays

    return make


def outputs(model: Any, arrays: Any) -> Any:
    """What a network gives, as NumPy."""
    given = {tensor.name: arrays[tensor.name] for tensor in model.inputs}
    return keras.tree.map_structure(ops.convert_to_numpy, model(given, training=False))


def weights_of(model: Any, name: str) -> list[Any]:
    """The weights of a layer in double precision."""
    return [np.asarray(weight, "float64") for weight in model.get_layer(name).get_weights()]


def one_window(model: Any, window: dict[str, Any]) -> Any:
    """The parameters (H, 2) of one window of FULL, written out row by row as in the paper, with a simple cell."""
    past = window["past"].astype("float64")
    scale = np.abs(past[past[:, 5] == 1, 0]).mean()
    (table,), (kernel, recurrent, bias) = weights_of(model, "embedding"), weights_of(model, "recurrent_1")
    series = [*window["static"], *table[window["codes"][0]], *table[3 + window["codes"][1]]]
    told = [
        [past[t - 1, 0] / scale, *past[t, 3:5], *past[t - 1, 1:3], past[t - 1, 5], *series] for t in range(1, 8)
    ]  # the row before, what is known ahead of this one
    for step in range(4):
        before = window["previous"][step] / scale
        told.append([before, *window["future"][step], *past[-1, 1:3], 1.0, *series])
    state, found = np.zeros(5), []
    head, offset = weights_of(model, "head")
    for row in told:
        state = np.tanh(np.array(row) @ kernel + state @ recurrent + bias)
        raw = state @ head + offset
        found.append([raw[0] * scale, (np.logaddexp(0.0, raw[1]) + 1e-4) * scale])
    return np.array(found[-4:])


def test_network_computes_its_equations(deepar: Any, told: Any) -> None:
    """Window by window it agrees with the loop, with all inputs and gaps."""
    model, arrays = deepar(FULL, cell="simple"), told(FULL)
    arrays["past"][:, :2, 5] = 1.0
    expected = [one_window(model, {name: values[index] for name, values in arrays.items()}) for index in range(5)]
    np.testing.assert_allclose(outputs(model, arrays), expected, atol=2e-5)


def test_steps_are_told_what_was_known(rng: np.random.Generator) -> None:
    """A step reads the row before it, and of its own row what is known ahead; the last covariates are held."""
    past = np.arange(24.0).reshape(1, 4, 6).astype("float32")
    lagged = ops.convert_to_numpy(Lagged(2, mask=True)(past))
    np.testing.assert_array_equal(lagged[0, 0], [0, 9, 10, 1, 2, 5])  # target, ahead of the next row, others, mask
    np.testing.assert_array_equal(lagged[0, 2], [12, 21, 22, 13, 14, 17])
    np.testing.assert_array_equal(ops.convert_to_numpy(Held(2, mask=True)(past)), [[19, 20, 1]])
    np.testing.assert_array_equal(ops.convert_to_numpy(Held(3)(past)), [[19, 20]])


def test_loc_scale_of_scale_is_the_mean_absolute_value() -> None:
    """Of the readings alone; a context of zeros has the floor."""
    past = np.array([[[-2.0, 1.0], [4.0, 1.0], [99.0, 0.0]], [[0.0, 1.0]] * 3], "float32")
    loc_scale = ops.convert_to_numpy(LocationScale("scale", mask=True)(past))
    np.testing.assert_allclose(loc_scale, [[0.0, 3.0], [0.0, 0.01]], rtol=1e-6)


def by_steps(network: Any, arrays: Any) -> Any:
    """The output (B, H, P) of reader and step, told the value before each step."""
    parts = models.parts("deepar", network)
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
@pytest.mark.parametrize("shapes", [FULL, BARE])
def test_reader_and_step_give_what_the_network_learned(shapes: Shapes, head: str, deepar: Any, told: Any) -> None:
    """Step by step with the true values before each step: the same as all at once."""
    network, arrays = deepar(shapes, head, units=[4, 3], dropout=0.2), told(shapes)
    np.testing.assert_allclose(by_steps(network, arrays), outputs(network, arrays), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru", "peephole_lstm", "coupled_lstm"])
@pytest.mark.parametrize("normalise", ["scale", "last"])
def test_both_graphs_compute_what_their_networks_do(cell: str, normalise: str, deepar: Any, told: Any) -> None:
    """Reader and step in ONNX, for every cell whose state is a vector."""
    network, arrays = deepar(FULL, cell=cell, units=[4, 3], normalise=normalise), told(FULL)
    parts = models.parts("deepar", network)
    context = {tensor.name: arrays[tensor.name] for tensor in parts["model"].inputs}
    assert parity(parts["model"], to_onnx(parts["model"]), context) <= TOLERANCE
    first = {"previous": arrays["previous"][:, :1], "future": arrays["future"][:, :1]}
    step = {**outputs(parts["model"], arrays), **first}
    assert parity(parts["step"], to_onnx(parts["step"]), step) <= TOLERANCE


@pytest.mark.parametrize("name", ["past", "future", "static", "codes", "previous"])
def test_every_input_matters(name: str, deepar: Any, told: Any) -> None:
    """Replacing one input by another window's changes the forecast."""
    network, arrays = deepar(FULL), told(FULL)
    rolled = {**arrays, name: np.roll(arrays[name], 1, axis=0)}
    assert np.abs(outputs(network, rolled) - outputs(network, arrays)).max() > 1e-3


def test_forecast_grows_with_its_context(deepar: Any, told: Any) -> None:
    """Three times the readings give three times the forecast: the paper's scaling."""
    network, arrays = deepar(BARE), told(BARE)
    larger = {name: 3.0 * values for name, values in arrays.items()}
    np.testing.assert_allclose(outputs(network, larger), 3.0 * outputs(network, arrays), rtol=1e-4, atol=1e-4)


def test_counts_of_nothing_train_without_a_nan(told: Any) -> None:
    """Contexts of zeros and targets that are missing give a finite loss and weights."""
    head = heads.build(NumberHead(name="negative_binomial"))
    model, arrays = models.build(DeepAR(units=[4]), FULL, head), told(FULL, 4)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=head.loss)
    arrays["past"][:, :, 0], arrays["previous"][:] = 0.0, 0.0
    arrays["past"][1, :, -1] = 0.0
    targets = np.zeros((4, 4), "float32")
    targets[2] = np.nan
    assert np.isfinite(float(model.train_on_batch(arrays, targets)))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_file_gives_the_same_parts_back(tmp_path: Path, deepar: Any, told: Any) -> None:
    """Saved after its parts were made, and loaded in safe mode, it steps as before."""
    network, arrays = deepar(FULL, units=[4, 3]), told(FULL)
    expected = by_steps(network, arrays)
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(by_steps(again, arrays), expected)


def test_what_it_cannot_read_is_refused() -> None:
    """A grid, and a context of a single step."""
    head = heads.build(NumberHead(name="normal"))
    with pytest.raises(ConfigError, match="deepar reads single series, not a line or a grid"):
        models.build(DeepAR(), Shapes(6, 3, 1, grid=(4, 5)), head)
    with pytest.raises(ConfigError, match="needs a context of at least 2 steps, got 1"):
        models.build(DeepAR(), Shapes(1, 3, 1), head)
