"""Sine waves: read a thousand steps of a wave never seen before, then go on alone for a thousand more.

    python -m examples.sine_waves

The task is that of PyTorch's example `time_sequence_prediction`: sin((x + shift) / 20) with a hundred random shifts, 97
waves to learn from and 3 to continue. An LSTM learns to tell the next value from all before it, and continues a wave by
reading its own values. Whether it learned the wave shows in the phase, where errors add up.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from forecasting.bundle.engine import Engine
from forecasting.config.head import NumberHead
from forecasting.config.network import InStep
from forecasting.config.training import Train
from forecasting.nn import export, heads, models
from forecasting.series.windows import Batch
from forecasting.training.devices import set_up
from forecasting.training.examples import Arrays, learn_in_memory

STEPS = 1000  # that are read, and that are told
LEARNED = 97
CHUNK, STRIDE = 200, 50  # what is learned from at a time: more than one period of 126 steps
WARM = 50  # first steps of a chunk that are read without being judged
TRAIN = Train(epochs=40, batch_size=32, learning_rate=0.01, weight_decay=0.0, patience=40, seed=1)


class Run(NamedTuple):
    """What was told alone and what the waves were, (E, STEPS) each."""

    told: np.ndarray
    actual: np.ndarray

    @property
    def correlation(self) -> np.ndarray:
        """Of each wave (E,)."""
        return np.array([np.corrcoef(pair)[0, 1] for pair in zip(self.told, self.actual, strict=True)])

    @property
    def error(self) -> np.ndarray:
        """The mean squared error of each wave (E,)."""
        return np.asarray(((self.told - self.actual) ** 2).mean(axis=1))


def main() -> None:
    """Print how well the waves that were held out are continued."""
    run = free_run(fit(TRAIN), waves()[LEARNED:])
    print(f"{'wave':8}{'steps alone':>12}{'correlation':>14}{'mean squared error':>22}")
    for number, (correlation, error) in enumerate(zip(run.correlation, run.error, strict=True), start=1):
        print(f"{number:<8}{STEPS:12,}{correlation:14.5f}{error:22.2e}")


def waves() -> np.ndarray:
    """A hundred waves (100, 2 * STEPS)."""
    shifts = np.random.default_rng(2).integers(-4 * STEPS, 4 * STEPS, size=(100, 1))
    return np.sin((np.arange(2 * STEPS) + shifts) / 20).astype(np.float32)


def fit(config: Train) -> keras.Model:
    """An LSTM that tells, at each step of a chunk of the first STEPS steps of 97 waves, the next value."""
    set_up(config)
    head = heads.build(NumberHead(name="normal"))
    shapes = models.Shapes(context=CHUNK, horizon=CHUNK, past=1)
    network = models.build(InStep(cell="lstm", units=(51,)), shapes, head)
    chunks = np.lib.stride_tricks.sliding_window_view(waves()[:LEARNED, :STEPS], CHUNK + 1, axis=1)[:, ::STRIDE]
    held_out = LEARNED // 10
    learn_in_memory(network, head.loss, examples(chunks[held_out:]), examples(chunks[:held_out]), config)
    return network


def examples(chunks: np.ndarray) -> Arrays:
    """Chunks (waves, chunks, CHUNK + 1): each value but the last is read, each but the first is told."""
    flat = chunks.reshape(-1, CHUNK + 1)
    told = flat[:, 1:].copy()
    told[:, :WARM] = np.nan
    return Arrays({"past": flat[:, :-1, None]}, told)


def free_run(network: keras.Model, given: np.ndarray) -> Run:
    """Read the first STEPS steps of waves (E, 2 * STEPS), then tell the others, each from what was told before it."""
    graph = Engine(export.to_onnx(models.parts("in_step", network)["model"], "parameters"))
    sizes = {name: shape[1] for name, shape in graph.inputs.items() if name != "past"}
    states: Batch = {name: np.zeros((len(given), size), np.float32) for name, size in sizes.items()}
    read, told = given[:, :STEPS, None], []
    for _ in range(STEPS):
        outputs = graph.run({"past": read, **states})
        states = {name: outputs[f"next_{name}"] for name in states}
        read = outputs["parameters"][:, -1:, :1]  # the mean of the normal distribution (E, 1, 1)
        told.append(read[:, 0, 0])
    return Run(np.stack(told, axis=1), given[:, STEPS:])


if __name__ == "__main__":
    main()
