"""Examples as batches, gathered one batch ahead of the step that reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from forecasting.series.windows import Batch, evenly

__all__ = ["Batches", "Examples", "draw", "stream"]

_LARGEST_SHUFFLE = 20_000_000  # above this, windows are drawn instead of shuffled: an order takes 8 bytes each


class Examples(Protocol):
    """What a network learns from: windows of a panel, frames, sequences."""

    def __len__(self) -> int:
        """How many there are."""

    def batch(self, indices: np.ndarray) -> Batch:
        """The inputs of some of them, by name."""

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The targets (B, M) of some of them, NaN where one is not known."""

    def previous(self, indices: np.ndarray) -> np.ndarray:
        """The target one step before each of theirs (B, M), for networks that are given it while they learn."""


class Batches:
    """Examples in a given `order`, in batches of `size`; with `previous`, batches have the input of that name."""

    def __init__(self, examples: Examples, order: np.ndarray, size: int, *, previous: bool = False) -> None:
        self.examples = examples
        self.order = order
        self.size = size
        self.previous = previous

    def __len__(self) -> int:
        """The number of batches."""
        return math.ceil(len(self.order) / self.size)

    def __getitem__(self, index: int) -> tuple[Batch, np.ndarray]:
        """Inputs and targets (B, M) of one batch."""
        chosen = self.order[index * self.size : (index + 1) * self.size]
        inputs = self.examples.batch(chosen)
        if self.previous:
            inputs["previous"] = self.examples.previous(chosen)
        return inputs, self.examples.targets(chosen)

    def __iter__(self) -> Iterator[tuple[Batch, np.ndarray]]:
        """All batches; the next one is gathered while the one before is read."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.__getitem__, 0)
            for index in range(1, len(self) + 1):
                ready = waiting.result()
                if index < len(self):
                    waiting = pool.submit(self.__getitem__, index)
                yield ready


def draw(examples: int, seed: int | None, epoch: int, most: int | None) -> np.ndarray:
    """Indices of some or all examples for one epoch, each once unless there are very many.

    Their random order depends on `seed` and `epoch` alone, so that a resumed fit sees the same; without a seed
    they come in their own order, evenly spread.
    """
    if seed is None:
        return evenly(examples, most or examples)
    wanted = min(examples, most or examples)
    generator = np.random.default_rng((seed, epoch))
    if examples <= _LARGEST_SHUFFLE:
        return generator.permutation(examples)[:wanted]
    return generator.integers(examples, size=wanted)


def stream(examples: int, seed: int, begin: int, count: int) -> np.ndarray:
    """The `count` indices from place `begin` on of all passes over the examples, one behind the other."""
    first, last = begin // examples, (begin + count - 1) // examples
    passes = np.concatenate([draw(examples, seed, number, None) for number in range(first, last + 1)])
    return passes[begin - first * examples :][:count]
