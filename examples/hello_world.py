"""Hello world!: nine characters, five units, and the string comes back one character after the other.

    python -m examples.hello_world

One to many: the network begins with nothing and is told its own last guess. At each of the three `l` it must know how
far it has come, for what follows an `l` is `l`, `o` or `d`.
"""

from __future__ import annotations

from forecasting.bundle.engine import Engine
from forecasting.bundle.generation import Generator, Sampling
from forecasting.config.network import InStep
from forecasting.config.training import Train
from forecasting.series.vocabulary import learn_vocabulary
from forecasting.training.devices import set_up
from forecasting.training.symbols import chunk_graph, learn_symbols, lessons, network_of

TEXT = "Hello world!"
NETWORK = InStep(cell="simple", units=(5,), inputs="one_hot")
TRAIN = Train(epochs=3, batch_size=1, learning_rate=0.02, weight_decay=0.0, seed=1)
REPEATED = 400  # times that the string is read in an epoch


def main() -> None:
    """Print what the network says, and how probable that is."""
    said, probability = say(fit(TRAIN))
    print(f"{'wanted':16}{'said':16}{'wrong':>8}{'probability':>14}")
    print(f"{TEXT:16}{said:16}{sum(a != b for a, b in zip(said, TEXT, strict=True)):8}{probability:14.4f}")


def fit(config: Train) -> Generator:
    """A simple recurrent network of five units that has read the string again and again."""
    set_up(config)
    vocabulary = learn_vocabulary(TEXT)
    codes = vocabulary.encode(list(TEXT))
    network = network_of(NETWORK, vocabulary.size, steps=len(TEXT))
    learn_symbols(network, lessons([codes] * REPEATED, [codes], config, steps=len(TEXT)), config)
    graphs, _ = chunk_graph(network, codes[None])
    return Generator(vocabulary, Engine(graphs.model))


def say(model: Generator) -> tuple[str, float]:
    """Twelve characters from nothing, each the most probable after those before it, and the probability of them all."""
    said = model.extend([], len(TEXT), Sampling(temperature=0))
    return "".join(said.symbols), float(said.probability.prod())


if __name__ == "__main__":
    main()
