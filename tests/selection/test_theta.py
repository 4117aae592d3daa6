"""Theta as weights: the recursions of the textbook, step by step."""

import numpy as np
import pytest

from forecasting.selection.theta import SMOOTHINGS, theta


def by_recursion(y: np.ndarray, horizon: int, smoothing: float) -> np.ndarray:
    """Simple exponential smoothing that starts from the first reading, with half the slope of the trend as its drift.

    Hyndman & Billah 2003, eq. 4: l + b/2 (h - 1 + (1 - (1 - a)^n) / a).
    """
    level = y[0]
    for value in y[1:]:
        level = smoothing * value + (1 - smoothing) * level
    slope = np.polyfit(np.arange(len(y)), y, 1)[0]
    steps = np.arange(horizon) + (1 - (1 - smoothing) ** len(y)) / smoothing
    return np.asarray(level + slope / 2 * steps)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_weights_give_the_recursion(smoothing: float, rng: np.random.Generator) -> None:
    """Without a season."""
    y = np.cumsum(rng.normal(1, 1, 30))
    np.testing.assert_allclose(y @ theta(30, 6, 1, smoothing), by_recursion(y, 6, smoothing), rtol=1e-9)


def test_season_is_taken_off_and_given_back(rng: np.random.Generator) -> None:
    """Of a level with additive indices, the forecast repeats them; the last whole seasons count."""
    indices = rng.normal(0, 1, 7)
    indices -= indices.mean()
    y = 5 + indices[np.arange(24) % 7]
    expected = 5 + indices[np.arange(24, 34) % 7]
    np.testing.assert_allclose(y @ theta(24, 10, 7, 0.3), expected, atol=1e-9)


def test_a_context_below_two_seasons_has_no_indices(rng: np.random.Generator) -> None:
    """One season says nothing about its own spread."""
    y = rng.normal(0, 1, 13)
    np.testing.assert_allclose(y @ theta(13, 3, 7, 0.5), by_recursion(y, 3, 0.5), rtol=1e-9)


def test_forecast_moves_with_level_and_scale(rng: np.random.Generator) -> None:
    """The weights of every step sum to one."""
    np.testing.assert_allclose(theta(40, 5, 4, 0.2).sum(axis=0), 1.0, atol=1e-9)
