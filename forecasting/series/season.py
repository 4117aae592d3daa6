"""The season of the data, found by autocorrelation and checked against the natural ones of its frequency."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.calendar import season_length

__all__ = ["autocorrelation", "find_season", "is_seasonal"]

MOST_SERIES: Final = 50  # the longest ones
MOST_READINGS: Final = 20_000  # the last ones of each
MOST_LAG: Final = 400
STRONG: Final = 0.3  # autocorrelation of a season that is none of the natural ones
_Z: Final = 1.645  # 90 per cent


def find_season(table: pd.DataFrame, freq: str) -> int:
    """Steps in the season of a clean table, which must hold nothing but the past.

    The natural season of `freq` where it passes the test of the M4 competition, else the lag of the strongest other
    peak of the autocorrelation, else the natural one all the same.
    """
    natural = season_length(freq)
    series = _longest(table, freq)
    if natural > 1 and is_seasonal(series, natural):
        return natural
    return _strongest(series) or natural


def is_seasonal(series: list[np.ndarray], lag: int) -> bool:
    """Whether the mean autocorrelation of the differenced series has a peak at `lag` above its 90 % limit.

    Missing readings are NaN. The limit is Bartlett's, z √((1 + 2 Σ r²) / n) over all shorter lags (Makridakis et al.
    2020, M4).
    """
    long = [values for values in series if len(values) > 3 * lag]
    if not long or lag < 2:
        return False
    near = max(1, lag // 16)  # a year of weeks is not quite 52
    r = np.mean([autocorrelation(np.diff(values), lag + near) for values in long], axis=0)
    n = int(np.sum([np.isfinite(np.diff(values)).sum() for values in long]))
    limit = _Z * np.sqrt((1 + 2 * np.square(r[1:lag]).sum()) / n)
    peak = int(np.argmax(r[lag - near : lag + near + 1]))
    return bool(r[lag] > limit and 0 < peak < 2 * near)


def autocorrelation(values: np.ndarray, lags: int) -> np.ndarray:
    """The autocorrelation of a series at lags 0 to `lags`, missing ones at its mean; zeros where it is constant."""
    centered = np.nan_to_num(values - np.nanmean(values)) if np.isfinite(values).any() else np.zeros(len(values))
    size = 1 << (2 * len(values) - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(centered, size)))
    covariance = np.fft.irfft(power, size)[: lags + 1]
    found: np.ndarray = covariance / covariance[0] if covariance[0] > 0 else np.zeros(lags + 1)
    return found


def _longest(table: pd.DataFrame, freq: str) -> list[np.ndarray]:
    """The last readings of the longest series, step by step: without its gaps a day may seem to have 23 hours."""
    read = table[table[Y].notna()]
    sizes = read.groupby(UNIQUE_ID).size().nlargest(MOST_SERIES)
    chosen = read[read[UNIQUE_ID].isin(sizes.index)].groupby(UNIQUE_ID)
    return [_on_grid(rows.tail(MOST_READINGS), freq) for _, rows in chosen]


def _on_grid(rows: pd.DataFrame, freq: str) -> np.ndarray:
    steps = pd.date_range(rows[DS].iloc[0], rows[DS].iloc[-1], freq=freq)
    values: np.ndarray = rows.set_index(DS)[Y].reindex(steps).to_numpy(np.float64)
    return values[-MOST_READINGS:]


def _strongest(series: list[np.ndarray]) -> int | None:
    """The lag of the highest strong peak; none where there is none."""
    long = [values for values in series if len(values) > 12]
    if not long:
        return None
    most = min(MOST_LAG, min(len(values) for values in long) // 3)
    r = np.mean([autocorrelation(np.diff(values), most) for values in long], axis=0)
    peaks = [lag for lag in range(3, most) if r[lag] > STRONG and r[lag] > r[lag - 1] and r[lag] >= r[lag + 1]]
    return max(peaks, key=lambda lag: r[lag]) if peaks else None
