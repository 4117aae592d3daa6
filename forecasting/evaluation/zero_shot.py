"""A foundation model that forecasts from the readings alone: nothing is fitted to the job."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.evaluation.backtest import Origins

__all__ = ["between", "fracast"]

LEAST: Final = 8  # readings that Fracast-0 needs; below, the last one is repeated
BLOCK: Final = 64


def fracast(grid: pd.DataFrame, origins: Origins) -> np.ndarray:
    """Quantiles (B, H, Q) of Fracast-0 (85,001 weights in its wheel) from at most the last 2,048 steps of each series.

    It gives the deciles; other quantiles lie on the line through the two nearest ones. Gaps stay gaps.
    """
    from fracast import FracastModel

    model = FracastModel.from_pretrained(weights="fp32")
    rows = _histories(grid, origins, model.context_length)
    horizon, found = origins.y.shape[1], np.empty((*origins.y.shape, len(origins.quantiles)))
    enough = np.isfinite(rows).sum(axis=1) >= LEAST
    found[~enough] = _last(rows[~enough])[:, None, None]
    for block in np.array_split(np.flatnonzero(enough), -(-int(enough.sum()) // BLOCK) or 1):
        if len(block):
            deciles = model.forecast_batch(rows[block], horizon=horizon)
            found[block] = between(np.asarray(model.quantiles), deciles, np.asarray(origins.quantiles))
    return np.sort(found, axis=2)


def _histories(grid: pd.DataFrame, origins: Origins, length: int) -> np.ndarray:
    """The history of the series up to every origin (B, T), NaN before the first reading and in gaps."""
    series = {name: (one[DS].to_numpy(), one[Y].to_numpy(np.float64)) for name, one in grid.groupby(UNIQUE_ID)}
    rows = np.full((len(origins.unique_id), length), np.nan)
    for row, (name, cutoff) in enumerate(zip(origins.unique_id, origins.cutoff, strict=True)):
        stamps, y = series[name]
        known = y[: stamps.searchsorted(cutoff, side="right")][-length:]
        rows[row, length - len(known) :] = known
    return rows


def _last(rows: np.ndarray) -> np.ndarray:
    """The last reading of each row (B,), 0 where there is none."""
    filled = pd.DataFrame(rows).ffill(axis=1).iloc[:, -1]
    last: np.ndarray = filled.fillna(0.0).to_numpy()
    return last


def between(known: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Quantiles (B, H, Q) on the lines through the nearest of the `known` ones (B, H, K), continued at both ends."""
    right = np.clip(known.searchsorted(wanted), 1, len(known) - 1)
    share = (wanted - known[right - 1]) / (known[right] - known[right - 1])
    between: np.ndarray = values[..., right - 1] * (1 - share) + values[..., right] * share
    return between
