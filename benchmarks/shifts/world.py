"""Hourly readings with a daily season, into which a fault comes one day."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

__all__ = ["FAULTS", "NONE", "START", "readings"]

Floats = npt.NDArray[np.float64]

START: Final = np.datetime64("2024-01-01", "us")
NONE: Final = "none"
FAULTS: Final = ("+10 %", "+25 %", "+50 %", "noise ×2", "broken sensor", "season moves")
_RISES: Final = {"+10 %": 0.10, "+25 %": 0.25, "+50 %": 0.50}
_LEVEL, _SWING, _MEMORY, _MOVED = 10.0, 3.0, 0.7, 6  # the season moves by so many hours


def readings(fault: str, hours: int, begin: int, seed: int) -> Floats:
    """Readings (R,) around a level of 10 with a season of ±3 and noise of deviation 1; the fault begins at an hour."""
    draw, time = np.random.default_rng(seed), np.arange(hours)
    after = time >= begin
    noise = lfilter([np.sqrt(1 - _MEMORY**2)], [1, -_MEMORY], draw.normal(size=hours + 100))[100:]
    noise = noise * np.where(after & (fault == "noise ×2"), 2.0, 1.0)
    phase = time + np.where(after & (fault == "season moves"), _MOVED, 0)
    y = (_LEVEL + _SWING * np.sin(2 * np.pi * phase / 24) + noise) * (1 + _RISES.get(fault, 0.0) * after)
    found: Floats = np.where(after & (fault == "broken sensor"), y[min(begin, hours - 1)], y)
    return found
