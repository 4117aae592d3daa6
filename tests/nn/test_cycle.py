"""A cycle learned from known-ahead inputs: against NumPy, at its start, through export, and on a series of its own."""

from typing import Any

import keras
import numpy as np
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import SegRNN, Stacked
from forecasting.errors import ConfigError
from forecasting.nn import heads, models
from forecasting.nn.export import parity, to_onnx
from forecasting.nn.models import Shapes

MASKED = Shapes(context=8, horizon=4, past=5, future=2, mask=True)  # target, covariate, two known ahead, mask
BARE = Shapes(context=8, horizon=4, past=3, future=2)
NETWORKS = [Stacked(units=(3,)), SegRNN(units=3, segment=4)]
EACH = pytest.mark.parametrize("params", NETWORKS, ids=lambda one: one.name)


def built(params: Any, shapes: Shapes, **changed: Any) -> Any:
    """The network with some parameters changed."""
    head = heads.build(NumberHead(quantiles=(0.1, 0.5, 0.9)))
    return models.build(params.model_copy(update=changed), shapes, head)


def forecast(model: Any, arrays: dict[str, Any]) -> Any:
    """The output as NumPy."""
    return keras.ops.convert_to_numpy(model(arrays, training=False))


@EACH
@pytest.mark.parametrize("shapes", [MASKED, BARE], ids=["masked", "bare"])
@pytest.mark.parametrize("highway", [0, 5])
def test_cycle_is_taken_off_the_context_and_put_back_on_the_horizon(
    params: Any, shapes: Shapes, highway: int, batch: Any, randomize: Any
) -> None:
    """As the same network without one forecasts a context whose cycle NumPy took off, plus the cycle ahead."""
    model = randomize(built(params, shapes, cycle=6, highway=highway))
    plain = built(params, shapes, highway=highway)
    for layer in plain.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    (kernel, bias), (out,) = (model.get_layer(name).get_weights() for name in ("cycle_hidden", "cycle"))
    arrays = batch(shapes)
    known = arrays["past"][..., 2:4] if shapes.mask else arrays["past"][..., 1:3]
    past = arrays["past"].copy()
    past[..., 0] -= (np.tanh(known @ kernel + bias) @ out)[..., 0]
    expected = forecast(plain, {**arrays, "past": past}) + np.tanh(arrays["future"] @ kernel + bias) @ out
    np.testing.assert_allclose(forecast(model, arrays), expected, atol=2e-5)


@EACH
def test_untrained_cycle_changes_nothing(params: Any, batch: Any) -> None:
    """It is zero at first, so whatever else the network starts from still holds."""
    model, plain = built(params, BARE, cycle=6), built(params, BARE)
    for layer in plain.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    arrays = batch(BARE)
    np.testing.assert_array_equal(forecast(model, arrays), forecast(plain, arrays))


@EACH
@pytest.mark.parametrize("shapes", [MASKED, BARE], ids=["masked", "bare"])
def test_export_agrees(params: Any, shapes: Shapes, batch: Any, randomize: Any) -> None:
    """With a highway that reads everything, too."""
    model = randomize(built(params, shapes, cycle=6, highway=5, highway_start="ridge"))
    assert parity(model, to_onnx(model), batch(shapes)) <= 1e-4


def test_a_pattern_of_the_day_is_learned(rng: np.random.Generator) -> None:
    """From the hour's sine and cosine: a wave with an overtone, hidden under a level that differs in each window."""
    keras.utils.set_random_seed(1)
    hours = rng.integers(0, 24, 512)[:, None] + np.arange(12)
    phase = 2 * np.pi * hours / 24
    clock = np.stack([np.sin(phase), np.cos(phase)], axis=-1)
    wave = np.sin(phase) + 0.5 * np.cos(2 * phase)
    y = wave + rng.normal(0, 2, (512, 1)) + rng.normal(0, 0.1, wave.shape)
    past = np.concatenate([y[:, :8, None], clock[:, :8]], axis=-1).astype("float32")
    model = built(Stacked(units=(4,), normalise="last"), BARE, cycle=16)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=model.get_layer("head").loss)
    model.fit({"past": past, "future": clock[:, 8:].astype("float32")}, y[:, 8:], epochs=60, batch_size=64, verbose=0)

    day = 2 * np.pi * np.arange(24) / 24
    (kernel, bias), (out,) = (model.get_layer(name).get_weights() for name in ("cycle_hidden", "cycle"))
    learned = (np.tanh(np.stack([np.sin(day), np.cos(day)], axis=-1) @ kernel + bias) @ out)[:, 0]
    assert np.corrcoef(learned, np.sin(day) + 0.5 * np.cos(2 * day))[0, 1] > 0.95


@EACH
def test_a_cycle_of_nothing_is_refused(params: Any) -> None:
    """Nothing is known ahead."""
    with pytest.raises(ConfigError, match="a learned cycle needs something known ahead, such as a calendar"):
        built(params, Shapes(8, 4, 1), cycle=6)
