"""The theta method as a linear map of the context (Assimakopoulos & Nikolopoulos 2000; Hyndman & Billah 2003)."""

from __future__ import annotations

from typing import Final

import numpy as np

__all__ = ["SMOOTHINGS", "theta"]

SMOOTHINGS: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # of the level, chosen on the validation windows


def theta(context: int, horizon: int, season: int, smoothing: float) -> np.ndarray:
    """Weights (T, H) of the theta forecast: a smoothed level that moves by half the slope of the trend line.

    With two seasons or more in the context, additive seasonal indices are taken off first and given back.
    """
    seasonal, repeated = _season(context, horizon, season)
    level = _level(context, smoothing)
    slope = _slope(context)
    steps = np.arange(horizon) + (1 - (1 - smoothing) ** context) / smoothing
    forecast = level[:, None] + 0.5 * slope[:, None] * steps  # (T, H) of the deseasonalized context
    weights: np.ndarray = (np.eye(context) - seasonal) @ forecast + repeated
    return weights


def _level(context: int, smoothing: float) -> np.ndarray:
    """Weights (T,) of simple exponential smoothing that starts from the first reading."""
    weights = smoothing * (1 - smoothing) ** np.arange(context)[::-1]
    weights[0] = (1 - smoothing) ** (context - 1)
    return weights


def _slope(context: int) -> np.ndarray:
    """Weights (T,) of the least-squares slope over the context."""
    centered = np.arange(context) - (context - 1) / 2
    weights: np.ndarray = centered / max(np.square(centered).sum(), 1.0)
    return weights


def _season(context: int, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the seasonal index at each step of the context (T, T), and of the horizon (T, H).

    The index of a phase is the mean of its readings in the last whole seasons, less the mean of all of them.
    """
    whole = context // season * season if season > 1 else 0
    if whole < 2 * season:
        return np.zeros((context, context)), np.zeros((context, horizon))
    steps = np.arange(context + horizon)
    counted = (steps[:context] >= context - whole).astype(float)
    phase = (steps[:context, None] % season == steps[None, :] % season) * counted[:, None]
    indices = phase * season / whole - counted[:, None] / whole  # (T, T + H)
    return indices[:, :context], indices[:, context:]
