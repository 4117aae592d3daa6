"""A children's book of five words: Doug, Jane, Spot, saw and the full stop. Its sentences say that A saw B.

    python -m examples.childrens_book

Nobody sees themselves. A simple recurrent network that remembers one word, its state being taken away after each,
cannot know who is looking, nor that somebody has been seen already; an LSTM can. Both read all stories of two
sentences, then write ten thousand, drawing one word after the other at temperature 1.
"""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np

from forecasting.bundle.distributions import DISTRIBUTIONS
from forecasting.bundle.engine import Engine
from forecasting.bundle.generation import Generator
from forecasting.config.network import InStep
from forecasting.config.training import Train
from forecasting.series.vocabulary import learn_vocabulary
from forecasting.training.devices import set_up
from forecasting.training.symbols import chunk_graph, learn_symbols, lessons, network_of

NAMES = ("Doug", "Jane", "Spot")
SENTENCES = [(first, "saw", second, ".") for first, second in itertools.permutations(NAMES, 2)]
STORIES = [first + second for first, second in itertools.product(SENTENCES, repeat=2)]  # 36, all equally often
VOCABULARY = learn_vocabulary(itertools.chain(*STORIES))
RIGHT, SELF, CHAIN, ALONE, OTHER = "Doug saw Jane.", "Doug saw Doug.", "Jane saw Spot saw …", "Spot.", "anything else"
TRAIN = Train(epochs=1, batch_size=36, learning_rate=0.02, decay="constant", weight_decay=0.0, seed=1)
REPEATED = 250  # times that every story is read in a round
ROUNDS = 13  # each starts the optimizer anew: its memory of large gradients keeps steps small long after they are gone


def main() -> None:
    """Print what kinds of sentences each network writes."""
    written = {"one word": write(one_word(TRAIN), 10_000, remembers=False)}
    written["LSTM"] = write(lstm(TRAIN, ROUNDS), 10_000, remembers=True)
    print(f"{'sentences like':24}" + "".join(f"{name:>10}" for name in written))
    for kind in (RIGHT, SELF, CHAIN, ALONE, OTHER):
        print(f"{kind:24}" + "".join(f"{Counter(map(judge, book))[kind]:10,}" for book in written.values()))


def one_word(config: Train) -> Generator:
    """A simple recurrent network that begins from zero at every word."""
    params = InStep(cell="simple", units=(8,), inputs="one_hot")
    # with eight lanes for each story, a batch holds as many names that see as names that are seen
    config = config.model_copy(update={"batch_size": 8 * len(STORIES), "decay": "cosine"})
    return _learn(params, config, 1, steps=1)


def lstm(config: Train, rounds: int) -> Generator:
    """An LSTM that reads whole stories."""
    params = InStep(cell="lstm", units=(64,), inputs="one_hot")
    return _learn(params, config, rounds, steps=len(STORIES[0]))


def _learn(params: InStep, config: Train, rounds: int, *, steps: int) -> Generator:
    set_up(config)
    stories = [VOCABULARY.encode(story) for story in STORIES]
    network = network_of(params, VOCABULARY.size, steps=steps)
    # a lane holds one story again and again, so every batch holds all stories
    again = [story for story in stories for _ in range(REPEATED)]
    given = lessons(again, stories, config, steps=steps, carry=False)
    for _ in range(rounds):
        learn_symbols(network, given, config)
    return Generator(VOCABULARY, Engine(chunk_graph(network, np.stack(stories))[0].model))


def write(model: Generator, sentences: int, *, remembers: bool, lanes: int = 1000) -> list[tuple[str, ...]]:
    """Sentences without their full stop, written side by side from nothing, the states kept where it `remembers`."""
    draw, categorical = np.random.default_rng(1), DISTRIBUTIONS["categorical"]([])
    words, states = [np.zeros(lanes, np.int64)], None
    books: list[list[tuple[str, ...]]] = [[()] for _ in range(lanes)]
    each = -(-sentences // lanes)  # of every lane, so that short sentences do not come in a larger share
    while min(map(len, books)) <= each:
        logits, after = model.read(words[-1][:, None], states)
        states = after if remembers else None
        words.append(categorical.at(logits[:, -1, 1:], draw.random(lanes)).astype(np.int64) + 1)  # code 0 is no word
        for book, word in zip(books, VOCABULARY.decode(words[-1]), strict=True):
            book[-1] += (word,)
            book.extend([()] if word == "." else [])
    return [sentence[:-1] for book in books for sentence in book[:each]][:sentences]


def judge(sentence: tuple[str, ...]) -> str:
    """The kind of a sentence, by its words before the full stop."""
    names, between = sentence[::2], sentence[1::2]
    if len(names) == len(between) or {*names} - {*NAMES} or {*between} - {"saw"}:
        return OTHER
    if len(names) != 2:
        return ALONE if len(names) == 1 else CHAIN
    return SELF if names[0] == names[1] else RIGHT


if __name__ == "__main__":
    main()
