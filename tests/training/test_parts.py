"""A batch in two halves teaches what the whole batch teaches, and is halved only where that is faster."""

from typing import Any

import keras
import numpy as np
import pytest

from forecasting.config.head import NumberHead
from forecasting.config.network import SegRNN, Stacked
from forecasting.config.training import Train
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes
from forecasting.training import parts
from forecasting.training.loop import compile_network
from forecasting.training.parts import SMALLEST, in_halves, whole
from forecasting.training.plan import FitPlan

SHAPES = Shapes(context=6, horizon=2, past=2, future=1, static=1, codes=(3,))


def network(params: Any = None) -> keras.Model:
    """A small network with every kind of input; the same weights at every call."""
    keras.utils.set_random_seed(1)
    return models.build(params or Stacked(cell="lstm", units=(4, 3)), SHAPES, heads.build(NumberHead()))


def batch(size: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs, and targets of which some are missing, more in one half than in the other."""
    draw = np.random.default_rng(seed)
    inputs = {
        "past": draw.normal(size=(size, 6, 2)).astype("float32"),
        "future": draw.normal(size=(size, 2, 1)).astype("float32"),
        "static": draw.normal(size=(size, 1)).astype("float32"),
        "codes": draw.integers(3, size=(size, 1)).astype("int32"),
    }
    targets = draw.normal(size=(size, 2)).astype("float32")
    targets[: size // 3, 0] = np.nan
    return inputs, targets


@pytest.mark.parametrize("params", [None, Stacked(cell="gru", units=(4,), dropout=0.0)])
def test_halves_learn_what_the_whole_batch_teaches(params: Any) -> None:
    """Losses and weights after batches of an odd number of windows, and of one, up to rounding."""
    one, other = network(params), network(params)
    halved = compile_network(one, one.get_layer("head").loss, Train(), FitPlan(SMALLEST, 1, 4, 1))
    plain = compile_network(other, other.get_layer("head").loss, Train(), FitPlan(SMALLEST - 1, 1, 4, 1))
    assert halved is not one
    assert plain is other
    for seed, size in enumerate((33, 1)):
        given = batch(size, seed)
        assert halved.train_on_batch(*given) == pytest.approx(plain.train_on_batch(*given), rel=1e-5)
    for mine, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mine, its, atol=2e-5)


def test_halves_are_the_same_weights() -> None:
    """Nothing is copied, so what is saved of the one is the other's."""
    one = network()
    halved = in_halves(one, Train(), SMALLEST)
    assert whole(halved) is one
    assert whole(one) is one
    assert [id(weight) for weight in halved.weights] == [id(weight) for weight in one.weights]


@pytest.mark.parametrize(
    ("params", "config", "size"),
    [
        (None, Train(), SMALLEST - 1),
        (Stacked(cell="lstm", units=(4,), bidirectional=True), Train(), SMALLEST),
        (SegRNN(segment=2, units=4), Train(), SMALLEST),
        (None, Train(deterministic=False, jit=True), SMALLEST),
    ],
    ids=["small", "bidirectional", "segments", "xla"],
)
def test_a_batch_stays_whole(monkeypatch: pytest.MonkeyPatch, params: Any, config: Train, size: int) -> None:
    """Where halves would cost more than they win."""
    monkeypatch.setattr("forecasting.training.devices._deterministic", lambda: config.deterministic)
    one = network(params)
    assert in_halves(one, config, size) is one


def test_a_batch_stays_whole_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernels are parallel in themselves."""
    monkeypatch.setattr(parts, "gpus", lambda: ["H200"])
    one = network()
    assert in_halves(one, Train(), SMALLEST) is one
