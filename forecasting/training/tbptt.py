"""Long sequences of symbols side by side in lanes, cut into chunks that a network reads one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from forecasting.errors import DataError
from forecasting.series.windows import Batch

__all__ = ["Lanes"]


class Lanes:
    """Examples of sequences of codes, for truncated backpropagation: example k * lanes + l is chunk k of lane l.

    Sequences of any length stand one after the other, each begins with a chunk of its own, and the whole is cut into
    `lanes` equal parts. A step reads the symbol before its target, 0 at the beginning of a sequence. `fresh` is 1 where
    a chunk starts from zero: at the beginning of a sequence or of a lane, or everywhere without `carry`. Raises
    DataError without any symbol.
    """

    def __init__(self, sequences: Sequence[np.ndarray], *, lanes: int, steps: int, carry: bool = True) -> None:
        parts = [_chunks(sequence, steps) for sequence in sequences if len(sequence)]
        if not parts:
            raise DataError("no symbol to learn from; bring more data")
        read, wanted, fresh = (np.concatenate(column) for column in zip(*parts, strict=True))
        self.lanes = lanes
        self.rounds = math.ceil(len(read) / lanes)
        self._read = self._apart(read, 0)
        self._wanted = self._apart(wanted, np.nan)
        self._fresh = self._apart(fresh if carry else np.ones_like(fresh), 1.0)
        self._fresh[:lanes] = 1.0

    def __len__(self) -> int:
        """The number of chunks in all lanes together."""
        return self.rounds * self.lanes

    def batch(self, indices: np.ndarray) -> Batch:
        """`symbols` (B, T) and `fresh` (B, 1)."""
        return {"symbols": self._read[indices], "fresh": self._fresh[indices]}

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The target codes (B, T), as numbers; NaN beyond the end of a sequence."""
        return self._wanted[indices]

    def previous(self, indices: np.ndarray) -> np.ndarray:
        """The code before each target (B, T)."""
        return self._read[indices]

    def _apart(self, chunks: np.ndarray, filler: float) -> np.ndarray:
        """Chunks (B, …) of all sequences as (rounds * lanes, …), those of one round together."""
        lacking = self.rounds * self.lanes - len(chunks)
        filled = np.concatenate([chunks, np.full((lacking, *chunks.shape[1:]), filler, chunks.dtype)])
        by_lane = filled.reshape(self.lanes, self.rounds, *chunks.shape[1:])
        return np.ascontiguousarray(by_lane.swapaxes(0, 1)).reshape(filled.shape)


def _chunks(sequence: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One sequence of codes as chunks of inputs (B, T), targets (B, T), and flags (B, 1) of those that begin anew."""
    count = math.ceil(len(sequence) / steps)
    read = np.zeros(count * steps, np.int32)
    read[1 : len(sequence)] = sequence[:-1]
    wanted = np.full(count * steps, np.nan, np.float32)
    wanted[: len(sequence)] = sequence
    fresh = np.zeros((count, 1), np.float32)
    fresh[0] = 1.0
    return read.reshape(count, steps), wanted.reshape(count, steps), fresh
