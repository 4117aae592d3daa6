"""Windows as the batches of one epoch, gathered when Keras asks for them."""

from __future__ import annotations

import math

import keras
import numpy as np

from forecasting.series.window import Batch, Windows

__all__ = ["Batches"]

_LARGEST_SHUFFLE = 20_000_000  # above this, windows are drawn instead of shuffled: an order takes 8 bytes each


class Batches(keras.utils.PyDataset):
    """The windows of one epoch: the order depends on `seed` and `epoch` alone, so a resumed fit sees the same.

    Without a seed the windows come in their own order. `most` bounds the windows of the epoch.
    """

    def __init__(
        self, windows: Windows, size: int, *, seed: int | None = None, epoch: int = 0, most: int | None = None
    ) -> None:
        super().__init__()
        self.windows = windows
        self.size = size
        self.order = _order(len(windows), seed, epoch, most)

    def __len__(self) -> int:
        """Batches in the epoch."""
        return math.ceil(len(self.order) / self.size)

    def __getitem__(self, index: int) -> tuple[Batch, np.ndarray]:
        """Inputs and targets (B, H) of one batch."""
        chosen = self.order[index * self.size : (index + 1) * self.size]
        return self.windows.batch(chosen), self.windows.targets(chosen)


def _order(windows: int, seed: int | None, epoch: int, most: int | None) -> np.ndarray:
    wanted = min(windows, most or windows)
    if seed is None:
        return np.unique(np.linspace(0, windows - 1, wanted).astype(np.int64))
    draw = np.random.default_rng((seed, epoch))
    if windows <= _LARGEST_SHUFFLE:
        return draw.permutation(windows)[:wanted]
    return draw.integers(windows, size=wanted)
