"""The network as a whole: what reaches what, invariances, precision, and its file."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.cells import CONVOLUTIONAL
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.models import Shapes

FULL = Shapes(context=8, horizon=4, past=3, future=2, static=2, codes=(3, 2), mask=True)
BARE = Shapes(context=8, horizon=4, past=1)
FRAMES = Shapes(context=5, horizon=3, past=2, future=1, static=1, mask=True, grid=(2, 3))
LINE = Shapes(context=5, horizon=3, past=1, grid=(4,))


def forecast(model: Any, arrays: Any) -> Any:
    """The output as NumPy."""
    return ops.convert_to_numpy(model(arrays, training=False))


def test_inputs_are_those_that_the_job_has(network: Any) -> None:
    """Names and shapes follow `Shapes`; an input of size zero is absent."""
    full = {tensor.name: tuple(tensor.shape) for tensor in network(FULL).inputs}
    assert full == {"past": (None, 8, 3), "future": (None, 4, 2), "static": (None, 2), "codes": (None, 2)}
    assert [tensor.name for tensor in network(BARE).inputs] == ["past"]


def test_one_layer_per_entry_of_units(network: Any) -> None:
    """Depth, direction and width are those asked for."""
    model = network(BARE, cell="gru", units=[5, 4, 3], bidirectional=[True, False, True])
    assert tuple(model.get_layer("bidirectional_1").output.shape) == (None, 8, 10)
    assert tuple(model.get_layer("gru_2").output.shape) == (None, 8, 4)
    assert tuple(model.get_layer("bidirectional_3").output.shape) == (None, 6)


@pytest.mark.parametrize("normalise", ["window", "last"])
@pytest.mark.parametrize("highway", [0, 5])
def test_forecast_moves_with_level_and_scale_of_the_context(
    normalise: str, highway: int, network: Any, batch: Any
) -> None:
    """Inside a window norm, shifting and scaling the context shifts and scales the forecast."""
    model = network(FULL, units=[4], normalise=normalise, highway=highway)
    arrays = batch(FULL)
    arrays["past"][:, :2, -1] = 1.0  # a context with fewer than two readings has no scale of its own
    moved = {**arrays, "past": arrays["past"].copy()}
    moved["past"][..., 0] = 3.0 * moved["past"][..., 0] + 5.0
    np.testing.assert_allclose(forecast(model, moved), 3.0 * forecast(model, arrays) + 5.0, atol=1e-4)


def test_location_and_scale_inside_the_network_ignores_what_fills_a_gap(network: Any, batch: Any) -> None:
    """The network tells the normalization which channel is the mask."""
    model, arrays = network(FULL, units=[4]), batch(FULL)
    changed = {**arrays, "past": arrays["past"].copy()}
    changed["past"][..., 0] += 100.0 * (changed["past"][..., -1] == 0)
    loc_scale = keras.Model(model.inputs, model.get_layer("loc_scale").output)
    before, after = (
        forecast(loc_scale, [given[tensor.name] for tensor in model.inputs]) for given in (arrays, changed)
    )
    np.testing.assert_array_equal(before, after)


def test_known_ahead_covariate_reaches_its_own_step_alone(network: Any, batch: Any) -> None:
    """Changing the future at step 2 changes the forecast at step 2 and nowhere else."""
    model, arrays = network(FULL, units=[4], decoder=[6, 5]), batch(FULL)
    changed = {**arrays, "future": arrays["future"].copy()}
    changed["future"][:, 2] += 1.0
    moved = np.abs(forecast(model, changed) - forecast(model, arrays)).max(axis=(0, 2))
    assert moved[2] > 1e-3
    np.testing.assert_array_equal(moved[[0, 1, 3]], 0.0)


@pytest.mark.parametrize("name", ["past", "future", "static", "codes"])
def test_every_input_matters(name: str, network: Any, batch: Any) -> None:
    """Replacing one input by another window's changes the forecast."""
    model, arrays = network(FULL, units=[4]), batch(FULL)
    arrays["codes"] = np.array([[0, 0], [1, 1], [2, 0], [0, 1], [1, 0]], "int32")
    rolled = {**arrays, name: np.roll(arrays[name], 1, axis=0)}
    assert np.abs(forecast(model, rolled) - forecast(model, arrays)).max() > 1e-3


def test_horizon_steps_differ_without_covariates(network: Any, batch: Any) -> None:
    """Each step has an identity of its own: forecasts are not one value repeated."""
    median = forecast(network(BARE, units=[4]), batch(BARE))[:, :, 2]
    assert np.all(median.std(axis=1) > 1e-3)


def test_windows_of_a_batch_do_not_touch_each_other(network: Any, batch: Any) -> None:
    """A window's forecast is the same alone as among others."""
    model, arrays = network(FULL, units=[4], bidirectional=True, highway=3), batch(FULL)
    alone = forecast(model, {name: array[2:3] for name, array in arrays.items()})
    np.testing.assert_allclose(alone[0], forecast(model, arrays)[2], atol=1e-5)


@pytest.mark.parametrize("normalise", ["window", "last", "none"])
def test_degenerate_windows_train_without_a_nan(normalise: str, batch: Any) -> None:
    """Constant contexts, contexts without a reading and missing targets give finite forecasts, loss and weights."""
    head = heads.build(NumberHead())
    model = models.build(Stacked(units=[4], normalise=normalise, highway=4), FULL, head)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=head.loss)
    arrays = batch(FULL, 4)
    arrays["past"][0, :, 0], arrays["past"][0, :, -1] = 2.0, 1.0  # constant
    arrays["past"][1, :, 0], arrays["past"][1, :, -1] = 0.0, 0.0  # nothing observed
    targets = np.ones((4, 4), "float32")
    targets[2], targets[3, 1] = np.nan, np.nan
    before = [weight.copy() for weight in model.get_weights()]
    loss = model.train_on_batch(arrays, targets)
    assert np.isfinite(float(loss))
    assert np.isfinite(forecast(model, arrays)).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert any(np.abs(old - new).max() > 0 for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_finite_and_close(policy: str, network: Any, batch: Any) -> None:
    """Half precision stays in the recurrent layers: float32 out, near the float32 network."""
    params = {"units": [4, 3], "bidirectional": True, "highway": 3}
    exact, arrays = network(FULL, **params), batch(FULL)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = network(FULL, **params)
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(exact.get_weights())
    output = half(arrays, training=False)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    digits = 1e-3 if policy == "mixed_float16" else 1e-2  # of the format, about
    np.testing.assert_allclose(ops.convert_to_numpy(output), forecast(exact, arrays), rtol=5 * digits, atol=10 * digits)


def test_file_gives_the_same_network_back(tmp_path: Path, network: Any, batch: Any) -> None:
    """Saved and loaded in safe mode, without its loss, it forecasts the same, and its head still has one."""
    model, arrays = network(FULL, cell="gru", units=[4, 3], bidirectional=[False, True], highway=3), batch(FULL)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(forecast(again, arrays), forecast(model, arrays))
    assert again.get_layer("head").levels == (0.1, 0.25, 0.5, 0.9)


def test_network_learns_a_sine_with_gaps(rng: np.random.Generator) -> None:
    """After a few passes over a masked sine its median beats repeating the last value ten times over."""
    shapes, head = Shapes(16, 6, 2, mask=True), heads.build(NumberHead())
    wave = np.sin(np.arange(22) * 0.5 + rng.uniform(0, 6.3, (256, 1))).astype("float32")
    past = np.stack([wave[:, :16], np.ones((256, 16), "float32")], axis=-1)
    keras.utils.set_random_seed(1)
    model = models.build(Stacked(cell="gru", units=[16]), shapes, head)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=head.loss)
    model.fit({"past": past}, wave[:, 16:], batch_size=64, epochs=25, verbose=0)
    error = np.abs(forecast(model, {"past": past})[:, :, 1] - wave[:, 16:]).mean()
    naive = np.abs(wave[:, 15:16] - wave[:, 16:]).mean()
    assert error < naive / 10


@pytest.mark.parametrize("cell", CONVOLUTIONAL)
def test_places_of_a_grid_come_step_by_step_in_raster_order(cell: str, network: Any, batch: Any) -> None:
    """Where a convolution sees one place only, a reading moves the forecasts of its own place, N = 6 h + 3 r + c."""
    arrays = batch(FRAMES)
    model = network(FRAMES, cell=cell, units=[3, 2], cell_options={"kernel": 1})
    changed = {**arrays, "past": arrays["past"].copy()}
    changed["past"][:, 2, 1, 0] = (9.0, 1.0)  # a reading
    moved = np.abs(forecast(model, changed) - forecast(model, arrays)).max(axis=(0, 2))
    assert moved.shape == (18,)
    assert [place for place, size in enumerate(moved) if size > 0] == [3, 9, 15]


@pytest.mark.parametrize("cell", CONVOLUTIONAL)
def test_neighbours_on_a_grid_are_seen_through_the_kernel(cell: str, network: Any, batch: Any) -> None:
    """With one layer and one step of context, a kernel of three sees the places next to it and none beyond."""
    shapes = Shapes(context=1, horizon=1, past=2, grid=(1, 7))
    arrays, model = batch(shapes), network(shapes, cell=cell, units=[3])
    changed = {"past": arrays["past"].copy()}
    changed["past"][:, :, 0, 3, 1] += 1.0
    moved = np.abs(forecast(model, changed) - forecast(model, arrays)).max(axis=(0, 2))
    assert [place for place, size in enumerate(moved) if size > 0] == [2, 3, 4]


def test_covariate_ahead_of_a_grid_reaches_all_places_of_its_step(network: Any, batch: Any) -> None:
    """Changing the future at step 1 changes the second six of eighteen forecasts."""
    model, arrays = network(FRAMES, cell="conv_lstm", units=[3]), batch(FRAMES)
    changed = {**arrays, "future": arrays["future"].copy()}
    changed["future"][:, 1] += 1.0
    moved = np.abs(forecast(model, changed) - forecast(model, arrays)).max(axis=(0, 2))
    assert [place for place, size in enumerate(moved) if size > 0] == list(range(6, 12))


@pytest.mark.parametrize("normalise", ["window", "last"])
def test_every_place_of_a_grid_has_a_loc_scale_of_its_own(normalise: str, network: Any, batch: Any) -> None:
    """Shifting and stretching one place's readings does so to its own forecasts and leaves all others alone."""
    arrays, model = batch(LINE), network(LINE, cell="conv_lstm", units=[3], normalise=normalise)
    moved = {"past": arrays["past"].copy()}
    moved["past"][:, :, 2] = 3.0 * moved["past"][:, :, 2] + 5.0
    expected = forecast(model, arrays).reshape(5, 3, 4, -1)
    expected[:, :, 2] = 3.0 * expected[:, :, 2] + 5.0
    np.testing.assert_allclose(forecast(model, moved).reshape(5, 3, 4, -1), expected, atol=1e-4)


@pytest.mark.parametrize("shapes", [FRAMES, LINE], ids=["frames", "line"])
@pytest.mark.parametrize("normalise", ["window", "last", "none"])
def test_grid_exports_like_keras(shapes: Shapes, normalise: str, network: Any, batch: Any) -> None:
    """Stacked, the second layer both ways, in every loc_scale, with gaps."""
    options = {"kernel": 2, "output_gate": "old"}
    model = network(
        shapes,
        cell="conv_lstm_peephole",
        units=[3, 2],
        bidirectional=[False, True],
        cell_options=options,
        normalise=normalise,
        dropout=0.1,
    )
    assert parity(model, to_onnx(model), batch(shapes)) <= 1e-5


def test_channels_are_a_line_where_there_is_no_grid(network: Any) -> None:
    """A convolutional cell reads the inputs of a step as places next to each other."""
    model = network(FULL, cell="conv_lstm", units=[4, 3], bidirectional=[True, False])
    assert tuple(model.get_layer("bidirectional_1").output.shape) == (None, 8, 3, 8)
    assert tuple(model.get_layer("conv_lstm_2").output.shape) == (None, 3, 3)
    assert tuple(model.get_layer("state").output.shape) == (None, 9)


def test_what_a_grid_cannot_have_is_refused_all_at_once() -> None:
    """A highway, and a cell that keeps no loc_scale."""
    head = heads.build(NumberHead(quantiles=(0.5,)))
    with pytest.raises(ConfigError) as caught:
        models.build(Stacked(cell="gru", highway=2), LINE, head)
    assert "must be 0 on a line or a grid" in str(caught.value)
    assert f"cell: gru cannot read a line or a grid; {' and '.join(CONVOLUTIONAL)} can" in str(caught.value)
    with pytest.raises(ConfigError, match="a grid takes no static categoricals, got 1"):
        models.build(Stacked(cell="conv_lstm"), LINE._replace(codes=(3,)), head)


def test_options_of_a_cell_reach_it(network: Any) -> None:
    """`cell_options` set what the cell's own equations leave open."""
    assert (
        network(BARE, cell="peephole_lstm", cell_options={"squash": "identity"})
        .get_layer("peephole_lstm_1")
        .cell.squash
        == "identity"
    )
    assert network(BARE, cell="conv_lstm", cell_options={"kernel": 5}).get_layer("conv_lstm_1").kernel_size == (5,)
