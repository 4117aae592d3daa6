"""How long a call takes."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

__all__ = ["median_ms"]


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds of one call, median of `repeats`."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return 1000 * float(np.median(seconds))
