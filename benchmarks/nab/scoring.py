"""The score of the Numenta Anomaly Benchmark, standard profile (Lavin and Ahmad 2015, as NAB 1.1 computes it)."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Scored", "normalized", "probation", "score"]

_SHARE, _MOST = 0.15, 5000  # of the rows, of as many as count, that nothing is scored in
_FALSE: Final = 0.11  # weight of a false alarm; a window that is found or missed has 1
_FAR: Final = 3.0  # widths of a window after its end, where a false alarm counts in full

Windows = Sequence[tuple[int, int]]  # first and last row


class Scored(NamedTuple):
    """The score of one file, and what it is made of."""

    score: float
    found: int  # windows
    windows: int
    false_alarms: int


def probation(rows: int) -> int:
    """The first rows of a file, in which nothing is scored."""
    return int(min(floor(_SHARE * rows), _SHARE * _MOST))


def score(detected: npt.NDArray[np.bool_], windows: Windows) -> Scored:
    """Score detections (R,) against the windows of a file.

    The first detection in a window counts from 1 at its left edge down to 0 at its right one, a window without one
    -1. One outside counts from 0 right behind a window down to -0.11 three widths later, and before any window.
    """
    first, found, outside, count = probation(len(detected)), dict[int, float](), 0.0, 0
    for row in np.flatnonzero(detected).tolist():
        if row < first:
            continue
        inside = next((number for number, (start, end) in enumerate(windows) if start <= row <= end), None)
        if inside is None:
            outside += _FALSE * _scaled(_behind(row, windows))
            count += 1
        elif inside not in found:
            start, end = windows[inside]
            found[inside] = _scaled(-(end - row + 1) / (end - start + 1)) / _scaled(-1.0)
    scorable = [number for number, (_, end) in enumerate(windows) if end >= first]
    total = outside + sum(found.get(number, -1.0) for number in scorable)
    return Scored(total, len(found), len(scorable), count)


def normalized(scored: Sequence[tuple[float, int]]) -> float:
    """Scores and numbers of windows of several files as one figure: 0 is a detector of nothing, 100 a perfect one."""
    windows = sum(count for _, count in scored)
    return 100 * (sum(score for score, _ in scored) + windows) / (2 * windows)


def _behind(row: int, windows: Windows) -> float:
    """How many widths a row lies behind the last window before it."""
    before = [(start, end) for start, end in windows if end < row]
    if not before:
        return _FAR
    start, end = max(before, key=lambda window: window[1])
    return (row - end) / (end - start)


def _scaled(position: float) -> float:
    return -1.0 if position >= _FAR else 2 / (1 + exp(5 * position)) - 1
