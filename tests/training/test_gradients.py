"""The norms of gradients are those of a formula, watching changes no step, and what is wrong becomes a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.training.fit import fit
from forecasting.training.gradients import WatchedAdamW, forget_norms, norms_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


def linear(optimizer: Any) -> keras.Model:
    """y = W x + b over three inputs, from fixed weights."""
    source = keras.Input((3,))
    model = keras.Model(source, keras.layers.Dense(1)(source))
    model.set_weights([np.array([[0.5], [-1.0], [2.0]]), np.array([0.3])])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixteen examples."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(16, 3)).astype("float32"), draw.normal(size=(16, 1)).astype("float32")


def expected(weights: list[np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    """The length of 2 Xᵀ(XW + b - y) / n and its sum."""
    error = x @ weights[0] + weights[1] - y
    gradient = np.concatenate([2 * x.T @ error / len(x), 2 * error.mean(axis=0, keepdims=True)])
    return float(np.sqrt((gradient**2).sum()))


def test_norms_are_those_of_the_formula_and_counted_before_clipping() -> None:
    """The mean of three steps from other weights each, and the share that is longer than the bound."""
    model, lengths = linear(WatchedAdamW(0.1)), []
    for seed in range(3):
        lengths.append(expected(model.get_weights(), *batch(seed)))
        model.train_on_batch(*batch(seed))
    assert norms_of(model)["gradient_norm"] == pytest.approx(np.mean(lengths), rel=1e-5)
    assert norms_of(model)["clipped"] == 0.0
    bound = float(np.median(lengths))
    clipped = linear(WatchedAdamW(0.0, global_clipnorm=bound))
    lengths = [expected(clipped.get_weights(), *batch(seed)) for seed in range(8)]
    for seed in range(8):
        clipped.train_on_batch(*batch(seed))
    share = float(np.mean(np.array(lengths) > bound))
    assert 0 < share < 1
    assert norms_of(clipped) == pytest.approx({"gradient_norm": np.mean(lengths), "clipped": share}, rel=1e-5)
    forget_norms(clipped)
    clipped.train_on_batch(*batch(0))
    assert norms_of(clipped)["gradient_norm"] == pytest.approx(lengths[0], rel=1e-5)


def test_watching_changes_no_step() -> None:
    """Weights are those of AdamW to the last bit."""
    settings = {"learning_rate": 0.05, "weight_decay": 0.01, "global_clipnorm": 0.5}
    watched, plain = linear(WatchedAdamW(**settings)), linear(keras.optimizers.AdamW(**settings))
    for seed in range(6):
        watched.train_on_batch(*batch(seed))
        plain.train_on_batch(*batch(seed))
    for mine, its in zip(watched.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_a_fit_has_a_curve_of_its_gradients(task: Callable[..., Any], tmp_path: Path) -> None:
    """At every check a positive norm; with a bound below all of them, every step is clipped."""
    asked = task({})
    fitted = fit(asked.table, asked.job, asked.fold, tmp_path / "a", origin=Origin())
    assert (fitted.curves["gradient_norm"] > 1e-4).all()
    least = float(fitted.curves["gradient_norm"].min()) / 1000
    job = asked.job.model_copy(update={"train": asked.job.train.model_copy(update={"clip_norm": least})})
    clipped = fit(asked.table, job, asked.fold, tmp_path / "b", origin=Origin())
    assert clipped.curves["clipped"].tolist() == [1.0] * 3
