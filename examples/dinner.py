"""Dinner: pizza, sushi, waffles, and again from the start. What is for dinner today?

    python -m examples.dinner

It follows from yesterday's dinner; where nobody remembers that, from the day before; at worst from any one evening of
the last fortnight. One network reads the fortnight, with zeros for the evenings that nobody remembers, learns from some
and is asked about every fortnight there can be.
"""

from __future__ import annotations

import keras
import numpy as np

from forecasting.bundle.engine import Engine
from forecasting.config.head import SymbolHead
from forecasting.config.network import Stacked
from forecasting.config.training import Train
from forecasting.nn import export, heads, models
from forecasting.training.devices import set_up
from forecasting.training.examples import Arrays, learn_in_memory

MENU = ("pizza", "sushi", "waffles")
DAYS = 14
REMEMBERED = (np.arange(2**DAYS)[:, None] >> np.arange(DAYS) & 1).astype(bool)  # every pattern there is (2^DAYS, DAYS)
TRAIN = Train(epochs=5, batch_size=64, learning_rate=0.01, seed=1)


def main() -> None:
    """Print in how many cases the network knows what is for dinner, by what is remembered."""
    network = fit(TRAIN)
    print(f"{'what is remembered':32}{'cases':>8}{'wrong':>8}{'right':>8}")
    for name, patterns in questions().items():
        right = answers(network, fortnights(patterns))
        print(f"{name:32}{len(right):8,}{np.sum(~right):8,}{right.mean():8.0%}")


def questions() -> dict[str, np.ndarray]:
    """The patterns (P, DAYS) of what is remembered, the last column being yesterday."""
    evenings = REMEMBERED.sum(axis=1)
    return {
        "yesterday": REMEMBERED[(evenings == 1) & REMEMBERED[:, -1]],
        "only the day before yesterday": REMEMBERED[(evenings == 1) & REMEMBERED[:, -2]],
        "only one evening, any": REMEMBERED[evenings == 1],
        "one evening or more, any": REMEMBERED[evenings > 0],
        "nothing": REMEMBERED[evenings == 0],
    }


def fortnights(patterns: np.ndarray) -> Arrays:
    """Each pattern (P, DAYS) in each of the three places of the cycle, and the dinner after it."""
    dinner = (np.arange(DAYS + 1) + np.arange(len(MENU))[:, None]) % len(MENU)  # (3, DAYS + 1)
    past = np.eye(len(MENU), dtype=np.float32)[dinner[:, None, :-1]] * patterns[None, :, :, None]
    today = np.repeat(dinner[:, -1:], len(patterns), axis=0)
    return Arrays({"past": past.reshape(-1, DAYS, len(MENU))}, today.astype(np.float32))


def fit(config: Train) -> keras.Model:
    """An LSTM that has learned from 1,300 patterns, of which some remember nearly all and some hardly anything."""
    set_up(config)
    head = heads.build(SymbolHead(), classes=len(MENU))
    shapes = models.Shapes(context=DAYS, horizon=1, past=len(MENU))
    network = models.build(Stacked(units=(16,), normalise="none"), shapes, head)
    draw = np.random.default_rng(config.seed)
    chosen = draw.random((1500, DAYS)) < draw.random((1500, 1))
    learn_in_memory(network, head.loss, fortnights(chosen[200:]), fortnights(chosen[:200]), config)
    return network


def answers(network: keras.Model, cases: Arrays) -> np.ndarray:
    """Whether the most likely dinner (E,) is the right one, forecast by the exported graph."""
    logits = Engine(export.to_onnx(network, "parameters")).run(cases.inputs)["parameters"]  # (E, 1, 3)
    return np.asarray(logits.argmax(axis=-1) == cases.wanted)[:, 0]


if __name__ == "__main__":
    main()
