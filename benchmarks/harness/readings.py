"""Made-up hourly readings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y

__all__ = ["long_table", "stamps", "walks"]


def walks(draw: np.random.Generator, series: int, rows: int) -> np.ndarray:
    """Random walks with a daily wave (N, rows)."""
    values: np.ndarray = draw.normal(size=(series, rows)).cumsum(axis=1) + np.sin(np.arange(rows) * 2 * np.pi / 24)
    return values


def stamps(rows: int) -> pd.DatetimeIndex:
    """So many hours."""
    return pd.date_range("2026-01-01", periods=rows, freq="h", unit="us")


def long_table(names: Sequence[str], values: np.ndarray) -> pd.DataFrame:
    """Readings (N, rows) of named series as a long table."""
    rows = values.shape[1]
    keys = {UNIQUE_ID: pd.array(list(names), dtype="str").repeat(rows), DS: np.tile(stamps(rows), len(names))}
    return pd.DataFrame(keys | {Y: values.ravel()})
