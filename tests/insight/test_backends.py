"""The same network looks the same through TensorFlow and through JAX."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BACKENDS = ("tensorflow", "jax")

# In a process of its own: Keras has one backend. Reach and contributions are those of the exported graph; `exact` are
# gradients of the backend itself, along the same path.
CODE = """
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from forecasting.config.job import parse_job
from forecasting.config.network import Stacked
from forecasting.insight.attribution import explain
from forecasting.insight.reach import reach
from forecasting.insight.sample import windows_of
from tests.insight.conftest import random_model

place = Path(sys.argv[1])
draw = np.random.default_rng(6)
stamps = pd.date_range("2024-01-01", periods=150, freq="h", unit="us")
table = pd.DataFrame({"unique_id": "a", "ds": stamps, "y": draw.normal(size=150).cumsum()}).astype({"unique_id": "str"})
job = parse_job({
    "name": "job", "source": {"kind": "synthetic"}, "series": {"freq": "h"}, "window": {"context": 8, "horizon": 3},
    "model": {"name": "stacked"}, "backtest": {"windows": 5}, "train": {"validation": 20},
    "head": {"quantiles": [0.1, 0.5, 0.9]},
})
kept = []
model = random_model(table, job, Stacked(cell="lstm", units=(6,), normalise="none"), place, then=kept.append)
windows = windows_of(model, table)
looked, why = reach(model, windows), explain(model, table, "a")

latest = model.latest(table).windows
end = model.bundle.predictor.batch(latest, np.array([0]))["past"]
begin = np.repeat(end[:, -1:], end.shape[1], axis=1)
nodes, weights = np.polynomial.legendre.leggauss(24)
path = begin + ((nodes + 1) / 2)[:, None, None] * (end - begin)


def center(past, step):
    return keras.ops.sum(kept[0]({"past": past}, training=False)[:, step, 1])


def gradients(past, step):
    past = past.astype("float32")
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(center)(past, step))
    import tensorflow as tf

    given = tf.constant(past)
    with tf.GradientTape() as tape:
        tape.watch(given)
        middle = center(given, step)
    return tape.gradient(middle, given).numpy()


scale = float(model.spec.scaler.of(["a"])[1][0])
exact = np.stack([
    scale * np.tensordot(weights / 2, gradients(path, step), axes=1)[::-1, 0] * (end - begin)[0, ::-1, 0]
    for step in range(3)
])
every = model.bundle.predictor.batch(windows, np.arange(len(windows)))["past"]
rates = np.stack([np.abs(gradients(every, step)).mean(axis=0)[::-1, 0] for step in range(3)])
np.savez(
    place / "found.npz", reach=looked.weights["y"], explained=why.by_lag["y"], change=why.forecast - why.baseline,
    exact=exact, rates=rates,
)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both backends say of one network."""
    results = {}
    for backend in BACKENDS:
        place = tmp_path_factory.mktemp(backend)
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", CODE, str(place)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        results[backend] = dict(np.load(place / "found.npz"))
    return results


@pytest.mark.parametrize("what", ["reach", "explained", "exact", "rates"])
def test_both_backends_give_the_same_numbers(found: dict[str, Any], what: str) -> None:
    """Reach, contributions, and gradients, within a ten-thousandth of the largest."""
    one, other = (found[backend][what] for backend in BACKENDS)
    np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_contributions_are_complete_and_those_of_the_gradients(found: dict[str, Any], backend: str) -> None:
    """They add up to the change within 1 %, also those of the backend's own gradients, and both agree by lag."""
    numbers = found[backend]
    largest = np.abs(numbers["change"]).max()
    for kind in ("explained", "exact"):
        assert np.abs(numbers[kind].sum(axis=1) - numbers["change"]).max() <= 0.01 * largest
    assert np.abs(numbers["explained"] - numbers["exact"]).max() <= 0.01 * np.abs(numbers["exact"]).max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_reach_is_the_mean_gradient(found: dict[str, Any], backend: str) -> None:
    """Central differences over a sample of windows, against the gradients over all of them."""
    numbers = found[backend]
    assert np.abs(numbers["reach"] - numbers["rates"]).max() <= 0.05 * numbers["rates"].max()
