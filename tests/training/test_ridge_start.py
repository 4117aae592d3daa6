"""A network that starts as a ridge regression: its untrained forecast is that of the closed form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.series.folds import Fold
from forecasting.series.prepare import Learned, prepare
from forecasting.training.batches import Batches
from forecasting.training.fit import fit, network_for
from forecasting.training.loop import compile_network
from forecasting.training.plan import FitPlan
from forecasting.training.ridge_start import PENALTIES, start_as_ridge

START = {"normalise": "last", "highway": 12, "highway_start": "ridge"}


def normalized(windows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (B, T), targets (B, H), location and scale (B, 1) of each window: its last reading, its deviation."""
    indices = np.arange(len(windows))
    past, y = windows.batch(indices)["past"][..., 0].astype(float), windows.targets(indices).astype(float)
    location, scale = past[:, -1:], np.maximum(past.std(axis=1, keepdims=True), 0.01)
    return (past - location) / scale, (y - location) / scale, location, scale


def test_untrained_network_forecasts_like_the_ridge(task: Callable[..., Any]) -> None:
    """Of scikit-learn, weighted by the square of the scale, with the penalty that is best on the validation windows."""
    asked = task(START)
    data = prepare(asked.table, asked.job, asked.fold)
    network = network_for(asked.job, data.features)
    start_as_ridge(network, data.train, data.valid)

    x, y, _, scale = normalized(data.train)
    held_out, actual, location, spread = normalized(data.valid)
    weights = (scale**2 / np.mean(scale**2))[:, 0]
    fits = [Ridge(alpha=penalty).fit(x, y, sample_weight=weights) for penalty in PENALTIES]
    best = min(fits, key=lambda one: np.mean(np.abs(one.predict(held_out) - actual) * spread))
    points = best.predict(held_out) * spread + location

    batch = data.valid.batch(np.arange(len(data.valid)))
    given = keras.ops.convert_to_numpy(network(batch, training=False))
    residual = (actual - best.predict(held_out)) * spread
    middle = given[..., 1]
    assert np.abs(middle - points).max() < 0.3 * residual.std()  # the median is moved by that of the residuals
    np.testing.assert_allclose(
        np.ptp(middle - points, axis=0) / np.ptp(points), 0.0, atol=0.05
    )  # by the same share of the scale in every window
    covered = np.mean(
        (data.valid.targets(np.arange(len(data.valid))) >= given[..., 0])
        & (data.valid.targets(np.arange(len(data.valid))) <= given[..., 2])
    )
    assert covered == pytest.approx(0.8, abs=0.06)


def test_training_that_only_spoils_keeps_the_start(task: Callable[..., Any], tmp_path: Path) -> None:
    """With a rate that ruins every step, the bundle holds the network before its first one."""
    asked = task(START, learning_rate=10.0, decay="constant", epochs=2)
    fitted = fit(asked.table, asked.job, asked.fold, tmp_path, origin=Origin())
    assert fitted.curves["epoch"].tolist() == [0, 1, 2]
    assert fitted.curves["val_loss"].idxmin() == 0
    assert open_bundle(fitted.bundle).manifest.origin.steps == 0


def test_the_penalty_of_a_last_fit_is_the_one_that_validation_chose(task: Callable[..., Any]) -> None:
    """On its own readings the least penalty always looks best; the ridge of all windows has the judged network's."""
    asked = task(START)
    data = prepare(asked.table, asked.job, asked.fold)
    end = asked.fold.seen_until
    learned = Learned(data.features, data.scaler, data.layout)
    everything = prepare(asked.table, asked.job, Fold(end, end, asked.fold.cutoffs), learned=learned).train
    assert len(everything) > len(data.train) + len(data.valid)
    network = network_for(asked.job, data.features)
    start_as_ridge(network, data.train, data.valid, everything=everything)

    x, y, _, scale = normalized(data.train)
    held_out, actual, _, spread = normalized(data.valid)
    fits = [Ridge(alpha=p).fit(x, y, sample_weight=(scale**2 / np.mean(scale**2))[:, 0]) for p in PENALTIES]
    chosen = int(np.argmin([np.mean(np.abs(one.predict(held_out) - actual) * spread) for one in fits]))
    assert chosen > 0
    x, y, _, scale = normalized(everything)
    best = Ridge(alpha=PENALTIES[chosen]).fit(x, y, sample_weight=(scale**2 / np.mean(scale**2))[:, 0])
    kernel, bias, *_ = network.get_layer("highway").get_weights()
    np.testing.assert_allclose(kernel, best.coef_.T, atol=1e-4)
    np.testing.assert_allclose(bias, best.intercept_, atol=1e-4)


def test_fixed_ridge_stays_while_the_rest_learns(task: Callable[..., Any]) -> None:
    """After training steps, the linear path is the ridge regression that it was, to the bit, and the head is not."""
    asked = task({**START, "highway_start": "fixed_ridge"})
    data = prepare(asked.table, asked.job, asked.fold)
    network = network_for(asked.job, data.features)
    start_as_ridge(network, data.train, data.valid)
    before = {name: network.get_layer(name).get_weights() for name in ("highway", "head")}
    assert any(np.any(array != 0.0) for array in before["highway"])
    compile_network(network, network.get_layer("head").loss, asked.job.train, FitPlan(64, 3, 1, 1))
    for batch, targets in Batches(data.train, np.arange(192), 64):
        network.train_on_batch(batch, targets)
    for name, stays in (("highway", True), ("head", False)):
        pairs = zip(before[name], network.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs) == stays


def test_other_networks_are_left_alone(task: Callable[..., Any]) -> None:
    """A highway that starts at zero stays there."""
    asked = task({"highway": 4})
    data = prepare(asked.table, asked.job, asked.fold)
    network = network_for(asked.job, data.features)
    before = [array.copy() for array in network.get_weights()]
    start_as_ridge(network, data.train, data.valid)
    assert all(np.array_equal(one, other) for one, other in zip(before, network.get_weights(), strict=True))


def test_a_network_without_a_whole_window_starts_like_any_other(task: Callable[..., Any]) -> None:
    """No window of a sensor that often misses a reading has all of its targets: the ridge has nothing to learn."""
    asked = task(START)
    table = asked.table.assign(y=asked.table["y"].where(np.arange(len(asked.table)) % 3 > 0))
    data = prepare(table, asked.job, asked.fold)
    assert len(data.train)
    assert np.isnan(data.train.targets(np.arange(len(data.train)))).any(axis=1).all()
    network = network_for(asked.job, data.features)
    before = network.get_weights()
    start_as_ridge(network, data.train, data.valid)
    for weights, first in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, first)
