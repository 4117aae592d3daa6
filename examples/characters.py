"""Characters: read nine tenths of tiny Shakespeare, tell the rest character by character, and write some more.

    GATECAST_DATASETS=../shared/datasets python -m examples.characters

Network and training are those of configs/characters.yaml; `gatecast run` of that file puts the same network through
baselines, gate and registry. Here it is seen from near: how the temperature changes what is written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from forecasting import sources
from forecasting.bundle.engine import Engine
from forecasting.bundle.generation import Generator, Sampling
from forecasting.config.job import load_job
from forecasting.config.network import InStep
from forecasting.config.training import Train
from forecasting.errors import SourceError
from forecasting.series.vocabulary import learn_vocabulary
from forecasting.training.devices import set_up
from forecasting.training.symbols import chunk_graph, learn_symbols, lessons, network_of

CONFIG = Path(__file__).parents[1] / "configs" / "characters.yaml"
TEMPERATURES = (0.0, 0.5, 1.0)


class Text(NamedTuple):
    """A text: its first nine tenths, a hundredth before their end to validate on, and its last tenth."""

    train: list[str]
    valid: list[str]
    test: list[str]


def main() -> None:
    """Print the mean nats of the last tenth, and how the network goes on from there."""
    job = load_job(CONFIG)
    try:
        text = split(sources.read(job)["y"].tolist())
    except SourceError as error:
        sys.exit(str(error))
    model = fit(text, InStep.model_validate(job.model.params), job.train, steps=job.window.context)
    print(f"nats per character of the last tenth, {len(text.test):,} characters: {nats(model, text):.3f}")
    for temperature in TEMPERATURES:
        told = model.extend(text.test[-200:], 200, Sampling(temperature, seed=job.forecast.seed)).symbols
        print(f"\n--- temperature {temperature:g}\n{''.join(told)}")


def split(characters: list[str]) -> Text:
    """The parts of a text, in their order."""
    end, begin = len(characters) * 90 // 100, len(characters) * 89 // 100
    return Text(characters[:begin], characters[begin:end], characters[end:])


def fit(text: Text, params: InStep, train: Train, *, steps: int) -> Generator:
    """A network that has learned from the training part, states carried over chunks of so many steps."""
    set_up(train)
    vocabulary = learn_vocabulary(text.train)
    taught, valid = vocabulary.encode(text.train), vocabulary.encode(text.valid)
    network = network_of(params, vocabulary.size, steps=steps)
    learn_symbols(network, lessons([taught], [valid], train, steps=steps), train)
    return Generator(vocabulary, Engine(chunk_graph(network, taught[None, :steps])[0].model))


def nats(model: Generator, text: Text) -> float:
    """The mean negative log-probability of the last tenth, each character given those before it."""
    before = text.valid[-500:]
    return float(-np.mean(model.log_probability(before + text.test)[len(before) :]))


if __name__ == "__main__":
    main()
