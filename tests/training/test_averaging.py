"""Averaged weights: the moving average of every step, checked and kept in place of the last step's weights."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.config.training import Train
from forecasting.nn import heads, models
from forecasting.nn.models import Shapes
from forecasting.series.prepare import prepare
from forecasting.training.averaging import averaged
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.final_fit import fit_finally
from forecasting.training.fit import fit
from forecasting.training.loop import compile_network
from forecasting.training.plan import FitPlan

# Keras reads its TensorFlow variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

LENGTH = 5  # steps between two checks


def learned(learner: keras.Model) -> list[np.ndarray]:
    """The weights that learn."""
    return [keras.ops.convert_to_numpy(variable) for variable in learner.trainable_variables]


def test_averages_are_those_of_a_loop_over_the_steps() -> None:
    """ā ← m ā + (1 - m) w with m = 1 - 1/5, from the first step on; afterwards the network learns on as before."""
    keras.utils.set_random_seed(1)
    network = models.build(Stacked(units=(3,)), Shapes(context=4, horizon=2, past=1), heads.build(NumberHead()))
    learner = compile_network(network, network.get_layer("head").loss, Train(average=True), FitPlan(8, LENGTH, 3, 1))
    rng, expected = np.random.default_rng(0), list[np.ndarray]()
    for step in range(12):
        inputs = {"past": rng.normal(size=(8, 4, 1)).astype("float32")}
        learner.train_on_batch(inputs, rng.normal(size=(8, 2)).astype("float32"))
        now = learned(learner)
        expected = [0.8 * old + 0.2 * new for old, new in zip(expected, now, strict=True)] if step else now
    before = learned(learner)
    with averaged(learner):
        for mine, reference in zip(learned(learner), expected, strict=True):
            np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-7)
    for mine, reference in zip(learned(learner), before, strict=True):
        np.testing.assert_array_equal(mine, reference)
    assert max(np.abs(one - other).max() for one, other in zip(before, expected, strict=True)) > 1e-3


def test_half_precision_is_averaged_too() -> None:
    """Its optimizer stands inside another one, which scales the loss and keeps no averages."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = models.build(Stacked(units=(3,)), Shapes(context=4, horizon=2, past=1), heads.build(NumberHead()))
    finally:
        keras.config.set_dtype_policy(before)
    learner = compile_network(network, network.get_layer("head").loss, Train(average=True), FitPlan(8, LENGTH, 3, 1))
    assert hasattr(learner.optimizer, "inner_optimizer")
    rng = np.random.default_rng(0)
    for _ in range(6):
        past = rng.normal(size=(8, 4, 1)).astype("float32")
        learner.train_on_batch({"past": past}, rng.normal(size=(8, 2)).astype("float32"))
    before_it = learned(learner)
    with averaged(learner):
        assert any(not np.array_equal(mine, other) for mine, other in zip(learned(learner), before_it, strict=True))


def test_what_is_kept_is_what_was_checked(task: Callable[..., Any], tmp_path: Path) -> None:
    """The bundle's network has the least validation loss of the history, which a network of the last step has not."""
    asked = task({}, average=True, decay="constant", learning_rate=0.05)
    fitted = fit(asked.table, asked.job, asked.fold, tmp_path, origin=Origin())
    network = keras.saving.load_model(fitted.bundle / "model.keras", compile=False)
    valid = prepare(asked.table, asked.job, asked.fold).valid
    indices = np.arange(len(valid))
    loss = network.get_layer("head").loss(valid.targets(indices), network(valid.batch(indices), training=False))
    kept = float(np.mean(keras.ops.convert_to_numpy(loss)))
    assert kept == pytest.approx(fitted.curves["val_loss"].min(), rel=1e-4)

    plain = task({}, decay="constant", learning_rate=0.05)
    other = fit(plain.table, plain.job, plain.fold, tmp_path / "plain", origin=Origin())
    assert abs(other.curves["val_loss"].min() / kept - 1) > 1e-3


def test_a_killed_fit_goes_on_with_weights_and_averages(
    task: Callable[..., Any], tmp_path: Path, killed_after_a_save: Callable[[], AbstractContextManager[None]]
) -> None:
    """It ends with the same bytes as an undisturbed one."""
    asked = task({"dropout": 0.3}, average=True)
    whole = fit(asked.table, asked.job, asked.fold, tmp_path / "whole", origin=Origin())
    with killed_after_a_save():
        fit(asked.table, asked.job, asked.fold, tmp_path / "killed", origin=Origin())
    resumed = fit(asked.table, asked.job, asked.fold, tmp_path / "killed", origin=Origin())
    assert (resumed.bundle / "model.onnx").read_bytes() == (whole.bundle / "model.onnx").read_bytes()


def test_the_last_fit_keeps_its_averages(task: Callable[..., Any], tmp_path: Path) -> None:
    """Its network has the weights of its last state on disk, and these are averages: it learns on with others."""
    asked = task({}, average=True, epochs=2, learning_rate=0.05)
    twin = open_bundle(fit(asked.table, asked.job, asked.fold, tmp_path / "twin", origin=Origin()).bundle)
    last = fit_finally(asked.table, asked.job, asked.fold, twin, tmp_path / "last", epochs=2)
    network = keras.saving.load_model(last.bundle / "model.keras", compile=False)
    final = learned(network)
    learner = compile_network(network, network.get_layer("head").loss, asked.job.train, FitPlan(64, LENGTH, 2, 1))
    Checkpoint(tmp_path / "last").restore(learner)
    for mine, reference in zip(final, learned(learner), strict=True):
        np.testing.assert_array_equal(mine, reference)
    with averaged(learner):
        assert any(not np.array_equal(mine, other) for mine, other in zip(final, learned(learner), strict=True))
