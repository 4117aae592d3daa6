"""Moving digits: two handwritten digits drift about a field and bounce off its edges. Where are they next?

    python -m examples.moving_digits

Ten frames are shown, five are asked for. A ConvLSTM reads the whole field; it is held against the last frame, against
the mean frame, and against an LSTM that reads every pixel by itself. Digits that are tested on were never trained on.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

from forecasting.bundle.engine import Engine
from forecasting.config.head import NumberHead
from forecasting.config.network import ConvLSTM, Network, Stacked
from forecasting.config.training import Train
from forecasting.nn import export, heads, models
from forecasting.training.devices import set_up
from forecasting.training.examples import Arrays, learn_in_memory

SIDE, DIGIT = 32, 8
CONTEXT, HORIZON = 10, 5
FASTEST = 2.0  # cells per step, in each direction
SPLIT = (0.6, 0.8)  # of the handwritten digits: before it trained on, between validated on, after it tested on
CONV_LSTM = ConvLSTM(filters=(32,), patch=4, normalise="none")
PIXEL_LSTM = Stacked(cell="lstm", units=(16,), normalise="none")
TRAIN = Train(epochs=12, batch_size=16, learning_rate=0.003, patience=3, seed=1)
SEQUENCES = (2000, 200, 400)  # trained, validated and tested on
PIXELS = 50  # of each sequence, on average, that the LSTM of single pixels learns from


def main() -> None:
    """Print the mean squared error of every way to forecast the next frames."""
    for name, error in errors(TRAIN, SEQUENCES).items():
        print(f"{name:28}{error:10.5f}")


def errors(config: Train, sequences: tuple[int, int, int]) -> dict[str, float]:
    """The mean squared error over all cells of all frames ahead of the test sequences, by name."""
    set_up(config)
    train, valid, test = (moving(part, count, config.seed) for part, count in enumerate(sequences))
    actual = test[:, CONTEXT:].reshape(len(test), -1)
    field = models.Shapes(CONTEXT, HORIZON, past=1, grid=(SIDE, SIDE))
    whole = fit(CONV_LSTM, field, frames(train), frames(valid), config)
    single = models.Shapes(CONTEXT, HORIZON, past=1)
    larger = config.model_copy(update={"batch_size": PIXELS * config.batch_size})
    alone = fit(PIXEL_LSTM, single, pixels(train, config.seed), pixels(valid, config.seed), larger)
    every = forecast(alone, one_by_one(test)).reshape(len(test), SIDE * SIDE, HORIZON).swapaxes(1, 2)
    rivals = {
        "conv_lstm": forecast(whole, frames(test)),
        "lstm of every pixel": every.reshape(actual.shape),
        "last frame": np.tile(test[:, CONTEXT - 1].reshape(len(test), -1), HORIZON),
        "mean frame": np.tile(train.mean(axis=(0, 1)).ravel(), HORIZON),
    }
    return {name: float(np.mean((values - actual) ** 2)) for name, values in rivals.items()}


def moving(part: int, count: int, seed: int) -> np.ndarray:
    """Sequences (count, CONTEXT + HORIZON, SIDE, SIDE) of two digits of one part of the split, in [0, 1]."""
    draw = np.random.default_rng([seed, part])
    images = load_digits().images / 16.0
    order = np.random.default_rng(0).permutation(len(images))  # the same split for every seed
    images = images[np.array_split(order, [int(share * len(images)) for share in SPLIT])[part]]
    sequences = np.zeros((count, CONTEXT + HORIZON, SIDE, SIDE), dtype=np.float32)
    for sequence in sequences:
        for image in images[draw.integers(len(images), size=2)]:
            for field, (row, column) in zip(sequence, path(draw), strict=True):
                place = field[row : row + DIGIT, column : column + DIGIT]
                np.maximum(place, image, out=place)
    return sequences


def path(draw: np.random.Generator) -> np.ndarray:
    """The upper left corner of a digit at every step (CONTEXT + HORIZON, 2); it bounces off the edges of the field."""
    room = SIDE - DIGIT
    straight = draw.uniform(0, room, 2) + np.arange(CONTEXT + HORIZON)[:, None] * draw.uniform(-FASTEST, FASTEST, 2)
    corners: np.ndarray = np.rint(room - np.abs(straight % (2 * room) - room)).astype(int)
    return corners


def frames(sequences: np.ndarray) -> Arrays:
    """Whole fields: past (E, T, SIDE, SIDE, 1), targets (E, H * SIDE * SIDE)."""
    ahead = sequences[:, CONTEXT:].reshape(len(sequences), -1)
    return Arrays({"past": sequences[:, :CONTEXT, :, :, None]}, ahead)


def one_by_one(sequences: np.ndarray) -> Arrays:
    """Every pixel of every sequence as an example of its own."""
    series = np.moveaxis(sequences, 1, -1).reshape(-1, CONTEXT + HORIZON)
    return Arrays({"past": series[:, :CONTEXT, None]}, series[:, CONTEXT:])


def pixels(sequences: np.ndarray, seed: int) -> Arrays:
    """Some pixels, drawn from all sequences."""
    every = one_by_one(sequences)
    chosen = np.random.default_rng(seed).choice(len(every), PIXELS * len(sequences), replace=False)
    return Arrays(every.batch(chosen), every.targets(chosen))


def fit(params: Network, shapes: models.Shapes, train: Arrays, valid: Arrays, config: Train) -> keras.Model:
    """The network with the weights of its best epoch by squared error, for that is what it is judged by."""
    network = models.build(params, shapes, heads.build(NumberHead(quantiles=(0.5,))))
    learn_in_memory(network, squared_error, train, valid, config)
    return network


def squared_error(actual: Any, output: Any) -> Any:
    """The mean squared error of targets (B, N) under outputs (B, N, 1), whose last axis Keras may have taken away."""
    return ops.mean(ops.square(ops.reshape(actual, (-1,)) - ops.reshape(output, (-1,))))


def forecast(network: keras.Model, examples: Arrays) -> np.ndarray:
    """The forecasts (E, N) of the exported network."""
    engine = Engine(export.to_onnx(network))
    blocks = np.array_split(np.arange(len(examples)), -(-len(examples) // 1024))
    return np.concatenate([engine.run(examples.batch(block))["quantiles"][..., 0] for block in blocks])


if __name__ == "__main__":
    main()
