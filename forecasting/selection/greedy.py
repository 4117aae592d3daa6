"""Greedy ensemble selection (Caruana et al. 2004): models are added, again and again, while the mean gets better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["PICKS", "loss", "select"]

PICKS = 25  # with replacement, so weights are multiples of a 25th


def loss(y: np.ndarray, forecast: np.ndarray, quantiles: Sequence[float]) -> float:
    """The weighted quantile loss of a forecast (B, H, Q) of actuals (B, H), NaN where missing: ΣQL / Σ|y|.

    Twice the pinball loss, averaged over the quantiles.
    """
    error = y[..., None] - forecast
    levels = np.asarray(quantiles)
    total = 2 * np.nansum(np.maximum(levels * error, (levels - 1) * error)) / len(levels)
    return float(total / max(np.nansum(np.abs(y)), 1e-12))


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
