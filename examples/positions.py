"""Positions: which words begin a sentence, which end it, and which stand between? Nobody has written a full stop.

    python -m examples.positions

Many to many in step: "Jane saw Spot and Doug Spot saw Jane" is given a label at every word. That a word begins a
sentence shows in the words before it; that it ends one only in those after it. A network that reads forwards can but
guess there, one that reads both ways knows.
"""

from __future__ import annotations

import keras
import numpy as np

from forecasting.bundle.engine import Engine
from forecasting.config.head import SymbolHead
from forecasting.config.training import Train
from forecasting.nn import export, heads
from forecasting.nn.cells import CELLS
from forecasting.nn.layers.symbols import Unscaled
from forecasting.training.devices import set_up
from forecasting.training.examples import Arrays, learn_in_memory

LABELS = ("begin", "middle", "end")
WORDS = ("Doug", "Jane", "Spot", "saw", "and")
NAMES, SAW, AND = 3, 3, 4  # codes below NAMES are names
LENGTH = 30  # words of a text, or fewer: it is made of whole sentences
MORE = 0.6  # chance that one more is seen
TRAIN = Train(epochs=6, batch_size=32, learning_rate=0.01, weight_decay=0.0, seed=1)


def main() -> None:
    """Print the share of words of 500 new texts that each network labels rightly, by what they are."""
    found = {"forwards": shares(fit(TRAIN, both=False)), "both ways": shares(fit(TRAIN, both=True))}
    print(f"{'reads':12}" + "".join(f"{label:>9}" for label in (*LABELS, "all")))
    for name, right in found.items():
        print(f"{name:12}" + "".join(f"{share:9.1%}" for share in right))


def texts(count: int, seed: int) -> Arrays:
    """Texts as one-hot words (E, LENGTH, 5), zeros behind their end, and the label of each word, NaN behind the end."""
    draw = np.random.default_rng(seed)
    past = np.zeros((count, LENGTH, len(WORDS)), np.float32)
    labels = np.full((count, LENGTH), np.nan, np.float32)
    for text, label in zip(past, labels, strict=True):
        words: list[int] = []
        while len(words) + len(more := sentence(draw)) <= LENGTH:
            label[len(words) : len(words) + len(more)] = [0, *[1] * (len(more) - 2), 2]
            words += more
        text[np.arange(len(words)), words] = 1.0
    return Arrays({"past": past}, labels)


def sentence(draw: np.random.Generator) -> list[int]:
    """The codes of "A saw B", "A saw B and C", and so on."""
    words = [int(draw.integers(NAMES)), SAW, int(draw.integers(NAMES))]
    while draw.random() < MORE:
        words += [AND, int(draw.integers(NAMES))]
    return words


def fit(config: Train, *, both: bool) -> keras.Model:
    """An LSTM with a label at every word; with `both` a second one reads backwards beside it."""
    set_up(config)
    past = keras.Input((LENGTH, len(WORDS)), name="past")
    layer = CELLS["lstm"](16, activation="tanh", sequences=True, name="lstm")
    features = (keras.layers.Bidirectional(layer, name="both_ways") if both else layer)(past)
    head = heads.build(SymbolHead(), classes=len(LABELS))
    network = keras.Model({"past": past}, head([features, Unscaled(name="unscaled")(features)]), name="labels")
    learn_in_memory(network, head.loss, texts(1000, seed=1), texts(100, seed=2), config)
    return network


def shares(network: keras.Model) -> list[float]:
    """The share of words that are labelled rightly, of each label and of all."""
    new = texts(500, seed=3)
    told = Engine(export.to_onnx(network, "parameters")).run(new.inputs)["parameters"].argmax(axis=-1)  # (E, LENGTH)
    right, known = told == new.wanted, ~np.isnan(new.wanted)
    each = [right[new.wanted == label].mean() for label in range(len(LABELS))]
    return [float(share) for share in (*each, right[known].mean())]


if __name__ == "__main__":
    main()
