"""How fast gradients fade over the lags in untrained and trained cells, and what clipping does where they explode."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from forecasting.config.head import NumberHead
from forecasting.config.network import Stacked
from forecasting.insight.reach import memory
from forecasting.nn import heads, models

__all__ = ["clipping", "fading", "measure"]

CONTEXT: Final = 60
FITTED: Final = 40  # lags to which the law of decay is fitted
LAG: Final = 15  # the only reading that the answer depends on
UNITS: Final = 32
CELLS: Final = ("simple", "lstm", "gru")
LARGE: Final = 2.0  # times the orthogonal weights of a network whose gradients explode


def measure(steps: int) -> dict[str, Any]:
    """All tables."""
    return {"fading": {cell: fading(cell, steps) for cell in CELLS}, "clipping": clipping(steps)}


def fading(cell: str, steps: int) -> dict[str, float]:
    """Before and after training: by what factor a lag more shrinks the gradient, and how well that law fits."""
    network = _network(cell, "tanh")
    if cell == "simple":  # small weights, as they were common: orthogonal ones hardly shrink anything
        layer = network.get_layer("simple_1")
        kernel, recurrent, bias = layer.get_weights()
        draw = np.random.default_rng(7).uniform(-0.5, 0.5, recurrent.shape) / np.sqrt(UNITS)
        layer.set_weights([kernel, draw, bias])
    past, _ = _lesson(64, 0)
    before = _weights(network, past)
    slope, fit = _line(np.log(before[:FITTED]))
    losses = _learn(network, keras.optimizers.Adam(5e-3, global_clipnorm=1.0), steps)
    after = _weights(network, past)
    return {
        "factor_per_lag": float(np.exp(slope)),
        "r2": fit,
        "trained_memory_horizon": memory(after[None]),
        "trained_weight_of_the_lag": float(after[LAG - 1] / after.sum()),
        "loss": float(np.mean(losses[-20:])),
    }


def clipping(steps: int) -> dict[str, Any]:
    """Gradient descent on a rectified simple RNN with large weights, with and without clipping."""
    found = {}
    for name, bound in (("unclipped", None), ("clipped", 1.0)):
        network = _network("simple", "relu")
        layer = network.get_layer("simple_1")
        kernel, recurrent, bias = layer.get_weights()
        layer.set_weights([kernel, LARGE * recurrent, bias])
        past, y = _lesson(64, 0)
        norm = _norm(network, past, y)
        losses = _learn(network, keras.optimizers.SGD(0.01, global_clipnorm=bound), steps)
        finite = np.isfinite(losses)
        end = float(np.mean(losses[-20:])) if finite.all() else None
        found[name] = {
            "first_norm": norm,
            "first_loss": float(losses[0]),
            "loss": end,
            "finite_steps": int(finite.sum()),
        }
    return found


def _network(cell: Any, activation: Any) -> keras.Model:
    """One layer, one step ahead, nothing normalized."""
    keras.utils.set_random_seed(4)
    params = Stacked(cell=cell, units=(UNITS,), normalise="none", activation=activation)
    return models.build(params, models.Shapes(CONTEXT, 1, 1), heads.build(NumberHead(quantiles=(0.5,))))


def _lesson(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """White noise, and one of its readings as the answer."""
    past = np.random.default_rng(seed).normal(size=(count, CONTEXT, 1)).astype("float32")
    return past, past[:, CONTEXT - LAG]


def _learn(network: keras.Model, optimizer: Any, steps: int) -> np.ndarray:
    network.compile(optimizer=optimizer, loss=network.get_layer("head").loss)
    lessons = (_lesson(64, step + 1) for step in range(steps))
    return np.array([network.train_on_batch({"past": past}, y) for past, y in lessons], dtype=float)


def _weights(network: keras.Model, past: np.ndarray) -> np.ndarray:
    """The mean absolute gradient of the forecast by each lag (T,), lag 1 first."""
    given = tf.constant(past)
    with tf.GradientTape() as tape:
        tape.watch(given)
        answer = tf.reduce_sum(network({"past": given}, training=False))
    found: np.ndarray = np.abs(tape.gradient(answer, given).numpy())[:, ::-1, 0].mean(axis=0)
    return found


def _norm(network: keras.Model, past: np.ndarray, y: np.ndarray) -> float:
    """The global norm of the gradient by the weights on one batch."""
    loss = network.get_layer("head").loss
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(loss(tf.constant(y), network({"past": tf.constant(past)}, training=True)))
    gradients = tape.gradient(value, [weight.value for weight in network.trainable_variables])
    return float(tf.linalg.global_norm(gradients))


def _line(values: np.ndarray) -> tuple[float, float]:
    """Slope of a straight line through values at lags 1, 2, …, and the share of the variance that it explains."""
    lags = np.arange(len(values))
    slope, level = np.polyfit(lags, values, 1)
    return float(slope), float(1 - np.var(values - slope * lags - level) / np.var(values))
