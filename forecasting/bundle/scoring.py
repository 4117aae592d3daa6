"""Scores of quantiles: the one pinball loss and the one coverage of backtests and live scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["inside", "pinball", "widest_interval"]

Floats = npt.NDArray[np.float64]


def pinball(y: Floats, forecast: Floats, quantiles: Sequence[float]) -> Floats:
    """Twice the mean pinball loss (...) of quantiles (..., Q) of an actual y (...), which approximates the CRPS.

    2 / Q Σ_q max(q (y - f_q), (q - 1) (y - f_q)), Koenker & Bassett (1978), eq. 1.2; for the median alone, |y - f|.
    A quantile that was not forecast is NaN and left out of the mean; NaN where there is none, or no actual.
    """
    total, count = np.zeros(y.shape), np.zeros(y.shape)
    for index, quantile in enumerate(quantiles):
        value = forecast[..., index]
        error, known = y - value, ~np.isnan(value)
        total += np.where(known, np.maximum(quantile * error, (quantile - 1) * error), 0.0)
        count += known
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * total / count)


def inside(y: Floats, forecast: Floats) -> Floats:
    """Whether an actual (...) lies in the widest interval of quantiles (..., Q): 1 or 0, NaN without an interval.

    The bounds are inside. Coverage is the mean.
    """
    low, high = widest_interval(forecast)
    return np.where(np.isnan(low), np.nan, (low <= y) & (y <= high))


def widest_interval(forecast: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest (...) of the quantiles (..., Q) that were forecast; NaN where there are fewer than two."""
    known = ~np.isnan(forecast)
    first, last = np.argmax(known, axis=-1), forecast.shape[-1] - 1 - np.argmax(known[..., ::-1], axis=-1)
    low, high = (np.take_along_axis(forecast, index[..., None], axis=-1)[..., 0] for index in (first, last))
    several = first < last
    return np.where(several, low, np.nan), np.where(several, high, np.nan)
