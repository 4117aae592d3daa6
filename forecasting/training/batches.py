"""Examples as the batches of one epoch, gathered when Keras asks for them."""

from __future__ import annotations

import math
from typing import Protocol

import keras
import numpy as np

from forecasting.series.windows import Batch

__all__ = ["Batches", "Examples", "draw"]

_LARGEST_SHUFFLE = 20_000_000  # above this, windows are drawn instead of shuffled: an order takes 8 bytes each


class Examples(Protocol):
    """What a network learns from: windows of a panel, frames, sequences."""

    def __len__(self) -> int:
        """How many there are."""

    def batch(self, indices: np.ndarray) -> Batch:
        """The inputs of some of them, by name."""

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """What the network is to give for them (B, M), NaN where unknown."""

    def previous(self, indices: np.ndarray) -> np.ndarray:
        """The target one step before each of theirs (B, M), for networks that read it in training."""


class Batches(keras.utils.PyDataset):
    """The examples of one epoch: the order depends on `seed` and `epoch` alone, so a resumed fit sees the same.

    Without a seed they come in their own order. `most` bounds the examples of the epoch; `previous` adds the input of
    that name.
    """

    def __init__(
        self,
        examples: Examples,
        size: int,
        *,
        seed: int | None = None,
        epoch: int = 0,
        most: int | None = None,
        previous: bool = False,
    ) -> None:
        super().__init__()
        self.examples = examples
        self.size = size
        self.previous = previous
        self.order = draw(len(examples), seed, epoch, most)

    def __len__(self) -> int:
        """Batches in the epoch."""
        return math.ceil(len(self.order) / self.size)

    def __getitem__(self, index: int) -> tuple[Batch, np.ndarray]:
        """Inputs and targets (B, M) of one batch."""
        chosen = self.order[index * self.size : (index + 1) * self.size]
        inputs = self.examples.batch(chosen)
        if self.previous:
            inputs["previous"] = self.examples.previous(chosen)
        return inputs, self.examples.targets(chosen)


def draw(examples: int, seed: int | None, epoch: int, most: int | None) -> np.ndarray:
    """Indices of some or all examples, each once as long as there are not too many: in random order, or their own."""
    wanted = min(examples, most or examples)
    if seed is None:
        return np.unique(np.linspace(0, examples - 1, wanted).astype(np.int64))
    generator = np.random.default_rng((seed, epoch))
    if examples <= _LARGEST_SHUFFLE:
        return generator.permutation(examples)[:wanted]
    return generator.integers(examples, size=wanted)
