"""One fit on several devices: it learns what one device learns, on TensorFlow and on JAX."""

import os
import subprocess
import sys

import pytest

from forecasting.config.training import Train
from forecasting.errors import ConfigError
from forecasting.training import devices

LEARNED = """
import os, sys, tempfile
from pathlib import Path
import keras, numpy as np

if keras.backend.backend() == "tensorflow":  # two CPUs that TensorFlow takes for two devices
    import tensorflow as tf
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.config.training import Train
from forecasting.nn import heads, models
from forecasting.training.checkpoint import Checkpoint
from forecasting.training.devices import describe, set_up
from forecasting.training.loop import learn_best

class Made:
    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.past = rng.normal(size=(count, 6, 1)).astype("float32")
        self.y = (self.past[:, -1] * [[1, -0.5]] + 0.1 * rng.normal(size=(count, 2))).astype("float32")
        self.y[: count // 3, 0] = np.nan
    def __len__(self):
        return len(self.y)
    def batch(self, indices):
        return {"past": self.past[indices]}
    def targets(self, indices):
        return self.y[indices]

found = []
for count in (1, 2):
    config = Train(steps=40, devices=count, clip_norm=0.05, batch_size=16, learning_rate=0.01, average=True)
    set_up(config)
    network = models.build(
        Stacked(units=(4,)), models.Shapes(context=6, horizon=2, past=1), heads.build(NumberHead()))
    with tempfile.TemporaryDirectory() as work:
        loss, state = network.get_layer("head").loss, Checkpoint(Path(work))
        learn_best(network, loss, Made(96, 1), Made(42, 2), config, state, title="two")
    found.append([state.history[-1]["val_loss"], *(np.asarray(one) for one in network.get_weights())])
    print(describe(network, config)[0])
    if keras.backend.backend() == "jax" and count == 2:
        print(len(network.trainable_variables[0].value.sharding.device_set))
print(max(float(np.abs(one - two).max()) for one, two in zip(*found)))
print(state.history[0]["val_loss"] - state.history[-1]["val_loss"] > 0.1)
"""


def ran(backend: str) -> list[str]:
    """What the script prints in a process of its own."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, "-c", LEARNED], env=environment, capture_output=True, text=True, check=False, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_two_devices_learn_what_one_learns_on_tensorflow() -> None:
    """After 40 clipped and averaged steps, weights and validation loss are equal up to rounding."""
    one, two, difference, learned = ran("tensorflow")
    assert (one, two) == ("device: CPU (tensorflow)", "device: 2 × CPU (tensorflow)")
    assert float(difference) < 2e-4
    assert learned == "True"


def test_two_devices_learn_what_one_learns_on_jax() -> None:
    """The same, and the weights lie on both."""
    one, two, sharing, difference, learned = ran("jax")
    assert (one, two) == ("device: CPU (jax, compiled by XLA)", "device: 2 × CPU (jax, compiled by XLA)")
    assert sharing == "2"
    assert float(difference) < 2e-4
    assert learned == "True"


def test_devices_that_are_not_there_are_refused() -> None:
    """The error names those that are; `auto` makes do with what there is."""
    with pytest.raises(ConfigError, match=r"train.devices is 64, but there are \d+: .*CPU:0"):
        devices.set_up(Train(devices=64))
    assert len(devices.chosen("auto")) == 1
