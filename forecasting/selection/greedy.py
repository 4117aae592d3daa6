"""Greedy ensemble selection (Caruana et al. 2004): models are added, again and again, while the mean gets better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.bundle.scoring import pinball

__all__ = ["PICKS", "bagged", "loss", "select"]

PICKS = 25  # with replacement, so weights are multiples of a 25th
BLOCKS = 8  # of time, each left out of one selection together with the next
LEAST_WEIGHT = 0.04  # a member below is not worth its time


def loss(y: np.ndarray, forecast: np.ndarray, quantiles: Sequence[float]) -> float:
    """The weighted quantile loss of a forecast (B, H, Q) of actuals (B, H), NaN where missing: ΣQL / Σ|y|."""
    return float(np.nansum(pinball(y, forecast, quantiles)) / max(np.nansum(np.abs(y)), 1e-12))


def select(y: np.ndarray, forecasts: Sequence[np.ndarray], quantiles: Sequence[float]) -> np.ndarray:
    """The weights (members,) of the ensemble with the least loss on actuals (B, H), out of forecasts (B, H, Q) each.

    It starts empty, and each pick adds the forecast that helps the mean most; of all sizes on the way the best is kept.
    """
    counts = np.zeros(len(forecasts), dtype=int)
    total = np.zeros_like(forecasts[0])
    best, kept = np.inf, counts
    for size in range(1, PICKS + 1):
        losses = [loss(y, (total + forecast) / size, quantiles) for forecast in forecasts]
        chosen = int(np.argmin(losses))
        total, counts = total + forecasts[chosen], counts + (np.arange(len(counts)) == chosen)
        if losses[chosen] < best:
            best, kept = losses[chosen], counts
    weights: np.ndarray = kept / kept.sum()
    return weights


def bagged(y: np.ndarray, forecasts: Sequence[np.ndarray], quantiles: Sequence[float], order: np.ndarray) -> np.ndarray:
    """The mean weights of several selections, each without a quarter of the time that `order` (B,) gives the windows.

    A single selection follows what one stretch of the validation span happened to favor.
    """
    block = np.searchsorted(np.quantile(order, np.arange(1, BLOCKS) / BLOCKS), order, side="right")
    found = []
    for left_out in range(BLOCKS):
        kept = ~np.isin(block, [left_out, (left_out + 1) % BLOCKS])
        kept = kept if np.isfinite(y[kept]).any() else np.ones(len(y), dtype=bool)
        found.append(select(y[kept], [forecast[kept] for forecast in forecasts], quantiles))
    weights = np.mean(found, axis=0)
    weights = np.where(weights < min(LEAST_WEIGHT, weights.max()), 0.0, weights)
    return np.asarray(weights / weights.sum())
